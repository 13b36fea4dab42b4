"""Values: equality, keys, printing, JSON in, and conforming to a type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang import values
from rlmlang.errors import Failure, LimitError
from rlmlang.files import DirValue, FileValue
from rlmlang.limits import JSON_DEPTH, PRINT_CHARS, VALUE_DEPTH
from rlmlang.types import BOOL, FILE, FLOAT, INT, JSON, NONE, TEXT, Enum, ListOf, RecordOf, Tuple, Type, optional
from rlmlang.values import Mismatch, check_value, conform, describe, hashable, parse_json_text, same, to_json_text, to_text, type_name

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
# few distinct leaves, so that equal values turn up
CLOSE = st.recursive(
    st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, None, "", "1", 2**70, 2.0**70]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=4,
)


def shared(times: int) -> Any:
    """A value of `times` small lists that prints as 2**times numbers."""
    value: Any = [1]
    for _ in range(times):
        value = [value, value]
    return value


def deep(times: int) -> Any:
    value: Any = []
    for _ in range(times):
        value = [value]
    return value


# ---- equality and keys ----


@given(CLOSE, CLOSE)
def test_equal_keys_exactly_for_same_values(a: Any, b: Any) -> None:
    assert (hashable(a) == hashable(b)) == same(a, b)


@given(VALUES)
def test_a_value_is_same_as_its_copy(value: Any) -> None:
    assert same(value, json.loads(json.dumps(value)))
    assert hashable(value) == hashable(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0.0, -0.0, True),
        ([1], [True], False),
        ([1], [1.0], True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
        ([], {}, False),
        ("1", 1, False),
        (None, False, False),
        (["ab", "c"], ["a", "bc"], False),
        ([["a"], "b"], ["a", ["b"]], False),
        (range(3), [0, 1, 2], True),
        ([range(2)], [[0, 1]], True),
        (2**53 + 1, float(2**53), False),
        (FileValue.held("a", b""), "a", False),
    ],
)
def test_same(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal
    assert (hashable(a) == hashable(b)) is equal


def test_shared_parts_are_visited_once() -> None:
    assert same(shared(60), shared(60))
    assert hashable(shared(60)) == hashable(shared(60))
    assert not same(shared(60), shared(61))
    assert check_value(shared(60))


def test_depth_is_limited_and_never_a_recursion_error() -> None:
    far = deep(100_000)
    assert same(far, deep(100_000))
    for walk in (hashable, check_value, to_text, to_json_text):
        with pytest.raises(LimitError, match=str(VALUE_DEPTH)):
            walk(far)
    assert check_value(deep(VALUE_DEPTH - 1))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(LimitError):
        to_json_text(circle)


def test_numbers_made_to_collide_do_not_share_a_hash() -> None:
    assert len({hash(hashable(i * (2**61 - 1))) for i in range(1, 1_000)}) > 990


# ---- printing ----


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it\nis", "as it\nis"),
        (True, "true"),
        (None, "none"),
        (3, "3"),
        (2.5, "2.5"),
        (1e100, "1e+100"),
        ([True, None, "é", {"a": 1.0}], '[true, null, "é", {"a": 1.0}]'),
        (range(3), "[0, 1, 2]"),
        (FileValue.held("a/b.txt", b""), "a/b.txt"),
        ([FileValue.held("b.txt", b"")], '["b.txt"]'),
    ],
)
def test_to_text(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_printing_is_refused_before_it_is_large() -> None:
    with pytest.raises(LimitError):
        to_text(shared(60))
    with pytest.raises(LimitError):
        to_json_text([[0] * 1_000] * 1_000_000, indent=8)
    with pytest.raises(LimitError):
        to_text(["x" * (PRINT_CHARS + 1)])
    with pytest.raises(LimitError):
        to_text(["\x00" * (PRINT_CHARS // 5)])
    assert to_text("x" * (PRINT_CHARS + 1))


def test_a_directory_is_not_text(tmp_path: Any) -> None:
    for value in (DirValue(tmp_path), [DirValue(tmp_path)]):
        with pytest.raises(Failure, match="dir"):
            to_text(value)


def test_messages_quote_shortly_and_visibly() -> None:
    assert describe("a\u202eb") == 'text "a\\u{202e}b"'
    assert len(describe("x" * 1_000)) < 100
    assert describe({"a": 1}) == "record {a}"
    assert describe(2**4000) == "int of 4001 bits"
    kinds: list[Any] = ["", 1, 1.0, True, None, [], range(1), {}, len]
    assert list(map(type_name, kinds)) == ["text", "int", "float", "bool", "none", "list", "list", "record", "function"]


# ---- JSON ----


@given(VALUES, st.sampled_from([None, 1, 2]))
def test_json_round_trip(value: Any, indent: int | None) -> None:
    assert same(parse_json_text(to_json_text(value, indent)), value)


@given(st.text('[]{}",:\\u0dDab1 -.', max_size=30))
def test_json_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse_json_text(text)
    except Mismatch as mismatch:
        assert mismatch.message and "\n" not in mismatch.message
    else:
        assert same(value, json.loads(text))
        to_json_text(value).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1"),
        ("[1,]", "not valid JSON"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "too large"),
        ('{"a": 1, "a": 2}', '"a" occurs twice'),
        ("9" * 5_000, "5,000 digits"),
        ("9" * 1_300, "4,096 bits"),
        ("[" * 100_000, "deep"),
        ("[" * 100_000 + "]" * 100_000, "deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "deep"),
        (r'"\ud800"', "surrogate"),
        (r'"\ud83d\ud83d"', "surrogate"),
        (r'"\udc00\ud83d"', "surrogate"),
        ('"\ud800"', "surrogate"),
        ('"a\nb"', "control character"),
        ("{1: 2}", "not valid JSON"),
        ("\ufeff[]", "not valid JSON"),
        ('"' + r"\"" * 200_000 + "[" * 200, "Unterminated"),
    ],
)
def test_json_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(Mismatch, match=message) as caught:
        parse_json_text(text)
    assert len(caught.value.message) < 300


def test_json_at_the_limits() -> None:
    assert parse_json_text("[" * JSON_DEPTH + "]" * JSON_DEPTH) is not None
    assert parse_json_text('["' + "[" * 1_000 + r'\""]') == ["[" * 1_000 + '"']
    assert parse_json_text(r'"\ud83d\ude00 \\ud800"') == "😀 \\ud800"


def test_json_containers_are_counted_before_any_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "JSON_ITEMS", 150)
    assert len(parse_json_text("[" + "{}," * 148 + "{}]")) == 149
    with pytest.raises(Mismatch, match="150"):
        parse_json_text("[" + "{}," * 150 + "{}]")


# ---- conforming ----

NOTE = RecordOf((("name", INT), ("why", optional(TEXT))))


@pytest.mark.parametrize(
    ("value", "type", "result"),
    [
        (1, FLOAT, 1.0),
        (None, optional(INT), None),
        ({"name": 1, "extra": 2}, NOTE, {"name": 1, "why": None}),
        ({"why": "x", "name": 1}, NOTE, {"name": 1, "why": "x"}),
        ("a", Enum(("a", "b")), "a"),
        ([1, 2.5], ListOf(FLOAT), [1.0, 2.5]),
        ((1, 2), ListOf(INT), [1, 2]),
        (range(3), ListOf(INT), [0, 1, 2]),
        ([1, 2], ListOf(INT, 2), [1, 2]),
        (["a", 1], Tuple((TEXT, FLOAT)), ["a", 1.0]),
        ({"a": [1, (True, None)]}, JSON, {"a": [1, [True, None]]}),
        (None, NONE, None),
        ({}, RecordOf((("a", JSON),)), {"a": None}),
        (FileValue.held("a", b""), FILE, FileValue.held("a", b"")),
    ],
)
def test_conform(value: Any, type: Type, result: Any) -> None:
    found = conform(value, type)
    assert found == result
    assert repr(found) == repr(result), "1 and 1.0 and True are equal to Python, and fields have an order"


@pytest.mark.parametrize(
    ("value", "type", "message"),
    [
        ("x", INT, 'value: expected int, got text "x"'),
        ({"items": [{"name": 1}, {"name": "x"}]}, RecordOf((("items", ListOf(NOTE)),)), 'value.items[1].name: expected int, got text "x"'),
        (True, INT, "value: expected int, got bool true"),
        (True, FLOAT, "value: expected float, got bool true"),
        (1, BOOL, "value: expected bool, got int 1"),
        (1.0, INT, "value: expected int, got float 1.0"),
        ("c", Enum(("a", "b")), 'value: expected one of "a", "b", got "c"'),
        ({}, NOTE, "value.name: is missing, expected int"),
        ([1, 2, 3], ListOf(INT, 2), "value: expected at most 2 items ([int; 2]), got 3"),
        (["a"], Tuple((TEXT, INT)), "value: expected a list of exactly 2, got 1"),
        ({"a b": "x"}, RecordOf((("a b", INT),)), 'value["a b"]: expected int, got text "x"'),
        (None, TEXT, "value: expected text, got none"),
        ("a", FILE, 'value: expected file, got text "a"'),
        (float("nan"), FLOAT, "value: expected a finite number, got nan"),
        (10**400, FLOAT, "value: int of 1329 bits is too large for a float"),
        (2**5000, INT, "value: an integer may have at most 4,096 bits, not 5,001"),
        ("\ud800", TEXT, "value: half of a surrogate pair is no character"),
        (["ok", "\ud800"], ListOf(TEXT), "value[1]: half of a surrogate pair is no character"),
        ({1: 2}, JSON, "value: the name of a field must be text, not int 1"),
        ([{"a": {1}}], JSON, "value[0].a: expected JSON data, got set"),
        ([float("inf")], JSON, "value[0]: expected a finite number, got inf"),
    ],
)
def test_conform_refuses(value: Any, type: Type, message: str) -> None:
    with pytest.raises(Mismatch) as caught:
        conform(value, type)
    assert caught.value.message == message


def test_conform_any_json_is_safe_on_hostile_values() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, deep(5_000)):
        with pytest.raises(Mismatch, match="deeper"):
            conform(value, JSON)
    assert same(conform(shared(50), JSON), shared(50))


@given(VALUES)
def test_conforming_to_json_changes_nothing(value: Any) -> None:
    assert repr(conform(value, JSON)) == repr(value)
