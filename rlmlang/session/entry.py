"""What starts a program from Python, and behind `rlm run`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from rlmlang.check import check as check_tree
from rlmlang.check.checked import Checked
from rlmlang.errors import ProgramError, RlmError
from rlmlang.run.inputs import StandardInput, bind_inputs
from rlmlang.run.program import read_program
from rlmlang.run.report import Result
from rlmlang.session.session import Session
from rlmlang.session.settings import Settings, configuration
from rlmlang.syntax.nodes import Program


def prepare(
    source: str | os.PathLike[str],
    settings: Settings | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    stdin: StandardInput | None = None,
    name: str = "<text>",
    sample: int | None = None,
) -> Session:
    """Everything up to the first call: `source` is a program's text, or a path to it. With `stdin`, inputs are texts of the command line.
    With `sample` it will make calls for so many items of each list, instead of running.

    Raises ProgramError (syntax, types), UsageError (inputs, configuration), BudgetError where the budget is too small in any case.
    """
    settings = settings or Settings()
    config = configuration(settings.config)
    checked = read_program(source, name)
    if checked.errors:
        raise ProgramError(checked.diagnostics)
    bound = bind_inputs(checked.inputs, inputs or {}, stdin=stdin)
    return Session(checked, settings, bound, config, sample=sample)


def check(source: str | os.PathLike[str] | Program) -> Checked:
    """What can be known of a program (its text, a path to it, or its tree) before it runs. Raises ProgramError for syntax, UsageError for a
    file that cannot be read; what else is wrong is in `diagnostics`."""
    return check_tree(source) if isinstance(source, Program) else read_program(source)


def run(source: str | os.PathLike[str], settings: Settings | None = None, **inputs: Any) -> Result:
    """Runs a program (its text, or a path to it) and waits for its answer; also from within a running event loop, as in a notebook.

    Raises ProgramError, UsageError before anything is spent; Failure, BudgetError, LimitError, Interrupted from the run, with the report
    so far as the attribute `result`.
    """
    session = prepare(source, settings, inputs)
    running = session.start()
    try:
        return session.report(running.wait(), None)
    except RlmError as error:
        error.result = session.report(None, error)
        raise


async def arun(source: str | os.PathLike[str], settings: Settings | None = None, **inputs: Any) -> Result:
    """As `run`, for coroutines. Cancelling it stops the run and waits until no call is left."""
    session = prepare(source, settings, inputs)
    running = session.start()
    done = asyncio.wrap_future(running.done)
    try:
        return session.report(await asyncio.shield(done), None)
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.wait([done])
        raise
    except RlmError as error:
        error.result = session.report(None, error)
        raise
