"""A real HTTP server on this machine that answers chat completions, with a fault for each request where one is scripted.

    with loopback("yes", faults=[status(500), limited("0.01")]) as server:
        model = server.model()          # a Model that points at it
        …
        assert len(server.requests) == 3 and server.peak == 1

The n-th request gets the n-th fault, those after the last get `reply`: a text, or a function of the request's body (a dict) that gives
a text or an Answer. It runs in a thread of its own, so clients may block or use any event loop.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from attrs import field, frozen

from rlmlang.lm.request import Model, Secret

_USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@frozen
class Answer:
    """One HTTP response. `cut`: only so many bytes of the body, then the connection is closed; `reset`: closed before anything.
    `delay`: seconds before it; `drip`: seconds between single bytes; `repeat`: the body so many times over."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    reset: bool = False
    repeat: int = 1


def ok(text: Any, *, finish: str | None = "stop", usage: Any = _USAGE, delay: float = 0.0, **message: Any) -> Answer:
    """A completion; `usage=None` leaves it out, `message` adds fields to the message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    whole: dict[str, Any] = {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "x_extra": {"a": [1]}}
    if usage is not None:
        whole["usage"] = usage
    return Answer(json.dumps(whole).encode(), headers={"Content-Type": "application/json"}, delay=delay)


def status(code: int, message: str = "scripted", **headers: str) -> Answer:
    """An error; header names have `_` for `-`."""
    body = json.dumps({"error": {"message": message}}).encode()
    return Answer(body, code, {name.replace("_", "-"): value for name, value in headers.items()})


def limited(after: str | None = None) -> Answer:
    return status(429, "slow down", **({} if after is None else {"Retry_After": after}))


class Server:
    """`url` is the base URL; `requests` the bodies in order, `headers` theirs; `peak` the most answered at once."""

    def __init__(self, reply: str | Callable[[dict[str, Any]], str | Answer], faults: Sequence[Answer], delay: float) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.peak = 0
        self.url = ""
        self._reply, self._faults, self._delay = reply, faults, delay
        self._now = 0
        self._open: set[asyncio.Task[None]] = set()

    def model(self, **settings: Any) -> Model:
        defaults: dict[str, Any] = {
            "name": "m",
            "provider": "openai",
            "model": "m",
            "base_url": self.url,
            "input_price": 100,
            "output_price": 300,
        }
        return Model(**(defaults | {"api_key": Secret("sk-canary-0123456789")} | settings))

    async def _stop(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path = head[0].split(" ")[:2]
        if not path.endswith("/chat/completions"):
            return await self._answer(await self._elsewhere(method, path, headers, content), writer)
        body = json.loads(content or b"{}")
        position = len(self.requests)
        self.requests.append(body)
        self.headers.append(headers)
        self.times.append(asyncio.get_running_loop().time())
        self._now += 1
        self.peak = max(self.peak, self._now)
        try:
            return await self._answer(self._choose(position, body), writer)
        finally:
            self._now -= 1

    async def _elsewhere(self, method: str, path: str, headers: dict[str, str], content: bytes) -> Answer:
        """What stands at other addresses."""
        return status(404, "there is nothing here")

    def _choose(self, position: int, body: dict[str, Any]) -> Answer:
        if position < len(self._faults):
            return self._faults[position]
        reply = self._reply(body) if callable(self._reply) else self._reply
        return reply if isinstance(reply, Answer) else ok(reply, delay=self._delay)

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.reset:
            return False
        headers = {"Content-Length": str(len(answer.body) * answer.repeat)} | dict(answer.headers)
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        if answer.drip:
            for byte in answer.body:
                writer.write(bytes([byte]))
                await asyncio.sleep(answer.drip)
        elif answer.cut is not None:
            writer.write(answer.body[: answer.cut])
        else:
            for _ in range(answer.repeat):
                writer.write(answer.body)
                await writer.drain()
        await writer.drain()
        return answer.cut is None


S = TypeVar("S", bound=Server)


@contextmanager
def loopback(
    reply: str | Callable[[dict[str, Any]], str | Answer] = "ok", *, faults: Sequence[Answer] = (), delay: float = 0.0
) -> Iterator[Server]:
    """The server, until the block ends. `delay`: seconds before each `reply`."""
    with serving(Server(reply, faults, delay)) as server:
        yield server


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Serves until the block ends."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server._serve, "127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.run_until_complete(server._stop())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
