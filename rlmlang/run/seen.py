"""What runs see of models and data, so that the next guess is better: how long replies are, how many tokens a byte takes, how often a
condition holds, how long a call takes. Sums of numbers, never a text, under keys from which none can be had back.

A place in a program is known by its canonical text and the model: moving it, or changing the data, does not make it another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from attrs import define, evolve, field, frozen

from rlmlang.check.checked import Checked
from rlmlang.lm.render import utf8_length, worst_input_tokens
from rlmlang.lm.request import Model, Reply, Request
from rlmlang.syntax import nodes as n
from rlmlang.values import to_json_text

# the figures of a place that calls a model, and of a model: one number a reply
PROMPT_BYTES: Final = "prompt_bytes"  # as the bound counts them
INPUT_TOKENS: Final = "input_tokens"
DENSITY: Final = "density"  # input tokens a prompt byte
REPLY_BYTES: Final = "reply_bytes"
OUTPUT_TOKENS: Final = "output_tokens"
AMOUNT: Final = "amount"  # items of a list, or the number that was said
SECONDS: Final = "seconds"  # of one request
CHOSEN: Final = "chosen"  # of a filter or an `if`: 1 where its condition held, else 0

_LARGEST: Final = 1e15  # a figure beyond is nonsense


@define
class Moments:
    """How often a number was seen, its sum and the sum of its squares."""

    count: float = 0
    total: float = 0
    squares: float = 0

    def add(self, value: float) -> None:
        if abs(value) <= _LARGEST:
            self.count += 1
            self.total += value
            self.squares += value * value

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        """The standard deviation of what was seen, as a sample of what there is (divided by count - 1)."""
        spread = self.squares - self.total * self.total / self.count
        return math.sqrt(max(0.0, spread) / (self.count - 1)) if self.count > 1 else 0.0

    def is_sound(self) -> bool:
        """Whether this can have been seen: a store may hold anything."""
        figures = (self.count, self.total, self.squares)
        return all(isinstance(f, (int, float)) and math.isfinite(f) for f in figures) and self.count >= 1 and self.squares >= 0


Figures = dict[str, Moments]
Seen = Mapping[bytes, Figures]


def add_figure(figures: Figures, name: str, value: float) -> None:
    moments = figures.get(name)
    if moments is None:
        moments = figures[name] = Moments()
    moments.add(value)


def add_reply(figures: Figures, request: Request, reply: Reply, *, shared: bool = False) -> None:
    """Counts a reply that came. Its tokens count only if it was sent once, and the provider said how many there were; those of the prompt
    if it was not `shared` with other calls."""
    add_value(figures, reply.value)
    if reply.seconds:
        add_figure(figures, SECONDS, reply.seconds)
    usage = reply.usage
    if reply.requests == 1 and not usage.guessed:
        add_figure(figures, OUTPUT_TOKENS, usage.output_tokens)
        if not shared:
            sent = worst_input_tokens(request)
            add_figure(figures, PROMPT_BYTES, sent)
            add_figure(figures, INPUT_TOKENS, usage.input_tokens)
            add_figure(figures, DENSITY, usage.input_tokens / sent)


def add_recalled(figures: Figures, value: Any, output_tokens: int) -> None:
    """Counts a reply that the memo had."""
    add_value(figures, value)
    if output_tokens:
        add_figure(figures, OUTPUT_TOKENS, output_tokens)


def add_value(figures: Figures, value: Any) -> None:
    """Counts the size of a reply's value."""
    if isinstance(value, str):
        add_figure(figures, REPLY_BYTES, utf8_length(value))
        return
    add_figure(figures, REPLY_BYTES, utf8_length(to_json_text(value)))
    if isinstance(value, (list, tuple)):
        add_figure(figures, AMOUNT, len(value))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        add_figure(figures, AMOUNT, value)


def merged(parts: Iterable[Mapping[str, Moments]]) -> Figures:
    """Figures of several places together."""
    whole: Figures = {}
    for part in parts:
        for name, moments in part.items():
            whole[name] = whole[name] + moments if name in whole else moments
    return whole


class Keys:
    """The keys of the places of one program, as it would run with these models (`model_of`: by the name that a call gives)."""

    def __init__(self, checked: Checked, model_of: Callable[[str | None], Model]) -> None:
        self._checked = checked
        self._model_of = model_of
        self._made: dict[n.Node, bytes] = {}

    def model(self, model: Model) -> bytes:
        return _key("model", _identity(model))

    def model_of(self, node: n.Call) -> Model:
        """Who answers a call."""
        option = next((o.value for o in node.options if o.name == "model"), None)
        return self._model_of(option.value if isinstance(option, n.Literal) and isinstance(option.value, str) else None)

    def __getitem__(self, node: n.Node) -> bytes:
        """Of a call; or of what has a condition: a filter, `first`, `if`."""
        if node not in self._made:
            self._made[node] = self._make(node)
        return self._made[node]

    def _make(self, node: n.Node) -> bytes:
        from rlmlang.syntax.formatter import format_expression  # not before a store is read or written

        if isinstance(node, n.Call):
            return _key("call", format_expression(node), str(self._checked.reply_types[node]), _identity(self.model_of(node)))
        assert isinstance(node, (n.Filter, n.First, n.If))
        return _key("condition", format_expression(node.condition), _identity(self._model_of(None)))


def _identity(model: Model) -> str:
    return f"{model.provider}:{model.model}"


def _key(*parts: str) -> bytes:
    return blake2b(b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts), digest_size=16).digest()


def by_key(keys: Keys, calls: Mapping[n.Node, Figures], choices: Mapping[n.Node, Moments]) -> dict[bytes, Figures]:
    """What a run saw, at its places and of its models, as it is stored."""
    rows: dict[bytes, Figures] = {}

    def put(key: bytes, figures: Mapping[str, Moments]) -> None:
        if figures:
            rows[key] = merged((rows.get(key, {}), figures))

    for node, figures in calls.items():
        assert isinstance(node, n.Call)
        put(keys[node], figures)
        put(keys.model(keys.model_of(node)), {name: m for name, m in figures.items() if name != AMOUNT})
    for node, chosen in choices.items():
        put(keys[node], {CHOSEN: chosen})
    return rows


def _nothing(key: bytes) -> Figures:
    return {}


@frozen(eq=False)
class Experience:
    """What is expected of the places of a program by what was seen there: the `sample`, where it saw something, else all earlier runs
    (`stored`). `ends` replaces means, to see what difference they make."""

    keys: Keys
    stored: Callable[[bytes], Figures] = _nothing
    sample: Seen = field(factory=dict)
    ends: Mapping[tuple[bytes, str], float] = field(factory=dict)

    def with_end(self, key: bytes, figure: str, value: float) -> Experience:
        """The same, with the mean of one figure replaced."""
        return evolve(self, ends={(key, figure): value})

    def mean(self, key: bytes, figure: str) -> float | None:
        """The mean of a figure, None where nobody has seen it."""
        if (key, figure) in self.ends:
            return self.ends[key, figure]
        found = self._moments(key, figure)
        return None if found is None else found.mean

    def _moments(self, key: bytes, figure: str) -> Moments | None:
        return self.sample.get(key, {}).get(figure) or self.stored(key).get(figure)

    def tokens_per_byte(self, node: n.Call) -> float | None:
        """Input tokens that a byte of a call's prompt takes: at this place, else of its model."""
        if self._is_blank:
            return None
        for key in (self.keys[node], self.keys.model(self.keys.model_of(node))):
            if (key, DENSITY) in self.ends:
                return self.ends[key, DENSITY]
            tokens, sent = self._moments(key, INPUT_TOKENS), self._moments(key, PROMPT_BYTES)
            if tokens is not None and sent is not None and sent.total > 0:
                return tokens.total / sent.total
        return None

    def reply_bytes_per_token(self, node: n.Call) -> float | None:
        """Bytes of a reply that one of its tokens takes, by all that the call's model has said."""
        if self._is_blank:
            return None
        key = self.keys.model(self.keys.model_of(node))
        said, tokens = self._moments(key, REPLY_BYTES), self._moments(key, OUTPUT_TOKENS)
        return said.mean / tokens.mean if said is not None and tokens is not None and tokens.total > 0 else None

    def of_call(self, node: n.Call, figure: str) -> float | None:
        return None if self._is_blank else self.mean(self.keys[node], figure)

    @property
    def _is_blank(self) -> bool:
        """Whether nothing was ever seen: keys need not be made."""
        return self.stored is _nothing and not self.sample and not self.ends

    def chance(self, node: n.Node) -> float | None:
        """How often the condition of a filter or an `if` holds."""
        if self._is_blank:
            return None
        return self.mean(self.keys[node], CHOSEN) if isinstance(node, (n.Filter, n.First, n.If)) else None

    def seconds(self, model: Model) -> float | None:
        """How long one request to a model takes."""
        return self.mean(self.keys.model(model), SECONDS)
