"""What the bound says of an expression, and how it takes what is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, frozen

from rlmlang.cost.account import Cost
from rlmlang.quantity import Quantity, times
from rlmlang.run.facts import Variable
from rlmlang.sizes import (
    ZERO,
    Interval,
    Size,
)
from rlmlang.syntax import nodes as n


@frozen(eq=False)
class Out:
    """What evaluating something gives (None: it never does), costs, and when it is there."""

    size: Size | None
    cost: Cost
    round: Interval


@frozen(eq=False)
class Bound:
    """A variable: its size, when it is there, and, where it is only computed when asked for, its cost."""

    size: Size | None
    round: Interval = ZERO
    late: bool = False
    last: Quantity = 0  # the last round of its calls
    safe: bool = True  # no call of a model went into it, so it is not by a failed call that it fails


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
