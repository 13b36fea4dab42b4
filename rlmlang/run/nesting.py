"""What `solve` asks of a run, and what a solve may take: the limits that hold for it and for all that is solved inside it.

The loop of turns is not here: it comes from outside as a `Solver`, because the evaluator knows no root model.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import define, field, frozen

from rlmlang.errors import ProgramError
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.types import Type

if TYPE_CHECKING:
    from rlmlang.run.calls import Site
    from rlmlang.run.flow import Here

DEPTH: Final = 1  # of a solve that does not say: its programs may call, not solve
TURNS: Final = 8
CALLS: Final = 100


@frozen
class SolveOptions:
    """What stands in `with`: at most `calls` sub-invocations in all (the root model's own, and those of nested solves too), `turns` replies
    of the root model, `depth` levels of solves, this one counted; `model` writes the programs (None: the root model)."""

    depth: int = DEPTH
    turns: int = TURNS
    calls: int = CALLS
    model: str | None = None

    @staticmethod
    def of(node: n.Solve) -> SolveOptions:
        """The options of a solve; they are literals (the checker sees to that)."""
        given = {o.name: o.value.value for o in node.options if isinstance(o.value, n.Literal)}

        def number(name: str, default: int) -> int:
            value = given.get(name)
            return value if isinstance(value, int) else default

        model = given.get("model")
        return SolveOptions(
            number("depth", DEPTH), number("turns", TURNS), number("calls", CALLS), model if isinstance(model, str) else None
        )


@frozen(eq=False)
class Task:
    """One solve that was met: its question, its data as variables, the type of its answer (None: it does not say)."""

    question: str
    data: tuple[tuple[str, Type, Any], ...]
    type: Type | None
    options: SolveOptions
    node: n.Solve


def nested_depth(site: n.Node) -> int:
    """How deep calls are nested in a call or solve."""
    return 1 + SolveOptions.of(site).depth if isinstance(site, n.Solve) else 1


class Solver(Protocol):
    """Who solves."""

    async def solve(self, task: Task, here: Here, site: Site) -> Any:
        """The answer, of the task's type. Raises Failure where there is none; what stops the run otherwise."""


@frozen
class Share:
    """Amounts of a budget that may still be used: requests, tokens, nano-dollars; None: no limit."""

    requests: int | None = None
    tokens: int | None = None
    nanodollars: int | None = None

    def part(self, calls: int, of: float) -> Share:
        """The share of something that may make `calls` of `of` calls; all of it where nothing bounds these."""
        if of <= calls or of == float("inf"):
            return self

        def share(amount: int | None) -> int | None:
            return None if amount is None else amount * calls // int(of)

        return Share(share(self.requests), share(self.tokens), share(self.nanodollars))


@define(eq=False)
class Ledger:
    """What one solve may take, and has taken: all that is asked for inside it counts, at any depth.

    Requests, tokens and money are counted as if nothing had been in the memo, each different request once. So a run that is repeated
    counts the same, tells the root model the same, and finds its replies in the memo.
    """

    most_calls: int
    share: Share = Share()
    outer: Ledger | None = None
    calls: int = 0
    requests: int = 0
    tokens: int = 0
    nanodollars: int = 0
    _seen: set[bytes] = field(factory=set)

    def ask(self) -> None:
        """A call is asked for."""
        ledger: Ledger | None = self
        while ledger is not None:
            ledger.calls += 1
            ledger = ledger.outer

    def pay(self, key: bytes, tokens: int, nanodollars: int) -> None:
        """What the reply to a request took, whoever paid it and when."""
        ledger: Ledger | None = self
        while ledger is not None:
            if key not in ledger._seen:
                ledger._seen.add(key)
                ledger.requests += 1
                ledger.tokens += tokens
                ledger.nanodollars += nanodollars
            ledger = ledger.outer

    @property
    def calls_left(self) -> int:
        return max(0, self.most_calls - self.calls)

    @property
    def left(self) -> Share:
        """What is left of the share."""

        def rest(most: int | None, used: int) -> int | None:
            return None if most is None else max(0, most - used)

        share = self.share
        return Share(rest(share.requests, self.requests), rest(share.tokens, self.tokens), rest(share.nanodollars, self.nanodollars))


@frozen
class Nesting:
    """Where a run stands among solves. `level` is the depth of its calls: 1 in a program, one more inside each solve. `depth`: levels of
    solves that its program may still hold (None: as many as each says). `share` is what its program may use, whose bound is `calls`."""

    level: int = 1
    depth: int | None = None
    ledger: Ledger | None = None
    share: Share = Share()
    calls: float = float("inf")


def datum_names(data: Sequence[n.Datum]) -> list[str]:
    """The variables that the data of a solve are bound to: each by the name it is given, else its own name or last field, else `data`; what
    no program could read, or stands there twice, gets another."""
    names: list[str] = []
    for datum in data:
        value = datum.value
        name = datum.name or (value.name if isinstance(value, (n.Name, n.FieldAccess)) else "data")
        if not _readable(name):
            name = "data"
        names.append(_unlike(name, names))
    return names


def _unlike(name: str, taken: Sequence[str]) -> str:
    """`name`, or `name2`, `name3` … where it is taken."""
    return name if name not in taken else next(other for at in count(2) if (other := f"{name}{at}") not in taken)


def _readable(name: str) -> bool:
    """Whether a program can read a variable of that name: a keyword it cannot, though it can have a field called so."""
    try:
        (statement,) = parse(name).statements
    except (ProgramError, ValueError):
        return False
    return isinstance(statement, n.Shown) and isinstance(statement.value, n.Name)
