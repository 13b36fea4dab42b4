"""One call from request to reply: reservations, retries, re-asks, cancellation. The provider is scripted in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from attrs import define, evolve, field

from rlmlang import limits
from rlmlang.errors import BudgetError, Failure, UsageError
from rlmlang.lm import client as client_module
from rlmlang.lm.client import Client, Dropped
from rlmlang.lm.render import render, utf8_length, worst_input_tokens
from rlmlang.lm.request import Charge, Completion, Model, ProviderError, Reply, Request, Usage
from rlmlang.types import BOOL, TEXT, Enum, Type

MODEL = Model("m", "openai", "m", input_price=100, output_price=300, concurrency=4)
GOOD = Completion('{"value": true}', usage=Usage(20, 5))


@define
class Ledger:
    """A meter with a limit on requests, that keeps the law: what is spent or reserved never passes the limit."""

    limit: int = 10**9
    reserved: list[Charge] = field(factory=list)
    spent: list[Charge] = field(factory=list)

    async def reserve(self, worst: Charge) -> None:
        await asyncio.sleep(0)
        if sum(c.requests for c in self.spent) + len(self.reserved) >= self.limit:
            raise BudgetError("no requests left")
        self.reserved.append(worst)

    def settle(self, worst: Charge, actual: Charge) -> None:
        self.reserved.remove(worst)
        assert actual.input_tokens <= worst.input_tokens and actual.output_tokens <= worst.output_tokens
        assert actual.nanodollars <= worst.nanodollars and actual.requests <= 1
        self.spent.append(actual)

    @property
    def requests(self) -> int:
        return sum(c.requests for c in self.spent)


@define(eq=False)
class Scripted:
    """Answers with the script's entries in order, the last for ever."""

    script: list[Completion | ProviderError]
    requests: list[Request] = field(factory=list)
    now: int = 0
    peak: int = 0
    closed: bool = False
    delay: float = 0.0

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.now -= 1
        entry = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(entry, ProviderError):
            raise entry
        return entry

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(limits, "RETRY_LONGEST", 0.002)
    yield


Test = Callable[[Client, Scripted, Ledger], Coroutine[Any, Any, None]]


def run(monkeypatch: pytest.MonkeyPatch, script: list[Completion | ProviderError], test: Test, *, model: Model = MODEL) -> Scripted:
    provider, ledger = Scripted(script), Ledger()
    monkeypatch.setattr(client_module, "open_provider", lambda model: provider)

    async def main() -> None:
        async with Client({"m": model}, ledger) as client:
            await test(client, provider, ledger)
        assert not ledger.reserved, "every reservation is settled"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert provider.closed or not provider.requests

    asyncio.run(main())
    return provider


def request(type: Type = BOOL, prompt: str = "Is it?", model: Model = MODEL) -> Request:
    return render(prompt, [(None, "data")], type, model)


def alive() -> bool:
    return True


def failing(status: int | None = 500, **more: Any) -> ProviderError:
    return ProviderError("it broke", retryable=True, status=status, **more)


def test_a_good_reply_is_settled_by_its_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        reply = await client.send(request(), alive=alive)
        assert reply == Reply(True, Usage(20, 5), 20 * 100 + 5 * 300, requests=1)
        assert ledger.spent == [Charge(1, 20, 5, 3_500)]
        assert (client.counters.requests, client.counters.retries, client.counters.failed) == (1, 0, 0)

    run(monkeypatch, [GOOD], test)


@pytest.mark.parametrize(
    "usage", [None, Usage(0, 5), Usage(20, 0), Usage(-1, 5), Usage(20, 33), Usage(10**9, 5), Usage(20, 5, cached_tokens=21)]
)
def test_usage_that_cannot_be_true_settles_the_worst_case(monkeypatch: pytest.MonkeyPatch, usage: Usage | None) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        asked = request()
        reply = await client.send(asked, alive=alive)
        assert reply.usage == Usage(worst_input_tokens(asked), asked.max_tokens, guessed=True)
        assert ledger.spent == [Charge(1, worst_input_tokens(asked), 32, worst_input_tokens(asked) * 100 + 32 * 300)]

    run(monkeypatch, [evolve(GOOD, usage=usage)], test)


def test_an_unknown_price_is_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = Model("m", "openai", "no-such-model-anywhere")

    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        assert (await client.send(request(model=unknown), alive=alive)).nanodollars is None
        assert client.price(unknown) is None

    run(monkeypatch, [GOOD], test, model=unknown)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529, None])
def test_retryable_errors_are_tried_again(monkeypatch: pytest.MonkeyPatch, status: int | None) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        reply = await client.send(request(), alive=alive)
        assert reply.requests == 4 and reply.retries == 3 and reply.usage == Usage(20, 5)
        assert client.counters.retries == 3 and ledger.requests == 4

    run(monkeypatch, [failing(status)] * 3 + [GOOD], test)


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        for _ in range(2):
            with pytest.raises(Failure, match="model m: it broke") as caught:
                await client.send(request(), alive=alive)
            assert caught.value.attempts == limits.RETRIES
        assert client.counters.failed == 2

    for status in (500, 429):
        run(monkeypatch, [failing(status)], test)


def test_other_errors_are_final(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        with pytest.raises(Failure) as caught:
            await client.send(request(), alive=alive)
        assert caught.value.attempts == 1 and ledger.spent == [Charge(1, 0, 0, 0)]

    run(monkeypatch, [ProviderError("no", status=401)], test)


@pytest.mark.parametrize("status", [429, 500])
def test_a_wait_beyond_the_time_allowed_fails_at_once(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        with pytest.raises(Failure, match="too late") as caught:
            await client.send(request(), alive=alive)
        assert caught.value.attempts == 1

    run(monkeypatch, [failing(status, retry_after=1e9)], test)


def test_work_that_may_have_been_done_is_settled_at_its_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        asked = request()
        reply = await client.send(asked, alive=alive)
        assert reply.usage == Usage(worst_input_tokens(asked) + 20, 32 + 5, guessed=True)

    run(monkeypatch, [failing(504, charged=True), GOOD], test)


def test_a_bad_reply_is_asked_again_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Completion('{"value": "maybe"}', usage=Usage(20, 5))

    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        asked = request(Enum(("core", "test")))
        reply = await client.send(asked, alive=alive)
        assert reply.value == "core" and reply.requests == 3 and reply.usage == Usage(60, 15)
        for again in provider.requests[1:]:
            assert again.messages[:-2] == asked.messages
            assert again.messages[-2].content == '{"value": "maybe"}' and "maybe" in again.messages[-1].content

    run(monkeypatch, [bad, bad, Completion("core", usage=Usage(20, 5))], test)


def test_re_asks_end_and_are_bounded_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        asked = request()
        with pytest.raises(Failure, match="no usable reply") as caught:
            await client.send(asked, alive=alive)
        assert caught.value.attempts == 1 + limits.REASKS
        for again in provider.requests[1:]:
            added = sum(utf8_length(m.content) for m in again.messages[-2:])
            assert added <= limits.REPLY_BYTES_PER_TOKEN * asked.max_tokens + limits.CORRECTION_BYTES

    run(monkeypatch, [Completion("é\ud800" * 5_000)], test)
    run(monkeypatch, [Completion(None)], test)


@pytest.mark.parametrize(
    "completion", [Completion("x", finish="length"), Completion(None, refusal="no"), Completion(None, finish="tool_calls")]
)
def test_what_asking_again_cannot_mend_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, completion: Completion) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        with pytest.raises(Failure, match="model m") as caught:
            await client.send(request(TEXT), alive=alive)
        assert caught.value.attempts == 1

    run(monkeypatch, [completion], test)


def test_the_slot_is_held_until_the_reply_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        uncommitted = peak = 0

        async def commit(reply: Reply) -> None:
            nonlocal uncommitted, peak
            uncommitted += 1
            peak = max(peak, uncommitted + provider.now)
            await asyncio.sleep(0.001)
            uncommitted -= 1

        await asyncio.gather(*(client.send(request(prompt=str(i)), alive=alive, commit=commit) for i in range(30)))
        assert peak == provider.peak == MODEL.concurrency

    run(monkeypatch, [GOOD], test)


def test_a_call_nobody_wants_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        with pytest.raises(Dropped):
            await client.send(request(), alive=lambda: False)
        with pytest.raises(Dropped):
            await client.send(request(), alive=lambda: not provider.requests)  # after its first attempt
        assert ledger.requests == len(provider.requests) == 1

    run(monkeypatch, [failing()], test)


def test_the_budget_stops_a_call_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        ledger.limit = 3
        results = await asyncio.gather(*(client.send(request(), alive=alive) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(r, BudgetError) for r in results) == 5 and len(provider.requests) == 3

    run(monkeypatch, [GOOD], test)


def test_cancelled_at_every_await_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        async def commit(reply: Reply) -> None:
            await asyncio.sleep(0)

        for steps in range(60):
            calls = [asyncio.create_task(client.send(request(prompt=str(i)), alive=alive, commit=commit)) for i in range(6)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert not ledger.reserved
            assert ledger.requests == len(provider.requests)
        replies = await asyncio.gather(*(client.send(request(prompt=f"then {i}"), alive=alive) for i in range(8)))
        assert len(replies) == 8  # all slots are still there

    run(monkeypatch, [failing(429), Completion("?"), GOOD, failing(500), GOOD], test)


def test_a_storm_of_429_lets_one_through_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = evolve(MODEL, concurrency=64)

    async def test(client: Client, provider: Scripted, ledger: Ledger) -> None:
        replies = await asyncio.gather(*(client.send(request(prompt=str(i), model=wide), alive=alive) for i in range(128)))
        assert len(replies) == 128
        assert len(provider.requests) == 128 + 64 + 3  # the first windowful, three probes, then everybody

    run(monkeypatch, [failing(429, retry_after=0.01)] * 67 + [GOOD], test, model=wide)


def test_offline_and_unknown_models() -> None:
    async def main() -> None:
        async with Client({"m": MODEL, "small": evolve(MODEL, name="small")}, Ledger(), offline=True) as client:
            assert client.model(None) is MODEL and client.model("small").name == "small"
            with pytest.raises(UsageError, match="m, small"):
                client.model("large")
            with pytest.raises(Failure, match="offline"):
                await client.send(request(), alive=alive)

    asyncio.run(main())
