"""`sort`: lines in the order of their bytes, or of their keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from attrs import field, frozen

from rlmlang.compare.shell.command import LINE_WORK, Call
from rlmlang.compare.shell.words import Misuse

_FIELD: Final = re.compile(rb"[ \t]*[^ \t]*")
_NUMBER: Final = re.compile(rb"[ \t]*(-?)(\d*)((?:\.\d*)?)")
_GENERAL: Final = re.compile(rb"[ \t]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)")
_HUMAN: Final = b"KMGTPEZY"
_MONTHS: Final = b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_ENDING: Final = re.compile(rb"(?:\.[A-Za-z~][A-Za-z0-9~]*)+\Z")
_LINE_BYTES: Final = 60  # that a line takes beside its text
_KEY_BYTES: Final = 150  # that what it is compared by takes
_BATCH: Final = 1_000  # lines that are given at once
_DIGITS: Final = 1_000  # of a number that is compared


@frozen
class _Key:
    """`-k start.char,end.char` with its letters; `flags` are those of the whole command where it has none."""

    start: int = 1
    start_char: int = 1
    end: int | None = None
    end_char: int = 0
    flags: frozenset[str] = field(default=frozenset())

    def of(self, line: bytes, separator: bytes | None) -> bytes:
        """The part of a line that it is about."""
        places = _places(line, separator)
        begin = places[self.start - 1][0] if self.start <= len(places) else len(line)
        if "b" in self.flags:
            begin = _past_blanks(line, begin)
        begin = min(begin + self.start_char - 1, len(line))
        if self.end is None or self.end > len(places):
            stop = len(line)
        elif self.end_char == 0:
            stop = places[self.end - 1][1]
        else:
            stop = places[self.end - 1][0]
            if "b" in self.flags:
                stop = _past_blanks(line, stop)
            stop = min(stop + self.end_char, len(line))
        return line[begin : max(begin, stop)]


def _places(line: bytes, separator: bytes | None) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    if separator is None:
        at = 0
        while at < len(line):
            match = _FIELD.match(line, at)
            assert match is not None
            found.append(match.span())
            at = match.end()
        return found
    at = 0
    for part in line.split(separator):
        found.append((at, at + len(part)))
        at += len(part) + len(separator)
    return found


def _past_blanks(line: bytes, at: int) -> int:
    while at < len(line) and line[at : at + 1] in (b" ", b"\t"):
        at += 1
    return at


def sort(call: Call) -> Iterator[bytes]:
    found, operands = call.options(
        "bdfghiMnRrVcCmo:sk:t:uzS:T:",
        "ignore-leading-blanks=b dictionary-order=d ignore-case=f general-numeric-sort=g human-numeric-sort=h month-sort=M numeric-sort=n "
        "random-sort=R reverse=r version-sort=V check=c merge=m output=o: stable=s key=k: field-separator=t: unique=u zero-terminated=z",
    )
    given = {key for key, _ in found}
    for key, value in found:
        if key == "o":
            raise Misuse(f"sort: open failed: {value}: Read-only file system")
        if key in ("R", "c", "C", "z", "i"):
            raise Misuse(f"sort: -{key}: not supported here")
    flags = frozenset(given & set("bdfghMnrV"))
    separator: bytes | None = None
    for key, value in found:
        if key == "t":
            value = "\0" if value == "\\0" else value
            if len(value) != 1:
                raise Misuse("sort: empty tab" if not value else f"sort: multi-character tab ‘{value}’")
            separator = value.encode()
    keys = [_key(value, flags) for key, value in found if key == "k"]
    whole = not keys
    keys = keys or [_Key(flags=flags)]
    lines: list[bytes] = []
    for source in call.inputs(operands):
        for batch in source.batches(call.meter):
            call.meter.hold(sum(map(len, batch)) + _LINE_BYTES * len(batch))
            lines += batch
    plain = whole and not flags - {"r"}
    call.meter.hold(0 if plain else _KEY_BYTES * len(lines))
    call.meter.spend(LINE_WORK * len(lines) * (1 if plain else 10 * len(keys)))

    def part(key: _Key, line: bytes) -> bytes:
        return line if whole and "b" not in key.flags else key.of(line, separator)

    def compared_by(key: _Key) -> Callable[[bytes], Any]:
        rule = _rule(key.flags)
        return lambda line: rule(part(key, line))

    compared = [] if plain else [(compared_by(key), "r" in key.flags) for key in keys]
    if not plain and "s" not in given and "u" not in given:
        compared.append((bytes, "r" in flags))
    for of, reverse in reversed(compared):
        lines.sort(key=of, reverse=reverse)
    if plain:
        lines.sort(reverse="r" in flags)
    if "u" in given:
        lines = _unique(lines, [of for of, _ in compared] or [bytes])
    for at in range(0, len(lines), _BATCH):
        yield b"\n".join(lines[at : at + _BATCH]) + b"\n"


def _unique(lines: list[bytes], keys: list[Callable[[bytes], Any]]) -> list[bytes]:
    found: list[bytes] = []
    last: list[Any] | None = None
    for line in lines:
        own = [key(line) for key in keys]
        if own != last:
            found.append(line)
            last = own
    return found


def _key(text: str, flags: frozenset[str]) -> _Key:
    match = re.fullmatch(r"(\d{1,6})(?:\.(\d{1,6}))?([bdfghiMnrV]*)(?:,(\d{1,6})(?:\.(\d{1,6}))?([bdfghiMnrV]*))?", text)
    if not match:
        raise Misuse(
            f"sort: invalid number at field start: invalid count at start of ‘{text}’"
            if not text[:1].isdigit()
            else f"sort: stray character in field spec: invalid field specification ‘{text}’"
        )
    if int(match[1]) == 0 or (match[4] and int(match[4]) == 0):
        raise Misuse(f"sort: field number is zero: invalid field specification ‘{text}’")
    if match[2] and int(match[2]) == 0:
        raise Misuse(f"sort: character offset is zero: invalid field specification ‘{text}’")
    own = frozenset(match[3] + (match[6] or ""))
    return _Key(int(match[1]), int(match[2] or 1), int(match[4]) if match[4] else None, int(match[5] or 0), own or flags)


def _rule(flags: frozenset[str]) -> Callable[[bytes], Any]:
    """What a part is compared by."""
    if "n" in flags:
        return _numeric
    if "g" in flags:
        return _general
    if "h" in flags:
        return _human
    if "M" in flags:
        return lambda part: next((i + 1 for i, m in enumerate(_MONTHS) if part.lstrip(b" \t")[:3].upper() == m), 0)
    if "V" in flags:
        return _version
    if "d" in flags and "f" in flags:
        return lambda part: re.sub(rb"[^A-Za-z0-9 \t]", b"", part).upper()
    if "d" in flags:
        return lambda part: re.sub(rb"[^A-Za-z0-9 \t]", b"", part)
    return bytes.upper if "f" in flags else lambda part: part


def _numeric(part: bytes) -> Decimal:
    match = _NUMBER.match(part)
    assert match is not None
    digits = match[2].lstrip(b"0")
    if len(digits) > _DIGITS:
        return Decimal((match[1] != b"", (1,), len(digits)))
    return Decimal((match[1] + b"0" + digits + match[3][:_DIGITS]).decode())


def _general(part: bytes) -> tuple[int, float]:
    match = _GENERAL.match(part)
    return (1, float(match[1])) if match and len(match[1]) < _DIGITS else (0, 0.0)


def _human(part: bytes) -> tuple[int, Decimal]:
    match = _NUMBER.match(part)
    assert match is not None
    number = _numeric(part)
    unit = _HUMAN.find(part[match.end() : match.end() + 1].upper()) + 1 if match.end() < len(part) else 0
    sign = (number > 0) - (number < 0)
    return sign * unit, number


def _version(name: bytes) -> tuple[Any, ...]:
    """`file2` before `file10`: runs of digits by their number, letters before what is none; hidden names first; endings count last."""
    hidden = [b"", b".", b".."].index(name) if name in (b"", b".", b"..") else 3 if name.startswith(b".") else 4
    ending = _ENDING.search(name, 1)
    return hidden, _version_parts(name[: ending.start()] if ending else name), _version_parts(name)


def _version_parts(part: bytes) -> list[tuple[tuple[int, ...], tuple[int, bytes]]]:
    found = re.findall(rb"([^0-9]*)([0-9]*)", part)
    return [((*map(_letters_first, text), 0), (len(number.lstrip(b"0")), number.lstrip(b"0"))) for text, number in found]


def _letters_first(code: int) -> int:
    return -1 if code == ord("~") else code if code < 128 and chr(code).isalpha() else code + 256
