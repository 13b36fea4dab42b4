"""The memo's file, read by a worker: it never writes there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rlmlang.run.memo_ahead import Ahead
from rlmlang.run.memo_file import ROW_OF_KEY, UNREADABLE, connect_looking
from rlmlang.run.memo_rows import MemoRow, row_of


class Lookup:
    """The rows of the store at `path` (None: there is none). Within `with` all is as it was at its beginning. What cannot be read is not
    there: the run will meet it."""

    def __init__(self, path: Path | None) -> None:
        self._db = None
        if path is not None:
            with suppress(*UNREADABLE):
                self._db = connect_looking(path)
        self._ahead = Ahead()

    def __enter__(self) -> None:
        self._say("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._say("COMMIT")

    def _say(self, statement: str) -> None:
        if self._db is not None:
            with suppress(*UNREADABLE):
                self._db.execute(statement)

    def row(self, key: bytes) -> MemoRow | None:
        """The answer to the request with this key."""
        columns = self._ahead.take(key)
        if columns is None and self._db is not None:
            with suppress(*UNREADABLE):
                found = self._db.execute(ROW_OF_KEY, (key,)).fetchone()
                if found is not None:
                    at, *columns = found
                    self._ahead.look(self._db, at)
        return None if columns is None else row_of(key, columns)
