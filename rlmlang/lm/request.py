"""What one sub-invocation is: the model, the request that is sent, and the reply that comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

from attrs import asdict, field, frozen

from rlmlang.types import TEXT, Type

KEY_VERSION = 1  # raise when the meaning of a request changes, so that no old memo row answers a new request


GrammarWay = Literal["openai", "vllm", "sglang", "llamacpp"]
GRAMMAR_FORMATS: Final[Mapping[GrammarWay, Literal["lark", "gbnf"]]] = {  # what each reads with its own defaults
    "openai": "lark",
    "vllm": "gbnf",
    "sglang": "gbnf",
    "llamacpp": "gbnf",
}
GRAMMAR_TOOL: Final = "program"  # the name of OpenAI's tool whose input must fit the grammar
GRAMMAR_TOOL_HELP: Final = "Takes the whole reply, as plain text: a program that fits the grammar, without fences."


class Secret:
    """A key that never shows itself: str, repr, format and pickling give `***` or fail. `reveal()` is for the transport alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not stored")


@frozen(cache_hash=True)
class Model:
    """A model as configured (`[models.NAME]`).

    `name` is what programs and reports call it; `model` what the provider calls it, with `provider` saying who answers:
    `openai` (any OpenAI-compatible `base_url`), `script` and `gguf` (`path`). Prices are nano-dollars per token (None: looked up;
    of input that the provider had in its cache: as any other).
    `structured`: `json_schema` (the provider's strict structured output) or `prompt` (the schema is put in the prompt).
    `reasoning_tokens` is added to every max_tokens: hidden reasoning that the provider counts in the same limit.
    `grammar` is how the server takes a grammar that its reply must fit (None: not at all); `GRAMMAR_FORMATS` has the format of each.
    `batch_share`: its requests go as jobs of the server's Batch API, at this share of the price (None: each is sent by itself).
    """

    name: str
    provider: Literal["openai", "script", "gguf"]
    model: str
    base_url: str | None = None
    path: str | None = None
    api_key: Secret | None = field(default=None, repr=False)
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: int | None = None
    output_price: int | None = None
    cached_price: int | None = None
    concurrency: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    temperature: float | None = None
    structured: Literal["json_schema", "prompt"] = "json_schema"
    reasoning_tokens: int = 0
    timeout: float | None = None
    grammar: GrammarWay | None = None
    batch_share: Fraction | None = None


@frozen
class Address:
    """Where requests go, and their headers: for each model the same. The headers hold its key."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)


@frozen
class Tool:
    """A tool that a model may call; `parameters` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)


@frozen
class ToolCall:
    """A call of a tool. `arguments` is a text, which is JSON where the model did as told; `id` is what its result refers to."""

    id: str
    name: str
    arguments: str


@frozen
class Message:
    """What was said. An assistant may have called tools (`calls`); the result of such a call has the role `tool` and the call's id."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@frozen
class Request:
    """One sub-invocation, fully rendered. Two are equal, and paid once, when their `key` is equal.

    `schema` is the strict JSON schema that the reply must fit (None for text); `type` is what the reply is checked against.
    `sample` tells otherwise equal requests apart (`with {sample: i}`). One that asks for several at once (`with {batch: …}`) has these
    as its `batch`, and a list of fixed length as its type. `grammar` is what a reply of text must fit, in the format that the model takes
    (`GRAMMAR_FORMATS[model.grammar]`); a model that takes none is sent none. Where there are `tools`, the value of the reply is what
    `lm.reply.Spoken` reads.
    """

    model: Model
    messages: tuple[Message, ...]
    type: Type = TEXT
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float | None = None
    sample: int = 0
    batch: tuple[Request, ...] = ()
    grammar: str | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def key(self) -> bytes:
        """SHA-256 (32 bytes) of the canonical request: everything that may change the reply, and no secret. The schema is not in it: the
        type says it."""
        digest = settings_digest(self.model, self.type, self.max_tokens, self.temperature).copy()
        hashed = [b"%d" % self.sample]
        for message in self.messages:
            hashed.append(_said(message.role.encode(), message.content))
            if message.calls or message.call_id is not None:
                hashed.append(b"\ncalls " + ascii((message.call_id, *((c.id, c.name, c.arguments) for c in message.calls))).encode())
        if self.grammar is not None:
            hashed.append(b"\ngrammar " + self.grammar.encode("utf-8", "surrogatepass"))
        if self.tools:
            hashed.append(b"\ntools " + tools_json(self.tools).encode("utf-8", "surrogatepass"))
        digest.update(b"".join(hashed))
        return digest.digest()


def _said(role: bytes, text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return b"\n%s %d\n%s" % (role, len(content), content)


def text_key(settings: hashlib._Hash, content: str, sample: int, system: str | None) -> bytes:
    """The key of a request of these settings that says `content`, after `system` if that is given, and has neither tools nor grammar."""
    digest = settings.copy()
    before = b"" if system is None else _said(b"system", system)
    digest.update(b"%d%s%s" % (sample, before, _said(b"user", content)))
    return digest.digest()


@lru_cache(maxsize=64)
def tools_json(tools: tuple[Tool, ...]) -> str:
    """Tools as servers take them, as JSON."""
    return json.dumps([{"type": "function", "function": asdict(tool)} for tool in tools], ensure_ascii=False)


@lru_cache(maxsize=1024)
def settings_digest(model: Model, type: Type, max_tokens: int, temperature: float | None) -> hashlib._Hash:
    """What requests of one place in a program have in common, hashed once; never updated, only copied."""
    settings = (
        KEY_VERSION,
        *(model.provider, model.model, model.base_url, model.path, model.structured, model.reasoning_tokens),
        *(str(type), max_tokens, None if temperature is None else float(temperature)),
    )
    return hashlib.sha256(ascii(settings).encode() + b"\n")  # as unambiguous as JSON


@frozen
class Usage:
    """Tokens of the attempts of one call, all together. `guessed`: the provider did not say (or said nonsense), so the worst case
    stands."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    guessed: bool = False


@frozen
class Reply:
    """The checked value of a call and what it took. `requests` counts what was sent, `retries` those beyond the first
    (re-asks and repeats alike); `nanodollars` is None where no price is known; `seconds`: how long the last request took."""

    value: Any
    usage: Usage = Usage()
    nanodollars: int | None = 0
    requests: int = 1
    seconds: float = field(default=0.0, eq=False)
    source: Literal["model", "memo", "shared"] = "model"

    @property
    def retries(self) -> int:
        return max(0, self.requests - 1)


@frozen
class Charge:
    """What one attempt may cost (reserved) or did cost (settled)."""

    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    nanodollars: int = 0


class Meter(Protocol):
    """Where attempts are reserved before they are sent, and settled after: the run's budget."""

    async def reserve(self, worst: Charge) -> None:
        """Waits until `worst` fits beside all that is spent or reserved. Raises BudgetError when it never can."""

    def settle(self, worst: Charge, actual: Charge) -> None:
        """Replaces a reservation by what was really used (`actual.requests == 0`: it was never sent)."""


@frozen
class Completion:
    """What a provider gives for one attempt. `finish` is `stop`, `length`, `circles` (stopped as it went in circles),
    `content_filter`, `tool_calls` or None if it did not say.

    `text` is None where the message had no content; `refusal` is the provider's refusal text, if it refused; `tool_calls` are those that
    have a name.
    """

    text: str | None
    finish: str | None = "stop"
    refusal: str | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class ProviderError(Exception):
    """An attempt failed. `retryable`: 408, 409, 429, 5xx, connection errors, timeouts. `retry_after` in seconds, where the server said so.
    `charged`: the provider may have done (and billed) the work, so the worst case is settled."""

    def __init__(
        self, message: str, *, retryable: bool = False, retry_after: float | None = None, status: int | None = None, charged: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status
        self.charged = charged


class Provider(Protocol):
    """Who answers. One instance a model and run, used by many tasks of one event loop at once."""

    async def complete(self, request: Request) -> Completion:
        """One attempt, cancellable. Raises ProviderError, nothing else."""

    async def close(self) -> None:
        """Ends all connections, threads and processes."""
