"""What a strategy took and what its models saw: the one place where this is counted, the same for all strategies.

It is told of every call that is over, however answered. Tokens and money are counted as if nothing had been in the memo, each different
request once: so a row says what a strategy takes, whichever ran before it. What was really paid is in the run's own report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from rlmlang.compare.coverage import Items
from rlmlang.errors import Failure
from rlmlang.lm.request import Message, Request
from rlmlang.run.calls import Cost, Site

IsRoot = Callable[[Site, int], bool]


def at_the_top(site: Site, level: int) -> bool:
    """Whether a call of a question that is solved is the root model's: what it asks for below has another level."""
    return level == 1


@define(eq=False)
class Account:
    """The account of one strategy (`run.calls.Watch`). `is_root` says of a place and how deep it is nested whether the root model is asked
    there. `root_calls` are the calls of the root model; tokens of input and output together."""

    items: Items
    is_root: IsRoot
    root_calls: int = 0
    tokens: int = 0
    root_tokens: int = 0
    nanodollars: int = 0
    _paid: set[bytes] = field(factory=set)
    _looked: set[tuple[bool, int]] = field(
        factory=set
    )  # texts that were gone through, by their hashes: a conversation is sent again and again
    _by_calls: set[int] = field(factory=set)
    _by_root: set[int] = field(factory=set)

    def __call__(self, site: Site, level: int, request: Request, value: Any, cost: Cost) -> None:
        root = self.is_root(site, level)
        tokens, nanodollars = cost
        self.root_calls += root
        if request.key not in self._paid:
            self._paid.add(request.key)
            self.tokens += tokens
            self.nanodollars += nanodollars
            if root:
                self.root_tokens += tokens
        if not isinstance(value, Failure):
            for message in request.messages:
                self._see(message, root)

    def _see(self, message: Message, root: bool) -> None:
        seen = self._by_root if root else self._by_calls
        text = message.content
        if len(seen) == self.items.count or (root, hash(text)) in self._looked:
            return
        self._looked.add((root, hash(text)))
        seen |= self.items.within(text)

    def coverage(self, *, root: bool) -> float | None:
        """The share of the items that a sub-call saw, from 0 to 1; with `root` also those that only the root model did. None where there
        is nothing to be seen."""
        seen = self._by_calls | self._by_root if root else self._by_calls
        return len(seen) / self.items.count if self.items.count else None
