"""Built-ins that cut a text into its pieces: lines, words, sentences, paragraphs, chunks. All take time linear in the text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_list_items, need_int, need_text
from rlmlang.builtins.rules import amount_of, at_least_one, divided_up, given, parts_of_text, text_of
from rlmlang.errors import Failure
from rlmlang.quantity import INFINITE, Formula, at_most, ceil_div, floor_div, greatest, least, less, minimum, plus, times
from rlmlang.sizes import Interval, ListSize, Size, TextSize

_NEWLINE: Final = re.compile(r"\r\n?")
_WORD: Final = re.compile(r"\w+(?:(?:['’.@:-]|,(?=\d))\w+)*")
_BLANK_LINES: Final = re.compile(r"\n(?:[^\S\n]*+\n)++")
# what may follow the marks is optional so that a long run of them is passed over once, not from each of its characters
_MARKS: Final = r"""[.!?…]++["'”’»)\]]*+(?P<space>%s)?|(?P<wide>[。！？]++[”’」』）]*+)"""
_SENTENCE_END: Final = re.compile(_MARKS % r"\s")
_LINE_OR_SENTENCE_END: Final = re.compile(r"(?P<line>\r\n?|\n)|" + _MARKS % r"[^\S\r\n]")
_LAST_WORD: Final = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*\Z")
_NO_LAST_WORD: Final = re.compile(  # an abbreviation, or an initial other than I
    r"(?i:mrs?|ms|dr|prof|st|sr|jr|rev|hon|gen|col|capt|lt|sgt|messrs|vs|cf|e\.?g|i\.?e|viz|approx|ca|nos?|figs?|eqs?|sec|vols?|pp|eds?|al)"
    r"|[A-HJ-Z]"
)


def _lines_size(text: Size) -> Size:
    bytes_ = text_of(text)
    return parts_of_text(text, Interval(at_least_one(bytes_), bytes_.high), 0)


def _parts_size(each: int) -> Callable[[Size], Size]:
    """The rule for parts that have at least one byte, and with what stands between them `each`."""
    return lambda text: parts_of_text(text, Interval(0, ceil_div(text_of(text).high, each)), 1)


@builtin("lines(text: text) -> [text]", help="Its lines, without their ends.", size=_lines_size)
def lines(text: str) -> list[str]:
    text = need_text(text, "lines")
    if "\r" in text:
        text = _NEWLINE.sub("\n", text)
    check_list_items(text.count("\n"))
    found = text.split("\n")
    if not found[-1]:
        found.pop()
    return found


@builtin("words(text: text) -> [text]", help="Its words, without punctuation around them.", size=_parts_size(2))
def words(text: str) -> list[str]:
    return _listed(m[0] for m in _WORD.finditer(need_text(text, "words")))


def _end_size(text: Size, n: Size | None = None) -> Size:
    """Of a text that is not empty, a line has at least a byte."""
    bytes_, many = text_of(text), Interval(10, 10) if n is None else amount_of(n)
    least_bytes = minimum(at_least_one(bytes_), at_least_one(many))
    return TextSize(Interval(least_bytes, 0 if many.high == 0 else bytes_.high))


@builtin("head(text: text, n: int = 10) -> text", help="Its first n lines.", size=_end_size)
def head(text: str, n: int | None = None) -> str:
    text, left = need_text(text, "head"), _how_many(n)
    end = 0
    while left > 0 and end < len(text):
        end = text.find("\n", end) + 1 or len(text)
        left -= 1
    return text[:end]


@builtin("tail(text: text, n: int = 10) -> text", help="Its last n lines.", size=_end_size)
def tail(text: str, n: int | None = None) -> str:
    text, left = need_text(text, "tail"), _how_many(n)
    start = len(text)
    while left > 0 and start > 0:
        start = text.rfind("\n", 0, start - 1) + 1
        left -= 1
    return text[start:]


def _how_many(n: int | None) -> int:
    if n is not None and need_int(n, "n") < 0:
        raise Failure(f"there are no {n} lines")
    return 10 if n is None else n


@builtin("paragraphs(text: text) -> [text]", help="Its parts between blank lines.", size=_parts_size(3))
def paragraphs(text: str) -> list[str]:
    text = need_text(text, "paragraphs")
    if "\r" in text:
        text = _NEWLINE.sub("\n", text)
    check_list_items(text.count("\n\n"))
    return [part for part in (p.strip("\n").rstrip() for p in _BLANK_LINES.split(text)) if part]


@builtin("sentences(text: text) -> [text]", help="Its sentences; a paragraph's end ends one too.", size=_parts_size(2))
def sentences(text: str) -> list[str]:
    return _listed(_sentences(text))


def _sentences(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        start = 0
        for end in _ends(_SENTENCE_END, paragraph):
            if sentence := paragraph[start:end].strip():
                yield sentence
            start = end
        if sentence := paragraph[start:].strip():
            yield sentence


def _ends(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    """The positions after each line or sentence (with one white space), as far as `pattern` looks for them."""
    for match in pattern.finditer(text):
        if match.lastgroup in ("line", "wide") or (match.lastgroup == "space" and _is_end(text, match)):
            yield match.end()


def _is_end(text: str, match: re.Match[str]) -> bool:
    """Whether a mark followed by white space ends a sentence: not after `Dr.`, `e.g.` or an initial, nor before a small letter."""
    if text[match.end() : match.end() + 1].islower():
        return False
    if match[0][0] != "." or match.end() - match.start() != 2:
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
    return word is None or not _NO_LAST_WORD.fullmatch(word[0])


def _chunks_size(text: Size, size: Size, overlap: Size | None = None) -> Size:
    """Two neighbours are longer than `size` together: n pieces have over floor(n / 2) x size characters, so n <= 2 ceil(length / size).

    With an overlap each two pieces go on by more than `size - overlap`, and what they share is counted again.
    """
    bytes_, wide = text_of(text), amount_of(size, 1)
    shared = greatest(amount_of(overlap).high) if overlap is not None and given(overlap) is not None else 0
    narrow, widest = math.floor(least(wide.low)), greatest(wide.high)
    some = at_least_one(bytes_)
    if at_most(bytes_.high, narrow):
        return ListSize(Interval(some, minimum(1, bytes_.high)), TextSize(Interval(some, bytes_.high)), bytes_)
    shared = min(shared, widest // 2)
    step = narrow - math.floor(min(shared, narrow // 2))
    pieces = times(2, ceil_div(bytes_.high, step))
    if shared == 0 and greatest(pieces) != INFINITE:
        # closer, but as a formula harder to read
        pieces = plus(times(2, floor_div(bytes_.high, narrow + 1)), 1)
    lines = text.lines if isinstance(text, TextSize) else None
    if shared == 0 and lines is not None and lines.longest <= narrow:
        # each piece goes on by as many of the lines as surely fit, since it is cut at the last end of a line
        joined = ceil_div(lines.count, narrow // lines.longest)
        pieces = joined if isinstance(pieces, Formula) else minimum(pieces, joined)
    most = 4 * math.floor(widest) if widest != INFINITE else INFINITE
    again = times(less(pieces, 1), 4 * shared)
    count = Interval(divided_up(bytes_, Interval(1, most)).low, pieces)
    return ListSize(count, TextSize(Interval(1, minimum(bytes_.high, most))), Interval(bytes_.low, plus(bytes_.high, again)))


@builtin(
    "chunks(text: text, size: int, overlap: int = 0) -> [text]",
    help="Pieces of at most size characters, cut at the last line or sentence end that fits.",
    size=_chunks_size,
)
def chunks(text: str, size: int, overlap: int | None = None) -> list[str]:
    """Each piece is cut at the last end of a line or sentence that fits, else at a space, else at `size`. Two neighbours are always longer
    than `size` together, so there are at most 2 × ceil(len / size) pieces: a space is taken only where that stays true."""
    text, size = need_text(text, "chunks"), need_int(size, "size")
    overlap = 0 if overlap is None else need_int(overlap, "overlap")
    if size < 1:
        raise Failure(f"the size of a chunk must be at least 1, not {size}")
    if not 0 <= overlap <= size // 2:
        raise Failure(f"the overlap of chunks must be from 0 to half of their size, not {overlap} of {size}")
    check_list_items(len(text) // size)
    return _listed(_chunks(text, size, overlap))


def _chunks(text: str, size: int, overlap: int) -> Iterator[str]:
    ends = _ends(_LINE_OR_SENTENCE_END, text)
    upcoming = next(ends, len(text))
    start = cut = limit = 0  # the piece begins at `start`, its new part at `cut`; before `limit` no line or sentence ends
    while start + size < len(text):
        passed, limit = limit, start + size
        end = 0
        while upcoming <= limit:
            end, upcoming = upcoming, next(ends, len(text))
        if not end:
            end = text.rfind(" ", max(cut, passed), limit) + 1 or limit
        yield text[start:end]
        start, cut = end - overlap if end - start >= 2 * overlap else end, end
    if cut < len(text):
        yield text[start:]


def _listed(items: Iterator[str]) -> list[str]:
    """The items as a list, stopped at the limit of a list."""
    found: list[str] = []
    for item in items:
        found.append(item)
        check_list_items(len(found))
    return found
