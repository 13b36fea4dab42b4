"""What a run and its workers tell one another about shares of a map.

To a worker:

    (PROGRAM, packed)                               what `served._Program` is made of
    (STAGE, stage, packed)                          a stage: its node, and what it reads from outside
    (ITEMS, stage, batch, asks, packed)             items: the round they begin with, and events; `asks`: whether it may ask for replies
    (ANSWER, question, packed)                      the reply that it asked for; None for packed where there is none

From one:

    (DONE, stage, passed, packed)                   items that it is through with, as a `Done`; `passed`: how many batches have been begun
    (ASK, stage, question, item, packed)            an item wants a reply: site, key, content, sample, system
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rlmlang.run.frames import Kind
from rlmlang.run.shards.places import Place

PROGRAM: Final = 0
STAGE: Final = 1
ITEMS: Final = 2
ANSWER: Final = 3
DONE: Final = 4
ASK: Final = 5

# what is known of a variable from outside: the kind of slot it stands in, whether the value is there, and it
Captured = tuple[Place, Kind, bool, Any]
Item = tuple[int, int]  # a batch, and the place in it


class Done(NamedTuple):
    """What became of `items`: what each gave, the longest chain of calls for each, and which of them are handed `back` (their places in
    `items`). Of the others together: the keys of the calls by place, those that the memo answered by model, conditions decided by place
    (how often, and how often they held), and steps. `begun` items took `seconds` until they were through, or waited for the first time."""

    items: Sequence[Item]
    made: Sequence[Any]
    rounds: Sequence[int]
    back: Sequence[int]
    keys: Mapping[int, Sequence[bytes]]
    models: Mapping[str, int]
    chosen: Mapping[int, tuple[int, int]]
    steps: int
    begun: int
    seconds: float
