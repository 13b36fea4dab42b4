"""Formulas made into others that are never below them (or never above): without a symbol, summed over many values of it, shorter.

Every operation but subtraction is monotone in what it is applied to, so an upper end comes of the upper ends of what is added and the lower
ends of what is subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from rlmlang.quantity.formula import (
    INFINITE,
    Applied,
    Atom,
    Formula,
    Monomial,
    Number,
    Quantity,
    Symbol,
    alone,
    ceil_div,
    greatest,
    least,
    log2_ceil,
    made,
    maximum,
    minimum,
    plus,
    symbols,
    terms_of,
    times,
)

_LONGEST: Final = 90  # the weight of a formula; one that is heavier nobody reads, and computing with it takes time
_TERMS: Final = 12  # of a formula that was made shorter
_DEGREE: Final = 24  # of it; what rises faster has no bound that says anything

Ends = Mapping[Symbol, Quantity]  # the upper ends of symbols; the lower ones they have themselves


# ---- without a symbol ----


def above(q: Quantity, ends: Ends) -> Quantity:
    """An upper end of `q` for symbols of at most `ends`."""
    return _without(q, ends, True)


def below(q: Quantity, ends: Ends) -> Quantity:
    """A lower end of `q` for symbols of at most `ends`."""
    return _without(q, ends, False)


def _without(q: Quantity, ends: Ends, up: bool) -> Quantity:
    if not isinstance(q, Formula) or ends.keys().isdisjoint(symbols(q)):
        return q
    rising = up and _rises(q, ends)
    more: list[Quantity] = []
    left: dict[Monomial, Number] = {}
    for monomial, count in q.terms:
        if not _mentions(monomial, ends):
            left[monomial] = left.get(monomial, 0) + count
            continue
        part = _product(monomial, ends, up if count > 0 or rising else not up)
        if count < 0 and not isinstance(part, Formula) and part == INFINITE:
            return 0  # only where a lower end is asked for: nothing is subtracted from an upper end without limit
        more.append(times(count, part))
    found = plus(made(left), *more)
    return found if isinstance(found, Formula) else max(0, found)


def _product(monomial: Monomial, ends: Ends, up: bool) -> Quantity:
    product: Quantity = 1
    for atom, power in monomial:
        factor = _atom(atom, ends, up)
        for _ in range(power):
            product = times(product, factor)
    return product


def _atom(atom: Atom, ends: Ends, up: bool) -> Quantity:
    if isinstance(atom, Symbol):
        if atom not in ends:
            return alone(atom)
        return ends[atom] if up else atom.low
    return _applied(atom, lambda arg: _without(arg, ends, up))


def _applied(atom: Applied, change: Callable[[Quantity], Quantity]) -> Quantity:
    """The operation on its args, each changed."""
    first, *rest = atom.args
    match atom.op:
        case "min":
            return minimum(*map(change, atom.args))
        case "max":
            return maximum(*map(change, atom.args))
        case "ceil":
            (by,) = rest
            assert isinstance(by, int)
            return ceil_div(change(first), by)
        case "log2":
            return log2_ceil(change(first))
        case "cut":
            inner = change(first)
            if not isinstance(inner, Formula) or all(count > 0 for _, count in inner.terms):
                return inner
            return alone(Applied("cut", (inner,)))
    product: Quantity = 1
    for arg in atom.args:
        product = times(product, change(arg))
    return product


def _mentions(monomial: Monomial, ends: Ends) -> bool:
    return any(
        atom in ends if isinstance(atom, Symbol) else any(not ends.keys().isdisjoint(symbols(a)) for a in atom.args) for atom, _ in monomial
    )


def _rises(q: Formula, ends: Ends) -> bool:
    """Whether a formula with one subtraction of the symbols rises with them nonetheless: `t^2 - t`."""
    down = [(dict(m), c) for m, c in q.terms if c < 0 and _mentions(m, ends)]
    if len(down) != 1:
        return False
    powers, count = down[0]
    return all(isinstance(atom, Symbol) for atom in powers) and any(
        dict(m).keys() == powers.keys() and c >= -count and all(p >= powers[a] for a, p in m) for m, c in q.terms if c > 0
    )


# ---- summed ----


def summed(q: Quantity, low: Quantity, high: Quantity, ends: Ends, total: Quantity) -> Quantity:
    """An upper end of the sum of `q` over `low` to `high` things, each with its own values of the symbols in `ends`, which are at most
    `total` over all symbols and things."""
    if not isinstance(q, Formula) or ends.keys().isdisjoint(symbols(q)):
        return times(high, q)
    fixed: list[Quantity] = []  # of each thing, or of all of them together
    shares: dict[Symbol, Quantity] = {}
    for monomial, count in q.terms:
        inside = [(atom, power) for atom, power in monomial if _mentions(((atom, power),), ends)]
        if count < 0:
            fixed.append(times(low, times(count, _product(monomial, ends, False))))
            continue
        rest: Quantity = count
        for atom, power in monomial:
            if (atom, power) not in inside:
                rest = times(rest, _product(((atom, power),), ends, True))
        if not inside:
            fixed.append(times(high, rest))
            continue
        # one factor is summed, the others are taken at their largest
        inside.sort(key=lambda factor: not isinstance(factor[0], Symbol))
        (atom, power), *others = inside
        rest = times(rest, _product(tuple([(atom, power - 1), *others] if power > 1 else others), ends, True))
        if isinstance(atom, Symbol):
            shares[atom] = plus(shares.get(atom, 0), rest)
        else:
            fixed.append(times(rest, _sum_of(atom, low, high, ends, total)))
    found = plus(*fixed, _shared(shares, high, ends, total))
    return found if isinstance(found, Formula) else max(0, found)


def _sum_of(atom: Applied, low: Quantity, high: Quantity, ends: Ends, total: Quantity) -> Quantity:
    def of(arg: Quantity) -> Quantity:
        return summed(arg, low, high, ends, total)

    match atom.op:
        case "ceil":
            by = atom.args[1]
            assert isinstance(by, int)
            return plus(ceil_div(of(atom.args[0]), by), high)
        case "min":
            return minimum(*map(of, atom.args))
        case "max":
            largest = times(high, _atom(atom, ends, True))
            together = plus(*map(of, atom.args))
            return together if isinstance(largest, Formula) or isinstance(together, Formula) else min(largest, together)
        case "cut":
            inner = atom.args[0]
            return of(made({m: c for m, c in terms_of(inner).items() if c > 0}))
    return times(high, _atom(atom, ends, True))


def _shared(shares: Mapping[Symbol, Quantity], high: Quantity, ends: Ends, total: Quantity) -> Quantity:
    """The most of `share x symbol` over all, if together they are at most `total`: the dearest symbol takes what it can, then the next."""
    each = {s: times(high, ends[s]) for s in shares}
    if any(isinstance(q, Formula) for q in (total, *shares.values(), *each.values())):
        return times(maximum(*shares.values()), total) if shares else 0
    left, found = total, plus()
    for s in sorted(shares, key=lambda s: shares[s], reverse=True):
        taken = minimum(left, each[s])
        found = plus(found, times(shares[s], taken))
        left = INFINITE if left == INFINITE else plus(left, times(-1, taken))
    return found


# ---- shorter ----


def coarse(q: Quantity) -> Quantity:
    """`q`, or where it is too long a shorter formula that is never below it."""
    if not isinstance(q, Formula) or q.weight <= _LONGEST:
        return q
    top = greatest(q)
    if top != INFINITE:
        return top
    found = _polynomial(q)
    if found is None or any(c == INFINITE or sum(power for _, power in m) > _DEGREE for m, c in found.items()):
        return INFINITE
    return made(found)


def coarse_below(q: Quantity) -> Quantity:
    """`q`, or where it is too long a number that is never above it."""
    return least(q) if isinstance(q, Formula) and q.weight > _LONGEST else q


Polynomial = dict[Monomial, Number]  # over symbols alone; nothing is subtracted


def _polynomial(q: Quantity) -> Polynomial | None:
    """A polynomial that is never below; None for what is infinite."""
    if not isinstance(q, Formula):
        return None if q == INFINITE else {(): q} if q > 0 else {}
    found: Polynomial = {}
    for monomial, count in q.terms:
        if count < 0:
            continue
        product: Polynomial = {(): count}
        for atom, power in monomial:
            factor = _atom_polynomial(atom)
            if factor is None:
                return None
            for _ in range(power):
                product = _multiplied(product, factor)
        for m, c in product.items():
            found[m] = found.get(m, 0) + c
    return _short(found)


@lru_cache(4096)
def _atom_polynomial(atom: Atom) -> Polynomial | None:
    if isinstance(atom, Symbol):
        return {((atom, 1),): 1}
    if atom.op == "min":
        known = [p for p in map(_polynomial, atom.args) if p is not None]
        return min(known, key=lambda p: (max((sum(k for _, k in m) for m in p), default=0), len(p)), default=None)
    if atom.op == "ceil":
        inner, by = _polynomial(atom.args[0]), atom.args[1]
        assert isinstance(by, int)
        return None if inner is None else _added({m: c / by * (1 + 2**-40) for m, c in inner.items()}, {(): 1})
    parts = [_polynomial(arg) for arg in atom.args]
    found: Polynomial = {(): 1} if atom.op == "mul" else {}
    for part in parts:
        if part is None:
            return None
        found = _multiplied(found, part) if atom.op == "mul" else {m: max(found.get(m, 0), part.get(m, 0)) for m in {**found, **part}}
    return found


def _added(a: Polynomial, b: Polynomial) -> Polynomial:
    return {m: a.get(m, 0) + b.get(m, 0) for m in {**a, **b}}


def _multiplied(a: Polynomial, b: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for m1, c1 in a.items():
        for m2, c2 in b.items():
            powers = dict(m1)
            for atom, power in m2:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items(), key=lambda p: str(p[0])))
            found[monomial] = found.get(monomial, 0) + _saturated(c1 * c2)
    return _short(found)


def _saturated(number: Number) -> Number:
    found = times(number, 1)
    assert not isinstance(found, Formula)
    return found


def _short(found: Polynomial) -> Polynomial:
    """The same with few terms: those of the same symbols become one, in the highest powers. Symbols are whole numbers."""
    if len(found) <= _TERMS:
        return found
    by_symbols: dict[frozenset[Atom], Polynomial] = {}
    for monomial, count in found.items():
        by_symbols.setdefault(frozenset(atom for atom, _ in monomial), {})[monomial] = count
    short: Polynomial = {}
    for same in by_symbols.values():
        powers: dict[Atom, int] = {}
        for monomial in same:
            for atom, power in monomial:
                powers[atom] = max(powers.get(atom, 0), power)
        short[tuple(sorted(powers.items(), key=lambda p: str(p[0])))] = sum(same.values())
    return short
