"""A bound as people read it: a table of figures, or formulas; a line for each place that calls a model; what multiplies; seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from rlmlang.cli import terminal
from rlmlang.quantity import INFINITE, Formula, Quantity, maximum, times
from rlmlang.syntax.diagnostics import printable

if TYPE_CHECKING:
    from rlmlang.cost.bound import Bound, Figure, SiteBound
    from rlmlang.cost.weight import Loop
    from rlmlang.session import Estimate

NANO = 1_000_000_000
_NAMES = {"input_tokens": "input tokens", "output_tokens": "output tokens"}
_WIDTH = 70  # characters of a call that are shown


@frozen
class Latency:
    """Seconds that a call takes: of any model, or of one by its name."""

    usual: float | None = None
    of: Mapping[str, float] = {}

    def seconds(self, model: str) -> float:
        return self.of.get(model, self.usual or 0.0)


def figures_text(bound: Bound, seconds: Figure | None) -> str:
    """The figures: as a table, or where sizes are not known as formulas with what their names mean."""
    figures = {**bound.figures, **({} if seconds is None else {"seconds": seconds})}
    if any(isinstance(q, Formula) for figure in figures.values() for q in (figure.least, figure.most)):
        return _formulas(figures, bound)
    rows = [["", "min", "expected", "max"]]
    rows += [[_NAMES.get(name, name), *(amount(name, q) for q in (f.least, f.expected, f.most))] for name, f in figures.items()]
    return "\n".join(_aligned(rows))


def _formulas(figures: Mapping[str, Figure], bound: Bound) -> str:
    width = max(len(_NAMES.get(name, name)) for name in figures)
    lines = []
    for name, figure in figures.items():
        most = amount(name, figure.most)
        least = f", ≥ {amount(name, figure.least)}" if figure.least not in (0, figure.most) else ""
        lines.append(f"{_NAMES.get(name, name):<{width}} ≤ {most}{least}")
    meant = [f"{printable(s.name, 60)} = {printable(s.meaning, 100)}" for s in bound.symbols]
    return "\n".join([*lines, *(["with " + ", ".join(meant)] if meant else [])])


def amount(name: str, q: Quantity | None) -> str:
    """An amount of a figure: a number with thousands separated, dollars with a sign, a formula, `unbounded`, or `?` for a guess that nobody made."""
    from rlmlang.cost.bound import formula

    if q is None:
        return "?"
    if isinstance(q, Formula):
        return printable(formula(name, q), 300)
    if q == INFINITE:
        return "unbounded"
    if name == "dollars":
        return terminal.money(q / NANO)
    if name == "seconds":
        return f"{q:,.0f}" if q >= 100 else f"{q:,.1f}"
    return f"{q:,.0f}" if float(q).is_integer() or q >= 100 else f"{q:,.1f}"


def sites_text(bound: Bound, main: str) -> str:
    """A line for each place that calls a model: its line, calls at most, share of the bound, and what it asks. `main`: the program's own file."""
    from rlmlang.cost.weight import share

    rows = [["line", "calls ≤", "share", ""]]
    for site in bound.sites:
        part = share(site, bound)
        rows.append([_place(site, main), amount("calls", site.figures["calls"].most), percent(part), _call(site)])
    return "\n".join(_aligned(rows, left=(0, 3)))


def percent(part: float | None) -> str:
    """A share of the bound; empty where it is not known."""
    if part is None:
        return ""
    return f"{100 * part:.0f} %" if part == 0 or part >= 0.01 else "< 1 %"


def _place(site: SiteBound, main: str) -> str:
    span = site.node.span
    return f"{span.line}" if span.source.name == main else f"{printable(span.source.name, 60)}:{span.line}"


def _call(site: SiteBound) -> str:
    text = printable(" ".join(site.node.span.text.split()))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def loop_text(loop: Loop, main: str) -> str:
    """`line 7: 3 x hits, at most 3,000 calls, 96 % of the bound`"""
    span = loop.node.span
    where = f"line {span.line}" if span.source.name == main else f"{printable(span.source.name, 60)}:{span.line}"
    much = "which nothing bounds" if loop.calls == INFINITE else f"at most {terminal.plural(round(loop.calls), 'call')}"
    part = f", {percent(loop.share)} of the bound" if loop.share is not None else ""
    return f"{where}: {loop.each} x {printable(loop.over, 80)}, {much}{part}"


def seconds_of(estimate: Estimate, bound: Bound, latency: Latency) -> Figure:
    """How long a run takes by the longest chain of calls, or by how many fit beside one another, whichever is longer."""
    from rlmlang.cost.bound import Figure

    slowest = max((latency.seconds(site.model) for site in bound.sites), default=0.0)

    def longest(pick: str) -> Quantity | None:
        rounds: Quantity | None = getattr(bound.figures["rounds"], pick)
        if rounds is None:
            return None
        # the least holds whatever the models are: each call of the chain may go to the fastest
        pace = slowest if pick != "least" else min((latency.seconds(site.model) for site in bound.sites), default=0.0)
        found = times(rounds, pace)
        for model in {site.model for site in bound.sites}:
            calls: Quantity | None = 0
            for site in bound.sites:
                one: Quantity | None = getattr(site.figures["calls"], pick)
                calls = None if one is None or calls is None else calls if site.model != model else _sum(calls, one)
            if calls is None:
                return None
            found = maximum(found, times(calls, latency.seconds(model) / max(1, estimate.models[model].concurrency)))
        return found

    expected = longest("expected")
    least, most = longest("least"), longest("most")
    assert least is not None and most is not None
    return Figure(least, None if isinstance(expected, Formula) else expected, most)


def _sum(a: Quantity, b: Quantity) -> Quantity:
    from rlmlang.quantity import plus

    return plus(a, b)


def _aligned(rows: Sequence[Sequence[str]], left: Iterable[int] = (0,)) -> list[str]:
    """Rows with their columns under one another, the numbers to the right."""
    to_left = set(left)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" if at in to_left else f"{cell:>{width}}" for at, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
