"""Connections to one server, over which requests go one after another: HTTP/1.1, read by httptools.

For what a run does a million times, a POST and its whole reply. aiohttp takes five times the processor time for that (its sessions,
requests and responses are made for much that is not wanted here), which was half of what a call cost. Not done here: proxies, redirects,
cookies, compression, replies read piece by piece, and the judging of a status; see `lm.providers.transport`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import aiohappyeyeballs
import httptools
from attrs import frozen

from rlmlang import limits
from rlmlang.lm.request import Address

_REUSE_SECONDS: Final = 15.0  # that a connection may have waited for its next request: servers close idle ones, some after 20 s
_LOOKUP_SECONDS: Final = 10.0  # that the addresses of a name are believed
_STAGGER_SECONDS: Final = 0.25  # until the next address of a host is tried beside one that does not answer (RFC 8305)


class Unreachable(Exception):
    """There was no connection, so nothing was sent; `__cause__` is why."""


class Broken(Exception):
    """A connection ended, or what came over it was no HTTP, before there was a whole reply."""


class Silent(Exception):
    """Nothing came for IDLE_SECONDS."""


class TooLong(Exception):
    """A reply of more than REPLY_BYTES."""


@frozen
class Received:
    """A reply: its headers are as they came, names in any case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Connections:
    """Those to the server of one address. Use it within one event loop. Raises ValueError where a header holds a line break."""

    def __init__(self, address: Address) -> None:
        parts = urlsplit(address.url)
        self._host = parts.hostname or ""
        self._tls = _tls() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._head = _head(address, parts.netloc.rpartition("@")[2], f"{parts.path or '/'}{parts.query and '?' + parts.query}")
        self._idle: list[_Connection] = []  # the last used last
        self._open: set[_Connection] = set()
        self._found: asyncio.Task[list[Any]] | None = None  # the addresses of the host
        self._found_at = 0.0

    async def post(self, body: bytes) -> Received:
        """The reply to a POST of `body`. Raises Unreachable, Broken, Silent, TooLong. Cancelled, it closes its connection."""
        connection = self._waiting() or await self._new()
        received = await connection.exchange(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return received

    def close(self) -> None:
        """Closes all of them, at once; those that are being made come to nothing."""
        closed, self._open = self._open, set()
        if self._found is not None:
            self._found.cancel()
        for connection in tuple(closed):
            connection.close()
        self._idle.clear()

    def _waiting(self) -> _Connection | None:
        """One that is open and was used just now."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.fresh():
                return connection
            connection.close()
        return None

    async def _new(self) -> _Connection:
        loop = asyncio.get_running_loop()
        known = self._open
        try:
            async with asyncio.timeout(limits.CONNECT_SECONDS):
                addresses = await self._addresses(loop)
                stands = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_STAGGER_SECONDS, loop=loop)
                name = self._host if self._tls else None
                made = loop.create_connection(lambda: _Connection(loop, known), sock=stands, ssl=self._tls, server_hostname=name)
                _, connection = await made
            if known is not self._open:  # closed meanwhile
                connection.close()
                raise ConnectionAbortedError
        except OSError as error:  # TimeoutError and ssl.SSLError are such
            raise Unreachable from error
        return connection

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> list[Any]:
        """Of the host, looked up once for all who ask at the same time. Raises OSError."""
        found = self._found
        if found is None or (found.done() and (found.cancelled() or found.exception() or loop.time() - self._found_at > _LOOKUP_SECONDS)):
            self._found = found = loop.create_task(loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            self._found_at = loop.time()
        try:
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if found.cancelled() and task is not None and not task.cancelling():  # by `close`
                raise ConnectionAbortedError from None
            raise


class _Connection(asyncio.Protocol):
    """One of them, for one exchange at a time. Its methods `on_…` are those that httptools calls."""

    def __init__(self, loop: asyncio.AbstractEventLoop, known: set[_Connection]) -> None:
        self._loop = loop
        self._known = known
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[Received] | None = None  # that is waited for
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0  # when something came or went last
        self._unsent = 0  # bytes then
        self._size = 0  # bytes that came for the request
        self._reset()
        self.reusable = False

    def _reset(self) -> None:
        self._status = 0  # until all headers are there
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._endless = False  # its body ends where the connection does

    async def exchange(self, request: bytes) -> Received:
        """Sends `request`, and gives what comes for it. Raises Broken, Silent, TooLong."""
        self._reset()
        self._size = 0
        self.reusable = False
        reply: asyncio.Future[Received] = self._loop.create_future()
        self._reply = reply
        self._heard = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(limits.IDLE_SECONDS, self._look)
        self._transport.write(request)
        try:
            return await reply
        except BaseException:
            self.close()
            raise

    def fresh(self) -> bool:
        """Whether the next request may go over it."""
        return self.reusable and self._loop.time() - self._heard < _REUSE_SECONDS

    def close(self) -> None:
        """Ends it; an exchange under way is broken."""
        self.reusable = False
        self._transport.abort()
        self._end(Broken())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._known.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._reply is not None and self._endless and error is None:
            self._done()
        self.reusable = False
        self._known.discard(self)
        self._end(Broken())

    def eof_received(self) -> None:
        self.reusable = False  # it is lost a little later

    def data_received(self, data: bytes) -> None:
        if self._reply is None:  # nothing was asked
            self.close()
            return
        self._heard = self._loop.time()
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
        self._measure()

    def on_message_begin(self) -> None:
        if self._reply is None:  # a second reply right behind the first
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._endless = not any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self._headers)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._status < 200:  # one of those that announce the reply
            self._reset()
            return
        self._measure()
        if self._reply is not None:
            self.reusable = not self._transport.is_closing() and self._parser.should_keep_alive()
            self._done()

    def _measure(self) -> None:
        """Ends what is too long."""
        if self._size > limits.REPLY_BYTES and self._reply is not None:
            if self._status and not 200 <= self._status < 300:  # of a page that says what is wrong, the beginning says it
                self._done()
            self._end(TooLong())
            self.close()

    def _done(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None and not reply.done():
            body = self._body
            reply.set_result(Received(self._status, tuple(self._headers), body[0] if len(body) == 1 else b"".join(body)))

    def _end(self, error: Exception) -> None:
        """Nothing more will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reply, self._reply = self._reply, None
        if reply is not None and not reply.done():
            reply.set_exception(error)

    def _look(self) -> None:
        """Whether anything has come for IDLE_SECONDS, while it was waited for; of a long request, whether it is on its way still."""
        now, unsent = self._loop.time(), self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._heard, self._unsent = now, unsent
        left = self._heard + limits.IDLE_SECONDS - now
        self._timer = None
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._end(Silent())
            self.close()


def _head(address: Address, host: str, target: str) -> bytes:
    """A request up to its length."""
    headers = dict(address.headers)
    if "host" not in {name.lower() for name in headers}:
        headers = {"Host": host} | headers
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(forbidden in line for line in lines for forbidden in "\r\n\0"):
        raise ValueError("a header holds a line break")
    return "\r\n".join([*lines, "Content-Length: "]).encode()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
