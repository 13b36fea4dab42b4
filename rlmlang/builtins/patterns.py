"""Built-ins with regular expressions.

They run on RE2, in time linear in the text whatever the pattern, so there are no back-references and no look-around. In a text that is not
ASCII, `\\w` and `\\s` take letters and spaces of all scripts, as in Python; `\\d` and `\\b` do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_list_items, need_text
from rlmlang.builtins.rules import is_bool, part_of_text, parts_of_text, text_of
from rlmlang.errors import Failure
from rlmlang.limits import LIST_ITEMS, PATTERN_BYTES, PATTERN_CHARS
from rlmlang.quantity import plus
from rlmlang.sizes import Interval, MaybeSize, Size
from rlmlang.values import quote

_TOKEN: Final = re.compile(r"\\[\s\S]|\[\^?\]?|\]")
_WIDE: Final = {r"\w": r"\pL\pM\pN_", r"\s": r"\s\pZ\x0b\x1c-\x1f\x{85}"}
_UNSUPPORTED: Final = (
    (re.compile(r"\(\?<?[=!]"), "look-around such as (?=…) is not supported"),
    (re.compile(r"\\[1-9]|\(\?P="), r"back-references such as \1 are not supported"),
    (re.compile(r"\(\?>|[*+?}]\+"), "possessive and atomic groups are not supported"),
    (re.compile(r"\\Z"), r"write \z for the end of the text"),
    (re.compile(r"\{\d*,?\d{4,}"), "a repetition may count to 1,000"),
)


@builtin("matches(text: text, re: text) -> bool", help="Whether a regular expression matches anywhere in it.", size=is_bool)
def matches(text: str, re: str) -> bool:
    text = need_text(text, "matches")
    return _compiled(re, text.isascii()).search(_bytes(text)) is not None


def _findall_size(text: Size, re: Size) -> Size:
    return parts_of_text(text, Interval(0, plus(text_of(text).high, 1)), 0)


@builtin("findall(text: text, re: text) -> [text]", help="All that a regular expression matches, whole.", size=_findall_size)
def findall(text: str, re: str) -> list[str]:
    data = _bytes(need_text(text, "findall"))
    found: list[str] = []
    for start, end in _spans(_compiled(re, text.isascii()), data):
        if len(found) == LIST_ITEMS:
            check_list_items(LIST_ITEMS + 1)
        found.append(data[start:end].decode())
    return found


def _extract_size(text: Size, re: Size) -> Size:
    return MaybeSize(part_of_text(text))


@builtin(
    "extract(text: text, re: text) -> text?",
    help="The first match's first group, or the whole match; none if there is none.",
    size=_extract_size,
)
def extract(text: str, re: str) -> str | None:
    match = _compiled(re, need_text(text, "extract").isascii()).search(_bytes(text))
    if match is None:
        return None
    groups = match.groups()
    found: bytes | None = groups[0] if groups else match.group()
    return None if found is None else found.decode()


def _spans(pattern: Any, data: bytes) -> Iterator[tuple[int, int]]:
    """The matches' places in `data`, without those that are empty within a character."""
    for match in pattern.finditer(data):
        start, end = match.span()
        if start != end or start == len(data) or data[start] & 0xC0 != 0x80:
            yield start, end


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=256)
def _compiled(pattern: str, ascii: bool) -> Any:
    """The compiled pattern, over UTF-8. Raises Failure where RE2 has no such pattern, or none so large."""
    import re2  # type: ignore[import-untyped]  # here, as it takes a while and few programs need it

    if len(need_text(pattern, "a regular expression")) > PATTERN_CHARS:
        raise Failure(f"a regular expression may have at most {PATTERN_CHARS:,} characters, not {len(pattern):,}")
    options = re2.Options()
    options.max_mem = PATTERN_BYTES
    options.log_errors = False
    if not ascii and (wide := _widened(pattern)) != pattern:
        try:
            return re2.compile(_bytes(wide), options)
        except re2.error:  # too large with all the letters there are, or wrong, which is said of the pattern as written
            pass
    try:
        return re2.compile(_bytes(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        reason = next((known for sign, known in _UNSUPPORTED if sign.search(pattern)), reason)
        raise Failure(f"the regular expression {quote(pattern)} is not understood: {reason}") from None


def _widened(pattern: str) -> str:
    """`pattern` with `\\w`, `\\s` and their opposites for all scripts (an opposite within brackets stays as it is)."""
    if r"\Q" in pattern:
        return pattern
    inside = False

    def widen(token: re.Match[str]) -> str:
        nonlocal inside
        text = token[0]
        if text[0] == "[" and not inside:
            inside = True
        elif text == "]":
            inside = False
        elif text in _WIDE:
            return _WIDE[text] if inside else f"[{_WIDE[text]}]"
        elif text.lower() in _WIDE and not inside:
            return f"[^{_WIDE[text.lower()]}]"
        return text

    return _TOKEN.sub(widen, pattern)
