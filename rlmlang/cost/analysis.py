"""The abstract interpreter: typed tree and sizes of inputs -> sizes and costs of everything, as intervals that hold what really happens.

One rule a construct, each beside the words of BOUNDS-like tables in docs/bounds.md. What is pure and known is computed for real (`Exact`):
the pure prefix of a program, and bodies of maps over known lists, item by item while that is cheap. Everything else goes by sizes. With
`Policy` the same rules give the expected cost: the unknown (how long a reply is, what a filter keeps) is then a guess instead of an
interval.

Times are rounds: the start of a flow is an interval of rounds, and so is the end of what it evaluates (`Out.round`), as the evaluator
counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from attrs import define, field

from rlmlang.check.checked import Checked
from rlmlang.cost import bindings, expressions, functions, loops
from rlmlang.cost.account import FREE, Bill, Cost, endless, later
from rlmlang.cost.bindings import read
from rlmlang.cost.outcome import Bound, Choices, Env, Out, Policy
from rlmlang.cost.places import Places
from rlmlang.cost.prefix import Prefix
from rlmlang.cost.pricing import Pricing
from rlmlang.errors import Failure, LimitError
from rlmlang.quantity import INFINITE, Formula, coarse, coarse_below, maximum, weight_of
from rlmlang.run.facts import Facts, Variable
from rlmlang.sizes import (
    Exact,
    Interval,
    ListSize,
    NumberSize,
    RecordSize,
    Size,
    of_type,
    one_of,
)
from rlmlang.syntax import nodes as n

_FUEL = 8_000  # work, after which what is left is taken as unknown
_RESERVED = 0.4  # of the fuel, at most, that is kept for what comes later
_A_NODE = 10  # work that is kept for each node of the program
_GUESSED = 0.5  # of it, for what is expected
_BYTES_A_UNIT = 10  # of texts that are given: much is cut into much, and to read and cut it takes longer than so much work
_MORE_FUEL = 400_000
_COMPUTED = 24  # work of computing a value
_A_LIST = 8  # work for each list
_FIELD = 4  # work for each field of a record
_WEIGHT = 2  # work for each part of a formula
_ITEMS = 400  # of nested known lists that are looked at one by one, or group by group: the product


def fuel_for(given: int, expected: bool = False) -> float:
    """Work that may be done, in microseconds roughly, where the inputs have so many characters of text."""
    fuel = _FUEL + min(given // _BYTES_A_UNIT, _MORE_FUEL)
    return fuel * _GUESSED if expected else fuel


@define(eq=False)
class Analysis:
    """Bounds expressions of one program."""

    checked: Checked
    facts: Facts
    prefix: Prefix
    pricing: Pricing
    places: Places
    policy: Policy = field(factory=Policy)
    fuel: float = _FUEL
    reserved: float = field(init=False)  # with no more left, every list is taken as one group, so that the rest of the program is looked at
    nesting: int = 0  # of functions
    loops: int = 0  # that are around
    items: int = _ITEMS
    depths: dict[n.Fn, int] = field(factory=dict)
    seen: dict[Any, Out] = field(factory=dict)
    choosing: bool = True  # not inside of an expression that is computed for each item
    parted: dict[object, list[int]] = field(factory=dict)  # by group of items: what tells them apart

    @reserved.default
    def _for_the_rest(self) -> float:
        return min(self.fuel * _RESERVED, len(self.checked.types) * _A_NODE)

    def of(self, node: n.Node, env: Env, start: Interval) -> Out:
        """Size, cost and end of an expression whose flow starts at `start`."""
        kind = type(node)
        self.fuel -= _WORK.get(kind, _USUAL)
        if kind is n.Name:
            return expressions.name(self, cast(n.Name, node), env, start)
        if self.fuel < 0 and kind is not n.Literal:
            if node in self.checked.effects:
                return self.unknown(node, start)
            return self._when(node, env, start, of_type(self.checked.types[node]))
        if node not in self.checked.effects and kind not in _BY_RULE and not self._reads_file(node, env):
            exact = self._exactly(node, env)
            if exact is not None:
                size, failed = exact
                return self._when(node, env, start, None if failed else size)
            out = self._for_each(node, env, start)
        else:
            out = _RULES[kind](self, node, env, start)
        if out.cost is not FREE:
            for q in (out.cost.total.calls.high, out.cost.total.input_tokens):
                if isinstance(q, Formula):
                    self.fuel -= q.weight * _WEIGHT
        made = out.size
        if isinstance(made, NumberSize) and (isinstance(made.high, Formula) or isinstance(made.low, Formula)):
            low, high = coarse_below(made.low), coarse(made.high)
            self.fuel -= (weight_of(low) + weight_of(high)) * _WEIGHT
            return Out(NumberSize(low, high, made.whole), out.cost, out.round, out.choices)
        if isinstance(made, RecordSize):
            self.fuel -= len(made.fields) * _FIELD
        elif isinstance(made, ListSize):
            self.fuel -= _A_LIST
        return out

    def _when(self, node: n.Node, env: Env, start: Interval, size: Size | None) -> Out:
        """A pure value that is known, when all that it reads is there."""
        cost, end = FREE, start
        for variable in self.facts.mentions(node):
            bound = env.get(variable)
            if bound is not None:
                found = read(bound, start)
                cost, end = cost + found.cost, later(end, found.round)
        return Out(size, cost, end)

    def _exactly(self, node: n.Node, env: Env) -> tuple[Size, bool] | None:
        """The value itself, where all it reads is known; and whether it fails."""
        values: dict[Variable, Any] = {}
        for variable in self.facts.mentions(node):
            bound = env.get(variable)
            if bound is None or not isinstance(bound.size, Exact) or not self._sure(bound):
                return None
            values[variable] = bound.size.value
        if self._recurs(node):
            return None
        self.fuel -= _COMPUTED
        return self.prefix.size(node, values)

    def _sure(self, bound: Bound) -> bool:
        """Whether reading a variable gives its value: one that may fail gives another where something takes its failure."""
        return bound.safe or not self.facts.takes_failures

    def _recurs(self, node: n.Node) -> bool:
        """Whether an expression calls a function that is being followed, so that what it gives depends on how deep that is."""
        return bool(self.depths) and not self.depths.keys().isdisjoint(self.places.functions(node))

    def _for_each(self, node: n.Node, env: Env, start: Interval) -> Out:
        """A pure expression by its rule, and where it reads items that are looked at together, by what it really is for each."""
        choices, out = self._choices(node, env), Out(None, FREE, start)
        if choices is None:
            out = _RULES[type(node)](self, node, env, start)
            return out if out.choices is None else Out(out.size, out.cost, out.round)
        self.choosing = False  # the parts need not be computed again
        out = _RULES[type(node)](self, node, env, start)
        self.choosing = True
        return out if out.size is None else Out(one_of(out.size, choices.values), out.cost, out.round, choices)

    def _choices(self, node: n.Node, env: Env) -> Choices | None:
        """What the expression is for each item, where it reads nothing else that is unknown; None also where it may fail."""
        known: dict[Variable, Any] = {}
        items: dict[Variable, Choices] = {}
        for variable in self.facts.mentions(node):
            bound = env.get(variable)
            if bound is not None and not self._sure(bound):
                return None
            if bound is not None and isinstance(bound.size, Exact):
                known[variable] = bound.size.value
            elif bound is not None and bound.choices is not None and self.choosing:
                items[variable] = bound.choices
            else:
                return None
        if len({id(choices.group) for choices in items.values()}) != 1 or self._recurs(node):
            return None
        count = len(next(iter(items.values())).values)
        self.fuel -= count
        if self.fuel < 0:
            return None
        try:
            values = [self.prefix.value(node, known | {v: choices.values[at] for v, choices in items.items()}) for at in range(count)]
        except (Failure, LimitError):
            return None
        return Choices(next(iter(items.values())).group, values)

    def differ(self, out: Out, told: Callable[[Any], int]) -> None:
        """Notes where items that are looked at together part, by what decides how often something is called."""
        if self.choosing and out.choices is not None and out.choices.group not in self.parted:
            signs = list(map(told, out.choices.values))
            if len(set(signs)) > 1:
                self.parted[out.choices.group] = signs

    def _reads_file(self, node: n.Node, env: Env) -> bool:
        """`f.text`, alone: its size is known without reading it."""
        return isinstance(node, n.FieldAccess) and node.name == "text"

    def unknown(self, node: n.Node, start: Interval) -> Out:
        """Too much to look at: anything of its type, at any cost."""
        cost = endless(self.places.below(node))
        return Out(of_type(self.checked.types[node]), cost, Interval(start.low, INFINITE if cost else start.high))

    def all_of(
        self, nodes: Sequence[n.Node], env: Env, start: Interval, counted: n.Node | None = None
    ) -> tuple[list[Size] | None, Cost, Interval]:
        """Independent parts: costs add up, and the last one decides when all are there. None where one never is. `counted`: a list whose
        length decides how often something is called."""
        sizes: list[Size] = []
        bill, end, never = Bill(), start, False
        for node in nodes:
            out = self.of(node, env, start)
            if node is counted:
                self.differ(out, len)
            if out.cost is not FREE:
                bill.add(out.cost)
            if out.round is not end:
                end = later(end, out.round)
            if out.size is None:
                never = True
            else:
                sizes.append(out.size)
        return (None if never else sizes), bill.cost(), end

    def stopped(self, node: n.Node, out: Out, env: Env, start: Interval) -> Out:
        """An expression of which a part never gives a value. What it needs in any case may have been waited for before that was known."""
        cost, last = out.cost, out.round.high
        for variable in self.facts.needs(node):
            if (bound := env.get(variable)) is not None:
                found = read(bound, start)
                cost, last = cost + found.cost, maximum(last, found.round.high)
        return Out(None, cost, Interval(out.round.low, last))

    def is_safe(self, node: n.Node, env: Env) -> bool:
        """Whether what is known of its value is what it gives: of what reads unknown values, a size does not say whether it fails."""
        read = [env[v] for v in self.facts.mentions(node) if v in env]
        known = all(b.safe and (isinstance(b.size, Exact) or b.choices is not None) for b in read)
        return known and node not in self.checked.effects


# what is made of parts, which are looked at each for itself though the whole is known
_BY_RULE = frozenset({n.Literal, n.Name, n.FString, n.Record, n.ListExpr})
_LOOPS = (n.Map, n.Filter, n.Reduce, n.Fold, n.First)
_WORK: dict[type[n.Node], int] = {n.Literal: 1, n.Name: 2, n.Call: 60, n.Solve: 60, **dict.fromkeys(_LOOPS, 40)}
_USUAL = 8  # work of visiting any other node
_RULES: dict[type[n.Node], Callable[[Analysis, Any, Env, Interval], Out]] = {
    n.Literal: expressions.literal,
    n.Name: expressions.name,
    n.FString: expressions.fstring,
    n.ListExpr: expressions.list_,
    n.Record: expressions.record,
    n.Unary: expressions.unary,
    n.Binary: expressions.binary,
    n.Compare: expressions.compare,
    n.Logic: expressions.logic,
    n.Default: expressions.default,
    n.If: expressions.if_,
    n.Otherwise: expressions.otherwise,
    n.Fail: expressions.fail,
    n.Index: expressions.index,
    n.Slice: expressions.slice_,
    n.FieldAccess: expressions.field_,
    n.Apply: functions.apply,
    n.Block: bindings.block,
    n.Map: loops.map_,
    n.Filter: loops.filter_,
    n.First: loops.first,
    n.Reduce: loops.reduce_,
    n.Fold: loops.fold,
    n.Call: expressions.call,
    n.Solve: expressions.solve,
}
