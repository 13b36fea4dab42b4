"""What an accumulator grows to: a `fold` that adds at most so much a step has `start + steps x so much` at its end.

The accumulator's texts, lists and numbers get symbols. A step that turns `s` into `s + d`, with no such symbol in `d`, has grown it by `d`.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from rlmlang.cost.spread import Spread
from rlmlang.quantity import Formula, Quantity, Symbol, maximum, minimum, plus, symbol, symbols
from rlmlang.quantity.formula import Applied, made, terms_of
from rlmlang.sizes import (
    DictSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    hull,
    list_total,
    unfold,
)


@frozen
class Accumulator:
    """An accumulator of any size. `starts`: what its symbols are at the start."""

    size: Size
    starts: dict[Symbol, Quantity] = field(factory=dict)

    def after(self, step: Size, items: Spread) -> Size | None:
        """What it has grown to after all steps, and at most before, if one step makes `step` of it; None where the growth is not the same
        whatever its size is."""
        whole = hull(self.size, step)
        found: dict[Symbol, Quantity] = {}
        if not self._compare(self.size, whole, items, found):
            return None
        return Spread(Interval(1, 1), self.size, found).size(self.size)

    def _compare(self, before: Size, after: Size, items: Spread, found: dict[Symbol, Quantity]) -> bool:
        """Whether a step changes nothing but symbols, and these by what does not depend on them: `found` is what they get at most."""
        match before, after:
            case TextSize(), TextSize():
                return self._grows(before.bytes.high, after.bytes.high, items, found)
            case NumberSize(), NumberSize():
                same = before.low == after.low and before.whole == after.whole
                return same and self._grows(before.high, after.high, items, found)
            case ListSize(), ListSize():
                return (
                    before.item == items.size(after.item)
                    and self._grows(before.count.high, after.count.high, items, found)
                    and self._grows(list_total(before).high, list_total(after).high, items, found)
                )
            case DictSize(), DictSize():
                same = before.keys.item == items.size(after.keys.item) and before.values.item == items.size(after.values.item)
                return same and self._grows(before.keys.count.high, after.keys.count.high, items, found)
            case MaybeSize(), MaybeSize():
                return self._compare(before.item, after.item, items, found)
            case RecordSize(), RecordSize() if [name for name, _ in before.fields] == [name for name, _ in after.fields]:
                return all(self._compare(x, y, items, found) for (_, x), (_, y) in zip(before.fields, after.fields, strict=True))
            case TupleSize(), TupleSize() if len(before.items) == len(after.items):
                return all(self._compare(x, y, items, found) for x, y in zip(before.items, after.items, strict=True))
        return before == items.size(after)

    def _grows(self, before: Quantity, after: Quantity, items: Spread, found: dict[Symbol, Quantity]) -> bool:
        own = symbols(before)
        if len(own) != 1:
            return before == items.one(Interval(0, after)).high
        (grown,) = own
        if grown not in self.starts or not isinstance(after, Formula):
            return False
        floor: Quantity = self.starts[grown]
        parts: list[Quantity] = [after]
        if len(after.terms) == 1 and len(after.terms[0][0]) == 1 and after.terms[0][1] == 1:
            ((atom, power),) = after.terms[0][0]
            if isinstance(atom, Applied) and atom.op == "max" and power == 1:
                parts = list(atom.args)
        growth: Quantity = 0
        for part in parts:
            if symbols(part).isdisjoint(self.starts):
                floor = maximum(floor, items.one(Interval(0, part)).high)
                continue
            terms = terms_of(part)
            if terms.pop(((grown, 1),), 0) != 1:
                return False
            more = made(terms)
            if not symbols(more).isdisjoint(self.starts):
                return False
            growth = maximum(growth, more)
        found[grown] = plus(floor, items.all(growth))
        return True


def accumulator(size: Size, nesting: int) -> Accumulator:
    """An accumulator that starts with a size. `nesting`: how many loops are around."""
    starts: dict[Symbol, Quantity] = {}

    def named(start: Quantity) -> Quantity:
        made_ = symbol(f"grown{nesting}.{len(starts)}", "size of an accumulator")
        (own,) = symbols(made_)
        starts[own] = start
        return made_

    def of(inner: Size) -> Size:
        match inner := unfold(inner):
            case TextSize(bytes_):
                return TextSize(Interval(0, named(bytes_.high)))
            case NumberSize(low, high, whole) if isinstance(high, Formula) or high >= 0:
                return NumberSize(low, named(high), whole)
            case ListSize(count, item, _):
                return ListSize(Interval(0, named(count.high)), item, Interval(0, named(list_total(inner).high)))
            case DictSize(keys, values):
                count = Interval(0, named(keys.count.high))
                return DictSize(ListSize(count, keys.item), ListSize(count, values.item))
            case MaybeSize(item):
                return MaybeSize(of(item))
            case RecordSize(fields):
                return RecordSize(tuple((name, of(value)) for name, value in fields))
        return inner

    return Accumulator(of(size), starts)


def with_items(start: Accumulator, step: Size) -> Accumulator:
    """The accumulator with the items of its lists, and what has no symbol, as they are after a step."""
    return evolve(start, size=_joined(start.size, step))


def _joined(before: Size, after: Size) -> Size:
    after = unfold(after)
    match before, after:
        case (TextSize(), TextSize()):
            return before
        case NumberSize(), NumberSize() if isinstance(before.high, Formula):
            return NumberSize(minimum(before.low, after.low), before.high, before.whole and after.whole)
        case ListSize(), ListSize():
            return evolve(before, item=_item(before, after))
        case DictSize(), DictSize():
            keys, values = before.keys, before.values
            value = _item(values, after.values)
            if isinstance(value, NumberSize) and isinstance(values.item, NumberSize) and value != values.item:
                value = NumberSize(whole=value.whole)  # a count, as it seems, which no number of steps brings to rest
            return DictSize(evolve(keys, item=_item(keys, after.keys)), evolve(values, item=value))
        case ListSize(), TupleSize():
            return before
        case MaybeSize(), _:
            inner = after.item if isinstance(after, MaybeSize) else after
            return before if isinstance(inner, NoneSize) else MaybeSize(_joined(before.item, inner))
        case RecordSize(), RecordSize():
            return RecordSize(tuple((name, _joined(size, after.get(name) or size)) for name, size in before.fields))
    return before if before == after else hull(before, after)


def _item(before: ListSize, after: ListSize) -> Size:
    return after.item if isinstance(before.item, NoneSize) and list_total(before).low == 0 else hull(before.item, after.item)
