"""Expressions that may reach a model, as coroutine functions of the environment.

What waits is kept apart from what computes. In an expression such as `f"{call A} and {len(xs)}"` the parts that must be awaited (the
call; `xs`, if its binding is still being computed) are awaited together; their values lie in slots, and one pure closure computes the rest.
Only the constructs that decide what is evaluated at all (`if`, `and`, `otherwise`, blocks, maps …) have code of their own here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.errors import Failure, LimitError, UsageError
from rlmlang.lm.client import Dropped
from rlmlang.run.calls import Site
from rlmlang.run.flow import Effect, Env, Here, Lazy, Pure, Scope, fork, resolve_all, together, worse
from rlmlang.run.frames import Frame
from rlmlang.run.pure import (
    FunctionCode,
    PureCode,
    apart,
    builtin_parameters,
    empty_reduce,
    enter,
    flattened,
    label,
    may_nest,
    take_apart,
    takes_first,
)
from rlmlang.run.resolve import Facts, Variable, parts
from rlmlang.run.stages import (
    GONE,
    Awaiting,
    Changed,
    Feed,
    Flattened,
    ListFeed,
    Position,
    Reader,
    StreamLazy,
    collect,
    position_number,
    start_stage,
)
from rlmlang.syntax import nodes as n
from rlmlang.values import check_value

Open = Callable[[Env], Awaitable[Feed]]
Step = Callable[[Env], None]


class EffectFunction:
    """A function whose arguments may still be on their way: each is a Lazy."""

    __slots__ = ("body", "depth", "frame", "name", "slots")

    def __init__(self, name: str, frame: Frame, depth: int | None, slots: list[int]) -> None:
        self.name = name
        self.frame = frame
        self.depth = depth
        self.slots = slots
        self.body: Effect = _unset


async def _unset(env: Env) -> Any:
    raise AssertionError("a function was called before it was compiled")


class EffectCode:
    """Compiles the expressions of one frame. `sites` collects the places that call a model."""

    def __init__(
        self,
        facts: Facts,
        frame: Frame,
        functions: dict[n.Fn, FunctionCode],
        effect_functions: dict[n.Fn, EffectFunction],
        sites: dict[n.Node, Site],
        own: n.Fn | None = None,
    ) -> None:
        self.facts = facts
        self.checked = facts.checked
        self.frame = frame
        self.pure = PureCode(facts, frame, functions, own)
        self.effect_functions = effect_functions
        self.sites = sites
        self.own = own
        self.inline: dict[Variable, n.Expr] = {}  # bindings that only the next stage reads: streamed straight into it

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
                keyed = any(isinstance(a, n.Lambda) and self.has_effect(a) for a in given) or self._named_effect(given)
                return not keyed and not self._takes_first(node) and not any(self._waits_for_items(a) for a in given)
            facts = self.facts.facts_of(callee)
            if callee.effectful or not {v for v in facts.mentions if self.frame.find(v)[1] == "pending"} <= facts.awaits:
                return False
            return all(a is None or p in facts.awaits or self.is_ready(a) for p, a in zip(facts.params, given, strict=False))
        return type(node) in _STRICT

    def _waits_for_items(self, argument: n.Expr | n.Lambda | None) -> bool:
        """Whether it is a function that mentions what may still be on its way: that is needed only if there is an item to apply it to."""
        function = isinstance(argument, n.Lambda) or (isinstance(argument, n.Name) and argument in self.checked.callees)
        return function and argument is not None and bool(self.pending(argument))

    def _named_effect(self, given: Sequence[n.Expr | n.Lambda | None]) -> bool:
        """Whether one of the arguments is the name of a function that may reach a model."""
        callees = (self.checked.callees.get(a) for a in given if isinstance(a, n.Name))
        return any(isinstance(c, Function) and c.effectful for c in callees)

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
        needed = self.pure.needed_bindings(bindings, facts.needs(value), facts.needs)
        at_once = self.pure.needed_bindings(bindings, facts.awaits(value), facts.awaits)
        steps: list[Step] = []
        lazies: list[int] = []
        for at, binding in enumerate(bindings):
            if self.is_ready(binding.value):
                step = self.pure.binding(binding, binding in at_once)
                if step is not None:
                    steps.append(step)
                continue
            variables = self.facts.bound[binding]
            if not any(v.uses for v in variables):
                continue
            if self._streams_on(binding, bindings[at + 1 :], value):
                self.inline[variables[0]] = binding.value
                self.frame.place(variables[0], "pending")
                continue
            steps.append(self._pending_binding(binding, binding in needed))
            lazies += [self.frame.find(v)[0] for v in variables if not v.guarded]
        return steps, lazies

    def _streams_on(self, binding: n.Bind | n.Unpack, rest: Sequence[n.Bind | n.Unpack], value: n.Expr) -> bool:
        """Whether a map or filter is read by nothing but one map or filter of the same block: then nobody keeps its list."""
        (variable, *others) = self.facts.bound[binding]
        if others or variable.uses != 1 or not isinstance(binding.value, (n.Map, n.Filter)) or not self.is_feed(binding.value):
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
            if isinstance(binding.value, (n.Map, n.Filter)) and self.is_feed(binding.value):
                feed = self.feed(binding.value)
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

    # ---- calls of functions ----

    def _apply(self, node: n.Apply) -> Effect:
        callee = self.checked.callees[node]
        if isinstance(callee, Builtin):
            if self._takes_first(node):
                return self._first_of_filter(node)
            given = self.checked.arguments[node]
            keyed = any(isinstance(a, n.Lambda) and self.has_effect(a) for a in given) or self._named_effect(given)
            return self._keyed(node, callee) if keyed else self._applied(node)
        code = self.function(callee)
        same_function = callee.node is self.own
        copies = self.pure.copies(code.frame)
        makers: list[Callable[[Env], Lazy]] = []
        facts = self.facts.facts_of(callee)
        for argument, declared, param in zip(self.checked.arguments[node], callee.node.params, facts.params, strict=False):
            argument = argument if argument is not None else declared.default
            assert argument is not None
            makers.append(self._lazy_argument(argument, param in facts.needs, param in facts.awaits))
        pairs = list(zip(code.slots, makers, strict=True))
        span = node.span

        async def call(env: Env) -> Any:
            try:
                frame = enter(code, env, same_function)
            except (Failure, LimitError) as error:
                error.span = error.span or span
                raise
            for there, here in copies:
                frame[there] = env[here]
            for slot, make in pairs:
                frame[slot] = make(env)
            return await code.body(frame)

        return call

    def _lazy_argument(self, argument: n.Expr | n.Lambda, needed: bool, at_once: bool) -> Callable[[Env], Lazy]:
        if at_once and self.is_ready(argument):
            pure = self.pure.compile(argument)
            return lambda env: Lazy.of(pure(env), env[0].round)
        code = self.compile(argument)

        def make(env: Env) -> Lazy:
            lazy = Lazy(code, env)
            if needed:
                lazy.start()
            return lazy

        return make

    def function(self, function: Function) -> EffectFunction:
        """The compiled function, compiling it first where nobody has."""
        code = self.effect_functions.get(function.node)
        if code is None:
            facts = self.facts.facts_of(function)
            top = self.frame if self.frame.outer is None else self.frame.outer
            frame = Frame(top)
            slots = [frame.place(p, "pending") for p in facts.params]
            code = self.effect_functions[function.node] = EffectFunction(function.node.name, frame, function.node.depth, slots)
            inner = EffectCode(self.facts, frame, self.pure.functions, self.effect_functions, self.sites, function.node)
            code.body = inner.compile(function.node.body)
        return code

    def _applied(self, node: n.Apply) -> Effect:
        """A built-in whose pure lambda mentions what may still be on its way: awaited once the list is there and not empty."""
        given = [a for a in self.checked.arguments[node] if a is not None]
        functions = [a for a in given if self._waits_for_items(a)]
        awaiting = self.awaiting([a for a in given if a not in functions])
        waits = sorted({self.frame.find(v)[0] for a in functions for v in self.pending(a)})
        items = self.pure.compile(given[0])
        slot = self.pure.hoisted[given[0]] = self.frame.slot()
        pure = self.pure.compile(node)

        async def applied(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            xs = env[slot] = items(env)
            if xs:
                await resolve_all(env, waits)
            return pure(env)

        return applied

    def _keyed(self, node: n.Apply, builtin: Builtin) -> Effect:
        """A built-in whose lambda may reach a model: its values for all items first, in parallel, then the built-in, which replays them."""
        given = list(self.checked.arguments[node])
        while given and given[-1] is None:
            given.pop()
        at = next(
            i
            for i, a in enumerate(given)
            if a is not None and ((isinstance(a, n.Lambda) and self.has_effect(a)) or self._named_effect([a]))
        )
        function = given[at]
        others = [a for i, a in enumerate(given) if a is not None and i != at]
        awaiting = self.awaiting(others)
        names = builtin_parameters(builtin)
        pure = {names[i]: self.pure.argument(a) for i, a in enumerate(given) if a is not None and i != at}
        work, store = self._lambda(function)
        code, key_name, list_name, span = builtin.code, names[at], names[0], node.span

        by_position = all(a is not None for a in given)  # as built-ins that take any number of values want it

        async def keyed(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            values = {name: argument(env) for name, argument in pure.items()}
            here: Here = env[0]
            keys = await collect(start_stage(env, ListFeed(values[list_name], here.round), work, store), here)
            replay: Iterator[Any] = iter(keys)
            values[key_name] = lambda _: next(replay)
            try:
                return code(*(values[name] for name in names[: len(given)])) if by_position else code(**values)
            except (Failure, LimitError) as error:
                error.span = error.span or span
                raise

        return keyed

    def _lambda(self, function: n.Expr | n.Lambda | None) -> tuple[Effect, Callable[[Env, Any, Position], None]]:
        """The work on one item, and where the item is put for it."""
        if isinstance(function, n.Lambda):
            slots = [self.frame.place(v, "value") for v in self.facts.bound[function]]
            return self.compile(function.body), _storing(slots, function)
        assert isinstance(function, n.Name)
        callee = self.checked.callees[function]
        assert isinstance(callee, Function)
        code = self.function(callee)
        copies = self.pure.copies(code.frame)
        item = self.frame.slot()

        async def work(env: Env) -> Any:
            frame = enter(code, env, callee.node is self.own)
            for there, here in copies:
                frame[there] = env[here]
            frame[code.slots[0]] = Lazy.of(env[item], env[0].round)
            for slot, declared in zip(code.slots[1:], callee.node.params[1:], strict=True):
                assert declared.default is not None
                frame[slot] = Lazy.of(self.pure.compile(declared.default)(env))
            return await code.body(frame)

        return work, _storing([item], function)

    # ---- maps and filters ----

    def is_feed(self, node: n.Expr) -> bool:
        """Whether its items may come one by one: it calls a model itself, or takes its items from a list that is still growing."""
        return isinstance(node, (n.Map, n.Filter)) and (not self.is_plain(node) or self._grows(node.source))

    def _grows(self, source: n.Expr) -> bool:
        if isinstance(source, n.Name):
            return source not in self.checked.callees and self.frame.find(self.facts.variables[source])[1] == "pending"
        return self.is_feed(source)

    def feed(self, node: n.Expr) -> Open:
        """Code that opens a list as a feed of items."""
        if isinstance(node, n.Name) and node not in self.checked.callees:
            variable = self.facts.variables[node]
            if variable in self.inline:
                return self.feed(self.inline[variable])
            slot, kind = self.frame.find(variable)
            if kind == "pending":
                return _open_lazy(slot)
        if isinstance(node, (n.Map, n.Filter)) and self.is_feed(node):
            return self._stage(node)
        code = self.compile(node)

        async def whole(env: Env) -> Feed:
            here: Here = env[0]
            values = await code(env)
            return ListFeed(values, here.round)

        return whole

    def _stage(self, node: n.Map | n.Filter) -> Open:
        wants_order = isinstance(node, n.Map) and node.position is not None
        source = self.feed(node.source)
        slots = [self.frame.place(v, "value") for v in self.facts.bound[node]]
        store = _storing(slots, node)
        body = node.body if isinstance(node, n.Map) else node.condition
        is_filter, skip = isinstance(node, n.Filter), node.skip
        flatten = isinstance(node, n.Map) and node.flatten
        plain = not self.has_effect(body) and not skip
        pending = self.pending(body)
        if plain and pending <= self.facts.awaits(body):
            pure = self.pure.compile(body)
            waits = sorted(self.frame.find(v)[0] for v in pending)

            async def open_pure(env: Env) -> Feed:
                feed = await source(env)
                if wants_order:
                    feed = ListFeed(await collect(feed, env[0]), env[0].round)
                if waits:
                    feed = Awaiting(feed, env, waits)

                def change(value: Any, position: Position) -> Any:
                    try:
                        store(env, value, position)
                        made = pure(env)
                    except Failure as failure:
                        failure.item = failure.item or (*env[0].items, label(value, position_number(position)))
                        raise
                    if is_filter:
                        return value if made else GONE
                    return made

                changed = Changed(feed, change)
                return Flattened(changed) if flatten else changed

            return open_pure
        work = self.compile(body)

        async def open_stage(env: Env) -> Feed:
            feed = await source(env)
            if wants_order:
                feed = ListFeed(await collect(feed, env[0]), env[0].round)
            stage = start_stage(env, feed, work, store, keep_value=is_filter, skip=skip)
            return Flattened(stage) if flatten else stage

        return open_stage

    def _collected(self, node: n.Map | n.Filter) -> Effect:
        source = self.feed(node)
        flatten, span = isinstance(node, n.Map) and node.flatten, node.span

        async def whole(env: Env) -> list[Any]:
            here: Here = env[0]
            feed = await source(env)
            try:
                values = await collect(feed, here)
            finally:
                feed.close()
            return flattened([values], span) if flatten else values

        return whole

    def _takes_first(self, node: n.Apply) -> bool:
        """`take(filter(…), n)`, `first([x for … if …], n)`"""
        return isinstance(self.checked.callees[node], Builtin) and takes_first(node, self.checked.arguments[node])

    def _first_of_filter(self, node: n.Apply) -> Effect:
        source, count = self.checked.arguments[node][:2]
        assert isinstance(source, n.Filter) and isinstance(count, n.Expr)
        callee = self.checked.callees[node]
        assert isinstance(callee, Builtin)
        awaiting = self.awaiting((source.source, count))
        return self._first_found(source, source.source, awaiting, self.pure.amount(callee, count, node.span), source.condition)

    def _first(self, node: n.First) -> Effect:
        awaiting = self.awaiting((node.source, node.count))
        return self._first_found(node, node.source, awaiting, self.pure.compile(node.count), node.condition)

    def _first_found(self, node: n.First | n.Filter, source: n.Expr, awaiting: Effect | None, wanted: Pure, condition: n.Expr) -> Effect:
        """Looks at as many items as are still wanted, then at twice as many, …, and stops when enough are found.

        What fails beyond the last that is found would not have been looked at one by one: it is reported, and no failure of the whole.
        """
        slots = [self.frame.place(v, "value") for v in self.facts.bound[node]]
        if self.is_ready(condition):
            found_purely = self.pure.first_found(node, source, wanted, condition)

            async def purely(env: Env) -> Any:
                if awaiting is not None:
                    await awaiting(env)
                return found_purely(env)

            return purely
        items = self.pure.compile(source)
        store = _storing(slots, node)
        work = self.compile(condition)
        event = self.frame.slot()

        def put(env: Env, value: Any, at: Position) -> None:
            env[event] = value, at

        async def first(env: Env) -> list[Any]:
            if awaiting is not None:
                await awaiting(env)
            here: Here = env[0]
            xs, most = items(env), wanted(env)
            found: list[Any] = []
            at, width = 0, most
            while len(found) < most and at < len(xs):
                width = max(width, most - len(found))
                part = xs[at : at + width]
                verdicts = await collect(start_stage(env, ListFeed(part, here.round, at), _tried(work, store, event), put), here)
                for x, verdict in zip(part, verdicts, strict=True):
                    if not isinstance(verdict, Failure):
                        found += [x] if verdict else []
                    elif len(found) < most:
                        raise verdict
                    else:
                        here.run.calls.taken(verdict)
                at += width
                width = min(width * 2, here.run.window)
            return found[:most]

        return first

    # ---- reduce and fold ----

    def _reduce(self, node: n.Reduce) -> Effect:
        source = self.compile(node.source)
        initial = None if node.initial is None else self.compile(node.initial)
        left, right = (self.frame.place(v, "value") for v in self.facts.bound[node])
        work, span = self.compile(node.body), node.span

        def store(env: Env, pair: Any, position: Position) -> None:
            env[left], env[right] = pair

        async def reduce(env: Env) -> Any:
            level = list(await source(env))
            here: Here = env[0]
            if not level:
                return await initial(env) if initial is not None else empty_reduce(env, None, span)
            while len(level) > 1:
                pairs = [(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
                merged = await collect(start_stage(env, ListFeed(pairs, here.round), work, store), here)
                level = merged + level[len(level) & ~1 :]
            return level[0]

        return reduce

    def _fold(self, node: n.Fold) -> Effect:
        """Each step is begun before the one before it is done, and waits for it where it uses the accumulator: its other calls do not."""
        awaiting = self.awaiting((node.source, node.initial))
        source, initial = self.pure.compile(node.source), self.pure.compile(node.initial)
        accumulator, item = self.facts.bound[node]
        slot = self.frame.place(accumulator, "pending")
        item_slot = self.frame.place(item, "value")
        body = self.compile(node.body)
        out = self.frame.slot()
        deep = may_nest(self.checked.types[node.body])

        def put(own: Env, step: Any, position: Position) -> None:
            own[item_slot], own[slot], own[out] = step

        async def fold(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            here: Here = env[0]
            last = Lazy.of(initial(env), here.round)
            steps = []
            for x in source(env):
                result = Lazy.promised()
                steps.append((x, last, result))
                last = result
            await collect(start_stage(env, ListFeed(steps, here.round), work, put), here)
            return await last.get(here)

        async def work(own: Env) -> None:
            promised: Lazy = own[out]
            try:
                value = await body(own)
                if deep:
                    check_value(value)
            except BaseException as error:
                promised.fail(error)
                raise
            promised.resolve(value, own[0].round)

        return fold

    # ---- sub-invocations ----

    def _solve(self, node: n.Solve) -> Effect:
        async def solve(env: Env) -> Any:
            raise UsageError("solve cannot be run yet; it is only checked", span=node.span)

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


def _open_lazy(slot: int) -> Open:
    async def opened(env: Env) -> Feed:
        lazy: Lazy = env[slot]
        here: Here = env[0]
        if isinstance(lazy, StreamLazy) and not lazy.done:
            lazy.start(here.round)
            return Reader(lazy.stream)
        values = await lazy.get(here)
        return ListFeed(values, lazy.round)

    return opened


def _storing(slots: Sequence[int], node: n.Node) -> Callable[[Env, Any, Position], None]:
    """Puts an item (and its position) where a body reads it."""
    if isinstance(node, n.Map) and node.position is not None:
        slot, at = slots

        def with_position(env: Env, value: Any, position: Position) -> None:
            env[slot], env[at] = value, position

        return with_position
    if len(slots) > 1:
        count, span = len(slots), node.span

        def several(env: Env, value: Any, position: Position) -> None:
            take_apart(env, slots, value, count, span)

        return several
    (slot,) = slots

    def one(env: Env, value: Any, position: Position) -> None:
        env[slot] = value

    return one


def _tried(work: Effect, store: Callable[[Env, Any, Position], None], event: int) -> Effect:
    """The condition of `first` on the items of one wave: whether it holds, or its Failure.

    What comes after an item that failed is needed in no case, so its calls that were not sent are dropped.
    """
    failed: list[int] = []
    scopes: dict[int, Scope] = {}

    async def tried(env: Env) -> Any:
        here: Here = env[0]
        value, at = env[event]
        outer = here.scope
        if failed and at > failed[0]:
            return False
        here.scope = scopes[at] = Scope(outer)
        try:
            store(env, value, at)
            return bool(await work(env))
        except Failure as failure:
            failure.item = failure.item or here.items
            if not failed or at < failed[0]:
                failed[:] = [at]
            for later, scope in scopes.items():
                scope.dead = scope.dead or later > at
            return failure
        except Dropped:
            if outer.alive():
                return False
            raise

    return tried


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
    n.Apply: EffectCode._apply,
    n.Map: EffectCode._collected,
    n.Filter: EffectCode._collected,
    n.First: EffectCode._first,
    n.Reduce: EffectCode._reduce,
    n.Fold: EffectCode._fold,
    n.Call: EffectCode._call,
    n.Solve: EffectCode._solve,
}
