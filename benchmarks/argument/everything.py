"""Every strategy on every workload, with models that make no mistake: what a strategy cannot do, it cannot do for reasons of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from rlmlang import Settings
from rlmlang.compare.compare import compare
from rlmlang.compare.strategy import Row
from rlmlang.compare.workloads import WORKLOADS, generate

STRATEGIES = ("direct", "chunks", "toolcalls", "folding", "terminal", "python", "rlm")
HEADINGS = ("workload", "n", "strategy", "score", "coverage", "calls", "root tokens", "all tokens", "rounds")


def rows(workload: str, n: int, seed: int) -> list[Row]:
    """The first question of a workload, put to all strategies."""
    corpus = generate(workload, n, seed)
    with tempfile.TemporaryDirectory() as folder, reading(Root(corpus, corpus.questions[0])) as url:
        corpus.write(folder)
        settings = Settings(model="sub", root="root", base_url=url, memo=Path(folder) / "memo")
        return compare(corpus.task(0, folder), STRATEGIES, settings, calls=2 * n + 200, allow_python=True)


def table(sizes: Sequence[tuple[str, int]], seed: int) -> list[list[str]]:
    """A line for each workload, size and strategy."""
    lines = []
    for workload, n in sizes:
        for row in rows(workload, n, seed):
            score = f"{row.score or 0:.2f}" if row.outcome == "answered" else row.outcome
            figures = [f"{figure:,}" for figure in (row.calls, row.root_tokens, row.tokens, row.rounds)]
            lines.append([workload, f"{n:,}", row.strategy, score, f"{row.coverage or 0:.0%}", *figures])
    return lines


def all_workloads(n: int, many_pairs: int) -> list[tuple[str, int]]:
    """Each workload at one size, and pairs at another, where the answer is long."""
    return [*((name, n) for name in WORKLOADS), ("pairs", many_pairs)]
