"""Scripted models: which rule answers, with what, and what each fault is."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.errors import UsageError
from rlmlang.lm.providers.script import ScriptProvider, read_rules
from rlmlang.lm.request import Completion, Message, Model, ProviderError, Request, Usage
from rlmlang.lm.schema import schema_of
from rlmlang.types import BOOL, INT, TEXT, Enum, ListOf, Optional, RecordOf, Type

DOCUMENT = Path(__file__).parent.parent / "docs" / "script-models.md"


@pytest.fixture
def provider(tmp_path: Path) -> Any:
    """Makes a provider of the rules given: a list of objects, or the file's text."""

    def make(rules: list[Any] | str) -> ScriptProvider:
        path = tmp_path / "rules.jsonl"
        path.write_text(rules if isinstance(rules, str) else "\n".join(map(json.dumps, rules)), encoding="utf-8")
        return ScriptProvider(Model(name="script", provider="script", model="script", path=str(path)))

    return make


def request(prompt: str, type: Type = TEXT, **more: Any) -> Request:
    model = Model(name="script", provider="script", model="script", path="rules.jsonl")
    return Request(model=model, messages=(Message("user", prompt),), type=type, schema=schema_of(type), **more)


def ask(provider: ScriptProvider, prompt: str, type: Type = TEXT, **more: Any) -> Completion:
    return asyncio.run(provider.complete(request(prompt, type, **more)))


def test_the_first_matching_rule_answers(provider: Any) -> None:
    p = provider([{"match": "a", "reply": "first"}, {"match": "ab", "reply": "second"}, {"match": "b", "reply": "third"}])
    assert ask(p, "xaby").text == "first"
    assert ask(p, "b").text == "third"


def test_match_sees_all_messages_joined(provider: Any) -> None:
    p = provider([{"match": "^one\ntwo$", "reply": "ok"}])
    messages = (Message("system", "one"), Message("user", "two"))
    assert asyncio.run(p.complete(evolve(request(""), messages=messages))).text == "ok"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (r"\1 in \2", "Wien in Österreich"),
        (r"<\0>", "<Wien: Österreich>"),
        (r"\\1 is \1", r"\1 is Wien"),
        (r"C:\dir", r"C:\dir"),
        (r"\3.", "."),
    ],
)
def test_groups_of_the_match_stand_in_the_reply(provider: Any, reply: str, expected: str) -> None:
    assert ask(provider([{"match": r"(\w+): (\S+)(!)?", "reply": reply}]), "Wien: Österreich").text == expected


def test_what_a_group_holds_is_not_looked_at_again(provider: Any) -> None:
    assert ask(provider([{"match": r"<(.*)> <(.*)>", "reply": r"\1"}]), r"<\2> <x>").text == r"\2"


@pytest.mark.parametrize(
    ("type", "reply", "expected"),
    [
        (BOOL, True, {"value": True}),
        (INT, 3, {"value": 3}),
        (Enum(("positive", "negative")), "positive", {"value": "positive"}),
        (ListOf(TEXT), ["a", "b"], {"value": ["a", "b"]}),
        (BOOL, {"value": True}, {"value": True}),
        (RecordOf((("name", TEXT),)), {"name": r"\1"}, {"name": "x"}),
        (RecordOf((("name", TEXT),)), r'{"name": "\1"}', {"name": "x"}),
        (RecordOf((("value", INT),)), {"value": 3}, {"value": 3}),
        (Optional(RecordOf((("name", TEXT),))), {"name": "n"}, {"value": {"name": "n"}}),
        (Optional(INT), None, {"value": None}),
        (ListOf(TEXT), [r"\1", "b"], {"value": ["x", "b"]}),
    ],
)
def test_a_typed_call_gets_the_value_in_its_wrapping(provider: Any, type: Type, reply: Any, expected: Any) -> None:
    assert json.loads(ask(provider([{"match": "(x)", "reply": reply}]), "x", type).text or "") == expected


def test_raw_is_sent_exactly(provider: Any) -> None:
    assert ask(provider([{"reply": "```json\ntrue\n```", "raw": True}]), "x", BOOL).text == "```json\ntrue\n```"


def test_a_call_for_text_gets_other_values_as_json(provider: Any) -> None:
    assert ask(provider([{"reply": {"a": [1, "é"]}}]), "x").text == '{"a": [1, "é"]}'


def test_default_usage_is_a_token_for_four_bytes_rounded_up(provider: Any) -> None:
    assert ask(provider([{"reply": "éé!"}]), "12345").usage == Usage(2, 2)


def test_usage_can_be_told_or_missing(provider: Any) -> None:
    assert ask(provider([{"reply": "abcde", "usage": {"input_tokens": 7, "cached_tokens": 3}}]), "x").usage == Usage(7, 2, 3)
    assert ask(provider([{"reply": "a", "usage": None}]), "x").usage is None


def test_a_reply_over_max_tokens_stops_there(provider: Any) -> None:
    cut = ask(provider([{"reply": "é" * 50}]), "x", max_tokens=5)
    assert (cut.text, cut.finish, cut.usage) == ("é" * 10, "length", Usage(1, 5))


@pytest.mark.parametrize("fault", ["429", 429, "500", "503", "timeout", "drop"])
def test_faults_that_are_tried_again(provider: Any, fault: Any) -> None:
    p = provider([{"fault": fault, "reply": "ok", "times": 2, "retry_after": 1.5}])
    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            ask(p, "x")
        assert caught.value.retryable
        assert caught.value.charged == (fault in ("timeout", "drop"))
        if str(fault).isdigit():
            assert (caught.value.status, caught.value.retry_after) == (int(fault), 1.5)
    assert ask(p, "x").text == "ok"


def test_faults_that_answer(provider: Any) -> None:
    said = {
        fault: ask(provider([{"fault": fault, "reply": "abcdef"}]), "x", max_tokens=10)
        for fault in ("refuse", "filter", "length", "empty", "garbage", "huge")
    }
    assert said["refuse"].refusal and said["refuse"].text is None
    assert said["filter"].finish == "content_filter"
    assert (said["length"].text, said["length"].finish) == ("abc", "length")
    assert said["empty"].text == ""
    assert len(said["huge"].text or "") > 8 * 10
    with pytest.raises(ValueError):
        json.loads(said["garbage"].text or "")


def test_fail_at_counts_all_requests_of_the_run(provider: Any) -> None:
    p = provider([{"match": "other", "reply": "-"}, {"fault": "drop", "fail_at": [1, 3], "reply": "ok"}])
    said = []
    for prompt in ("x", "x", "other", "x", "x"):
        try:
            said.append(ask(p, prompt).text)
        except ProviderError:
            said.append("fault")
    assert said == ["ok", "fault", "-", "fault", "ok"]


def test_a_delay_is_drawn_from_the_request(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("rlmlang.lm.providers.script.asyncio.sleep", sleep)
    p = provider([{"reply": "ok", "delay": [1, 3]}])
    for sample in (0, 1, 2, 0):
        asyncio.run(p.complete(request("x", sample=sample)))
    assert len(set(slept)) == 3 and slept[0] == slept[3] and all(1 <= s <= 3 for s in slept)


def test_a_waiting_call_can_be_cancelled(provider: Any) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(provider([{"reply": "ok", "delay": 3600}]).complete(request("x")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_no_rule_is_a_final_error_that_shows_the_prompt(provider: Any) -> None:
    with pytest.raises(ProviderError, match=r"begins: Hello \\u202e there") as caught:
        ask(provider([{"match": "never", "reply": "x"}]), "Hello \u202e there")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('{"reply": "a"}\n\n{"reply": }', 3, "not valid JSON"),
        ('{"reply": "a"} {"reply": "b"}', 1, "one rule a line"),
        ("3", 1, "a rule is an object"),
        ('{"match": "a"}', 1, "`reply` is needed"),
        ('{"fault": "429", "times": 1}', 1, "the fault spares"),
        ('{"reply": 1, "regex": "a"}', 1, "`regex` is no key"),
        ('{"reply": 1, "match": "a(?=b)"}', 1, "no regular expression"),
        ('{"reply": 1, "match": 7}', 1, "`match` is"),
        ('{"reply": "\\\\2", "match": "(a)"}', 1, "`match` has 1 groups"),
        ('{"reply": 1, "delay": -1}', 1, "`delay` is"),
        ('{"reply": 1, "delay": [3, 1]}', 1, "least, most"),
        ('{"reply": 1, "delay": NaN}', 1, "NaN is not JSON"),
        ('{"fault": "418"}', 1, "`fault` is one of"),
        ('{"reply": 1, "times": 3}', 1, "there is none"),
        ('{"reply": 1, "fault": "500", "times": 1, "fail_at": [1]}', 1, "not both"),
        ('{"reply": 1, "fault": "500", "fail_at": [-1]}', 1, "`fail_at` is"),
        ('{"reply": 1, "usage": {"tokens": 3}}', 1, "`usage` is"),
        ('{"reply": 1, "reply": 2}', 1, "twice"),
        ('{"reply": 1, "match": "\\ud800"}', 1, "half a character"),
        ('{"reply": ' + "9" * 5000 + "}", 1, "not valid JSON"),
        ('{"reply": ' + "[" * 100_000, 1, "nested too deep"),
        ('[\n {"reply": "a"},\n {"reply": }\n]', 3, "not valid JSON"),
        ('[\n {"reply": "a"}\n {"reply": "b"}\n]', 3, "a comma"),
        ('[\n {"reply": "a"},\n', 3, "not valid JSON"),
        ('[{"reply": "a"}] x', 1, "a comma"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(provider: Any, text: str, line: int, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        provider(text)
    assert f"rules.jsonl:{line}: " in caught.value.message


@pytest.mark.parametrize("data", [b"", b"\n\n", b"[]", b"\xff\xfe", b'{"reply": "\xe9"}'])
def test_files_without_rules_or_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "rules").write_bytes(data)
    with pytest.raises(UsageError):
        read_rules(tmp_path / "rules")


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="no file of rules"):
            read_rules(path)


def test_a_list_and_lines_say_the_same(tmp_path: Path) -> None:
    rules = [{"match": "a", "reply": [1, {"b": None}]}, {"reply": "x", "fault": "drop", "times": 1}]
    (tmp_path / "lines").write_text("\ufeff" + "\r\n".join(map(json.dumps, rules)))
    (tmp_path / "list").write_text(json.dumps(rules, indent=2))
    lines, listed = read_rules(tmp_path / "lines"), read_rules(tmp_path / "list")
    assert [r.reply for r in lines] == [r.reply for r in listed] == [[1, {"b": None}], "x"]


@given(st.text(), st.text())
def test_any_text_of_a_rule_comes_back(tmp_path_factory: pytest.TempPathFactory, reply: str, prompt: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(json.dumps([{"reply": reply.replace("\\", "\\\\")}]))
    provider = ScriptProvider(Model(name="s", provider="script", model="s", path=str(path)))
    assert ask(provider, prompt, max_tokens=10_000).text == reply


def test_the_document_is_true(provider: Any) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (rules,) = re.findall(r"```jsonl\n(.*?)```", text, re.DOTALL)
    p = provider(rules)
    assert json.loads(ask(p, "Is this review positive?\nI love it", BOOL).text or "") == {"value": True}
    assert json.loads(ask(p, "Is this review positive?\nI hate it", BOOL).text or "") == {"value": False}
    assert ask(p, "Which city is Graz in?").text == "Graz is in Austria."
    for _ in range(2):
        with pytest.raises(ProviderError):
            ask(p, "Summarise.")
    assert ask(p, "Summarise.").text == "In short: all is well."
    assert ask(p, "What?").text == "I do not know."
    from rlmlang.lm.providers.script import _FAULTS, _KEYS

    assert all(f"`{word}`" in text for word in (*_FAULTS, *_KEYS))
