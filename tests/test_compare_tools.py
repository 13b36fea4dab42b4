"""Strategies with tool calls: what goes to the models and back, what their transcripts say, and what bad models do to them."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm
from loopback import Answer, loopback, ok, status

from rlmlang.compare.agent import read_arguments, tool, written_calls
from rlmlang.compare.file_tools import label, matching, mentioned, part, search
from rlmlang.compare.files import Files
from rlmlang.lm.reply import BadReply
from rlmlang.lm.workers import need
from rlmlang.solve.contexts import given_contexts

__all__ = ["rlm"]

INBOX = "The kettle arrived broken.\nThank you, all is well.\nMy parcel is late again.\n"
JUDGE = [{"match": "(?s)^The task.*Is it\\?.*(broken|late)", "reply": "yes"}, {"match": "(?s)^The task.*Is it\\?", "reply": "no"}]


@pytest.fixture(autouse=True)
def own_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memo of its own."""
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))


def call(name: str, **arguments: Any) -> Any:
    return {"name": name, "arguments": arguments}


def task(prompt: str) -> Any:
    return call("task", description="look at it", prompt=prompt)


def judged(line: int) -> Any:
    return task(f"Is it? @inbox.txt#L{line}")


def turns(*replies: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of a root model that replies so, one after the other: each has its place by how often it was answered before."""
    rules = [{"match": "(?s)The question.*" + "TURN.*" * at, **reply} for at, reply in enumerate(replies)]
    for at, rule in enumerate(rules[:-1]):
        rule["reply"] = f"{rule.get('reply', '')} TURN {at}"
    return [*reversed(rules)]


def compared(rlm: Shell, strategy: str, *rules: Any, words: tuple[str, ...] = ()) -> Any:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules(*rules)
    done = rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", strategy, "--model", model, "--json", *words)
    (only,) = done.json["rows"]
    return only


def results(row: Any, name: str) -> list[str]:
    return [step["result"] for step in row["transcript"] if step["name"] == name]


# ---- toolcalls ----


def test_sub_agents_at_the_same_time(rlm: Shell) -> None:
    rules = [*turns({"calls": [judged(1), judged(2), judged(3)]}, {"reply": "1 and 3"})]
    row = compared(rlm, "toolcalls", *JUDGE, *rules)
    assert (row["outcome"], row["answer"], results(row, "task")) == ("answered", "1 and 3", ["yes", "no", "yes"])
    assert (row["calls"], row["root_calls"], row["rounds"], row["paid"]["depth"]) == (5, 2, 3, 2)
    assert row["coverage"] == 1.0
    assert compared(rlm, "toolcalls", *JUDGE, *rules)["paid"]["requests"] == 0


def test_what_only_the_main_model_read_was_not_covered(rlm: Shell) -> None:
    rules = turns({"calls": [call("read", path="inbox.txt", offset=2), judged(1)]}, {"reply": "done"})
    row = compared(rlm, "toolcalls", *JUDGE, *rules)
    assert results(row, "read") == ["Thank you, all is well.\nMy parcel is late again."]
    assert row["coverage"] == pytest.approx(1 / 3) and row["seen"] == 1.0


def test_a_sub_agent_looks_by_itself(rlm: Shell) -> None:
    agent: list[Any] = [
        {"match": "(?s)^You are a sub-agent.*grep\\(.*inbox.txt:3:", "reply": "Line 3 is."},
        {"match": "^You are a sub-agent", "calls": [call("grep", pattern="la?te\\b")]},
    ]
    row = compared(rlm, "toolcalls", *agent, *turns({"calls": [task("Find what is late.")]}, {"reply": "the third"}))
    (step,) = [step for step in row["transcript"] if step["name"] == "task"]
    assert step["result"] == "Line 3 is."
    assert [inner["result"] for inner in step["steps"] if inner["by"] == "tool"] == ["inbox.txt:3:My parcel is late again."]
    assert (row["calls"], row["root_calls"], row["rounds"]) == (4, 2, 4) and row["coverage"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (call("launch", x=1), "error: there is no tool launch; there is glob, grep, read, task"),
        ({"name": "task", "arguments": "{not json"}, "error: the arguments of task were not valid JSON"),
        ({"name": "task", "arguments": "[1]"}, "error: the arguments of task are an object with description, prompt"),
        (call("task", prompt="Is it?"), "error: task needs description"),
        (call("task", description="x", prompt=3), "error: prompt of task is a text"),
        (call("task", description="x", prompt="y", model="z"), "error: task has no argument model"),
        (call("read", path="../secret"), "error: there is no file ../secret; there is inbox.txt"),
        (call("read", path="/etc/passwd"), "error: there is no file /etc/passwd"),
        (call("read", path="inbox.txt", offset=9), "error: inbox.txt has 3 lines"),
        (call("read", path="inbox.txt", limit=0), "error: offset and limit"),
        (call("grep", pattern="(?=x)"), "error: the regular expression"),
        (call("glob", pattern="/x"), "error: "),
    ],
)
def test_what_is_wrong_with_a_call_is_told(rlm: Shell, bad: dict[str, Any], told: str) -> None:
    rules = turns({"calls": [bad]}, {"calls": [judged(1)]}, {"reply": "done"})
    row = compared(rlm, "toolcalls", *JUDGE, *rules)
    assert (row["outcome"], row["answer"]) == ("answered", "done")
    assert row["transcript"][1]["result"].startswith(told)


def test_a_typed_answer_is_asked_for_again(rlm: Shell) -> None:
    rules = turns({"reply": "I think two."}, {"reply": '{"value": 2}'})
    row = compared(rlm, "toolcalls", *rules, words=("--type", "int", "--gold", "2"))
    assert (row["answer"], row["score"], row["root_calls"]) == (2, 1.0, 2)


@pytest.mark.parametrize("strategy", ["toolcalls", "folding"])
@pytest.mark.parametrize(
    ("rules", "words", "outcome", "error"),
    [
        ([{"fault": "refuse"}], (), "refused", "the model refused"),
        ([{"reply": "x", "calls": [judged(1)]}], (), "looped", "did the same 3 times"),
        ([{"reply": "no number"}], ("--type", "int"), "looped", "did the same 3 times"),
        (
            turns(*[{"calls": [call("read", path="inbox.txt", offset=at)]} for at in (1, 2, 3)]),
            ("--turns", "2"),
            "no answer",
            "its 2 turns",
        ),
        (
            turns(*[{"calls": [call("read", path="inbox.txt", offset=at)]} for at in (1, 2, 3)]),
            ("--calls", "2"),
            "no answer",
            "its 2 calls",
        ),
        (turns({"calls": [judged(1)]}, {"reply": "x"}), ("--budget", "1 calls"), "budget", "the budget of 1 call"),
        ([{"match": "nothing has this", "reply": ""}], (), "failed", "no rule"),
        ([{"fault": "empty"}], (), "failed", "The reply was empty"),
    ],
)
def test_outcomes(rlm: Shell, strategy: str, rules: list[dict[str, Any]], words: tuple[str, ...], outcome: str, error: str) -> None:
    row = compared(rlm, strategy, *rules, words=words)
    assert (row["outcome"], row["answer"]) == (outcome, None)
    assert error in row["error"]


def test_a_sub_agent_that_fails_is_a_result(rlm: Shell) -> None:
    refusing, looping = (
        {"match": "(?s)^The task.*Refuse", "fault": "refuse"},
        {"match": "^You are a sub", "calls": [call("glob", pattern="*")]},
    )
    rules = turns({"calls": [judged(1), task("Refuse this: @inbox.txt"), task("Loop.")]}, {"reply": "done"})
    row = compared(rlm, "toolcalls", *JUDGE, refusing, looping, *rules)
    assert (row["outcome"], row["answer"]) == ("answered", "done")
    judge, refused, looped = results(row, "task")
    assert judge == "yes" and "the model refused" in refused and "did the same 3 times" in looped


def test_a_conversation_that_outgrows_the_window(rlm: Shell) -> None:
    rlm.write("inbox.txt", "".join(f"This is line number {at:05}.\n" for at in range(2_000)))
    rlm.rules(*turns(*[{"calls": [call("read", path="inbox.txt", offset=500 * at + 1)]} for at in range(4)], {"reply": "done"}))
    rlm.write("rlm.toml", 'model = "m"\n[models.m]\nmodel = "script:rules.jsonl"\ncontext_window = 6000\n')
    (row,) = rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", "toolcalls", "--json").json["rows"]
    assert (row["outcome"], row["root_calls"]) == ("failed", 3) and "its window is 6,000" in row["error"]
    assert row["transcript"][1]["result"].endswith("more lines: read on from offset 162)")


# ---- folding ----


def test_the_steps_of_a_branch_are_folded_away(rlm: Shell) -> None:
    secret = "My parcel is late again."
    rules = [
        {"match": "(?s)TURN 0.*Line 3 is", "reply": "the third"},
        {"match": f"(?s)The branch is open.*read\\(.*{secret}", "calls": [call("return", message="Line 3 is.")]},
        {"match": "The branch is open", "calls": [call("read", path="inbox.txt")]},
        *turns({"calls": [call("branch", description="look", prompt="Read it all.")]}, {"reply": "?"}),
    ]
    row = compared(rlm, "folding", *rules)
    assert (row["outcome"], row["answer"]) == ("answered", "the third")
    (step,) = [step for step in row["transcript"] if step["name"] == "branch"]
    assert step["result"] == "Line 3 is." and [inner["name"] for inner in step["steps"]] == ["read"]
    assert (row["calls"], row["root_calls"], row["rounds"]) == (4, 2, 4)
    assert row["coverage"] == row["seen"] == 1.0


@pytest.mark.parametrize(
    ("inside", "result"),
    [
        ([{"calls": [call("branch", description="x", prompt="y")]}, {"reply": "done so"}], "done so"),
        ([{"calls": [call("return")]}, {"calls": [call("return", message="so")]}], "so"),
        (
            [{"calls": [call("glob", pattern="*")]}] * 3,
            "error: the branch did not return: no answer: the model did the same 3 times in a row",
        ),
    ],
)
def test_branches_that_go_wrong(rlm: Shell, inside: list[dict[str, Any]], result: str) -> None:
    steps = [
        {"match": "(?s)The branch is open.*" + "STEP.*" * at, **reply, "reply": reply.get("reply", "STEP")}
        for at, reply in enumerate(inside)
    ]
    if inside[0] == inside[-1]:
        steps = [{"match": "The branch is open", **inside[0]}]
    opened = turns({"calls": [call("branch", description="look", prompt="Read it all."), call("branch", description="a", prompt="b")]})
    row = compared(
        rlm, "folding", *reversed(steps), {"match": "(?s)OPENED.*" + result[:9], "reply": "done"}, {**opened[0], "reply": "OPENED"}
    )
    assert (row["outcome"], row["answer"]) == ("answered", "done")
    assert sorted(results(row, "branch")) == sorted([result, "error: one branch is opened at a time, and none within another"])


# ---- over HTTP ----


def said(*calls: Any, text: str | None = None) -> Answer:
    tools: Any = [
        {"id": f"x{at}", "type": "function", "function": {**c, "arguments": json.dumps(c["arguments"])}} for at, c in enumerate(calls)
    ]
    return ok(text, finish="tool_calls" if calls else "stop", **({"tool_calls": tools} if calls else {}))


def main_model(body: dict[str, Any]) -> str | Answer:
    """A model that judges each line by a sub-agent, then counts."""
    last = body["messages"][-1]
    if "tools" not in body:
        return "yes" if "broken" in last["content"] or "late" in last["content"] else "no"
    if last["role"] == "tool":
        return str(sum(m["content"] == "yes" for m in body["messages"] if m["role"] == "tool"))
    return said(judged(1), judged(2), judged(3))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_over_http(rlm: Shell, processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rlm.write("inbox.txt", INBOX)
    for name in ("SECONDS", "BUSY", "RATE"):
        monkeypatch.setattr(need, name, 0.0)
    monkeypatch.setattr(need, "CALLS", 1)  # workers are needed from the first reply on
    with loopback(main_model) as server:
        words = ("--base-url", server.url, "--model", "m", "--json", "--strategies", "toolcalls", "--processes", processes)
        (row,) = rlm("compare", "How many?", "--context", "inbox.txt", *words).json["rows"]
        assert (row["outcome"], row["answer"]) == ("answered", "2")
        first, *_, last = server.requests
    assert [t["function"]["name"] for t in first["tools"]] == ["glob", "grep", "read", "task"]
    assert first["tools"][3]["function"]["parameters"]["required"] == ["description", "prompt"]
    system, user, called, *told = last["messages"]
    assert [m["role"] for m in (system, user, called)] == ["system", "user", "assistant"]
    assert called["content"] is None and [c["id"] for c in called["tool_calls"]] == [m["tool_call_id"] for m in told]
    assert all(len(c["id"]) == 9 and c["id"].isalnum() for c in called["tool_calls"])
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == judged(1)["arguments"]


def test_malformed_arguments_do_not_go_back_as_they_came(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    bad = {"id": "x", "type": "function", "function": {"name": "task", "arguments": '{"prompt": '}}

    def reply(body: dict[str, Any]) -> str | Answer:
        return ok(None, finish="tool_calls", tool_calls=[bad]) if len(body["messages"]) == 2 else "done"

    with loopback(reply) as server:
        words = ("--base-url", server.url, "--model", "m", "--json", "--strategies", "toolcalls")
        (row,) = rlm("compare", "How many?", "--context", "inbox.txt", *words).json["rows"]
        assert row["answer"] == "done"
        sent = server.requests[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"malformed": '{"prompt": '}


def test_a_provider_that_dies_ends_its_row_alone(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)

    def reply(body: dict[str, Any]) -> str | Answer:
        return status(401, "gone") if any(m["role"] == "tool" for m in body["messages"]) else main_model(body)

    with loopback(reply) as server:
        words = ("--base-url", server.url, "--model", "m", "--json", "--strategies", "toolcalls,direct")
        done = rlm("compare", "How many?", "--context", "inbox.txt", *words)
    assert done.code == 0
    dead, alive = done.json["rows"]
    assert (dead["outcome"], alive["outcome"]) == ("failed", "answered")
    assert "401" in dead["error"] and dead["calls"] == 5


def test_ctrl_c_ends_the_one_under_way(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    asked = threading.Event()

    def reply(body: dict[str, Any]) -> str | Answer:
        if "tools" not in body:
            return "yes"
        asked.set()
        return Answer(delay=600)

    with loopback(reply) as server:
        words = ("--base-url", server.url, "--model", "m", "--json", "--strategies", "direct,toolcalls,chunks")
        with rlm.start("compare", "Which?", "--context", "inbox.txt", *words) as process:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert [(row["strategy"], row["outcome"]) for row in json.loads(out)["rows"]] == [("direct", "answered"), ("toolcalls", "interrupted")]
    assert err.count(b"interrupted") == 1 and b"toolcalls: interrupted" in err


# ---- pieces ----


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('<tool_call>\n{"name": "task", "arguments": {"a": "b"}}\n</tool_call>', [("task", '{"a": "b"}')]),
        (
            'So.\n<tool_call>{"name": "read", "arguments": {}}</tool_call><tool_call>{"name": "read", "arguments": {"x": 1}}</tool_call>',
            2,
        ),
        ('```json\n{"name": "task", "arguments": {"a": "b"}}\n```', [("task", '{"a": "b"}')]),
        ('I look.\n```json\n{"name": "task", "arguments": {"a": "b"}}\n```\nThen I answer.', [("task", '{"a": "b"}')]),
        ('It says:\n```json\n{"name": "read", "arguments": {}}\n```\nand\n```\n{"name": "Ann"}\n```', []),
        ('{"name": "read", "parameters": {"a": "b"}}', [("read", '{"a": "b"}')]),
        ('{"name": "other", "arguments": {}}', []),
        ('{"name": "read"}', []),
        ('{"name": "read", "arguments": {}} is how I would call it', []),
        ("<tool_call>nonsense</tool_call>", []),
        ("An answer.", []),
        ("[1, 2]", []),
    ],
)
def test_calls_that_the_server_did_not_read(text: str, calls: Any) -> None:
    said = written_calls(text, ["task", "read"])
    assert (len(said.calls) if isinstance(calls, int) else list(said.calls)) == calls
    assert said.calls or said.text == text


def test_arguments() -> None:
    made = tool("t", "", {"a": "x"}, {"n": ("integer", "y")})
    assert read_arguments(made, '{"a": "b", "n": "12"}') == {"a": "b", "n": 12}
    assert read_arguments(made, '{"a": "b", "n": null}') == {"a": "b"}
    for bad in ("", "null", "{}", '{"a": null}', '{"a": "b", "n": true}', '{"a": "b", "n": 1.5}', '{"a": "b", "n": "x"}'):
        with pytest.raises(BadReply):
            read_arguments(made, bad)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Files]:
    def made(**texts: str) -> Files:
        for name, text in texts.items():
            path = tmp_path / name.replace("_", "/").replace("/txt", ".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Files.of(given_contexts({"src": tmp_path}))

    return made


def test_paths_and_mentions(files: Callable[..., Files]) -> None:
    found = files(a_txt="1\n2\n3\n", deep_b_txt="x")
    assert list(found) == ["a.txt", "deep/b.txt"]
    assert list(matching(found, "*")) == ["a.txt"] and list(matching(found, "**/*.txt")) == ["a.txt", "deep/b.txt"]
    assert list(matching(found, "./deep/*")) == ["deep/b.txt"] and list(matching(found, "nothing")) == []
    prompt = 'See @"no such" @a.txt#L2-3, (@deep/b.txt) and @a.txt. Not me@a.txt, nor @c.txt; @a.txt#L2-3 again, @a.txt#L2.'
    assert mentioned(found, prompt) == [("a.txt", 2, 3), ("deep/b.txt", 1, None), ("a.txt", 1, None), ("a.txt", 2, 2)]
    assert [label(*m) for m in mentioned(found, prompt)] == ["a.txt#L2-3", "deep/b.txt", "a.txt", "a.txt#L2"]
    assert (part("1\n2\n3\n", 1, None), part("1\n2\n3\n", 2, 3), part("1\n2\n3\n", 3, 99), part("1\n", 9, 9)) == (
        "1\n2\n3\n",
        "2\n3",
        "3\n",
        "",
    )


# ---- as a program ----


def run_again(rlm: Shell, model: str, *inputs: str) -> Any:
    """The program of the transcript, run on the same memo."""
    assert rlm("fmt", "--check", "out/toolcalls.rlm").code == 0
    assert rlm("check", "out/toolcalls.rlm").out == ""
    return rlm("run", "out/toolcalls.rlm", *inputs, "--model", model, "--json").json


def test_tool_calls_are_a_straight_line_of_calls(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    prompts = ["Is it? @inbox.txt#L1", 'Is it, {or} "not"?\n\\ @inbox.txt#L2-3', "Is it? @inbox.txt", "Is it? @inbox.txt#L3-9"]
    model = rlm.rules(
        *JUDGE,
        {"match": "(?s)^The task.*Is it, ", "reply": "both"},
        *turns({"calls": [*map(task, prompts), call("task", prompt=3)]}, {"reply": "1, {3}"}),
    )
    done = rlm(
        "compare", "Which?", "--context", "inbox.txt", "--strategies", "toolcalls", "--model", model, "--json", "--as-program", "out"
    )
    (row,) = done.json["rows"]
    again = run_again(rlm, model, "inbox=@inbox.txt")
    assert again["answer"] == {"answer": "1, {3}", "tasks": results(row, "task")[:4]} and again["answer"]["tasks"][1] == "both"
    assert (again["used"]["calls"], again["used"]["requests"], again["used"]["from_memo"]) == (4, 0, 4)
    text = (rlm.folder / "out" / "toolcalls.rlm").read_text()
    assert text == row["program"] and "# Which?" in text and "# task failed" in text
    assert not any(word in text for word in (" for ", " if ", "map", "filter"))


def test_files_and_rows_in_a_straight_line(rlm: Shell) -> None:
    (rlm.folder / "src" / "a b").mkdir(parents=True)
    rlm.write("src/a.txt", "broken\n")
    rlm.write("src/a b/c[1].txt", "late\nfine\n")
    rlm.write("rows.jsonl", '{"id": 1, "note": "late"}\n{"id": 2, "note": null}\n')
    rlm.write("conf.json", '{"x": 1, "y": [true, null]}')
    paths = ["src/a.txt", "rows.jsonl#L2", "rows.jsonl", "conf.json", "src/a.txt#L1", '"src/a b/c[1].txt"#L2']
    model = rlm.rules(*JUDGE, *turns({"calls": [task(f"Is it? @{path}") for path in paths]}, {"reply": "[1, 2]"}))
    context = [word for path in ("src", "rows.jsonl", "conf.json") for word in ("--context", path)]
    words = ("--strategies", "toolcalls", "--model", model, "--json", "--as-program", "out", "--type", "[int]")
    (row,) = rlm("compare", "Which?", *context, *words).json["rows"]
    assert results(row, "task") == ["yes", "no", "yes", "no", "yes", "no"]
    again = run_again(rlm, model, "src=src", "rows=@rows.jsonl", "conf=@conf.json")
    assert again["answer"] == {"answer": [1, 2], "tasks": results(row, "task")} and again["used"]["requests"] == 0


def test_a_sub_agent_that_looked_by_itself_is_asked_anew(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    agent: list[Any] = [
        {"match": "(?s)^You are a sub-agent.*read\\(", "reply": "Line 3 is."},
        {"match": "^You are a sub-agent", "calls": [call("read", path="inbox.txt", offset=2), call("grep", pattern="late")]},
    ]
    anew = {"match": "(?s)^The task.*Find what is late.*My parcel is late", "reply": "Line 3, again."}
    model = rlm.rules(anew, *agent, *turns({"calls": [task("Find what is late.")]}, {"reply": "the third"}))
    rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", "toolcalls", "--model", model, "--as-program", "out")
    again = run_again(rlm, model, "inbox=@inbox.txt")
    assert again["answer"] == {"answer": "the third", "tasks": ["Line 3, again."]} and again["used"]["requests"] == 1


def test_every_strategy_has_its_program(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    programs: list[Any] = [{"match": "Turn 1 of ", "reply": '```rlm\nanswer call "Is it?" on inbox\n```'}, {"reply": "yes"}]
    model = rlm.rules(*programs)
    words = ("--strategies", "direct,chunks,folding,rlm", "--model", model, "--as-program", "out")
    assert rlm("compare", "Which?", "--context", "inbox.txt", *words).code == 0
    for name, given in (("direct", "data"), ("chunks", "data"), ("rlm", "inbox")):
        again = rlm("run", f"out/{name}.rlm", f"{given}=@inbox.txt", "--model", model, "--json").json
        assert (again["answer"], again["used"]["requests"]) == ("yes", 0), name
    assert rlm("run", "out/folding.rlm", "--model", model).code == 0


def test_a_long_file_is_read_on(rlm: Shell) -> None:
    rlm.write("inbox.txt", "".join(f"{at:04}{'x' * 96}\n" for at in range(600)) + "y" * 40_000 + "\nend\n")
    reads = [{"calls": [call("read", path="inbox.txt", offset=at)]} for at in (1, 296, 591, 601, 602)]
    model = rlm.rules(*turns(*reads, {"reply": "done"}))
    (row,) = rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", "toolcalls", "--model", model, "--json").json["rows"]
    first, second, third, fourth, last = results(row, "read")
    assert first.endswith("\n(307 more lines: read on from offset 296)") and first.startswith("0000xx") and len(first) <= 30_000
    assert second.startswith("0295xx") and third.count("\n") == 10 and third.endswith("(2 more lines: read on from offset 601)")
    assert fourth.endswith("more characters of this line)\n(1 more line: read on from offset 602)") and last == "end"


def test_chunks_take_no_more_calls_than_they_may(rlm: Shell) -> None:
    rlm.write("inbox.txt", "A line of some length.\n" * 2_000)
    words = ("compare", "Which?", "--context", "inbox.txt", "--strategies", "chunks", "--model", rlm.rules({"reply": "x"}), "--json")
    (row,) = rlm(*words, "--calls", "5").json["rows"]
    assert (row["outcome"], row["calls"]) == ("budget", 0) and "takes at least 7 calls, and may take 5" in row["error"]
    (row,) = rlm(*words, "--calls", "7").json["rows"]
    assert row["outcome"] == "answered"


def test_nothing_is_launched_that_nobody_would_read(rlm: Shell) -> None:
    row = compared(rlm, "toolcalls", *JUDGE, *turns({"calls": [judged(1)]}, {"calls": [judged(2)]}), words=("--turns", "2"))
    assert (row["outcome"], row["calls"], results(row, "task")) == ("no answer", 3, ["yes"])
    row = compared(rlm, "toolcalls", *JUDGE, *turns({"calls": [judged(1), judged(2)]}, {"reply": "done"}), words=("--calls", "3"))
    assert (row["outcome"], row["calls"]) == ("answered", 3)
    assert results(row, "task") == ["yes", "error: no answer: all of its 3 calls are used"]


def test_a_search_ends_when_nobody_waits_for_it(files: Callable[..., Files]) -> None:
    stop = threading.Event()
    found = files(a_txt="one\ntwo\n")
    assert search(found, ["a.txt"], "o", stop) == "a.txt:1:one\na.txt:2:two"
    stop.set()
    assert search(found, ["a.txt"], "o", stop) == ""
