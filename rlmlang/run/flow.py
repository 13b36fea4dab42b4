"""How evaluation flows at run time: scopes that a failure ends, lazy values, and waiting for several things at once.

An environment is a list, one per function call or item under way: slot 0 is the `Here` of the flow that owns it, slot 1 how deep the
current function has called itself, slot 2 how deep all calls of functions are nested, the rest are variables and intermediate values. A
flow that runs beside another has a copy of its own, which costs a tenth of a microsecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from rlmlang.errors import Failure, RlmError
from rlmlang.files import FileValue
from rlmlang.lm.client import Dropped

if TYPE_CHECKING:
    from rlmlang.run.evaluate import Run

Env = list[Any]
Pure = Callable[[Env], Any]
Effect = Callable[[Env], Coroutine[Any, Any, Any]]

FIRST_SLOT = 3


class Scope:
    """What stands or falls together: when part of it fails for good, no new call starts in the rest."""

    __slots__ = ("dead", "parent")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.dead = False

    def alive(self) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope.dead:
                return False
            scope = scope.parent
        return True


class Here:
    """Where a flow of evaluation stands. `round` is the longest chain of calls that what it has used so far took;
    `items` the paths or positions of the items it is for, outermost first."""

    __slots__ = ("items", "round", "run", "scope")

    def __init__(self, run: Run, scope: Scope, round: int, items: tuple[str, ...]) -> None:
        self.run = run
        self.scope = scope
        self.round = round
        self.items = items


def fork(env: Env, scope: Scope) -> Env:
    """A copy of `env` for a flow of its own, in `scope`."""
    here: Here = env[0]
    copy = env.copy()
    copy[0] = Here(here.run, scope, here.round, here.items)
    return copy


class Thunk:
    """A pure value computed when first read. Reading it again after it failed fails the same way."""

    __slots__ = ("_code", "_env", "_error", "_value")

    def __init__(self, code: Pure, env: Env) -> None:
        self._code: Pure | None = code
        self._env: Env | None = env
        self._error: Failure | None = None
        self._value: Any = None

    def force(self) -> Any:
        if self._code is not None:
            code, env = self._code, self._env
            assert env is not None
            try:
                self._value = code(env)
            except Failure as failure:
                self._error = failure
            self._code = self._env = None
        if self._error is not None:
            raise self._error
        return self._value

    def known(self) -> tuple[bool, Any]:
        """Whether it has been computed, and then the value."""
        return self._code is None and self._error is None, self._value


class Lazy:
    """A value that may need a model: computed once, in a task of its own, from when it is started. `value` may be read once `done`."""

    __slots__ = ("_code", "_env", "_scope", "_waiters", "done", "error", "round", "started", "value")

    def __init__(self, code: Effect | None, env: Env | None) -> None:
        self._code = code
        self._env = env
        self._scope: Scope | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self.started = False
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.round: int = 0 if env is None else env[0].round  # until it is done: of the flow that binds it, which goes on

    @staticmethod
    def of(value: Any, round: int = 0) -> Lazy:
        """One that is done."""
        lazy = Lazy(None, None)
        lazy.started = lazy.done = True
        lazy.value = value
        lazy.round = round
        return lazy

    @staticmethod
    def promised() -> Lazy:
        """One that somebody else will `resolve` or `fail`."""
        lazy = Lazy(None, None)
        lazy.started = True
        return lazy

    def start(self, round: int = 0) -> None:
        """Begins to compute, if nobody has. `round`: of the flow that asks."""
        if self.started:
            return
        self.started = True
        code, env = self._code, self._env
        assert code is not None and env is not None
        here: Here = env[0]
        self._scope = Scope(here.scope)
        own = fork(env, self._scope)
        own[0].round = max(self.round, round)
        self._code = self._env = None
        here.run.spawn(self._compute(code, own))

    async def _compute(self, code: Effect, env: Env) -> None:
        try:
            value = await code(env)
        except BaseException as error:
            if isinstance(error, Failure):
                error.round = max(error.round, env[0].round)
            self.fail(error)
            if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, SystemExit)):
                raise
        else:
            self.resolve(value, env[0].round)

    def resolve(self, value: Any, round: int) -> None:
        self.value = value
        self.round = round
        self._wake()

    def fail(self, error: BaseException) -> None:
        self.error = error
        if self._scope is not None:
            self._scope.dead = True
        self._wake()

    def _wake(self) -> None:
        self.done = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def abandon(self) -> None:
        """Nobody needs it any more: its calls that were not sent yet are dropped."""
        if self._scope is not None:
            self._scope.dead = True

    async def wait(self) -> None:
        """Until it is done, one way or the other."""
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def get(self, here: Here) -> Any:
        """The value, starting it where need be. Raises what it failed with."""
        if not self.done:
            self.start(here.round)
            await self.wait()
        if self.error is not None:
            raise self.error if not isinstance(self.error, asyncio.CancelledError) else Dropped()
        if self.round > here.round:
            here.round = self.round
        return self.value


async def resolve_all(env: Env, slots: Sequence[int]) -> None:
    """Waits until the lazy values in `slots` are there; raises the failure of the first of them, in program order, that failed."""
    here: Here = env[0]
    waiting: list[Lazy] = []
    for slot in slots:
        lazy: Lazy = env[slot]
        if not lazy.done:
            lazy.start(here.round)
            waiting.append(lazy)
    if len(waiting) > 1:
        await _until_done_or_failed(waiting)
    elif waiting:
        await waiting[0].wait()
    for slot in slots:
        lazy = env[slot]
        if lazy.done:
            await lazy.get(here)


async def _until_done_or_failed(waiting: Sequence[Lazy]) -> None:
    """All are done, or one has failed: whoever waits need not wait for the rest."""
    rest: set[asyncio.Future[None]] = {asyncio.ensure_future(lazy.wait()) for lazy in waiting}
    try:
        while rest:
            _, rest = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
            if any(lazy.done and lazy.error is not None for lazy in waiting):
                return
    finally:
        for task in rest:
            task.cancel()


def worse(first: BaseException | None, second: BaseException | None) -> BaseException | None:
    """Which of two errors, `first` the earlier one in program order, is the reason: what stops a run before failures, these before what
    was dropped."""

    def rank(error: BaseException) -> int:
        if isinstance(error, Failure):
            return 1
        if isinstance(error, Dropped):
            return 3
        if isinstance(error, asyncio.CancelledError):
            return 2
        return 0

    if first is None or second is None:
        return first if second is None else second
    return second if rank(second) < rank(first) else first


async def together(env: Env, codes: Sequence[Effect], slots: Sequence[int]) -> None:
    """Evaluates all at the same time, each in a flow of its own, and puts the values into `slots` of `env`.

    When one fails, the others' calls that were not sent yet are dropped, those under way are finished; then the first failure in program
    order is raised.
    """
    here: Here = env[0]
    scope = Scope(here.scope)
    errors: list[BaseException | None] = [None] * len(codes)

    async def one(at: int, own: Env) -> None:
        try:
            env[slots[at]] = await codes[at](own)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            scope.dead = True
            errors[at] = error
            if isinstance(error, Failure):
                error.round = max(error.round, own[0].round)
        if own[0].round > here.round:
            rounds.append(own[0].round)

    rounds: list[int] = []
    tasks = [here.run.spawn(one(at, fork(env, scope))) for at in range(1, len(codes))]
    try:
        await one(0, fork(env, scope))
        for task in tasks:
            if not task.done():
                await task
    except BaseException:
        scope.dead = True
        for task in tasks:
            task.cancel()
        raise
    error: BaseException | None = None
    for other in errors:
        error = worse(error, other)
    if error is not None:
        raise error
    here.round = max(rounds, default=here.round)


def label(item: Any, position: int) -> str:
    """What reports call an item: a file's path, else its position in the list."""
    return item.path if type(item) is FileValue else str(position)


def located(error: RlmError, span: Any) -> RlmError:
    """The error with the place it came from, unless it knows that already."""
    if error.span is None:
        error.span = span
    return error
