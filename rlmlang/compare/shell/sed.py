"""`sed` as far as it shows lines: the commands `p`, `d`, `q` and `=`, each with one address or two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import define

from rlmlang.compare.shell.command import Call
from rlmlang.compare.shell.patterns import Expression, compile_all
from rlmlang.compare.shell.words import Misuse

_ADDRESS: Final = r"(\d{1,12}|\$|/(?:[^/\\\n]|\\.)*/)"
_COMMAND: Final = re.compile(
    rf"\s*(?:{_ADDRESS}\s*(?:,\s*(\+\d{{1,9}}|{_ADDRESS[1:-1]}))?)?\s*(!?)\s*([a-zA-Z={{}}])?[ \t]*(?:[;\n]|$|(?=\}}))"
)

Address = int | str | Expression  # a line, `$` or `+N`, an expression


@define
class _Step:
    start: Address | None
    end: Address | None
    negated: bool
    action: str
    inside: bool = False
    until: int = 0

    def applies(self, number: int, line: bytes, last: bool) -> bool:
        return self._selected(number, line, last) is not self.negated

    def _selected(self, number: int, line: bytes, last: bool) -> bool:
        if self.start is None:
            return True
        if self.end is None:
            return _at(self.start, number, line, last)
        if self.inside:
            if isinstance(self.end, Expression):
                self.inside = not _at(self.end, number, line, last)
            elif self.end != "$":
                if number > self.until:
                    self.inside = False
                    return _at(self.start, number, line, last) and self._begin(number)
                self.inside = number < self.until
            return True
        return _at(self.start, number, line, last) and self._begin(number)

    def _begin(self, number: int) -> bool:
        if isinstance(self.end, str) and self.end.startswith("+"):
            self.until = number + int(self.end[1:])
        elif isinstance(self.end, int):
            self.until = self.end
        self.inside = isinstance(self.end, Expression) or self.end == "$" or self.until > number
        return True


def _at(address: Address, number: int, line: bytes, last: bool) -> bool:
    if isinstance(address, int):
        return number == address
    if isinstance(address, str):
        return last
    return address.search(line) is not None


def sed(call: Call) -> Iterator[bytes]:
    found, operands = call.options("nEre:i", "quiet=n silent=n regexp-extended=E expression=e: in-place=i help=help")
    keys = {key for key, _ in found}
    if "i" in keys:
        raise Misuse("sed: couldn't edit in place: Read-only file system", 4)
    scripts = [value for key, value in found if key == "e"]
    if not scripts:
        if not operands:
            raise Misuse("Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...", 1)
        scripts = [operands.pop(0)]
    steps = _steps("\n".join(scripts), extended=bool(keys & {"E", "r"}))
    quiet = "n" in keys
    needs_last = any("$" in (step.start, step.end) for step in steps)

    def lines() -> Iterator[bytes]:
        for source in call.inputs(operands):
            yield from source.lines(call.meter)

    stream = lines()
    line = next(stream, None)
    number = 0
    while line is not None:
        number += 1
        following = next(stream, None) if needs_last else b""
        text = line.removesuffix(b"\n")
        whole = text + b"\n" if line.endswith(b"\n") or (needs_last and following is not None) else line
        kept = not quiet
        ends = False
        for step in steps:
            for address in (step.start, step.end):
                if isinstance(address, Expression):
                    address.check(text, call.meter)
            if not step.applies(number, text, needs_last and following is None):
                continue
            if step.action == "p":
                yield whole
            elif step.action == "=":
                yield b"%d\n" % number
            elif step.action == "d":
                kept = False
                break
            else:
                ends = True
                break
        if kept:
            yield text + b"\n" if ends else whole
        if ends:
            return
        line = following if needs_last else next(stream, None)


def _steps(script: str, extended: bool) -> list[_Step]:
    found: list[_Step] = []
    at = 0
    while at < len(script) and script[at:].strip():
        match = _COMMAND.match(script, at)
        if not match or not match[4] or match[4] not in "pdq=":
            raise Misuse("sed: only the commands p, d, q and = are known here, such as: sed -n '10,20p' FILE", 1)
        start, end = (_address(text, extended) for text in (match[1], match[2]))
        if start == 0:
            raise Misuse("sed: -e expression #1: invalid usage of line address 0", 1)
        found.append(_Step(start, end, match[3] == "!", match[4]))
        at = match.end()
    return found


def _address(text: str | None, extended: bool) -> Address | None:
    if text is None or text == "$" or text.startswith("+"):
        return text
    if text.isdigit():
        return int(text)
    try:
        return compile_all([re.sub(r"\\/", "/", text[1:-1])], "extended" if extended else "basic")
    except Misuse as misuse:
        raise Misuse(f"sed: -e expression #1: {misuse.message}", 1) from None
