"""Streams: what one stage makes and others read while it grows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from rlmlang.lm.client import Dropped
from rlmlang.run.feeds import END, WAIT, Event, Feed, Mark, Position, collect
from rlmlang.run.flow import Env, Lazy


class Stream:
    """What a stage has made so far. With `keep`, all of it stays, for any number of readers; else one reader takes each event away, and the
    stage waits while more than `room` lie ready."""

    def __init__(self, *, keep: bool, room: int) -> None:
        self.events: deque[Event] | list[Event] = [] if keep else deque()
        self.keep = keep
        self.done = False
        self.closed = False
        self.partial = False
        self.error: BaseException | None = None
        self._room = room
        self._readers: list[asyncio.Future[None]] = []
        self._writer: asyncio.Future[None] | None = None

    def put(self, position: Position, value: Any, round: int) -> None:
        self.events.append((position, value, round))
        if self._readers:
            self._wake()

    def finish(self, error: BaseException | None = None) -> None:
        self.error = error
        self.done = True
        self._wake()

    def _wake(self) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)
        self._readers.clear()

    def full(self) -> bool:
        return not self.keep and not self.closed and len(self.events) >= self._room

    async def wait_room(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        await self._writer

    def made_room(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    async def wait_event(self) -> None:
        reader = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        await reader


class Reader:
    """Takes the events of a stream, from the first one on."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._at = 0

    @property
    def partial(self) -> bool:
        return self._stream.partial

    def ready(self) -> Event | Mark:
        stream = self._stream
        events = stream.events
        if isinstance(events, deque):
            if events:
                event = events.popleft()
                stream.made_room()
                return event
        elif self._at < len(events):
            self._at += 1
            return events[self._at - 1]
        if not stream.done:
            return WAIT
        if stream.error is not None:
            raise stream.error
        return END

    async def wait(self) -> None:
        await self._stream.wait_event()

    def close(self) -> None:
        stream = self._stream
        if not stream.keep:
            stream.closed = True
            stream.made_room()


class StreamLazy(Lazy):
    """A lazy list that others may read item by item while it grows."""

    __slots__ = ("stream",)

    def __init__(self, open_feed: Callable[[Env], Awaitable[Feed]], env: Env) -> None:
        stream = Stream(keep=True, room=0)

        async def collect_all(own: Env) -> list[Any]:
            feed: Feed | None = None
            try:
                feed = await open_feed(own)
                stream.partial = feed.partial
                values = await collect(feed, own[0], stream)
            except BaseException as error:
                stream.finish(error if isinstance(error, Exception) else Dropped())
                raise
            finally:
                if feed is not None:
                    feed.close()
            stream.finish()
            return values

        super().__init__(collect_all, env)
        self.stream = stream
