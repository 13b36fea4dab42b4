"""Runs that make calls for a sample only: so many items of each list that no stage made."""

from __future__ import annotations

from collections.abc import Container, Iterator
from random import Random
from typing import TYPE_CHECKING

from rlmlang.run.feeds import END, GONE, WAIT, Awaiting, BatchFeed, Changed, Event, Feed, Flattened, ListFeed, Mark
from rlmlang.run.flow import Here

if TYPE_CHECKING:
    from rlmlang.run.evaluate import Run


def sampled(here: Here, feed: Feed, *, first: bool = False) -> Feed:
    """In a run that makes calls for a sample only: so many items, at random or the first ones, of a list that no stage made, and that is
    not one of an item of another."""
    wanted = here.run.sample
    if wanted is None or here.items or feed.partial or not _is_pure(feed):
        return feed
    return Sampled(feed, wanted, here.run, first)


def _is_pure(feed: Feed) -> bool:
    while isinstance(feed, (Changed, Awaiting, Flattened)):
        feed = feed.source
    return isinstance(feed, (ListFeed, BatchFeed))


class Sampled:
    """So many of another feed's items, in their order, each at the position that it has in the whole."""

    def __init__(self, feed: Feed, wanted: int, run: Run, first: bool) -> None:
        self._feed = feed
        self._wanted = wanted
        self._run = run
        self._first = first
        self._all: list[Event] = []
        self._total = 0
        # where the count is known before, only what is chosen is kept
        self._places: Container[int] | None = None
        if isinstance(feed, ListFeed) and feed.size > wanted:
            self._places = range(wanted) if first else frozenset(drawn(feed.size, wanted))
        self._chosen: Iterator[Event] | None = None
        self.partial = False
        self.wait = feed.wait
        self.close = feed.close

    def ready(self) -> Event | Mark:
        while self._chosen is None:
            event = self._feed.ready()
            if event is WAIT:
                return WAIT
            if isinstance(event, tuple):
                if event[1] is not GONE:
                    self._total += 1
                    if self._places is None or event[0] in self._places:
                        self._all.append(event)
                continue
            self._choose()
        return next(self._chosen, END)

    def _choose(self) -> None:
        events, wanted = self._all, self._wanted
        if self._total > wanted:
            self.partial = True
            self._run.sampled_share = min(self._run.sampled_share, wanted / self._total)
        if len(events) > wanted:
            events = events[:wanted] if self._first else [events[at] for at in sorted(drawn(len(events), wanted))]
        self._run.expect(len(events))
        self._chosen = iter(events)
        self._all = []


def drawn(count: int, wanted: int) -> list[int]:
    """`wanted` different positions of `count`, at random, in no order: the same ones every time, and more of them where more are wanted."""
    random = Random(count)
    moved: dict[int, int] = {}  # the first steps of a shuffle (Fisher and Yates), of which only what was moved is kept
    taken = []
    for at in range(wanted):
        other = at + int(random.random() * (count - at))
        taken.append(moved.get(other, other))
        moved[other] = moved.get(at, at)
    return taken
