"""What worker processes save where it is the items of a map that take time, and not their requests.

    python benchmarks/shares.py [--calls N] [--heavy N] [--rounds N] [--processes N …]

Two programs, each run by one process and by several: one that is answered from the memo store whole, and one that looks through a text for
about a millisecond an item before it calls a model that takes 20 ms. From the first step of the evaluator to the last, the start of the
workers included; the bound, which comes before, is one process's. As many cores as processes are needed to show what they can; the server
of the second has little to do.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import Spent, best, server, table

from rlmlang.session import Settings, prepare

RECALLED = """
input n: int
answer [call f"Say something about number {x}." for x in range(n)]
"""
HEAVY = """
input n: int
input text: text
answer [call f"How often is {x} there?" on len(findall(text, f"a[bc]*[0-{x % 10}]")) for x in range(n)]
"""
TEXT = "abc abcabcabc ab1 acb2 bca3 cabc4 " * 60
LATENCY = 0.02


def measured(program: str, settings: Settings, **inputs: Any) -> Spent:
    """One run of a program, its bound left out."""
    session = prepare(program, settings, inputs)
    wall, cpu = time.perf_counter(), time.process_time()
    session.start().wait()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--heavy", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, server(LATENCY) as url:
        script = Path(folder) / "model.jsonl"
        script.write_text('{"match": "", "reply": "Something."}\n')
        store = Path(folder) / "memo.sqlite"

        def recalled(processes: int) -> Spent:
            settings = Settings(model=f"script:{script}", memo=store, concurrency=64, processes=processes)
            return measured(RECALLED, settings, n=given.calls)

        def heavy(processes: int) -> Spent:
            settings = Settings(model="bench", base_url=url, memo="off", concurrency=64, processes=processes)
            return measured(HEAVY, settings, n=given.heavy, text=TEXT)

        recalled(1)
        rows, ratios = [], []
        for name, work, count in (("from the memo", recalled, given.calls), ("a millisecond of work, then a call", heavy, given.heavy)):
            sides = {f"{number} processes": lambda number=number, work=work: work(number) for number in given.processes}
            spent: dict[str, Spent] = best(sides, given.rounds, warm=False)
            rows += [[name, side, f"{count / s.wall:,.0f}", f"{s.wall / count * 1e6:,.0f}"] for side, s in spent.items()]
            walls = [s.wall for s in spent.values()]
            ratios.append((name, walls[0] / walls[-1]))
    print(f"{given.calls:,} and {given.heavy:,} calls, 64 at once, {os.cpu_count()} cores\n")
    table(["", "", "items/s", "µs an item"], rows)
    for name, ratio in ratios:
        print(f"{name}: {given.processes[-1]} processes {ratio:.2f} times as many items a second as {given.processes[0]}")


if __name__ == "__main__":
    main()
