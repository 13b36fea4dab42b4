"""A server on this machine that speaks as much of OpenAI's chat completions as the benchmark needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from attrs import frozen


@frozen
class Said:
    """A reply. `finish` is `length` where it was cut. `tools`: the tool calls that it makes, as the message has them; `tokens`: of the
    prompt and of the reply."""

    text: str
    finish: str = "stop"
    tools: Sequence[Mapping[str, Any]] = ()
    tokens: tuple[int, int] = (10, 5)


@contextmanager
def served(reply: Callable[[Mapping[str, Any]], Said]) -> Iterator[str]:
    """The base URL of a server whose answer to each request's body is `reply(body)`, from threads of its own, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = reply(body)
            message = {"role": "assistant", "content": said.text, **({"tool_calls": [*said.tools]} if said.tools else {})}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if said.tools else said.finish}
            prompt, written = said.tokens
            usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
            whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
            data = json.dumps(whole).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            with suppress(ConnectionError):  # who asked may have gone
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
