"""One call, from request to checked reply: slot, budget, attempts, re-asks.

    slot of the model's gate
      each attempt:  still wanted?  ->  worst case reserved  ->  gate  ->  provider  ->  settled by what was used
      a retryable error: again, after `Retry-After` or a doubling pause        (RETRIES attempts within RETRY_SECONDS)
      a bad reply: asked again with what is wrong                              (REASKS times)
      the reply is committed (made durable)
    slot given back

A batch (a request for several calls at once) is sent at the provider's cost only once: where that gives nothing usable, Divided says so,
and its parts are other requests.

The reservation comes before the gate: an attempt that waits for budget would else keep the gate from those whose end it waits for.
A model that is asked by its Batch API has no gate: its attempts wait for one another instead (`lm.jobs`), until `idle` is called while
nothing else is under way. All the rest is the same, only that JOB_TRIES take the place of RETRIES.
Not done here: the memo and the sharing of equal calls, which belong to the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from rlmlang import limits
from rlmlang.errors import Failure, UsageError
from rlmlang.lm.gate import Closed, Gate, Outcome, backoff
from rlmlang.lm.prices import Price, actual, price_of, worst
from rlmlang.lm.providers import open_provider
from rlmlang.lm.render import utf8_length, worst_input_tokens
from rlmlang.lm.reply import BadReply, read_batch, read_reply
from rlmlang.lm.request import Charge, Completion, Message, Meter, Model, Provider, ProviderError, Reply, Request, Usage
from rlmlang.types import TEXT

if TYPE_CHECKING:
    from rlmlang.lm.jobs import Job, Jobs
    from rlmlang.lm.journal import Journal
    from rlmlang.lm.workers import Workers

_PUSHED_BACK = (429, 503)
_UNSENT = Charge(requests=0)
_ABOUT_THE_REQUEST = (None, 400, 413, 422)  # statuses, of errors not to be retried, that may be the fault of one item of a batch


class Dropped(Exception):
    """The call was no longer wanted before it, or its next attempt, was sent. Not a failure: nobody waits for its value."""


class Divided(Exception):
    """A batch gave nothing usable, where its parts alone may fare better. `wasted` is what it took all the same."""

    def __init__(self, wasted: Reply) -> None:
        super().__init__("a batch gave nothing usable")
        self.wasted = wasted


@define
class Counters:
    """What a run's report says of its requests: all sent, those beyond the first of a call, calls that failed for good, and input tokens
    that providers had in their caches."""

    requests: int = 0
    retries: int = 0
    failed: int = 0
    cached_tokens: int = 0


@define(eq=False)
class Moving:
    """How much is under way that will go on by itself, though the event loop has nothing to do: another provider answers, a pause ends, a
    row is written, a thread computes. For the time of a `with` there is one more."""

    count: int = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


@define(eq=False)
class _Lane:
    """What belongs to one model while a client is open."""

    gate: Gate
    price: Price | None
    provider: Provider | None = None
    jobs: Jobs | None = None


@define
class _Spent:
    """What one call has used so far, over all its attempts. `wasted` counts those that may be billed and gave no usable reply: of these
    there are at most REASKS + 1, whatever the reason, so that the bound on tokens and dollars holds."""

    again: bool = False  # part of a batch that was sent before: all of it is beyond a call's first request
    sent: int = 0
    wasted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    nanodollars: int = 0
    guessed: bool = False
    seconds: float = 0.0

    def add(self, usage: Usage, nanodollars: int) -> None:
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cached_tokens += usage.cached_tokens
        self.guessed |= usage.guessed
        self.nanodollars += nanodollars

    def reply(self, value: Any, price: Price | None) -> Reply:
        usage = Usage(self.input_tokens, self.output_tokens, self.cached_tokens, self.guessed)
        return Reply(value, usage, None if price is None else self.nanodollars, requests=self.sent, seconds=self.seconds)


class Client:
    """Sends calls to the models of one run: `async with Client(models, meter) as client`. Use it within one event loop.

    `models` maps the names that programs use to models; the first is the default. With `offline`, whatever is not answered before it
    comes here fails. Requests over HTTP may be sent by `workers`, which it ends. Models with a `batch_share` are asked by their Batch API,
    where there is a `journal` for that; whoever runs the event loop calls `idle` when nothing in it can move. `tell` is handed what a user
    should know of jobs.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        meter: Meter,
        *,
        offline: bool = False,
        workers: Workers | None = None,
        journal: Journal | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if not models:
            raise UsageError("no model is configured")
        self._models = models
        self._default = next(iter(models))
        self._meter = meter
        self._offline = offline
        self._lanes: dict[Model, _Lane] = {}
        self._workers = workers
        self._journal = journal
        self._tell = tell or (lambda _: None)
        self._left: list[Job] = []
        self.moving = Moving()
        self.counters = Counters()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._left = self.jobs()
        lanes, self._lanes = self._lanes, {}
        try:
            for lane in lanes.values():
                if lane.provider is not None:
                    await lane.provider.close()
                if lane.jobs is not None:
                    if kind is None or issubclass(kind, Failure):
                        await lane.jobs.settle()
                    await lane.jobs.close()
        finally:
            if self._workers is not None:
                await self._workers.close()

    def model(self, name: str | None) -> Model:
        """The model of that name, or the default. Raises UsageError for a name that is not configured."""
        if name is None:
            name = self._default
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(self._models)
            raise UsageError(f"no model is called {name[: limits.NAME_CHARS]!r}; there is {known}") from None

    def idle(self) -> bool:
        """Nothing else in the run can move: what waits for company goes, unless something here moves. Whether anything goes."""
        return not self.moving.count and any(lane.jobs.go() for lane in self._lanes.values() if lane.jobs is not None)

    def jobs(self) -> list[Job]:
        """The jobs that this client waits for, or did when it was closed. May be called from any thread."""
        return self._left + [job for lane in list(self._lanes.values()) if lane.jobs is not None for job in lane.jobs.under_way]

    def price(self, model: Model) -> Price | None:
        """The price of a model, None where it is not known."""
        return self._lane(model).price

    async def send(
        self,
        request: Request,
        *,
        alive: Callable[[], bool],
        commit: Callable[[Reply], Awaitable[None]] | None = None,
        again: bool = False,
    ) -> Reply:
        """The reply to `request`, checked against its type. A batch's value is the list of its calls' values, a BadReply for each that is
        not of its type; Divided is raised where it has none. `again`: what is asked for was part of a batch that was sent before.

        `alive` is asked before each attempt: once it is false, Dropped is raised. `commit` is awaited with the reply before the slot is
        given to another call. Raises Failure (with `attempts`), BudgetError from the meter, UsageError where a provider cannot be opened.
        A cancelled call leaves nothing behind; what it had sent is settled at its worst case.
        """
        if self._offline:
            self.counters.failed += max(1, len(request.batch))
            raise Failure("this call's reply is not in the memo, and nothing is sent offline", hint="run once without --offline")
        lane = self._lane(request.model)
        await lane.gate.enter()
        try:
            spent = _Spent(again)
            try:
                value = await (self._converse if not request.batch else self._ask_batch)(lane, request, alive, spent)
            except Failure as failure:
                self.counters.failed += max(1, len(request.batch))
                failure.attempts = spent.sent
                failure.cost = spent.input_tokens + spent.output_tokens, spent.nanodollars
                raise
            reply = spent.reply(value, lane.price)
            if commit is not None:
                with self.moving:
                    await commit(reply)
            return reply
        finally:
            lane.gate.leave()

    def _lane(self, model: Model) -> _Lane:
        lane = self._lanes.get(model)
        if lane is None:
            if model.batch_share is not None and self._journal is not None:
                lane = _Lane(Gate(limits.JOB_WAITING), price_of(model), jobs=self._open_jobs(model, self._journal))
            else:
                lane = _Lane(Gate(model.concurrency, model.requests_per_minute, model.tokens_per_minute), price_of(model))
            self._lanes[model] = lane
        return lane

    def _open(self, model: Model) -> Provider:
        provider = open_provider(model)
        return provider if self._workers is None else self._workers.provider(provider)

    def _open_jobs(self, model: Model, journal: Journal) -> Jobs:
        from rlmlang.lm.jobs import Jobs
        from rlmlang.lm.providers.batch_api import BatchApi

        return Jobs(BatchApi(model), journal, self._tell)

    async def _converse(self, lane: _Lane, request: Request, alive: Callable[[], bool], spent: _Spent) -> Any:
        """The checked value: asks, and asks again while the reply is bad."""
        asked, patience = request, _patience(lane, request)
        while True:
            completion = await self._complete(lane, asked, alive, spent, patience)
            try:
                return read_reply(completion, request)
            except BadReply as bad:
                spent.wasted += 1
                if spent.wasted > limits.REASKS:
                    raise Failure(f"model {request.model.name}: no usable reply in {spent.sent} attempts. {bad.message}") from None
                asked = reask(request, completion.text, bad.message)
            except Failure as failure:
                raise failure.anew(f"model {request.model.name}: {failure.message}") from None

    async def _ask_batch(self, lane: _Lane, batch: Request, alive: Callable[[], bool], spent: _Spent) -> list[Any]:
        """The values of a batch, asked once."""
        patience = _patience(lane, batch)
        completion = await self._complete(lane, batch, alive, spent, patience)
        with suppress(BadReply, Failure):
            values = read_batch(completion, batch)
            if not all(isinstance(value, BadReply) for value in values):
                return values
        raise Divided(spent.reply(None, lane.price))

    async def _complete(self, lane: _Lane, request: Request, alive: Callable[[], bool], spent: _Spent, patience: _Patience) -> Completion:
        """One completion: tries again while errors are retryable and patience lasts."""
        while True:
            try:
                return await self._attempt(lane, request, alive, spent, patience)
            except ProviderError as error:
                if request.batch and (error.charged or (not error.retryable and error.status in _ABOUT_THE_REQUEST)):
                    raise Divided(spent.reply(None, lane.price)) from None
                pause = patience.after(error)
                if spent.wasted > limits.REASKS:
                    raise Failure(
                        f"model {request.model.name}: {error.message} ({spent.wasted} attempts that may have been billed)"
                    ) from None
                if error.status not in _PUSHED_BACK:  # there the gate keeps everybody
                    with self.moving:
                        await asyncio.sleep(pause)

    async def _attempt(self, lane: _Lane, request: Request, alive: Callable[[], bool], spent: _Spent, patience: _Patience) -> Completion:
        if not alive():
            raise Dropped
        price, meter = lane.price, self._meter
        most = Usage(worst_input_tokens(request), request.max_tokens, guessed=True)
        reserved = Charge(
            1, most.input_tokens, most.output_tokens, 0 if price is None else worst(price, most.input_tokens, most.output_tokens)
        )
        await meter.reserve(reserved)
        settled = unsent = Charge(requests=0)

        def sent() -> None:
            nonlocal settled
            if settled is unsent:
                self._count(spent)
                settled = reserved  # unless we learn better

        try:
            try:
                if lane.jobs is None:
                    with self.moving:
                        completion = await self._through_gate(lane, request, alive, spent, patience, most, sent)
                else:
                    answered = await lane.jobs.ask(request, alive, sent)
                    if answered is None:
                        raise Dropped
                    completion = answered
            except ProviderError as error:
                if error.charged:
                    spent.wasted += 1
                    spent.add(most, reserved.nanodollars)
                elif settled is reserved:
                    settled = Charge(requests=1)
                raise
            usage = _plausible(completion.usage, most)
            settled = (
                reserved
                if usage.guessed
                else Charge(1, usage.input_tokens, usage.output_tokens, 0 if price is None else actual(price, usage))
            )
            spent.add(usage, settled.nanodollars)
            self.counters.cached_tokens += usage.cached_tokens
            return completion
        finally:
            meter.settle(reserved, settled)

    async def _through_gate(
        self,
        lane: _Lane,
        request: Request,
        alive: Callable[[], bool],
        spent: _Spent,
        patience: _Patience,
        most: Usage,
        sent: Callable[[], None],
    ) -> Completion:
        if lane.provider is None:
            lane.provider = self._open(request.model)
        try:
            ticket, waited = await lane.gate.ready(most.input_tokens + most.output_tokens, patience.seconds)
        except Closed as closed:
            raise patience.exhausted(closed.seconds) from None
        patience.seconds -= waited
        outcome: Outcome = "failed"
        retry_after: float | None = None
        try:
            if not alive():
                raise Dropped
            sent()
            began = time.monotonic()
            completion = await lane.provider.complete(request)
            spent.seconds = time.monotonic() - began
            outcome = "ok"
            return completion
        except ProviderError as error:
            retry_after = error.retry_after
            if error.status in _PUSHED_BACK and error.retryable:
                outcome = "pushed back"
            raise
        finally:
            lane.gate.done(ticket, outcome, retry_after)

    def _count(self, spent: _Spent) -> None:
        self.counters.requests += 1
        if spent.sent or spent.again:
            self.counters.retries += 1
        spent.sent += 1


def _patience(lane: _Lane, request: Request) -> _Patience:
    """What one call has: of jobs each of which may take a day, fewer tries."""
    return _Patience(request.model.name, limits.RETRIES if lane.jobs is None else limits.JOB_TRIES)


@define
class _Patience:
    """How much waiting and trying is left to one call."""

    model: str
    tries: int
    seconds: float = field(factory=lambda: limits.RETRY_SECONDS)
    failures: int = 0
    last: str = ""

    def after(self, error: ProviderError) -> float:
        """Seconds to wait after `error`; raises Failure when it is not to be retried, or there was enough of it."""
        self.failures += 1
        self.last = error.message
        if not error.retryable:
            raise Failure(f"model {self.model}: {error.message}")
        if self.failures >= self.tries:
            raise Failure(f"model {self.model}: {error.message} (tried {self.failures} times)")
        pause = error.retry_after if error.retry_after and error.retry_after > 0 else backoff(self.failures)
        if pause > self.seconds:
            raise self.exhausted(pause)
        if error.status not in _PUSHED_BACK:
            self.seconds -= pause
        return pause

    def exhausted(self, seconds: float) -> Failure:
        """The failure of a call that would have to wait `seconds` more."""
        what = self.last or "the server is limiting requests"
        return Failure(f"model {self.model}: {what}; the next try would be in {seconds:,.0f} s, too late for this call")


def reask(request: Request, bad: str | None, problem: str) -> Request:
    """`request` with the bad reply and what is wrong with it appended: the reply cut to what it was allowed, the problem to
    CORRECTION_BYTES. So it is at most `8 * max_tokens + CORRECTION_BYTES` bytes and two messages longer than `request`."""
    said = _cut(bad or "(nothing)", limits.REPLY_BYTES_PER_TOKEN * request.max_tokens)
    wanted = "Reply again, with what was asked for and nothing else."
    if request.type != TEXT:
        wanted = "Reply again, with JSON of the form asked for and nothing else."
    correction = _cut(problem, limits.CORRECTION_BYTES - len(wanted) - 1) + " " + wanted
    return evolve(request, messages=(*request.messages, Message("assistant", said), Message("user", correction)))


def _cut(text: str, most: int) -> str:
    """`text` cut to `most` bytes of UTF-8; what no encoding can hold is replaced."""
    if utf8_length(text) <= most and text.isascii():
        return text
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _plausible(usage: Usage | None, most: Usage) -> Usage:
    """The usage that the provider gave, or the worst case where it gave none, or none that can be true."""
    if (
        usage is None
        or not 0 < usage.input_tokens <= most.input_tokens
        or not 0 < usage.output_tokens <= most.output_tokens
        or not 0 <= usage.cached_tokens <= usage.input_tokens
    ):
        return most
    return usage
