"""The calls of a run: answered from the memo, by an equal call under way, or by the model; and counted by the line they stand on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, field

from rlmlang.errors import Failure, RlmError
from rlmlang.lm.client import Client, Dropped
from rlmlang.lm.journal import Answered
from rlmlang.lm.render import Form, Part, form_of, read_data
from rlmlang.lm.request import Charge, Meter, Model, Reply, Request
from rlmlang.run.batches import Batches, Item
from rlmlang.run.flow import Here, Scope
from rlmlang.run.memo import Memo
from rlmlang.run.memo_rows import MemoRow
from rlmlang.run.seen import Figures, add_recalled, add_reply
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import Type

_FREE = (0, 0)
_FAILURES_KEPT = 1_000  # in the report; the rest is counted


@define(eq=False)
class Site:
    """A place in a program that calls a model, and what its calls took so far. `requests` and tokens are of the replies that came;
    money in nano-dollars, None once a price was unknown. `batch`: so many of its calls may share a request; `under_way`: calls that
    wait for their answer; `upstream`: the places that calls here may have to wait for. `solves`: it is a `solve`, with all calls inside
    it, and `model` writes its programs; `within`: the solves that count the calls of this place, too, the innermost first."""

    span: Span
    type: Type
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    calls: int = 0
    from_memo: int = 0
    shared: int = 0
    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nanodollars: int | None = 0
    batch: int = 1
    under_way: int = 0
    upstream: frozenset[Site] = frozenset()
    solves: bool = False
    within: tuple[Site, ...] = ()
    form: Form | None = None  # of its requests, once there was one
    seen: Figures = field(factory=dict)  # of replies that came
    recalled: Figures = field(factory=dict)  # of those that the memo had, where somebody wants to know

    @property
    def all(self) -> tuple[Site, ...]:
        """All that count a call of this place."""
        return (self, *self.within)

    @staticmethod
    def of(node: n.Call | n.Solve, type: Type) -> Site:
        """The site of a call or solve; its options are literals (the checker sees to that)."""
        options = {o.name: o.value.value for o in node.options if isinstance(o.value, n.Literal)}
        model, most, temperature = options.get("model"), options.get("max_tokens"), options.get("temperature")
        batch = options.get("batch")
        return Site(
            node.span,
            type,
            model if isinstance(model, str) else None,
            most if isinstance(most, int) else None,
            float(temperature) if isinstance(temperature, (int, float)) else None,
            batch=batch if isinstance(batch, int) else 1,
            solves=isinstance(node, n.Solve),
        )


@define(eq=False)
class FailureReport:
    """A failure that a run met: where, for which item, and how many requests were sent for it."""

    line: int
    item: str | None
    error: str
    attempts: int
    file: str


@define(eq=False)
class Tally(Meter):
    """A budget that also counts what was settled: every request, of calls that failed, too."""

    budget: Meter
    input_tokens: int = 0
    output_tokens: int = 0
    nanodollars: int = 0

    async def reserve(self, worst: Charge) -> None:
        await self.budget.reserve(worst)

    def settle(self, worst: Charge, actual: Charge) -> None:
        self.input_tokens += actual.input_tokens
        self.output_tokens += actual.output_tokens
        self.nanodollars += actual.nanodollars
        self.budget.settle(worst, actual)


# what a call asks: the key, what makes the request, and the data in it by which it may share one with others of its instruction
Draft = tuple[bytes, Callable[[], Request], Sequence[Part]]
Cost = tuple[int, int]  # tokens and nano-dollars of a reply
# is told of a call that is over: its place, how deep it is nested, what was asked, the value or Failure, what that took, whoever paid it
Watch = Callable[[Site, int, Request, Any, Cost], None]


@define(eq=False)
class _Flight:
    """A call under way, and the scopes of those who wait for its reply."""

    landed: asyncio.Future[Any]
    scopes: list[Scope] = field(factory=list)
    cost: Cost = (0, 0)

    def wanted(self) -> bool:
        return any(scope.alive() for scope in self.scopes)


_LOST = object()  # what a flight lands with when it was dropped before it was sent


class Calls:
    """Answers the calls of one run, within its event loop. With `recall` it also notes replies for which it did not have to ask. `watch`
    may be set before the first call."""

    def __init__(self, client: Client, memo: Memo, *, recall: bool = False) -> None:
        self.client = client
        self.memo = memo
        self._recall = recall
        self.watch: Watch | None = None
        self.rounds = 0
        self.depth = 0
        self.calls = 0
        self.from_memo = 0
        self.shared = 0
        self.unpriced: set[str] = set()
        self.failures: list[FailureReport] = []
        self.failures_dropped = 0
        self.batches = Batches(client, self._count_paid)
        self._flying: dict[bytes, _Flight] = {}
        self._failed: dict[bytes, Failure] = {}
        self._fetched: set[bytes] = set()  # asked for on behalf of calls that are not counted yet
        self._own: set[bytes] = set()  # rows of the memo that this run has paid for
        self._answers: dict[bytes, tuple[Any, Cost]] | None = {} if memo.path is None else None  # instead of the memo, for this run

    async def ask(
        self, site: Site, here: Here, prompt: str, data: Sequence[tuple[str | None, Any]], sample: int, system: str | None
    ) -> Any:
        """The value of one call. Raises Failure; Dropped where nobody needs it any more; what stops the run otherwise."""

        def draft() -> Draft:
            form = site.form or self.form(site)
            parts = read_data(data)
            content = form.content(prompt, parts)
            return form.key(content, sample, system), partial(form.request, content, sample, system), parts

        return await self.answer(site, here, draft, prompt)

    def form(self, site: Site) -> Form:
        """What all requests of a place share. Raises UsageError for a model that is not configured."""
        if site.form is None:
            site.form = form_of(site.type, self.client.model(site.model), site.max_tokens, site.temperature)
        return site.form

    async def answer(self, site: Site, here: Here, draft: Callable[[], Draft], prompt: str = "") -> Any:
        """The value of the reply to what `draft` gives. Raises as `ask`, and what `draft` raises."""
        nesting = here.run.nesting
        site.calls += 1
        for each in site.within:
            each.calls += 1
        site.under_way += 1
        self.calls += 1
        if nesting.level > self.depth:
            self.depth = nesting.level
        ledger = nesting.ledger
        if ledger is not None:
            ledger.ask()
        here.round += 1
        if here.round > self.rounds:
            self.rounds = here.round
        request: Callable[[], Request] | None = None
        try:
            key, request, parts = draft()
            while True:
                found, value, cost = self._known(key, site)
                if not found:
                    flight = self._flying.get(key)
                    if flight is None:
                        try:
                            value, cost = await self._fly(site, here, request(), key, prompt, parts)
                        except Answered:
                            continue
                    else:
                        value = await self._joined(flight, here)
                        if value is _LOST:
                            continue
                        self._count_again(site, key)
                        if isinstance(value, Failure):
                            raise value
                        cost = flight.cost
                        if self._recall and (row := self.memo.get(key)) is not None:
                            add_recalled(site.recalled, row.value, row.output_tokens)
                if ledger is not None:
                    ledger.pay(key, *cost)
                if self.watch is not None:
                    self.watch(site, nesting.level, request(), value, cost)
                return value
        except Failure as failure:
            for each in site.all:
                each.failed += 1
            if self.watch is not None and request is not None:
                self.watch(site, nesting.level, request(), failure, failure.cost)
            told = failure.anew(failure.message, span=site.span, attempts=failure.attempts, item=here.items)
            failure.bare()
            raise told from None
        except RlmError as stop:
            stop.span = stop.span or site.span
            here.run.stop(stop)
            raise
        finally:
            site.under_way -= 1
            self.batches.stir()

    def _known(self, key: bytes, site: Site) -> tuple[bool, Any, Cost]:
        """Whether the answer is there already, it, and what it took. Raises the Failure that an equal call ended with."""
        failed = self._failed.get(key)
        if failed is not None:
            self._count_again(site, key)
            raise failed
        if self._answers is not None:
            if key in self._answers:
                self._count_again(site, key)
                return True, *self._answers[key]
            return False, None, _FREE
        row = self.memo.get(key)
        if row is None:
            return False, None, _FREE
        if key in self._own:
            self._count_again(site, key)
        else:
            site.from_memo += 1
            for each in site.within:
                each.from_memo += 1
            self.from_memo += 1
        if self._recall:
            add_recalled(site.recalled, row.value, row.output_tokens)
        return True, row.value, (row.input_tokens + row.output_tokens, row.nanodollars or 0)

    def found(self, site: Site, level: int, keys: Sequence[bytes]) -> None:
        """Counts calls of a place for which another process of the run had the reply, from the memo or by `fetch`, `level` deep in
        solves."""
        own = self._own if self._answers is None else self._answers
        fetched = shared = 0
        if own or self._fetched:
            for key in keys:
                if key in self._fetched:
                    self._fetched.discard(key)
                    fetched += 1
                else:
                    shared += key in own
        from_memo = len(keys) - fetched - shared
        for each in site.all:
            each.calls += len(keys)
            each.shared += shared
            each.from_memo += from_memo
        self.calls += len(keys)
        self.shared += shared
        self.from_memo += from_memo
        self.depth = max(self.depth, level)

    async def fetch(self, site: Site, here: Here, key: bytes, request: Callable[[], Request]) -> Any:
        """The reply that a call wants which another process evaluates; `found` counts that call, or `answer` where it is done here after
        all. Raises as `ask`."""
        while True:
            failed = self._failed.get(key)
            if failed is not None:
                raise failed.anew(failed.message, attempts=failed.attempts)
            if self._answers is not None and key in self._answers:
                return self._answers[key][0]
            row = self.memo.peek(key)
            if row is not None:
                return row.value
            flight = self._flying.get(key)
            if flight is None:
                self._fetched.add(key)
                try:
                    return (await self._fly(site, here, request(), key, "", ()))[0]
                except Answered:
                    self._fetched.discard(key)
                except Failure as failure:
                    told = failure.anew(failure.message, attempts=failure.attempts)
                    failure.bare()
                    raise told from None
                except BaseException:  # it was not sent
                    self._fetched.discard(key)
                    raise
            else:
                value = await self._joined(flight, here)
                if isinstance(value, Failure):
                    raise value.anew(value.message, attempts=value.attempts)
                if value is not _LOST:
                    return value

    async def _joined(self, flight: _Flight, here: Here) -> Any:
        """What an equal call under way lands with; _LOST where it has to be sent anew. Raises Dropped."""
        flight.scopes.append(here.scope)
        value = await asyncio.shield(flight.landed)
        if value is _LOST and not here.scope.alive():
            raise Dropped
        return value

    def _count_again(self, site: Site, key: bytes) -> None:
        """Counts a call whose reply, or failure, this run has: it shares that with another, unless it was fetched for it."""
        if key in self._fetched:
            self._fetched.discard(key)
        else:
            self._count_shared(site)

    def _count_shared(self, site: Site) -> None:
        for each in site.all:
            each.shared += 1
        self.shared += 1

    async def _fly(self, site: Site, here: Here, request: Request, key: bytes, prompt: str, parts: Sequence[Part]) -> tuple[Any, Cost]:
        """Sends the call, alone or with others; equal calls wait for it meanwhile."""
        flight = self._flying[key] = _Flight(asyncio.get_running_loop().create_future(), [here.scope])
        landed: Any = _LOST
        try:
            await here.run.own_task()

            async def commit(reply: Reply) -> None:
                await self._keep(key, request.model, reply)

            if site.batch > 1 and parts:
                reply = await self.batches.ask(site, here.run, Item(prompt, parts, request, flight.wanted, commit))
            else:
                reply = await self._send(site, request, flight, commit)
            flight.cost = _cost(reply)
            landed = reply.value
            add_reply(site.seen, request, reply, shared=site.batch > 1)
            return landed, flight.cost
        except Failure as failure:
            landed = self._failed[key] = failure
            if failure.attempts and self.client.price(request.model) is None:
                self.unpriced.add(request.model.name)
                for each in site.all:
                    each.nanodollars = None
            raise
        finally:
            del self._flying[key]
            flight.landed.set_result(landed)

    async def _send(self, site: Site, request: Request, flight: _Flight, commit: Callable[[Reply], Awaitable[None]]) -> Reply:
        self.batches.sending += 1
        try:
            reply = await self.client.send(request, alive=flight.wanted, commit=commit)
            self._count_paid(site, request, reply)
            return reply
        finally:
            self.batches.sending -= 1

    def _count_paid(self, site: Site, request: Request, reply: Reply) -> None:
        if reply.nanodollars is None:
            self.unpriced.add(request.model.name)
        for each in site.all:
            each.requests += reply.requests
            each.input_tokens += reply.usage.input_tokens
            each.output_tokens += reply.usage.output_tokens
            if reply.nanodollars is None:
                each.nanodollars = None
            elif each.nanodollars is not None:
                each.nanodollars += reply.nanodollars

    async def _keep(self, key: bytes, model: Model, reply: Reply) -> None:
        if self._answers is not None:
            self._answers[key] = reply.value, _cost(reply)
            return
        usage = reply.usage
        row = MemoRow(
            reply.value, usage.input_tokens, usage.output_tokens, usage.cached_tokens, reply.nanodollars, model.name, int(time.time())
        )
        self._own.add(key)  # before it can be found
        try:
            await self.memo.put(key, row)
        except RlmError:
            self._own.discard(key)
            raise

    @property
    def kept(self) -> int:
        """How many answers this run has paid for and put into the memo store."""
        return len(self._own)

    # ---- failures, for the report ----

    def taken(self, failure: Failure) -> None:
        """`otherwise` took a failure: one of a call is reported all the same."""
        if failure.attempts:
            self.report(failure)

    def report(self, failure: RlmError) -> None:
        """Puts a failure into the report."""
        if len(self.failures) >= _FAILURES_KEPT:
            self.failures_dropped += 1
            return
        item = failure.item if isinstance(failure, Failure) else ()
        span = failure.span
        self.failures.append(
            FailureReport(
                0 if span is None else span.line,
                " / ".join(item) or None,
                failure.message,
                failure.attempts if isinstance(failure, Failure) else 0,
                "" if span is None else span.source.name,
            )
        )


def drafted(request: Request) -> Callable[[], Draft]:
    """A request that is made already, for `Calls.answer`."""
    return lambda: (request.key, lambda: request, ())


def _cost(reply: Reply) -> Cost:
    return reply.usage.input_tokens + reply.usage.output_tokens, reply.nanodollars or 0
