"""Charts as SVG within a page: bars, points, lines. No script; their colours are those of the page, light or dark (`CHART_STYLE`).

All text goes into elements, never into markup, so nothing in it can become any.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import Element

from attrs import frozen

from rlmlang.syntax.diagnostics import printable

CHART_STYLE: Final = """\
svg { display: block; max-width: 100%; height: auto; overflow: visible; font-size: 12px; }
svg text { fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .faint, svg .tick { fill: var(--faint); }
svg .axis { stroke: var(--line); fill: none; }
svg .bar { fill: var(--bar); }
svg .part { fill: var(--part); }
""" + "".join(f"svg .hue{at} {{ --hue: var(--hue{at}); }}\n" for at in range(7))
CHART_STYLE_END: Final = "svg .line { stroke: var(--hue); fill: none; stroke-width: 2; }\nsvg .dot, svg .name { fill: var(--hue); }\n"

_WIDTH: Final = 420
_ROW: Final = 24
_NAMES: Final = 84  # the room of names, left of the bars
_VALUES: Final = 74  # that of values, right of them


def element(tag: str, *children: object, **attributes: object) -> Element:
    """An element with texts and elements in it, lists of them too; `None` is nothing. In names of attributes `_` is `-`, and one at the end
    goes. What a reader would not see in a text is escaped."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): shown(str(value)) for name, value in attributes.items()})
    _fill(made, children)
    return made


def _fill(parent: Element, children: Iterable[object]) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            parent.append(child)
        elif isinstance(child, str):
            text = shown(child)
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + text
            else:
                parent.text = (parent.text or "") + text
        elif isinstance(child, Iterable):
            _fill(parent, child)
        else:
            raise TypeError(f"{type(child).__name__} is no part of a page")


def shown(text: str) -> str:
    """The text without what does not show or turns others around: control and bidirectional characters, lone surrogates."""
    return printable(text.replace("\r\n", "\n").replace("\t", "    "), len(text) + 3 * text.count("\t") + 1)


@frozen
class Bar:
    """One bar: whose it is, how long, of that how much is the `part`, and what is written at its end."""

    name: str
    value: float | None
    written: str
    part: float = 0.0


def bars(label: str, rows: Sequence[Bar], most: float | None = None) -> Element:
    """Bars below one another, from zero to `most` (by default to the longest)."""
    longest = most if most is not None else max((row.value or 0.0 for row in rows), default=0.0)
    room = _WIDTH - _NAMES - _VALUES
    parts: list[Element] = []
    for at, row in enumerate(rows):
        y = at * _ROW
        parts.append(element("text", row.name, x=_NAMES - 8, y=y + 16, text_anchor="end"))
        length = 0.0 if not longest else min(row.value or 0.0, longest) / longest * room
        inner = 0.0 if not longest else min(row.part, longest) / longest * room
        if length:
            parts.append(element("rect", x=_NAMES, y=y + 4, width=f"{max(length, 1):.1f}", height=_ROW - 8, rx=2, class_="bar"))
        if inner:
            parts.append(element("rect", x=_NAMES, y=y + 4, width=f"{max(inner, 1):.1f}", height=_ROW - 8, rx=2, class_="part"))
        parts.append(
            element("text", row.written, x=f"{_NAMES + length + 6:.1f}", y=y + 16, class_="faint" if row.value is None else "value")
        )
    parts.append(element("path", d=f"M{_NAMES} 0V{len(rows) * _ROW}", class_="axis"))
    return _svg(label, _WIDTH, max(1, len(rows)) * _ROW, parts)


@frozen
class Point:
    """A named point, in the colour `hue`."""

    name: str
    x: float
    y: float
    hue: int = 0


def points(label: str, x_title: str, y_title: str, rows: Sequence[Point]) -> Element:
    """Points over a logarithmic scale from left to right, and from 0 to 1 upwards. Those at zero stand at its left end."""
    width, height, left, bottom = 640, 300, 62, 40
    xs = [row.x for row in rows if row.x > 0] or [1.0]
    low, high = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
    high = max(high, low + 1)

    def across(x: float) -> float:
        return left + (max(math.log10(x) if x > 0 else low, low) - low) / (high - low) * (width - left - 90)

    def up(y: float) -> float:
        return 10 + (1 - min(max(y, 0.0), 1.0)) * (height - bottom - 10)

    parts = [*_frame(width - 90, height - bottom, left, [(up(level), f"{level:.0%}") for level in (0.0, 0.25, 0.5, 0.75, 1.0)])]
    parts += [_tick(across(10**p), height - bottom + 16, short(10**p), "middle") for p in range(low, high + 1, max(1, (high - low) // 8))]
    parts += [_tick((left + width - 90) / 2, height - 6, x_title, "middle"), _upright(14, (height - bottom) / 2, y_title)]
    ends = apart([up(row.y) for row in rows], height - bottom)
    for row, end in zip(rows, ends, strict=True):
        x, y = across(row.x), up(row.y)
        inner = [element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=5, class_="dot")]
        inner.append(element("text", row.name, x=f"{x + 9:.1f}", y=f"{end + 4:.1f}", class_="name"))
        parts.append(element("g", inner, class_=f"hue{row.hue % 7}"))
    return _svg(label, width, height, parts)


@frozen
class Curve:
    """A named line through the values of 1, 2, 3, …, in the colour `hue`."""

    name: str
    values: Sequence[float]
    hue: int = 0


def curves(label: str, x_title: str, y_title: str, rows: Sequence[Curve]) -> Element:
    """Lines from left to right, upwards from zero."""
    width, height, left, bottom = 640, 300, 60, 40
    count = max((len(row.values) for row in rows), default=1)
    top = _rounded(max((value for row in rows for value in row.values), default=0.0))

    def across(at: float) -> float:
        return left + (at / max(1, count - 1)) * (width - left - 90)

    def up(y: float) -> float:
        return 10 + (1 - y / top) * (height - bottom - 10)

    parts = [*_frame(width - 90, height - bottom, left, [(up(top * level / 4), short(top * level / 4)) for level in range(5)])]
    step = max(1, count // 10)
    parts += [_tick(across(at), height - bottom + 16, f"{at + 1:,}", "middle") for at in range(0, count, step)]
    parts += [_tick((left + width - 90) / 2, height - 6, x_title, "middle"), _upright(14, (height - bottom) / 2, y_title)]
    ends = apart([up(row.values[-1]) if row.values else up(0) for row in rows], height - bottom)
    for row, end in zip(rows, ends, strict=True):
        path = "".join(f"{'L' if at else 'M'}{across(at):.1f} {up(value):.1f}" for at, value in enumerate(row.values))
        inner = [element("path", d=path or "M0 0", class_="line")]
        inner += [
            element("circle", cx=f"{across(at):.1f}", cy=f"{up(value):.1f}", r=2.5, class_="dot") for at, value in enumerate(row.values)
        ]
        inner.append(element("text", row.name, x=f"{across(max(len(row.values) - 1, 0)) + 9:.1f}", y=f"{end + 4:.1f}", class_="name"))
        parts.append(element("g", inner, class_=f"hue{row.hue % 7}"))
    return _svg(label, width, height, parts)


def short(value: float) -> str:
    """`1.2k`, `34M`: a figure in few characters."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{unit}" if value < 999.5 * scale else f"{value / scale:,.0f}{unit}"
    return f"{value:.3g}"


def apart(heights: Sequence[float], lowest: float) -> list[float]:
    """Heights of labels, moved until none covers another."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=lambda at: placed[at])
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + 14)
    for at in order[::-1]:  # up again from where there is no room left
        placed[at] = min(placed[at], lowest)
        lowest = placed[at] - 14
    return placed


def _rounded(value: float) -> float:
    """The next round figure from there up."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return float(next(step for step in (1, 2, 4, 5, 8, 10, 20) if step * scale >= value) * scale)


def _frame(right: float, bottom: float, left: float, levels: Sequence[tuple[float, str]]) -> list[Element]:
    lines = [element("path", d=f"M{left} {y:.1f}H{right}", class_="axis") for y, _ in levels]
    return lines + [_tick(left - 6, y + 4, text, "end") for y, text in levels]


def _tick(x: float, y: float, text: str, anchor: str) -> Element:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_="tick")


def _upright(x: float, y: float, text: str) -> Element:
    return element("text", text, transform=f"translate({x:.0f} {y:.0f}) rotate(-90)", text_anchor="middle", class_="tick")


def _svg(label: str, width: float, height: float, parts: Sequence[Element]) -> Element:
    return element("svg", parts, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", aria_label=label)
