"""Rows of the memo store that are read ahead.

Rows lie in the order in which calls ended, which is about the one in which a rerun asks for them. So where two looks found rows near one
another, those around the second are read at once, which takes a fifth of the time of looking each up.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from rlmlang.run.memo_file import COLUMNS, UNREADABLE

_NEAR: Final = f"SELECT key, {COLUMNS} FROM replies WHERE id BETWEEN ? AND ?"
_BEFORE: Final = 64  # rows read at a time: so many before the one found, as calls at once end in any order
_AFTER: Final = 192  # and so many after it
_BYTES: Final = 2**18  # of their values
_KEPT: Final = 1_024  # rows, the last that were read
_SHARE: Final = 4  # rows read for each that was found, at most: a rerun in another order loses little


class Ahead:
    """Rows read ahead: `COLUMNS` as they are in the file, not checked. May be used from any thread."""

    def __init__(self) -> None:
        self._rows: dict[bytes, Any] = {}
        self._last = -_AFTER  # where the last look found a row
        self.found = 0  # rows that were asked for and there
        self.read = 0

    def take(self, key: bytes) -> Any:
        """The row, which is gone from here then; None if it was not read."""
        row = self._rows.pop(key, None)
        if row is not None:
            self.found += 1
        return row

    def look(self, reader: sqlite3.Connection, at: int) -> None:
        """A row was found at `at`: reads those around it, if that is likely to be of use."""
        self.found += 1
        near, self._last = abs(at - self._last) <= _BEFORE + _AFTER, at
        if not near or self.read > _SHARE * self.found:
            return
        rows, size = self._rows, 0
        with suppress(*UNREADABLE):  # whoever asks for a damaged row will find it
            for key, *columns in reader.execute(_NEAR, (at - _BEFORE, at + _AFTER)):
                rows[key] = columns
                self.read += 1
                value = columns[1]
                size += len(value) if isinstance(value, bytes) else 0
                if size > _BYTES:
                    break
        for key in list(islice(rows, max(0, len(rows) - _KEPT))):
            rows.pop(key, None)

    def clear(self) -> None:
        self._rows.clear()
