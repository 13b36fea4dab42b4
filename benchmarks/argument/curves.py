"""What each strategy takes as its data grow: measured with scripted models while that is quick, and by arithmetic beyond.

The task is OOLONG's: how many of n lines have a label that only a reader can tell. Roots and sub-models make no mistake (`root.py`), so
what is left is what the strategy itself takes. For each figure the kind of its growth is known from how the strategy works; the
coefficients come from the measured sizes, and it is said by how much they miss these.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from benchmarks.argument.reader import reading
from benchmarks.argument.root import Root
from rlmlang import Settings, limits
from rlmlang.compare.compare import compare
from rlmlang.compare.strategy import Row
from rlmlang.compare.workloads import generate
from rlmlang.limits import ROOT_PROMPT_BYTES, ROOT_REPLY_TOKENS, SOLVE_TURNS

SEED = 7
WINDOW = limits.COMPARE_WINDOW  # tokens of the root model
LARGE = [digit * 10**power for power in range(1, 6) for digit in (1, 2, 5)] + [1_000_000]


@frozen
class Way:
    """A strategy, played in one way. `degree` is how its root's tokens grow: 0, 1 or 2. `smallest`, `largest`: sizes from which the
    coefficients come, and up to which it is measured."""

    name: str
    strategy: str
    degree: int
    lines: int = 20
    smallest: int = 20
    largest: int = 1_000


WAYS = (
    Way("direct", "direct", 1, largest=10_000),
    Way("chunks", "chunks", 1, smallest=500, largest=10_000),
    Way("toolcalls, a line each", "toolcalls", 2, lines=1),
    Way("toolcalls, 20 lines each", "toolcalls", 2, smallest=500, largest=5_000),
    Way("folding, 100 lines each", "folding", 2, smallest=500, largest=5_000),
    Way("terminal, 80 lines each", "terminal", 2, smallest=500, largest=2_000),
    Way("python, a line each", "python", 0, largest=2_000),
    Way("rlm, a line each", "rlm", 0, largest=10_000),
)


@frozen
class Point:
    """A strategy at one size. `written`: the characters of the program that makes its calls; `largest`: the longest prompt of the root
    model, in tokens."""

    n: int
    root_tokens: float
    calls: float
    written: float
    largest: float
    rounds: float
    coverage: float
    score: float
    seconds: float
    measured: bool = True


def play(way: Way, n: int, *, drop: float = 0.0, seed: int = SEED, window: int = WINDOW) -> tuple[Row, Root]:
    """One run of a strategy, and who played its root."""
    corpus = generate("counting", n, SEED)
    root = Root(corpus, corpus.questions[0], drop=drop, lines=way.lines, seed=seed)
    with tempfile.TemporaryDirectory() as folder, reading(root) as url:
        config = Path(folder) / "rlm.toml"
        config.write_text(
            f'[models.root]\nbase_url = "{url}"\ncontext_window = {window}\n[models.sub]\nbase_url = "{url}"\n', encoding="utf-8"
        )
        settings = Settings(model="sub", root="root", memo=Path(folder) / "memo", config=config)
        (row,) = compare(corpus.task(), [way.strategy], settings, turns=SOLVE_TURNS, calls=2 * n + 200, allow_python=True)
    return row, root


def point(way: Way, n: int) -> Point:
    """A strategy at one size, measured. What needs no cutting is run with room enough: before a prompt is sent, it is reckoned on the safe
    side, and would be refused long before the window is full."""
    row, root = play(way, n, window=WINDOW if way.strategy in ("direct", "chunks") else 10 * WINDOW)
    figures = (float(f) for f in (row.root_tokens, row.calls, written(row), root.largest, row.rounds))
    return Point(n, *figures, row.coverage or 0.0, row.score or 0.0, row.seconds)


def written(row: Row) -> int:
    """The characters of the strategy as a program; where it is none, of the arguments of its tools, or of its programs in Python."""
    said = sum(len(step.text) for step in row.transcript if step.by == "root")
    return len(row.program or "") or sum(len(step.arguments) for step in row.transcript) or said


def sizes(way: Way) -> list[int]:
    """Those that are measured."""
    return [n for n in LARGE if n <= way.largest]


@frozen
class Curve:
    """A strategy over all sizes. `check` is by how much the arithmetic of each figure misses the measured sizes at worst, as a share."""

    way: Way
    points: Sequence[Point]
    check: Mapping[str, float] = field(factory=dict)


def curve(way: Way, measured: Sequence[Point]) -> Curve:
    """The measured points, and by arithmetic those beyond."""
    degrees = {"root_tokens": way.degree, "calls": 1, "written": 0 if way.strategy in ("direct", "chunks", "python", "rlm") else 1}
    degrees |= {"largest": min(1, way.degree), "rounds": 0 if way.degree < 2 else 1}
    uncut = [p for p in measured if p.coverage == 1.0 or way.strategy != "direct"]
    own = [p for p in uncut if p.n >= way.smallest]
    own = own if len(own) > way.degree else uncut  # of a quick measurement
    fits = {name: fitted([(p.n, getattr(p, name)) for p in own], degree) for name, degree in degrees.items()}
    points = list(measured)
    for n in LARGE[len(measured) :]:
        figures = {name: fit(n) for name, (fit, _) in fits.items()}
        points.append(Point(n=n, coverage=1.0, score=0.0, seconds=0.0, measured=False, **figures))
    return Curve(way, [within(way, p, measured[-1]) for p in points], {name: miss for name, (_, miss) in fits.items()})


def fitted(points: Sequence[tuple[float, float]], degree: int) -> tuple[Callable[[float], float], float]:
    """The polynomial of that degree without negative terms that comes closest to the points, each by its share; and by what share it
    misses them at worst."""
    powers = list(range(degree + 1))
    while True:
        factors = _least_squares([([x**k / y for k in powers], 1.0) for x, y in points if y])
        wrong = [k for k, factor in zip(powers, factors, strict=True) if factor < 0]
        if not wrong or len(powers) == 1:
            break
        powers.remove(wrong[0])

    def value(x: float) -> float:
        return sum(factor * x**k for k, factor in zip(powers, factors, strict=True))

    return value, max((abs(value(x) - y) / y for x, y in points if y), default=0.0)


def _least_squares(rows: Sequence[tuple[Sequence[float], float]]) -> list[float]:
    """The factors that come closest, by the normal equations: there are three at most."""
    size = len(rows[0][0]) if rows else 0
    if len(rows) < size or not size:
        return [0.0] * max(size, 1)
    scale = [max(abs(row[k]) for row, _ in rows) for k in range(size)]
    rows = [([value / s for value, s in zip(row, scale, strict=True)], wanted) for row, wanted in rows]
    matrix = [[sum(row[i] * row[j] for row, _ in rows) for j in range(size)] + [sum(row[i] * y for row, y in rows)] for i in range(size)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(matrix[r][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for r in range(size):
            if r != i:
                factor = matrix[r][i] / matrix[i][i]
                matrix[r] = [a - factor * b for a, b in zip(matrix[r], matrix[i], strict=True)]
    return [matrix[i][size] / matrix[i][i] / scale[i] for i in range(size)]


def within(way: Way, p: Point, last: Point) -> Point:
    """What is left where a prompt to the root has outgrown its window: what was seen before. `last` is the largest measured size."""
    room = float(WINDOW)
    if p.measured or p.largest <= (room if way.strategy != "chunks" else room / 4):
        return p
    if way.strategy == "chunks":  # its notes are merged until a quarter of the window is enough
        return evolve(p, root_tokens=room / 4, largest=room / 4)
    if way.strategy == "direct":  # the prompt is cut
        kept = last.root_tokens if last.coverage < 1.0 else p.root_tokens * room / p.largest
        return evolve(p, root_tokens=kept, largest=kept, coverage=kept / p.root_tokens)
    return evolve(p, coverage=room / p.largest)


def most_root_tokens(turns: int = 8) -> int:
    """What the root model of `rlm` can take at most, whatever the data are: the bound, without attempts that failed."""
    return turns * (ROOT_PROMPT_BYTES + ROOT_REPLY_TOKENS)


@frozen
class Dropped:
    """Coverage where a share of sub-calls is left out: over so many runs, the mean, and the share of runs in which every line was seen;
    beside each what arithmetic says."""

    name: str
    n: int
    runs: int
    mean: float
    complete: float
    mean_expected: float
    complete_expected: float


def dropped(way: Way, n: int, share: float, runs: int) -> Dropped:
    """Runs of one strategy that differ in what is left out only."""
    rows = [play(way, n, drop=share, seed=seed)[0] for seed in range(runs)]
    seen = [row.coverage or 0.0 for row in rows]
    return Dropped(way.name, n, runs, sum(seen) / runs, sum(s == 1.0 for s in seen) / runs, 1 - share, complete(way, n, share))


def complete(way: Way, n: int, share: float) -> float:
    """The probability that nothing is left out, where each thing that the root has to write is with this probability."""
    size = {"toolcalls": way.lines, "folding": 100, "terminal": 80}.get(way.strategy)
    return (1 - share) ** (math.ceil(n / size) if size else 1)


@frozen
class Outgrown:
    """A run whose root has a small window: how it ended, and what was seen, beside what arithmetic says."""

    name: str
    window: int
    n: int
    outcome: str
    seen: float
    expected: float


def outgrown(way: Way, n: int, windows: Sequence[int]) -> list[Outgrown]:
    """Runs with windows that may be too small. What is expected follows from a run with room enough."""
    whole = play(way, n, window=10 * WINDOW)[1].reckoned
    rows = [(window, play(way, n, window=window)[0]) for window in windows]
    return [Outgrown(way.name, window, n, row.outcome, row.coverage or 0.0, min(1.0, window / whole)) for window, row in rows]
