"""Whether calls wait for anything but the model: run time against the ideal, at a latency of 200 ms.

    python benchmarks/latency.py [--rounds N]

Independent calls: with `calls` calls, `width` at once, no client can be done before `calls * latency / width`; the figure is that ideal
over the time the program really took (1 is perfect). Pipeline: each of 1,000 items goes through a call, a filter that calls, and another
call; the latency of each of these calls differs from item to item (half a second to five; the server reads it off the prompt), and all
items fit into the width. The ideal is the critical path, the item whose three calls take longest together; evaluating stage by stage
would take the sum of the slowest of each stage, which is shown beside it. Times are of whole runs, parsing and connecting included. A
bare aiohttp client at the same widths is shown for orientation: what this machine allows at all.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable
from functools import partial

from calls import by_aiohttp
from harness import best, server, table, timed, verdict

from rlmlang.session import Settings, run

LATENCY = 0.2
_STAGES = ("first", "second", "third")
WIDTHS = {16: 960, 100: 6_000, 500: 30_000}  # calls for each width: sixty rounds, so that opening connections is no large part
ITEMS = 1_000  # of the pipeline
WIDE = """
input n: int
answer [call f"Say something about number {x}." for x in range(n)]
"""
PIPELINE = """
input items: [{id: int, first: int, second: int, third: int}]
drafts = [{...item, text: call f"Draft {item.id} delay={item.first}"} for item in items]
kept = [draft for draft in drafts if call f"Is this one good? delay={draft.second}" on draft.id -> bool]
answer [call f"Finish it. delay={draft.third}" on draft.id for draft in kept]
"""


def wide(base_url: str, calls: int, width: int) -> None:
    """One run of WIDE."""
    settings = Settings(model="bench", base_url=base_url, memo="off", concurrency=width)
    assert len(run(WIDE, settings, n=calls).answer) == calls


def alone(base_url: str, calls: int, width: int) -> None:
    """The same by aiohttp."""
    asyncio.run(by_aiohttp(base_url, calls, width))


def pipeline(base_url: str, items: list[dict[str, int]], width: int) -> None:
    """One run of PIPELINE."""
    settings = Settings(model="bench", base_url=base_url, memo="off", concurrency=width)
    assert len(run(PIPELINE, settings, items=items).answer) == len(items)


def made_items(count: int) -> list[dict[str, int]]:
    """Items of which each is slow (4 to 5 s) in one stage and quick (0.5 to 1 s) in the others, the same ones every time."""
    chance = random.Random(7)
    slow = [chance.choice(_STAGES) for _ in range(count)]
    return [
        {"id": at, **{stage: chance.randint(4_000, 5_000) if stage == slow[at] else chance.randint(500, 1_000) for stage in _STAGES}}
        for at in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    items = made_items(ITEMS)
    with server(LATENCY) as url:
        wide(url, 16, 16)  # imports and the like
        works: dict[str, Callable[[], None]] = {}
        for width, calls in WIDTHS.items():
            works[f"width {width}, {calls:,} calls"] = partial(wide, url, calls, width)
            works[f"  aiohttp alone, width {width}"] = partial(alone, url, calls, width)
        works[f"pipeline of 3, {ITEMS:,} items"] = partial(pipeline, url, items, ITEMS)
        spent = best({name: partial(timed, work) for name, work in works.items()}, given.rounds, warm=False)
    path = max(sum(item[stage] for stage in _STAGES) for item in items) / 1000
    staged = sum(max(item[stage] for item in items) for stage in _STAGES) / 1000
    ideals = [calls * LATENCY / width for width, calls in WIDTHS.items() for _ in range(2)] + [path]
    rows = [
        [name, f"{ideal:.2f}", f"{s.wall:.2f}", f"{ideal / s.wall:.3f}"] for (name, s), ideal in zip(spent.items(), ideals, strict=True)
    ]
    rows.append(["  stage by stage it would be", f"{path:.2f}", f"{staged:.2f}", f"{path / staged:.3f}"])
    table(["at 200 ms", "ideal s", "taken s", "fraction of ideal"], rows)
    for at, width in enumerate(WIDTHS):
        fraction = float(rows[2 * at][3])
        verdict(f"fraction of the ideal at width {width}", fraction, "0.95 or more", fraction >= 0.95)
    times = float(rows[-2][2]) / path
    verdict("the pipeline against its critical path", times, "1.1 or less", times <= 1.1)


if __name__ == "__main__":
    main()
