"""Coverage: of the items that had to be looked at, those that really stood in what a model was sent.

An item was seen where its text occurs in a message, as it is or as it stands within JSON; a short one not within a word. Each item is
found by the piece of it that is rarest among the items, so that a text is gone through once, however many items there are: time is linear
in texts and items.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from rlmlang.compare.task import Item
from rlmlang.errors import Failure
from rlmlang.files import DirValue
from rlmlang.solve.contexts import Context
from rlmlang.values import SEQUENCES, to_json_text

_PIECE: Final = 8  # characters of the piece that items are found by
_PLACES: Final = 8  # of an item, at which its pieces are tried
_MOST: Final = 200_000  # items that are told apart; of more, every second one, or fourth, and so on


class Items:
    """The items to look for, equal ones counted once. `within` says which of them (by number, from 0 to `count`) stand in a text."""

    def __init__(self, items: Iterable[Item]) -> None:
        texts = list(dict.fromkeys(item.text for item in items))
        self._short: dict[str, set[int]] = {}
        self._found: dict[str, list[tuple[int, str, int]]] = {}  # piece -> item, its text as written there, where in it the piece stands
        self.count = len(texts)
        ways = [(at, way) for at, text in enumerate(texts) for way in _written(text)]
        common = Counter(way[place : place + _PIECE] for _, way in ways if len(way) >= _PIECE for place in _places(way))
        for at, way in ways:
            if len(way) < _PIECE:
                self._short.setdefault(way, set()).add(at)
            else:
                place = min(_places(way), key=lambda place: common[way[place : place + _PIECE]])
                self._found.setdefault(way[place : place + _PIECE], []).append((at, way, place))

    def within(self, text: str) -> set[int]:
        """The items whose text occurs in `text`."""
        seen: set[int] = set()
        for short, items in self._short.items():
            if _stands(short, text):
                seen |= items
        found = self._found
        for at in range(len(text) - _PIECE + 1) if found else ():
            pieces = found.get(text[at : at + _PIECE])
            if pieces is not None:
                seen |= {item for item, way, place in pieces if place <= at and text.startswith(way, at - place)}
        return seen


def _stands(short: str, text: str) -> bool:
    """Whether a short text occurs in another, and not within a word."""
    at = text.find(short)
    while at >= 0:
        end = at + len(short)
        if not (text[at : at + 1].isalnum() and text[at - 1 : at].isalnum()) and not (
            short[-1].isalnum() and text[end : end + 1].isalnum()
        ):
            return True
        at = text.find(short, at + 1)
    return False


def _written(text: str) -> set[str]:
    """How a text may stand in a message."""
    return {text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]} if text else set()


def _places(text: str) -> range:
    """Where the pieces of a text begin that are tried: over all of it, from its end on."""
    last = len(text) - _PIECE
    return range(last, -1, -max(1, last // _PLACES))


def every_item(contexts: Sequence[Context]) -> tuple[Item, ...]:
    """Every item that there is in the data, where a task names none: the items of lists, the lines of texts and files that hold a letter or
    digit. Of a record its longest text, as a sub-call is seldom given the whole."""
    kept: list[Item] = []
    apart = 1
    for at, item in enumerate(item for context in contexts for item in _items(context.name, context.value)):
        if at % apart == 0:
            kept.append(item)
        if len(kept) > _MOST:
            kept, apart = kept[::2], 2 * apart
    return tuple(kept)


def _items(name: str, value: Any) -> Iterator[Item]:
    if isinstance(value, SEQUENCES):
        yield from (Item(f"{name}[{at}]", _of_record(item)) for at, item in enumerate(value))
    elif isinstance(value, (str, DirValue)):
        for path, text in _texts(name, value):
            yield from _lines(path, text)
    else:
        yield Item(name, to_json_text(value))


def _texts(name: str, value: str | DirValue) -> Iterator[tuple[str, str]]:
    """What can be read of it."""
    if isinstance(value, str):
        yield name, value
        return
    for file in value.files("**/*"):
        with suppress(Failure):
            yield file.path, file.text


def _lines(path: str, text: str) -> Iterator[Item]:
    lines = ((at, line.strip()) for at, line in enumerate(text.split("\n"), 1))
    return (Item(f"{path}:{at}", line) for at, line in lines if any(map(str.isalnum, line)))


def _of_record(value: Any) -> str:
    if isinstance(value, str):
        return value
    texts = [part for part in value.values() if isinstance(part, str)] if isinstance(value, dict) else []
    longest = max(texts, key=len, default="")
    return longest if longest.strip() else to_json_text(value)
