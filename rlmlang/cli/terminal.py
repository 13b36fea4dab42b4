"""Writing: results to standard output, everything else to standard error; and errors as people read them."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from rlmlang.errors import BudgetError, Failure, Interrupted, LimitError, ProgramError, RlmError, UsageError
from rlmlang.limits import FILE_BYTES, HELD_BYTES, SPOOL_BYTES
from rlmlang.syntax.diagnostics import Diagnostic, plural, printable, render, render_all
from rlmlang.values import CONTAINERS, to_json_text

_PIECE: Final = 1 << 20  # bytes of standard input that are put aside at once
_TIMES: Final = 2**31 * 10**9  # nanoseconds that any file system can hold
# what could move a terminal's cursor, colour it, or turn the direction of its text
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_CODES: dict[type[RlmError], str] = {
    Failure: "failed",
    BudgetError: "budget",
    LimitError: "limit",
    UsageError: "usage",
    Interrupted: "stopped",
}


def use_unicode() -> None:
    """Standard output is UTF-8 unless it is a terminal that wants something else, and no character stops it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def write(text: str) -> None:
    """A result and a newline, to standard output. On a terminal control characters are escaped. Raises BrokenPipeError, RlmError."""
    with output() as stream:
        if stream.isatty():
            text = _COMMANDS.sub(lambda m: m[0].encode("unicode_escape").decode(), text)
        if not isinstance(stream, io.TextIOWrapper):
            stream.write(text + "\n")
            return
        # unbuffered (PYTHONUNBUFFERED), Python would drop what one write to the system does not take
        stream.flush()
        left = memoryview((text + "\n").encode(stream.encoding, stream.errors or "strict"))
        while left:
            left = left[stream.buffer.write(left) :]


@contextlib.contextmanager
def output() -> Iterator[TextIO]:
    """Standard output, flushed afterwards; nowhere if it is closed. Raises BrokenPipeError, and RlmError for whatever else goes wrong."""
    try:
        if sys.stdout is None:
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                yield nowhere
            return
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_output()
        raise RlmError(f"cannot write to standard output: {(error.strerror or 'unknown error').lower()}") from None


def write_json(data: Any, indent: int | None = None) -> None:
    """JSON data, to standard output."""
    write(json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent))


def forget_output() -> None:
    """Standard output cannot be written any more: what is left in its buffer must not fail again when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(text: str) -> None:
    """A message and a newline, to standard error; lost where nobody can read it."""
    draw(text + "\n")


def draw(text: str) -> None:
    """Text to standard error as it is."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def on_terminal() -> bool:
    """Whether a person watches standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def read_input() -> bytes:
    """Standard input, whole; one byte more than is allowed where it is too long. Raises OSError."""
    if sys.stdin is None:
        raise OSError(0, "it is closed")
    return sys.stdin.buffer.read(FILE_BYTES + 1)


def take_input() -> bytes | Path:
    """Standard input, whole; the path of a temporary file that has it where it is large. Raises OSError."""
    if sys.stdin is None:
        raise OSError(0, "it is closed")
    head = sys.stdin.buffer.read(HELD_BYTES + 1)
    return head if len(head) <= HELD_BYTES else _spooled(head, sys.stdin.buffer)


def _spooled(head: bytes, rest: BinaryIO) -> Path:
    """A file with what was read and what comes, which goes when the process ends. Its time is that of its content: the same input once
    more is the same file, and a run of it goes on."""
    descriptor, name = tempfile.mkstemp(prefix="rlm-stdin-")
    path = Path(name)
    atexit.register(path.unlink, missing_ok=True)
    digest = blake2b(head, digest_size=8)
    with open(descriptor, "wb") as file:
        file.write(head)
        while piece := rest.read(_PIECE):
            file.write(piece)
            digest.update(piece)
            if file.tell() > SPOOL_BYTES:
                raise OSError(0, f"it has more than {SPOOL_BYTES:,} bytes")
    time = int.from_bytes(digest.digest(), "big") % _TIMES
    os.utime(path, ns=(time, time))
    return path


def answer_text(value: Any) -> str:
    """A value as it is shown: a text as it stands, lists and records as indented JSON, the rest as JSON. Raises LimitError, Failure."""
    if isinstance(value, str):
        return value
    return to_json_text(value, indent=2 if isinstance(value, CONTAINERS) and len(value) else None)


def describe(error: RlmError) -> str:
    """The error as text: where there is a place, with its line and a caret."""
    if isinstance(error, ProgramError):
        return describe_all(error.diagnostics)
    if isinstance(error, Interrupted):
        return printable(error.message)
    if error.span is None:
        lines = ["error: " + printable(error.message).replace("\n", "\n       ")]
        if error.hint:
            lines.append(f"  = hint: {printable(error.hint)}")
    else:
        lines = [render(Diagnostic(_CODES.get(type(error), "error"), error.message, error.span, hint=error.hint))]
    if isinstance(error, Failure) and (about := item_and_attempts(" / ".join(error.item), error.attempts)):
        lines.append(f"  = {about}")
    return "\n".join(lines)


def describe_all(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as text; those of a file that could not be read have no line to show."""
    return "\n\n".join(render_all([d]) if d.span.source.text else _without_line(d) for d in diagnostics)


def _without_line(diagnostic: Diagnostic) -> str:
    hint = f"\n  = hint: {printable(diagnostic.hint)}" if diagnostic.hint else ""
    return (
        f"{printable(diagnostic.span.source.name, 300)}: {diagnostic.severity}: {printable(diagnostic.message)} [{diagnostic.code}]{hint}"
    )


def item_and_attempts(item: str | None, attempts: int) -> str:
    """What a failed call was for, and how often it was tried; empty where neither is known."""
    known = [f"item {printable(item, 200)}"] if item else []
    if attempts:
        known.append(plural(attempts, "request") + " sent")
    return ", ".join(known)


def kept(calls: int) -> str:
    """`12 finished calls are kept`."""
    return f"{plural(calls, 'finished call')} {'is' if calls == 1 else 'are'} kept"


def money(dollars: float) -> str:
    """Dollars with as many decimals as it takes to see something."""
    return f"${dollars:,.2f}" if dollars == 0 or dollars >= 1 else f"${dollars:.4f}" if dollars >= 0.001 else f"${dollars:.6f}"
