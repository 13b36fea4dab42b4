"""What the memo store costs and what it saves.

    python benchmarks/memo.py [--calls N] [--concurrency N] [--rounds N]

The same program, run against a server on this machine that answers at once: live without a store; live with a new store, so that every
answer is committed to disk before its slot is given back; and again with that store, answered from it without a request. A real model takes
thousands of times as long, so these are the overheads alone, and how often one is of the other; the rate that a model could have is that
against a server which takes 20 ms, over 20,000 calls at most. Whole runs, parsing and opening the store included; the ways take turns, the
best round of each counts. Up to 100,000 calls there is a round before that does not count.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness import Spent, best, server, table, timed, verdict

from rlmlang.session import Settings, run

LATENCY = 0.02  # of the server that stands for a model: few answer as soon
PROGRAM = """
input n: int
answer [call f"Say something about number {x}." for x in range(n)]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    with server() as url, server(LATENCY) as slower, tempfile.TemporaryDirectory() as folder:
        stores = iter(Path(folder) / f"{number}.sqlite" for number in range(2 * given.rounds + 2))
        store = Path(folder)

        def once(memo: Path | str, calls: int, from_memo: int = 0, address: str = url) -> Spent:
            settings = Settings(model="bench", base_url=address, memo=memo, concurrency=given.concurrency)

            def work() -> None:
                result = run(PROGRAM, settings, n=calls)
                assert result.used.calls == calls and result.used.from_memo == from_memo

            return timed(work)

        def live() -> Spent:
            nonlocal store
            store = next(stores)
            return once(store, given.calls)

        few = min(given.calls, 20_000)
        spent = best(
            {
                "live at 20 ms, new store": lambda: once(next(stores), few, address=slower),
                "live, no store": lambda: once("off", given.calls),
                "live, new store": live,
                "from the store": lambda: once(store, given.calls, given.calls),
            },
            given.rounds,
            warm=given.calls <= 100_000,
        )
    print(f"{given.calls:,} calls, {given.concurrency} at once, answers after 0 ms but where it says so\n")
    each = [Spent(s.wall / calls, s.cpu / calls) for s, calls in zip(spent.values(), (few, *[given.calls] * 3), strict=True)]
    rows = [[name, f"{1 / s.wall:,.0f}", f"{s.wall * 1e6:,.0f}", f"{s.cpu * 1e6:,.0f}"] for name, s in zip(spent, each, strict=True)]
    table(["", "calls/s", "µs a call", "of it CPU here"], rows)
    model, off, on, found = (s.wall for s in each)
    verdict("from the store against live at 20 ms", model / found, "10 or more", model / found >= 10)
    verdict("from the store against live at 0 ms, with a store", on / found, "10 or more", on / found >= 10)
    verdict("live with a store against live without", off / on, "0.8 or more", off / on >= 0.8)


if __name__ == "__main__":
    main()
