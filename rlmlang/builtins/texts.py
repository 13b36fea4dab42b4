"""Built-ins on text that look at characters: case, parts, joining. Positions and lengths are in code points."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

from rlmlang.builtins import operators
from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_list_items, check_text_chars, need_int, need_list, need_text
from rlmlang.errors import Failure
from rlmlang.limits import LIST_ITEMS
from rlmlang.values import Value, describe, same, to_text


def _grown(text: str) -> str:
    """`text`, if it is still no longer than a text may be: changing case triples a text at most."""
    check_text_chars(len(text))
    return text


@builtin("lower(text: text) -> text", help="In lower case.")
def lower(text: str) -> str:
    return _grown(need_text(text, "lower").lower())


@builtin("upper(text: text) -> text", help="In upper case.")
def upper(text: str) -> str:
    return _grown(need_text(text, "upper").upper())


_TITLE_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@builtin("title(text: text) -> text", help="Each word with a capital first letter.")
def title(text: str) -> str:
    return _grown(_TITLE_WORD.sub(lambda m: m[0].capitalize(), need_text(text, "title")))


@builtin("strip(text: text, chars: text = none) -> text", help="Without white space, or these characters, at both ends.")
def strip(text: str, chars: str | None = None) -> str:
    return need_text(text, "strip").strip(chars if chars is None else need_text(chars, "chars"))


@builtin("dedent(text: text) -> text", help="Without the indentation that all its lines share.")
def dedent(text: str) -> str:
    return textwrap.dedent(need_text(text, "dedent"))


@builtin("split(text: text, sep: text = none, max: int = none) -> [text]", help="The parts between separators, or between white space.")
def split(text: str, sep: str | None = None, max: int | None = None) -> list[str]:
    text = need_text(text, "split")
    if sep is not None and not need_text(sep, "sep"):
        raise Failure("split needs a separator that is not empty", hint="for the characters of a text, use a range and its index")
    most = LIST_ITEMS if max is None or need_int(max, "max") < 0 else min(max, LIST_ITEMS)
    parts = text.split(sep, most)
    check_list_items(len(parts))
    return parts


@builtin(
    'join(xs: [T], sep: text = "") -> text',
    "join(sep: text, xs: [T]) -> text",
    help="The items as one text, with a separator between.",
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


@builtin("replace(text: text, old: text, new: text, max: int = none) -> text", help="With one part replaced by another, everywhere.")
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
)
def startswith(text: str, prefix: Value) -> bool:
    return need_text(text, "startswith").startswith(_ends(prefix, "prefix"))


@builtin("endswith(text: text, suffix: text) -> bool", "endswith(text: text, suffix: [text]) -> bool", help=_ENDS_HELP.format("ends"))
def endswith(text: str, suffix: Value) -> bool:
    return need_text(text, "endswith").endswith(_ends(suffix, "suffix"))


def _ends(ends: Value, what: str) -> str | tuple[str, ...]:
    return ends if isinstance(ends, str) else tuple(need_text(end, what) for end in need_list(ends, what))


@builtin(
    "contains(text: text, part: text) -> bool",
    "contains(xs: [T], item: T) -> bool",
    "contains(record: json, name: json) -> bool",
    help="Whether the part, item or field is in it.",
)
def contains(whole: Value, part: Value) -> bool:
    return operators.contains(part, whole)


@builtin("find(text: text, part: text, start: int = 0) -> int", help="The position of the first such part, or -1.")
def find(text: str, part: str, start: int | None = None) -> int:
    return need_text(text, "find").find(need_text(part, "part"), 0 if start is None else _position(text, start))


def _position(text: str, start: int) -> int:
    """A position as `str.find` takes it, whatever its size."""
    return max(-len(text), min(need_int(start, "start"), len(text) + 1))


@builtin(
    "index(xs: [T], item: T) -> int",
    "index(text: text, part: text) -> int",
    help="The position of the first such item or part; fails if there is none.",
)
def index(whole: Value, part: Value) -> int:
    if isinstance(whole, str):
        position = whole.find(need_text(part, "part"))
    else:
        position = next((i for i, item in enumerate(need_list(whole, "index")) if same(item, part)), -1)
    if position < 0:
        raise Failure(f"{describe(part)} is not in {describe(whole)}")
    return position


@builtin(
    "count(xs: [T]) -> int",
    "count(text: text, part: text) -> int",
    "count(xs: [T], item: T) -> int",
    help="The length of a list; how often an item or part occurs.",
)
def count(whole: Value, *part: Value) -> int:
    if isinstance(whole, str):
        if not part:
            raise Failure("count needs a part to count in a text", hint="its length is len(text)")
        return whole.count(need_text(part[0], "part"))
    items: Sequence[Value] = need_list(whole, "count")
    return sum(same(item, part[0]) for item in items) if part else len(items)
