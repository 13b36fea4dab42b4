"""Which loop of a program makes most of its bound: the line to look at first."""

from __future__ import annotations

from attrs import frozen

from rlmlang.check.checked import Checked, Function
from rlmlang.cost.bound import Bound, SiteBound
from rlmlang.quantity import INFINITE, Formula, Number, Quantity, Symbol, plus, symbols, value_at
from rlmlang.run.facts import parts
from rlmlang.syntax import nodes as n

_LARGE = 1_000_000
_MEASURES = ("dollars", "input_tokens", "calls")  # a share is one of the first of these that says anything


@frozen
class Loop:
    """A loop with calls in it: `each` places call in its body; at most `calls` in all, which are `share` of the bound (None: infinite, or
    a formula)."""

    node: n.Node
    over: str
    each: int
    calls: Quantity
    share: float | None


def share(site: SiteBound, bound: Bound) -> float | None:
    """How much of the bound a site makes, from 0 to 1: of the dollars, where there are any, else of the tokens, else of the calls. None
    where that is not known."""
    return _share([site], bound)


def _share(sites: list[SiteBound], bound: Bound) -> float | None:
    for measure in _MEASURES:
        whole = bound.figures[measure].most
        if isinstance(whole, Formula):
            return None
        if whole == INFINITE:
            continue
        if whole:
            return sum(m for m in (site.figures[measure].most for site in sites) if not isinstance(m, Formula)) / whole
    return None


def heaviest_loop(checked: Checked, bound: Bound) -> Loop | None:
    """The loop, in the program or what it uses, whose calls make most of the bound, or rise fastest where sizes are not known; of those
    that hold one another, the innermost. None where no loop calls."""
    sites = {site.node: site for site in bound.sites}
    below = _Below(checked)
    best: Loop | None = None
    for root in _roots(checked):
        for node in below.loops(root):
            own = [sites[call] for call in below.calls(_body(node)) if call in sites]
            calls = plus(*(site.figures["calls"].most for site in own))
            share_ = None if calls == INFINITE or isinstance(calls, Formula) else _share(own, bound)
            found = Loop(node, _over(node), len(own), calls, share_)
            if own and at_large(calls) > 1 and (best is None or _weight(found) >= _weight(best)):
                best = found
    return best


def _weight(loop: Loop) -> tuple[bool, float, float]:
    return loop.calls == INFINITE, loop.share or 0.0, at_large(loop.calls)


def at_large(q: Quantity) -> Number:
    """What a quantity is where all sizes are large, so that the highest powers decide."""
    return value_at(q, {s.name: _LARGE for s in symbols(q)})


def missing_size(bound: Bound) -> Symbol | None:
    """The size that is not known on which the bound depends most: of its calls, else of its tokens. None where all are known."""
    for measure in ("calls", "input_tokens"):
        most = bound.figures[measure].most
        if isinstance(most, Formula) and (whole := at_large(most)) != INFINITE:
            sizes = {s.name: _LARGE for s in symbols(most)}
            return min(bound.symbols, key=lambda s: value_at(most, sizes | {s.name: 0}) / max(whole, 1))
    return None


def _roots(checked: Checked) -> list[n.Node]:
    """Every expression that stands by itself: of statements, and the bodies of functions that are called."""
    found: list[n.Node] = [s.value for s in checked.program.statements if isinstance(s, (n.Bind, n.Unpack, n.Answer, n.Shown))]
    return found + [fn.body for fn in checked.functions]


def _body(node: n.Node) -> n.Node:
    assert isinstance(node, (n.Map, n.Filter, n.Reduce, n.Fold, n.First))
    return node.condition if isinstance(node, (n.Filter, n.First)) else node.body


def _over(node: n.Node) -> str:
    """The list of a loop, as it is written."""
    assert isinstance(node, (n.Map, n.Filter, n.Reduce, n.Fold, n.First))
    source: n.Expr = node.source
    while isinstance(source, n.Filter) and source.comprehension:
        source = source.source
    text = " ".join(source.span.text.split())
    return text if len(text) <= 40 else text[:39] + "…"


class _Below:
    """The calls and loops below an expression; calls through functions too."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._of_functions: dict[n.Fn, frozenset[n.Call | n.Solve]] = {}

    def loops(self, node: n.Node) -> list[n.Node]:
        found: list[n.Node] = []
        pending = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, (n.Map, n.Filter, n.Reduce, n.Fold, n.First)):
                found.append(part)
            pending += parts(part)
        return found

    def calls(self, node: n.Node) -> frozenset[n.Call | n.Solve]:
        found: set[n.Call | n.Solve] = set()
        pending = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, (n.Call, n.Solve)):
                found.add(part)
            callee = self._checked.callees.get(part) if isinstance(part, (n.Apply, n.Name)) else None
            if isinstance(callee, Function) and callee.effectful:
                found |= self._in_function(callee.node)
            pending += parts(part)
        return frozenset(found)

    def _in_function(self, fn: n.Fn) -> frozenset[n.Call | n.Solve]:
        if fn not in self._of_functions:
            self._of_functions[fn] = frozenset()  # while it is looked at: it may call itself
            self._of_functions[fn] = self.calls(fn.body)
        return self._of_functions[fn]
