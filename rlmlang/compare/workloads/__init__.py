"""Questions with known answers about data of any size, generated from a seed: the same everywhere, for ever.

corpus = generate("counting", 1000, seed=3)
corpus.write("folder")      # context/, gold.json and pieces.jsonl, to look at
corpus.task(0)              # what a strategy is given
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rlmlang.compare.workloads.corpus import MOST, Corpus, Piece, Question
from rlmlang.compare.workloads.counting import counting
from rlmlang.compare.workloads.duplicates import duplicates
from rlmlang.compare.workloads.injected import injected
from rlmlang.compare.workloads.needle import needle
from rlmlang.compare.workloads.pairs import pairs
from rlmlang.compare.workloads.weird import weird
from rlmlang.errors import UsageError
from rlmlang.syntax.diagnostics import printable

__all__ = ["WORKLOADS", "Corpus", "Piece", "Question", "generate"]

WORKLOADS: Final[Mapping[str, Callable[[int, int], Corpus]]] = {
    "needle": needle,
    "counting": counting,
    "pairs": pairs,
    "weird": weird,
    "duplicates": duplicates,
    "injected": injected,
}


def generate(name: str, n: int, seed: int = 0) -> Corpus:
    """The corpus of a workload with `n` pieces. Raises UsageError."""
    if name not in WORKLOADS:
        raise UsageError(f"there is no workload {printable(name, 100)}; there are {', '.join(WORKLOADS)}")
    if not 1 <= n <= MOST:
        raise UsageError(f"a workload has 1 to {MOST:,} pieces, not {n:,}")
    return WORKLOADS[name](n, seed)
