"""Feeds: lists whose items come one by one, in whatever order, each an event (position, value, round).

The value is GONE where the item was dropped; `round` is the longest chain of calls that an item took so far. The order is made again by
position where a list is wanted (`collect`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

from rlmlang.run.flow import Env, Here, resolve_all
from rlmlang.streamed import Streamed

if TYPE_CHECKING:
    from rlmlang.run.streams import Stream


# an int, or below a flattened list (position of the list, position in it, how many are in it): compared within one stage only
Position = Any
Event = tuple[Position, Any, int]


class Mark:
    """A value that no program has."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


GONE: Final = Mark("GONE")  # the item was dropped
WAIT: Final = Mark("WAIT")  # nothing yet
END: Final = Mark("END")  # nothing more


def position_number(position: Position) -> int:
    """The position of an item in its own list."""
    return int(position[1] if isinstance(position, tuple) else position)


class Feed(Protocol):
    """Where a stage takes its items from. `partial`: a sample of the items there are, which never makes a list."""

    @property
    def partial(self) -> bool: ...

    def ready(self) -> Event | Mark:
        """The next event, WAIT or END. Raises what the source failed with."""

    async def wait(self) -> None:
        """Until `ready` has something else than WAIT to say."""

    def close(self) -> None:
        """Nobody takes any more."""


class ListFeed:
    """The items of a list that is there; the first has the position `start`. The first `done` of them are left out."""

    partial = False

    def __init__(self, values: Sequence[Any], round: int, start: int = 0, done: int = 0) -> None:
        self.size = max(0, len(values) - done)
        rest: Iterable[Any] = values
        if done:
            rest = chain.from_iterable(values.batches(done)) if isinstance(values, Streamed) else islice(values, done, None)
        # of an empty list nothing comes, but that is known only after its calls
        self._events: Iterator[tuple[int, Any]] = enumerate(rest, start + done) if values or not round else iter(((start, GONE),))
        self._round = round

    def ready(self) -> Event | Mark:
        for position, value in self._events:
            return position, value, self._round
        return END

    async def wait(self) -> None:
        return None

    def close(self) -> None:
        return None


class BatchFeed:
    """The items that pure code makes of a list that is not held, some at a time, each batch when those before it are taken; `expect` is
    told how many come. The first `done` of them are left out."""

    partial = False

    def __init__(self, batches: Iterator[list[Any]], round: int, expect: Callable[[int], None], done: int = 0) -> None:
        self._batches = batches
        self._events: Iterator[tuple[int, Any]] = iter(())
        self._count = 0
        self._round = round
        self._expect = expect
        self._done = done
        self._ended = False

    def ready(self) -> Event | Mark:
        for position, value in self._events:
            return position, value, self._round
        return END if self._ended else WAIT

    async def wait(self) -> None:
        """Makes the next batch; what else there is to do comes before it."""
        await asyncio.sleep(0)
        made = next(self._batches, None)
        if made is None:
            self._ended = True
            return
        left_out = min(len(made), max(0, self._done - self._count))
        self._events = enumerate(made[left_out:] if left_out else made, self._count + left_out)
        self._count += len(made)
        self._expect(len(made) - left_out)

    def close(self) -> None:
        return None


class Changed:
    """Another feed's items through a pure function of value and position, which may give GONE."""

    def __init__(self, feed: Feed, change: Callable[[Any, Position], Any]) -> None:
        self.source = feed
        self._change = change
        self.wait = feed.wait
        self.close = feed.close

    @property
    def partial(self) -> bool:
        return self.source.partial

    def ready(self) -> Event | Mark:
        event = self.source.ready()
        if isinstance(event, Mark):
            return event
        position, value, round = event
        return event if value is GONE else (position, self._change(value, position), round)


class Awaiting:
    """Another feed's items, the first of them once the lazy values in `slots` are there: without items nobody needs these."""

    def __init__(self, feed: Feed, env: Env, slots: Sequence[int]) -> None:
        self.source = feed
        self._env = env
        self._slots = slots
        self._first: Event | None = None
        self._round: int | None = None
        self.close = feed.close

    @property
    def partial(self) -> bool:
        return self.source.partial

    def ready(self) -> Event | Mark:
        event: Event | Mark
        if self._first is not None:
            if self._round is None:
                return WAIT
            event, self._first = self._first, None
        else:
            event = self.source.ready()
        if isinstance(event, Mark) or event[1] is GONE:
            return event
        if self._round is None:
            self._first = event
            return WAIT
        position, value, round = event
        return position, value, max(round, self._round)

    async def wait(self) -> None:
        if self._first is None:
            await self.source.wait()
        else:
            await resolve_all(self._env, self._slots)
            self._round = self._env[0].round


class Flattened:
    """The items of another feed's lists."""

    def __init__(self, feed: Feed) -> None:
        self.source = feed
        self._rest: deque[Event] = deque()
        self.wait = feed.wait
        self.close = feed.close

    @property
    def partial(self) -> bool:
        return self.source.partial

    def ready(self) -> Event | Mark:
        while not self._rest:
            event = self.source.ready()
            if isinstance(event, Mark):
                return event
            position, values, round = event
            if values is GONE or not values:
                return (position, -1, 0), GONE, round  # nothing, but known only after its calls
            count = len(values)
            self._rest.extend(((position, at, count), value, round) for at, value in enumerate(values))
        return self._rest.popleft()


async def drain(feed: Feed, take: Callable[[Position, Any, int], None]) -> None:
    """Hands on each event of a feed as it comes, until there are no more."""
    while True:
        event = feed.ready()
        if isinstance(event, tuple):
            take(*event)
        elif event is WAIT:
            await feed.wait()
        else:
            return


async def collect(feed: Feed, here: Here, copy: Stream | None = None) -> list[Any]:
    """All items of a feed, in order. `copy` gets each event as it comes."""
    made: list[tuple[Position, Any]] = []
    last: Position = -1
    ordered = True

    def take(position: Position, value: Any, round: int) -> None:
        nonlocal last, ordered
        if copy is not None:
            copy.put(position, value, round)
        if round > here.round:
            here.round = round
        if value is GONE:
            return
        if ordered:
            ordered = last == -1 or position > last
            last = position
        made.append((position, value))

    await drain(feed, take)
    if feed.partial:
        if copy is not None:
            copy.partial = True
            copy.finish()
        await never()
    if not ordered:
        made.sort(key=itemgetter(0))
    return [value for _, value in made]


async def never() -> None:
    """Waits for what will not come: in a sample, for what needs a whole list. The run ends once nothing else is under way."""
    await asyncio.get_running_loop().create_future()
