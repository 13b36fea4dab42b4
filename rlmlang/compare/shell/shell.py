"""The shell itself: it runs what `words` has read, with the commands that there are, and cuts what they print."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import define, field

from rlmlang.compare.shell import texts
from rlmlang.compare.shell.command import Call, Inner, Meter, Stopped
from rlmlang.compare.shell.find import find
from rlmlang.compare.shell.grep import grep
from rlmlang.compare.shell.listing import ls
from rlmlang.compare.shell.sed import sed
from rlmlang.compare.shell.sort import sort
from rlmlang.compare.shell.tree import Folder, Place, tree
from rlmlang.compare.shell.words import Command, Misuse, Pipeline, read
from rlmlang.errors import RlmError
from rlmlang.files import FileValue
from rlmlang.limits import SHELL_NESTED, SHELL_OUTPUT_BYTES


def cd(call: Call) -> Iterator[bytes]:
    if len(call.args) > 1:
        raise Misuse("bash: cd: too many arguments", 1)
    path = call.args[0] if call.args else "/"
    try:
        if not isinstance(call.place.look(path), Folder):
            raise Misuse("Not a directory")
    except Misuse as misuse:
        raise Misuse(f"bash: cd: {path}: {misuse.message}", 1) from None
    call.place.cwd = call.place.names(path)
    yield b""


def pwd(call: Call) -> Iterator[bytes]:
    yield ("/" + "/".join(call.place.cwd) + "\n").encode()


def true(call: Call) -> Iterator[bytes]:
    yield b""


def false(call: Call) -> Iterator[bytes]:
    call.status = 1
    yield b""


def helped(call: Call) -> Iterator[bytes]:
    yield f"A read-only shell with these commands: {_NAMES}\n".encode()


def xargs(call: Call) -> Iterator[bytes]:
    """`xargs [-n N] [-I R] [-0] [-r] COMMAND`: options are those before the command."""
    args, most, replaced, zero, empty = list(call.args), 1_000, "", False, True
    while args and args[0].startswith("-"):
        option, own = args[0][:2], args[0][2:]
        del args[0]
        if option in ("-n", "-L", "-I", "-d", "-P"):
            if not own and not args:
                raise Misuse(f"xargs: option requires an argument -- '{option[1]}'\nTry 'xargs --help' for more information.", 1)
            value = own or args.pop(0)
            if option in ("-n", "-L"):
                most = call.number(value, "invalid number")
                if not most:
                    raise Misuse(f"xargs: value {value} for {option} option should be >= 1", 1)
            elif option == "-I":
                replaced = value
            elif option == "-d":
                if value != "\\n":
                    raise Misuse("xargs: -d: only '\\n' is supported here", 1)
                zero = False
                replaced = replaced or ""
        elif option in ("-0", "-r"):
            zero, empty = zero or option == "-0", empty and option != "-r"
            if own:
                args.insert(0, "-" + own)
        else:
            raise Misuse(f"xargs: invalid option -- '{option[1:]}'\nTry 'xargs --help' for more information.", 1)
    command = args or ["echo"]
    data = b""
    parts: list[bytes] = []
    for block in call.standard_input().blocks:
        call.meter.hold(2 * len(block))
        parts.append(block)
    data = b"".join(parts)
    words = _split(data.decode("utf-8", "replace"), zero, bool(replaced))
    call.meter.hold(100 * len(words))
    if replaced:
        runs: Iterator[list[str]] = ([part.replace(replaced, word) for part in command] for word in words)
    elif not words:
        runs = iter([command] if empty else [])
    else:
        runs = ([*command, *words[at : at + most]] for at in range(0, len(words), most))
    for run in runs:
        inner = call.run(run, iter(()))
        yield from inner.output
        if inner.status():
            call.status = 123 if inner.status() < 126 else inner.status()
            if call.status == 127:
                return


def _split(text: str, zero: bool, lines: bool) -> list[str]:
    if zero:
        return [word for word in text.split("\0") if word]
    if lines:
        return [line.lstrip(" \t") for line in text.split("\n") if line.strip(" \t")]
    if not any(c in text for c in "'\"\\"):
        return text.split()
    try:
        return shlex.split(text)
    except ValueError:
        raise Misuse("xargs: unmatched quote; by default quotes are special to xargs unless you use the -0 option", 1) from None


COMMANDS: Final[Mapping[str, Callable[[Call], Iterator[bytes]]]] = {
    "cat": texts.cat,
    "cd": cd,
    "cut": texts.cut,
    "dir": ls,
    "echo": texts.echo,
    "egrep": grep,
    "false": false,
    "fgrep": grep,
    "find": find,
    "grep": grep,
    "head": texts.head,
    "help": helped,
    "list": ls,
    "ls": ls,
    "nl": texts.nl,
    "pwd": pwd,
    "rev": texts.rev,
    "sed": sed,
    "sort": sort,
    "tac": texts.tac,
    "tail": texts.tail,
    "tr": texts.tr,
    "true": true,
    "uniq": texts.uniq,
    "wc": texts.wc,
    "xargs": xargs,
}
_NAMES: Final = " ".join(COMMANDS)


@define
class _Screen:
    """What was printed: its beginning and its end, and how much was between them."""

    first: bytearray = field(factory=bytearray)
    last: deque[bytes] = field(factory=deque)
    kept: int = 0  # bytes of `last`
    size: int = 0

    def write(self, block: bytes) -> None:
        self.size += len(block)
        room = SHELL_OUTPUT_BYTES // 2 - len(self.first)
        if room > 0:
            self.first += block[:room]
            block = block[room:]
        if block:
            self.last.append(block)
            self.kept += len(block)
            while self.kept - len(self.last[0]) >= SHELL_OUTPUT_BYTES // 2:
                self.kept -= len(self.last.popleft())

    def text(self) -> str:
        end = b"".join(self.last)[-(SHELL_OUTPUT_BYTES // 2) :]
        left_out = self.size - len(self.first) - len(end)
        if not left_out:
            return _printable(bytes(self.first) + end)
        note = f"\n[… {left_out:,} of {self.size:,} bytes are left out here …]\n"
        return _printable(bytes(self.first)) + note + _printable(end)


_CONTROLS: Final = {code: f"^{chr(code ^ 64)}" for code in (*range(32), 127) if chr(code) not in "\n\t\r"}


def _printable(data: bytes) -> str:
    """As `cat -v` shows it where it is no text."""
    return data.decode("utf-8", "replace").translate(_CONTROLS)


class Shell:
    """A shell over some files, by path. It remembers where `cd` has led; `status` is that of the last command line.

    `run` may be called again and again, from any thread, one at a time.
    """

    def __init__(self, files: Mapping[str, str | FileValue]) -> None:
        self.place = Place(tree(files))
        self.status = 0
        self._meter = Meter()

    def stop(self) -> None:
        """Ends the command line that is under way; from any thread."""
        self._meter.work = 0

    def run(self, command: str) -> str:
        """What a terminal shows of a command line, at most `SHELL_OUTPUT_BYTES` of it and a note of what is left out. Raises nothing."""
        screen = _Screen()
        self._meter = meter = Meter()
        try:
            for pipeline in read(command.encode("utf-8", "replace").decode()):
                if pipeline.when == "always" or (pipeline.when == "succeeded") == (self.status == 0):
                    self.status = _Run(self.place, meter, screen).pipeline(pipeline)
        except Misuse as misuse:
            screen.write((misuse.message + "\n").encode("utf-8", "replace") if misuse.message else b"")
            self.status = misuse.status
        except (Stopped, RlmError) as error:
            screen.write(f"\n{error}\n".encode("utf-8", "replace"))
            self.status = 124
        except RecursionError:
            screen.write(b"bash: the command is nested too deeply\n")
            self.status = 2
        return screen.text()


@define
class _Run:
    """One pipeline that is run."""

    place: Place
    meter: Meter
    screen: _Screen
    depth: int = 0

    def pipeline(self, pipeline: Pipeline) -> int:
        """Runs it; its status."""
        stream: Iterator[bytes] | None = None
        status: Callable[[], int] = int
        for command in pipeline.commands:
            alone = len(pipeline.commands) == 1
            inner = self._command(command, stream, self.place if alone else Place(self.place.top, self.place.cwd))
            stream, status = inner.output, inner.status
            if command.drops_output:
                stream = self._dropped(stream)
        assert stream is not None
        for block in stream:
            self.meter.spend(len(block))
            self.screen.write(block)
        return int(not status()) if pipeline.negated else status()

    def _dropped(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        for block in stream:
            self.meter.spend(len(block))
            yield b""

    def _command(self, command: Command, stdin: Iterator[bytes] | None, place: Place) -> Inner:
        quiet = command.drops_errors
        merged: deque[bytes] | None = deque() if command.errors_to_output else None

        def say(message: str) -> None:
            line = (message + "\n").encode("utf-8", "replace")
            if quiet:
                return
            if merged is not None:
                merged.append(line)
            else:
                self.screen.write(line)

        try:
            if command.source is not None:
                stdin = self._source(command, place)
            words = [arg for word in command.words for arg in place.expand(word)]
        except Misuse as misuse:
            say(misuse.message)
            return _failed(misuse.status)
        inner = self._run(words, stdin, place, say, self.depth) if words else _failed(0)
        return inner if merged is None else Inner(_merged(inner.output, merged), inner.status)

    def _source(self, command: Command, place: Place) -> Iterator[bytes]:
        assert command.source is not None
        names = place.expand(command.source)
        if len(names) != 1:
            raise Misuse(f"bash: {command.source.text}: ambiguous redirect", 1)
        if names[0] == "/dev/null":
            return iter(())
        try:
            found = place.look(names[0])
        except Misuse as misuse:
            raise Misuse(f"bash: {names[0]}: {misuse.message}", 1) from None
        if isinstance(found, Folder):
            raise Misuse(f"bash: {names[0]}: Is a directory", 1)
        return Call("bash", [], None, place, self.meter, lambda _: None, _nothing).of(found, names[0]).blocks

    def _run(self, words: list[str], stdin: Iterator[bytes] | None, place: Place, say: Callable[[str], None], depth: int) -> Inner:
        name, args = words[0], words[1:]
        command = COMMANDS.get(name.removeprefix("/usr/bin/").removeprefix("/bin/"))
        if command is None:
            say(f"bash: {name[:200]}: command not found (there are: {_NAMES})")
            return _failed(127)
        if depth > SHELL_NESTED:
            say("bash: commands that run commands are nested too deeply")
            return _failed(126)

        def run(inner: list[str], source: Iterator[bytes] | None) -> Inner:
            return self._run(inner, source, place, say, depth + 1)

        call = Call(name.rpartition("/")[2], args, stdin, place, self.meter, say, run)
        return Inner(_guarded(command, call), lambda: call.status)


def _nothing(words: list[str], stdin: Iterator[bytes] | None) -> Inner:
    return _failed(0)


def _failed(status: int) -> Inner:
    return Inner(iter(()), lambda: status)


def _guarded(command: Callable[[Call], Iterator[bytes]], call: Call) -> Iterator[bytes]:
    """Its output; where it is misused, what is said of that."""
    if "--help" in call.args and call.name not in ("echo", "grep", "egrep", "fgrep", "xargs", "find"):
        yield f"{call.name}: as GNU has it, read-only; see `man {call.name}`\n".encode()
        return
    try:
        yield from command(call)
    except Misuse as misuse:
        if misuse.message:
            call.say(misuse.message)
        call.status = misuse.status


def _merged(stream: Iterator[bytes], errors: deque[bytes]) -> Iterator[bytes]:
    """The output with the errors among it, where they came."""
    for block in stream:
        while errors:
            yield errors.popleft()
        yield block
    while errors:
        yield errors.popleft()
