"""Chance that is the same everywhere: of `random.Random` only `random()` is drawn from, whose sequence Python promises to keep."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SYLLABLES = (
    *("bal", "bor", "cas", "dor", "el", "fen", "gar", "hal", "is", "kel", "lor", "mar"),
    *("nor", "ol", "per", "quil", "ros", "sal", "tor", "um", "val", "wen", "yar", "zem"),
)


class Dice:
    """`Dice("needle", 1000, 3)`: what decides one corpus, and nothing else."""

    def __init__(self, *seed: object) -> None:
        digest = hashlib.sha256("\n".join(map(str, seed)).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))
        self._used: set[str] = set()

    def share(self) -> float:
        """From 0 up to 1, without it."""
        return self._random.random()

    def below(self, n: int) -> int:
        """One of 0 … n - 1."""
        return int(self._random.random() * n)

    def one(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        left = self.share() * sum(weights)
        for item, weight in zip(items, weights, strict=True):
            left -= weight
            if left < 0:
                return item
        return items[-1]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """So many different ones, in any order."""
        pool = list(items)
        for at in range(min(count, len(pool))):
            other = at + self.below(len(pool) - at)
            pool[at], pool[other] = pool[other], pool[at]
        return pool[:count]

    def name(self) -> str:
        """A name that has not been given before, such as `Belmarnor`."""
        name = "".join(self.one(_SYLLABLES) for _ in range(3))
        while name in self._used:
            name += self.one(_SYLLABLES)
        self._used.add(name)
        return name.capitalize()

    def letters(self) -> str:
        """An abbreviation that has not been given before, such as `KTF`."""
        text = "".join(self.one("ABCDEFGHIKLMNOPRSTUVW") for _ in range(3))
        while text in self._used:
            text += self.one("ABCDEFGHIKLMNOPRSTUVW")
        self._used.add(text)
        return text
