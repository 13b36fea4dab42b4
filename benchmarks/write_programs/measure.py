"""Runs the tasks on both sides and prints the table."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from benchmarks.write_programs import language_root, python_root
from benchmarks.write_programs.oracle import Oracle
from benchmarks.write_programs.outcome import Outcome
from benchmarks.write_programs.task import Task, right
from benchmarks.write_programs.tasks import TASKS
from benchmarks.write_programs.writer import Writer
from rlmlang.cache import cache_root
from rlmlang.lm.request import Message

REPAIRS = 2


@frozen
class Root:
    """One side: its prompt, what it is told of a task, and what becomes of its reply."""

    name: str
    system: str
    question: Callable[[Task], str]
    attempt: Callable[[Task, str, str], Outcome]


ROOTS = (
    Root("rlmlang", language_root.SYSTEM, language_root.question, language_root.attempt),
    Root("Python", python_root.SYSTEM, python_root.question, python_root.attempt),
)


@frozen
class Trial:
    """What became of a task: the outcome of each turn; the last is the one that counts."""

    task: Task
    turns: tuple[Outcome, ...]

    def after(self, repairs: int) -> Outcome:
        return self.turns[min(repairs, len(self.turns) - 1)]

    def right(self, repairs: int) -> bool:
        """Whether the answer is right by then, and its program has looked at the data: a guess does not count."""
        outcome = self.after(repairs)
        looked = any(re.search(rf"\b{name}\b", outcome.program) for name in self.task.data)
        return outcome.answered and looked and right(self.task, outcome.answer)


class Writing(Protocol):
    """Who writes the programs: a Writer, or a script."""

    async def write(self, messages: Sequence[Message]) -> str: ...


async def tried(root: Root, task: Task, writer: Writing) -> Trial:
    """One task, with repairs until there is an answer."""
    messages = [Message("system", root.system), Message("user", root.question(task))]
    turns: list[Outcome] = []
    for _ in range(REPAIRS + 1):
        reply = await writer.write(messages)
        with Oracle(task) as oracle:
            outcome = await asyncio.to_thread(root.attempt, task, reply, oracle.url)
        turns.append(outcome)
        if outcome.answered:
            break
        messages += [Message("assistant", reply), Message("user", f"{outcome.problem}\n\nWrite the whole program again, corrected.")]
    return Trial(task, tuple(turns))


def row(name: str, trials: Sequence[Trial], repairs: int) -> list[str]:
    outcomes = [trial.after(repairs) for trial in trials]
    figures = (
        sum(outcome.parsed for outcome in outcomes),
        sum(outcome.checked for outcome in outcomes),
        sum(outcome.answered for outcome in outcomes),
        sum(trial.right(repairs) for trial in trials),
    )
    return [name, str(repairs), *map(str, figures)]


def show(root: Root, trial: Trial) -> None:
    """A task that was not answered right at once, in full."""
    last = trial.turns[-1]
    good = trial.right(REPAIRS)
    print(f"\n=== {root.name}: {trial.task.name}: {'right' if good else 'wrong' if last.answered else 'no answer'} ({len(trial.turns)})")
    print(trial.task.question)
    for turn in trial.turns:
        print(f"---\n{turn.program.strip()}\n{turn.problem}".rstrip())
    if last.answered:
        for what, value in (("gave  ", last.answer), ("wanted", trial.task.answer)):
            print(f"    {what} {json.dumps(value, ensure_ascii=False)[:300]}")


async def measure(arguments: argparse.Namespace) -> None:
    from benchmarks.harness import table

    writer = Writer(arguments.model, arguments.cache)
    rows: list[list[str]] = []
    deadline = time.monotonic() + arguments.seconds
    try:
        for root in ROOTS:
            if arguments.only and root.name != arguments.only:
                continue
            trials: list[Trial] = []
            for task in TASKS:
                if arguments.task and arguments.task not in task.name:
                    continue
                if time.monotonic() > deadline:
                    sys.exit(f"{len(trials)} tasks of {root.name} done; run again to go on")
                trial = await tried(root, task, writer)
                trials.append(trial)
                if arguments.show == "all" or (arguments.show and not trial.right(0)):
                    show(root, trial)
            rows += [row(root.name, trials, repairs) for repairs in range(REPAIRS + 1)]
    finally:
        await writer.close()
        print(
            f"{writer.written} written, {writer.tokens} tokens; of {writer.prompt} prompt tokens {writer.cached} were cached",
            file=sys.stderr,
        )
    table(("root", "repairs", "parsed", "checked", "answered", "right"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="write_programs")
    parser.add_argument("model", type=Path)
    parser.add_argument("--cache", type=Path, default=cache_root() / "write_programs")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--only")
    parser.add_argument("--task")
    parser.add_argument("--show", choices=("failures", "all"))
    asyncio.run(measure(parser.parse_args()))
