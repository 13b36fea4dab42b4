"""Budgets: how they are written, and that nothing under way together ever passes one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.errors import BudgetError, UsageError
from rlmlang.lm.request import Charge, Meter
from rlmlang.run.budget import NANO, Budget, Limit, parse_budget

ONE = Charge(requests=1)
NOTHING = Charge(requests=0)


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(main(), 20)  # a deadlock is a failure, not a hang

    return asyncio.run(bounded())


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("text", "kind", "most"),
    [
        ("$2", "dollars", 2 * NANO),
        ("$0.50", "dollars", NANO // 2),
        (" $ .5 ", "dollars", NANO // 2),
        ("$0.000000001", "dollars", 1),
        ("$1,000", "dollars", 1_000 * NANO),
        ("2 USD", "dollars", 2 * NANO),
        ("2$", "dollars", 2 * NANO),
        ("50 cents", "dollars", NANO // 2),
        ("500 calls", "calls", 500),
        ("1 call", "calls", 1),
        ("0 calls", "calls", 0),
        ("10k requests", "calls", 10_000),
        ("1_000 calls", "calls", 1_000),
        ("2M tokens", "tokens", 2_000_000),
        ("2m tokens", "tokens", 2_000_000),
        ("1.5 M tokens", "tokens", 1_500_000),
        ("10 min", "seconds", 600 * NANO),
        ("10min", "seconds", 600 * NANO),
        ("90 s", "seconds", 90 * NANO),
        ("1h", "seconds", 3_600 * NANO),
        ("1.5 hours", "seconds", 5_400 * NANO),
        ("3 depth", "depth", 3),
    ],
)
def test_written_budgets(text: str, kind: str, most: int) -> None:
    assert parse_budget(text) == Limit(kind, most)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "2", "$", "calls", "-1 calls", "$-2", "2 euros", "$2 calls", "1.5 calls", "1e9 calls", "2M", "10 m", "2k min", "3M depth",
     "inf", "nan $", "$0.0000000001", "1,00 calls", "1.000,00 $", "١ calls", "9" * 500 + " calls",
     "1h30", "\x1b[2J calls", "1 calls 2 calls"],
)  # fmt: skip
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_budget(text)
    assert "'500 calls'" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


@given(st.text(max_size=20))
def test_any_text_is_a_budget_or_refused(text: str) -> None:
    try:
        assert parse_budget(text).most >= 0
    except UsageError:
        return


@given(st.sampled_from(["calls", "tokens", "dollars", "depth"]), st.integers(0, 10**15))
def test_a_limit_reads_as_it_is_written(kind: Any, most: int) -> None:
    assert parse_budget(str(Limit(kind, most))) == Limit(kind, most)


def test_without_limits_nothing_waits() -> None:
    async def main() -> None:
        budget: Meter = Budget()
        for _ in range(100):
            await budget.reserve(Charge(1, 10**9, 10**9, 10**18))

    run(main)
    assert Budget().left() == ""
    assert Budget().remaining_seconds() is None


def test_fifty_calls_at_width_64_are_never_51() -> None:
    budget = Budget([parse_budget("60 calls"), parse_budget("50 calls")])
    sent = under_way = refused = 0

    async def call() -> None:
        nonlocal sent, under_way, refused
        try:
            await budget.reserve(ONE)
        except BudgetError:
            refused += 1
            return
        sent += 1
        under_way += 1
        assert sent <= 50
        await asyncio.sleep(0.001)
        under_way -= 1
        budget.settle(ONE, ONE)

    async def main() -> None:
        await asyncio.gather(*[call() for _ in range(64)])

    run(main)
    assert (sent, refused, under_way) == (50, 14, 0)
    assert budget.stopped == Limit("calls", 50)
    assert budget.left() == "0 of 50 calls"


def test_whoever_waits_gets_in_when_a_call_was_cheaper_or_never_sent() -> None:
    budget = Budget([Limit("dollars", 10)])
    worst = Charge(nanodollars=8)

    async def main() -> None:
        await budget.reserve(worst)
        second = asyncio.create_task(budget.reserve(worst))
        await spin()
        assert not second.done()
        budget.settle(worst, Charge(nanodollars=2))
        await second
        third = asyncio.create_task(budget.reserve(worst))
        await spin()
        budget.settle(worst, NOTHING)
        await third
        assert budget.spent["dollars"] == 2
        assert budget.reserved["dollars"] == 8
        with pytest.raises(BudgetError):  # 2 + 9 can never fit, whatever the others give back
            await budget.reserve(Charge(nanodollars=9))

    run(main)


def test_first_come_first_served() -> None:
    budget = Budget([Limit("tokens", 10)])
    order: list[int] = []

    async def call(tokens: int) -> None:
        worst = Charge(1, tokens, 0)
        await budget.reserve(worst)
        order.append(tokens)
        await asyncio.sleep(0)
        budget.settle(worst, NOTHING)

    async def main() -> None:
        await asyncio.gather(*[call(n) for n in (6, 9, 1, 8, 2)])

    run(main)
    assert order == [6, 9, 1, 8, 2]  # the 1 would have fitted beside the 6: it waits behind the 9


def test_cancelled_while_waiting_and_while_granted() -> None:
    budget = Budget([Limit("calls", 1)])

    async def main() -> None:
        await budget.reserve(ONE)
        first, second, third = (asyncio.create_task(budget.reserve(ONE)) for _ in range(3))
        await spin()
        first.cancel()
        await spin()
        budget.settle(ONE, NOTHING)  # the turn goes to `second` ...
        second.cancel()  # ... which is gone before it can take it
        await asyncio.wait_for(third, 5)
        assert budget.reserved["calls"] == 1
        budget.settle(ONE, ONE)
        assert budget.reserved["calls"] == 0

    run(main)


def test_nonsense_from_a_provider_is_settled_at_the_worst_case() -> None:
    budget = Budget([Limit("tokens", 100)])
    worst = Charge(1, 10, 10, 5)

    async def main() -> None:
        await budget.reserve(worst)
        budget.settle(worst, Charge(1, 10**9, 10**9, 10**9))

    run(main)
    assert budget.spent["tokens"] == 20


def test_messages() -> None:
    async def stopped(limit: str, *charges: Charge) -> str:
        budget = Budget([parse_budget(limit)])
        with pytest.raises(BudgetError) as caught:
            for charge in charges:
                await budget.reserve(charge)
                budget.settle(charge, charge)
        assert caught.value.exit_code == 3
        return caught.value.message

    assert run(lambda: stopped("1 call", ONE, ONE)) == "the budget of 1 call is used up: 1 call spent, the next call needs 1 call"
    assert (
        run(lambda: stopped("$2", Charge(nanodollars=1_930_000_000), Charge(nanodollars=120_000_000)))
        == "the budget of $2 is used up: $1.93 spent, the next call might take $0.12"
    )
    assert (
        run(lambda: stopped("2k tokens", Charge(1, 2_000, 24)))
        == "the budget of 2,000 tokens is too small: 0 tokens spent, the next call might take 2,024 tokens"
    )


def test_time() -> None:
    now = 0
    budget = Budget([parse_budget("10 min"), parse_budget("5 calls"), parse_budget("3 depth")], clock=lambda: now)

    async def main() -> None:
        nonlocal now
        await budget.reserve(ONE)
        now += 180 * NANO
        assert budget.remaining_seconds() == 420.0
        assert budget.left() == "7 min of 10 min, 5 of 5 calls, 3 depth"
        now += 421 * NANO
        assert budget.remaining_seconds() == 0
        with pytest.raises(BudgetError, match="10 min is used up"):
            await budget.reserve(ONE)

    run(main)
    assert budget.stopped == parse_budget("10 min")
    assert budget.most("depth") == 3


def test_the_deadline_ends_waiting() -> None:
    budget = Budget([Limit("seconds", NANO // 50), Limit("calls", 1)])

    async def main() -> None:
        await budget.reserve(ONE)
        with pytest.raises(BudgetError, match="no call is sent any more"):
            await budget.reserve(ONE)

    run(main)


CHARGES = st.builds(Charge, st.just(1), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
STEPS = st.tuples(CHARGES, st.integers(0, 3), st.sampled_from(["all", "part", "nothing"]), st.integers(0, 4) | st.none())


@given(st.lists(STEPS, max_size=40), st.integers(0, 12), st.integers(0, 120), st.integers(0, 80))
def test_no_set_of_calls_passes_a_limit(calls: list[tuple[Charge, int, str, int | None]], most: int, tokens: int, dollars: int) -> None:
    caps = {"calls": most, "tokens": tokens, "dollars": dollars}
    budget = Budget([Limit("calls", most), Limit("tokens", tokens), Limit("dollars", dollars)])

    def check() -> None:
        spent, reserved = budget.spent, budget.reserved
        for kind, cap in caps.items():
            assert reserved[kind] >= 0  # type: ignore[index]
            assert spent[kind] + reserved[kind] <= cap  # type: ignore[index]

    async def call(worst: Charge, rounds: int, use: str) -> None:
        try:
            await budget.reserve(worst)
        except BudgetError:
            spent = budget.spent
            used = (1, worst.input_tokens + worst.output_tokens, worst.nanodollars)
            assert any(spent[k] + u > caps[k] for k, u in zip(("calls", "tokens", "dollars"), used, strict=True))  # type: ignore[index]
            return
        actual = NOTHING
        try:
            check()
            for _ in range(rounds):
                await asyncio.sleep(0)
            if use != "nothing":
                actual = worst if use == "all" else Charge(1, worst.input_tokens // 2, 0, worst.nanodollars // 2)
        finally:
            budget.settle(worst, actual)
            check()

    async def main() -> None:
        tasks = []
        for worst, rounds, use, cancelled in calls:
            task = asyncio.create_task(call(worst, rounds, use))
            tasks.append(task)
            if cancelled is not None:
                for _ in range(cancelled):
                    await asyncio.sleep(0)
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    run(main)
    assert not any(budget.reserved.values())
    check()
