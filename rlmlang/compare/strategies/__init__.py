"""The strategies, one module each, imported when it is asked for. Each says whose documented design it follows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from rlmlang.compare.strategy import Strategy
from rlmlang.errors import UsageError
from rlmlang.syntax.diagnostics import printable

NAMES: Final = ("direct", "chunks", "toolcalls", "folding", "terminal", "python", "rlm")


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises UsageError."""
    if name not in available():
        close = difflib.get_close_matches(name[:50], available(), n=1)
        raise UsageError(
            f"there is no strategy {printable(name, 60)}",
            hint=f"did you mean {close[0]}?" if close else f"there is {', '.join(available())}",
        )
    made: Strategy = import_module(f"{__name__}.{name}").STRATEGY
    return made


def chosen(text: str) -> Sequence[str]:
    """The strategies that `text` names, separated by commas. Raises UsageError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("no strategy is named", hint=f"there is {', '.join(available())}")
    for name in names:
        strategy(name)
    return list(dict.fromkeys(names))


def available() -> list[str]:
    """The names of the strategies that there are, in the order in which they are compared."""
    return [name for name in NAMES if find_spec(f"{__name__}.{name}") is not None]
