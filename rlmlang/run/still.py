"""The end of a run in which something waits for ever: once nothing moves any more, what could be done has been done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from rlmlang.lm.steady import Steady


class UntilStill(Steady):
    """The selector of an event loop that cancels `task` once, when the loop would wait for what never comes: nothing is ready, no timer
    runs, and nothing is `busy`. With a `deadline` (of the monotonic clock) it calls `late` once, when that has come: a timer would run."""

    def __init__(self, busy: Callable[[], bool] | None = None) -> None:
        super().__init__()
        self.task: asyncio.Task[Any] | None = None
        self.still = False
        self.deadline: float | None = None
        self.late: Callable[[], None] | None = None
        self._busy = busy

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None and self.task is not None and not (self._busy is not None and self._busy()):
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
