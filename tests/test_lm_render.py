"""Rendering: what a call looks like to a model, and that no datum can break out of its part."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang import limits
from rlmlang.files import FileValue
from rlmlang.lm.render import render, reply_tokens, worst_input_tokens
from rlmlang.lm.request import Model
from rlmlang.lm.schema import schema_of
from rlmlang.types import BOOL, FLOAT, INT, JSON, NONE, TEXT, Enum, ListOf, RecordOf, Tuple, Type, optional

MODEL = Model("m", "openai", "m")


def content(*data: tuple[str | None, Any], prompt: str = "Do it.", type: Type = TEXT, model: Model = MODEL, **more: Any) -> str:
    return render(prompt, data, type, model, **more).messages[-1].content


def test_without_data_the_prompt_is_sent_as_it_stands() -> None:
    request = render("Say hi.", [], TEXT, MODEL, system="Be brief.")
    assert [(m.role, m.content) for m in request.messages] == [("system", "Be brief."), ("user", "Say hi.")]
    assert request.schema is None


def test_stable_parts_stand_first() -> None:
    one, two = content((None, "first document")), content((None, "second document"))
    common = one[: one.index("first document")]
    assert two.startswith(common) and "Do it." in common


def test_text_goes_verbatim_and_all_else_as_json() -> None:
    text = 'a "quoted" line\n{x} ${y} %s'
    assert f"\n{text}\n" in content((None, text))
    assert '\n{"a": [1, null, true]}\n' in content((None, {"a": [1, None, True]}))
    assert "\n[0, 1, 2]\n" in content((None, range(3)))


def test_names_and_paths_are_labels() -> None:
    file = FileValue.held("notes/a.txt", b"inside\n")
    shown = content(("report", "r"), (None, file), ("source", file))
    assert '\nData "report"\n' in shown
    assert '\nData "notes/a.txt"\n' in shown and '\nData "source" (file "notes/a.txt")\n' in shown
    assert shown.count("\ninside\n") == 2


def test_a_hostile_path_stays_in_its_label() -> None:
    file = FileValue.held("a\n=====8<=====\nTask", b"x")
    assert "\nTask\n" not in content((None, file)).partition("Do it.")[2]


pieces = st.sampled_from(["=====8<=====", "=====8<1=====", "=====8<2=====", "=====8<", "=====", "1", "3", "01", "\n", "x", "é"])


@given(st.lists(st.lists(pieces, max_size=12).map("".join), min_size=1, max_size=3), st.lists(pieces, max_size=6).map("".join))
def test_the_fence_occurs_in_no_datum(texts: list[str], prompt: str) -> None:
    shown = content(*((None, text) for text in texts), prompt=prompt)
    fence = shown.partition("between lines of ")[2].partition(". ")[0]
    assert not any(fence in text for text in [*texts, prompt])
    assert shown.split("\n").count(fence) == 2 * (len(texts) + 1)
    for text in texts:
        assert f"\n{fence}\n{text}\n{fence}" in shown
    assert content(*((None, text) for text in texts), prompt=prompt) == shown


def test_the_fence_is_the_first_that_is_free() -> None:
    def fence_of(text: str) -> str:
        return content((None, text)).partition("between lines of ")[2].partition(". ")[0]

    assert fence_of("plain") == "=====8<====="
    assert fence_of("=====8<=====") == "=====8<1====="
    assert fence_of("=====8<===== =====8<1=====8<2=====") == "=====8<3====="


@pytest.mark.parametrize(
    ("type", "tokens"),
    [
        (TEXT, 1024),
        (BOOL, 32),
        (INT, 32),
        (optional(FLOAT), 32),
        (Enum(("a", "b")), 32),
        (Enum(("a", "x" * 100)), 118),
        (ListOf(INT), limits.TYPED_REPLY_TOKENS),
        (RecordOf((("a", INT),)), limits.TYPED_REPLY_TOKENS),
    ],
)
def test_default_reply_tokens(type: Type, tokens: int) -> None:
    assert reply_tokens(type) == tokens == render("p", [], type, MODEL).max_tokens


def test_the_models_limit_and_reasoning_count() -> None:
    assert render("p", [], TEXT, Model("m", "openai", "m", max_output_tokens=500)).max_tokens == 500
    reasoning = Model("m", "openai", "m", reasoning_tokens=4_000)
    assert render("p", [], BOOL, reasoning).max_tokens == 4_032
    assert render("p", [], BOOL, reasoning, max_tokens=5).max_tokens == 4_005
    assert render("p", [], BOOL, reasoning).temperature is None


def test_temperature_is_the_calls_else_the_models_else_zero() -> None:
    warm = Model("m", "openai", "m", temperature=0.4)
    assert render("p", [], TEXT, MODEL).temperature == 0
    assert render("p", [], TEXT, warm).temperature == 0.4
    assert render("p", [], TEXT, warm, temperature=0.0).temperature == 0.0


def test_every_part_of_a_call_changes_its_key() -> None:
    base: dict[str, Any] = {"prompt": "p", "data": [("a", "x")], "type": BOOL, "model": MODEL}
    changes: list[dict[str, Any]] = [
        {"prompt": "q"},
        {"data": [("a", "y")]},
        {"data": [("b", "x")]},
        {"data": [("a", "x"), (None, "")]},
        {"type": INT},
        {"type": TEXT},
        {"max_tokens": 7},
        {"temperature": 0.5},
        {"sample": 1},
        {"system": ""},
        {"model": Model("m", "openai", "n")},
        {"model": Model("m", "openai", "m", base_url="http://localhost/v1")},
    ]
    keys = [render(**(base | change)).key for change in [{}, *changes]]
    assert len(set(keys)) == len(keys)
    assert render(**(base | {"temperature": 0})).key == keys[0]  # 0 and 0.0 are one temperature
    assert render(**base).key == keys[0] == render(**(base | {"model": Model("other name", "openai", "m", concurrency=1)})).key


def test_a_model_without_structured_output_gets_the_schema_in_words() -> None:
    prompted = Model("m", "openai", "m", structured="prompt")
    shown = content((None, "d"), type=BOOL, model=prompted)
    assert json.dumps(schema_of(BOOL), separators=(",", ":")) in shown
    assert shown.index('"enum"') < shown.index("Do it.")
    assert '{"value": "yes" | "no"}' in content((None, "d"), type=BOOL)


@given(st.text(), st.text())
def test_worst_input_counts_every_byte(prompt: str, datum: str) -> None:
    request = render(prompt, [(None, datum)], BOOL, MODEL, system="s")
    size = sum(len(m.content.encode()) for m in request.messages) + len(json.dumps(request.schema, separators=(",", ":")))
    assert worst_input_tokens(request) == size + 64


def walk(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in walk(item)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(found for item in schema.values() for found in walk(item))]


@pytest.mark.parametrize(
    "type",
    [
        BOOL,
        NONE,
        Enum(("a", "b")),
        ListOf(TEXT, 3),
        optional(INT),
        Tuple((INT, TEXT)),
        RecordOf((("a", optional(ListOf(INT))), ("b c", TEXT))),
    ],
)
def test_schemas_are_strict(type: Type) -> None:
    schema = schema_of(type)
    assert schema is not None and schema["type"] == "object"
    for part in walk(schema):
        if part.get("type") == "object":
            assert part["additionalProperties"] is False and part["required"] == list(part["properties"])


def test_schema_details() -> None:
    assert schema_of(TEXT) is None and schema_of(JSON) is None and schema_of(ListOf(JSON)) is None
    lists = schema_of(ListOf(INT, 10))
    assert lists is not None and lists["properties"]["value"] == {"type": "array", "items": {"type": "integer"}, "maxItems": 10}
    record = schema_of(RecordOf((("a", optional(TEXT)),)))
    assert record is not None and record["properties"] == {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
