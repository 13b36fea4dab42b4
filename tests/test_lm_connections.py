"""Connections of our own, against servers on this machine that send what a script says, byte for byte."""

from __future__ import annotations

import asyncio
import gc
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import aiohappyeyeballs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlmlang import limits
from rlmlang.lm.providers import connections as module
from rlmlang.lm.providers.connections import Broken, Connections, Received, Silent, TooLong, Unreachable
from rlmlang.lm.request import Address


class End(Enum):
    """How a server ends a connection."""

    FIN = 0
    RST = 1


Step: TypeAlias = bytes | float | End | asyncio.Event  # sent, seconds, the end, waited for
Reply: TypeAlias = Sequence[Step] | Callable[[bytes], Sequence[Step]]


class Server:
    """The n-th connection to it gets the n-th script, those after the last get the last: for each request the next reply. `first` goes
    before any request. `requests` are as they came, `ended` are the connections that ended."""

    def __init__(self, scripts: Sequence[Sequence[Reply]], first: Sequence[Step], pace: float, scheme: str) -> None:
        self.requests: list[bytes] = []
        self.connections = self.ended = self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self._scripts, self._first, self._pace, self._scheme = scripts, first, pace, scheme

    def to(self, path: str = "/", *headers: tuple[str, str], user: str = "") -> Connections:
        return Connections(Address(f"{self._scheme}://{user}127.0.0.1:{self.port}{path}", headers))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await self._send(self._first, writer)
            for reply in script:
                self.requests.append(request := await self._read(reader))
                await self._send(reply(request) if callable(reply) else reply, writer)
            while await reader.read(65_536):
                pass
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self.ended += 1
            self.tasks.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        request = bytearray(await reader.readuntil(b"\r\n\r\n"))
        [length] = re.findall(rb"\r\nContent-Length: (\d+)\r\n", request)
        whole = len(request) + int(length)
        while len(request) < whole:
            request += await reader.read(min(whole - len(request), 1_000_000))
            await asyncio.sleep(self._pace)
        return bytes(request)

    async def _send(self, steps: Sequence[Step], writer: asyncio.StreamWriter) -> None:
        for step in steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)  # in which the other side reads it
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                if step is End.RST:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                raise EOFError


@asynccontextmanager
async def serving(
    *scripts: Sequence[Reply], first: Sequence[Step] = (), pace: float = 0.0, tls: ssl.SSLContext | None = None, https: bool = False
) -> AsyncIterator[Server]:
    """A server until the block ends; `https` is what its clients believe, `pace` the seconds between its reads of a long request."""
    server = Server(scripts, first, pace, "https" if tls or https else "http")
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, backlog=1_000)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


class Clock:
    """That of the running loop; it can be put ahead."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self.ahead = 0.0
        loop.time = lambda: real() + self.ahead  # type: ignore[method-assign]


def run(main: Coroutine[Any, Any, Any]) -> None:
    """Runs it: it ends in time, whatever its clock says, and no callback of the loop fails."""
    failed: list[Any] = []

    async def watched() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
        loop.set_exception_handler(lambda _, context: failed.append(context))
        guard = threading.Timer(20, loop.call_soon_threadsafe, [task.cancel])
        guard.start()
        try:
            await task
        finally:
            guard.cancel()

    asyncio.run(watched())
    assert not failed


async def until(condition: Callable[[], object]) -> None:
    for _ in range(5_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


async def changed(value: Callable[[], int]) -> None:
    before = value()
    await until(lambda: value() != before)


async def outcome(reply: Awaitable[Received]) -> Received | Exception:
    try:
        return await reply
    except (Broken, Silent, TooLong, Unreachable) as error:
        return error


def post(*scripts: Sequence[Reply], posts: int = 1, **more: Any) -> tuple[list[Received | Exception], Server]:
    """What comes for so many posts, one after another, and the server they went to, which has seen all connections end."""
    got: list[Received | Exception] = []
    servers: list[Server] = []

    async def main() -> None:
        async with serving(*scripts, **more) as server:
            connections = server.to()
            got.extend([await outcome(connections.post(b"%d" % i)) for i in range(posts)])
            await until(lambda: connections._open <= set(connections._idle))
            connections.close()
            await until(lambda: server.ended == server.connections)
        servers.append(server)

    run(main())
    return got, servers[0]


def failure(*scripts: Sequence[Reply], **more: Any) -> Exception:
    [got], _ = post(*scripts, **more)
    assert isinstance(got, Exception)
    return got


def plain(body: bytes, *headers: str, status: int = 200, version: str = "1.1") -> bytes:
    lines = [f"HTTP/{version} {status} X", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def echo(request: bytes) -> Sequence[Step]:
    return [plain(request.rpartition(b"\r\n\r\n")[2])]


def received(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> Received:
    return Received(status, headers, body)


def sized(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> Received:
    return received(body, *headers, (b"Content-Length", b"%d" % len(body)), status=status)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nabc"
REPLIES = [
    (plain(b"hello", "A: b", "a:  c"), sized(b"hello", (b"A", b"b"), (b"a", b"c"))),
    (plain(b""), sized(b"")),
    (plain(b"no", status=404), sized(b"no", status=404)),
    (b"HTTP/1.1 200\r\ncontent-LENGTH: 1\r\n\r\nx", received(b"x", (b"content-LENGTH", b"1"))),
    (plain(b"x", "Upgrade: h2", "Connection: Upgrade"), sized(b"x", (b"Upgrade", b"h2"), (b"Connection", b"Upgrade"))),
    (b"HTTP/1.1 204 X\r\n\r\n", received(b"", status=204)),
    (CHUNKED, received(b"abc0123456789", (b"Transfer-Encoding", b"chunked"))),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"x"), sized(b"x")),
    (
        b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" * 2 + b"HTTP/1.1 100 X\r\n\r\n" + CHUNKED,
        received(b"abc0123456789", (b"Transfer-Encoding", b"chunked")),
    ),
]


@pytest.mark.parametrize(("raw", "expected"), REPLIES)
@pytest.mark.parametrize("cut", [len, lambda raw: 1], ids=["whole", "bytes"])
def test_replies_with_an_end_of_their_own(raw: bytes, expected: Received, cut: Callable[[bytes], int]) -> None:
    size = cut(raw)
    got, server = post([[raw[i : i + size] for i in range(0, len(raw), size)]] * 2, posts=2)
    assert got == [expected] * 2 and server.connections == 1


@given(st.sampled_from(REPLIES), st.sets(st.integers(1, 150)))
@settings(max_examples=80, deadline=None)
def test_any_way_of_cutting_a_reply_gives_the_same(case: tuple[bytes, Received], cuts: set[int]) -> None:
    raw, expected = case
    ends = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    got, server = post([[raw[start:end] for start, end in pairwise(ends)], [raw]], posts=2)
    assert got == [expected] * 2 and server.connections == 1


def test_a_reply_that_ends_with_its_connection() -> None:
    got, server = post([[ENDLESS, 0.01, b"def", End.FIN]], posts=2)
    assert got == [received(b"abcdef", (b"x", b"y"))] * 2 and server.connections == 2


@pytest.mark.parametrize(
    "steps",
    [
        [End.FIN],
        [End.RST],
        [ENDLESS, 0.01, End.RST],
        [ENDLESS[:20], End.FIN],
        [plain(b"abc")[:-1], End.FIN],
        [CHUNKED[:-1], End.FIN],
        [CHUNKED[:-7], End.FIN],
        [b"HTTP/1.1 100 X\r\n\r\n", End.FIN],
        [b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", plain(b"x")],
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [b"\x00\xff" * 100],
        [b"<html>"],
        [b"HTTP/2 200\r\n\r\n"],
        [b"HTTP/1.1 99 X\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nno colon\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nContent-Length: x\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
        [b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
        [b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n"],
    ],
)
def test_what_is_no_whole_reply_is_broken(steps: Sequence[Step]) -> None:
    got, server = post([steps], [[plain(b"later")]], posts=2)
    assert isinstance(got[0], Broken) and got[1] == sized(b"later") and server.connections == 2


@pytest.mark.parametrize(
    ("raw", "connections"),
    [
        (plain(b"x"), 1),
        (plain(b"x", "Connection: keep-alive", version="1.0"), 1),
        (plain(b"x", status=500), 1),
        (CHUNKED, 1),
        (plain(b"x", version="1.0"), 4),
        (plain(b"x", "Connection: close"), 4),
        (plain(b"x", "connection: Keep-Alive, CLOSE"), 4),
    ],
)
def test_what_is_kept_for_the_next_request(raw: bytes, connections: int) -> None:
    got, server = post([[raw]] * 4, posts=4)
    assert all(isinstance(one, Received) for one in got) and server.connections == connections
    assert [request[-1:] for request in server.requests] == [b"0", b"1", b"2", b"3"]


def test_one_that_waited_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REUSE_SECONDS", 0.0)
    got, server = post([echo] * 3, posts=3)
    assert got == [sized(b"%d" % i) for i in range(3)] and server.connections == 3


@pytest.mark.parametrize(
    "after",
    [
        [End.FIN],
        [End.RST],
        [plain(b"evil")],
        [b"\x00"],
        [b"H"],
        [b"\r\n"],
        [plain(b"evil"), End.FIN],
        [b"HTTP/1.1 408 X\r\nConnection: close\r\n\r\n", End.FIN],
    ],
)
def test_what_comes_while_nothing_is_asked_ends_a_connection(after: Sequence[Step]) -> None:
    async def main() -> None:
        asked_nothing = asyncio.Event()
        async with serving([[plain(b"first"), asked_nothing, *after]], [[plain(b"second")]]) as server:
            connections = server.to()
            assert await connections.post(b"") == sized(b"first") and len(connections._open) == 1
            asked_nothing.set()
            await until(lambda: not connections._open)
            assert await connections.post(b"") == sized(b"second") and server.connections == 2
            connections.close()

    run(main())


@pytest.mark.parametrize(
    "extra", [plain(b"evil"), plain(b"evil")[:20], plain(b"evil") * 3, b"H", b"garbage", CHUNKED, b"HTTP/1.1 100 X\r\n\r\n"]
)
@pytest.mark.parametrize("reply", [plain(b"good"), plain(b"good", "Connection: close")], ids=["kept", "closed"])
def test_a_second_reply_is_nobodys(reply: bytes, extra: bytes) -> None:
    got, server = post([[reply + extra]], [echo] * 2, posts=3)
    assert [one.body for one in got if isinstance(one, Received)] == [b"good", b"1", b"2"] and server.connections == 2


def test_one_that_is_about_to_end_is_not_used() -> None:
    async def main() -> None:
        asked_nothing = asyncio.Event()
        async with serving([[plain(b"first"), asked_nothing, End.FIN]], [[plain(b"second")]]) as server:
            connections = server.to()
            await connections.post(b"")
            [idle] = connections._open
            asked_nothing.set()
            while not idle._transport.is_closing():
                await asyncio.sleep(0)
            assert connections._open == {idle}
            assert await connections.post(b"") == sized(b"second")
            connections.close()

    run(main())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([b"HTTP/1.1 200 X\r\n", *[b"A: " + b"b" * 95 + b"\r\n"] * 100], TooLong),
        ([b"HTTP/1.1 200 X\r\nA: ", *[b"b" * 100] * 100], TooLong),
        ([b"HTTP/1.1 500 X\r\nA: ", *[b"b" * 100] * 100], TooLong),
        ([b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", *[b"b" * 100] * 100], TooLong),
        ([b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"64\r\n" + b"b" * 100 + b"\r\n"] * 100], TooLong),
        ([b"HTTP/1.1 200 X\r\n\r\n", *[b"b" * 100] * 100], TooLong),
        ([plain(b"b" * 10_000)[:9_000]], TooLong),
        ([plain(b"b" * 10_000)], TooLong),
        ([b"HTTP/1.1 100 X\r\n\r\n" + plain(b"b" * 10_000)], TooLong),
        ([b"HTTP/1.1 100 X\r\n\r\n" * 5] * 100, TooLong),
        ([plain(b"b" * 10_000)[:9_000], 0.01, plain(b"evil", status=500)], TooLong),
        ([plain(b"b" * 10_000) + plain(b"evil", status=500)], TooLong),
        ([plain(b"b" * 10_000, status=500)], 500),
        ([plain(b"b" * 10_000, status=500)[:9_000]], 500),
        ([b"HTTP/1.1 429 X\r\n\r\n", *[b"b" * 100] * 100], 429),
        ([plain(b"b" * 900)], 200),
    ],
)
def test_replies_that_are_too_long(steps: Sequence[Step], expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPLY_BYTES", 1_000)
    got, server = post([steps, echo], [echo], posts=2)
    if isinstance(expected, int):
        assert isinstance(got[0], Received) and got[0].status == expected and set(got[0].body) == set(b"b")
    else:
        assert isinstance(got[0], expected)
    assert got[1] == sized(b"1") and server.connections == (1 if expected == 200 else 2)


@pytest.mark.parametrize("steps", [[], [b"HTTP/1.1 100 X\r\n\r\n"], [b"HTTP/1.1 200"], [ENDLESS], [plain(b"abc")[:-1]], [CHUNKED[:-2]]])
def test_silence(steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.05)
    assert isinstance(failure([steps]), Silent)


def test_what_comes_slowly_is_not_silent() -> None:
    async def main() -> None:
        raw = plain(b"slow")
        events = [asyncio.Event() for _ in raw]
        drip: list[Step] = [step for event, byte in zip(events, raw, strict=True) for step in (event, bytes([byte]))]
        async with serving([drip, [late := asyncio.Event(), b"H"]]) as server:
            clock, connections = Clock(), server.to()
            reply = asyncio.create_task(connections.post(b""))
            await until(lambda: server.requests)
            [connection] = connections._open
            for event in events:
                clock.ahead += limits.IDLE_SECONDS * 0.6
                event.set()
                await changed(lambda: connection._size)
            assert await reply == sized(b"slow")
            clock.ahead += module._REUSE_SECONDS * 0.9
            later = asyncio.create_task(outcome(connections.post(b"")))
            await until(lambda: len(server.requests) == 2)
            clock.ahead += limits.IDLE_SECONDS * 0.95
            await asyncio.sleep(0.01)
            late.set()
            await until(lambda: connection._size == 1)
            clock.ahead += limits.IDLE_SECONDS
            assert isinstance(await later, Silent) and server.connections == 1

    run(main())


def test_a_long_request_on_its_way_is_not_silent() -> None:
    async def main() -> None:
        async with serving([[plain(b"x")]], pace=0.001) as server, serving([[]], first=[asyncio.Event()]) as deaf:
            clock, connections, body = Clock(), server.to(), bytes(20_000_000)
            reply = asyncio.create_task(connections.post(body))
            await until(lambda: connections._open)
            [connection] = connections._open
            await until(connection._transport.get_write_buffer_size)
            jumps = 0
            while connection._transport.get_write_buffer_size():
                clock.ahead += limits.IDLE_SECONDS * 0.6
                jumps += 1
                await changed(connection._transport.get_write_buffer_size)
            assert await reply == sized(b"x") and len(server.requests[0]) > len(body) and jumps > 1
            connections.close()
            later = asyncio.create_task(outcome((connections := deaf.to()).post(body)))
            await until(lambda: connections._open)
            for _ in range(2):
                await asyncio.sleep(0.01)
                clock.ahead += limits.IDLE_SECONDS
            assert isinstance(await later, Silent)

    run(main())


def test_one_that_idles_is_closed() -> None:
    async def main() -> None:
        async with serving([echo] * 3) as server:
            clock, connections = Clock(), server.to()
            for i in range(3):
                assert await connections.post(b"%d" % i) == sized(b"%d" % i)
                clock.ahead += module._REUSE_SECONDS * 0.9
                await asyncio.sleep(0.01)
            clock.ahead += limits.IDLE_SECONDS
            await until(lambda: not connections._open)
            assert server.connections == 1

    run(main())


def unreachable(url: str) -> BaseException | None:
    causes: list[BaseException | None] = []

    async def main() -> None:
        got = await outcome(Connections(Address(url, ())).post(b""))
        assert isinstance(got, Unreachable)
        causes.append(got.__cause__)

    run(main())
    return causes[0]


def test_what_is_not_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert isinstance(unreachable(f"http://127.0.0.1:{closed.getsockname()[1]}/"), ConnectionRefusedError)


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str, *args: Any, **more: Any) -> Any:
        assert host == "nowhere.invalid"
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert isinstance(unreachable("http://nowhere.invalid/"), socket.gaierror)


@pytest.mark.parametrize("what", ["getaddrinfo", "start_connection"])
def test_a_connection_that_never_stands(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*args: Any, **more: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(limits, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(asyncio.BaseEventLoop if what == "getaddrinfo" else aiohappyeyeballs, what, never)
    assert isinstance(unreachable("http://127.0.0.1:9/"), TimeoutError)


def test_a_host_is_looked_up_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    fails = False

    async def main() -> None:
        nonlocal fails
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def counted(*args: Any, **more: Any) -> Any:
            asked.append(args)
            await asyncio.sleep(0.02)
            if fails:
                raise socket.gaierror
            return await real(*args, **more)

        monkeypatch.setattr(loop, "getaddrinfo", counted)
        async with serving([[0.02, plain(b"x")]]) as server:
            connections = server.to()
            posts = [asyncio.create_task(connections.post(b"")) for _ in range(20)]
            await asyncio.sleep(0)
            posts.pop(0).cancel()
            assert await asyncio.gather(*posts) == [sized(b"x")] * 19
            assert asked == [("127.0.0.1", server.port)] and server.connections == 19
            monkeypatch.setattr(module, "_LOOKUP_SECONDS", 0.0)
            connections.close()
            fails = True
            for _ in range(2):
                got = await asyncio.gather(*(outcome(connections.post(b"")) for _ in range(3)))
                assert all(isinstance(one, Unreachable) and isinstance(one.__cause__, socket.gaierror) for one in got)
                monkeypatch.setattr(module, "_LOOKUP_SECONDS", 60.0)
            fails = False
            assert await connections.post(b"") == sized(b"x") and len(asked) == 4
            connections.close()

    run(main())


def test_what_is_sent() -> None:
    cases = [
        ("/v1/x?a=b&c=%20d", "me:w@rd@", (("A", "b"), ("c", "ä")), "POST /v1/x?a=b&c=%20d HTTP/1.1", "Host: {}\r\nA: b\r\nc: ä\r\n"),
        ("", "", (), "POST / HTTP/1.1", "Host: {}\r\n"),
        ("?q", "", (), "POST /?q HTTP/1.1", "Host: {}\r\n"),
        ("/#there", "", (("hOST", "other"),), "POST / HTTP/1.1", "hOST: other\r\n"),
    ]

    async def main() -> None:
        async with serving([echo] * 2) as server:
            for path, user, headers, line, sent in cases:
                connections = server.to(path, *headers, user=user)
                for body in (b"", b"\x00\xff\n" * 100_000):
                    assert await connections.post(body) == sized(body)
                    head = f"{line}\r\n{sent.format(f'127.0.0.1:{server.port}')}Content-Length: {len(body)}\r\n\r\n"
                    assert server.requests.pop() == head.encode() + body
                connections.close()
            assert server.connections == len(cases)

    run(main())


@pytest.mark.parametrize(
    "header", [("a", "b\r\nc: d"), ("a", "b\n"), ("a", "b\rc"), ("a", "\0"), ("a: b\r\nc", "d"), ("a\n", "b"), ("host", "h\r\nx: y")]
)
def test_a_header_with_a_line_break_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        Connections(Address("http://127.0.0.1/", (header,)))


def test_a_cancelled_post_ends_its_connection_alone() -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with serving([[go, plain(b"first")]], [[go, plain(b"second")], [plain(b"third")]]) as server:
            connections = server.to()
            first = asyncio.create_task(connections.post(b""))
            await until(lambda: len(server.requests) == 1)
            second = asyncio.create_task(connections.post(b""))
            await until(lambda: len(server.requests) == 2)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await asyncio.sleep(0)
            assert len(connections._open) == 1
            go.set()
            assert await second == sized(b"second") and await connections.post(b"") == sized(b"third")
            assert server.connections == 2
            connections.close()

    run(main())


def test_a_post_cancelled_when_its_reply_is_there() -> None:
    async def main() -> None:
        async with serving([[plain(b"first")], [plain(b"evil")]], [[plain(b"second")]]) as server:
            connections = server.to()
            first = asyncio.create_task(connections.post(b""))
            await until(lambda: connections._open)
            [connection] = connections._open
            while not connection.reusable:
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert (await connections.post(b"")).body == (b"second" if first.cancelled() else b"evil")
            connections.close()

    run(main())


def test_closing_ends_all(recwarn: pytest.WarningsRecorder) -> None:
    async def main() -> None:
        async with serving([[plain(b"x")] * 2], [[ENDLESS]], [[]]) as server:
            connections = server.to()
            posts = [asyncio.create_task(outcome(connections.post(b"%d" % i))) for i in range(3)]
            await until(lambda: posts[0].done() and len(server.requests) == 3)
            known = connections._open
            connections.close()
            first, *others = await asyncio.gather(*posts)
            assert first == sized(b"x") and all(isinstance(one, Broken) for one in others)
            await until(lambda: server.ended == 3)
            assert not known and not connections._idle

    run(main())
    gc.collect()
    assert not recwarn.list


@pytest.mark.parametrize("what", ["getaddrinfo", "start_connection", "create_connection"])
def test_closing_ends_those_that_connect(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        owner = aiohappyeyeballs if what == "start_connection" else loop
        real = getattr(owner, what)
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow(*args: Any, **more: Any) -> Any:
            begun.set()
            await go.wait()
            return await real(*args, **more)

        async with serving([[plain(b"x")]]) as server:
            connections = server.to()
            monkeypatch.setattr(owner, what, slow)
            posts = [asyncio.create_task(outcome(connections.post(b""))) for _ in range(3)]
            await begun.wait()
            connections.close()
            if what != "getaddrinfo":  # a lookup is not waited for
                go.set()
            for got in await asyncio.gather(*posts):
                assert isinstance(got, Unreachable) and isinstance(got.__cause__, ConnectionAbortedError)
            await until(lambda: server.ended == server.connections)
            assert not server.requests

    run(main())
    gc.collect()


def test_closing_leaves_no_cancelled_post_uncancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*args: Any, **more: Any) -> Any:
        await asyncio.sleep(60)

    async def main() -> None:
        connections = Connections(Address("http://127.0.0.1:9/", ()))
        task = asyncio.create_task(connections.post(b""))
        await asyncio.sleep(0.01)
        connections.close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", never)
    run(main())


def test_many_at_once_get_their_own_replies() -> None:
    random = Random(0)

    def late(request: bytes) -> Sequence[Step]:
        [raw] = echo(request)
        assert isinstance(raw, bytes)
        cut = random.randrange(len(raw))
        return [random.random() * 0.02, raw[:cut], random.choice((0.0, 0.002)), raw[cut:]]

    async def main() -> None:
        async with serving([late] * 600) as server:
            connections = server.to()

            async def one(number: int) -> None:
                await asyncio.sleep(random.random() * 0.05)
                assert (await connections.post(b"%d" % number)).body == b"%d" % number

            for _ in range(2):
                await asyncio.gather(*map(one, range(300)))
            assert len(server.requests) == 600 and server.connections < 600
            connections.close()

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate", folder / "key"
    how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=here -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *how.split(), "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    return made, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(module, "_tls", lambda: context)


def test_a_certificate_that_nobody_knows(tls: ssl.SSLContext) -> None:
    got, server = post([echo], tls=tls)
    assert isinstance(got[0], Unreachable) and isinstance(got[0].__cause__, ssl.SSLCertVerificationError) and not server.requests


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host(tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving([echo], tls=tls) as server:
            connections = Connections(Address(f"https://localhost:{server.port}/", ()))
            got = await outcome(connections.post(b""))
            assert isinstance(got, Unreachable) and isinstance(got.__cause__, ssl.SSLCertVerificationError)
            connections.close()

    run(main())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("script", "connections"),
    [
        ([[plain(b"x" * 100_000)]] * 3, 1),
        ([[plain(b"x" * 100_000, "Connection: close")]] * 3, 3),
        ([[plain(b"x" * 1_000) + plain(b"evil")]] * 3, 3),
        ([[b"HTTP/1.1 200 X\r\n\r\n" + b"x" * 100_000, End.FIN]], 3),
    ],
)
def test_replies_by_tls(script: Sequence[Reply], connections: int, tls: ssl.SSLContext, recwarn: pytest.WarningsRecorder) -> None:
    got, server = post(script, posts=3, tls=tls)
    assert all(isinstance(one, Received) and set(one.body) == set(b"x") for one in got) and server.connections == connections
    gc.collect()
    assert not recwarn.list


@pytest.mark.usefixtures("trusted")
def test_one_by_tls_that_is_about_to_end_is_not_used(tls: ssl.SSLContext) -> None:
    async def main() -> None:
        for turns in range(8):
            asked_nothing = asyncio.Event()
            async with serving([[plain(b"first"), asked_nothing, End.FIN]], [[plain(b"second")]], tls=tls) as server:
                connections = server.to()
                await connections.post(b"")
                [idle] = connections._open
                noted: list[None] = []
                idle.eof_received = lambda real=idle.eof_received, noted=noted: (noted.append(None), real())[1]  # type: ignore
                asked_nothing.set()
                while not noted:
                    await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
                assert await connections.post(b"") == sized(b"second")
                connections.close()

    run(main())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("first", "causes"),
    [
        ([plain(b"in plain text")], ssl.SSLError),
        ([0.01, b"\x00" * 100], ssl.SSLError),
        ([End.FIN], (ssl.SSLError, ConnectionError)),
        ([End.RST], ConnectionError),
        ([], TimeoutError),
    ],
)
def test_a_server_without_tls(first: Sequence[Step], causes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if causes is TimeoutError:
        monkeypatch.setattr(limits, "CONNECT_SECONDS", 0.1)
    got = failure([[]], first=first, https=True)
    assert isinstance(got, Unreachable) and isinstance(got.__cause__, causes)
    gc.collect()
