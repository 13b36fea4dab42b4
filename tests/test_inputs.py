"""Binding inputs: from the command line, from Python, and from CSV, JSON and JSON-lines files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.check.checked import InputVariable
from rlmlang.errors import UsageError
from rlmlang.files import DirValue, FileValue
from rlmlang.run import inputs, tables
from rlmlang.run.inputs import bind_inputs
from rlmlang.run.tables import read_csv, read_json_lines
from rlmlang.syntax.nodes import Input, Literal, NamedType
from rlmlang.syntax.source import Source, Span
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, JSON, TEXT, Enum, ListOf, Optional, RecordOf, Type
from rlmlang.values import Mismatch

SPAN = Span(Source("<text>", "input x: int"), 0, 12)
ROLE = Enum(("core", "helper"))
ROW = RecordOf((("stars", INT), ("text", TEXT)))


def declare(name: str, type: Type, *, default: bool = False) -> InputVariable:
    return InputVariable(name, type, Input(SPAN, name, NamedType(SPAN, "text"), Literal(SPAN, 1) if default else None))


def no_stdin() -> bytes:
    raise AssertionError("standard input was read")


def bind(type: Type, value: Any, stdin: Callable[[], bytes] = no_stdin) -> Any:
    """One input called x, as from the command line."""
    return bind_inputs((declare("x", type),), {"x": value}, stdin=stdin)["x"]


def from_python(type: Type, value: Any) -> Any:
    return bind_inputs((declare("x", type),), {"x": value})["x"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (TEXT, "as is: {x} \\n", "as is: {x} \\n"),
        (TEXT, "3", "3"),
        (TEXT, "", ""),
        (TEXT, "@@home", "@home"),
        (TEXT, "@@@x", "@@x"),
        (Optional(TEXT), "none", "none"),
        (INT, "3", 3),
        (INT, " -1_000 ", -1000),
        (Optional(INT), "none", None),
        (FLOAT, "3", 3.0),
        (FLOAT, "-.5e2", -50.0),
        (BOOL, "true", True),
        (BOOL, "False", False),
        (ROLE, "core", "core"),
        (ListOf(INT), "[1, 2]", [1, 2]),
        (ListOf(FLOAT), "[1, 2.5]", [1.0, 2.5]),
        (ROW, '{"stars": 1, "text": "a", "more": 2}', {"stars": 1, "text": "a"}),
        (RecordOf((("a", Optional(INT)),)), "{}", {"a": None}),
        (JSON, '{"a": [1, "x"]}', {"a": [1, "x"]}),
    ],
)
def test_texts_of_the_command_line(type: Type, text: str, value: Any) -> None:
    bound = bind(type, text)
    assert bound == value
    assert bound.__class__ is value.__class__


@pytest.mark.parametrize(
    ("type", "text", "says"),
    [
        (INT, "three", 'expected int, got "three"'),
        (INT, "3.5", "expected int"),
        (INT, "١", "expected int"),
        (INT, "9" * 5_000, "expected int"),
        (FLOAT, "nan", "expected float"),
        (FLOAT, "1e999", "finite"),
        (BOOL, "yes", "expected bool"),
        (ROLE, "cor", 'expected "core" | "helper"'),
        (ListOf(INT), "1,2", "not valid JSON"),
        (ListOf(INT), '["a"]', r'[0]: expected int, got text "a"'),
        (ListOf(INT, 2), "[1,2,3]", "at most 2"),
        (ROW, '{"stars": 1}', ".text: is missing"),
        (ListOf(JSON), "[" * 2_000, "deep"),
        (TEXT, "a\udcff", "surrogate"),
        (TEXT, "@nowhere", "cannot read nowhere: no such file or directory; a text that begins with @ is written @@"),
        (TEXT, "@", "the path is empty"),
        (TEXT, "@.", "is a directory"),
        (TEXT, "@/dev/zero", "not a regular file"),
        (DIR, "-", "no directory"),
        (DIR, "nowhere", "cannot read nowhere"),
        (DIR, "", "empty"),
        (FILE, ".", "is a directory"),
    ],
)
def test_wrong_values(type: Type, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        bind(type, text)
    assert caught.value.message.startswith("the input `x: ")
    assert says in caught.value.message
    assert len(caught.value.message) < 2_500


def test_text_of_a_file(folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"\xef\xbb\xbfhello\r\nyou\n")
    (folder / "n").write_text(" 3\n")
    (folder / "bad.txt").write_bytes(b"caf\xe9")
    assert bind(TEXT, "@notes.txt") == "hello\nyou\n"
    assert bind(INT, "@n") == 3
    assert bind(FILE, "notes.txt").text == "hello\nyou\n"
    assert bind(FILE, "@notes.txt").path == "notes.txt"
    with pytest.raises(UsageError, match=r"`x: text`: bad\.txt is not UTF-8"):
        bind(TEXT, "@bad.txt")


def test_files_and_directories(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "src").mkdir()
    (folder / "src/a.py").write_text("a")
    (folder / "link").symlink_to("src")
    monkeypatch.setenv("HOME", str(folder))
    for given_path in ("src", "src/", "./src/../src", "link", "~/src", "@src"):
        assert [f.path for f in bind(DIR, given_path).files()] == ["a.py"]
    assert [f.text for f in bind(ListOf(FILE), '["src/a.py"]')] == ["a"]
    assert from_python(DIR, "src") == from_python(DIR, Path("src")) == DirValue("src")
    assert from_python(FILE, Path("src/a.py")) == FileValue.at("src/a.py")
    assert from_python(ListOf(FILE), (Path("src/a.py"),))[0].text == "a"
    assert from_python(DIR, DirValue("src")).files()[0].text == "a"
    (folder / "paths.json").write_text('["/etc/passwd"]')
    with pytest.raises(UsageError, match="expected file"):  # data names no files
        bind(ListOf(FILE), "@paths.json")


def test_standard_input() -> None:
    assert bind(TEXT, "-", lambda: "\ufeffä\r\n".encode()) == "ä\n"
    assert bind(INT, "-", lambda: b"3\n") == 3
    assert bind(FILE, "-", lambda: b"data").text == "data"
    assert bind(ListOf(INT), "-", lambda: b"[1, 2]") == [1, 2]
    assert bind(ListOf(ROW), "-", lambda: b'{"stars": 1, "text": "a"}\n\n{"stars": 2, "text": "b"}\n')[1] == {"stars": 2, "text": "b"}
    with pytest.raises(UsageError, match="line 2"):
        bind(ListOf(ROW), "-", lambda: b'{"stars": 1, "text": "a"}\n{"stars": 2}\n')
    with pytest.raises(UsageError, match="not UTF-8"):
        bind(TEXT, "-", lambda: b"\xff")
    with pytest.raises(UsageError, match="taken already, by the input `a`"):
        bind_inputs((declare("a", TEXT), declare("b", TEXT)), {"a": "-", "b": "-"}, stdin=lambda: b"x")


def test_a_text_from_python_is_only_a_text() -> None:
    for text in ("@/etc/passwd", "-", "@@x", "~"):
        assert from_python(TEXT, text) == text
    with pytest.raises(UsageError, match="expected int, got text"):
        from_python(INT, "3")
    assert from_python(ListOf(INT), (1, 2)) == [1, 2]


def test_python_values_are_checked_and_copied() -> None:
    rows = [{"stars": 1, "text": "a"}]
    bound = from_python(ListOf(ROW), rows)
    rows[0]["stars"] = 2
    assert bound == [{"stars": 1, "text": "a"}]
    loop: list[Any] = []
    loop.append(loop)
    for type, value in [
        (JSON, loop),
        (JSON, {1: 2}),
        (JSON, object()),
        (INT, True),
        (TEXT, Path("x")),
        (FLOAT, float("inf")),
        (TEXT, b"x"),
    ]:
        with pytest.raises(UsageError, match="`x: "):
            from_python(type, value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    declared = (
        declare("question", TEXT),
        declare("n", INT),
        declare("repo", DIR),
        declare("k", INT, default=True),
        declare("m", Optional(INT)),
    )
    with pytest.raises(UsageError) as caught:
        bind_inputs(declared, {"qestion": "?", "n": "x", "zzz": ""}, stdin=no_stdin)
    assert caught.value.exit_code == 2
    assert caught.value.message.splitlines() == [
        "there is no input `qestion`: did you mean `question`?",
        "there is no input `zzz`: the inputs are `question`, `n`, `repo`, `k`, `m`",
        'the input `question: text` is missing: give it as question="…", or question=@notes.txt for the text of a file',
        'the input `n: int`: expected int, got "x"',
        "the input `repo: dir` is missing: give it as repo=src/",
    ]
    assert bind_inputs(declared, {"question": "?", "n": "1", "repo": "."}, stdin=no_stdin).keys() == {"question", "n", "repo", "m"}
    with pytest.raises(UsageError, match="the program has none"):
        bind_inputs((), {"x": "1"}, stdin=no_stdin)
    with pytest.raises(UsageError) as many:
        bind_inputs((), {f"x{i}": "1" for i in range(1_000)}, stdin=no_stdin)
    assert len(many.value.message.splitlines()) == 21


def test_every_example_of_a_missing_input_can_be_told() -> None:
    for type in (TEXT, INT, FLOAT, BOOL, ROLE, FILE, DIR, ListOf(INT), ListOf(FILE), ROW, JSON):
        for stdin in (no_stdin, None):
            with pytest.raises(UsageError, match="give it as x="):
                bind_inputs((declare("x", type),), {}, stdin=stdin)


def test_rows_from_files(folder: Path) -> None:
    rows = [{"stars": 5, "text": "good"}, {"stars": 1, "text": "two\nlines, and a \u2028 separator"}]
    (folder / "r.json").write_text(json.dumps(rows))
    (folder / "r.JSONL").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    with open("r.csv", "w", newline="") as file:
        csv.DictWriter(file, ["text", "extra", "stars"], restval="-").writerows(
            [{"text": "text", "extra": "extra", "stars": "stars"}, *rows]
        )
    for name in ("r.json", "r.JSONL", "r.csv"):
        assert bind(ListOf(ROW), f"@{name}") == rows
        with pytest.raises(UsageError, match="at most 1"):
            bind(ListOf(ROW, 1), f"@{name}")
    (folder / "r.txt").write_text("x")
    with pytest.raises(UsageError, match=r"r\.txt: a list is read from a \.json, \.jsonl, \.csv or \.tsv file"):
        bind(ListOf(ROW), "@r.txt")
    (folder / "bad.jsonl").write_text('{"stars": 1, "text": "a"}\n\n{"stars": }\n')
    with pytest.raises(UsageError, match=r"bad\.jsonl: line 3: not valid JSON"):
        bind(ListOf(ROW), "@bad.jsonl")


@pytest.mark.parametrize(
    ("item", "text", "rows"),
    [
        (ROW, 'text,stars\n"a ""b"",\nc",3\n', [{"stars": 3, "text": 'a "b",\nc'}]),
        (ROW, " stars , text ,other\n\n1, x ,\n", [{"stars": 1, "text": " x "}]),
        (RecordOf((("a", Optional(INT)), ("b", Optional(TEXT)))), "a\n1\n", [{"a": 1, "b": None}]),
        (RecordOf((("a", Optional(INT)), ("b", TEXT))), "a,b\n,\n", [{"a": None, "b": ""}]),
        (RecordOf((("a", BOOL), ("b", FLOAT), ("c", ROLE))), "a,b,c\ntrue,1e3, core\n", [{"a": True, "b": 1000.0, "c": "core"}]),
        (RecordOf((("tags", ListOf(TEXT)),)), 'tags\n"[""x"", ""y""]"\n', [{"tags": ["x", "y"]}]),
        (INT, "n\n1\n2\n", [1, 2]),
        (JSON, "a,b\n1,x\n", [{"a": "1", "b": "x"}]),
        (ROW, "stars,text\n", []),
        (TEXT, "name\nx" + "y" * 200_000 + "\n", ["x" + "y" * 200_000]),
    ],
)
def test_csv(item: Type, text: str, rows: list[Any]) -> None:
    before = csv.field_size_limit()
    assert read_csv(text, ListOf(item)) == rows
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("item", "text", "says"),
    [
        (ROW, "stars,text\n1,a\nfive,b\n", 'row 3, column "stars": expected int, got "five"'),
        (ROW, "stars,text\n,b\n", 'row 2, column "stars"'),
        (ROW, "stars,text\n1\n", "row 2 has 1 cells, but the header has 2"),
        (ROW, "stars,text\n1,a,b\n", "row 2 has 3 cells"),
        (ROW, "stars,text,stars\n1,a,2\n", 'the column "stars" occurs twice'),
        (ROW, "star,text\n", 'no column "stars"; the columns are "star", "text"'),
        (ROW, "", "no header row"),
        (ROW, "stars,text\n1,a\0\n", "line 2 has a zero byte"),
        (ROW, 'stars,text\n1,"open\n', "row 2"),
        (ROW, 'stars,text\n1,"a"b\n', "row 2"),
        (ROW, "stars,text\n1," + "x" * (1024 * 1024 + 1) + "\n", "row 2 (line 2): a cell has more than"),
        (TEXT, "a,b\n1,2\n", "the rows of a table are records"),
        (ListOf(INT), "a\n[1]\n", "the rows of a table are records"),
    ],
)
def test_wrong_csv(item: Type, text: str, says: str) -> None:
    before = csv.field_size_limit()
    with pytest.raises(Mismatch) as caught:
        read_csv(text, ListOf(item))
    assert says in caught.value.message
    assert csv.field_size_limit() == before


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))


@given(st.lists(st.fixed_dictionaries({"a": CELLS, "n": st.integers(-(2**60), 2**60), "b": st.none() | st.booleans()})))
def test_csv_round_trip(rows: list[dict[str, Any]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["a", "n", "b"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    assert read_csv(out.getvalue(), ListOf(RecordOf((("a", TEXT), ("n", INT), ("b", Optional(BOOL)))))) == rows


@given(st.binary(max_size=60), st.sampled_from([".csv", ".json", ".jsonl", ".txt"]), st.sampled_from([ListOf(ROW), ROW, JSON, INT, TEXT]))
def test_any_bytes_are_read_or_refused(data: bytes, ending: str, type: Type) -> None:
    path = Path(f"any{ending}")
    path.write_bytes(data)
    try:
        bind(type, f"@{path}")
    except UsageError as error:
        assert "any" in error.message


def test_json_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "JSON_ITEMS", 100)
    assert len(read_json_lines((json.dumps("[" * 90) + "\n") * 90, ListOf(TEXT))) == 90  # brackets in texts are no lists
    with pytest.raises(Mismatch, match="line 51: the file holds more than 100"):
        read_json_lines("[[]]\n" * 60, ListOf(JSON))
    with pytest.raises(Mismatch, match="more than 100"):
        read_json_lines("1\n" * 101, JSON)
    with pytest.raises(Mismatch, match="at most 100 rows"):
        read_csv("a\n" + "1\n" * 101, ListOf(INT))


def test_too_much_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "FILE_BYTES", 3)
    with pytest.raises(UsageError, match="standard input has more than"):
        bind(TEXT, "-", lambda: b"1234")
