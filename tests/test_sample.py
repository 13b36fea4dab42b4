"""What runs have seen decides what is expected; `rlm cost --sample` sees it before the run, and the run pays nothing twice."""

from __future__ import annotations

import json
import math
import re
import signal
import sqlite3
import statistics
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm
from hypothesis import given
from hypothesis import strategies as st
from test_cli_stop import WAIT, stored, until

import rlmlang
from rlmlang.cost.sampled import Range, student, t_quantile, wilson
from rlmlang.limits import SEEN_COUNT
from rlmlang.lm.request import Model
from rlmlang.run.memo import Memo
from rlmlang.run.memo_seen import looking
from rlmlang.run.samples import drawn
from rlmlang.run.seen import CHOSEN, INPUT_TOKENS, OUTPUT_TOKENS, REPLY_BYTES, SECONDS, Keys, Moments
from rlmlang.syntax import nodes as n
from rlmlang.syntax.walk import walk

__all__ = ["rlm"]

NOTES = """input docs: [text]
hits = [d for d in docs if call "Is it about money?" on d -> bool]
notes = map d in hits {
  note = call "Note." on d with {max_tokens: 100}
  {note, doubt: call "Doubt?" on note with {max_tokens: 100}}
}
answer call "Report." on notes with {max_tokens: 300}
"""
RULES = (
    {"match": "(?s)Is it about money.*coin", "reply": True},
    {"match": "Is it about money", "reply": False},
    {"match": "Note", "reply": "a short note of some words"},
    {"match": "Doubt", "reply": "none at all"},
    {"reply": "report"},
)
DOCS = [f"Document {i} {'coin ' * (i % 4 == 0)}{'x' * (10 * i)}" for i in range(60)]  # a quarter of them is about money


@pytest.fixture
def notes(rlm: Shell) -> Callable[..., Any]:
    """`rlm cost|run notes.rlm` with a scripted model; the report as JSON."""
    rlm.write("notes.rlm", NOTES)
    rlm.write("docs.json", json.dumps(DOCS))
    model = rlm.rules(*RULES)

    def run(command: str, *words: str) -> Any:
        done = rlm(command, "notes.rlm", "docs=@docs.json", "--model", model, "--memo", "memo.sqlite", "--json", *words)
        assert done.code == 0, done.err
        return done.json

    return run


def expected(report: Any, figure: str = "calls") -> float:
    return float(report["bound"][figure]["expected"])


# ---- what runs have seen ----


def test_a_run_teaches_the_next_bound(notes: Callable[..., Any], rlm: Shell) -> None:
    before = notes("cost")
    assert expected(before) == 60 + 30 + 30 + 1  # half of them, for want of anything better
    used = notes("run", "--quiet")["used"]
    after = notes("cost")
    assert expected(after) == used["calls"] == 60 + 15 + 15 + 1
    assert expected(after, "output_tokens") == pytest.approx(used["output_tokens"], rel=0.2)
    assert used["input_tokens"] < expected(after, "input_tokens") < 1.3 * used["input_tokens"], "equal calls are expected each"
    assert abs(expected(before, "input_tokens") - used["input_tokens"]) > 2 * used["input_tokens"], "a guess before"
    for name in ("min", "max"):
        assert {k: f[name] for k, f in before["bound"].items()} == {k: f[name] for k, f in after["bound"].items()}
    assert rlm("memo", "clear", "--memo", "memo.sqlite", "--yes").code == 0
    assert notes("cost") == before, "a cleared store has forgotten"


def test_it_is_the_place_that_is_remembered(notes: Callable[..., Any], rlm: Shell) -> None:
    notes("run", "--quiet")
    rlm.write("docs.json", json.dumps(DOCS * 2))
    assert expected(notes("cost")) == 2 * (60 + 15 + 15) + 1, "other data, same place"
    rlm.write("notes.rlm", "# moved\n\n" + NOTES.replace("[d for d in docs if", "[d  for d in docs\n  if"))
    assert expected(notes("cost")) == 2 * (60 + 15 + 15) + 1, "another layout"
    rlm.write("notes.rlm", NOTES.replace("about money", "about love"))
    assert expected(notes("cost")) == 2 * (60 + 30 + 30) + 1, "another question"


def test_explain_shows_what_was_expected(notes: Callable[..., Any], rlm: Shell) -> None:
    notes("run", "--quiet")
    done = rlm("run", "notes.rlm", "docs=@docs.json", "--model", "script:rules.jsonl", "--memo", "memo.sqlite", "--explain")
    assert re.search(r"^ +15 +15 +60 .* 4 \|   note = call", done.err, re.M)


def test_nothing_is_learned_without_a_memo_or_a_request(notes: Callable[..., Any], rlm: Shell) -> None:
    before = notes("cost")
    rlm("run", "notes.rlm", "docs=@docs.json", "--model", "script:rules.jsonl", "--memo", "off")
    assert notes("cost") == before and not (rlm.folder / "memo.sqlite").exists(), "and a bound makes no store"
    notes("run")
    once = rows(rlm.folder / "memo.sqlite")
    notes("run")
    assert rows(rlm.folder / "memo.sqlite") == once, "all from the memo: nothing new"


def rows(path: Path) -> list[Any]:
    with sqlite3.connect(path) as db:
        return db.execute("SELECT * FROM seen ORDER BY key, figure").fetchall()


def test_lists_numbers_and_branches_are_learned(rlm: Shell) -> None:
    rlm.write(
        "p.rlm",
        'input xs: [text]\nn = call "How many?" -> int\na = [call f"Say {i}." for i in range(clamp(n, 0, 50))]\n'
        'b = [call f"About {t}?" for t in (call "Topics?" -> [text; 20])]\n'
        'c = [if call f"Hard {x}?" -> bool { call f"Think {x}." } else { "no" } for x in xs]\nanswer [a, b, c]\n',
    )
    model = rlm.rules(
        {"match": "How many", "reply": 7},
        {"match": "Topics", "reply": ["a", "b", "c"]},
        {"match": "Hard [0-3]\\?", "reply": True},
        {"match": "Hard", "reply": False},
        {"reply": "x"},
    )
    words = ("p.rlm", "xs=" + json.dumps([str(i) for i in range(16)]), "--model", model, "--memo", "memo.sqlite", "--json")
    used = rlm("run", *words, "--quiet").json["used"]["calls"]
    assert used == 1 + 7 + 1 + 3 + 16 + 4 == expected(rlm("cost", *words).json)


def test_several_processes_add_up(rlm: Shell) -> None:
    path = rlm.folder / "memo.sqlite"
    key = b"k" * 16

    def add() -> None:
        with Memo.open(path) as memo:
            for _ in range(20):
                memo.learn({key: {OUTPUT_TOKENS: Moments(1, 10, 100)}})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with looking(path) as learned:
        assert learned(key) == {OUTPUT_TOKENS: Moments(80, 800, 8000)}
    assert learned(b"other") == {}


def test_what_is_old_fades_and_what_is_not_used_goes(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rlm.folder / "memo.sqlite"
    monkeypatch.setattr(sys.modules["rlmlang.run.memo_seen"], "SEEN_ROWS", 10)
    with Memo.open(path) as memo:
        memo.learn({b"a": {SECONDS: Moments(1e6, 1e6, 1e6)}})
        for _ in range(4):
            memo.learn({b"a": {SECONDS: Moments(SEEN_COUNT, 3 * SEEN_COUNT, 9 * SEEN_COUNT)}})
        memo.learn({bytes([i]): {SECONDS: Moments(1, 1, 1)} for i in range(30)})
    found = rows(path)
    assert len(found) == 10
    with Memo.open(path) as memo:
        memo.learn({b"a": {SECONDS: Moments(1e6, 1e6, 1e6)}})
        memo.learn({b"a": {SECONDS: Moments(3 * SEEN_COUNT, 9 * SEEN_COUNT, 27 * SEEN_COUNT)}})
    with looking(path) as learned:
        a = learned(b"a")[SECONDS]
        assert a.count == SEEN_COUNT and 2.4 < a.mean < 3


@pytest.mark.parametrize("figures", [(0, 1, 1), (-1, 1, 1), (1, "x", 1), (1, 9e999, 1), (1, 1, -1)])
def test_rows_that_cannot_be_true_are_not_believed(notes: Callable[..., Any], rlm: Shell, figures: tuple[Any, ...]) -> None:
    before = notes("cost")
    notes("run")
    with sqlite3.connect(rlm.folder / "memo.sqlite") as db:
        db.execute("UPDATE seen SET count = ?, total = ?, squares = ?", figures)
    assert notes("cost")["bound"]["calls"] == before["bound"]["calls"]


@pytest.mark.parametrize("total", [-1e15, 1e300, 1e-300])
def test_no_row_leads_out_of_the_bound(notes: Callable[..., Any], rlm: Shell, total: float) -> None:
    notes("run")
    with sqlite3.connect(rlm.folder / "memo.sqlite") as db:
        db.execute("UPDATE seen SET total = ?", (total,))
    for figure in notes("cost")["bound"].values():
        assert figure["min"] <= figure["expected"] <= figure["max"]
    assert notes("run")["used"]["calls"] == 91


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 200])
def test_a_bound_leaves_what_is_no_store_alone(notes: Callable[..., Any], rlm: Shell, content: bytes) -> None:
    path = rlm.write("memo.sqlite", content)
    assert expected(notes("cost")) == 121
    assert path.read_bytes() == content


def test_keys_know_text_type_and_model() -> None:
    def key(text: str, model: str = "a") -> bytes:
        checked = rlmlang.check(rlmlang.parse(text))
        keys = Keys(checked, lambda name: Model(name or model, "openai", name or model))
        return keys[next(node for node in walk(checked.program) if isinstance(node, n.Call))]

    same = key('answer call "x" -> int')
    assert same == key('# c\nanswer  call   "x"   ->   int')
    others = [key('answer call "y" -> int'), key('answer call "x" -> float'), key('answer call "x" -> int', "b")]
    assert len({same, *others}) == 4


# ---- intervals ----


def test_wilson_is_as_published() -> None:
    """R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3."""
    for held, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        found = wilson(held / count, count)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert wilson(0.3, 10, 1.0) == Range(0.3, 0.3), "all were asked"
    assert wilson(0.3, 10, 0.5).high < wilson(0.3, 10).high


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (1e6, 1.960)])
def test_t_is_as_in_the_tables(freedom: float, t: float) -> None:
    assert t_quantile(freedom) == pytest.approx(t, rel=2e-3)


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=50))
def test_the_t_interval_is_that_of_the_numbers(values: list[int]) -> None:
    seen = Moments()
    for value in values:
        seen.add(value)
    half = t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    found = student(seen)
    assert found.low == pytest.approx(statistics.mean(values) - half, abs=1e-3)
    assert found.high == pytest.approx(statistics.mean(values) + half, abs=1e-3)
    assert student(seen, 1.0) == Range(seen.mean, seen.mean)


@given(st.integers(1, 10_000), st.integers(0, 100), st.integers(0, 100))
def test_a_sample_is_part_of_a_larger_one(count: int, one: int, more: int) -> None:
    small, large = drawn(count, min(count, one)), drawn(count, min(count, one + more))
    assert large[: len(small)] == small
    assert len(set(large)) == len(large) and all(0 <= at < count for at in large)


# ---- rlm cost --sample ----


def test_a_sample_is_not_paid_again(notes: Callable[..., Any]) -> None:
    sample = notes("cost", "--sample", "12")
    took = sample["sample"]["used"]
    kept = took["calls"] - 12  # two calls for each of those that were kept
    assert kept % 2 == 0 and took["from_memo"] == 0 and took["requests"] <= took["calls"]
    again = notes("cost", "--sample", "12")
    assert again["sample"]["used"]["from_memo"] >= took["requests"] - 1 and again["sample"]["used"]["requests"] == 0
    assert again["bound"]["calls"] == sample["bound"]["calls"], "what the memo answers counts as what a model does"
    run = notes("run", "--quiet")["used"]
    assert run["requests"] + took["requests"] == len({*DOCS}) + 15 + 1 + 1, "each different request once"
    whole = notes("cost", "--sample", "60")["sample"]
    assert whole["used"]["requests"] == 0


def test_a_sample_says_what_to_expect(notes: Callable[..., Any]) -> None:
    report = notes("cost", "--sample", "24")
    sample = report["sample"]
    (filtered,) = [p for p in sample["places"] if CHOSEN in p]
    share = filtered[CHOSEN]["mean"]
    assert filtered["line"] == 2 and filtered[CHOSEN]["seen"] == 24
    assert filtered[CHOSEN]["low"] < 0.25 < filtered[CHOSEN]["high"], "what is true lies within"
    assert expected(report) == pytest.approx(60 + 2 * 60 * share + 1, abs=1)
    calls = sample["ranges"]["calls"]
    assert 61 <= calls["low"] <= 91 <= calls["high"] <= 181 and calls["low"] < expected(report) < calls["high"]
    assert sample["confidence"] == 0.95 and sample["items"] == 24 and sample["error"] is None
    note = next(p for p in sample["places"] if p["text"].startswith('call "Note."'))
    assert note[REPLY_BYTES]["mean"] == 26 and note[REPLY_BYTES]["low"] == note[REPLY_BYTES]["high"] == 26
    for name, one in sample["ranges"].items():
        assert report["bound"][name]["min"] <= one["low"] <= one["high"] <= report["bound"][name]["max"]


def test_a_sample_of_all_is_the_run(notes: Callable[..., Any]) -> None:
    report = notes("cost", "--sample", "100")
    assert report["sample"]["used"]["calls"] == 91 == expected(report)
    assert report["sample"]["ranges"]["calls"] == {"low": 91, "high": 91}
    assert notes("run", "--quiet")["used"]["requests"] == 0


def test_what_needs_a_whole_list_is_left_out(notes: Callable[..., Any], rlm: Shell) -> None:
    notes("cost", "--sample", "12")
    values = [json.loads(line)["value"] for line in rlm("memo", "export", "--memo", "memo.sqlite").out.splitlines()]
    assert "report" not in values and "none at all" in values


SHAPES = {
    "positions": 'answer [call f"{x} at {i}" for i, x in enumerate(xs)]',
    "block position": 'answer map i, x in xs { call f"{x} at {i}" }',
    "nested": 'answer [call f"{x} {y}" for x in xs for y in range(3)]',
    "flattened": 'ys = [y for x in xs for y in (call f"{x} words" -> [text; 3])]\nanswer [call f"about {y}" for y in ys]',
    "keys": 'answer sorted(xs, key=x => call f"rank {x}" -> int)[0]',
    "reduce": 'answer reduce a, b in xs { call "merge" on a, b }',
    "fold": 'answer fold acc, x in xs from "" { call "fold" on acc, x }',
    "first": 'answer first 2 x in xs where call f"good {x}" -> bool',
    "take": 'answer take([x for x in xs if call f"good {x}" -> bool], 2)',
    "two": 'a = [call f"one {x}" for x in xs]\nb = [call f"two {y}" on len(a) for y in a]\nanswer [a, b]',
    "needed later": 'k = call "how many" -> int\nys = [x for x in xs if len(x) > k]\nanswer [call f"long {y}" for y in ys]',
    "one call": 'note = call "one" on xs[0]\nanswer [call f"{note} {x}" for x in xs]',
    "condition": 'ys = [call f"a {x}" for x in xs]\nanswer if len(ys) > 3 { call "many" on ys } else { call "few" on ys }',
    "guarded": 'ys = [call f"a {x}" for x in xs] otherwise []\nanswer [call f"b {y}" for y in ys]',
    "library": 'answer summarize("\\n".join(xs * 200))',
    "batch": 'answer [call "echo" on x -> bool with {batch: 4} for x in xs]',
    "batch behind": 'ys = [call f"one {x}" for x in xs]\nn = len(ys)\n'
    'answer [call "b" on y with {batch: 3} for y in ys if call f"good {y} {n}" -> bool]',
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_requests_are_those_of_the_run(rlm: Shell, shape: str) -> None:
    """Whatever a sample pays, the whole run asks for as well: it finds every row."""
    rlm.write("p.rlm", "input xs: [text]\n" + SHAPES[shape])
    model = rlm.rules(
        {"match": "words", "reply": ["one", "two", "three"]},
        {"match": "rank|how many", "reply": 3},
        {"match": "good (item 1[0-9]|item 7)", "reply": True},
        {"match": "good|echo", "reply": False},
        {"reply": "said"},
    )
    words = ("p.rlm", "xs=" + json.dumps([f"item {i}" for i in range(20)]), "--model", model, "--memo", "memo.sqlite", "--json", "--quiet")
    done = rlm("cost", *words, "--sample", "4")
    assert done.code in (0, 1), done.err
    took = done.json["sample"]["used"]
    assert 0 < took["requests"] <= 4 * 8
    rows = stored(rlm)
    used = rlm("run", *words).json["used"]
    paid = used["calls"] - used["from_memo"] - used["shared"]
    assert paid == stored(rlm) - rows, "no row of the sample was paid again"
    assert used["from_memo"] >= rows > 0 and used["calls"] >= took["calls"]


def test_a_sample_keeps_to_its_budget(notes: Callable[..., Any], rlm: Shell) -> None:
    words = ("cost", "notes.rlm", "docs=@docs.json", "--model", "script:rules.jsonl", "--memo", "memo.sqlite", "--sample", "30")
    done = rlm(*words, "--budget", "7 calls", "--json")
    assert done.code == 3 and "the budget of 7 calls is used up" in done.err
    assert done.json["sample"]["used"]["requests"] == 7 == stored(rlm) and "budget" in done.json["sample"]["error"]
    assert "within" not in rlm(*words, "--budget", "1 tokens").out and stored(rlm) == 7
    assert rlm(*words, "--budget", "500 calls").code == 0


def test_failures_of_a_sample_are_said(rlm: Shell) -> None:
    rlm.write("p.rlm", 'input xs: [text]\nanswer [call f"Say {x}." for x in xs]')
    model = rlm.rules({"match": "Say [0-9]*[02468]\\.", "fault": "refuse"}, {"reply": "yes"})
    words = ("p.rlm", "xs=" + json.dumps([str(i) for i in range(40)]), "--model", model, "--memo", "memo.sqlite")
    done = rlm("cost", *words, "--sample", "10")
    assert done.code == 0, done.err
    said = re.search(r"10 calls \(0 from memo\), (\d) failed", done.out)
    assert said and 2 <= int(said[1]) <= 8 and "failed in line 2: " in done.out
    assert stored(rlm) == 10 - int(said[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sample", "5", "--memo", "off"), "without a memo"),
        (("--sample", "0"), "at least one"),
        (("--sample", "x"), "whole number"),
        (("--budget", "$2"), "goes with --sample"),
    ],
)
def test_what_cannot_be_sampled(notes: Callable[..., Any], rlm: Shell, words: tuple[str, ...], said: str) -> None:
    done = rlm("cost", "notes.rlm", "docs=@docs.json", "--model", "script:rules.jsonl", *words)
    assert done.code == 2 and said in done.err and done.out == ""


def test_a_sample_needs_its_inputs(notes: Callable[..., Any], rlm: Shell) -> None:
    done = rlm("cost", "notes.rlm", "--model", "script:rules.jsonl", "--memo", "memo.sqlite", "--sample", "5")
    assert done.code == 2 and "docs" in done.err


def test_an_interrupted_sample_keeps_what_it_paid(rlm: Shell) -> None:
    rlm.write("p.rlm", 'input n: int\nanswer [call f"Number {i}?" for i in range(n)]\n')
    model = rlm.rules({"match": "Number [0-9]*[02468]\\?", "reply": "quick"}, {"reply": "slow", "delay": 600})
    with rlm.start("cost", "p.rlm", "n=200", "--model", model, "--memo", "memo.sqlite", "--sample", "20") as process:
        quick = sum(at % 2 == 0 for at in drawn(200, 20))
        until(lambda: (rlm.folder / "memo.sqlite").exists() and stored(rlm) == quick)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130 and out == b""
    assert err.decode().endswith(f"interrupted; {quick} finished calls are kept\n")
    assert stored(rlm) == quick


def test_a_deadline_ends_a_sample(rlm: Shell) -> None:
    rlm.write("p.rlm", 'answer [call f"Number {i}?" for i in range(9)]\n')
    model = rlm.rules({"reply": "slow", "delay": 600})
    done = rlm("cost", "p.rlm", "--model", model, "--memo", "memo.sqlite", "--sample", "3", "--budget", "0.3 s")
    assert done.code == 3 and "budget of 0.3 s" in done.err


def test_latency_is_remembered(rlm: Shell) -> None:
    rlm.write("p.rlm", 'answer [call f"Number {i}?" for i in range(9)]\n')
    words = ("p.rlm", "--model", rlm.rules({"reply": "x", "delay": 0.05}), "--memo", "memo.sqlite", "--json")
    assert "seconds" not in rlm("cost", *words).json
    rlm("run", *words, "--quiet")
    with sqlite3.connect(rlm.folder / "memo.sqlite") as db:
        db.execute(f"UPDATE seen SET total = 2 * count WHERE figure = '{SECONDS}'")
    assert rlm("cost", *words, "--concurrency", "4").json["seconds"] == {"min": 6, "expected": 6, "max": 6}
    assert rlm("cost", *words, "--concurrency", "4", "--latency", "1").json["seconds"]["max"] == 3
    assert INPUT_TOKENS in {figure for _, figure, *_ in rows(rlm.folder / "memo.sqlite")}
