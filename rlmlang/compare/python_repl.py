"""A Python interpreter for a model's programs, in a process that is locked in (`python_child.py`). What a program binds stays bound.

    with Repl({"book": text}) as repl:
        step = repl.run("print(len(book)); x = llm_query('…')")
        while isinstance(step, Asks):
            step = repl.reply(["…" for prompt in step.prompts])
        step.printed, step.error, step.answered, step.answer

**What it keeps out**: where Linux has seccomp (`wall == "seccomp"`): files, network, processes, signals to others, all but a short list of
system calls. Everywhere: more memory than `limits.PYTHON_BYTES`, output beyond `limits.PYTHON_OUTPUT_CHARS`, programs that take longer than
`seconds` by themselves. Its environment is empty, and it holds no descriptor but its two pipes.

**What it does not**: without seccomp (macOS), a program that is made to break out does: an audit hook is all there is between it and the
user's files. With seccomp there remain holes of the kernel in the calls that are allowed, what can be learnt of the machine by timing, and
one processor kept busy for as long as a program may run. A program is a model's: what it asks sub-models, and what it answers, are not to
be trusted more than the data that it read.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from rlmlang.errors import Failure, UsageError
from rlmlang.limits import PYTHON_BYTES, PYTHON_CPU_SECONDS, PYTHON_FRAME_BYTES, PYTHON_OUTPUT_CHARS, PYTHON_SECONDS
from rlmlang.values import Mismatch, parse_json_text

_CHILD: Final = Path(__file__).with_name("python_child.py")
_START_SECONDS: Final = 60.0  # until it is ready: a tenth on an idle machine
_GRACE_SECONDS: Final = 2.0  # after it was asked to stop


@frozen
class Asks:
    """The program waits for replies to these prompts."""

    prompts: tuple[str, ...]


@frozen
class Turn:
    """A program that has ended: what it printed, the error that it ended with (None: none), the `answer` where it is `answered`. With
    `lost` the process is gone, and with it all that programs had bound; the next begins afresh."""

    printed: str = ""
    error: str | None = None
    answered: bool = False
    answer: Any = None
    lost: bool = False


class _Gone(Exception):
    """The process has ended, or does not talk as it should."""


class _Late(Exception):
    """The time is over."""


class Repl:
    """An interpreter with `data` bound by name: texts, numbers, lists and dicts of them. It is started when the first program is run, and
    again where it was lost. Closed, it is gone for good; `close` may be called from any thread. `room`: characters kept of what a program
    prints; not `filtered`, it is locked in as where there is no seccomp.

    Raises UsageError where the operating system has nothing to lock a process in with; Failure where it does not start.
    """

    def __init__(
        self, data: Mapping[str, Any], *, seconds: float = PYTHON_SECONDS, room: int = PYTHON_OUTPUT_CHARS, filtered: bool = True
    ) -> None:
        if os.name != "posix":
            raise UsageError("Python programs can be locked in on Linux and macOS only")
        given = {"data": dict(data), "room": room, "memory": PYTHON_BYTES, "cpu": PYTHON_CPU_SECONDS, "filtered": filtered}
        self._data = json.dumps(given).encode()
        self.seconds = seconds
        self.wall = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # a process that is begun while this is closed is ended as well
        self._talking = threading.Lock()  # or pipes would be closed whose numbers are another's by the time that they are read
        self._closed = False
        self._left = 0.0

    def __enter__(self) -> Repl:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, code: str) -> Asks | Turn:
        """Runs a program until it asks or ends. Raises Failure where the interpreter cannot be started."""
        with self._talking:
            self._left = self.seconds
            try:
                self._ready()
            except _Gone as gone:
                self._kill()
                raise Failure(f"the Python interpreter did not start{gone}") from None
            except _Late:
                self._kill()
                raise Failure("the Python interpreter did not start in time") from None
            return self._go_on({"code": code.encode("utf-8", "replace").decode()})

    def reply(self, replies: Sequence[str]) -> Asks | Turn:
        """Gives the replies that the program waits for, and lets it go on."""
        with self._talking:
            return self._go_on({"replies": [reply.encode("utf-8", "replace").decode() for reply in replies]})

    def run_with(self, code: str, ask: Callable[[Sequence[str]], Sequence[str]]) -> Turn:
        """Runs a program whose prompts `ask` replies to."""
        step = self.run(code)
        while isinstance(step, Asks):
            step = self.reply(ask(step.prompts))
        return step

    def close(self) -> None:
        """Ends the process, and with it what runs."""
        with self._starting:
            self._closed = True
            self._end()
        with self._talking:
            self._kill()

    def _ready(self) -> None:
        """Starts the process, if it is not there. Raises _Gone, _Late."""
        if self._process is not None and self._process.poll() is None:
            return
        self._kill()
        with self._starting:
            if self._closed:
                raise _Gone(": it was closed")
            try:
                self._process = process = subprocess.Popen(
                    # as -I, but for the seed of hashes, which should be the same in every run; and without site-packages
                    [sys.executable, "-s", "-P", "-S", "-u", str(_CHILD)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
                    cwd="/",
                    close_fds=True,
                    start_new_session=True,
                    bufsize=0,
                )
            except OSError as error:
                raise _Gone(f": {(error.strerror or 'unknown error').lower()}") from None
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
        until = time.monotonic() + _START_SECONDS
        self._send(self._data, until)
        self.wall = str(self._receive(until).get("ready", ""))

    def _go_on(self, frame: Mapping[str, Any]) -> Asks | Turn:
        began = time.monotonic()
        try:
            self._send(json.dumps(frame).encode(), began + self._left)
            return self._step(self._receive(began + self._left))
        except _Late:
            return self._stopped()
        except _Gone as gone:
            self._kill()
            return Turn(error=f"the interpreter ended{gone}", lost=True)
        finally:
            self._left = max(0.0, self._left - (time.monotonic() - began))

    def _stopped(self) -> Turn:
        """Stops a program that takes too long: it is asked to, and where it does not, its process is ended."""
        error = f"stopped after {self.seconds:g} seconds"
        process = self._process
        try:
            if process is None:
                raise _Gone
            process.send_signal(signal.SIGINT)
            until = time.monotonic() + _GRACE_SECONDS
            while "done" not in (frame := self._receive(until)):  # it may ask once more before it hears of it
                pass
            step = self._step(frame)
            assert isinstance(step, Turn)
            return Turn(step.printed, error)
        except (_Late, _Gone, OSError):
            self._kill()
            return Turn(error=error, lost=True)

    def _step(self, frame: Mapping[str, Any]) -> Asks | Turn:
        """What a frame says. Raises _Gone where it says nothing."""
        match frame:
            case {"ask": [*prompts]} if prompts and all(isinstance(prompt, str) for prompt in prompts):
                return Asks(tuple(prompt.encode("utf-8", "replace").decode() for prompt in prompts))
            case {"done": {"printed": str(printed), "error": str(error)}}:
                return Turn(printed, error)
            case {"done": {"printed": str(printed), "answer": answer}}:
                return Turn(printed, None, True, answer)
            case {"done": {"printed": str(printed)}}:
                return Turn(printed)
        raise _Gone(" and said nothing that is understood")

    def _send(self, data: bytes, until: float) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise _Gone
        rest = memoryview(struct.pack(">Q", len(data)) + data)
        try:
            pipe = process.stdin.fileno()
            while rest:
                self._wait([], [pipe], until)
                rest = rest[os.write(pipe, rest[: 1 << 16]) :]
        except (OSError, ValueError):
            raise _Gone(self._how()) from None

    def _receive(self, until: float) -> Mapping[str, Any]:
        (size,) = struct.unpack(">Q", self._read(8, until))
        if size > PYTHON_FRAME_BYTES:
            raise _Gone(": what it sent is too long")
        try:
            frame = parse_json_text(self._read(size, until).decode())
        except (Mismatch, UnicodeDecodeError):
            raise _Gone(" and said nothing that is understood") from None
        if not isinstance(frame, dict):
            raise _Gone(" and said nothing that is understood")
        return frame

    def _read(self, size: int, until: float) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            raise _Gone
        parts: list[bytes] = []
        try:
            pipe = process.stdout.fileno()
            while size:
                self._wait([pipe], [], until)
                part = os.read(pipe, min(size, 1 << 20))
                if not part:
                    raise _Gone(self._how())
                parts.append(part)
                size -= len(part)
        except (OSError, ValueError):
            raise _Gone(self._how()) from None
        return b"".join(parts)

    def _wait(self, sources: list[int], sinks: list[int], until: float) -> None:
        """Until one of them is ready. Raises _Late."""
        poll = select.poll()
        for pipe in sources:
            poll.register(pipe, select.POLLIN)
        for pipe in sinks:
            poll.register(pipe, select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise _Late

    def _how(self) -> str:
        """How the process ended, in words."""
        process = self._process
        if process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        code = process.returncode
        if code is None:
            return ""
        try:
            return f" by {signal.Signals(-code).name}" if code < 0 else f" (exit code {code})"
        except ValueError:
            return ""

    def _end(self) -> None:
        """Ends the process group, if it is still there."""
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)

    def _kill(self) -> None:
        """Ends the process, and forgets it."""
        self._end()
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
