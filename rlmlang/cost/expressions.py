"""The rules of single expressions: operators, branches, access to parts, and the call of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from rlmlang.builtins.formats import formatted_size
from rlmlang.builtins.operator_sizes import BINARY_SIZES, UNARY_SIZES
from rlmlang.builtins.operators import compare_sizes
from rlmlang.cost.account import FREE, Cost
from rlmlang.cost.bindings import read
from rlmlang.cost.outcome import Env, Out, decided
from rlmlang.files import FileValue
from rlmlang.quantity import INFINITE, Quantity, at_most, less, maximum, minimum, plus, times
from rlmlang.run.facts import parts
from rlmlang.sizes import (
    ZERO,
    AnySize,
    BoolSize,
    DictSize,
    Exact,
    FileSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_dict,
    as_list,
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
    total_of,
    truth,
    unfold,
)
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.types import Tuple
from rlmlang.values import SEQUENCES

if TYPE_CHECKING:
    from rlmlang.cost.analysis import Analysis

_JOINED_BYTES = 1 << 20  # of a text that is put together; of a longer one only the size is known


def literal(analysis: Analysis, node: n.Literal, env: Env, start: Interval) -> Out:
    return Out(Exact(node.value), FREE, start)


def name(analysis: Analysis, node: n.Name, env: Env, start: Interval) -> Out:
    if node in analysis.checked.callees:
        return Out(AnySize(), FREE, start)
    return read(env[analysis.facts.variables[node]], start)


def fstring(analysis: Analysis, node: n.FString, env: Env, start: Interval) -> Out:
    holes = [part for part in node.parts if not isinstance(part, str)]
    sizes, cost, end = analysis.all_of([hole.value for hole in holes], env, start)
    if sizes is None:
        return Out(None, cost, end)
    fixed = sum(text_bytes(part) for part in node.parts if isinstance(part, str))
    filled = [str_bytes(size if hole.spec is None else formatted_size(size, hole.spec)) for hole, size in zip(holes, sizes, strict=True)]
    total = total_of((Interval.exactly(fixed), *filled))
    texts = [size.value for size in sizes if isinstance(size, Exact) and isinstance(size.value, str)]
    if len(texts) == len(holes) and all(hole.spec is None for hole in holes) and at_most(total.high, _JOINED_BYTES):
        values = iter(texts)
        return Out(Exact("".join(part if isinstance(part, str) else next(values) for part in node.parts)), cost, end)
    return Out(TextSize(total), cost, end)


def list_(analysis: Analysis, node: n.ListExpr, env: Env, start: Interval) -> Out:
    sizes, cost, end = analysis.all_of(node.items, env, start)
    if sizes is None:
        return Out(None, cost, end)
    if isinstance(analysis.checked.types[node], Tuple):
        return Out(TupleSize(tuple(sizes)), cost, end)
    if all(isinstance(size, Exact) for size in sizes):
        return Out(Exact([size.value for size in sizes if isinstance(size, Exact)]), cost, end)
    return Out(list_of(sizes), cost, end)


def record(analysis: Analysis, node: n.Record, env: Env, start: Interval) -> Out:
    sizes, cost, end = analysis.all_of([item.value for item in node.items], env, start)
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
            return Out(of_type(analysis.checked.types[node]), cost, end)
        fields |= dict(whole.fields)
    if all(isinstance(size, Exact) for size in fields.values()):
        return Out(Exact({name: size.value for name, size in fields.items() if isinstance(size, Exact)}), cost, end)
    return Out(RecordSize(tuple(fields.items())), cost, end)


def _strict(analysis: Analysis, node: n.Node, env: Env, start: Interval, rule: Callable[[list[Size]], Size]) -> Out:
    """All parts, then what the rule makes of their sizes."""
    sizes, cost, end = analysis.all_of(list(parts(node)), env, start)
    return Out(None if sizes is None else rule(sizes), cost, end)


def unary(analysis: Analysis, node: n.Unary, env: Env, start: Interval) -> Out:
    if node.op == "not":
        out = analysis.of(node.operand, env, start)
        known = None if out.size is None else truth(out.size)
        return out.giving(None if out.size is None else BoolSize() if known is None else Exact(not known))
    return _strict(analysis, node, env, start, lambda sizes: UNARY_SIZES[node.op](sizes[0]))


def binary(analysis: Analysis, node: n.Binary, env: Env, start: Interval) -> Out:
    return _strict(analysis, node, env, start, lambda sizes: BINARY_SIZES[node.op](sizes[0], sizes[1]))


def compare(analysis: Analysis, node: n.Compare, env: Env, start: Interval) -> Out:
    def rule(sizes: list[Size]) -> Size:
        decided = [compare_sizes(op, a, b) for op, a, b in zip(node.ops, sizes, sizes[1:], strict=False)]
        if any(d is False for d in decided):
            return Exact(False)
        return Exact(True) if all(decided) else BoolSize()

    if len(node.operands) == 2:
        return _strict(analysis, node, env, start, rule)
    sure, cost, end = analysis.all_of(node.operands[:2], env, start)
    rest, more, last = analysis.all_of(node.operands[2:], env, end)
    whole = None if sure is None else BoolSize() if rest is None else rule([*sure, *rest])
    return Out(whole, cost + more.optional(), Interval(end.low, maximum(end.high, last.high)))


def logic(analysis: Analysis, node: n.Logic, env: Env, start: Interval) -> Out:
    left = analysis.of(node.left, env, start)
    if left.size is None:
        return left
    analysis.differ(left, bool)
    known = decided(left)
    if known is (node.op == "or"):
        return left
    right = analysis.of(node.right, env, left.round)
    if known is not None:
        return Out(right.size, left.cost + right.cost, right.round)
    return _perhaps(analysis, left, right, 0.5)


def default(analysis: Analysis, node: n.Default, env: Env, start: Interval) -> Out:
    left = analysis.of(node.left, env, start)
    size = None if left.size is None else unfold(left.size)
    if size is None or not isinstance(size, (NoneSize, MaybeSize, AnySize)):
        return left
    right = analysis.of(node.right, env, left.round)
    if isinstance(size, NoneSize):
        return Out(right.size, left.cost + right.cost, right.round)
    inner = left.giving(size.item if isinstance(size, MaybeSize) else size)
    return _perhaps(analysis, inner, right, 0.5)


def _perhaps(analysis: Analysis, first: Out, then: Out, chance: float) -> Out:
    """First, and perhaps then: the value is one of both."""
    size = first.size if then.size is None else then.size if first.size is None else hull(first.size, then.size)
    more = then.cost.times(Interval.exactly(chance)) if analysis.policy.expected else then.cost.optional()
    return Out(size, first.cost + more, Interval(first.round.low, maximum(first.round.high, then.round.high)))


def if_(analysis: Analysis, node: n.If, env: Env, start: Interval) -> Out:
    condition = analysis.of(node.condition, env, start)
    if condition.size is None:
        return analysis.stopped(node, condition, env, start)
    analysis.differ(condition, bool)
    known = decided(condition)
    if known is not None:
        chosen = analysis.of(node.then if known else node.orelse, env, condition.round)
        return chosen.costing(condition.cost + chosen.cost)
    then, orelse = analysis.of(node.then, env, condition.round), analysis.of(node.orelse, env, condition.round)
    return _either(analysis, condition.cost, then, orelse, analysis.policy.chance(node))


def _either(analysis: Analysis, cost: Cost, a: Out, b: Out, chance: float) -> Out:
    """One or the other, the first at a `chance`. A branch that never gives a value may still be taken, and paid, until it fails."""
    size = a.size if b.size is None else b.size if a.size is None else hull(a.size, b.size)
    if analysis.policy.expected:
        paid = a.cost.times(Interval.exactly(chance)) + b.cost.times(Interval.exactly(1 - chance))
        return Out(size, cost + paid, a.round.hull(b.round))
    return Out(size, cost + a.cost.hull(b.cost), a.round.hull(b.round))


def otherwise(analysis: Analysis, node: n.Otherwise, env: Env, start: Interval) -> Out:
    value = analysis.of(node.value, env, start)
    # what fails may fail at once, and its calls that were not sent are dropped
    fallback = analysis.of(node.fallback, env, Interval(start.low, value.round.high))
    if value.size is None:
        return Out(fallback.size, value.cost.optional() + fallback.cost, fallback.round)
    if isinstance(value.size, Exact) and analysis.is_safe(node.value, env):
        return value
    if analysis.policy.expected:
        return _perhaps(analysis, value, fallback, 0.02)
    size = value.size if fallback.size is None else hull(value.size, fallback.size)
    end = Interval(minimum(start.low, value.round.low), maximum(value.round.high, fallback.round.high))
    return Out(size, value.cost.optional() + fallback.cost.optional(), end)


def fail(analysis: Analysis, node: n.Fail, env: Env, start: Interval) -> Out:
    return analysis.of(node.message, env, start).giving(None)


def index(analysis: Analysis, node: n.Index, env: Env, start: Interval) -> Out:
    def rule(sizes: list[Size]) -> Size:
        base, at = sizes
        whole = unfold(base)
        if isinstance(whole, DictSize) or (isinstance(whole, RecordSize) and not isinstance(at, Exact)):
            return unfold(as_dict(whole).values.item)  # not as a known value: there may be none for the key
        if isinstance(whole, RecordSize) and isinstance(at, Exact) and isinstance(at.value, str):
            return whole.get(at.value) or of_type(analysis.checked.types[node])
        if isinstance(base, Exact) and isinstance(base.value, SEQUENCES) and not isinstance(base.value, Streamed):
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

    return _strict(analysis, node, env, start, rule)


def slice_(analysis: Analysis, node: n.Slice, env: Env, start: Interval) -> Out:
    bounds = [node.start, node.stop]
    sizes, cost, end = analysis.all_of([node.base, *(b for b in bounds if b is not None)], env, start)
    if sizes is None:
        return Out(None, cost, end)
    given = iter(sizes[1:])
    first, last = (next(given) if b is not None else None for b in bounds)
    return Out(_sliced(sizes[0], first, last), cost, end)


def field_(analysis: Analysis, node: n.FieldAccess, env: Env, start: Interval) -> Out:
    out = analysis.of(node.base, env, start)
    if out.size is None:
        return out
    base = out.size
    if isinstance(base, Exact) and isinstance(base.value, FileValue):
        size: Size = TextSize(file_bytes(base.value.size)) if node.name == "text" else Exact(getattr(base.value, node.name))
    elif isinstance(base, Exact) and isinstance(base.value, dict):
        size = Exact(base.value.get(node.name))
    else:
        size = _field_of(analysis, unfold(base), node)
    return out.giving(size)


def _field_of(analysis: Analysis, base: Size, node: n.FieldAccess) -> Size:
    match base:
        case MaybeSize(item):
            return hull(_field_of(analysis, item, node), NoneSize())
        case RecordSize():
            return base.get(node.name) or NoneSize()
        case FileSize(text, path):
            if node.name == "size":
                return NumberSize(text.low, INFINITE if text.high == INFINITE else plus(times(2, text.high), 3))
            return TextSize(text if node.name == "text" else path if node.name == "path" else path.from_zero())
        case NoneSize():
            return base
    return of_type(analysis.checked.types[node], json_bytes(base).high, ours=True)


def call(analysis: Analysis, node: n.Call, env: Env, start: Interval) -> Out:
    options = {o.name: o.value for o in node.options if o.name in ("sample", "system")}
    nodes = [node.prompt, *(d.value for d in node.data), *options.values()]
    sizes, cost, end = analysis.all_of(nodes, env, start)
    if sizes is None:
        return Out(None, cost, end)
    data = [(d.name, size) for d, size in zip(node.data, sizes[1:], strict=False)]
    system = sizes[1 + len(data) + list(options).index("system")] if "system" in options else None
    prompt = analysis.pricing.prompt(node, sizes[0], data, system)
    paid = analysis.pricing.cost(node, prompt, analysis.policy.expected)
    after = Interval(plus(end.low, 1), plus(end.high, 1))
    reply = analysis.pricing.reply(node, analysis.policy.expected)
    return Out(reply, cost + Cost({node: paid}, after, evolve(paid, prompt=ZERO)), after)


def solve(analysis: Analysis, node: n.Solve, env: Env, start: Interval) -> Out:
    sizes, cost, end = analysis.all_of([node.prompt, *(d.value for d in node.data)], env, start)
    if sizes is None:
        return Out(None, cost, end)
    paid = analysis.pricing.solve(node, analysis.policy.expected)
    # each of its calls may wait for the one before
    after = Interval(plus(end.low, 1), plus(end.high, paid.calls.high))
    return Out(analysis.pricing.answer(node, analysis.policy.expected), cost + Cost({node: paid}, after, evolve(paid, prompt=ZERO)), after)


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
