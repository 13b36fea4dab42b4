"""A fast loopback server: HTTP/1.1 with keep-alive on plain asyncio, one fixed chat completion for every POST.

    python benchmarks/server.py [--latency SECONDS]

It prints its port and serves until it is killed. It answers `--latency` seconds after a request has come, or as many milliseconds as the
body says in `delay=NNN`. The completion is `{"value": true}`, which is right for a text and for a bool.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any

_COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": '{"value": true}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
_BODY = json.dumps(_COMPLETION).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DELAY = re.compile(rb"delay=(\d+)")


class Connection(asyncio.Protocol):
    """One connection: requests are answered in order, each when it is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency: float) -> None:
        self._loop = loop
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        while (end := received.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(received, 0, end + 2)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(received) < whole:
                break
            delay = _DELAY.search(received, end, whole)
            self._answer(int(delay[1]) / 1000 if delay else self._latency)
            received = received[whole:]
        self._received = received

    def _answer(self, seconds: float) -> None:
        if seconds:
            self._loop.call_later(seconds, self._transport.write, RESPONSE)
        else:
            self._transport.write(RESPONSE)


async def serve(latency: float) -> None:
    """Serves for ever; the port is printed first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(loop, latency), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    asyncio.run(serve(parser.parse_args().latency))
