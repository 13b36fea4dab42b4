"""What one call takes, from the sizes of what it is asked: the prompt's bytes, tokens and money at most, and how long its reply can be.

At most one token a byte of UTF-8, which holds for byte-level tokenizers; the overhead around prompt and data is measured by rendering
them empty.
A call may be sent 1 + REASKS times at the provider's cost (a bad reply, or an attempt that broke after it was billed), each time at most a
reply and a correction longer than the first. Money is priced a request at a time, at the dearest rate that its size can reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlmlang import limits
from rlmlang.check.checked import Checked
from rlmlang.cost.account import SiteCost
from rlmlang.lm.prices import Price, price_of, worst
from rlmlang.lm.render import render, reply_tokens, worst_input_tokens
from rlmlang.lm.request import Model
from rlmlang.quantity import INFINITE, Formula, Quantity, plus, times
from rlmlang.sizes import (
    ESCAPED,
    ONE,
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
BYTES_PER_TOKEN = 3.6  # of English prose and code, for what is expected


class Pricing:
    """`model_of` gives the model that a call goes to; a price that is not known is taken as infinite."""

    def __init__(self, checked: Checked, model_of: Callable[[str | None], Model]) -> None:
        self._checked = checked
        self._model_of = model_of
        self._overheads: dict[tuple[n.Call, bool], int] = {}
        self._prices: dict[str, Price | None] = {}
        self.unpriced: set[str] = set()

    def model(self, node: n.Call) -> Model:
        """The model of a call."""
        option = next((o.value for o in node.options if o.name == "model"), None)
        name = option.value if isinstance(option, n.Literal) and isinstance(option.value, str) else None
        return self._model_of(name)

    def price(self, model: Model) -> Price | None:
        if model.name not in self._prices:
            price = self._prices[model.name] = price_of(model)
            if price is None:
                self.unpriced.add(model.name)
        return self._prices[model.name]

    def max_tokens(self, node: n.Call) -> int:
        """The limit that a call's reply is sent with, hidden reasoning included."""
        model = self.model(node)
        option = next((o.value for o in node.options if o.name == "max_tokens"), None)
        given = option.value if isinstance(option, n.Literal) and isinstance(option.value, int) else None
        tokens = (reply_tokens(self._type(node)) if given is None else given) + model.reasoning_tokens
        return tokens if model.max_output_tokens is None else min(tokens, model.max_output_tokens)

    def _type(self, node: n.Call) -> Type:
        return self._checked.reply_types[node]

    def prompt(self, node: n.Call, prompt: Size, data: Sequence[tuple[str | None, Size]], system: Size | None) -> Interval:
        """Bytes of everything that is sent, as `worst_input_tokens` counts them."""
        total = Interval.exactly(self._overhead(node, len(data), system is not None)) + str_bytes(prompt)
        if system is not None:
            total = total + str_bytes(system)
        for name, size in data:
            if name is not None:
                total = total + Interval(len(name), ESCAPED * len(name.encode()) + 3)
            plain = unfold(size)
            if isinstance(plain, FileSize):
                total = total + plain.text + Interval(0, plus(times(ESCAPED, plain.path.high), 16))
            else:
                total = total + data_bytes(size)
        fences = 1 + 2 * (1 + len(data)) if data else 0
        return total + Interval(0, fences * _FENCE_GROWTH)

    def _overhead(self, node: n.Call, data: int, system: bool) -> int:
        key = (node, system)
        if key not in self._overheads:
            request = render("", [(None, "")] * data, self._type(node), self.model(node), system="" if system else None)
            self._overheads[key] = worst_input_tokens(request)
        return self._overheads[key]

    def cost(self, node: n.Call, prompt: Interval, expected: bool) -> SiteCost:
        """What one call takes at most, or is expected to."""
        model, most = self.model(node), self.max_tokens(node)
        price = self.price(model)
        if expected:
            tokens = (
                prompt.high
                if isinstance(prompt.high, Formula)
                else int(prompt.high / BYTES_PER_TOKEN)
                if prompt.high != INFINITE
                else INFINITE
            )
            output = self._expected_tokens(node, most)
            return SiteCost(ONE, tokens, output, _money(price, tokens, output), prompt)
        longer = limits.REPLY_BYTES_PER_TOKEN * most + limits.CORRECTION_BYTES + 2 * limits.MESSAGE_TOKENS
        last = plus(prompt.high, longer)
        tokens = plus(prompt.high, times(limits.REASKS, last))
        money = plus(_money(price, prompt.high, most), times(limits.REASKS, _money(price, last, most)))
        return SiteCost(ONE, tokens, (1 + limits.REASKS) * most, money, prompt)

    def _expected_tokens(self, node: n.Call, most: int) -> int:
        type_ = self._type(node)
        inner = type_.item if isinstance(type_, Optional) else type_
        scalar = isinstance(inner, Enum) or inner in (BOOL, INT, FLOAT)
        return min(most, 8 if scalar else 120)

    def reply(self, node: n.Call, expected: bool) -> Size:
        """The size of a checked reply: of text, what is cut off at the limit; typed, what JSON text of so many bytes can hold."""
        type_, most = self._type(node), limits.REPLY_BYTES_PER_TOKEN * self.max_tokens(node)
        if not expected:
            return of_type(type_, most)
        typical = min(most, 4 * self._expected_tokens(node, self.max_tokens(node)))
        if type_ == TEXT:
            return TextSize(Interval.exactly(typical))
        if isinstance(type_, ListOf):
            count = 4 if type_.most is None else max(1, type_.most // 2)
            return ListSize(Interval.exactly(count), of_type(type_.item, max(1, typical // count)))
        if type_ in (INT, FLOAT):
            return NumberSize(3, 3)
        return of_type(type_, typical)


def _money(price: Price | None, input_tokens: Quantity, output_tokens: int) -> Quantity:
    if price is None:
        return INFINITE
    if isinstance(input_tokens, (int, float)):
        if input_tokens == INFINITE:
            return 0 if all(not r.input and not r.cache_write and not r.output for r in price.tiers) and not price.request else INFINITE
        return worst(price, int(input_tokens), output_tokens)
    rate = max(max(r.input, r.cache_write, r.cached) for r in price.tiers)
    return plus(times(rate, input_tokens), price.request + output_tokens * max(r.output for r in price.tiers))
