"""Large inputs that are not held: whatever a program does with them, all is as with a list in memory."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict
from commandline import Shell, rlm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import SETTINGS, FakeModel, scripted

import rlmlang
from rlmlang.check import check
from rlmlang.cli import terminal
from rlmlang.errors import RlmError, UsageError
from rlmlang.files import FileValue
from rlmlang.run import inputs, rows
from rlmlang.run.rows import stream_rows
from rlmlang.run.tables import line_reader, read_csv, read_json_lines
from rlmlang.sizes import holds, measure
from rlmlang.streamed import Streamed
from rlmlang.syntax import parse
from rlmlang.types import BOOL, FLOAT, INT, JSON, TEXT, Enum, ListOf, Optional, RecordOf, Type
from rlmlang.values import Mismatch, conform, hashable, parse_json_text, parse_short_json, same, to_json_text

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


# ---- one line ----

NAMES = st.sampled_from(["a", "b", "a:", 'q"', "{", "[", "é", "\\u0061", ""])
SCALARS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from(['x":y', " :", "{", "a\tb", "1e999", "é"]))
PIECES = st.sampled_from(['{"a"', ": ", " :", "1e999", "-1e999", "1e5", "NaN", '"a"', ", ", "{", "}", "[", "]", '"b":', "12", " ", "\t"])
READ = (JSON, ROW, RecordOf((("a", Optional(FLOAT)), ("b", JSON))), RecordOf((("a", Enum(("x", "y"))),)), ListOf(INT), BOOL, ListOf(ROW))


def parsed(read: Any, text: str) -> Any:
    try:
        return read(text)
    except Mismatch:
        return "wrong"


@given(st.one_of(st.lists(st.tuples(NAMES, SCALARS), max_size=4), st.lists(PIECES, max_size=12)), st.sampled_from([": ", ":", " : "]))
def test_the_quick_way_reads_what_the_slow_one_reads(parts: list[Any], colon: str) -> None:
    named = all(isinstance(part, tuple) for part in parts)
    text = "{" + ", ".join(f"{json.dumps(n)}{colon}{json.dumps(v)}" for n, v in parts) + "}" if named else "".join(parts)
    known, value = parse_short_json(text)
    assert not known or (repr(value) == repr(parse_json_text(text)))
    for item in READ:
        slow = parsed(lambda line, item=item: conform(parse_json_text(line), item), text)
        assert repr(parsed(line_reader(item), text)) == repr(slow)


@pytest.mark.parametrize("text", ['{"a": 1, "b": "x"}', '{"b": "", "a": -3, "more": 1.5} ', '{"a":1,"b":"x: y"}'])
def test_common_lines_are_read_the_quick_way(text: str) -> None:
    assert parse_short_json(text) == (True, json.loads(text))


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


def test_parquet(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    columns = {"n": list(range(100)), "at": [date(2026, 1, 1)] * 100, "tags": [["a", "b"]] * 100, "raw": [b""] * 100}
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.table(columns), path, row_group_size=7)
    type = ListOf(RecordOf((("n", INT), ("at", TEXT), ("tags", ListOf(TEXT)), ("more", Optional(TEXT)))))
    found = streamed(path, type)
    held = [{"n": n, "at": "2026-01-01", "tags": ["a", "b"], "more": None} for n in range(100)]
    assert list(found) == held and len(found) == 100 and found[50] == held[50] and found[13:22] == held[13:22]
    with scripted():
        assert rlmlang.run("input rows: [{n: int}]\nanswer sum([r.n for r in rows])", SETTINGS, rows=path).answer == 4950
    with pytest.raises(UsageError, match=r"row 1: \.raw: expected text, got bytes"):
        list(streamed(path, ListOf(RecordOf((("raw", TEXT),)))))
    with pytest.raises(Mismatch, match='no column "x"; the columns are "n"'):
        streamed(path, ListOf(RecordOf((("x", TEXT),))))
    path.write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(Mismatch, match="not valid Parquet"):
        streamed(path, type)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError) as missing:
        streamed(path, ListOf(ROW))
    assert missing.value.hint == "pip install 'rlmlang[parquet]'"


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
    if ending == "jsonl":  # csv: what filters keep is little enough to be kept for the run
        monkeypatch.setattr("rlmlang.limits.HELD_ROWS", 3)
    assert outcome(source, path) == held


def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were decoded by each pass over a file, from here on."""
    passes: list[int] = []
    decoded = rows._LineRows._decoded

    def counted(self: Any, place: Any) -> Any:
        passes.append(0)
        for items in decoded(self, place):
            passes[-1] += len(items)
            yield items

    monkeypatch.setattr(rows._LineRows, "_decoded", counted)
    return passes


@pytest.mark.parametrize(
    ("program", "passes"),
    [
        ("answer len(rows)", 0),
        ('answer [call f"echo {r}" for r in rows if r % 50 == 0]', 1),  # what the bound has found is what the run needs
        ('hits = [r for r in rows if r % 50 == 0]\nanswer [call f"echo {r}" for r in [x + 1 for x in hits]]', 1),
        ('answer [call f"echo {r}" for r in rows]', 2),
        ('answer if len(rows) > 3 { call "echo x" } else { call "echo y" }', 1),  # all is looked at before something is paid
    ],
)
def test_a_file_is_read_no_more_often_than_needed(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, passes: int
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(300)))
    counts = reads(monkeypatch)
    with scripted():
        rlmlang.run(f"input rows: [int]\n{program}", SETTINGS, rows=path)
    assert counts == [300] * passes


@pytest.mark.parametrize(
    "program",
    [
        'answer len([call f"echo {r}" for r in rows])',
        'answer len([call f"echo {t}" for t in [f"{r}" for r in rows if r != 5]])',
        'ts = [f"{r}" for r in rows]\nsaid = [call f"echo {t}" for t in ts]\nanswer len(said)',
    ],
)
def test_rows_are_read_when_there_is_room_for_them(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr("rlmlang.limits.HELD_ROWS", 10)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(1_000)))
    counts = reads(monkeypatch)
    ahead: list[int] = []

    def delay(request: Any) -> float:
        ahead.append(counts[-1] - len(ahead))
        return 1.0

    with scripted(FakeModel(delay=delay)):
        assert rlmlang.run(f"input rows: [int]\n{program}", SETTINGS, rows=path).answer in (999, 1_000)
    assert len(ahead) >= 999 and max(ahead) < 150  # twice the concurrency, and a block


def test_a_wrong_row_is_found_before_anything_is_paid(small: None, rlm: Shell) -> None:
    rlm.write("rows.jsonl", "".join(f'{{"n": {n}}}\n' for n in range(500)) + '{"n": "x"}\n')
    rlm.write("p.rlm", 'input rows: [{n: int}]\nanswer [call f"echo {r.n}" for r in rows if r.n < 20]\n')
    model = rlm.rules({"reply": "x"})
    done = rlm("run", "p.rlm", "rows=@rows.jsonl", "--model", model, "--memo", "memo.sqlite", "--json")
    assert done.code == 2 and "rows.jsonl: line 501: value.n: expected int" in done.json["error"] and done.json["used"]["calls"] == 0


def test_a_file_that_changes_between_bound_and_run(small: None, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(300)))
    session = rlmlang.session.prepare('input rows: [int]\nanswer [call f"echo {r}" for r in rows]', SETTINGS, {"rows": path})
    path.write_text("".join(f"{n}\n" for n in range(301)))
    with scripted(), pytest.raises(UsageError, match="changed while the program ran"):
        session.start().wait()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_standard_input_is_not_held(small: None, rlm: Shell, monkeypatch: pytest.MonkeyPatch, mark: bytes) -> None:
    """It is put aside, read as a file of lines, and gone when the process has ended."""
    lines = [{"n": n, "t": "x" * (n % 7)} for n in range(4_000)]
    data = mark + "".join(json.dumps(line) + "\n" for line in lines).encode()
    rlm.write("p.rlm", "input rows: [{n: int, t: text}]\nanswer [r.n for r in rows if r.n % 999 == 0]\n")
    monkeypatch.setenv("TMPDIR", str(rlm.folder))
    code = (
        "import sys, rlmlang.limits as l; l.HELD_BYTES = 1_000; from rlmlang.cli.main import main\n"
        "from rlmlang.run import rows\nmade = rows._LineRows.__init__\n"
        "def told(self, *given): made(self, *given); print('streamed', self.file.path, file=sys.stderr)\n"
        "rows._LineRows.__init__ = told\nsys.exit(main(sys.argv[1:]))"
    )

    def ran(data: bytes) -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-c", code, "run", "p.rlm", "rows=-", "--memo", "off"]
        return subprocess.run(words, input=data, cwd=rlm.folder, capture_output=True, timeout=60)

    done = ran(data)
    assert (done.returncode, json.loads(done.stdout)) == (0, [0, 999, 1_998, 2_997, 3_996]), done.stderr
    assert b"streamed -" in done.stderr
    whole = ran(mark + b" \n" + json.dumps(lines).encode())  # one list is read as such
    assert json.loads(whole.stdout) == json.loads(done.stdout) and b"streamed" not in whole.stderr
    wrong = ran(data + b'{"n": "one", "t": ""}\n')
    assert wrong.returncode == 2 and b"standard input: line 4001: " in wrong.stderr and b"Traceback" not in wrong.stderr
    assert not list(rlm.folder.glob("rlm-stdin-*"))


def test_the_same_standard_input_is_the_same_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So a run with `--out` goes on, and with another input does not."""
    monkeypatch.setattr(terminal, "HELD_BYTES", 10)
    monkeypatch.setattr(terminal, "_PIECE", 7)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def rows_of(data: bytes) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        path = terminal.take_input()
        assert isinstance(path, Path) and path.read_bytes() == data
        monkeypatch.setattr(inputs, "HELD_BYTES", 10)
        bound = inputs.bind_inputs(check(parse("input x: [int]\nanswer x")).inputs, {"x": "-"}, stdin=lambda: path)["x"]
        assert isinstance(bound, Streamed) and list(bound) == [int(line) for line in data.split()]
        return bound.identity()

    first = rows_of(b"1\n2\n3\n4\n500\n" * 10)
    assert rows_of(b"1\n2\n3\n4\n500\n" * 10) == first != rows_of(b"1\n2\n3\n4\n501\n" + b"1\n2\n3\n4\n500\n" * 9)


def test_standard_input_has_an_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = (
        "import sys, rlmlang.limits as l; l.HELD_BYTES, l.SPOOL_BYTES = 1_000, 5_000; from rlmlang.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "p.rlm").write_text("input rows: [{n: int}]\nanswer len(rows)\n")
    words = [sys.executable, "-c", code, "run", "p.rlm", "rows=-"]
    done = subprocess.run(words, input=b'{"n": 1}\n' * 1_000, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 2 and b"more than 5,000 bytes" in done.stderr
    assert not list(tmp_path.glob("rlm-stdin-*"))


def test_the_whole_command_line(small: None, rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks at inputs beside the run: bounds, prompts, samples, plans and reports."""
    monkeypatch.setattr("rlmlang.limits.HELD_ROWS", 5)
    rlm.write("rows.jsonl", "".join(f'{{"n": {n}, "t": "{"x" * (n % 7)}"}}\n' for n in range(200)))
    rlm.write("p.rlm", 'input rows: [{n: int, t: text}]\nkept = [r for r in rows if r.n >= 40]\nanswer [call "Say" on r.t for r in kept]\n')
    words = ["p.rlm", "rows=@rows.jsonl", "--model", rlm.rules({"reply": "yes"}), "--memo", "memo.sqlite"]
    calls = rlm("cost", *words, "--json").json["bound"]["calls"]
    assert (calls["min"], calls["max"]) == (160, 160)
    assert "Say" in rlm("cost", *words, "--prompts").out
    sampled = rlm("cost", *words, "--sample", "3", "--budget", "9 calls")
    assert sampled.code == 0, sampled.err
    assert rlm("run", *words, "--plan").code == 0
    assert rlm("run", *words, "--json").json["used"]["calls"] == 160
    rlm.write("all.rlm", "input rows: [{n: int, t: text}]\nanswer {all: rows}")
    assert rlm("run", "all.rlm", "rows=@rows.jsonl", "--json").json["answer"]["all"][199] == {"n": 199, "t": "xxx"}


# ---- --out ----

ANSWERS = [
    'answer [call f"echo {r}" for r in rows]',
    'answer [call f"echo {r}" for r in rows if r % 3 == 0]',
    'answer [r for r in rows if call "even" on r -> bool]',
    "answer [r + 1 for r in rows if r % 2 == 0]",
    'answer [w for r in rows for w in [call f"echo {r}", call f"echo {r + 1}"] if r % 4 != 0]',
    'answer [call f"echo {w}" for r in rows for w in range(r % 4)]',
    'answer [call f"echo {x}" for r in rows for w in range(r % 3) for x in range(w + 1) if r != 7]',
    'answer map i, r in [r for r in rows if call "even" on r -> bool] { [i, r] }',
    'kept = [r for r in rows if call "even" on r -> bool]\nanswer [[r, len(kept)] for r in kept]',
    "answer sorted(rows, r => -r)",
    "answer rows",
]


def lines_of(source: str, given: Any, written: int) -> tuple[list[Any], list[tuple[int, int]], list[str]]:
    """The items that a run hands on, after how many items of its source how many of them were there, and what was asked."""
    made: list[Any] = []
    through: list[tuple[int, int]] = []
    with scripted(FakeModel(delay=lambda request: 1 + hash(request.messages[-1].content) % 7)) as model:
        session = rlmlang.session.prepare(f"input rows: [int]\n{source}", SETTINGS, {"rows": given})
        session.start(made.append, lambda done: through.append((done, len(made))), written).wait()
    return made, through, model.texts()


@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize("source", ANSWERS)
def test_an_answer_goes_on_from_any_item(source: str, is_held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(24)))
    if not is_held:
        make_small(monkeypatch)
        monkeypatch.setattr("rlmlang.limits.HELD_ROWS", 3)
    with scripted():
        answer = list(rlmlang.run(f"input rows: [int]\n{source}", SETTINGS, rows=path).answer)
    whole, through, _ = lines_of(source, path, 0)
    assert whole == answer and [done for done, _ in through] == list(range(1, len(through) + 1)) and through[-1][1] == len(whole)
    for done, there in through[:: max(1, len(through) // 5)]:
        rest, _, again = lines_of(source, path, done)
        assert whole[:there] + rest == answer
        if done == len(through) and "kept" not in source and "map i" not in source:
            assert not again


def test_items_are_written_as_soon_as_they_can_be() -> None:
    """Also those of a flattened list, which were put in order at the end."""
    made: list[tuple[int, float]] = []
    source = 'input rows: [int]\nanswer [int(call f"echo {w}") for r in rows for w in [r, r + 100]]'
    with scripted(FakeModel(delay=lambda request: 9.0 if "echo 5" in request.messages[-1].content else 1.0)) as model:
        session = rlmlang.session.prepare(source, SETTINGS, {"rows": list(range(8))})
        session.start(lambda item: made.append((item, max(a.end or 0.0 for a in model.asked)))).wait()
    assert [item for item, _ in made] == [x for r in range(8) for x in (r, r + 100)]
    assert all(at < 9 for _, at in made[:10]) and all(at >= 9 for _, at in made[10:])


def test_a_killed_run_goes_on_where_it_stopped(rlm: Shell) -> None:
    """Killed again and again, at whatever moment: the file is that of a run that nobody stopped, and no item in it is computed twice."""
    rlm.write("rows.jsonl", "".join(f"{n}\n" for n in range(60)))
    rlm.write("p.rlm", 'input rows: [int]\nanswer [{n: w, said: call f"Say {w}" with {sample: r}} for r in rows for w in range(r % 3)]\n')
    model = rlm.rules({"match": "Say", "reply": "yes", "delay": 0.03})
    words = ["run", "p.rlm", "rows=@rows.jsonl", "--model", model, "--memo", "off", "--concurrency", "2", "--json"]
    out, progress = rlm.folder / "out.jsonl", rlm.folder / "out.jsonl.progress"
    whole = rlm(*words, "--out", "whole.jsonl").json["answer"]
    for _ in range(2):
        seen = len(out.read_bytes()) if out.exists() else 0
        with rlm.start(*words, "--out", "out.jsonl") as process:
            while process.poll() is None and (not out.exists() or len(out.read_bytes()) < seen + 150):
                time.sleep(0.01)
            process.kill()
        assert progress.exists() and out.read_bytes()
        with out.open("ab") as file:
            file.write(b'{"n": 1, "sa')  # torn
    before = int(progress.read_text().split("\n")[1].split()[2])
    done = rlm(*words, "--out", "out.jsonl")
    assert done.code == 0 and not progress.exists() and f"going on after {before} lines of out.jsonl" in done.err
    assert [json.loads(line) for line in out.read_text().splitlines()] == whole == done.json["answer"]
    assert 0 < done.json["used"]["calls"] <= len(whole) - before


def test_another_run_does_not_go_on(rlm: Shell) -> None:
    rlm.write("p.rlm", 'input docs: [text]\nanswer [call "Say" on d for d in docs]\n')
    model = rlm.rules({"match": "bad", "fault": "refuse"}, {"reply": "heard"})
    words = ["run", "p.rlm", "--memo", "off", "--out", "out.jsonl", "--concurrency", "1"]
    assert rlm(*words, 'docs=["a", "bad"]', "--model", model).code == 1
    assert Path("out.jsonl").read_text() == '"heard"\n'
    for change, said in [
        (['docs=["b", "bad"]', "--model", model], "and the inputs are others now"),
        (['docs=["a", "bad"]', "--model", rlm.rules({"reply": "x"}, name="other.jsonl")], "and the models are others now"),
    ]:
        refused = rlm(*words, *change)
        assert refused.code == 2 and f"out.jsonl has 1 line of a run that was not finished, {said}" in refused.err
        assert Path("out.jsonl").read_text() == '"heard"\n'
    rlm.write("p.rlm", 'input docs: [text]\nanswer [call "Tell" on d for d in docs]\n')
    assert "and the program is another one now" in rlm(*words, 'docs=["a", "bad"]', "--model", model).err
    assert rlm(*words, 'docs=["c"]', "--model", model, "--restart").code == 0
    assert Path("out.jsonl").read_text() == '"heard"\n' and not Path("out.jsonl.progress").exists()
