"""Lists that are too large to be held: large inputs, read from where they lie whenever somebody takes their items."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Base = Sequence[Any]
else:
    _Base = object  # an abstract base class makes every `isinstance` slow that is false


class Streamed(_Base):
    """A list that lies elsewhere, as lines of a file, and is read part by part whenever somebody takes its items, always the same ones.

    `parts` are the positions at which its parts begin, with its length as the last. An item is another object each time it is read; what
    tells objects apart by their identity must `hold` the list first. `weight`: bytes of all of it, about. `measured` is for whoever bounds
    it, to do so once.
    """

    parts: Sequence[int] = (0,)
    weight = 0
    measured: Any = None

    def __init__(self) -> None:
        self._held: list[Any] | None = None
        self._part: tuple[int, list[Any]] = (-1, [])
        self.read_once = False

    def read(self, part: int) -> Iterator[list[Any]]:
        """The items from that part on, some at a time. Raises what cannot be read or is not as declared, RlmError."""
        raise NotImplementedError

    def identity(self) -> str:
        """A text that is another one where the items may be others."""
        raise NotImplementedError

    def batches(self, start: int = 0) -> Iterator[list[Any]]:
        """The items from that position on, in order, some at a time."""
        if self._held is not None:
            yield self._held[start:]
            return
        part = max(0, bisect_right(self.parts, start) - 1)
        skip = start - self.parts[part]
        for items in self.read(part):
            if skip < len(items):
                yield items[skip:] if skip else items
            skip = max(0, skip - len(items))
        self.read_once |= start == 0

    def read_through(self) -> None:
        """Reads all of it once, if nobody has yet: it is what its type says from then on."""
        if not self.read_once:
            for _ in self.batches():
                pass

    def hold(self) -> list[Any]:
        """All items, which are held from then on."""
        if self._held is None:
            self._held = [item for items in self.batches() for item in items]
        return self._held

    def __len__(self) -> int:
        return self.parts[-1]

    def __iter__(self) -> Iterator[Any]:
        for items in self.batches():
            yield from items

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return self._between(start, stop)
        position = at + len(self) if at < 0 else at
        if not 0 <= position < len(self):
            raise IndexError(at)
        if self._held is not None:
            return self._held[position]
        part = bisect_right(self.parts, position) - 1
        number, items = self._part
        if number != part:
            items = self._between(self.parts[part], self.parts[part + 1])
            self._part = part, items
        return items[position - self.parts[part]]

    def _between(self, start: int, stop: int) -> list[Any]:
        found: list[Any] = []
        if start >= stop:
            return found
        for items in self.batches(start):
            found += items
            if len(found) >= stop - start:
                break
        return found[: stop - start]
