"""The requests of one model that go by its Batch API: collected into jobs, waited for, and found again after a kill.

    ask ──> in a job already? ──────────────> waits for that job
      └───> waits for company ── go() ──────> noted in the journal -> file sent -> noted -> job made -> noted -> waits for it
                                              job ended: replies handed out; what has none is struck from the journal, and fails

`go` is called when nothing else in the run can move, so a job holds all requests that can be known by then. Each step is in the journal
before the next one begins, and only one process at a time makes jobs on a journal: whoever finds a job there that was not finished by
its maker may ask the server how far it came, and so nothing is ever paid twice. A reply stays findable until the run that used it is over.

Requests without a reply are not sent again here: each fails with what its caller needs to decide that (`lm.client`). The exception are
those that were refused because of others: the queue of the account is full, or another line of the file was wrong.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final

from attrs import define, field

from rlmlang import limits
from rlmlang.errors import RlmError
from rlmlang.lm.job_making import Line, Maker, patiently
from rlmlang.lm.journal import JobRecord, Journal
from rlmlang.lm.providers.batch_api import BatchApi, Fault, JobState
from rlmlang.lm.request import Completion, ProviderError, Request
from rlmlang.syntax.diagnostics import plural

_QUEUE_FULL: Final = "token_limit_exceeded"  # a code: the account has no room for more until others of its jobs are done
_END: Final = {"completed": "is done", "cancelled": "was cancelled", "unknown": "is not known any more"}
_PAUSES: Final = 1_000  # lines after which others get a turn


@define(eq=False)
class Job:
    """A job that this process waits for. `left` are replies that nobody has asked for yet, by their place in `replies`."""

    record: JobRecord
    host: str
    lines: dict[bytes, list[Line]] = field(factory=dict)
    state: JobState | None = None
    ended: bool = False
    broken: Exception | None = None
    left: dict[bytes, tuple[int, int]] = field(factory=dict)
    replies: IO[bytes] | None = None

    def add(self, line: Line) -> None:
        line.placed = True
        self.lines.setdefault(line.key, []).append(line)

    def close(self) -> None:
        if self.replies is not None:
            self.replies.close()
        self.replies, self.left = None, {}


class Jobs:
    """The jobs of one model, within one event loop. `tell` is handed what a user should know, a line of text at a time."""

    def __init__(self, api: BatchApi, journal: Journal, tell: Callable[[str], None]) -> None:
        self._api = api
        self._journal = journal
        self._tell = tell
        self._waiting: list[Line] = []
        self._jobs: dict[str, Job] = {}
        self._making: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._maker = Maker(api, journal, self._join, self._sent)

    @property
    def under_way(self) -> list[Job]:
        """The jobs that the server works on, as far as is known."""
        return [job for job in self._jobs.values() if not job.ended]

    async def ask(self, request: Request, alive: Callable[[], bool], sent: Callable[[], None]) -> Completion | None:
        """What the model says, whenever that is; None where `alive` was false before the request was sent. `sent` is called when it may
        have to be paid from here on. Raises ProviderError, or RlmError of the journal."""
        line = Line(request.key, request, alive, sent)
        record = self._journal.find(line.key)
        if record is None or record.id is None or not self._join(record, line):
            self._waiting.append(line)
        return await line.reply

    def go(self) -> bool:
        """Begins to send what waits; whether anything does."""
        if not self._waiting or (self._making is not None and not self._making.done()):
            return False
        lines, self._waiting = self._waiting, []
        self._making = self._spawn(self._make(lines))
        return True

    async def settle(self) -> None:
        """The run is over: strikes the replies that it has used, so that a later one may ask again."""
        with suppress(RlmError):  # else they are found again
            for token, job in self._jobs.items():
                if job.ended and job.broken is None:
                    await self._journal.strike(token, self._journal.keys(token).keys() - job.left.keys())
            await self._journal.tidy()

    async def close(self) -> None:
        """Waits for nothing any more; the jobs go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs.values():
            job.close()
        await self._api.close()

    def _ours(self, error: Exception) -> Exception:
        """`error` as one that may leave here."""
        if isinstance(error, (ProviderError, RlmError)):
            return error
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return RlmError(f"the jobs at {self._api.host} cannot be followed: {why.lower()}", hint="the same command goes on from there")

    def _spawn(self, code: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(code)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _make(self, lines: Sequence[Line]) -> None:
        """Puts requests into jobs, the ones that another process has put there meanwhile aside."""
        try:
            async with self._journal.making():
                await self._maker.place(lines)
        except Exception as error:
            for line in lines:
                if not line.placed:
                    line.land(self._ours(error))

    # ---- jobs that are there ----

    def _join(self, record: JobRecord, line: Line) -> bool:
        """Lets a request wait for the job that it is in; False where that has no reply for it any more."""
        job = self._jobs.get(record.token)
        if job is None:
            job = self._follow(record)
            self._tell(f"job {record.id} at {self._api.host} is found again: {plural(record.count, 'request')}")
        if job.broken is not None:
            line.land(job.broken)
        elif not job.ended:
            line.sent()
            job.add(line)
        elif line.key in job.left:
            line.sent()
            line.land(self._read(job, line.key))
        else:
            return False
        return True

    def _sent(self, record: JobRecord, lines: Mapping[bytes, Sequence[Line]]) -> None:
        """Follows a job that was made for these requests."""
        job = self._follow(record)
        for line in (line for each in lines.values() for line in each):
            job.add(line)
        self._tell(f"job {record.id} at {self._api.host} is sent: {plural(record.count, 'request')}")

    def _follow(self, record: JobRecord) -> Job:
        job = self._jobs[record.token] = Job(record, self._api.host)
        self._spawn(self._watch(job))
        return job

    async def _watch(self, job: Job) -> None:
        """Waits for the end of a job and hands out what it gave."""
        try:
            state = await self._until_ended(job)
            await self._hand_out(job, state)
        except Exception as error:
            job.broken, job.ended = self._ours(error), True
            for lines in job.lines.values():
                for line in lines:
                    line.land(job.broken)
            job.lines.clear()

    async def _until_ended(self, job: Job) -> JobState:
        """Asks about a job, more and more seldom. Raises ProviderError where it cannot be known what became of it."""
        id, pause = job.record.id, limits.JOB_POLL_FIRST
        assert id is not None
        while True:
            try:
                job.state = await self._api.state(id)
                if job.state.ended:
                    return job.state
            except ProviderError as error:
                if error.status == 404:
                    return JobState(id, "unknown")
                if not error.retryable:
                    raise _kept(job, error.message) from None
                pause = max(pause, min(error.retry_after or 0.0, limits.JOB_POLL_LONGEST))
            if time.time() > job.record.created + limits.JOB_SECONDS + limits.JOB_LATE:
                raise _kept(job, f"{self._api.host} has not answered in time")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, limits.JOB_POLL_LONGEST)

    async def _hand_out(self, job: Job, state: JobState) -> None:
        """Gives each request its reply, or what there is instead; keeps replies that nobody asks for (yet)."""
        token = job.record.token
        replies = job.replies = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the job
        for file in state.outputs:
            await self._fetch(job, file, replies)
        wanted = self._journal.keys(token)
        open_, errors = wanted.keys() | job.lines.keys(), dict[bytes, ProviderError]()  # others may have struck what they used
        total = len(open_)
        for at, (start, size, name, outcome) in enumerate(self._outcomes(replies)):
            if at % _PAUSES == _PAUSES - 1:
                await asyncio.sleep(0)
            key = _key(name)
            if key not in open_:
                continue
            if isinstance(outcome, ProviderError):
                errors.setdefault(key, outcome)
                continue
            open_.remove(key)
            lines = job.lines.pop(key, None)
            if lines is None:
                job.left[key] = start, size
            for line in lines or ():
                line.land(outcome)
        await self._journal.strike(token, open_)
        job.ended = True
        rest, job.lines = job.lines, {}
        for key in job.left.keys() & rest.keys():  # those that came meanwhile
            for line in rest.pop(key):
                line.land(self._read(job, key))
        if not job.left:
            job.close()
        self._tell(f"job {state.id} at {self._api.host} {_END.get(state.status, state.status)}: {total - len(open_):,} answered")
        self._without_reply(state, wanted, rest, errors)

    def _without_reply(
        self, state: JobState, places: Mapping[bytes, int], rest: dict[bytes, list[Line]], errors: dict[bytes, ProviderError]
    ) -> None:
        """Fails the requests that a job did not answer, or sends them again where they were not the reason."""
        fault = state.faults[0] if state.faults else None
        of_lines = {fault.line: fault for fault in state.faults if fault.line is not None}
        crowded = state.status == "failed" and any(_is_crowded(fault) for fault in state.faults)
        if crowded:
            self._maker.most = max(1, min(self._maker.most, len(places)) // 2)
        again: list[Line] = []
        now = time.monotonic()
        for key, lines in rest.items():
            own = of_lines.get(places.get(key, 0))
            for line in lines:
                line.turned_away += 1
                if key in errors:
                    line.land(errors[key])
                elif own is not None and not crowded:
                    line.land(ProviderError(f"{self._api.host} refused the request: {own.message}", status=400))
                elif now < line.since + limits.JOB_SECONDS if crowded else of_lines and line.turned_away <= limits.JOB_TRIES:
                    again.append(line)
                else:
                    line.land(_no_reply(state, self._api.host, fault))
        if again:
            self._spawn(self._again(again, limits.JOB_POLL_LONGEST if crowded and again[0].turned_away > 1 else 0.0))

    async def _again(self, lines: Sequence[Line], pause: float) -> None:
        await asyncio.sleep(pause)
        for line in lines:
            line.placed = False
        self._waiting.extend(lines)

    async def _fetch(self, job: Job, file: str, into: IO[bytes]) -> None:
        """Appends a file of replies. Raises ProviderError; one that is not there any more holds nothing."""
        start = into.tell()

        async def fetched() -> None:
            into.seek(start)
            into.truncate()
            await self._api.fetch(file, into)
            into.write(b"\n")

        try:
            await patiently(fetched)
        except ProviderError as error:
            if error.status != 404:
                raise _kept(job, error.message) from None

    def _outcomes(self, replies: IO[bytes]) -> Iterator[tuple[int, int, str, Completion | ProviderError]]:
        """Place, length, name and content of each line of `replies` that is about a request."""
        start = replies.seek(0)
        while line := replies.readline(limits.REPLY_BYTES + 1):
            found = self._api.reply(line)
            if found is not None:
                yield start, len(line), *found
            start += len(line)

    def _read(self, job: Job, key: bytes) -> Completion | ProviderError:
        """A reply that was kept."""
        start, size = job.left.pop(key)
        assert job.replies is not None
        job.replies.seek(start)
        found = self._api.reply(job.replies.read(size))
        assert found is not None
        return found[1]


def _key(name: str) -> bytes:
    """The key of a request by its name in a file; one that no request has where it is none."""
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


def _is_crowded(fault: Fault) -> bool:
    return fault.code == _QUEUE_FULL or "nqueued token limit" in fault.message


def _kept(job: Job, message: str) -> ProviderError:
    """The error of requests whose job goes on, for all that is known: they were paid, and a later run may still get their replies."""
    return ProviderError(f"{message}; the job {job.record.id} is kept in mind, and the same command asks for it again", charged=True)


def _no_reply(state: JobState, host: str, fault: Fault | None) -> ProviderError:
    """The error of a request that its job says nothing of."""
    match state.status:
        case "failed":
            why = fault.message if fault is not None else "no reason was given"
            return ProviderError(f"{host} refused the job {state.id}: {why}", retryable=fault is None)
        case "expired":
            return ProviderError(f"the job {state.id} at {host} expired before it came to this request", retryable=True)
        case "cancelled":
            return ProviderError(f"the job {state.id} at {host} was cancelled before it came to this request", retryable=True)
    return ProviderError(f"the job {state.id} at {host} gave no reply to this request", retryable=True, charged=True)
