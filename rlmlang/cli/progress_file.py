"""How far `--out` has come: a small file beside it, `OUT.progress`, while a run is not finished. The same command goes on from there.

Its first line says whose run it is, by digests; the second, of fixed length and written in one go, how many items of the list that the
answer is made from are done with, and how many bytes and lines of `OUT` these have become. It is written after them: what stands in `OUT`
beyond, as a torn last line, is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping

from attrs import define, frozen

_STATE = "{:020d} {:020d} {:020d}\n"
_HEADER_BYTES = 4_096  # more is no file of ours
_EVERY = 256  # items that became nothing, after which it is noted all the same


@frozen
class Progress:
    """How far a run has come: items done with, and what they have become."""

    done: int = 0
    bytes: int = 0
    lines: int = 0


@define
class ProgressFile:
    """The file beside the one at `path`, of a run with this `fingerprint`."""

    path: str
    fingerprint: Mapping[str, str]
    _file: int | None = None
    _state: int = 0
    _noted: Progress = Progress()

    @property
    def _name(self) -> str:
        return f"{self.path}.progress"

    def read(self) -> tuple[Progress, list[str]] | None:
        """How far the run that began has come, and what of it (`program`, `inputs`, `models`) differs from this one; None where none began,
        or what is known of it is damaged."""
        try:
            with open(self._name, "rb") as file:
                header, state = file.read(_HEADER_BYTES).split(b"\n")[:2]
            theirs = json.loads(header)
            done, size, lines = map(int, state.split())
            if done < 0 or lines < 0 or not 0 <= size <= os.path.getsize(self.path):
                return None
            return Progress(done, size, lines), [part for part, digest in self.fingerprint.items() if theirs[part] != digest]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, progress: Progress) -> None:
        """Notes that a run is under way. Where that is not possible, it cannot be gone on with: no reason not to run."""
        header = json.dumps(dict(self.fingerprint)).encode() + b"\n"
        with contextlib.suppress(OSError):
            made = f"{self._name}.new"
            self._file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            self._state = len(header)
            os.write(self._file, header)
            self.note(progress, always=True)
            os.replace(made, self._name)

    def note(self, progress: Progress, *, always: bool = False) -> None:
        """Notes how far it has come, what was written being written."""
        if self._file is None or not (always or progress.bytes != self._noted.bytes or progress.done - self._noted.done >= _EVERY):
            return
        self._noted = progress
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _STATE.format(progress.done, progress.bytes, progress.lines).encode(), self._state)

    def close(self, *, finished: bool) -> None:
        """Ends it; of a run that is finished, or has come nowhere, nothing stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            if finished or not self._noted.done:
                with contextlib.suppress(OSError):
                    os.unlink(self._name)
