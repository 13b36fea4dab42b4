"""Whether the bound of a program holds: for its inputs, for any replies, in figures, sites and sizes, with inputs known and as formulas.

`Soundness` is what the tests, `benchmarks/soundness.py` and `benchmarks/mutants.py` check programs with.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from unittest.mock import patch

from adversary import MODELS, STYLES, Adversary, Style, price_of
from attrs import define, field, frozen
from test_sizes import at_sizes, changed
from themed_programs import THEMES, ThemedPrograms

from rlmlang import limits
from rlmlang.check import Checked, check
from rlmlang.cost import Bound, bound
from rlmlang.cost.analysis import Analysis
from rlmlang.errors import ProgramError, RlmError
from rlmlang.files import DirValue, FileValue
from rlmlang.lm.client import Client
from rlmlang.lm.request import Model
from rlmlang.quantity import Quantity, Symbol, symbols, value_at
from rlmlang.run.budget import Budget
from rlmlang.run.calls import Calls, Tally
from rlmlang.run.evaluate import Compiled, Run, compile_program, evaluate
from rlmlang.run.memo import Memo
from rlmlang.sizes import Size, holds
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.values import to_json_text

SITE_FIGURES = ("calls", "requests", "input_tokens", "output_tokens", "dollars")
_STORED = 23  # one program in so many is run twice with a memo store


class Violation(AssertionError):
    """The bound did not hold."""


@frozen(eq=False)
class Case:
    """A program of the generator. `reasks`: how often a bad reply is asked again; `at`: the sizes of its inputs, by their meaning, or
    None where one of them is a number below 0, which no formula has."""

    seed: int
    theme: str
    text: str
    checked: Checked
    inputs: Mapping[str, Any]
    at: Mapping[str, int] | None
    reasks: int
    runs: tuple[tuple[Style, float, float], ...]
    stored: bool

    @property
    def answer(self) -> n.Expr:
        return next(s.value for s in self.checked.program.statements if isinstance(s, n.Answer))


@frozen(eq=False)
class Used:
    """What a run took, by figure and by site; and what it gave, or the error it ended with."""

    figures: Mapping[str, int]
    sites: Mapping[n.Node, Mapping[str, int | None]]
    answer: Any
    error: RlmError | None


@frozen(eq=False)
class Promise:
    """A bound, with the size that the analysis gave the answer (None: it never gives one), unless it is not `sized`."""

    bound: Bound
    size: Size | None
    sized: bool = True


def made(seed: int) -> Case | None:
    """The program of a seed; None where it does not check, which the generator cannot always avoid."""
    programs = ThemedPrograms(seed)
    text = programs.program()
    try:
        checked = check(parse(text))
    except ProgramError as error:
        raise AssertionError(f"seed {seed} does not parse: {error.message}\n{text}") from None
    if checked.errors:
        return None
    turn = seed // len(THEMES)
    reasks = (0, limits.REASKS)[turn % 2]
    style = STYLES[1 + turn // 2 % 3]
    runs: tuple[tuple[Style, float, float], ...] = (("any", 0.05, 0.1), (style, 0.0, 0.6 if reasks else 0.0))
    given = {**programs.defaults, **programs.inputs}
    at = {meaning: size for name, value in given.items() for meaning, size in _sizes(name, value)}
    below = any(isinstance(value, int) and value < 0 for value in given.values())
    return Case(seed, programs.theme, text, checked, programs.inputs, None if below else at, reasks, runs, turn % _STORED == 0)


def _sizes(name: str, value: Any) -> list[tuple[str, int]]:
    """What symbols may mean in formulas, and their values."""
    match value:
        case None:
            return [(f"len({name})", 0), (f"bytes({name})", 0)]
        case str():
            return [(f"bytes({name})", len(value.encode()))]
        case int():
            return [(name, value)]
        case FileValue():
            return [(f"bytes({name})", value.size)]
        case DirValue():
            files = value.files()
            return [(f"files({name})", len(files)), (f"bytes({name})", sum(file.size for file in files))]
        case list() if all(isinstance(item, str) for item in value):
            return [(f"len({name})", len(value)), (f"bytes({name})", sum(len(item.encode()) for item in value))]
        case list() | dict():
            return [(f"len({name})", len(value)), (f"bytes({name})", len(to_json_text(value).encode()))]
    return []


@define(eq=False)
class Soundness:
    """Checks programs, within `with Soundness() as soundness`: one event loop for all, and the models of adversary.py."""

    _stack: ExitStack = field(factory=ExitStack)
    _runner: asyncio.Runner = field(factory=asyncio.Runner)
    _adversary: Adversary | None = None
    _watched: n.Node | None = None
    _size: Size | None = None

    def __enter__(self) -> Self:
        original = Analysis.of

        def of(analysis: Analysis, node: n.Node, env: Any, start: Any) -> Any:
            out = original(analysis, node, env, start)
            if node is self._watched and not analysis.policy.expected:
                self._size = out.size
            return out

        enter = self._stack.enter_context
        enter(self._runner)
        enter(patch.object(Analysis, "of", of))
        enter(patch("rlmlang.lm.client.open_provider", lambda _: self._adversary))
        enter(patch("rlmlang.lm.client.price_of", price_of))
        enter(patch("rlmlang.cost.pricing.price_of", price_of))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    # ---- one program ----

    def examine(self, seed: int) -> Counter[str]:
        """Checks the program of a seed against all its runs. Raises Violation with the program where the bound does not hold."""
        case = made(seed)
        if case is None:
            return Counter(refused=1)
        counted: Counter[str] = Counter(programs=1)
        with patch.object(limits, "REASKS", case.reasks):
            promises = self.promised(case)
            for used in self.runs(case):
                counted["answered" if used.error is None else "failed"] += 1
                counted[f"answered: {case.theme}"] += used.error is None
                counted["calls"] += used.figures["calls"]
                counted["figures"] += 2 * len(promises) * (len(used.figures) + len(SITE_FIGURES) * len(used.sites))
                for promise in promises:
                    wrong = violations(promise, used)
                    if wrong:
                        kept = f"{wrong}\n{case.text}\n{case.inputs}"
                        raise Violation(f"seed {seed} ({case.theme}), {'formula' if promise is not promises[0] else 'numbers'}: {kept}")
        return counted

    def promised(self, case: Case) -> list[Promise]:
        """The bounds of a program: with its inputs given, and as a formula at their sizes."""
        self._watched = case.answer
        known = bound(case.checked, model_of, case.inputs, memo=case.stored)
        found = [Promise(known, self._size)]
        if case.at is not None and case.checked.inputs:
            formula = bound(case.checked, model_of, None)
            names = {s.name: case.at[s.meaning] for s in formula.symbols}
            # a size may have symbols that no figure has, whose meaning is not told
            sized = self._size is not None and {s.name for s in symbols_of(self._size)} <= names.keys()
            found.append(Promise(formula.at(names), at_sizes(self._size, names) if self._size is not None and sized else None, sized))
        return found

    def runs(self, case: Case) -> list[Used]:
        """What the program takes, with each of its models."""
        compiled = compile_program(case.checked)
        found = []
        with TemporaryDirectory() if case.stored else nullcontext() as folder:
            for style, trouble, nagging in case.runs:
                self._adversary = Adversary(case.seed, style, trouble=trouble, nagging=nagging)
                stores = [None] if folder is None else [Path(folder) / style] * 2
                found += [self._runner.run(_run(compiled, case.inputs, store)) for store in stores]
        return found


def symbols_of(size: Size | None) -> set[Symbol]:
    """The symbols in the ends of a size."""
    found: set[Symbol] = set()

    def look(q: Quantity) -> Quantity:
        found.update(symbols(q))
        return q

    if size is not None:
        changed(size, look, look)
    return found


def model_of(name: str | None) -> Model:
    return MODELS[name or "m"]


async def _run(compiled: Compiled, inputs: Mapping[str, Any], store: Path | None) -> Used:
    tally = Tally(Budget())
    client = Client(MODELS, tally)
    memo = Memo.open(store)
    calls = Calls(client, memo)
    answer, error = None, None
    for site in compiled.sites.values():
        site.calls = site.requests = site.input_tokens = site.output_tokens = site.nanodollars = 0
    async with client:
        try:
            answer = await evaluate(compiled, inputs, Run(calls, 20))
        except RlmError as failed:
            error = failed
    memo.close()
    return Used(
        {
            "calls": calls.calls,
            "requests": client.counters.requests,
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "dollars": tally.nanodollars,
            "depth": calls.depth,
            "rounds": calls.rounds,
        },
        {
            node: dict(zip(SITE_FIGURES, (s.calls, s.requests, s.input_tokens, s.output_tokens, s.nanodollars), strict=True))
            for node, s in compiled.sites.items()
        },
        answer,
        error,
    )


def violations(promise: Promise, used: Used) -> str:
    """What is outside of the bound; empty if nothing is. The lower ends are about runs that end with an answer."""
    found = []
    answered = used.error is None
    for name, value in used.figures.items():
        figure = promise.bound.figures[name]
        if value > value_at(figure.most, {}) or (answered and value < value_at(figure.least, {})):
            found.append(f"{name}: used {value:,}, bound {figure.least} to {figure.most}")
    sites = {site.node: site.figures for site in promise.bound.sites}
    for node, figures in used.sites.items():
        if node not in sites:
            if figures["calls"]:
                found.append(f"line {node.span.line} is called, and has no bound")
            continue
        for name, amount in figures.items():
            figure = sites[node][name]
            # of a site, only the replies that came are counted, not what calls took that failed
            least = figure.least if name == "calls" and answered else 0
            if amount is not None and not value_at(least, {}) <= amount <= value_at(figure.most, {}):
                found.append(f"line {node.span.line}, {name}: used {amount:,}, bound {figure.least} to {figure.most}")
    if answered and promise.sized and (promise.size is None or not holds(promise.size, used.answer)):
        found.append(f"the answer is {used.answer!r}, and not in {promise.size}")
    return "; ".join(found)
