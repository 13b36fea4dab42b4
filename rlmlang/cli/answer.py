"""Where the answer of a run goes: a file for `--out`, standard output else."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from rlmlang.cli import terminal
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import printable
from rlmlang.values import SEQUENCES, to_json_text


class OutFile:
    """The file of `--out`. It is opened, so that it can be written is sure, but keeps what it holds until something is written.

    Raises UsageError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.items = 0
        existed = os.path.lexists(path)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot write {self._name}: {_reason(error)}") from None
        self._unused = not existed
        self._fresh = False

    @property
    def _name(self) -> str:
        return printable(self.path, 300)

    def begin(self) -> None:
        """Drops what the file held. Raises RlmError."""
        if self._fresh:
            return
        self._fresh, self._unused = True, False
        try:
            if stat.S_ISREG(os.fstat(self._file).st_mode):
                os.ftruncate(self._file, 0)
        except OSError as error:
            raise self._failed(error) from None

    def item(self, value: Any) -> None:
        """One item of a list, as a line of JSON, written at once. Raises RlmError."""
        self._write(to_json_text(value) + "\n")
        self.items += 1

    def whole(self, value: Any) -> None:
        """An answer that came at once: a list as JSON lines, any other as it is shown. Raises RlmError."""
        if isinstance(value, SEQUENCES):
            self.begin()
            for item in value:
                self.item(item)
        else:
            self._write(terminal.answer_text(value) + "\n")

    def close(self) -> None:
        """Closes the file; one that was made for nothing goes."""
        with contextlib.suppress(OSError):
            os.close(self._file)
            if self._unused:
                os.unlink(self.path)

    def _write(self, text: str) -> None:
        self.begin()
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> RlmError:
        return RlmError(f"cannot write {self._name}: {_reason(error)}")


def _reason(error: OSError | ValueError) -> str:
    return ((error.strerror if isinstance(error, OSError) else None) or "no such path can be").lower()
