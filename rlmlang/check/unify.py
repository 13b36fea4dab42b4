"""How types relate: what fits where, the least type that holds two, and the variables of a built-in's signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rlmlang import limits
from rlmlang.types import (
    BOOL,
    DIR,
    FILE,
    FLOAT,
    INT,
    JSON,
    NEVER,
    NONE,
    TEXT,
    UNKNOWN,
    DictOf,
    Enum,
    FunctionOf,
    ListOf,
    Optional,
    RecordOf,
    Tuple,
    Type,
    Var,
    optional,
)

Bindings = dict[str, Type]


FILE_FIELDS: Final[Mapping[str, Type]] = {"path": TEXT, "name": TEXT, "size": INT, "text": TEXT}


def has_field(type: Type, name: str) -> bool:
    """Whether a record or file of this type has the field."""
    return (isinstance(type, RecordOf) and type.get(name) is not None) or (type is FILE and name in FILE_FIELDS)


def fits(given: Type, wanted: Type) -> bool:
    """Whether a value of type `given` may stand where `wanted` is wanted: equal, or widened (int to float, an enum to text, T to T?)."""
    if given is wanted or given in (UNKNOWN, NEVER) or wanted is UNKNOWN:
        return True
    if wanted is JSON:
        return is_data(given)
    if isinstance(wanted, Optional):
        if isinstance(given, Optional):
            return fits(given.item, wanted.item)
        return given is NONE or fits(given, wanted.item)
    if isinstance(wanted, ListOf):
        if isinstance(given, ListOf):
            return fits(given.item, wanted.item)
        return isinstance(given, Tuple) and all(fits(t, wanted.item) for t in given.items)
    if isinstance(wanted, Tuple):
        same = isinstance(given, Tuple) and len(given.items) == len(wanted.items)
        return same and all(fits(g, w) for g, w in zip(given.items, wanted.items, strict=True))  # type: ignore[union-attr]
    if isinstance(wanted, RecordOf):
        if not isinstance(given, RecordOf):
            return False
        have = dict(given.fields)
        return all(fits(have[n], t) if n in have else isinstance(t, Optional) for n, t in wanted.fields)
    if isinstance(wanted, DictOf):
        return isinstance(given, DictOf) and fits(given.value, wanted.value)
    if isinstance(given, Enum):
        return wanted is TEXT or (isinstance(wanted, Enum) and set(given.words) <= set(wanted.words))
    return given == wanted or (wanted is FLOAT and given is INT)


def hull(a: Type, b: Type) -> Type | None:
    """The least type that both fit, None where there is none. Records are joined field by field: what only one has may be missing."""
    if a is b or b in (UNKNOWN, NEVER):
        return a
    if a in (UNKNOWN, NEVER):
        return b
    if a is JSON or b is JSON:
        return JSON if is_data(a) and is_data(b) else None
    if a is NONE:
        return optional(b)
    if b is NONE:
        return optional(a)
    if isinstance(a, Optional) or isinstance(b, Optional):
        inner = hull(a.item if isinstance(a, Optional) else a, b.item if isinstance(b, Optional) else b)
        return None if inner is None else optional(inner)
    if isinstance(a, Enum) and isinstance(b, Enum):
        return Enum((*a.words, *(w for w in b.words if w not in a.words)))
    if isinstance(a, RecordOf) and isinstance(b, RecordOf):
        return _hull_of_records(a, b)
    if isinstance(a, DictOf) and isinstance(b, DictOf):
        value = hull(a.value, b.value)
        return None if value is None else DictOf(value)
    if isinstance(a, Tuple) and isinstance(b, Tuple) and len(a.items) == len(b.items):
        items = [hull(x, y) for x, y in zip(a.items, b.items, strict=True)]
        return None if None in items else Tuple(tuple(i for i in items if i is not None))
    if isinstance(a, (ListOf, Tuple)) and isinstance(b, (ListOf, Tuple)):
        item = hull(item_of(a), item_of(b))
        most = max(a.most, b.most) if isinstance(a, ListOf) and isinstance(b, ListOf) and a.most and b.most else None
        return None if item is None else ListOf(item, most)
    return b if fits(a, b) else a if fits(b, a) else None


def _hull_of_records(a: RecordOf, b: RecordOf) -> Type | None:
    left, right = dict(a.fields), dict(b.fields)
    fields: list[tuple[str, Type]] = []
    for name in {**left, **right}:
        if name in left and name in right:
            joined = hull(left[name], right[name])
            if joined is None:
                return None
        else:
            joined = optional(left.get(name) or right[name])
        fields.append((name, joined))
    return RecordOf(tuple(fields))


def hull_of_items(types: Iterable[Type]) -> Type:
    """The item type of a list of such items: `json` where they have nothing in common."""
    joined: Type = NEVER
    for t in types:
        both = hull(joined, t)
        if both is None:
            return JSON
        joined = both
    return joined


def item_of(t: ListOf | Tuple) -> Type:
    return t.item if isinstance(t, ListOf) else hull_of_items(t.items)


def may_equal(a: Type, b: Type) -> bool:
    """Whether a value of one type can ever equal one of the other. `1 == 1.0` can, `1 == true` cannot."""
    if a is b or a in (UNKNOWN, NEVER, JSON) or b in (UNKNOWN, NEVER, JSON):
        return True
    if isinstance(a, Optional) or isinstance(b, Optional):
        if NONE in (a, b) or (isinstance(a, Optional) and isinstance(b, Optional)):
            return True
        return may_equal(a.item if isinstance(a, Optional) else a, b.item if isinstance(b, Optional) else b)
    if isinstance(a, Enum) and isinstance(b, Enum):
        return bool(set(a.words) & set(b.words))
    if isinstance(a, Tuple) and isinstance(b, Tuple):
        return len(a.items) == len(b.items) and all(may_equal(x, y) for x, y in zip(a.items, b.items, strict=True))
    if isinstance(a, (ListOf, Tuple)) and isinstance(b, (ListOf, Tuple)):
        return may_equal(item_of(a), item_of(b))
    if isinstance(a, RecordOf) and isinstance(b, RecordOf):
        left, right = dict(a.fields), dict(b.fields)
        return all(may_equal(left.get(n, NONE), right.get(n, NONE)) for n in {**left, **right})
    if isinstance(a, DictOf) and isinstance(b, DictOf):
        return may_equal(a.value, b.value)
    if isinstance(a, (DictOf, RecordOf)) and isinstance(b, (DictOf, RecordOf)):
        one, record = (a, b) if isinstance(a, DictOf) else (b, a)
        return all(may_equal(one.value, t) for _, t in record.fields)  # type: ignore[union-attr]
    return fits(a, b) or fits(b, a)


def orderable(t: Type) -> bool:
    """Numbers, texts, truth values, and lists of these."""
    if isinstance(t, Tuple):
        return all(orderable(i) for i in t.items)
    if isinstance(t, ListOf):
        return orderable(t.item)
    return isinstance(t, Enum) or t in (TEXT, INT, FLOAT, BOOL, UNKNOWN, NEVER)


def is_data(t: Type, *, files: bool = False) -> bool:
    """Whether a value of this type can be written as JSON: no function within, and no file or directory unless `files` may be."""
    if isinstance(t, (ListOf, Optional)):
        return is_data(t.item, files=files)
    if isinstance(t, Tuple):
        return all(is_data(i, files=files) for i in t.items)
    if isinstance(t, RecordOf):
        return all(is_data(f, files=files) for _, f in t.fields)
    if isinstance(t, DictOf):
        return is_data(t.value, files=files)
    return not isinstance(t, FunctionOf) and (files or t not in (FILE, DIR))


def match(wanted: Type, given: Type, bound: Bindings) -> bool:
    """Whether `given` fits `wanted`, whose variables are bound in `bound` (widened where one stands for several types)."""
    if isinstance(wanted, Var):
        joined = hull(bound.get(wanted.name, NEVER), given)
        if joined is None or isinstance(given, FunctionOf):
            return False
        bound[wanted.name] = UNKNOWN if given is UNKNOWN else joined
        return True
    if isinstance(wanted, FunctionOf):
        return given is UNKNOWN
    if given in (UNKNOWN, NEVER):
        return True
    if isinstance(wanted, Optional):
        if isinstance(given, Optional):
            return match(wanted.item, given.item, bound)
        return given is NONE or match(wanted.item, given, bound)
    if isinstance(wanted, ListOf) and isinstance(given, (ListOf, Tuple)):
        return match(wanted.item, item_of(given), bound)
    if isinstance(wanted, Tuple) and isinstance(given, Tuple):
        same = len(wanted.items) == len(given.items)
        return same and all(match(w, g, bound) for w, g in zip(wanted.items, given.items, strict=True))
    if isinstance(wanted, RecordOf) and isinstance(given, RecordOf):
        have = dict(given.fields)
        return all(match(t, have[n], bound) if n in have else isinstance(t, Optional) for n, t in wanted.fields)
    if isinstance(wanted, DictOf) and isinstance(given, DictOf):
        return match(wanted.value, given.value, bound)
    return fits(given, wanted)


def substitute(t: Type, bound: Mapping[str, Type]) -> Type:
    """`t` with its variables replaced; one that nothing bound is unknown."""
    if isinstance(t, Var):
        return bound.get(t.name, UNKNOWN)
    if isinstance(t, ListOf):
        return ListOf(substitute(t.item, bound), t.most)
    if isinstance(t, Optional):
        return optional(substitute(t.item, bound))
    if isinstance(t, Tuple):
        return Tuple(tuple([substitute(i, bound) for i in t.items]))
    if isinstance(t, RecordOf):
        return RecordOf(tuple([(n, substitute(f, bound)) for n, f in t.fields]))
    if isinstance(t, DictOf):
        return DictOf(substitute(t.value, bound))
    if isinstance(t, FunctionOf):
        return FunctionOf(tuple([substitute(p, bound) for p in t.params]), substitute(t.result, bound))
    return t


class Measure:
    """Depth and number of parts of types, each type object measured once.

    A type may share parts, so that it is far larger than it looks.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, Type]] = {}  # the type is kept, so that its id stays its own

    def too_large(self, t: Type) -> bool:
        """Whether messages, comparisons and schemas of this type would be out of hand."""
        depth, size = self._of(t)
        return depth > limits.TYPE_NESTING or size > limits.TYPE_PARTS

    def _of(self, t: Type) -> tuple[int, int]:
        if not isinstance(t, (ListOf, Tuple, RecordOf, DictOf, Optional)):
            return 1, 1
        known = self._known.get(id(t))
        if known is None:
            match t:
                case RecordOf(fields):
                    parts = [f for _, f in fields]
                case Tuple(items):
                    parts = list(items)
                case ListOf(item) | Optional(item) | DictOf(item):
                    parts = [item]
            below = [self._of(p) for p in parts]
            depth, size = 1 + max((d for d, _ in below), default=0), 1 + sum(s for _, s in below)
            known = self._known[id(t)] = (depth, size, t)
        return known[0], known[1]
