"""Where the answer of a run goes: a file for `--out`, standard output else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from rlmlang.cli import terminal
from rlmlang.cli.progress_file import Progress, ProgressFile
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import plural, printable
from rlmlang.values import SEQUENCES, to_json_text


class OutFile:
    """The file of `--out`. It is opened, so that it can be written is sure, but keeps what it holds until something is written.

    With a `fingerprint` (of the run, for a list answer) it goes on where a run with the same one stopped: `done` items of the list that
    the answer is made from need not be computed again. `restart` begins anew whatever it holds. Raises UsageError, also where another run
    began to write it, or still does.
    """

    def __init__(self, path: str, fingerprint: Mapping[str, str] | None = None, *, restart: bool = False) -> None:
        self.path = path
        existed = os.path.lexists(path)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            try:  # what can be written and not read, as a pipe
                self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except (OSError, ValueError):
                raise UsageError(f"cannot write {self._name}: {_reason(error)}") from None
        self._unused = not existed
        self._fresh = False
        self._begun = Progress()
        self._progress: ProgressFile | None = None
        self._size = 0
        self.items = 0
        if fingerprint is not None and stat.S_ISREG(os.fstat(self._file).st_mode):
            try:
                self._go_on(ProgressFile(path, fingerprint), restart)
            except UsageError:
                os.close(self._file)
                raise

    def _go_on(self, progress: ProgressFile, restart: bool) -> None:
        """Finds out how far a run before this one has come. Raises UsageError."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another run is writing {self._name}") from None
        except OSError:
            pass  # a file system without locks
        self._progress = progress
        known = None if restart else progress.read()
        if known is None:
            return
        begun, differing = known
        if begun.done and differing:
            of_it = " and ".join(f"the {part}" for part in differing)
            raise UsageError(
                f"{self._name} has {plural(begun.lines, 'line')} of a run that was not finished, and {of_it} {_now(differing)}",
                hint="--restart begins the file anew; what was paid for is in the memo",
            )
        if not differing:
            self._begun = begun
            self.items = begun.lines

    @property
    def done(self) -> int:
        """Items of the list that the answer is made from that an earlier run has done with."""
        return self._begun.done

    @property
    def _name(self) -> str:
        return printable(self.path, 300)

    def earlier(self) -> list[Any]:
        """The items that stood there before this run. Raises RlmError."""
        try:
            lines = os.pread(self._file, self._begun.bytes, 0) if self._begun.bytes else b""
            return [json.loads(line) for line in lines.splitlines()]
        except (OSError, ValueError):
            raise RlmError(f"cannot read {self._name}") from None

    def begin(self) -> None:
        """Drops what the file held but for what this run goes on from. Raises RlmError."""
        if self._fresh:
            return
        self._fresh, self._unused = True, False
        self._size = self._begun.bytes
        try:
            if self._progress is not None:
                self._progress.begin(self._begun)
            if stat.S_ISREG(os.fstat(self._file).st_mode):
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
        except OSError as error:
            raise self._failed(error) from None

    def item(self, value: Any) -> None:
        """One item of a list, as a line of JSON, written at once. Raises RlmError."""
        self._write(to_json_text(value) + "\n")
        self.items += 1

    def through(self, done: int) -> None:
        """So many items of the list that the answer is made from are done with, and what they have become is written."""
        if self._progress is not None:
            self._progress.note(Progress(done, self._size, self.items))

    def whole(self, value: Any) -> None:
        """An answer that came at once: a list as JSON lines, any other as it is shown. Raises RlmError."""
        if isinstance(value, SEQUENCES):
            self.begin()
            for item in value:
                self.item(item)
        else:
            self._write(terminal.answer_text(value) + "\n")

    def close(self, *, finished: bool = True) -> None:
        """Closes the file; one that was made for nothing goes. `finished`: nobody will go on from here."""
        if self._progress is not None:
            self._progress.close(finished=finished)
        with contextlib.suppress(OSError):
            os.close(self._file)
            if self._unused:
                os.unlink(self.path)

    def _write(self, text: str) -> None:
        self.begin()
        data = text.encode("utf-8", "backslashreplace")
        self._size += len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> RlmError:
        return RlmError(f"cannot write {self._name}: {_reason(error)}")


def _now(parts: list[str]) -> str:
    return "is another one now" if parts == ["program"] else "are others now"


def _reason(error: OSError | ValueError) -> str:
    return ((error.strerror if isinstance(error, OSError) else None) or "no such path can be").lower()
