"""Expressions that may reach a model, as coroutine functions of the environment.

What waits is kept apart from what computes. In an expression such as `f"{call A} and {len(xs)}"` the parts that must be awaited (the
call; `xs`, if its binding is still being computed) are awaited together; their values lie in slots, and one pure closure computes the rest.
Only the constructs that decide what is evaluated at all have code of their own: `if`, `and`, `otherwise` and blocks here, loops in
loops.py, calls of functions in functions.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.errors import Failure
from rlmlang.run import functions, loops
from rlmlang.run.calls import Site
from rlmlang.run.facts import Facts, Variable, parts
from rlmlang.run.flow import Effect, Env, Here, Lazy, Pure, Scope, fork, resolve_all, together, worse
from rlmlang.run.frames import Frame
from rlmlang.run.nesting import SolveOptions, Task, datum_names
from rlmlang.run.pure.bindings import Step, apart, binding_step, needed_bindings
from rlmlang.run.pure.calls import FunctionCode
from rlmlang.run.pure.code import PureCode
from rlmlang.run.pure.loops import takes_first
from rlmlang.run.stages import StageCode
from rlmlang.run.streams import StreamLazy
from rlmlang.syntax import nodes as n


class EffectCode:
    """Compiles the expressions of one frame. `sites` collects the places that call a model, `stages` the maps and filters that do."""

    def __init__(
        self,
        facts: Facts,
        frame: Frame,
        functions: dict[n.Fn, FunctionCode],
        effect_functions: dict[n.Fn, functions.EffectFunction],
        sites: dict[n.Node, Site],
        stages: dict[n.Node, StageCode],
        own: n.Fn | None = None,
    ) -> None:
        self.facts = facts
        self.checked = facts.checked
        self.frame = frame
        self.pure = PureCode(facts, frame, functions, own)
        self.effect_functions = effect_functions
        self.sites = sites
        self.stages = stages
        self.own = own
        self.inline: dict[Variable, n.Expr] = {}  # bindings that only the next stage reads: streamed straight into it

    def inside(self, frame: Frame, own: n.Fn) -> EffectCode:
        """What compiles the body of a function, for its frame."""
        return EffectCode(self.facts, frame, self.pure.functions, self.effect_functions, self.sites, self.stages, own)

    # ---- what must be awaited ----

    def pending(self, node: n.Node) -> set[Variable]:
        """The variables that `node` mentions and that may still be on their way."""
        return {v for v in self.facts.mentions(node) if self.frame.find(v)[1] == "pending"}

    def has_effect(self, node: n.Node) -> bool:
        return (node.body if isinstance(node, n.Lambda) else node) in self.checked.effects

    def is_plain(self, node: n.Node) -> bool:
        """Whether a pure closure can compute it once the pending variables it mentions are there (each of them is needed)."""
        return not self.has_effect(node) and self.pending(node) <= self.facts.awaits(node)

    def is_ready(self, node: n.Node) -> bool:
        """Whether nothing needs to be awaited for it at all."""
        return not self.has_effect(node) and not self.pending(node)

    def is_strict(self, node: n.Node) -> bool:
        """Whether evaluating it evaluates all its parts, so that these can be awaited beforehand."""
        if isinstance(node, n.Apply):
            callee = self.checked.callees[node]
            given = self.checked.arguments[node]
            if isinstance(callee, Builtin):
                keyed = any(isinstance(a, n.Lambda) and self.has_effect(a) for a in given) or self.named_effect(given)
                return not keyed and not self.takes_first(node) and not any(self.waits_for_items(a) for a in given)
            facts = self.facts.facts_of(callee)
            if callee.effectful or not {v for v in facts.mentions if self.frame.find(v)[1] == "pending"} <= facts.awaits:
                return False
            return all(a is None or p in facts.awaits or self.is_ready(a) for p, a in zip(facts.params, given, strict=False))
        return type(node) in _STRICT

    def waits_for_items(self, argument: n.Expr | n.Lambda | None) -> bool:
        """Whether it is a function that mentions what may still be on its way: that is needed only if there is an item to apply it to."""
        function = isinstance(argument, n.Lambda) or (isinstance(argument, n.Name) and argument in self.checked.callees)
        return function and argument is not None and bool(self.pending(argument))

    def named_effect(self, given: Sequence[n.Expr | n.Lambda | None]) -> bool:
        """Whether one of the arguments is the name of a function that may reach a model."""
        callees = (self.checked.callees.get(a) for a in given if isinstance(a, n.Name))
        return any(isinstance(c, Function) and c.effectful for c in callees)

    def takes_first(self, node: n.Apply) -> bool:
        """`take(filter(…), n)`, `first([x for … if …], n)`"""
        return isinstance(self.checked.callees[node], Builtin) and takes_first(node, self.checked.arguments[node])

    def gather(self, node: n.Node, cores: list[n.Node], pending: set[Variable]) -> None:
        """Collects the parts of an expression that have code of their own, and the variables to wait for."""
        if isinstance(node, n.Lambda) or (isinstance(node, n.Name) and node in self.checked.callees) or self.is_plain(node):
            pending |= self.pending(node)
        elif self.is_strict(node):
            if isinstance(node, n.Apply) and not isinstance(callee := self.checked.callees[node], Builtin):
                pending |= {v for v in self.facts.facts_of(callee).mentions if self.frame.find(v)[1] == "pending"}
            for part in parts(node):
                self.gather(part, cores, pending)
        else:
            cores.append(node)

    def awaiting(self, nodes: Sequence[n.Node]) -> Effect | None:
        """Code that awaits all that must be there before pure closures can compute `nodes`; None if there is nothing to wait for."""
        cores: list[n.Node] = []
        pending: set[Variable] = set()
        for node in nodes:
            self.gather(node, cores, pending)
        waits = sorted(self.frame.find(v)[0] for v in pending)
        codes = [self.compile(core) for core in cores]
        slots = [self.frame.slot() for _ in cores]
        self.pure.hoisted.update(zip(cores, slots, strict=True))
        if not codes:
            if not waits:
                return None

            async def wait(env: Env) -> None:
                await resolve_all(env, waits)

            return wait
        if len(codes) == 1 and not waits:
            code, slot = codes[0], slots[0]

            async def one(env: Env) -> None:
                env[slot] = await code(env)

            return one

        async def several(env: Env) -> None:
            round = env[0].round
            for at in waits:
                env[at].start(round)
            if len(codes) == 1:
                env[slots[0]] = await codes[0](env)
            else:
                await together(env, codes, slots)
            await resolve_all(env, waits)

        return several

    # ---- expressions ----

    def compile(self, node: n.Node) -> Effect:
        """The coroutine function for an expression."""
        if not self.is_plain(node):
            special = _EFFECTS.get(type(node))
            if special is not None and not self.is_strict(node):
                return special(self, node)
        awaiting = self.awaiting((node,))
        pure = self.pure.compile(node)
        if awaiting is None:

            async def at_once(env: Env) -> Any:
                return pure(env)

            return at_once
        awaited = awaiting

        async def composite(env: Env) -> Any:
            await awaited(env)
            return pure(env)

        return composite

    def value(self, node: n.Node) -> tuple[Pure | None, Effect | None]:
        """A pure closure where nothing has to be awaited, else a coroutine function."""
        return (self.pure.compile(node), None) if self.is_ready(node) else (None, self.compile(node))

    def _if(self, node: n.If) -> Effect:
        test, condition = self.value(node.condition)
        then, orelse = self.compile(node.then), self.compile(node.orelse)

        async def choose(env: Env) -> Any:
            chosen = test(env) if test is not None else await _sure(condition)(env)
            env[0].run.chose(node, bool(chosen))
            return await (then if chosen else orelse)(env)

        return choose

    def _logic(self, node: n.Logic) -> Effect:
        left, right = self.compile(node.left), self.compile(node.right)
        stops_at = node.op == "or"

        async def logic(env: Env) -> Any:
            value = await left(env)
            return value if bool(value) is stops_at else await right(env)

        return logic

    def _default(self, node: n.Default) -> Effect:
        left, right = self.compile(node.left), self.compile(node.right)

        async def default(env: Env) -> Any:
            value = await left(env)
            return await right(env) if value is None else value

        return default

    def _otherwise(self, node: n.Otherwise) -> Effect:
        value, fallback = self.compile(node.value), self.compile(node.fallback)

        async def otherwise(env: Env) -> Any:
            here: Here = env[0]
            scope = Scope(here.scope)
            own = fork(env, scope)
            try:
                return await value(own)
            except Failure as failure:
                scope.dead = True
                own[0].round = max(own[0].round, failure.round)
                here.run.calls.taken(failure)
            finally:
                here.round = max(here.round, own[0].round)
            return await fallback(env)

        return otherwise

    def _block(self, node: n.Block) -> Effect:
        return self.block(node.bindings, node.value)

    def block(self, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr) -> Effect:
        """Bindings, each started when it may be, then the value."""
        steps, lazies = self.bindings(bindings, value)
        code = self.compile(value)
        return finishing(steps, lazies, code)

    def bindings(self, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr) -> tuple[list[Step], list[int]]:
        """The steps that make or start a block's bindings, and the slots of those lazy values whose failure is the block's."""
        facts = self.facts
        needed = needed_bindings(facts, bindings, facts.needs(value), facts.needs)
        at_once = needed_bindings(facts, bindings, facts.awaits(value), facts.awaits)
        steps: list[Step] = []
        lazies: list[int] = []
        for at, binding in enumerate(bindings):
            if self.is_ready(binding.value):
                if loops.may_stream(self, binding.value) and self._streams_on(binding, bindings[at + 1 :], value):
                    variable = facts.bound[binding][0]
                    self.inline[variable] = binding.value
                    self.frame.place(variable, "pending")
                    continue
                step = binding_step(self.pure, binding, binding in at_once)
                if step is not None:
                    steps.append(step)
                continue
            variables = self.facts.bound[binding]
            if not any(v.uses for v in variables):
                continue
            if loops.is_feed(self, binding.value) and self._streams_on(binding, bindings[at + 1 :], value):
                self.inline[variables[0]] = binding.value
                self.frame.place(variables[0], "pending")
                continue
            steps.append(self._pending_binding(binding, binding in needed))
            lazies += [self.frame.find(v)[0] for v in variables if not v.guarded]
        return steps, lazies

    def _streams_on(self, binding: n.Bind | n.Unpack, rest: Sequence[n.Bind | n.Unpack], value: n.Expr) -> bool:
        """Whether a map or filter is read by nothing but one map or filter of the same block: then nobody keeps its list."""
        (variable, *others) = self.facts.bound[binding]
        if others or variable.uses != 1:
            return False
        for node in (*(b.value for b in rest), value):
            while isinstance(node, (n.Map, n.Filter)):
                if isinstance(node.source, n.Name) and self.facts.variables.get(node.source) is variable:
                    return not (isinstance(node, n.Map) and node.position is not None) and self.has_effect(node)
                node = node.source
        return False

    def _pending_binding(self, binding: n.Bind | n.Unpack, needed: bool) -> Step:
        variables = self.facts.bound[binding]
        if isinstance(binding, n.Bind):
            if isinstance(binding.value, (n.Map, n.Filter)) and loops.is_feed(self, binding.value):
                feed = loops.feed(self, binding.value)
                slot = self.frame.place(variables[0], "pending")
                return _lazily(slot, lambda env: StreamLazy(feed, env), needed)
            code = self.compile(binding.value)
            slot = self.frame.place(variables[0], "pending")
            return _lazily(slot, lambda env: Lazy(code, env), needed)
        whole = self.frame.slot()
        code = self.compile(binding.value)
        make_whole = _lazily(whole, lambda env: Lazy(code, env), needed)
        slots = [self.frame.place(v, "pending") for v in variables]
        count, span = len(slots), binding.value.span

        def item(at: int) -> Effect:
            async def taken(env: Env) -> Any:
                return apart(await env[whole].get(env[0]), count, span)[at]

            return taken

        items = [_lazily(slot, lambda env, at=at: Lazy(item(at), env), needed) for at, slot in enumerate(slots)]  # type: ignore[misc]

        def step(env: Env) -> None:
            make_whole(env)
            for make in items:
                make(env)

        return step

    # ---- sub-invocations ----

    def _solve(self, node: n.Solve) -> Effect:
        site = self.sites[node] = Site.of(node, self.checked.reply_types[node])
        awaiting = self.awaiting((node.prompt, *(d.value for d in node.data)))
        prompt = self.pure.compile(node.prompt)
        types = (self.checked.types[d.value] for d in node.data)
        data = list(zip(datum_names(node.data), types, (self.pure.compile(d.value) for d in node.data), strict=True))
        wanted = None if node.type is None else site.type
        options = SolveOptions.of(node)

        async def solve(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            here: Here = env[0]
            if here.run.solver is None:
                return await asyncio.get_running_loop().create_future()
            task = Task(prompt(env), tuple((name, type, value(env)) for name, type, value in data), wanted, options, node)
            return await here.run.solver.solve(task, here, site)

        return solve

    def _call(self, node: n.Call) -> Effect:
        site = self.sites[node] = Site.of(node, self.checked.reply_types[node])
        options = {o.name: o.value for o in node.options if o.name in ("sample", "system")}
        awaiting = self.awaiting((node.prompt, *(d.value for d in node.data), *options.values()))
        prompt = self.pure.compile(node.prompt)
        data = [(d.name, self.pure.compile(d.value)) for d in node.data]
        sample = self.pure.compile(options["sample"]) if "sample" in options else None
        system = self.pure.compile(options["system"]) if "system" in options else None

        async def call(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            here: Here = env[0]
            return await here.run.calls.ask(
                site,
                here,
                prompt(env),
                [(name, value(env)) for name, value in data],
                0 if sample is None else sample(env),
                None if system is None else system(env),
            )

        return call


def finishing(steps: Sequence[Step], lazies: Sequence[int], code: Effect) -> Effect:
    """A block: its steps, then its value; on failure the reason is the first in program order of those that happened."""

    async def block(env: Env) -> Any:
        try:
            for step in steps:
                step(env)
            return await code(env)
        except Exception as error:
            here: Here = env[0]
            begun = [lazy for slot in lazies if isinstance(lazy := env[slot], Lazy) and lazy.started]
            for lazy in begun:
                lazy.abandon()
            for lazy in begun:
                await lazy.wait()
            reason: BaseException = error
            for lazy in reversed(begun):
                if lazy.error is not None and lazy.error is not reason:
                    reason = worse(lazy.error, reason) or reason
            here.round = max(here.round, *(lazy.round for lazy in begun), 0)
            raise reason from None

    return block


def _lazily(slot: int, make: Callable[[Env], Lazy], needed: bool) -> Step:
    def step(env: Env) -> None:
        lazy = env[slot] = make(env)
        if needed:
            lazy.start()

    return step


def _sure(code: Effect | None) -> Effect:
    assert code is not None
    return code


_STRICT = frozenset({n.FString, n.ListExpr, n.Record, n.Unary, n.Binary, n.Compare, n.Index, n.Slice, n.FieldAccess, n.Fail})
_EFFECTS: dict[type[n.Node], Callable[[EffectCode, Any], Effect]] = {
    n.If: EffectCode._if,
    n.Logic: EffectCode._logic,
    n.Default: EffectCode._default,
    n.Otherwise: EffectCode._otherwise,
    n.Block: EffectCode._block,
    n.Apply: functions.apply,
    n.Map: loops.collected,
    n.Filter: loops.collected,
    n.First: loops.first,
    n.Reduce: loops.reduce,
    n.Fold: loops.fold,
    n.Call: EffectCode._call,
    n.Solve: EffectCode._solve,
}
