"""`rlm run`: answers, options, wrong input, exit codes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm

import rlmlang.session  # noqa: F401  (a test reaches into it)

__all__ = ["rlm"]

ECHO = """input docs: [text]
input least: int = 0
heard = [call "What was said?" on d for d in docs]
answer [h for h in heard if len(h) > least]
"""
USED = {"calls", "requests", "from_memo", "shared", "failed", "retries"} | {
    *("input_tokens", "output_tokens", "dollars", "depth", "rounds", "seconds")
}


@pytest.fixture
def echo(rlm: Shell) -> list[str]:
    """The words that run a program which asks for each of `docs`; one that says `bad` is refused."""
    model = rlm.rules({"match": "bad", "fault": "refuse", "reply": ""}, {"match": "Data\\n.*\\n(\\w+)\\n", "reply": "heard \\1"})
    rlm.write("echo.rlm", ECHO)
    return ["run", "echo.rlm", "--model", model, "--memo", "memo.sqlite"]


# ---- answers ----


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ('"plain text, ünïcode"', "plain text, ünïcode\n"),
        ('"two\\nlines"', "two\nlines\n"),
        ('""', "\n"),
        ("1 + 2", "3\n"),
        ("1 / 2", "0.5\n"),
        ("1 < 2", "true\n"),
        ("none", "null\n"),
        ("[]", "[]\n"),
        ("[1, 2]", "[\n  1,\n  2\n]\n"),
        ('{a: "ü", b: [true]}', '{\n  "a": "ü",\n  "b": [\n    true\n  ]\n}\n'),
        ("range(3)", "[\n  0,\n  1,\n  2\n]\n"),
    ],
)
def test_answer(rlm: Shell, expression: str, shown: str) -> None:
    rlm.write("p.rlm", f"answer {expression}")
    done = rlm("run", "p.rlm", "--memo", "off")
    assert (done.code, done.out) == (0, shown), done.err


def test_bare_expression_is_shown_likewise(rlm: Shell) -> None:
    rlm.write("p.rlm", "x = 20\nx + 1")
    done = rlm("run", "p.rlm", "--memo", "off", "--quiet")
    assert (done.code, done.out, done.err) == (0, "21\n", "")


def test_calls_and_inputs(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["hi", "hello"]', "least=8")
    assert (done.code, json.loads(done.out)) == (0, ["heard hello"])
    assert done.err.startswith("2 calls (2 requests), ")


def test_inputs_and_options_mix(rlm: Shell, echo: list[str]) -> None:
    command, file, *options = echo
    done = rlm(command, file, 'docs=["hello"]', *options, "least=2", "--quiet")
    assert (done.code, json.loads(done.out), done.err) == (0, ["heard hello"], "")


def test_standard_input(rlm: Shell, echo: list[str]) -> None:
    done = rlm.process(*echo, "docs=-", "--quiet", data=b'["one", "two"]')
    assert (done.code, json.loads(done.out), done.err) == (0, ["heard one", "heard two"], "")


def test_files(rlm: Shell, echo: list[str]) -> None:
    rlm.write("docs.jsonl", '"a"\n"b"\n')
    assert json.loads(rlm(*echo, "docs=@docs.jsonl").out) == ["heard a", "heard b"]


def test_memo_answers_the_second_run(rlm: Shell, echo: list[str]) -> None:
    rlm(*echo, 'docs=["a", "b"]')
    used = rlm(*echo, 'docs=["a", "b", "c"]', "--json").json["used"]
    assert (used["calls"], used["requests"], used["from_memo"]) == (3, 1, 2)
    used = rlm(*echo[:-1], "off", 'docs=["a", "a"]', "--json").json["used"]
    assert (used["calls"], used["requests"], used["from_memo"], used["shared"]) == (2, 1, 0, 1)


def test_offline(rlm: Shell, echo: list[str]) -> None:
    rlm(*echo, 'docs=["a"]')
    assert json.loads(rlm(*echo, 'docs=["a"]', "--offline").out) == ["heard a"]
    done = rlm(*echo, 'docs=["a", "b"]', "--offline")
    assert done.code == 1 and done.out == ""
    assert "echo.rlm:3:10: error:" in done.err and "not in the memo" in done.err and "--offline" in done.err


# ---- the report ----


def test_json_report(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["a"]', "--json")
    assert done.code == 0 and done.out.count("\n") == 1
    report = done.json
    assert set(report) == {"answer", "type", "run", "used", "bound", "sites", "failures", "warnings", "error"}
    assert report["answer"] == ["heard a"] and report["type"] == "[text]" and report["error"] is None
    assert set(report["used"]) == USED
    (site,) = report["sites"]
    assert {"line": 3, "column": 10, "calls": 1, "from_memo": 0}.items() <= site.items() and site["text"].startswith("call ")


def test_json_report_of_a_failed_run(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["a", "bad"]', "--json", "--concurrency", "1")
    report = done.json
    assert done.code == 1 and report["answer"] is None and "refused" in report["error"]
    assert {"line": 3, "item": "1", "attempts": 1}.items() <= report["failures"][-1].items()
    assert report["used"]["calls"] == 2


def test_json_report_of_a_run_that_never_began(rlm: Shell) -> None:
    rlm.write("p.rlm", "answer (")
    done = rlm("run", "p.rlm", "--json")
    assert done.code == 2 and done.json["answer"] is None and done.json["error"] and "p.rlm:1:" in done.err


def test_failure_shows_the_place(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["a", "bad"]')
    assert done.code == 1 and done.out == ""
    assert "echo.rlm:3:10: error:" in done.err and '3 | heard = [call "What was said?" on d' in done.err
    assert "^" * len('call "What was said?" on d') in done.err and "item 1, 1 request sent" in done.err
    assert "the same command goes on from there" in done.err


def test_dropped_items_are_listed(rlm: Shell, echo: list[str]) -> None:
    rlm.write("echo.rlm", 'input docs: [text]\nanswer map d in docs { call "What was said?" on d } otherwise skip')
    done = rlm(*echo, 'docs=["a", "bad", "b"]', "--quiet")
    assert done.code == 0 and json.loads(done.out) == ["heard a", "heard b"]
    assert done.err.startswith("failed in line 2 (item 1, 1 request sent): ") and done.err.count("\n") == 1
    many = rlm(*echo, "docs=" + json.dumps([f"bad{i}" for i in range(30)]), "--quiet").err.splitlines()
    assert len(many) == 21 and many[-1] == "… and 10 more failed"


def test_explain(rlm: Shell, echo: list[str]) -> None:
    rlm(*echo, 'docs=["a"]')
    done = rlm(*echo, 'docs=["a", "b"]', "--explain", "--quiet")
    lines = done.err.splitlines()
    assert lines[0].split() == ["calls", "expected", "max", "memo", "tokens", "dollars", "|"]
    assert lines[1].strip() == "1 | input docs: [text]"
    assert lines[3].split()[:4] == ["2", "2", "2", "1"] and lines[3].endswith('3 | heard = [call "What was said?" on d for d in docs]')
    rlm.write("echo.rlm", 'input docs: [text]\nanswer vote("Which?", 2, docs)')
    done = rlm(*echo[:2], "--model", rlm.rules({"reply": "x"}, name="x.jsonl"), "--memo", "off", "docs=[]", "--explain", "--quiet")
    assert "stdlib/vote.rlm:" in done.err


def test_warnings_are_said_before_the_run(rlm: Shell) -> None:
    rlm.write("p.rlm", "x = 1\nanswer 2")
    assert "p.rlm:1:1: warning:" in rlm("run", "p.rlm", "--memo", "off").err
    assert rlm("run", "p.rlm", "--memo", "off", "--quiet").err == ""


# ---- --out ----


def test_out_lines_in_order(rlm: Shell, echo: list[str]) -> None:
    rlm.write("out.jsonl", "what was there before, and is longer than what comes\n" * 9)
    done = rlm(*echo, 'docs=["a", "b", "c"]', "--out", "out.jsonl")
    assert done.code == 0 and done.out == "" and "3 items written to out.jsonl" in done.err
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == ["heard a", "heard b", "heard c"]


def test_out_with_json_reports_the_answer_too(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["a"]', "--out", "out.jsonl", "--json")
    assert done.json["answer"] == ["heard a"] and Path("out.jsonl").read_text() == '"heard a"\n'


@pytest.mark.parametrize(
    ("program", "content"),
    [('answer "ü"', "ü\n"), ("answer {a: 1}", '{\n  "a": 1\n}\n'), ('answer [1, "x"]', '1\n"x"\n'), ("answer []", "")],
)
def test_out_of_answers_that_come_at_once(rlm: Shell, program: str, content: str) -> None:
    rlm.write("p.rlm", program)
    rlm.write("out", "before" * 9)
    assert rlm("run", "p.rlm", "--out", "out", "--memo", "off").code == 0
    assert Path("out").read_text() == content


def test_out_keeps_what_came_before_a_failure(rlm: Shell, echo: list[str]) -> None:
    rlm.write("echo.rlm", 'input docs: [text]\nheard = [call "What was said?" on d for d in docs]\nanswer heard')
    done = rlm(*echo, 'docs=["a", "bad", "b"]', "--out", "out.jsonl", "--concurrency", "1")
    assert done.code == 1 and Path("out.jsonl").read_text() == '"heard a"\n'


def test_out_is_left_alone_by_what_never_answers(rlm: Shell) -> None:
    rlm.write("p.rlm", "input n: int\nanswer 1 // n")
    rlm.write("out", "before")
    assert rlm("run", "p.rlm", "n=0", "--out", "out", "--memo", "off").code == 1
    assert rlm("run", "p.rlm", "n=x", "--out", "out", "--memo", "off").code == 2
    assert Path("out").read_text() == "before"
    assert rlm("run", "p.rlm", "n=0", "--out", "new", "--memo", "off").code == 1
    assert not Path("new").exists()


@pytest.mark.parametrize("out", ["nosuch/out", ".", "", "a\0b"])
def test_out_that_cannot_be_written(rlm: Shell, echo: list[str], out: str) -> None:
    done = rlm(*echo, 'docs=["a"]', "--out", out)
    assert done.code == 2 and done.err.startswith("error: cannot write ") and not os.path.exists("nosuch")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(rlm: Shell, echo: list[str]) -> None:
    done = rlm(*echo, 'docs=["a"]', "--out", "/dev/full")
    assert done.code == 1 and "cannot write /dev/full: no space left on device" in done.err
    with open("/dev/full", "wb") as full:
        done = rlm.process(*echo, 'docs=["a"]', stdout=full)
    assert done.code == 1 and "cannot write to standard output" in done.err and "Traceback" not in done.err


# ---- wrong use ----


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["docs=[]", "leest=3"], "did you mean `least`?"),
        ([], "the input `docs: [text]` is missing"),
        (["docs=[]", "least=many"], "`least: int`"),
        (["docs=[1]"], "expected text"),
        (["docs=@nosuch.jsonl"], "cannot read nosuch.jsonl"),
        (["docs=[]", "stray"], "NAME=VALUE"),
        (["docs=[]", "docs=[]"], "given twice"),
        (["docs=[]", "--budget", "lots"], "'lots' is no budget"),
        (["docs=[]", "--concurrency", "0"], "a whole number from 1"),
        (["docs=[]", "--concurrency", "many"], "expected a whole number"),
        (["docs=[]", "--model", "nosuch"], "no model is called nosuch"),
        (["docs=[]", "--model", "script:nosuch.jsonl"], "nosuch.jsonl"),
        (["docs=[]", "--model", "gguf:nosuch.gguf"], "nosuch.gguf"),
        (["docs=[]", "--base-url", "http://localhost:1/v1"], "--base-url"),
        (["docs=[]", "--config", "nosuch.toml"], "no configuration file nosuch.toml"),
        (["docs=[]", "--memo", "."], "memo store"),
        (["docs=[]", "--frobnicate"], "--frobnicate"),
        (["docs=[]", "--mod", "x"], "--mod"),
    ],
)
def test_wrong_use(rlm: Shell, echo: list[str], words: list[str], said: str) -> None:
    done = rlm(*echo, *words)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("error: ") and said in done.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.rlm", "answer missing", "p.rlm:1:8: error:"),
        ("p.rlm", "", "there is no program here"),
        ("p.rlm", "# only a comment\n", "there is no program here"),
        ("p.rlm", b'answer "\xff\xfe"', "not UTF-8"),
        ("p.rlm", b"answer 1\0", "\\u0000"),
        ("p.rlm", 'answer call "x" with {model: "nosuch"}', "p.rlm:1:8: error: No model is called nosuch"),
    ],
)
def test_wrong_programs(rlm: Shell, name: str, content: str | bytes, said: str) -> None:
    rlm.write(name, content)
    done = rlm("run", name, "--memo", "off", "--model", rlm.rules({"reply": "x"}))
    assert done.code == 2 and done.out == "" and said in done.err


@pytest.mark.parametrize("path", ["nosuch.rlm", ".", "-", "", "a\0b.rlm", "x" * 5_000])
def test_files_that_are_no_program(rlm: Shell, path: str) -> None:
    done = rlm("run", path)
    assert done.code == 2 and done.err.startswith("error: ") and len(done.err) < 3_000


@pytest.mark.parametrize("config", ["= nonsense", "modle = 'x'", "[models.a]\nprice = 3", "budget = 3", b"\xff"])
def test_wrong_configuration(rlm: Shell, config: str | bytes) -> None:
    rlm.write("rlm.toml", config)
    rlm.write("p.rlm", "answer 1")
    done = rlm("run", "p.rlm")
    assert done.code == 2 and done.err.startswith("error: rlm.toml:")


def test_configuration_is_used(rlm: Shell) -> None:
    model = rlm.rules({"reply": "from the file"})
    rlm.write("rlm.toml", f'model = "m"\nmemo = "off"\n[models.m]\nmodel = "{model}"\n')
    rlm.write("p.rlm", 'answer call "x"')
    assert rlm("run", "p.rlm").out == "from the file\n"
    rlm.write("other.toml", 'model = "m"\nbudget = "0 calls"\nmemo = "off"\n[models.m]\nmodel = "script:rules.jsonl"\n')
    assert rlm("run", "p.rlm", "--config", "other.toml").code == 3


def test_hostile_names_are_escaped(rlm: Shell) -> None:
    for words in (["run", "\x1b[31mred.rlm"], ["\x1b[31m"], ["run", "p.rlm", "\x1b[31m=1"], ["check", "\x1b[31m"]):
        rlm.write("p.rlm", "answer 1")
        done = rlm(*words)
        assert done.code == 2 and "\x1b" not in done.err + done.out


def test_answers_do_not_command_a_pipe(rlm: Shell) -> None:
    rlm.write("p.rlm", 'answer "a\\u001b[31mb"')
    assert rlm("run", "p.rlm", "--memo", "off").out == "a\x1b[31mb\n", "into a pipe a text goes as it is"


# ---- budget ----


def test_budget_stops_the_run(rlm: Shell, echo: list[str]) -> None:
    rlm.write("echo.rlm", ECHO.replace("for d in docs]", "for d in docs] otherwise skip"))  # so that no call is sure, and it is not refused
    words = [*echo, "docs=" + json.dumps([f"d{i}" for i in range(20)])]
    done = rlm(*words, "--budget", "5 calls", "--json")
    used = done.json["used"]
    assert done.code == 3 and used["requests"] == 5 and "5 calls" in done.json["error"]
    assert "budget" in done.err
    done = rlm(*words, "--budget", "15 calls", "--budget", "1M tokens", "--json")
    assert done.code == 0 and done.json["used"]["from_memo"] == 5


def test_yes_is_taken(rlm: Shell, echo: list[str]) -> None:
    assert rlm(*echo, "docs=[]", "--yes").code == 0


def test_internal_errors_are_told_as_such(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(sys.modules["rlmlang.session"], "prepare", broken)
    rlm.write("p.rlm", "answer 1")
    done = rlm("run", "p.rlm")
    assert done.code == 1 and done.err.startswith("internal error: ZeroDivisionError: surprise") and "Traceback" not in done.err
    monkeypatch.setenv("RLM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        rlm("run", "p.rlm")
