"""The process that runs a model's Python: it locks itself in, then runs what it is told, and imports nothing of this package.

It talks over the two pipes that were its standard input and output: frames of 8 bytes of length and as much JSON. It is sent `{"data"}`
once, then `{"code"}`; it sends `{"ask"}` (and is sent `{"replies"}`) as often as the code asks, then `{"done"}`.

What locks it in, in this order, each by itself:

- limits of the operating system: memory, time of the processor, no files written, no processes, few descriptors;
- a filter of system calls (seccomp), where Linux on x86-64 or ARM has it: what is not needed to compute is refused, so no file, no network,
  no process, no signal to another;
- an audit hook, which says in Python's words why something is not there. It keeps nobody out who wants to.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import json
import linecache
import os
import platform
import resource
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any, Final, NoReturn

MODULES: Final = """
abc array ast base64 binascii bisect calendar cmath codecs collections collections.abc concurrent.futures concurrent.futures.thread
contextlib copy csv dataclasses datetime decimal difflib enum fnmatch fractions functools graphlib hashlib heapq hmac html html.entities
html.parser io itertools json keyword locale math numbers operator pprint queue random re shlex statistics string struct textwrap threading
time token tokenize traceback types typing unicodedata urllib.parse uuid warnings weakref xml.etree.ElementTree zlib _strptime
encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 encodings.utf_16 encodings.utf_8_sig
"""
ERROR_CHARS: Final = 2_000
ANSWER_BYTES: Final = 64 * 1024 * 1024
REFUSED: Final = (
    "open",
    "os.",
    "shutil.",
    "socket.",
    "subprocess.",
    "pty.",
    "ftplib.",
    "urllib.Request",
    "http.client",
    "sqlite3.",
    "mmap.",
)


class Answered(BaseException):
    """The answer. Not an Exception: `except Exception` around a whole program must not swallow it."""


class Channel:
    """The pipes to whoever started this process. One thread at a time; `busy` while a frame is under way."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.lock = threading.RLock()
        self.busy = False

    def send(self, frame: dict[str, Any]) -> None:
        data = json.dumps(frame).encode()
        self.busy = True
        data = struct.pack(">Q", len(data)) + data
        while data:
            data = data[os.write(self.sink, data) :]
        self.busy = False

    def receive(self) -> Any:
        (size,) = struct.unpack(">Q", self._read(8))
        return json.loads(self._read(size))

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self.source, min(size, 1 << 20))
            if not part:
                os._exit(0)  # nobody is there any more
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class Screen:
    """What is printed, its beginning kept. Its `size` are the characters in all."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, room: int) -> None:
        self.room = room
        self.parts: list[str] = []
        self.size = 0

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        left = self.room - self.size
        if left > 0:
            self.parts.append(text[:left])
        self.size += len(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        more = f"... + [{self.size - self.room:,} chars...]" if self.size > self.room else ""
        return "".join(self.parts) + more


class Interpreter:
    """The names that programs bind, and what they find bound."""

    def __init__(self, channel: Channel, data: dict[str, Any], room: int) -> None:
        self.channel = channel
        self.room = room
        self.turn = 0
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins, **data}
        self.given: dict[str, Callable[..., Any]] = {
            "llm_query": self.llm_query,
            "llm_query_batched": self.llm_query_batched,
            "FINAL": self.final,
            "FINAL_VAR": self.final_variable,
            "SHOW_VARS": self.show_variables,
        }
        self.hidden = set(self.names) | set(self.given)

    def llm_query(self, prompt: object, model: object = None) -> str:
        """The reply of a language model to a prompt."""
        return self._asked([clean(str(prompt))])[0]

    def llm_query_batched(self, prompts: Any, model: object = None) -> list[str]:
        """The replies to many prompts, asked at the same time, in order."""
        if isinstance(prompts, str):
            raise TypeError("llm_query_batched takes a list of prompts; of one, use llm_query")
        listed = [clean(str(prompt)) for prompt in prompts]
        return self._asked(listed) if listed else []

    def _asked(self, prompts: list[str]) -> list[str]:
        with self.channel.lock:
            self.channel.send({"ask": prompts})
            self.channel.busy = True
            replies: list[str] = self.channel.receive()["replies"]
            self.channel.busy = False
        return replies

    def final(self, value: object = None) -> NoReturn:
        """Ends the work with an answer."""
        raise Answered(value)

    def final_variable(self, name: object) -> NoReturn:
        """Ends the work with a variable as the answer, given by its name (or, as is often written, itself)."""
        key = name.strip().strip("\"'") if isinstance(name, str) else None
        if key in self.names and key not in self.given:
            raise Answered(self.names[key])
        if isinstance(name, str) and name.isidentifier() and not any(value is name for value in self.names.values()):
            raise NameError(f"there is no variable {key!r}; there are {self.show_variables()}")
        raise Answered(name)

    def show_variables(self) -> dict[str, str]:
        """The variables that programs have bound, with their types."""
        return {name: type(value).__name__ for name, value in self.names.items() if name not in self.hidden and not name.startswith("_")}

    def run(self, code: str) -> dict[str, Any]:
        """What became of a program: `printed`, and `error` or `answer` where there is one."""
        self.turn += 1
        self.names.update(self.given)
        name = f"<program {self.turn}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        screen = Screen(self.room)
        sys.stdout = sys.stderr = screen
        report: dict[str, Any] = {}
        try:
            try:
                exec(compile(code, name, "exec", dont_inherit=True), self.names)
            except Answered as done:
                report["answer"] = plain(done.args[0])
        except BaseException as error:
            report["error"] = told(error, name, code)
        finally:
            sys.stdout = sys.stderr = Screen(0)
        return {"printed": clean(screen.text()), **report}


def plain(value: object) -> Any:
    """An answer as JSON has it: sets and iterators as lists, anything else that JSON has not as a text. Raises what cannot be written."""
    written = json.dumps(value, default=_default, ensure_ascii=False).encode("utf-8", "replace")
    if len(written) > ANSWER_BYTES:
        raise ValueError("the answer is too long")
    return json.loads(written)


def _default(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (str(type(item)), item)) if len({type(item) for item in value}) == 1 else list(value)
    return list(value) if isinstance(value, (Iterator, KeysView, ValuesView, ItemsView, range)) else str(value)


def told(error: BaseException, name: str, code: str) -> str:
    """What went wrong, and in which line."""
    try:
        if isinstance(error, SyntaxError) and error.filename == name:
            line = f"\nin line {error.lineno}: {(error.text or '').strip()}" if error.lineno else ""
            return clean(f"{type(error).__name__}: {error.msg}{line}")[:ERROR_CHARS]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name and frame.lineno]
        source = code.split("\n")
        where = f"\nin line {lines[-1]}: {source[lines[-1] - 1].strip()[:500]}" if lines and lines[-1] <= len(source) else ""
        return clean(f"{type(error).__name__}: {str(error)[:500]}{where}")[:ERROR_CHARS]
    except BaseException:  # an error whose __str__ fails
        return type(error).__name__


def clean(text: str) -> str:
    """The text without lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


# ---- the walls ----

_ALLOWED: Final = {  # system calls, by machine: what computing, threads, sleeping, signals of its own and the two pipes need
    "x86_64": (
        0xC000003E,
        (56, 435),
        "0 1 3 5 7 8 9 10 11 12 13 14 15 19 20 23 24 25 28 35 39 60 96 98 100 131 186 201 202 204 218 219 228 229 230 231 270 271 273 293 "
        "318 324 334",
    ),
    "aarch64": (
        0xC00000B7,
        (220, 435),
        "57 59 62 63 64 65 66 72 73 80 93 94 96 98 99 101 113 114 115 123 124 128 132 134 135 139 153 165 169 172 178 214 215 216 222 226 "
        "233 278 283 293",
    ),
}
_THREAD: Final = 0x00010000  # CLONE_THREAD: within this process
_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def filtered() -> bool:
    """Refuses all other system calls from here on; False where that cannot be done."""
    if sys.platform != "linux" or platform.machine() not in _ALLOWED or struct.calcsize("P") != 8:
        return False
    audit, (clone, clone3), numbers = _ALLOWED[platform.machine()]
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, audit), (give, 0, 0, _KILL), (load, 0, 0, 0)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 0, 1, _THREAD), (give, 0, 0, _ALLOW)]
    program += [(load, 0, 0, 0), (equal, 0, 1, clone3), (give, 0, 0, _ERRNO | _ENOSYS)]  # the C library then takes the other one
    for number in map(int, numbers.split()):
        program += [(equal, 0, 1, number), (give, 0, 0, _ALLOW)]
    program.append((give, 0, 0, _ERRNO | _EPERM))
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(held)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    return bool(prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.addressof(header), 0, 0) == 0)


def limited(**most_of: int) -> None:
    """The limits of the operating system, by their names there."""
    for kind, most in most_of.items():
        try:
            number = getattr(resource, f"RLIMIT_{kind}")
            _, hard = resource.getrlimit(number)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(number, (most, most))
        except (AttributeError, ValueError, OSError):  # another system has other limits
            continue


def hook(event: str, args: tuple[Any, ...]) -> None:
    """Says what is not there."""
    if event == "import":
        name = str(args[0])
        if name not in sys.builtin_module_names and name not in sys.modules:
            raise ModuleNotFoundError(f"there is no module {name!r} here; of the standard library there is what computes: re, json, …")
    elif event.startswith(REFUSED):
        raise PermissionError(f"{event}: no files, processes and connections here; the data are bound to variables")


def main() -> None:
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    channel = Channel(source, sink)

    def interrupted(number: int, frame: object) -> None:
        if channel.busy:  # within a frame, after which nothing would be where it is expected
            os._exit(1)
        raise KeyboardInterrupt("stopped")

    signal.signal(signal.SIGINT, interrupted)
    with channel.lock:
        given = channel.receive()
        for module in MODULES.split():
            importlib.import_module(module)
        limited(AS=given["memory"], CPU=given["cpu"], FSIZE=0, CORE=0, NOFILE=16)
        wall = given["filtered"] and filtered()
        if not wall:
            limited(NPROC=0)  # of no use for root; threads count, too
        sys.addaudithook(hook)
        channel.send({"ready": "seccomp" if wall else "limits"})
        interpreter = Interpreter(channel, given["data"], given["room"])
        del given
        while True:
            report = {}
            try:
                code = channel.receive()["code"]
                channel.lock.release()  # threads that a program left running may ask while one runs
                try:
                    report = interpreter.run(code)
                finally:
                    channel.lock.acquire()
            except KeyboardInterrupt:
                report = {"error": "KeyboardInterrupt: stopped", "printed": ""}
            channel.send({"done": report})


if __name__ == "__main__":
    main()
