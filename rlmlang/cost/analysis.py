"""The abstract interpreter: typed tree and sizes of inputs -> sizes and costs of everything, as intervals that hold what really happens.

One rule a construct, each beside the words of BOUNDS-like tables in docs/cost.md. What is pure and known is computed for real (`Exact`):
the pure
prefix of a program, and bodies of maps over known lists, item by item while that is cheap. Everything else goes by sizes. With `Policy`
the same
rules give the expected cost: the unknown (how long a reply is, what a filter keeps) is then a guess instead of an interval.

Times are rounds: the start of a flow is an interval of rounds, and so is the end of what it evaluates (`Out.round`), as the evaluator
counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from rlmlang.builtins.declare import Builtin
from rlmlang.builtins.formats import formatted_size
from rlmlang.builtins.operator_sizes import BINARY_SIZES, UNARY_SIZES
from rlmlang.builtins.operators import compare_sizes
from rlmlang.check.checked import Checked, Function
from rlmlang.cost.account import FREE, Cost, SiteCost, later
from rlmlang.cost.prefix import Prefix
from rlmlang.cost.pricing import Pricing
from rlmlang.errors import Failure, LimitError
from rlmlang.files import FileValue
from rlmlang.quantity import INFINITE, Quantity, at_most, difference, less, log2_ceil, maximum, minimum, plus, times
from rlmlang.run.resolve import Facts, Variable, parts
from rlmlang.sizes import (
    ANY,
    ONE,
    ZERO,
    AnySize,
    BoolSize,
    Exact,
    FileSize,
    FunctionSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_list,
    content_bytes,
    file_bytes,
    hull,
    hull_all,
    json_bytes,
    list_of,
    list_total,
    number,
    of_type,
    str_bytes,
    text_bytes,
    truth,
    unfold,
    whole_at_least_zero,
)
from rlmlang.syntax import nodes as n
from rlmlang.values import SEQUENCES

_ITEMS_ONE_BY_ONE = 64  # of a known list; more are taken together in groups of like size
_GROUPS = 16
_UNROLLED = 64  # steps of a fold
_LEVELS = 12  # of a reduce, until its size must have come to rest
_FUEL = 6_000  # nodes visited, after which a body is taken as unknown; some 50 ms
_DEEPEST = 60  # nested calls of functions followed


@frozen(eq=False)
class Out:
    """What evaluating something gives (None: it never does), costs, and when it is there."""

    size: Size | None
    cost: Cost
    round: Interval


@frozen(eq=False)
class Bound:
    """A variable: its size, when it is there, and, where it is only computed when asked for, its cost."""

    size: Size | None
    round: Interval = ZERO
    late: bool = False
    last: Quantity = 0  # the last round of its calls
    safe: bool = True  # no call of a model went into it, so it is not by a failed call that it fails


Env = Mapping[Variable, Bound]


@define
class Policy:
    """How unknown things are taken. This one is sound: as intervals. `Expected` guesses."""

    expected: bool = False
    selectivity: Callable[[n.Node], float] = lambda node: 0.5
    reply_bytes: Callable[[n.Node, int], int] = lambda node, most: min(most, 600)

    def kept(self, node: n.Node, count: Interval) -> Interval:
        """How many items a filter keeps."""
        if not self.expected:
            return count.from_zero()
        return Interval.exactly(times(count.high, self.selectivity(node)))


@define(eq=False)
class Analysis:
    """Bounds expressions of one program."""

    checked: Checked
    facts: Facts
    prefix: Prefix
    pricing: Pricing
    policy: Policy = field(factory=Policy)
    fuel: int = _FUEL
    nesting: int = 0
    _depths: dict[n.Fn, int] = field(factory=dict)
    _seen: dict[Any, Out] = field(factory=dict)

    # ---- expressions ----

    def of(self, node: n.Node, env: Env, start: Interval) -> Out:
        """Size, cost and end of an expression whose flow starts at `start`."""
        self.fuel -= 1
        if self.fuel < 0 and node in self.checked.effects:
            return self._unknown(node, start)
        if (
            node not in self.checked.effects
            and not isinstance(node, (n.Literal, n.Name, n.FString, n.Record, n.ListExpr))
            and not self._reads_file(node, env)
        ):
            exact = self._exactly(node, env)
            if exact is not None:
                size, failed = exact
                return self._when(node, env, start, None if failed else size)
        return _RULES[type(node)](self, node, env, start)

    def _when(self, node: n.Node, env: Env, start: Interval, size: Size | None) -> Out:
        """A pure value that is known, when all that it reads is there."""
        cost, end = FREE, start
        for variable in self.facts.mentions(node):
            bound = env.get(variable)
            if bound is not None:
                read = self._read(bound, start)
                cost, end = cost + read.cost, later(end, read.round)
        return Out(size, cost, end)

    def _exactly(self, node: n.Node, env: Env) -> tuple[Size, bool] | None:
        """The value itself, where all it reads is known; and whether it fails."""
        values: dict[Variable, Any] = {}
        for variable in self.facts.mentions(node):
            bound = env.get(variable)
            if bound is None or not isinstance(bound.size, Exact):
                return None
            values[variable] = bound.size.value
        try:
            return Exact(self.prefix.value(node, values)), False
        except Failure:
            return NoneSize(), True
        except LimitError:
            return None  # the run may not come here; if it does, it is refused there

    def _reads_file(self, node: n.Node, env: Env) -> bool:
        """`f.text`, alone: its size is known without reading it."""
        return isinstance(node, n.FieldAccess) and node.name == "text"

    def _unknown(self, node: n.Node, start: Interval) -> Out:
        """Too much to look at: anything of its type, at any cost."""
        sites = {site: SiteCost(ANY, INFINITE, INFINITE, INFINITE, ANY) for site in self._calls_below(node)}
        cost = Cost(sites, ANY) if sites else FREE
        return Out(of_type(self.checked.types[node]), cost, Interval(start.low, INFINITE if sites else start.high))

    def _calls_below(self, node: n.Node, seen: frozenset[n.Fn] = frozenset()) -> set[n.Node]:
        found: set[n.Node] = set()
        if isinstance(node, n.Call):
            found.add(node)
        if isinstance(node, n.Apply):
            callee = self.checked.callees[node]
            if isinstance(callee, Function) and callee.effectful and callee.node not in seen:
                found |= self._calls_below(callee.node.body, seen | {callee.node})
        for part in parts(node):
            found |= self._calls_below(part, seen)
        return found

    def all_of(self, nodes: Sequence[n.Node], env: Env, start: Interval) -> tuple[list[Size] | None, Cost, Interval]:
        """Independent parts: costs add up, and the last one decides when all are there. None where one never is."""
        sizes: list[Size] = []
        cost, end, never = FREE, start, False
        for node in nodes:
            out = self.of(node, env, start)
            cost = cost + out.cost
            end = later(end, out.round)
            if out.size is None:
                never = True
            else:
                sizes.append(out.size)
        return (None if never else sizes), cost, end

    def _literal(self, node: n.Literal, env: Env, start: Interval) -> Out:
        return Out(Exact(node.value), FREE, start)

    def _name(self, node: n.Name, env: Env, start: Interval) -> Out:
        if node in self.checked.callees:
            return Out(AnySize(), FREE, start)
        return self._read(env[self.facts.variables[node]], start)

    def _read(self, bound: Bound, start: Interval) -> Out:
        """A variable as a flow that is at `start` finds it."""
        if not bound.late:
            return Out(bound.size, FREE, later(start, bound.round))
        # it starts when it is asked for, if it has not before
        cost = Cost({}, Interval(0, plus(start.high, bound.last))) if bound.last != 0 else FREE
        return Out(bound.size, cost, Interval(maximum(start.low, bound.round.low), plus(start.high, bound.round.high)))

    def _fstring(self, node: n.FString, env: Env, start: Interval) -> Out:
        holes = [part for part in node.parts if not isinstance(part, str)]
        sizes, cost, end = self.all_of([hole.value for hole in holes], env, start)
        if sizes is None:
            return Out(None, cost, end)
        total = Interval.exactly(sum(text_bytes(part) for part in node.parts if isinstance(part, str)))
        exact: list[str] | None = []
        for hole, size in zip(holes, sizes, strict=True):
            total = total + str_bytes(size if hole.spec is None else formatted_size(size, hole.spec))
            if isinstance(size, Exact) and isinstance(size.value, str) and hole.spec is None and exact is not None:
                exact.append(size.value)
            else:
                exact = None
        if exact is not None:
            values = iter(exact)
            return Out(Exact("".join(part if isinstance(part, str) else next(values) for part in node.parts)), cost, end)
        return Out(TextSize(total), cost, end)

    def _list(self, node: n.ListExpr, env: Env, start: Interval) -> Out:
        sizes, cost, end = self.all_of(node.items, env, start)
        if sizes is None:
            return Out(None, cost, end)
        if all(isinstance(size, Exact) for size in sizes):
            return Out(Exact([size.value for size in sizes if isinstance(size, Exact)]), cost, end)
        return Out(list_of(sizes), cost, end)

    def _record(self, node: n.Record, env: Env, start: Interval) -> Out:
        sizes, cost, end = self.all_of([item.value for item in node.items], env, start)
        if sizes is None:
            return Out(None, cost, end)
        fields: dict[str, Size] = {}
        for item, size in zip(node.items, sizes, strict=True):
            if isinstance(item, n.RecordField):
                fields[item.name] = size
                continue
            if isinstance(size, Exact):
                fields |= {name: Exact(value) for name, value in size.value.items()}
                continue
            whole = unfold(size)
            if not isinstance(whole, RecordSize):
                return Out(of_type(self.checked.types[node]), cost, end)
            fields |= dict(whole.fields)
        if all(isinstance(size, Exact) for size in fields.values()):
            return Out(Exact({name: size.value for name, size in fields.items() if isinstance(size, Exact)}), cost, end)
        return Out(RecordSize(tuple(fields.items())), cost, end)

    def _strict(self, node: n.Node, env: Env, start: Interval, rule: Callable[[list[Size]], Size]) -> Out:
        """All parts, then what the rule makes of their sizes."""
        sizes, cost, end = self.all_of(list(parts(node)), env, start)
        return Out(None if sizes is None else rule(sizes), cost, end)

    def _unary(self, node: n.Unary, env: Env, start: Interval) -> Out:
        if node.op == "not":
            out = self.of(node.operand, env, start)
            known = None if out.size is None else truth(out.size)
            return evolve(out, size=None if out.size is None else BoolSize() if known is None else Exact(not known))
        return self._strict(node, env, start, lambda sizes: UNARY_SIZES[node.op](sizes[0]))

    def _binary(self, node: n.Binary, env: Env, start: Interval) -> Out:
        return self._strict(node, env, start, lambda sizes: BINARY_SIZES[node.op](sizes[0], sizes[1]))

    def _compare(self, node: n.Compare, env: Env, start: Interval) -> Out:
        def rule(sizes: list[Size]) -> Size:
            decided = [compare_sizes(op, a, b) for op, a, b in zip(node.ops, sizes, sizes[1:], strict=False)]
            if any(d is False for d in decided):
                return Exact(False)
            return Exact(True) if all(decided) else BoolSize()

        if len(node.operands) == 2:
            return self._strict(node, env, start, rule)
        sure, cost, end = self.all_of(node.operands[:2], env, start)
        rest, more, last = self.all_of(node.operands[2:], env, end)
        whole = None if sure is None else BoolSize() if rest is None else rule([*sure, *rest])
        return Out(whole, cost + more.optional(), Interval(end.low, maximum(end.high, last.high)))

    def _logic(self, node: n.Logic, env: Env, start: Interval) -> Out:
        left = self.of(node.left, env, start)
        if left.size is None:
            return left
        known = truth(left.size)
        if known is (node.op == "or"):
            return left
        right = self.of(node.right, env, left.round)
        if known is not None:
            return Out(right.size, left.cost + right.cost, right.round)
        return self._perhaps(left, right, 0.5)

    def _default(self, node: n.Default, env: Env, start: Interval) -> Out:
        left = self.of(node.left, env, start)
        size = None if left.size is None else unfold(left.size)
        if size is None or not isinstance(size, (NoneSize, MaybeSize, AnySize)):
            return left
        right = self.of(node.right, env, left.round)
        if isinstance(size, NoneSize):
            return Out(right.size, left.cost + right.cost, right.round)
        inner = evolve(left, size=size.item if isinstance(size, MaybeSize) else size)
        return self._perhaps(inner, right, 0.5)

    def _perhaps(self, first: Out, then: Out, chance: float) -> Out:
        """First, and perhaps then: the value is one of both."""
        size = first.size if then.size is None else then.size if first.size is None else hull(first.size, then.size)
        more = then.cost.times(Interval.exactly(chance)) if self.policy.expected else then.cost.optional()
        return Out(size, first.cost + more, Interval(first.round.low, maximum(first.round.high, then.round.high)))

    def _if(self, node: n.If, env: Env, start: Interval) -> Out:
        condition = self.of(node.condition, env, start)
        if condition.size is None:
            return condition
        known = truth(condition.size)
        if known is not None:
            chosen = self.of(node.then if known else node.orelse, env, condition.round)
            return evolve(chosen, cost=condition.cost + chosen.cost)
        then, orelse = self.of(node.then, env, condition.round), self.of(node.orelse, env, condition.round)
        return self._either(condition.cost, then, orelse)

    def _either(self, cost: Cost, a: Out, b: Out) -> Out:
        """One or the other. A branch that never gives a value may still be taken, and paid, until it fails."""
        size = a.size if b.size is None else b.size if a.size is None else hull(a.size, b.size)
        if self.policy.expected:
            half = Interval.exactly(0.5)
            return Out(size, cost + a.cost.times(half) + b.cost.times(half), a.round.hull(b.round))
        return Out(size, cost + a.cost.hull(b.cost), a.round.hull(b.round))

    def _otherwise(self, node: n.Otherwise, env: Env, start: Interval) -> Out:
        value = self.of(node.value, env, start)
        # what fails may fail at once, and its calls that were not sent are dropped
        fallback = self.of(node.fallback, env, Interval(start.low, value.round.high))
        if value.size is None:
            return Out(fallback.size, value.cost.optional() + fallback.cost, fallback.round)
        if isinstance(value.size, Exact) and self._is_safe(node.value, env):
            return value
        if self.policy.expected:
            return self._perhaps(value, fallback, 0.02)
        size = value.size if fallback.size is None else hull(value.size, fallback.size)
        end = Interval(minimum(start.low, value.round.low), maximum(value.round.high, fallback.round.high))
        return Out(size, value.cost.optional() + fallback.cost.optional(), end)

    def _is_safe(self, node: n.Node, env: Env) -> bool:
        return node not in self.checked.effects and all(env[v].safe for v in self.facts.mentions(node) if v in env)

    def _fail(self, node: n.Fail, env: Env, start: Interval) -> Out:
        return evolve(self.of(node.message, env, start), size=None)

    def _index(self, node: n.Index, env: Env, start: Interval) -> Out:
        def rule(sizes: list[Size]) -> Size:
            base, at = sizes
            whole = unfold(base)
            if isinstance(whole, RecordSize) and isinstance(at, Exact) and isinstance(at.value, str):
                return whole.get(at.value) or of_type(self.checked.types[node])
            if isinstance(base, Exact) and isinstance(base.value, SEQUENCES):
                return hull_all(Exact(item) for item in base.value)
            if (
                isinstance(whole, TupleSize)
                and isinstance(at, Exact)
                and isinstance(at.value, int)
                and -len(whole.items) <= at.value < len(whole.items)
            ):
                return whole.items[at.value]
            if isinstance(whole, TextSize):
                return TextSize(Interval(1, minimum(4, maximum(1, whole.bytes.high))))
            return as_list(whole).item

        return self._strict(node, env, start, rule)

    def _slice(self, node: n.Slice, env: Env, start: Interval) -> Out:
        bounds = [node.start, node.stop]
        sizes, cost, end = self.all_of([node.base, *(b for b in bounds if b is not None)], env, start)
        if sizes is None:
            return Out(None, cost, end)
        given = iter(sizes[1:])
        first, last = (next(given) if b is not None else None for b in bounds)
        return Out(_sliced(sizes[0], first, last), cost, end)

    def _field(self, node: n.FieldAccess, env: Env, start: Interval) -> Out:
        out = self.of(node.base, env, start)
        if out.size is None:
            return out
        base = out.size
        if isinstance(base, Exact) and isinstance(base.value, FileValue):
            size: Size = TextSize(file_bytes(base.value.size)) if node.name == "text" else Exact(getattr(base.value, node.name))
        elif isinstance(base, Exact) and isinstance(base.value, dict):
            size = Exact(base.value.get(node.name))
        else:
            size = self._field_of(unfold(base), node)
        return evolve(out, size=size)

    def _field_of(self, base: Size, node: n.FieldAccess) -> Size:
        match base:
            case MaybeSize(item):
                return hull(self._field_of(item, node), NoneSize())
            case RecordSize():
                return base.get(node.name) or NoneSize()
            case FileSize(text, path):
                if node.name == "size":
                    return NumberSize(text.low, INFINITE if text.high == INFINITE else plus(times(2, text.high), 3))
                return TextSize(text if node.name == "text" else path if node.name == "path" else path.from_zero())
            case NoneSize():
                return base
        return of_type(self.checked.types[node], json_bytes(base).high, ours=True)

    # ---- functions ----

    def _apply(self, node: n.Apply, env: Env, start: Interval) -> Out:
        callee = self.checked.callees[node]
        given = self.checked.arguments[node]
        if isinstance(callee, Builtin):
            first = self._first_of_filter(node, given)
            if first is not None:
                return self._found_first(first[0], first[0].source, first[1], first[0].condition, env, start)
            return self._builtin(node, callee, given, env, start)
        return self._call_function(node, callee, given, env, start)

    def _first_of_filter(self, node: n.Apply, given: Sequence[n.Expr | n.Lambda | None]) -> tuple[n.Filter, n.Expr] | None:
        """`take(filter(…), n)` stops as `first n x in …` does, where the filter calls a model."""
        if node.name not in ("take", "first") or len(given) < 2:
            return None
        source, count = given[0], given[1]
        calls = isinstance(source, n.Filter) and not source.skip and source.condition in self.checked.effects
        return (source, count) if calls and isinstance(source, n.Filter) and isinstance(count, n.Expr) else None

    def _builtin(self, node: n.Apply, callee: Builtin, given: Sequence[n.Expr | n.Lambda | None], env: Env, start: Interval) -> Out:
        plain = [a for a in given if a is not None and not self._is_function(a)]
        sizes, cost, end = self.all_of(plain, env, start)
        if sizes is None:
            return Out(None, cost, end)
        values = dict(zip(plain, sizes, strict=True))
        whole: list[Size | None] = []
        for argument in given:
            if argument is None:
                whole.append(None)
            elif self._is_function(argument):
                items = as_list(sizes[0]) if sizes else ListSize(ANY, AnySize())
                result = self._function_argument(argument, items, env, end)
                cost = cost + result.cost
                end = Interval(end.low, maximum(end.high, result.round.high)) if result.cost else end
                whole.append(FunctionSize(result.size if result.size is not None else AnySize()))
            else:
                whole.append(values[argument])
        return Out(callee.size(whole), cost, end)

    def _is_function(self, argument: n.Node) -> bool:
        return isinstance(argument, n.Lambda) or (isinstance(argument, n.Name) and argument in self.checked.callees)

    def _function_argument(self, argument: n.Node, items: ListSize, env: Env, start: Interval) -> Out:
        """What a lambda costs over all items, and gives for one."""
        if isinstance(argument, n.Lambda):
            variables = self.facts.bound[argument]
            out = self.of(argument.body, {**env, **self._bind_items(variables, items.item, start)}, start)
        else:
            assert isinstance(argument, n.Name)
            callee = self.checked.callees[argument]
            if isinstance(callee, Builtin):
                return Out(callee.size([items.item]), FREE, start)
            out = self._enter(callee, [Bound(items.item, start)], env, start, argument)
        return evolve(out, cost=out.cost.times(items.count))

    def _call_function(self, node: n.Apply, callee: Function, given: Sequence[n.Expr | n.Lambda | None], env: Env, start: Interval) -> Out:
        facts = self.facts.facts_of(callee)
        cost, bounds = FREE, []
        for argument, declared, param in zip(given, callee.node.params, facts.params, strict=False):
            value = argument if argument is not None else declared.default
            assert value is not None
            if not param.uses:
                bounds.append(Bound(AnySize(), start))
                continue
            out = self.of(value, env, start)
            bound, paid = self._bound(out, param in facts.awaits, param in facts.needs, start)
            cost = cost + paid
            bounds.append(evolve(bound, safe=self._is_safe(value, env)))
        out = self._enter(callee, bounds, env, start, node)
        return evolve(out, cost=cost + out.cost)

    def _bound(self, out: Out, sure: bool, begun: bool, start: Interval) -> tuple[Bound, Cost]:
        """A binding as a variable, and what is paid for it where it stands. `sure`: whoever gives a value has used it; `begun`: it is
        computed in any
        case, though `otherwise` may do without it; else it is computed when it is asked for."""
        if sure or (not out.cost and not _is_later(out.round, start)):
            return Bound(out.size, out.round), out.cost
        if begun:
            return Bound(out.size, out.round), out.cost if self.policy.expected else out.cost.optional()
        if self.policy.expected:
            return Bound(out.size, out.round, True, out.cost.rounds.high), out.cost.times(Interval.exactly(0.5))
        return Bound(out.size, out.round.from_zero(), True, out.cost.rounds.high), out.cost.optional()

    def _enter(self, callee: Function, bounds: Sequence[Bound], env: Env, start: Interval, node: n.Node) -> Out:
        """The body of a function with its parameters bound. Recursion is followed to the depth that it declares, or until sizes end it."""
        fn = callee.node
        facts = self.facts.facts_of(callee)
        depth = self._depths.get(fn, -1) + 1
        if fn.depth is not None and depth > fn.depth:
            return Out(None, FREE, start)
        if self.nesting > _DEEPEST or self.fuel < 0:
            return self._unknown(node, start) if isinstance(node, n.Apply) else Out(of_type(callee.result), FREE, start)
        inner = {variable: env[variable] for variable in facts.mentions if variable in env}
        inner |= dict(zip(facts.params, bounds, strict=False))
        key = self._key(fn, depth, bounds, start, inner, facts.mentions)
        known = self._seen.get(key) if key is not None else None
        if known is not None:
            return known
        before = self._depths.get(fn)
        self._depths[fn] = depth
        self.nesting += 1
        out = self.of(fn.body, inner, start)
        self.nesting -= 1
        if before is None:
            del self._depths[fn]
        else:
            self._depths[fn] = before
        if key is not None:
            self._seen[key] = out
        return out

    def _key(self, fn: n.Fn, depth: int, bounds: Sequence[Bound], start: Interval, inner: Env, mentions: frozenset[Variable]) -> Any:
        """What a call's outcome depends on, to follow equal calls once."""
        sizes: list[Any] = [_key_of(b.size) for b in bounds]
        outside = tuple(sorted((id(v), _key_of(inner[v].size)) for v in mentions if v in inner)) if mentions else ()
        try:
            key = (fn, depth, tuple(sizes), tuple((b.round, b.late, b.last, b.safe) for b in bounds), start, outside)
            hash(key)
        except TypeError:
            return None
        return key

    # ---- blocks and loops ----

    def _block(self, node: n.Block, env: Env, start: Interval) -> Out:
        inner, cost = self.bindings(node.bindings, node.value, env, start)
        out = self.of(node.value, inner, start)
        return evolve(out, cost=cost + out.cost)

    def bindings(self, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr, env: Env, start: Interval) -> tuple[Env, Cost]:
        """The variables that a block binds, each paid once: surely where every way to the value needs it, else perhaps."""
        sure = self._used(bindings, value, self.facts.awaits)
        begun = self._used(bindings, value, self.facts.needs)
        inner = dict(env)
        cost = FREE
        for binding in bindings:
            variables = self.facts.bound[binding]
            if not any(v.uses for v in variables):
                continue
            out = self.of(binding.value, inner, start)
            bound, paid = self._bound(out, binding in sure, binding in begun, start)
            bound = evolve(bound, safe=self._is_safe(binding.value, inner))
            cost = cost + paid
            if isinstance(binding, n.Bind):
                inner[variables[0]] = bound
            else:
                inner |= self._taken_apart(variables, bound)
        return inner, cost

    def _used(self, bindings: Sequence[n.Bind | n.Unpack], value: n.Expr, needs: Callable[[n.Node], frozenset[Variable]]) -> set[n.Node]:
        """The bindings that every way to the value uses, by what `needs` says of an expression."""
        wanted = needs(value)
        used: set[n.Node] = set()
        for binding in reversed(bindings):
            if not wanted.isdisjoint(self.facts.bound[binding]):
                used.add(binding)
                wanted = wanted | needs(binding.value)
        return used

    def _taken_apart(self, variables: Sequence[Variable], bound: Bound) -> dict[Variable, Bound]:
        size = bound.size
        if isinstance(size, Exact) and isinstance(size.value, SEQUENCES) and len(size.value) == len(variables):
            items: list[Size | None] = [Exact(item) for item in size.value]
        elif size is not None and isinstance(whole := unfold(size), TupleSize) and len(whole.items) == len(variables):
            items = list(whole.items)
        else:
            items = [None if size is None else as_list(size).item] * len(variables)
        return {variable: evolve(bound, size=item) for variable, item in zip(variables, items, strict=True)}

    def _bind_items(self, variables: Sequence[Variable], item: Size, round: Interval) -> dict[Variable, Bound]:
        """The variables of a loop's item: the item, or its parts."""
        if len(variables) == 1:
            return {variables[0]: Bound(item, round)}
        return self._taken_apart(variables, Bound(item, round))

    def each(
        self, source: Size, variables: Sequence[Variable], body: n.Expr, env: Env, start: Interval, position: Variable | None = None
    ) -> list[tuple[Interval, Out]]:
        """The body for the items of a list: how many items, and what it gives for one of them. A known list is taken item by item, a long
        one
        in groups of like size; one that is not known by the hull of its items."""

        def at(item: Size, index: Size) -> Out:
            inner = {**env, **self._bind_items(variables, item, start)}
            if position is not None:
                inner[position] = Bound(index, start)
            return self.of(body, inner, start)

        if isinstance(source, Exact) and isinstance(source.value, SEQUENCES):
            xs = source.value
            if len(xs) <= _ITEMS_ONE_BY_ONE and self.fuel > 0:
                return [(ONE, at(Exact(x), Exact(i))) for i, x in enumerate(xs)]
            index = NumberSize(0, max(0, len(xs) - 1), whole=True)
            return [(Interval.exactly(len(group)), at(hull_all(group), index)) for group in _groups(xs)]
        whole = as_list(source)
        if whole.count.high == 0:
            return []
        return [(whole.count, at(whole.item, NumberSize(0, less(whole.count.high, 1), whole=True)))]

    def _map(self, node: n.Map, env: Env, start: Interval) -> Out:
        source = self.of(node.source, env, start)
        if source.size is None:
            return source
        variables = self.facts.bound[node]
        position = variables[-1] if node.position is not None else None
        targets = variables[:-1] if node.position is not None else variables
        groups = self.each(source.size, targets, node.body, env, source.round, position)
        cost, end = source.cost, source.round
        for count, out in groups:
            if node.skip:
                out = evolve(out, cost=out.cost.optional())
            cost = cost + out.cost.times(count)
            end = later(
                end, out.round if isinstance(count.low, int) and count.low >= 1 and not node.skip else Interval(end.low, out.round.high)
            )
        size = _joined(groups)
        if size is not None and node.skip:
            whole = as_list(size)
            size = ListSize(whole.count.from_zero(), whole.item, list_total(whole).from_zero())
        if size is not None and node.flatten:
            whole = as_list(size)
            inner = as_list(whole.item)
            size = ListSize(whole.count * inner.count, inner.item, list_total(whole))
        return Out(size, cost, end)

    def _filter(self, node: n.Filter, env: Env, start: Interval) -> Out:
        source = self.of(node.source, env, start)
        if source.size is None:
            return source
        groups = self.each(source.size, self.facts.bound[node], node.condition, env, source.round)
        cost, end = source.cost, source.round
        sure, possible, kept = ZERO, ZERO, []
        one_by_one = isinstance(source.size, Exact) and len(groups) == len(source.size.value)
        for at, (count, out) in enumerate(groups):
            if node.skip:
                out = evolve(out, cost=out.cost.optional())
            cost = cost + out.cost.times(count)
            end = later(
                end, out.round if isinstance(count.low, int) and count.low >= 1 and not node.skip else Interval(end.low, out.round.high)
            )
            known = None if out.size is None else truth(out.size)
            if known is False:
                continue
            possible = possible + count
            sure = sure + (count if known and not node.skip else ZERO)
            if one_by_one and isinstance(source.size, Exact):
                kept.append(source.size.value[at])
        whole = as_list(source.size)
        total = list_total(whole).from_zero()
        if isinstance(source.size, Exact) and one_by_one and sure == possible:
            return Out(Exact(kept), cost, end)
        item = hull_all(Exact(k) for k in kept) if kept else whole.item
        count = Interval(sure.low, possible.high)
        if self.policy.expected and sure != possible:
            count = self.policy.kept(node, possible)
            total = total * Interval.exactly(self.policy.selectivity(node))
        return Out(ListSize(count, item, total), cost, end)

    def _first(self, node: n.First, env: Env, start: Interval) -> Out:
        return self._found_first(node, node.source, node.count, node.condition, env, start)

    def _found_first(self, node: n.Node, source: n.Expr, count: n.Expr, condition: n.Expr, env: Env, start: Interval) -> Out:
        """At least as many items are looked at as are wanted, at most all."""
        sizes, cost, end = self.all_of([source, count], env, start)
        if sizes is None:
            return Out(None, cost, end)
        whole, wanted = as_list(sizes[0]), whole_at_least_zero(sizes[1])
        inner = {**env, **self._bind_items(self.facts.bound[node], whole.item, end)}
        out = self.of(condition, inner, end)
        looked = Interval(minimum(wanted.low, whole.count.low), whole.count.high if wanted.high != 0 else 0)
        chain = difference(out.round.high, end.high)
        # waves of growing width, each after the one before it
        last = plus(end.high, times(whole.count.high, chain)) if chain != 0 else end.high
        body = out.cost.times(looked)
        paid = evolve(body, rounds=Interval(body.rounds.low, maximum(body.rounds.high, last))) if body else FREE
        found = Interval(0, minimum(whole.count.high, wanted.high))
        return Out(ListSize(found, whole.item, list_total(whole).from_zero()), cost + paid, Interval(end.low, last))

    def _reduce(self, node: n.Reduce, env: Env, start: Interval) -> Out:
        source = self.of(node.source, env, start)
        if source.size is None:
            return source
        whole = as_list(source.size)
        left, right = self.facts.bound[node]
        count = whole.count
        merges = Interval(less(count.low, 1), less(count.high, 1))
        levels = Interval(log2_ceil(count.low), log2_ceil(count.high))
        size: Size = whole.item
        body_type = self.checked.types[node.body]
        out = self._merged(node, (left, right), size, env, source.round)
        for level in range(_LEVELS):
            made = size if out.size is None else hull(size, out.size)
            if made == size or (isinstance(levels.high, int) and level >= levels.high):
                break
            size = made
            out = self._merged(node, (left, right), size, env, source.round)
        else:
            size = hull(size, of_type(body_type))
            out = self._merged(node, (left, right), size, env, source.round)
        cost = source.cost + self._chained(out.cost.times(merges), out, levels, source.round)
        still = {variable: evolve(bound, round=ZERO) for variable, bound in env.items()}
        alone = self._merged(node, (left, right), size, still, ZERO) if out.cost else out
        # at least as much a level as its body takes by itself, at most what it takes with all that it waits for
        chain = Interval(alone.round.low if out.cost else 0, difference(out.round.high, source.round.high))
        end = Interval(plus(source.round.low, times(levels.low, chain.low)), plus(source.round.high, times(levels.high, chain.high)))
        result: Size | None = size
        if node.initial is not None and not (isinstance(count.low, int) and count.low >= 1):
            empty = self.of(node.initial, env, source.round)
            cost = cost + (empty.cost if count.high == 0 else empty.cost.optional())
            end = end.hull(empty.round)
            result = size if empty.size is None else hull(size, empty.size)
        elif count.high == 0:
            result = None
        return Out(result, cost, end)

    def _merged(self, node: n.Reduce, names: tuple[Variable, Variable], size: Size, env: Env, start: Interval) -> Out:
        return self.of(node.body, {**env, **{name: Bound(size, start) for name in names}}, start)

    def _chained(self, cost: Cost, out: Out, steps: Interval, start: Interval) -> Cost:
        """A cost whose parts follow one another: the last round is as many bodies later."""
        if not cost:
            return cost
        chain = difference(out.cost.rounds.high, start.high)
        return evolve(cost, rounds=Interval(cost.rounds.low, plus(start.high, times(steps.high, chain))))

    def _fold(self, node: n.Fold, env: Env, start: Interval) -> Out:
        sizes, cost, begin = self.all_of([node.source, node.initial], env, start)
        if sizes is None:
            return Out(None, cost, begin)
        source, size = sizes
        whole = as_list(source)
        steps = whole.count.high
        if isinstance(steps, int) and steps <= _UNROLLED and whole.count.low == steps and self.fuel > 0:
            return self._unrolled(node, source, size, int(steps), env, cost, begin)
        made: Size | None = size
        for _ in range(4):
            out = self._step(node, made, whole.item, env, begin)
            grown = made if out.size is None else hull(made, out.size) if made is not None else out.size
            if grown == made:
                break
            made = grown
        else:
            made = hull(made, of_type(self.checked.types[node.body])) if made is not None else None
            out = self._step(node, made, whole.item, env, begin)
            made = made if out.size is None or made is None else hull(made, out.size)
        chain = difference(out.round.high, begin.high)
        paid = self._chained(out.cost.times(whole.count), out, whole.count, begin)
        end = Interval(begin.low, plus(begin.high, times(steps, chain)))
        return Out(made, cost + paid, end)

    def _step(self, node: n.Fold, accumulator: Size | None, item: Size, env: Env, start: Interval, round: Interval | None = None) -> Out:
        names = self.facts.bound[node]
        inner = {**env, names[0]: Bound(accumulator, round or start), names[1]: Bound(item, start)}
        return self.of(node.body, inner, start)

    def _unrolled(self, node: n.Fold, source: Size, size: Size, steps: int, env: Env, cost: Cost, begin: Interval) -> Out:
        """Step by step, where there are few."""
        xs = [Exact(x) for x in source.value] if isinstance(source, Exact) else [as_list(source).item] * steps
        made: Size | None = size
        end = begin
        for x in xs:
            out = self._step(node, made, x, env, begin, end)
            cost = cost + out.cost
            made, end = out.size, out.round
            if made is None:
                break
        return Out(made, cost, end)

    # ---- sub-invocations ----

    def _call(self, node: n.Call, env: Env, start: Interval) -> Out:
        options = {o.name: o.value for o in node.options if o.name in ("sample", "system")}
        nodes = [node.prompt, *(d.value for d in node.data), *options.values()]
        sizes, cost, end = self.all_of(nodes, env, start)
        if sizes is None:
            return Out(None, cost, end)
        data = [(d.name, size) for d, size in zip(node.data, sizes[1:], strict=False)]
        system = sizes[1 + len(data) + list(options).index("system")] if "system" in options else None
        prompt = self.pricing.prompt(node, sizes[0], data, system)
        paid = self.pricing.cost(node, prompt, self.policy.expected)
        after = Interval(plus(end.low, 1), plus(end.high, 1))
        reply = self.pricing.reply(node, self.policy.expected)
        return Out(reply, cost + Cost({node: paid}, after), after)

    def _solve(self, node: n.Solve, env: Env, start: Interval) -> Out:
        out = self._unknown(node, start)
        return evolve(out, cost=Cost({}, ANY))


def _is_later(round: Interval, start: Interval) -> bool:
    return round != start and not at_most(round.high, start.high)


def _key_of(size: Size | None) -> Any:
    return ("exact", id(size.value)) if isinstance(size, Exact) else size


def _joined(groups: Sequence[tuple[Interval, Out]]) -> Size | None:
    """The list of what bodies give."""
    if not groups:
        return Exact([])
    if any(out.size is None and isinstance(count.low, int) and count.low >= 1 for count, out in groups):
        return None
    sizes = [(count, out.size) for count, out in groups if out.size is not None]
    if all(isinstance(size, Exact) and count == ONE for count, size in sizes):
        return Exact([size.value for _, size in sizes if isinstance(size, Exact)])
    count, total = ZERO, ZERO
    for many, size in sizes:
        count = count + many
        total = total + many * content_bytes(size)
    item = hull_all(size for _, size in sizes)
    return ListSize(count, item, total if len(sizes) > 1 else None)


def _groups(xs: Sequence[Any]) -> list[list[Size]]:
    """A long list's items in groups of like size."""
    sized = [Exact(x) for x in xs]
    order = sorted(sized, key=lambda s: _weight(s.value))
    width = -(-len(order) // _GROUPS)
    return [list(order[at : at + width]) for at in range(0, len(order), width)]


def _weight(value: Any) -> int:
    """A quick measure of how large a value is."""
    if isinstance(value, (str, *SEQUENCES)):
        return len(value)
    if isinstance(value, FileValue):
        return value.size
    if isinstance(value, dict):
        return sum(_weight(v) for v in value.values())
    return 0


def _sliced(base: Size, start: Size | None, stop: Size | None) -> Size:
    """`xs[a:b]`: at most as long as the whole, and as `b - a` where both are known to be at least 0."""
    whole = unfold(base)
    first = (0, 0) if start is None else number(start)
    last = None if stop is None else number(stop)
    most: Quantity = INFINITE
    if last is not None and _not_negative(last[0]) and _not_negative(first[0]):
        most = less(last[1], int(first[0])) if isinstance(first[0], int) else last[1]
    if isinstance(whole, TextSize):
        least = 0 if start is not None or stop is not None else whole.bytes.low
        return TextSize(Interval(least, minimum(whole.bytes.high, times(4, most))))
    items = as_list(whole)
    low: Quantity = 0
    if start is None and last is not None and _not_negative(last[0]):
        low = minimum(items.count.low, last[0])
    elif start is not None and stop is None and isinstance(first[1], int) and _not_negative(first[0]):
        low = less(items.count.low, first[1])
    elif start is None and stop is None:
        low = items.count.low
    high = minimum(items.count.high, most)
    if stop is None and isinstance(first[0], int) and first[0] > 0:
        high = less(items.count.high, first[0])
    return ListSize(Interval(low, high), items.item, list_total(items).from_zero())


def _not_negative(q: Quantity) -> bool:
    return not isinstance(q, (int, float)) or q >= 0


_RULES: dict[type[n.Node], Callable[[Analysis, Any, Env, Interval], Out]] = {
    n.Literal: Analysis._literal,
    n.Name: Analysis._name,
    n.FString: Analysis._fstring,
    n.ListExpr: Analysis._list,
    n.Record: Analysis._record,
    n.Unary: Analysis._unary,
    n.Binary: Analysis._binary,
    n.Compare: Analysis._compare,
    n.Logic: Analysis._logic,
    n.Default: Analysis._default,
    n.If: Analysis._if,
    n.Otherwise: Analysis._otherwise,
    n.Fail: Analysis._fail,
    n.Index: Analysis._index,
    n.Slice: Analysis._slice,
    n.FieldAccess: Analysis._field,
    n.Apply: Analysis._apply,
    n.Block: Analysis._block,
    n.Map: Analysis._map,
    n.Filter: Analysis._filter,
    n.First: Analysis._first,
    n.Reduce: Analysis._reduce,
    n.Fold: Analysis._fold,
    n.Call: Analysis._call,
    n.Solve: Analysis._solve,
}
