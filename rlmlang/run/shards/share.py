"""The run's side: who gets items, and the account of what comes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Final

from attrs import evolve

from rlmlang.check.checked import Checked
from rlmlang.lm.request import Model
from rlmlang.lm.workers import Worker, Workers
from rlmlang.run.evaluate import Compiled, Run
from rlmlang.run.feeds import Event
from rlmlang.run.flow import Env
from rlmlang.run.seen import Moments
from rlmlang.run.shards.pack import pack, unpack
from rlmlang.run.shards.places import Place, numbered, variables
from rlmlang.run.shards.spread import Spread, Taker
from rlmlang.run.shards.words import ANSWER, ASK, ITEMS, PROGRAM, STAGE, Done, Item
from rlmlang.run.stages import StageCode
from rlmlang.syntax import nodes as n

MODULE: Final = "rlmlang.run.shards.served"  # that answers in a worker
_AHEAD: Final = 2  # batches that a worker has not begun at most: the next is there when it is through with one


class Shards:
    """What workers may have of one run's maps. Use it within the run's event loop."""

    def __init__(self, workers: Workers, checked: Checked, compiled: Compiled, run: Run) -> None:
        self._workers = workers
        self._checked = checked
        self._compiled = compiled
        self.run = run
        self._shards: dict[Worker, Shard] = {}
        self._stages = 0

    @staticmethod
    def possible(workers: Workers, compiled: Compiled) -> bool:
        """Whether items of such a program may be done elsewhere at all."""
        sites = compiled.sites.values()
        return workers.possible and bool(sites) and not any(site.solves or site.batch > 1 for site in sites)

    def spread(self, code: StageCode, env: Env, taker: Taker) -> Spread | None:
        """What shares out the items of a stage; None where none of them can go."""
        if code.node is None or self.run.calls.watch is not None:
            return None
        return Spread(self, code, env, taker)

    def begin(self) -> int:
        """Sees that there are workers, if there can be some; gives the number of another stage that they may be told of."""
        self._workers.begin()
        self._stages += 1
        return self._stages

    def free(self) -> Shard | None:
        """A worker that may get a batch; None where each has enough, or none stands yet."""
        for worker in self._workers.ready:
            shard = self._shards.get(worker)
            if shard is None:
                shard = self._shards[worker] = Shard(worker, self, self._program, self._gone)
            if shard.ahead < _AHEAD:
                return shard
        return None

    def _gone(self, worker: Worker) -> None:
        self._shards.pop(worker).gone()

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
        source, memo = checked.program.source, calls.memo.path
        return pack((source.name, source.text, sources, models, None if memo is None else str(memo), self.run.window))

    def count(self, done: Done) -> None:
        """Counts what a worker has done as if it had been done here. Raises LimitError."""
        run = self.run
        for number, keys in done.keys.items():
            run.calls.found(self._compiled.sites[self.nodes[number]], run.nesting.level, keys)
        run.calls.memo.hit(done.models)
        run.calls.rounds = max(run.calls.rounds, *done.rounds, 0)
        for number, (count, held) in done.chosen.items():
            node = self.nodes[number]
            run.choices[node] = run.choices.get(node, Moments()) + Moments(count, held, held)
        run.stepped(done.steps)

    async def fetch(self, spread: Spread, event: Event, asked: tuple[int, bytes, str, int, str | None]) -> bytes | None:
        """The reply that an item in a worker wants, packed; None where there is none."""
        number, key, content, sample, system = asked
        calls, site = self.run.calls, self._compiled.sites[self.nodes[number]]
        request = partial(calls.form(site).request, content, sample, system)
        try:
            return pack(await calls.fetch(site, spread.here(event), key, request))
        except Exception:  # the run will meet it where it does the item itself
            return None


class Shard:
    """One worker, and the items it has. `ahead`: how many batches it has not begun."""

    def __init__(self, worker: Worker, shards: Shards, program: bytes, gone: Callable[[Worker], None]) -> None:
        self._shards = shards
        self._send = worker.serve(MODULE, self._told, gone)
        self._send((PROGRAM, program))
        self._stages: dict[int, Spread] = {}
        self._items: dict[Item, tuple[Spread, Event]] = {}
        self._batches = 0
        self.ahead = 0

    def give(self, spread: Spread, events: list[Event], asks: bool, packed: bytes) -> None:
        """Hands over a batch."""
        if spread.number not in self._stages:
            self._stages[spread.number] = spread
            self._send((STAGE, spread.number, spread.packed))
        self._batches += 1
        self.ahead += 1
        for at, event in enumerate(events):
            self._items[self._batches, at] = spread, event
        self._send((ITEMS, spread.number, self._batches, asks, packed))

    def _told(self, words: tuple[Any, ...]) -> None:
        kind, number, *rest = words
        if kind == ASK:
            question, item, packed = rest
            spread, event = self._items[item]
            self._shards.run.spawn(self._answer(spread, event, question, unpack(packed)))
            return
        passed, packed = rest
        self.ahead -= passed
        done = Done(*unpack(packed))
        self._stages[number].came([self._items.pop(item)[1] for item in done.items], done)

    async def _answer(self, spread: Spread, event: Event, question: int, asked: Any) -> None:
        packed: bytes | None = None
        spread.waits(1)
        try:
            packed = await self._shards.fetch(spread, event, asked)
        finally:
            spread.waits(-1)
            self._send((ANSWER, question, packed))

    def gone(self) -> None:
        """The worker has ended."""
        items, self._items = self._items, {}
        lost: dict[Spread, list[Event]] = {}
        for spread, event in items.values():
            lost.setdefault(spread, []).append(event)
        for spread, events in lost.items():
            spread.lost(events)
