"""How many calls a second one process sends, and several: the same program, run by 1, 2, … processes.

    python benchmarks/processes.py [--calls N] [--concurrency N] [--rounds N] [--processes N …]

The server (server.py) answers at once, on this machine: it takes a core of its own, so N processes need N + 1 cores to show what they
can. Where there are fewer, what is to be read is the processor time that a call takes of the run's own process: that is the one that
cannot be shared out. Workers are started by the first call here, instead of after the first busy half second, and what is measured begins
when they stand: from the first item of the answer to the last.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

from harness import Spent, best, server, table

from rlmlang.lm.workers import need
from rlmlang.session import Settings, prepare

PROGRAM = """
input n: int
start = call "Begin."
ready = call f"{start} Wait for the others. delay=3000"
answer [call f"{ready} Say something about number {x}." for x in range(n)]
"""


def measured(base_url: str, processes: int, calls: int, concurrency: int) -> Spent:
    """One run of PROGRAM, from the first item on."""
    settings = Settings(model="bench", base_url=base_url, memo="off", concurrency=concurrency, processes=processes)
    session = prepare(PROGRAM, settings, {"n": calls})
    began: list[tuple[float, float]] = []

    def item(_: Any) -> None:
        if not began:
            began.append((time.perf_counter(), time.process_time()))

    session.start(item).wait()
    wall, cpu = time.perf_counter(), time.process_time()
    assert session.used.requests == calls + 2
    return Spent(wall - began[0][0], cpu - began[0][1])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args(argv)
    need.CALLS, need.SECONDS, need.BUSY, need.RATE = 1, 0.0, 0.0, 0.0  # type: ignore[misc]
    with server() as url:
        sides = {
            f"{count} processes" if count > 1 else "one process": lambda count=count: measured(url, count, given.calls, given.concurrency)
            for count in given.processes
        }
        spent = best(sides, given.rounds, warm=False)
    print(f"{given.calls:,} calls, {given.concurrency} at once, answers after 0 ms, {os.cpu_count()} cores, one of them the server's\n")
    rows = [
        [name, f"{given.calls / s.wall:,.0f}", f"{s.cpu / given.calls * 1e6:,.0f}", f"{1e6 / (s.cpu / given.calls * 1e6):,.0f}"]
        for name, s in spent.items()
    ]
    table(["", "calls/s", "CPU µs a call of the run's own process", "calls/s that would allow"], rows)


if __name__ == "__main__":
    main()
