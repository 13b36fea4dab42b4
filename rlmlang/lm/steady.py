"""A selector that hands an event loop what is ready in small portions."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from typing import Any, Final

_PORTION: Final = 32  # events; fewer take more turns of the loop, and processor time


def take_portions(loop: asyncio.AbstractEventLoop) -> None:
    """Gives `loop`, which does not run yet, such a selector. Only asyncio's own loop gets one: whoever has chosen another knows why."""
    usual = getattr(loop, "_selector", None)
    if type(loop) is asyncio.SelectorEventLoop and type(usual) is selectors.DefaultSelector:
        steady = Steady()
        for key in usual.get_map().values():
            steady.register(key.fileobj, key.events, key.data)
        usual.close()
        loop._selector = steady  # type: ignore[attr-defined]


class Steady(selectors.DefaultSelector):
    """Gives at most `_PORTION` events at a time, first come first served. A loop does one step of all that is ready before the next step of
    any, and from a reply to the request that follows it are five: when hundreds of replies come together, none of those requests would be
    sent before all are read. In portions the first are on their way while the last are read, and the next replies come apart."""

    def __init__(self) -> None:
        super().__init__()
        self._rest: deque[tuple[selectors.SelectorKey, int]] = deque()

    def select(self, timeout: float | None = None) -> Any:
        rest, registered = self._rest, self.get_map()
        portion: list[tuple[selectors.SelectorKey, int]] = []
        while rest and len(portion) < _PORTION:
            event = rest.popleft()
            if registered.get(event[0].fd) is event[0]:  # else closed or changed meanwhile
                portion.append(event)
        if not portion:
            ready = super().select(timeout)
            portion = ready[:_PORTION]
            rest.extend(ready[_PORTION:])
        return portion
