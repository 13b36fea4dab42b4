"""The moment in which nothing in an event loop moves: for what may begin only then, and for the end of a run in which something waits for
ever, for then what could be done has been done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from rlmlang.lm.steady import Steady


class UntilStill(Steady):
    """The selector of an event loop that cancels `task` once, when the loop would wait for what never comes: nothing is ready, and
    nothing is `busy` (where that cannot be asked: no timer runs). With a `deadline` (of the monotonic clock) it calls `late` once, when
    that has come: a timer would run. `idle` is called each time that nothing is ready, and says whether something is now."""

    def __init__(self, busy: Callable[[], bool] | None = None, idle: Callable[[], bool] | None = None) -> None:
        super().__init__()
        self._idle = idle
        self.task: asyncio.Task[Any] | None = None
        self.still = False
        self.deadline: float | None = None
        self.late: Callable[[], None] | None = None
        self._busy = busy

    def select(self, timeout: float | None = None) -> Any:
        if self._idle is not None and (timeout is None or timeout > 0):
            ready = super().select(0)
            if ready or self._idle():
                return ready
        waits = timeout is None or (timeout > 0 and self._busy is not None)  # what is not busy has no timers; connections have
        if waits and self.task is not None and not (self._busy is not None and self._busy()):
            ready = super().select(0)
            if not ready:
                self.still = True
                self.task.cancel()
                self.task = None
            return ready
        if self.deadline is None or self.late is None:
            return super().select(timeout)
        left = max(0.0, self.deadline - time.monotonic())
        ready = super().select(left if timeout is None else min(timeout, left))
        if time.monotonic() >= self.deadline:
            late, self.late = self.late, None
            late()
        return ready
