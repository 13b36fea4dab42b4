"""The bound holds: for random programs, inputs and replies, `min <= used <= max` for every figure (docs/bounds.md).

`benchmarks/soundness.py` runs the same check over as many programs as one has time for, `benchmarks/mutants.py` makes each rule wrong and
sees whether these programs notice.
"""

from __future__ import annotations

from collections import Counter

import pytest
from soundness import Soundness, Violation, made
from themed_programs import THEMES

from rlmlang.builtins import REGISTRY
from rlmlang.check.library import library_names
from rlmlang.sizes import ZERO
from rlmlang.syntax import nodes as n
from rlmlang.syntax.walk import walk

PROGRAMS, PARTS = 5_000, 25


@pytest.mark.parametrize("part", range(PARTS))
def test_the_bound_holds(part: int) -> None:
    """A part has all programs about some of the themes."""
    seeds = [seed for seed in range(PROGRAMS) if seed % len(THEMES) % PARTS == part]
    counted: Counter[str] = Counter()
    with Soundness() as soundness:
        for seed in seeds:
            counted += soundness.examine(seed)
    # the generator is no good if programs are refused, or nothing is called, or what they are about never comes to an answer
    assert counted["programs"] > len(seeds) * 0.9
    assert counted["calls"] > len(seeds) * 2
    seldom = {theme: counted[f"answered: {theme}"] for theme in THEMES[part::PARTS] if counted[f"answered: {theme}"] < 20}
    assert not seldom, "of these too few runs gave an answer"


def test_the_themes_are_all_there_is() -> None:
    assert set(THEMES) >= set(REGISTRY) and set(THEMES) >= {f"standard {name}" for name in library_names()}
    cases = [case for case in map(made, range(2 * len(THEMES))) if case is not None]
    kinds = {type(node) for case in cases for node in walk(case.checked.program)}
    forms = {kind for kind in vars(n).values() if isinstance(kind, type) and issubclass(kind, n.Expr)} - {n.Expr, n.Solve}
    assert kinds >= forms
    options = {option.name for case in cases for node in walk(case.checked.program) if isinstance(node, n.Call) for option in node.options}
    assert options == {"model", "max_tokens", "temperature", "sample", "system", "batch"}


WRONG = {
    "input_tokens: used": ("call", "rlmlang.cost.pricing.worst_input_tokens", lambda request: 0),
    ", calls: used": ("otherwise", "rlmlang.cost.account.SiteCost.optional", lambda cost: cost),
    "the answer is": ("len", "rlmlang.builtins.general.length", lambda size: ZERO),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_bound_that_is_wrong_is_noticed(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a figure, in a site, in a size."""
    theme, name, wrong = WRONG[said]
    monkeypatch.setattr(name, wrong)
    noticed: list[str] = []
    with Soundness() as soundness:
        for turn in range(30):
            try:
                soundness.examine(turn * len(THEMES) + THEMES.index(theme))
            except Violation as violation:
                noticed.append(str(violation))
    assert any(said in text for text in noticed)
