"""What evaluating something can cost: by the places that call a model, and as the longest chain of calls.

Costs are added, multiplied by how often, and joined where one of several happens; nothing else is ever done with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from attrs import evolve, field, frozen

from rlmlang.quantity import INFINITE, Quantity, coarse, maximum, plus, times
from rlmlang.sizes import ANY, ZERO, Interval
from rlmlang.syntax import nodes as n


@frozen
class SiteCost:
    """The cost of one `call` or `solve`: how often something is asked for, and what that takes at most (tokens of all attempts;
    nano-dollars).

    `prompt` is the interval of one prompt's bytes: of the calls that were joined here, the hull. `requests` are those that may be sent.
    `depth` is how deep calls are nested in it: 1 for a call itself.
    """

    calls: Interval = ZERO
    input_tokens: Quantity = 0
    output_tokens: Quantity = 0
    nanodollars: Quantity = 0
    prompt: Interval = ZERO
    requests: Quantity = 0
    depth: int = 0

    def __add__(self, other: SiteCost) -> SiteCost:
        if self is _NOTHING or self is other is _endless(self.depth):
            return other
        return SiteCost(
            self.calls + other.calls,
            coarse(plus(self.input_tokens, other.input_tokens)),
            coarse(plus(self.output_tokens, other.output_tokens)),
            coarse(plus(self.nanodollars, other.nanodollars)),
            self.prompt.hull(other.prompt),
            coarse(plus(self.requests, other.requests)),
            max(self.depth, other.depth),
        )

    def times(self, count: Interval) -> SiteCost:
        high = count.high
        return SiteCost(
            self.calls * count,
            coarse(times(self.input_tokens, high)),
            coarse(times(self.output_tokens, high)),
            coarse(times(self.nanodollars, high)),
            self.prompt,
            coarse(times(self.requests, high)),
            self.depth,
        )

    def hull(self, other: SiteCost) -> SiteCost:
        return SiteCost(
            self.calls.hull(other.calls),
            coarse(maximum(self.input_tokens, other.input_tokens)),
            coarse(maximum(self.output_tokens, other.output_tokens)),
            coarse(maximum(self.nanodollars, other.nanodollars)),
            self.prompt.hull(other.prompt),
            coarse(maximum(self.requests, other.requests)),
            max(self.depth, other.depth),
        )

    def optional(self) -> SiteCost:
        return self if self.calls.low == 0 else evolve(self, calls=self.calls.from_zero())


_NOTHING = SiteCost()


@frozen
class Cost:
    """`rounds` is the interval of the last round that any of its calls is in: 0 where there is none. `total` is that of all sites together
    (but for prompts), less than their sum where one of two branches is taken."""

    sites: Mapping[n.Node, SiteCost] = field(factory=dict)
    rounds: Interval = ZERO
    total: SiteCost = field()

    @total.default
    def _sum_of_sites(self) -> SiteCost:
        return sum(self.sites.values(), _NOTHING)

    def __bool__(self) -> bool:
        return bool(self.sites) or self.rounds.high != 0

    def __add__(self, other: Cost) -> Cost:
        if not other:
            return self
        if not self:
            return other
        sites = dict(self.sites)
        for node, site in other.sites.items():
            sites[node] = sites[node] + site if node in sites else site
        return Cost(sites, later(self.rounds, other.rounds), self.total + other.total)

    def times(self, count: Interval) -> Cost:
        """As often as `count` says."""
        if not self or count.high == 0:
            return FREE
        rounds = self.rounds if _surely(count) else self.rounds.from_zero()
        return Cost({node: site.times(count) for node, site in self.sites.items()}, rounds, self.total.times(count))

    def hull(self, other: Cost) -> Cost:
        """One or the other."""
        if not self and not other:
            return FREE
        nodes = [*self.sites, *(node for node in other.sites if node not in self.sites)]
        sites = {
            node: self.sites.get(node, _NOTHING).hull(other.sites[node])
            if node in self.sites and node in other.sites
            else (self.sites.get(node) or other.sites[node]).optional()
            for node in nodes
        }
        return Cost(sites, self.rounds.hull(other.rounds), self.total.hull(other.total))

    def optional(self) -> Cost:
        """Perhaps."""
        if not self:
            return self
        sites = {node: site.optional() for node, site in self.sites.items()}
        return Cost(sites, self.rounds.from_zero(), self.total.optional())

    @property
    def calls(self) -> Interval:
        return self.total.calls


FREE = Cost()


def endless(places: Mapping[n.Node, int]) -> Cost:
    """Any cost of these places, which are so deep each."""
    if not places:
        return FREE
    return Cost({node: _endless(depth) for node, depth in places.items()}, ANY, _endless(max(places.values())))


@lru_cache
def _endless(depth: int) -> SiteCost:
    """Any number of calls at any price: the same object for all, for there may be many."""
    return SiteCost(ANY, INFINITE, INFINITE, INFINITE, ANY, INFINITE, depth)


class Bill:
    """A sum of many costs, each place added to once."""

    def __init__(self) -> None:
        self._sites: dict[n.Node, SiteCost] = {}
        self._total = _NOTHING
        self._rounds = ZERO

    def add(self, cost: Cost) -> None:
        if not cost:
            return
        sites = self._sites
        for node, site in cost.sites.items():
            sites[node] = sites[node] + site if node in sites else site
        self._rounds = later(self._rounds, cost.rounds)
        self._total = self._total + cost.total

    def cost(self) -> Cost:
        """All together."""
        return Cost(self._sites, self._rounds, self._total) if self._sites or self._rounds.high != 0 else FREE


def later(a: Interval, b: Interval) -> Interval:
    """The later of two rounds."""
    if a is b or (a.low == b.low and a.high == b.high):
        return a
    return Interval(maximum(a.low, b.low), maximum(a.high, b.high))


def _surely(count: Interval) -> bool:
    return isinstance(count.low, (int, float)) and count.low >= 1
