"""The page of a comparison: all of it in one file, and nothing that a model says becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm
from hypothesis import given, settings
from hypothesis import strategies as st

from rlmlang.cli import page as page_module
from rlmlang.cli.charts import Bar, Curve, Point, apart, bars, curves, points, short
from rlmlang.cli.page import page

__all__ = ["rlm"]

ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "span", "pre", "details", "summary"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "g", "text", "rect", "circle", "path"}


class Reader(HTMLParser):
    """The tags and the text of a page, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def checked(text: str) -> Reader:
    """A page that holds nothing but its own markup."""
    read = Reader(text)
    assert not read.open
    assert {tag for tag, _ in read.tags} <= ALLOWED
    for _, attributes in read.tags:
        assert not any(name.startswith("on") or name in ("href", "src", "style", "action") for name in attributes)
    assert "http" not in text.replace("http-equiv", "")
    assert text.startswith("<!DOCTYPE html>\n<html")
    text.encode()
    return read


def row(strategy: str = "rlm", **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "strategy": strategy,
        "outcome": "answered",
        "answer": "three",
        "score": 1.0,
        "coverage": 0.5,
        "seen": 1.0,
        "calls": 12,
        "bound": None,
        "root_calls": 2,
        "root_tokens": 300,
        "tokens": 4_000,
        "dollars": 0.01,
        "rounds": 3,
        "seconds": 1.5,
        "error": None,
        "paid": {"requests": 12, "from_memo": 0},
        "transcript": [],
        "program": None,
    }
    return plain | more


def step(by: str = "root", **more: Any) -> dict[str, Any]:
    return {"by": by, "text": "", "name": "", "arguments": "", "result": "", "steps": [], **more}


EVIL = [
    "</pre></details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "</style><style>body{display:none}",
    "</title><h1>x",
    "<!-- ",
    "]]>",
    "&lt;b&gt; &amp;",
    "\u202egnorw\u202c",
    "\ud800 \x00 \x1b[31m \x85 \u2028",
    "a\n" * 50_000,
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_what_models_and_data_say_is_text(evil: str) -> None:
    tool = step("tool", name=evil, arguments=evil, result=evil, steps=[step("agent", text=evil)])
    bad = row(evil, outcome=evil, answer=evil, error=evil, program=evil, transcript=[step(text=evil), tool])
    for report in ({"question": evil, "rows": [bad]}, {"workload": evil, "questions": [{"question": evil, "rows": [bad]}] * 2}):
        read = checked(page(report))
        assert not re.search("[\ud800-\udfff\x00\x1b\x85\u2028\u202e]", read.text)
        if len(evil) < 100 and evil.isprintable():
            assert read.text.count(evil) > 5


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_text(question: str, texts: list[str]) -> None:
    rows = [row(text, answer=texts, transcript=[step(text=text)]) for text in texts]
    checked(page({"question": question, "rows": rows}))


def test_what_the_page_says() -> None:
    rows = [row("direct", answer=[1, {"a": 2}], score=0.25), row("folding", outcome="looped", answer=None, error="no answer: it looped")]
    text = checked(page({"question": "How many?", "rows": rows})).text
    for part in (
        "rlm compare: How many?",
        '[1, {"a": 2}]',
        "0.25",
        "50%",
        "4,000",
        "$0.0100",
        "looped",
        "no answer: it looped",
        "Score over tokens",
    ):
        assert part in text


def test_columns_and_charts_that_say_nothing_are_left_out() -> None:
    bare = row(score=None, coverage=None, dollars=0.0, tokens=0)
    read = checked(page({"question": "?", "rows": [bare, bare]}))
    captions = [attributes.get("aria-label") for tag, attributes in read.tags if tag == "svg"]
    assert captions == ["Tokens", "Calls", "Rounds", "Seconds"]
    assert "Score" not in [tag for tag, _ in read.tags]
    assert "calls ≤" not in read.text.split("Score: of")[0]
    unknown = checked(page({"question": "?", "rows": [row(dollars=None)]}))
    assert "?" in unknown.text
    assert checked(page({"question": "?", "rows": []})).text


def test_several_questions_are_put_together() -> None:
    def part(at: int) -> dict[str, Any]:
        paid = {"requests": 100 if at == 1 else 2, "from_memo": 0 if at == 1 else 98}
        return {"question": f"Number {at}?", "rows": [row(calls=100, bound=120, paid=paid, score=at / 4, dollars=None if at == 2 else 0.5)]}

    read = checked(page({"workload": "pairs", "questions": [part(at) for at in range(1, 4)]}))
    assert "3 questions" in read.text
    assert "Workload: pairs" in read.text
    assert "1. Number 1?" in read.text
    cells = re.search(r"rlmanswered([\d.]+)(\d\.\d\d|\d+%)", read.text)
    assert cells is not None
    assert "rlmanswered0.5050%300360104" in read.text  # the mean score and coverage, all calls, those that were sent
    labels = [attributes.get("aria-label") for tag, attributes in read.tags if tag == "svg"]
    assert "Requests sent, question by question" in labels


def test_long_transcripts_are_cut() -> None:
    many = [step("tool", name="read", result=str(at)) for at in range(3_000)]
    deep = step("tool", name="deep", result="x")
    for _ in range(200):
        deep = step("tool", name="deep", result="x", steps=[deep])
    read = checked(page({"question": "?", "rows": [row(transcript=[deep, *many])]}))
    assert "more steps, which --json has." in read.text
    assert sum(tag == "details" for tag, _ in read.tags) <= 1_001


def test_a_page_of_long_texts_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    room = page_module._Room
    monkeypatch.setattr(page_module, "_Room", lambda: room(chars=200_000))
    text = "x" * 25_000
    long = row(transcript=[step("tool", name="read", arguments=text, result=text) for _ in range(20)])
    assert 200_000 < len(page({"questions": [{"question": text, "rows": [long]}] * 3})) < 300_000


def test_charts_take_any_figures() -> None:
    for value in (0.0, 1e-12, 3, 1e15, float(2**60)):
        assert bars("x", [Bar("a", value, "v", value / 2), Bar("b", None, "?")]).tag == "svg"
        assert points("x", "x", "y", [Point("a", value, 0.5), Point("b", 1, 2.0), Point("c", 0, -1)]).tag == "svg"
        assert curves("x", "x", "y", [Curve("a", [value, 0, value]), Curve("b", [])]).tag == "svg"
    assert curves("x", "x", "y", []).tag == "svg"
    assert points("x", "x", "y", []).tag == "svg"


@given(st.lists(st.floats(0, 260), max_size=9))
def test_labels_do_not_cover_one_another(heights: list[float]) -> None:
    placed = sorted(apart(heights, 260))
    assert all(b - a >= 13.999 for a, b in pairwise(placed))
    assert all(at <= 260 for at in placed)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (12, "12"), (999, "999"), (1_000, "1k"), (1_234, "1.23k"), (999_999, "1M"), (2.5e9, "2.5G")],
)
def test_short_figures(value: float, text: str) -> None:
    assert short(value) == text


# ---- on the command line ----


def test_it_is_written(rlm: Shell, tmp_path: Path) -> None:
    rlm.write("inbox.txt", "a <b>mail</b>\n")
    model = rlm.rules({"reply": "<script>alert(1)</script>"})
    words = ("compare", "Which?", "--context", "inbox.txt", "--model", model, "--memo", "off", "--strategies", "direct,chunks")
    done = rlm(*words, "--html", "page.html")
    assert done.code == 0
    assert "the page is in page.html" in done.err
    read = checked((tmp_path / "page.html").read_text())
    assert "<script>alert(1)</script>" in read.text
    told = rlm(*words, "--html", "no/such/page.html")
    assert (told.code, told.out) == (2, "")
    assert "cannot write no/such/page.html" in told.err
