"""What people (and models) write from habit, in Python or JavaScript, and how it is written here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rlmlang.syntax.nodes import Lambda
from rlmlang.types import DIR, FILE, FLOAT, INT, TEXT, DictOf, ListOf, Optional, RecordOf, Tuple, Type

_NAMES: Final = {
    "self": "there are no objects: give what is needed as a parameter",
    "this": "there are no objects: give what is needed as a parameter",
    "NaN": "there is no such number; write none",
    "inf": "there is no such number; write none",
    "Infinity": "there is no such number; write none",
    "math": "there are no modules: + - * / // % **, round, floor, ceil, abs are there without",
    "re": "there are no modules: matches(text, re), findall(text, re), extract(text, re)",
    "os": "a program reads only its inputs: input repo: dir",
    "sys": "a program reads only its inputs: input question: text",
    "json": "there are no modules: parse_json(text) and json(value)",
    "JSON": "write parse_json(text) and json(value)",
    "Math": "write max(a, b), min(a, b), round(x), floor(x), abs(x)",
    "np": "there are no modules: sum, mean, max, min are there without",
    "random": "there is no chance: sample(xs, n, seed) takes n items, the same ones each time",
    "requests": "a program reaches nothing but models: call … on …",
    "openai": "write call … on …",
    "llm": "write call … on …",
    "console": "the result is the answer: answer x",
    "str": "str is a function: str(x); as a function for others, it stands where a lambda may",
}

# {0} is what a method is applied to (or the first argument), {1} and {2} what follows
_FUNCTIONS: Final = {
    "print": "the result is the answer: answer {0}",
    "log": "the result is the answer: answer {0}",
    "open": "declare it, and whoever runs the program gives it: input doc: file, then doc.text",
    "read": "a file's text is {0}.text",
    "read_text": "a file's text is {0}.text",
    "read_file": "declare it, and whoever runs the program gives it: input doc: file, then doc.text",
    "input": "declare it: input question: text",
    "eval": "there is no eval: a text is never a program; solve lets a model write one",
    "exec": "there is no exec: a text is never a program; solve lets a model write one",
    "append": "lists never change: write {0} + [{1}], or [… for x in xs]",
    "push": "lists never change: write {0} + [{1}], or [… for x in xs]",
    "add": "lists never change: write {0} + [{1}]",
    "insert": "lists never change: write [{2}] + {0}",
    "extend": "lists never change: write {0} + {1}",
    "remove": "lists never change: write [x for x in {0} if x != {1}]",
    "pop": "lists never change: last({0}) is the last item, {0}[:-1] the others",
    "sort": "lists never change: write sorted({0})",
    "reverse": "lists never change: write reversed({0})",
    "update": "values never change: write {{...{0}, ...{1}}} for records, dict(items({0}) + items({1})) for dicts",
    "copy": "values never change, so none needs a copy",
    "list": "write [x for x in {0}]; keys, values and items give lists",
    "tuple": "write a list: [a, b]",
    "isinstance": "types are known before it runs: ask for the one you want, call … -> int",
    "type": "types are known before it runs: ask for the one you want, call … -> int",
    "bool": "a condition takes lists, texts and optionals as they are; compare numbers: {0} != 0",
    "hasattr": "fields are known before it runs; one that may be missing is T?, and r?.f reads it",
    "getattr": 'write r.name, or get(r, "name", default)',
    "setdefault": "values never change: write {0}.get({1}, {2})",
    "has": "write {1} in {0}",
    "includes": "write {1} in {0}",
    "has_key": "write {1} in {0}",
    "indexOf": "write find({0}, {1}) for a text, index({0}, {1}) for a list",
    "substr": "write {0}[{1}:…]",
    "slice": "write {0}[{1}:{2}]",
    "Number": "write int({0}) or float({0})",
    "parse": "write parse_json({1})",
    "loads": "write parse_json({1})",
    "dumps": "write json({1})",
    "stringify": "write json({1})",
    "forEach": "write [… for x in {0}]",
    "flatMap": "write flatten([… for x in {0}])",
    "some": "write any([… for x in {0}])",
    "every": "write all([… for x in {0}])",
    "median": "write sorted({0})[len({0}) // 2]",
    "iter": "lists are gone through as they are: [… for x in xs]",
    "next": "write first(xs)",
    "chain": "write a + b, or flatten([a, b])",
    "Counter": "write {{x: count({0}, x) for x in set({0})}}",
    "most_common": "write sorted({0}.items(), key=pair => pair[1], reverse=true), then [:n]",
    "defaultdict": "write {{k: [x for x in xs if … == k] for k in set(…)}}, or group_by(xs, key=x => …)",
    "fromkeys": "write {{k: 0 for k in {1}}}",
    "OrderedDict": "write dict({0}): its order is kept",
    "combinations": "write pairs({0})",
    "chunk": "write chunks({0}, 4000) for a text, batch({0}, 10) for a list",
    "split_text": "write chunks({0}, 4000)",
    "regex": 'write matches({0}, r"…") or findall({0}, r"…")',
    "search_re": 'write matches({0}, r"…")',
    "findAll": 'write findall({0}, r"…")',
    "sub": "write replace(text, old, new)",
    "glob": 'write {0}.files("**/*.py")',
    "listdir": 'declare the directory, input repo: dir, then repo.files("*")',
    "llm_query": "write call … on …",
    "llm": "write call … on …",
    "ask": "write call … on …",
    "prompt": "write call … on …",
    "complete": "write call … on …",
    "query": "write call … on …",
    "FINAL": "write answer {0}",
    "FINAL_VAR": "write answer {0}",
    "raise": 'write fail "…"',
    "assert": 'write if … {{ … }} else {{ fail "…" }}',
    "Exception": 'write fail "…"',
    "sleep": "nothing waits; calls are slowed down to the provider's limits by themselves",
    "random": "there is no chance: sample(xs, n, seed) takes n items",
    "shuffle": "there is no chance: sample(xs, len(xs), seed) is an order, the same each time",
    "now": "there is no clock: declare it, input today: text",
    "today": "there is no clock: declare it, input today: text",
}

_FIELDS: Final = {
    "length": "write len({0})",
    "size": "write len({0})",
    "count": "write len({0})",
    "content": "a file's text is {0}.text",
    "contents": "a file's text is {0}.text",
    "body": "a file's text is {0}.text",
    "filename": "write {0}.name",
    "file": "write {0}.path",
    "filepath": "write {0}.path",
    "stem": "write {0}.name",
    "suffix": 'write {0}.path.endswith(".py")',
    "extension": 'write {0}.path.endswith(".py")',
    "shape": "write len({0})",
    "T": "write zip(a, b)",
    "__class__": "types are known before it runs",
    "__dict__": "write items({0}) for a record's names and values",
    "__getitem__": "write x => {0}[x]",
    "__len__": "write len({0})",
}
_OF_FILES = frozenset(("content", "contents", "body", "filename", "file", "filepath", "stem", "suffix", "extension"))


# each is the same as another thing here: what a fix writes instead, by the number of arguments (that of a method is the first)
_SAME_NAMES: Final = {"null": "none", "undefined": "none", "nil": "none", "NULL": "none", "TRUE": "true", "FALSE": "false"}
_SAME_FUNCTIONS: Final = {
    ("length", 1): "len({0})",
    ("size", 1): "len({0})",
    ("splitlines", 1): "lines({0})",
    ("readlines", 1): "lines({0}.text)",
    ("read_text", 1): "{0}.text",
    ("concat", 2): "{0} + {1}",
    ("Set", 1): "unique({0})",
    ("has", 2): "({1} in {0})",
    ("includes", 2): "({1} in {0})",
    ("has_key", 2): "({1} in {0})",
    ("toLowerCase", 1): "{0}.lower()",
    ("toUpperCase", 1): "{0}.upper()",
    ("trim", 1): "{0}.strip()",
    ("lstrip", 1): "{0}.strip()",
    ("rstrip", 1): "{0}.strip()",
    ("startsWith", 2): "{0}.startswith({1})",
    ("endsWith", 2): "{0}.endswith({1})",
    ("replaceAll", 3): "{0}.replace({1}, {2})",
    ("substring", 3): "{0}[{1}:{2}]",
    ("slice", 2): "{0}[{1}:]",
    ("slice", 3): "{0}[{1}:{2}]",
    ("charAt", 2): "{0}[{1}]",
    ("toString", 1): "str({0})",
    ("String", 1): "str({0})",
    ("parseInt", 1): "int({0})",
    ("parseFloat", 1): "float({0})",
    ("capitalize", 1): "{0}.title()",
    ("avg", 1): "mean({0})",
    ("average", 1): "mean({0})",
    ("tuple", 1): "{0}",
    ("list", 1): "{0}",
    ("Counter", 1): "{{each: count({0}, each) for each in set({0})}}",
    ("most_common", 1): "sorted({0}.items(), key=pair => pair[1], reverse=true)",
    ("most_common", 2): "sorted({0}.items(), key=pair => pair[1], reverse=true)[:{1}]",
    ("OrderedDict", 1): "dict({0})",
    ("iter", 1): "{0}",
    ("copy", 1): "{0}",
    ("findAll", 2): "findall({0}, {1})",
    ("walk", 1): '{0}.files("**/*")',
    ("iterdir", 1): '{0}.files("*")',
}
_SPELLED: Final = {name: f"write {spelling}" for (name, _), spelling in _SAME_FUNCTIONS.items()}  # the hint, where none says more


def same_name(name: str) -> str | None:
    """What is the same here as a name that other languages have."""
    return _SAME_NAMES.get(name)


def same_function(name: str, args: Sequence[str], first: Type | None = None) -> str | None:
    """What is the same here as a call of a function that other languages have. `args` are the texts of its arguments, `first` is the type
    of the first."""
    if isinstance(first, DictOf) and name in ("list", "tuple", "iter"):
        return f"keys({args[0]})"
    if name == "combinations" and list(args[1:]) == ["2"]:
        return f"pairs({args[0]})"
    found = _SAME_FUNCTIONS.get((name, len(args)))
    return None if found is None else found.format(*args)


def same_field(name: str, owner: str, of: Type) -> str | None:
    """What is the same here as a property of a value of type `of` that other languages have."""
    if name in ("length", "size") and (of is TEXT or isinstance(of, (ListOf, Tuple))):
        return f"len({owner})"
    if name == "count" and isinstance(of, (ListOf, Tuple)):
        return f"len({owner})"
    if of is FILE and name in ("content", "contents", "body"):
        return f"{owner}.text"
    return None


def same_argument(function: str, given: Type, value: str) -> str | None:
    """What is the same here as an argument that Python's function of that name takes."""
    if given is TEXT and function in ("sorted", "reversed", "set", "unique"):
        return f'findall({value}, "(?s).")'
    if isinstance(given, DictOf) and function in ("sum", "mean"):
        return f"{value}.values()"
    if given is DIR and function == "len":
        return f'{value}.files("**/*")'
    return None


def new_list(method: str, name: str, args: Sequence[str]) -> str | None:
    """The list that a method of Python's would have made of the list `name`."""
    match method, len(args):
        case "sort", _:
            return f"sorted({', '.join((name, *args))})"
        case "reverse", 0:
            return f"reversed({name})"
        case "append", 1:
            return f"{name} + [{args[0]}]"
        case "extend", 1:
            return f"{name} + {args[0]}"
    return None


def name_hint(name: str) -> str | None:
    """What to write instead of a name that other languages have."""
    same = same_name(name)
    return _NAMES.get(name) if same is None else f"write {same}"


def function_hint(name: str, owner: str | None, args: list[str]) -> str | None:
    """What to write instead of a function or method that other languages have."""
    hint = _FUNCTIONS.get(name) or _SPELLED.get(name)
    if hint is None:
        return None
    parts = [*([] if owner is None else [owner]), *args]
    if name in ("parse", "loads", "dumps", "stringify") and owner is None:
        parts = ["", *parts]
    return hint.format(*parts, *["…"] * 3)


def field_hint(name: str, owner: str, of: Type) -> str | None:
    """What to write instead of a property of a value of type `of` that other languages have."""
    hint = _FIELDS.get(name)
    if hint is None or isinstance(of, RecordOf) or (name in _OF_FILES and of is not FILE):
        return None
    return hint.format(owner)


def argument_hint(function: str, keyword: str | None) -> str | None:
    """What to write instead of an argument that Python's function of the same name has."""
    if keyword == "default" and function in ("max", "min", "first", "last"):
        return f"write {function}(xs) otherwise …"
    if function == "dict" and keyword is not None:
        return "write a record: {a: 1, b: 2}"
    if keyword == "cmp":
        return "write key=x => …"
    return None


def function_given_hint(function: str, args: list[str], value: Lambda) -> str | None:
    """What to write where a built-in that takes no function is given one, as in other languages."""
    if function != "count" or len(args) != 2 or len(value.params) != 1:
        return None
    name, body = value.params[0], " ".join(value.body.span.text.split())
    return f"write len([{name} for {name} in {args[0]} if {body if len(body) <= 60 else '…'}])"


def wrong_argument_hint(function: str, given: Type, value: str) -> str | None:
    """What to write where a built-in is given something that Python's function of the same name takes."""
    if function == "len":
        if given is FILE:
            return f"write len({value}.text), or {value}.size in bytes"
        if given is DIR:
            return f'write len({value}.files("**/*"))'
    if function == "range" and isinstance(given, (ListOf, Tuple)):
        return f"write enumerate({value}), or range(len({value}))"
    if function in ("int", "float") and isinstance(given, (ListOf, Tuple)):
        return f"do it for each: [{function}(x) for x in {value}]"
    if function == "join" and given is INT:
        return f"write str({value})"
    if isinstance(given, DictOf) and function in ("sum", "mean"):
        return f"a dict is gone through by its keys: write {function}({value}.values())"
    if function in ("sum", "mean", "max", "min") and isinstance(given, ListOf) and isinstance(given.item, RecordOf):
        number = next((name for name, type_ in given.item.fields if type_ in (INT, FLOAT)), None)
        return f"name one of its fields: {function}(x.{number} for x in {value})" if number else None
    if isinstance(given, RecordOf) and function in ("int", "float", "str") and given.fields:
        return f"name one of its fields: {value}.{given.fields[0][0]}"
    if isinstance(given, Optional):
        return f"it may be none: give a default, {value} ?? …"
    return None
