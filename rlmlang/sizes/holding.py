"""Whether a value is within a size: what the tests of all size rules ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlmlang.files import DirValue, FileValue
from rlmlang.quantity import Number, at_most, maximum
from rlmlang.sizes.alike import text_bytes
from rlmlang.sizes.measure import (
    content_bytes,
    measure,
)
from rlmlang.sizes.shapes import (
    AnySize,
    BoolSize,
    DictSize,
    DirSize,
    Exact,
    FileSize,
    Interval,
    Known,
    Lines,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    total_of,
)
from rlmlang.values import SEQUENCES, same, to_json_text


def holds(size: Size, value: Any) -> bool:
    """Whether a value is within a size whose ends are numbers. Reads the text of a file, and lists a directory: for tests."""
    match size:
        case Exact(expected):
            return same(expected, value)
        case TextSize(bytes_, lines):
            return isinstance(value, str) and _within(text_bytes(value), bytes_) and (lines is None or _in_lines(value, lines))
        case NumberSize(low, high, whole):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return is_number and at_most(low, value) and at_most(value, high) and (isinstance(value, int) or not whole)
        case BoolSize():
            return isinstance(value, bool)
        case NoneSize():
            return value is None
        case MaybeSize(item):
            return value is None or holds(item, value)
        case ListSize(count, item, total, known):
            if not isinstance(value, SEQUENCES) or not _within(len(value), count) or not all(holds(item, x) for x in value):
                return False
            return (total is None or _meets(_content_of(value), total)) and (known is None or _some_of(value, known))
        case TupleSize(items):
            return isinstance(value, SEQUENCES) and len(value) == len(items) and all(map(holds, items, value))
        case RecordSize(fields):
            names = {name for name, _ in fields}
            return (
                isinstance(value, dict)
                and value.keys() <= names
                and all(holds(field, value[name]) if name in value else isinstance(field, MaybeSize) for name, field in fields)
            )
        case DictSize(keys, values):
            return isinstance(value, dict) and holds(keys, list(value)) and holds(values, list(value.values()))
        case FileSize(text, path):
            return isinstance(value, FileValue) and _within(text_bytes(value.path), path) and _within(text_bytes(value.text), text)
        case DirSize(count, largest, total):
            if not isinstance(value, DirValue):
                return False
            texts = [text_bytes(file.text) for file in value.files()]
            return _within(len(texts), count) and all(at_most(n, largest) for n in texts) and _within(sum(texts), total)
        case AnySize(bytes_):
            return _within(text_bytes(to_json_text(value)), bytes_)
    return callable(value)


def _some_of(value: Sequence[Any], known: Known) -> bool:
    """Whether a list has some of the known items, each once at most, and those that are sure."""
    left = list(range(len(known.items)))
    for item in value:
        at = next((i for i in left if same(known.items[i], item)), None)
        if at is None:
            return False
        left.remove(at)
    return not any(known.sure[at] for at in left)


def _in_lines(text: str, lines: Lines) -> bool:
    """Whether a text is cut at newlines into so many parts of such length; each is taken as long as it may be."""
    data, start, count = text.encode("utf-8", "surrogatepass"), 0, 1
    while start + lines.longest < len(data):
        end = data.rfind(b"\n", start, start + lines.longest) + 1
        if not end:
            return False
        start, count = end, count + 1
    return at_most(count, maximum(1, lines.count))


def _within(amount: Number, interval: Interval) -> bool:
    return at_most(interval.low, amount) and at_most(amount, interval.high)


def _meets(a: Interval, b: Interval) -> bool:
    return at_most(a.low, b.high) and at_most(b.low, a.high)


def _content_of(value: Any) -> Interval:
    """Content of a value: exact but for bools."""
    if isinstance(value, FileValue):
        return Interval.exactly(text_bytes(value.text))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, SEQUENCES) else None
    if parts is None:
        return content_bytes(measure(value))
    return total_of(map(_content_of, parts))
