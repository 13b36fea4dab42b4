"""Amounts that are known, or known as formulas in the sizes of inputs: what the bound computes with.

A quantity is an int, `INFINITE`, or a `Formula`: a polynomial over symbols (`n = len(docs)`) and over `min max ceil log2` of polynomials. Symbols stand
for whole numbers of at least 0, and so does every quantity. The same rules serve both, since operations on ints give ints. Sums and
products saturate: `0 x infinite = 0`, beyond `SATURATED` all is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, Union

from attrs import field, frozen

INFINITE: Final = math.inf
SATURATED: Final = 1 << 200  # nothing that is counted here comes near
_TERMS: Final = 24  # a sum of more terms than a person reads is kept as an opaque product or minimum

Number = Union[int, float]
Quantity = Union[int, float, "Formula"]


@frozen(order=True)
class Symbol:
    """A size that is not known yet. `meaning` says what it is: `len(docs)`."""

    name: str
    meaning: str = field(eq=False)

    def __str__(self) -> str:
        return self.name


@frozen
class Applied:
    """`op(args)` with op one of min, max, ceil (of the first divided by the second), log2 (rounded up), mul."""

    op: str
    args: tuple[Quantity, ...]

    def __str__(self) -> str:
        first = self.args[0]
        if self.op == "ceil":
            over = f"({first})" if isinstance(first, Formula) and len(first.terms) > 1 else f"{first}"
            return f"⌈{over}/{self.args[1]}⌉"
        if self.op == "log2":
            return f"⌈log2({first})⌉"
        if self.op == "mul":
            return "·".join(f"({a})" if isinstance(a, Formula) and len(a.terms) > 1 else str(a) for a in self.args)
        return f"{self.op}({', '.join(map(str, self.args))})"


Atom = Union[Symbol, Applied]
Monomial = tuple[tuple[Atom, int], ...]  # atoms with their powers, in order


@frozen
class Formula:
    """A sum of `coefficient x monomial`, at least one of which is no constant; coefficients are positive or negative ints, never 0."""

    terms: tuple[tuple[Monomial, int], ...]

    def __str__(self) -> str:
        shown = []
        for monomial, count in sorted(self.terms, key=lambda t: (-sum(p for _, p in t[0]), str(t[0]))):
            factors = [f"{atom}^{power}" if power > 1 else str(atom) for atom, power in monomial]
            if abs(count) != 1 or not factors:
                factors.insert(0, f"{abs(count):,}")
            shown.append(("- " if count < 0 else "+ ") + "·".join(factors))
        text = " ".join(shown)
        return text.removeprefix("+ ")


def symbol(name: str, meaning: str) -> Formula:
    """The quantity that is one symbol."""
    return Formula(((((Symbol(name, meaning), 1),), 1),))


def _terms(q: Quantity) -> dict[Monomial, int]:
    if isinstance(q, Formula):
        return dict(q.terms)
    return {(): int(q)} if q else {}


def _made(terms: dict[Monomial, int]) -> Quantity:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    return Formula(tuple(sorted(kept.items(), key=_order)))


def _order(term: tuple[Monomial, int]) -> str:
    return str([(str(a), p) for a, p in term[0]])


def _saturate(number: Number) -> Number:
    return INFINITE if number > SATURATED else number


def plus(*quantities: Quantity) -> Quantity:
    """Their sum."""
    number: Number = 0
    formulas: list[Formula] = []
    for q in quantities:
        if isinstance(q, Formula):
            formulas.append(q)
        else:
            number += q
    if number > SATURATED:
        return INFINITE
    if not formulas:
        return number
    total = _terms(number)
    for formula in formulas:
        for monomial, count in formula.terms:
            total[monomial] = total.get(monomial, 0) + count
    return _made(total)


def times(a: Quantity, b: Quantity) -> Quantity:
    """Their product; 0 x infinite = 0."""
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return 0 if not a or not b else _saturate(a * b)
    for one, other in ((a, b), (b, a)):
        if not isinstance(one, Formula):
            if one == 0:
                return 0
            if one == INFINITE:
                return INFINITE  # the formula may be 0; an upper bound may say so
            assert isinstance(other, Formula)
            return _made({m: c * int(one) for m, c in other.terms})
    return _product(a, b)


@lru_cache(4096)
def _product(a: Formula, b: Formula) -> Quantity:
    if len(a.terms) * len(b.terms) > _TERMS:
        return Formula(((((Applied("mul", (a, b)), 1),), 1),))
    total: dict[Monomial, int] = {}
    for m1, c1 in a.terms:
        for m2, c2 in b.terms:
            powers: dict[Atom, int] = dict(m1)
            for atom, power in m2:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items(), key=lambda p: str(p[0])))
            total[monomial] = total.get(monomial, 0) + c1 * c2
    return _made(total)


def at_most(a: Quantity, b: Quantity) -> bool:
    """Whether `a <= b` whatever the symbols are. False where that cannot be seen."""
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return a <= b
    if b == INFINITE:
        return True
    if a == INFINITE:
        return False
    if isinstance(a, int) and isinstance(b, Formula):
        # the constant of b may be enough: everything else in it is at least 0 unless it is subtracted
        return all(c > 0 for m, c in b.terms if m) and a <= dict(b.terms).get((), 0)
    difference = _terms(b)
    for monomial, count in _terms(a).items():
        difference[monomial] = difference.get(monomial, 0) - count
    if all(c >= 0 for c in difference.values()):
        return True
    if isinstance(a, Formula) and len(a.terms) == 1:
        ((monomial, count),) = a.terms
        if count == 1 and len(monomial) == 1 and monomial[0][1] == 1 and isinstance(atom := monomial[0][0], Applied) and atom.op == "min":
            return any(at_most(arg, b) for arg in atom.args)
    return False


def minimum(*quantities: Quantity) -> Quantity:
    """The least of them."""
    return _extreme("min", quantities, at_most)


def maximum(*quantities: Quantity) -> Quantity:
    """The greatest of them."""
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
    return Formula(((((Applied(op, tuple(kept)), 1),), 1),))


def _flat(op: str, quantities: Iterable[Quantity]) -> Iterable[Quantity]:
    for q in quantities:
        if isinstance(q, Formula) and len(q.terms) == 1:
            ((monomial, count),) = q.terms
            if count == 1 and len(monomial) == 1 and monomial[0][1] == 1:
                atom = monomial[0][0]
                if isinstance(atom, Applied) and atom.op == op:
                    yield from atom.args
                    continue
        yield q


def ceil_div(a: Quantity, by: int) -> Quantity:
    """`a / by`, rounded up."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else -(-int(a) // by)
    if by == 1:
        return a
    if all(c % by == 0 for _, c in a.terms):
        return _made({m: c // by for m, c in a.terms})
    return Formula(((((Applied("ceil", (a, by)), 1),), 1),))


def log2_ceil(a: Quantity) -> Quantity:
    """The levels of a balanced tree with `a` leaves: log2, rounded up; 0 for at most one."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else max(0, int(a) - 1).bit_length()
    return Formula(((((Applied("log2", (a,)), 1),), 1),))


def less(a: Quantity, by: int) -> Quantity:
    """`a - by`, but at least 0."""
    if not isinstance(a, Formula):
        return a if a == INFINITE else max(0, int(a) - by)
    return maximum(0, _made(_terms(a) | {(): dict(a.terms).get((), 0) - by}))


def difference(a: Quantity, b: Quantity) -> Quantity:
    """`a - b`, for an `a` that is `b` plus something; where that cannot be seen, `a`, which is more."""
    if not isinstance(a, Formula) and not isinstance(b, Formula):
        return INFINITE if a == INFINITE else max(0, a - b)
    if a == INFINITE or b == INFINITE:
        return a
    rest = _terms(a)
    for monomial, count in _terms(b).items():
        rest[monomial] = rest.get(monomial, 0) - count
    return _made(rest) if all(count >= 0 for count in rest.values()) else a


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
            number = sizes.get(atom.name, INFINITE) if isinstance(atom, Symbol) else _applied_at(atom, sizes)
            product = 0 if product == 0 or number == 0 else product * number**power
        total += product
    if total != total:  # infinite less infinite
        return INFINITE
    return _saturate(max(0, total))


def _applied_at(atom: Applied, sizes: Mapping[str, Number]) -> Number:
    args = [value_at(a, sizes) for a in atom.args]
    match atom.op:
        case "min":
            return min(args)
        case "max":
            return max(args)
        case "mul":
            return 0 if 0 in args else _saturate(math.prod(args))
        case "ceil":
            return args[0] if args[0] == INFINITE else -(-int(args[0]) // int(args[1]))
        case _:
            return args[0] if args[0] == INFINITE else max(0, int(args[0]) - 1).bit_length()
