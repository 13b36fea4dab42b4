"""What runs have seen, in the memo's file: sums that every run adds to, under however many processes.

It is worth a guess and no more, so nothing here fails a run: what cannot be read is not known, and a row that cannot be true is skipped.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rlmlang.limits import SEEN_COUNT, SEEN_ROWS
from rlmlang.run import memo_file
from rlmlang.run.seen import Figures, Moments, Seen

_ADD: Final = (
    "INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, figure) DO UPDATE SET count = count + excluded.count,"
    " total = total + excluded.total, squares = squares + excluded.squares, changed = max(changed, excluded.changed)"
)
_FADE: Final = (
    "UPDATE seen SET total = total * :most / count, squares = squares * :most / count, count = :most"
    " WHERE key = :key AND figure = :figure AND count > :most"
)
_FORGET: Final = (
    "DELETE FROM seen WHERE (key, figure) IN (SELECT key, figure FROM seen ORDER BY changed LIMIT max(0, (SELECT count(*) FROM seen) - ?))"
)


def add(db: sqlite3.Connection, rows: Seen) -> None:
    """Adds what a run has seen. Raises sqlite3.Error."""
    now = int(time.time())
    with memo_file.transaction(db):
        for key, figures in rows.items():
            for figure, moments in figures.items():
                if moments.is_sound():
                    db.execute(_ADD, (key, figure, moments.count, moments.total, moments.squares, now))
                    db.execute(_FADE, {"most": SEEN_COUNT, "key": key, "figure": figure})
        db.execute(_FORGET, (SEEN_ROWS,))


class Learned:
    """What runs have seen, by key, read when it is asked for. Without a connection, and once it is closed, nothing more is known."""

    def __init__(self, db: sqlite3.Connection | None) -> None:
        self._db = db
        self._known: dict[bytes, Figures] = {}

    def __call__(self, key: bytes) -> Figures:
        if key not in self._known:
            self._known[key] = {} if self._db is None else _read(self._db, key)
        return self._known[key]

    def close(self) -> None:
        self._db = None


@contextmanager
def looking(path: Path | None) -> Iterator[Learned]:
    """What is known in a store that nobody has opened, if there is one. It is left as it is."""
    db: sqlite3.Connection | None = None
    if path is not None:
        with suppress(*memo_file.UNREADABLE):
            db = memo_file.connect_looking(path)
    learned = Learned(db)
    try:
        yield learned
    finally:
        learned.close()
        if db is not None:
            db.close()


def _read(db: sqlite3.Connection, key: bytes) -> Figures:
    found: Figures = {}
    with suppress(*memo_file.UNREADABLE):
        for figure, count, total, squares in db.execute("SELECT figure, count, total, squares FROM seen WHERE key = ?", (key,)):
            moments = Moments(count, total, squares)
            if isinstance(figure, bytes) and moments.is_sound():
                found[figure.decode("ascii", "replace")] = moments
    return found
