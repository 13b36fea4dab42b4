"""How many processes a run may have, and whether its calls are many and fast enough for more than one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

CALLS: Final = 512  # answered before anything is decided
SECONDS: Final = 0.5  # likewise: what a process takes to start, so that no run pays more for one than it has taken without
BUSY: Final = 0.8  # of a core, by the thread that runs the event loop: below, calls wait for the server and not for us
SPANS: Final = 2  # busy ones in a row: in the first, connections are made
RATE: Final = 400.0  # calls a second: below, a busy loop has other work than requests, which nobody can take off it
_DEFAULT: Final = 4  # processes at most where nobody says: three workers keep the fourth busy


def default_processes() -> int:
    """Processes of a run where nobody says how many: one a core, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _DEFAULT)


class Need:
    """Looks at spans of calls: `answered` counts one, and says whether the event loop was too busy with them. Of one thread, its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._cpu = cpu
        self._busy = 0  # spans in a row
        self._begin()

    def _begin(self) -> None:
        self._calls = 0
        self._from, self._cpu_from = self._clock(), self._cpu()

    def answered(self) -> bool:
        """Another call was answered: whether there is a need, by the span that ends with it."""
        self._calls += 1
        if self._calls % CALLS:
            return False
        seconds = self._clock() - self._from
        if seconds < SECONDS:
            return False
        busy, rate = (self._cpu() - self._cpu_from) / seconds, self._calls / seconds
        self._begin()
        self._busy = self._busy + 1 if busy >= BUSY and rate >= RATE else 0
        return self._busy >= SPANS
