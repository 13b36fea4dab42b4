"""A bound as people read it: a table of figures, or formulas; a line for each place that calls a model; what multiplies; seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from rlmlang import limits
from rlmlang.cli import terminal
from rlmlang.quantity import INFINITE, Formula, Quantity, ceil_div, difference, maximum, plus, times
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.cost.bound import Bound, Figure, SiteBound
    from rlmlang.cost.preview import Preview
    from rlmlang.cost.sampled import Range
    from rlmlang.cost.weight import Loop
    from rlmlang.quantity import Symbol
    from rlmlang.run.rehearse import Asked, Rehearsal
    from rlmlang.session import Estimate
    from rlmlang.syntax.nodes import Call, Solve
    from rlmlang.syntax.source import Span

NANO = 1_000_000_000
_NAMES = {"input_tokens": "input tokens", "output_tokens": "output tokens"}
_WIDTH = 70  # characters of a call that are shown
_BRIEF = 48  # of a formula in a line with other things


@frozen
class Latency:
    """Seconds that a call takes: of any model, or of one by its name."""

    usual: float | None = None
    of: Mapping[str, float] = field(factory=dict)

    def seconds(self, model: str) -> float:
        return self.of.get(model, self.usual or 0.0)


def figures_text(bound: Bound, seconds: Figure | None, ranges: Mapping[str, Range] | None = None) -> str:
    """The figures: as a table, or where sizes are not known as formulas with what their names mean. `ranges`: where a sample expects
    them."""
    figures = {**bound.figures, **({} if seconds is None else {"seconds": seconds})}
    if any(isinstance(q, Formula) for figure in figures.values() for q in (figure.least, figure.most)):
        return _formulas(figures, bound)
    rows = [["", "min", "expected", "max"]]
    rows += [[_NAMES.get(name, name), *(amount(name, q) for q in (f.least, f.expected, f.most))] for name, f in figures.items()]
    if all(figure.expected is None for figure in figures.values()):
        rows = [[name, least, most] for name, least, _, most in rows]
    elif ranges is not None:
        between = ["95 %", *(_between(name, ranges.get(name)) for name in figures)]
        rows = [[name, least, likely, part, most] for (name, least, likely, most), part in zip(rows, between, strict=True)]
    return "\n".join(aligned(rows))


def _between(name: str, range: Range | None) -> str:
    if range is None:
        return ""
    low, high = (amount(name, end if math.isinf(end) else round(end)) for end in (range.low, range.high))
    return low if low == high else f"{low} to {high}"


def _formulas(figures: Mapping[str, Figure], bound: Bound) -> str:
    width = max(len(_NAMES.get(name, name)) for name in figures)
    lines = []
    for name, figure in figures.items():
        most = "unbounded" if figure.most == INFINITE else f"≤ {amount(name, figure.most)}"
        least = f", ≥ {amount(name, figure.least)}" if figure.least not in (0, figure.most) else ""
        lines.append(f"{_NAMES.get(name, name):<{width}} {most}{least}")
    meant = [f"{printable(s.name, 60)} = {printable(s.meaning, 100)}" for s in bound.symbols]
    return "\n".join([*lines, *(["with " + ", ".join(meant)] if meant else [])])


def amount(name: str, q: Quantity | None) -> str:
    """An amount of a figure: a number with thousands separated, dollars with a sign, a formula, `unbounded`, or `?` for a guess that
    nobody made."""
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
    """A line for each place that calls a model: its line, calls at most, share of the bound, and what it asks. `main`: the program's own
    file."""
    from rlmlang.cost.weight import share

    rows = [["line", "calls ≤", "share", ""]]
    for site in bound.sites:
        part = share(site, bound)
        rows.append([_place(site, main), _brief(site.figures["calls"].most), percent(part), _call(site)])
    if not any(part for _, _, part, _ in rows[1:]):
        rows = [[line, calls, text] for line, calls, _, text in rows]
    return "\n".join([*aligned(rows, left=(0, len(rows[0]) - 1)), *_batches(bound, main)])


def _batches(bound: Bound, main: str) -> list[str]:
    """`line 3: batched by 20: 50 requests expected instead of 1,000`, for each place whose calls share requests."""
    lines = []
    for site in bound.sites:
        if site.batch > 1:
            likely, calls = (site.figures[name].expected for name in ("requests", "calls"))
            saved = f": {amount('requests', likely)} requests expected instead of {amount('calls', calls)}" if likely is not None else ""
            lines.append(f"{_where(site.node.span, main)}: batched by {site.batch}{saved}")
    return ["", *lines] if lines else []


def prices_text(estimate: Estimate, bound: Bound) -> str:
    """What each model that is called takes for a million tokens, and who says so; empty where nothing costs money."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    from rlmlang.lm.prices import FREE, price_of

    lines = []
    for name in dict.fromkeys(site.model for site in bound.sites):
        model = estimate.models[name]
        price = price_of(model)
        if price is None or price == FREE:
            continue
        known = (
            "as configured"
            if model.input_price is not None
            else f"by genai-prices {version('genai-prices')} for {datetime.now(UTC):%Y-%m-%d}"
        )
        if model.batch_share is not None:
            known += (
                f", at {100 * float(model.batch_share):g} % by its Batch API, which may take {limits.JOB_SECONDS / 3_600:.0f} hours a round"
            )
        paid = f"{terminal.money(price.input / 1_000)} in, {terminal.money(price.output / 1_000)} out"
        lines.append(f"{printable(name, 100)}: {paid} a million tokens, {known}")
    return "\n".join(lines)


def percent(part: float | None) -> str:
    """A share of the bound; empty where it is not known."""
    if part is None:
        return ""
    return f"{100 * part:.0f} %" if part == 0 or part >= 0.01 else "< 1 %"


def _place(site: SiteBound, main: str) -> str:
    span = site.node.span
    return f"{span.line}" if span.source.name == main else f"{printable(span.source.name, 60)}:{span.line}"


def _brief(calls: Quantity) -> str:
    """A number of calls; of a formula that nobody would read, its beginning: `--json` has it all."""
    text = amount("calls", calls)
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


def _call(site: SiteBound) -> str:
    text = printable(" ".join(site.node.span.text.split()))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def loop_text(loop: Loop, main: str) -> str:
    """`line 7: 3 x hits, at most 3,000 calls, 96 % of the bound`"""
    span = loop.node.span
    if isinstance(loop.calls, Formula):
        much = f"at most {_brief(loop.calls)} calls"
    else:
        much = "which nothing bounds" if loop.calls == INFINITE else f"at most {plural(round(loop.calls), 'call')}"
    part = f", {percent(loop.share)} of the bound" if loop.share is not None else ""
    return f"{_where(span, main)}: {loop.each} x {printable(loop.over, 80)}, {much}{part}"


def missing_text(size: Symbol) -> str:
    """`most depends on n = len(docs): give that input, or try --at n=1000`"""
    name = printable(size.name, 60)
    return f"most depends on {name} = {printable(size.meaning, 100)}: give that input, or try --at {name}=1000"


def prompts_text(estimate: Estimate, bound: Bound, previews: Mapping[Call | Solve, Preview]) -> str:
    """Each call's prompt, framed, with its size, and the call's share of the bound."""
    from rlmlang.cost.preview import prompt_bytes
    from rlmlang.cost.weight import share

    main = estimate.checked.program.source.name
    shown = []
    for site in bound.sites:
        seen = previews.get(site.node)
        if seen is None:
            shown.append(f"── {_where(site.node.span, main)}: no item reaches this call in a preview")
            continue
        part = percent(share(site, bound))
        together = [f"up to {site.batch} in one request"] if site.batch > 1 else []
        about = [f"{prompt_bytes(seen.request):,} bytes", *together, *([f"{part} of the bound"] if part else [])]
        head = f"── {_where(site.node.span, main)}, to {printable(site.model, 100)}: {', '.join(about)}"
        texts = [f"[{m.role}]\n{m.content}" if len(seen.request.messages) > 1 else m.content for m in seen.request.messages]
        shown.append("\n".join([head, *texts]))
    return "\n\n".join(shown)


def _where(span: Span, main: str) -> str:
    return f"line {span.line}" if span.source.name == main else f"{printable(span.source.name, 60)}:{span.line}"


def latency_of(estimate: Estimate, bound: Bound, given: Latency | None) -> Latency | None:
    """Seconds a call: as given, else as earlier runs took. None where that is not known of each model, or nothing is called. Of models that
    are asked by a Batch API it is known."""
    if given is not None and given.usual is not None:
        return given
    of = dict(given.of) if given is not None else {}
    names = {site.model for site in bound.sites}
    for name in names - set(of):
        if estimate.models[name].batch_share is not None:
            of[name] = limits.JOB_SECONDS
            continue
        seen = estimate.experience.seconds(estimate.models[name])
        if seen is not None:
            of[name] = seen
    return Latency(None, of) if names and (given is not None or names <= set(of)) else None


def seconds_of(estimate: Estimate, bound: Bound, latency: Latency) -> Figure:
    """How long a run takes if each request takes as long as `latency` says, none is sent again, and batches are full.

    A job of a Batch API may take no time, or all that it is allowed; of which nothing is expected.
    At least the longest chain of calls, or as many waves as a model's width makes of its calls. At most (R. L. Graham, Bounds for certain
    multiprocessing anomalies, 1966) the chain, and all other calls in full waves: at any time either the chain goes on or waits for a
    model that is full.
    """
    from rlmlang.cost.bound import Figure

    names = sorted({site.model for site in bound.sites})
    by_jobs = {name for name in names if estimate.models[name].batch_share is not None}
    shortest = {name: 0.0 if name in by_jobs else latency.seconds(name) for name in names}
    paces = {name: limits.JOB_SECONDS if name in by_jobs else latency.seconds(name) for name in names}
    rounds = bound.figures["rounds"]

    def calls(of: Callable[[Figure], Quantity], name: str) -> Quantity:
        return plus(*(times(of(site.figures["calls"]), 1 / site.batch) for site in bound.sites if site.model == name))

    def width(name: str) -> int:
        return limits.JOB_WAITING if name in by_jobs else max(1, estimate.models[name].concurrency)

    def longest(of: Callable[[Figure], Quantity], pace: float) -> Quantity:
        found = times(of(rounds), pace)
        for name in names:
            found = maximum(found, times(ceil_div(calls(of, name), width(name)), shortest[name]))
        return found

    most = times(rounds.most, max(paces.values(), default=0.0))
    for name in names:
        # where there is one model, the chain's own calls are none of the others
        others = difference(calls(lambda f: f.most, name), rounds.most if len(names) == 1 else 0)
        most = plus(most, times(others, paces[name] / width(name)))
    guessed = [rounds, *(site.figures["calls"] for site in bound.sites)]
    known = not by_jobs and all(f.expected is not None for f in guessed)
    likely = longest(lambda f: f.expected or 0, max(shortest.values(), default=0.0)) if known else None
    return Figure(longest(lambda f: f.least, min(shortest.values(), default=0.0)), None if isinstance(likely, Formula) else likely, most)


def plan_json(bound: Bound, rehearsal: Rehearsal) -> dict[str, Any]:
    """`rlm run --plan --json`: how many calls; how many are known now, and answered by the memo; what is left to pay."""
    whole = bound.to_json()
    sites = []
    for site, told in zip(bound.sites, whole["sites"], strict=True):
        asked, least, most = _planned(site, rehearsal)
        sites.append(
            {key: told[key] for key in ("line", "column", "file", "text", "model", "batch")}
            | {
                "calls": told["bound"]["calls"],
                "requests": told["bound"]["requests"],
                "known": asked.calls,
                "from_memo": asked.from_memo,
                "to_pay": {"min": least, "max": None if isinstance(most, Formula) or most == INFINITE else int(most)},
            }
        )
    return {"bound": whole["bound"], "done": rehearsal.done, "sites": sites, "warnings": whole["warnings"]}


def plan_text(bound: Bound, rehearsal: Rehearsal, main: str) -> str:
    """The same as a table."""
    rows = [["line", "calls ≥", "calls ≤", "known", "in memo", "to pay ≥", "to pay ≤", ""]]
    for site in bound.sites:
        asked, least, most = _planned(site, rehearsal)
        calls = site.figures["calls"]
        figures = (amount("calls", q) for q in (calls.least, calls.most, asked.calls, asked.from_memo, least, most))
        rows.append([_place(site, main), *figures, _call(site)])
    said = "Nothing is sent. known: calls whose prompts are known before any reply that is not in the memo; equal ones are paid once."
    if rehearsal.done:
        said = "Nothing is left to pay: the memo holds every reply."
    elif rehearsal.error is not None:
        said = f"The run would fail: {printable(rehearsal.error.message)}"
    return "\n".join([*aligned(rows, left=(0, 7)), *_batches(bound, main), "", said])


def _planned(site: SiteBound, rehearsal: Rehearsal) -> tuple[Asked, int, Quantity]:
    """What a place asks, and how many of its calls are to be paid: none surely, where replies decide how many it makes."""
    from rlmlang.run.rehearse import Asked

    asked = rehearsal.sites.get(site.node, Asked())
    calls = site.figures["calls"]
    if rehearsal.done:
        return asked, 0, 0
    return asked, asked.unpaid if calls.least == calls.most else 0, difference(calls.most, asked.from_memo)


def aligned(rows: Sequence[Sequence[str]], left: Iterable[int] = (0,)) -> list[str]:
    """Rows with their columns under one another, the numbers to the right."""
    to_left = set(left)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if at in to_left else f"{cell:>{width}}" for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
