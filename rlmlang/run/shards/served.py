"""The worker's side: the same program, compiled here, and items of its maps, which the memo must answer whole."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlmlang.check import check
from rlmlang.errors import RlmError
from rlmlang.lm.client import Client
from rlmlang.lm.render import form_of, read_data
from rlmlang.lm.request import Model
from rlmlang.run.budget import Budget
from rlmlang.run.calls import Calls, Site
from rlmlang.run.evaluate import Compiled, Run, compile_program
from rlmlang.run.feeds import Event, position_number
from rlmlang.run.flow import Env, Here, Lazy, Thunk, label
from rlmlang.run.frames import Kind
from rlmlang.run.memo import Memo
from rlmlang.run.memo_ahead import Ahead
from rlmlang.run.memo_file import COLUMNS, UNREADABLE, connect_looking
from rlmlang.run.memo_rows import MemoRow, row_of
from rlmlang.run.shards.pack import Unshippable, pack, unpack
from rlmlang.run.shards.places import numbered, variables
from rlmlang.run.shards.share import ITEMS, PROGRAM, Captured, Done
from rlmlang.run.stages import StageCode
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse

_GET = f"SELECT id, {COLUMNS} FROM replies WHERE key = ?"


class Elsewhere(Exception):
    """This item cannot be done here."""


def serve(send: Callable[[tuple[Any, ...]], None]) -> Callable[[tuple[Any, ...]], None]:
    """Takes the messages of a run, and sends what it answers."""
    return _Serving(send).take


class _Serving:
    def __init__(self, send: Callable[[tuple[Any, ...]], None]) -> None:
        self._send = send
        self._program: _Program | None = None
        self._stages: dict[int, _Stage] = {}
        self._batches: deque[tuple[int, int, bytes]] = deque()
        self._working: asyncio.Task[None] | None = None

    def take(self, words: tuple[Any, ...]) -> None:
        kind, *rest = words
        if kind == PROGRAM:
            self._program = _Program(*unpack(rest[0]))
            return
        assert self._program is not None
        if kind == ITEMS:
            batch, stage, packed = rest
            self._batches.append((batch, stage, packed))
            if self._working is None or self._working.done():
                self._working = asyncio.get_running_loop().create_task(self._work())
        else:
            number, packed = rest
            self._stages[number] = _Stage(self._program, *unpack(packed))

    async def _work(self) -> None:
        while self._batches:
            batch, number, packed = self._batches.popleft()
            round, events = unpack(packed)
            done = await self._stages[number].work(round, events)
            try:
                said = pack(tuple(done))
            except Unshippable:
                said = pack(tuple(Done((), (), range(len(events)))))
            self._send((batch, said))
            await asyncio.sleep(0)


class _Program:
    """The run's program; `models` are those that its places ask, by the name that they give."""

    def __init__(
        self,
        name: str,
        text: str,
        modules: Mapping[str, tuple[str, str]],
        models: Mapping[str | None, Model],
        memo: str,
        window: int,
    ) -> None:
        checked = check(parse(text, name), load=lambda path: parse(modules[path][1], modules[path][0]))
        self.compiled: Compiled = compile_program(checked)
        self.nodes = numbered(checked)
        self.numbers = {node: number for number, node in enumerate(self.nodes)}
        self.sites = {id(site): self.numbers[node] for node, site in self.compiled.sites.items()}
        self.variables = dict(variables(self.compiled.facts, self.nodes))
        self.lookup = _Lookup(Path(memo))
        self.window = window
        self.calls = _Found(models, self.lookup)


class _Stage:
    """One stage of the run: its code, and an environment in which what it reads from outside is as far as the run knew it."""

    def __init__(self, program: _Program, number: int, captured: Sequence[Captured], nested: int, total: int) -> None:
        self._program = program
        self._code: StageCode = program.compiled.stages[program.nodes[number]]
        assert self._code.frame is not None
        slots = {variable: slot for variable, slot, _ in self._code.captured}
        self._env: Env = [None] * self._code.frame.size
        self._env[1], self._env[2] = nested, total
        for place, kind, known, value in captured:
            self._env[slots[program.variables[place]]] = _held(kind, known, value)
        self._run = _Run(program.calls, program.window)

    async def work(self, round: int, events: Sequence[Event]) -> Done:
        """Does what it can of the items. `round`: of the flow that the stage is part of."""
        began, calls, code = time.perf_counter(), self._program.calls, self._code
        calls.answered.clear()
        run = self._run
        steps = 0
        made: list[Any] = []
        rounds: list[int] = []
        back: list[int] = []
        chosen: list[tuple[n.Node, bool]] = []
        with self._program.lookup:
            for at, (position, value, since) in enumerate(events):
                own = self._env.copy()
                here = own[0] = Here(run, run.root, max(round, since), (label(value, position_number(position)),))
                asked = len(calls.answered)
                try:
                    code.store(own, value, position)
                    result = await code.work(own)
                    await run.rest()
                    if code.keeps is not None:
                        run.chose(code.keeps, bool(result))
                        result = bool(result)
                except Exception:  # whatever it is, the run will meet it itself
                    back.append(at)
                    made.append(None)
                    rounds.append(0)
                    await run.end()
                    del calls.answered[asked:]
                    run = self._run = _Run(calls, self._program.window)
                else:
                    made.append(result)
                    rounds.append(here.round)
                    chosen += run.chosen
                    run.chosen.clear()
                    steps += run.steps
                    run.steps = 0
        keys: dict[int, list[bytes]] = {}
        models: Counter[str] = Counter()
        for site, key, model in calls.answered:
            keys.setdefault(self._program.sites[id(site)], []).append(key)
            models[model] += 1
        decided: dict[int, tuple[int, int]] = {}
        for node, held in chosen:
            number = self._program.numbers[node]
            count, true = decided.get(number, (0, 0))
            decided[number] = count + 1, true + held
        return Done(made, rounds, back, keys, dict(models), decided, steps, time.perf_counter() - began)


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


class _Lookup:
    """The memo's file, read. Within `with` all is as it was at its beginning."""

    def __init__(self, path: Path) -> None:
        self._db = connect_looking(path)
        self._ahead = Ahead()

    def __enter__(self) -> None:
        self._say("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._say("COMMIT")

    def _say(self, statement: str) -> None:
        if self._db is not None:
            with suppress(*UNREADABLE):
                self._db.execute(statement)

    def row(self, key: bytes) -> MemoRow:
        """The answer to the request with this key. Raises Elsewhere."""
        columns = self._ahead.take(key)
        if columns is None and self._db is not None:
            with suppress(*UNREADABLE):  # the run will meet it
                found = self._db.execute(_GET, (key,)).fetchone()
                if found is not None:
                    at, *columns = found
                    self._ahead.look(self._db, at)
        row = None if columns is None else row_of(key, columns)
        if row is None:
            raise Elsewhere
        return row


class _Run(Run):
    """The run's part here: remembers what was decided."""

    def __init__(self, calls: Calls, window: int) -> None:
        super().__init__(calls, window)
        self.chosen: list[tuple[n.Node, bool]] = []

    def chose(self, node: n.Node, held: bool) -> None:
        self.chosen.append((node, held))


class _Found(Calls):
    """Calls that the memo must answer: `answered` are the place, key and model of each."""

    def __init__(self, models: Mapping[str | None, Model], lookup: _Lookup) -> None:
        super().__init__(Client({model.name: model for model in models.values()}, Budget()), Memo.open(None))
        self._models = models
        self._lookup = lookup
        self.answered: list[tuple[Site, bytes, str]] = []

    async def ask(
        self, site: Site, here: Here, prompt: str, data: Sequence[tuple[str | None, Any]], sample: int, system: str | None
    ) -> Any:
        form = site.form
        if form is None:
            form = site.form = form_of(site.type, self._models[site.model], site.max_tokens, site.temperature)
        key = form.key(form.content(prompt, read_data(data)), sample, system)
        row = self._lookup.row(key)
        here.round += 1
        self.answered.append((site, key, row.model))
        return row.value

    def report(self, failure: RlmError) -> None:
        """One that would be in the report."""
        raise Elsewhere
