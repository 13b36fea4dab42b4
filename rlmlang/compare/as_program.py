"""A transcript of tool calls as the straight-line program that it is.

What the models decided, turn by turn, is the program's text; what they handed over is its data; each sub-agent is a call. Of a sub-agent
that was handed all it needed the call is the same request, byte for byte, so the memo answers it. One that looked around by itself, or a
branch, had a conversation, which is no single call: its call is given what it read, and is asked anew.

    task("Is it? @mails.txt#L1")  ->  task1 = call "Is it? @mails.txt#L1" on {"mails.txt#L1": "\\n".join(mails.split("\\n")[0:1])}
    task("Is it? @mails.txt#L2")  ->  task2 = call "Is it? @mails.txt#L2" on {"mails.txt#L2": "\\n".join(mails.split("\\n")[1:2])}
    "The first."                  ->  answer {answer: "The first.", tasks: [task1, task2]}

A terminal has no sub-agents: what was typed stands in comments, and the answer alone. Not in it: the main model itself. So there is no
loop and no condition, and the program is as long as the transcript: what is done to each of a thousand items stands there a thousand times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from rlmlang.compare.file_tools import label, lines_of, mentioned
from rlmlang.compare.files import Files
from rlmlang.compare.strategy import Step
from rlmlang.errors import ProgramError
from rlmlang.solve.contexts import Context
from rlmlang.syntax import format_program, parse
from rlmlang.syntax.diagnostics import printable
from rlmlang.syntax.strings import quote
from rlmlang.values import SEQUENCES

_KEPT: Final = ("task", "branch", "terminal")
_FAILED: Final = "error: "


def as_program(question: str, contexts: Sequence[Context], transcript: Sequence[Step], answer: Any = None) -> str:
    """The program of a transcript. `answer` is what the main model answered (None: it did not). It may be longer than a program may be."""
    return _Writer(contexts, Files.of(contexts)).program(question, transcript, answer)


@define(eq=False)
class _Writer:
    contexts: Sequence[Context]
    files: Files
    _used: dict[str, str] = field(factory=dict, init=False)  # path -> the variable with its text
    _bound: list[str] = field(factory=list, init=False)
    _inputs: set[str] = field(factory=set, init=False)
    _names: set[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._names = {context.name for context in self.contexts}

    def program(self, question: str, transcript: Sequence[Step], answer: Any) -> str:
        calls: list[str] = []
        names: list[str] = []
        for step in _steps(transcript):
            if step.name == "terminal":
                calls += [f"# $ {line}" for line in _typed(step).split("\n")]
                continue
            given = _given(step)
            if given is None or step.result.startswith(_FAILED):
                calls.append(f"# {step.name} failed: {printable(step.result, 200)}".replace("\n", " "))
                continue
            calls += [f"# {line}" for line in printable(given.get("description", ""), 200).split("\n") if line.strip()]
            name = self._fresh(f"{step.name}{len(names) + 1}")
            names.append(name)
            calls.append(f"{name} = call {quote(given['prompt'])}{self._data(step, given['prompt'], calls)}")
        parts = [] if answer is None else [f"answer: {literal(answer)}"]
        if not parts or all(step.name != "terminal" for step in _steps(transcript)):
            parts.append(f"tasks: [{', '.join(names)}]")
        inputs = [f"input {c.name}: {c.type}" for c in self.contexts if c.name in self._inputs]
        head = [f"# {line}" for line in printable(question, 1_000).split("\n")]
        text = "\n".join(
            [*head, "", *inputs, *([""] if inputs else []), *self._bound, "", *calls, "", f"answer {{{', '.join(parts)}}}", ""]
        )
        try:
            return format_program(parse(text, "<transcript>"))
        except ProgramError:  # it is longer than a program may be
            return text

    def _data(self, step: Step, prompt: str, calls: list[str]) -> str:
        """What a sub-agent was handed, or what it read."""
        pieces = {label(path, first, last): self._part(path, first, last) for path, first, last in mentioned(self.files, prompt)}
        if not pieces or step.name != "task":
            calls.append(f"# this {'sub-agent' if step.name == 'task' else step.name} looked around by itself: this is what it read")
            pieces = dict(self._read(step))
        return " on {" + ", ".join(f"{quote(name)}: {text}" for name, text in pieces.items()) + "}" if pieces else ""

    def _read(self, step: Step) -> Iterator[tuple[str, str]]:
        for inner in step.steps:
            given = _arguments(inner)
            if inner.by != "tool" or inner.result.startswith(_FAILED) or given is None:
                continue
            path = str(given.get("path", "")).removeprefix("./")
            if inner.name == "read" and path in self.files:
                offset = int(given.get("offset") or 1)
                most = len(lines_of(self.files[path])) - offset + 1
                limit = min(int(given.get("limit") or most), most)
                yield label(path, offset, offset + limit - 1), self._part(path, offset, offset + limit - 1)
            elif inner.name == "grep":
                yield f"grep {given.get('pattern')} {path}".rstrip(), quote(inner.result)

    def _part(self, path: str, first: int, last: int | None) -> str:
        """The expression of a file's lines."""
        text = self._file(path)
        if first == 1 and last is None:
            return text
        return f'"\\n".join({text}.split("\\n")[{max(0, first - 1)}:{"" if last is None else last}])'

    def _file(self, path: str) -> str:
        """The variable with the text of a file."""
        if path not in self._used:
            origin, within = self.files.origins[path]
            self._inputs.add(origin)
            expression = self._whole(next(context for context in self.contexts if context.name == origin), within)
            if expression == origin:
                self._used[path] = origin
            else:
                name = self._used[path] = self._fresh(re.sub(r"\W+", "_", path, flags=re.ASCII).strip("_").lower()[:40] or "file")
                self._bound.append(f"{name} = {expression}")
        return self._used[path]

    def _whole(self, context: Context, within: str | None) -> str:
        """A file's text, out of what is given."""
        if within is not None:
            return f'[f.text for f in {context.name}.files("**/*") if f.path == {quote(within)}][0]'
        if isinstance(context.value, str):
            return context.name
        if isinstance(context.value, SEQUENCES):
            return f'"".join([json(item) + "\\n" for item in {context.name}])'
        return f'json({context.name}) + "\\n"'

    def _fresh(self, name: str) -> str:
        if not name[:1].isalpha():
            name = f"file_{name}"
        at = 1
        fresh = name
        while fresh in self._names:
            at += 1
            fresh = f"{name}_{at}"
        self._names.add(fresh)
        return fresh


def _steps(transcript: Sequence[Step]) -> Iterator[Step]:
    """The sub-agents and branches of the main model, and what it typed, in order."""
    return (step for step in transcript if step.by == "tool" and step.name in _KEPT)


def _typed(step: Step) -> str:
    """A command line, for a comment."""
    given = _arguments(step)
    return printable(str(step.arguments if given is None else given.get("command", "")), 1_000)


def _arguments(step: Step) -> Mapping[str, Any] | None:
    try:
        given = json.loads(step.arguments)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def _given(step: Step) -> Mapping[str, Any] | None:
    """The arguments of a sub-agent that was launched."""
    given = _arguments(step)
    return given if given is not None and isinstance(given.get("prompt"), str) else None


def literal(value: Any) -> str:
    """A value as a program writes it."""
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, SEQUENCES) else json.dumps(value)
