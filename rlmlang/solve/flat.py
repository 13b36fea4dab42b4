"""The parser's grammar as plain rules that a constrained decoder can follow without our lexer.

Made from the parser's own tables, in steps that are each a function from rules to rules:

    annotated    our lexer knows which words are keywords where it stands; a decoder does not, so each rule is taken apart by the parser's
                 state, and each NAME says which words it may not be there
    restricted   what `parse` refuses once the tree is built (`on call "b"`, `text | int`) has no derivation (`restrict`)
    ended        there is at least one statement, the last line needs no newline, and nothing comes after an answer
    spaced       blanks belong to tokens; a keyword has some on both sides, so that no two words run into one another

A nonterminal is a tuple that begins with its name in the grammar. After each step those that derive the same are made one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from attrs import evolve, frozen
from lark import Lark
from lark.lexer import PatternStr

Nonterminal = tuple[object, ...]


@frozen(cache_hash=True)
class Terminal:
    """A terminal of the grammar where it stands. `text`: what it is, where that is one text. `barred`: words that it may not be (`for*`:
    all that begin so); `only`: those it must be one of (empty: any). `before`: the blanks before it that belong to it."""

    name: str
    text: str = ""
    barred: frozenset[str] = frozenset()
    only: tuple[str, ...] = ()
    before: Literal["", "any", "some"] = "any"

    @property
    def keyword(self) -> bool:
        return self.text.isalpha()


Symbol = Terminal | Nonterminal
Body = tuple[Symbol, ...]
Rules = dict[Nonterminal, tuple[Body, ...]]
END = Terminal("END")
SPACE = Terminal("SPACE", before="")


@frozen
class Flat:
    """Rules, and where they start."""

    start: Nonterminal
    rules: Rules


def annotated(parser: Lark) -> Flat:
    """The rules of `parser`, taken apart by its states."""
    table = parser.parse_interactive("").parser_state.parse_conf.parse_table
    patterns = {terminal.name: terminal.pattern for terminal in parser.terminals}
    texts = {name: p.value for name, p in patterns.items() if isinstance(p, PatternStr)}
    words = {name: text for name, text in texts.items() if text.isalpha()}
    blank = {n for n, p in patterns.items() if n not in parser.lexer_conf.ignore and re.match(p.to_regexp(), " x")}  # inside a text
    by_name: defaultdict[object, list[list[str]]] = defaultdict(list)
    for rule in parser.rules:
        by_name[rule.origin.name].append([symbol.name for symbol in rule.expansion])
    at_brace: set[int] = set()  # states right after the `{` of an interpolation, where another one would have made it `{{`
    rules: Rules = {}
    start: Nonterminal = ("program", table.start_states["program"])
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here in rules:
            continue
        bodies = []
        for expansion in by_name[here[0]]:
            state, body = here[1], list[Symbol]()
            for name in expansion:
                row = table.states[state]
                if name not in patterns:
                    body.append((name, state))
                    waiting.append((name, state))
                else:
                    barred = _barred({words[n] for n in row if n in words}) if name == "NAME" else frozenset()
                    before: Literal["", "any", "some"] = "any"
                    if blank & row.keys():
                        before = ""
                    elif name == "LBRACE" and state in at_brace:
                        before = "some"
                    body.append(Terminal(name, texts.get(name, ""), barred, before=before))
                    if name == "LBRACE" and "BRACES" in row:
                        at_brace.add(row[name][1])
                state = row[name][1]
            bodies.append(tuple(body))
        rules[here] = tuple(bodies)
    return merged(Flat(start, rules))


_IN_VALUES = frozenset({"lambda", "not"})


def _barred(words: set[str]) -> frozenset[str]:
    """The words that a name may not be, for those that the parser would take as keywords there. What begins a value somewhere is barred
    from all values, where the parser is laxer: that saves two copies of all expressions."""
    return frozenset(words | _IN_VALUES if "true" in words else words)


def merged(flat: Flat) -> Flat:
    """The same language with equal nonterminals made one, and without those that nothing needs."""
    rules = useful(flat)
    numbers: dict[Symbol, int] = {nonterminal: at for at, nonterminal in enumerate(rules)}
    coded = [[[numbers.setdefault(s, len(numbers)) for s in body] for body in bodies] for bodies in rules.values()]
    names: dict[object, int] = {}
    own = [names.setdefault(nonterminal[0], len(names)) for nonterminal in rules]
    terminals = range(-1, len(rules) - len(numbers) - 1, -1)  # each a group of its own
    group, count = own, 0
    while count < len(set(group)):
        count = len(set(group))
        of = [*group, *terminals].__getitem__
        seen: dict[object, int] = {}
        group = [
            seen.setdefault((before, frozenset([tuple(map(of, body)) for body in bodies])), len(seen))
            for before, bodies in zip(group, coded, strict=True)
        ]
    new: dict[Nonterminal, Nonterminal] = {n: (n[0], at) for n, at in zip(rules, group, strict=True)}
    result: Rules = {}
    for n, bodies in rules.items():
        if new[n] not in result:
            result[new[n]] = tuple(dict.fromkeys(tuple(new[s] if isinstance(s, tuple) else s for s in body) for body in bodies))
    return Flat(new[flat.start], result)


def useful(flat: Flat) -> Rules:
    """The rules that derive something and are reached from the start, in the order in which they are met."""
    deriving: set[Nonterminal] = set()
    grown = True
    while grown:
        grown = False
        for n, bodies in flat.rules.items():
            if n not in deriving and any(all(not isinstance(s, tuple) or s in deriving for s in body) for body in bodies):
                deriving.add(n)
                grown = True
    kept: Rules = {}
    waiting = [flat.start]
    while waiting:
        n = waiting.pop()
        if n not in kept:
            kept[n] = tuple(b for b in flat.rules[n] if all(not isinstance(s, tuple) or s in deriving for s in b))
            waiting += [s for body in reversed(kept[n]) for s in reversed(body) if isinstance(s, tuple)]
    return kept


_LAST_ONLY = ("answer", "shown")


def ended(flat: Flat) -> Flat:
    """`program: _NL? (_statement _NL)*` as at least one statement, of which only the last is an answer or a bare expression, and the last
    newline left out or grown to END. So a program ends, and decoding with it, where its answer does."""
    rules = dict(flat.rules)
    [more] = {body[-1] for body in rules[flat.start] if body and isinstance(body[-1], tuple)}
    [statement] = {s for body in rules[_nonterminal(more)] for s in body if isinstance(s, tuple) and s != more}
    newline, rest, earlier, last = Terminal("_NL"), ("statements",), (*statement, "earlier"), (*statement, "last")
    is_last = {body: isinstance(body[0], tuple) and body[0][0] in _LAST_ONLY for body in rules[statement]}
    rules[earlier] = tuple(body for body in rules[statement] if not is_last[body])
    rules[last] = tuple(body for body in rules[statement] if is_last[body])
    rules[rest] = ((earlier,), (earlier, END), (earlier, newline, rest), (last,), (last, END))
    rules[flat.start] = ((newline, rest), (rest,))
    return merged(Flat(flat.start, rules))


def _nonterminal(symbol: Symbol) -> Nonterminal:
    assert isinstance(symbol, tuple)
    return symbol


_INLINED = ("compare_op", "on", "with", "for_clause", "if_clause")  # so that each keyword stands beside what is before and after it


def spaced(flat: Flat) -> Flat:
    """With blanks about keywords, and between any two words."""
    flat = merged(Flat(flat.start, {n: tuple(_inlined(flat.rules, bodies)) for n, bodies in flat.rules.items()}))
    behind = _behind_values(flat)
    rules = {n: tuple(_apart(body, n in behind) for body in bodies) for n, bodies in flat.rules.items()}
    for gap in {s for bodies in rules.values() for body in bodies for s in body if isinstance(s, tuple) and s[0] == "gap"}:
        keyword = gap[1]
        assert isinstance(keyword, Terminal)
        rules[gap] = ((keyword, SPACE), (keyword, Terminal("_NL")))
    return merged(Flat(flat.start, rules))


def _inlined(rules: Rules, bodies: tuple[Body, ...]) -> Iterator[Body]:
    for body in bodies:
        made: list[Body] = [()]
        for symbol in body:
            inner = rules[symbol] if isinstance(symbol, tuple) and symbol[0] in _INLINED else ((symbol,),)
            made = [(*one, *more) for one in made for more in inner]
        yield from made


def _behind_values(flat: Flat) -> set[Nonterminal]:
    """Those that always follow a value, with no newline between."""
    behind = set(flat.rules) - {flat.start}
    shrunk = True
    while shrunk:
        shrunk = False
        for n, bodies in flat.rules.items():
            for body in bodies:
                for at, symbol in enumerate(body):
                    if symbol not in behind or not isinstance(symbol, tuple):
                        continue
                    left = body[at - 1] if at else None
                    if (left is None and n not in behind) or isinstance(left, Terminal) or (left is not None and left[0] == "_nl"):
                        behind.discard(symbol)
                        shrunk = True
    return behind


def _apart(body: Body, behind: bool) -> Body:
    """`body` with its blanks; `("gap", KEYWORD)` stands for a keyword and what must be between it and the next."""
    made: list[Symbol] = []
    for at, symbol in enumerate(body):
        left = body[at - 1] if at else None
        if isinstance(left, Terminal) and left.keyword and isinstance(symbol, tuple):
            if symbol[0] == "_nl":
                made[-1] = ("gap", made[-1])
                continue
            made.append(SPACE)
        elif isinstance(symbol, Terminal) and symbol.name != "_NL":
            follows_word = isinstance(left, Terminal) and (left.keyword or (left.name in ("NAME", "INT") and symbol.name == "NAME"))
            follows_value = symbol.keyword and (behind if left is None else not _is(left, "_NL"))
            if follows_word or follows_value or symbol.text == "??":  # after the type of a call it would else be two question marks
                symbol = evolve(symbol, before="some")
        made.append(symbol)
    return tuple(made)


def _is(symbol: Symbol | None, name: str) -> bool:
    return isinstance(symbol, Terminal) and symbol.name == name


def right_recursive(flat: Flat) -> Flat:
    """The same language with no rule that begins with itself: what follows the first part of a loop is a rule of its own."""
    rules: Rules = {}
    for n, bodies in flat.rules.items():
        loop = {n} & set(_left_reach(flat, n))
        while loop and (
            turns := [b for b in bodies if len(b) == 1 and b[0] != n and isinstance(b[0], tuple) and n in _left_reach(flat, b[0])]
        ):
            bodies = tuple(more for body in bodies for more in (flat.rules[_nonterminal(body[0])] if body in turns else (body,)))
        again = [body for body in bodies if body and body[0] == n]
        if again:
            after = ("after", n)
            rules[after] = ((), *((*body[1:], after) for body in again))
            bodies = tuple((*body, after) for body in bodies if body not in again)
        rules[n] = bodies
    return merged(Flat(flat.start, rules))


def _left_reach(flat: Flat, start: Nonterminal) -> dict[Nonterminal, None]:
    """What a text of `start` may begin with, `start` itself only if it can; in the order in which they are met."""
    found: dict[Nonterminal, None] = {}
    waiting = [start]
    while waiting:
        for body in flat.rules[waiting.pop()]:
            if body and isinstance(body[0], tuple) and body[0] not in found:
                found[body[0]] = None
                waiting.append(body[0])
    return found


def factored(flat: Flat) -> Flat:
    """The same language with alternatives that begin alike as one, up to where they part: llama.cpp follows each on its own, and of nested
    ones all combinations. Wants rules that do not begin with themselves."""
    rules = {n: tuple(body for body in bodies if n[0] != "_atom" or _begins(body) != "group_name") for n, bodies in flat.rules.items()}
    for n in rules:
        while alike := _alike(rules, n):
            bodies = (more for body in rules[n] for more in (rules[_nonterminal(body[0])] if body in alike else (body,)))
            rules[n] = tuple(dict.fromkeys(bodies))
    return merged(Flat(flat.start, rules))


def _begins(body: Body) -> object:
    return body[0][0] if body and isinstance(body[0], tuple) else None


def _alike(rules: Rules, n: Nonterminal) -> set[Body]:
    """Those bodies of `n` that are one nonterminal, and begin as another body does, or as another such nonterminal does."""
    units: list[Body] = [body for body in rules[n] if len(body) == 1 and isinstance(body[0], tuple)]
    inside = {unit: {body[0] for body in rules[_nonterminal(unit[0])] if body} for unit in units}
    return {
        body
        for body, firsts in inside.items()
        if any(other != body and other and (other[0] in firsts or firsts & inside.get(other, set())) for other in rules[n])
    }


def shallow(flat: Flat, name: str, most: int) -> Flat:
    """Less: a rule called `name` that ends with itself does so `most` times at most, one within the other."""
    rules = dict(flat.rules)
    for n, bodies in flat.rules.items():
        if n[0] == name and any(body[-1:] == (n,) for body in bodies):
            levels = [n, *((*n, "within", level) for level in range(1, most + 1))]
            for here, within in pairwise(levels):
                rules[here] = tuple((*body[:-1], within) if body[-1:] == (n,) else body for body in bodies)
            rules[levels[-1]] = tuple(body for body in bodies if body[-1:] != (n,))
    return Flat(flat.start, rules)
