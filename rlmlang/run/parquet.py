"""Parquet files as lists that are not held, by pyarrow, which the extra `parquet` installs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from itertools import accumulate
from typing import Any

from rlmlang.errors import Failure, UsageError
from rlmlang.files import FileValue, check_unchanged
from rlmlang.limits import LIST_ITEMS
from rlmlang.run.tables import at_most
from rlmlang.streamed import Streamed
from rlmlang.types import JSON, UNKNOWN, ListOf, Optional, RecordOf
from rlmlang.values import Mismatch, conform, quote

_ROWS = 1_024  # rows that are decoded at once


class ParquetRows(Streamed):
    """The rows of a Parquet file: records of the columns that the item type asks for. A part is a row group."""

    def __init__(self, file: FileValue, type: ListOf) -> None:
        super().__init__()
        self.file = file
        self._item = type.item
        with self._opened() as table:
            groups = [table.metadata.row_group(at) for at in range(table.metadata.num_row_groups)]
            self.weight = sum(group.total_byte_size for group in groups)
            self.parts = [0, *accumulate(group.num_rows for group in groups)]
            self._columns, self._only = self._chosen(table.schema_arrow.names)
        if len(self) > LIST_ITEMS:
            raise Mismatch(f"a file may have at most {LIST_ITEMS:,} rows")
        at_most(self, type)

    def _chosen(self, names: list[str]) -> tuple[list[str], str | None]:
        """The columns to read; and the only one, where items are no records. Raises Mismatch."""
        item = self._item
        if item in (JSON, UNKNOWN):
            return names, None
        if not isinstance(item, RecordOf):
            if len(names) != 1:
                raise Mismatch(f"the rows of a table are records, not {item}")
            return names, names[0]
        missing = [name for name, wanted in item.fields if name not in names and not isinstance(wanted, Optional)]
        if missing:
            raise Mismatch(f"there is no column {', '.join(map(quote, missing))}; the columns are {', '.join(map(quote, names))}")
        return [name for name, _ in item.fields if name in names], None

    def read(self, part: int) -> Iterator[list[Any]]:
        if part >= len(self.parts) - 1:
            return
        number = self.parts[part]
        try:
            with self._opened() as table:
                for batch in table.iter_batches(_ROWS, row_groups=range(part, len(self.parts) - 1), columns=self._columns):
                    rows = batch.to_pylist()
                    if not self._columns:
                        rows = [{} for _ in range(batch.num_rows)]
                    yield [self._row(row, number + at) for at, row in enumerate(rows, start=1)]
                    number += len(rows)
        except Mismatch as mismatch:
            raise UsageError(f"{self.file.path}: {mismatch.message}") from None
        except Failure as failure:
            raise UsageError(failure.message) from None

    def _row(self, row: dict[str, Any], number: int) -> Any:
        value: Any = row if self._only is None else row[self._only]
        try:
            return conform(_plain(value), self._item, "row")
        except Mismatch as mismatch:
            raise Mismatch(f"row {number}: {mismatch.message.removeprefix('row: ').removeprefix('row')}") from None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file, as it was when it was bound. Raises Mismatch, Failure, UsageError."""
        parquet_file, wrong = _pyarrow()
        opened = self.file.opened()
        try:
            with os.fdopen(opened, "rb", closefd=False) as stream:
                yield parquet_file(stream)
            check_unchanged(opened, self.file)
        except wrong as error:
            raise Mismatch(f"not valid Parquet: {str(error).splitlines()[0][:200]}") from None
        except OSError as error:
            raise Failure(f"cannot read {self.file.path}: {(error.strerror or 'it is damaged').lower()}") from None
        finally:
            os.close(opened)

    def identity(self) -> str:
        return f"{self.file.path} {self.file.size} {self.file.mtime}"


def _pyarrow() -> tuple[Callable[[Any], Any], Any]:
    """What opens a file, and the class of what it raises. Raises UsageError where pyarrow is not installed."""
    try:
        wrong = import_module("pyarrow").ArrowException
        return import_module("pyarrow.parquet").ParquetFile, wrong
    except ImportError:
        raise UsageError("a Parquet file is read by pyarrow, which is not installed", hint="pip install 'rlmlang[parquet]'") from None


def _plain(value: Any) -> Any:
    """A value of a column as the language has it: moments as ISO 8601 text, decimals as numbers."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
