"""What a strategy is, what it is asked, and what comes of it.

A strategy is a session like any other: a program, or a question that something else than our own loop solves (`desk.py`). So models, memo,
budget, admission and cancelling are those of every run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from attrs import asdict, field, frozen

from rlmlang.compare.account import IsRoot
from rlmlang.session import Session, Settings
from rlmlang.solve.contexts import Context
from rlmlang.values import to_json_text

Outcome = Literal["answered", "no answer", "refused", "looped", "budget", "failed", "interrupted"]

Who = Literal["root", "agent", "branch"]

TURNS: Final = 30  # of the root model: one that calls tools needs several where one that writes programs needs one
CALLS: Final = 1_000


@frozen
class Asked:
    """What every strategy is asked: the question, its data, the type of the answer (None: text), and what it may take: `turns` replies of
    the root model, `calls` sub-invocations in all (the root model's own too), `depth` levels of solves. `allow_python`: programs that a
    model writes in Python may run on this machine, locked in."""

    question: str
    contexts: tuple[Context, ...]
    settings: Settings
    type: str | None = None
    turns: int = TURNS
    calls: int = CALLS
    depth: int = 1
    allow_python: bool = False


@frozen
class Step:
    """One thing that happened. `by` says who: `root`, `agent` (a sub-agent) or `branch` said `text`; a `tool` of that `name` was called
    with `arguments`, as the model wrote them, and gave `result`, after the `steps` of the sub-agent or branch that it is; a `note` is of
    what went wrong."""

    by: Who | Literal["tool", "note"]
    text: str = ""
    name: str = ""
    arguments: str = ""
    result: str = ""
    steps: tuple[Step, ...] = ()


@frozen(eq=False)
class Attempt:
    """One strategy, ready to be run: its `session`; `is_root` says which calls are the root model's; with `alone` it has no sub-calls by
    its design, so what the root model saw is what was looked at. `transcript` is what has happened so far.

    `program` gives, once there is an answer (or none), the program that the strategy is, has written, or has been in effect; `bound` how
    many calls its programs could make at most, which was known before they ran (None: nobody knew)."""

    session: Session
    is_root: IsRoot
    alone: bool = False
    transcript: Callable[[], Sequence[Step]] = tuple
    program: Callable[[Any], str | None] = lambda answer: None
    bound: Callable[[], int | None] = lambda: None


class Strategy(Protocol):
    """A way of answering a question about data. `help` is one line."""

    name: str
    help: str

    def attempt(self, asked: Asked) -> Attempt:
        """The strategy, ready to be run. Raises UsageError; BudgetError where the budget is too small in any case."""


@frozen
class Row:
    """What came of a strategy. `answer` and `score` (0 to 1) are None where there is none. `coverage`: of the items that had to be looked
    at, the share that a sub-call was sent, in a strategy without sub-calls the root model; `seen`: the share that any model was sent.

    `calls` are all sub-invocations: at most `bound`, by the bounds of programs before they ran (None: a model decides as it goes), of which
    `root_calls` are the root model's own, which took `root_tokens` of the `tokens`. Tokens and dollars are those of a run with nothing in
    the memo; `dollars` is None where a price is not known. `rounds` is the longest chain of requests that wait for one another. `paid` is
    what was really sent and paid, as in the report of a run; `program` what the strategy is, or has written, where that is a program."""

    strategy: str
    outcome: Outcome
    answer: Any = None
    score: float | None = None
    coverage: float | None = None
    seen: float | None = None
    calls: int = 0
    bound: int | None = None
    root_calls: int = 0
    root_tokens: int = 0
    tokens: int = 0
    dollars: float | None = 0.0
    rounds: int = 0
    seconds: float = 0.0
    error: str | None = None
    paid: Mapping[str, Any] = field(factory=dict)
    transcript: Sequence[Step] = ()
    program: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`."""
        report = asdict(self, recurse=True, filter=lambda attribute, _: attribute.name != "answer")
        answer = {"answer": json.loads(to_json_text(self.answer))}
        return {"strategy": report.pop("strategy"), "outcome": report.pop("outcome"), **answer, **report}
