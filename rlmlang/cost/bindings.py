"""Variables in the bound: what binding a name costs and where it is paid, and what reading it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from rlmlang.cost.account import FREE, Bill, Cost, endless, later
from rlmlang.cost.outcome import Bound, Choices, Env, Out
from rlmlang.quantity import INFINITE, at_most, maximum, plus
from rlmlang.run.facts import Variable
from rlmlang.sizes import (
    Exact,
    Interval,
    Size,
    TupleSize,
    as_list,
    of_type,
    unfold,
)
from rlmlang.syntax import nodes as n
from rlmlang.values import SEQUENCES

if TYPE_CHECKING:
    from rlmlang.cost.analysis import Analysis

_A_BINDING = 5  # work of one, beside that of its value


def read(bound: Bound, start: Interval) -> Out:
    """A variable as a flow that is at `start` finds it."""
    if not bound.late:
        return Out(bound.size, FREE, later(start, bound.round), bound.choices)
    # it starts when it is asked for, if it has not before
    cost = Cost({}, Interval(0, plus(start.high, bound.last))) if bound.last != 0 else FREE
    return Out(bound.size, cost, Interval(maximum(start.low, bound.round.low), plus(start.high, bound.round.high)), bound.choices)


def as_bound(analysis: Analysis, out: Out, sure: bool, begun: bool, start: Interval) -> tuple[Bound, Cost]:
    """A binding as a variable, and what is paid for it where it stands. `sure`: whoever gives a value has used it; `begun`: it is computed
    in any case, though `otherwise` may do without it; else it is computed when it is asked for."""
    if sure or (not out.cost and not _is_later(out.round, start)):
        return Bound(out.size, out.round, choices=out.choices), out.cost
    if begun:
        return Bound(out.size, out.round), out.cost if analysis.policy.expected else out.cost.optional()
    if analysis.policy.expected:
        return Bound(out.size, out.round, True, out.cost.rounds.high), out.cost.times(Interval.exactly(0.5))
    return Bound(out.size, out.round.from_zero(), True, out.cost.rounds.high), out.cost.optional()


def block(analysis: Analysis, node: n.Block, env: Env, start: Interval) -> Out:
    inner, cost = block_bindings(analysis, node.bindings, node.value, env, start)
    out = analysis.of(node.value, inner, start)
    return out.costing(cost + out.cost)


def block_bindings(analysis: Analysis, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr, env: Env, start: Interval) -> tuple[Env, Cost]:
    """The variables that a block binds, each paid once: surely where every way to the value needs it, else perhaps."""
    sure = _used(analysis, bindings, value, analysis.facts.awaits)
    begun = _used(analysis, bindings, value, analysis.facts.needs)
    if analysis.checked.turn:
        own = {binding for binding in bindings if binding in analysis.facts.kept}
        sure, begun = sure | own, begun | own
    inner = dict(env)
    bill = Bill()
    for at, binding in enumerate(bindings):
        if analysis.fuel < 0:
            more, cost = _unknown(analysis, bindings[at:], start)
            bill.add(cost)
            return {**inner, **more}, bill.cost()
        variables = analysis.facts.bound[binding]
        if not any(v.uses for v in variables):
            continue
        analysis.fuel -= _A_BINDING
        out = analysis.of(binding.value, inner, start)
        bound, paid = as_bound(analysis, out, binding in sure, binding in begun, start)
        if not analysis.is_safe(binding.value, inner):
            bound = evolve(bound, safe=False)
        bill.add(paid)
        if isinstance(binding, n.Bind):
            inner[variables[0]] = bound
        else:
            inner |= taken_apart(variables, bound)
    return inner, bill.cost()


def _unknown(analysis: Analysis, bindings: Sequence[n.Bind | n.Unpack], start: Interval) -> tuple[Env, Cost]:
    """Bindings that there is no time to look at: anything of their types, at any time and cost."""
    anytime = Interval(start.low, INFINITE)
    inner: dict[Variable, Bound] = {}
    places: dict[n.Node, int] = {}
    for binding in bindings:
        variables = analysis.facts.bound[binding]
        whole = Bound(of_type(analysis.checked.types[binding.value]), anytime, safe=False)
        inner |= {variables[0]: whole} if isinstance(binding, n.Bind) else taken_apart(variables, whole)
        places |= analysis.places.below(binding.value)
    return inner, endless(places)


def _used(
    analysis: Analysis, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr, needs: Callable[[n.Node], frozenset[Variable]]
) -> set[n.Node]:
    """The bindings that every way to the value uses, by what `needs` says of an expression."""
    wanted = set(needs(value))
    used: set[n.Node] = set()
    for binding in reversed(bindings):
        if not wanted.isdisjoint(analysis.facts.bound[binding]):
            used.add(binding)
            wanted |= needs(binding.value)
    return used


def taken_apart(variables: Sequence[Variable], bound: Bound) -> dict[Variable, Bound]:
    size = bound.size
    if isinstance(size, Exact) and isinstance(size.value, SEQUENCES) and len(size.value) == len(variables):
        items: list[Size | None] = [Exact(item) for item in size.value]
    elif size is not None and isinstance(whole := unfold(size), TupleSize) and len(whole.items) == len(variables):
        items = list(whole.items)
    else:
        items = [None if size is None else as_list(size).item] * len(variables)
    columns: list[Choices | None] = [None] * len(variables)
    choices = bound.choices
    if choices is not None and all(isinstance(v, SEQUENCES) and len(v) == len(variables) for v in choices.values):
        columns = [Choices(choices.group, [value[at] for value in choices.values]) for at in range(len(variables))]
    return {variable: evolve(bound, size=item, choices=column) for variable, item, column in zip(variables, items, columns, strict=True)}


def bind_items(variables: Sequence[Variable], item: Size, round: Interval, choices: Choices | None = None) -> dict[Variable, Bound]:
    """The variables of a loop's item: the item, or its parts."""
    whole = Bound(item, round, choices=choices)
    return {variables[0]: whole} if len(variables) == 1 else taken_apart(variables, whole)


def _is_later(round: Interval, start: Interval) -> bool:
    return round != start and not at_most(round.high, start.high)
