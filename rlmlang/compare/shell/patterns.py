"""Regular expressions as grep takes them, written as RE2 takes them, and searched for line by line.

Basic and extended expressions are POSIX's with GNU's additions (`\\w`, `\\s`, `\\b`, `\\<`, and in basic ones `\\+`, `\\?`, `\\|`). They
match the longest text at the leftmost place. RE2 has no back-references, and no look-around for `-P`: these are refused. `\\b`, `\\<` and
`\\>` are about ASCII words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from attrs import frozen

from rlmlang.compare.shell.command import Meter, Stopped
from rlmlang.compare.shell.words import Misuse
from rlmlang.limits import PATTERN_CHARS, SHELL_PATTERN_BYTES, SHELL_PATTERN_WORK

Syntax = Literal["basic", "extended", "fixed", "perl"]

_WORD: Final = r"\pL\pM\pN_"
_CLASSES: Final = {
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": r"[\s\pZ]",
    "S": r"[^\s\pZ]",
    "<": r"\b",
    ">": r"\b",
    "b": r"\b",
    "B": r"\B",
    "`": r"\A",
    "'": r"\z",
}
_AFTER: Final = 8  # matches of a line that are passed over before the next line is searched by itself
_SPECIAL: Final = set(r"\.[]{}()*+?^$|")


@frozen
class Expression:
    """What lines are searched for. `words`: only where no letter is beside it."""

    compiled: Any
    words: bool
    size: int
    starting: Any = None  # with `words`: at the start of a line
    inner: Any = None  # and within it

    def search(self, block: bytes, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
        """The first match in `block`, which is whole lines; None if there is none."""
        stop = len(block) if end is None else end
        match = self.compiled.search(block, start, stop)
        if match is None:
            return None
        found: tuple[int, int] = match.span(1) if self.words else match.span()
        return found

    def starts(self, block: bytes) -> Iterator[int]:
        """Where the first match begins in each line that has one, of a block of whole lines."""
        group = 1 if self.words else 0
        at, after = 0, 0
        while at < len(block):
            for match in self.compiled.finditer(block, at):  # five times as fast as one search after the other
                begin = match.start(group)
                if begin < at:
                    after += 1
                    if after > _AFTER:
                        break
                    continue
                if begin == len(block) and block.endswith(b"\n"):  # behind the last line end is no line
                    return
                yield begin
                at, after = block.find(b"\n", begin) + 1 or len(block), 0
                if at == len(block):
                    return
            else:
                return
            after = 0

    def check(self, block: bytes, meter: Meter) -> None:
        """Raises Stopped where searching a line of this block might take minutes; counts the work."""
        if len(block) * self.size > SHELL_PATTERN_WORK and max(map(len, block.split(b"\n"))) * self.size > SHELL_PATTERN_WORK:
            raise Stopped("grep: a line is too long for this regular expression")
        meter.spend(len(block))

    def all(self, line: bytes) -> Iterator[tuple[int, int]]:
        """The matches in a line that are not empty, left to right."""
        at = 0
        while at <= len(line):
            found = self._word(line, at) if self.words else self.search(line, at)
            if found is None:
                return
            if found[1] > found[0]:
                yield found
            at = max(found[1], at + 1)

    def _word(self, line: bytes, at: int) -> tuple[int, int] | None:
        """The first match from `at` on; what parts it from one before may be the end of that one."""
        before = next((i for i in range(at - 1, 0, -1) if line[i] & 0xC0 != 0x80), 0)
        matches = [self.inner.search(line, before), *([] if at else [self.starting.search(line)])]
        return min((match.span(1) for match in matches if match is not None), default=None)


def compile_all(
    patterns: Sequence[str], syntax: Syntax, *, ignore_case: bool = False, words: bool = False, lines: bool = False
) -> Expression:
    """The expression for any of these patterns. Raises Misuse with what grep says after its name."""
    import re2  # type: ignore[import-untyped]  # here, as it takes a while

    if sum(map(len, patterns)) > PATTERN_CHARS:
        raise Misuse("regular expression too big")
    options = re2.Options()
    options.max_mem = SHELL_PATTERN_BYTES
    options.log_errors = False
    options.never_nl = True
    options.longest_match = syntax != "perl"
    options.case_sensitive = not ignore_case
    written = "|".join(f"(?:{translated(pattern, syntax)})" for pattern in patterns)
    whole = written
    if lines:
        whole = f"^(?:{written})$"
    elif words:
        whole = f"(?:^|[^{_WORD}])({written})(?:[^{_WORD}]|$)"
    try:
        compiled = re2.compile(f"(?m){whole}".encode("utf-8", "replace"), options)
        word = f"({written})(?:[^{_WORD}]|$)"
        parts = [re2.compile(f"(?m){part}{word}".encode("utf-8", "replace"), options) for part in ("^", f"[^{_WORD}]")] if words else []
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise Misuse(_reason(patterns, syntax, reason)) from None
    return Expression(compiled, words and not lines, compiled.programsize, *parts)


def _reason(patterns: Sequence[str], syntax: Syntax, said: str) -> str:
    if "too large" in said or "too big" in said or "compile failed" in said:
        return "regular expression too big"
    if syntax == "perl" and any(re.search(r"\(\?<?[=!]", p) for p in patterns):
        return "look-around such as (?=…) is not supported here"
    if re.search("invalid escape sequence: .[1-9]", said):
        return "back-references such as \\1 are not supported here"
    if "missing )" in said:
        return "Unmatched ( or \\("
    if "missing ]" in said:
        return "Unmatched [, [^, [:, [., or [="
    if "unexpected )" in said:
        return "Unmatched ) or \\)"
    if "range" in said:
        return "Invalid range end"
    if "repetition size" in said:
        return "Regular expression too big" if "{" in "".join(patterns) else said
    return said


def translated(pattern: str, syntax: Syntax) -> str:
    """The pattern as RE2 writes it. Raises Misuse."""
    if syntax == "fixed":
        return re.sub(r"([^\w\s]|_)", _escaped, pattern)
    if syntax == "perl":
        return pattern
    return _Translator(pattern, extended=syntax == "extended").run()


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0] if found[0] in _SPECIAL else found[0]


class _Translator:
    """POSIX to RE2. `out` are the pieces of the branch at hand; `start` is where the last atom of it begins, None where nothing can be
    repeated."""

    def __init__(self, pattern: str, extended: bool) -> None:
        self.pattern = pattern
        self.extended = extended
        self.out: list[str] = []
        self.open: list[int] = []
        self.start: int | None = None
        self.repeated = False
        self.at = 0

    def run(self) -> str:
        while self.at < len(self.pattern):
            self._step()
        if self.open:
            raise Misuse("Unmatched ( or \\(")
        return "".join(self.out)

    def _step(self) -> None:
        c = self.pattern[self.at]
        self.at += 1
        if c == "\\":
            if self.at == len(self.pattern):
                raise Misuse("Trailing backslash")
            c = self.pattern[self.at]
            self.at += 1
            if not self.extended and c in "(){}|+?":
                self._operator(c)
            elif c in _CLASSES:
                self._atom(_CLASSES[c])
            elif c in "123456789":
                raise Misuse("back-references such as \\1 are not supported here")
            else:
                self._atom("\\" + c if c in _SPECIAL else c)
        elif c == "[":
            self._atom(self._bracket())
        elif c == "*" or (self.extended and c in "(){}|+?"):
            self._operator(c)
        elif c == "^":
            anchors = self.extended or not self.out or self.out[-1] in ("(", "|")
            self._anchor("^") if anchors else self._atom(r"\^")
        elif c == "$":
            rest = self.pattern[self.at :]
            anchors = self.extended or not rest or rest.startswith(("\\)", "\\|"))
            self._anchor("$") if anchors else self._atom(r"\$")
        else:
            self._atom(c if c == "." or c not in _SPECIAL else "\\" + c)

    def _atom(self, text: str) -> None:
        self.start = len(self.out)
        self.repeated = False
        self.out.append(text)

    def _anchor(self, text: str) -> None:
        self.start = None
        self.out.append(text)

    def _operator(self, c: str) -> None:
        if c == "(":
            self.open.append(len(self.out))
            self.start = None
            self.out.append("(")
        elif c == ")":
            if not self.open:
                if self.extended:
                    self._atom(r"\)")
                    return
                raise Misuse("Unmatched ) or \\)")
            self.start = self.open.pop()
            self.repeated = False
            self.out.append(")")
        elif c == "|":
            self.start = None
            self.out.append("|")
        elif c == "}":
            self._atom(r"\}")
        else:
            self._repeat(c)

    def _repeat(self, c: str) -> None:
        if c == "{":
            closing = "}" if self.extended else r"\}"
            found = re.compile(r"(\d*)(,?)(\d*)" + re.escape(closing)).match(self.pattern, self.at)
            if not found or not (found[1] or found[2]) or self.start is None:
                if not self.extended and not found:
                    raise Misuse("Unmatched \\{")
                self._atom(r"\{")
                return
            low = int(found[1][:6] or 0)
            high = int(found[3][:6]) if found[3] else None
            if max(low, high or 0) > 0x7FFF or (high is not None and high < low):
                raise Misuse("Regular expression too big" if high is None or high >= low else "Invalid content of \\{\\}")
            self.at = found.end()
            c = f"{{{low}}}" if not found[2] else f"{{{low},{'' if high is None else high}}}"
        elif self.start is None:
            if c == "*" or not self.extended:  # nothing to repeat: itself
                self._atom("\\" + c)
            return
        start = self.start
        assert start is not None
        if self.repeated:  # `a**`, which RE2 has no meaning for, or another
            self.out[start:] = ["(?:" + "".join(self.out[start:]) + ")"]
        self.repeated = True
        self.out.append(c)

    def _bracket(self) -> str:
        """`[…]` from behind its `[` on: in POSIX a backslash in it is itself, and a `]` that stands first."""
        found = re.compile(r"(\^?)(\]?(?:\[:\w+:\]|\[=.=\]|\[\..\.\]|[^\]\[]|\[(?![:.=]))*)\]").match(self.pattern, self.at)
        if not found:
            raise Misuse("Unmatched [, [^, [:, [., or [=")
        self.at = found.end()
        inside = re.sub(r"\[[=.](.)[=.]\]", r"\1", found[2])
        parts = re.split(r"(\[:\w+:\])", inside)
        written = "".join(_class(part) if i % 2 else re.sub(r"([\\\[\]^])", r"\\\1", part) for i, part in enumerate(parts))
        return f"[{found[1]}{written}]"


def _class(name: str) -> str:
    known = {
        "[:alpha:]": r"\pL\pM",
        "[:alnum:]": r"\pL\pM\pN",
        "[:upper:]": r"\p{Lu}",
        "[:lower:]": r"\p{Ll}",
        "[:punct:]": r"[:punct:]\pP\pS",
    }
    if name in known:
        return known[name]
    if name not in ("[:digit:]", "[:space:]", "[:blank:]", "[:xdigit:]", "[:cntrl:]", "[:print:]", "[:graph:]"):
        raise Misuse("Invalid character class name")
    return name
