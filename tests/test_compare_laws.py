"""Whatever a model replies, each strategy ends in a row, within its budget, and the same again from the memo."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlmlang import Settings, run
from rlmlang.compare.compare import compare
from rlmlang.compare.strategy import Outcome, Row, Step
from rlmlang.compare.task import Task
from rlmlang.lm import client
from rlmlang.lm.request import Completion, ProviderError, Request, ToolCall, Usage
from rlmlang.syntax import format_program, parse

TEXT = "one\ntwo\n\nthree\n"
NAMES = ["direct", "chunks", "toolcalls", "folding", "rlm"]
TEXTS = (
    "3",
    '{"value": 3}',
    "yes",
    "",
    "\x00\ud800",
    "x" * 20_000,
    "<tool_call>{",
    '<tool_call>{"name": "task", "arguments": {"description": "a", "prompt": "Is it? @inbox.txt"}}</tool_call>',
    "```rlm\nanswer 3\n```",
    '```rlm\nanswer len([l for l in lines(inbox) if call "Is it?" on l -> bool])\n```',
    "```rlm\nlines(inbox)[:2]\n```",
    "[" * 500,
)
PROMPTS = (
    "Say \"{x}\", \\n or \u202e\x00\ud83d\ude00 # \n\t @inbox.txt#L2-3 '''",
    "Half \ud800 @inbox.txt",
    "Is it? @inbox.txt#L1",
    "Is it? @inbox.txt",
    "Look around.",
    "@inbox.txt#L2-99999999 @nothing",
    "",
)
ARGUMENTS: tuple[tuple[str, Any], ...] = (
    *(("task", {"description": "a\nb", "prompt": prompt}) for prompt in PROMPTS),
    *(("branch", {"description": "a\nb", "prompt": prompt}) for prompt in PROMPTS),
    ("return", {"message": "so\x1b[31m"}),
    ("return", {}),
    ("read", {"path": "inbox.txt", "offset": 2}),
    ("read", {"path": "../../etc/passwd"}),
    ("read", {"path": "inbox.txt", "offset": 10**400}),
    ("read", {"path": "inbox.txt", "limit": 10**9}),
    ("grep", {"pattern": "t+h*"}),
    ("grep", {"pattern": "(", "path": "**/" * 300}),
    ("glob", {"pattern": "**/*"}),
    ("glob", {"pattern": "{a,b}" * 20}),
)
TOOLS = ("task", "branch", "return", "read", "grep", "glob", "nothing", "", "\ud800")


class Erratic:
    """A model that replies anything, by its seed and the request."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        random = Random(request.key + self.seed.to_bytes(8))
        kind = random.random()
        if kind < 0.01:
            raise ProviderError("no", retryable=False, status=400, charged=random.random() < 0.5)
        if kind < 0.02:
            return Completion(None, refusal="no", usage=Usage(1, 1))
        usage = random.choice((None, Usage(5, 5), Usage(10**9, 10**9)))
        calls: tuple[ToolCall, ...] = ()
        if kind > 0.25 and request.tools:
            calls = tuple(self._call(random) for _ in range(random.choice((1, 1, 2, 3, 200))))
        finish = random.choice(("stop", *(("stop", None, "tool_calls") * 3 if calls else (None,) * 3), "length"))
        return Completion(random.choice(TEXTS), finish, usage=usage, tool_calls=calls)

    def _call(self, random: Random) -> ToolCall:
        if random.random() < 0.8:
            name, arguments = random.choice(ARGUMENTS)
            return ToolCall("", name, json.dumps(arguments))
        return ToolCall(random.choice(TEXTS), random.choice(TOOLS), random.choice(TEXTS))

    async def close(self) -> None: ...


def rows(seed: int, folder: str, *, type: str | None, budget: str, turns: int, calls: int) -> list[Row]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "open_provider", lambda model: Erratic(seed))
        task = Task("Is it, {or} not?\n# no", {"inbox": TEXT}, type, gold=3)
        return compare(task, NAMES, _settings(folder, budget), turns=turns, calls=calls)


def _settings(folder: str, budget: str) -> Settings:
    """Of a model that `client.open_provider` opens."""
    text = "[models.m]\nmodel = 'm'\nbase_url = 'http://127.0.0.1:9'\ninput_price = 1\noutput_price = 2\n"
    (Path(folder) / "rlm.toml").write_text(text)
    return Settings(model="m", config=Path(folder) / "rlm.toml", memo=Path(folder) / "memo.sqlite", budget=budget)


def steps(of: Any) -> list[Step]:
    return [step for outer in of for step in (outer, *steps(outer.steps))]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**60),
    st.sampled_from([None, "int"]),
    st.sampled_from(["30 calls", "2 calls", "200000 tokens", "9000 tokens", "$0.5", "1000 calls"]),
    st.integers(1, 6),
    st.integers(1, 40),
)
def test_every_strategy_ends_in_a_row(seed: int, type: str | None, budget: str, turns: int, calls: int) -> None:
    with TemporaryDirectory() as folder:
        found = rows(seed, folder, type=type, budget=budget, turns=turns, calls=calls)
        assert [row.strategy for row in found] == NAMES
        for row in found:
            assert row.outcome in get_args(Outcome) and row.outcome != "interrupted"
            assert (row.error is None) is (row.outcome == "answered") and "internal error" not in (row.error or "")
            assert row.strategy in ("direct", "chunks") or row.calls <= calls
            assert row.bound is None or row.calls <= row.bound
            assert row.root_calls <= row.calls and row.root_tokens <= row.tokens and row.rounds <= row.calls
            for share in (row.coverage, row.seen, row.score):
                assert share is None or 0 <= share <= 1
            json.dumps(row.to_json())
            _within(row, budget)
            if row.program is not None and row.strategy in ("toolcalls", "folding"):
                assert format_program(parse(row.program)) == row.program
            assert all(step.by in ("root", "agent", "branch", "tool", "note") for step in steps(row.transcript))


def _within(row: Row, budget: str) -> None:
    if not row.paid:
        return
    tokens = row.paid["input_tokens"] + row.paid["output_tokens"]
    spent = {"calls": row.paid["requests"], "tokens": tokens}
    if budget.startswith("$"):
        assert row.paid["dollars"] <= float(budget[1:])
    else:
        amount, unit = budget.split()
        assert spent[unit] <= int(amount)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**60))
def test_what_was_answered_is_answered_again_for_nothing(seed: int) -> None:
    with TemporaryDirectory() as folder:
        first, again = (rows(seed, folder, type=None, budget="5000 calls", turns=5, calls=60) for _ in range(2))
        for row, same in zip(first, again, strict=True):
            if row.outcome == "answered" and not row.paid["failed"]:
                assert (same.answer, same.calls, same.tokens, same.root_tokens) == (row.answer, row.calls, row.tokens, row.root_tokens)
                assert (same.coverage, same.dollars, same.rounds, same.transcript) == (
                    row.coverage,
                    row.dollars,
                    row.rounds,
                    row.transcript,
                )
                assert same.paid["requests"] == 0
            if row.strategy == "toolcalls" and row.program is not None and "looked around" not in row.program:
                _straight(row, seed, folder)


def _straight(row: Row, seed: int, folder: str) -> None:
    """The program of the transcript gives what its sub-agents gave, for nothing."""
    assert row.program is not None
    with_it = {"inbox": TEXT} if "input inbox" in row.program else {}
    result = run(row.program, _settings(folder, "5000 calls"), **with_it)
    tasks = [step.result for step in row.transcript if step.name == "task" and not step.result.startswith("error: ")]
    assert result.answer["tasks"] == tasks
    assert result.answer.get("answer") == row.answer and result.used.requests == 0
