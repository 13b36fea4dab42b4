"""Maps, filters, `first`, reduces and folds whose bodies may reach a model: expressions to stages (stages.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from rlmlang import limits
from rlmlang.builtins.declare import Builtin
from rlmlang.errors import Failure
from rlmlang.lm.client import Dropped
from rlmlang.run.feeds import GONE, Awaiting, BatchFeed, Changed, Feed, Flattened, ListFeed, Position, collect, never, position_number
from rlmlang.run.flow import Effect, Env, Here, Lazy, Pure, Scope, label
from rlmlang.run.pure.bindings import take_apart
from rlmlang.run.pure.loops import amount, empty_reduce, first_found, may_nest, too_many
from rlmlang.run.samples import sampled
from rlmlang.run.stages import StageCode, start_stage
from rlmlang.run.streams import Reader, StreamLazy
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.values import check_value

if TYPE_CHECKING:
    from rlmlang.run.effects import EffectCode

Open = Callable[[Env], Awaitable[Feed]]


def is_feed(c: EffectCode, node: n.Expr) -> bool:
    """Whether its items may come one by one: it calls a model itself, or takes its items from a list that is still growing."""
    return isinstance(node, (n.Map, n.Filter)) and (not c.is_plain(node) or _grows(c, node.source))


def _grows(c: EffectCode, source: n.Expr) -> bool:
    if isinstance(source, n.Name):
        return source not in c.checked.callees and c.frame.find(c.facts.variables[source])[1] == "pending"
    return is_feed(c, source)


def may_stream(c: EffectCode, node: n.Expr) -> bool:
    """Whether it is a map or filter over an input that may be a list that is not held, or over the files of a folder."""
    if not isinstance(node, (n.Map, n.Filter)):
        return False
    source: n.Expr = node
    while isinstance(source, (n.Map, n.Filter)):
        source = source.source
    if isinstance(source, n.Apply):
        return source.name == "files"
    return isinstance(source, n.Name) and source not in c.checked.callees and c.facts.variables[source] in c.facts.inputs


def feed(c: EffectCode, node: n.Expr, answer: bool = False) -> Open:
    """Code that opens a list as a feed of items. `answer`: the program's, of which the first items may be left out (`Run.written`)."""
    if isinstance(node, n.Name) and node not in c.checked.callees:
        variable = c.facts.variables[node]
        if variable in c.inline:
            return feed(c, c.inline[variable], answer)
        slot, kind = c.frame.find(variable)
        if kind == "pending":
            return _open_lazy(slot)
    if isinstance(node, (n.Map, n.Filter)) and is_feed(c, node):
        return _stage(c, node, answer)
    code = c.compile(node)
    stream = c.pure.streams.get(node) if c.is_ready(node) else None

    async def whole(env: Env) -> Feed:
        here: Here = env[0]
        done = here.run.written if answer else 0
        if stream is not None and isinstance(xs := stream.root(env), Streamed):
            known = stream.known(env)
            if known is None:
                return BatchFeed(stream.batches(env, xs), here.round, here.run.expect, done)
            return ListFeed(known, here.round, 0, done)
        values = await code(env)
        return ListFeed(values, here.round, 0, done)

    return whole


def _stage(c: EffectCode, node: n.Map | n.Filter, answer: bool) -> Open:
    wants_order = isinstance(node, n.Map) and node.position is not None
    reorders = wants_order and _grows(c, node.source)
    source = feed(c, node.source, answer and not reorders)
    slots = [c.frame.place(v, "value") for v in c.facts.bound[node]]
    store = storing(slots, node)
    body = node.body if isinstance(node, n.Map) else node.condition
    is_filter, skip = isinstance(node, n.Filter), node.skip
    flatten = isinstance(node, n.Map) and node.flatten

    async def in_order(env: Env, feed: Feed) -> Feed:
        here: Here = env[0]
        if not reorders:
            return feed
        return ListFeed(await collect(feed, here), here.round, 0, here.run.written if answer else 0)

    plain = not c.has_effect(body) and not skip
    pending = c.pending(body)
    if plain and pending <= c.facts.awaits(body):
        pure = c.pure.compile(body)
        waits = sorted(c.frame.find(v)[0] for v in pending)

        async def open_pure(env: Env) -> Feed:
            feed = await source(env)
            feed = await in_order(env, feed)
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
                    env[0].run.chose(node, bool(made))
                    return value if made else GONE
                return made

            changed = Changed(feed, change)
            return Flattened(changed) if flatten else changed

        return open_pure
    work = c.compile(body)
    keeps = node if isinstance(node, n.Filter) else None
    outside = c.facts.mentions(body) - frozenset(c.facts.bound[node])
    code = c.stages[node] = StageCode(work, store, keeps, skip, node, c.frame, [(v, *c.frame.find(v)) for v in outside])

    async def open_stage(env: Env) -> Feed:
        feed = await source(env)
        feed = await in_order(env, feed)
        stage = start_stage(env, sampled(env[0], feed), code)
        return Flattened(stage) if flatten else stage

    return open_stage


def collected(c: EffectCode, node: n.Map | n.Filter) -> Effect:
    return collecting(node, feed(c, node))


def collecting(node: n.Expr, items: Open) -> Effect:
    """The list that `node` opens as the feed `items`."""
    flatten, span = isinstance(node, n.Map) and node.flatten, node.span

    async def whole(env: Env) -> list[Any]:
        feed = await items(env)
        try:
            values = await collect(feed, env[0])
        finally:
            feed.close()
        if flatten and len(values) > limits.LIST_ITEMS:
            raise too_many(span)
        return values

    return whole


def first_of_filter(c: EffectCode, node: n.Apply) -> Effect:
    source, count = c.checked.arguments[node][:2]
    assert isinstance(source, n.Filter) and isinstance(count, n.Expr)
    callee = c.checked.callees[node]
    assert isinstance(callee, Builtin)
    awaiting = c.awaiting((source.source, count))
    return _first_found(c, source, source.source, awaiting, amount(c.pure, callee, count, node.span), source.condition)


def first(c: EffectCode, node: n.First) -> Effect:
    awaiting = c.awaiting((node.source, node.count))
    return _first_found(c, node, node.source, awaiting, c.pure.compile(node.count), node.condition)


def _first_found(
    c: EffectCode, node: n.First | n.Filter, source: n.Expr, awaiting: Effect | None, wanted: Pure, condition: n.Expr
) -> Effect:
    """Looks at as many items as are still wanted, then at twice as many, …, and stops when enough are found.

    What fails beyond the last that is found would not have been looked at one by one: it is reported, and no failure of the whole.
    """
    slots = [c.frame.place(v, "value") for v in c.facts.bound[node]]
    if c.is_ready(condition):
        found_purely = first_found(c.pure, node, source, wanted, condition)

        async def purely(env: Env) -> Any:
            if awaiting is not None:
                await awaiting(env)
            return found_purely(env)

        return purely
    items = c.pure.listed(source)
    store = storing(slots, node)
    work = c.compile(condition)
    event = c.frame.slot()

    def put(env: Env, value: Any, at: Position) -> None:
        env[event] = value, at

    async def first(env: Env) -> list[Any]:
        if awaiting is not None:
            await awaiting(env)
        here: Here = env[0]
        xs, most = items(env), wanted(env)
        found: list[Any] = []
        at, width = 0, most
        looked = len(xs) if here.run.sample is None or here.items else here.run.sample  # at so many in all
        while len(found) < most and at < len(xs):
            if at >= looked:
                await never()
            width = max(width, most - len(found))
            part = xs[at : min(at + width, looked)]
            stage = StageCode(_tried(work, store, event), put)
            verdicts = await collect(start_stage(env, ListFeed(part, here.round, at), stage), here)
            for x, verdict in zip(part, verdicts, strict=True):
                if not isinstance(verdict, Failure):
                    here.run.chose(node, verdict)
                    found += [x] if verdict else []
                elif len(found) < most:
                    raise verdict
                else:
                    here.run.calls.taken(verdict)
            at += len(part)
            width = min(width * 2, here.run.window)
        return found[:most]

    return first


def reduce(c: EffectCode, node: n.Reduce) -> Effect:
    source = c.compile(node.source)
    initial = None if node.initial is None else c.compile(node.initial)
    left, right = (c.frame.place(v, "value") for v in c.facts.bound[node])
    work, span = c.compile(node.body), node.span

    def store(env: Env, pair: Any, position: Position) -> None:
        env[left], env[right] = pair

    stage = StageCode(work, store)

    async def reduce(env: Env) -> Any:
        level = list(await source(env))
        here: Here = env[0]
        if not level:
            return await initial(env) if initial is not None else empty_reduce(env, None, span)
        while len(level) > 1:
            pairs = [(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            merged = await collect(start_stage(env, sampled(here, ListFeed(pairs, here.round)), stage), here)
            level = merged + level[len(level) & ~1 :]
        return level[0]

    return reduce


def fold(c: EffectCode, node: n.Fold) -> Effect:
    """Each step is begun before the one before it is done, and waits for it where it uses the accumulator: its other calls do not."""
    awaiting = c.awaiting((node.source, node.initial))
    source, initial = c.pure.compile(node.source), c.pure.compile(node.initial)
    accumulator, item = c.facts.bound[node]
    slot = c.frame.place(accumulator, "pending")
    item_slot = c.frame.place(item, "value")
    body = c.compile(node.body)
    out = c.frame.slot()
    deep = may_nest(c.checked.types[node.body])

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
        await collect(start_stage(env, sampled(here, ListFeed(steps, here.round), first=True), stage), here)
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

    stage = StageCode(work, put)
    return fold


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


def storing(slots: Sequence[int], node: n.Node) -> Callable[[Env, Any, Position], None]:
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
