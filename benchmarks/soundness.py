"""The bound against the evaluator over many random programs: `python benchmarks/soundness.py --programs 300000 [--from SEED]`.

Prints each violation with its program, and at the end how many programs, runs and figures were examined. The same check over 5,000 programs
is part of the tests (tests/test_soundness.py). Two processes, as it is all computing. What is done is printed as it goes, with the seed to
go on from: `--from` takes it up there.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from soundness import Soundness, Violation

PART = 500
SECONDS = 60  # of one program: then it counts as a violation, since a bound takes milliseconds


def part(start: int, stop: int) -> tuple[Counter[str], list[str], float]:
    """The programs from a seed to another: what was counted, what went wrong, and the seconds of a core that it took."""
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    began = time.process_time()
    signal.signal(signal.SIGALRM, _too_long)
    with Soundness() as soundness:
        for seed in range(start, stop):
            signal.alarm(SECONDS)
            try:
                counted += soundness.examine(seed)
            except Violation as violation:
                wrong.append(str(violation))
            except Exception as error:
                wrong.append(f"seed {seed}: {type(error).__name__}: {error}")
    signal.alarm(0)
    return counted, wrong, time.process_time() - began


def _too_long(*_: object) -> None:
    raise TimeoutError(f"it takes more than {SECONDS} s")


def main() -> int:
    """Exit code 1 where a bound did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=300_000)
    parser.add_argument("--from", type=int, default=1_000_000, dest="start")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    end = given.start + given.programs
    starts = range(given.start, end, PART)
    total: Counter[str] = Counter()
    violations, seconds, began = 0, 0.0, time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        for start, (counted, wrong, took) in zip(starts, pool.map(part, starts, [min(s + PART, end) for s in starts]), strict=True):
            total += counted
            violations += len(wrong)
            seconds += took
            for text in wrong:
                print(text, "\n", flush=True)
            done = min(start + PART, end) - given.start
            if done % (10 * PART) == 0 or done == given.programs:
                left = (time.monotonic() - began) * (given.programs - done) / done
                rate = f"{done / seconds:,.0f} a second and core"
                print(
                    f"{done:,} programs, {violations} violations, {rate}, {left / 60:,.0f} min left; next: --from {given.start + done}",
                    file=sys.stderr,
                )
    runs = total["answered"] + total["failed"]
    print(
        f"{total['programs']:,} programs ({total['refused']:,} more did not check), {runs:,} runs of which {total['answered']:,} "
        f"gave an answer, {total['calls']:,} calls, {total['figures']:,} ends of figures"
    )
    print(f"{violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
