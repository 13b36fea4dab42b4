"""The selector of a run's event loop: all that is ready comes, in portions."""

from __future__ import annotations

import asyncio
import selectors
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from rlmlang.lm import steady
from rlmlang.lm.steady import Steady, take_portions


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 100), st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))
def test_what_is_ready_comes_once_in_portions(count: int, closed: set[int], changed: set[int]) -> None:
    """After the first portion some sockets are `closed`, and for some it has `changed` what is waited for."""
    pairs = [socket.socketpair() for _ in range(count)]
    seen: dict[int, int] = {}
    try:
        with Steady() as selector:

            def take() -> bool:
                portion = selector.select(0)
                assert len(portion) <= steady._PORTION
                for key, events in portion:
                    assert key.data not in seen
                    seen[key.data] = events
                    selector.unregister(key.fileobj)
                return bool(portion)

            for at, (ours, theirs) in enumerate(pairs):
                selector.register(ours, selectors.EVENT_READ, at)
                theirs.send(b"x")
            take()
            assert len(seen) == min(count, steady._PORTION)
            rest = set(range(count)) - seen.keys()
            for at in rest & closed:
                selector.unregister(pairs[at][0])
            for at in rest & changed - closed:
                selector.modify(pairs[at][0], selectors.EVENT_WRITE, at)
            while take():
                pass
            assert {at for at in seen if at in rest} == rest - closed
            for at in rest - closed:
                assert seen[at] == (selectors.EVENT_WRITE if at in changed else selectors.EVENT_READ)
    finally:
        for pair in pairs:
            for each in pair:
                each.close()


def test_what_is_new_comes_in_portions_too_where_all_of_the_rest_is_gone() -> None:
    pairs = [socket.socketpair() for _ in range(3 * steady._PORTION)]
    try:
        with Steady() as selector:
            for _, theirs in pairs:
                theirs.send(b"x")
            for ours, _ in pairs[: steady._PORTION + 1]:
                selector.register(ours, selectors.EVENT_READ)
            assert len(selector.select(0)) == steady._PORTION
            for ours, _ in pairs[: steady._PORTION + 1]:
                selector.unregister(ours)
            for ours, _ in pairs[steady._PORTION + 1 :]:
                selector.register(ours, selectors.EVENT_READ)
            assert len(selector.select(0)) == steady._PORTION
    finally:
        for pair in pairs:
            for each in pair:
                each.close()


def test_an_event_loop_reads_all_that_came() -> None:
    async def exchange() -> list[bytes]:
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(100)]
        for ours, theirs in pairs:
            ours.setblocking(False)
            theirs.send(b"x")
        try:
            return await asyncio.gather(*(loop.sock_recv(ours, 1) for ours, _ in pairs))
        finally:
            for pair in pairs:
                for each in pair:
                    each.close()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        take_portions(loop)
        assert type(loop._selector) is Steady  # type: ignore[attr-defined]
        assert runner.run(exchange()) == [b"x"] * 100
        loop.call_soon_threadsafe(lambda: None)
        assert runner.run(asyncio.sleep(0, "woken")) == "woken"


def test_a_loop_that_somebody_chose_is_left_alone() -> None:
    class Own(asyncio.SelectorEventLoop):
        pass

    for loop in (Own(), asyncio.SelectorEventLoop(selectors.SelectSelector())):
        before = loop._selector  # type: ignore[union-attr]
        take_portions(loop)
        assert loop._selector is before  # type: ignore[union-attr]
        loop.close()
