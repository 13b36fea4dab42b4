"""What `parse` refuses once the tree is built, taken out of the rules: a constrained decoder should not be let write it.

Each is one function from rules to rules, named by the code of its diagnostic; all only ever take away. Not here, as no grammar of this
kind can say it: that the fields of a record differ, and the limits on sizes and depths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from attrs import evolve

from rlmlang.builtins import REGISTRY
from rlmlang.solve.flat import Body, Flat, Nonterminal, Rules, Symbol, Terminal, merged
from rlmlang.types import BOOL, FLOAT, INT, DictOf, ListOf, RecordOf, Tuple

_NONE = ("none", "None", "null")
_GENERIC = ("list", "List", "optional", "Optional")
_OF_TWO = ("dict", "Dict")
_CALLS = ("call", "solve")
_FORMS = frozenset({"map", "filter", "reduce", "fold"})


def restricted(flat: Flat) -> Flat:
    """The rules without those derivations."""
    rules = dict(flat.rules)
    for restrict in (
        *(_bad_number, _bare_call_datum, _bad_option, _bad_union, _twice_optional),
        *(_unknown_type, _bad_form, _nameless, _long_quotes),
    ):
        for nonterminal in tuple(rules):
            restrict(rules, nonterminal)
    return merged(Flat(flat.start, rules))


def for_turn(flat: Flat) -> Flat:
    """The rules of a program in a turn of `solve`: without `input` and `use`, which are refused there; without names that begin what
    Python has and this language has not, since a model that may write `for x` goes on as if there were loops; without keys of dicts
    like `{any(xs): "yes"}` and `{any [x]: "yes"}`, which are never texts: a model means a choice there, and goes in circles for want of
    a `for`; and with no records answered as a part of something."""
    rules: Rules = {
        here: tuple(
            tuple(evolve(s, barred=s.barred | _foreign(s, here[0])) if isinstance(s, Terminal) and s.name == "NAME" else s for s in body)
            if here[0] in ("name_ref", "_name")
            else body
            for body in bodies
            if here[0] != "_statement" or _name(body[0]) not in ("input", "use")
        )
        for here, bodies in flat.rules.items()
    }
    for here in [here for here in rules if here[0] == "_name"]:
        rules[here] = tuple((_but(rules, name, _OWN),) if isinstance(name := body[0], tuple) else body for body in rules[here])
    for here in [here for here in rules if here[0] == "named"]:
        rules[here] = tuple((_of_field(rules, _nonterminal(body[0])),) for body in rules[here])
    for here in [here for here in rules if here[0] == "key_called"]:
        words, tag = (_no_texts() - _EXTREMES, _FIELD) if here[-1] == _FIELD else (_no_texts(), "of text")
        rules[here] = tuple((_barring(rules, _nonterminal(body[0]), words, tag), *body[1:]) for body in rules[here])
    for here in [here for here in rules if here[0] in ("key_index", "key_slice", "key_add")]:
        rules[here] = tuple((_no_function(rules, _nonterminal(body[0])), *body[1:]) for body in rules[here])
    for here in [here for here in rules if here[0] in ("_item", "entry", "dict")]:
        rules[here] = tuple(tuple(_no_function_named(rules, s) if isinstance(s, tuple) else s for s in body) for body in rules[here])
    for here in [here for here in rules if here[0] == "answer"]:
        rules[here] = tuple(more for body in rules[here] for more in _record_alone(rules, body))
    return merged(Flat(flat.start, rules))


def _no_function(rules: Rules, key: Nonterminal) -> Nonterminal:
    """A copy of `a.b.c` that begins neither with the name of a function that gives a number or a bool nor with a word that begins a form
    (`{call ["…"]`); any other key as it is."""
    if key[0] != "short":
        return key
    new = (*key, "no function")
    words = _scalars() | _FORMS | set(_CALLS)
    rules[new] = tuple((evolve(name := _terminal(body[0]), barred=name.barred | words), *body[1:]) for body in rules[key])
    return new


_FIELD = "of a field"


def _of_field(rules: Rules, key: Nonterminal) -> Nonterminal:
    """A copy of what names a field (`{max(rows, key=f).city}`), in which keys are no keys of dicts."""
    new = (*key, _FIELD)
    if new not in rules:
        rules[new] = ()
        rules[new] = tuple(
            tuple(_of_field(rules, s) if isinstance(s, tuple) and str(s[0]).lstrip("_").startswith("key") else s for s in body)
            for body in rules[key]
        )
    return new


def _but(rules: Rules, word: Nonterminal, barred: frozenset[str]) -> Nonterminal:
    """A copy of one word or another, without those."""
    new = (*word, "but")
    rules[new] = tuple(body for body in rules[word] if _terminal(body[0]).text not in barred)
    return new


def _no_function_named(rules: Rules, item: Nonterminal) -> Nonterminal:
    """A copy of a field or key of which `a.b.c` begins with no such name (`{any .True .False`), and none is called `any`."""
    if item[0] not in ("short", "pair"):
        return item
    new = (*item, "field")
    bodies: list[Body] = []
    for body in rules[item]:
        name = _terminal(body[0])
        dotted = item[0] == "short" and len(body) > 1
        barred = name.barred | (_scalars() | _FORMS if dotted else {"any"}) if name.name == "NAME" else name.barred
        bodies.append((evolve(name, barred=barred), *body[1:]))
    rules[new] = tuple(bodies)
    return new


def _record_alone(rules: Rules, answer: Body) -> list[Body]:
    """A record that is answered is the whole answer: `answer {city, mean} == max(…)` is meant to bind."""
    value = _nonterminal(answer[-1])
    waiting = [value]
    while (here := waiting.pop(0))[0] != "record":
        waiting += [s for body in rules[here] if len(body) == 1 and isinstance(s := body[0], tuple)]
    return [(*answer[:-1], here), (*answer[:-1], _spine(rules, value, "no record", without=("record",)))]


@cache
def _no_texts() -> frozenset[str]:
    """The built-in functions that never give a text, or hardly ever."""
    return _EXTREMES | {
        name
        for name, builtin in REGISTRY.items()
        if all(s.result in _SCALARS or isinstance(s.result, (ListOf, DictOf, Tuple, RecordOf)) for s in builtin.signatures)
    }


@cache
def _scalars() -> frozenset[str]:
    """The built-in functions that always give a number or a bool."""
    return frozenset(name for name, builtin in REGISTRY.items() if all(s.result in _SCALARS for s in builtin.signatures))


_SCALARS = (BOOL, INT, FLOAT)
_EXTREMES = frozenset(("max", "min"))
_OTHERS = frozenset(("for", "while", "def", "import", "class", "return", "print", "let", "const", "elif"))  # begin what there is not
_OWN = frozenset(("and", "or", "in", "if", "else", "answer", "call", "solve", "fail", "otherwise")) | _FORMS


def _foreign(name: Terminal, where: object) -> frozenset[str]:
    """What a name may not be in a turn; where it is bound, no word of our own either (`let, and, answer = …`). Where a statement begins, it
    does not begin with `for` or `while`: a model that wants a loop, and may write that much, writes `forline in lines` and
    `whilelines and …`."""
    barred = _OTHERS | _OWN if where == "_name" else _OTHERS
    begins = "answer" in name.barred  # a keyword only there
    return barred | {"for*", "while*", "from"} if begins else barred


def _spine(
    rules: Rules,
    start: Nonterminal,
    tag: str,
    instead: Mapping[str, Callable[[Rules, Nonterminal], Nonterminal]] = MappingProxyType({}),
    without: Sequence[str] = _CALLS,
) -> Nonterminal:
    """A copy of an expression that does not begin with one of `without`; `instead` makes what is put for others that it begins with."""
    new = (*start, tag)
    if new in rules:
        return new
    rules[new] = ()
    bodies: list[Body] = []
    for body in rules[start]:
        first = body[0] if body else None
        if not isinstance(first, tuple):
            bodies.append(body)
        elif change := instead.get(str(first[0])):
            bodies.append((change(rules, first), *body[1:]))
        elif first[0] not in without:
            bodies.append((_spine(rules, first, tag, instead, without), *body[1:]))
    rules[new] = tuple(bodies)
    return new


def _bare_call_datum(rules: Rules, here: Nonterminal) -> None:
    """`on call …`; and in `on {a: call …}`, where the record names the data, `on {...r}`."""
    if here[0] == "on":
        rules[here] = tuple((*body[:-1], _spine(rules, _nonterminal(body[-1]), "datum", {"record": _named_data})) for body in rules[here])
    elif str(here[0]).startswith("__many_call_plus"):
        rules[here] = tuple((*body[:-1], _spine(rules, _nonterminal(body[-1]), "one of many")) for body in rules[here])
    elif here[0] in ("many_call", "many_solve"):
        bodies = []
        for body in rules[here]:
            at = next(i for i, s in enumerate(body) if isinstance(s, Terminal) and s.text == "on") + 2
            bodies.append((*body[:at], _spine(rules, _nonterminal(body[at]), "one of many"), *body[at + 1 :]))
        rules[here] = tuple(bodies)


def _named_data(rules: Rules, record: Nonterminal) -> Nonterminal:
    """A copy of a record without spreads, whose values are data."""
    return _fields(rules, record, "data", values=True)


def _fields(rules: Rules, here: Nonterminal, tag: str, *, values: bool) -> Nonterminal:
    new = (*here, tag)
    if new in rules:
        return new
    rules[new] = ()
    bodies: list[Body] = []
    for body in rules[here]:
        if any(isinstance(s, tuple) and s[0] == "spread" for s in body):
            continue
        if here[0] == "pair":
            body = (*body[:-1], _spine(rules, _nonterminal(body[-1]), "one of many"))
        kept = ("_item", "pair") if values else ("_item",)
        inside = [s for s in body if isinstance(s, tuple) and (s[0] in kept or str(s[0]).startswith("__record_star"))]
        copies = {s: _fields(rules, s, tag, values=values) for s in inside}
        bodies.append(tuple(copies.get(s, s) if isinstance(s, tuple) else s for s in body))
    rules[new] = tuple(bodies)
    return new


def _bad_option(rules: Rules, here: Nonterminal) -> None:
    """`with {...r}`"""
    if here[0] == "with":
        rules[here] = tuple((*body[:-1], _fields(rules, _nonterminal(body[-1]), "options", values=False)) for body in rules[here])


def _bad_number(rules: Rules, here: Nonterminal) -> None:
    """`1.x`: an integer is an operand of its own, which only brackets may follow."""
    if here[0] == "_operand":
        rules[here] = (*rules[here], (_INTEGER,))
    elif here[0] in ("index", "slice"):
        rules[here] = (*rules[here], *((_INTEGER, *body[1:]) for body in rules[here]))
    elif here[0] == "number":
        rules[here], rules[_INTEGER] = (
            tuple(b for b in rules[here] if (_terminal(b[0]).name == "INT") == integer) for integer in (False, True)
        )


_INTEGER: Nonterminal = ("number", "integer")


def _bad_union(rules: Rules, here: Nonterminal) -> None:
    """`text | int`: only words are alternatives of one another, or of `none`."""
    if here[0] != "union":
        return
    [(first, rest)] = rules[here]
    separators = [body[:-1] for body in rules[_nonterminal(rest)] if isinstance(body[0], Terminal)]
    kinds = _alternatives(rules, _nonterminal(first))
    between, words, nones, other = (("union", kind) for kind in ("|", "words", "nones", "one other"))
    rules[between] = tuple(separators)
    word, none, rest = ((("union", kind, "alone"),) for kind in ("word", "none", "rest"))
    for kind, bodies in kinds.items():
        rules["union", kind, "alone"] = bodies
    more_word, more_none, more_rest = (between, *word), (between, *none), (between, *rest)
    rules[nones] = (none, (nones, *more_none))
    rules[words] = (word, (nones, *more_word), (words, *more_word), (words, *more_none))
    rules[other] = ((*rest, *more_none), (nones, *more_rest), (other, *more_none))
    rules[here] = ((words, *more_word), (words, *more_none), (nones, *more_word), (other,))


def _alternatives(rules: Rules, postfix: Nonterminal) -> dict[str, tuple[Body, ...]]:
    """What an alternative can be, sorted: a word, none, or the rest."""
    [atom] = [_nonterminal(body[0]) for body in rules[postfix] if _name(body[0]) == "_type_atom"]
    [(name,)] = [rules[_nonterminal(body[0])][0] for body in rules[atom] if _name(body[0]) == "named_type"]
    assert isinstance(name, Terminal)
    words = tuple(body for body in rules[atom] if _name(body[0]) == "literal_type")
    others = tuple(body for body in rules[atom] if _name(body[0]) not in ("literal_type", "named_type"))
    optional = tuple(body for body in rules[postfix] if _name(body[0]) == "optional")
    named: Body = (evolve(name, barred=name.barred | set(_NONE)),)
    return {"word": words, "none": ((evolve(name, only=_NONE),),), "rest": (*others, *optional, named)}


def _twice_optional(rules: Rules, here: Nonterminal) -> None:
    """`T??`: the lexer sees one operator."""
    if here[0] == "optional":
        [(of, mark)] = rules[here]
        rules[here] = tuple((*body, mark) for body in rules[_nonterminal(of)] if _name(body[0]) == "_type_atom")


def _unknown_type(rules: Rules, here: Nonterminal) -> None:
    """`set[text]`"""
    if here[0] == "generic_type":
        kinds = [_OF_TWO if any(isinstance(s, Terminal) and s.name == "_COMMA" for s in body) else _GENERIC for body in rules[here]]
        rules[here] = tuple((evolve(_terminal(body[0]), only=only), *body[1:]) for body, only in zip(rules[here], kinds, strict=True))


def _bad_form(rules: Rules, here: Nonterminal) -> None:
    """`map(xs)`: the forms as functions and methods, with other arguments than theirs."""
    if here[0] == "apply":
        bodies: list[Body] = []
        for body in rules[here]:
            name = _nonterminal(body[0])
            [plain] = [b for b in rules[name] if isinstance(b[0], Terminal)]
            [words] = [rules[_nonterminal(b[0])] for b in rules[name] if not isinstance(b[0], Terminal)]
            for (word,) in (plain, *words):
                called = (*name, "called", word)
                rules[called] = ((word,),)
                bodies += _form_calls(rules, [called], body[1:], _terminal(word).text, place=0)
        rules[here] = tuple(bodies)
    elif here[0] == "key_called":
        rules[here] = tuple((_barring(rules, _nonterminal(body[0]), _FORMS, "no form"), *body[1:]) for body in rules[here])
    elif here[0] in ("method", "key_method"):
        bodies = []
        for body in rules[here]:
            name_ = _terminal(body[2])
            bodies.append((*body[:2], evolve(name_, barred=name_.barred | _FORMS), *body[3:]))
            for form in sorted(_FORMS):
                bodies += _form_calls(rules, [*body[:2], evolve(name_, only=(form,))], body[3:], form, place=1)
        rules[here] = tuple(bodies)


def _barring(rules: Rules, names: Nonterminal, words: frozenset[str], tag: str) -> Nonterminal:
    """A copy of `a.b.c` in which no name is one of `words`."""
    new = (*names, tag)
    if new not in rules:
        rules[new] = ()
        rules[new] = tuple(
            tuple(
                _barring(rules, s, words, tag) if isinstance(s, tuple) else evolve(s, barred=s.barred | words) if s.name == "NAME" else s
                for s in body
            )
            for body in rules[names]
        )
    return new


def _form_calls(rules: Rules, head: list[Symbol], tail: Body, form: str, place: int) -> list[Body]:
    """`head` with `(…)`: any arguments where `form` is none of the forms, else those that it takes."""
    if form not in _FORMS:
        return [(*head, *tail)]
    at = next((i for i, s in enumerate(tail) if _name(s) == "args"), None)
    if at is None:
        return []
    key = ("args", form, place)
    rules.setdefault(key, tuple(_form_args(rules, _nonterminal(tail[at]), form, place)))
    return [(*head, *tail[:at], key, *tail[at + 1 :])]


def _form_args(rules: Rules, args: Nonterminal, form: str, place: int) -> list[Body]:
    """The arguments of a form: a function and values in any order, or the name of a function where it stands first. A method's first value
    is what it is a method of."""
    arg = next(_nonterminal(s) for body in rules[args] for s in body if _name(s) == "_arg")
    kinds = {_name(body[0]): _nonterminal(body[0]) for body in rules[arg]}
    value: Nonterminal = ("value", form)
    rules[value] = ((kinds["_expr"],), (kinds["generator"],))
    function = kinds["lambda"] if form in ("map", "filter") else _of_two(rules, kinds["lambda"])
    name = kinds["_expr"]
    while _name(name) not in ("name_ref",):
        name = next(_nonterminal(b[0]) for b in rules[name] if len(b) == 1 and str(_name(b[0])).startswith(("_", "name_ref")))
    comma = Terminal("_COMMA")
    counts = {"map": (1,), "filter": (1,), "reduce": (1, 2), "fold": (2,)}[form]
    bodies: list[Body] = []
    for count in counts:
        values = [value] * (count - place)
        orders = [[*values[:at], function, *values[at:]] for at in range(len(values) + 1)]
        for order in [*orders, [name, *values]]:
            body: list[Symbol] = [order[0]]
            for more in order[1:]:
                body += [comma, more]
            bodies += [tuple(body), (*body, comma)]
    return bodies


def _of_two(rules: Rules, function: Nonterminal) -> Nonterminal:
    """A copy of a lambda with exactly two parameters."""
    new = (*function, "of two")
    if new not in rules:
        bodies: list[Body] = []
        for body in rules[function]:
            at = next((i for i, s in enumerate(body) if _name(s) in ("names", "names_two")), None)
            if at is not None:
                bodies += [(*body[:at], *pair, *body[at + 1 :]) for pair in _pairs(rules, _nonterminal(body[at]))]
        rules[new] = tuple(bodies)
    return new


def _pairs(rules: Rules, names: Nonterminal) -> list[Body]:
    return [
        (body[0], *more)
        for body in rules[names]
        if len(body) == 2
        for more in rules[_nonterminal(body[1])]
        if isinstance(more[0], Terminal)
    ]


def _nameless(rules: Rules, here: Nonterminal) -> None:
    """`{xs[0]}`: of the fields that are named by a key, the key is a name."""
    if here[0] == "named":
        for body in rules[here]:
            if (by := _nonterminal(body[0]))[0] == "key_index":
                named = (*by, "named")
                rules[named] = tuple((*key[:-2], Terminal("NAME_STRING"), key[-1]) for key in rules[by])
                rules[here] = tuple((named,) if other == body else other for other in rules[here])


def _long_quotes(rules: Rules, here: Nonterminal) -> None:
    """Quotes within triple-quoted f-strings stand before something else, or they would be the closing ones."""
    if here[0] in ("_part_aaa", "_part_bbb"):
        [quotes] = [body for body in rules[here] if isinstance(body[0], Terminal) and body[0].name.startswith("QUOTES_")]
        others = [body for body in rules[here] if body != quotes]
        rules[here] = (*others, *((*quotes, *body) for body in others))


def _name(symbol: Symbol) -> object:
    return symbol[0] if isinstance(symbol, tuple) else None


def _nonterminal(symbol: Symbol) -> Nonterminal:
    assert isinstance(symbol, tuple)
    return symbol


def _terminal(symbol: Symbol) -> Terminal:
    assert isinstance(symbol, Terminal)
    return symbol
