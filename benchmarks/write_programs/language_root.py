"""The root model that writes programs of rlmlang: `rlmlang.solve` itself, with three turns."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

import rlmlang
from benchmarks.write_programs.chat import Said, served
from benchmarks.write_programs.oracle import oracle
from benchmarks.write_programs.outcome import TURNS, Outcome
from benchmarks.write_programs.root import Root
from benchmarks.write_programs.task import Task, opened
from rlmlang.errors import ProgramError, RlmError
from rlmlang.lm.request import Message
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import render_all
from rlmlang.syntax.nodes import Answer


def trial(task: Task, root: Root, *, constrained: bool = False) -> tuple[Outcome, ...]:
    """What became of each turn, until one answered or the turns were used."""

    def reply(body: Mapping[str, Any]) -> Said:
        messages = [Message(m["role"], m["content"]) for m in body["messages"]]
        return root.write(messages, body.get("grammar"), body.get("temperature", 0.0))

    with oracle(task) as sub_model, served(reply) as url, opened(task.data) as data, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "rlm.toml"
        way = "llamacpp" if constrained else "none"
        config.write_text(_CONFIG.format(root=url, sub_model=sub_model.url, grammar=way), encoding="utf-8")
        settings = rlmlang.Settings(model="oracle", config=config, memo="off")
        try:
            solution = rlmlang.solve(task.question, settings, data=data, turns=TURNS)
        except RlmError as error:
            solution = error.result
    outcomes: list[Outcome] = []
    for turn in solution.turns:
        if turn["outcome"] == "repeated":
            outcomes.append(outcomes[-1])
            continue
        wrong = (f"{d['message']} ({d['hint']})" for d in turn["diagnostics"])
        told = "\n".join([*wrong, turn["error"] or "", turn["shown"] or ""]).strip()
        outcome = Outcome(turn["program"] or "", told=told, parsed=_parses(turn["program"]))
        ended = turn["outcome"]
        outcomes.append(evolve(outcome, checked=ended in ("refused", "failed", "shown", "answered"), answered=ended == "answered"))
    if outcomes and outcomes[-1].answered:
        outcomes[-1] = evolve(outcomes[-1], answer=json.loads(json.dumps(solution.to_json()["answer"])), asked=solution.used.calls)
    return tuple(outcomes)


_CONFIG = """\
[models.oracle]
model = "oracle"
base_url = "{sub_model}"

[models.root]
model = "root"
base_url = "{root}"
context_window = 8192
grammar = "{grammar}"
"""


def _parses(program: str | None) -> bool:
    try:
        parse(program or "")
    except ProgramError:
        return False
    return program is not None


def attempt(task: Task, program: str) -> Outcome:
    """What becomes of a program that is run once, as `rlm run` does."""
    text = "".join(f"input {name}: {datum.type}\n" for name, datum in task.data.items()) + program
    try:
        checked = rlmlang.check(parse(text))
    except ProgramError as error:
        return Outcome(program, told=render_all(error.diagnostics))
    if checked.errors:
        return Outcome(program, parsed=True, told=render_all(checked.errors))
    with oracle(task) as sub_model, opened(task.data) as data:
        settings = rlmlang.Settings(model="oracle", base_url=sub_model.url, memo="off")
        try:
            result = rlmlang.run(text, settings, **data)
        except RlmError as error:
            return Outcome(program, parsed=True, checked=True, told=str(error))
    answered = any(isinstance(s, Answer) for s in checked.program.statements)
    return Outcome(program, True, True, answered, result.to_json()["answer"], asked=result.used.calls)
