"""How requests become jobs of a Batch API (`lm.jobs`): a step at a time, each in the journal before the next.

Here is also what is done about a job whose maker was stopped on the way: the server is asked how far it came.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import IO, TypeVar

from attrs import define, evolve, field

from rlmlang import limits
from rlmlang.lm.gate import backoff
from rlmlang.lm.journal import Answered, JobRecord, Journal
from rlmlang.lm.providers.batch_api import BatchApi, JobState
from rlmlang.lm.request import Completion, ProviderError, Request

T = TypeVar("T")


@define(eq=False)
class Line:
    """A request that waits for its reply (None: nobody wanted it before it was sent). `sent` is called before it may be billed."""

    key: bytes
    request: Request
    alive: Callable[[], bool]
    sent: Callable[[], None]
    reply: asyncio.Future[Completion | None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    placed: bool = False  # in a job
    turned_away: int = 0
    since: float = field(factory=time.monotonic)

    def wanted(self) -> bool:
        """Whether anybody waits for it still; if not, it is over."""
        if not self.reply.done() and not self.alive():
            self.reply.set_result(None)
        return not self.reply.done()

    def land(self, outcome: Completion | BaseException) -> None:
        if self.reply.done():
            return
        if isinstance(outcome, BaseException):
            self.reply.set_exception(copy(outcome))  # one that many share would collect the tracebacks of all
        else:
            self.reply.set_result(outcome)


class Maker:
    """Makes the jobs of one model. `join` lets a request wait for a job that is there (False: it has no reply for it); `sent` is told of
    one that was made, with the requests in it."""

    def __init__(
        self,
        api: BatchApi,
        journal: Journal,
        join: Callable[[JobRecord, Line], bool],
        sent: Callable[[JobRecord, Mapping[bytes, Sequence[Line]]], None],
    ) -> None:
        self.most = limits.JOB_LINES  # of one job; less once the account's queue was too full for so many
        self._api = api
        self._journal = journal
        self._join = join
        self._sent = sent

    async def place(self, lines: Sequence[Line]) -> None:
        """Puts each of these requests into a job, unless nobody wants it any more, or it is in one, or answered (it lands with Answered).
        For whom the journal's jobs may be made. Raises ProviderError for those that are in none then, or RlmError."""
        fresh: dict[bytes, list[Line]] = {}
        for line in lines:
            if line.wanted():
                fresh.setdefault(line.key, []).append(line)
        unfinished: dict[str, JobRecord] = {}
        placed: dict[str, list[bytes]] = {}
        for key in fresh:
            record = self._journal.find(key)
            if record is not None:
                unfinished[record.token] = record
                placed.setdefault(record.token, []).append(key)
        for token, record in unfinished.items():
            made = record if record.id is not None else await self._finish(record, fresh)
            if made is not None:
                for key in placed[token]:
                    fresh[key] = [line for line in fresh[key] if not self._join(made, line)]
        for lines in fresh.values():
            self._leave_answered(lines)
        await self._send({key: waiting for key, waiting in fresh.items() if waiting})

    def _leave_answered(self, lines: list[Line]) -> None:
        """Lets a request be whose reply was found missing before another run, now over, had it and left the journal."""
        if lines and all(self._journal.answered(each.key) for each in lines[0].request.batch or (lines[0].request,)):
            for line in lines:
                line.land(Answered())
            lines.clear()

    async def _finish(self, record: JobRecord, asked: dict[bytes, list[Line]]) -> JobRecord | None:
        """A job whose maker was stopped, found at the server or made there; None where it is forgotten, since nothing was paid for it."""
        token, file = record.token, record.file
        if file is None:
            with suppress(ProviderError):
                file = await patiently(lambda: self._api.find_file(token))
        if file is None:
            await self._journal.strike(token)
            return None
        record = evolve(record, file=file)
        state = await patiently(lambda: self._api.find_job(file, token))
        if state is None:
            keys = self._journal.keys(token)
            if len(keys) < record.count or not all(key in asked for key in keys):  # it would be paid for more than was asked
                await self._journal.strike(token)
                return None
            for key in keys:
                for line in asked[key]:
                    line.sent()
            try:
                state = await self._create(record)
            except ProviderError as error:
                if not error.charged:
                    await self._journal.strike(token)
                raise
        record = evolve(record, id=state.id)
        await self._journal.note(record)
        return record

    async def _send(self, fresh: dict[bytes, list[Line]]) -> None:
        """Sends requests, as many to a job as it takes. Raises ProviderError for those that are in none yet."""
        rest = iter(list(fresh.items()))
        carried: tuple[bytes, bytes] | None = None
        while True:
            with tempfile.TemporaryFile() as file:
                keys, carried = self._pack(file, rest, carried)
                if not keys:
                    return
                await self._send_job(file, {key: fresh[key] for key in keys})

    def _pack(
        self, file: IO[bytes], rest: Iterator[tuple[bytes, list[Line]]], carried: tuple[bytes, bytes] | None
    ) -> tuple[list[bytes], tuple[bytes, bytes] | None]:
        """Writes as many requests into `file` as a job takes; their keys, and the key and line of one that did not fit."""
        keys: list[bytes] = []
        if carried is not None:
            file.write(carried[1])
            keys.append(carried[0])
        while len(keys) < self.most and (following := next(rest, None)) is not None:
            key, lines = following
            text = self._api.line(key.hex(), lines[0].request)
            if len(text) > limits.JOB_BYTES:
                for line in lines:
                    line.land(ProviderError(f"the request has {len(text):,} bytes, a job takes {limits.JOB_BYTES:,}", status=413))
                continue
            if keys and file.tell() + len(text) > limits.JOB_BYTES:
                return keys, (key, text)
            file.write(text)
            keys.append(key)
        return keys, None

    async def _send_job(self, file: IO[bytes], lines: dict[bytes, list[Line]]) -> None:
        """Makes one job, a step at a time, each noted before the next. Raises ProviderError where there is none then."""
        token = secrets.token_hex(16)
        record = await self._journal.begin(token, list(lines))
        try:
            record = evolve(record, file=await patiently(lambda: self._api.upload(file, token)))
        except ProviderError as error:
            await self._journal.strike(token)
            raise self._refused(error) from None
        await self._journal.note(record)
        for line in (line for each in lines.values() for line in each):
            line.sent()
        try:
            state = await self._create(record)
        except ProviderError as error:
            if error.charged:
                raise
            await self._journal.strike(token)
            raise self._refused(error) from None
        record = evolve(record, id=state.id)
        await self._journal.note(record)
        self._sent(record, lines)

    async def _create(self, record: JobRecord) -> JobState:
        """The job for a file that was sent. Raises ProviderError, `charged` where there may be a job all the same."""
        file, token = record.file, record.token
        assert file is not None
        unsure, failed = False, 0
        while True:
            try:
                if unsure:
                    found = await self._api.find_job(file, token)
                    if found is not None:
                        return found
                return await self._api.create(file, token)
            except ProviderError as error:
                failed += 1
                unsure = unsure or error.charged or (error.status or 0) >= 500
                if failed < limits.RETRIES and (error.retryable or error.charged):
                    await asyncio.sleep(_pause(error, failed))
                    continue
                if not unsure:
                    raise
                told = f"{error.message}; a job may have been made, and the same command looks for it"
                raise ProviderError(told, status=error.status, charged=True) from None

    def _refused(self, error: ProviderError) -> ProviderError:
        """The error of requests that could not be sent: nothing was paid."""
        message = error.message
        if error.status in (404, 405, 501):
            message += ": it seems to have no Batch API (leave out --batch, or set batch = false for the model)"
        return ProviderError(message, retryable=error.retryable, retry_after=error.retry_after, status=error.status)


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` gives, tried again while its errors may pass. Raises ProviderError."""
    failed = 0
    while True:
        try:
            return await attempt()
        except ProviderError as error:
            failed += 1
            if not error.retryable or failed >= limits.RETRIES:
                raise
            await asyncio.sleep(_pause(error, failed))


def _pause(error: ProviderError, failed: int) -> float:
    after = error.retry_after
    return min(after, limits.RETRY_SECONDS) if after is not None and after > 0 else backoff(failed)
