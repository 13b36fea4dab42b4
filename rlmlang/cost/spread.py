"""What the items of a list weigh together: a body is bounded once for an item of any size, and then summed over all of them.

The texts of an item get symbols for their bytes, which are no larger than the largest item. What the body costs is then a formula in
these; summed over the items it is `bytes of all x share + count x the rest`, and not `count x what the largest costs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from rlmlang.cost.account import Cost, SiteCost
from rlmlang.quantity import INFINITE, Formula, Quantity, Symbol, above, at_most, below, coarse, greatest, summed, symbol, symbols, times
from rlmlang.sizes import (
    AnySize,
    DictSize,
    FileSize,
    FunctionSize,
    Interval,
    ListSize,
    MaybeSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    content_bytes,
    list_total,
    unfold,
)

_TEXTS: Final = 6  # texts of an item that get a symbol each; of more, all the same one


@frozen
class Spread:
    """The items of a list: how many, and the texts in them that have symbols, with their largest; `total`: bytes of all these together."""

    count: Interval
    item: Size
    ends: Mapping[Symbol, Quantity] = field(factory=dict)
    total: Quantity = INFINITE

    def cost(self, cost: Cost) -> Cost:
        """What all items cost, if one costs that."""
        if not self.ends or not cost or self.count.high == 0:
            return cost.times(self.count)
        sites = {node: self._site(site) for node, site in cost.sites.items()}
        return Cost(sites, self._rounds(cost), self._site(cost.total))

    def _rounds(self, cost: Cost) -> Interval:
        surely = isinstance(self.count.low, (int, float)) and self.count.low >= 1
        return self.one(cost.rounds) if surely else self.one(cost.rounds).from_zero()

    def _site(self, site: SiteCost) -> SiteCost:
        return SiteCost(
            Interval(below((site.calls * self.count).low, self.ends), self.all(site.calls.high)),
            self.all(site.input_tokens),
            self.all(site.output_tokens),
            self.all(site.nanodollars),
            self.one(site.prompt),
            self.all(site.requests),
            site.depth,
        )

    def all(self, most: Quantity) -> Quantity:
        """The sum over all items of what is at most that for one."""
        together = coarse(summed(most, self.count.low, self.count.high, self.ends, self.total))
        if isinstance(together, Formula):
            return together
        largest = times(self.count.high, above(most, self.ends))
        return together if isinstance(largest, Formula) else min(together, largest)

    def one(self, interval: Interval) -> Interval:
        """What holds for every item."""
        if not self.ends:
            return interval
        return Interval(below(interval.low, self.ends), above(interval.high, self.ends))

    def size(self, size: Size) -> Size:
        """A size that holds for every item."""
        return _changed(size, self) if self.ends else size

    def content(self, size: Size) -> Interval:
        """The content of all results together, if one has that size."""
        each = content_bytes(size)
        return Interval((self.count * self.one(each)).low, self.all(each.high))


def spread(whole: ListSize, nesting: int) -> Spread:
    """The items of a list with symbols for their texts, where all of them together are less than the largest of each. `nesting`: how many
    loops are around; symbols are told apart by it."""
    item = unfold(whole.item)
    largest = content_bytes(item).high
    total = list_total(whole).high
    each = (whole.count * Interval(largest, largest)).high
    if whole.total is None or total == INFINITE or (not isinstance(total, Formula) and at_most(each, total)):
        return Spread(whole.count, whole.item)
    naming = _Naming(nesting, _texts(item) > _TEXTS, largest)
    marked = naming.of(item)
    return Spread(whole.count, marked, naming.ends, total) if naming.ends else Spread(whole.count, whole.item)


def _texts(size: Size) -> int:
    """How many symbols a size would need."""
    match size:
        case TextSize() | FileSize() | ListSize():
            return 1
        case MaybeSize(item):
            return _texts(item)
        case RecordSize(fields):
            return sum(_texts(inner) for _, inner in fields)
        case TupleSize(items):
            return sum(map(_texts, items))
        case DictSize(_, values):
            return _texts(values)
    return 0


class _Naming:
    """Gives symbols to the texts in an item."""

    def __init__(self, nesting: int, single: bool, largest: Quantity) -> None:
        self.ends: dict[Symbol, Quantity] = {}
        self._nesting = nesting
        self._single = single
        self._largest = largest

    def of(self, size: Size) -> Size:
        match size:
            case TextSize(bytes_):
                return TextSize(self._named(bytes_))
            case FileSize(text, path):
                return FileSize(self._named(text), path)
            case MaybeSize(item):
                return MaybeSize(self.of(item))
            case RecordSize(fields):
                return RecordSize(tuple((name, self.of(unfold(inner))) for name, inner in fields))
            case TupleSize(items):
                return TupleSize(tuple(self.of(unfold(item)) for item in items))
            case ListSize():
                return self._list(size)
            case DictSize(keys, values):
                return DictSize(keys, self._list(values))  # keys are no content
        return size

    def _list(self, size: ListSize) -> ListSize:
        total = self._named(list_total(size))
        return ListSize(size.count, _within(unfold(size.item), total.high), total)

    def _named(self, bytes_: Interval) -> Interval:
        """The bytes of one text as a symbol; unchanged where they are known, or nothing is."""
        if bytes_.high == INFINITE or (bytes_.low == bytes_.high and not isinstance(bytes_.high, Formula)):
            return bytes_
        end = self._largest if self._single else bytes_.high
        low = 0 if self._single or isinstance(bytes_.low, Formula) else bytes_.low
        high = greatest(end)
        name = f"item{self._nesting}" if self._single else f"item{self._nesting}.{len(self.ends)}"
        named = symbol(name, "bytes of an item", low, high)
        (made,) = symbols(named)
        self.ends[made] = end
        return Interval(bytes_.low, named)


def _within(size: Size, most: Quantity) -> Size:
    """The items of a list that have `most` bytes together, `most` being a symbol, which is better than an end that is a formula."""

    def cut(interval: Interval) -> Interval:
        return Interval(0, most) if isinstance(interval.high, Formula) or interval.high == INFINITE else interval

    match size:
        case TextSize(bytes_):
            return TextSize(cut(bytes_))
        case FileSize(text, path):
            return FileSize(cut(text), path)
        case MaybeSize(item):
            return MaybeSize(_within(unfold(item), most))
        case RecordSize(fields):
            return RecordSize(tuple((name, _within(unfold(inner), most)) for name, inner in fields))
        case TupleSize(items):
            return TupleSize(tuple(_within(unfold(item), most) for item in items))
        case ListSize(count, item, _):
            return ListSize(count, _within(unfold(item), most), cut(list_total(size)))
        case DictSize(keys, values):
            return DictSize(keys, ListSize(values.count, _within(unfold(values.item), most), cut(list_total(values))))
    return size


def _changed(size: Size, spread: Spread) -> Size:
    """The size with its ends as they hold for every item."""

    def of(inner: Size) -> Size:
        return _changed(inner, spread)

    match size:
        case TextSize(bytes_):
            return TextSize(spread.one(bytes_))
        case NumberSize(low, high, whole):
            return NumberSize(below(low, spread.ends), above(high, spread.ends), whole)
        case FileSize(text, path):
            return FileSize(spread.one(text), spread.one(path))
        case AnySize(bytes_):
            return AnySize(spread.one(bytes_))
        case MaybeSize(item):
            return MaybeSize(of(item))
        case RecordSize(fields):
            return RecordSize(tuple((name, of(inner)) for name, inner in fields))
        case TupleSize(items):
            return TupleSize(tuple(map(of, items)))
        case ListSize():
            return _changed_list(size, spread)
        case DictSize(keys, values):
            return DictSize(_changed_list(keys, spread), _changed_list(values, spread))
        case FunctionSize(result):
            return FunctionSize(of(result))
    return size


def _changed_list(size: ListSize, spread: Spread) -> ListSize:
    return ListSize(spread.one(size.count), _changed(size.item, spread), None if size.total is None else spread.one(size.total))
