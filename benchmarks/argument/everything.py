"""Every strategy on every workload, with models that make no mistake: what a strategy cannot do, it cannot do for reasons of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from benchmarks.harness import rendered
from rlmlang import Settings
from rlmlang.compare.compare import compare
from rlmlang.compare.strategy import Row
from rlmlang.compare.workloads import WORKLOADS, generate

STRATEGIES = ("direct", "chunks", "toolcalls", "folding", "terminal", "python", "rlm")


def rows(workload: str, n: int, seed: int) -> list[Row]:
    """The first question of a workload, put to all strategies."""
    corpus = generate(workload, n, seed)
    with tempfile.TemporaryDirectory() as folder, reading(Root(corpus, corpus.questions[0])) as url:
        corpus.write(folder)
        settings = Settings(model="sub", root="root", base_url=url, memo=Path(folder) / "memo")
        return compare(corpus.task(0, folder), STRATEGIES, settings, calls=2 * n + 200, allow_python=True)


def tables(sizes: Sequence[tuple[str, int]], seed: int) -> str:
    """Tables with a line for each strategy and a column for each workload: scores with coverage, calls, and tokens."""
    columns = [rows(workload, n, seed) for workload, n in sizes]
    headings = [f"{workload}, {n:,}" for workload, n in sizes]
    shown: Sequence[tuple[str, Callable[[Row], str]]] = (
        ("score, and coverage where it is not whole", _score),
        ("calls", lambda row: f"{row.calls:,}"),
        ("tokens of the root model", lambda row: f"{row.root_tokens:,}"),
        ("all tokens", lambda row: f"{row.tokens:,}"),
    )
    return "\n\n".join(
        rendered((title, *headings), [[name, *(told(column[at]) for column in columns)] for at, name in enumerate(STRATEGIES)])
        for title, told in shown
    )


def _score(row: Row) -> str:
    score = f"{row.score or 0:.2f}" if row.outcome == "answered" else row.outcome
    return score if row.coverage == 1.0 else f"{score} ({row.coverage or 0:.0%})"


def all_workloads(n: int, many_pairs: int) -> list[tuple[str, int]]:
    """Each workload at one size, and pairs at another, where the answer is long."""
    return [*((name, n) for name in WORKLOADS), ("pairs", many_pairs)]
