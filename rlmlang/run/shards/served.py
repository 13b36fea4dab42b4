"""The worker's side: the same program, compiled here, and items of its maps.

An item that needs no more than the memo has is done in one go. One that asks for a reply waits for it in a task of its own, and others
begin meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from rlmlang.check import check
from rlmlang.errors import RlmError
from rlmlang.lm.client import Client
from rlmlang.lm.render import form_of, read_data
from rlmlang.lm.request import Model
from rlmlang.run.budget import Budget
from rlmlang.run.calls import Calls, Site
from rlmlang.run.evaluate import Compiled, Run, compile_program, rest_of
from rlmlang.run.feeds import Event, position_number
from rlmlang.run.flow import Env, Here, Lazy, Thunk, label
from rlmlang.run.frames import Kind
from rlmlang.run.memo import Memo
from rlmlang.run.shards.lookup import Lookup
from rlmlang.run.shards.pack import Unshippable, pack, unpack
from rlmlang.run.shards.places import numbered, variables
from rlmlang.run.shards.words import ANSWER, ASK, DONE, ITEMS, PROGRAM, Captured, Done, Item
from rlmlang.run.stages import StageCode
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse

Send = Callable[[tuple[Any, ...]], None]


class Elsewhere(Exception):
    """This item cannot be done here."""


def serve(send: Send) -> Callable[[tuple[Any, ...]], None]:
    """Takes the messages of a run, and sends what it answers."""
    return _Serving(send).take


class _Serving:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._program: _Program | None = None
        self._stages: dict[int, _Stage] = {}
        self._batches: deque[tuple[_Stage, int, bool, bytes]] = deque()
        self._working: asyncio.Task[None] | None = None

    def take(self, words: tuple[Any, ...]) -> None:
        kind, *rest = words
        if kind == PROGRAM:
            self._program = _Program(self._send, *unpack(rest[0]))
            return
        assert self._program is not None
        if kind == ITEMS:
            number, batch, asks, packed = rest
            self._batches.append((self._stages[number], batch, asks, packed))
            if self._working is None or self._working.done():
                self._working = asyncio.get_running_loop().create_task(self._work())
        elif kind == ANSWER:
            self._program.answered(*rest)
        else:
            number, packed = rest
            self._stages[number] = _Stage(self._program, number, *unpack(packed))

    async def _work(self) -> None:
        while self._batches:
            stage, batch, asks, packed = self._batches.popleft()
            round, events = unpack(packed)
            stage.begin(batch, round, events, asks)
            await asyncio.sleep(0)


class _Program:
    """The run's program; `models` are those that its places ask, by the name that they give."""

    def __init__(
        self,
        send: Send,
        name: str,
        text: str,
        modules: Mapping[str, tuple[str, str]],
        models: Mapping[str | None, Model],
        memo: str | None,
        window: int,
    ) -> None:
        checked = check(parse(text, name), load=lambda path: parse(modules[path][1], modules[path][0]))
        self.send = send
        self.compiled: Compiled = compile_program(checked)
        self.nodes = numbered(checked)
        self.numbers = {node: number for number, node in enumerate(self.nodes)}
        self.sites = {id(site): self.numbers[node] for node, site in self.compiled.sites.items()}
        self.variables = dict(variables(self.compiled.facts, self.nodes))
        self.models = models
        self.lookup = Lookup(None if memo is None else Path(memo))
        self.window = window
        self.client = Client({model.name: model for model in models.values()}, Budget())
        self.memo = Memo.open(None)
        self._questions = 0
        self._asked: dict[int, asyncio.Future[bytes | None]] = {}

    async def reply(self, stage: int, item: Item, asked: tuple[int, bytes, str, int, str | None]) -> Any:
        """The reply to a call, from the run. Raises Elsewhere."""
        self._questions += 1
        answer = self._asked[self._questions] = asyncio.get_running_loop().create_future()
        self.send((ASK, stage, self._questions, item, pack(asked)))
        packed = await answer
        if packed is None:
            raise Elsewhere
        return unpack(packed)

    def answered(self, question: int, packed: bytes | None) -> None:
        answer = self._asked.pop(question)
        if not answer.done():  # else what wanted it is over
            answer.set_result(packed)


@define(eq=False)
class _Figures:
    """What items that are done asked for and decided: `answered` are the place, key and model of calls, without a model where the run had
    the reply."""

    answered: list[tuple[Site, bytes, str | None]] = field(factory=list)
    chosen: list[tuple[n.Node, bool]] = field(factory=list)

    def clear(self) -> None:
        self.answered.clear()
        self.chosen.clear()


class _Stage:
    """One stage of the run: its code, and an environment in which what it reads from outside is as far as the run knew it."""

    def __init__(self, program: _Program, number: int, node: int, captured: Sequence[Captured], nested: int, total: int) -> None:
        self._program = program
        self._number = number
        self._code: StageCode = program.compiled.stages[program.nodes[node]]
        assert self._code.frame is not None
        slots = {variable: slot for variable, slot, _ in self._code.captured}
        self._env: Env = [None] * self._code.frame.size
        self._env[1], self._env[2] = nested, total
        for place, kind, known, value in captured:
            self._env[slots[program.variables[place]]] = _held(kind, known, value)
        self._run = _Run(program, number)
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = False
        self._empty()

    def _empty(self) -> None:
        """Nothing is to be told."""
        self._items: list[Item] = []
        self._made: list[Any] = []
        self._rounds: list[int] = []
        self._back: list[int] = []
        self._figures = _Figures()
        self._steps = 0
        self._passed, self._begun, self._seconds = 0, 0, 0.0

    def begin(self, batch: int, round: int, events: Sequence[Event], asks: bool) -> None:
        """Does what can be done of the items without waiting. `round`: of the flow that the stage is part of."""
        since = time.perf_counter()
        with self._program.lookup:
            for at, event in enumerate(events):
                run = self._run
                run.item, run.asks = (batch, at), asks
                code = self._do(run, event, max(round, event[2]))
                try:
                    waits_for = code.send(None)
                except StopIteration:
                    continue
                self._run = _Run(self._program, self._number)
                task = asyncio.get_running_loop().create_task(rest_of(code, waits_for))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._passed += 1
        self._begun += len(events)
        self._seconds += time.perf_counter() - since
        self._tell()

    async def _do(self, run: _Run, event: Event, round: int) -> None:
        """Does one item."""
        position, value, _ = event
        code, item = self._code, run.item
        own = self._env.copy()
        here = own[0] = Here(run, run.root, round, (label(value, position_number(position)),))
        made: Any = None
        try:
            code.store(own, value, position)
            made = await code.work(own)
            await run.rest()
            if code.keeps is not None:
                made = bool(made)
                run.chose(code.keeps, made)
        except Exception:  # whatever it is, the run will meet it itself
            await run.end()
            if run is self._run:
                self._run = _Run(self._program, self._number)
            self._back.append(len(self._items))
        else:
            self._figures.answered += run.figures.answered
            self._figures.chosen += run.figures.chosen
            self._steps += run.steps
            run.figures.clear()
            run.steps = 0
        self._items.append(item)
        self._made.append(made)
        self._rounds.append(here.round)
        if run is not self._run:  # it is not told with its batch
            self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        """Tells the run of what is done."""
        self._telling = False
        if not self._items and not self._passed:
            return
        program = self._program
        keys: dict[int, list[bytes]] = {}
        models: Counter[str] = Counter()
        for site, key, model in self._figures.answered:
            keys.setdefault(program.sites[id(site)], []).append(key)
            if model is not None:
                models[model] += 1
        chosen: dict[int, tuple[int, int]] = {}
        for node, held in self._figures.chosen:
            number = program.numbers[node]
            count, true = chosen.get(number, (0, 0))
            chosen[number] = count + 1, true + held
        steps, begun, seconds = self._steps, self._begun, self._seconds
        done = Done(self._items, self._made, self._rounds, self._back, keys, dict(models), chosen, steps, begun, seconds)
        passed = self._passed
        try:
            packed = pack(tuple(done))
        except Unshippable:
            nothing = [None] * len(done.items)
            packed = pack((done.items, nothing, [0] * len(nothing), range(len(nothing)), {}, {}, {}, 0, begun, seconds))
        self._empty()
        program.send((DONE, self._number, passed, packed))


class _Run(Run):
    """The run's part here: of one item, or of one after the other as long as none waits. Remembers what they asked for and decided."""

    def __init__(self, program: _Program, stage: int) -> None:
        super().__init__(_Found(program, self, stage), program.window)
        self.item: Item = (0, 0)
        self.asks = False
        self.figures = _Figures()

    def chose(self, node: n.Node, held: bool) -> None:
        self.figures.chosen.append((node, held))


class _Found(Calls):
    """Calls that the memo answers, or the run."""

    def __init__(self, program: _Program, run: _Run, stage: int) -> None:
        super().__init__(program.client, program.memo)
        self._program = program
        self._run = run
        self._stage = stage

    async def ask(
        self, site: Site, here: Here, prompt: str, data: Sequence[tuple[str | None, Any]], sample: int, system: str | None
    ) -> Any:
        program, run = self._program, self._run
        form = site.form
        if form is None:
            form = site.form = form_of(site.type, program.models[site.model], site.max_tokens, site.temperature)
        content = form.content(prompt, read_data(data))
        key = form.key(content, sample, system)
        row = program.lookup.row(key)
        here.round += 1
        if row is not None:
            run.figures.answered.append((site, key, row.model))
            return row.value
        if not run.asks:
            raise Elsewhere
        value = await program.reply(self._stage, run.item, (program.sites[id(site)], key, content, sample, system))
        run.figures.answered.append((site, key, None))
        return value

    def report(self, failure: RlmError) -> None:
        """One that would be in the report."""
        raise Elsewhere


def _held(kind: Kind, known: bool, value: Any) -> Any:
    """What stands in a slot: the value, in what it is wrapped there; one that is not known cannot be read."""
    if kind == "value":
        return value
    if kind == "thunk":
        return Thunk((lambda env: value) if known else _unknown, [])
    return Lazy.of(*value) if known else _Unknown(None, None)


def _unknown(env: Env) -> Any:
    raise Elsewhere


class _Unknown(Lazy):
    """A value that the run did not have yet."""

    __slots__ = ()

    def start(self, round: int = 0) -> None:
        raise Elsewhere
