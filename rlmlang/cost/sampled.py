"""What a sample of a run says of the whole, and how wrong that may be.

A share (of a filter, of an `if`) has Wilson's score interval (E. B. Wilson, Probable inference, JASA 22, 1927), which holds for few items
and for shares of 0 and 1; a mean (of lengths, of tokens) has Student's t interval. Both are narrower the more of the list was sampled
(the finite population correction: W. G. Cochran, Sampling Techniques, 1977, chapter 2). A figure of the program goes by several of them:
each is put at both of its ends, the others left as they are, and the differences add up as those of independent errors do, by the root
of their squares (JCGM 100:2008, "GUM", section 5.1).

Not in it: that the expected cost of what the sample did not reach is a guess, and that a mean of prompts is taken from their real sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

from attrs import frozen

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.cost.bound import Bound, expected_at
from rlmlang.cost.pricing import Pricing
from rlmlang.lm.request import Model
from rlmlang.quantity import Formula
from rlmlang.run.seen import AMOUNT, CHOSEN, DENSITY, OUTPUT_TOKENS, REPLY_BYTES, Experience, Moments
from rlmlang.syntax import nodes as n

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@frozen
class Range:
    """Where a number lies, at CONFIDENCE."""

    low: float
    high: float

    def to_json(self, unit: float = 1) -> dict[str, float]:
        return {"low": round(self.low / unit, 9), "high": round(self.high / unit, 9)}


@frozen
class SeenFigure:
    """A figure of one place: how often it was seen, its mean, and where the mean of the whole lies."""

    name: str
    count: int
    mean: float
    range: Range

    def to_json(self) -> dict[str, Any]:
        return {"seen": self.count, "mean": round(self.mean, 6), **self.range.to_json()}


@frozen
class Sampled:
    """`bound` expects what the sample says; `ranges` holds for each figure of the program that was known as a number where it lies.
    `places`: what was seen at calls and conditions, in the order of the program."""

    bound: Bound
    ranges: Mapping[str, Range]
    places: Mapping[n.Node, tuple[SeenFigure, ...]]


def sampled(
    checked: Checked, model_of: Callable[[str | None], Model], inputs: Mapping[str, Any], bound: Bound, experience: Experience, share: float
) -> Sampled:
    """How far the `bound`, which expects what `experience` says, may be wrong by what its sample has seen. `share`: of each list at least
    so much was sampled."""
    pricing = Pricing(checked, model_of, experience)
    nodes = [site.node for site in bound.sites] + [x for x in checked.types if isinstance(x, (n.Filter, n.First, n.If))]
    nodes += [x for x in checked.effects if isinstance(x, n.If) and x not in checked.types]
    places: dict[n.Node, tuple[SeenFigure, ...]] = {}
    keyed: dict[bytes, tuple[SeenFigure, ...]] = {}
    for node in nodes:
        if isinstance(node, n.If) and node not in checked.effects:
            continue
        key = experience.keys[node]
        seen = experience.sample.get(key, {})
        known = tuple(_figure(pricing, node, name, seen[name], share) for name in _NAMES if name in seen)
        if known:
            places[node] = keyed[key] = known
    tried = [experience]
    for key, figures in keyed.items():
        for figure in figures:
            tried += [experience.with_end(key, figure.name, end) for end in (figure.range.low, figure.range.high)]
    middle, *others = expected_at(checked, model_of, inputs, tried)
    ranges = {}
    for name, value in middle.items():
        below = above = 0.0
        for one, other in zip(others[::2], others[1::2], strict=True):
            below += max(0.0, value - one[name], value - other[name]) ** 2
            above += max(0.0, one[name] - value, other[name] - value) ** 2
        least, most = bound.figures[name].least, bound.figures[name].most
        if isinstance(least, Formula) or isinstance(most, Formula) or math.isinf(value):
            continue
        ranges[name] = Range(min(max(value - math.sqrt(below), least), most), min(max(value + math.sqrt(above), least), most))
    return Sampled(bound, ranges, dict(sorted(places.items(), key=lambda item: _place(checked, item[0]))))


_NAMES = (CHOSEN, REPLY_BYTES, OUTPUT_TOKENS, AMOUNT, DENSITY)


def _figure(pricing: Pricing, node: n.Node, name: str, seen: Moments, share: float) -> SeenFigure:
    if name == CHOSEN or not isinstance(node, n.Call):
        return SeenFigure(name, round(seen.count), seen.mean, wilson(seen.mean, seen.count, share))
    tokens = pricing.max_tokens(node)
    most = {DENSITY: 1, OUTPUT_TOKENS: tokens}.get(name, limits.REPLY_BYTES_PER_TOKEN * tokens)
    found = student(seen, share)
    return SeenFigure(name, round(seen.count), seen.mean, Range(max(0.0, found.low), min(float(most), found.high)))


def wilson(share_seen: float, count: float, sampled: float = 0.0) -> Range:
    """Wilson's score interval of a share seen among `count` items, which are the part `sampled` of all."""
    if sampled >= 1:
        return Range(share_seen, share_seen)
    size = count / (1 - sampled)
    spread = _Z * math.sqrt(share_seen * (1 - share_seen) / size + _Z**2 / (4 * size**2))
    middle, scale = share_seen + _Z**2 / (2 * size), 1 + _Z**2 / size
    return Range(max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def student(seen: Moments, sampled: float = 0.0) -> Range:
    """Student's t interval of a mean; of one item everything may be said."""
    if sampled >= 1:
        return Range(seen.mean, seen.mean)
    if seen.count < 2:
        return Range(-math.inf, math.inf)
    half = t_quantile(seen.count - 1) * seen.deviation * math.sqrt((1 - sampled) / seen.count)
    return Range(seen.mean - half, seen.mean + half)


def t_quantile(freedom: float) -> float:
    """Student's t for CONFIDENCE, two-sided, at so many degrees of freedom: exact for 1 and 2, else by the expansion around the normal
    quantile (Abramowitz and Stegun, 26.7.5), to 0.1 %."""
    p = (1 + CONFIDENCE) / 2
    if freedom < 2:
        return math.tan(math.pi * (p - 0.5))
    if freedom < 3:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = _Z
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _place(checked: Checked, node: n.Node) -> tuple[bool, str, int, bool]:
    span = node.span
    return span.source is not checked.program.source, span.source.name, span.start, isinstance(node, n.Call)
