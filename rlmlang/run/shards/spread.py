"""When the items of a stage are shared out, and which of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from rlmlang.errors import LimitError
from rlmlang.run.feeds import GONE, Event, Position
from rlmlang.run.flow import Env, Here, Lazy, Thunk
from rlmlang.run.frames import Kind
from rlmlang.run.shards.pack import Unshippable, pack
from rlmlang.run.shards.words import Captured, Done
from rlmlang.run.stages import StageCode

if TYPE_CHECKING:
    from rlmlang.run.shards.share import Shard, Shards

SECONDS: Final = 0.3  # a stage must have kept this process busy for so long
BUSY: Final = 0.8  # of a core, in that time
SENT: Final = 0.1  # requests an item, in that time: where there are more, the memo does not answer, and only what is heavy goes
LEAST: Final = 8e-6  # seconds an item: below, handing it over and back takes as long
HEAVY: Final = 300e-6  # seconds an item until it first waits: from here on a worker may ask for replies, which takes a fifth of that
_LOOK: Final = 16  # items between two looks at the clock
_BATCH_SECONDS: Final = 0.005  # of work in a batch, about
_BATCH: Final = 256  # items in it at most
_SMOOTHED: Final = 64  # items over which the time of one is smoothed
_JUDGED: Final = 512  # items, or
_JUDGED_TIMES: Final = 8  # so many answers of workers, after which a stage is judged by how many of them came back undone
_PAUSE: Final = 2.0  # seconds until it may be tried again, at first
_CAPTURED_BYTES: Final = 2**24  # of what a stage reads from outside: each worker holds a copy


class Taker(Protocol):
    """The stage whose items these are."""

    def here(self, event: Event) -> Here:
        """The flow of an item."""

    def waits(self, items: int) -> None:
        """So many items more (or less) wait for a reply elsewhere."""

    def through(self, position: Position, made: Any, round: int) -> None:
        """An item is done."""

    def returned(self, events: Sequence[Event], error: tuple[Position, BaseException] | None = None) -> None:
        """Items are over that were away: of `events`, nothing came. With `error` the run ends there."""


class Spread:
    """The items of one stage, of which some go to workers: `takes` those, `away` are under way, and the stage is told what became of each.
    While nothing goes, it looks whether something should: `began` and `worked` tell of an item that the stage does itself."""

    def __init__(self, shards: Shards, code: StageCode, env: Env, taker: Taker) -> None:
        self.number = 0
        self.packed = b""  # what workers must know of the stage with that number
        self.away = 0
        self.here = taker.here
        self.waits = taker.waits
        self._shards = shards
        self._code = code
        self._env = env
        self._round: int = env[0].round  # of the flow that the stage is part of, which goes on
        self._taker = taker
        self._on = False
        self._never = False
        self._pause = _PAUSE
        self._each = LEAST  # seconds an item, about
        self._batch: list[Event] = []
        self._to: Shard | None = None
        self._look_on()

    # ---- whether ----

    def _look_on(self, pause: float = 0.0) -> None:
        self._from, self._cpu_from = time.monotonic() + pause, time.thread_time()
        self._sent_from = self._shards.run.calls.client.counters.requests
        self._first = 0.0  # seconds of items until they first waited
        self._count, self._times, self._undone = 0, 0, 0

    def began(self, seconds: float) -> None:
        """The stage began an item, which took so long until it first waited."""
        self._first += seconds

    def worked(self) -> None:
        """The stage did an item itself."""
        if self._on or self._never:
            return
        self._count += 1
        if self._count % _LOOK == 0 and (elapsed := time.monotonic() - self._from) >= SECONDS:
            count, cpu, first = self._count, time.thread_time() - self._cpu_from, self._first
            known = self._shards.run.calls.client.counters.requests - self._sent_from <= SENT * count
            self._look_on()
            if cpu >= BUSY * elapsed and (first >= HEAVY * count or (known and cpu >= LEAST * count)):
                self._each = max(first, cpu if known else 0.0) / count
                self._turn_on()

    def _turn_on(self) -> None:
        try:
            self.packed = pack(self._stage())
        except Unshippable:
            self._never = True
            return
        self._never = len(self.packed) > _CAPTURED_BYTES
        self._on = not self._never
        if self._on:
            self.number = self._shards.begin()

    def _stage(self) -> tuple[int, list[Captured], int, int]:
        """What a worker needs to make the stage. Raises Unshippable."""
        shards, code, env = self._shards, self._code, self._env
        if code.node not in shards.numbers or any(v not in shards.places for v, _, _ in code.captured):
            raise Unshippable
        captured = [(shards.places[v], kind, *_known(env[slot], kind)) for v, slot, kind in code.captured]
        return shards.numbers[code.node], captured, env[1], env[2]

    # ---- items ----

    def takes(self, event: Event) -> bool:
        """Whether this item goes to a worker; else the stage does it."""
        if not self._on:
            return False
        if self._to is None:
            self._to = self._shards.free()
            if self._to is None:
                return False
        self._batch.append(event)
        if len(self._batch) >= _BATCH or len(self._batch) * self._each >= _BATCH_SECONDS:
            self.send()
        return True

    def send(self) -> None:
        """Hands over what it took: the stage is about to wait."""
        if self._to is None:
            return
        batch, self._batch = self._batch, []
        shard, self._to = self._to, None
        try:
            packed = pack((self._round, batch))
        except Unshippable:
            self._on, self._never = False, True
            self._taker.returned(batch)
            return
        self.away += len(batch)
        shard.give(self, batch, self._each >= HEAVY, packed)

    def came(self, events: list[Event], done: Done) -> None:
        """A worker is through with items."""
        self.away -= len(events)
        self._judge(len(events), done)
        taker, back, filters = self._taker, set(done.back), self._code.keeps is not None
        error: tuple[Position, BaseException] | None = None
        try:
            self._shards.count(done)
        except LimitError as beyond:
            error = events[0][0], beyond
        else:
            for at, (position, value, _) in enumerate(events):
                if at not in back:
                    made = done.made[at]
                    if filters:
                        made = value if made else GONE
                    taker.through(position, made, done.rounds[at])
        taker.returned([events[at] for at in done.back], error)

    def lost(self, events: list[Event]) -> None:
        """The worker that had them is gone."""
        self.away -= len(events)
        self._taker.returned(events)

    def _judge(self, count: int, done: Done) -> None:
        """Stops where most items come back undone; and sees how long one takes."""
        self._count += count
        self._times += 1
        self._undone += len(done.back)
        if done.begun:
            share = min(1.0, done.begun / _SMOOTHED)
            self._each += share * (max(LEAST, done.seconds / done.begun) - self._each)
        if self._count >= _JUDGED or self._times >= _JUDGED_TIMES:
            stops = self._on and 2 * self._undone > self._count
            self._look_on(self._pause if stops else 0.0)
            if stops:
                self._on = False
                self._pause *= 2


def _known(held: Any, kind: Kind) -> tuple[bool, Any]:
    """What a slot holds, where it is there already."""
    if kind == "value":
        return True, held
    if kind == "thunk":
        assert isinstance(held, Thunk)
        return held.known()
    assert isinstance(held, Lazy)
    return held.done and held.error is None, (held.value, held.round)
