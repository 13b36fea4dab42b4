"""The figures of the argument, and those measured for it, come from runs: roots play their strategies right, the arithmetic is theirs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.argument import orders, shapes
from benchmarks.argument.curves import LARGE, WAYS, WINDOW, Point, Way, complete, curve, dropped, fitted, outgrown, play, point
from benchmarks.argument.document import DOCUMENTS
from benchmarks.argument.everything import STRATEGIES
from benchmarks.argument.figures import PLOTS, plots
from benchmarks.argument.memo import rows, summed, twenty
from benchmarks.argument.plot import Line, chart
from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from benchmarks.harness import rendered
from rlmlang import Settings
from rlmlang.compare.compare import compare
from rlmlang.compare.workloads import WORKLOADS, generate


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_honest_player_of_each_strategy_is_right(name: str, tmp_path: Path) -> None:
    corpus = generate(name, 10, 6)
    corpus.write(tmp_path)
    for at in {0, len(corpus.questions) - 1}:
        strategies = [name for name in STRATEGIES if name != "python" or at == 0]
        with reading(Root(corpus, corpus.questions[at])) as url:
            settings = Settings(model="sub", root="root", base_url=url, memo=tmp_path / f"memo{at}")
            for row in compare(corpus.task(at, tmp_path), strategies, settings, turns=100, calls=500, allow_python=True):
                assert (row.outcome, row.score) == ("answered", 1.0), (row.strategy, row.error, row.answer)
                searched = name == "needle" and row.strategy in ("toolcalls", "folding")  # code finds it, so nothing is read
                assert row.coverage == (0.0 if searched else 1.0) or (row.strategy == "chunks" and (row.coverage or 0) > 0.8), row.strategy


def by_name(start: str) -> Way:
    return next(way for way in WAYS if way.name.startswith(start))


def test_what_is_left_out_is_not_seen() -> None:
    lost = dropped(by_name("toolcalls, a line"), 20, 0.2, 3)
    assert 0.5 < lost.mean < 1.0 and lost.complete == 0.0
    row, _ = play(by_name("rlm"), 10, drop=1.0)
    assert row.coverage == 0.0 and row.outcome != "answered"
    assert complete(by_name("toolcalls, a line"), 100, 0.01) == pytest.approx(0.99**100)
    assert complete(by_name("toolcalls, 20"), 100, 0.01) == pytest.approx(0.99**5)
    assert complete(by_name("rlm"), 10**6, 0.01) == pytest.approx(0.99)


def test_a_conversation_that_outgrows_its_window_ends_there() -> None:
    way = by_name("toolcalls, a line")
    ended, went_on = outgrown(way, 60, (6_000, 128_000))
    assert ended.outcome == "failed"
    assert ended.seen < 0.8 and abs(ended.seen - ended.expected) < 0.25
    assert went_on.outcome == "answered" and went_on.seen == went_on.expected == 1.0


def test_the_root_of_a_program_reads_no_more_for_more_data() -> None:
    small, large = (point(by_name("rlm"), n) for n in (10, 200))
    assert (small.calls, large.calls) == (11, 201) and small.score == large.score == 1.0
    assert large.root_tokens < 1.1 * small.root_tokens and large.written < 1.1 * small.written


def test_a_fit_goes_through_its_points_and_tells_what_it_misses() -> None:
    square = [(float(x), 3.0 * x * x + 2 * x + 7) for x in (10, 20, 50, 100)]
    value, miss = fitted(square, 2)
    assert value(1000) == pytest.approx(3_002_007) and miss < 1e-9
    value, miss = fitted([*square[:1], (20.0, square[1][1] * 1.1), *square[2:]], 2)
    assert 0.01 < miss < 0.1
    assert 5.0 < fitted([(1.0, 5.0), (9.0, 6.0)], 0)[0](10**6) < 6.0
    assert fitted([(10.0, 20.0), (20.0, 10.0)], 1)[0](10**6) > 0  # what grows does not shrink


def test_beyond_the_window_the_arithmetic_counts_what_was_seen_before() -> None:
    way = by_name("toolcalls, a line")
    made = [Point(n, 3.0 * n * n, n + 4.0, 80.0 * n, 70.0 * n, n / 8, 1.0, 1.0, 0.0) for n in (10, 20, 50, 100, 200, 500, 1000)]
    whole = curve(way, made)
    assert [p.n for p in whole.points] == LARGE
    last = whole.points[-1]
    assert not last.measured and last.root_tokens == pytest.approx(3e12) and last.coverage == pytest.approx(WINDOW / 70e6)
    texts = plots([whole])
    assert set(texts) == {"written", "root_tokens", "coverage", "complete"}
    for svg in texts.values():
        ElementTree.fromstring(svg)


def test_a_chart_tells_what_is_measured() -> None:
    svg = chart("a < b", "n", "y", [Line("one & two", [(10, 1), (100, 10), (1000, 100)], [10, 100]), Line("zero", [(10, 0), (1000, 1)])])
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{name}circle")) == 2
    assert "one & two" in [text.text for text in root.iter(f"{name}text")]
    assert len(svg) < 8_000


def test_an_order_gets_hold_of_what_its_prompt_decides() -> None:
    found = {row[0]: row[1:] for row in orders.table(20, 1)}
    assert found["direct"][1] == found["terminal"][1] == "1"
    assert float(found["python"][4]) > 0.3 and float(found["python"][3]) <= 4


def test_the_memo_leaves_nothing_of_later_questions() -> None:
    asked = twenty(16, 2)
    assert [a.score for a in asked] == [1.0] * 20
    assert asked[0].sent == 16 and asked[0].from_memo == 0
    assert all(a.sent == 0 and a.from_memo == a.calls == 16 and a.tokens == 0 for a in asked[1:])
    assert [row[0] for row in summed(asked)] == ["1", "2 to 20", "all"] and len(rows(asked)) == 21
    assert summed(asked)[1][2:6] == ["304", "304", "0", "0"]


def test_the_bounds_in_the_document_are_those_of_today() -> None:
    assert rendered(shapes.HEADINGS, shapes.rows()) in DOCUMENTS[0].read_text("utf-8")


def test_the_document_has_every_plot_and_figure() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    shown = re.findall(r"\(argument/(\w+)\.svg\)", text)
    assert set(shown) == {path.stem for path in PLOTS.glob("*.svg")} == {"written", "root_tokens", "coverage", "complete"}
    for name in ("sizes", "misses", "dropped", "outgrown", "memo", "everything", "orders"):
        found = re.search(rf"<!-- figures: {name} -->\n(.*?)<!-- end -->", text, re.S)
        assert found is not None and found[1].count("|") > 20, f"python benchmarks/argument --write has not put {name} there"
