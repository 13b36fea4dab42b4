"""The bound of a program: what it may cost, before it costs anything.

`bound` is the one entry: a checked program and what is known of its inputs -> `Bound`, with the least, the expected and the most of every
figure, for the program and for each place that calls a model. Inputs that are not given stand in formulas by their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.cost.account import FREE, Cost, SiteCost, later
from rlmlang.cost.analysis import Analysis, fuel_for
from rlmlang.cost.bindings import block_bindings
from rlmlang.cost.outcome import Bound as Variable_
from rlmlang.cost.outcome import Env, Policy
from rlmlang.cost.places import Places
from rlmlang.cost.prefix import Prefix
from rlmlang.cost.pricing import BYTES_PER_TOKEN, Pricing
from rlmlang.lm.config import Models
from rlmlang.lm.request import Model
from rlmlang.quantity import INFINITE, Formula, Number, Quantity, Symbol, minimum, plus, symbol, symbols, times, value_at
from rlmlang.run import garbage
from rlmlang.run.facts import Variable
from rlmlang.run.resolve import resolve
from rlmlang.run.seen import Experience, Keys
from rlmlang.sizes import ZERO, DictSize, DirSize, Exact, FileSize, Interval, ListSize, MaybeSize, NumberSize, Size, TextSize, of_type
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, NONE, TEXT, DictOf, Enum, ListOf, Optional, Type

NANO = 1_000_000_000


@frozen
class Figure:
    """`[least, most]` of something counted, and what is expected; quantities, infinite where there is no bound."""

    least: Quantity = 0
    expected: Number | None = 0
    most: Quantity = 0

    def at(self, sizes: Mapping[str, Number]) -> Figure:
        """The figure at given sizes of inputs; an end that depends on others stays a formula."""
        return Figure(_at(self.least, sizes), self.expected, _at(self.most, sizes))

    def to_json(self, unit: float = 1) -> dict[str, Any]:
        """min, expected, max as numbers; null for what is unbounded or only known as a formula."""
        return {"min": _number(self.least, unit), "expected": _number(self.expected, unit), "max": _number(self.most, unit)}


def _at(q: Quantity, sizes: Mapping[str, Number]) -> Quantity:
    return value_at(q, sizes) if all(s.name in sizes for s in symbols(q)) else q


def _number(q: Quantity | None, unit: float) -> int | float | None:
    if q is None or isinstance(q, Formula) or q == INFINITE:
        return None
    return q / unit if unit != 1 else int(q) if float(q).is_integer() else round(q, 2)


_UNITS = {"dollars": NANO}
_NOTHING = SiteCost()
_AN_ITEM = 400  # characters that an item of a list counts as
FIGURES = ("calls", "requests", "input_tokens", "output_tokens", "dollars", "depth", "rounds")


@frozen
class SiteBound:
    """The bound of one place that calls a model. `prompt` is the interval of one prompt in bytes (and so tokens, at most); `batch`: so many
    of its calls may share a request."""

    node: n.Call | n.Solve
    figures: Mapping[str, Figure]
    prompt: Interval
    model: str
    batch: int = 1

    def to_json(self) -> dict[str, Any]:
        span = self.node.span
        return {
            "line": span.line,
            "column": span.column,
            "file": span.source.name,
            "text": span.text.split("\n", 1)[0][:120],
            "model": self.model,
            "batch": self.batch,
            "bound": figures_json(self.figures),
            "formula": formulas(self.figures),
        }


@frozen
class Bound:
    """`figures` by name: calls requests input_tokens output_tokens dollars (nano-dollars) depth rounds. `symbols` are the sizes in
    formulas;
    `warnings` say what is unbounded and why, what may not fit a model, and which prices are not known; of these, `errors` are those by
    which every run fails."""

    figures: Mapping[str, Figure]
    sites: tuple[SiteBound, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def at(self, sizes: Mapping[str, Number]) -> Bound:
        """The bound with formulas evaluated at sizes of inputs, by their symbols. Those that depend on others stay."""
        sites = tuple(evolve(s, figures={k: f.at(sizes) for k, f in s.figures.items()}) for s in self.sites)
        figures = {k: f.at(sizes) for k, f in self.figures.items()}
        return evolve(self, figures=figures, sites=sites, symbols=tuple(s for s in self.symbols if s.name not in sizes))

    def to_json(self) -> dict[str, Any]:
        """The report of `rlm cost --json`."""
        formula = formulas(self.figures)
        return {
            "bound": figures_json(self.figures),
            "formula": formula | ({"where": {s.name: s.meaning for s in self.symbols}} if formula else {}),
            "sites": [site.to_json() for site in self.sites],
            "warnings": list(self.warnings),
        }


def figures_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: figures[name].to_json(_UNITS.get(name, 1)) for name in FIGURES if name in figures}


def formulas(figures: Mapping[str, Figure]) -> dict[str, str]:
    """What is at most known as a formula: `{"calls": "2·n + 1"}`."""
    return {name: formula(name, figure.most) for name, figure in figures.items() if isinstance(figure.most, Formula)}


def formula(name: str, q: Quantity) -> str:
    """The amount of a figure of that name as text, in its unit."""
    return str(times(q, 1 / NANO) if name == "dollars" else q)


def bound(
    checked: Checked,
    model_of: Callable[[str | None], Model],
    inputs: Mapping[str, Any] | None = None,
    *,
    memo: bool = True,
    experience: Experience | None = None,
    models: Models | None = None,
    past: Mapping[n.Node, tuple[Any, ...]] | None = None,
    prepared: dict[n.Node, list[Any]] | None = None,
) -> Bound:
    """The bound of a program without errors. `inputs` are the values of those that are known, and of what a turn is given; `model_of` gives
    the models that calls name, `models` are those that programs in a solve may name. `past` holds the values of bindings of earlier turns.

    What loops over large inputs give is put into `prepared`, where it is small: a run need not read them again.

    With `memo`, answers may come from the memo store, so what is paid is at least 0. `experience` decides what is expected.
    Raises LimitError where the pure prefix is too large, and what reading its files raises.
    """
    with garbage.seldom():
        return _bound(checked, model_of, inputs, memo, experience or Experience(Keys(checked, model_of)), models, past, prepared)


def _bound(
    checked: Checked,
    model_of: Callable[[str | None], Model],
    inputs: Mapping[str, Any] | None,
    memo: bool,
    experience: Experience,
    models: Models | None,
    past: Mapping[n.Node, tuple[Any, ...]] | None,
    prepared: dict[n.Node, list[Any]] | None,
) -> Bound:
    pricing = Pricing(checked, model_of, experience, models)
    facts, variables = resolve(checked)
    named = _Names()
    prefix = Prefix(facts, prepared=prepared)
    for value in (*(inputs or {}).values(), *(past or {}).values()):
        prefix.given(value)
    given = sum(map(_amount, (inputs or {}).values()))
    places = Places(checked)
    analysis = Analysis(checked, facts, prefix, pricing, places, Policy(), fuel_for(given))
    start = _inputs(analysis, variables, inputs, named)
    for node, values in (past or {}).items():
        start |= {variable: Variable_(Exact(value)) for variable, value in zip(facts.bound[node], values, strict=True)}
    cost = _program(analysis, start)
    guess: Cost | None = None
    if not named.made:
        guess = _program(Analysis(checked, facts, prefix, pricing, places, Policy(True, _chance(experience)), fuel_for(given, True)), start)
    if guess is not None:
        guess = _whole_requests(guess, pricing)
    figures = _figures(cost, guess, memo)
    alike: dict[tuple[int, int], Mapping[str, Figure]] = {}  # of many places that have no bound the figures are made once
    sites = []
    for node, site in sorted(cost.sites.items(), key=lambda item: (item[0].span.source is not checked.program.source, item[0].span.start)):
        likely = None if guess is None else guess.sites.get(node, _NOTHING)
        own = alike.get((id(site), id(likely)))
        if own is None:
            own = alike[id(site), id(likely)] = _site_figures(site, likely, memo)
        if isinstance(node, (n.Call, n.Solve)):
            sites.append(SiteBound(node, own, site.prompt, pricing.model(node).name, pricing.batch(node)))
    used = frozenset().union(*(symbols(f.most) | symbols(f.least) for f in figures.values()))
    warnings, errors = _warnings(sites, pricing, not named.made, analysis.fuel >= 0)
    return Bound(figures, tuple(sites), tuple(s for s in named.made if s in used), tuple(warnings), tuple(errors))


def expected_at(
    checked: Checked, model_of: Callable[[str | None], Model], inputs: Mapping[str, Any], experiences: Sequence[Experience]
) -> list[dict[str, float]]:
    """What is expected of each figure by each of several experiences, not held within the bound. `inputs` are those of a run."""
    facts, variables = resolve(checked)
    prefix, named, places = Prefix(facts), _Names(), Places(checked)
    for value in inputs.values():
        prefix.given(value)
    found = []
    for experience in experiences:
        pricing = Pricing(checked, model_of, experience)
        analysis = Analysis(checked, facts, prefix, pricing, places, Policy(True, _chance(experience)))
        cost = _whole_requests(_program(analysis, _inputs(analysis, variables, inputs, named)), pricing)
        total = cost.total
        figures: dict[str, Quantity] = {
            "calls": total.calls.high,
            "requests": total.requests,
            "input_tokens": total.input_tokens,
            "output_tokens": total.output_tokens,
            "dollars": total.nanodollars,
            "rounds": cost.rounds.high,
        }
        found.append({name: float(q) for name, q in figures.items() if not isinstance(q, Formula)})
    return found


def _inputs(
    analysis: Analysis, variables: Mapping[str, Variable], inputs: Mapping[str, Any] | None, named: _Names
) -> dict[Variable, Variable_]:
    """The inputs as variables: given, by default where any is given, else by the sizes in `named`."""
    start: dict[Variable, Variable_] = {}
    given = inputs or {}
    for name, variable in analysis.facts.given.items():
        start[variable] = Variable_(Exact(given[name]) if name in given else named.size(name, analysis.checked.given[name]))
    for declared in analysis.checked.inputs:
        if inputs is not None and declared.name in inputs:
            size: Size | None = Exact(inputs[declared.name])
        elif declared.node.default is not None and inputs is not None:
            size = analysis.of(declared.node.default, start, ZERO).size
        else:
            size = named.size(declared.name, declared.type)
        start[variables[declared.name]] = Variable_(size)
    return start


def _amount(value: Any) -> int:
    """How much there is in an input: the characters of its texts, to the depth of a list of records, and its items, as so many each."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Streamed):
        return value.weight
    if isinstance(value, list):
        texts = sum(len(x) if isinstance(x, str) else sum(map(_amount, x.values())) if isinstance(x, dict) else 0 for x in value)
        return texts + _AN_ITEM * len(value)
    return 0


def _chance(experience: Experience) -> Callable[[n.Node], float]:
    def chance(node: n.Node) -> float:
        seen = experience.chance(node)
        return 0.5 if seen is None else min(1.0, max(0.0, seen))

    return chance


def _program(analysis: Analysis, start: Env) -> Cost:
    """The cost of the whole program."""
    checked = analysis.checked
    bound_here = [s for m in checked.modules.values() for s in m.statements if isinstance(s, (n.Bind, n.Unpack))]
    bound_here += [s for s in checked.program.statements if isinstance(s, (n.Bind, n.Unpack))]
    value = next((s.value for s in reversed(checked.program.statements) if isinstance(s, (n.Answer, n.Shown))), None)
    if value is None:
        if not checked.turn:
            return FREE
        value = n.Literal(checked.program.span, None, "none")
    env, cost = block_bindings(analysis, bound_here, value, start, ZERO)
    out = analysis.of(value, env, ZERO)
    whole = cost + out.cost
    # the answer is there after the last call that it waited for
    return evolve(whole, rounds=later(whole.rounds, Interval(out.round.low, 0))) if whole else whole


def _figures(cost: Cost, guess: Cost | None, memo: bool) -> dict[str, Figure]:
    calls, rounds, deepest = cost.calls, cost.rounds, cost.total.depth
    depth = Interval(1 if isinstance(calls.low, (int, float)) and calls.low >= 1 else 0, 0 if calls.high == 0 else deepest)
    likely = None if guess is None else depth.high if guess.calls.high else depth.low
    return {
        **_site_figures(cost.total, None if guess is None else guess.total, memo),
        "depth": Figure(depth.low, None if likely is None else _between(depth.low, likely, depth.high), depth.high),
        "rounds": Figure(rounds.low, None if guess is None else _between(rounds.low, guess.rounds.high, rounds.high), rounds.high),
    }


def _whole_requests(guess: Cost, pricing: Pricing) -> Cost:
    """An expected cost in which a last batch that is not full is a request all the same."""
    sites, total = dict(guess.sites), guess.total
    for node, site in guess.sites.items():
        if isinstance(node, n.Call) and pricing.batch(node) > 1 and isinstance(site.requests, float) and math.isfinite(site.requests):
            whole = math.ceil(round(site.requests, 6))
            total = evolve(total, requests=plus(total.requests, whole - site.requests))
            sites[node] = evolve(site, requests=whole)
    return evolve(guess, sites=sites, total=total)


def _site_figures(site: SiteCost, guess: SiteCost | None, memo: bool) -> dict[str, Figure]:
    """The figures of one place, or of all of them."""
    surely = isinstance(site.calls.low, (int, float)) and site.calls.low >= 1
    likely = SiteCost() if guess is None else guess

    def figure(least: Quantity, expected: Quantity, most: Quantity) -> Figure:
        return Figure(least, None if guess is None else _between(least, expected, most), most)

    return {
        "calls": figure(site.calls.low, likely.calls.high, site.calls.high),
        "requests": figure(0 if memo or not surely else 1, likely.requests, site.requests),
        "input_tokens": figure(0, likely.input_tokens, site.input_tokens),
        "output_tokens": figure(0, likely.output_tokens, site.output_tokens),
        "dollars": figure(0, likely.nanodollars, site.nanodollars),
    }


def _between(least: Quantity, likely: Quantity, most: Quantity) -> Number | None:
    """A guess, held within the bound; None where it has none."""
    if isinstance(likely, Formula) or isinstance(least, Formula) or isinstance(most, Formula):
        return None
    value = min(max(likely, least), most)
    return None if math.isinf(value) else value


def _warnings(sites: Sequence[SiteBound], pricing: Pricing, known: bool, whole: bool) -> tuple[list[str], list[str]]:
    """What has no bound, what does not fit, and which prices are not known; and of these what every run would fail by. `whole`: there was
    time to look at all of the program."""
    found, errors = [], []
    if not whole:
        found.append("the program is too large to be bounded wholly: some of its calls count as any number; divide it into several")
    for site in sites:
        calls = site.figures["calls"].most
        if calls == INFINITE and whole:
            found.append(
                f"line {site.node.span.line}: nothing bounds how often this is called; "
                "clamp the count, or give a list in a reply a length: [T; 10]"
            )
        long = _too_long(site, pricing, known)
        if long is not None:
            found.append(long[0])
            errors += [long[0]] if long[1] else []
    unpriced = sorted(pricing.unpriced)
    found += [f"the price of {name} is not known: set input_price and output_price in [models.{name}]" for name in unpriced]
    return found, errors


def _too_long(site: SiteBound, pricing: Pricing, known: bool) -> tuple[str, bool] | None:
    """What there is to say where a prompt may not fit its model's window, by what text usually takes in tokens; and whether it cannot, by
    the least it can take, in a call that is surely made. Where the inputs are not `known`, any of them may be of any size, and that is not
    worth a warning."""
    if isinstance(site.node, n.Solve):
        return None
    model = pricing.model(site.node)
    window, prompt = model.context_window, site.prompt
    if window is None or isinstance(prompt.high, Formula) or isinstance(prompt.low, Formula):
        return None
    room = max(0, window - pricing.max_tokens(site.node))
    cannot = prompt.low / limits.REPLY_BYTES_PER_TOKEN > room
    if not cannot and (prompt.high / BYTES_PER_TOKEN <= room or (prompt.high == INFINITE and not known)):
        return None
    at, largest = pricing.widest.get(site.node, (-1, 0))
    cause = " ".join((site.node.prompt if at < 0 else site.node.data[at].value).span.text.split())
    cause = cause if len(cause) <= 60 else cause[:59] + "…"
    rest = 0 if largest == INFINITE else prompt.high - largest
    piece = int(room * BYTES_PER_TOKEN - rest) // 4  # a character has at most four bytes
    piece = piece // 100 * 100 if piece > 200 else piece
    hint = f"write [call … on piece for piece in chunks({cause}, {piece})]" if piece > 0 and at >= 0 else "ask a model with a larger one"
    size = "any number of" if prompt.high == INFINITE else f"up to {int(prompt.high):,}"
    verdict = (
        f"has at least {int(prompt.low):,} bytes and does not fit {model.name}"
        if cannot
        else f"can have {size} bytes, more than fit {model.name}"
    )
    surely = isinstance(site.figures["calls"].least, (int, float)) and site.figures["calls"].least >= 1
    where = f"line {site.node.span.line}: the prompt, by {cause},"
    return f"{where} {verdict}, whose window has {window:,} tokens, {window - room:,} of them for the reply; {hint}", cannot and surely


class _Names:
    """Names for the sizes of inputs that are not given: n, m, k … count items, b, c … bytes; a number is called as the input is."""

    def __init__(self) -> None:
        self.made: list[Symbol] = []
        self._taken: set[str] = set()

    def size(self, name: str, type_: Type) -> Size:
        """The size of an unknown input."""
        match type_:
            case ListOf(item, most):
                count = self._symbol("nmkjl", f"len({name})")
                total = self._symbol("bcd", f"bytes({name})")
                high = count if most is None else minimum(count, most)
                # of a list of texts or files, their bytes; of others, those of its JSON text, which bounds all that is in it
                each: Size = (
                    FileSize(Interval(0, total), Interval(0, limits.PATH_BYTES)) if item == FILE else of_type(item, total, ours=True)
                )
                return ListSize(Interval(count, high) if most is None else Interval(0, high), each, Interval(0, total))
            case DictOf():
                count = self._symbol("nmkjl", f"len({name})")
                whole = of_type(type_, self._symbol("bcd", f"bytes({name})"), ours=True)
                assert isinstance(whole, DictSize)
                return DictSize(evolve(whole.keys, count=Interval(count, count)), evolve(whole.values, count=Interval(count, count)))
            case Optional(item):
                return MaybeSize(self.size(name, item))
        if type_ == DIR:
            count = self._symbol("nmkjl", f"files({name})")
            total = self._symbol("bcd", f"bytes({name})")
            return DirSize(Interval(0, count), total, Interval(0, total))
        if type_ == TEXT:
            total = self._symbol("bcd", f"bytes({name})")
            return TextSize(Interval(total, total))
        if type_ == FILE:
            total = self._symbol("bcd", f"bytes({name})")
            return FileSize(Interval(0, total), Interval(0, limits.PATH_BYTES))
        if type_ == INT:
            number = self._symbol((name,), name)
            return NumberSize(number, number)
        if type_ in (FLOAT, BOOL, NONE) or isinstance(type_, Enum):
            return of_type(type_)
        return of_type(type_, self._symbol("bcd", f"bytes({name})"), ours=True)

    def _symbol(self, names: Any, meaning: str) -> Formula:
        name = next((x for x in names if x not in self._taken), None)
        number = 1
        while name is None or name in self._taken:
            name = f"{names[0]}{number}"
            number += 1
        self._taken.add(name)
        made = symbol(name, meaning)
        self.made.append(next(iter(symbols(made))))
        return made
