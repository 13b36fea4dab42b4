"""`grep`: lines that match, from files, folders or a pipe."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

from attrs import define

from rlmlang.compare.shell.command import LINE_WORK, Call, Input, whole_lines
from rlmlang.compare.shell.patterns import Expression, Syntax, compile_all
from rlmlang.compare.shell.tree import File, Folder, compiled, unescaped
from rlmlang.compare.shell.words import Misuse

_SHORT: Final = "EFGPiyvwxclLnHhoqsrRaIbzZTUe:f:m:A:B:C:"
_LONG: Final = (
    "extended-regexp=E fixed-strings=F basic-regexp=G perl-regexp=P ignore-case=i invert-match=v word-regexp=w "
    "line-regexp=x count=c files-with-matches=l files-without-match=L line-number=n with-filename=H no-filename=h only-matching=o quiet=q "
    "silent=q no-messages=s recursive=r dereference-recursive=R text=a regexp=e file=f max-count=m after-context=A before-context=B "
    "context=C include= exclude= exclude-dir= binary-files= line-buffered=U byte-offset=b null=Z null-data=z initial-tab=T help=help"
)
_SYNTAX: Final[dict[str, Syntax]] = {"E": "extended", "F": "fixed", "G": "basic", "P": "perl"}


@define
class _Asked:
    """What the options ask for."""

    inverted: bool = False
    counts: bool = False
    lists: Literal["matching", "others"] | None = None
    numbers: bool = False
    offsets: bool = False
    names: bool | None = None
    only: bool = False
    quiet: bool = False
    recursive: bool = False
    text: bool = False
    skips_binary: bool = False
    most: int | None = None
    before: int = 0
    after: int = 0
    context: bool = False
    end: bytes = b":"  # behind a file's name: `-Z` has a zero byte


def grep(call: Call) -> Iterator[bytes]:
    found, operands = call.options(_SHORT, _LONG, "C")
    asked, patterns, flags = _Asked(), list[str](), set[str]()
    syntax: Syntax = "extended" if call.name == "egrep" else "fixed" if call.name == "fgrep" else "basic"
    filters: list[tuple[str, str]] = []
    for key, value in found:
        match key:
            case "E" | "F" | "G" | "P":
                syntax = _SYNTAX[key]
            case "e":
                patterns += value.split("\n")
            case "f":
                patterns += _patterns_of(call, value)
            case "i" | "y" | "w" | "x":
                flags.add("i" if key == "y" else key)
            case "l" | "L":
                asked.lists = "matching" if key == "l" else "others"
            case "H" | "h":
                asked.names = key == "H"
            case "m":
                asked.most = _count(value, "invalid max count") if not value.startswith("-") else None
            case "A" | "B" | "C":
                lines = _count(value, f"{value}: invalid context length argument")
                asked.context = True
                asked.after = lines if key != "B" else asked.after
                asked.before = lines if key != "A" else asked.before
            case "include" | "exclude" | "exclude-dir":
                filters.append((key, value))
            case "binary-files":
                asked.text, asked.skips_binary = value == "text", value == "without-match"
            case "s":
                call.silent = True
            case "z":
                raise Misuse("grep: -z: not supported here")
            case "help":
                yield b"grep: as GNU grep; options: -EFGP -ivwx -clLnHhoqs -raIbZ -e -f -m -A -B -C --include --exclude --exclude-dir\n"
                return
            case _:
                _set(asked, key)
    if not patterns:
        if not operands or ("e", "") in found:
            if ("e", "") not in found:
                raise Misuse("Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.")
        else:
            patterns = operands.pop(0).split("\n")
    try:
        expression = compile_all(patterns, syntax, ignore_case="i" in flags, words="w" in flags, lines="x" in flags)
    except Misuse as misuse:
        raise Misuse(f"grep: {misuse.message}") from None
    if asked.recursive and not operands and call.stdin is None:
        operands = ["."]
        inputs = _below(call, operands, asked, filters, strip=True)
    elif asked.recursive:
        inputs = _below(call, operands, asked, filters)
    else:
        inputs = call.inputs(operands)
    names = asked.names if asked.names is not None else len(operands) > 1 or (asked.recursive and _has_folder(call, operands))
    yield from _search(call, inputs, expression, asked, names)


def _set(asked: _Asked, key: str) -> None:
    match key:
        case "v":
            asked.inverted = True
        case "c":
            asked.counts = True
        case "n":
            asked.numbers = True
        case "b":
            asked.offsets = True
        case "o":
            asked.only = True
        case "q":
            asked.quiet = True
        case "r" | "R":
            asked.recursive = True
        case "a":
            asked.text = True
        case "I":
            asked.skips_binary = True
        case "Z":
            asked.end = b"\0"


def _count(text: str, what: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text):
        raise Misuse(f"grep: {what}")
    return int(text)


def _patterns_of(call: Call, name: str) -> list[str]:
    found = call.standard_input() if name == "-" else call.opened(name)
    if found is None:
        raise Misuse("", 2)
    return b"".join(found.blocks).decode("utf-8", "replace").removesuffix("\n").split("\n")


def _has_folder(call: Call, operands: list[str]) -> bool:
    for name in operands:
        try:
            if isinstance(call.place.look(name), Folder):
                return True
        except Misuse:
            pass
    return False


def _below(call: Call, operands: list[str], asked: _Asked, filters: list[tuple[str, str]], strip: bool = False) -> Iterator[Input]:
    """The files in these folders, and these files, that the filters let through."""
    tests = [(kind, compiled(unescaped(glob))) for kind, glob in filters]
    for name in operands or ["-"]:
        if name == "-":
            yield call.standard_input()
            continue
        try:
            top = call.place.look(name)
        except Misuse as misuse:
            call.complain(f"{name}: {misuse.message}", 2)
            continue
        pending: list[tuple[str, File | Folder]] = [(name, top)]
        while pending:
            path, entry = pending.pop()
            call.meter.spend(LINE_WORK)
            if isinstance(entry, Folder):
                if path != name and not _lets(tests, entry.name, folder=True):
                    continue
                prefix = "" if strip and path == name else path.rstrip("/") + "/"
                pending += [(prefix + inner.name, inner) for inner in reversed(entry.sorted())]
            elif _lets(tests, entry.name, folder=False):
                yield call.of(entry, path)


def _lets(tests: list[tuple[str, re.Pattern[str]]], name: str, folder: bool) -> bool:
    """As grep has it: where the first filter is an `--include`, what none names is left out; the last that names it decides."""
    allowed: bool | None = None
    kinds = ("exclude-dir",) if folder else ("include", "exclude")
    mine = [(kind, test) for kind, test in tests if kind in kinds]
    for kind, test in mine:
        if test.match(name.rstrip("/")):
            allowed = kind == "include"
    return allowed if allowed is not None else not (mine and all(kind == "include" for kind, _ in mine))


def _search(call: Call, inputs: Iterator[Input], expression: Expression, asked: _Asked, names: bool) -> Iterator[bytes]:
    any_match = False
    parted = False  # whether lines with context were shown, from which others are parted by `--`
    for source in inputs:
        shown = "(standard input)" if source.name == "-" else source.name
        name = shown.encode() + asked.end
        state = _State(call, expression, asked, name if names else b"", shown, parted)
        yield from state.run(source)
        parted = state.parted
        any_match |= state.count > 0 if asked.lists != "others" else state.count == 0
        if asked.quiet and state.count:
            call.status = 0
            return
        if asked.lists:
            if (state.count > 0) == (asked.lists == "matching"):
                yield shown.encode() + (b"\0" if asked.end == b"\0" else b"\n")
        elif asked.counts and not asked.quiet and not state.skipped:
            yield (name if names else b"") + b"%d\n" % state.count
    if call.status == 0 and not any_match:
        call.status = 1


@define
class _State:
    """The search in one file."""

    call: Call
    expression: Expression
    asked: _Asked
    name: bytes
    shown: str
    parted: bool
    count: int = 0
    skipped: bool = False
    line: int = 0  # lines before what is looked at
    offset: int = 0  # bytes before it
    last: int = -1  # the last line that was shown
    left: int = 0  # lines of context that are still to come
    binary: bool = False

    def run(self, source: Input) -> Iterator[bytes]:
        asked = self.asked
        silent = asked.quiet or asked.lists is not None
        kept: deque[tuple[int, int, bytes]] = deque()
        if asked.most == 0:
            return
        blocks = whole_lines(source.blocks)
        first = next(blocks, None)
        if first is None:
            return
        self.binary = not asked.text and b"\0" in first[:32768]
        if self.binary and asked.skips_binary:
            self.skipped = True
            return
        simple = not (silent or self.binary or asked.context or asked.only or asked.numbers or asked.offsets or self.name)
        simple = simple and asked.most is None
        for block in itertools.chain([first], blocks):
            self.expression.check(block, self.call.meter)
            if simple and (quick := self._quickly(block)) is not None:
                yield quick
                continue
            for start, end, matches in self._lines(block):
                if not matches:
                    if self.left and not silent and not asked.counts:
                        self.left -= 1
                        yield from self._show(block, start, end, b"-")
                    elif asked.before:
                        kept.append((self.line, self.offset + start, block[start:end]))
                        self.call.meter.hold(end - start)
                        if len(kept) > asked.before:
                            self.call.meter.hold(-len(kept.popleft()[2]))
                    self.line += 1
                    continue
                self.count += 1
                if silent:
                    return
                if not asked.counts:
                    if self.binary or (not asked.text and _odd(block[start:end])):
                        self.call.say(f"grep: {self.shown}: binary file matches")
                        return
                    if asked.context and not asked.only:
                        first_line = kept[0][0] if kept else self.line
                        if self.parted and (self.last < 0 or first_line > self.last + 1):
                            yield b"--\n"
                    elif asked.context and self.parted and self.line > self.last + 1:
                        yield b"--\n"
                    for number, offset, text in kept:
                        if not asked.only:
                            yield self._line(number, offset, text, b"-")
                    kept.clear()
                    yield from self._show(block, start, end, b":")
                    self.parted = self.parted or asked.context
                    self.left = asked.after
                self.line += 1
                if asked.most is not None and self.count >= asked.most:
                    yield from self._rest(block, end)
                    return
            self.offset += len(block)

    def _quickly(self, block: bytes) -> bytes | None:
        """The lines of a block that are asked for, where nothing else is shown of them; None where they are no text."""
        inverted, counts = self.asked.inverted, self.asked.counts
        parts: list[bytes] = []
        lines = at = 0
        for found in self.expression.starts(block):
            start = block.rfind(b"\n", at, found) + 1 or at
            end = block.find(b"\n", found) + 1 or len(block)
            lines += 1
            if not counts:
                parts.append(block[at:start] if inverted else block[start:end])
            at = end
        self.call.meter.spend(LINE_WORK * lines)
        if inverted:
            lines = block.count(b"\n") + (not block.endswith(b"\n")) - lines
            parts.append(block[at:])
        shown = b"" if counts else b"".join(parts)
        if not counts and not self.asked.text and _odd(shown):
            return None
        self.count += lines
        return shown + b"\n" if shown and not shown.endswith(b"\n") else shown

    def _lines(self, block: bytes) -> Iterator[tuple[int, int, bool]]:
        """The lines of a block that matter: start, end, whether each is one that is asked for. Others are only counted."""
        every = bool(self.asked.before)
        at = 0
        for found in self.expression.starts(block):
            start = block.rfind(b"\n", at, found) + 1 or at
            end = block.find(b"\n", found) + 1 or len(block)
            yield from self._between(block, at, start, every)
            self.call.meter.spend(LINE_WORK)
            yield start, end, not self.asked.inverted
            at = end
        yield from self._between(block, at, len(block), every)

    def _between(self, block: bytes, at: int, end: int, every: bool) -> Iterator[tuple[int, int, bool]]:
        """The lines without a match."""
        wanted = self.asked.inverted
        while at < end:
            if not (wanted or every or self.left):
                self.line += block.count(b"\n", at, end)
                return
            next_ = block.find(b"\n", at, end) + 1 or end
            self.call.meter.spend(LINE_WORK)
            yield at, next_, wanted
            at = next_

    def _rest(self, block: bytes, at: int) -> Iterator[bytes]:
        """The context behind the last line that is asked for."""
        while self.left and at < len(block) and not self.asked.counts:
            end = block.find(b"\n", at) + 1 or len(block)
            self.left -= 1
            yield from self._show(block, at, end, b"-")
            self.line += 1
            at = end

    def _show(self, block: bytes, start: int, end: int, sign: bytes) -> Iterator[bytes]:
        self.last = self.line
        text = block[start:end]
        if not self.asked.only:
            yield self._line(self.line, self.offset + start, text, sign)
        elif sign == b":" and not self.asked.inverted:
            text = text.removesuffix(b"\n")
            for a, b in self.expression.all(text):
                yield self._line(self.line, self.offset + start + a, text[a:b], sign)

    def _line(self, number: int, offset: int, text: bytes, sign: bytes) -> bytes:
        head = self.name if sign == b":" or self.name.endswith(b"\0") else self.name[:-1] + sign if self.name else b""
        if self.asked.numbers:
            head += b"%d" % (number + 1) + sign
        if self.asked.offsets:
            head += b"%d" % offset + sign
        return head + text + (b"" if text.endswith(b"\n") else b"\n")


def _odd(line: bytes) -> bool:
    """Whether a line is no text."""
    if b"\0" in line:
        return True
    if line.isascii():
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False
