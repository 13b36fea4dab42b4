"""The data of `rlm solve`: reading it, finding its type, and showing it to a root model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rlmlang import check, parse
from rlmlang.errors import UsageError
from rlmlang.files import DirValue
from rlmlang.limits import CONTEXT_CHARS, CONTEXTS, SHOWN_CHARS
from rlmlang.run.inputs import bind_inputs
from rlmlang.solve.contexts import Context, default_name, given_contexts, read_contexts
from rlmlang.solve.infer import type_of
from rlmlang.solve.preview import describe, observe
from rlmlang.types import DIR, TEXT
from rlmlang.values import conform

LAW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=25,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(spec: str, stdin: bytes | None = None) -> Context:
    (context,) = read_contexts([spec], None if stdin is None else lambda: stdin)
    return context


def as_input(context: Context, given: str, stdin: Callable[[], bytes] = bytes) -> Any:
    """What `rlm run` gives to an input of the context's type."""
    checked = check(parse(f"input {context.name}: {context.type}\nanswer 1"))
    assert not checked.errors, checked.errors
    assert checked.inputs[0].type == context.type
    return bind_inputs(checked.inputs, {context.name: given}, stdin=stdin)[context.name]


# ---- files ----


@pytest.mark.parametrize(
    ("name", "content", "type_", "value"),
    [
        ("notes.txt", "a\r\nb", "text", "a\nb"),
        ("notes", "", "text", ""),
        ("page.html", "<p>", "text", "<p>"),
        ("one.json", '{"a": 1, "b": [1, 2.5]}', "{a: int, b: [float]}", {"a": 1, "b": [1.0, 2.5]}),
        ("text.json", '"x"', "text", '"x"'),
        ("null.json", "null", "json", None),
        ("n.json", " 3 ", "int", 3),
        ("empty.json", "[]", "[json]", []),
        ("mixed.json", '[1, "a"]', "[json]", [1, "a"]),
        ("rows.json", '[{"a": 1}, {"a": null, "b": "x"}]', "[{a: int?, b: text?}]", [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ("part.json", '[{"a": 1, "b": 2}, {"a": "x", "b": 3}]', "[{a: json, b: int}]", [{"a": 1, "b": 2}, {"a": "x", "b": 3}]),
        ("nulls.json", '[{"a": null}]', "[{a: json}]", [{"a": None}]),
        ("rows.jsonl", '{"a": 1}\n\n{"a": 2.5}\n', "[{a: float}]", [{"a": 1.0}, {"a": 2.5}]),
        ("rows.ndjson", "", "[json]", []),
        ("rows.JSONL", '["x"]\n[]', "[[text]]", [["x"], []]),
        ("t.csv", "id,ok,note\n1,true,x\n2,false,\n", "[{id: int, ok: bool, note: text}]", None),
        ("u.csv", "n,x\n1,\n,2.5\n", "[{n: int?, x: float?}]", [{"n": 1, "x": None}, {"n": None, "x": 2.5}]),
        ("v.csv", "zip,big\n01234,1\n99999,12345678901234567890\n", "[{zip: text, big: text}]", None),
        ("w.csv", '"b c",e\n"1,5",2\n', '[{"b c": text, e: int}]', [{"b c": "1,5", "e": 2}]),
        ("x.csv", "a,b\n", "[json]", []),
        ("y.tsv", "a\tb\n1\tx, y\n", "[{a: int, b: text}]", [{"a": 1, "b": "x, y"}]),
    ],
)
def test_files_have_the_type_of_their_data(folder: Path, name: str, content: str, type_: str, value: Any) -> None:
    (folder / name).write_bytes(content.encode())
    context = read(f"x={name}")
    assert str(context.type) == type_
    if value is not None:
        assert context.value == value
    given = f"@{name}"
    assert as_input(context, given) == context.value


def test_a_folder_is_a_dir(folder: Path) -> None:
    (folder / "src").mkdir()
    context = read("src/")
    assert (context.name, context.type, context.source) == ("src", DIR, "src/")
    assert isinstance(context.value, DirValue)


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (b"plain text", "text"),
        (b"", "text"),
        (b'{"a": 1}', "{a: int}"),
        (b'\n[{"a": 1}]', "[{a: int}]"),
        (b'{"a": 1}\n{"a": "x"}\n', "[{a: json}]"),
        (b"[1] is a footnote", "text"),
        (b"{not json", "text"),
        (b"3", "text"),
    ],
)
def test_standard_input(data: bytes, type_: str) -> None:
    context = read("-", data)
    assert (context.name, str(context.type), context.source) == ("data", type_, "-")
    assert as_input(context, "-", lambda: data) == context.value
    assert read("mine=-", data).name == "mine"


def test_a_surrogate_or_a_null_byte_is_no_text(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"\xff\x00")
    with pytest.raises(UsageError, match=r"a\.bin is not text"):
        read("a.bin")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("server logs.txt", "server_logs"),
        ("a/b/report.final.csv", "report_final"),
        ("2024.csv", "data_2024"),
        ("über mich.txt", "uber_mich"),
        ("日本.txt", "data"),
        ("-", "data"),
        ("call.txt", "call_data"),
        ("input.json", "input_data"),
        (".env", "env"),
        ("x" * 300, "x" * 40),
        ("/", "data"),
    ],
)
def test_names_come_from_files(path: str, name: str) -> None:
    assert default_name(path) == name
    assert not check(parse(f"input {name}: text\nanswer {name}")).diagnostics


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["missing.txt"], "the context missing.txt: cannot read missing.txt: no such file or directory"),
        (["x=a.txt", "x=b.txt"], "two contexts have the name x"),
        (["a.txt", "sub/a.txt"], "two contexts have the name a; give one of them another: a_2=sub/a.txt"),
        (["call=a.txt"], "call is a word of the language; give it another name: call_data=…"),
        (["true=a.txt"], "true is a word of the language"),
        (["b c=a.txt"], '"b c" is no name'),
        (["é=a.txt"], '"é" is no name'),
        (["=a.txt"], '"" is no name'),
        (["a="], "there is nothing behind the ="),
        ([""], "the path is empty"),
        (["a\0b"], "the path holds a zero byte"),
        (["a\x1bb"], r"the context a\x1bb: cannot read a\x1bb"),
        (["bad.json"], "not valid JSON"),
        (["bad.jsonl"], "line 2: not valid JSON"),
        (["bad.csv"], "row 2 has 3 cells, but the header has 1"),
        (["/dev/null"], "not a regular file"),
        (["-"], "standard input is not read here"),
        (["a.txt"] * (CONTEXTS + 1), f"there are {CONTEXTS + 1} contexts; at most {CONTEXTS} are read"),
        (["missing.txt", "call=a.txt"], "\nthe context call=a.txt: call is a word"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, specs: list[str], message: str) -> None:
    (folder / "sub").mkdir()
    for name, content in {
        "a.txt": "a",
        "b.txt": "b",
        "sub/a.txt": "",
        "bad.json": "{",
        "bad.jsonl": "{}\n{",
        "bad.csv": "a\n1,2,3\n",
    }.items():
        (folder / name).write_text(content)
    with pytest.raises(UsageError) as raised:
        read_contexts(specs)
    assert message in raised.value.message


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="standard input can be read once"):
        read_contexts(["a=-", "b=-"], lambda: b"x")


def test_a_path_may_hold_an_equals_sign(folder: Path) -> None:
    (folder / "a=b.txt").write_text("x")
    assert read("./a=b.txt") == Context("a_b", TEXT, "x", "./a=b.txt")


# ---- types of data ----


@LAW
@given(JSON_VALUES)
@example([{"a": {"b": 1}}, {"a": {"c": None}}, {"a": []}])
@example({"\U0001f600": 1, "\u202e": 2, "é": 3, "a b": 4})
def test_data_fit_their_type_and_programs_can_name_it(value: Any) -> None:
    type_ = type_of(value)
    kept = conform(value, type_)
    assert type_of(kept) == type_ or "json" in str(type_) or "?" in str(type_)
    checked = check(parse(f"input x: {type_}\nanswer 1"))
    assert not checked.errors and checked.inputs[0].type == type_


@LAW
@given(
    st.lists(st.lists(st.sampled_from(["", "0", "1", "-7", "007", "1.5", ".5", "1e5", "true", "no", " 3 ", "1_0"]), min_size=2, max_size=2))
)
def test_cells_keep_what_they_say(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], *rows])
    Path("t.csv").write_text(out.getvalue())
    context = read("t.csv")
    assert as_input(context, "@t.csv") == context.value
    for row, record in zip(rows, context.value, strict=True):
        for cell, value in zip(row, record.values(), strict=True):
            if isinstance(value, str):
                assert value == cell
            elif value is None:
                assert not cell.strip()
            elif not isinstance(value, bool):
                assert float(cell) == value


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ({f"k{i}": i for i in range(2_000)}, "dict[text, int]"),
        ([{f"k{i}_{j}": 1 for j in range(5)} for i in range(400)], "[dict[text, int]]"),
        ({"x" * 5_000: 1}, "dict[text, int]"),
        ({f"k{i}": {"n": i, **({} if i else {"x": 0.5})} for i in range(600)}, "dict[text, {n: int, x: float?}]"),
        ({f"k{i}": [1] if i % 2 else None for i in range(600)}, "dict[text, [int]?]"),
        ({f"k{i}": 1 if i % 2 else "x" for i in range(600)}, "dict[text, json]"),
        ({"2021": [1], "2022": [2.5], "2023": []}, "dict[text, [float]]"),
        ({"New York": 3, "Los Angeles": 4, "Rome": 5}, "dict[text, int]"),
        ([{"a b": 1, "c d": 2}, {"e f": 3}, {"g h": 4}], "[dict[text, int]]"),
        ([{"a b": 1, "c d": 2, "e f": 3}] * 3, '[{"a b": int, "c d": int, "e f": int}]'),
        ({"a b": 1, "c d": "x", "e f": 2}, '{"a b": int, "c d": text, "e f": int}'),
        ({"a b": 1, "c d": 2}, '{"a b": int, "c d": int}'),
    ],
)
def test_an_object_with_data_for_names_is_a_dict(value: Any, type_: str) -> None:
    assert str(type_of(value)) == type_
    conform(value, type_of(value))


def test_data_of_too_many_parts_are_json() -> None:
    value = [{"a": {f"k{i}": {f"j{j}": j for j in range(40)} for i in range(100)}}]
    assert "json" in str(type_of(value)) and len(str(type_of(value))) < 20_000
    conform(value, type_of(value))


def test_deep_data_are_json_below() -> None:
    value: Any = 1
    for _ in range(60):
        value = [value]
    assert str(type_of(value)).count("[") < 25
    conform(value, type_of(value))


def test_python_values(folder: Path) -> None:
    (folder / "rows.csv").write_text("a\n1\n")
    found = given_contexts({"n": 3, "rows": ({"a": 1}, {"a": 2}), "same": range(3), "table": Path("rows.csv"), "here": Path()})
    assert [str(c.type) for c in found] == ["int", "[{a: int}]", "[int]", "[{a: int}]", "dir"]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for bad in ({"call": 1}, {"x": object()}, {"x": {1: 2}}, {"x": float("nan")}, {"x": cyclic}, {"x": [lambda: 1]}, {"x": Path("no")}):
        with pytest.raises(UsageError):
            given_contexts(bad)


# ---- previews ----


@LAW
@given(
    st.one_of(
        JSON_VALUES, st.text(max_size=30), st.lists(st.text(max_size=12), max_size=9), st.dictionaries(st.text(max_size=9), JSON_VALUES)
    ),
    st.integers(1, 400),
)
@example("\x1f" * 9, 400)
@example("```\n</s><|im_end|>\n====", 1)
@example(["x" * 10_000] * 3, 1)
@example({"```": "\x1b[31m"}, 1)
@example("~", 205)
def test_previews_are_short_and_harmless(value: Any, times: int) -> None:
    value = value * times if isinstance(value, (str, list)) else value
    type_ = type_of(value)
    value = conform(value, type_)
    for text, most in ((describe("x", type_, value), CONTEXT_CHARS), (observe(type_, value), SHOWN_CHARS)):
        assert len(text) <= most
        assert all(line.startswith("  ") for line in text.split("\n")[1:])
        assert not any(mark in text for mark in ("```", "~~~", "<|", "====", "</s>"))
        assert text.replace("\n", "").isprintable()


def test_a_text_shows_both_ends() -> None:
    value = "\n".join(f"line {i}" for i in range(1, 5_001))
    shown = describe("log", TEXT, value)
    assert shown.startswith("`log` is of type text\n  48,892 characters in 5,000 lines\n  | line 1\n  | line 2\n")
    assert shown.endswith("characters not shown …\n  | line 4997\n  | line 4998\n  | line 4999\n  | line 5000")
    assert observe(TEXT, "short\ntext") == "text, 10 characters\n  | short\n  | text"


def test_a_table_shows_its_first_records() -> None:
    rows = [{"id": i, "note": "word " * i} for i in range(1, 301)]
    shown = describe("rows", type_of(rows), rows)
    assert shown.startswith(
        '`rows` is of type [{id: int, note: text}]\n  300 items; texts of up to 1,500 characters in note\n  {"id": 1, "note": "word "}\n'
    )
    assert "more items not shown" in shown
    assert "(+30 characters)" in describe("rows", type_of(rows), rows[29:])


def test_a_list_of_numbers_is_one_line() -> None:
    assert observe(type_of([1, 2]), [1, 2]) == "[int], 2 items\n  [1, 2]"
    assert observe(type_of(range(9)), range(100_000)).endswith(" more]")


def test_a_folder_shows_its_files(folder: Path) -> None:
    for i in range(40):
        (folder / f"f{i:02}.py").write_text("x" * i)
    (folder / "README").write_text("hello")
    (folder / "evil\n```.md").write_text("")
    shown = describe("repo", DIR, DirValue(folder))
    assert shown.startswith("`repo` is of type dir\n  42 files, 785 bytes; .py 40, no ending 1, .md 1\n  some of them, by path:\n")
    assert '"evil\\n\\u0060``.md"' in describe("repo", DIR, DirValue(folder)) or "```" not in shown
    (folder / "empty").mkdir()
    assert describe("e", DIR, DirValue(folder / "empty")) == "`e` is of type dir\n  no files"


def test_the_preview_of_much_data_is_quick_to_read() -> None:
    rows = [{"id": i, "tags": ["a", "b"], "more": {"x": json.dumps(i)}} for i in range(50_000)]
    assert len(describe("rows", type_of(rows), rows)) <= CONTEXT_CHARS
