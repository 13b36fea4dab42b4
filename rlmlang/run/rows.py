"""Large files of rows as lists that are not held: JSON lines, CSV and TSV, Parquet.

One pass when the input is bound finds where the parts of the file begin and how many rows each has. Rows are decoded, and checked against
the type that the program declares, whenever they are read. What is wrong with a row, or a file that is another one since, is a UsageError:
the input is not what it was said to be, and no `otherwise` makes up for that.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from rlmlang.errors import Failure, UsageError
from rlmlang.files import FileValue, check_unchanged
from rlmlang.limits import LINE_BYTES, LIST_ITEMS
from rlmlang.run.tables import TABLES, at_most, check_no_zero, line_reader, next_rows, row_reader
from rlmlang.streamed import Streamed
from rlmlang.types import ListOf
from rlmlang.values import Mismatch

LINES: Final = (".jsonl", ".ndjson")
PARQUET: Final = ".parquet"
_BLOCK = 1 << 17  # bytes that are read at once
_ROWS = 1_024  # rows of a table that are read at once


def stream_rows(file: FileValue, ending: str, type: ListOf) -> Streamed:
    """The rows of a file, by the ending of its name. Raises Mismatch, Failure, UsageError."""
    rows: _Rows
    if ending == PARQUET:
        from rlmlang.run.parquet import ParquetRows

        return ParquetRows(file, type)
    rows = _LineRows(file, type) if ending in LINES else _TableRows(file, type, TABLES[ending])
    return rows


class _Rows(Streamed):
    """The rows of a text file. Parts begin where `_places` says: the offset of a block in the file, the number of its first line, how many
    of its lines come before, and how many rows of the file."""

    def __init__(self, file: FileValue, type: ListOf) -> None:
        super().__init__()
        self.file = file
        self.weight = file.size
        self._places = array("q")
        self.parts = array("q")
        count = 0
        for place, rows in self._scan(type):
            if rows:
                self._places.extend(place)
                self.parts.append(count)
                count += rows
            if count > LIST_ITEMS:
                raise Mismatch(f"a file may have at most {LIST_ITEMS:,} rows")
        self.parts.append(count)
        at_most(self, type)

    def _scan(self, type: ListOf) -> Iterator[tuple[tuple[int, int, int, int], int]]:
        """Each part of the file, and how many rows it has. Raises Mismatch, Failure."""
        raise NotImplementedError

    def _decoded(self, place: tuple[int, int, int, int]) -> Iterator[list[Any]]:
        """The rows from a place on. Raises Mismatch, Failure."""
        raise NotImplementedError

    def read(self, part: int) -> Iterator[list[Any]]:
        if part >= len(self.parts) - 1:
            return
        offset, number, line, row = self._places[4 * part : 4 * part + 4]
        try:
            yield from self._decoded((offset, number, line, row))
        except Mismatch as mismatch:
            name = "standard input" if self.file.path == "-" else self.file.path
            raise UsageError(f"{name}: {mismatch.message}") from None
        except Failure as failure:
            raise UsageError(failure.message) from None

    def identity(self) -> str:
        return f"{self.file.path} {self.file.size} {self.file.mtime}"


class _LineRows(_Rows):
    """One JSON value a line; blank lines are left out."""

    def __init__(self, file: FileValue, type: ListOf) -> None:
        self._read = line_reader(type.item)
        super().__init__(file, type)

    def _scan(self, type: ListOf) -> Iterator[tuple[tuple[int, int, int, int], int]]:
        for block in _blocks(self.file, 0, 1):
            yield (block.offset, block.number, 0, 0), sum(map(bool, map(str.strip, block.lines)))

    def _decoded(self, place: tuple[int, int, int, int]) -> Iterator[list[Any]]:
        offset, number, _, _ = place
        read = self._read
        for block in _blocks(self.file, offset, number):
            lines = block.lines
            try:
                rows = [read(line) for line in lines if line and not line.isspace()]
            except Mismatch:
                raise _wrong_line(block, read) from None
            yield rows


def _wrong_line(block: _Block, read: Callable[[str], Any]) -> Mismatch:
    """What is wrong with the first line of a block that is wrong."""
    for number, line in enumerate(block.lines, start=block.number):
        try:
            if line.strip():
                read(line)
        except Mismatch as mismatch:
            return Mismatch(f"line {number}: {mismatch.message}")
    raise AssertionError("no line is wrong")


class _TableRows(_Rows):
    """CSV or TSV: the rows below the header. A row may have several lines."""

    def __init__(self, file: FileValue, type: ListOf, delimiter: str) -> None:
        self._delimiter = delimiter
        self._make: Callable[[list[str], int], Any] | None = None
        super().__init__(file, type)
        if self._make is None:
            raise Mismatch("there is no header row")

    def _scan(self, type: ListOf) -> Iterator[tuple[tuple[int, int, int, int], int]]:
        for place, rows in self._cells((0, 1, 0, 0)):
            if self._make is None:
                self._make = row_reader(rows[0], type)
            yield place, sum(map(bool, rows)) - (place[3] == 0)

    def _decoded(self, place: tuple[int, int, int, int]) -> Iterator[list[Any]]:
        make = self._make
        assert make is not None
        for (_, _, _, before), rows in self._cells(place):
            skip = before == 0  # the header
            yield [make(cells, number) for number, cells in enumerate(rows[skip:], start=before + 1 + skip) if cells]

    def _cells(self, place: tuple[int, int, int, int]) -> Iterator[tuple[tuple[int, int, int, int], list[list[str]]]]:
        """Rows of cells from a place on, some at a time, each time with the place where they begin."""
        offset, number, line, row = place
        block, taken = _Block(offset, number, []), line

        def lines() -> Iterator[str]:
            nonlocal block, taken
            skip = line
            for block in _blocks(self.file, offset, number):
                text = block.lines[skip:] if skip else block.lines
                check_no_zero("\n".join(text), block.number + skip)
                taken, skip = min(skip, len(block.lines)), max(0, skip - len(block.lines))  # blocks end elsewhere than they did
                for one in text:
                    taken += 1
                    yield one + "\n"

        reader = csv.reader(lines(), strict=True, delimiter=self._delimiter)
        while rows := next_rows(reader, _ROWS, row, number + line - 1):
            yield place, rows
            row += len(rows)
            place = (block.offset, block.number, taken, row)


@frozen
class _Block:
    """Some lines of a file, without their ends: those from byte `offset` on, the first of which is line `number`."""

    offset: int
    number: int
    lines: list[str]


def _blocks(file: FileValue, offset: int, number: int) -> Iterator[_Block]:
    """The lines of a file from a byte on, which is line `number`, as `FileValue.text` has them: without byte-order mark, ended by LF, CR LF
    or CR. Raises Failure, Mismatch."""
    opened = file.opened()
    try:
        at = os.lseek(opened, offset, os.SEEK_SET)
        rest: list[bytes] = []
        while at <= file.size:
            data = os.read(opened, min(_BLOCK, file.size - at + 1))  # one more, to notice growth
            at += len(data)
            end = _cut(data)
            if data and not end:
                rest.append(data)
                if at - offset > LINE_BYTES:
                    raise Mismatch(f"line {number} has more than {LINE_BYTES:,} bytes")
                continue
            whole = b"".join((*rest, data[:end]))
            if whole:
                lines = _lines(whole, offset, file)
                yield _Block(offset, number, lines)
                offset += len(whole)
                number += len(lines)
            rest = [data[end:]] if data else []
            if not data:
                break
        if at != file.size:
            raise Failure(f"{file.path} changed while the program ran")
        check_unchanged(opened, file)
    except OSError as error:
        raise Failure(f"cannot read {file.path}: {(error.strerror or 'unknown error').lower()}") from None
    finally:
        os.close(opened)


def _cut(data: bytes) -> int:
    """Where the last line that ends in these bytes ends; 0 where none does for sure."""
    return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, len(data) - 1) + 1


def _lines(data: bytes, offset: int, file: FileValue) -> list[str]:
    try:
        text = data.decode("utf-8" if offset else "utf-8-sig")
    except UnicodeDecodeError as error:
        what = "is not text: it holds a zero byte" if b"\0" in data[:8192] else "is not UTF-8 text"
        raise Failure(f"{file.path} {what} (byte {offset + error.start:,})") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
