"""From what a provider gave to a checked value.

What a model can mend is a BadReply: it is told what is wrong and asked again. What it cannot (the limit, a filter, a refusal) is a
Failure at once. A server that ignores the schema is met half-way, where that is safe: JSON in one code fence, an enum's word in other
case or quotes, a bare `true`. Prose is never searched for an answer.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from rlmlang import limits
from rlmlang.errors import CutOff, Failure, Refused
from rlmlang.lm.render import utf8_length
from rlmlang.lm.request import Completion, Request
from rlmlang.lm.schema import wrapped
from rlmlang.types import BOOL, TEXT, Enum, Optional, Type
from rlmlang.values import Mismatch, conform, parse_json_text, quote, to_json_text

_FINISHES = {
    "tool_calls": "the model called a tool instead of replying",
    "function_call": "the model called a function instead of replying",
}
_TRIMMED = " \t\r\n\"'`.“”‘’"  # what stands around a word that is the whole reply


class BadReply(Exception):
    """A reply that is not what was asked for. `message` says what is wrong, in words meant for the model."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@frozen
class Spoken:
    """A reply of a model that has tools: what it said, and the tools that it called, by name and with the arguments as it wrote them. Its
    value is JSON, without the ids that a provider made up: so equal conversations stay equal."""

    text: str
    calls: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "calls": [{"name": name, "arguments": arguments} for name, arguments in self.calls]}

    @staticmethod
    def read(value: Any) -> Spoken:
        """What `to_json` gave."""
        return Spoken(value["text"], tuple((call["name"], call["arguments"]) for call in value["calls"]))


def read_reply(completion: Completion, request: Request) -> Any:
    """The value of a reply, of `request.type`; of one to a request with tools, that of a `Spoken`.

    Raises BadReply where asking again may help, and Failure (without the number of attempts) where it cannot.
    """
    if request.tools:
        completion = evolve(completion, finish="stop") if completion.finish in ("tool_calls", "function_call") else completion
        if completion.tool_calls:
            return _spoken(completion, request).to_json()
    text, size = _text_of(completion, request)
    most = limits.REPLY_BYTES_PER_TOKEN * request.max_tokens
    if request.tools:
        return Spoken(_cut(text, most)).to_json()
    if request.type == TEXT:
        return text if size <= most else _cut(text, most)
    if size > most:
        raise BadReply(f"The reply had {size:,} bytes, far more than {request.max_tokens:,} tokens.")
    return read_value(text, request.type)


def _spoken(completion: Completion, request: Request) -> Spoken:
    """A reply that calls tools. Raises BadReply, Failure."""
    text, calls = completion.text or "", tuple((call.name, call.arguments) for call in completion.tool_calls)
    whole = "\n".join([text, *(part for call in calls for part in call)])
    _text_of(evolve(completion, text=whole), request)
    if utf8_length(whole) > limits.REPLY_BYTES_PER_TOKEN * request.max_tokens:
        raise BadReply(f"The reply was far longer than {request.max_tokens:,} tokens.")
    return Spoken(text, calls)


def read_batch(completion: Completion, batch: Request) -> list[Any]:
    """The values of the replies to the requests of a batch, in order; a BadReply stands for an entry that is not what was asked for.

    Raises BadReply where no entry can be told (no list, or one of another length), and Failure as `read_reply` does.
    """
    text, _ = _text_of(completion, batch)
    try:
        value = parse_json_text(_unfenced(text))
    except Mismatch as mismatch:
        raise BadReply(f"The reply was {mismatch.message}.") from None
    if isinstance(value, dict) and "value" in value:
        value = value["value"]
    if not isinstance(value, list):
        raise BadReply("The reply was no list.")
    if len(value) != len(batch.batch):
        raise BadReply(f"The reply had {len(value)} entries for {len(batch.batch)} items.")
    return [_entry(entry, request) for entry, request in zip(value, batch.batch, strict=True)]


def _entry(value: Any, request: Request) -> Any:
    """What one entry of a batch's reply says: as if it were the reply to its request alone."""
    most = limits.REPLY_BYTES_PER_TOKEN * request.max_tokens
    if request.type == TEXT:
        if not isinstance(value, str) or not value.strip():
            return BadReply("The entry was no text, or empty.")
        return _cut(value, most)
    if wrapped(request.type) and isinstance(value, dict) and list(value) == ["value"]:
        value = value["value"]
    if utf8_length(to_json_text(value)) > most:
        return BadReply(f"The entry was far longer than {request.max_tokens:,} tokens.")
    try:
        return _conform(value, request.type)
    except Mismatch as mismatch:
        return BadReply(f"The entry was JSON, but {mismatch.message}.")


def _cut(text: str, most: int) -> str:
    return text if len(text) * 4 <= most else text.encode()[:most].decode("utf-8", "ignore")


def _text_of(completion: Completion, request: Request) -> tuple[str, int]:
    """The text of a reply that came to its end, and its bytes. Raises BadReply, Failure."""
    if completion.refusal is not None:
        raise Refused(f"the model refused: {quote(completion.refusal)}")
    if completion.finish == "length":
        limit = f"the reply stopped at its limit of {request.max_tokens:,} tokens"
        raise CutOff(limit, hint="allow more with {max_tokens: …}, or ask for less")
    if completion.finish == "circles":
        raise CutOff("the reply went round in circles, and was stopped", hint="ask for less")
    if completion.finish == "content_filter":
        raise Refused("the provider's content filter stopped the reply")
    if completion.finish in _FINISHES:
        raise Failure(_FINISHES[completion.finish])
    text = completion.text
    if text is None or not text.strip():
        raise BadReply("The reply was empty.")
    try:
        return text, len(text.encode())
    except UnicodeEncodeError:
        raise BadReply("The reply held half of a surrogate pair, which is no character.") from None


def read_value(text: str, type: Type) -> Any:
    """The value of `type` that the text of a reply says, as JSON or, for a word, as it stands. Raises BadReply."""
    if type == TEXT:
        return text
    try:
        value = parse_json_text(_unfenced(text))
    except Mismatch as mismatch:
        found, word = _bare(text, type)
        if found:
            return word
        raise BadReply(f"The reply was {mismatch.message}.") from None
    if wrapped(type) and isinstance(value, dict) and "value" in value:
        try:
            return _conform(value["value"], type)
        except Mismatch as mismatch:
            problem = mismatch
    else:
        problem = None
    try:
        return _conform(value, type)  # the wrapping left out: no harm
    except Mismatch as mismatch:
        raise BadReply(f"The reply was JSON, but {(problem or mismatch).message}.") from None


def _conform(value: Any, type: Type) -> Any:
    if isinstance(value, str):
        found, word = _bare(value, type)
        if found:
            return word
    return conform(value, type)


def _bare(text: str, type: Type) -> tuple[bool, Any]:
    """Whether `text` as a whole is a word of an enum, or true or false, in whatever case and quotes; and the word."""
    inner = type.item if isinstance(type, Optional) else type
    if isinstance(inner, Enum):
        if text in inner.words:
            return True, text
        folded = text.strip(_TRIMMED).casefold()
        fitting = [word for word in inner.words if word.strip(_TRIMMED).casefold() == folded]
        return (True, fitting[0]) if len(fitting) == 1 else (False, None)
    if inner == BOOL:
        value = {"true": True, "yes": True, "false": False, "no": False}.get(text.strip(_TRIMMED).casefold())
        return value is not None, value
    return False, None


def _unfenced(text: str) -> str:
    """What stands in a reply's one code fence (```` ```json … ``` ````), else all of it."""
    start = text.find("```")
    if start < 0 or text.lstrip()[:1] in ("{", "["):  # the fence is inside a text in the JSON
        return text
    line_end = text.find("\n", start)
    end = text.rfind("```")
    if line_end < 0 or end <= line_end or text[start + 3 : line_end].strip().lower() not in ("", "json"):
        return text
    return text[line_end + 1 : end]
