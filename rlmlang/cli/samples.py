"""A sample as people and programs read it: what it took, what it saw at each place, and how wrong that may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import asdict, frozen

from rlmlang.check.checked import Checked
from rlmlang.cli import terminal
from rlmlang.cost.sampled import CONFIDENCE, Range, Sampled, SeenFigure
from rlmlang.run.report import Result
from rlmlang.run.seen import AMOUNT, CHOSEN, OUTPUT_TOKENS, REPLY_BYTES
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import plural, printable

_NANO = 1_000_000_000
_FAILURES = 5
_WIDTH = 60  # characters of a place that are shown


@frozen
class Sample:
    """`items` of each list were asked for; `result` is the report of the run that made the calls."""

    items: int
    sampled: Sampled
    result: Result
    checked: Checked

    def text(self) -> str:
        """What it took, and a line for each call or condition that it met."""
        used = self.result.used
        took = [f"{plural(used.calls, 'call')} ({used.from_memo:,} from memo)"]
        if used.failed:
            took.append(f"{used.failed:,} failed")
        took.append(f"{used.input_tokens:,} + {used.output_tokens:,} tokens")
        if used.dollars is not None:
            took.append(terminal.money(used.dollars))
        lines = [f"sample: {plural(self.items, 'item')} of each list, {', '.join(took)}, {used.seconds:.1f} s"]
        failures = self.result.failures
        lines += [f"failed in line {failure.line}: {printable(failure.error, 200)}" for failure in failures[:_FAILURES]]
        if len(failures) > _FAILURES:
            lines.append(f"… and {len(failures) - _FAILURES:,} more failed")
        for node, figures in self.sampled.places.items():
            said = _said(figures)
            if said:
                lines.append(f"{self._where(node)}: {said}, of {figures[0].count:,} seen")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`ranges` is where, at `confidence`, the figures of the run lie; `places` what was seen, and where its mean lies."""
        return {
            "items": self.items,
            "confidence": CONFIDENCE,
            "used": asdict(self.result.used),
            "ranges": {name: r.to_json(_NANO if name == "dollars" else 1) for name, r in self.sampled.ranges.items()},
            "places": [
                {
                    "line": node.span.line,
                    "column": node.span.column,
                    "file": node.span.source.name,
                    "text": _text(node),
                    **{figure.name: figure.to_json() for figure in figures},
                }
                for node, figures in self.sampled.places.items()
            ],
            "failures": [asdict(failure) for failure in self.result.failures],
            "error": self.result.error,
        }

    def _where(self, node: n.Node) -> str:
        span = node.span
        place = f"line {span.line}" if span.source is self.checked.program.source else f"{printable(span.source.name, 60)}:{span.line}"
        return f"{place}, {_text(node)}"


def _text(node: n.Node) -> str:
    shown = node.condition if isinstance(node, (n.Filter, n.First, n.If)) else node
    text = " ".join(shown.span.text.split())
    kind = "" if shown is node else "condition "
    return kind + printable(text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…")


def _said(figures: Sequence[SeenFigure]) -> str:
    """`holds for 40 % (12 to 77)`; `85 bytes (60 to 110), 21 tokens (15 to 27)`"""
    parts = []
    for figure in figures:
        if figure.name == CHOSEN:
            parts.append(f"holds for {100 * figure.mean:.0f} % ({_between(figure.range, 100)})")
        elif figure.name == AMOUNT:
            parts.append(f"{figure.mean:,.1f} items, or that number ({_between(figure.range)})")
        elif figure.name in (REPLY_BYTES, OUTPUT_TOKENS):
            unit = "bytes" if figure.name == REPLY_BYTES else "tokens"
            parts.append(f"{figure.mean:,.0f} {unit} ({_between(figure.range)})")
    return ", ".join(parts)


def _between(range: Range, scale: float = 1) -> str:
    return f"{scale * range.low:,.0f} to {scale * range.high:,.0f}"
