"""Built-ins on text that look at characters: case, parts, joining. Positions and lengths are in code points."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Final

from rlmlang.builtins import operators
from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_list_items, check_text_chars, need_int, need_list, need_text
from rlmlang.builtins.rules import amount_of, given, grows, is_bool, number_of, part_of_text, parts_of_text, position, text_of
from rlmlang.errors import Failure
from rlmlang.limits import LIST_ITEMS
from rlmlang.quantity import INFINITE, Quantity, at_most, ceil_div, difference, floor_div, greatest, least, less, minimum, plus, times
from rlmlang.sizes import (
    AnySize,
    Exact,
    Interval,
    Lines,
    NoneSize,
    NumberSize,
    Size,
    TextSize,
    as_list,
    length,
    points,
    str_bytes,
    str_total,
    unfold,
)
from rlmlang.values import Value, describe, same, to_text


def _grown(text: str) -> str:
    """`text`, if it is still no longer than a text may be: changing case triples a text at most."""
    check_text_chars(len(text))
    return text


# Growth of UTF-8, the worst over all code points (a test computes it): in lower case `İ` grows from 2 bytes to 3 and the Kelvin sign
# shrinks from 3 to 1; in upper case `ΐ` grows from 2 to 6 and `ı` shrinks from 2 to 1; a title has letters of both cases.
_lower_size = grows((3, 2), 3)
_upper_size = grows((3, 1), 2)
_title_size = grows((3, 1), 3)


@builtin("lower(text: text) -> text", help="In lower case.", size=_lower_size)
def lower(text: str) -> str:
    return _grown(need_text(text, "lower").lower())


@builtin("upper(text: text) -> text", help="In upper case.", size=_upper_size)
def upper(text: str) -> str:
    return _grown(need_text(text, "upper").upper())


_TITLE_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@builtin("title(text: text) -> text", help="Each word with a capital first letter.", size=_title_size)
def title(text: str) -> str:
    return _grown(_TITLE_WORD.sub(lambda m: m[0].capitalize(), need_text(text, "title")))


@builtin("strip(text: text, chars: text = none) -> text", help="Without white space, or these characters, at both ends.", size=part_of_text)
def strip(text: str, chars: str | None = None) -> str:
    return need_text(text, "strip").strip(chars if chars is None else need_text(chars, "chars"))


@builtin("dedent(text: text) -> text", help="Without the indentation that all its lines share.", size=part_of_text)
def dedent(text: str) -> str:
    return textwrap.dedent(need_text(text, "dedent"))


def _split_size(text: Size, sep: Size | None = None, max: Size | None = None) -> Size:
    bytes_, sep, max = text_of(text), given(sep), given(max)
    if sep is None:
        count, least_item = Interval(0, ceil_div(bytes_.high, 2)), 1
    else:
        count, least_item = Interval(1, plus(_times_in(bytes_.high, text_of(sep).low), 1)), 0
    if max is not None and at_most(0, number_of(max).low):
        count = Interval(count.low, minimum(count.high, plus(amount_of(max).high, 1)))
    return parts_of_text(text, count, least_item)


def _times_in(whole: Quantity, part: Quantity) -> Quantity:
    """How often a part that is not empty, of at least `part` bytes, is in `whole` bytes."""
    return floor_div(whole, int(max(1, least(part))))


@builtin(
    "split(text: text, sep: text = none, max: int = none) -> [text]",
    help="The parts between separators, or between white space.",
    size=_split_size,
)
def split(text: str, sep: str | None = None, max: int | None = None) -> list[str]:
    text = need_text(text, "split")
    if sep is not None and not need_text(sep, "sep"):
        raise Failure("split needs a separator that is not empty", hint="for the characters of a text, use a range and its index")
    most = LIST_ITEMS if max is None or need_int(max, "max") < 0 else min(max, LIST_ITEMS)
    parts = text.split(sep, most)
    check_list_items(len(parts))
    return parts


def _join_size(xs: Size, sep: Size | None = None) -> Size:
    if sep is not None and isinstance(unfold(xs), TextSize):
        xs, sep = sep, xs
    items = as_list(xs)
    between = Interval(0, 0) if given(sep) is None else text_of(sep or xs)
    size = str_total(items) + Interval(less(items.count.low, 1), less(items.count.high, 1)) * between
    longest = greatest(plus(str_bytes(items.item).high, between.high))
    if not (isinstance(sep, Exact) and isinstance(sep.value, str) and sep.value.endswith("\n")) or longest == INFINITE:
        return TextSize(size)
    return TextSize(size, Lines(items.count.high, math.floor(longest)))


@builtin(
    'join(xs: [T], sep: text = "") -> text',
    "join(sep: text, xs: [T]) -> text",
    help="The items as one text, with a separator between.",
    size=_join_size,
)
def join(xs: Value, sep: Value = None) -> str:
    if isinstance(xs, str):
        xs, sep = sep, xs
    items = need_list(xs, "join")
    between = "" if sep is None else need_text(sep, "sep")
    texts: list[str] = []
    size = -len(between)
    for item in items:
        texts.append(to_text(item))
        size += len(texts[-1]) + len(between)
        check_text_chars(size)
    return between.join(texts)


def _replace_size(text: Size, old: Size, new: Size, max: Size | None = None) -> Size:
    bytes_, before, after = text_of(text), text_of(old), text_of(new)
    short = int(least(before.low))
    often = _times_in(bytes_.high, short) if short else plus(bytes_.high, 1)
    max = given(max)
    if max is not None and at_most(0, number_of(max).low):
        often = minimum(often, amount_of(max).high)
    low: Quantity = (
        bytes_.low if at_most(before.high, after.low) else difference(bytes_.low, times(often, difference(before.high, after.low)))
    )
    return TextSize(Interval(low, plus(bytes_.high, times(often, difference(after.high, short)))))


@builtin(
    "replace(text: text, old: text, new: text, max: int = none) -> text",
    help="With one part replaced by another, everywhere.",
    size=_replace_size,
)
def replace(text: str, old: str, new: str, max: int | None = None) -> str:
    text, old, new = need_text(text, "replace"), need_text(old, "old"), need_text(new, "new")
    most = -1 if max is None or need_int(max, "max") < 0 else max
    if len(new) > len(old):
        often = text.count(old)
        check_text_chars(len(text) + (len(new) - len(old)) * (often if most < 0 else min(often, most)))
    return text.replace(old, new, min(most, len(text) + 1))


_ENDS_HELP = "Whether it {} with this, or with one of these."


@builtin(
    "startswith(text: text, prefix: text) -> bool",
    "startswith(text: text, prefix: [text]) -> bool",
    help=_ENDS_HELP.format("begins"),
    size=is_bool,
)
def startswith(text: str, prefix: Value) -> bool:
    return need_text(text, "startswith").startswith(_ends(prefix, "prefix"))


@builtin(
    "endswith(text: text, suffix: text) -> bool",
    "endswith(text: text, suffix: [text]) -> bool",
    help=_ENDS_HELP.format("ends"),
    size=is_bool,
)
def endswith(text: str, suffix: Value) -> bool:
    return need_text(text, "endswith").endswith(_ends(suffix, "suffix"))


def _ends(ends: Value, what: str) -> str | tuple[str, ...]:
    return ends if isinstance(ends, str) else tuple(need_text(end, what) for end in need_list(ends, what))


@builtin(
    "contains(text: text, part: text) -> bool",
    "contains(xs: [T], item: T) -> bool",
    "contains(record: json, name: json) -> bool",
    help="Whether the part, item or field is in it.",
    size=is_bool,
)
def contains(whole: Value, part: Value) -> bool:
    return operators.contains(part, whole)


def _find_size(text: Size, part: Size, start: Size | None = None) -> Size:
    return position(_last_place(text, part), -1)


def _index_size(whole: Size, part: Size) -> Size:
    if isinstance(unfold(whole), TextSize):
        return position(_last_place(whole, part))
    return position(less(length(whole).high, 0 if isinstance(unfold(whole), AnySize) else 1))


def _last_place(text: Size, part: Size) -> Quantity:
    """The last position at which a part can be: of an empty one, the end."""
    return difference(points(text_of(text)).high, points(text_of(part)).low)


@builtin("find(text: text, part: text, start: int = 0) -> int", help="The position of the first such part, or -1.", size=_find_size)
def find(text: str, part: str, start: int | None = None) -> int:
    return need_text(text, "find").find(need_text(part, "part"), 0 if start is None else _position(text, start))


def _position(text: str, start: int) -> int:
    """A position as `str.find` takes it, whatever its size."""
    return max(-len(text), min(need_int(start, "start"), len(text) + 1))


@builtin(
    "index(xs: [T], item: T) -> int",
    "index(text: text, part: text) -> int",
    help="The position of the first such item or part; fails if there is none.",
    size=_index_size,
)
def index(whole: Value, part: Value) -> int:
    if isinstance(whole, str):
        position = whole.find(need_text(part, "part"))
    else:
        position = next((i for i, item in enumerate(need_list(whole, "index")) if same(item, part)), -1)
    if position < 0:
        raise Failure(f"{describe(part)} is not in {describe(whole)}")
    return position


def _count_size(whole: Size, *part: Size | None) -> Size:
    if isinstance(unfold(whole), TextSize) and part:
        bytes_, inner = text_of(whole).high, text_of(part[0] or NoneSize()).low
        return NumberSize(0, _times_in(bytes_, inner) if at_most(1, inner) else plus(bytes_, 1), True)
    count = as_list(whole).count
    return NumberSize(0 if part else count.low, plus(count.high, 1) if isinstance(unfold(whole), AnySize) else count.high, True)


@builtin(
    "count(xs: [T]) -> int",
    "count(text: text, part: text) -> int",
    "count(xs: [T], item: T) -> int",
    help="The length of a list; how often an item or part occurs.",
    size=_count_size,
)
def count(whole: Value, *part: Value) -> int:
    if isinstance(whole, str):
        if not part:
            raise Failure("count needs a part to count in a text", hint="its length is len(text)")
        return whole.count(need_text(part[0], "part"))
    items: Sequence[Value] = need_list(whole, "count")
    return sum(same(item, part[0]) for item in items) if part else len(items)
