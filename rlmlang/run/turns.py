"""One program of several that follow one another, as in `solve` and the repl: what the ones before it have bound is there, and all that it
binds at the top is computed and kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

from attrs import define, field, frozen

from rlmlang.check.checked import Checked
from rlmlang.errors import Failure
from rlmlang.run.calls import Site
from rlmlang.run.effects import EffectCode, finishing
from rlmlang.run.evaluate import Run, ended
from rlmlang.run.flow import FIRST_SLOT, Effect, Env, Here, Scope, fork, resolve_all
from rlmlang.run.frames import Frame, Kind
from rlmlang.run.resolve import resolve
from rlmlang.run.upstream import find_upstream
from rlmlang.syntax import nodes as n


@define(eq=False)
class Past:
    """The values that a turn finds: those given from outside, by name, and those of each binding of the turns before, in the order of its
    names."""

    given: dict[str, Any] = field(factory=dict)
    bound: dict[n.Node, tuple[Any, ...]] = field(factory=dict)


@frozen(eq=False)
class Outcome:
    """What a turn gave: the values of its bindings, and the value of its last expression (None without one) or the failure that it ended
    with. `round`: the longest chain of calls up to here."""

    bound: dict[n.Node, tuple[Any, ...]]
    value: Any
    failure: Failure | None
    round: int


@define(eq=False)
class CompiledTurn:
    """A turn as code. `sites` are the places that call a model."""

    checked: Checked
    sites: dict[n.Node, Site]
    _frame: Frame
    _value: Effect | None
    _steps: list[Any]
    _lazies: list[int]
    _given: dict[str, int]
    _earlier: list[tuple[n.Node, list[int]]]
    _own: list[tuple[n.Node, list[tuple[int, Kind]]]]

    async def evaluate(self, past: Past, run: Run, start: Here | None = None) -> Outcome:
        """Computes all bindings and the last expression. Where a binding fails, its Failure is raised and nothing is bound; where only the
        last expression does, the bindings are completed. `start` is the flow that the turn belongs to. Raises as `evaluate.evaluate`."""
        env: Env = [None] * max(self._frame.size, FIRST_SLOT)
        env[0] = Here(run, run.root, 0 if start is None else start.round, () if start is None else start.items)
        env[1] = env[2] = 0
        for name, slot in self._given.items():
            env[slot] = past.given[name]
        for node, slots in self._earlier:
            for slot, value in zip(slots, past.bound[node], strict=True):
                env[slot] = value
        return await ended(run, finishing(self._steps, self._lazies, self._all)(env))  # type: ignore[no-any-return]

    async def _all(self, env: Env) -> Outcome:
        here: Here = env[0]
        places = [place for _, slots in self._own for place in slots]
        pending = [slot for slot, kind in places if kind == "pending"]
        for slot in pending:
            env[slot].start(here.round)
        scope = Scope(here.scope)
        own = fork(env, scope)
        last = here.run.spawn(self._last(own))
        try:
            await resolve_all(env, pending)
            for slot, kind in places:
                if kind == "thunk":  # the slot keeps it: other bindings read it there
                    env[slot].force()
        except Exception:
            # what is under way is finished, and nothing begun any more
            scope.dead = True
            for slot in pending:
                env[slot].abandon()
            await asyncio.gather(last, return_exceptions=True)
            raise
        value, failure = await last
        bound = {node: tuple(_held(env[slot], kind) for slot, kind in slots) for node, slots in self._own}
        return Outcome(bound, value, failure, max(here.round, own[0].round))

    async def _last(self, env: Env) -> tuple[Any, Failure | None]:
        try:
            return (None if self._value is None else await self._value(env)), None
        except Failure as failure:
            env[0].round = max(env[0].round, failure.round)
            return None, failure


def _held(held: Any, kind: Kind) -> Any:
    """The value in a slot, which has been computed."""
    return held.force() if kind == "thunk" else held.value if kind == "pending" else held


def compile_turn(checked: Checked) -> CompiledTurn:
    """The code of a turn without errors."""
    facts, _ = resolve(checked)
    frame = Frame()
    sites: dict[n.Node, Site] = {}
    code = EffectCode(facts, frame, {}, {}, sites, {})
    given = {name: frame.place(variable, "value") for name, variable in facts.given.items()}
    earlier: list[tuple[n.Node, list[int]]] = [
        (node, [frame.place(v, "value") for v in facts.bound[node]]) for program in checked.before for node in bindings_of(program)
    ]
    own = bindings_of(checked.program)
    last = next((s.value for s in reversed(checked.program.statements) if isinstance(s, (n.Answer, n.Shown))), None)
    whole = [*(node for module in checked.modules.values() for node in bindings_of(module)), *own]
    steps, lazies = code.bindings(whole, n.Literal(checked.program.span, None, "none") if last is None else last)
    value = None if last is None else code.compile(last)
    find_upstream(facts, sites)
    places: list[tuple[n.Node, list[tuple[int, Kind]]]] = [(node, [frame.find(v) for v in facts.bound[node]]) for node in own]
    return CompiledTurn(checked, sites, frame, value, steps, lazies, given, earlier, places)


def bindings_of(program: n.Program) -> list[n.Bind | n.Unpack]:
    """The bindings at the top of a program, in order."""
    return [s for s in program.statements if isinstance(s, (n.Bind, n.Unpack))]
