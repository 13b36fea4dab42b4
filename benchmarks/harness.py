"""What the benchmarks share: the server in a process of its own, sides measured in turns, and tables."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Spent(NamedTuple):
    """Seconds that something took: on the clock, and of processor time of this process, all threads together."""

    wall: float
    cpu: float


Side = Callable[[], Spent]  # does its work once


@contextmanager
def server(latency: float = 0.0) -> Iterator[str]:
    """The base URL of a loopback server (server.py) that answers after `latency` seconds, until the block ends."""
    command = [sys.executable, str(Path(__file__).with_name("server.py")), "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


def timed(work: Callable[[], object]) -> Spent:
    """What one run of `work` takes."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def best(sides: Mapping[str, Side], rounds: int, *, warm: bool = True) -> dict[str, Spent]:
    """The least wall and the least CPU seconds of each side. The sides take turns, so that a busy moment of the machine hits all; with
    `warm` there is one more turn before, which does not count."""
    if warm:
        for side in sides.values():
            side()
    least = dict.fromkeys(sides, Spent(float("inf"), float("inf")))
    for _ in range(rounds):
        for name, side in sides.items():
            least[name] = Spent(*map(min, least[name], side()))
    return least


def rendered(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    widths = [max(3, *(len(row[at]) for row in (headings, *rows))) for at in range(len(headings))]
    rule = ["-" * (width - 1) + (":" if at else "-") for at, width in enumerate(widths)]
    lines = []
    for row in (headings, rule, *rows):
        cells = [cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    print(rendered(headings, rows))


def verdict(what: str, ratio: float, wanted: str, met: bool) -> None:
    """Prints one figure against what is wanted of it."""
    print(f"{'ok  ' if met else 'MISS'} {what}: {ratio:.2f} (wanted {wanted})")
