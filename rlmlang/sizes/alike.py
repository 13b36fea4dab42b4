"""Sizes of many values of one kind at once: a list of 100,000 files takes some tenths of a second item by item, and less than one here."""

from __future__ import annotations

from collections.abc import Sequence

from rlmlang.files import FileValue
from rlmlang.sizes.shapes import FileSize, Interval, ListSize, NumberSize, Size, TextSize


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def file_bytes(size: int) -> Interval:
    """Bytes of a file's text from the bytes of the file: a byte-order mark goes, and CR LF becomes one character."""
    return Interval(max(0, (size - 3) // 2), size)


def texts(values: Sequence[str]) -> ListSize:
    """The size of a list of texts; as all of these, of at least one."""
    bytes_ = list(map(text_bytes, values))
    return _together(len(values), TextSize(_ends(bytes_)), Interval.exactly(sum(bytes_)))


def files(values: Sequence[FileValue]) -> ListSize:
    """The size of a list of files."""
    sizes = [file.size for file in values]
    paths = _ends([text_bytes(file.path) for file in values])
    largest = file_bytes(max(sizes)).high
    item = FileSize(Interval(file_bytes(min(sizes)).low, largest), paths)
    same = min(sizes) == max(sizes) and paths.low == paths.high
    total = Interval(sum([(size - 3) // 2 for size in sizes if size > 3]), sum(sizes))
    return ListSize(Interval.exactly(len(values)), item, None if same else total)


def whole_numbers(values: Sequence[int]) -> ListSize:
    """The size of a list of ints."""
    item = NumberSize(min(values), max(values), True)
    return _together(len(values), item, Interval.exactly(sum(map(len, map(str, values)))))


def _ends(amounts: Sequence[int]) -> Interval:
    return Interval(min(amounts), max(amounts))


def _together(count: int, item: Size, total: Interval) -> ListSize:
    """Of items that all have one size, their count says what they have together."""
    same = item.bytes.low == item.bytes.high if isinstance(item, TextSize) else isinstance(item, NumberSize) and item.low == item.high
    return ListSize(Interval.exactly(count), item, None if same else total)
