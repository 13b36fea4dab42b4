"""More processes for one run: workers that send its requests, and work on items of its maps.

Of what a call costs in processor time, a third to a half is HTTP and JSON, more where it is encrypted, and one event loop has one core.
So the run keeps all that has to be exact in one place (sharing, rate limits, budget, retries, what is written: none of these knows of
workers), and hands over what is costly and needs no account: a request goes to a worker as its messages and settings, and comes back as a
completion or an error. What else workers do is said by whoever has it to do, in a room below: `Worker.serve` names a module there, and
passes messages on (run/shards).

Workers are started when there is a need (need.py), never before; until they stand, and where none can be started, the run does all of it
itself. When a worker ends, what it was asked for fails as if a connection had broken, and is tried again elsewhere.
Not done here: models that run in this process stay in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from rlmlang import limits
from rlmlang.lm.request import Address, Completion, Model, Provider, ProviderError, Request
from rlmlang.lm.workers.need import Need
from rlmlang.lm.workers.wire import (
    CANCEL,
    READY,
    REPLY,
    SERVE,
    SERVED,
    Channel,
    Words,
    ask_words,
    model_words,
    read_completion,
    read_error,
)

_LOOK_SECONDS: Final = 5.0  # between two looks for calls that a worker should have ended
_GRACE_SECONDS: Final = 30.0  # beyond a call's own limit, after which the worker has failed
_BOOT: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[2]); from rlmlang.lm.workers.child import main; main(int(sys.argv[1]))"


@runtime_checkable
class Addressed(Provider, Protocol):
    """A provider whose requests workers can send, once it has sent one itself: from then on it has an address."""

    @property
    def address(self) -> Address | None:
        """Where requests go, and their headers."""


class Workers:
    """The worker processes of one client: at most `processes`, its own counted. Use it within one event loop."""

    def __init__(self, processes: int) -> None:
        self._most = processes - 1 if _has_interpreter() else 0
        self._need: Need | None = None  # of the thread that sends requests, which need not be this one
        self._starts_left = self._most + limits.WORKER_REPLACEMENTS
        self._begun = False
        self._alive: list[Worker] = []  # that have a process
        self._ready: list[Worker] = []  # that take requests
        self._starting: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None

    def provider(self, own: Provider) -> Provider:
        """Who answers where `own` would: workers once there are some."""
        if self._most < 1 or not isinstance(own, Addressed):
            return own
        self._need = self._need or Need()
        return _Shared(own, self)

    @property
    def possible(self) -> bool:
        """Whether there may be any."""
        return self._most > 0

    @property
    def ready(self) -> Sequence[Worker]:
        """Those that stand."""
        return self._ready

    def free(self) -> Worker | None:
        """The worker with the fewest calls under way; None where there is none."""
        ready = self._ready
        if len(ready) > 1:
            return min(ready, key=Worker.load)
        return ready[0] if ready else None

    def answered(self) -> None:
        """This process sent a request, and has the reply: where that is too much for it, workers are started."""
        if not self._begun and self._need is not None and self._need.answered():
            self.begin()

    def begin(self) -> None:
        """Starts all workers, if nobody has; returns at once."""
        if self._begun or not self.possible:
            return
        self._begun = True
        for _ in range(self._most):
            self._start()
        self._watch()

    async def close(self) -> None:
        """Ends all workers, and waits until they are gone."""
        self._starts_left = 0
        if self._look is not None:
            self._look.cancel()
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        alive, self._alive = self._alive, []
        for worker in alive:
            worker.kill()
        for worker in alive:
            worker.reap()

    def _start(self) -> None:
        if self._starts_left > 0:
            self._starts_left -= 1
            task = asyncio.get_running_loop().create_task(self._started())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _started(self) -> None:
        try:
            worker = Worker(self._gone)
            self._alive.append(worker)
            await worker.open()
        except (OSError, subprocess.SubprocessError):  # no process to be had: it goes on with those there are
            self._starts_left = 0
            return
        if worker in self._alive:
            self._ready.append(worker)

    def _gone(self, worker: Worker) -> None:
        if worker in self._alive:
            self._alive.remove(worker)
            if worker in self._ready:
                self._ready.remove(worker)
            self._start()

    def _watch(self) -> None:
        """Ends workers that keep a call for too long."""
        now = time.monotonic()
        for worker in self._ready:
            if worker.overdue(now):
                worker.kill()
        self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._watch)


class _Shared:
    """A Provider that hands requests to workers, and to `own` while there is none."""

    def __init__(self, own: Addressed, workers: Workers) -> None:
        self._own = own
        self._workers = workers

    async def complete(self, request: Request) -> Completion:
        """One attempt, cancellable. Raises ProviderError, nothing else."""
        worker, address = self._workers.free(), self._own.address
        if worker is not None and address is not None:
            return await worker.ask(address, request)
        completion = await self._own.complete(request)
        self._workers.answered()
        return completion

    async def close(self) -> None:
        await self._own.close()


class Worker(Channel):
    """One worker process, as the run sees it."""

    def __init__(self, gone: Callable[[Worker], None]) -> None:
        """Starts the process; `gone` is told once, when it has ended. Raises OSError, SubprocessError."""
        super().__init__()
        self._gone: list[Callable[[Worker], None]] = [gone]
        self._served: dict[str, Callable[[Words], None]] = {}
        self._stands = self._loop.create_future()
        self._models: dict[Model, int] = {}  # that it knows, and what it calls them
        self._calls = 0
        self._waiting: dict[int, tuple[asyncio.Future[Completion], float]] = {}  # and until when
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
            try:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=(theirs.fileno(),),
                    process_group=0,  # Ctrl-C in a terminal is for the run alone, which then ends its workers
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except BaseException:
                self._socket.close()
                raise

    async def open(self) -> None:
        """Waits until it takes requests. Raises OSError where it does not come to that."""
        try:
            await self._loop.create_connection(lambda: self, sock=self._socket)
            async with asyncio.timeout(limits.WORKER_START_SECONDS):
                await self._stands
        except BaseException:
            self._stands.cancel()
            self.kill()
            raise

    def load(self) -> int:
        """How many calls it has."""
        return len(self._waiting)

    def overdue(self, now: float) -> bool:
        """Whether it has a call that it should have given up."""
        return any(until < now for _, until in self._waiting.values())

    async def ask(self, address: Address, request: Request) -> Completion:
        """One attempt, cancellable. Raises ProviderError, nothing else."""
        model = request.model
        number = self._models.get(model)
        if number is None:
            number = self._models[model] = len(self._models)
            self.send(model_words(number, model, address))
        call = self._calls = self._calls + 1
        answer: asyncio.Future[Completion] = self._loop.create_future()
        until = time.monotonic() + (model.timeout or limits.CALL_SECONDS) + _GRACE_SECONDS
        self._waiting[call] = answer, until
        self.send(ask_words(call, number, request))
        try:
            return await answer
        except asyncio.CancelledError:
            if self._waiting.pop(call, None) is not None:
                self.send((CANCEL, call))
            raise

    def serve(self, module: str, told: Callable[[Words], None], gone: Callable[[Worker], None]) -> Callable[[Words], None]:
        """Has it import `module`, whose function `serve` makes what takes messages there; gives what sends them. `told` gets those that
        come from there, and `gone` is told when the process has ended."""
        self._served[module] = told
        self._gone.append(gone)
        return lambda words: self.send((SERVE, module, words))

    def received(self, message: Words) -> None:
        kind, *rest = message
        if kind == READY:
            if not self._stands.done():
                self._stands.set_result(None)
            return
        if kind == SERVED:
            module, words = rest
            self._served[module](words)
            return
        call, *said = rest
        waiting = self._waiting.pop(call, None)
        if waiting is None or waiting[0].done():  # cancelled meanwhile
            return
        if kind == REPLY:
            waiting[0].set_result(read_completion(*said))
        else:
            waiting[0].set_exception(read_error(*said))

    def connection_lost(self, error: Exception | None) -> None:
        self.kill()
        self.reap()
        code = self._process.returncode
        how = f"was ended by {_signal_name(-code)}" if code is not None and code < 0 else "ended"
        if not self._stands.done():
            self._stands.set_exception(OSError(how))
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(ProviderError(f"the process that sent this request {how}", retryable=True, charged=True))
        self._waiting.clear()
        for gone in self._gone:
            gone(self)

    def kill(self) -> None:
        """Ends the process; does not wait for it."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._socket.close()
        self._process.kill()

    def reap(self) -> None:
        """Waits until the process, which was killed, is gone."""
        self._process.wait()


def _has_interpreter() -> bool:
    """Whether there is a Python to start workers with: what embeds one, or is packed with it, would start itself again."""
    return os.name == "posix" and not getattr(sys, "frozen", False) and "py" in Path(sys.executable or "").name.lower()


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
