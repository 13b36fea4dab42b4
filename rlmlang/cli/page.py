"""A comparison as a page: one HTML file with nothing from elsewhere, made from what `--json` prints.

What models and data say is text in it and never markup: the page is built as a tree (`charts.element`), has no script, and forbids any by
its policy. Long texts are cut, and so is a long transcript: the JSON has all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element, tostring

from attrs import define

from rlmlang.cli import terminal
from rlmlang.cli.charts import CHART_STYLE, CHART_STYLE_END, Bar, Curve, Point, bars, curves, element, points, short
from rlmlang.compare.strategies import NAMES
from rlmlang.limits import PAGE_CHARS, PAGE_STEPS, PAGE_TEXT_CHARS
from rlmlang.syntax.diagnostics import plural

Row = Mapping[str, Any]

_DEPTH: Final = 10  # of steps within steps

_STYLE: Final = (
    """\
:root { color-scheme: light dark; --ink: #1c1f23; --faint: #667078; --line: #d9dee3; --paper: #fff; --shade: #f4f6f8; --bar: #9dc3e6;
  --part: #1f6fb2; --good: #18794e; --bad: #b42318; --hue0: #0072b2; --hue1: #d55e00; --hue2: #008060; --hue3: #b3588f; --hue4: #6f6f6f;
  --hue5: #b97700; --hue6: #2f8fc4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #9aa4ad; --line: #353c43; --paper: #15181b; --shade: #1e2327;
  --bar: #2d5f8a; --part: #6fb4ec; --good: #5cc38f; --bad: #f2857a; --hue0: #5aaeea; --hue1: #f08a4b; --hue2: #3cc79d; --hue3: #dc90bd;
  --hue4: #a8a8a8; --hue5: #f0b541; --hue6: #8accf3; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 70rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; } h1, h2, p, td, summary { overflow-wrap: anywhere; }
.note { color: var(--faint); max-width: 50rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--faint); } .text { text-align: left; } td.answer { white-space: normal; max-width: 22rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.5rem 2.5rem; }
figure { margin: 0; } .charts, body > figure { margin-top: 1.8rem; }
figcaption { font-weight: 600; margin-bottom: .4rem; } figcaption span { font-weight: 400; color: var(--faint); }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; } .wide + details { margin-top: .8rem; }
details details { margin-left: 1rem; border: 0; }
summary { cursor: pointer; } summary span { color: var(--faint); }
pre { background: var(--shade); padding: .6rem .8rem; border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0;
  font-size: 13px; max-height: 30rem; overflow: auto; unicode-bidi: isolate; }
@media print { pre { max-height: none; } }
"""
    + CHART_STYLE
    + CHART_STYLE_END
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: Mapping[str, Any]) -> str:
    """The page of a report (`cli.comparison.report`): of one question, or of several."""
    parts: Sequence[Mapping[str, Any]] = report.get("questions") or [report]
    workload = report.get("workload")
    title = parts[0]["question"] if len(parts) == 1 else f"{plural(len(parts), 'question')}"
    body = [element("h1", f"rlm compare: {_cut(' '.join(title.split()), 300)}")]
    if workload is not None:
        body.append(element("p", f"Workload: {workload}", class_="note"))
    if len(parts) == 1:
        body += _of_one(parts[0]["rows"])
    else:
        body += _of_several(parts)
    body.append(_legend())
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"rlm compare: {_cut(' '.join(title.split()), 100)}"),
    ]
    style = Element("style")
    style.text = _STYLE
    html = element("html", element("head", head, style), element("body", body), lang="en")
    return "<!DOCTYPE html>\n" + tostring(html, encoding="unicode", method="html")


def _of_one(rows: Sequence[Row]) -> Iterator[Element]:
    yield _table(rows)
    yield element("div", list(_charts(rows)), class_="charts")
    yield from _scatter(rows)
    yield element("h2", "What each did")
    yield from map(_Room().details, rows)


def _of_several(parts: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    names = list(dict.fromkeys(row["strategy"] for part in parts for row in part["rows"]))
    by_name = {name: [row for part in parts for row in part["rows"] if row["strategy"] == name] for name in names}
    together = [_together(name, rows) for name, rows in by_name.items()]
    yield element("p", "Means of score and coverage, sums of all else.", class_="note")
    yield _table(together)
    yield element("div", list(_charts(together)), class_="charts")
    yield from _scatter(together)
    lines = [Curve(name, [row["paid"].get("requests", 0) for row in rows], _hue(name)) for name, rows in by_name.items()]
    drawn = curves("Requests sent, question by question", "question", "requests that were sent", lines)
    yield _figure("Requests that were sent, question by question", "what an earlier question has paid for comes from the memo", drawn)
    room = _Room()
    for at, part in enumerate(parts, 1):
        yield element("h2", f"{at}. {_cut(' '.join(part['question'].split()), 500)}")
        yield _table(part["rows"])
        yield from map(room.details, part["rows"])


def _together(name: str, rows: Sequence[Row]) -> Row:
    """One row for many: means and sums."""

    def mean(key: str) -> float | None:
        known = [row[key] for row in rows if row[key] is not None]
        return sum(known) / len(known) if known else None

    def total(key: str) -> Any:
        return None if any(row[key] is None for row in rows) else sum(row[key] for row in rows)

    answered = sum(row["outcome"] == "answered" for row in rows)
    counts = {key: total(key) for key in ("calls", "bound", "root_calls", "root_tokens", "tokens", "dollars", "rounds", "seconds")}
    paid = {key: sum(row["paid"].get(key) or 0 for row in rows) for key in ("requests", "from_memo")}
    outcome = "answered" if answered == len(rows) else f"{answered} of {len(rows)} answered"
    means = {key: mean(key) for key in ("score", "coverage", "seen")}
    return {"strategy": name, "outcome": outcome, "answer": None, "error": None, **means, **counts, "paid": paid}


# ---- the table ----


def _table(rows: Sequence[Row]) -> Element:
    scored = any(row["score"] is not None for row in rows)
    answers = any(row["answer"] is not None for row in rows)
    sent = any(row["paid"].get("from_memo") for row in rows)
    head = ["strategy", "outcome", *(["answer"] if answers else []), *(["score"] if scored else []), "coverage", "calls"]
    bound = any(row["bound"] is not None for row in rows)
    head += [*(["calls ≤"] if bound else []), *(["sent"] if sent else []), "root tokens", "tokens", "dollars", "rounds", "seconds"]
    texts = ("strategy", "outcome", "answer")
    columns = [element("th", name, scope="col", **({"class_": "text"} if name in texts else {})) for name in head]
    lines = [element("tr", [_cell(row, name) for name in head]) for row in rows]
    table = element("table", element("thead", element("tr", columns)), element("tbody", lines))
    return element("div", table, class_="wide")


def _cell(row: Row, name: str) -> Element:
    match name:
        case "strategy":
            return element("th", row["strategy"], scope="row", class_="text")
        case "outcome":
            return element("td", row["outcome"], class_="text good" if row["outcome"] == "answered" else "text bad")
        case "answer":
            return element("td", _cut(_answer(row), 200), class_="text answer")
        case "score":
            return element("td", _number(row["score"], ".2f"))
        case "coverage":
            return element("td", _number(row["coverage"], ".0%"))
        case "calls ≤":
            return element("td", _number(row["bound"], ","))
        case "sent":
            return element("td", f"{row['paid'].get('requests', 0):,}")
        case "dollars":
            return element("td", _dollars(row))
        case "seconds":
            return element("td", f"{row['seconds']:,.1f}")
    return element("td", f"{row[name.replace(' ', '_')]:,}")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _dollars(row: Row) -> str:
    return "?" if row["dollars"] is None else terminal.money(row["dollars"])


def _answer(row: Row) -> str:
    if row["answer"] is None and row["outcome"] != "answered":
        return ""
    return row["answer"] if isinstance(row["answer"], str) else json.dumps(row["answer"], ensure_ascii=False)


# ---- the charts ----


def _charts(rows: Sequence[Row]) -> Iterator[Element]:
    def share(key: str) -> list[Bar]:
        return [Bar(row["strategy"], row[key], _number(row[key], ".0%" if key == "coverage" else ".2f") or "not known") for row in rows]

    def count(key: str) -> list[Bar]:
        return [Bar(row["strategy"], row[key], short(row[key])) for row in rows]

    if any(row["score"] is not None for row in rows):
        yield _figure("Score", "of 1", bars("Score", share("score"), 1.0))
    if any(row["coverage"] is not None for row in rows):
        yield _figure("Coverage", "of what had to be looked at", bars("Coverage", share("coverage"), 1.0))
    tokens = [Bar(row["strategy"], row["tokens"], short(row["tokens"]), row["root_tokens"]) for row in rows]
    yield _figure("Tokens", "strong: the root model's own", bars("Tokens", tokens))
    calls = [Bar(row["strategy"], row["calls"], short(row["calls"]), row["root_calls"]) for row in rows]
    yield _figure("Calls", "strong: the root model's own", bars("Calls", calls))
    if any(row["dollars"] for row in rows):
        money = [Bar(row["strategy"], row["dollars"], _dollars(row)) for row in rows]
        yield _figure("Dollars", "with an empty memo", bars("Dollars", money))
    yield _figure("Rounds", "requests that wait for one another", bars("Rounds", count("rounds")))
    yield _figure("Seconds", "as it was run, with the memo", bars("Seconds", count("seconds")))


def _scatter(rows: Sequence[Row]) -> Iterator[Element]:
    """How good, over how many tokens."""
    key = "score" if any(row["score"] is not None for row in rows) else "coverage"
    placed = [
        Point(row["strategy"], row["tokens"], row[key], _hue(row["strategy"])) for row in rows if row[key] is not None and row["tokens"]
    ]
    if len(placed) > 1:
        drawn = points(f"{key.capitalize()} over tokens", "tokens", key, placed)
        yield _figure(f"{key.capitalize()} over tokens", "better is up and to the left", drawn)


def _hue(name: str) -> int:
    return NAMES.index(name) if name in NAMES else len(NAMES)


def _figure(title: str, note: str, chart: Element) -> Element:
    return element("figure", element("figcaption", title, " ", element("span", note)), element("div", chart, class_="wide"))


# ---- what each did ----


@define
class _Room:
    """What the page still has room for: characters of what was done, and `steps` of the strategy at hand."""

    chars: int = PAGE_CHARS
    steps: int = PAGE_STEPS

    def text(self, title: str | None, text: str) -> Element | None:
        """A text, cut, below its title."""
        if not text:
            return None
        shown = _cut(text, max(0, min(PAGE_TEXT_CHARS, self.chars)))
        self.chars -= len(shown)
        pre = element("pre", shown)
        return pre if title is None else element("div", element("div", title, class_="note"), pre)

    def details(self, row: Row) -> Element:
        """All that a strategy did, folded."""
        self.steps = PAGE_STEPS
        inner: list[Element | None] = [
            element("p", row["error"], class_="bad") if row.get("error") else None,
            self.text("Answer", _answer(row)),
            self.text("Program", row.get("program") or ""),
            *self._steps(row.get("transcript") or (), 0),
        ]
        if self.steps < 0:
            inner.append(element("p", f"… and {plural(-self.steps, 'more step')}, which --json has.", class_="note"))
        return element("details", _summary(row["strategy"], row["outcome"]), inner)

    def _steps(self, steps: Sequence[Mapping[str, Any]], depth: int) -> list[Element]:
        made: list[Element] = []
        for step in steps:
            self.steps -= 1
            if self.steps < 0:
                continue
            if step["by"] == "tool":
                called = self.text("Called with", step["arguments"])
                below = self._steps(step["steps"], depth + 1) if depth < _DEPTH else []
                summary = _summary(f"tool {_cut(step['name'], 60)}", _brief(step["result"]))
                made.append(element("details", summary, called, below, self.text("Gave", step["result"])))
            elif (said := self.text(None, step["text"])) is not None:
                made.append(element("details", _summary(step["by"], _brief(step["text"])), said))
        return made


def _summary(name: str, note: str) -> Element:
    return element("summary", name, " ", element("span", note))


def _brief(text: str) -> str:
    line = " ".join(text[:1_000].split())
    return line if len(line) <= 90 else line[:89] + "…"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def _legend() -> Element:
    says = (
        "Score: of the answer, where the right one is known. Coverage: of the items that had to be looked at, the share that a sub-call "
        "was sent (of a strategy without sub-calls: the root model). Calls: sub-invocations, the root model's replies too; calls ≤: how "
        "many there could be at most, where that was known before they were made. Tokens and dollars are counted as if nothing had been in "
        "the memo; a cell with ? has no known price. Rounds: the longest chain of requests that wait for one another."
    )
    return element("p", says, class_="note")
