"""The run's side: when items are shared out, who gets them, and the account of what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

from attrs import evolve

from rlmlang.check.checked import Checked
from rlmlang.errors import LimitError
from rlmlang.lm.request import Model
from rlmlang.lm.workers import Worker, Workers
from rlmlang.run.calls import Calls
from rlmlang.run.evaluate import Compiled, Run
from rlmlang.run.feeds import GONE, Event, Position
from rlmlang.run.flow import Env, Lazy, Thunk
from rlmlang.run.frames import Kind
from rlmlang.run.seen import Moments
from rlmlang.run.shards.pack import Unshippable, pack, unpack
from rlmlang.run.shards.places import Place, numbered, variables
from rlmlang.run.stages import StageCode
from rlmlang.syntax import nodes as n

MODULE: Final = "rlmlang.run.shards.served"  # that answers in a worker
PROGRAM: Final = 0  # messages to it
STAGE: Final = 1
ITEMS: Final = 2

SECONDS: Final = 0.3  # a stage must have kept this process busy for so long
BUSY: Final = 0.8  # of a core, in that time
SENT: Final = 0.1  # requests an item, in that time: where there are more, the memo does not answer
LEAST: Final = 8e-6  # seconds an item: below, handing it over and back takes as long
_LOOK: Final = 64  # items between two looks at the clock
_BATCH_SECONDS: Final = 0.005  # of work in a batch, about
_BATCH: Final = 256  # items in it at most
_AHEAD: Final = 2  # batches that a worker has at most: the next is there when it is through with one
_JUDGED: Final = 512  # items, or
_JUDGED_BATCHES: Final = 8  # so many batches, after which a stage is judged by how many of them came back undone
_PAUSE: Final = 2.0  # seconds until it may be tried again, at first
_CAPTURED_BYTES: Final = 2**24  # of what a stage reads from outside: each worker holds a copy

# what is known of a variable from outside: the kind of slot it stands in, whether the value is there, and it
Captured = tuple[Place, Kind, bool, Any]


class Taker(Protocol):
    """The stage whose items these are."""

    def through(self, position: Position, made: Any, round: int) -> None: ...

    def returned(self, events: Sequence[Event], error: tuple[Position, BaseException] | None = None) -> None: ...


class Done(NamedTuple):
    """What a worker says of a batch: what became of each item, the longest chain of calls for each, the numbers of those it hands `back`;
    and of the others together: the keys of the calls by place, calls by model, conditions decided by place, steps, and seconds."""

    made: Sequence[Any]
    rounds: Sequence[int]
    back: Sequence[int] = ()
    keys: Mapping[int, Sequence[bytes]] = {}
    models: Mapping[str, int] = {}
    chosen: Mapping[int, tuple[int, int]] = {}  # how often, and how often it held
    steps: int = 0
    seconds: float = 0.0


class Shards:
    """What workers may have of one run's maps. Use it within the run's event loop."""

    def __init__(self, workers: Workers, checked: Checked, compiled: Compiled, run: Run) -> None:
        self._workers = workers
        self._checked = checked
        self._compiled = compiled
        self.run = run
        self._shards: dict[Worker, _Shard] = {}
        self._stages = 0

    @staticmethod
    def possible(workers: Workers, calls: Calls, compiled: Compiled) -> bool:
        """Whether items of this run may be done elsewhere at all."""
        sites = compiled.sites.values()
        plain = bool(sites) and not any(site.solves or site.batch > 1 for site in sites)
        return workers.possible and plain and calls.memo.path is not None

    def spread(self, code: StageCode, env: Env, taker: Taker) -> Spread | None:
        """What shares out the items of a stage; None where none of them can go."""
        if code.node is None or self.run.calls.watch is not None:
            return None
        self._stages += 1
        return Spread(self, self._stages, code, env, taker)

    def begin(self) -> None:
        self._workers.begin()

    def free(self) -> _Shard | None:
        """A worker that may get a batch; None where each has enough, or none stands yet."""
        for worker in self._workers.ready:
            shard = self._shards.get(worker)
            if shard is None:
                shard = self._shards[worker] = _Shard(worker, self._program, self._gone)
            if len(shard.batches) < _AHEAD:
                return shard
        return None

    def _gone(self, worker: Worker) -> None:
        shard = self._shards.pop(worker)
        for spread, events in [*shard.batches.values()]:
            spread.lost(events)

    @cached_property
    def nodes(self) -> list[n.Node]:
        return numbered(self._checked)

    @cached_property
    def numbers(self) -> dict[n.Node, int]:
        return {node: number for number, node in enumerate(self.nodes)}

    @cached_property
    def places(self) -> dict[Any, Place]:
        return {variable: place for place, variable in variables(self._compiled.facts, self.nodes)}

    @cached_property
    def _program(self) -> bytes:
        """All that a worker needs to compile the program, and to know what its calls ask."""
        calls, checked = self.run.calls, self._checked
        sources = {path: (program.source.name, program.source.text) for path, program in checked.modules.items()}
        models: dict[str | None, Model] = {
            site.model: evolve(calls.client.model(site.model), api_key=None) for site in self._compiled.sites.values()
        }
        source = checked.program.source
        return pack((source.name, source.text, sources, models, str(calls.memo.path), self.run.window))

    def count(self, done: Done) -> None:
        """Counts what a worker has done as if it had been done here. Raises LimitError."""
        run = self.run
        for number, keys in done.keys.items():
            run.calls.found(self._compiled.sites[self.nodes[number]], run.nesting.level, keys)
        run.calls.memo.hit(done.models)
        if done.rounds:
            run.calls.rounds = max(run.calls.rounds, *done.rounds)
        for number, (count, held) in done.chosen.items():
            node = self.nodes[number]
            run.choices[node] = run.choices.get(node, Moments()) + Moments(count, held, held)
        run.stepped(done.steps)


class _Shard:
    """One worker, and the batches it has."""

    def __init__(self, worker: Worker, program: bytes, gone: Callable[[Worker], None]) -> None:
        self._send = worker.serve(MODULE, self._told, gone)
        self._send((PROGRAM, program))
        self._stages: set[int] = set()
        self.batches: dict[int, tuple[Spread, list[Event]]] = {}
        self._sent = 0

    def ask(self, spread: Spread, events: list[Event], packed: bytes) -> None:
        """Hands over a batch."""
        if spread.number not in self._stages:
            self._stages.add(spread.number)
            self._send((STAGE, spread.number, spread.packed))
        self._sent += 1
        self.batches[self._sent] = spread, events
        self._send((ITEMS, self._sent, spread.number, packed))

    def _told(self, words: tuple[Any, ...]) -> None:
        batch, packed = words
        spread, events = self.batches.pop(batch)
        spread.came(events, Done(*unpack(packed)))


class Spread:
    """The items of one stage, of which some go to workers: `takes` those, `away` are under way, and the stage is told what became of each.
    While nothing goes, it looks whether something should: `worked` counts an item that the stage did itself."""

    def __init__(self, shards: Shards, number: int, code: StageCode, env: Env, taker: Taker) -> None:
        self.number = number
        self.away = 0
        self.packed = b""  # what workers must know of the stage
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
        self._to: _Shard | None = None
        self._look_on()

    # ---- whether ----

    def _look_on(self, pause: float = 0.0) -> None:
        self._from, self._cpu_from = time.monotonic() + pause, time.thread_time()
        self._sent_from = self._shards.run.calls.client.counters.requests
        self._count, self._batches, self._undone = 0, 0, 0

    def worked(self) -> None:
        """The stage did an item itself."""
        if self._on or self._never:
            return
        self._count += 1
        if self._count % _LOOK == 0 and (elapsed := time.monotonic() - self._from) >= SECONDS:
            count, cpu = self._count, time.thread_time() - self._cpu_from
            sent = self._shards.run.calls.client.counters.requests - self._sent_from
            self._look_on()
            if cpu >= BUSY * elapsed and cpu >= LEAST * count and sent <= SENT * count:
                self._each = cpu / count
                self._turn_on()

    def _turn_on(self) -> None:
        try:
            self.packed = self.packed or pack(self._stage())
        except Unshippable:
            self._never = True
            return
        self._never = len(self.packed) > _CAPTURED_BYTES
        self._on = not self._never
        if self._on:
            self._shards.begin()

    def _stage(self) -> tuple[int, list[Captured], int, int]:
        shards, code, env = self._shards, self._code, self._env
        assert code.node is not None
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
        shard.ask(self, batch, packed)

    def came(self, events: list[Event], done: Done) -> None:
        """A worker is through with a batch."""
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
        self._batches += 1
        self._undone += len(done.back)
        self._each = max(LEAST, done.seconds / count)
        if self._count >= _JUDGED or self._batches >= _JUDGED_BATCHES:
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
