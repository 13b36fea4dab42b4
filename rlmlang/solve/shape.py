"""How a program writes that its answer has a type, where the values of the two differ: an int for a float, fields in another order or more
than were asked for. A solve makes its answer so (`values.conform`); the program that is kept has to say it.
"""

from __future__ import annotations

from itertools import count
from typing import Final

from rlmlang.check.unify import item_of
from rlmlang.syntax.strings import is_name
from rlmlang.types import FLOAT, INT, NONE, DictOf, ListOf, Optional, RecordOf, Tuple, Type

_ITEM: Final = "item"


def shaped(name: str, given: Type, wanted: Type) -> str | None:
    """The expression that makes the variable `name`, of type `given`, a value of type `wanted` that it fits; None where it is one as it
    stands, or where its type does not tell (`json`)."""
    return _shaped(name, given, wanted, frozenset((name,)))


def _shaped(value: str, given: Type, wanted: Type, taken: frozenset[str]) -> str | None:
    match given, wanted:
        case Optional(item=item), Optional(item=asked):
            inner = _shaped(value, item, asked, taken)
            return None if inner is None else f"({inner} if {value} != none else none)"
        case _, Optional(item=asked):
            return None if given is NONE else _shaped(value, given, asked, taken)
        case RecordOf(fields=have), RecordOf(fields=asked_fields):
            return _record(value, have, asked_fields, taken)
        case RecordOf(fields=have), DictOf(value=asked) if all(is_name(name) for name, _ in have):
            return _record(value, have, tuple([(name, asked) for name, _ in have]), taken)
        case DictOf(value=has), RecordOf(fields=asked_fields) if all(is_name(name) for name, _ in asked_fields):
            found = {name: f'{value}.get("{name}")' if isinstance(t, Optional) else f'{value}["{name}"]' for name, t in asked_fields}
            return "{" + ", ".join(f"{name}: {_shaped(found[name], has, t, taken) or found[name]}" for name, t in asked_fields) + "}"
        case DictOf(value=has), DictOf(value=asked):
            key, own = _new("key", taken), _new(_ITEM, taken)
            inner = _shaped(own, has, asked, taken | {key, own})
            return None if inner is None else f"{{{key}: {inner} for {key}, {own} in {value}.items()}}"
        case ((ListOf() | Tuple()), (ListOf() | Tuple())):
            own = _new(_ITEM, taken)
            inner = _shaped(own, item_of(given), item_of(wanted), taken | {own})
            return None if inner is None else f"[{inner} for {own} in {value}]"
    return f"float({value})" if wanted == FLOAT and given in (INT, FLOAT) else None


def _new(name: str, taken: frozenset[str]) -> str:
    return next(other for at in count(1) if (other := name if at == 1 else f"{name}{at}") not in taken)


def _record(value: str, have: tuple[tuple[str, Type], ...], asked: tuple[tuple[str, Type], ...], taken: frozenset[str]) -> str | None:
    types = dict(have)
    fields = {name: _shaped(f"{value}.{name}", types[name], type_, taken) if name in types else "none" for name, type_ in asked}
    if list(types) == list(fields) and not any(fields.values()):
        return None
    return "{" + ", ".join(f"{name}: {written or f'{value}.{name}'}" for name, written in fields.items()) + "}"
