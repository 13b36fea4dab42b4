"""What a command of the shell is given, and how it reads its options and files."""

from __future__ import annotations

import getopt
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import define, field

from rlmlang.compare.shell.tree import File, Folder, Place, reason
from rlmlang.compare.shell.words import Misuse
from rlmlang.errors import Failure
from rlmlang.limits import SHELL_HELD_BYTES, SHELL_SECONDS, SHELL_WORK

LINE_WORK: Final = 100  # what handling one line counts for, in bytes read


class Stopped(Exception):
    """A command line that takes too much: nothing of it goes on."""


@define
class Meter:
    """What one command line may take. Raises Stopped."""

    work: int = SHELL_WORK
    held: int = SHELL_HELD_BYTES
    ends: float = field(factory=lambda: time.monotonic() + SHELL_SECONDS)

    def spend(self, work: int) -> None:
        self.work -= work
        if self.work < 0 or time.monotonic() > self.ends:
            raise Stopped("bash: stopped: the command took too long; look at less at once")

    def hold(self, size: int) -> None:
        self.held -= size
        if self.held < 0:
            raise Stopped("bash: stopped: the command needs too much memory; look at less at once")


@define
class Input:
    """A file that a command reads, by the name it was given: `-` is standard input. Blocks of bytes, each read once."""

    name: str
    blocks: Iterator[bytes]
    file: File | None = None

    def lines(self, meter: Meter) -> Iterator[bytes]:
        """Its lines, with the line ends that they have."""
        for block in whole_lines(self.blocks):
            lines = block.split(b"\n")
            last = lines.pop()
            meter.spend(LINE_WORK * len(lines))
            for line in lines:
                yield line + b"\n"
            if last:
                yield last

    def batches(self, meter: Meter) -> Iterator[list[bytes]]:
        """Its lines without their ends, many at a time."""
        for block in whole_lines(self.blocks):
            lines = block.removesuffix(b"\n").split(b"\n")
            meter.spend(LINE_WORK * len(lines))
            yield lines


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that end where a line ends, but for the last."""
    parts: list[bytes] = []
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts = [block[end:]] if end < len(block) else []
        elif block:
            parts.append(block)
    if parts:
        yield b"".join(parts)


@define
class Call:
    """One command of a command line. It gives its output as blocks of bytes, and sets `status` where that is not 0."""

    name: str
    args: list[str]
    stdin: Iterator[bytes] | None  # None: a terminal, at which nobody types
    place: Place
    meter: Meter
    say: Callable[[str], None]  # a line of standard error
    run: Callable[[list[str], Iterator[bytes] | None], Inner]  # another command, for those that run others
    status: int = 0
    silent: bool = False  # says nothing of files that cannot be read

    def complain(self, message: str, status: int = 1) -> None:
        """Of a file: the command goes on."""
        if not self.silent:
            self.say(f"{self.name}: {message}")
        self.status = max(self.status, status)

    def options(self, short: str, long: str = "", numbers: str | None = None) -> tuple[list[tuple[str, str]], list[str]]:
        """Options (without dashes, with their values) and operands, in any order, as GNU takes them.

        `short` is as `getopt` has it; `long` are names, `=` behind those with a value, as in `"recursive=r include= count=c"`: what stands
        behind the name is the letter that it is the same as (`:` where that has a value). `numbers`: the letter that `-5` stands for.
        Raises Misuse.
        """
        names: dict[str, str] = {}
        known: list[str] = []
        for item in long.split():
            name, _, same = item.partition("=")
            takes = "=" in item and (not same or f"{same}:" in short)
            known.append(name + "=" * takes)
            names[name] = same or name
        args = [arg for arg in self.args if not re.fullmatch(r"--colou?r(=.*)?", arg)]
        if numbers is not None:
            args = _numbered(args, numbers, short)
        try:
            found, operands = getopt.gnu_getopt(args, short, known)
        except getopt.GetoptError as error:
            usage = "Usage: grep [OPTION]... PATTERNS [FILE]...\n" if self.name == "grep" else ""
            more = f"{usage}Try '{self.name} --help' for more information."
            raise Misuse(f"{self.name}: {_misused(error)}\n{more}", self.usage_status) from None
        return [(names.get(key.lstrip("-"), key.lstrip("-")) if key.startswith("--") else key[1:], value) for key, value in found], operands

    @property
    def usage_status(self) -> int:
        return 2 if self.name in ("grep", "egrep", "fgrep", "ls", "list", "dir", "sort", "sed") else 1

    def number(self, text: str, what: str) -> int:
        """A count such as `10`, `2k`, `1M`. Raises Misuse."""
        found = re.fullmatch(r"(\d{1,12})(b|[kK]B?|[MG]B?|[KMG]iB)?", text)
        if not found:
            raise Misuse(f"{self.name}: {what}: ‘{text}’", self.usage_status)
        unit = found[2] or ""
        scale = (
            512
            if unit == "b"
            else (1000 if unit.endswith("B") and "i" not in unit else 1024) ** (" KMG".index(unit[0].upper()) if unit else 0)
        )
        return int(found[1]) * scale

    def inputs(self, operands: list[str]) -> Iterator[Input]:
        """The files of these names that can be read; of the others it is said why not. None: standard input."""
        for name in operands or ["-"]:
            if name == "-":
                yield self.standard_input()
            elif (found := self.opened(name)) is not None:
                yield found

    def standard_input(self) -> Input:
        if self.stdin is None:
            raise Misuse(f"{self.name}: no file is named, and nothing is piped in", self.usage_status)
        return Input("-", self.stdin)

    def opened(self, name: str) -> Input | None:
        try:
            found = self.place.look(name)
        except Misuse as misuse:
            self.complain(f"{self.unreadable(name)}{misuse.message}", self.usage_status)
            return None
        if isinstance(found, Folder):
            self.complain(self.is_folder(name), self.usage_status)
            return None
        return self.of(found, name)

    def of(self, file: File, name: str) -> Input:
        return Input(name, self._read(file, name), file)

    def unreadable(self, name: str) -> str:
        match self.name:
            case "head" | "tail":
                return f"cannot open '{name}' for reading: "
            case "sort":
                return f"cannot read: {name}: "
            case "sed":
                return f"can't read {name}: "
        return f"{name}: "

    def is_folder(self, name: str) -> str:
        match self.name:
            case "head" | "tail":
                return f"error reading '{name}': Is a directory"
            case "sort":
                return f"read failed: {name}: Is a directory"
            case "sed":
                return f"couldn't edit {name}: not a regular file"
        return f"{name}: Is a directory"

    def _read(self, file: File, name: str) -> Iterator[bytes]:
        try:
            for block in file.blocks():
                self.meter.spend(len(block))
                yield block
        except (Failure, OSError) as error:
            self.complain(f"{name}: {reason(error)}", self.usage_status)


@define
class Inner:
    """A command that another runs: its output, and its status once that was read."""

    output: Iterator[bytes]
    status: Callable[[], int]


def _numbered(args: list[str], letter: str, short: str) -> list[str]:
    """`-5` as `-n 5`, where it is no value of another option."""
    found: list[str] = []
    for i, arg in enumerate(args):
        before = args[i - 1] if i else ""
        is_value = re.fullmatch(r"-[A-Za-z]+", before) and f"{before[-1]}:" in short
        if arg == "--":
            return [*found, *args[i:]]
        digits = re.fullmatch(r"-(\d+)(\D*)", arg)
        if digits and not is_value:
            found += [f"-{letter}{digits[1]}", *([f"-{digits[2]}"] if digits[2] else [])]
        else:
            found.append(arg)
    return found


def _misused(error: getopt.GetoptError) -> str:
    """What GNU's getopt says."""
    long = len(error.opt) > 1
    shown = f"'--{error.opt}'" if long else f"-- '{error.opt}'"
    if "requires argument" in error.msg:
        return f"option {shown} requires an argument" if long else f"option requires an argument {shown}"
    if "must not have" in error.msg:
        return f"option {shown} doesn't allow an argument"
    if "not a unique prefix" in error.msg:
        return f"option {shown} is ambiguous"
    return f"unrecognized option {shown}" if long else f"invalid option {shown}"
