"""Prices: whole nano-dollars, rounded up; unknown is not zero."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rlmlang.lm.prices import Price, Rates, actual, price_of, worst
from rlmlang.lm.request import Model, Usage

TIERED = Price(
    (Rates(1250, 10_000, cached=125, cache_write=1250), Rates(2500, 15_000, cached=250, cache_write=2500, above=200_000)), request=7
)


def test_configured_prices_come_first() -> None:
    price = price_of(Model("m", "openai", "gpt-4o-mini", input_price=5, output_price=9))
    assert price is not None and (price.input, price.output) == (5, 9)


def test_known_models_are_looked_up() -> None:
    price = price_of(Model("m", "openai", "gpt-4o-mini"))
    assert price is not None and (price.input, price.output, price.tiers[0].cached) == (150, 600, 75)
    tiered = price_of(Model("m", "openai", "gemini-2.5-pro"))
    assert tiered is not None and [r.above for r in tiered.tiers] == [0, 200_000]
    assert tiered.tiers[1].input == 2 * tiered.tiers[0].input


def test_unknown_is_none_and_local_is_free() -> None:
    assert price_of(Model("m", "openai", "no-such-model-anywhere")) is None
    assert price_of(Model("m", "openai", "no-such-model-anywhere", base_url="http://127.0.0.1:1/v1")) is None
    free = price_of(Model("m", "script", "m", path="x"))
    assert free is not None and worst(free, 10**9, 10**9) == 0


def test_a_long_request_is_priced_whole_at_its_tier() -> None:
    assert actual(TIERED, Usage(200_000, 10)) == 200_000 * 1250 + 10 * 10_000 + 7
    assert actual(TIERED, Usage(200_001, 10, cached_tokens=1)) == 200_000 * 2500 + 250 + 10 * 15_000 + 7


@given(st.integers(0, 500_000), st.integers(0, 10_000), st.integers(0, 500_000), st.integers(0, 10_000), st.integers(0, 500_000))
def test_worst_is_never_below_actual(most_in: int, most_out: int, used_in: int, used_out: int, cached: int) -> None:
    usage = Usage(min(used_in, most_in), min(used_out, most_out), cached)
    assert worst(TIERED, most_in, most_out) >= actual(TIERED, usage)


def test_fractions_of_a_nano_dollar_round_up() -> None:
    from rlmlang.lm.prices import _rate

    assert _rate(Decimal("0.0001"), 0) == 1 and _rate(Decimal("0.0375"), 0) == 38 and _rate(None, 0) is None
