"""The recursive LM: turn by turn a root model writes a program, which is checked, bounded, run, and shown to it, until one answers.

    reply -> one program -> checked -> bounded -> admitted -> run -> what it shows goes back
                 |             |                      |         |
                 `-------------+----------------------+---------+--> what is wrong goes back, with what to do about it

A solve takes at most its calls, turns and depth, and all solves inside it together with it. Only `answer` in a program that ran ends it
with a value; data cannot, whatever they say. Everything else ends in `Unsolved`, a Failure like that of a call; a budget that is spent, an
interruption and the like stop the whole run.

It does not: talk to a model (run.calls does), know the command line, or keep anything but its records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen

from rlmlang import limits
from rlmlang.check import check
from rlmlang.check.checked import Checked, Turn
from rlmlang.check.mend import Mended, mend
from rlmlang.check.unify import fits
from rlmlang.cost import Bound
from rlmlang.cost import bound as bound_of
from rlmlang.cost.bound import figures_json
from rlmlang.cost.pricing import quota, usable
from rlmlang.errors import BudgetError, CutOff, Failure, Interrupted, LimitError, Looped, RlmError, Unsolved, UsageError
from rlmlang.lm.client import Dropped
from rlmlang.lm.config import Models
from rlmlang.quantity import INFINITE, Quantity, value_at
from rlmlang.run.budget import Budget, Limit
from rlmlang.run.calls import Site, drafted
from rlmlang.run.evaluate import Run
from rlmlang.run.flow import Here
from rlmlang.run.nesting import Ledger, Nesting, Task
from rlmlang.run.turns import Outcome, Past, compile_turn
from rlmlang.session import usable_model
from rlmlang.solve import feedback
from rlmlang.solve.export import grammar_for
from rlmlang.solve.extract import extract
from rlmlang.solve.preview import observe
from rlmlang.solve.prompt import Conversation, first_message, written
from rlmlang.solve.record import SolveRecord, TurnRecord, add_solve, counted, difference
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import Diagnostic, plural, printable
from rlmlang.types import JSON, NEVER, TEXT, UNKNOWN, DictOf, Enum, ListOf, Optional, RecordOf, Tuple, Type
from rlmlang.values import Mismatch, conform, to_json_text, to_text

_REPLY_SHOWN: Final = 600  # characters of a reply without a program, as the root model sees it again


class _Again(Exception):
    """The turn gave no answer: what the root model is told, and what may have been meant by its program."""

    def __init__(self, told: str, instead: str | None = None) -> None:
        super().__init__(told)
        self.told = told
        self.instead = instead


@define(eq=False)
class Loop:
    """The solver of one run (`run.nesting.Solver`). `records` describes the solves of the program itself, those inside them below their
    turns. `whole`: the program is nothing but a solve, whose answer is given as it is: of any size, and no text where it names no type."""

    models: Models
    budget: Budget
    offline: bool = False
    whole: bool = False
    records: list[SolveRecord] = field(factory=list)
    _turn_of: dict[Run, TurnRecord] = field(factory=dict)

    async def solve(self, task: Task, here: Here, site: Site) -> Any:
        """The answer. Raises Unsolved, or the Failure of the root model; what stops the run otherwise."""
        run = here.run
        await run.own_task()
        record = SolveRecord(task.question, min(task.options.turns, limits.SOLVE_TURNS), task.type)
        if run in self._turn_of:
            add_solve(self._turn_of[run], record)
        elif len(self.records) < limits.SOLVES_REPORTED:
            self.records.append(record)
        solving = _Solving(self, task, here, site, record)
        site.under_way += 1
        try:
            answer = await solving.answer()
        except Failure as failure:
            record.outcome = "no answer" if isinstance(failure, Unsolved) else "failed"
            record.error = failure.message
            failure.span = task.node.span
            failure.item = failure.item or here.items
            failure.round = solving.flow.round
            raise
        except RlmError as stop:
            record.outcome = "budget" if isinstance(stop, BudgetError) else "interrupted" if isinstance(stop, Interrupted) else "failed"
            record.error = stop.message
            run.stop(stop)
            raise
        except BaseException:
            record.outcome = "interrupted"
            raise
        finally:
            site.under_way -= 1
            run.calls.batches.stir()
            here.round = max(here.round, solving.flow.round)
            record.names = {name: str(type_) for name, type_ in solving.names.items()}
        record.outcome = "answered"
        return answer


@frozen(eq=False)
class _Answer:
    value: Any


@define(eq=False)
class _Solving:
    """One solve under way."""

    loop: Loop
    task: Task
    here: Here
    site: Site
    record: SolveRecord
    flow: Here = field(init=False)
    ledger: Ledger = field(init=False)
    earlier: Checked | None = field(default=None, init=False)
    last_shown: str | None = field(default=None, init=False)
    _depth: int = field(init=False)
    _past: Past = field(init=False)
    _total: Site = field(init=False)
    _nesting: Nesting = field(init=False)
    _inputs_left: int = field(init=False)
    _outputs_left: int = field(init=False)
    _inputs_each: int = field(init=False)
    _outputs_each: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        task, here, nesting = self.task, self.here, self.here.run.nesting
        options = task.options
        self._depth = options.depth if nesting.depth is None else min(options.depth, nesting.depth)
        self._past = Past({name: value for name, _, value in task.data})
        self._total = Site(task.node.span, task.type or TEXT, self.root_name, solves=True)
        self._total.within = self.site.all
        self.ledger = Ledger(options.calls, nesting.share.part(options.calls, nesting.calls), nesting.ledger)
        self._nesting = Nesting(nesting.level, self._depth, self.ledger)
        talk = Run(here.run.calls, here.run.window, nesting=self._nesting, outer=here)
        self.flow = Here(talk, talk.root, here.round, here.items)

    @property
    def root_name(self) -> str:
        """The model that writes the programs."""
        return self.task.options.model or self.loop.models.root

    @property
    def _whole(self) -> bool:
        """Whether the answer goes out as it is, for no program computes with it."""
        return self.loop.whole and self.here.run.nesting.ledger is None

    @property
    def names(self) -> Mapping[str, Type]:
        """What is bound now."""
        return {name: type_ for name, type_, _ in self.task.data} if self.earlier is None else self.earlier.names

    async def answer(self) -> Any:
        """Turn by turn. Raises what ends a solve without an answer."""
        task, turns = self.task, self.record.turns_most
        if self._depth < 1:
            most = self.loop.budget.most("depth") or 0
            raise BudgetError(f"the budget of {Limit('depth', most)} leaves no level for a solve", span=task.node.span)
        model = usable_model(self.loop.models, self.root_name, self.loop.budget, offline=self.loop.offline)
        self._set_quota()
        wanted = None if task.type is None else str(task.type)
        with self.here.run.calls.client.moving:
            grammar = None if model.grammar is None else await asyncio.to_thread(grammar_for, model)
        conversation = Conversation(model, lambda room: first_message(task.question, task.data, wanted, room), grammar)
        root = Site(task.node.span, TEXT, self.root_name, within=self._total.all)
        before: str | None = None
        repeats = 1
        for turn in range(1, turns + 1):
            if not self.ledger.calls_left:
                raise self._unsolved(f"all of its {self.ledger.most_calls:,} calls are used")
            if self._inputs_left < self._inputs_each or self._outputs_left < self._outputs_each:
                raise self._unsolved("its programs have used the tokens that its calls may take")
            record = TurnRecord(turn)
            self.record.turns.append(record)
            start = counted(self._total)
            try:
                reply = await self._reply(conversation, root, turn, turns)
                program = extract(reply, only=conversation.grammar is not None)
                mended = None if program is None else mend(program, partial(self._check, turn))
                if mended is None:
                    said = reply[:_REPLY_SHOWN]
                else:
                    record.mended = mended.fixed
                    record.program = mended.text.removesuffix("\n") if mended.fixed else mended.text
                    said = written(record.program, conversation.fenced)
                repeats = repeats + 1 if said == before else 1
                if mended is None:
                    record.outcome = "no program"
                    raise _Again(feedback.NO_PROGRAM)
                if said == before:
                    record.outcome = "repeated"
                    raise _Again(feedback.SAME_PROGRAM, self._guessed(mended.text, turn))
                return (await self._run(mended, record)).value
            except _Again as again:
                before = said
                told = f"{feedback.mended(record.mended)}{again.told}\n\n{feedback.names(self.names)}{feedback.guess(again.instead)}"
                conversation.add(said, told, wrong=record.outcome != "shown", guessed=again.instead is not None)
            except CutOff as cut:
                record.outcome, record.error, before = "no program", cut.message, None
                told = "A reply of yours was too long and was cut off, so nothing was run. Write a short program, and no prose."
                conversation.add(None, told, wrong=True)
            finally:
                record.used = difference(start, counted(self._total))
            if repeats >= limits.SOLVE_REPEATS:
                raise self._unsolved(f"the root model wrote the same {repeats} times in a row", Looped)
        raise self._unsolved(f"its {turns} turns are used" if turns != 1 else "its only turn is used")

    def _unsolved(self, why: str, kind: type[Unsolved] = Unsolved) -> Unsolved:
        allow = "--turns and --calls (from Python turns= and calls=)" if self._whole else "{turns: …, calls: …}"
        error = kind(f"no answer: {why}", span=self.task.node.span, hint=f"allow more with {allow}, or ask for less")
        error.names = {name: str(type_) for name, type_ in self.names.items()}
        error.shown = self.last_shown
        return error

    async def _reply(self, conversation: Conversation, root: Site, turn: int, turns: int) -> str:
        told = feedback.status(turn, turns, self.ledger.calls_left, self.ledger.left, wrong=conversation.wrong)
        self._inputs_left -= self._inputs_each
        self._outputs_left -= self._outputs_each
        try:
            reply = await self.here.run.calls.answer(root, self.flow, drafted(conversation.request(told)))
        except CutOff:
            raise
        except Failure as failure:
            message = f"the root model gave no program: {failure.message}"
            raise failure.anew(message, attempts=failure.attempts, item=failure.item) from None
        return str(reply)

    # ---- one program ----

    async def _run(self, mended: Mended, record: TurnRecord) -> _Answer:
        """The program's answer. Raises _Again where it gave none."""
        checked = self._checked(mended, record)
        compiled = compile_turn(checked)
        self._refuse_sites(compiled.sites, record)
        bound = self._bounded(checked, record)
        self._admit(checked, bound, record)
        calls = value_at(bound.figures["calls"].most, {})
        for site in compiled.sites.values():
            site.within = self._total.all
        nesting = self._nesting
        child = Run(
            self.flow.run.calls,
            self.flow.run.window,
            solver=self.loop,
            nesting=Nesting(nesting.level + 1, self._depth - 1, self.ledger, self.ledger.left, calls),
            outer=self.flow,
        )
        self.loop._turn_of[child] = record
        try:
            outcome = await compiled.evaluate(self._past, child, self.flow)
        except (Failure, LimitError) as error:
            if isinstance(error, Failure):
                self.flow.round = max(self.flow.round, error.round)
                self.flow.run.calls.taken(error)
            raise self._failed(error, record, kept=False) from None
        except RlmError as error:
            if not isinstance(error, (BudgetError, Interrupted, UsageError)) and not self.flow.scope.alive():
                raise Dropped from None
            raise
        finally:
            del self.loop._turn_of[child]
        return self._concluded(checked, outcome, record)

    def _check(self, turn: int, text: str) -> Checked:
        """Raises ProgramError for syntax."""
        given = {name: type_ for name, type_, _ in self.task.data}
        return check(parse(text, f"turn {turn}"), turn=Turn(given) if self.earlier is None else Turn(earlier=self.earlier))

    def _checked(self, mended: Mended, record: TurnRecord) -> Checked:
        checked = mended.checked
        if checked is None:
            raise self._invalid(mended.left, record, mended.text)
        program = checked.program
        diagnostics = [*checked.diagnostics]
        last = program.statements[-1] if program.statements else None
        wanted = self.task.type
        if not checked.errors and isinstance(last, n.Answer) and wanted is not None and not _may_be(checked.types[last.value], wanted):
            given_type = checked.types[last.value]
            diagnostics.append(
                Diagnostic("answer-type", f"the answer is {wanted}; this is {given_type}", last.value.span, hint=f"answer with {wanted}")
            )
        record.diagnostics = [d.to_json() for d in diagnostics]
        if any(d.severity == "error" for d in diagnostics):
            raise self._invalid(tuple(diagnostics), record, mended.text)
        return checked

    def _invalid(self, diagnostics: tuple[Diagnostic, ...], record: TurnRecord, text: str | None = None) -> _Again:
        record.outcome = "invalid"
        record.diagnostics = [d.to_json() for d in diagnostics]
        return _Again(feedback.errors(diagnostics), None if text is None else self._guessed(text, record.turn))

    def _guessed(self, text: str, turn: int) -> str | None:
        """What may have been meant by a program with errors, where that has none."""
        guessed = mend(text, partial(self._check, turn), guess=True)
        return None if guessed.checked is None or guessed.checked.errors else guessed.text.removesuffix("\n")

    def _refuse_sites(self, sites: Mapping[n.Node, Site], record: TurnRecord) -> None:
        """Models that are not there, and solves below the last level."""
        wrong: list[Diagnostic] = []
        for site in sites.values():
            if site.solves and self._depth < 2:
                hint = "write call for each piece instead; the question is answered here"
                wrong.append(Diagnostic("no-solve", "no further solve is possible here: the depth is used up", site.span, hint=hint))
                continue
            try:
                name = site.model or (self.loop.models.root if site.solves else self.loop.models.default)
                usable_model(self.loop.models, name, self.loop.budget, offline=self.loop.offline)
            except UsageError as error:
                if site.model is None:
                    raise  # of nothing that a program says
                wrong.append(Diagnostic("unknown-model", error.message, site.span, hint="leave the model out"))
        if wrong:
            raise self._invalid(tuple(wrong), record)

    def _bounded(self, checked: Checked, record: TurnRecord) -> Bound:
        models = self.loop.models
        try:
            bound = bound_of(
                checked,
                lambda name: models[name or models.default],
                self._past.given,
                memo=self.here.run.calls.memo.path is not None,
                models=models,
                past=self._past.bound,
            )
        except (Failure, LimitError) as error:
            raise self._failed(error, record, kept=False) from None
        record.bound = figures_json(bound.figures)
        if bound.errors and not self.loop.offline:
            record.outcome, record.error = "refused", bound.errors[0]
            raise _Again(feedback.unfit(bound.errors))
        return bound

    def _set_quota(self) -> None:
        """What the calls of this solve may take, by the bound that a program with it has."""
        models = self.loop.models
        each = quota([models[self.root_name], *usable(models)])
        self._inputs_each, self._outputs_each = each.input_tokens, each.output_tokens
        self._inputs_left = self.ledger.most_calls * each.input_tokens
        self._outputs_left = self.ledger.most_calls * each.output_tokens

    def _admit(self, checked: Checked, bound: Bound, record: TurnRecord) -> None:
        """Refuses a program that would take more than is left: more calls or tokens than this solve may, by its bound; more of the budget,
        by what is expected. Raises _Again."""
        answers = isinstance(checked.program.statements[-1], n.Answer)
        left = self.ledger.left
        calls = self.ledger.calls_left if left.requests is None else min(self.ledger.calls_left, left.requests or self.ledger.calls_left)
        usable = calls if answers else calls - 1
        most = {name: value_at(bound.figures[name].most, {}) for name in ("calls", "input_tokens", "output_tokens")}
        reasons = []
        if most["calls"] > max(usable, 0):
            kept = "" if answers else ", one of which is for your next turn"
            reasons.append(f"it may make {_count(most['calls'], 'call')}, and {calls:,} are left{kept}")
        else:
            for name, rest in self._tokens_left(answers).items():
                if most[name] > rest:
                    reasons.append(f"it may take {_count(most[name], name.replace('_', ' ').removesuffix('s'))}, and {rest:,} are left")
        expected = bound.figures
        if left.tokens and _beyond(expected["input_tokens"].expected, expected["output_tokens"].expected, left.tokens):
            reasons.append(f"it would take about {_sum(expected['input_tokens'].expected, expected['output_tokens'].expected)} tokens")
        if left.nanodollars and _beyond(expected["dollars"].expected, 0, left.nanodollars):
            reasons.append("it would take more money than is left")
        if reasons:
            record.outcome = "refused"
            record.error = "; ".join(reasons)
            raise _Again(feedback.refusal(reasons, checked, bound, usable))
        self._inputs_left -= int(most["input_tokens"])
        self._outputs_left -= int(most["output_tokens"])

    def _tokens_left(self, answers: bool) -> dict[str, int]:
        """What a program's bound may be; where it does not answer, the next turn's reply is kept back."""
        turns = 0 if answers else 1
        return {
            "input_tokens": max(0, self._inputs_left - turns * self._inputs_each),
            "output_tokens": max(0, self._outputs_left - turns * self._outputs_each),
        }

    def _failed(self, error: RlmError, record: TurnRecord, *, kept: bool) -> _Again:
        record.outcome = "failed"
        record.error = printable(error.message)
        return _Again(feedback.failure(error, kept=kept))

    def _concluded(self, checked: Checked, outcome: Outcome, record: TurnRecord) -> _Answer:
        """What a program that ran gave: the answer, or what the root model is shown."""
        self.flow.round = max(self.flow.round, outcome.round)
        self._past.bound.update(outcome.bound)
        self.earlier = checked
        self.record.accepted.append(checked)
        if outcome.failure is not None:
            self.flow.run.calls.taken(outcome.failure)
            raise self._failed(outcome.failure, record, kept=True)
        last = checked.program.statements[-1]
        if isinstance(last, n.Answer):
            try:
                answer = self._fitting(outcome.value)
            except Mismatch as mismatch:
                record.outcome, record.error = "failed", mismatch.message
                raise _Again(feedback.wrong_answer(mismatch.message)) from None
            except (Failure, LimitError) as error:
                raise self._failed(error, record, kept=True) from None
            record.outcome = "answered"
            return _Answer(answer)
        record.outcome = "shown"
        if not isinstance(last, n.Shown) or checked.result is None:
            raise _Again(feedback.NOTHING_SHOWN)
        try:
            preview = observe(checked.result, outcome.value)
        except (Failure, LimitError) as error:
            raise self._failed(error, record, kept=True) from None
        record.shown = self.last_shown = preview
        raise _Again(feedback.shown(preview))

    def _fitting(self, value: Any) -> Any:
        """The answer in the type that was asked for. Raises Mismatch; Failure and LimitError from writing it."""
        wanted = self.task.type
        if wanted is not None:
            value, given = conform(value, wanted, "the answer"), value
            self.record.converted = to_json_text(value) != to_json_text(given)
        elif not self._whole and not isinstance(value, str):
            value = to_text(value)
        if not self._whole:
            written = value if isinstance(value, str) else to_json_text(value)
            size = len(written.encode("utf-8", "surrogatepass"))
            if size > limits.SOLVE_ANSWER_BYTES:
                raise Mismatch(f"the answer has {size:,} bytes, and may have {limits.SOLVE_ANSWER_BYTES:,}")
        return value


def _may_be(given: Type, wanted: Type) -> bool:
    """Whether a value of type `given` can be one of `wanted`: what only the value can tell is left to it."""
    if fits(given, wanted) or given in (JSON, UNKNOWN, NEVER) or wanted in (JSON, UNKNOWN):
        return True
    if isinstance(given, Optional):
        return _may_be(given.item, wanted)
    if isinstance(wanted, Optional):
        return _may_be(given, wanted.item)
    if isinstance(wanted, Enum):
        return given == TEXT or isinstance(given, Enum)
    if isinstance(wanted, (ListOf, Tuple)):
        return isinstance(given, (ListOf, Tuple))
    return isinstance(wanted, (RecordOf, DictOf)) and isinstance(given, (RecordOf, DictOf))


def _beyond(a: Quantity | None, b: Quantity | None, most: int) -> bool:
    return a is None or b is None or value_at(a, {}) + value_at(b, {}) > most


def _sum(a: Quantity | None, b: Quantity | None) -> str:
    return "any number of" if a is None or b is None else f"{round(value_at(a, {}) + value_at(b, {})):,}"


def _count(number: float, what: str) -> str:
    if number == INFINITE:
        return f"any number of {what}s"
    return plural(round(number), what)
