"""Runs the tasks with each root and prints the table."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from benchmarks.harness import table, verdict
from benchmarks.write_programs import language_root, python_root
from benchmarks.write_programs.outcome import TURNS, Outcome
from benchmarks.write_programs.root import Root, RootModel
from benchmarks.write_programs.task import Task, right
from benchmarks.write_programs.tasks import TASKS
from rlmlang.cache import cache_root

SIDES: Mapping[str, Callable[[Task, Root], tuple[Outcome, ...]]] = {
    "python": python_root.trial,
    "rlm": language_root.trial,
    "constrained": partial(language_root.trial, constrained=True),
}
_NAMES = {"python": "Python", "rlm": "rlmlang", "constrained": "rlmlang, constrained"}


@frozen
class Trial:
    """What became of a task: the outcome of each turn. The last one counts."""

    task: Task
    turns: tuple[Outcome, ...]

    def after(self, repairs: int) -> Outcome:
        """How it stands when so many repairs are allowed."""
        return self.turns[min(repairs, len(self.turns) - 1)]

    def right(self, repairs: int) -> bool:
        """Whether the answer is right by then, and a program so far has looked at the data: a guess does not count."""
        outcome = self.after(repairs)
        programs = [turn.program for turn in self.turns[: repairs + 1]]
        looked = any(re.search(rf"\b{name}\b", program) for name in self.task.data for program in programs)
        return outcome.answered and looked and right(self.task, outcome.answer)


def row(name: str, trials: Sequence[Trial], repairs: int) -> list[str]:
    """A row of the table: how many of the tasks have got so far."""
    outcomes = [trial.after(repairs) for trial in trials]
    figures = (
        sum(outcome.parsed for outcome in outcomes),
        sum(outcome.checked for outcome in outcomes),
        sum(outcome.answered for outcome in outcomes),
        sum(trial.right(repairs) for trial in trials),
    )
    return [name, str(repairs), str(len(trials)), *map(str, figures)]


def show(name: str, trial: Trial) -> None:
    """A task in full: every program, and what was said of it."""
    last = trial.turns[-1]
    verdict = "right" if trial.right(TURNS) else "wrong" if last.answered else "no answer"
    print(f"\n=== {name}: {trial.task.name}: {verdict} after {len(trial.turns)}\n{trial.task.question}")
    for turn in trial.turns:
        print(f"--- asked {turn.asked}\n{turn.program.strip()}\n{turn.told}".rstrip())
    if last.answered:
        for what, value in (("gave  ", last.answer), ("wanted", trial.task.answer)):
            print(f"    {what} {json.dumps(value, ensure_ascii=False)[:300]}")


def measure(root: Root, sides: Sequence[str], tasks: Sequence[Task], seconds: float, shown: bool) -> dict[str, list[Trial]]:
    """The trials of each side. Stops after `seconds` with SystemExit; what the model has written is kept, and a next run goes on there."""
    deadline = time.monotonic() + seconds
    trials: dict[str, list[Trial]] = {side: [] for side in sides}
    for side in sides:
        for task in tasks:
            if time.monotonic() > deadline:
                sys.exit(f"{_NAMES[side]}: {len(trials[side])} of {len(tasks)} tasks done; run again to go on")
            trials[side].append(Trial(task, SIDES[side](task, root)))
            if shown:
                show(_NAMES[side], trials[side][-1])
    return trials


def report(trials: Mapping[str, Sequence[Trial]]) -> None:
    """Prints the table, and the figures that are wanted as far as their sides were measured."""
    rows = [row(_NAMES[side], done, repairs) for side, done in trials.items() for repairs in range(TURNS)]
    table(("root", "repairs", "tasks", "parsed", "checked", "answered", "right"), rows)
    print()
    best = trials.get("constrained") or trials.get("rlm") or ()
    if constrained := trials.get("constrained"):
        parsed = sum(trial.after(0).parsed for trial in constrained) / len(constrained)
        verdict("parsed under the constraint, of all", parsed, "1", parsed == 1)
    if best:
        checked = sum(trial.after(1).checked for trial in best) / len(best)
        verdict("checked after one repair, of all", checked, "at least 0.9", checked >= 0.9)
    if best and (python := trials.get("python")):
        ratio = sum(trial.right(TURNS) for trial in best) / max(1, sum(trial.right(TURNS) for trial in python))
        verdict("right answers against Python's", ratio, "more than 1", ratio > 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="write_programs", description="How well a model writes programs, in rlmlang and in Python.")
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=tuple(SIDES))
    parser.add_argument("--tasks", default="", help="only tasks whose name contains this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth task")
    parser.add_argument("--show", action="store_true", help="every program, and what became of it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; the next run goes on from there")
    parser.add_argument("--cache", type=Path, default=cache_root() / "write_programs", help="where replies are kept")
    arguments = parser.parse_args()
    root = RootModel(arguments.model, arguments.cache)
    try:
        tasks = [task for task in TASKS if arguments.tasks in task.name][:: arguments.every]
        trials = measure(root, arguments.sides, tasks, arguments.seconds, arguments.show)
    finally:
        root.close()
        tokens = [sum(getattr(new, name) for new in root.new) for name in ("prompt", "cached", "written")]
        print("{} new replies; prompt tokens {:,}, of which cached {:,}; written {:,}".format(len(root.new), *tokens), file=sys.stderr)
    report(trials)
