"""The prompt: lines that are run as turns of one program, whose bindings last; and what completes a word.

Each entry is a turn as in `solve`: checked, its top-level bindings computed and kept, its last expression shown. All of them share one
budget, one memo store and one connection to the models, which live in an event loop in a thread of its own until the prompt is left.

It does not: read lines or write to a terminal (cli/commands/repl.py does).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future as Promise
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from attrs import frozen

from rlmlang.builtins import REGISTRY
from rlmlang.check import Turn, check
from rlmlang.check.checked import Checked
from rlmlang.check.library import library_names
from rlmlang.check.written import BUILT_IN
from rlmlang.cost import Bound
from rlmlang.cost import bound as bound_of
from rlmlang.errors import BudgetError, Interrupted, ProgramError, RlmError, UsageError
from rlmlang.lm.client import Client
from rlmlang.lm.config import Config
from rlmlang.lm.request import Model
from rlmlang.lm.steady import take_portions
from rlmlang.lm.workers import Workers
from rlmlang.quantity import value_at
from rlmlang.run.budget import Budget, Limit, parse_budget
from rlmlang.run.calls import Calls, Site, Tally
from rlmlang.run.evaluate import Run
from rlmlang.run.memo import Memo
from rlmlang.run.nesting import Nesting, Share
from rlmlang.run.turns import CompiledTurn, Outcome, Past, compile_turn
from rlmlang.session import Settings, memo_path, models_of, processes_of, usable_model
from rlmlang.solve.contexts import Context
from rlmlang.solve.keep import kept_program
from rlmlang.solve.loop import Loop
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.format_expressions import KEYWORDS
from rlmlang.types import FILE, Optional, RecordOf, Type

_STACK: Final = 64 * 1024 * 1024  # bytes, of the thread that evaluates, as in a run
_FILE_FIELDS: Final = ("name", "path", "size", "text")


@frozen(eq=False)
class Entry:
    """One entry that may be run: checked, bounded, its `models` found."""

    checked: Checked
    code: CompiledTurn
    bound: Bound
    models: tuple[Model, ...]

    @property
    def shows(self) -> bool:
        """Whether it ends with an expression."""
        return isinstance(self.checked.program.statements[-1], (n.Answer, n.Shown))

    @property
    def most_calls(self) -> float:
        """How many calls it may make."""
        return value_at(self.bound.figures["calls"].most, {})


class Repl:
    """What the entries have in common. A context manager: leaving it ends the connections and closes the memo store."""

    def __init__(self, contexts: Sequence[Context], settings: Settings, config: Config) -> None:
        self.contexts = tuple(contexts)
        self.models = models_of(settings, config)
        workers = Workers(processes_of(settings, config))
        self.offline = settings.offline
        self.budget = Budget(parse_budget(text) for text in settings.budget or config.budget)
        self.memo = Memo.open(memo_path(settings.memo, config))
        self.tally = Tally(self.budget)
        self.client = Client(self.models, self.tally, offline=settings.offline, workers=workers)
        self.calls = Calls(self.client, self.memo)
        self.accepted: list[Checked] = []
        self._past = Past({c.name: c.value for c in contexts})
        self._entries = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rlm-repl", daemon=True)

    # ---- the loop ----

    def __enter__(self) -> Repl:
        size = threading.stack_size(_STACK)
        try:
            self._thread.start()
        finally:
            threading.stack_size(size)
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._loop is not None and self._leave is not None:
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()
        self.memo.close()

    def _work(self) -> None:
        async def stay() -> None:
            self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            async with self.client:
                await self._leave.wait()

        with asyncio.Runner() as runner:
            take_portions(runner.get_loop())
            runner.run(stay())

    # ---- one entry ----

    @property
    def earlier(self) -> Checked | None:
        """The last entry that ran."""
        return self.accepted[-1] if self.accepted else None

    def prepare(self, text: str) -> Entry:
        """The entry, checked and bounded; nothing is spent.

        Raises ProgramError, UsageError; Failure and LimitError where its pure part ends so.
        """
        self._entries += 1
        program = parse(text, f"<{self._entries}>")
        given = {c.name: c.type for c in self.contexts}
        checked = check(program, turn=Turn(given) if self.earlier is None else Turn(earlier=self.earlier))
        if checked.errors:
            raise ProgramError(checked.diagnostics)
        code = compile_turn(checked)
        models = dict.fromkeys(model for site in code.sites.values() for model in self._models_of(site))
        bound = bound_of(checked, self._model, self._past.given, memo=self.memo.path is not None, models=self.models, past=self._past.bound)
        return Entry(checked, code, bound, tuple(models))

    def _models_of(self, site: Site) -> list[Model]:
        """The models that a place asks. Raises UsageError."""
        names = (site.model or self.models.root, self.models.default) if site.solves else (site.model or self.models.default,)
        try:
            return [usable_model(self.models, name, self.budget, offline=self.offline) for name in names]
        except UsageError as error:
            error.span = site.span if site.model else None
            raise

    def _model(self, name: str | None) -> Model:
        return self.models[name or self.models.default]

    def start(self, entry: Entry) -> Running:
        """Begins an entry."""
        return Running(self, entry)

    def keep(self, entry: Entry, outcome: Outcome) -> Any:
        """The value of an entry's last expression; from then on its bindings are there. Raises RlmError where that expression failed,
        with the bindings there all the same."""
        self._past.bound.update(outcome.bound)
        self.accepted.append(entry.checked)
        if outcome.failure is not None:
            raise outcome.failure
        return outcome.value

    def submit(self, code: Callable[[], Any]) -> None:
        """Has something done in the loop."""
        assert self._loop is not None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(code)

    async def evaluate(self, entry: Entry, run: Run) -> Outcome:
        """In the loop: the outcome of an entry. Raises RlmError."""
        task = asyncio.current_task()
        assert task is not None and self._loop is not None
        remaining = self.budget.remaining_seconds()
        alarm = None if remaining is None else self._loop.call_later(remaining, self._time_is_up, run, task)
        try:
            return await entry.code.evaluate(self._past, run)
        except asyncio.CancelledError:
            raise run.stopped or Interrupted("interrupted; finished calls are kept") from None
        finally:
            if alarm is not None:
                alarm.cancel()

    def _time_is_up(self, run: Run, task: asyncio.Task[Any]) -> None:
        run.stop(BudgetError(f"the budget of {Limit('seconds', self.budget.most('seconds') or 0)} is used up"))
        task.cancel()

    def new_run(self, entry: Entry) -> Run:
        """The state of one entry's run."""
        depth = self.budget.most("depth")
        share = Share(self.budget.most("calls"), self.budget.most("tokens"), self.budget.most("dollars"))
        nesting = Nesting(depth=None if depth is None else depth - 1, share=share, calls=entry.most_calls)
        window = 2 * max((model.concurrency for model in entry.models), default=1) + 8
        solver = Loop(self.models, self.budget, self.offline) if any(site.solves for site in entry.code.sites.values()) else None
        return Run(self.calls, window, solver=solver, nesting=nesting)

    # ---- what there is ----

    @property
    def names(self) -> dict[str, Type]:
        """What is bound, with types."""
        return {c.name: c.type for c in self.contexts} if self.earlier is None else dict(self.earlier.names)

    def kept(self) -> str:
        """The program that gave what was shown last. Raises UsageError where nothing was."""
        return kept_program(self.accepted, {c.name: c.type for c in self.contexts})

    def completions(self, word: str) -> list[str]:
        """What `word` (a name, or names joined by dots) may go on to, sorted."""
        base, dot, part = word.rpartition(".")
        functions = {*REGISTRY, *library_names(), *(() if self.earlier is None else self.earlier.declared_functions)}
        if dot:
            found = {*_fields(self._type_of(base)), *(f"{name}(" for name in functions)}
            return sorted(f"{base}.{name}" for name in found if name.startswith(part))
        types = {*BUILT_IN, *(() if self.earlier is None else self.earlier.declared_types)}
        words = {*self.names, *KEYWORDS, "answer", "fn", "type", *types, *(f"{name}(" for name in functions)}
        return sorted(name for name in words if name.startswith(part))

    def _type_of(self, path: str) -> Type | None:
        """The type of `r.field.field`, as far as it can be told."""
        first, *rest = path.split(".")
        found = self.names.get(first)
        for name in rest:
            if isinstance(found, Optional):
                found = found.item
            found = found.get(name) if isinstance(found, RecordOf) else None
        return found


class Running:
    """One entry under way."""

    def __init__(self, repl: Repl, entry: Entry) -> None:
        self._repl = repl
        self._entry = entry
        self._run = repl.new_run(entry)
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._done: Promise[Outcome] = Promise()

        async def work() -> None:
            try:
                self._done.set_result(await repl.evaluate(entry, self._run))
            except BaseException as error:
                self._done.set_exception(error if isinstance(error, RlmError) else RlmError(f"internal error: {error!r}"))

        def start() -> None:
            self._task = asyncio.get_running_loop().create_task(work())
            if self._cancelled:
                self._task.cancel()

        repl.submit(start)

    def cancel(self) -> None:
        """Stops it; finished calls are kept."""
        self._cancelled = True
        self._run.cancel()
        self._repl.submit(lambda: self._task.cancel() if self._task is not None else None)

    def result(self) -> Any:
        """Waits for the value of its last expression; from then on its bindings are there. Raises RlmError; where only the last expression
        failed, the bindings are there all the same."""
        return self._repl.keep(self._entry, self._done.result())


def _fields(type: Type | None) -> tuple[str, ...]:
    if isinstance(type, Optional):
        type = type.item
    if isinstance(type, RecordOf):
        return tuple(name for name, _ in type.fields)
    return _FILE_FIELDS if type == FILE else ()


def unfinished(text: str) -> bool:
    """Whether an entry goes on in the next line: a bracket or a triple quote is open, or an operator or keyword wants more."""
    try:
        parse(text)
    except ProgramError as error:
        problem = error.diagnostics[0]
        if problem.code == "unclosed-bracket":
            return True
        if problem.code == "unclosed-text":
            return text.count('"""') % 2 == 1 or text.count("'''") % 2 == 1
        return problem.code == "syntax" and problem.span.start >= len(text.rstrip())
    return False
