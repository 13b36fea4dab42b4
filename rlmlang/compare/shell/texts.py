"""Commands on lines and bytes: `cat head tail wc uniq cut tr nl rev tac echo`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from rlmlang.compare.shell.command import Call, Input, whole_lines
from rlmlang.compare.shell.tree import Folder
from rlmlang.compare.shell.words import Misuse


def _visible(code: int) -> bytes:
    """A byte as `cat -v` shows it."""
    if code >= 128:
        return b"M-" + _visible(code - 128)
    return b"\t" if code == 9 else bytes([94, code ^ 64]) if code < 32 or code == 127 else bytes([code])


_VISIBLE: Final = [_visible(code) if code != 137 else b"M-^I" for code in range(256)]


def cat(call: Call) -> Iterator[bytes]:
    found, operands = call.options(
        "AbeEnstTuv", "number=n number-nonblank=b show-ends=E squeeze-blank=s show-all=A show-tabs=T show-nonprinting=v help=help"
    )
    keys = {key for key, _ in found}
    number, filled, squeeze = "n" in keys, "b" in keys, "s" in keys
    ends, tabs, escapes = bool(keys & {"A", "e", "E"}), bool(keys & {"A", "t", "T"}), bool(keys & {"A", "e", "t", "v"})
    at, empty = 0, False
    for source in call.inputs(operands):
        if not (number or filled or squeeze or ends or tabs or escapes):
            yield from source.blocks
            continue
        for line in source.lines(call.meter):
            if squeeze and empty and line == b"\n":
                continue
            empty = line == b"\n"
            if (number and not filled) or (filled and not empty):
                at += 1
                yield b"%6d\t" % at
            line, newline = (line[:-1], b"\n") if line.endswith(b"\n") else (line, b"")
            if escapes:
                call.meter.spend(4 * len(line))
                line = b"".join([_VISIBLE[code] for code in line])
            yield (line.replace(b"\t", b"^I") if tabs else line) + (b"$" if ends and newline else b"") + newline


def head(call: Call) -> Iterator[bytes]:
    yield from _ends(call, "head")


def tail(call: Call) -> Iterator[bytes]:
    yield from _ends(call, "tail")


def _ends(call: Call, which: str) -> Iterator[bytes]:
    short = "n:c:qvz" if which == "head" else "n:c:qvfFs:z"
    args = call.args
    if which == "tail" and args and (old := re.fullmatch(r"\+(\d+)", args[0])):
        call.args = ["-n", args[0], *args[1:]]
        del old
    found, operands = call.options(short, "lines=n: bytes=c: quiet=q silent=q verbose=v follow=f", "n")
    unit, count, sign, titles = "n", 10, "", len(operands) > 1
    for key, value in found:
        if key in ("n", "c"):
            unit, sign = key, value[:1] if value[:1] in ("+", "-") else ""
            what = "lines" if key == "n" else "bytes"
            count = call.number(value[len(sign) :], f"invalid number of {what}")
        elif key in ("q", "v"):
            titles = key == "v"
        elif key in ("f", "F", "s", "z"):
            raise Misuse(f"{call.name}: -{key}: not supported here", 1)
    first = True
    for source in call.inputs(operands):
        if titles:
            shown = "standard input" if source.name == "-" else source.name
            yield f"{'' if first else chr(10)}==> {shown} <==\n".encode()
        first = False
        if which == "head":
            part = _all_but(call, source, unit, count) if sign == "-" else _first(source, unit, count)
        else:
            part = _from(source, unit, max(count - 1, 0)) if sign == "+" else _last(call, source, unit, count)
        yield from part


def _first(source: Input, unit: str, count: int) -> Iterator[bytes]:
    if count == 0:
        return
    for block in source.blocks:
        if unit == "c":
            yield block[:count]
            count -= len(block)
        else:
            lines = block.count(b"\n")
            if lines >= count:
                end = -1
                for _ in range(count):
                    end = block.index(b"\n", end + 1)
                yield block[: end + 1]
            else:
                yield block
            count -= lines
        if count <= 0:
            return


def _from(source: Input, unit: str, skip: int) -> Iterator[bytes]:
    """All but the first."""
    for block in source.blocks:
        if not skip:
            yield block
        elif unit == "c":
            yield block[skip:]
            skip = max(0, skip - len(block))
        else:
            lines = block.count(b"\n")
            if lines >= skip:
                end = -1
                for _ in range(skip):
                    end = block.index(b"\n", end + 1)
                yield block[end + 1 :]
            skip = max(0, skip - lines)


def _last(call: Call, source: Input, unit: str, count: int) -> Iterator[bytes]:
    if count == 0:
        return
    kept: deque[bytes] = deque()
    having = 0  # bytes or line ends that are kept
    last = b""
    for block in source.blocks:
        if not block:
            continue
        kept.append(block)
        call.meter.hold(len(block))
        having += _units(block, unit)
        last = block
        while having - _units(kept[0], unit) > count:
            having -= _units(kept[0], unit)
            call.meter.hold(-len(kept.popleft()))
    data = b"".join(kept)
    if unit == "c":
        yield data[-count:]
        return
    end = len(data) - (1 if last.endswith(b"\n") else 0)
    for _ in range(count):
        end = data.rfind(b"\n", 0, max(end, 0))
        if end < 0:
            break
    yield data[end + 1 :]


def _units(block: bytes, unit: str) -> int:
    return len(block) if unit == "c" else block.count(b"\n")


def _all_but(call: Call, source: Input, unit: str, count: int) -> Iterator[bytes]:
    """All but the last."""
    kept: deque[bytes] = deque()
    parts = source.blocks if unit == "c" else source.lines(call.meter)
    having = 0
    for part in parts:
        kept.append(part)
        call.meter.hold(len(part))
        having += len(part) if unit == "c" else 1
        while kept and having - (len(kept[0]) if unit == "c" else 1) >= count:
            having -= len(kept[0]) if unit == "c" else 1
            call.meter.hold(-len(kept[0]))
            yield kept.popleft()
    if unit == "c" and having > count:
        yield b"".join(kept)[:-count] if count else b"".join(kept)


_COUNTS: Final = "lwmcL"


def wc(call: Call) -> Iterator[bytes]:
    found, operands = call.options("lwcmL", "lines=l words=w bytes=c chars=m max-line-length=L total= help=help")
    keys = {key for key, _ in found} & set(_COUNTS) or {"l", "w", "c"}
    rows: list[tuple[list[int], str]] = []
    sizes, piped = 0, False
    for name in operands or ["-"]:
        if name != "-" and _is_folder(call, name):
            call.complain(call.is_folder(name))
            rows.append(([0] * 5, name))
            piped = True  # as wc has it: what is no regular file widens the columns
            continue
        source = call.standard_input() if name == "-" else call.opened(name)
        if source is None:
            continue
        rows.append((_counted(call, source, keys), name if operands else ""))
        piped |= source.file is None
        sizes += rows[-1][0][3]
    several = len(operands) > 1
    if several:
        rows.append(([*(sum(row[i] for row, _ in rows) for i in range(4)), max((row[4] for row, _ in rows), default=0)], "total"))
    single = len(keys) == 1 and not several
    width = 1 if single else 7 if piped else len(str(sizes))
    for numbers, name in rows:
        columns = [f"{number:{width}d}" for key, number in zip(_COUNTS, numbers, strict=True) if key in keys]
        yield (" ".join(columns) + (f" {name}" if name else "") + "\n").encode()


def _is_folder(call: Call, name: str) -> bool:
    try:
        return isinstance(call.place.look(name), Folder)
    except Misuse:
        return False


def _counted(call: Call, source: Input, keys: set[str]) -> list[int]:
    """Lines, words, characters, bytes, and the longest line."""
    lines = words = chars = size = longest = 0
    blocks: Iterable[bytes] = whole_lines(source.blocks) if keys & {"w", "m", "L"} else source.blocks
    for block in blocks:
        lines += block.count(b"\n")
        size += len(block)
        if "w" in keys:
            call.meter.spend(4 * len(block))
            words += len(block.split())
        if keys & {"m", "L"}:
            text = block.decode("utf-8", "ignore")
            chars += len(text)
            if "L" in keys:
                call.meter.spend(4 * len(block))
                longest = max(longest, *(len(line.expandtabs()) for line in text.split("\n")))
    return [lines, words, chars, size, longest]


def uniq(call: Call) -> Iterator[bytes]:
    found, operands = call.options(
        "cdDuif:s:w:z", "count=c repeated=d unique=u ignore-case=i skip-fields=f: skip-chars=s: check-chars=w:", "f"
    )
    keys = {key for key, _ in found}
    numbers = {key: call.number(value, "invalid number") for key, value in found if key in ("f", "s", "w")}
    if "D" in keys or "z" in keys:
        raise Misuse("uniq: -D and -z: not supported here", 1)
    if len(operands) > 1:
        raise Misuse(f"uniq: {operands[1]}: Read-only file system", 1)
    fields = re.compile(rb"(?:[ \t]*[^ \t\n]*){%d}" % min(numbers.get("f", 0), 1000))

    def key_of(line: bytes) -> bytes:
        line = line.removesuffix(b"\n")
        if "f" in numbers:
            line = line[fields.match(line).end() :]  # type: ignore[union-attr]
        line = line[numbers.get("s", 0) :]
        line = line[: numbers["w"]] if "w" in numbers else line
        return line.lower() if "i" in keys else line

    def shown(line: bytes, count: int) -> Iterator[bytes]:
        if count and not ("d" in keys and count == 1) and not ("u" in keys and count > 1):
            yield (b"%7d " % count if "c" in keys else b"") + line.removesuffix(b"\n") + b"\n"

    for source in call.inputs(operands):
        first, key, count = b"", b"", 0
        for line in source.lines(call.meter):
            own = key_of(line)
            if count and own == key:
                count += 1
                continue
            yield from shown(first, count)
            first, key, count = line, own, 1
        yield from shown(first, count)


def cut(call: Call) -> Iterator[bytes]:
    found, operands = call.options(
        "b:c:d:f:ns", "bytes=b: characters=c: delimiter=d: fields=f: only-delimited=s output-delimiter= complement=complement"
    )
    values = dict(found)
    kinds = [key for key in ("b", "c", "f") if key in values]
    if len(kinds) != 1:
        said = "only one list may be specified" if kinds else "you must specify a list of bytes, characters, or fields"
        raise Misuse(f"cut: {said}\nTry 'cut --help' for more information.", 1)
    delimiter = values.get("d", "\t").encode()
    if "d" in values and len(values["d"]) != 1:
        raise Misuse("cut: the delimiter must be a single character\nTry 'cut --help' for more information.", 1)
    ranges = _ranges(values[kinds[0]], "complement" in values, "fields" if kinds[0] == "f" else "byte/character positions")
    between = values["output-delimiter"].encode() if "output-delimiter" in values else delimiter if kinds[0] == "f" else b""

    def fields(line: bytes) -> bytes | None:
        parts = line.split(delimiter)
        if len(parts) == 1:
            return None if "s" in values else line
        return between.join([part for low, high in ranges for part in parts[low - 1 : high]])

    def places(line: bytes) -> bytes:
        return between.join([line[low - 1 : high] for low, high in ranges if low <= len(line)])

    for source in call.inputs(operands):
        for lines in source.batches(call.meter):
            call.meter.spend(sum(map(len, lines)))
            taken = map(fields if kinds[0] == "f" else places, lines)
            yield b"".join([part + b"\n" for part in taken if part is not None])


def _ranges(text: str, complement: bool, what: str) -> list[tuple[int, int | None]]:
    """The ranges of a list such as `1,3-5,7-`, joined and in order; the last may have no end."""
    found: list[tuple[int, float]] = []
    for part in re.split(r"[, ]", text):
        match = re.fullmatch(r"(\d{0,9})(-?)(\d{0,9})", part)
        if not match or not (match[1] or match[3]):
            raise Misuse(f"cut: invalid {'field' if what == 'fields' else 'byte or character'} range", 1)
        low = int(match[1] or 1)
        high = float(match[3]) if match[3] else float("inf") if match[2] else low
        if low == 0 or high == 0:
            raise Misuse(f"cut: {what} are numbered from 1\nTry 'cut --help' for more information.", 1)
        if high < low:
            raise Misuse("cut: invalid decreasing range\nTry 'cut --help' for more information.", 1)
        found.append((low, high))
    joined: list[tuple[int, float]] = []
    for low, high in sorted(found):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    if complement:
        edges = [0.0, *(edge for low, high in joined for edge in (low, high)), float("inf")]
        joined = [(int(a) + 1, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if a + 1 <= b - 1]
    return [(low, None if high == float("inf") else int(high)) for low, high in joined]


def tr(call: Call) -> Iterator[bytes]:
    found, sets = call.options("cCdst", "complement=c delete=d squeeze-repeats=s truncate-set1=t")
    keys = {"c" if key == "C" else key for key, _ in found}
    needed = 1 if ("d" in keys) != ("s" in keys) else 2
    if len(sets) < needed and not (len(sets) == 1 and "s" in keys and "d" not in keys):
        last = f" after {_quoted(sets[-1])}\nTwo strings must be given when translating." if sets else ""
        raise Misuse(f"tr: missing operand{last}\nTry 'tr --help' for more information.", 1)
    if len(sets) > (1 if "d" in keys and "s" not in keys else 2):
        raise Misuse(f"tr: extra operand {_quoted(sets[-1])}\nTry 'tr --help' for more information.", 1)
    first = _set(sets[0])
    if "c" in keys:
        first = bytes(b for b in range(256) if b not in first)
    second = _set(sets[1], len(first)) if len(sets) == 2 else b""
    translates = len(sets) == 2 and "d" not in keys
    if translates and not second:
        raise Misuse("tr: when not truncating set1, string2 must be non-empty", 1)
    table = bytearray(range(256))
    if translates:
        if "t" in keys:
            first = first[: len(second)]
        for i, b in enumerate(first):
            table[b] = second[min(i, len(second) - 1)]
    squeezed = (second if len(sets) == 2 else first) if "s" in keys else b""
    runs = re.compile(b"([" + b"".join(b"\\x%02x" % b for b in squeezed) + b"])\\1+") if squeezed else None
    before = b""
    for block in call.standard_input().blocks:
        block = block.translate(bytes(table), first if "d" in keys else b"")
        if runs is not None:
            call.meter.spend(4 * len(block))
            joined = runs.sub(rb"\1", before + block)
            block, before = joined[len(before) :], joined[-1:]
        yield block


def _quoted(text: str) -> str:
    return f"‘{text}’"


_CLASSES: Final = {
    "upper": bytes(range(65, 91)),
    "lower": bytes(range(97, 123)),
    "digit": bytes(range(48, 58)),
    "alpha": bytes([*range(65, 91), *range(97, 123)]),
    "alnum": bytes([*range(48, 58), *range(65, 91), *range(97, 123)]),
    "space": b"\t\n\v\f\r ",
    "blank": b"\t ",
    "punct": bytes(b for b in range(33, 127) if not chr(b).isalnum()),
    "print": bytes(range(32, 127)),
    "graph": bytes(range(33, 127)),
    "cntrl": bytes([*range(32), 127]),
    "xdigit": b"0123456789ABCDEFabcdef",
}
_ESCAPES: Final = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92}


def _set(text: str, fill: int = 0) -> bytes:
    """The bytes of a set of `tr`: ranges, classes, escapes, and `[x*]` to fill it up."""
    found = bytearray()
    tokens = re.findall(r"\[:\w+:\]|\[[\s\S]\*\d*\]|\\[0-7]{1,3}|\\[\s\S]|[\s\S]", text)
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.startswith("[:") and len(token) > 3:
            name = token[2:-2]
            if name not in _CLASSES:
                raise Misuse(f"tr: invalid character class ‘{name}’", 1)
            found += _CLASSES[name]
        elif token.startswith("[") and len(token) > 2:
            times = int(token[3:-1] or 0) or fill - len(found)
            found += token[1].encode() * min(max(times, 0), 256)
        elif at + 2 < len(tokens) and tokens[at + 1] == "-" and len(low := _byte(token)) == 1 and len(high := _byte(tokens[at + 2])) == 1:
            if low > high:
                raise Misuse(f"tr: range-endpoints of '{token}-{tokens[at + 2]}' are in reverse collating sequence order", 1)
            found += bytes(range(low[0], high[0] + 1))
            at += 2
        else:
            found += _byte(token)
        at += 1
    return bytes(found)


def _byte(token: str) -> bytes:
    if token.startswith("\\") and len(token) > 1:
        if token[1] in "01234567":
            return bytes([int(token[1:], 8) & 255])
        return bytes([_ESCAPES[token[1]]]) if token[1] in _ESCAPES else token[1:].encode()
    return token.encode()


def nl(call: Call) -> Iterator[bytes]:
    found, operands = call.options("b:w:s:v:n:i:", "body-numbering=b: number-width=w: number-separator=s: starting-line-number=v:")
    values = dict(found)
    style, width = values.get("b", "t"), call.number(values.get("w", "6"), "invalid line number field width")
    if style not in ("a", "t", "n"):
        raise Misuse(f"nl: invalid body numbering style: ‘{style}’", 1)
    if not 0 < width <= 100:
        raise Misuse(f"nl: invalid line number field width: ‘{width}’", 1)
    separator, at = values.get("s", "\t").encode(), call.number(values.get("v", "1"), "invalid starting line number")
    for source in call.inputs(operands):
        for line in source.lines(call.meter):
            line = line.removesuffix(b"\n")
            if style == "a" or (style == "t" and line):
                yield b"%*d" % (width, at) + separator + line + b"\n"
                at += 1
            else:
                yield b" " * (width + len(separator)) + line + b"\n"


def rev(call: Call) -> Iterator[bytes]:
    _, operands = call.options("")
    for source in call.inputs(operands):
        for line in source.lines(call.meter):
            text = line.decode("utf-8", "replace")
            yield (text.removesuffix("\n")[::-1] + ("\n" if text.endswith("\n") else "")).encode()


def tac(call: Call) -> Iterator[bytes]:
    _, operands = call.options("")
    for source in call.inputs(operands):
        lines: list[bytes] = []
        for line in source.lines(call.meter):
            call.meter.hold(len(line) + 64)
            lines.append(line)
        yield from reversed(lines)


def echo(call: Call) -> Iterator[bytes]:
    args = list(call.args)
    flags = set[str]()
    while args and re.fullmatch(r"-[neE]+", args[0]):
        flags |= set(args.pop(0)[1:])
    text = " ".join(args)
    if "e" in flags:
        text = re.sub(r"\\([ntr\\])", lambda found: {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}[found[1]], text)
    yield (text + ("" if "n" in flags else "\n")).encode("utf-8", "replace")
