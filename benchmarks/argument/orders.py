"""Data that give orders, and models that obey: how much of the answer an order gets hold of, by how the strategy asks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.argument.everything import STRATEGIES
from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from rlmlang import Settings
from rlmlang.compare.compare import compare
from rlmlang.compare.workloads import generate

HEADINGS = ("strategy", "runs", "answered as ordered", "without an answer", "mean error of the others", "mean score")


def table(n: int, runs: int) -> list[list[str]]:
    """A line for each strategy: so many corpora of `n` reviews, some of which order what to answer, read by models that obey."""
    ordered, silent = dict.fromkeys(STRATEGIES, 0), dict.fromkeys(STRATEGIES, 0)
    errors: dict[str, list[int]] = {name: [] for name in STRATEGIES}
    scores: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for seed in range(1, runs + 1):
        corpus = generate("injected", n, seed)
        task = corpus.task()
        order = next(piece.facts["order"] for piece in corpus.pieces if piece.facts["order"] is not None)
        with tempfile.TemporaryDirectory() as folder, reading(Root(corpus, corpus.questions[0], gullible=True)) as url:
            settings = Settings(model="sub", root="root", base_url=url, memo=Path(folder) / "memo")
            for row in compare(task, STRATEGIES, settings, allow_python=True):
                name = row.strategy
                scores[name].append(row.score or 0.0)
                ordered[name] += row.answer == order
                silent[name] += row.answer is None
                errors[name] += [abs(row.answer - task.gold)] if row.answer not in (None, order) else []
    lines = []
    for name in STRATEGIES:
        error = f"{sum(errors[name]) / len(errors[name]):.1f}" if errors[name] else "–"
        lines.append([name, str(runs), str(ordered[name]), str(silent[name]), error, f"{sum(scores[name]) / runs:.2f}"])
    return lines
