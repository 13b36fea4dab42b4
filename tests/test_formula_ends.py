"""Formulas made into others that are never below them, or never above: without a symbol, summed over many things, shorter."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from test_sizes import NAMES, QUICK, at, quantities

from rlmlang.quantity import (
    INFINITE,
    Number,
    Quantity,
    Symbol,
    above,
    below,
    ceil_div,
    coarse,
    coarse_below,
    difference,
    floor_div,
    less,
    log2_ceil,
    maximum,
    minimum,
    pairs_of,
    plus,
    summed,
    symbol,
    symbols,
    times,
    value_at,
)

N, M, K = (symbol(name, name) for name in NAMES)
((NS,), (MS,)) = symbols(N), symbols(M)
sums = st.lists(st.tuples(quantities, quantities), min_size=1, max_size=4).map(lambda parts: plus(*(times(a, b) for a, b in parts)))
things = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=4)


@settings(QUICK, max_examples=150)
@given(quantities | sums, at, st.sampled_from([N, 9, plus(K, 2), times(2, K)]), st.integers(0, 9))
def test_without_a_symbol(q: Quantity, sizes: dict[str, Number], end: Quantity, some: int) -> None:
    """Where the symbol is at most its end."""
    least, most = below(q, {NS: end}), above(q, {NS: end})
    if end is not N:
        assert NS not in symbols(least) | symbols(most)
        sizes = sizes | {"n": min(some, int(value_at(end, sizes)))}
    assert value_at(least, sizes) <= value_at(q, sizes) <= value_at(most, sizes), (least, most)


@settings(QUICK, max_examples=200)
@given(quantities | sums, things, st.integers(0, 9), st.booleans(), st.integers(0, 3))
def test_summed_over_things(q: Quantity, of: list[tuple[int, int]], k: int, symbolic: bool, spare: int) -> None:
    """`n` and `m` are of each thing, `k` is of all; at least as many things as there are, and perhaps some more."""
    sizes: dict[str, Number] = {"k": k, "count": len(of), "total": sum(map(sum, of)) + spare}
    count: Quantity = symbol("count", "") if symbolic else len(of)
    total: Quantity = symbol("total", "") if symbolic else sum(map(sum, of)) + spare
    ends = {NS: max(n for n, _ in of), MS: max(m for _, m in of) + spare}
    together = sum(value_at(q, {"n": n, "m": m, "k": k}) for n, m in of)
    found = summed(q, count, count, ends, total)
    assert symbols(found).isdisjoint(ends)
    assert together <= value_at(found, sizes), found
    assert together <= value_at(summed(q, count, plus(count, spare), ends, total), sizes)
    assert together <= value_at(summed(q, count, count, ends, INFINITE), sizes)


@settings(QUICK, max_examples=150)
@given(sums, sums, at)
def test_shorter(a: Quantity, b: Quantity, sizes: dict[str, Number]) -> None:
    with patch("rlmlang.quantity.coarse._LONGEST", 3), patch("rlmlang.quantity.coarse._TERMS", 2):
        for q in (a, plus(a, b), maximum(a, b), minimum(a, b), times(a, b), difference(a, b)):
            assert value_at(coarse_below(q), sizes) <= value_at(q, sizes) <= value_at(coarse(q), sizes), coarse(q)


def _ended(q: Quantity, ends: dict[Symbol, Quantity]) -> str:
    return f"{below(q, ends)} .. {above(q, ends)}"


def test_exact_ends_without_a_symbol() -> None:
    assert [
        _ended(q, {NS: 5})
        for q in (
            plus(times(2, N), 3),
            times(N, M),
            plus(times(N, N), M),
            difference(M, N),
            difference(N, M),
            difference(times(N, N), N),
            minimum(N, M),
            maximum(N, M),
            ceil_div(plus(N, M), 3),
            log2_ceil(N),
            pairs_of(N),
            times(plus(N, M), log2_ceil(plus(M, 1))),
            plus(M, 1),
            7,
        )
    ] == EXACT_ENDS
    # the lower end of a symbol is its own
    least = symbol("x", "", 2, 8)
    (own,) = symbols(least)
    assert _ended(plus(times(3, least), M), {own: 4}) == "m + 6 .. m + 12" and _ended(difference(9, least), {own: 4}) == "5 .. 7"
    assert below(difference(M, N), {NS: INFINITE}) == 0 and above(plus(M, N), {NS: INFINITE}) == INFINITE


EXACT_ENDS = [
    "3 .. 13",
    "0 .. 5·m",
    "m .. m + 25",
    "max(0, m - 5) .. m",
    "max(0, - m) .. max(0, - m + 5)",
    "0 .. 20",
    "0 .. min(5, m)",
    "m .. max(5, m)",
    "⌈m/3⌉ .. ⌈(m + 5)/3⌉",
    "0 .. 3",
    "0 .. 10",
    "m·⌈log2(m + 1)⌉ .. m·⌈log2(m + 1)⌉ + 5·⌈log2(m + 1)⌉",
    "m + 1 .. m + 1",
    "7 .. 7",
]


def test_exact_sums() -> None:
    """Over four things, `n` at most 5 and `m` at most 9 in each, 30 together."""
    both: dict[Symbol, Quantity] = {NS: 5, MS: 9}
    assert [
        str(summed(q, 4, 4, both, 30))
        for q in (
            7,
            times(2, K),
            plus(times(2, N), 3),
            plus(times(3, N), times(2, M)),
            plus(times(2, N), times(3, M)),
            times(N, M),
            times(N, N),
            times(K, N),
            ceil_div(N, 4),
            minimum(N, 3),
            maximum(N, 3),
            maximum(N, M),
            less(N, 2),
            log2_ceil(N),
            difference(20, N),
            pairs_of(N),
            floor_div(M, 2),
        )
    ] == EXACT_SUMS
    count, total = symbol("c", ""), symbol("t", "")
    of: list[Any] = [plus(times(2, N), 3), times(N, M), ceil_div(N, 4), maximum(N, 3), plus(times(3, N), times(2, M)), less(N, 2)]
    assert [str(summed(q, count, count, both, total)) for q in of] == EXACT_FORMULAS


EXACT_SUMS = ["28", "8·k", "52", "80", "90", "150", "100", "30·k", "9", "12", "20", "36", "20", "12", "80", "54", "17"]
EXACT_FORMULAS = ["3·c + 2·t", "5·t", "⌈t/4⌉ + c", "3·c + t", "3·t", "t"]


def test_exact_shorter_formulas() -> None:
    assert coarse(plus(N, 1)) == plus(N, 1) and coarse_below(plus(N, 1)) == plus(N, 1)
    with patch("rlmlang.quantity.coarse._LONGEST", 3), patch("rlmlang.quantity.coarse._TERMS", 2):
        assert [
            str(coarse(q))
            for q in (
                plus(times(2, N), times(3, M), K),
                plus(times(N, N), N, 1),
                plus(ceil_div(plus(N, 1), 4), M),
                plus(minimum(N, times(M, M)), M),
                plus(maximum(N, M), 3),
                plus(minimum(N, 4), minimum(M, 5)),
                times(plus(N, M), plus(N, K)),
                difference(times(N, N), N),
                plus(log2_ceil(N), M, 2),
            )
        ] == EXACT_SHORTER
        assert coarse_below(plus(N, M, 4)) == 4


EXACT_SHORTER = ["k + 3·m + 2·n", "2·n^2 + 1", "m + 0.25·n + 1.25", "m + n", "m + n + 3", "9", "k·m + k·n + m·n + n^2", "n^2", "m + n + 2"]


def test_exact_quotients() -> None:
    of = (
        ceil_div(times(6, N), 3),
        ceil_div(plus(times(6, N), 2), 3),
        floor_div(plus(times(6, N), 9), 3),
        floor_div(plus(N, 4), 3),
        ceil_div(N, 1),
    )
    assert [str(q) for q in of] == ["2·n", "⌈(6·n + 2)/3⌉", "2·n + 3", "⌈(n + 2)/3⌉", "n"]
