"""Twenty questions about one corpus: what the memo leaves of the nineteen later ones.

The questions are those of OOLONG-Pairs. The programs are the reference ones: each asks for the kind of every line, in the same words, and
does the rest by code. So what this shows is an upper end: a root model that words its instruction differently each time asks anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

import rlmlang
from benchmarks.argument.reader import Reader, reading
from rlmlang import Settings
from rlmlang.compare.workloads import generate


@frozen
class Asked:
    """One question: its F1, the calls that its program made, those that the memo answered, tokens that were paid, and seconds."""

    name: str
    score: float
    calls: int
    from_memo: int
    sent: int
    tokens: int
    seconds: float


def twenty(n: int, seed: int) -> list[Asked]:
    """All twenty questions about `n` lines, one after the other, with one memo."""
    corpus = generate("pairs", n, seed)
    asked = []
    with tempfile.TemporaryDirectory() as folder, reading(Reader(corpus)) as url:
        settings = Settings(model="reader", base_url=url, memo=Path(folder) / "memo")
        for task, question in zip(corpus.tasks(), corpus.questions, strict=True):
            assert task.score is not None
            result = rlmlang.run("input messages: text\n" + question.program, settings, **task.data)
            used = result.used
            score = task.score(result.answer, task.gold)
            paid = used.input_tokens + used.output_tokens
            asked.append(Asked(question.name, score, used.calls, used.from_memo, used.requests, paid, used.seconds))
    return asked


def rows(asked: Sequence[Asked]) -> list[list[str]]:
    """The table: each question, and all."""
    return [*(_row(a.name, [a]) for a in asked), _row("all", asked)]


def summed(asked: Sequence[Asked]) -> list[list[str]]:
    """The table: the first question, all others together, and all."""
    return [_row(asked[0].name, asked[:1]), _row(f"{asked[1].name} to {asked[-1].name}", asked[1:]), _row("all", asked)]


def _row(name: str, asked: Sequence[Asked]) -> list[str]:
    figures = (sum(column) for column in zip(*((a.calls, a.from_memo, a.sent, a.tokens) for a in asked), strict=True))
    mean = sum(a.score for a in asked) / len(asked)
    return [name, f"{mean:.2f}", *(f"{figure:,}" for figure in figures), f"{sum(a.seconds for a in asked):.2f}"]


HEADINGS = ("question", "F1", "calls", "from memo", "sent", "tokens paid", "seconds")
