"""Amounts that are known, or known as formulas in the sizes of inputs: what the bound computes with.

A quantity is an int, `INFINITE`, or a `Formula`: a polynomial over symbols (`n = len(docs)`) and over `min max ceil log2` of polynomials.
Symbols stand for whole numbers of at least 0, and so does every quantity. The same rules serve both, since operations on ints give ints.
Sums and products saturate: `0 x infinite = 0`, beyond `SATURATED` all is infinite. No formula is ever below 0 (`difference` sees to it).
Numbers alone may be negative or fractions, as the sizes of numbers are; what is expected on average has fractions in its formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from attrs import field, frozen

INFINITE: Final = math.inf
SATURATED: Final = 1 << 200  # nothing that is counted here comes near
_TERMS: Final = 24  # a sum of more terms than a person reads is kept as an opaque product or minimum

_TOO_LARGE: Final = 1_000  # the weight of a coefficient that nothing comes near

Number = int | float


@frozen(order=True, cache_hash=True)
class Symbol:
    """A size that is not known yet, between `low` and `high`. `meaning` says what it is: `len(docs)`."""

    name: str
    meaning: str = field(eq=False)
    low: Number = 0
    high: Number = INFINITE

    def __str__(self) -> str:
        return self.name


@frozen(cache_hash=True)
class Applied:
    """`op(args)` with op one of min, max, ceil (of the first divided by the second), log2 (rounded up), mul, cut (its arg, which may be
    below 0). An arg below 0 is taken as 0."""

    op: str
    args: tuple[Quantity, ...]

    def __str__(self) -> str:
        first = self.args[0]
        if self.op == "ceil" and self.args[1] == 1:
            return f"⌈{first}⌉"
        if self.op == "ceil":
            over = f"({first})" if isinstance(first, Formula) and len(first.terms) > 1 else f"{first}"
            return f"{over}/2" if self.args[1] == 2 and _is_pairs(first) else f"⌈{over}/{self.args[1]}⌉"
        if self.op == "log2":
            return f"⌈log2({first})⌉"
        if self.op == "cut":
            return f"max(0, {first})"
        if self.op == "mul":
            return "·".join(f"({a})" if isinstance(a, Formula) and len(a.terms) > 1 else str(a) for a in self.args)
        return f"{self.op}({', '.join(map(str, self.args))})"


Atom = Symbol | Applied
Monomial = tuple[tuple[Atom, int], ...]  # atoms with their powers, in order


@frozen(cache_hash=True)
class Formula:
    """A sum of `coefficient x monomial`, at least one of which is no constant; coefficients are positive or negative, finite, never 0."""

    terms: tuple[tuple[Monomial, Number], ...]
    weight: int = field(init=False, eq=False, repr=False)  # how much there is to read: numbers, names and operations

    @weight.default
    def _read(self) -> int:
        total = 0
        for monomial, count in self.terms:
            total += 1 if abs(count) <= SATURATED else _TOO_LARGE
            for atom, _ in monomial:
                total += 1 if isinstance(atom, Symbol) else 1 + sum(map(weight_of, atom.args))
        return total

    @cached_property
    def _text(self) -> str:
        shown = []
        for monomial, count in sorted(self.terms, key=_rank):
            factors = [f"{atom}^{power}" if power > 1 else str(atom) for atom, power in monomial]
            if abs(count) != 1 or not factors:
                factors.insert(0, f"{abs(count):,}" if isinstance(count, int) else f"{abs(count):,.6g}")
            shown.append(("- " if count < 0 else "+ ") + "·".join(factors))
        return " ".join(shown).removeprefix("+ ")

    def __str__(self) -> str:
        return self._text


Quantity = int | float | Formula


def _rank(term: tuple[Monomial, Number]) -> tuple[int, list[tuple[bool, str, int]]]:
    """Highest powers first."""
    monomial, _ = term
    return -sum(power for _, power in monomial), [(isinstance(atom, Symbol), str(atom), power) for atom, power in monomial]


def _is_pairs(q: Quantity) -> bool:
    """Whether it is `n^2 - n` of a symbol, which is even."""
    if not isinstance(q, Formula) or len(q.terms) != 2:
        return False
    (up, more), (down, less_) = sorted(q.terms, key=lambda term: -term[1])
    return more == 1 and less_ == -1 and len(down) == 1 and isinstance(down[0][0], Symbol) and down[0][1] == 1 and up == ((down[0][0], 2),)


def symbol(name: str, meaning: str, low: Number = 0, high: Number = INFINITE) -> Formula:
    """The quantity that is one symbol."""
    return alone(Symbol(name, meaning, low, high))


def alone(atom: Atom) -> Formula:
    """The quantity that is one atom."""
    return Formula(((((atom, 1),), 1),))


def terms_of(q: Quantity) -> dict[Monomial, Number]:
    """The terms of a finite quantity, as a new dict."""
    if isinstance(q, Formula):
        return dict(q.terms)
    return {(): q} if q else {}


def made(terms: dict[Monomial, Number]) -> Quantity:
    """The quantity that is the sum of finite terms."""
    kept = terms if all(terms.values()) else {m: c for m, c in terms.items() if c}
    if len(kept) > 1:
        return Formula(tuple(sorted(kept.items(), key=_order)))
    if not kept or () in kept:
        return kept[()] if kept else 0
    return Formula(tuple(kept.items()))


def _order(term: tuple[Monomial, Number]) -> str:
    return _written(term[0])


@lru_cache(16384)
def _written(monomial: Monomial) -> str:
    return str([(str(a), p) for a, p in monomial])


def _saturate(number: Number) -> Number:
    return INFINITE if number > SATURATED else number


def plus(*quantities: Quantity) -> Quantity:
    """Their sum."""
    if len(quantities) == 2:
        first, second = quantities
        if first.__class__ is int and second.__class__ is int:  # by far the most frequent
            total = first + second
            return total if total <= SATURATED else INFINITE
        if first.__class__ is int and first == 0:
            return second
        if second.__class__ is int and second == 0:
            return first
    number: Number = 0
    formulas: list[Formula] = []
    for q in quantities:
        if isinstance(q, Formula):
            formulas.append(q)
        else:
            number += q
    if number != number:  # infinite both ways
        return INFINITE
    number = _saturate(number)
    if not formulas or abs(number) == INFINITE:
        return number
    sums = terms_of(number)
    for formula in formulas:
        for monomial, count in formula.terms:
            sums[monomial] = sums.get(monomial, 0) + count
    return made(sums)


def times(a: Quantity, b: Quantity) -> Quantity:
    """Their product; 0 x infinite = 0."""
    if a.__class__ is int and b.__class__ is int:  # by far the most frequent
        product = a * b
        return product if product <= SATURATED else INFINITE
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return 0 if not a or not b else _saturate(a * b)
    for one, other in ((a, b), (b, a)):
        if not isinstance(one, Formula):
            if one == 0:
                return 0
            if abs(one) == INFINITE:
                return one  # the formula may be 0; an end of an interval may say so
            assert isinstance(other, Formula)
            return made({m: c * one for m, c in other.terms})
    assert isinstance(a, Formula) and isinstance(b, Formula)
    return _product(a, b)


@lru_cache(4096)
def _product(a: Formula, b: Formula) -> Quantity:
    if len(a.terms) * len(b.terms) > _TERMS:
        return alone(Applied("mul", (a, b)))
    total: dict[Monomial, Number] = {}
    for m1, c1 in a.terms:
        for m2, c2 in b.terms:
            powers: dict[Atom, int] = dict(m1)
            for atom, power in m2:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items(), key=lambda p: str(p[0])))
            total[monomial] = total.get(monomial, 0) + c1 * c2
    return made(total)


def least(q: Quantity) -> Number:
    """A number that `q` is never below, whatever the symbols are."""
    return _ends(q)[0] if isinstance(q, Formula) else q


def greatest(q: Quantity) -> Number:
    """A number that `q` is never above, whatever the symbols are: infinite unless a minimum caps it."""
    return _ends(q)[1] if isinstance(q, Formula) else q


@lru_cache(4096)
def _ends(q: Formula) -> tuple[Number, Number]:
    low: Number = 0
    high: Number = 0
    for monomial, count in q.terms:
        small: Number = 1
        large: Number = 1
        for atom, power in monomial:
            ends = _atom_ends(atom)
            small, large = (_scaled(x, end**power) for x, end in zip((small, large), ends, strict=True))
        if count < 0:
            small, large = large, small
        low, high = low + _scaled(count, small), high + _scaled(count, large)
    return (0 if low != low else max(0, low)), (INFINITE if high != high else max(0, _saturate(high)))


def _scaled(a: Number, b: Number) -> Number:
    return 0 if not a or not b else a * b


def _atom_ends(atom: Atom) -> tuple[Number, Number]:
    if isinstance(atom, Symbol):
        return atom.low, atom.high
    first, *_ = ends = [(max(0, least(a)), max(0, greatest(a))) for a in atom.args]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    return _apply(atom.op, [first[0], *lows[1:]]), _apply(atom.op, [first[1], *highs[1:]])


def weight_of(q: Quantity) -> int:
    """The weight of any quantity: of a number, 1."""
    return q.weight if isinstance(q, Formula) else 1


@lru_cache(16384)
def at_most(a: Quantity, b: Quantity) -> bool:
    """Whether `a <= b` whatever the symbols are. False where that cannot be seen."""
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return a <= b
    if greatest(a) <= least(b):
        return True
    if not isinstance(a, Formula) or not isinstance(b, Formula):
        return False
    rest = terms_of(b)
    for monomial, count in a.terms:
        rest[monomial] = rest.get(monomial, 0) - count
    return _covered(rest) or _at_most_by_parts(_lone(a), _lone(b), a, b)


def _at_most_by_parts(x: Applied | None, y: Applied | None, a: Formula, b: Formula) -> bool:
    """`a <= b` by what one of them is the minimum, maximum or quotient of: `x` is all of `a`, `y` of `b`."""
    if x is not None:
        if x.op == "max":
            return all(at_most(arg, b) for arg in x.args)
        if x.op == "cut" and at_most(x.args[0], b):
            return True
        if x.op == "min" and any(at_most(arg, b) for arg in x.args):
            return True
        if x.op == "ceil" and y is not None and y.op == "ceil" and at_most(y.args[1], x.args[1]) and at_most(x.args[0], y.args[0]):
            return True
        if x.op in ("ceil", "log2") and is_whole(x.args[0]) and at_most(x.args[0], b):
            return True
    if y is not None:
        if y.op == "min":
            return all(at_most(a, arg) for arg in y.args)
        if y.op == "max":
            return any(at_most(a, arg) for arg in y.args)
    return False


def _lone(q: Quantity) -> Applied | None:
    """The one operation that a quantity is."""
    if isinstance(q, Formula) and len(q.terms) == 1:
        ((monomial, count),) = q.terms
        if count == 1 and len(monomial) == 1 and monomial[0][1] == 1 and isinstance(atom := monomial[0][0], Applied):
            return atom
    return None


def is_whole(q: Quantity) -> bool:
    """Whether a quantity is a whole number (or infinite) for whole symbols."""
    if not isinstance(q, Formula):
        return q == INFINITE or q == int(q)
    for monomial, count in q.terms:
        if count != int(count):
            return False
        if any(
            isinstance(atom, Applied) and atom.op in ("min", "max", "mul", "cut") and not all(map(is_whole, atom.args))
            for atom, _ in monomial
        ):
            return False
    return True


def _covered(rest: dict[Monomial, Number]) -> bool:
    """Whether a sum is at least 0 because each negative term has a positive one of the same atoms in higher powers: `n^2 - n`."""
    spare = {m: c for m, c in rest.items() if c > 0}
    for monomial, count in rest.items():
        if count >= 0:
            continue
        powers = dict(monomial)
        if not all(isinstance(atom, Symbol) or is_whole(alone(atom)) for atom in powers):
            return False
        for other, many in spare.items():
            if dict(other).keys() == powers.keys() and all(p >= powers[a] for a, p in other) and monomial:
                spare[other] = many - min(many, -count)
                count += min(many, -count)
        if count < 0:
            return False
    return True


def minimum(*quantities: Quantity) -> Quantity:
    """The least of them."""
    if len(quantities) == 2:
        first, second = quantities
        if first is second:
            return first
        if not isinstance(first, Formula) and not isinstance(second, Formula):
            return min(first, second)
    return _extreme("min", quantities, at_most)


def maximum(*quantities: Quantity) -> Quantity:
    """The greatest of them."""
    if len(quantities) == 2:
        first, second = quantities
        if first is second:
            return first
        if not isinstance(first, Formula) and not isinstance(second, Formula):
            return max(first, second)
    return _extreme("max", quantities, lambda a, b: at_most(b, a))


def _extreme(op: str, quantities: Iterable[Quantity], better: Callable[[Quantity, Quantity], bool]) -> Quantity:
    kept: list[Quantity] = []
    for q in _flat(op, quantities):
        if any(better(k, q) for k in kept):
            continue
        kept = [k for k in kept if not better(q, k)]
        kept.append(q)
    if len(kept) == 1:
        return kept[0]
    kept.sort(key=str)
    return alone(Applied(op, tuple(kept)))


def _flat(op: str, quantities: Iterable[Quantity]) -> Iterable[Quantity]:
    for q in quantities:
        atom = _lone(q)
        if atom is not None and atom.op == op:
            yield from atom.args
        else:
            yield q


def ceil_div(a: Quantity, by: int) -> Quantity:
    """`a / by`, rounded up; `by` at least 1."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else math.ceil(a) if by == 1 else -(-math.ceil(a) // by)
    if by == 1 and is_whole(a):
        return a
    if all(c % by == 0 for _, c in a.terms) and is_whole(a):
        return made({m: c // by for m, c in a.terms})
    return alone(Applied("ceil", (a, by)))


def floor_div(a: Quantity, by: int) -> Quantity:
    """`a / by`, rounded down, but not where `a` is a formula that is not always whole; `by` at least 1."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else math.floor(a) // by
    if by == 1 or all(c % by == 0 for _, c in a.terms) or not is_whole(a):
        return ceil_div(a, by) if is_whole(a) else times(a, 1 / by)
    return ceil_div(made(terms_of(a) | {(): dict(a.terms).get((), 0) + 1 - by}), by)


def log2_ceil(a: Quantity) -> Quantity:
    """The levels of a balanced tree with `a` leaves: log2, rounded up; 0 for at most one."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else max(0, math.ceil(a) - 1).bit_length()
    return alone(Applied("log2", (a,)))


def difference(a: Quantity, b: Quantity) -> Quantity:
    """`a - b`, but at least 0."""
    if at_most(a, b):
        return 0
    if a == INFINITE or (not isinstance(a, Formula) and not isinstance(b, Formula)):
        return a - b if isinstance(b, (int, float)) else INFINITE
    if b == INFINITE:
        return 0
    rest = terms_of(a)
    for monomial, count in terms_of(b).items():
        rest[monomial] = rest.get(monomial, 0) - count
    left = made(rest)
    return left if at_most(b, a) or not isinstance(left, Formula) else alone(Applied("cut", (left,)))


def less(a: Quantity, by: int) -> Quantity:
    """`a - by`, but at least 0."""
    return difference(a, by)


def pairs_of(n: Quantity) -> Quantity:
    """`n (n - 1) / 2`: how often two of `n` are taken together."""
    if not isinstance(n, Formula):
        return n if n == INFINITE else n * (n - 1) / 2 if n != int(n) else int(n) * (int(n) - 1) // 2
    return ceil_div(difference(times(n, n), n), 2)


def symbols(q: Quantity) -> frozenset[Symbol]:
    """The symbols of a quantity."""
    if not isinstance(q, Formula):
        return frozenset()
    found: set[Symbol] = set()
    for monomial, _ in q.terms:
        for atom, _ in monomial:
            found |= {atom} if isinstance(atom, Symbol) else {s for a in atom.args for s in symbols(a)}
    return frozenset(found)


def value_at(q: Quantity, sizes: Mapping[str, Number]) -> Number:
    """The number that a quantity is at given sizes, by the names of its symbols; one that is missing is infinite."""
    if not isinstance(q, Formula):
        return q
    total: Number = 0
    for monomial, count in q.terms:
        product: Number = count
        for atom, power in monomial:
            number = (
                sizes.get(atom.name, INFINITE) if isinstance(atom, Symbol) else _apply(atom.op, [value_at(a, sizes) for a in atom.args])
            )
            product = _scaled(product, number**power)
        total += product
    if total != total:  # infinite less infinite
        return INFINITE
    return max(0, total)


def _apply(op: str, args: Sequence[Number]) -> Number:
    match op:
        case "min":
            return min(args)
        case "max":
            return max(args)
        case "cut":
            return args[0]
        case "mul":
            return 0 if 0 in args else math.prod(args)
        case "ceil":
            return ceil_div(args[0], int(args[1]))  # type: ignore[return-value]
        case _:
            return log2_ceil(args[0])  # type: ignore[return-value]
