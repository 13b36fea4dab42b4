"""The limiter of one model: how many calls at once, requests and tokens a minute, and one back-off that all calls share.

A call holds a *slot* from `enter` to `leave`, through all its attempts and until its reply is stored. Each attempt passes the gate
(`ready` … `done`). When the server pushes back (429, 503), nobody sends until the pause is over; then one attempt goes first, as a
probe, and the others follow once it got through. The window of attempts under way halves with each push-back and grows by one for
each windowful that succeeds, until it is the model's concurrency again.

Waiters pass one at a time, in order of arrival. All times are of the monotonic clock, in seconds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from rlmlang import limits

_MINUTE = 60.0

Outcome = Literal["ok", "failed", "pushed back"]


class Closed(Exception):
    """The gate stays closed longer than the caller wants to wait: `seconds` more."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"closed for {seconds:.1f} s")
        self.seconds = seconds


class Gate:
    """One per model and event loop."""

    def __init__(
        self,
        concurrency: int,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._most = max(1, concurrency)
        self._free = self._most
        self._entering: deque[asyncio.Future[None]] = deque()
        self._requests, self._tokens = requests_per_minute, tokens_per_minute
        self._sent: deque[tuple[float, int]] = deque()  # of the last minute: when, and how many tokens
        self._sent_tokens = 0
        self._queue: deque[asyncio.Future[None]] = deque()  # those before the gate; the first is looking, the others wait for it
        self._bell: asyncio.Future[None] | None = None  # rung when something changed for the one that looks
        self._window = float(self._most)
        self._sending = 0
        self._epoch = 0  # one more with each push-back that counts
        self._until = 0.0  # nobody sends before
        self._strikes = 0  # push-backs since the last success
        self._trial = False  # pushed back, and no probe got through yet
        self._trial_since = 0.0
        self._trial_seconds = 0.0  # of the earlier ones together
        self._probing = False
        self._plain = requests_per_minute is None and tokens_per_minute is None

    # ---- slots ----

    async def enter(self) -> None:
        """Waits for a slot."""
        if self._free and not self._entering:
            self._free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._entering.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave()  # it was handed over just before
            elif waiter in self._entering:  # else a slot was given back meanwhile, and it was passed over
                self._entering.remove(waiter)
            raise

    def leave(self) -> None:
        """Gives the slot back, to the call that has waited longest."""
        while self._entering:
            waiter = self._entering.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    # ---- attempts ----

    async def ready(self, tokens: int, patience: float) -> tuple[int, float]:
        """Waits until an attempt of `tokens` may be sent. Gives the ticket for `done`, and the seconds that back-off took.

        Raises Closed when back-off would take more than `patience` seconds. Waiting for a rate does not count as such.
        """
        if self._plain and not self._trial and not self._queue and self._sending + 1 <= self._window:
            self._sending += 1
            return self._epoch, 0.0
        before = self._backed_off(self._clock())
        await self._first_in_line()
        try:
            while True:
                now = self._clock()
                waited = self._backed_off(now) - before
                pause = self._obstacle(now, tokens)
                if pause == 0:
                    break
                if self._trial and waited + (pause or 0.0) > patience:
                    raise Closed(pause or 0.0)
                await self._wait(pause)
            self._probing = self._trial
            self._sending += 1
            if not self._plain:
                self._sent.append((now, tokens))
                self._sent_tokens += tokens
            return self._epoch, waited
        finally:
            self._queue.popleft()
            if self._queue:
                _ring(self._queue[0])

    def done(self, ticket: int, outcome: Outcome, retry_after: float | None = None) -> None:
        """An attempt ended: it got through, failed in a way that says nothing of the load, or was pushed back (for so many seconds)."""
        self._sending -= 1
        current = ticket == self._epoch
        if outcome == "pushed back":
            now = self._clock()
            if current:
                self._epoch += 1
                self._strikes += 1
                self._probing = False
                if not self._trial:  # a probe's failure says nothing of how many are too many
                    self._window = max(1.0, self._window / 2)
                    self._trial, self._trial_since = True, now
            pause = retry_after if retry_after and retry_after > 0 else backoff(self._strikes)
            if current or retry_after:
                self._until = max(self._until, now + pause)
        elif current:
            if outcome == "ok":
                if self._trial:
                    self._trial_seconds = self._backed_off(self._clock())
                self._trial, self._strikes = False, 0
                if self._window < self._most:
                    self._window = min(float(self._most), self._window + 1 / self._window)
            self._probing = False
        if self._bell is not None:
            _ring(self._bell)

    def _backed_off(self, now: float) -> float:
        """Seconds that this gate has spent in back-off, all together."""
        return self._trial_seconds + (now - self._trial_since if self._trial else 0.0)

    def _obstacle(self, now: float, tokens: int) -> float | None:
        """For how many seconds the next attempt is kept (None: until an attempt ends; 0: not at all)."""
        if self._trial and self._until > now:
            return self._until - now
        if (self._trial and self._probing) or self._sending + 1 > self._window:
            return None
        return 0.0 if self._plain else self._rate_pause(now, tokens)

    def _rate_pause(self, now: float, tokens: int) -> float:
        sent = self._sent
        while sent and sent[0][0] <= now - _MINUTE:
            self._sent_tokens -= sent.popleft()[1]
        if not sent:
            return 0.0  # also for a request larger than a minute's tokens
        pause = 0.0
        if self._requests is not None and len(sent) >= self._requests:
            pause = sent[len(sent) - self._requests][0] + _MINUTE - now
        if self._tokens is not None and (over := self._sent_tokens + tokens - self._tokens) > 0:
            for when, tokens_then in sent:  # the last is always enough: then nothing is left
                over -= tokens_then
                if over <= 0 or when == sent[-1][0]:
                    pause = max(pause, when + _MINUTE - now)
                    break
        return pause

    async def _first_in_line(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        first = not self._queue
        self._queue.append(turn)
        if first:
            return
        try:
            await turn
        except asyncio.CancelledError:
            at_head = self._queue[0] is turn
            self._queue.remove(turn)
            if at_head and self._queue:
                _ring(self._queue[0])
            raise

    async def _wait(self, seconds: float | None) -> None:
        """Until something changed, at most so long."""
        loop = asyncio.get_running_loop()
        self._bell = bell = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _ring, bell)
        try:
            await bell
        finally:
            self._bell = None
            if timer is not None:
                timer.cancel()


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row (from 1) where the server did not say: doubling, with jitter of a half."""
    return min(limits.RETRY_LONGEST, limits.RETRY_FIRST * 2.0 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0)


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)
