"""What a strategy may do that is no program: ask the root model, ask sub-models, read the data. All of it through the calls of a run, so
that memo, budget, limits on rates, sharing of equal calls and cancelling are those of a program.

    async def play(desk: Desk) -> Any:                       # the answer
        said = await desk.ask([Message("user", desk.question)], tools)
        parts = await desk.together([lambda own, text=text: own.call(prompt, [(None, text)]) for text in desk.files.values()])
        ...

It knows no strategy, and counts nothing itself (`account.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from attrs import define, evolve, frozen

from rlmlang import limits
from rlmlang.compare.account import at_the_top
from rlmlang.compare.files import Files
from rlmlang.compare.strategy import Asked, Attempt, Step
from rlmlang.errors import BudgetError, Failure, RlmError, Unsolved
from rlmlang.lm.config import Models
from rlmlang.lm.render import PROMPT_BYTES_PER_TOKEN, reply_form, utf8_length, worst_input_tokens
from rlmlang.lm.reply import BadReply, Spoken, read_value
from rlmlang.lm.request import Message, Model, Request, Tool
from rlmlang.run.budget import Limit
from rlmlang.run.calls import Site, drafted
from rlmlang.run.evaluate import Run
from rlmlang.run.flow import Here
from rlmlang.run.nesting import Ledger, Nesting, Task
from rlmlang.session import Session, usable_model
from rlmlang.solve.ask import question_session
from rlmlang.solve.contexts import Context
from rlmlang.syntax import nodes as n
from rlmlang.types import TEXT, Type

T = TypeVar("T")
WARM = 0.7  # temperature after a mistake, as in a solve: what is most likely is what was wrong


@define(eq=False)
class Desk:
    """The desk of one model: of the root model, or (`below`) of a sub-model. `wanted` is the type of the answer (None: text), `files` are
    the data as text files, `turns` how many replies of the root model there may be; `transcript` takes what happened."""

    question: str
    wanted: Type | None
    files: Files
    turns: int
    transcript: list[Step]
    model: Model
    _models: Models
    _ledger: Ledger
    _node: n.Solve
    _run: Run
    _here: Here
    _site: Site
    _root: bool = True

    @property
    def calls_left(self) -> int:
        """Sub-invocations that may still be asked for; one is kept back for the root model."""
        return self._ledger.calls_left if self._root else max(0, self._ledger.calls_left - 1)

    @property
    def reply_tokens(self) -> int:
        """How long a reply may be, hidden reasoning included."""
        tokens = limits.ROOT_REPLY_TOKENS + self.model.reasoning_tokens
        return tokens if self.model.max_output_tokens is None else min(tokens, self.model.max_output_tokens)

    async def ask(self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, warm: bool = False) -> Spoken:
        """The model's reply to a conversation; where it has `tools`, what it calls. Raises Failure: Refused where it would not reply,
        Unsolved where no calls are left; what stops the run otherwise."""
        self._spend()
        temperature = self.model.temperature
        if temperature is None and not self.model.reasoning_tokens:
            temperature = WARM if warm else 0.0
        request = Request(self.model, tuple(messages), max_tokens=self.reply_tokens, temperature=temperature, tools=tuple(tools))
        left = self._check_room(worst_input_tokens(request))
        if left is not None:  # servers refuse a prompt that leaves less of the window than the reply may take
            request = evolve(request, max_tokens=min(request.max_tokens, max(left, limits.SCALAR_REPLY_TOKENS)))
        value = await self._run.calls.answer(self._site, self._here, drafted(request))
        return Spoken.read(value) if tools else Spoken(str(value))

    async def call(self, prompt: str, data: Sequence[tuple[str | None, Any]] = (), *, type: Type = TEXT) -> Any:
        """What `call prompt on data -> type` in a program would give: the reply of a sub-model. Raises as `ask`."""
        desk = self.below()
        desk._spend()
        desk._check_room(sum(utf8_length(value) for _, value in data if isinstance(value, str)) + utf8_length(prompt))
        site = Site(desk._node.span, type, desk.model.name, within=desk._site.all)
        try:
            return await desk._run.calls.ask(site, desk._here, prompt, data, 0, None)
        finally:
            self._here.round = max(self._here.round, desk._here.round)

    def below(self, *, same_model: bool = False) -> Desk:
        """The desk of a sub-model, or of the same one, whose calls count as sub-calls. What it asks for comes after what was asked here so
        far; what is asked here once `join` was called comes after it. Its transcript is its own."""
        nesting = self._run.nesting
        depth = None if nesting.depth is None else nesting.depth - 1
        run = Run(self._run.calls, self._run.window, nesting=Nesting(nesting.level + 1, depth, self._ledger), outer=self._here)
        model = self.model if same_model else self._models[self._models.default]
        site = Site(self._node.span, TEXT, model.name, within=self._site.all)
        here = Here(run, run.root, self._here.round, self._here.items)
        return evolve(self, transcript=[], model=model, run=run, here=here, site=site, root=False)

    def join(self, desk: Desk) -> None:
        """What is asked for from here on comes after all that `desk` has asked for."""
        self._here.round = max(self._here.round, desk._here.round)

    async def together(self, jobs: Sequence[Callable[[Desk], Awaitable[T]]]) -> list[T]:
        """What the jobs give, each with a desk and a transcript of its own beside the others (of this desk's model). When one raises, the
        others are cancelled."""
        flows = [Here(self._run, self._here.scope, self._here.round, self._here.items) for _ in jobs]
        desks = [evolve(self, transcript=[], here=here) for here in flows]
        tasks = [asyncio.ensure_future(job(desk)) for job, desk in zip(jobs, desks, strict=True)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for desk in desks:
                self.join(desk)

    def note(self, step: Step) -> None:
        """Puts something that happened into the transcript."""
        self.transcript.append(step)

    @property
    def room(self) -> int:
        """Characters of what a tool gives that the model is shown: so many that some more of it fit its window."""
        window = self.model.context_window
        return limits.TOOL_RESULT_CHARS if window is None else min(limits.TOOL_RESULT_CHARS, window * PROMPT_BYTES_PER_TOKEN // 4)

    def cut(self, text: str) -> str:
        """What a tool gives, as far as the model is shown it."""
        room = self.room
        return text if len(text) <= room else f"{text[:room]}\n(cut: {len(text) - room:,} more characters)"

    @property
    def form(self) -> str:
        """How the answer is to be written, where the question asks for a type; empty for a text."""
        return "" if self.wanted is None else reply_form(self.wanted, self.model.structured)

    def answer(self, text: str) -> Any:
        """The answer that a text is, of the question's type. Raises BadReply, whose message is meant for the model."""
        return text.strip() if self.wanted is None else read_value(text, self.wanted)

    def unsolved(self, why: str, kind: type[Unsolved] = Unsolved) -> Unsolved:
        """The end without an answer."""
        return kind(f"no answer: {why}", hint="allow more with --turns and --calls, or ask for less")

    def _spend(self) -> None:
        """Refuses a call beyond what the question may take."""
        if not self.calls_left:
            raise self.unsolved(f"all of its {self._ledger.most_calls:,} calls are used")

    def _check_room(self, size: int) -> int | None:
        """Tokens that a prompt of so many bytes leaves of the model's window, by what text usually takes; None where nobody knows it.
        Raises Failure where it cannot fit."""
        window, tokens = self.model.context_window, size // PROMPT_BYTES_PER_TOKEN
        if window is None:
            return None
        if tokens >= window:
            raise Failure(f"this is too long for model {self.model.name}: about {tokens:,} tokens, and its window is {window:,}")
        return window - tokens


Play = Callable[[Desk], Awaitable[Any]]


@frozen(eq=False)
class _Playing:
    """The solver (`run.nesting.Solver`) of a session whose question `play` answers."""

    play: Play
    session: Session
    asked: Asked
    transcript: list[Step]

    async def solve(self, task: Task, here: Here, site: Site) -> Any:
        """The answer, of the question's type. Raises Failure where there is none; what stops the run otherwise."""
        run = here.run
        await run.own_task()
        nesting, models = run.nesting, self.session.models
        if nesting.depth is not None and nesting.depth < 1:
            raise BudgetError(f"the budget of {Limit('depth', self.session.budget.most('depth') or 0)} leaves no level for sub-calls")
        model = usable_model(models, models.root, self.session.budget, offline=self.session.settings.offline)
        ledger = Ledger(task.options.calls, nesting.share.part(task.options.calls, nesting.calls), nesting.ledger)
        talk = Run(run.calls, run.window, nesting=Nesting(nesting.level, nesting.depth, ledger), outer=here)
        root = Site(task.node.span, TEXT, model.name, within=site.all)
        flow = Here(talk, talk.root, here.round, here.items)
        files = Files.of(self.asked.contexts)
        desk = Desk(
            task.question, task.type, files, task.options.turns, self.transcript, model, models, ledger, task.node, talk, flow, root
        )
        site.under_way += 1
        try:
            return await self.play(desk)
        except BadReply as bad:
            raise desk.unsolved(bad.message) from None
        except RlmError as error:
            if not isinstance(error, Failure):
                run.stop(error)
            raise
        finally:
            site.under_way -= 1
            here.round = max(here.round, flow.round)


AsProgram = Callable[[str, Sequence[Context], Sequence[Step], Any], str]


def attempt(asked: Asked, play: Play, *, alone: bool = False, as_program: AsProgram | None = None) -> Attempt:
    """A question that `play` answers, ready to be run; `as_program` makes a program of question, data, transcript and answer. Raises
    UsageError; BudgetError where not even one call is within the budget."""
    transcript: list[Step] = []
    session = question_session(
        asked.question,
        asked.contexts,
        lambda session: _Playing(play, session, asked, transcript),
        asked.settings,
        type=asked.type,
        turns=asked.turns,
        calls=asked.calls,
        depth=asked.depth,
    )

    def program(answer: Any) -> str | None:
        return None if as_program is None else as_program(asked.question, asked.contexts, transcript, answer)

    return Attempt(session, at_the_top, alone, lambda: transcript, program)
