"""Makes all figures of docs/argument.md and docs/measured.md: prints the tables, and with `--write` puts them, and the plots, there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.argument import everything, memo, orders, shapes
from benchmarks.argument.curves import (
    LARGE,
    SEED,
    WAYS,
    WINDOW,
    Curve,
    Dropped,
    Outgrown,
    Point,
    Way,
    complete,
    curve,
    dropped,
    most_root_tokens,
    outgrown,
    point,
    sizes,
)
from benchmarks.argument.document import fill
from benchmarks.argument.plot import Line, chart
from benchmarks.harness import rendered

PLOTS = Path(__file__).parents[2] / "docs" / "argument"
DROP = 0.01
ITEM_BYTES = 90  # of a line of the workload, for the bound
PREFILL = 10_000  # tokens of a prompt that a server reads in a second, where a number of days is given


def main() -> None:
    parser = argparse.ArgumentParser(prog="argument", description="The figures of docs/argument.md and docs/measured.md.")
    parser.add_argument(
        "--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS), help="these alone; the plots belong to sizes"
    )
    parser.add_argument("--largest", type=int, default=10_000, help="measure no size beyond this")
    parser.add_argument("--memo-lines", type=int, default=500, help="lines of the corpus of twenty questions")
    parser.add_argument("--workloads", type=int, nargs=2, default=(200, 1_000), help="pieces of each workload, and of pairs once more")
    parser.add_argument("--runs", type=int, default=20, help="runs for each figure with dropped sub-calls")
    parser.add_argument("--write", action="store_true", help="put the figures into the documents")
    given = parser.parse_args()
    for name in given.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        made, drawn = SECTIONS[name](given)
        text = {name: made} if isinstance(made, str) else made
        print(*("", *text.values()), sep="\n", flush=True)
        if given.write:
            fill(text)
            PLOTS.mkdir(exist_ok=True)
            for plot, svg in drawn.items():
                (PLOTS / f"{plot}.svg").write_text(svg, encoding="utf-8")


Made = tuple[str | Mapping[str, str], Mapping[str, str]]  # the text of a section, or of several by name, and the plots


def _sizes(given: argparse.Namespace) -> Made:
    curves = []
    for way in WAYS:
        print(f"  {way.name} …", file=sys.stderr, flush=True)
        curves.append(curve(way, [point(way, n) for n in sizes(way) if n <= given.largest]))
    return tables(curves), plots(curves)


def _outgrown(given: argparse.Namespace) -> Made:
    one = next(way for way in WAYS if way.strategy == "toolcalls")
    return outgrown_table(outgrown(one, min(given.largest, 500), (16_000, 32_000, 128_000))), {}


def _dropped(given: argparse.Namespace) -> Made:
    return rendered(*loss_table([dropped(way, n, DROP, given.runs) for way, n in losing()])), {}


def _everything(given: argparse.Namespace) -> Made:
    return everything.tables(everything.all_workloads(*given.workloads), SEED), {}


def _memo(given: argparse.Namespace) -> Made:
    asked = memo.twenty(given.memo_lines, SEED)
    print(f"\n{rendered(memo.HEADINGS, memo.rows(asked))}", flush=True)
    return rendered(memo.HEADINGS, memo.summed(asked)), {}


SECTIONS: Mapping[str, Callable[[argparse.Namespace], Made]] = {
    "shapes": lambda given: (rendered(shapes.HEADINGS, shapes.rows()), {}),
    "sizes": _sizes,
    "outgrown": _outgrown,
    "dropped": _dropped,
    "everything": _everything,
    "orders": lambda given: (rendered(orders.HEADINGS, orders.table(100, given.runs // 2)), {}),
    "memo": _memo,
}


def losing() -> list[tuple[Way, int]]:
    """Which strategies are run with dropped sub-calls, and at which sizes."""
    by_name = {way.name: way for way in WAYS}
    runs = (("toolcalls, a line each", 10), ("toolcalls, a line each", 100), ("toolcalls, 20 lines each", 300), ("rlm, a line each", 100))
    return [(by_name[name], n) for name, n in runs]


def plots(curves: Sequence[Curve]) -> Mapping[str, str]:
    """The plots, by name."""
    x = "lines of data, n"
    bounds = [
        Line("rlm, at most", [(float(n), float(most_root_tokens())) for n in LARGE], hue=len(WAYS)),
        Line("a loop, at most", shapes.loop_tokens(LARGE, ITEM_BYTES), hue=len(WAYS) + 1),
    ]
    writing = [c for c in curves if c.way.strategy != "chunks"]  # nobody writes it
    return {
        "written": chart("What has to be written to make the calls", x, "characters", _lines(curves, lambda way, p: p.written)),
        "root_tokens": chart("Tokens of the root model", x, "tokens", [*_lines(curves, lambda way, p: p.root_tokens), *bounds]),
        "coverage": chart(
            f"Lines that were seen (window of {WINDOW:,} tokens)", x, "share", _lines(curves, lambda way, p: p.coverage), log=False
        ),
        "complete": chart(
            f"Every line was seen (of what roots write, {DROP:.0%} is left out)", x, "probability", _lines(writing, _complete), log=False
        ),
    }


def _complete(way: Way, p: Point) -> float:
    return complete(way, p.n, DROP) if way.strategy != "direct" else float(p.coverage == 1.0)


def _lines(curves: Sequence[Curve], figure: Callable[[Way, Point], float]) -> list[Line]:
    lines = []
    for c in curves:
        measured = {p.n for p in c.points if p.measured and figure is not _complete}
        lines.append(Line(c.way.name, [(p.n, figure(c.way, p)) for p in c.points], measured, WAYS.index(c.way)))
    return lines


def tables(curves: Sequence[Curve]) -> dict[str, str]:
    """Each strategy at a thousand and at a million lines, and by how much the arithmetic misses measured sizes, at worst."""
    headings = ("strategy", "n", "", "characters written", "root tokens", "root, days", "calls", "longest prompt", "seen")
    rows = []
    for n in (1_000, 1_000_000):
        for c in curves:
            p = next(p for p in c.points if p.n == n)
            figures = [_figure(f, p.measured) for f in (p.written, p.root_tokens)]
            days = f"{p.root_tokens / PREFILL / 86_400:,.1f}" if p.root_tokens / PREFILL > 8_640 else "–"
            more = [_figure(f, p.measured) for f in (p.calls, p.largest)]
            rows.append([c.way.name, f"{n:,}", "measured" if p.measured else "arithmetic", *figures, days, *more, _share(p.coverage)])
    misses = [
        [
            c.way.name,
            f"{max(p.n for p in c.points if p.measured):,}",
            *(f"{c.check[f]:.1%}" for f in ("written", "root_tokens", "calls", "largest")),
        ]
        for c in curves
    ]
    checks = rendered(("strategy", "measured to n", "characters", "root tokens", "calls", "longest prompt"), misses)
    return {"sizes": rendered(headings, rows), "misses": checks}


def _figure(value: float, measured: bool) -> str:
    """A number; three digits of it where it comes from arithmetic."""
    return f"{round(value) if measured else round(float(f'{value:.3g}')):,}"


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 else f"{value:.2%}"


def loss_table(losses: Sequence[Dropped]) -> tuple[Sequence[str], list[list[str]]]:
    headings = ("strategy", "n", "runs", "seen on average", "by arithmetic", "all seen in", "by arithmetic")
    rows = [
        [d.name, f"{d.n:,}", str(d.runs), f"{d.mean:.1%}", f"{d.mean_expected:.1%}", f"{d.complete:.0%}", f"{d.complete_expected:.0%}"]
        for d in losses
    ]
    return headings, rows


def outgrown_table(runs: Sequence[Outgrown]) -> str:
    headings = ("strategy", "window", "n", "outcome", "seen", "by arithmetic")
    return rendered(headings, [[o.name, f"{o.window:,}", f"{o.n:,}", o.outcome, _share(o.seen), _share(o.expected)] for o in runs])
