"""The items of a list answer, handed on in order while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from attrs import define, field

from rlmlang.run.feeds import GONE, Position


@define(eq=False)
class _Group:
    """What one item of the source has become, as far as it is known: `missing` is the share that is not."""

    missing: Fraction = Fraction(1)
    found: list[tuple[Position, Any]] = field(factory=list)


class InOrder:
    """Takes events in any order, and hands the items on as soon as each and all before it are there.

    Items are counted by the list that the outermost maps and filters of the answer take them from: `through` is told how many of those are
    done with, after what they have become was handed on. The first `done` of them are none of our business.
    """

    def __init__(self, on_item: Callable[[Any], None], through: Callable[[int], None] | None, done: int) -> None:
        self._on_item = on_item
        self._through = through
        self._next = done
        self._groups: dict[int, _Group] = {}
        self._ready: dict[int, list[Any]] = {}

    def take(self, position: Position, value: Any, round: int) -> None:
        """One event of a feed."""
        source, parts = position, 1
        while isinstance(source, tuple):
            source, _, count = source
            parts *= count or 1
        if source < self._next:
            return
        if source is position:
            self._ready[source] = [] if value is GONE else [value]
        else:
            group = self._groups.setdefault(source, _Group())
            group.missing -= Fraction(1, parts)
            if value is not GONE:
                group.found.append((position, value))
            if group.missing:
                return
            del self._groups[source]
            self._ready[source] = _sorted(group)
        while self._next in self._ready:
            self._hand_on(self._ready.pop(self._next))
            self._next += 1
            if self._through is not None:
                self._through(self._next)

    def rest(self) -> None:
        """There are no more: what waits for items that never came is handed on."""
        for source in sorted(self._ready.keys() | self._groups.keys()):
            self._hand_on(self._ready[source] if source in self._ready else _sorted(self._groups[source]))

    def _hand_on(self, items: list[Any]) -> None:
        for item in items:
            self._on_item(item)


def _sorted(group: _Group) -> list[Any]:
    return [value for _, value in sorted(group.found, key=lambda event: event[0])]
