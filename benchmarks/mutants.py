"""Is every rule of the bound needed? Each is made wrong in turn, and the soundness check must notice: `python benchmarks/mutants.py`.

A rule is made wrong by what it gives: its cost left out, its lower end of calls raised, its end in rounds set back to its start, its
size shrunk.
A mutant that changes nothing in any of the programs examined is not counted; one that changes something and is not noticed is a survivor.
Prints the survivors; exit code 1 if there are any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_soundness import Violation, examine

from rlmlang.builtins import REGISTRY
from rlmlang.cost import analysis, outcome
from rlmlang.cost.account import Cost
from rlmlang.quantity import INFINITE, plus
from rlmlang.sizes import ONE, Exact, Interval, ListSize, NumberSize, Size, TextSize

Out = outcome.Out


def _halved(interval: Interval) -> Interval:
    high = interval.high
    return Interval(0, high // 2) if isinstance(high, int) and high > 0 else Interval(0, 0) if high != INFINITE else interval


def shrunk(size: Size | None) -> Size | None:
    """A size with its upper end too low."""
    match size:
        case TextSize(bytes_):
            return TextSize(_halved(bytes_))
        case ListSize(count, item, _):
            return ListSize(_halved(count), item)
        case NumberSize(low, high, whole) if isinstance(low, (int, float)) and isinstance(high, (int, float)) and high > low > -INFINITE:
            return NumberSize(low, low, whole)
    return size


def _no_cost(out: Out, start: Interval) -> Out:
    return evolve(out, cost=Cost())


def _more_calls(out: Out, start: Interval) -> Out:
    sites = {node: evolve(site, calls=site.calls + ONE) for node, site in out.cost.sites.items()}
    return evolve(out, cost=Cost({n: evolve(s, calls=Interval(s.calls.low, s.calls.low)) for n, s in sites.items()}, out.cost.rounds))


def _no_rounds(out: Out, start: Interval) -> Out:
    return evolve(out, round=start)


def _late(out: Out, start: Interval) -> Out:
    return evolve(out, round=Interval(plus(out.round.high, 1), plus(out.round.high, 1)))


def _small(out: Out, start: Interval) -> Out:
    return out if isinstance(out.size, Exact) else evolve(out, size=shrunk(out.size))


CHANGES: dict[str, Callable[[Out, Interval], Out]] = {
    "cost left out": _no_cost,
    "calls raised": _more_calls,
    "rounds left out": _no_rounds,
    "rounds raised": _late,
    "size shrunk": _small,
}


class Changed:
    """Counts how often a mutant made a difference."""

    times = 0


def of_rules() -> Iterator[tuple[str, Callable[[], None], Callable[[], None], Changed]]:
    """The mutants of the rules for constructs: their names, how to put them in and take them out."""
    rules: dict[Any, Any] = analysis._RULES
    for kind, rule in list(rules.items()):
        for name, change in CHANGES.items():
            changed = Changed()

            def mutant(
                self: Any, node: Any, env: Any, start: Interval, rule: Any = rule, change: Any = change, changed: Changed = changed
            ) -> Out:
                out = rule(self, node, env, start)
                other = change(out, start)
                if self.policy.expected or (other.size == out.size and other.round == out.round and other.cost == out.cost):
                    return out
                changed.times += 1
                return other

            def put(kind: Any = kind, mutant: Any = mutant) -> None:
                rules[kind] = mutant

            def take(kind: Any = kind, rule: Any = rule) -> None:
                rules[kind] = rule

            yield f"{kind.__name__}: {name}", put, take, changed


def of_builtins() -> Iterator[tuple[str, Callable[[], None], Callable[[], None], Changed]]:
    """The mutants of the size rules of built-ins."""
    for name, builtin in REGISTRY.items():
        changed = Changed()
        rule = builtin.size

        def mutant(sizes: Any, rule: Any = rule, changed: Changed = changed) -> Size:
            size: Size = rule(sizes)
            other = shrunk(size)
            assert other is not None
            changed.times += other != size
            return other

        def put(builtin: Any = builtin, mutant: Any = mutant) -> None:
            object.__setattr__(builtin, "size", mutant)

        def take(builtin: Any = builtin, rule: Any = rule) -> None:
            object.__setattr__(builtin, "size", rule)

        yield f"{name}: size shrunk", put, take, changed


def noticed(programs: int, start: int) -> bool:
    """Whether the soundness check fails for one of the programs."""
    for seed in range(start, start + programs):
        try:
            examine(seed)
        except Violation:
            return True
    return False


def main() -> int:
    """Exit code 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=2_000, help="examined for each mutant, at most")
    parser.add_argument("--from", type=int, default=0, dest="start")
    parser.add_argument("--builtins", action="store_true", help="the size rules of built-ins, too (tests/test_sizes.py does that directly)")
    given = parser.parse_args()
    survivors, killed, idle = [], 0, 0
    mutants = [*of_rules(), *(of_builtins() if given.builtins else ())]
    for name, put, take, changed in mutants:
        put()
        try:
            caught = noticed(given.programs, given.start)
        finally:
            take()
        if caught:
            killed += 1
        elif changed.times:
            survivors.append(f"{name} ({changed.times:,} times)")
            print("survived:", survivors[-1], flush=True)
        else:
            idle += 1
    print(f"{killed} mutants noticed, {idle} changed nothing, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
