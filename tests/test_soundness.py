"""The bound holds: for random programs, inputs and replies, `min <= used <= max` for every figure (docs/cost.md).

`benchmarks/soundness.py` runs the same check over as many programs as one has time for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
from typed_programs import MODEL, AnyModel, TypedPrograms

from rlmlang.check import Checked, check
from rlmlang.cost import Bound, bound
from rlmlang.errors import ProgramError, RlmError
from rlmlang.lm.client import Client
from rlmlang.quantity import Number, Symbol, value_at
from rlmlang.run.budget import Budget
from rlmlang.run.calls import Calls, Tally
from rlmlang.run.evaluate import Run, compile_program, evaluate
from rlmlang.run.memo import Memo
from rlmlang.syntax import parse
from rlmlang.types import TEXT, ListOf, Type
from rlmlang.values import to_json_text


class Violation(AssertionError):
    """The bound did not hold."""


PROGRAMS, PARTS, MODELS = 2_000, 20, (1, 2)


def made(seed: int) -> tuple[str, Checked | None, TypedPrograms]:
    """The program of a seed, checked; None where it does not check, which the generator cannot always avoid."""
    programs = TypedPrograms(seed)
    text = programs.program()
    try:
        checked = check(parse(text))
    except ProgramError as error:
        raise AssertionError(f"seed {seed} does not parse: {error.message}\n{text}") from None
    return text, None if checked.errors else checked, programs


def used(checked: Checked, programs: TypedPrograms, model: AnyModel) -> tuple[dict[str, int], RlmError | None]:
    """What a run of the program takes, and the error it ends with."""

    async def main() -> tuple[dict[str, int], RlmError | None]:
        tally = Tally(Budget())
        client = Client({"m": MODEL}, tally)
        calls = Calls(client, Memo.open(None))
        error: RlmError | None = None
        async with client:
            try:
                await evaluate(compile_program(checked), programs.inputs, Run(calls, 20))
            except RlmError as failed:
                error = failed
        figures = {
            "calls": calls.calls,
            "requests": client.counters.requests,
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "dollars": tally.nanodollars,
            "depth": calls.depth,
            "rounds": calls.rounds,
        }
        return figures, error

    with patch("rlmlang.lm.client.open_provider", lambda _: model):
        return asyncio.run(main())


def violations(limits: Bound, figures: dict[str, int], error: RlmError | None) -> list[str]:
    """The figures outside of the bound; the lower end is about runs that end with an answer."""
    found = []
    for name, value in figures.items():
        figure = limits.figures[name]
        if value > value_at(figure.most, {}) or (error is None and value < value_at(figure.least, {})):
            found.append(f"{name}: used {value}, bound {figure}")
    return found


def examine(seed: int) -> Counter[str]:
    """Checks one program against all model seeds. Raises AssertionError with the program where the bound does not hold."""
    _, checked, programs = made(seed)
    if checked is None:
        return Counter(refused=1)
    limits = bound(checked, lambda _: MODEL, programs.inputs, memo=False)
    # the formulas at the sizes of these very inputs hold as well
    formulas = bound(checked, lambda _: MODEL, None, memo=False)
    formulas = formulas.at(sizes_of(formulas.symbols, checked, programs.inputs))
    counted: Counter[str] = Counter(programs=1)
    for model_seed in MODELS:
        _compare(seed, [limits, formulas], checked, programs, AnyModel(model_seed), counted)
    # where nothing is asked again, a prompt counts once, and the bound is close to its very bytes
    with patch("rlmlang.limits.REASKS", 0):
        limits = bound(checked, lambda _: MODEL, programs.inputs, memo=False)
        formulas = bound(checked, lambda _: MODEL, None, memo=False)
        formulas = formulas.at(sizes_of(formulas.symbols, checked, programs.inputs))
        _compare(seed, [limits, formulas], checked, programs, AnyModel(0, trouble=0.0, greedy=True), counted)
    return counted


def sizes_of(names: tuple[Symbol, ...], checked: Checked, inputs: dict[str, Any]) -> dict[str, Number]:
    """What the symbols of formulas are for these inputs."""
    types = {v.name: v.type for v in checked.inputs}

    def size(name: Symbol) -> Number:
        what, _, rest = name.meaning.partition("(")
        value = inputs[rest.removesuffix(")") or what]
        if not rest:
            return value  # type: ignore[no-any-return]
        return len(value) if what == "len" else _bytes(value, types[rest.removesuffix(")")])

    return {name.name: size(name) for name in names}


def _bytes(value: Any, type_: Type) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and type_ == TEXT:
        return len(value.encode())
    if type_ == ListOf(TEXT):
        return sum(len(text.encode()) for text in value)
    return len(to_json_text(value).encode())


def _compare(seed: int, limits: list[Bound], checked: Checked, programs: TypedPrograms, model: AnyModel, counted: Counter[str]) -> None:
    figures, error = used(checked, programs, model)
    counted["answered" if error is None else "failed"] += 1
    counted["calls"] += figures["calls"]
    wrong = [violation for one in limits for violation in violations(one, figures, error)]
    if wrong:
        raise Violation(f"seed {seed}, model {model.seed}: {'; '.join(wrong)}\n{made(seed)[0]}\n{programs.inputs}")


@pytest.mark.parametrize("part", range(PARTS))
def test_the_bound_holds(part: int) -> None:
    size = PROGRAMS // PARTS
    counted: Counter[str] = Counter()
    for seed in range(part * size, (part + 1) * size):
        counted += examine(seed)
    # the generator is no good if most programs are refused, or nothing is called, or all fail
    assert counted["programs"] > size * 0.6
    assert counted["answered"] > size * 0.6
    assert counted["calls"] > size
