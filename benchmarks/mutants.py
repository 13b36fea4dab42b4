"""Is every rule of the bound needed? Each is made wrong in turn, and something must notice: `python benchmarks/mutants.py [MODULE…]`.

The functions that give sizes, costs and quantities are read as Python trees, and each of their operators, ends, numbers, conditions and
calls is changed by itself: `+` to one of its sides, `.high` to `.low`, `minimum` to `maximum`, `ceil_div` to `floor_div`, `2` to `1`, a
hull to what it joins, a condition to its opposite, and so on (`changes`). The changed function is put in place of the one that runs. Then
programs of the soundness tests that come past the changed line are bounded again, and compared with what their runs took, which is known
already; before that come the laws of tests/test_sizes.py, and the bounds that tests/chunks/bounds.rlm expects: they take less time.

    violated   a run took more, or less, than the bound said
    law        a size rule does not hold what its function gives
    differs    a bound of tests/chunks/bounds.rlm, a line of sizes.rlm, or an example of tests/test_sizes.py, is not what it should be
    breaks     the bound cannot be computed, or takes too long
    looser     every bound that changed is wider than it was: sound
    same       no bound changed
    expected   the line is for what is expected, which no run has to keep to
    never run  no program comes past the line
    SURVIVES   a bound became narrower, and nothing noticed

Exit code 1 if any survives. With `--list` those that are looser, or the same, are printed as well. Two processes share the work, each
forked from one that knows the programs already.
"""

from __future__ import annotations
import __future__

import argparse
import ast
import gc
import multiprocessing
import os
import re
import signal
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import _lru_cache_wrapper, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import define, field, frozen

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import test_cost
import test_exact_sizes
import test_formula_ends
import test_sizes
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scripted import SETTINGS
from soundness import Case, Promise, Soundness, Used, made, violations

import rlmlang
import rlmlang.session
from rlmlang import limits
from rlmlang.cost import Bound, bound, pricing
from rlmlang.cost.account import FREE, Cost
from rlmlang.cost.analysis import Analysis
from rlmlang.cost.outcome import Env
from rlmlang.lm.prices import price_of
from rlmlang.quantity import INFINITE, value_at
from rlmlang.sizes import (
    AnySize,
    DictSize,
    Exact,
    Interval,
    ListSize,
    MaybeSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    list_total,
    measure,
)

ROOT = Path(__file__).parents[1]
# what the bound is made of; of the built-ins, the functions that give sizes (by what they return)
MODULES = (
    *("rlmlang/cost", "rlmlang/sizes", "rlmlang/sizes.py", "rlmlang/quantity", "rlmlang/quantity.py"),
    *("rlmlang/builtins", "rlmlang/lm/prices.py"),
)
LEFT_OUT = {"preview.py", "weight.py", "prefix.py", "holding.py", "signatures.py", "declare.py"}
# functions that say things to people, that are for tests, or that are only about speed or how a formula looks
OTHERS = {
    "__str__",
    "to_json",
    "figures_json",
    "formulas",
    "formula",
    "_warnings",
    "_too_long",
    "_number",
    "holds",
    "_within",
    "_meets",
    "_content_of",
    "_key",
    "_key_of",
    "_order",
    "symbols",
    "_calls_below",
    "unpriced",
    "_looked_up",
    "_price",
    "_rate",
}
GIVES = ("Size", "Interval", "Quantity", "Out", "Cost", "Number", "Bound", "Figure", "Formula", "int", "bool | None")
# (module, function, change) -> why nothing can be wrong with it
_PLAIN = "isinstance(node, (n.Literal, n.Name, n.FString, n.Record, n.ListExpr))"
EQUAL: dict[tuple[str, str, str], str] = {
    (
        "rlmlang/cost/analysis.py",
        "Analysis.of",
        f"node not in self.checked.effects and (not {_PLAIN}) and (not self._reads_file(node, env)) without not {_PLAIN}",
    ): "what these give is computed for real, which takes longer, and is as true",
    ("rlmlang/cost/analysis.py", "Analysis.of", f"not {_PLAIN} -> {_PLAIN}"): "all but these is bound by its rules, which are as true",
    (
        "rlmlang/cost/loops.py",
        "fold",
        "isinstance(steps, int) and steps <= _UNROLLED and (whole.count.low == steps) and (analysis.fuel > 0) without steps <= _UNROLLED",
    ): "more steps looked at one by one take longer, and are as true",
    ("rlmlang/cost/bound.py", "_Names.size", "0 -> -1"): "nothing has fewer than 0 items or bytes",
}
BOUND = sys.modules["rlmlang.cost.bound"]  # the module: rlmlang.cost has a function of that name
_program: Callable[[Analysis, Env], Cost] = BOUND._program
SECONDS = 1.5  # of a core, for one check of one mutant


EXACT = (
    test_cost.test_only_a_sure_call_that_no_store_answers_sends_something,
    test_sizes.test_sizes_that_programs_rely_on,
    test_sizes.test_comparisons_are_decided,
    test_sizes.test_what_is_seen_to_be_at_most,
    test_sizes.test_ends_of_quantities,
    test_formula_ends.test_exact_ends_without_a_symbol,
    test_formula_ends.test_exact_sums,
    test_formula_ends.test_exact_shorter_formulas,
    test_formula_ends.test_exact_quotients,
)


# ---- making mutants ----


@frozen
class Mutant:
    path: str
    function: str
    line: int
    what: str
    statement: ast.stmt = field(repr=False, eq=False)  # of the module: with the change, until the next mutant is asked for

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.what}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is called whatever line it is in."""
        return self.path, self.function, self.what


_ENDS = {"low": "high", "high": "low"}
_OPPOSITE = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "ceil_div": "floor_div", "floor_div": "ceil_div"}
_ONE_OF = {"plus", "times", "minimum", "maximum", "hull", "later", "max", "min", "difference", "less"}
_OPERATORS = {ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: (ast.Mult,)}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node may be changed to, each with a word for it."""
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    match node:
        case ast.BinOp(left, op, right) if not isinstance(op, ast.BitOr):
            yield f"{text} -> {ast.unparse(left)}", left
            yield f"{text} -> {ast.unparse(right)}", right
            for other in _OPERATORS.get(type(op), ()):
                yield f"{text} with {other.__name__}", ast.BinOp(left, other(), right)
        case ast.Compare(left, [op], [right]) if type(op) in _COMPARISONS:
            yield f"{text} with {_COMPARISONS[type(op)].__name__}", ast.Compare(left, [_COMPARISONS[type(op)]()], [right])
        case ast.BoolOp(op, values):
            for value in values:
                rest = [v for v in values if v is not value]
                yield f"{text} without {ast.unparse(value)}", rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
            other_op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{text} with {type(other_op).__name__}", ast.BoolOp(other_op, values)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield f"{text} -> {ast.unparse(operand)}", operand
        case ast.IfExp(_, body, orelse):
            yield f"{text} -> {ast.unparse(body)}", body
            yield f"{text} -> {ast.unparse(orelse)}", orelse
        case ast.Constant(int(value)) if not isinstance(value, bool):
            yield f"{value} -> {value + 1}", ast.Constant(value + 1)
            yield f"{value} -> {value - 1}", ast.Constant(value - 1)
        case ast.Constant(bool(value)):
            yield f"{value} -> {not value}", ast.Constant(not value)
        case ast.Attribute(value, name) if name in _ENDS:
            yield f"{text} -> .{_ENDS[name]}", ast.Attribute(value, _ENDS[name], ast.Load())
        case ast.Call(ast.Name(name), args) if name in _OPPOSITE or name in _ONE_OF:
            if name in _OPPOSITE:
                yield f"{text} with {_OPPOSITE[name]}", ast.Call(ast.Name(_OPPOSITE[name], ast.Load()), args, node.keywords)
            if name in _ONE_OF and not node.keywords and len(args) > 1:
                for arg in args:
                    if not isinstance(arg, ast.Starred):
                        yield f"{text} -> {ast.unparse(arg)}", arg
        case ast.Call(ast.Name("Interval"), [low, high]):
            yield f"{text} -> from its low", ast.Call(node.func, [low, low], [])
            yield f"{text} -> from its high", ast.Call(node.func, [high, high], [])
        case ast.Call(ast.Attribute(value, "hull"), [other]):
            yield f"{text} -> {ast.unparse(value)}", value
            yield f"{text} -> {ast.unparse(other)}", other
        case ast.Call(ast.Attribute(value, "optional" | "from_zero"), []):
            yield f"{text} -> {ast.unparse(value)}", value
        case ast.Call(ast.Attribute(value, "times"), [_]):
            yield f"{text} -> {ast.unparse(value)}", value
        case ast.Call(ast.Name("log2_ceil" | "unfold" | "abs" | "ceil_div"), [arg, *_]):
            yield f"{text} -> {ast.unparse(arg)}", arg


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    shown = str(path.relative_to(ROOT))
    everything = shown.startswith(("rlmlang/cost", "rlmlang/sizes", "rlmlang/quantity")) or path.name in ("rules.py", "operator_sizes.py")
    for statement, name, function in ((part, *found) for part in tree.body for found in _functions(ast.Module([part], []))):
        returns = ast.unparse(function.returns) if function.returns is not None else ""
        sizes = [d for d in function.decorator_list if isinstance(d, ast.Call)]
        if name.rpartition(".")[2] in OTHERS or sizes or not any(word in returns for word in GIVES):
            continue
        if not everything and not any(word in returns for word in ("Size", "Interval", "Quantity")) and path.name != "prices.py":
            continue
        for parent, at, index, node in _places(function):
            for what, other in changes(node):
                replaced = ast.copy_location(other, node)
                _put(parent, at, index, replaced)
                ast.fix_missing_locations(parent)
                yield Mutant(shown, name, getattr(node, "lineno", function.lineno), what, statement)
                _put(parent, at, index, node)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _places(function: ast.FunctionDef) -> list[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every place in the body that holds an expression."""
    found = []
    pending: list[ast.AST] = list(function.body)
    while pending:
        parent = pending.pop()
        for at, value in ast.iter_fields(parent):
            if at in ("annotation", "returns", "pattern", "patterns", "cls"):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(node, ast.AST) and not isinstance(node, (ast.expr_context, ast.operator, ast.cmpop)):
                    if isinstance(node, ast.expr):
                        found.append((parent, at, index, node))
                    pending.append(node)
    return found


def _put(parent: ast.AST, at: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, at, node)
    else:
        getattr(parent, at)[index] = node


# ---- putting them in place ----

_Key = tuple[str, int, str, int]


def _codes(code: types.CodeType, seen: Counter[tuple[str, int, str]]) -> Iterator[tuple[_Key, types.CodeType]]:
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            place = (const.co_filename, const.co_firstlineno, const.co_qualname)
            seen[place] += 1
            yield (*place, seen[place]), const
            yield from _codes(const, seen)


class Live:
    """The functions of the modules as they are in memory."""

    def __init__(self, paths: list[Path]) -> None:
        names = {str(path) for path in paths}
        self._functions: dict[types.CodeType, list[types.FunctionType]] = defaultdict(list)
        self._caches: list[Any] = []
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType) and thing.__code__.co_filename in names:
                self._functions[thing.__code__].append(thing)
            elif isinstance(thing, _lru_cache_wrapper) and thing.__wrapped__.__code__.co_filename in names:
                self._caches.append(thing)
        self._original: dict[str, dict[_Key, types.CodeType]] = {}
        for path in paths:
            code = compile(path.read_text("utf-8"), str(path), "exec")
            self._original[str(path)] = dict(_codes(code, Counter()))

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        path = str(ROOT / mutant.path)
        module = ast.Module([mutant.statement], [])
        changed = dict(_codes(compile(module, path, "exec", __future__.annotations.compiler_flag, dont_inherit=True), Counter()))
        swapped: list[tuple[types.FunctionType, types.CodeType]] = []
        for key, code in self._original[path].items():
            other = changed.get(key)
            if other is None or other == code:
                continue
            for function in self._functions.get(code, ()):
                if len(function.__code__.co_freevars) == len(other.co_freevars):
                    swapped.append((function, function.__code__))
                    function.__code__ = other
        self._forget()
        try:
            yield
        finally:
            for function, before in swapped:
                function.__code__ = before
            self._forget()

    def _forget(self) -> None:
        for cache in self._caches:
            cache.cache_clear()


# ---- judging them ----

Ends = dict[str, tuple[float, float]]
Check = Callable[[], str]


@define(eq=False)
class Known:
    """A program, what its runs took, and what its bounds were."""

    case: Case
    used: list[Used]
    ends: Ends = field(factory=dict)


def ends_of(promises: list[Promise]) -> Ends:
    """All ends of figures, of the program and of its sites, and of the size of the answer."""
    found: Ends = {}
    for at, promise in enumerate(promises):
        figures = dict(promise.bound.figures)
        for site in promise.bound.sites:
            figures |= {f"{site.node.span.start} {name}": figure for name, figure in site.figures.items()}
        found |= {f"{at} {name}": (value_at(f.least, {}), value_at(f.most, {})) for name, f in figures.items()}
        if promise.sized:
            found |= _ends_of_size(f"{at} size", promise.size)
    return found


def _ends_of_size(name: str, size: Size | None) -> Ends:
    def ends(*intervals: Interval | None) -> Ends:
        return {f"{name}.{i}": (0, INFINITE) if x is None else (value_at(x.low, {}), value_at(x.high, {})) for i, x in enumerate(intervals)}

    match size:
        case Exact(value):
            return {f"{name} exact": (hash(repr(value)),) * 2} | _ends_of_size(name, measure(value))
        case TextSize(bytes_) | AnySize(bytes_):
            return {f"{name} {type(size).__name__}": (0, 0)} | ends(bytes_)
        case NumberSize(low, high, whole):
            known = {f"{name} whole": (0.0, 0.0)} if whole else {}
            return known | {name: tuple(q if isinstance(q, (int, float)) else value_at(q, {}) for q in (low, high))}  # type: ignore[dict-item]
        case ListSize(count, item, _):
            return ends(count, list_total(size)) | _ends_of_size(f"{name}[]", item)
        case TupleSize(items):
            return {k: v for i, item in enumerate(items) for k, v in _ends_of_size(f"{name}[{i}]", item).items()}
        case RecordSize(fields):
            return {k: v for field_name, item in fields for k, v in _ends_of_size(f"{name}.{field_name}", item).items()}
        case DictSize(keys, values):
            return _ends_of_size(f"{name} keys", keys) | _ends_of_size(f"{name} values", values)
        case MaybeSize(item):
            return _ends_of_size(f"{name}?", item)
    return {f"{name} {type(size).__name__}": (0, 0)}


def narrower(known: Known, after: Ends) -> str:
    """Something that is less than it was, empty if nothing is; a size of another kind is taken as such."""
    for name, (low, high) in known.ends.items():
        if name not in after:
            if not name.endswith((" exact", " whole")):
                return f"seed {known.case.seed}: {name} is gone"
        elif after[name][0] > low or after[name][1] < high:
            return f"seed {known.case.seed}: {name} was {low}..{high}, is {after[name][0]}..{after[name][1]}"
    more = next((name for name in after.keys() - known.ends.keys() if name.endswith((" exact", " whole"))), None)
    return f"seed {known.case.seed}: {more}" if more else ""


class Judge:
    """Knows many programs and laws, and which lines each comes past."""

    def __init__(self, soundness: Soundness, paths: list[Path], seeds: range, most: int) -> None:
        self.soundness = soundness
        self.most = most
        self.past: dict[tuple[str, int], list[Check]] = defaultdict(list)
        self.guessed: set[tuple[str, int]] = set()
        self.noticed_by: dict[str, list[Check]] = defaultdict(list)
        self.differing = 0
        self.narrower = ""
        self._names = {str(path) for path in paths}
        table = test_exact_sizes.Table()
        for line in table.lines:
            self._remember(partial(_line, table, line))
        self._learn_laws()
        with _as_sold():
            for chunk in test_cost.CHUNKS:
                if not chunk.xfail:
                    again = _parsed(chunk)
                    self._remember(partial(_chunk, chunk, again))
                    self.guessed |= self._lines(partial(_guessed, again))[1]
        for seed in seeds:
            case = made(seed)
            if case is None:
                continue
            with patch.object(limits, "REASKS", case.reasks):
                known = Known(case, soundness.runs(case))
                with suppress(_TooLong), _limit(4 * SECONDS):
                    self._remember(partial(self._program, known), partial(self._learn, known))

    def _learn_laws(self) -> None:
        s, f = test_sizes, test_formula_ends
        seeds = st.integers(0, 1 << 30)
        for law, table in ((s.check_holds, s.ARGUMENTS), (s.check_operator, s.OPERANDS)):
            for name, arguments in table.items():
                for example in drawn(arguments, arguments, seeds):
                    self._remember(partial(_law, law, name, *example))
        for test, parts in (
            (s.test_unary_operators, (s.numbers, s.numbers, seeds)),
            (s.test_a_decided_comparison_is_right, (s.COMPARED, s.COMPARED, seeds)),
            (s.test_measures_and_hulls, (s.data, s.data, seeds)),
            (s.test_indented_json, (s.data, st.integers(0, 8))),
            (s.test_formatted_values, (s.data, s.specs, seeds)),
            (s.test_operations_on_formulas_are_those_on_numbers, (s.quantities, s.quantities, st.integers(1, 6), s.at)),
            (f.test_without_a_symbol, (s.quantities | f.sums, s.at, st.sampled_from([f.N, 9, f.K]), st.integers(0, 9))),
            (f.test_summed_over_things, (s.quantities | f.sums, f.things, st.integers(0, 9), st.booleans(), st.integers(0, 3))),
            (f.test_shorter, (f.sums, f.sums, s.at)),
        ):
            for example in drawn(*parts):
                self._remember(partial(_law, test.hypothesis.inner_test, *example))  # type: ignore[attr-defined]
        for exact in EXACT:
            self._remember(partial(_law, exact, says="differs"))

    def _remember(self, check: Check, first: Callable[[], object] | None = None) -> None:
        found, lines = self._lines(first or check)
        assert not found, f"without a mutant: {found} by {check}"
        for line in lines:
            self.past[line].append(check)

    def _lines(self, check: Callable[[], object]) -> tuple[object, set[tuple[str, int]]]:
        """What it gives, and the lines it comes past."""
        lines: set[tuple[str, int]] = set()

        def inside(frame: types.FrameType, event: str, arg: Any) -> Any:
            lines.add((frame.f_code.co_filename, frame.f_lineno))
            return inside

        def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
            return inside if frame.f_code.co_filename in self._names else None

        sys.settrace(trace)
        try:
            return check(), lines
        finally:
            sys.settrace(None)

    def _learn(self, known: Known) -> None:
        known.ends = ends_of(self.soundness.promised(known.case))

    def _program(self, known: Known) -> str:
        with patch.object(limits, "REASKS", known.case.reasks):
            promises = self.soundness.promised(known.case)
        if any(violations(promise, used) for used in known.used for promise in promises):
            return "violated"
        ends = ends_of(promises)
        if ends != known.ends:
            self.differing += 1
            self.narrower = self.narrower or narrower(known, ends)
        return ""

    def judge(self, mutant: Mutant, live: Live) -> str:
        """The first thing that notices, or what it does to bounds that nothing notices."""
        place = str(ROOT / mutant.path), mutant.line
        checks = self.past.get(place, [])
        if not checks:
            return "expected" if place in self.guessed else "never run"
        here = set(checks)
        programs = [c for c in checks if c.func.__name__ == "_program"]  # type: ignore[attr-defined]
        rest = [c for c in checks if c.func.__name__ != "_program"]  # type: ignore[attr-defined]
        before = self.noticed_by[mutant.function]
        self.differing, self.narrower = 0, ""
        with live.mutated(mutant):
            found = self._notice(
                [*(c for c in before[-12:] if c in here), *_spread(rest, 2 * self.most), *_spread(programs, self.most)], before
            )
            if not found and self.narrower:
                found = self._notice(rest, before)
        return found or ("SURVIVES" if self.narrower else "looser" if self.differing else "same")

    def _notice(self, checks: list[Check], before: list[Check]) -> str:
        """The verdict of the first of them that notices; empty if none does."""
        for check in checks:
            try:
                with _limit(SECONDS):
                    found = check()
            except Exception:
                found = "breaks"
            if found:
                if check not in before:
                    before.append(check)
                return found
        return ""


def _spread(checks: list[Check], most: int) -> list[Check]:
    return checks[:: max(1, len(checks) // most)][:most]


def _law(law: Callable[..., Any], *given: Any, says: str = "law") -> str:
    try:
        law(*given)
    except AssertionError:
        return says
    return ""


def _line(table: test_exact_sizes.Table, line: test_exact_sizes.Line) -> str:
    return "" if table.of(line) == line.wanted else "differs"


def _parsed(chunk: test_cost.Chunk) -> Callable[[], Bound]:
    """The bound of a chunk, to be had again and again."""
    given: list[partial[Bound]] = []

    def of(*args: Any, **named: Any) -> Bound:
        given.append(partial(bound, *args, **named))
        return given[0]()

    with patch.object(rlmlang.session.estimates, "bound_of", of):
        rlmlang.bound(chunk.text, SETTINGS, **chunk.given)
    return given[0]


def _guessed(again: Callable[[], Bound]) -> Bound:
    """The bound, and what is expected."""
    with patch.object(BOUND, "_program", _program):
        return again()


def _chunk(chunk: test_cost.Chunk, again: Callable[[], Bound]) -> str:
    with _as_sold():
        found = again()
    for name, wanted in chunk.marks:
        figure = found.figures[name]
        least, dots, most = (part.strip() for part in wanted.rpartition(".."))
        if (least, most) != (test_cost._shown(name, figure.least) if dots else "", test_cost._shown(name, figure.most)):
            return "differs"
    return ""


def _as_sold() -> AbstractContextManager[object]:
    """With the prices of the table, not those of tests/adversary.py."""
    return patch.object(pricing, "price_of", price_of)


def _without_guess(analysis: Analysis, start: Env) -> Cost:
    """Of what is expected, nothing: no run has to keep to it."""
    return FREE if analysis.policy.expected else _program(analysis, start)


def drawn(*strategies: st.SearchStrategy[Any]) -> list[tuple[Any, ...]]:
    """Some examples, always the same."""
    found: list[tuple[Any, ...]] = []

    @settings(test_sizes.QUICK, max_examples=15, derandomize=True, phases=[Phase.generate])
    @given(st.tuples(*strategies))
    def draw(made: tuple[Any, ...]) -> None:
        found.append(made)

    draw()
    return found


class _TooLong(Exception):
    pass


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@define(eq=False)
class Work:
    """What the processes share: forked, they have it."""

    judge: Judge
    live: Live
    every: int
    again: set[tuple[str, str, str]] | None

    def module(self, path: Path) -> list[tuple[str, str]]:
        """The verdicts of a module, each with its mutant."""
        found = []
        for at, mutant in enumerate(mutants(path)):
            if at % self.every == 0 and (self.again is None or mutant.key in self.again):
                verdict = "equal" if mutant.key in EQUAL else self.judge.judge(mutant, self.live)
                found.append((verdict, f"{mutant}  [{self.judge.narrower}]" if verdict == "SURVIVES" else str(mutant)))
        return found


_work: list[Work] = []  # one, in the processes


def _module(path: Path) -> tuple[Path, list[tuple[str, str]]]:
    return path, _work[0].module(path)


VERDICTS = ("violated", "law", "differs", "breaks", "looser", "same", "equal", "expected", "never run", "SURVIVES")


def main() -> int:
    """Exit code 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description="Which changes to the rules of the bound does nothing notice?")
    parser.add_argument("modules", nargs="*", help="parts of paths; all modules without any")
    parser.add_argument("--programs", type=int, default=600, help="known to the judge")
    parser.add_argument("--most", type=int, default=60, help="programs that one mutant is tried on")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth mutant")
    parser.add_argument("--again", type=Path, help="what this printed before: only those that survived then")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print those that are looser, or the same, too")
    options = parser.parse_args()
    every = [path for name in MODULES for path in (sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name])]
    paths = [path for path in every if path.exists() and path.name not in LEFT_OUT]
    wanted = [path for path in paths if not options.modules or any(part in str(path) for part in options.modules)]
    again = None if options.again is None else survivors(options.again.read_text("utf-8"))
    counted: Counter[str] = Counter()
    began = time.monotonic()
    with Soundness() as soundness, patch.object(BOUND, "_program", _without_guess):
        _work.append(Work(Judge(soundness, paths, range(options.programs), options.most), Live(paths), options.every, again))
        print(f"programs and laws are known after {time.monotonic() - began:,.0f} s", file=sys.stderr, flush=True)
        gc.freeze()
        with multiprocessing.get_context("fork").Pool(options.processes) as pool:
            print(f"{'made':>6} " + " ".join(f"{verdict:>9}" for verdict in VERDICTS))
            for path, found in pool.imap_unordered(_module, wanted, chunksize=1):
                here = Counter(verdict for verdict, _ in found)
                counted += here
                if found:
                    _print(here, str(path.relative_to(ROOT)))
                for verdict, mutant in found:
                    if verdict == "SURVIVES" or (options.list and verdict in ("looser", "same", "never run")):
                        print(f"  {verdict:9} {mutant}", flush=True)
    _print(counted, f"all, in {time.monotonic() - began:,.0f} s")
    return 1 if counted["SURVIVES"] else 0


def survivors(text: str) -> set[tuple[str, str, str]]:
    """The keys of the mutants that a table lists as survivors."""
    found = re.findall(r"(?m)^  SURVIVES  (\S+):\d+ (\S+): (.*?)(?:  \[.*)?$", text)
    return {(path, function, what) for path, function, what in found}


def _print(counted: Counter[str], name: str) -> None:
    print(f"{counted.total():6} " + " ".join(f"{counted[verdict]:9}" for verdict in VERDICTS), name, flush=True)


if __name__ == "__main__":
    sys.exit(main())
