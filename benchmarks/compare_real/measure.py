"""Runs the rows that are not on disk yet, one at a time, and prints the table of all that are.

A row that is finished is kept; one that is interrupted is not, but its calls are in the memo, so it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from attrs import asdict, frozen

from benchmarks.argument.document import fill
from benchmarks.harness import rendered
from rlmlang import Settings
from rlmlang.cache import cache_root
from rlmlang.compare.compare import Comparison
from rlmlang.compare.strategies import available
from rlmlang.compare.workloads import WORKLOADS, Corpus, Question, generate

# which questions of a workload are asked, by their places: one of each kind
QUESTIONS: Mapping[str, Sequence[int]] = {"counting": (0, 3), "pairs": (0, 11)}


@frozen
class Job:
    """One row to be measured."""

    model: str
    workload: str
    n: int
    seed: int
    question: int
    strategy: str


Open = Callable[[Corpus, Question], AbstractContextManager[Settings]]  # how to run, for one question


def jobs(model: str, workloads: Sequence[str], sizes: Sequence[int], seeds: Sequence[int], strategies: Sequence[str]) -> Iterator[Job]:
    """All rows, in the order in which they are worth having: every strategy on one question before the next."""
    for seed in seeds:
        for n in sizes:
            for workload in workloads:
                for question in QUESTIONS.get(workload, (0,)):
                    for strategy in strategies:
                        yield Job(model, workload, n, seed, question, strategy)


class Kept:
    """The rows on disk, a line of JSON each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "rows.jsonl"
        self.rows: dict[Job, dict[str, Any]] = {}
        for line in self._path.read_text("utf-8").splitlines() if self._path.is_file() else ():
            try:
                found = json.loads(line)
            except ValueError:  # nothing, or the last line of a run that was ended while it wrote
                continue
            self.rows[Job(**found["job"])] = found["row"]

    def add(self, job: Job, row: dict[str, Any]) -> None:
        self.rows[job] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps({"job": asdict(job), "row": row}))  # a line of its own, whatever the last run left


def measure(
    todo: Sequence[Job], kept: Kept, opened: Open, folder: Path, *, turns: int, calls: int, seconds: float, allow_python: bool = False
) -> bool:
    """Measures what is not kept yet, for so many seconds. Whether nothing is left."""
    deadline = time.monotonic() + seconds
    left = [job for job in todo if job not in kept.rows]
    for at, job in enumerate(left, 1):
        if time.monotonic() > deadline:
            return False
        corpus = generate(job.workload, job.n, job.seed)
        place = folder / f"{job.workload}-{job.n}-{job.seed}"
        corpus.write(place)
        task = corpus.task(job.question, place)
        with opened(corpus, corpus.questions[job.question]) as settings:
            comparison = Comparison(task, [job.strategy], settings, turns=turns, calls=calls, allow_python=allow_python)
            timer = Timer(min(86_400.0, max(1.0, deadline - time.monotonic())), comparison.cancel)
            timer.daemon = True
            timer.start()
            rows = [row.to_json() for row in comparison.rows()]
            timer.cancel()
        if comparison.cancelled or not rows:
            return False
        row = {name: value for name, value in rows[0].items() if name not in ("transcript", "program")}
        kept.add(job, row)
        (place / f"{job.strategy}-{job.question}.json").write_text(json.dumps(rows[0], indent=1), encoding="utf-8")
        told = f"{row['outcome']}, score {_figure(row['score'])}, coverage {_figure(row['coverage'])}, {row['seconds']:.0f} s"
        print(f"{at}/{len(left)} {task.name} n={job.n} {job.strategy}: {told}", file=sys.stderr, flush=True)
    return True


HEADINGS = ("workload", "n", "strategy", "outcome", "score", "coverage", "calls", "root tokens", "all tokens", "rounds", "seconds")


def tables(rows: Mapping[Job, Mapping[str, Any]], todo: Sequence[Job]) -> tuple[str, str]:
    """What the rows come to for each strategy, and each row."""
    done = [job for job in todo if job in rows]
    shown = []
    for job in done:
        row = rows[job]
        name = f"{job.workload} {generate(job.workload, job.n, job.seed).questions[job.question].name}"
        figures = (_figure(row["score"]), _figure(row["coverage"]), *(f"{row[f]:,}" for f in ("calls", "root_tokens", "tokens", "rounds")))
        shown.append([name, str(job.n), job.strategy, row["outcome"], *figures, f"{row['seconds']:.0f}"])
    sums = []
    for strategy in dict.fromkeys(job.strategy for job in done):
        own = [rows[job] for job in done if job.strategy == strategy]
        answered = sum(row["outcome"] == "answered" for row in own)
        totals = (f"{sum(row[f] for row in own):,}" for f in ("calls", "root_tokens", "tokens"))
        seconds = f"{sum(row['seconds'] for row in own):,.0f}"
        sums.append([strategy, str(len(own)), str(answered), _mean(own, "score"), _mean(own, "coverage"), *totals, seconds])
    whole = ("strategy", "tasks", "answered", "mean score", "mean coverage", "calls", "root tokens", "all tokens", "seconds")
    return rendered(whole, sums), rendered(HEADINGS, shown)


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    return f"{sum(row[name] or 0.0 for row in rows) / len(rows):.2f}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="compare_real", description="Every strategy on every workload, with one model as root and sub-model."
    )
    parser.add_argument("model", help="a GGUF file, or what --model of rlm takes")
    parser.add_argument("--workloads", nargs="+", choices=tuple(WORKLOADS), default=tuple(WORKLOADS))
    parser.add_argument("--strategies", nargs="+", choices=available(), help="all by default; python only with --allow-python")
    parser.add_argument("--allow-python", action="store_true", help="run programs in Python that the model writes, locked in")
    parser.add_argument("--n", nargs="+", type=int, default=[16], help="sizes, 16 by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--turns", type=int, default=12, help="replies of the root model for one question")
    parser.add_argument("--calls", type=int, default=100, help="sub-invocations for one question")
    parser.add_argument("--row-seconds", type=int, default=900, help="after so long a row ends by its budget")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; the next run goes on from there")
    parser.add_argument("--out", type=Path, default=cache_root() / "compare_real", help="where rows, memo and data are kept")
    parser.add_argument("--report", action="store_true", help="print the table of what there is, and run nothing")
    parser.add_argument("--write", action="store_true", help="put the tables into the documents")
    given = parser.parse_args()
    path = Path(given.model)
    spec = f"gguf:{path.resolve()}" if path.suffix == ".gguf" else given.model
    strategies = given.strategies or [name for name in available() if name != "python" or given.allow_python]
    todo = list(jobs(path.name, given.workloads, given.n, given.seeds, strategies))
    kept = Kept(given.out)

    @contextmanager
    def opened(corpus: Corpus, question: Question) -> Iterator[Settings]:
        yield Settings(model=spec, memo=given.out / "memo", budget=(f"{given.row_seconds} seconds",))

    limits = {"turns": given.turns, "calls": given.calls, "seconds": given.seconds}
    whole = given.report or measure(todo, kept, opened, given.out, **limits, allow_python=given.allow_python)
    sums, each = tables(kept.rows, todo)
    said = [word for word in sys.argv[1:] if word not in (given.model, "--report", "--write")]
    command = " ".join(["python benchmarks/compare_real", path.name, *said])
    print(sums, each, sep="\n\n")
    if given.write:
        done = sum(job in kept.rows for job in todo)
        head = f"```\n{command}\n```\n\n{done} of {len(todo)} rows.\n\n"
        fill({"compare_real": head + sums, "compare_real rows": each})
    if not whole:
        sys.exit("not all rows are done; run again to go on")
