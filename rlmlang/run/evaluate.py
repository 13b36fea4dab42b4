"""A checked program and its inputs -> a value.

`compile_program` makes closures of the program (pure/, effects.py); `evaluate`, the one entry, runs them on the event loop it is called in
and leaves no task behind, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import coroutine
from typing import TYPE_CHECKING, Any

from attrs import define

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.errors import Failure, Interrupted, LimitError, RlmError
from rlmlang.lm.client import Dropped
from rlmlang.run.calls import Calls, Site
from rlmlang.run.effects import EffectCode, finishing
from rlmlang.run.emit import InOrder
from rlmlang.run.facts import Facts
from rlmlang.run.feeds import Feed, ListFeed, drain
from rlmlang.run.flow import FIRST_SLOT, Effect, Env, Here, Scope
from rlmlang.run.frames import Frame
from rlmlang.run.loops import Open, collecting, feed, is_feed
from rlmlang.run.nesting import Nesting, Solver
from rlmlang.run.resolve import resolve
from rlmlang.run.seen import Moments
from rlmlang.run.stages import StageCode
from rlmlang.run.upstream import find_upstream
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import ListOf
from rlmlang.values import SEQUENCES

if TYPE_CHECKING:
    from rlmlang.run.shards import Shards


class Run:
    """The state of one run: its tasks, its calls, what stops it. `outer` is the flow that waits for it, where it is one of a `solve`;
    `solver` is None where nobody answers a solve: it is waited for without end. `prepared` holds what loops over large inputs give, where
    that is known and small."""

    def __init__(
        self,
        calls: Calls,
        window: int,
        sample: int | None = None,
        *,
        solver: Solver | None = None,
        nesting: Nesting | None = None,
        outer: Here | None = None,
        prepared: dict[n.Node, list[Any]] | None = None,
    ) -> None:
        self.calls = calls
        self.window = window
        self.solver = solver
        self.nesting = nesting or Nesting()
        self._outermost: Run = self if outer is None else outer.run._outermost
        self.sample = sample  # of how many items of each list to make calls for; None: of all
        self.prepared: dict[n.Node, list[Any]] = {} if prepared is None else prepared
        self.sampled_share = 1.0  # of the list of which the smallest part was taken
        self.choices: dict[n.Node, Moments] = {}  # of filters and conditions, by what models said
        self.root = Scope(None if outer is None else outer.scope)
        self.written = 0  # items of the list that the answer is made from, the first ones, that an earlier run has done with
        self.live_items = 0
        self.most_live = limits.LIVE_ITEMS  # beyond, nested maps take their items one by one
        self.held = 0  # stages that take no more items until some are through
        self.expected_items = 0
        self.done_items = 0
        self.stopped: RlmError | None = None
        self._cancelled = False
        self.shards: Shards | None = None  # of other processes, that work on items of its maps
        self.inline = False  # whether what runs now has no task of its own (yet)
        self.steps = 0  # of pure stages, so far
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def cancelled(self) -> bool:
        """Whether the run, or the one that it is part of, was cancelled."""
        return self._outermost._cancelled

    def cancel(self) -> None:
        """Pure code that keeps the event loop ends; may be called from any thread."""
        self._outermost._cancelled = True

    def spawn(self, code: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs `code` beside the rest; it ends with the run at the latest."""
        task = asyncio.get_running_loop().create_task(code)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self, code: Coroutine[Any, Any, None]) -> None:
        """Like `spawn`, but goes on until `code` first waits before it makes the task: what is answered from the memo needs none."""
        outer, self.inline = self.inline, True
        try:
            waits_for = code.send(None)
        except StopIteration:
            return
        finally:
            self.inline = outer
        task = self.spawn(rest_of(code, waits_for))
        task.add_done_callback(lambda _: code.close())  # one that is cancelled before it began has not told it

    async def own_task(self) -> None:
        """What follows needs a task of its own, to be cancelled or timed out alone."""
        if self.inline:
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Waits until nothing of it is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end(self) -> None:
        """Cancels what is still running and waits until it is gone."""
        self.root.dead = True
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self, reason: RlmError) -> None:
        """Something that no `otherwise` takes: no new call starts from here on."""
        if self.stopped is None:
            self.stopped = reason
        self.root.dead = True

    def skipped(self, failure: Failure, items: tuple[str, ...]) -> None:
        """An item was dropped because it failed (`otherwise skip`)."""
        failure.item = failure.item or items
        self.calls.report(failure)

    def expect(self, items: int) -> None:
        """The first stage of a pipeline has so many items: `done_items` of `expected_items` show the progress."""
        self.expected_items += items

    def chose(self, node: n.Node, held: bool) -> None:
        """The condition of a filter, `first` or `if` was decided."""
        chosen = self.choices.get(node)
        if chosen is None:
            chosen = self.choices[node] = Moments()
        chosen.add(held)

    def step(self, count: int, span: Span) -> None:
        """Counts the steps of a pure stage before it starts. Raises LimitError where they would be too many."""
        whole = self._outermost
        whole.steps += count
        if count > limits.PURE_STEPS or whole.steps > limits.RUN_STEPS:
            raise LimitError(f"this would take {max(count, whole.steps):,} steps; at most {limits.PURE_STEPS:,} are allowed", span=span)
        if self.cancelled:
            raise Interrupted("interrupted")

    def stepped(self, count: int) -> None:
        """Counts steps of pure stages that were taken in another process. Raises LimitError where all together are too many."""
        self.steps += count
        if self.steps > limits.RUN_STEPS:
            raise LimitError(f"this would take {self.steps:,} steps; at most {limits.RUN_STEPS:,} are allowed in a run")

    def may_hold(self, xs: Streamed) -> int:
        """How many items a loop over a list that is not held may give as a list."""
        return limits.LIST_ITEMS

    def check_cancelled(self) -> None:
        """Raises Interrupted where the run was cancelled while pure code kept the event loop."""
        if self.cancelled:
            raise Interrupted("interrupted")


async def rest_of(code: Coroutine[Any, Any, None], waits_for: Any) -> None:
    """The rest of a coroutine that was begun outside of a task and waits for a future (None: for nothing)."""
    await _resumed(code, waits_for)


@coroutine
def _resumed(code: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    while waits_for is not None:
        try:
            yield waits_for
        except BaseException as error:
            try:
                waits_for = code.throw(error)
            except StopIteration:
                return
        else:
            break
    yield from code  # a coroutine, which `types.coroutine` allows


@define(eq=False)
class Compiled:
    """A program as code: `main` gives the answer; `items` opens it as a feed, where it is a map or filter."""

    frame: Frame
    inputs: dict[str, int]
    defaults: dict[str, Any]
    main: Effect
    items: Open | None
    sites: dict[n.Node, Site]
    steps: list[Callable[[Env], None]]
    lazies: list[int]
    facts: Facts
    stages: dict[n.Node, StageCode]


def compile_program(checked: Checked) -> Compiled:
    """The code of a checked program without errors."""
    facts, inputs = resolve(checked)
    frame = Frame()
    sites: dict[n.Node, Site] = {}
    stages: dict[n.Node, StageCode] = {}
    code = EffectCode(facts, frame, {}, {}, sites, stages)
    defaults: dict[str, Any] = {}
    slots: dict[str, int] = {name: frame.place(variable, "value") for name, variable in facts.given.items()}
    bindings: list[n.Bind | n.Unpack] = []
    for module in checked.modules.values():
        bindings += [s for s in module.statements if isinstance(s, (n.Bind, n.Unpack))]
    value: n.Expr | None = None
    for statement in checked.program.statements:
        match statement:
            case n.Input():
                slots[statement.name] = frame.place(inputs[statement.name], "value")
                if statement.default is not None:
                    defaults[statement.name] = statement.default
            case n.Bind() | n.Unpack():
                bindings.append(statement)
            case n.Answer() | n.Shown():
                value = statement.value
            case _:
                pass
    if value is None:
        value = n.Literal(checked.program.span, None, "none")
    steps, lazies = code.bindings(bindings, value)
    one_by_one = _comes_one_by_one(code, value)
    items = feed(code, value, answer=True) if one_by_one or isinstance(value, (n.Map, n.Filter)) else None
    main = collecting(value, items) if items is not None and one_by_one else code.compile(value)
    find_upstream(facts, sites)
    computed = {name: code.pure.compile(default) for name, default in defaults.items()}
    return Compiled(frame, slots, computed, main, items, sites, steps, lazies, facts, stages)


def _comes_one_by_one(code: EffectCode, value: n.Expr) -> bool:
    if isinstance(value, n.Name) and value in code.facts.variables:
        return not code.is_ready(value) and isinstance(code.checked.types[value], ListOf)
    return is_feed(code, value)


async def evaluate(
    compiled: Compiled,
    inputs: Mapping[str, Any],
    run: Run,
    on_item: Callable[[Any], None] | None = None,
    through: Callable[[int], None] | None = None,
) -> Any:
    """The answer. `on_item` gets the items of a list answer in order, as soon as each and all before it are there; then None is returned.
    `through` is told how many items of the list that the answer is made from are done with, `Run.written` of them before this run.

    Raises RlmError, or CancelledError where the task was cancelled; either way no task of the run is left.
    """
    env: Env = [None] * max(compiled.frame.size, FIRST_SLOT)
    env[0] = Here(run, run.root, 0, ())
    env[1] = env[2] = 0

    async def answer() -> Any:
        for name, slot in compiled.inputs.items():
            env[slot] = inputs[name] if name in inputs else compiled.defaults[name](env)
        main = compiled.main
        if on_item is not None:
            main = _emitting(compiled, on_item, through)
        return await finishing(compiled.steps, compiled.lazies, main)(env)

    return await ended(run, answer())


async def ended(run: Run, code: Coroutine[Any, Any, Any]) -> Any:
    """The outcome of all that a run does; afterwards no task of it is left."""
    try:
        return await code
    except Dropped:
        raise run.stopped or RlmError("the run was stopped") from None
    except RecursionError:
        raise LimitError("the program is nested too deeply to be evaluated here") from None
    except MemoryError:
        raise LimitError("the program needs more memory than there is") from None
    except RlmError as error:
        raise run.stopped or error from None
    finally:
        await run.end()


def _emitting(compiled: Compiled, on_item: Callable[[Any], None], through: Callable[[int], None] | None) -> Effect:
    """Hands the items of a list answer on in order."""

    async def emit(env: Env) -> None:
        written = env[0].run.written
        order = InOrder(on_item, through, written)
        if compiled.items is None:
            value = await compiled.main(env)
            feed: Feed = ListFeed(value if isinstance(value, SEQUENCES) else [value], 0, 0, written)
        else:
            feed = await compiled.items(env)
        try:
            await drain(feed, order.take)
        finally:
            feed.close()
        order.rest()

    return emit
