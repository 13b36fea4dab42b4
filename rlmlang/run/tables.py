"""Rows from files that a user gives: CSV and JSON lines, read by the type that the program declares.

They raise Mismatch with the row and column, or line, where something does not fit.
"""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from rlmlang.limits import CSV_CELL_CHARS, INT_BITS, JSON_ITEMS
from rlmlang.types import BOOL, FLOAT, INT, JSON, NONE, TEXT, UNKNOWN, Enum, ListOf, Optional, RecordOf, Type
from rlmlang.values import Mismatch, conform, parse_json_text, parse_short_json, quote

Cell = Callable[[str], Any]
Rows = TypeVar("Rows", bound=Sequence[Any])

_INT: Final = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_STRINGS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_FEW_BRACKETS: Final = 20  # of a line: not worth telling those in texts from those of JSON
_DIGITS: Final = INT_BITS // 3  # more cannot be INT_BITS bits
_CSV_LOCK: Final = threading.Lock()  # the csv module has one cell limit for everybody
TABLES: Final = {".csv": ",", ".tsv": "\t"}  # by the ending of a file's name: what stands between cells


def read_scalar(text: str, type: Type) -> Any:
    """A value of a type with no parts, as a person writes it: `3`, `0.5`, `true`, a word of an enum. Raises Mismatch."""
    if isinstance(type, Optional):
        return None if text.strip() in ("", "none", "None", "null") else read_scalar(text, type.item)
    if type == TEXT:
        return conform(text, type, "text")
    if isinstance(type, Enum):
        word = text if text in type.words else text.strip()
        if word in type.words:
            return word
    bare = text.strip()
    if type == BOOL and bare in _BOOLS:
        return _BOOLS[bare]
    if type == INT and len(bare) <= _DIGITS and _INT.fullmatch(bare):
        return conform(int(bare), type, "number")
    if type == FLOAT and len(bare) <= _DIGITS and _FLOAT.fullmatch(bare):
        return conform(float(bare), type, "number")
    if type == NONE and bare in ("none", "None", "null"):
        return None
    raise Mismatch(f"expected {type}, got {quote(text)}")


def has_parts(type: Type) -> bool:
    """Whether a value of the type is written as JSON, not as a bare word."""
    return has_parts(type.item) if isinstance(type, Optional) else not isinstance(type, Enum) and type not in (TEXT, INT, FLOAT, BOOL, NONE)


def read_csv(text: str, type: ListOf, delimiter: str = ",") -> list[Any]:
    """The rows below the header, each a record of the list's item type (or its one cell, if the item is no record).

    Columns that the type does not ask for are left out; an empty cell is none where the type is optional. Rows count from 1, the header's.
    """
    check_no_zero(text, 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    header = next_rows(reader, 1, 0, 0)
    if not header:
        raise Mismatch("there is no header row")
    make = row_reader(header[0], type)
    cells = next_rows(reader, JSON_ITEMS + 1, 1, 0)
    if len(cells) > JSON_ITEMS and sum(map(bool, cells)) > JSON_ITEMS:
        raise Mismatch(f"a table may have at most {JSON_ITEMS:,} rows")
    return at_most([make(row, number) for number, row in enumerate(cells, start=2) if row], type)


def check_no_zero(text: str, number: int) -> None:
    """Raises Mismatch where a text that begins with the line `number` is no CSV text."""
    if "\0" in text:
        raise Mismatch(f"line {number + text.count(chr(10), 0, text.index(chr(0)))} has a zero byte: this is no CSV text")


def next_rows(reader: Any, most: int, before: int, lines_before: int) -> list[list[str]]:
    """The next rows of a `csv.reader`, `most` at most; a blank line is a row without cells. `before` and `lines_before`: how many rows and
    lines stand before those of the reader, and before these rows. Raises Mismatch."""
    rows: list[list[str]] = []
    with _CSV_LOCK:
        limit = csv.field_size_limit(CSV_CELL_CHARS)
        try:
            rows.extend(islice(reader, most))
        except csv.Error as error:
            reason = f"a cell has more than {CSV_CELL_CHARS:,} characters" if "field limit" in str(error) else str(error)
            raise Mismatch(f"row {before + len(rows) + 1} (line {lines_before + reader.line_num}): {reason}") from None
        finally:
            csv.field_size_limit(limit)
    return rows


def row_reader(header: list[str], type: ListOf) -> Callable[[list[str], int], Any]:
    """What makes a row's cells, of which there are some, a value of the list's item type; the number of the row is for messages."""
    names = [cell.strip() for cell in header]
    make, width = _row_maker(names, type), len(names)

    def row(cells: list[str], number: int) -> Any:
        if len(cells) != width:
            raise Mismatch(f"row {number} has {len(cells)} cells, but the header has {width}")
        return make(cells, number)

    return row


def _row_maker(header: list[str], type: ListOf) -> Callable[[list[str], int], Any]:
    """What makes a row's cells a value of the list's item type."""
    repeated = next((name for i, name in enumerate(header) if name and name in header[:i]), None)
    if repeated is not None:
        raise Mismatch(f"the column {quote(repeated)} occurs twice")
    item = type.item
    if item in (JSON, UNKNOWN):
        item = RecordOf(tuple((name, TEXT) for name in header if name))
    if not isinstance(item, RecordOf):
        if len(header) != 1 or has_parts(item):
            raise Mismatch(f"the rows of a table are records, such as {{{header[0] if header else 'name'}: text}}, not {item}")
        only = _cell_reader(item)
        return lambda cells, number: _cell(cells[0], only, number, header[0])
    missing = [name for name, t in item.fields if name not in header and not isinstance(t, Optional)]
    if missing:
        raise Mismatch(f"there is no column {', '.join(map(quote, missing))}; the columns are {', '.join(map(quote, header))}")
    columns = [(name, header.index(name) if name in header else None, _cell_reader(t)) for name, t in item.fields]

    def record(cells: list[str], number: int) -> dict[str, Any]:
        return {name: None if at is None else _cell(cells[at], read, number, name) for name, at, read in columns}

    return record


def _cell(text: str, read: Cell, number: int, column: str) -> Any:
    try:
        return read(text)
    except Mismatch as mismatch:
        raise Mismatch(f"row {number}, column {quote(column)}: {mismatch.message}") from None


def _cell_reader(type: Type) -> Cell:
    if type == TEXT:
        return str
    if not has_parts(type):
        return lambda text: read_scalar(text, type)
    if isinstance(type, Optional):
        inner = _cell_reader(type.item)
        return lambda text: None if not text.strip() else inner(text)
    if type in (JSON, UNKNOWN):
        return str
    return lambda text: conform(parse_json_text(text), type)


def read_json_lines(text: str, type: Type) -> list[Any]:
    """One JSON value a line; blank lines are left out."""
    item = type.item if isinstance(type, ListOf) else JSON
    read = line_reader(item)
    values: list[Any] = []
    containers = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        brackets = line.count("[") + line.count("{")
        if brackets > _FEW_BRACKETS:
            bare = _STRINGS.sub("", line)
            brackets = bare.count("[") + bare.count("{")
        containers += brackets
        try:
            if containers > JSON_ITEMS or len(values) == JSON_ITEMS:
                raise Mismatch(f"the file holds more than {JSON_ITEMS:,} lists and records")
            values.append(read(line))
        except Mismatch as mismatch:
            raise Mismatch(f"line {number}: {mismatch.message}") from None
    return at_most(values, type)


def line_reader(item: Type) -> Callable[[str], Any]:
    """What makes the JSON text in a line of a file a value of type `item`: `parse_json_text`, then `conform`, in half the time for short
    lines with the fields that are asked for, which most are."""
    quick = _quick(item)

    def read(line: str) -> Any:
        known, value = parse_short_json(line)
        if not known:
            return conform(parse_json_text(line), item)
        made = quick(value)
        return conform(value, item) if made is _UNLIKE else made

    return read


_UNLIKE: Final = object()
_PLAIN: Final[dict[Type, type]] = {TEXT: str, INT: int, FLOAT: float, BOOL: bool, NONE: type(None)}


def _quick(wanted: Type) -> Callable[[Any], Any]:
    """What makes a value that was read from a short JSON text one of the type, or `_UNLIKE` where it takes a closer look."""
    match wanted:
        case Optional(item):
            inner = _quick(item)
            return lambda value: None if value is None else inner(value)
        case Enum(words):
            return lambda value: value if type(value) is str and value in words else _UNLIKE
        case RecordOf(fields) if all(field in _PLAIN for _, field in fields):
            return _quick_record([(name, _PLAIN[field]) for name, field in fields])
        case RecordOf(fields):
            return _quick_fields([(name, _quick(field), isinstance(field, Optional)) for name, field in fields])
        case ListOf(item, None):
            each = _quick(item)

            def items(value: Any) -> Any:
                if type(value) is not list:
                    return _UNLIKE
                made = [each(one) for one in value]
                return _UNLIKE if any(one is _UNLIKE for one in made) else made

            return items
    if wanted in _PLAIN:
        kind = _PLAIN[wanted]
        return lambda value: value if type(value) is kind else _UNLIKE
    return (lambda value: value) if wanted in (JSON, UNKNOWN) else (lambda value: _UNLIKE)


def _quick_record(fields: Sequence[tuple[str, type]]) -> Callable[[Any], Any]:
    def record(value: Any) -> Any:
        if type(value) is not dict:
            return _UNLIKE
        made = {}
        try:
            for name, kind in fields:
                field = made[name] = value[name]
                if type(field) is not kind:
                    return _UNLIKE
        except KeyError:
            return _UNLIKE
        return made

    return record


def _quick_fields(fields: Sequence[tuple[str, Callable[[Any], Any], bool]]) -> Callable[[Any], Any]:
    def record(value: Any) -> Any:
        if type(value) is not dict:
            return _UNLIKE
        made = {}
        for name, read, optional in fields:
            if name in value:
                made[name] = read(value[name])
                if made[name] is _UNLIKE:
                    return _UNLIKE
            elif optional:
                made[name] = None
            else:
                return _UNLIKE
        return made

    return record


def at_most(rows: Rows, type: Type) -> Rows:
    """`rows`, if a list of that type may have so many. Raises Mismatch."""
    if isinstance(type, ListOf) and type.most is not None and len(rows) > type.most:
        raise Mismatch(f"expected at most {type.most} items, got {len(rows)}")
    return rows
