"""`rlm solve`: what goes to standard output, what to standard error, exit codes, the kept program, the report, an interruption."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm

from rlmlang.cache import cache_root
from rlmlang.errors import ProgramError
from rlmlang.syntax import parse

__all__ = ["rlm"]

WAIT = 60  # seconds at most for something that surely comes
BOOK = "one\ntwo\nthree\n"


@pytest.fixture(autouse=True)
def own_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memo of its own."""
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))


def program(text: str) -> str:
    return f"Here it is.\n\n```rlm\n{text}\n```\n"


def root(*turns: str, of: int = 8, calls: str = "yes") -> list[dict[str, Any]]:
    """The rules of a scripted root model, and of one answer to every call."""
    rules = [{"match": f"Turn {at} of {of}", "reply": program(text)} for at, text in enumerate(turns, 1)]
    return [*reversed(rules), {"reply": calls}]  # what was said in the turns before stands in the prompt, too


def test_the_answer_goes_to_standard_output(rlm: Shell) -> None:
    rlm.write("book.txt", BOOK)
    model = rlm.rules(*root("lines(book)[:1]", 'answer [l for l in lines(book) if call "Is it?" on l -> bool]'))
    done = rlm("solve", "Which?", "--context", "book.txt", "--model", model)
    assert (done.code, json.loads(done.out)) == (0, ["one", "two", "three"])
    assert "2 turns, 5 calls (5 requests)" in done.err
    quiet = rlm("solve", "Which?", "--context", "book.txt", "--model", model, "--quiet")
    assert (quiet.code, quiet.err) == (0, "") and quiet.out == done.out
    texts = rlm("solve", "Which?", "--context", "book.txt", "--model", rlm.rules(*root('answer "a\\nb"')))
    assert texts.out == "a\nb\n"


def test_the_report(rlm: Shell) -> None:
    rlm.write("book.txt", BOOK)
    model = rlm.rules(*root("x = 1\nx", "answer lenn(book)", "answer len(lines(book))"))
    report = rlm("solve", "How many?", "--context", "book.txt", "--model", model, "--json", "--type", "int").json
    assert (report["answer"], report["type"], report["outcome"], report["error"]) == (3, "int", "answered", None)
    assert [turn["outcome"] for turn in report["turns"]] == ["shown", "invalid", "answered"]
    first, second, third = report["turns"]
    assert (first["program"], first["shown"], first["used"]["calls"]) == ("x = 1\nx", "int\n  1", 1)
    assert second["diagnostics"][0]["code"] == "unknown-function" and second["bound"] is None
    assert third["bound"]["calls"] == {"min": 0, "expected": 0, "max": 0}
    assert report["names"] == {"book": "text", "x": "int"}
    assert report["question"] == "How many?"
    assert report["program"].endswith("answer len(lines(book))\n")
    assert report["used"]["calls"] == sum(turn["used"]["calls"] for turn in report["turns"]) == 3


def test_the_kept_program_gives_the_same_answer(rlm: Shell) -> None:
    rlm.write("book.txt", BOOK)
    turns = ("parts = lines(book)\nunused = 3\nparts[:1]", 'answer {n: len(parts), said: [call "Which?" on p for p in parts]}')
    model = rlm.rules(*root(*turns))
    first = rlm("solve", "Which?", "--context", "book.txt", "--model", model, "--save", "kept.rlm")
    assert "the program is kept in kept.rlm" in first.err
    kept = (rlm.folder / "kept.rlm").read_text()
    assert kept.startswith("# Which?\n\ninput book: text\n") and "unused" not in kept
    again = rlm("run", "kept.rlm", "book=@book.txt", "--model", model, "--json").json
    assert again["answer"] == json.loads(first.out)
    assert (again["used"]["requests"], again["used"]["from_memo"]) == (0, 3)
    assert rlm("fmt", "--check", "kept.rlm").code == 0


@pytest.mark.parametrize(
    ("program_text", "wanted"),
    [
        ("answer 3", "float"),
        ("answer len(book) / 2", "float"),
        ("answer len(book) / 7 if len(book) > 99 else 3", "float"),
        ("# how many\nanswer [1, 2]  # as they are", "[float]"),
        ("answer [1, 2.5, none]", "[float?]"),
        ("answer {b: 1, a: 2, c: 3}", "{a: int, b: float}"),
        ('answer {a: "x"}', "{a: text, b: int?}"),
        ("result = 1\nanswer [{a: [{b: i, c: i}], d: 1} for i in range(3)]", "[{a: [{b: float}]}]"),
        ("answer get([{a: 1, b: 2}], 5)", "{a: float}?"),
        ("answer get([{a: 1, b: 2}], 0)", "{a: float}?"),
        ("answer [get([{a: 1, b: 2}], i) for i in range(2)]", "[{a: float}?]"),
        ("xs = [{n: 1} if i > 0 else {} for i in range(2)]\nanswer xs", "[{n: float?}]"),
        ('answer "yes"', '"yes" | "no"'),
        ('answer call "Is it?" on book -> "yes" | "no"', '"yes" | "no" | "maybe"'),
        ("answer none", "float?"),
        ("answer {a: 1, b: none}", "{a: int, b: float?}"),
        ('answer {"answer": 3}', "{answer: float}"),
    ],
)
def test_the_kept_program_gives_the_answer_in_the_type_asked_for(rlm: Shell, program_text: str, wanted: str) -> None:
    rlm.write("book.txt", BOOK)
    model = rlm.rules(*root(program_text))
    first = rlm("solve", "Which?", "--context", "book.txt", "--model", model, "--type", wanted, "--save", "kept.rlm")
    assert first.code == 0, first.err
    kept = (rlm.folder / "kept.rlm").read_text()
    given = ["book=@book.txt"] if "input book" in kept else []
    assert rlm("run", "kept.rlm", *given, "--model", model).out == first.out, kept
    assert rlm("fmt", "--check", "kept.rlm").code == 0


def test_several_contexts(rlm: Shell) -> None:
    rlm.write("book.txt", BOOK)
    rlm.write("rows.csv", "name,age\nana,3\nbo,5\n")
    (rlm.folder / "src").mkdir()
    rlm.write("src/a.py", "import os\n")
    model = rlm.rules(*root('answer [len(lines(text)), sum([r.age for r in rows]), [f.path for f in src.files("**/*")]]'))
    done = rlm("solve", "Q?", "--context", "text=book.txt", "--context", "rows.csv", "--context", "src", "--model", model)
    assert json.loads(done.out) == [3, 8, ["a.py"]]


def test_standard_input(rlm: Shell) -> None:
    model = rlm.rules(*root("answer len(data)"))
    done = rlm.process("solve", "Q?", "--context", "-", "--model", model, "--memo", "off", data=b"abc")
    assert (done.code, done.out) == (0, "3\n")
    asked = rlm.process("solve", "-", "--model", rlm.rules({"match": "How so\\?", "reply": "answer 1"}), "--memo", "off", data=b"How so?")
    assert (asked.code, asked.out) == (0, "1\n")


def test_no_answer(rlm: Shell) -> None:
    model = rlm.rules({"reply": program("half = 21\nhalf * 2")})
    done = rlm("solve", "Q?", "--model", model, "--save", "kept.rlm", "--out", "answer.json")
    assert (done.code, done.out) == (1, "")
    assert "error: no answer: the root model wrote the same 3 times in a row\n  = hint: allow more with --turns" in done.err
    assert "bound at the end: half: int" in done.err and "42" in done.err
    assert not (rlm.folder / "kept.rlm").exists() and not (rlm.folder / "answer.json").exists()
    report = rlm("solve", "Q?", "--model", model, "--json")
    assert report.code == 1
    assert (report.json["answer"], report.json["outcome"], report.json["program"]) == (None, "no answer", None)


def test_a_spent_budget(rlm: Shell) -> None:
    model = rlm.rules(*root("1", "2", "answer 3"))
    done = rlm("solve", "Q?", "--model", model, "--budget", "2 calls", "--json")
    assert done.code == 3
    assert (done.json["outcome"], done.json["used"]["requests"]) == ("budget", 2)
    assert "the same command goes on from there" in done.err
    again = rlm("solve", "Q?", "--model", model, "--budget", "2 calls")
    assert (again.code, again.out) == (0, "3\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Q?", "--context", "missing.txt"], "missing.txt"),
        (["Q?", "--type", "nonsense"], "the type nonsense: "),
        (["Q?", "--type", "dir"], "the type dir: a model cannot reply with dir"),
        (["Q?", "--turns", "0"], "turns is a whole number from 1 up to 100"),
        (["Q?", "--turns", "x"], "expected a whole number"),
        (["  "], "there is no question"),
        (["Q?", "--save", "no/such/folder/kept.rlm"], "cannot write"),
        (["Q?", "--budget", "nothing"], "is no budget"),
        (["-", "--context", "-"], "standard input can be read once"),
        (["Q?", "--root", "script:missing.jsonl"], "missing.jsonl"),
    ],
)
def test_wrong_usage(rlm: Shell, words: list[str], message: str) -> None:
    model = rlm.rules({"reply": "answer 1"})
    done = rlm("solve", *words, "--model", model)
    assert done.code == 2 and message in done.err and done.out == "" and "<solve>" not in done.err


def test_a_root_model_of_its_own(rlm: Shell) -> None:
    writes = rlm.rules({"reply": program('answer call "Hm?"')}, name="root.jsonl")
    answers = rlm.rules({"match": "^Hm", "reply": "yes"}, name="rules.jsonl")
    done = rlm("solve", "Q?", "--model", answers, "--root", writes)
    assert (done.code, done.out) == (0, "yes\n")
    rlm.write("rlm.toml", f'model = "{answers}"\n[models.root]\nmodel = "{writes}"\n')
    assert rlm("solve", "Q?", "--memo", "off").out == "yes\n"
    rlm.write("p.rlm", 'answer solve "Q?"\n')
    assert rlm("run", "p.rlm").out == "yes\n"


def test_the_cost_of_a_solve(rlm: Shell) -> None:
    rlm.write("p.rlm", 'input n: int\nanswer [solve "Q?" on i with {calls: 5, depth: 2} for i in range(n)]\n')
    report = rlm("cost", "p.rlm", "n=3", "--json").json
    assert report["bound"]["calls"] == {"min": 3, "expected": 15, "max": 15}
    assert report["bound"]["depth"]["max"] == 3 and report["bound"]["rounds"]["max"] == 5
    assert report["sites"][0]["text"].startswith('solve "Q?"')
    assert rlm("cost", "p.rlm", "--json").json["formula"]["calls"] == "5·n"
    model = rlm.rules({"reply": "answer 1"})
    plan = rlm("run", "p.rlm", "n=3", "--plan", "--json", "--model", model).json
    assert plan["sites"][0]["to_pay"]["max"] == 15 and not plan["done"]
    assert rlm("run", "p.rlm", "n=3", "--model", model).code == 0
    plan = rlm("run", "p.rlm", "n=3", "--plan", "--json", "--model", model).json
    assert plan["done"] and plan["sites"][0]["from_memo"] == 3


def test_interrupted(rlm: Shell) -> None:
    model = rlm.rules(
        {"match": "Slow\\?", "reply": "slow", "delay": 600},
        {"match": "Turn 2 of 8", "reply": program('answer call "Slow?"')},
        {"reply": program("1")},
    )
    with rlm.start("solve", "Q?", "--model", model, "--memo", "memo.sqlite", "--json") as process:
        end = time.monotonic() + WAIT
        while rlm("memo", "stats", "--memo", "memo.sqlite", "--json").json["rows"] < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    report = json.loads(out)
    assert report["outcome"] == "interrupted" and len(report["turns"]) == 2
    assert "2 finished calls are kept" in err.decode()


def test_the_turns_on_a_terminal(rlm: Shell) -> None:
    model = rlm.rules(*root("x = 1\nx", "answer lenn(x)", "answer x"))
    ours, theirs = pty.openpty()
    with rlm.start("solve", "Q?", "--model", model, "--memo", "off", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        out, _ = process.communicate(timeout=WAIT)
    os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert out == b"1\n"
    for part in (
        "── turn 1\nx = 1\nx\n",
        "── turn 1 ran: 1 call\nint\n  1\n",
        "── turn 2 has errors: 1 call",
        "── turn 3 answered: 1 call",
    ):
        assert part in text, text


@pytest.mark.embedded
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="the embedded model is the extra `local`")
def test_the_embedded_model_writes_programs(rlm: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too small to write good ones, but under the grammar each is one, or was cut at the reply's limit."""
    monkeypatch.delenv("RLM_CACHE_DIR")
    (tmp_path / "cache").mkdir()
    (cache_root() / "models").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "models").symlink_to(cache_root() / "models")
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    rlm.write("book.txt", BOOK)
    rlm.write("rlm.toml", '[models.root]\nmodel = "local"\nmax_output_tokens = 20\nconcurrency = 1\ntemperature = 0.7\n')
    done = rlm("solve", "How many lines?", "--context", "book.txt", "--turns", "1", "--calls", "6", "--json")
    report = done.json
    assert report["outcome"] in ("answered", "no answer") and done.code == (0 if report["outcome"] == "answered" else 1), done.err
    for turn in report["turns"]:
        assert turn["outcome"] is not None
        if turn["program"] is None:
            assert turn["outcome"] == "no program" and "stopped at its limit of 20 tokens" in turn["error"]
        else:
            try:
                parse(turn["program"])
            except ProgramError as error:
                raise AssertionError(turn["program"]) from error
    used = report["used"]
    assert 1 <= used["requests"] == used["calls"] <= 6 and used["input_tokens"] > 500 and used["output_tokens"] > 0
    for name in ("calls", "requests", "input_tokens", "output_tokens"):
        assert report["bound"][name]["min"] <= used[name] <= report["bound"][name]["max"]
