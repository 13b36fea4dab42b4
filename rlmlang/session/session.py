"""Where a run is started: the one function behind `rlm run` and `rlmlang.run`. Program, inputs and settings are checked here, before
anything is spent; then the program runs in a thread of its own, with an event loop and a stack of known size, whatever the caller's are.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Promise
from contextlib import suppress
from importlib import import_module
from math import ceil
from queue import SimpleQueue
from typing import Any

from attrs import evolve

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.cost import Bound, Figure
from rlmlang.cost import bound as bound_of
from rlmlang.cost.bound import figures_json
from rlmlang.cost.sampled import Sampled, sampled
from rlmlang.errors import BudgetError, Failure, Interrupted, LimitError, RlmError, UsageError
from rlmlang.lm.client import Client
from rlmlang.lm.config import Config, Models
from rlmlang.lm.request import Model
from rlmlang.lm.steady import take_portions
from rlmlang.lm.workers import Workers
from rlmlang.quantity import Number, value_at
from rlmlang.run import garbage
from rlmlang.run.budget import Budget, Limit, parse_budget
from rlmlang.run.calls import Calls, Site, Tally
from rlmlang.run.evaluate import Compiled, Run, compile_program, evaluate
from rlmlang.run.fingerprint import fingerprint
from rlmlang.run.memo import Memo
from rlmlang.run.memo_jobs import MemoJobs
from rlmlang.run.nesting import Nesting, Share, Solver
from rlmlang.run.rehearse import Rehearsal, rehearse
from rlmlang.run.report import FailedItem, Result, SiteUse, Used, dollars
from rlmlang.run.seen import Experience, Keys, Seen, by_key, merged
from rlmlang.run.shards import Shards
from rlmlang.run.still import UntilStill
from rlmlang.session.estimates import Estimate
from rlmlang.session.settings import Settings, by_jobs, memo_path, models_of, processes_of, usable_model
from rlmlang.streamed import Streamed
from rlmlang.syntax.diagnostics import plural
from rlmlang.syntax.nodes import Node

_STACK = 64 * 1024 * 1024  # bytes, of the thread that evaluates


class Session:
    """One run, prepared: everything about it that can be wrong has been found wrong, and nothing has been spent. With `sample` it makes
    calls for so many items of each list only, and there is no admission: the budget is that of the sample.

    `checked`, `models`, `memo`, `budget` and `calls` may be looked at while it runs (for a display of progress), `news` of jobs taken
    out; `report` gives the outcome.
    """

    def __init__(
        self,
        checked: Checked,
        settings: Settings,
        inputs: Mapping[str, Any],
        config: Config,
        *,
        sample: int | None = None,
        solver: Callable[[Session], Solver] | None = None,
    ) -> None:
        self.checked = checked
        self.sample = sample
        self.settings = settings
        self.id = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
        self.models: Models = models_of(settings, config, batch=by_jobs(settings, config))
        workers = Workers(processes_of(settings, config) if sample is None else 1)  # a sample is too short for more
        self._make_solver = solver or _solver
        self.budget = Budget(parse_budget(text) for text in settings.budget or config.budget)
        self.compiled: Compiled = compile_program(checked)
        self.warnings: list[str] = []
        self._inputs = inputs
        self._check_sites()
        batched = [model for model in self.called_models() if model.batch_share is not None] if not settings.offline else []
        if by_jobs(settings, config):
            self.warnings += [f"{m.name} has no Batch API: it is called as usual" for m in self.called_models() if m.batch_share is None]
        if batched and memo_path(settings.memo, config) is None:
            raise UsageError("without a memo store, nobody would find a job of a Batch API again", hint="leave out --memo off, or --batch")
        self.memo = Memo.open(memo_path(settings.memo, config))
        self.warnings += self.memo.warnings
        self._keys = Keys(checked, self._model)
        self.experience = Experience(self._keys, self.memo.learned())
        prepared: dict[Node, list[Any]] = {}
        self.bound: Bound = bound_of(
            checked,
            self._model,
            inputs,
            memo=self.memo.path is not None,
            experience=self.experience,
            models=self.models,
            prepared=prepared,
        )
        if self.bound.errors and not settings.offline:
            self.memo.close()
            raise UsageError(self.bound.errors[0], hint="nothing was spent; rlm cost --prompts shows what would be sent")
        self.warnings += self.bound.warnings
        self.beyond = self._admit() if sample is None else ()
        self._read_through()
        self.tally = Tally(self.budget)
        self.news: SimpleQueue[str] = SimpleQueue()
        self.by_jobs = bool(batched)
        journal = MemoJobs(self.memo) if batched else None
        self.client = Client(self.models, self.tally, offline=settings.offline, workers=workers, journal=journal, tell=self.news.put)
        self.calls = Calls(self.client, self.memo, recall=sample is not None)
        window = 2 * max(self.models[name].concurrency for name in self.model_names() or {self.models.default}) + 8
        widest = max((site.batch for site in self.compiled.sites.values()), default=1)
        window = max(window * widest, sample or 0)
        if batched:
            window = max(window, limits.JOB_WAITING)
        self.run = Run(self.calls, window, sample, solver=self._solver(), nesting=self._nesting(), prepared=prepared)
        if sample is None and not batched and Shards.possible(workers, self.compiled):
            self.run.shards = Shards(workers, checked, self.compiled, self.run)
        if batched:
            self.run.most_live = 2 * window  # of an outer map and an inner one, so that neither keeps calls out of a job
        self.through = False  # all that a run, or a sample, can do has been done
        self._started = time.monotonic()
        self._seconds = 0.0

    def _read_through(self) -> None:
        """Reads large inputs once before anything is spent, where the bound has not: what is wrong in them is found now."""
        if self.compiled.sites:
            try:
                for value in self._inputs.values():
                    if isinstance(value, Streamed):
                        value.read_through()
            except RlmError:
                self.memo.close()
                raise

    def model_names(self) -> set[str]:
        """The models that the program may ask, as far as it says."""
        return {name for site in self.compiled.sites.values() for name in self._asked(site)}

    def called_models(self) -> list[Model]:
        """The same, as models."""
        return [self.models[name] for name in self.model_names()]

    def _asked(self, site: Site) -> tuple[str, ...]:
        """The models that a place asks, as far as the program says so: inside a solve others may be named."""
        if site.solves:
            return (site.model or self.models.root, self.models.default)
        return (site.model or self.models.default,)

    def _solver(self) -> Solver | None:
        """Who solves, where the program has a `solve`."""
        return self._make_solver(self) if any(site.solves for site in self.compiled.sites.values()) else None

    def _nesting(self) -> Nesting:
        """What solves in the program may share."""
        depth = self.budget.most("depth")
        share = Share(self.budget.most("calls"), self.budget.most("tokens"), self.budget.most("dollars"))
        calls = value_at(self.bound.figures["calls"].most, {})
        return Nesting(depth=None if depth is None else depth - 1, share=share, calls=calls)

    def _check_sites(self) -> None:
        """The models that the program names exist, and a budget in dollars has prices to go by."""
        for site in self.compiled.sites.values():
            for name in self._asked(site):
                try:
                    usable_model(self.models, name, self.budget, offline=self.settings.offline)
                except UsageError as error:
                    error.span = site.span if site.model else None
                    raise

    def _model(self, name: str | None) -> Model:
        return self.models[name or self.models.default]

    def _admit(self) -> tuple[tuple[Limit, Number], ...]:
        """The limits that the run may go beyond, each with the bound's amount. Raises BudgetError where the lower bound is beyond one."""
        beyond = []
        for limit in self.budget.limits:
            figures = [self.bound.figures[name] for name in _BUDGETED.get(limit.kind, ())]
            least, most = (sum(value_at(q, {}) for q in ends) for ends in ([f.least for f in figures], [f.most for f in figures]))
            if limit.kind == "calls" and least <= limit.most < value_at(self.bound.figures["calls"].least, {}):
                least = self._surely_sent()
            if least > limit.most:
                self.memo.close()
                raise BudgetError(
                    f"the program takes at least {Limit(limit.kind, int(least))}, and the budget is {limit}",
                    hint="nothing was spent; rlm cost shows what each line takes",
                )
            if most > limit.most:
                beyond.append((limit, most))
        return tuple(beyond)

    def rehearse(self) -> Rehearsal:
        """What the run would ask before it needs a reply that is not in the memo. Nothing is sent."""
        return rehearse(self.checked, self._inputs, self.models, self.memo, _STACK, self._solver(), self._nesting())

    def _surely_sent(self) -> int:
        """Requests that every run sends: as few as the different calls met in a rehearsal can take, at places whose calls are all made in
        any case."""
        if self.settings.offline:
            return 0
        asked = self.rehearse().sites
        sure = [(site.node, site.batch) for site in self.bound.sites if site.figures["calls"].least == site.figures["calls"].most]
        return sum(ceil(asked[node].unpaid / batch) for node, batch in sure if node in asked)

    @property
    def guaranteed(self) -> bool:
        """Whether no run can go beyond the budget: even the upper bound is within it. Of seconds there is no bound."""
        return not self.beyond and self.budget.most("seconds") is None

    @property
    def jobs_left(self) -> str:
        """`2 jobs with 1,200 requests go on at api.openai.com`; empty where nothing waits for a job, or did at the end."""
        jobs = self.client.jobs()
        if not jobs:
            return ""
        requests = plural(sum(job.record.count for job in jobs), "request")
        return f"{plural(len(jobs), 'job')} with {requests} {'goes' if len(jobs) == 1 else 'go'} on at {', '.join({j.host for j in jobs})}"

    # ---- running ----

    def fingerprint(self) -> dict[str, str]:
        """What decides the answer, as digests: of program, inputs and models. Raises Failure where a directory cannot be listed."""
        return fingerprint(self.checked, self._inputs, self.called_models())

    def start(
        self, on_item: Callable[[Any], None] | None = None, through: Callable[[int], None] | None = None, written: int = 0
    ) -> Running:
        """Begins the run in a thread of its own. `on_item` and `through` as for `evaluate`; `written` items of the list that the answer is
        made from are left out: an earlier run has written what they have become."""
        self.run.written = written
        return Running(self, on_item, through)

    async def _main(
        self, on_item: Callable[[Any], None] | None, through: Callable[[int], None] | None, watch: UntilStill | None = None
    ) -> Any:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._started = time.monotonic()
        remaining = self.budget.remaining_seconds()
        alarm = None
        if watch is not None and self.sample is not None:
            watch.task = task
            if remaining is not None:
                watch.deadline, watch.late = self._started + remaining, lambda: self._time_is_up(task)
        elif remaining is not None:
            alarm = loop.call_later(remaining, self._time_is_up, task)
        try:
            async with self.client:
                with garbage.seldom():
                    value = await evaluate(self.compiled, self._inputs, self.run, on_item, through)
                    if isinstance(value, Streamed):
                        value = value.hold()  # whoever reads the answer need not know of the file
            self.through = True
            return value
        except asyncio.CancelledError:
            if watch is not None and watch.still and self.run.stopped is None:
                self.through = True
                return None
            left = self.jobs_left
            told = "interrupted; finished calls are kept" + (f", {left}" if left else "")
            raise self.run.stopped or Interrupted(told) from None
        except RlmError:
            raise
        except RecursionError:
            raise LimitError("the program is nested too deeply to be run here") from None
        finally:
            if alarm is not None:
                alarm.cancel()
            if self.memo.path is not None and self.client.counters.requests:
                self.memo.learn(self._seen(recalled=False))
            self.memo.close()
            self._seconds = time.monotonic() - self._started

    def _time_is_up(self, task: asyncio.Task[Any]) -> None:
        most = self.budget.most("seconds")
        self.run.stop(BudgetError(f"the budget of {Limit('seconds', most or 0)} is used up"))
        task.cancel()

    def _seen(self, *, recalled: bool) -> Seen:
        """What this run has seen; with `recalled` also in replies that the memo had."""
        sites = {node: site for node, site in self.compiled.sites.items() if not site.solves}
        calls = {node: merged((s.seen, s.recalled)) if recalled else s.seen for node, s in sites.items()}
        return by_key(self._keys, calls, self.run.choices)

    def estimate(self, bound: Bound) -> Estimate:
        """What the function `estimate` gives, with this bound."""
        return Estimate(self.checked, self.models, self._inputs, bound, self.experience)

    def sampled(self) -> Sampled:
        """What the sample, which is over, says of the whole run."""
        experience = evolve(self.experience, sample=self._seen(recalled=True))
        bound = bound_of(self.checked, self._model, self._inputs, memo=self.memo.path is not None, experience=experience)
        return sampled(self.checked, self._model, self._inputs, bound, experience, self.run.sampled_share if self.through else 0.0)

    # ---- the outcome ----

    @property
    def used(self) -> Used:
        """What has been used so far."""
        calls, counters = self.calls, self.client.counters
        seconds = self._seconds or time.monotonic() - self._started
        return Used(
            calls=calls.calls,
            requests=counters.requests,
            from_memo=calls.from_memo,
            shared=calls.shared,
            failed=counters.failed,
            retries=counters.retries,
            input_tokens=self.tally.input_tokens,
            output_tokens=self.tally.output_tokens,
            dollars=None if calls.unpriced else dollars(self.tally.nanodollars),
            depth=calls.depth,
            rounds=calls.rounds,
            seconds=round(seconds, 3),
            cached_tokens=counters.cached_tokens,
        )

    def report(self, answer: Any, error: RlmError | None) -> Result:
        """The outcome as data. What ended the run is the last of its failures."""
        if isinstance(error, Failure):
            self.calls.report(error)
        main = self.checked.program.source
        bounds = {site.node.span: site.figures for site in self.bound.sites}
        sites = sorted(self.compiled.sites.values(), key=lambda s: (s.span.source is not main, s.span.source.name, s.span.start))
        warnings = [*self.warnings]
        if self.calls.failures_dropped:
            warnings.append(f"{self.calls.failures_dropped:,} more failures are not listed")
        if self.memo.damaged:
            warnings.append(f"{self.memo.damaged:,} damaged rows of the memo store were dropped")
        warnings += [f"the price of {name} is not known" for name in sorted(self.calls.unpriced)]
        return Result(
            answer=answer,
            type=str(self.checked.result) if self.checked.result is not None else "none",
            run=self.id,
            used=self.used,
            sites=tuple(
                _site_use(site, None if site.span.source is main else site.span.source.name, bounds.get(site.span)) for site in sites
            ),
            failures=tuple(FailedItem(f.line, f.item, f.error, f.attempts) for f in self.calls.failures),
            warnings=tuple(warnings),
            error=None if error is None else error.message,
            bound=figures_json(self.bound.figures),
        )


# the figures that a limit of each kind is about, in its unit
_BUDGETED: Mapping[str, tuple[str, ...]] = {
    "calls": ("requests",),
    "tokens": ("input_tokens", "output_tokens"),
    "dollars": ("dollars",),
    "depth": ("depth",),
}


def _site_use(site: Site, file: str | None, figures: Mapping[str, Figure] | None) -> SiteUse:
    span = site.span
    text = span.text.split("\n", 1)[0]
    return SiteUse(
        line=span.line,
        column=span.column,
        text=text if len(text) <= 120 else text[:119] + "…",
        calls=site.calls,
        from_memo=site.from_memo,
        shared=site.shared,
        requests=site.requests,
        failed=site.failed,
        input_tokens=site.input_tokens,
        output_tokens=site.output_tokens,
        dollars=dollars(site.nanodollars),
        file=file,
        bound={} if figures is None else figures_json(figures),
    )


class Running:
    """A run under way. `wait` or `await` it for the answer."""

    def __init__(self, session: Session, on_item: Callable[[Any], None] | None, through: Callable[[int], None] | None = None) -> None:
        self.session = session
        self._on_item = on_item
        self._through = through
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        # a sample ends when all that is left waits for whole lists; jobs are made when nothing else can go on
        idle = session.client.idle if session.by_jobs else None
        watched = session.sample is not None or session.by_jobs
        self._watch = UntilStill(lambda: session.calls.batches.sending > 0, idle) if watched else None
        self.done: Promise[Any] = Promise()
        size = threading.stack_size(_STACK)
        try:
            self._thread = threading.Thread(target=self._work, name="rlm-run", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(size)

    def _work(self) -> None:
        try:
            factory = None if self._watch is None else functools.partial(asyncio.SelectorEventLoop, self._watch)
            with asyncio.Runner(loop_factory=factory) if factory is not None else asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                take_portions(self._loop)
                value = runner.run(self._guarded())
        except BaseException as error:
            self.done.set_exception(error)
        else:
            self.done.set_result(value)

    async def _guarded(self) -> Any:
        self._task = asyncio.current_task()
        if self._cancelled:
            raise Interrupted("interrupted")
        return await self.session._main(self._on_item, self._through, self._watch)

    def cancel(self) -> None:
        """Stops the run from any thread: calls under way are cancelled, finished ones are kept. `wait` then raises Interrupted."""
        self._cancelled = True
        self.session.run.cancel()
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)

    def wait(self) -> Any:
        """The answer. A KeyboardInterrupt meanwhile stops the run and raises Interrupted; a second one does not wait for its end."""
        try:
            return self.done.result()
        except KeyboardInterrupt:
            self.cancel()
            return self.done.result()


def _solver(session: Session) -> Solver:
    """The solver of a program that says `solve`. Its room stands below this one, and only such programs pay for its import."""
    loop = import_module("rlmlang.solve.loop")
    return loop.Loop(session.models, session.budget, session.settings.offline)  # type: ignore[no-any-return]
