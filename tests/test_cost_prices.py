"""Dollars of the bound against the traps of real price tables: named models of genai-prices, whose figures stand here as they are there.

Prices change; where one has, the test says which, and the figures at its head are to be put right.
"""

from __future__ import annotations

import re

import pytest
from commandline import Shell, rlm

import rlmlang
from rlmlang import limits
from rlmlang.lm.prices import Price, actual, price_of, worst
from rlmlang.lm.request import Model, Usage
from rlmlang.lm.schema import schema_json

__all__ = ["rlm"]

TIERED = [("claude-sonnet-4-5", 200_000), ("gemini-2.5-pro", 200_000), ("gpt-5.5", 272_000)]  # the whole request is dearer above
WRITES = ["claude-opus-4-8", "gpt-5.6-sol"]  # a token written to the cache costs 1.25 times one that is not
DATED = ("gpt-5.6-luna", 1_000)  # nano-dollars a token before a price cut


def price(name: str) -> Price:
    found = price_of(Model(name, "openai", name))
    assert found is not None, f"genai-prices knows no {name} any more"
    return found


def bound(rlm: Shell, program: str, model: str, *, more: str = "", **inputs: object) -> dict[str, dict[str, float]]:
    rlm.write("rlm.toml", f'model = "m"\nmemo = "off"\n[models.m]\nmodel = "{model}"\n{more}\n')
    rlm.write("p.rlm", program)
    given = rlmlang.bound(rlm.folder / "p.rlm", rlmlang.Settings(config=rlm.folder / "rlm.toml"), **inputs)
    return given.to_json()["bound"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("model", "above"), TIERED)
def test_a_tier_is_reached_by_one_request_and_never_by_the_total(rlm: Shell, model: str, above: int) -> None:
    rates = price(model).tiers
    assert [r.above for r in rates] == [0, above] and rates[1].input > rates[0].input and rates[1].output > rates[0].output
    program = 'input docs: [text]\nanswer [call "Note." on d with {max_tokens: 100} for d in docs]'
    small = bound(rlm, program, model, docs=["x" * 20_000 + str(i) for i in range(40)])  # 800,000 bytes in 40 requests
    dearest = max(rates[0].input, rates[0].cache_write)
    longer = limits.REPLY_BYTES_PER_TOKEN * 100 + limits.CORRECTION_BYTES + 2 * limits.MESSAGE_TOKENS
    assert 40 * longer * dearest / 1e9 < small["dollars"]["max"], "some is paid for what is asked again"
    assert small["dollars"]["max"] * 1e9 == pytest.approx(small["input_tokens"]["max"] * dearest + 40 * 300 * rates[0].output)
    large = bound(rlm, program, model, docs=["x" * (above + 1)])
    assert large["dollars"]["max"] * 1e9 == pytest.approx(
        large["input_tokens"]["max"] * max(rates[1].input, rates[1].cache_write) + 300 * rates[1].output
    )


@pytest.mark.parametrize(("model", "above"), TIERED)
def test_the_first_token_above_reprices_the_whole_request(model: str, above: int) -> None:
    low, high = price(model).tiers
    assert actual(price(model), Usage(above, 10)) == above * low.input + 10 * low.output
    assert actual(price(model), Usage(above + 1, 10)) == (above + 1) * high.input + 10 * high.output
    assert worst(price(model), above + 1, 10) >= actual(price(model), Usage(above + 1, 10))


@pytest.mark.parametrize("model", WRITES)
def test_what_is_written_to_the_cache_unasked_is_within_the_bound(rlm: Shell, model: str) -> None:
    rates = price(model).tiers[0]
    assert rates.cache_write * 4 == rates.input * 5 and rates.cached < rates.input
    found = bound(rlm, 'answer call "Hello." with {max_tokens: 10}', model)
    assert found["dollars"]["max"] * 1e9 == pytest.approx(found["input_tokens"]["max"] * rates.cache_write + 30 * rates.output)
    likely = found["input_tokens"]["expected"] * rates.input + found["output_tokens"]["expected"] * rates.output
    assert found["dollars"]["expected"] * 1e9 == pytest.approx(likely), "expected at the usual rate"


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-4-8"])
def test_the_schema_is_paid(rlm: Shell, model: str) -> None:
    rates = price(model).tiers[0]
    type_ = '{name: text, reason: text, kind: "first" | "second" | "third"}'
    one = bound(rlm, f'answer call "Who?" -> {type_} with {{max_tokens: 50}}', model)
    checked = rlmlang.check(f'answer call "Who?" -> {type_}')
    schema = schema_json(next(iter(checked.reply_types.values())))
    assert len(schema) > 200
    assert one["input_tokens"]["max"] >= 3 * (len(schema) + len("Who?")), "with each attempt"
    assert one["dollars"]["max"] * 1e9 >= 3 * len(schema) * rates.input


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6-sol"])
def test_hidden_reasoning_is_paid(rlm: Shell, model: str) -> None:
    program = 'answer call "Is it?" -> bool'
    plain = bound(rlm, program, model)
    thinking = bound(rlm, program, model, more="reasoning_tokens = 5000")
    rates = price(model).tiers[0]
    more = thinking["output_tokens"]["max"] - plain["output_tokens"]["max"]
    assert more == 3 * 5_000
    assert (thinking["dollars"]["max"] - plain["dollars"]["max"]) * 1e9 >= more * rates.output


def test_prices_are_those_of_today(rlm: Shell) -> None:
    """Of a model whose price was cut, today's price counts."""
    model, before = DATED
    assert price(model).input < before
    rlm.write("p.rlm", 'answer call "Hello."')
    done = rlm("cost", "p.rlm", "--model", model)
    assert re.search(
        rf"^{re.escape(model)}: \$\S+ in, \$\S+ out a million tokens, by genai-prices [0-9.]+ for 20\d\d-\d\d-\d\d$", done.out, re.M
    )


def test_an_unknown_price_is_no_price(rlm: Shell) -> None:
    found = bound(rlm, 'answer call "Hello."', "no-such-model-anywhere")
    assert found["dollars"]["max"] is None and found["input_tokens"]["max"] > 0
