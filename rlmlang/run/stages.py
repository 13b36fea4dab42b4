"""Maps and filters whose bodies may reach a model: stages that stream into one another.

A stage takes events (position, value, round) from a feed in whatever order they come, works on a bounded number of them at once, and puts
one event for each into its stream: the value made, or GONE where the item is dropped. An item so goes on as soon as it is through; the
order is made again by position where a list is wanted. `round` is the longest chain of calls that an item took so far.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from rlmlang import limits
from rlmlang.errors import Failure
from rlmlang.lm.client import Dropped
from rlmlang.run.flow import Effect, Env, Here, Lazy, Scope, label, resolve_all, worse

if TYPE_CHECKING:
    from rlmlang.run.evaluate import Run
    from rlmlang.syntax import nodes as n

Position = Any  # an int, or a pair (position, int) below a flattened list: compared within one stage only
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
    """The items of a list that is there; the first has the position `start`."""

    partial = False

    def __init__(self, values: Sequence[Any], round: int, start: int = 0) -> None:
        self.size = len(values)
        self._events: Iterator[tuple[int, Any]] = enumerate(values, start)
        self._round = round

    def ready(self) -> Event | Mark:
        for position, value in self._events:
            return position, value, self._round
        return END

    async def wait(self) -> None:
        return None

    def close(self) -> None:
        return None


class Stream:
    """What a stage has made so far. With `keep`, all of it stays, for any number of readers; else one reader takes each event away, and the
    stage waits while more than `room` lie ready."""

    def __init__(self, *, keep: bool, room: int) -> None:
        self.events: deque[Event] | list[Event] = [] if keep else deque()
        self.keep = keep
        self.done = False
        self.closed = False
        self.partial = False
        self.error: BaseException | None = None
        self._room = room
        self._readers: list[asyncio.Future[None]] = []
        self._writer: asyncio.Future[None] | None = None

    def put(self, position: Position, value: Any, round: int) -> None:
        self.events.append((position, value, round))
        if self._readers:
            self._wake()

    def finish(self, error: BaseException | None = None) -> None:
        self.error = error
        self.done = True
        self._wake()

    def _wake(self) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)
        self._readers.clear()

    def full(self) -> bool:
        return not self.keep and not self.closed and len(self.events) >= self._room

    async def wait_room(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        await self._writer

    def made_room(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    async def wait_event(self) -> None:
        reader = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        await reader


class Reader:
    """Takes the events of a stream, from the first one on."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0

    @property
    def partial(self) -> bool:
        return self._stream.partial

    def ready(self) -> Event | Mark:
        stream = self._stream
        events = stream.events
        if isinstance(events, deque):
            if events:
                event = events.popleft()
                stream.made_room()
                return event
        elif self._at < len(events):
            self._at += 1
            return events[self._at - 1]
        if not stream.done:
            return WAIT
        if stream.error is not None:
            raise stream.error
        return END

    async def wait(self) -> None:
        await self._stream.wait_event()

    def close(self) -> None:
        stream = self._stream
        if not stream.keep:
            stream.closed = True
            stream.made_room()


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
                return (position, -1), GONE, round  # nothing, but known only after its calls
            self._rest.extend(((position, at), value, round) for at, value in enumerate(values))
        return self._rest.popleft()


class StreamLazy(Lazy):
    """A lazy list that others may read item by item while it grows."""

    __slots__ = ("stream",)

    def __init__(self, open_feed: Callable[[Env], Awaitable[Feed]], env: Env) -> None:
        stream = Stream(keep=True, room=0)

        async def collect_all(own: Env) -> list[Any]:
            feed: Feed | None = None
            try:
                feed = await open_feed(own)
                stream.partial = feed.partial
                values = await collect(feed, own[0], stream)
            except BaseException as error:
                stream.finish(error if isinstance(error, Exception) else Dropped())
                raise
            finally:
                if feed is not None:
                    feed.close()
            stream.finish()
            return values

        super().__init__(collect_all, env)
        self.stream = stream


async def collect(feed: Feed, here: Here, copy: Stream | None = None) -> list[Any]:
    """All items of a feed, in order. `copy` gets each event as it comes."""
    made: list[tuple[Position, Any]] = []
    last: Position = -1
    ordered = True
    while True:
        event = feed.ready()
        if event is WAIT:
            await feed.wait()
            continue
        if event is END:
            break
        assert isinstance(event, tuple)
        position, value, round = event
        if copy is not None:
            copy.put(position, value, round)
        if round > here.round:
            here.round = round
        if value is GONE:
            continue
        if ordered:
            ordered = last == -1 or position > last
            last = position
        made.append((position, value))
    if feed.partial:
        if copy is not None:
            copy.partial = True
            copy.finish()
        await never()
    if not ordered:
        made.sort(key=_position)
    return [value for _, value in made]


def _position(pair: tuple[Position, Any]) -> Position:
    return pair[0]


def start_stage(
    env: Env,
    feed: Feed,
    work: Effect,
    store: Callable[[Env, Any, Position], None],
    *,
    keeps: n.Filter | None = None,
    skip: bool = False,
) -> Feed:
    """Begins to work on the items of `feed`, each in an environment of its own in which `store` has put it; gives what comes out.

    With `keeps` the work is the condition of that filter, and decides whether an item stays.
    With `skip` an item that fails is dropped and reported.
    """
    run = env[0].run
    out = Stream(keep=False, room=run.window)
    out.partial = feed.partial
    stage = _Stage(env, feed, work, store, out, keeps, skip)
    run.spawn(stage.drive())
    return Reader(out)


class _Stage:
    def __init__(
        self,
        env: Env,
        feed: Feed,
        work: Effect,
        store: Callable[[Env, Any, Position], None],
        out: Stream,
        keeps: n.Filter | None,
        skip: bool,
    ) -> None:
        here: Here = env[0]
        self.env = env
        self.feed = feed
        self.work = work
        self.store = store
        self.out = out
        self.keeps = keeps
        self.skip = skip
        self.run = here.run
        self.items = here.items
        self.round = here.round
        self.scope = Scope(here.scope)
        self.live = 0
        self.wake: asyncio.Future[None] | None = None
        self.failed: tuple[Position, BaseException] | None = None
        self.first = isinstance(feed, (ListFeed, Sampled))  # of its pipeline: progress counts items there
        if isinstance(feed, ListFeed):
            here.run.expect(feed.size)

    async def drive(self) -> None:
        """Takes items while there is room, until there are none or one has failed; then waits for those under way."""
        error: BaseException | None = None
        try:
            await self._take()
        except (Exception, asyncio.CancelledError) as stopped:
            self.scope.dead = True
            error = stopped
        try:
            while self.live:
                await self._wait()
        except asyncio.CancelledError as stopped:
            error = stopped
        self.feed.close()
        if self.failed is not None:
            error = worse(error, self.failed[1])
        if error is None and not self.scope.alive():
            error = Dropped()
        self.out.partial = self.feed.partial
        self.out.finish(Dropped() if isinstance(error, asyncio.CancelledError) else error)
        if isinstance(error, asyncio.CancelledError):
            raise error

    async def _take(self) -> None:
        feed, out, run = self.feed, self.out, self.run
        window = run.window
        sampling = run.sample is not None
        while self.scope.alive() and not out.closed:
            crowded = self.live >= window or (self.live and self.items and run.live_items >= limits.LIVE_ITEMS)
            if crowded or out.full():
                run.held += 1
                await (self._wait() if crowded else out.wait_room())
                run.held -= 1
                continue
            event = feed.ready()
            if event is WAIT:
                await feed.wait()
                continue
            if event is END:
                return
            assert isinstance(event, tuple)
            position, value, round = event
            if value is GONE:
                out.put(position, GONE, round)
                continue
            own = self.env.copy()
            scope = Scope(self.scope) if self.skip or (sampling and feed.partial) else self.scope
            own[0] = Here(run, scope, max(round, self.round), (*self.items, label(value, position_number(position))))
            self.live += 1
            run.live_items += 1
            run.start(self._item(own, position, value))

    async def _wait(self) -> None:
        self.wake = asyncio.get_running_loop().create_future()
        await self.wake

    async def _item(self, own: Env, position: Position, value: Any) -> None:
        here: Here = own[0]
        try:
            self.store(own, value, position)
            made = await self.work(own)
            if self.keeps is not None:
                self.run.chose(self.keeps, bool(made))
                made = value if made else GONE
            self.out.put(position, made, here.round)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if isinstance(error, Failure):
                error.round = max(error.round, here.round)
                if not error.item:
                    error.item = here.items
                if self.skip or self.feed.partial:
                    here.scope.dead = True
                    self.run.skipped(error, error.item)
                    self.out.put(position, GONE, here.round)
                    return
            self.scope.dead = True
            if self.failed is None or worse(*_in_order((position, error), self.failed)) is error:
                self.failed = (position, error)
        finally:
            self.live -= 1
            self.run.live_items -= 1
            self.run.done_items += self.first
            if self.wake is not None and not self.wake.done():
                self.wake.set_result(None)


def _in_order(a: tuple[Position, BaseException], b: tuple[Position, BaseException]) -> tuple[BaseException, BaseException]:
    return (a[1], b[1]) if a[0] <= b[0] else (b[1], a[1])


# ---- samples ----


async def never() -> None:
    """Waits for what will not come: in a sample, for what needs a whole list. The run ends once nothing else is under way."""
    await asyncio.get_running_loop().create_future()


def sampled(here: Here, feed: Feed, *, first: bool = False) -> Feed:
    """In a run that makes calls for a sample only: so many items, at random or the first ones, of a list that no stage made, and that is
    not one of an item of another."""
    wanted = here.run.sample
    if wanted is None or here.items or feed.partial or not _is_pure(feed):
        return feed
    return Sampled(feed, wanted, here.run, first)


def _is_pure(feed: Feed) -> bool:
    while isinstance(feed, (Changed, Awaiting, Flattened)):
        feed = feed.source
    return isinstance(feed, ListFeed)


class Sampled:
    """So many of another feed's items, in their order, each at the position that it has in the whole."""

    def __init__(self, feed: Feed, wanted: int, run: Run, first: bool) -> None:
        self._feed = feed
        self._wanted = wanted
        self._run = run
        self._first = first
        self._all: list[Event] = []
        self._chosen: Iterator[Event] | None = None
        self.partial = False
        self.wait = feed.wait
        self.close = feed.close

    def ready(self) -> Event | Mark:
        while self._chosen is None:
            event = self._feed.ready()
            if event is WAIT:
                return WAIT
            if isinstance(event, tuple):
                if event[1] is not GONE:
                    self._all.append(event)
                continue
            self._choose()
        return next(self._chosen, END)

    def _choose(self) -> None:
        events, wanted = self._all, self._wanted
        if len(events) > wanted:
            self.partial = True
            self._run.sampled_share = min(self._run.sampled_share, wanted / len(events))
            events = events[:wanted] if self._first else [events[at] for at in sorted(drawn(len(events), wanted))]
        self._run.expect(len(events))
        self._chosen = iter(events)
        self._all = []


def drawn(count: int, wanted: int) -> list[int]:
    """`wanted` different positions of `count`, at random, in no order: the same ones every time, and more of them where more are wanted."""
    random = Random(count)
    moved: dict[int, int] = {}  # the first steps of a shuffle (Fisher and Yates), of which only what was moved is kept
    taken = []
    for at in range(wanted):
        other = at + int(random.random() * (count - at))
        taken.append(moved.get(other, other))
        moved[other] = moved.get(at, at)
    return taken


def position_number(position: Position) -> int:
    """The position of an item in its own list."""
    return position[-1] if isinstance(position, tuple) else int(position)
