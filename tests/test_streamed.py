"""Large inputs that are not held: whatever a program does with them, all is as with a list in memory."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict
from commandline import rlm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import SETTINGS, scripted

import rlmlang
from rlmlang.errors import RlmError, UsageError
from rlmlang.files import FileValue
from rlmlang.run import inputs, rows
from rlmlang.run.rows import stream_rows
from rlmlang.run.tables import read_csv, read_json_lines
from rlmlang.sizes import holds, measure
from rlmlang.streamed import Streamed
from rlmlang.types import INT, JSON, TEXT, ListOf, Optional, RecordOf, Type
from rlmlang.values import Mismatch, hashable, same, to_json_text

__all__ = ["rlm"]

ROW = RecordOf((("a", INT), ("b", TEXT)))
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of rows is too large to be held, and has many parts."""
    monkeypatch.setattr(inputs, "HELD_BYTES", -1)
    monkeypatch.setattr(rows, "_BLOCK", 64)
    monkeypatch.setattr(rows, "_ROWS", 3)


def streamed(path: Path, type: ListOf) -> Streamed:
    return stream_rows(FileValue.at(path), path.suffix, type)


# ---- the list itself ----

LINES = st.sampled_from(
    [
        *(
            '{"a": 1, "b": "x"}',
            '{"b": "é\\u00e9", "a": 12345678901234567890123}',
            ' {"a": 2, "b": "y", "more": [1, {}]} ',
            "",
            "  ",
            "\u00a0",
        ),
        *(
            '{"a": 1}',
            '{"a": 1.0, "b": ""}',
            '{"a": 1, "a": 2, "b": ""}',
            "[",
            '{"a": 1, "b": "\\ud800"}',
            '{"a": true, "b": ""}',
            "3",
            "\t",
        ),
        '{"a": 7, "b": "' + "z" * 150 + '"}',
    ]
)


@SAME_FOLDER
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.sampled_from([ROW, JSON]))
def test_json_lines_as_if_held(small: None, tmp_path: Path, lines: list[str], end: str, mark: bool, item: Type) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\ufeff" * mark + end.join(lines), "utf-8", newline="")
    as_if_held(path, ListOf(item), lambda text: read_json_lines(text, ListOf(item)))


CELLS = st.lists(st.sampled_from(["x", "é", "a,b", 'q"q', "l1\nl2", "\r\nz", "  ", "", "\n\n"]), max_size=3).map("".join)


@SAME_FOLDER
@given(st.lists(st.tuples(CELLS, st.sampled_from(["1", "22", "", "x"])), max_size=30), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_tables_as_if_held(small: None, tmp_path: Path, cells: list[tuple[str, str]], end: str, blank: bool) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end)
    writer.writerow(["b", "a"])
    for at, row in enumerate(cells):
        writer.writerow(row)
        text.write(end * (blank and at % 3 == 0))
    path = tmp_path / "rows.csv"
    path.write_text(text.getvalue(), "utf-8", newline="")
    item = RecordOf((("a", Optional(INT)), ("b", TEXT)))
    as_if_held(path, ListOf(item), lambda text: read_csv(text, ListOf(item)))


def as_if_held(path: Path, type: ListOf, read: Any) -> None:
    """The list that is not held is the one that is: its items, parts, length and size; or both are wrong for the same reason."""
    try:
        held = read(FileValue.at(path).text)
    except Mismatch as mismatch:
        with pytest.raises((UsageError, Mismatch)) as wrong:
            list(streamed(path, type))
        assert wrong.value.message.removeprefix(f"{path}: ") == mismatch.message
        return
    found = streamed(path, type)
    assert list(found) == held == list(found) and len(found) == len(held) and bool(found) == bool(held)
    assert list(reversed(found)) == held[::-1]  # type: ignore[call-overload]
    for at in range(-len(held), len(held)):
        assert found[at] == held[at] and found[at:] == held[at:] and found[: at + 1] == held[: at + 1]
    with pytest.raises(IndexError):
        found[len(held)]
    assert holds(measure(found), held) and measure(found).count == measure(held).count  # type: ignore[union-attr]
    assert same(found, held) and hashable(found) == hashable(held) and to_json_text(found) == to_json_text(held)
    assert same([found, {"x": found}], [held, {"x": held}]) and to_json_text({"x": found}) == to_json_text({"x": held})


def test_what_a_line_may_not_be(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    monkeypatch.setattr(rows, "LINE_BYTES", 1_000)
    path.write_text('"ok"\n"' + "x" * 2_000 + '"\n')
    with pytest.raises(Mismatch, match="line 2 has more than 1,000 bytes"):
        streamed(path, ListOf(TEXT))
    path.write_bytes(b'"ok"\n' * 100 + b'"\xff"\n')
    with pytest.raises(RlmError, match=r"is not UTF-8 text \(byte 501\)"):
        streamed(path, ListOf(TEXT))
    path.write_text('"a"\n"b"\n"c"\n')
    with pytest.raises(Mismatch, match="at most 2 items, got 3"):
        streamed(path, ListOf(TEXT, 2))
    table = tmp_path / "rows.csv"
    table.write_text("a,b\n1,x\n2,\0\n")
    with pytest.raises(Mismatch, match="line 3 has a zero byte"):
        streamed(table, ListOf(ROW))
    table.write_text("")
    with pytest.raises(Mismatch, match="no header row"):
        streamed(table, ListOf(ROW))
    table.write_text("a,c\n")
    with pytest.raises(Mismatch, match='no column "b"'):
        streamed(table, ListOf(ROW))


@pytest.mark.parametrize("change", ["grows", "shrinks", "other", "gone"])
def test_a_file_that_changed_is_noticed(small: None, tmp_path: Path, change: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('"abc"\n' * 100)
    found = streamed(path, ListOf(TEXT))
    items = iter(found)
    next(items)
    if change == "gone":
        path.unlink()
    else:
        path.write_text({"grows": '"abc"\n' * 101, "shrinks": '"abc"\n' * 99, "other": '"abd"\n' * 100}[change])
        os.utime(path, ns=(0, 0))
    with pytest.raises(UsageError, match=r"changed while the program ran|no such file"):
        list(found)
    if change != "gone":  # what is open goes on being there
        with pytest.raises(UsageError, match="changed while the program ran"):
            list(items)


# ---- programs ----

PROGRAMS = [
    "answer len(rows)",
    "answer rows",
    "answer [rows[0], rows[-1], rows[17]]",
    "answer rows[5:9] + take(rows, 2) + last(rows, 2)",
    "answer rows[99]",
    "answer sorted(rows, r => -r.n)",
    "answer [r.n for r in rows if r.n % 3 == 0]",
    "answer map i, r in [r for r in rows if r.n % 2 == 0] { {i, n: r.n} }",
    "answer [w for r in rows for w in split(r.text) if r.n < 9]",
    "answer sum([r.n for r in rows]) + max([r.n for r in rows])",
    "answer fold a, r in rows from 0 { a + r.n }",
    'answer reduce(lambda a, b: {n: a.n + b.n, text: ""}, rows).n',
    "answer first 3 r in rows where r.n > 4",
    "answer take([r for r in rows if r.n > 4], 3)",
    "answer [{key: g.key, count: len(g.items)} for g in group_by(rows, r => r.n % 4)]",
    "answer len([a for a in rows for b in rows if a.n == b.n])",
    'answer {n: 3, text: "row 3"} in rows and rows == rows and not (rows == [rows[0]])',
    "answer str(rows) + json([rows, rows])",
    "answer [10 // (r.n - 7) for r in rows] otherwise [0]",
    "answer [10 // (r.n - 7) for r in rows]",
    "answer [10 // (r.n - 7) for r in rows if r.n % 7 == 0]",
    "answer map r in rows { 10 // (r.n - 7) } otherwise skip",
    'answer [call f"echo {r.n}" for r in rows]',
    'answer [call "size" on r.text -> int for r in rows if r.n % 5 == 0]',
    'hits = [r.text for r in rows if r.n % 5 == 0]\nanswer [call "data" on t for t in hits]',
    'ns = [r.n for r in rows]\neven = [n for n in ns if call "even" on n -> bool]\nanswer {even, all: len(ns)}',
    'even = [r for r in rows if call "even" on r.n -> bool]\nanswer [call f"echo {r.n}" for r in even]',
    'answer map i, r in [r for r in rows if call "even" on r.n -> bool] { call f"echo {i} {r.n}" }',
    'answer [w for r in rows for w in split(call "data" on r.text)]',
    'answer [call f"echo {w}" for r in rows for w in split(r.text)]',
    'answer call "size" on rows -> int',
    'answer [call f"fail {r.n}" for r in rows] otherwise []',
    'answer map r in rows { if r.n % 9 == 0 { call f"fail {r.n}" } else { call f"echo {r.n}" } } otherwise skip',
    'answer [call f"echo {10 // (r.n - 7)}" for r in rows]',
    'answer first 2 r in rows where call "even" on r.n -> bool',
    'answer [call f"echo {n}" for n in [10 // (r.n - 7) for r in rows if r.n > 3]]',
    'word = call "echo 3"\nanswer [r.n for r in rows if word in r.text]',
    "fn pick(xs: [{n: int, text: text}], k: int) -> [int] { [x.n for x in xs if x.n % k == 0] }\nanswer pick(rows, 9) + pick(rows, 13)",
    "answer [len([r for r in rows if r.n < k]) for k in [1, 2, 3]]",
    'answer fold a, r in rows[:5] from "" { a + call f"echo {r.n}" }',
    'answer reduce(lambda a, b: {n: 0, text: call f"echo {a.n}"}, rows).text',
    'answer sorted(rows, r => call "size" on r.text -> int)[0]',
    'answer compare_pairs("which?", [r.text for r in rows[:3]]) otherwise []',
]


def outcome(source: str, path: Path, **options: Any) -> tuple[Any, ...]:
    """All that a run does."""
    with scripted() as model:
        try:
            result = rlmlang.run(source, SETTINGS, rows=path, **options)
            answer, error = result.answer, None
        except RlmError as failed:
            assert failed.result is not None, failed
            result, answer, error = failed.result, None, (type(failed), failed.message)
    used = {k: v for k, v in asdict(result.used).items() if k not in ("seconds", "dollars")}
    for name, figure in result.bound.items():
        if error is None and name in used:
            least, most = figure["min"], figure["max"]
            assert (least is None or least <= used[name]) and (most is None or used[name] <= most), name
    failures = sorted((f.line, f.item, f.error) for f in result.failures)
    answer = list(answer) if isinstance(answer, Streamed) else answer
    if error is not None:
        return answer, error, failures
    return answer, error, failures, used, sorted(model.texts())


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_does_the_same(program: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "input rows: [{n: int, text: text}]\n" + program
    path = tmp_path / f"rows.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps({"n": n, "text": f"row {n}"}) + "\n" for n in range(40)))
    else:
        path.write_text("text,n\n" + "".join(f"row {n},{n}\n" for n in range(40)))
    held = outcome(source, path)
    make_small(monkeypatch)
    assert outcome(source, path) == held
