"""What one call takes, from the sizes of what it is asked: the prompt's bytes, tokens and money at most, and how long its reply can be.

At most one token a byte of UTF-8, which holds for byte-level tokenizers; the overhead around prompt and data is measured by rendering
them empty.
A call may be sent 1 + REASKS times at the provider's cost (a bad reply, or an attempt that broke after it was billed), each time at most a
reply and a correction longer than the first. Money is priced a request at a time, at the dearest rate that its size can reach.

Of calls that share requests, n in one batch may at worst send n - 1 batches, each once at the provider's cost, before each call is sent
alone: the batches that hold a call are at most ceil(log2) of the first one's size. No batch reaches a dearer rate (run/batches.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import evolve, frozen

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.cost.account import SiteCost
from rlmlang.errors import UsageError
from rlmlang.lm.config import Models
from rlmlang.lm.prices import Price, actual, price_of, worst
from rlmlang.lm.render import read_data, render, render_batch, reply_tokens, worst_input_tokens
from rlmlang.lm.request import Model, Usage
from rlmlang.quantity import INFINITE, Formula, Quantity, plus, times
from rlmlang.run.nesting import SolveOptions, nested_depth
from rlmlang.run.seen import AMOUNT, OUTPUT_TOKENS, REPLY_BYTES, Experience
from rlmlang.sizes import (
    ESCAPED,
    ONE,
    ZERO,
    FileSize,
    Interval,
    ListSize,
    NumberSize,
    Size,
    TextSize,
    data_bytes,
    of_type,
    str_bytes,
    unfold,
)
from rlmlang.syntax import nodes as n
from rlmlang.types import BOOL, FLOAT, INT, TEXT, Enum, ListOf, Optional, Type

_FENCE_GROWTH = 10  # bytes by which a fence may be longer because its shorter ones occur in the data
REQUESTS = limits.RETRIES + limits.REASKS  # that may be sent for one call
_EXPECTED_CALLS = 8  # of a solve: a few turns, and what their programs ask
_EXPECTED_INPUT = 2_000  # tokens of one of them
_EXPECTED_OUTPUT = 200
BYTES_PER_TOKEN = 3.6  # of English prose and code, for what is expected


@frozen
class Prompt:
    """Bytes of what one call sends: the whole request; of that, what calls that share a request have in common, and its own data."""

    whole: Interval
    common: Interval
    own: Interval


class Pricing:
    """`model_of` gives the model that a call goes to; a price that is not known is taken as infinite. What is expected goes by
    `experience`, where there is any. `models` are those that programs in a solve may name."""

    def __init__(
        self, checked: Checked, model_of: Callable[[str | None], Model], experience: Experience, models: Models | None = None
    ) -> None:
        self.experience = experience
        self._checked = checked
        self._model_of = model_of
        self._models = models
        self._of_calls: dict[n.Call | n.Solve, Model] = {}
        self._longest: dict[n.Call, int] = {}
        self._overheads: dict[tuple[int, Type, str, bool, int], int] = {}
        self._prices: dict[str, Price | None] = {}
        self.unpriced: set[str] = set()
        self.widest: dict[n.Call, tuple[int, float]] = {}  # the datum that can be largest (-1: the instruction), and its bytes

    def model(self, node: n.Call | n.Solve) -> Model:
        """The model of a call, or of a solve the one that writes its programs."""
        found = self._of_calls.get(node)
        if found is None:
            option = next((o.value for o in node.options if o.name == "model"), None)
            name = option.value if isinstance(option, n.Literal) and isinstance(option.value, str) else None
            if name is None and isinstance(node, n.Solve) and self._models is not None:
                name = self._models.root
            found = self._of_calls[node] = self._model_of(name)
        return found

    def price(self, model: Model) -> Price | None:
        if model.name not in self._prices:
            price = self._prices[model.name] = price_of(model)
            if price is None:
                self.unpriced.add(model.name)
        return self._prices[model.name]

    def max_tokens(self, node: n.Call) -> int:
        """The limit that a call's reply is sent with, hidden reasoning included."""
        if node not in self._longest:
            model = self.model(node)
            option = next((o.value for o in node.options if o.name == "max_tokens"), None)
            given = option.value if isinstance(option, n.Literal) and isinstance(option.value, int) else None
            tokens = (reply_tokens(self._type(node)) if given is None else given) + model.reasoning_tokens
            self._longest[node] = tokens if model.max_output_tokens is None else min(tokens, model.max_output_tokens)
        return self._longest[node]

    def batch(self, node: n.Call | n.Solve) -> int:
        """How many calls of a place may share a request."""
        option = next((o.value for o in node.options if o.name == "batch"), None)
        return option.value if isinstance(option, n.Literal) and isinstance(option.value, int) and node.data else 1

    def _type(self, node: n.Call | n.Solve) -> Type:
        return self._checked.reply_types[node]

    def prompt(self, node: n.Call, prompt: Size, data: Sequence[tuple[str | None, Size]], system: Size | None) -> Prompt:
        """Bytes of everything that is sent, as `worst_input_tokens` counts them."""
        common, own = str_bytes(prompt), ZERO
        if system is not None:
            common = common + str_bytes(system)
        widest, largest = -1, common.high
        for at, (name, size) in enumerate(data):
            if name is not None:
                own = own + Interval(len(name), ESCAPED * len(name.encode()) + 3)
            plain, part = unfold(size), data_bytes(size)
            if isinstance(plain, FileSize):
                part = plain.text + Interval(0, plus(times(ESCAPED, plain.path.high), 16))
            own = own + part
            if not isinstance(largest, Formula) and not isinstance(part.high, Formula) and part.high > largest:
                widest, largest = at, part.high
        if not isinstance(largest, Formula) and largest >= self.widest.get(node, (0, 0))[1]:
            self.widest[node] = widest, largest
        own = own + Interval(0, 2 * len(data) * _FENCE_GROWTH)
        common = common + Interval(0, 3 * _FENCE_GROWTH if data else 0)
        return Prompt(Interval.exactly(self._overhead(node, system is not None)) + common + own, common, own)

    def _overhead(self, node: n.Call, system: bool, items: int = 1) -> int:
        """Bytes of a request for so many calls whose instruction and data are empty."""
        key = (len(node.data), self._type(node), self.model(node).name, system, items)
        if key not in self._overheads:
            request = render("", [(None, "")] * len(node.data), self._type(node), self.model(node), system="" if system else None)
            if items > 1:
                request = render_batch("", [read_data([(None, "")] * len(node.data))] * items, [request] * items)
            self._overheads[key] = worst_input_tokens(request)
        return self._overheads[key]

    def cost(self, node: n.Call, prompt: Prompt, expected: bool) -> SiteCost:
        """What one call takes at most, or is expected to."""
        model, most = self.model(node), self.max_tokens(node)
        price, batch = self.price(model), self.batch(node)
        if expected:
            size = prompt.whole.high
            if batch > 1:
                size = plus(times(1 / batch, plus(prompt.common.high, self._overhead(node, False, batch))), prompt.own.high)
            density = self.experience.tokens_per_byte(node) or 1 / BYTES_PER_TOKEN
            tokens = size if isinstance(size, Formula) or size == INFINITE else round(size * density)
            output = self._expected_tokens(node, most)
            return SiteCost(ONE, tokens, output, _likely_money(price, tokens, output), prompt.whole, 1 / batch if batch > 1 else 1, 1)
        whole = prompt.whole.high
        longer = limits.REPLY_BYTES_PER_TOKEN * most + limits.CORRECTION_BYTES + 2 * limits.MESSAGE_TOKENS
        last = plus(whole, longer)
        tokens = plus(whole, times(limits.REASKS, last))
        money = plus(_money(price, whole, most), times(limits.REASKS, _money(price, last, most)))
        alone = SiteCost(ONE, tokens, (1 + limits.REASKS) * most, money, prompt.whole, REQUESTS, 1)
        return alone if batch == 1 else self._after_batches(node, prompt, batch, alone)

    def _after_batches(self, node: n.Call, prompt: Prompt, batch: int, alone: SiteCost) -> SiteCost:
        """What one call of a batch takes at most: its part of all batches that may be divided, and then what it takes alone."""
        levels = (batch - 1).bit_length()
        label = self._overhead(node, True, 3) - self._overhead(node, True, 2)
        fixed = self._overhead(node, True, batch) - batch * label
        own = plus(prompt.own.high, label + len(node.data) * (len(str(batch)) - 1))
        tokens = plus(prompt.common.high, fixed, times(levels, own))
        output = levels * self.max_tokens(node)
        price = self.price(self.model(node))
        return evolve(
            alone,
            input_tokens=plus(alone.input_tokens, tokens),
            output_tokens=plus(alone.output_tokens, output),
            nanodollars=plus(alone.nanodollars, _money(None if price is None else evolve(price, tiers=price.tiers[:1]), tokens, output)),
            requests=REQUESTS + limits.RETRIES,
        )

    def solve(self, node: n.Solve, expected: bool) -> SiteCost:
        """What a solve takes: as many calls as it may make, its root model's own among them, each of them as `Quota` says at most."""
        options = SolveOptions.of(node)
        if expected:
            calls = min(options.calls, _EXPECTED_CALLS)
            each = _money(self.price(self.model(node)), _EXPECTED_INPUT, _EXPECTED_OUTPUT)
            return SiteCost(
                Interval.exactly(calls),
                _EXPECTED_INPUT * calls,
                _EXPECTED_OUTPUT * calls,
                times(calls, each),
                ZERO,
                calls,
                nested_depth(node),
            )
        models = [] if self._models is None else usable(self._models)
        most = quota([self.model(node), self._model_of(None), *models], self.price)
        calls = options.calls
        return SiteCost(
            Interval(1, calls),
            calls * most.input_tokens,
            calls * most.output_tokens,
            times(calls, most.nanodollars),
            ZERO,
            calls * (REQUESTS + limits.RETRIES),
            nested_depth(node),
        )

    def answer(self, node: n.Solve, expected: bool) -> Size:
        """The size of a solve's answer, which is limited as JSON."""
        return of_type(self._type(node), 600 if expected else limits.SOLVE_ANSWER_BYTES)

    def _expected_tokens(self, node: n.Call, most: int) -> int:
        seen = self.experience.of_call(node, OUTPUT_TOKENS)
        if seen is not None:
            return min(most, max(1, round(seen)))
        type_ = self._type(node)
        inner = type_.item if isinstance(type_, Optional) else type_
        scalar = isinstance(inner, Enum) or inner in (BOOL, INT, FLOAT)
        return min(most, 8 if scalar else 120)

    def reply(self, node: n.Call, expected: bool) -> Size:
        """The size of a checked reply: of text, what is cut off at the limit; typed, what JSON text of so many bytes can hold."""
        type_, most = self._type(node), limits.REPLY_BYTES_PER_TOKEN * self.max_tokens(node)
        if not expected:
            return of_type(type_, most)
        seen, amount = self.experience.of_call(node, REPLY_BYTES), self.experience.of_call(node, AMOUNT)
        if seen is None:
            seen = (self.experience.reply_bytes_per_token(node) or 4) * self._expected_tokens(node, self.max_tokens(node))
        typical = min(most, max(0, round(seen)))
        if type_ == TEXT:
            return TextSize(Interval.exactly(typical))
        if isinstance(type_, ListOf):
            count: float = 4 if type_.most is None else max(1, type_.most // 2)
            if amount is not None:
                count = max(0.0, amount)
            return ListSize(Interval.exactly(count), of_type(type_.item, max(1, round(typical / max(1, count)))))
        if type_ in (INT, FLOAT):
            number = 3 if amount is None else amount
            return NumberSize(number, number)
        return of_type(type_, typical)


@frozen
class Quota:
    """What the calls inside a solve take at most, on average: the tokens that a program may take by its bound before it is refused."""

    input_tokens: int
    output_tokens: int
    nanodollars: Quantity


def quota(models: Sequence[Model], price: Callable[[Model], Price | None] = price_of) -> Quota:
    """The quota where `models` may be called. Hidden reasoning comes on top, and may be sent back in a re-ask."""
    thinking = max(model.reasoning_tokens for model in models)
    attempts = 1 + limits.REASKS
    inputs = limits.SOLVE_INPUT_TOKENS + limits.REASKS * attempts // 2 * limits.REPLY_BYTES_PER_TOKEN * thinking
    if any(model.grammar == "openai" for model in models):
        inputs += attempts * limits.ROOT_GRAMMAR_BYTES
    outputs = limits.SOLVE_OUTPUT_TOKENS + attempts * thinking
    dearest: Quantity = 0
    for known in map(price, models):
        if known is None:
            return Quota(inputs, outputs, INFINITE)
        rate = max(max(r.input, r.cache_write, r.cached) for r in known.tiers)
        dearest = max(dearest, inputs * rate + outputs * max(r.output for r in known.tiers) + 2 * attempts * known.request)
    return Quota(inputs, outputs, dearest)


def usable(models: Models) -> list[Model]:
    """The models that a program could name; one whose configuration is wrong it could not."""
    found = []
    for name in models:
        with suppress(UsageError):
            found.append(models[name])
    return found


def _likely_money(price: Price | None, input_tokens: Quantity, output_tokens: int) -> Quantity:
    """What a request costs by its usual rates: no cache read or written, its own tier."""
    if price is None or isinstance(input_tokens, Formula) or input_tokens == INFINITE:
        return _money(price, input_tokens, output_tokens)
    return actual(price, Usage(int(input_tokens), output_tokens))


def _money(price: Price | None, input_tokens: Quantity, output_tokens: int) -> Quantity:
    if price is None:
        return INFINITE
    if isinstance(input_tokens, (int, float)):
        if input_tokens == INFINITE:
            return 0 if all(not r.input and not r.cache_write and not r.output for r in price.tiers) and not price.request else INFINITE
        return worst(price, int(input_tokens), output_tokens)
    rate = max(max(r.input, r.cache_write, r.cached) for r in price.tiers)
    return plus(times(rate, input_tokens), price.request + output_tokens * max(r.output for r in price.tiers))
