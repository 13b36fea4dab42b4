"""What a report says of a solve: its turns, each with the program, what was found wrong with it, its bound, what it took and showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import define, field

from rlmlang.check.checked import Checked
from rlmlang.limits import SOLVES_REPORTED
from rlmlang.run.calls import Site
from rlmlang.run.report import dollars
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.types import Type

Ended = Literal["no program", "repeated", "invalid", "refused", "failed", "shown", "answered"]
Outcome = Literal["under way", "answered", "no answer", "failed", "budget", "interrupted"]


@define(eq=False)
class TurnRecord:
    """One turn. `program` is None where the reply held none; `mended` are the mistakes that were put right in it. `shown` is what the root
    model saw of the last expression's value; `used` holds what the turn took, the root model's own call included."""

    turn: int
    program: str | None = None
    outcome: Ended | None = None
    diagnostics: list[Mapping[str, Any]] = field(factory=list)
    mended: Sequence[Diagnostic] = ()
    bound: Mapping[str, Any] | None = None
    used: Mapping[str, Any] = field(factory=dict)
    shown: str | None = None
    error: str | None = None
    solves: list[SolveRecord] = field(factory=list)
    solves_left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        report: dict[str, Any] = {
            "turn": self.turn,
            "program": self.program,
            "outcome": self.outcome,
            "diagnostics": list(self.diagnostics),
            "mended": [diagnostic.to_json() for diagnostic in self.mended],
            "bound": self.bound,
            "used": dict(self.used),
            "shown": self.shown,
            "error": self.error,
        }
        if self.solves:
            report["solves"] = [solve.to_json() for solve in self.solves]
        if self.solves_left_out:
            report["solves_left_out"] = self.solves_left_out
        return report


@define(eq=False)
class SolveRecord:
    """One solve. `names` are the variables that were bound when it ended, with their types; `accepted` the programs that ran, in order;
    `converted`: the answer is not as its program gave it, but of the type that was wanted."""

    question: str
    turns_most: int
    wanted: Type | None = None
    accepted: list[Checked] = field(factory=list)
    turns: list[TurnRecord] = field(factory=list)
    outcome: Outcome = "under way"
    error: str | None = None
    names: Mapping[str, str] = field(factory=dict)
    converted: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "outcome": self.outcome,
            "error": self.error,
            "names": dict(self.names),
            "turns": [turn.to_json() for turn in self.turns],
        }


def add_solve(to: TurnRecord | None, record: SolveRecord) -> None:
    """Puts a nested solve into the turn whose program asked for it, as far as a report goes."""
    if to is not None and len(to.solves) < SOLVES_REPORTED:
        to.solves.append(record)
    elif to is not None:
        to.solves_left_out += 1


def counted(site: Site) -> dict[str, Any]:
    """What a site has taken so far."""
    return {
        "calls": site.calls,
        "from_memo": site.from_memo,
        "shared": site.shared,
        "requests": site.requests,
        "failed": site.failed,
        "input_tokens": site.input_tokens,
        "output_tokens": site.output_tokens,
        "dollars": dollars(site.nanodollars),
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What came to it between two counts."""
    return {
        name: None
        if value is None or before[name] is None
        else round(value - before[name], 9)
        if name == "dollars"
        else value - before[name]
        for name, value in after.items()
    }
