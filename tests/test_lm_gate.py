"""The gate of a model, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from rlmlang.lm.gate import Closed, Gate


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None) -> Any:
            if timeout is None:
                raise AssertionError("everybody waits, and nothing will happen")
            self.now += timeout
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now


def run(test: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(test(loop))
        assert not asyncio.all_tasks(loop)
    finally:
        loop.close()


async def gather(*work: Awaitable[Any]) -> list[Any]:
    return list(await asyncio.gather(*work))


def test_no_more_than_its_slots_and_in_order() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(3)
        inside, peak, order = 0, 0, []

        async def call(i: int) -> None:
            nonlocal inside, peak
            await gate.enter()
            order.append(i)
            inside += 1
            peak = max(peak, inside)
            await asyncio.sleep(1)
            inside -= 1
            gate.leave()

        await gather(*(call(i) for i in range(10)))
        assert peak == 3 and order == list(range(10)) and loop.now == pytest.approx(4)

    run(main)


def test_a_cancelled_waiter_loses_no_slot() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(1)
        await gate.enter()
        waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        gate.leave()  # hands over to the second: the first is being cancelled
        waiting[1].cancel()  # … which is cancelled just after it was handed the slot
        await asyncio.gather(*waiting[:2], return_exceptions=True)
        await asyncio.wait_for(waiting[2], 1)
        gate.leave()
        await asyncio.wait_for(gate.enter(), 1)

    run(main)


def test_requests_and_tokens_a_minute() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(100, requests_per_minute=10, clock=loop.time)
        times = []

        async def one(gate: Gate, tokens: int) -> None:
            ticket, waited = await gate.ready(tokens, 0.0)
            assert waited == 0
            times.append(loop.now)
            gate.done(ticket, "ok")

        await gather(*(one(gate, 1) for _ in range(25)))
        assert all(sum(t <= other < t + 60 for other in times) <= 10 for t in times)
        assert loop.now == pytest.approx(120)
        times.clear()
        await asyncio.sleep(60)
        start = loop.now
        gate = Gate(100, tokens_per_minute=100, clock=loop.time)
        await gather(*(one(gate, n) for n in (60, 30, 30, 500, 10)))  # 500 alone is more than a minute's: it goes when all is clear
        assert [round(t - start) for t in times] == [0, 0, 60, 120, 180]

    run(main)


def test_after_a_push_back_nobody_sends_then_one_probe() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(8, clock=loop.time)
        sent: list[float] = []
        limited_until = 10.0

        async def call() -> None:
            while True:
                ticket, _ = await gate.ready(1, 60.0)
                sent.append(loop.now)
                await asyncio.sleep(0.5)
                if loop.now < limited_until:
                    gate.done(ticket, "pushed back", 4.0)
                else:
                    gate.done(ticket, "ok")
                    return

        await gather(*(call() for _ in range(8)))
        times = sorted(set(sent))
        rounds = [sent.count(t) for t in times]
        assert rounds[:4] == [8, 1, 1, 1] and times[:4] == pytest.approx([0, 4.5, 9, 13.5])
        assert 1 < max(rounds[3:]) <= 4  # the window is smaller afterwards

    run(main)


def test_the_window_recovers() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(16, clock=loop.time)
        ticket, _ = await gate.ready(1, 0.0)
        gate.done(ticket, "pushed back", 1.0)
        now = peak = 0

        async def call() -> None:
            nonlocal now, peak
            ticket, _ = await gate.ready(1, 60.0)
            now += 1
            peak = max(peak, now)
            await asyncio.sleep(0.1)
            now -= 1
            gate.done(ticket, "ok")

        await gather(*(call() for _ in range(30)))
        assert peak < 16
        await gather(*(call() for _ in range(300)))
        assert peak == 16

    run(main)


def test_a_probe_that_says_nothing_lets_the_next_one_try() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(4, clock=loop.time)
        ticket, _ = await gate.ready(1, 0.0)
        gate.done(ticket, "pushed back", 1.0)
        probe, _ = await gate.ready(1, 60.0)
        next_one = asyncio.create_task(gate.ready(1, 60.0))
        cancelled = asyncio.create_task(gate.ready(1, 60.0))
        last = asyncio.create_task(gate.ready(1, 60.0))
        await asyncio.sleep(1)
        assert not next_one.done()
        cancelled.cancel()
        gate.done(probe, "failed")
        ticket, _ = await next_one
        assert not last.done()
        gate.done(ticket, "ok")
        await last

    run(main)


def test_whoever_cannot_wait_so_long_is_told() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(4, clock=loop.time)
        ticket, _ = await gate.ready(1, 0.0)
        gate.done(ticket, "pushed back", 300.0)
        results = await asyncio.gather(*(gate.ready(1, 60.0) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(r, Closed) and r.seconds == pytest.approx(300) for r in results) and loop.now == 0
        ticket, waited = await gate.ready(1, 1_000.0)
        assert waited == pytest.approx(300)

    run(main)


def test_without_a_time_given_pauses_double_up_to_a_limit() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(4, clock=loop.time)
        pauses = []
        for _ in range(12):
            before = loop.now
            ticket, _ = await gate.ready(1, 60.0)
            pauses.append(loop.now - before)
            gate.done(ticket, "pushed back")
        assert pauses[0] == 0 and 0.05 <= pauses[1] <= 0.1 and all(2 <= pause <= 4 for pause in pauses[8:])

    run(main)


def test_a_slot_given_back_in_the_moment_of_a_cancellation() -> None:
    async def main(loop: VirtualLoop) -> None:
        gate = Gate(1)
        await gate.enter()
        cancelled, other = loop.create_task(gate.enter()), loop.create_task(gate.enter())
        await asyncio.sleep(0)
        cancelled.cancel()
        gate.leave()  # before the cancelled one has noticed
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await other
        gate.leave()
        await gate.enter()

    run(main)
