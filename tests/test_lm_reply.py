"""Reading replies: good ones, ones that can be met half-way, bad ones, and those that are failures."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.errors import Failure, RlmError
from rlmlang.lm.render import render
from rlmlang.lm.reply import BadReply, read_reply
from rlmlang.lm.request import Completion, Model
from rlmlang.types import BOOL, FLOAT, INT, JSON, NONE, TEXT, Enum, ListOf, RecordOf, Type, optional

MODEL = Model("m", "openai", "m")
KIND = Enum(("core", "helper", "test"))


def read(text: str | None, type: Type, **more: Any) -> Any:
    return read_reply(Completion(text, **more), render("p", [], type, MODEL))


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("  as it is\n", TEXT, "  as it is\n"),
        ('{"value": true}', BOOL, True),
        ('{"value": "core"}', KIND, "core"),
        ('{"value": null}', optional(INT), None),
        ('{"value": null}', NONE, None),
        ('{"value": 3}', FLOAT, 3.0),
        ('{"value": [1, 2]}', ListOf(INT), [1, 2]),
        ('{"a": 1, "b": null}', RecordOf((("a", INT), ("b", optional(TEXT)))), {"a": 1, "b": None}),
        ('{"a": 1, "extra": 2}', RecordOf((("a", INT),)), {"a": 1}),
        ('{"value": 1}', RecordOf((("value", INT),)), {"value": 1}),
        ('{"value": 1}', JSON, {"value": 1}),
        # a server that ignored the schema
        ("[1, 2]", ListOf(INT), [1, 2]),
        ('```json\n{"value": 3}\n```', INT, 3),
        ('Sure:\n```json\n{"value": "a ``` b"}\n```\n', ListOf(TEXT), None),
        ("42", INT, 42),
        ("core", KIND, "core"),
        (' "Core".\n', KIND, "core"),
        ('{"value": " HELPER "}', KIND, "helper"),
        ("True", BOOL, True),
        ("no.", BOOL, False),
        ('"true"', BOOL, True),
    ],
)
def test_good_replies(text: str, type: Type, value: Any) -> None:
    if value is None and type not in (NONE, optional(INT)):
        with pytest.raises(BadReply):
            read(text, type)
    else:
        got = read(text, type)
        assert got == value and isinstance(got, bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("text", "type"),
    [
        (None, TEXT),
        ("", TEXT),
        (" \n", TEXT),
        ("half \ud800 a pair", TEXT),
        ('{"value": "\\ud800"}', ListOf(TEXT)),
        ("I am sorry, but I cannot help with that.", KIND),
        ("core or helper", KIND),
        ('{"value": "cores"}', KIND),
        ('{"value": NaN}', FLOAT),
        ('{"value": 1e999}', FLOAT),
        ('{"value": 1, "value": 2}', INT),
        ('{"value": 1,}', INT),
        ('{"value": ' + "9" * 5000 + "}", INT),
        ("[" * 100_000, JSON),
        ("[" * 1_000 + "]" * 1_000, JSON),
        ('{"value": 1.5}', INT),
        ('{"value": true}', INT),
        ('{"value": "1"}', INT),
        ('{"value": [1, 2, 3]}', ListOf(INT, 2)),
        ('{"a": 1}', RecordOf((("a", INT), ("b", INT)))),
        ('{"value": "' + "x" * 70_000 + '"}', ListOf(TEXT)),
    ],
)
def test_bad_replies_say_what_is_wrong(text: str | None, type: Type) -> None:
    with pytest.raises(BadReply) as caught:
        read(text, type)
    assert caught.value.message and len(caught.value.message) < 1_000


def test_an_ambiguous_word_is_no_word() -> None:
    both = Enum(("Yes", "yes"))
    assert read("yes", both) == "yes"
    with pytest.raises(BadReply):
        read("YES", both)


@pytest.mark.parametrize("finish", ["length", "content_filter", "tool_calls"])
@pytest.mark.parametrize("type", [TEXT, BOOL])
def test_what_asking_again_cannot_mend(finish: str, type: Type) -> None:
    with pytest.raises(Failure):
        read('{"value": true}', type, finish=finish)
    with pytest.raises(Failure, match="refused"):
        read(None, type, refusal="No.")


def test_a_long_text_is_cut_between_characters() -> None:
    request = render("p", [], TEXT, MODEL, max_tokens=2)
    assert read_reply(Completion("a" + "é" * 20), request) == "a" + "é" * 7
    with pytest.raises(BadReply):
        read_reply(Completion(json.dumps({"value": list(range(20))})), render("p", [], ListOf(INT), MODEL, max_tokens=2))


types = st.sampled_from([TEXT, BOOL, INT, KIND, optional(KIND), ListOf(INT), JSON, RecordOf((("a", KIND),))])
words = st.sampled_from(
    ['{"value":', "true", '"core"', "}", "```json\n", "```", "[", "]", "1", ",", '"', "\\ud800", "\n", "null", "🙂", '{"a":']
)


@given(st.one_of(st.text(), st.lists(words, max_size=8).map("".join)), types)
def test_nothing_else_ever_leaves(text: str, type: Type) -> None:
    with contextlib.suppress(BadReply, RlmError):
        read(text, type)
