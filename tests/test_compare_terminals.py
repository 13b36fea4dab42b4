"""The strategies `terminal` and `python`: what goes to the models and back, and what bad models do to them."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm

from rlmlang import Settings
from rlmlang.compare.compare import Comparison
from rlmlang.compare.strategies.python import described, final, programs
from rlmlang.compare.task import Item, Task
from rlmlang.session import Running

__all__ = ["rlm"]

INBOX = "The kettle arrived broken.\nThank you, all is well.\nMy parcel is late again.\n"
JUDGE = [{"match": "(?s)Late\\?.*(broken|late)", "reply": "yes"}, {"match": "Late\\?", "reply": "no"}]
posix = pytest.mark.skipif(os.name != "posix", reason="there is nothing to lock an interpreter in with")


@pytest.fixture(autouse=True)
def own_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memo of its own."""
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))


def turns(*replies: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of a root model that replies so, one after the other."""
    rules = [{"match": "(?s)The question: Which.*" + "TURN.*" * at, **reply} for at, reply in enumerate(replies)]
    for at, rule in enumerate(rules[:-1]):
        rule["reply"] = f"{rule.get('reply', '')}\nTURN {at}"
    return [*reversed(rules)]


def compared(rlm: Shell, strategy: str, *rules: dict[str, Any], words: tuple[str, ...] = (), context: str = "inbox.txt") -> Any:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules(*rules)
    done = rlm("compare", "Which?", "--context", context, "--strategies", strategy, "--model", model, "--allow-python", "--json", *words)
    (only,) = done.json["rows"]
    return only


def typed(command: str) -> dict[str, Any]:
    return {"name": "terminal", "arguments": {"command": command}}


def tool_results(row: Any) -> list[str]:
    return [step["result"] for step in row["transcript"] if step["by"] == "tool"]


# ---- terminal ----


def test_a_terminal_shows_what_is_typed(rlm: Shell) -> None:
    rules = turns({"calls": [typed("ls"), typed("grep -c late inbox.txt")]}, {"calls": [typed("grep late *")]}, {"reply": "the third"})
    row = compared(rlm, "terminal", *rules)
    assert (row["outcome"], row["answer"], row["calls"], row["root_calls"]) == ("answered", "the third", 3, 3)
    assert tool_results(row) == ["inbox.txt\n", "1\n", "My parcel is late again.\n"]
    assert row["coverage"] == pytest.approx(1 / 3)  # what it has read itself: there are no sub-calls
    assert compared(rlm, "terminal", *rules)["paid"]["requests"] == 0


def test_a_terminal_as_a_program_is_what_was_typed_and_the_answer(rlm: Shell) -> None:
    rules = turns({"calls": [typed("ls\nwc *"), typed("grep -c 'late' inbox.txt")]}, {"reply": 'the "third"'})
    compared(rlm, "terminal", *rules, words=("--as-program", "tried"))
    text = (rlm.folder / "tried" / "terminal.rlm").read_text()
    assert text == '# Which?\n\n# $ ls\n# $ wc *\n# $ grep -c \'late\' inbox.txt\n\nanswer {answer: "the \\"third\\""}\n'
    assert rlm("run", "tried/terminal.rlm", "--offline").json == {"answer": 'the "third"'}


def test_lines_are_run_in_the_order_in_which_they_are_typed(rlm: Shell) -> None:
    (rlm.folder / "mails" / "old").mkdir(parents=True)
    (rlm.folder / "mails" / "old" / "a.txt").write_text("a mail\n")
    lines = [typed("cd old"), typed("pwd"), typed("cat a.txt"), typed("cd .."), typed("ls"), typed("true"), typed("grep x old/a.txt")]
    row = compared(rlm, "terminal", *turns({"calls": lines}, {"reply": "done"}), context="mails")
    shown = ["(no output)", "/old\n", "a mail\n", "(no output)", "old\n", "(no output)", "(no output; exit status 1)"]
    assert tool_results(row) == shown


def test_bad_lines_are_told(rlm: Shell) -> None:
    lines = [typed("cat ../../etc/passwd"), typed("rm inbox.txt"), typed("cat 'inbox"), {"name": "terminal", "arguments": {"cmd": "ls"}}]
    row = compared(rlm, "terminal", *turns({"calls": lines}, {"calls": [{"name": "shell", "arguments": {}}]}, {"reply": "done"}))
    results = tool_results(row)
    assert results[0] == "cat: ../../etc/passwd: No such file or directory\n"
    assert results[1].startswith("bash: rm: command not found")
    assert results[2] == "bash: unexpected EOF while looking for matching `''\n"
    assert results[3].startswith("error: terminal needs command")
    assert results[4] == "error: there is no tool shell; there is terminal"
    assert row["answer"] == "done"


def test_data_of_any_form_are_files(rlm: Shell) -> None:
    rlm.write("rows.csv", "id,name\n1,pen\n2,ink\n")
    row = compared(rlm, "terminal", *turns({"calls": [typed("cat *"), typed("wc -l rows.jsonl")]}, {"reply": "done"}), context="rows.csv")
    first, second = tool_results(row)
    assert [json.loads(line) for line in first.splitlines()] == [{"id": 1, "name": "pen"}, {"id": 2, "name": "ink"}]
    assert second == "2 rows.jsonl\n"


# ---- python ----

ASK = "```repl\nlines = inbox.splitlines()\nsaid = llm_query_batched(['Late? ' + line for line in lines])\nprint(said)\n```"


@posix
def test_a_program_asks_sub_models(rlm: Shell) -> None:
    rules = turns(
        {"reply": f"I look.\n{ASK}"}, {"reply": "```repl\nfound = said.count('yes')\n```"}, {"reply": "That is all.\nFINAL_VAR(found)"}
    )
    row = compared(rlm, "python", *rules, *JUDGE, words=("--type", "int", "--gold", "2"))
    assert (row["outcome"], row["answer"], row["score"], row["error"]) == ("answered", 2, 1.0, None)
    assert (row["calls"], row["root_calls"], row["rounds"], row["coverage"]) == (6, 3, 4, 1.0)
    assert tool_results(row) == ["['yes', 'no', 'yes']", "No output"]
    assert compared(rlm, "python", *rules, *JUDGE, words=("--type", "int"))["paid"]["requests"] == 0


@posix
@pytest.mark.parametrize(
    ("reply", "words", "answer"),
    [
        ("FINAL(the third)", (), "the third"),
        ("Text.\n  FINAL(f(x) (y))\nmore", (), "f(x) (y)"),
        ("FINAL('quoted')", (), "quoted"),
        ("FINAL([1, 2])", ("--type", "[int]"), [1, 2]),
        ("```repl\nFINAL(len(inbox))\n```", ("--type", "int"), len(INBOX)),
        ("```python\nFINAL({'a': inbox[:3]})\n```", (), '{"a": "The"}'),
        ("```repl\nx = 'y'\n```\nFINAL_VAR(\"x\")", (), "y"),
        ("```repl\nx = 1\n```\n\n```repl\nFINAL_VAR('x')\n```", ("--type", "int"), 1),
    ],
)
def test_how_it_ends(rlm: Shell, reply: str, words: tuple[str, ...], answer: Any) -> None:
    assert compared(rlm, "python", {"reply": reply}, words=words)["answer"] == answer


@posix
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("I think.", "Your reply held no program in a ```repl block"),
        ("FINAL_VAR(nope)", "there is no variable 'nope'"),
        ("FINAL(many)", "not valid JSON"),
        ("```repl\n1 / 0\n```", "ZeroDivisionError: division by zero"),
        ("```repl\nopen('/etc/passwd')\n```", "PermissionError: open: no files"),
        ("```repl\nimport os\nos._exit(1)\n```", "All variables that programs have made are lost"),
        ("```repl\nprint(llm_query('Late? ' * 10))\n```", "Output of the program:\nno"),
        ("```repl\nprint(llm_query('odd'))\n```", "Error: LM query failed - "),
        ("```repl\nprint(inbox[:3])", "Output of the program:\nThe"),
        ("```repl\nprint('x')\n```\n```repl\nprint('y')\n```", "Output of the program:\nx\n\nOutput of the program:\ny"),
    ],
)
def test_what_it_is_told(rlm: Shell, reply: str, told: str) -> None:
    seen = {"match": "(?s)The question: Which.*" + "".join(f"\\x{{{ord(c):x}}}" for c in told), "reply": "FINAL(7)"}
    row = compared(rlm, "python", seen, *JUDGE, {"match": "^odd$", "fault": "refuse"}, {"reply": reply}, words=("--type", "int"))
    assert (row["outcome"], row["answer"], row["root_calls"]) == ("answered", 7, 2), row["transcript"]


@posix
@pytest.mark.parametrize(
    ("rules", "words", "outcome", "error"),
    [
        ([{"fault": "refuse"}], (), "refused", "the model refused"),
        ([{"reply": "```repl\nprint(1)\n```"}], (), "looped", "did the same 3 times"),
        ([{"reply": "hm"}], (), "looped", "did the same 3 times"),
        (turns({"reply": "a"}, {"reply": "b"}, {"reply": "c"}), ("--turns", "2"), "no answer", "its 2 turns are used"),
        (turns({"reply": ASK}, {"reply": "b"}, {"reply": "c"}), ("--calls", "3"), "no answer", "all of its 3 calls are used"),
        (turns({"reply": ASK}, {"reply": "FINAL(x)"}), ("--budget", "3 calls"), "budget", "budget"),
    ],
)
def test_what_ends_without_an_answer(rlm: Shell, rules: list[dict[str, Any]], words: tuple[str, ...], outcome: str, error: str) -> None:
    row = compared(rlm, "python", *rules, *JUDGE, words=words)
    assert (row["outcome"], row["answer"]) == (outcome, None)
    assert error in row["error"]


@posix
def test_it_is_off_unless_it_is_allowed(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules({"reply": "FINAL(x)"})
    done = rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", "python", "--model", model)
    assert done.code == 2
    assert "allow it with --allow-python" in done.err
    done = rlm("compare", "Which?", "--context", "inbox.txt", "--model", model, "--json", "--turns", "1")
    assert "python" not in [row["strategy"] for row in done.json["rows"]]
    assert "terminal" in [row["strategy"] for row in done.json["rows"]]


@posix
def test_folders_and_records_are_variables(rlm: Shell) -> None:
    (rlm.folder / "src").mkdir()
    (rlm.folder / "src" / "a.py").write_text("x = 1\n")
    (rlm.folder / "src" / "bad.bin").write_bytes(b"\xff\0")
    row = compared(rlm, "python", {"reply": "```repl\nFINAL(src)\n```"}, context="src")
    assert json.loads(row["answer"]) == {"a.py": "x = 1\n"}
    rlm.write("rows.csv", "id,name\n1,pen\n")
    words = ("--type", "[{id: int, name: text}]")
    row = compared(rlm, "python", {"reply": "```repl\nFINAL(rows)\n```"}, words=words, context="rows.csv")
    assert row["answer"] == [{"id": 1, "name": "pen"}]


@posix
@pytest.mark.parametrize(
    ("strategy", "reply"),
    [
        ("python", {"reply": "```repl\nwhile True: pass\n```"}),
        ("python", {"reply": "```repl\nllm_query_batched(['slow'] * 50)\n```"}),
        ("terminal", {"calls": [typed("cat " + "big.txt " * 400 + "| sort | uniq -c | sort | wc")]}),
    ],
)
def test_an_interruption_ends_what_runs(strategy: str, reply: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rules = [{"match": "^slow$", "reply": "x", "delay": 60}, {"match": "The question", **reply}]
    (tmp_path / "rules.jsonl").write_text("\n".join(map(json.dumps, rules)))
    task = Task("Which?", {"big": "a line of text\n" * 100_000}, needed=(Item("a line", "a line of text"),))
    comparison = Comparison(task, [strategy, "direct"], Settings(model="script:rules.jsonl", memo="off"), allow_python=True)

    def watch(running: Running) -> None:
        time.sleep(1)
        comparison.cancel()

    rows = list(comparison.rows(watch))
    assert [(row.strategy, row.outcome) for row in rows] == [(strategy, "interrupted")]
    assert threading.active_count() < 20


def test_what_the_model_sees_of_the_data() -> None:
    assert described({"book": "x" * 1234, "rows": [{"a": 1}] * 2, "src": {"a": "bb"}, "n": 3, "nothing": []}) == (
        "- `book`: a str of 1,234 characters\n"
        "- `rows`: a list of 2 items, each a dict, 16 characters in all, of lengths 8, 8\n"
        "- `src`: a dict with 1 key, each a str, 2 characters in all, of lengths 2\n"
        "- `n`: a value of type int\n"
        "- `nothing`: a list of 0 items"
    )


def test_programs_and_answers_in_a_reply() -> None:
    assert programs("a\n```repl\nx\n```\nb\n  ```python\ny\n  ```\n```text\nz\n```\n```repl\n\n```") == ["x\n", "y\n"]
    assert final("```repl\nFINAL(1)\n```") is None
    assert final("I will use FINAL(x) later") is None
    assert final("FINAL(a\nb") == "a\nb"
    assert final("FINAL()") == ""
