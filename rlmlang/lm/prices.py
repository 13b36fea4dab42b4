"""What tokens cost, in nano-dollars: whole numbers, rounded up. $1 a million tokens is 1,000 nano-dollars a token.

Prices are the configuration's, else genai-prices'. Where neither knows, the price is None and dollars are unknown: never silently 0.
A model that runs here (`script:`, `gguf:`) costs 0. By a Batch API all rates are the share of these that the configuration says, half by
default: no table has them. Not known here: priority tiers, free quotas, prices per search.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from attrs import frozen

from rlmlang.lm.request import Model, Usage


@frozen
class Rates:
    """Nano-dollars per token, for requests of more than `above` input tokens; the last two are for reading and writing a prompt cache."""

    input: int
    output: int
    cached: int
    cache_write: int
    above: int = 0


@frozen
class Price:
    """The rates of a model, by length of the request (a longer one is priced whole at its own rates), and nano-dollars per request."""

    tiers: tuple[Rates, ...]
    request: int = 0

    @property
    def input(self) -> int:
        return self.tiers[0].input

    @property
    def output(self) -> int:
        return self.tiers[0].output

    @property
    def dearer_above(self) -> int | None:
        """Input tokens from which a request has other rates; None if all have the same."""
        return min((rates.above for rates in self.tiers if rates.above), default=None)


FREE = Price((Rates(0, 0, 0, 0),))


def price_of(model: Model) -> Price | None:
    """The price of `model`, or None where nobody knows it."""
    price: Price | None = FREE
    if model.input_price is not None and model.output_price is not None:
        cached = model.input_price if model.cached_price is None else model.cached_price
        price = Price((Rates(model.input_price, model.output_price, cached=cached, cache_write=model.input_price),))
    elif model.provider == "openai":
        price = _looked_up(model.model, model.base_url)
    return price if price is None or model.batch_share is None else _shared(price, model.batch_share)


def _shared(price: Price, share: Fraction) -> Price:
    """`price` with all of its rates at a share of what they are."""

    def part(rate: int) -> int:
        return math.ceil(rate * share)

    tiers = (Rates(part(r.input), part(r.output), part(r.cached), part(r.cache_write), r.above) for r in price.tiers)
    return Price(tuple(tiers), part(price.request))


def worst(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that one request may cost, of at most so many tokens: no cache hit, every token written to the cache, the dearest tier
    that so many input tokens can reach."""
    return price.request + max(
        input_tokens * max(rates.input, rates.cache_write, rates.cached) + output_tokens * rates.output
        for rates in price.tiers
        if rates.above == 0 or input_tokens > rates.above
    )


def actual(price: Price, usage: Usage) -> int:
    """What one request cost that used so much."""
    rates = next(rates for rates in reversed(price.tiers) if rates.above == 0 or usage.input_tokens > rates.above)
    cached = min(usage.cached_tokens, usage.input_tokens)
    return price.request + (usage.input_tokens - cached) * rates.input + cached * rates.cached + usage.output_tokens * rates.output


@lru_cache(maxsize=64)
def _looked_up(model: str, base_url: str | None) -> Price | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for url in dict.fromkeys((base_url, None)):  # a gateway resells by the model's own name
        try:
            _, found = snapshot.find_provider_model(model, None, None, url)
            return _price(found.get_prices(datetime.now(UTC)))
        except LookupError:
            continue
    return None


def _price(prices: Any) -> Price | None:
    """From a ModelPrice of genai-prices; its figures are Decimal dollars per million tokens, or tiers of these."""
    if prices.input_mtok is None or prices.output_mtok is None:
        return None
    fields = {name: getattr(prices, f"{name}_mtok") for name in ("input", "output", "cache_read", "cache_write")}
    starts = {0} | {tier.start for value in fields.values() for tier in getattr(value, "tiers", ())}
    tiers = []
    for start in sorted(starts):
        rate = {name: _rate(value, start) for name, value in fields.items()}
        usual = rate["input"] or 0
        cached, cache_write = (usual if x is None else x for x in (rate["cache_read"], rate["cache_write"]))
        tiers.append(Rates(usual, rate["output"] or 0, cached=cached, cache_write=cache_write, above=start))
    per_request = prices.requests_kcount
    return Price(tuple(tiers), request=0 if per_request is None else math.ceil(per_request * 1_000_000))


def _rate(value: Any, start: int) -> int | None:
    """Nano-dollars per token above `start` input tokens."""
    if value is None:
        return None
    reached = [tier.price for tier in getattr(value, "tiers", ()) if 0 < start >= tier.start]
    dollars: Decimal = reached[-1] if reached else getattr(value, "base", value)
    return math.ceil(dollars * 1000)
