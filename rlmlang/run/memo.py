"""The memo store: every answer that was paid for, kept across runs in one SQLite file (WAL), and the journal that a rerun resumes from.

A row is believed only if its checksum fits key, answer and figures; a damaged one is dropped and counted, and a damaged file is moved aside
and what can be read of it is saved. Values are JSON, nothing else: reading a store never executes anything. It holds no keys, no prompts
and no failures: whoever puts a row has checked the answer. Beside them stand sums of what runs have seen (seen.py).

Rows are committed in groups by one thread; `put` returns when its row is committed, so that kill -9 loses only what was in flight.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Promise
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO, TypeVar

from attrs import frozen

from rlmlang.cache import cache_root
from rlmlang.errors import RlmError, UsageError
from rlmlang.limits import MEMO_BYTES
from rlmlang.run import memo_file, memo_seen, memo_stats
from rlmlang.run.memo_absent import Absent
from rlmlang.run.memo_ahead import Ahead
from rlmlang.run.memo_file import COLUMNS, ROW_OF_KEY, UNREADABLE, unusable
from rlmlang.run.memo_jobs import save_jobs
from rlmlang.run.memo_rows import MemoRow, columns_of, row_of
from rlmlang.run.seen import Seen

T = TypeVar("T")

_GROUP: Final = 2_048  # rows of one transaction at most
_APART: Final = 0.004  # seconds between two transactions, at least: what comes meanwhile shares one
_UNMEASURED: Final = 64  # so often the size of the file is looked at while it grows to its limit
_EVICTED: Final = 16  # rows that go at a time
_PUT: Final = f"INSERT OR IGNORE INTO replies (key, {COLUMNS}) VALUES "
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_ROWS: Final = 64  # of one statement: each gives the interpreter's lock up and has to wait for it
_ROW_BYTES: Final = 200  # of a row beside its value, about


def default_path() -> Path:
    """Where the store is unless said otherwise: in the user's cache folder, or in `RLM_CACHE_DIR`."""
    return cache_root() / "memo.sqlite"


class _Put(NamedTuple):
    columns: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


@frozen
class _Task:
    """Something else that writes, asked for by a thread that waits for it (or does not)."""

    run: Callable[[sqlite3.Connection], None]
    done: Promise[None]


class Memo:
    """A memo store, open. `get` may be called from any thread, `put` from any event loop. `path` is None when it is off.

    `warnings` are for the user; `damaged` counts rows found damaged since it was opened.
    """

    @classmethod
    def open(cls, path: Path | None, *, max_bytes: int = MEMO_BYTES) -> Memo:
        """Opens or makes the store (None: off, nothing is kept). Raises UsageError if the file cannot be used; says so in `warnings` if it
        was damaged and had to be replaced."""
        return cls(path, max_bytes)

    def __init__(self, path: Path | None, max_bytes: int = MEMO_BYTES) -> None:
        self.path = path
        self.damaged = 0
        self.warnings: list[str] = []
        self._hits: Counter[str] = Counter()
        self._learned: memo_seen.Learned | None = None
        self._groups = 0  # of rows that were committed here
        self._groups_seen = 0  # of these, when the reader began to read
        self._ahead = Ahead()
        self._absent = Absent()
        self._committed = 0.0  # when rows were last
        self._unmeasured = 0  # bytes written since the file's size was looked at, about
        self._closed = path is None
        if path is None:
            return
        self._max_bytes = max_bytes
        self._retired: list[sqlite3.Connection] = []
        opened = memo_file.connect(path)
        self._write, self._inode = opened.db, opened.inode
        try:
            self._save_old_rows(opened)
            self._read = memo_file.connect_reader(path)
        except UNREADABLE as error:
            self._write.close()
            raise UsageError(f"the memo store {path} cannot be used: {unusable(error)}") from None
        self._queue: queue.SimpleQueue[_Put | _Task | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._work, name="rlm-memo", daemon=True)
        self._writer.start()

    def get(self, key: bytes) -> MemoRow | None:
        """The answer to the request with this key, None if there is none that can be believed. Never waits for a writer."""
        row = self.peek(key)
        if row is not None:
            self._hits[row.model] += 1
        return row

    def hit(self, models: Mapping[str, int]) -> None:
        """Counts what another process of the run has found: how many rows of each model."""
        self._hits.update(models)

    def peek(self, key: bytes) -> MemoRow | None:
        """`get`, but not counted as a hit."""
        if self._closed:
            return None
        columns = self._ahead.take(key)
        if columns is not None and (row := row_of(key, columns)) is not None:
            return row  # a damaged one is looked up, to be dropped
        reader = self._read
        if self._absent.surely(reader, key):
            return None
        try:
            self._begin(reader)
            found = reader.execute(ROW_OF_KEY, (key,)).fetchone()
            if found is None:
                self._absent.missed()
                return None
            at, *columns = found
            self._ahead.look(reader, at)
        except UNREADABLE as error:
            if not memo_file.is_damage(error):
                raise self._unreadable(error) from None
            self.damaged += 1
            self._submit(lambda _: self._replace(reader))
            return None
        row = row_of(key, columns)
        if row is None:
            self.damaged += 1
            self._submit(lambda db: _drop(db, key, columns))
        return row

    def _begin(self, reader: sqlite3.Connection) -> None:
        """Reads in one transaction until the event loop turns, which saves a third of the time; or until there are new rows of our own."""
        groups = self._groups
        if reader.in_transaction:
            if groups == self._groups_seen:
                return
            self._end(reader)
            begun = False
        else:
            begun = True
        loop = asyncio._get_running_loop()
        if loop is None:
            return
        with suppress(sqlite3.OperationalError):  # another thread was first
            reader.execute("BEGIN")
            self._groups_seen = groups
            if begun:
                loop.call_soon(self._end, reader)

    def _end(self, reader: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):  # there is none any more
            reader.execute("COMMIT")

    async def put(self, key: bytes, row: MemoRow) -> None:
        """Stores a checked answer unless there is one for this key already; returns when it is committed. Raises RlmError."""
        if self.path is None:
            return
        if self._closed:
            raise RlmError(f"the memo store {self.path} is closed")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._absent.add(key)
        self._queue.put(_Put(columns_of(key, row), loop, done))
        await done

    def stats(self) -> memo_stats.MemoStats:
        """What the store holds. Raises RlmError."""
        if self._closed:
            return memo_stats.MemoStats(0, 0, None, None, 0, ())
        return self._ask(partial(memo_stats.stats, hits=self._hits, damaged=self.damaged))

    def clear(self) -> int:
        """Deletes all rows, what runs have seen, and which jobs are under way; how many rows there were. Raises RlmError."""
        if self._closed:
            return 0
        counted = []

        def clear(db: sqlite3.Connection) -> None:
            with memo_file.transaction(db):
                counted.append(db.execute("DELETE FROM replies").rowcount)
                db.execute("DELETE FROM hits")
                db.execute("DELETE FROM seen")
                db.execute("DELETE FROM jobs")
                db.execute("DELETE FROM asked")
            self._hits.clear()
            self._ahead.clear()
            self._absent.clear()
            memo_file.shrink(db)

        self._submit(clear).result()
        return int(counted[0])

    async def write(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Has the writer make a change; returns when it is done. Raises RlmError."""
        if self._closed:
            raise RlmError(f"the memo store {self.path} is closed")
        await asyncio.wrap_future(self._submit(change))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What `question` reads, if need be from the file that replaces a damaged one. Raises RlmError."""
        if self._closed:
            raise RlmError(f"the memo store {self.path} is closed")
        return self._ask(question)

    def learn(self, rows: Seen) -> None:
        """Adds what a run has seen to what is known; does not wait for it. Where that cannot be written, it is lost."""
        if rows and not self._closed:
            self._submit(lambda db: memo_seen.add(db, rows))

    def learned(self) -> memo_seen.Learned:
        """What runs have seen, as long as the store is open."""
        self._learned = self._learned or memo_seen.Learned(None if self._closed else self._read)
        return self._learned

    def export(self, out: TextIO) -> int:
        """Writes all rows as JSON lines, oldest first; how many. Raises RlmError, and what `out.write` raises."""
        if self._closed:
            return 0
        written = 0
        try:
            for key, *columns in self._read.execute(f"SELECT key, {COLUMNS} FROM replies ORDER BY id"):
                row = row_of(key, columns)
                if row is None:
                    self.damaged += 1
                    continue
                fields = {
                    "key": key.hex(),
                    "model": row.model,
                    "created": row.created,
                    "input_tokens": row.input_tokens,
                    "output_tokens": row.output_tokens,
                    "cached_tokens": row.cached_tokens,
                    "dollars": None if row.nanodollars is None else row.nanodollars / 1e9,
                    "value": row.value,
                }
                out.write(json.dumps(fields, ensure_ascii=False) + "\n")
                written += 1
        except UNREADABLE as error:
            self._ask(memo_stats.count)  # replaces a damaged file
            raise RlmError(f"the memo store {self.path} cannot be read: {unusable(error)}; {written:,} rows were exported") from None
        return written

    def close(self) -> None:
        """Commits what is under way and closes the file. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._learned is not None:
            self._learned.close()
        self._end(self._read)
        self._submit(self._save_hits)
        self._queue.put(None)
        self._writer.join()
        for connection in (self._read, self._write, *self._retired):
            connection.close()

    def __enter__(self) -> Memo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        reader = self._read
        self._end(reader)
        try:
            try:
                return question(reader)
            except UNREADABLE as error:
                if not memo_file.is_damage(error):
                    raise
            self._submit(lambda _: self._replace(reader)).result()
            return question(self._read)
        except UNREADABLE as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> RlmError:
        return RlmError(f"the memo store {self.path} cannot be read: {unusable(error)}")

    # ---- the writer's thread ----

    def _submit(self, run: Callable[[sqlite3.Connection], None]) -> Promise[None]:
        task = _Task(run, Promise())
        self._queue.put(task)
        return task.done

    def _work(self) -> None:
        """Takes all that is queued, commits it, says so; until None comes."""
        while True:
            entries = [self._queue.get()]
            if (early := self._committed + _APART - time.monotonic()) > 0 and isinstance(entries[0], _Put):
                time.sleep(early)
            while len(entries) < _GROUP:
                try:
                    entries.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            puts: list[_Put] = []
            for entry in entries:
                if isinstance(entry, _Put):
                    puts.append(entry)
                    continue
                self._commit(puts)
                puts = []
                if entry is None:
                    return
                if not entry.done.set_running_or_notify_cancel():  # nobody waits for it any more
                    continue
                try:
                    entry.run(self._write)
                except Exception as error:
                    entry.done.set_exception(self._unwritable(error))
                else:
                    entry.done.set_result(None)
            self._commit(puts)

    def _commit(self, puts: list[_Put]) -> None:
        """Writes the rows in one transaction and wakes those who wait for them, once for each event loop."""
        if not puts:
            return
        self._committed = time.monotonic()
        failed: RlmError | None = None
        try:
            try:
                self._insert(puts)
            except UNREADABLE as error:
                if not memo_file.is_damage(error):
                    raise
                self._replace(self._read)
                self._insert(puts)
        except Exception as error:
            failed = self._unwritable(error)
        self._groups += 1
        waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for put in puts:
            waiting.setdefault(put.loop, []).append(put.done)
        for loop, futures in waiting.items():
            try:
                loop.call_soon_threadsafe(_wake, futures, failed)
            except RuntimeError:  # the loop was closed: nobody waits any more
                continue

    def _insert(self, puts: list[_Put]) -> None:
        db = self._write
        with memo_file.transaction(db):
            for at in range(0, len(puts), _PUT_ROWS):
                rows = [put.columns for put in puts[at : at + _PUT_ROWS]]
                db.execute(_PUT + ",".join([_ROW] * len(rows)), [*chain.from_iterable(rows)])
                self._unmeasured += sum(len(columns[2]) + _ROW_BYTES for columns in rows)
            while self._unmeasured * _UNMEASURED > self._max_bytes and memo_file.used_bytes(db) > self._max_bytes:
                gone = db.execute("DELETE FROM replies WHERE id IN (SELECT id FROM replies ORDER BY id LIMIT ?)", (_EVICTED,))
                if not gone.rowcount:
                    break
            if self._unmeasured * _UNMEASURED > self._max_bytes:
                self._unmeasured = 0

    def _replace(self, reader: sqlite3.Connection) -> None:
        """Goes on with a new file that has the readable rows of the one on which `reader` found damage."""
        if self.path is None or reader is not self._read:
            return
        opened = memo_file.connect(self.path, broken=self._inode)
        self._retired += [self._write, self._read]  # a get may be under way in another thread
        self._write, self._inode = opened.db, opened.inode
        self._save_old_rows(opened)
        self._read = memo_file.connect_reader(self.path)
        self._absent.clear()

    def _save_old_rows(self, opened: memo_file.Opened) -> None:
        if opened.moved is None:
            return
        before = opened.db.total_changes
        with memo_file.transaction(opened.db):
            for key, columns in memo_file.readable_rows(opened.moved):
                row = row_of(key, columns)
                if row is not None:
                    opened.db.execute(_PUT + _ROW, columns_of(key, row))
            save_jobs(opened.moved, opened.db)
        saved = opened.db.total_changes - before
        self.warnings.append(f"the memo store {opened.why}: it was moved to {opened.moved}, and {saved:,} rows of it were kept")

    def _save_hits(self, db: sqlite3.Connection) -> None:
        if self._hits:
            with memo_file.transaction(db):
                db.executemany(
                    "INSERT INTO hits VALUES (?, ?) ON CONFLICT (model) DO UPDATE SET hits = hits + excluded.hits", [*self._hits.items()]
                )

    def _unwritable(self, error: Exception) -> RlmError:
        return error if isinstance(error, RlmError) else RlmError(f"the memo store {self.path} cannot be written: {unusable(error)}")


def _wake(futures: list[asyncio.Future[None]], failed: RlmError | None) -> None:
    for future in futures:
        if future.done():  # cancelled meanwhile; the row is kept all the same
            continue
        if failed is None:
            future.set_result(None)
        else:
            future.set_exception(RlmError(failed.message))


def _drop(db: sqlite3.Connection, key: bytes, columns: Any) -> None:
    """Deletes a damaged row, unless it has been replaced since."""
    db.execute("DELETE FROM replies WHERE key = ? AND checksum IS ?", (key, columns[0]))
