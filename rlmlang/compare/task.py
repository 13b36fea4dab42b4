"""What a strategy is given: a question about data, and what is known of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen


@frozen
class Item:
    """One thing that had to be looked at: a line, a record, a file, a window of a text.

    `text` stands as it is in the data. A sub-call has seen the item where this text, JSON-escaped or not, occurs in its messages.
    """

    name: str
    text: str


@frozen
class Task:
    """`data` is as `rlmlang.solve(data=…)` takes it: a text, a list of values, the path of a file or folder. `type` is that of the answer,
    in the language's notation. `gold` is None where nobody knows it. `score` says how good an answer is, given it and the gold, from 0 to
    1. `needed` are the items that an honest answer rests on, for coverage; with none, every item there is.
    """

    question: str
    data: Mapping[str, Any] = field(factory=dict)
    type: str | None = None
    gold: Any = None
    score: Callable[[Any, Any], float] | None = None
    needed: tuple[Item, ...] = ()
    name: str = ""
