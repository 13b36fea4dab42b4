"""What the bound says of an expression, and how it takes what is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from rlmlang.cost.account import Cost
from rlmlang.quantity import Quantity, times
from rlmlang.run.facts import Variable
from rlmlang.sizes import (
    ZERO,
    Interval,
    Size,
    truth,
)
from rlmlang.syntax import nodes as n


@frozen(eq=False)
class Choices:
    """What a pure value is for each of several known items that are looked at together; `group` tells whose they are."""

    group: object
    values: Sequence[Any]


@frozen(eq=False)
class Out:
    """What evaluating something gives (None: it never does), costs, and when it is there."""

    size: Size | None
    cost: Cost
    round: Interval
    choices: Choices | None = None

    def costing(self, cost: Cost) -> Out:
        """The same at another cost."""
        return Out(self.size, cost, self.round, self.choices)

    def giving(self, size: Size | None) -> Out:
        """The same with another value."""
        return Out(size, self.cost, self.round, self.choices)


def decided(out: Out) -> bool | None:
    """What a condition on the value decides, for each of the items that are looked at together; None where that is not known."""
    if out.choices is not None:
        told = set(map(bool, out.choices.values))
        return told.pop() if len(told) == 1 else None
    return None if out.size is None else truth(out.size)


@frozen(eq=False)
class Bound:
    """A variable: its size, when it is there, and, where it is only computed when asked for, its cost."""

    size: Size | None
    round: Interval = ZERO
    late: bool = False
    last: Quantity = 0  # the last round of its calls
    safe: bool = True  # no call of a model went into it, so it is not by a failed call that it fails
    choices: Choices | None = None


Env = Mapping[Variable, Bound]


@define
class Policy:
    """How unknown things are taken. This one is sound: as intervals. With `expected` it guesses: `chance` is how often the condition of a
    filter or an `if` holds."""

    expected: bool = False
    chance: Callable[[n.Node], float] = lambda node: 0.5

    def kept(self, node: n.Node, count: Interval) -> Interval:
        """How many items a filter keeps."""
        if not self.expected:
            return count.from_zero()
        return Interval.exactly(times(count.high, self.chance(node)))
