"""The type of data that comes without one: JSON, JSON lines, the cells of a table.

What the types of the language cannot say is `json` at the place where it occurs, and only there: a list of mixed items, a field that is
a number here and a text there, a field of which only null is known, an empty list's items. An object with data for names is a dict: one
of more names than a record may have, or of names of which most are no identifiers, with values of one type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, field

from rlmlang.limits import NAME_CHARS, TYPE_DEPTH, TYPE_FIELDS, TYPE_PARTS
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, JSON, TEXT, DictOf, ListOf, RecordOf, Type, optional
from rlmlang.values import type_name

_WORDS: Final = {"text": TEXT, "int": INT, "float": FLOAT, "bool": BOOL, "file": FILE, "dir": DIR}
_INT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")  # no 007 and no 20-digit number: these are names, and would lose their zeros
_FLOAT: Final = re.compile(r"-?(?:(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?|\.[0-9]{1,30})")
_FEWEST_KEYS: Final = 3  # of an object with few names, they are fields whatever they look like
_BOOLS: Final = frozenset(("true", "True", "TRUE", "false", "False", "FALSE"))


def type_of(value: Any) -> Type:
    """The type that a value has, with records of a list joined field by field: a field that some lack, or that is null, is optional."""
    shape = _Shape()
    shape.add(value, _Room())
    for depth in range(TYPE_DEPTH, 0, -1):
        found = shape.type(depth)
        if _parts(found) <= TYPE_PARTS:
            return found
    return JSON


@define
class _Room:
    """How many more shapes may be made: data that names its fields at will must not cost more memory than itself."""

    left: int = 10 * TYPE_PARTS


@define
class _Shape:
    """What has been seen at one place of the data."""

    scalars: set[str] = field(factory=set)
    null: bool = False
    loose: bool = False  # nothing more can be said than `json`
    records: int = 0
    fields: dict[str, _Shape] = field(factory=dict)
    seen: dict[str, int] = field(factory=dict)  # how many of the records have each field
    values: _Shape | None = None  # of all fields together, where there are too many of them
    items: _Shape | None = None

    def add(self, value: Any, room: _Room) -> None:
        if self.loose:
            return
        if value is None:
            self.null = True
        elif isinstance(value, dict):
            self._add_record(value, room)
        elif isinstance(value, (list, range, tuple)):
            self.items = self.items or self._new(room)
            for item in value[:1] if isinstance(value, range) else value:
                self.items.add(item, room)
        else:
            self.scalars.add(type_name(value))

    def _add_record(self, record: dict[str, Any], room: _Room) -> None:
        self.records += 1
        for name, value in record.items():
            if not isinstance(name, str):
                self.loose, self.fields, self.seen, self.values = True, {}, {}, None
                return
            if self.values is not None:
                self.values.add(value, room)
                continue
            below = self.fields.get(name)
            if below is None:
                if len(self.fields) == TYPE_FIELDS or len(name) > NAME_CHARS:
                    self.values = self._together()
                    self.fields, self.seen = {}, {}
                    self.values.add(value, room)
                    continue
                below = self.fields[name] = self._new(room)
                self.seen[name] = 0
            self.seen[name] += 1
            below.add(value, room)

    def _new(self, room: _Room) -> _Shape:
        room.left -= 1
        return _Shape(loose=room.left < 0)

    def type(self, depth: int) -> Type:
        """The type of all that was seen, with what is nested deeper than `depth` left open."""
        kinds = len(self.scalars) + bool(self.records) + (self.items is not None)
        if self.scalars == {"int", "float"}:
            kinds -= 1
        if self.loose or depth == 0 or kinds != 1:
            return JSON
        if self.records:
            found: Type = self._dict(depth) or RecordOf(tuple([(name, self._field(name, depth - 1)) for name in self.fields]))
        elif self.items is not None:
            found = ListOf(self.items.type(depth - 1))
        else:
            found = FLOAT if "float" in self.scalars else _WORDS.get(next(iter(self.scalars)), JSON)
        return optional(found) if self.null else found

    def _dict(self, depth: int) -> DictOf | None:
        """The type of a dict, where the names are data."""
        if self.values is not None:
            return DictOf(self.values.type(depth - 1))
        odd = sum(not (name.isascii() and name.isidentifier()) for name in self.fields)
        vary = self.records == 1 or any(2 * seen < self.records for seen in self.seen.values())
        if len(self.fields) < _FEWEST_KEYS or 2 * odd <= len(self.fields) or not vary:
            return None
        value = self._together().type(depth - 1)
        return None if value is JSON else DictOf(value)

    def _together(self) -> _Shape:
        """What has been seen in all fields."""
        whole = _Shape()
        for below in self.fields.values():
            whole._merge(below)
        return whole

    def _merge(self, other: _Shape) -> None:
        self.scalars |= other.scalars
        self.null, self.loose = self.null or other.null, self.loose or other.loose
        self.records += other.records
        if other.values is not None:
            self.values = self.values or self._together()
            self.values._merge(other.values)
        for name, below in other.fields.items():
            if self.values is not None:
                self.values._merge(below)
                continue
            self.fields.setdefault(name, _Shape())._merge(below)
            self.seen[name] = self.seen.get(name, 0) + other.seen[name]
        if len(self.fields) > TYPE_FIELDS or self.values is not None:
            self.values, self.fields, self.seen = self.values or self._together(), {}, {}
        if other.items is not None:
            self.items = self.items or _Shape()
            self.items._merge(other.items)

    def _field(self, name: str, depth: int) -> Type:
        found = self.fields[name].type(depth)
        return optional(found) if self.seen[name] < self.records else found


def _parts(type: Type) -> int:
    if isinstance(type, RecordOf):
        return 1 + sum(_parts(t) for _, t in type.fields)
    if isinstance(type, DictOf):
        return 1 + _parts(type.value)
    return 1 + _parts(type.item) if isinstance(type, ListOf) else 1 if not hasattr(type, "item") else _parts(type.item)


def row_type(rows: Iterable[Mapping[str, str]], names: Iterable[str]) -> RecordOf:
    """The type of a table's rows, each column typed by all of its cells: int, float or bool where every cell is one, and optional where
    some are empty; text else, whose empty cells are empty texts."""
    columns = {name: _Column() for name in names}
    for row in rows:
        for name, column in columns.items():
            column.add(row[name])
    return RecordOf(tuple([(name, column.type()) for name, column in columns.items()]))


@define
class _Column:
    could_be: list[Type] = field(factory=lambda: [INT, FLOAT, BOOL])
    empty: bool = False
    filled: bool = False

    def add(self, cell: str) -> None:
        if not self.could_be:
            return
        bare = cell.strip()
        if not bare:
            self.empty = True
            return
        self.filled = True
        self.could_be = [t for t in self.could_be if _reads_as(bare, t)]

    def type(self) -> Type:
        if not self.could_be or not self.filled:
            return TEXT
        return optional(self.could_be[0]) if self.empty else self.could_be[0]


def _reads_as(bare: str, type: Type) -> bool:
    if type is BOOL:
        return bare in _BOOLS
    return (_INT if type is INT else _FLOAT).fullmatch(bare) is not None
