"""Small line charts as SVG, for documents: no script, no font from elsewhere, the same bytes for the same figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from attrs import field, frozen

_WIDTH, _HEIGHT = 660, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 168, 34, 44
_COLOURS = (  # the first seven are told apart by colour-blind people too
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f", "#e69f00", "#56b4e9"),
    *("#8c564b", "#17becf", "#444444"),
)


@frozen
class Line:
    """A named line through points from left to right. `measured` are the `x` that were really run, drawn as dots; the rest is arithmetic,
    and dashed. `hue` tells lines apart, and is the same for one strategy in all charts."""

    name: str
    points: Sequence[tuple[float, float]]
    measured: frozenset[float] = field(default=frozenset(), converter=frozenset)
    hue: int = 0


def chart(title: str, x_title: str, y_title: str, lines: Sequence[Line], *, log: bool = True) -> str:
    """The chart. `x` is always on a logarithmic scale, `y` with `log`, else from 0 to 1."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points if not log or y > 0]
    x_low, x_high = math.log10(min(xs)), math.log10(max(xs))
    y_low, y_high = (math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))) if log else (0, 1)
    y_high = max(y_high, y_low + 1)

    def across(x: float) -> float:
        return _LEFT + (math.log10(x) - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def up(y: float) -> float:
        share = ((math.log10(y) if log else y) - y_low) / (y_high - y_low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="600">{escape(title)}</text>',
    ]
    powers = range(math.ceil(x_low), math.floor(x_high) + 1)
    parts += [_tick(across(10**power), _HEIGHT - _BOTTOM + 16, f"{10**power:,}", "middle") for power in powers]
    step = max(1, (y_high - y_low + 6) // 7)
    levels = [10.0**p for p in range(y_low, y_high + 1, step)] if log else [0.0, 0.25, 0.5, 0.75, 1.0]
    for level in levels:
        y = up(level)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(_tick(_LEFT - 6, y + 4, _short(level), "end"))
    parts.append(_tick((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_title, "middle"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle" fill="#444">{escape(y_title)}</text>')
    shown = [[(x, y) for x, y in line.points if not log or y > 0] for line in lines]
    ends = _apart([up(points[-1][1]) for points in shown])
    for line, points, end in zip(lines, shown, ends, strict=True):
        colour = _COLOURS[line.hue % len(_COLOURS)]
        path = "".join(f"{'L' if at else 'M'}{across(x):.1f} {up(y):.1f}" for at, (x, y) in enumerate(points))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="5 3"/>')
        run = [(x, y) for x, y in points if x in line.measured]
        if len(run) > 1:
            path = "".join(f"{'L' if at else 'M'}{across(x):.1f} {up(y):.1f}" for at, (x, y) in enumerate(run))
            parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in run]
        parts.append(f'<text x="{across(points[-1][0]) + 8:.1f}" y="{end + 4:.1f}" fill="{colour}">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _tick(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#444">{escape(text)}</text>'


def _short(value: float) -> str:
    """1000000000 as 10^9, in characters that every font has."""
    if value in (0.0, 0.25, 0.5, 0.75, 1.0):
        return f"{value:.0%}" if value < 1 else "100%" if value == 1.0 else f"{value:g}"
    power = round(math.log10(value))
    raised = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(abs(power)))
    return f"{value:,.0f}" if 0 <= power <= 3 else f"10{'⁻' if power < 0 else ''}{raised}"


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights of labels, moved until none covers another."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=lambda at: placed[at])
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + 14)
    over = max((placed[order[-1]] if order else 0) - (_HEIGHT - _BOTTOM), 0)
    for below, above in pairwise(order[::-1]):
        if not over:
            break
        placed[below] -= over
        over = max(0, placed[above] + 14 - placed[below])
    return placed
