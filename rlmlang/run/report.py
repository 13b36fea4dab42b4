"""What a run gives back: the fields of `rlm run --json`, and of `rlmlang.run` from Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, frozen

from rlmlang.values import to_json_text

NANO = 1_000_000_000


@frozen
class Used:
    """What a run took. `calls` counts sub-invocations that the program asked for, however answered: `from_memo`, `shared` with an equal
    one, or by `requests` (of which `retries` beyond each call's first). `cached_tokens` are those of `input_tokens` that providers
    had in their caches, and charge less for. `dollars` is None where a price is not known. `rounds` is the
    longest chain of calls in which each needs the one before."""

    calls: int = 0
    requests: int = 0
    from_memo: int = 0
    shared: int = 0
    failed: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = 0.0
    depth: int = 0
    rounds: int = 0
    seconds: float = 0.0
    cached_tokens: int = 0


@frozen
class SiteUse:
    """One place that calls a model, and what its calls took. `file` is None in the program itself."""

    line: int
    column: int
    text: str
    calls: int
    from_memo: int
    shared: int
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    dollars: float | None
    file: str | None = None
    bound: Mapping[str, Any] = field(factory=dict)


@frozen
class FailedItem:
    """A failure that the run met: its line, the item's path or position (None outside of lists), what happened, requests sent for it."""

    line: int
    item: str | None
    error: str
    attempts: int


@frozen
class Result:
    """A run's outcome. `answer` is None while `error` says why there is none. `type` is as a program writes it."""

    answer: Any
    type: str
    run: str
    used: Used
    sites: tuple[SiteUse, ...] = ()
    failures: tuple[FailedItem, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None
    bound: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The report of `rlm run --json`, ready for `json.dumps`."""
        report = asdict(self, recurse=True, filter=lambda attribute, _: attribute.name != "answer")
        if not self.used.cached_tokens:
            del report["used"]["cached_tokens"]
        return {"answer": json.loads(to_json_text(self.answer)), **report}


def dollars(nanodollars: int | None) -> float | None:
    """Dollars, for people: money is counted in whole nano-dollars."""
    return None if nanodollars is None else nanodollars / NANO
