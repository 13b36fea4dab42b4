"""Typed tree and sizes of inputs -> bound: calls, tokens, dollars, rounds, before anything is spent. `bound` is the one entry."""

from rlmlang.cost.bound import Bound, Figure, bound

__all__ = ["Bound", "Figure", "bound"]
