"""The bound against the evaluator over many random programs: `python benchmarks/soundness.py --programs 300000 [--from SEED]`.

Prints each violation with its program, and at the end how many programs and runs were examined. The same check over 2,000 programs is
part of the tests (tests/test_soundness.py). Two processes, as it is all computing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_soundness import examine

_PART = 500


def part(start: int) -> tuple[Counter[str], list[str]]:
    """The programs from a seed on: what was counted, and what went wrong."""
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(start, start + _PART):
        try:
            counted += examine(seed)
        except AssertionError as error:
            wrong.append(str(error))
        except Exception as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {error}")
    return counted, wrong


def main() -> int:
    """Exit code 1 where a bound did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=300_000)
    parser.add_argument("--from", type=int, default=1_000_000, dest="start")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    total: Counter[str] = Counter()
    violations = 0
    began = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        for done, (counted, wrong) in enumerate(pool.map(part, range(given.start, given.start + given.programs, _PART)), 1):
            total += counted
            violations += len(wrong)
            for text in wrong:
                print(text, "\n")
            if done % 20 == 0:
                print(f"{done * _PART:,} programs, {violations} violations, {time.monotonic() - began:,.0f} s", file=sys.stderr)
    runs = total["answered"] + total["failed"]
    print(f"{total['programs']:,} programs ({total['refused']:,} more did not check), {runs:,} runs, {total['calls']:,} calls")
    print(f"{violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
