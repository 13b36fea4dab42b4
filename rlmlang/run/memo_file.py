"""The file behind the memo store: opened safely, and replaced when it is damaged.

Only a regular file that is ours is used, never through a link, with mode 0600. Opening and replacing hold a lock on the folder, so that
several processes neither make nor move the file at once. A database that is not a memo store is left alone: it may be somebody's data.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from rlmlang.errors import UsageError

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)  # SQLite names what is wrong by the text of a damaged schema
COLUMNS: Final = "checksum, value, input_tokens, output_tokens, cached_tokens, nanodollars, model, created"
ROW_OF_KEY: Final = f"SELECT id, {COLUMNS} FROM replies WHERE key = ?"
_APPLICATION: Final = 0x524C4D4D  # "RLMM", in the file's header
_VERSION: Final = 1
_WAIT: Final = 10.0  # seconds for another process to finish opening the file
_BUSY: Final = 5.0  # seconds for another process to finish a write
_TABLES: Final = (
    "replies (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, checksum BLOB NOT NULL, value TEXT NOT NULL, input_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, nanodollars INTEGER, model TEXT NOT NULL, created INTEGER NOT NULL)",
    "hits (model TEXT PRIMARY KEY, hits INTEGER NOT NULL) WITHOUT ROWID",
    "seen (key BLOB NOT NULL, figure TEXT NOT NULL, count REAL NOT NULL, total REAL NOT NULL, squares REAL NOT NULL,"
    " changed INTEGER NOT NULL, PRIMARY KEY (key, figure)) WITHOUT ROWID",
    "jobs (token TEXT PRIMARY KEY, created INTEGER NOT NULL, count INTEGER NOT NULL, file TEXT, id TEXT) WITHOUT ROWID",
    "asked (key BLOB PRIMARY KEY, token TEXT NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID",
)


@frozen
class Opened:
    """A connection that writes, and which file it is on. `moved` is where a file that could not be used went, `why` what was wrong."""

    db: sqlite3.Connection
    inode: int
    moved: Path | None = None
    why: str = ""


def connect(path: Path, *, broken: int | None = None) -> Opened:
    """Makes the file if there is none, moves a damaged or outdated one aside; `broken` is the inode of one that proved damaged in use.

    Raises UsageError.
    """
    moved, why = None, ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _folder_lock(path):
            if _check_file(path):
                why = "was damaged" if os.stat(path).st_ino == broken else _outdated(path)
                if why:
                    moved = _move_aside(path)
            try:
                db = _connected(path)
            except UNREADABLE as error:
                of_the_future = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK)
                if not (is_damage(error) or of_the_future):  # so SQLite takes it where a byte of its head is wrong
                    raise
                moved, why = _move_aside(path), "was damaged"
                db = _connected(path)
            return Opened(db, os.stat(path).st_ino, moved, why)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise UsageError(f"the memo store {path} cannot be used: {unusable(error)}", hint="give another path, or --memo off") from None


def connect_reader(path: Path) -> sqlite3.Connection:
    """The connection that reads. Raises UsageError."""
    try:
        db = opened(path)
        db.execute("PRAGMA cache_size = -16384")
        return db
    except UNREADABLE as error:
        raise UsageError(f"the memo store {path} cannot be used: {unusable(error)}") from None


def connect_looking(path: Path) -> sqlite3.Connection | None:
    """A connection that only reads, on a store that is there; None where there is none that is ours. Raises sqlite3.Error."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return None
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY, isolation_level=None)
    db.text_factory = bytes
    try:
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    except BaseException:
        db.close()
        raise
    if (application, version) != (_APPLICATION, _VERSION):
        db.close()
        return None
    return db


def readable_rows(path: Path) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Key and COLUMNS of what can be read of a damaged file: from the first row on, and from the last back, to where it breaks."""
    try:
        db = opened(path)
    except UNREADABLE:
        return
    try:
        for order in ("ASC", "DESC"):
            with contextlib.suppress(*UNREADABLE):
                for key, *columns in db.execute(f"SELECT key, {COLUMNS} FROM replies ORDER BY id {order}"):
                    yield key, tuple(columns)
    finally:
        db.close()


def is_damage(error: Exception) -> bool:
    """Whether the error is about the file's content, not about access to it."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def unusable(error: Exception) -> str:
    """What is wrong, in a few words."""
    if isinstance(error, OSError):
        return (error.strerror or "unknown error").lower()
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another process has locked it"
    if code == sqlite3.SQLITE_READONLY:
        return "it may not be written"
    return str(error)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what is written inside."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
            db.execute("ROLLBACK")
        raise


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file less its free pages."""
    pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def shrink(db: sqlite3.Connection) -> None:
    """Gives free pages back to the disk, if no other process is in the way."""
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def opened(path: Path) -> sqlite3.Connection:
    """A plain connection. Raises sqlite3.Error."""
    db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    db.text_factory = bytes  # a damaged text must not fail to decode
    return db


def _connected(path: Path) -> sqlite3.Connection:
    """A connection that has proved that it can read and write the store."""
    _check_file(path)
    db = opened(path)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        with transaction(db):  # before there is a WAL: our mark must be in the file itself
            for table in _TABLES:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        made = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master")}
        if not made.issuperset(f"CREATE TABLE {table}".encode() for table in _TABLES):
            raise _corrupt("the tables are not as they were made")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -16384")
        db.execute("PRAGMA journal_size_limit = 67108864")
        db.execute(f"SELECT key, {COLUMNS} FROM replies ORDER BY id DESC LIMIT 1").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _corrupt(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _outdated(path: Path) -> str:
    """Why the existing file cannot be used but may be moved aside; empty if it can. Raises UsageError for another program's database.

    SQLite must do the reading: closing a descriptor of our own would take the locks that another connection of this process has.
    """
    db = opened(path)
    try:
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except UNREADABLE as error:
        if is_damage(error):
            return "was damaged or is none"
        raise
    finally:
        db.close()
    if not tables:  # new, or its maker was killed
        return ""
    if application != _APPLICATION:
        raise UsageError(f"{path} is another program's database", hint="give another path for the memo store")
    return "" if version == _VERSION else "was written by another version"


def _check_file(path: Path) -> bool:
    """Makes the file if there is none; whether there was. Raises UsageError for a file that is not ours to use."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return False
    if stat.S_ISLNK(status.st_mode):
        raise UsageError(f"the memo store {path} is a symbolic link", hint="give the path of the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"the memo store {path} is not a regular file")
    if status.st_uid != os.geteuid():
        raise UsageError(f"the memo store {path} belongs to another user")
    if status.st_mode & 0o177:
        os.chmod(path, 0o600)
    return True


def _move_aside(path: Path) -> Path:
    """Renames the file, with what SQLite keeps beside it; its new path."""
    for number in range(1, 1_000):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            break
    for end in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{aside}{end}")
    return aside


@contextlib.contextmanager
def _folder_lock(path: Path) -> Iterator[None]:
    """One process at a time opens or moves the file. The lock goes with the process; where a folder cannot be locked, there is none."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            except OSError:  # a network file system
                break
        yield
    finally:
        os.close(folder)
