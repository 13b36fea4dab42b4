"""Stages: maps and filters whose bodies may reach a model, that stream into one another.

A stage takes events from a feed in whatever order they come, works on a bounded number of them at once, and puts one event for each into
its stream: the value made, or GONE where the item is dropped. An item so goes on as soon as it is through.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from rlmlang.errors import Failure
from rlmlang.lm.client import Dropped
from rlmlang.run.feeds import END, GONE, BatchFeed, Event, Feed, ListFeed, Mark, Position, position_number
from rlmlang.run.flow import Effect, Env, Here, Scope, label, worse
from rlmlang.run.samples import Sampled
from rlmlang.run.streams import Reader, Stream

if TYPE_CHECKING:
    from rlmlang.run.facts import Variable
    from rlmlang.run.frames import Frame, Kind
    from rlmlang.syntax import nodes as n

_AT_ONCE: Final = 4  # items that begin in one turn of the event loop: the first are on their way to the model while others begin
_LONG: Final = 0.001  # seconds of work on an item, after which others have their turn


@define(eq=False)
class StageCode:
    """What a stage does: `work` on each item, in an environment of its own in which `store` has put it.

    With `keeps` the work is the condition of that filter, and decides whether an item stays. With `skip` an item that fails is dropped and
    reported. `node` is the loop, by which another process finds the code of its own (None: it has none); `frame` the layout of the
    environments, and `captured` the variables from outside that the work may read, with where they stand.
    """

    work: Effect
    store: Callable[[Env, Any, Position], None]
    keeps: n.Filter | None = None
    skip: bool = False
    node: n.Map | n.Filter | None = None
    frame: Frame | None = None
    captured: Sequence[tuple[Variable, int, Kind]] = ()


def start_stage(env: Env, feed: Feed, code: StageCode) -> Feed:
    """Begins to work on the items of `feed`; gives what comes out."""
    run = env[0].run
    out = Stream(keep=False, room=run.window)
    out.partial = feed.partial
    stage = _Stage(env, feed, code, out)
    run.spawn(stage.drive())
    return Reader(out)


class _Stage:
    def __init__(self, env: Env, feed: Feed, code: StageCode, out: Stream) -> None:
        here: Here = env[0]
        self.env = env
        self.feed = feed
        self.work = code.work
        self.store = code.store
        self.out = out
        self.keeps = code.keeps
        self.skip = code.skip
        self.run = here.run
        self.items = here.items
        self.round = here.round
        self.scope = Scope(here.scope)
        self.live = 0
        self.wake: asyncio.Future[None] | None = None
        self.failed: tuple[Position, BaseException] | None = None
        self.first = isinstance(feed, (ListFeed, BatchFeed, Sampled))  # of its pipeline: progress counts items there
        if isinstance(feed, ListFeed):
            here.run.expect(feed.size)
        shards = here.run.shards
        self.spread = None if shards is None or here.items else shards.spread(code, env, self)
        self.back: deque[Event] = deque()  # items that another process could not do

    async def drive(self) -> None:
        """Takes items while there is room, until there are none or one has failed; then waits for those under way."""
        error: BaseException | None = None
        try:
            await self._take()
        except (Exception, asyncio.CancelledError) as stopped:
            self.scope.dead = True
            error = stopped
        try:
            while self.live or (self.spread is not None and self.spread.away and self.scope.alive()):
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
        window, spread = run.window, self.spread
        begun = 0
        while self.scope.alive() and not out.closed:
            crowded = self.live >= window or (self.live and self.items and run.live_items >= run.most_live)
            if crowded or out.full():
                if spread is not None:
                    spread.send()
                run.held += 1
                await (self._wait() if crowded else out.wait_room())
                run.held -= 1
                continue
            event = feed.ready()
            if isinstance(event, Mark):
                if spread is not None:
                    spread.send()
                if event is END:
                    return
                await feed.wait()
                continue
            if event[1] is GONE:
                out.put(*event)
            elif spread is None or not spread.takes(event):
                since = time.perf_counter()
                waits = self._start(event, run.start)
                took = time.perf_counter() - since
                if spread is not None:
                    spread.began(took)
                begun += waits
                if took > _LONG or (waits and begun % _AT_ONCE == 0):
                    await asyncio.sleep(0)

    def _start(self, event: Event, start: Callable[[Coroutine[Any, Any, None]], Any]) -> bool:
        """Begins to work on an item; whether it is under way then."""
        position, value, _ = event
        run = self.run
        own = self.env.copy()
        own[0] = self.here(event)
        others = self.live
        self.live += 1
        run.live_items += 1
        start(self._item(own, position, value))
        return self.live > others

    def here(self, event: Event) -> Here:
        """The flow of an item."""
        position, value, round = event
        scope = Scope(self.scope) if self.skip or (self.run.sample is not None and self.feed.partial) else self.scope
        return Here(self.run, scope, max(round, self.round), (*self.items, label(value, position_number(position))))

    # ---- items that another process has ----

    def waits(self, items: int) -> None:
        """So many items of another process more (or less) wait for a reply."""
        self.live += items
        self.run.live_items += items
        if items < 0:
            self._moved()

    def through(self, position: Position, made: Any, round: int) -> None:
        """Another process is through with an item."""
        self.out.put(position, made, round)
        self.run.done_items += self.first

    def returned(self, events: Sequence[Event], error: tuple[Position, BaseException] | None = None) -> None:
        """What another process had is over: of `events` it could not do it, and they are done here. With `error` the run ends there."""
        if error is not None:
            self._fail(*error)
        self.back.extend(events)
        self._moved()

    def _moved(self) -> None:
        """There may be room for another item, or none may be left to wait for."""
        while self.back and self.live < self.run.window and self.scope.alive() and not self.out.closed:
            self._start(self.back.popleft(), self.run.spawn)
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)

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
            self._fail(position, error)
        finally:
            self.live -= 1
            self.run.live_items -= 1
            self.run.done_items += self.first
            if self.spread is not None:
                self.spread.worked()
            self._moved()

    def _fail(self, position: Position, error: BaseException) -> None:
        self.scope.dead = True
        if self.failed is None or worse(*_in_order((position, error), self.failed)) is error:
            self.failed = (position, error)


def _in_order(a: tuple[Position, BaseException], b: tuple[Position, BaseException]) -> tuple[BaseException, BaseException]:
    return (a[1], b[1]) if a[0] <= b[0] else (b[1], a[1])
