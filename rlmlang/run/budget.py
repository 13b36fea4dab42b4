"""The budget of a run: limits as a user writes them, and the meter that no set of calls under way can overrun.

Each attempt reserves its worst case before it is sent and settles what it really took. At all times spent + reserved <= limit, in
integers (nano-dollars, nanoseconds). Whoever does not fit beside the reservations waits, first come first served; whoever can never fit
is told so. It does not know what a call costs, and does not watch the depth: both are settled before a call comes here.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from rlmlang.errors import BudgetError, UsageError
from rlmlang.lm.request import Charge
from rlmlang.syntax.diagnostics import printable

if TYPE_CHECKING:
    from asyncio import Future

Kind = Literal["calls", "tokens", "dollars", "seconds", "depth"]

NANO: Final = 1_000_000_000
_METERED: Final[tuple[Kind, Kind, Kind]] = ("calls", "tokens", "dollars")
_SCALES: Final = {"k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_UNITS: Final[dict[str, tuple[Kind, int]]] = {
    **dict.fromkeys(("call", "calls", "request", "requests"), ("calls", 1)),
    **dict.fromkeys(("token", "tokens"), ("tokens", 1)),
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), ("dollars", NANO)),
    **dict.fromkeys(("cent", "cents"), ("dollars", NANO // 100)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", NANO)),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("seconds", 60 * NANO)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("seconds", 3_600 * NANO)),
    **dict.fromkeys(("depth", "deep", "level", "levels"), ("depth", 1)),
}
_WRITTEN: Final = re.compile(r"(\$?)\s*([0-9]{1,30}|[0-9]{1,3}(?:[,_][0-9]{3}){1,9})?(?:\.([0-9]{1,30}))?\s*(\$|[a-z ]*)")
_EXAMPLES: Final = "write for example '$2', '$0.50', '500 calls', '2M tokens', '10 min', '90 s', '1 h' or '3 depth'"


@frozen
class Limit:
    """At most `most` of a kind: calls (requests sent), tokens (in and out), dollars (nano-dollars), seconds (nanoseconds), depth."""

    kind: Kind
    most: int

    def __str__(self) -> str:
        return _amount(self.kind, self.most)


def parse_budget(text: str) -> Limit:
    """A limit as written: `$2`, `500 calls`, `2M tokens`, `10 min`, `3 depth`. Raises UsageError."""
    match = _WRITTEN.fullmatch(text.strip().lower())
    if match is None or (match[2] is None and match[3] is None):
        raise _no_budget(text, "")
    whole, decimals, word = match[2] or "0", match[3] or "", match[4].strip()
    scale = 1
    if word not in _UNITS and word[:1] in _SCALES:  # the `m` of `min` is no million
        scale, word = _SCALES[word[0]], word[1:].strip()
    if match[1] and word:
        raise _no_budget(text, " (it has two units)")
    unit = word or match[1]
    if not unit:
        raise _no_budget(text, " (of what?)")
    if unit not in _UNITS:
        raise _no_budget(text, f" (the unit {_quoted(unit)} is unknown)")
    kind, size = _UNITS[unit]
    if scale > 1 and kind in ("seconds", "depth"):
        raise _no_budget(text, "")
    most, rest = divmod(int(re.sub("[,_]", "", whole) + decimals) * size * scale, 10 ** len(decimals))
    if rest:
        raise _no_budget(text, " (it has too many decimals)")
    return Limit(kind, most)


def _no_budget(text: str, why: str) -> UsageError:
    return UsageError(f"{_quoted(text)} is no budget{why}: {_EXAMPLES}")


class Budget:
    """The meter of one run (`rlmlang.lm.request.Meter`), used from one event loop. The clock starts when it is made.

    Of several limits of one kind the smallest counts. `stopped` is the limit that first turned a call away, if one did.
    """

    def __init__(self, limits: Iterable[Limit] = (), *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._most: dict[Kind, int] = {}
        for limit in limits:
            self._most[limit.kind] = min(limit.most, self._most.get(limit.kind, limit.most))
        self._caps = (self._most.get("calls"), self._most.get("tokens"), self._most.get("dollars"))
        self._spent = (0, 0, 0)
        self._reserved = (0, 0, 0)
        self._waiting: deque[tuple[_Amounts, Future[None]]] = deque()
        self._clock = clock
        self._start = clock()
        self.stopped: Limit | None = None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """One limit a kind."""
        return tuple(Limit(kind, most) for kind, most in self._most.items())

    def most(self, kind: Kind) -> int | None:
        """The limit of a kind, in its unit (see Limit); None if there is none."""
        return self._most.get(kind)

    @property
    def spent(self) -> dict[Kind, int]:
        """What settled calls took: calls, tokens, nano-dollars (`dollars`), nanoseconds since the start (`seconds`)."""
        calls, tokens, dollars = self._spent
        return {"calls": calls, "tokens": tokens, "dollars": dollars, "seconds": self._clock() - self._start}

    @property
    def reserved(self) -> dict[Kind, int]:
        """What calls under way may take at most: calls, tokens, nano-dollars."""
        return dict(zip(_METERED, self._reserved, strict=True))

    def remaining_seconds(self) -> float | None:
        """Seconds to the deadline, not below 0; None if there is none."""
        most = self._most.get("seconds")
        return None if most is None else max(0, most - (self._clock() - self._start)) / NANO

    async def reserve(self, worst: Charge) -> None:
        """Waits until `worst` fits beside all that is spent or reserved. Raises BudgetError when it never can, or time is up."""
        amounts = _amounts(worst)
        self._refuse_hopeless(amounts)
        if not self._waiting and self._fits(amounts):
            self._reserved = _plus(self._reserved, amounts)
            return
        from asyncio import CancelledError, get_running_loop

        loop = get_running_loop()
        turn: Future[None] = loop.create_future()
        self._waiting.append((amounts, turn))
        remaining = self.remaining_seconds()
        alarm = None if remaining is None else loop.call_later(remaining, self._expire, turn)
        try:
            await turn
        except CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._reserved = _minus(self._reserved, amounts)  # granted, but whom it was for is gone
            self._admit()
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

    def settle(self, worst: Charge, actual: Charge) -> None:
        """Replaces a reservation by what was really used (`actual.requests == 0`: it was never sent).

        A figure above the reserved one is nonsense that a provider reported: the worst case stands.
        """
        amounts = _amounts(worst)
        self._reserved = _minus(self._reserved, amounts)
        if actual.requests:
            used = _amounts(actual)
            self._spent = _plus(self._spent, (min(used[0], amounts[0]), min(used[1], amounts[1]), min(used[2], amounts[2])))
        self._admit()

    def left(self) -> str:
        """What is left, for people: `38 of 50 calls, $1.69 of $2, 7 min of 10 min`; empty without limits."""
        spent = {**self.spent, "depth": 0}
        return ", ".join(
            str(limit) if limit.kind == "depth" else f"{_amount(limit.kind, max(0, limit.most - spent[limit.kind]), short=True)} of {limit}"
            for limit in self.limits
        )

    def _fits(self, amounts: _Amounts) -> bool:
        for cap, spent, reserved, amount in zip(self._caps, self._spent, self._reserved, amounts, strict=True):
            if cap is not None and spent + reserved + amount > cap:
                return False
        return True

    def _refuse_hopeless(self, amounts: _Amounts) -> None:
        """Raises BudgetError if the deadline is over, or `amounts` would not fit even if all that is reserved came back unused."""
        if self.remaining_seconds() == 0:
            raise self._late()
        for kind, cap, spent, amount in zip(_METERED, self._caps, self._spent, amounts, strict=True):
            if cap is not None and spent + amount > cap:
                limit = Limit(kind, cap)
                need = "the next call needs" if kind == "calls" else "the next call might take"
                raise self._stop(
                    limit,
                    f"the budget of {limit} {'is used up' if spent else 'is too small'}: "
                    f"{_amount(limit.kind, spent)} spent, {need} {_amount(limit.kind, amount)}",
                )

    def _stop(self, limit: Limit, message: str) -> BudgetError:
        self.stopped = self.stopped or limit
        return BudgetError(message)

    def _late(self) -> BudgetError:
        limit = Limit("seconds", self._most["seconds"])
        return self._stop(limit, f"the budget of {limit} is used up: no call is sent any more")

    def _expire(self, turn: Future[None]) -> None:
        """The deadline came while a call waited for its turn."""
        if not turn.done():
            turn.set_exception(self._late())

    def _admit(self) -> None:
        """Lets in those who wait, in order, as far as they fit."""
        while self._waiting:
            amounts, turn = self._waiting[0]
            if not turn.done():
                try:
                    self._refuse_hopeless(amounts)
                except BudgetError as error:
                    turn.set_exception(error)
                else:
                    if not self._fits(amounts):
                        return
                    self._reserved = _plus(self._reserved, amounts)
                    turn.set_result(None)
            self._waiting.popleft()


_Amounts = tuple[int, int, int]  # requests, tokens, nano-dollars


def _amounts(charge: Charge) -> _Amounts:
    return charge.requests, charge.input_tokens + charge.output_tokens, charge.nanodollars


def _plus(a: _Amounts, b: _Amounts) -> _Amounts:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _minus(a: _Amounts, b: _Amounts) -> _Amounts:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _quoted(text: str) -> str:
    return f"'{printable(text, 60)}'"


def _amount(kind: Kind, value: int, *, short: bool = False) -> str:
    """`value` of a kind as a person would write it; `short` leaves out a unit that the next figure has anyway."""
    if kind == "dollars":
        whole, rest = divmod(value, NANO)
        cents = f"{rest:09d}".rstrip("0").ljust(2, "0")
        return f"${whole:,}.{cents}" if rest else f"${whole:,}"
    if kind == "seconds":
        seconds = value / NANO
        for size, unit in ((3_600, "h"), (60, "min")):
            if seconds >= size:
                return f"{seconds / size:.3g} {unit}"
        return f"{seconds:.3g} s"
    unit = {"calls": "call", "tokens": "token", "depth": "depth"}[kind]
    plural = "" if value == 1 or kind == "depth" else "s"
    return f"{value:,}" if short else f"{value:,} {unit}{plural}"
