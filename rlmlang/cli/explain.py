"""The program with what its calls took, beside each line that makes some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlmlang.cli import terminal
from rlmlang.run.report import SiteUse
from rlmlang.syntax.diagnostics import printable

_HEADER = f"{'calls':>8} {'expected':>9} {'max':>9} {'memo':>8} {'tokens':>11} {'dollars':>11}"
_BLANK = " " * len(_HEADER)
_WIDTH = 160  # characters of a line of the program that are shown


def explain(text: str, sites: Sequence[SiteUse]) -> str:
    """The program's `text`, each line with the sum of its call sites before it; below, the sites of other files that were used."""
    own: dict[int, list[SiteUse]] = {}
    for site in sites:
        if site.file is None:
            own.setdefault(site.line, []).append(site)
    source = text.rstrip("\n").split("\n")
    digits = len(str(len(source)))
    lines = [f"{_HEADER} {'':>{digits}} |"]
    for number, line in enumerate(source, 1):
        figures = _figures(own[number]) if number in own else _BLANK
        lines.append(f"{figures} {number:>{digits}} | {_shown(line)}".rstrip())
    elsewhere = [site for site in sites if site.file is not None]
    if elsewhere:
        lines += ["", "in used files and the standard library:"]
        lines += [f"{_figures([site])} {printable(site.file or '', 100)}:{site.line}: {_shown(site.text)}" for site in elsewhere]
    return "\n".join(lines)


def _figures(sites: Iterable[SiteUse]) -> str:
    sites = list(sites)
    spent = [site.dollars for site in sites]
    dollars = "?" if None in spent else terminal.money(sum(d for d in spent if d is not None))
    tokens = sum(site.input_tokens + site.output_tokens for site in sites)
    bounds = " ".join(f"{_bound(sites, end):>9}" for end in ("expected", "max"))
    return f"{sum(s.calls for s in sites):>8,} {bounds} {sum(s.from_memo for s in sites):>8,} {tokens:>11,} {dollars:>11}"


def _bound(sites: Sequence[SiteUse], end: str) -> str:
    """How many calls the bound expected, or allowed. A site that it does not have could not be reached: 0."""
    figures = [site.bound["calls"][end] if site.bound else 0 for site in sites]
    if None in figures:
        return "unbounded" if end == "max" else "?"
    return f"{round(sum(figures)):,}"


def _shown(line: str) -> str:
    return printable(line.replace("\t", " "), _WIDTH)
