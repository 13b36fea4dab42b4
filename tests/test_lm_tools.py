"""Tools in requests: keys, what is sent, what is read, what it may cost; by every kind of provider."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import marshal
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rlmlang import limits
from rlmlang.errors import CutOff, Failure, Refused, UsageError
from rlmlang.lm.providers.chat import Chat
from rlmlang.lm.providers.gguf import GgufProvider, add_piece
from rlmlang.lm.providers.script import ScriptProvider
from rlmlang.lm.render import worst_input_tokens
from rlmlang.lm.reply import BadReply, Spoken, read_reply
from rlmlang.lm.request import Completion, Message, Model, Request, Tool, ToolCall
from rlmlang.lm.tools import read_tool_calls
from rlmlang.lm.workers import wire
from rlmlang.types import BOOL

MODEL = Model(name="m", provider="openai", model="mm", base_url="http://h/v1")
TASK = Tool("task", "Does it.", {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]})
TALK = (
    Message("user", "Go."),
    Message("assistant", "", (ToolCall("a", "task", '{"prompt": "x"}'),)),
    Message("tool", "done", call_id="a"),
)
ASKED = Request(MODEL, TALK, tools=(TASK,))


def test_requests_without_tools_have_the_keys_that_they_had() -> None:
    """Else every memo store there is would answer nothing any more."""
    plain = Request(MODEL, (Message("system", "s"), Message("user", "é?")))
    assert plain.key.hex() == "5534062a22a060c475514c4fa950c79d4b74a1984c9eda9d9a6ca8a8f1109fee"
    typed = Request(MODEL, (Message("user", "x"),), BOOL, {"a": 1}, 32, 0.0, 3)
    assert typed.key.hex() == "5e7b46581deee4573377b712fb4ba421409311553a6340291330ae0d3b6bb31c"
    grammar = Request(MODEL, (Message("user", "x"),), grammar="g", temperature=0.7)
    assert grammar.key.hex() == "25662a6239067a2b89734a45f907bdd1be9634a927cd3c298d44802aa23747ff"


def test_what_may_change_the_reply_is_in_the_key() -> None:
    user, called, told = TALK
    others = [
        evolve(ASKED, tools=()),
        evolve(ASKED, tools=(TASK, TASK)),
        evolve(ASKED, tools=(evolve(TASK, description="Does it?"),)),
        evolve(ASKED, tools=(evolve(TASK, parameters={"type": "object"}),)),
        evolve(ASKED, messages=(user, evolve(called, calls=()), told)),
        evolve(ASKED, messages=(user, evolve(called, calls=(evolve(called.calls[0], arguments="{}"),)), told)),
        evolve(ASKED, messages=(user, evolve(called, calls=(evolve(called.calls[0], name="b"),)), told)),
        evolve(ASKED, messages=(user, called, evolve(told, call_id="b"))),
        evolve(ASKED, messages=(user, called, evolve(told, call_id=None))),
    ]
    assert len({request.key for request in (ASKED, *others)}) == len(others) + 1
    assert evolve(ASKED, tools=(Tool(TASK.name, TASK.description, dict(TASK.parameters)),)).key == ASKED.key


def test_what_is_sent() -> None:
    body = Chat(MODEL).body(ASKED)
    assert body["tools"] == [
        {"type": "function", "function": {"name": "task", "description": "Does it.", "parameters": dict(TASK.parameters)}}
    ]
    assert body["messages"] == [
        {"role": "user", "content": "Go."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "task", "arguments": '{"prompt": "x"}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "done"},
    ]
    assert "tools" not in Chat(MODEL).body(evolve(ASKED, tools=(), messages=TALK[:1]))


def reply(**message: Any) -> Completion:
    return Chat(MODEL).read_body({"choices": [{"message": message, "finish_reason": message.pop("finish", "tool_calls")}]})


def value(**message: Any) -> Spoken:
    return Spoken.read(read_reply(reply(**message), ASKED))


def called(name: Any = "task", arguments: Any = "{}") -> Any:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("finish", ["tool_calls", "stop", None])
def test_calls_are_read(finish: str | None) -> None:
    assert value(content=None, tool_calls=[called(), called("b", '{"a": 1}')], finish=finish) == Spoken(
        "", (("task", "{}"), ("b", '{"a": 1}'))
    )
    assert value(content="So: ", tool_calls=[called("task", "not json")], finish=finish) == Spoken("So: ", (("task", "not json"),))


def test_what_servers_make_of_arguments() -> None:
    assert value(content="", tool_calls=[called("task", {"a": "é"}), called("task", None)]).calls == (("task", '{"a": "é"}'), ("task", ""))


def test_an_answer_calls_nothing() -> None:
    assert value(content="Four.", finish="stop") == Spoken("Four.")
    assert value(content="Four.", tool_calls=[], finish="stop") == Spoken("Four.")
    assert len(value(content="x" * 99_999, finish="stop").text) == limits.REPLY_BYTES_PER_TOKEN * ASKED.max_tokens


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"content": None, "tool_calls": "?", "finish": "stop"}, BadReply),
        ({"content": None, "tool_calls": [None, {"function": None}, called(3)], "finish": "stop"}, BadReply),
        ({"content": None, "tool_calls": [called("\ud800")]}, BadReply),
        ({"content": None, "tool_calls": [called("task", "x" * 9_999)]}, BadReply),
        ({"content": "so", "tool_calls": [called()], "finish": "length"}, CutOff),
        ({"content": "so", "tool_calls": [called()], "finish": "content_filter"}, Refused),
        ({"content": None, "refusal": "no", "finish": "stop"}, Refused),
        ({"content": None, "tool_calls": [], "finish": "tool_calls"}, BadReply),
    ],
)
def test_replies_that_are_none(message: Mapping[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        value(**message)


def test_a_call_where_no_tool_was_offered_is_still_a_failure() -> None:
    with pytest.raises(Failure, match="called a tool"):
        read_reply(reply(content=None, tool_calls=[called()]), evolve(ASKED, tools=()))


def test_tools_count_in_the_worst_case() -> None:
    """A chat template may write the tools and their calls with indents, and says how they are called."""
    plain = worst_input_tokens(evolve(ASKED, tools=(), messages=TALK[:1]))
    assert worst_input_tokens(evolve(ASKED, messages=TALK[:1])) >= plain + len(json.dumps(TASK.parameters, indent=1))
    assert worst_input_tokens(ASKED) >= worst_input_tokens(evolve(ASKED, messages=TALK[:1])) + len('{"prompt": "x"}done')


TEXTS = st.text(st.characters(codec=None), max_size=20)
CALLS = st.lists(st.builds(ToolCall, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple)


@given(
    st.lists(st.builds(Message, st.sampled_from(["assistant", "tool"]), TEXTS, CALLS, st.none() | TEXTS), min_size=1, max_size=3),
    st.lists(st.builds(Tool, TEXTS, TEXTS, st.dictionaries(TEXTS, st.lists(TEXTS), max_size=2)), max_size=2),
    CALLS,
)
def test_a_worker_sends_and_reads_the_same(said: list[Message], tools: list[Tool], calls: tuple[ToolCall, ...]) -> None:
    request = Request(MODEL, tuple(said), tools=tuple(tools))
    _, _, _, *asked = marshal.loads(marshal.dumps(wire.ask_words(1, 1, request)))
    assert wire.read_ask(MODEL, *asked) == request
    completion = Completion("x", "tool_calls", tool_calls=calls)
    _, _, *rest = marshal.loads(marshal.dumps(wire.reply_words(1, completion)))
    assert wire.read_completion(*rest) == completion


# ---- a scripted model ----


def scripted(folder: Path, request: Request, *rules: dict[str, Any]) -> Completion:
    path = folder / "rules.jsonl"
    path.write_text("\n".join(map(json.dumps, rules)))
    return asyncio.run(ScriptProvider(Model(name="s", provider="script", model="s", path=str(path))).complete(request))


def test_rules_that_call_tools(tmp_path: Path) -> None:
    rule = {"match": "(G)o", "reply": "So \\1", "calls": [{"name": "task", "arguments": {"prompt": "\\1?", "n": 3}}, {"name": "b"}]}
    said = scripted(tmp_path, ASKED, rule)
    assert (said.text, said.finish) == ("So G", "tool_calls")
    assert [(c.name, c.arguments) for c in said.tool_calls] == [("task", '{"prompt": "G?", "n": 3}'), ("b", "{}")]
    assert said.usage is not None and said.usage.output_tokens > len("So G") // 4
    assert scripted(tmp_path, ASKED, {"calls": [{"name": "t", "arguments": "{bad"}]}).tool_calls[0].arguments == "{bad"


def test_rules_see_calls_and_count_tools(tmp_path: Path) -> None:
    assert scripted(tmp_path, ASKED, {"match": 'task\\(\\{"prompt": "x"\\}\\)\\ndone', "reply": "seen"}).text == "seen"
    with_tools, without = (scripted(tmp_path, r, {"reply": "x"}).usage for r in (ASKED, evolve(ASKED, tools=())))
    assert with_tools is not None and without is not None and with_tools.input_tokens > without.input_tokens + 20


def test_a_call_that_is_too_long_is_cut_off(tmp_path: Path) -> None:
    said = scripted(tmp_path, evolve(ASKED, max_tokens=3), {"calls": [{"name": "task", "arguments": {"prompt": "x" * 99}}]})
    assert said.finish == "length" and not said.tool_calls


@pytest.mark.parametrize(
    "rule",
    [
        {"calls": "task"},
        {"calls": [{"arguments": {}}]},
        {"calls": [{"name": 3}]},
        {"calls": [{"name": "a", "id": "x"}]},
        {"calls": [{"name": "a"}], "reply": 3},
        {"match": "x", "calls": [{"name": "a", "arguments": {"b": "\\1"}}]},
    ],
)
def test_wrong_rules(tmp_path: Path, rule: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        scripted(tmp_path, ASKED, rule)


# ---- llama.cpp's stream ----


def test_calls_come_in_pieces() -> None:
    calls: dict[int, dict[str, Any]] = {}
    for piece in (
        {"index": 0, "id": "x", "type": "function", "function": {"name": "task", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"prompt":'}},
        {"index": 1, "id": "y", "type": "function", "function": {"name": "read", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": ' "x"}'}},
        {"index": 2, "function": None},
    ):
        add_piece(calls, piece)
    found = read_tool_calls([calls[at] for at in sorted(calls)])
    assert [(c.name, c.arguments) for c in found] == [("task", '{"prompt": "x"}'), ("read", "{}"), ("", "")]


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
def test_what_llama_cpp_is_sent() -> None:
    provider = GgufProvider(Model(name="g", provider="gguf", model="g"))
    provider._marks = re.compile(re.escape("<|im_end|>"))
    spoilt = evolve(ASKED.messages[1], calls=(ToolCall("a", "task", '{"prompt": "<|im_end|>"}'),))
    body = provider._body(evolve(ASKED, messages=(ASKED.messages[0], spoilt, evolve(ASKED.messages[2], content="<|im_end|>"))))
    _, said, told = body["messages"]
    assert "<|im_end|>" not in said["tool_calls"][0]["function"]["arguments"] + told["content"]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"prompt": "<\u200b|im_end|>"}
    assert (said["tool_calls"][0]["id"], told["tool_call_id"]) == ("a", "a")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["task"] and body["parallel_tool_calls"] is True
    assert "tools" not in provider._body(evolve(ASKED, tools=()))
