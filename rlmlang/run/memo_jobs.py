"""The jobs of Batch APIs that are under way, in the memo's file: which requests each has, and how far its making came.

`jobs` has a row for each job, `asked` one for each request that may still get a reply out of it. They are written so that not even a loss
of power takes them back. A lock on a file beside the store lets one process at a time make jobs; it goes with the process.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlmlang.errors import RlmError
from rlmlang.limits import JOB_KEPT_SECONDS
from rlmlang.lm.journal import JobRecord
from rlmlang.run import memo_file
from rlmlang.run.memo_file import UNREADABLE, unusable

if TYPE_CHECKING:
    from rlmlang.run.memo import Memo

_PAUSE: Final = 0.05  # seconds until the lock is tried again
_FIND: Final = (
    "SELECT jobs.token, created, count, file, id FROM asked JOIN jobs ON jobs.token = asked.token WHERE asked.key = ? AND created > ?"
)
_EMPTY: Final = "DELETE FROM jobs WHERE token = ? AND NOT EXISTS (SELECT 1 FROM asked WHERE asked.token = jobs.token)"


class MemoJobs:
    """The journal of jobs (`rlmlang.lm.journal.Journal`) of a memo store that is on."""

    def __init__(self, memo: Memo) -> None:
        assert memo.path is not None
        self._memo = memo
        self._lock = memo.path.with_name(memo.path.name + "-jobs")

    def find(self, key: bytes) -> JobRecord | None:
        """The job that has the request with this key; one so old that no server has its files is none."""
        oldest = int(time.time() - JOB_KEPT_SECONDS)
        row = self._memo.ask(lambda db: db.execute(_FIND, (key, oldest)).fetchone())
        return None if row is None else _record(row)

    def answered(self, key: bytes) -> bool:
        """Whether the store has the reply to the request with this key."""
        return self._memo.peek(key) is not None

    def keys(self, token: str) -> dict[bytes, int]:
        """The keys of a job that were not struck, with their lines in its file, from 1."""
        return dict(self._memo.ask(lambda db: db.execute("SELECT key, place FROM asked WHERE token = ?", (token,)).fetchall()))

    async def begin(self, token: str, keys: Sequence[bytes]) -> JobRecord:
        """Notes a job that is about to be made. A key that another job had belongs to this one from here on."""
        record = JobRecord(token, int(time.time()), len(keys))

        def change(db: sqlite3.Connection) -> None:
            oldest = int(time.time() - JOB_KEPT_SECONDS)
            db.execute("DELETE FROM asked WHERE token IN (SELECT token FROM jobs WHERE created <= ?)", (oldest,))
            db.execute("DELETE FROM jobs WHERE created <= ?", (oldest,))
            db.execute("INSERT INTO jobs VALUES (?, ?, ?, NULL, NULL)", (token, record.created, record.count))
            db.executemany("INSERT OR REPLACE INTO asked VALUES (?, ?, ?)", [(key, token, at) for at, key in enumerate(keys, 1)])

        await self._durably(change)
        return record

    async def note(self, record: JobRecord) -> None:
        """Notes what has become known of a job."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("UPDATE jobs SET file = ?, id = ? WHERE token = ?", (record.file, record.id, record.token))

        await self._durably(change)

    async def strike(self, token: str, keys: Iterable[bytes] | None = None) -> None:
        """Forgets these requests of a job, or all of it; a job without requests is forgotten."""

        def change(db: sqlite3.Connection) -> None:
            if keys is None:
                db.execute("DELETE FROM asked WHERE token = ?", (token,))
            else:
                db.executemany("DELETE FROM asked WHERE key = ? AND token = ?", [(key, token) for key in keys])
            db.execute(_EMPTY, (token,))

        await self._durably(change)

    async def tidy(self) -> None:
        """Forgets the requests whose replies are in the store: a run that was killed could not."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM asked WHERE EXISTS (SELECT 1 FROM replies WHERE replies.key = asked.key)")
            db.execute("DELETE FROM jobs WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM asked WHERE asked.token = jobs.token)")

        await self._durably(change)

    @asynccontextmanager
    async def making(self) -> AsyncIterator[None]:
        """Within it no other process makes jobs on this store. Where the file system has no locks, there is none."""
        try:
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RlmError(f"{self._lock} cannot be used: {unusable(error)}") from None
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_PAUSE)
                except OSError:  # a network file system
                    break
            yield
        finally:
            os.close(lock)

    async def _durably(self, change: Callable[[sqlite3.Connection], None]) -> None:
        def whole(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA synchronous = FULL")
            try:
                with memo_file.transaction(db):
                    change(db)
            finally:
                with suppress(sqlite3.Error):
                    db.execute("PRAGMA synchronous = NORMAL")

        await self._memo.write(whole)


def save_jobs(old: Path, db: sqlite3.Connection) -> None:
    """Takes over what can be read of the jobs in a store that is not used any more. Raises sqlite3.Error where `db` cannot be written."""
    rows: dict[str, list[Any]] = {"jobs": [], "asked": []}
    with suppress(*UNREADABLE), closing(memo_file.opened(old)) as reader:
        for table, found in rows.items():
            with suppress(*UNREADABLE):
                found.extend(reader.execute(f"SELECT * FROM {table}"))
    for token, created, count, file, id in rows["jobs"]:
        if isinstance(created, int) and isinstance(count, int):
            db.execute("INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, ?)", (_text(token), created, count, _text(file), _text(id)))
    for key, token, place in rows["asked"]:
        if isinstance(key, bytes) and isinstance(place, int):
            db.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?)", (key, _text(token), place))


def _record(row: Sequence[Any]) -> JobRecord:
    token, created, count, file, id = row
    return JobRecord(_text(token) or "", created, count, _text(file), _text(id))


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
