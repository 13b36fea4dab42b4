"""`benchmarks/compare_real` keeps what it has measured, goes on from there, and writes the table where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.argument.document import fill
from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from benchmarks.compare_real.measure import Job, Kept, jobs, measure, tables
from rlmlang import Settings
from rlmlang.compare.workloads import Corpus, Question


def test_rows_are_kept_and_not_measured_again(tmp_path: Path) -> None:
    opened: list[str] = []

    @contextmanager
    def scripted(corpus: Corpus, question: Question) -> Iterator[Settings]:
        opened.append(f"{corpus.workload} {question.name}")
        with reading(Root(corpus, question)) as url:
            yield Settings(model="sub", root="root", base_url=url, memo=tmp_path / "memo")

    todo = list(jobs("scripted", ["weird", "counting"], [8], [1], ["direct", "rlm"]))
    assert len(todo) == 6
    assert not measure(todo, Kept(tmp_path), scripted, tmp_path, turns=5, calls=50, seconds=-1.0)
    assert opened == []
    assert measure(todo[:4], Kept(tmp_path), scripted, tmp_path, turns=5, calls=50, seconds=60.0)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('\n{"job": {"mod')  # ended while it wrote
    kept = Kept(tmp_path)
    assert list(kept.rows) == todo[:4]
    assert measure(todo, kept, scripted, tmp_path, turns=5, calls=50, seconds=60.0)
    assert opened == ["weird files"] * 2 + ["counting how many"] * 2 + ["counting compare"] * 2
    assert [row["score"] for row in Kept(tmp_path).rows.values()] == [1.0] * 6
    lines = "\n\n".join(tables(kept.rows, todo)).splitlines()
    assert len(lines) == 2 + 2 + 1 + 2 + 6
    assert lines[2].split("|")[1].strip() == "direct" and "1.00" in lines[2]


def test_a_row_without_an_answer_stands_in_the_table() -> None:
    job = Job("m", "needle", 9, 1, 0, "direct")
    row = {
        "outcome": "failed",
        "score": 0.0,
        "coverage": None,
        "calls": 3,
        "root_tokens": 1200,
        "tokens": 1200,
        "rounds": 1,
        "seconds": 2.0,
    }
    text = "\n".join(tables({job: row}, [job, Job("m", "needle", 9, 1, 0, "rlm")]))
    assert "failed" in text and "1,200" in text and "–" in text and "rlm" not in text


def test_figures_go_where_the_document_has_a_place_for_them(tmp_path: Path) -> None:
    one, two = tmp_path / "a.md", tmp_path / "b.md"
    one.write_text("one\n<!-- figures: a -->\nold\n<!-- end -->\ntwo\n<!-- figures: b -->\n<!-- end -->\n")
    two.write_text("<!-- figures: c -->\n<!-- end -->\n")
    fill({"a": r"new \1 table", "c": "other"}, [one, two])
    assert one.read_text() == "one\n<!-- figures: a -->\n\nnew \\1 table\n\n<!-- end -->\ntwo\n<!-- figures: b -->\n<!-- end -->\n"
    assert two.read_text() == "<!-- figures: c -->\n\nother\n\n<!-- end -->\n"
    with pytest.raises(KeyError, match="figures d"):
        fill({"d": "x"}, [one, two])
