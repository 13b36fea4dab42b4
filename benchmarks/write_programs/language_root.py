"""The root model that writes programs of rlmlang."""

from __future__ import annotations

import json

import rlmlang
from benchmarks.write_programs.outcome import Outcome, fenced
from benchmarks.write_programs.task import Datum, Task, opened
from rlmlang.errors import ProgramError, RlmError
from rlmlang.solve.card import card
from rlmlang.syntax.diagnostics import render_all
from rlmlang.syntax.nodes import Answer

SYSTEM = f"""\
You answer a question about data by writing one program in the language rlmlang. The data is too large for you to read: it is in variables
that exist already, and you see only their names, types and how they begin. The program is run, and its answer is what counts.

{card()}
Give the program alone, in ```rlm. Do not declare the data again; end with `answer`. Ask a model only what needs reading.
"""


def question(task: Task) -> str:
    """What the root model is told of a task."""
    return "\n".join([task.question, *(described(name, datum) for name, datum in task.data.items())])


def described(name: str, datum: Datum) -> str:
    """A variable: its name, type, size and how it begins."""
    value = datum.value
    if datum.type == "dir":
        return f"{name}: dir, {len(value)} files, such as {json.dumps(next(iter(value)))}"
    if isinstance(value, str):
        return f"{name}: text, {len(value):,} characters, begins {json.dumps(value[:60], ensure_ascii=False)}"
    text = json.dumps(value[0], ensure_ascii=False)
    return f"{name}: {datum.type}, {len(value)} items, such as {text if len(text) <= 100 else text[:99] + '…'}"


def attempt(task: Task, reply: str, url: str) -> Outcome:
    """What becomes of a reply: taken out of its fence, parsed, checked, run."""
    program = fenced(reply)
    declared = "".join(f"input {n}: {d.type}\n" for n, d in task.data.items() if f"input {n}:" not in program)
    try:
        checked = rlmlang.check(rlmlang.parse(declared + program))
    except ProgramError as error:
        return Outcome(program, problem=render_all(error.diagnostics))
    if checked.errors:
        return Outcome(program, parsed=True, problem=render_all(checked.errors))
    with opened(task.data) as inputs:
        try:
            settings = rlmlang.Settings(model="oracle", base_url=url, memo="off", budget="500 calls")
            result = rlmlang.run(declared + program, settings, **inputs)
        except RlmError as error:
            return Outcome(program, parsed=True, checked=True, problem=f"The run failed: {error}")
    value = result.to_json()["answer"]
    if not any(isinstance(s, Answer) for s in checked.program.statements):
        shown = json.dumps(value, ensure_ascii=False)[:500]
        return Outcome(program, parsed=True, checked=True, problem=f"The program ended without `answer`. Its last value is {shown}")
    return Outcome(program, parsed=True, checked=True, answered=True, answer=value)
