"""Types as written in a program -> types."""

from __future__ import annotations

from typing import Final

from rlmlang import limits
from rlmlang.check.checker import Checker
from rlmlang.check.report import listing, similar
from rlmlang.check.unify import is_data
from rlmlang.syntax.nodes import DictType, EnumType, ListType, NamedType, OptionalType, RecordType, TypeExpr
from rlmlang.types import (
    BOOL,
    DIR,
    FILE,
    FLOAT,
    INT,
    JSON,
    NONE,
    TEXT,
    UNKNOWN,
    DictOf,
    Enum,
    ListOf,
    Optional,
    RecordOf,
    Tuple,
    Type,
    optional,
)

BUILT_IN: Final[dict[str, Type]] = {
    "text": TEXT,
    "str": TEXT,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "none": NONE,
    "None": NONE,
    "file": FILE,
    "dir": DIR,
    "json": JSON,
}
_ELSEWHERE: Final[dict[str, str]] = {
    "string": "text",
    "String": "text",
    "number": "float",
    "double": "float",
    "decimal": "float",
    "integer": "int",
    "boolean": "bool",
    "Boolean": "bool",
    **dict.fromkeys(("true", "false", "True", "False"), "bool"),
    "null": "none",
    "void": "none",
    "list": "a list of texts is [text]",
    "List": "a list of texts is [text]",
    "array": "a list of texts is [text]",
    "tuple": "a list is [text], a record {a: text, b: int}",
    "dict": "a dict is dict[text, int], a record {name: text, age: int}",
    "Dict": "a dict is dict[text, int], a record {name: text, age: int}",
    "object": "a record is {name: text, age: int}",
    "any": "json",
    "Any": "json",
    "enum": 'one of some words is "yes" | "no"',
    "path": "file",
    "Path": "file",
    "folder": "dir",
    "directory": "dir",
}


def read_type(c: Checker, node: TypeExpr, depth: int = 1) -> Type:
    """The type that `node` writes; what is wrong with it is reported, and gives `unknown`."""
    if depth > limits.TYPE_DEPTH:
        c.error("limit", node.span, f"types are nested at most {limits.TYPE_DEPTH} deep")
        return UNKNOWN
    if isinstance(node, NamedType):
        return _named(c, node)
    if isinstance(node, ListType):
        item = read_type(c, node.item, depth + 1)
        if node.most is not None and node.most < 1:
            c.error("type", node.span, "a list type allows at least one item", "write [text; 10]")
        return ListOf(item, node.most)
    if isinstance(node, OptionalType):
        return optional(read_type(c, node.item, depth + 1))
    if isinstance(node, EnumType):
        return _enum(c, node)
    if isinstance(node, DictType):
        key = read_type(c, node.key, depth + 1)
        if key not in (TEXT, UNKNOWN):
            c.error(
                "type", node.key.span, f"a dict's keys are texts, not {key}", "write dict[text, …], and str(x) for a key that is a number"
            )
        return DictOf(read_type(c, node.value, depth + 1))
    return _record(c, node, depth)


def _named(c: Checker, node: NamedType) -> Type:
    found = c.types.get(node.name) or BUILT_IN.get(node.name)
    if found is not None:
        return found
    if c.incomplete:
        return UNKNOWN
    if node.name == c.declaring:
        c.error(
            "recursive-type", node.span, f"the type {node.name} cannot contain itself: no schema could say it", "name the levels one by one"
        )
        return UNKNOWN
    hint = _ELSEWHERE.get(node.name)
    fix = guess = None
    if hint is not None:
        fix = hint if hint in BUILT_IN else None
        hint = f"write {hint}" if fix else hint
    elif node.name in c.later_types:
        line = c.later_types[node.name].line
        c.error("used-before", node.span, f"the type {node.name} is declared below, in line {line}", "move its declaration up")
        return UNKNOWN
    else:
        known = [*c.types, *BUILT_IN]
        close = guess = similar(node.name, known)
        names = [t for t in known if t not in ("str", "None", "json")]
        hint = f"did you mean {close}?" if close else f'types are {listing(names, 20)}, [T], {{a: T}}, T?, "a" | "b"'
    c.error("unknown-type", node.span, f"there is no type {node.name}", hint, fix, guess)
    return UNKNOWN


def _enum(c: Checker, node: EnumType) -> Type:
    if len(node.words) > limits.TYPE_FIELDS:
        c.error("limit", node.span, f"an enum has at most {limits.TYPE_FIELDS} words")
        return UNKNOWN
    twice = next((w for at, w in enumerate(node.words) if w in node.words[:at]), None)
    if twice is not None:
        c.error("duplicate-word", node.span, f'the word "{twice}" is there twice')
    return Enum(tuple(dict.fromkeys(node.words)))


def _record(c: Checker, node: RecordType, depth: int) -> Type:
    if len(node.fields) > limits.TYPE_FIELDS:
        c.error("limit", node.span, f"a record has at most {limits.TYPE_FIELDS} fields")
        return UNKNOWN
    fields: dict[str, Type] = {}
    for name, type_ in node.fields:
        fields[name] = read_type(c, type_, depth + 1)
    return RecordOf(tuple(fields.items()))


def read_reply_type(c: Checker, node: TypeExpr, *, schema: bool = True) -> Type:
    """The type that a call asks for: what a model can write as JSON and (with `schema`) a schema can say; a program can answer more."""
    found = read_type(c, node)
    if not is_data(found):
        c.error("reply-type", node.span, f"a model cannot reply with {found}", "ask for a text, or a record of texts and numbers")
        return UNKNOWN
    depth, parts, loose = _extent(found)
    if schema and (held := _dict_in(found)) is not None:
        hint = f"ask for pairs: -> [{{key: text, value: {held.value}}}], then {{p.key: p.value for p in …}}"
        c.error("reply-type", node.span, "no schema can say a dict, whose names are not known before", hint)
        return UNKNOWN
    if loose:
        c.error("reply-type", node.span, "a reply's type says what is in it; json does not", "write the fields: {name: text, age: int}")
        return UNKNOWN
    if depth > limits.TYPE_DEPTH or parts > limits.TYPE_FIELDS:
        most = f"{limits.TYPE_DEPTH} levels and {limits.TYPE_FIELDS} fields in all"
        c.error("limit", node.span, f"a reply's type has at most {most}: providers refuse larger schemas")
        return UNKNOWN
    return found


def _dict_in(t: Type) -> DictOf | None:
    """The first dict in a type."""
    match t:
        case DictOf():
            return t
        case ListOf(item) | Optional(item):
            return _dict_in(item)
        case RecordOf(fields):
            return next((found for _, f in fields if (found := _dict_in(f)) is not None), None)
    return None


def _extent(t: Type) -> tuple[int, int, bool]:
    """Depth, number of fields and words, and whether `json` occurs."""
    if isinstance(t, RecordOf):
        below = [_extent(f) for _, f in t.fields]
        return 1 + max((d for d, _, _ in below), default=0), len(below) + sum(n for _, n, _ in below), any(j for _, _, j in below)
    if isinstance(t, (ListOf, Optional, DictOf)):
        depth, parts, loose = _extent(t.value if isinstance(t, DictOf) else t.item)
        return depth + (not isinstance(t, Optional)), parts, loose
    if isinstance(t, Tuple):
        return 1, 0, True
    return 1, len(t.words) if isinstance(t, Enum) else 0, t is JSON
