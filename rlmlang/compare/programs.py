"""Strategies that are one fixed program: the data as one text, whatever their form, and a session of the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from rlmlang import limits
from rlmlang.compare.files import Files
from rlmlang.compare.strategy import Asked
from rlmlang.errors import BudgetError, Failure, UsageError
from rlmlang.lm.render import PROMPT_BYTES_PER_TOKEN, reply_tokens, utf8_length
from rlmlang.lm.request import Model
from rlmlang.quantity import INFINITE, value_at
from rlmlang.session import Session, configuration, models_of, prepare
from rlmlang.solve.ask import written_type
from rlmlang.syntax.strings import quote
from rlmlang.types import TEXT

_FRAME_BYTES = 2_000  # of a prompt: what stands around question and data


def whole_text(files: Files) -> str:
    """All files, one below the other, each headed by its path where there are several; what is no text is left out. Raises UsageError
    where they are more than a text holds."""
    if len(files) == 1:
        return next(iter(files.values()))
    parts, size = [], 0
    for path in files:
        try:
            text = files[path]
        except Failure:
            continue
        parts.append(f"==> {path} <==\n{text.rstrip(chr(10))}\n")
        size += len(parts[-1])
        if size > limits.TEXT_CHARS:
            raise UsageError(f"the data have more than {limits.TEXT_CHARS:,} characters together")
    return "\n".join(parts)


def data_bytes(model: Model, question: str) -> int:
    """How many bytes of data a prompt to `model` may hold beside the question, so that the reply fits its window too."""
    window = model.context_window or limits.COMPARE_WINDOW
    reply = min(reply_tokens(TEXT) + model.reasoning_tokens, model.max_output_tokens or window)
    return max(0, (window - reply) * PROMPT_BYTES_PER_TOKEN - utf8_length(question) - _FRAME_BYTES)


def models(asked: Asked) -> tuple[Model, Model]:
    """The root model and the one that answers calls. Raises UsageError."""
    found = models_of(asked.settings, configuration(asked.settings.config))
    return found[found.root], found[found.default]


def session_of(asked: Asked, program: str, inputs: Mapping[str, Any], name: str) -> Session:
    """A run of the program. Raises UsageError, BudgetError."""
    if not asked.question.strip():
        raise UsageError("there is no question")
    settings = evolve(asked.settings, batch=asked.settings.batch or False)
    session = prepare(program, settings, inputs, name=name)
    least = session.bound.figures["calls"].least
    if isinstance(least, (int, float)) and least > asked.calls:
        session.memo.close()
        raise BudgetError(f"{name} takes at least {least:,.0f} calls, and may take {asked.calls:,}", hint="--calls allows more")
    return session


def arrow(asked: Asked) -> str:
    """` -> TYPE`, or nothing for a text. Raises UsageError."""
    return "" if asked.type is None else f" -> {written_type(asked.type)}"


def bound_of(session: Session) -> int | None:
    """The most calls that the session's program can make, None where nothing bounds them."""
    most = value_at(session.bound.figures["calls"].most, {})
    return None if most == INFINITE else round(most)


def with_question(program: str, question: str) -> str:
    """The program to be kept: the question is its default."""
    return program.replace("input question: text\n", f"input question: text = {quote(question)}\n", 1)
