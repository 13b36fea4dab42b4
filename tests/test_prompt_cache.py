"""Providers' prompt caches: what is the same for many calls is sent first and byte for byte alike, and what they held costs less."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from batch_server import batches
from commandline import Shell, rlm
from loopback import Server, loopback, ok

import rlmlang
from rlmlang import Settings

__all__ = ["rlm"]

USAGE = {"prompt_tokens": 40, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 30}}
PRICES = "[models.m]\ninput_price = 1.0\noutput_price = 2.0\ncached_price = 0.1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")


def sent(source: str, server: Server, **inputs: Any) -> list[str]:
    """The requests as a provider's cache sees them: what is not message is told apart, then all messages."""
    rlmlang.run(source, Settings(model="m", base_url=server.url, memo="off", concurrency=1), **inputs)
    return [json.dumps([{k: v for k, v in body.items() if k != "messages"}, body["messages"]]) for body in server.requests]


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        ('call "Is it about money? Think of prices, budgets and debts." on d', "yes"),
        ('call "Is it about money? Think of prices, budgets and debts." on d -> bool', '{"value": "yes"}'),
        ('call "Is it about money? Think of prices, budgets and debts." on guide, d -> "a" | "b"', '{"value": "a"}'),
        ('call "Is it about money? Think of prices, budgets and debts." on {guide, d} with {system: "You are terse."}', "yes"),
        (
            'call "Is it about money? Think of prices, budgets and debts." on guide, d -> bool with {batch: 2}',
            '{"value": ["yes", "yes"]}',
        ),
    ],
)
def test_all_that_is_alike_comes_first(call: str, reply: str) -> None:
    source = f'input docs: [text]\nguide = "The guide."\nanswer [{call} for d in docs]\n'
    docs = [f"DOC{i} begins otherwise" for i in range(4)]
    with loopback(reply) as server:
        bodies = sent(source, server, docs=docs)
    common = os.path.commonprefix(bodies)  # noqa: RUF071 - character by character is what is asked
    assert len(bodies) >= 2 and common.endswith("DOC"), "alike to the very first byte in which the items differ"
    assert "prices, budgets and debts" in common and ("guide" not in call or "The guide." in common)


def test_what_the_cache_held_is_counted_and_costs_less(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    rlm.write("rlm.toml", PRICES)
    rlm.write("p.rlm", 'answer [call f"Number {i}?" for i in range(3)]\n')
    with loopback(lambda _: ok("yes", usage=USAGE)) as server:
        words = ("run", "p.rlm", "--model", "m", "--base-url", server.url, "--memo", "memo.sqlite")
        used = rlm(*words, "--json").json["used"]
        assert (used["input_tokens"], used["cached_tokens"], used["output_tokens"]) == (120, 90, 30)
        assert used["dollars"] == pytest.approx(3 * (10 * 1.0 + 30 * 0.1 + 10 * 2.0) / 1e6)
        again = rlm(*words, "--json").json["used"]
        assert "cached_tokens" not in again and again["input_tokens"] == 0 and again["from_memo"] == 3
        assert "(90 from the provider's cache)" in rlm(*words[:-1], "off").err


def test_what_the_cache_held_costs_half_of_that_in_a_job() -> None:
    Path("rlm.toml").write_text(PRICES)
    with batches(lambda _: ok("yes", usage=USAGE)) as server:
        chosen = Settings(model="m", base_url=server.url, memo="memo.sqlite", batch=True)
        used = rlmlang.run('answer [call f"Number {i}?" for i in range(3)]', chosen).used
    assert used.cached_tokens == 90 and used.dollars == pytest.approx(3 * (10 * 0.5 + 30 * 0.05 + 10 * 1.0) / 1e6)


def test_the_bound_counts_on_no_cache() -> None:
    Path("rlm.toml").write_text(PRICES)
    dear, cheap = (_most(PRICES), _most(PRICES.replace("cached_price = 0.1\n", "")))
    assert dear == cheap


def _most(toml: str) -> Any:
    Path("rlm.toml").write_text(toml)
    return rlmlang.bound('answer call "Hello."', Settings(model="m", base_url="http://localhost:1/v1")).figures["dollars"].most
