"""The collector of cycles, asked to look more seldom while a run makes many short-lived objects: it costs a twentieth of the time else."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_YOUNG: Final = 50_000  # objects made, less those freed, between two collections; Python's own number is 700

_lock = threading.Lock()
_runs = 0
_usual: tuple[int, int, int] = gc.get_threshold()


@contextmanager
def seldom() -> Iterator[None]:
    """Within it the collector runs seldom; once the last of several runs at once is over, as often as before."""
    global _runs, _usual
    with _lock:
        _runs += 1
        if _runs == 1:
            _usual = gc.get_threshold()
            if 0 < _usual[0] < _YOUNG:  # else somebody has chosen already
                gc.set_threshold(_YOUNG, *_usual[1:])
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                gc.set_threshold(*_usual)
