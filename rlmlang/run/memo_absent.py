"""Which keys the memo store surely does not have, so that they need not be looked up.

A run of new calls finds none of its keys, and each look reads the same pages anew that other rows have just changed: of a call that is
answered at once, that was half of the cost. So once looks find nothing, the keys that are there are noted in a Bloom filter (Bloom, CACM
13(7), 1970), a few at a time, and then those that come. Keys are hashes, so parts of them serve as the filter's own.
Not done here: rows that go (they stay noted, and are looked up in vain).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Final

from rlmlang.run.memo_file import UNREADABLE

_BITS: Final = 25  # 4 MiB: of a million rows it lets one key in 200 pass that is not there
_MASK: Final = 2**_BITS - 1
_MISSES: Final = 256  # in vain, until it is worth noting what is there
_STEP: Final = 512  # rows noted at a time: half a millisecond
_SECONDS: Final = 0.02  # between two looks for rows that other processes have written
_KEYS: Final = "SELECT id, key FROM replies WHERE id > ? ORDER BY id LIMIT ?"


class Absent:
    """The filter. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forgets all: there is another file, or none of its rows is left."""
        self._bits: bytearray | None = None
        self._misses = 0
        self._last = 0  # the newest row that is noted
        self._whole = False  # whether all before it are
        self._next = 0.0  # when to look for more

    def missed(self) -> None:
        """A look found nothing."""
        self._misses += 1

    def add(self, key: bytes) -> None:
        """A row is about to be written."""
        if (bits := self._bits) is not None:
            with self._lock:
                _note(bits, key)

    def surely(self, reader: sqlite3.Connection, key: bytes) -> bool:
        """Whether there is no row with this key, but for one that another process wrote in the last moments."""
        if self._misses < _MISSES:
            return False
        if not self._whole or time.monotonic() >= self._next:
            self._go_on(reader)
        bits = self._bits
        if bits is None or not self._whole:
            return False
        first, second = _places(key)
        return not (bits[first >> 3] & 1 << (first & 7) and bits[second >> 3] & 1 << (second & 7))

    def _go_on(self, reader: sqlite3.Connection) -> None:
        """Notes the next rows."""
        try:
            rows = reader.execute(_KEYS, (self._last, _STEP)).fetchall()
            newest = None if rows else reader.execute("SELECT max(id) FROM replies").fetchone()[0]
        except UNREADABLE:  # whoever looks a key up will see to it
            self.clear()
            return
        if not rows and (newest or 0) < self._last:  # all were deleted, and are counted anew
            self.clear()
            return
        with self._lock:
            if self._bits is None:
                self._bits = bytearray(2**_BITS // 8)
            for at, key in rows:
                _note(self._bits, key)
                self._last = at
        if len(rows) < _STEP:
            self._whole = True
            self._next = time.monotonic() + _SECONDS


def _places(key: bytes) -> tuple[int, int]:
    """The bits of a key."""
    return int.from_bytes(key[:4], "big") & _MASK, int.from_bytes(key[4:8], "big") & _MASK


def _note(bits: bytearray, key: bytes) -> None:
    for at in _places(key):
        bits[at >> 3] |= 1 << (at & 7)
