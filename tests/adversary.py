"""A model that answers as badly as it may: the longest replies or the shortest, yes to everything or no, bad ones until it is nearly too
late, errors until the last try. What it says depends on the request and its seed alone."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from random import Random
from typing import Final, Literal

from rlmlang import limits
from rlmlang.lm.prices import Price, Rates
from rlmlang.lm.request import Completion, Model, ProviderError, Request, Usage
from rlmlang.lm.schema import wrapped
from rlmlang.types import BOOL, FLOAT, INT, NONE, TEXT, Enum, ListOf, Optional, RecordOf, Type

# replies are short, so that their longest are cheap; `small` thinks, and is told the schema in words
MODELS: Final = {
    "m": Model("m", "openai", "m", base_url="http://127.0.0.1:9", max_output_tokens=9, input_price=100, output_price=400, concurrency=8),
    "small": Model(
        "small",
        *("openai", "small"),
        base_url="http://127.0.0.1:9",
        max_output_tokens=12,
        reasoning_tokens=3,
        structured="prompt",
        input_price=10,
        output_price=90,
        concurrency=2,
    ),
}
# of `m`: a request that is longer is dearer as a whole, and what is written to the cache costs more
TIERS: Final = Price((Rates(100, 400, 10, 125), Rates(300, 700, 30, 310, above=250), Rates(301, 900, 30, 302, above=900)), request=1_000)

Style = Literal["any", "most", "least", "turns"]
STYLES: Final[tuple[Style, ...]] = ("any", "most", "least", "turns")
_ALPHABETS: Final = ("a", "a b", "x\n", "é", "𝄞", '"', "word. ", "\x01", "İ", "ΐ", "1", "[1,", "a\n\n", "ab", "=====8<=====")
_ERRORS: Final = (500, 502, 408, 529, 429, 503)


def price_of(model: Model) -> Price:
    """What `MODELS` cost."""
    return TIERS if model.name == "m" else Price((Rates(10, 90, 1, 10),))


class Adversary:
    """`nagging`: how often a call is answered badly as often as a bad reply is asked again, or turned away as often as is tried again."""

    def __init__(self, seed: int, style: Style, *, trouble: float = 0.0, nagging: float = 0.0) -> None:
        self.seed = seed
        self.style: Style = style
        self.trouble = trouble
        self.nagging = nagging
        self._asked: dict[bytes, int] = {}
        self._refused: dict[bytes, int] = {}

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        asked = tuple(m for m in request.messages if m.role != "assistant")
        first = asked[: 2 if asked[0].role == "system" else 1]
        key = sha256(repr((self.seed, request.model.name, request.sample, first)).encode("utf-8", "surrogatepass")).digest()
        r = Random(key)
        style: Style = r.choice(("most", "least", "any")) if self.style == "turns" else self.style
        if r.random() < self.trouble:
            return self._trouble(r, request, style)
        if r.random() < self.nagging:
            tried = self._asked[key] = self._asked.get(key, 0) + 1
            how = r.randrange(4)
            if how == 0 and tried < limits.RETRIES:
                raise ProviderError("try again", retryable=True, retry_after=1e-9, status=r.choice(_ERRORS[:4]))
            if how == 1:
                if tried <= limits.REASKS:
                    raise ProviderError("it broke", retryable=True, retry_after=1e-9, charged=True)
                return Completion(self._reply(r, request, style), usage=self._usage(r, request, style))
            if how == 2 and tried == 1:
                raise ProviderError("it is busy", retryable=True, retry_after=1e-9, status=r.choice(_ERRORS[4:]))
            refused = self._refused.get(key, 0)
            if refused < limits.REASKS:
                self._refused[key] = refused + 1
                return Completion(self._bad(r, request), usage=self._usage(r, request, style))
        return Completion(self._reply(r, request, style), usage=self._usage(r, request, style))

    async def close(self) -> None:
        return None

    def _usage(self, r: Random, request: Request, style: Style) -> Usage | None:
        """What it says that it used. Nothing: the most that the request can have taken counts."""
        if style == "most":
            return None
        if style == "least":
            return Usage(1, 1)
        tokens = r.randrange(1, 40)
        return r.choice((None, Usage(tokens, r.randrange(0, request.max_tokens + 2), r.randrange(0, tokens + 2))))

    def _trouble(self, r: Random, request: Request, style: Style) -> Completion:
        usage = self._usage(r, request, style)
        match r.randrange(7):
            case 0:
                return Completion(None, refusal="no", usage=usage)
            case 1:
                return Completion("x", finish="length", usage=usage)
            case 2:
                return Completion("", usage=usage)
            case 3:
                return Completion(None, finish="content_filter", usage=usage)
            case 4:
                return Completion(self._bad(r, request), usage=usage)
            case 5:
                raise ProviderError("it broke", retryable=r.random() < 0.5, retry_after=1e-9, charged=True)
        raise ProviderError("it is busy", status=400)

    def _bad(self, r: Random, request: Request) -> str:
        """No reply of the type, as long as one may be."""
        if request.type == TEXT and not request.batch:
            return " " * _room(request)
        if r.random() < 0.3:
            return ('{"value": {"nobody": ["asked"]}}', "[]", "null", '"?"', "3 apples")[r.randrange(5)]
        return "?" * _room(request)

    def _reply(self, r: Random, request: Request, style: Style) -> str:
        room = _room(request)
        if request.batch:
            return _batch_reply(r, request, room, style, wrong=self.nagging)
        if request.type == TEXT:
            longer = room + r.choice((0, 0, 7)) if style == "most" else room
            text = _text(r, longer, style, plain=True)
            return text if text.strip() else "x"
        wraps = wrapped(request.type) and r.random() < 0.9 and room - 12 >= _shortest(request.type)
        written = json_reply(r, request.type, room - (10 if wraps else 0), style)
        text = f'{{"value":{written}}}' if wraps else written
        if len(text.encode()) > room:  # there is no room for what must be said
            return text[:room]
        return f"```json\n{text}\n```" if r.random() < 0.05 and len(text.encode()) + 12 <= room else text


def _batch_reply(r: Random, request: Request, room: int, style: Style, wrong: float) -> str:
    """The replies to several calls, sometimes one too few, or one that is none."""
    share = (room - 12) // len(request.batch) - 1
    entries = []
    for call in request.batch:
        entry = json_reply(r, call.type, min(share, limits.REPLY_BYTES_PER_TOKEN * call.max_tokens), style)
        entries.append('"x"' if call.type == TEXT and not json.loads(entry).strip() else entry)
    if r.random() < wrong / 4:
        entries[r.randrange(len(entries))] = '{"nobody":"asked"}'
    if r.random() < wrong / 4:
        del entries[r.randrange(len(entries))]
    return '{"value":[' + ",".join(entries) + "]}"


def _room(request: Request) -> int:
    return limits.REPLY_BYTES_PER_TOKEN * request.max_tokens


def json_reply(r: Random, type: Type, room: int, style: Style) -> str:
    """JSON of a type, without spaces, of at most `room` bytes unless nothing so short is of that type."""
    match type:
        case Enum(words):
            ordered = sorted(words, key=len)
            word = ordered[-1] if style == "most" else ordered[0] if style == "least" else r.choice(words)
            return json.dumps(word, ensure_ascii=False)
        case ListOf(item, most):
            return _list(r, item, most, room, style)
        case RecordOf(fields):
            spare = room - _shortest(type)
            parts: list[str] = []
            for name, field in fields:
                if isinstance(field, Optional) and style != "most" and r.random() < 0.3:
                    continue  # what is left out is none
                least = _shortest(field)
                said = json_reply(r, field, least + max(0, spare), style)
                spare -= len(said.encode()) - least
                parts.append(f'"{name}":{said}')
            return "{" + ",".join(parts) + "}"
        case Optional(item):
            return "null" if style == "least" or (style == "any" and r.random() < 0.4) else json_reply(r, item, room, style)
    if type == BOOL:
        return "true" if style == "most" or (style == "any" and r.random() < 0.5) else "false"
    if type == NONE:
        return "null"
    if type == TEXT:
        return _text(r, room, style, plain=False)
    return _number(r, room, style, whole=type == INT, is_float=type == FLOAT)


def _shortest(type: Type) -> int:
    """Bytes of JSON that are enough for a value of the type."""
    match type:
        case Enum(words):
            return max(len(word.encode()) for word in words) + 2
        case RecordOf(fields):
            return 1 + sum(len(name) + 4 + _shortest(field) for name, field in fields)
        case Optional(item):
            return max(4, _shortest(item))
    return 5 if type == BOOL else 3


def _number(r: Random, room: int, style: Style, *, whole: bool, is_float: bool) -> str:
    if style == "least":
        return r.choice(("0", "-1", "-9") if room > 1 else ("0", "1"))
    if style == "most":
        large = [
            "9" * max(1, min(room, 12)),
            "12",
            "5",
            "-" + "9" * max(1, min(room - 1, 7)),
            *(["9e15", "1e-9", "123.456"] if is_float else []),
        ]
        return r.choice([n for n in large if len(n) <= max(1, room)] or ["1"])
    small = ["0", "1", "2", "3", "7", "-1", "12", *(["0.5", "-1.5", "2.0"] if is_float and not whole else [])]
    return r.choice([n for n in small if len(n) <= max(1, room)] or ["1"])


def _list(r: Random, item: Type, most: int | None, room: int, style: Style) -> str:
    wanted = 0 if style == "least" else r.choice((0, 1, 2, 3, 5)) if style == "any" else 99
    if most is not None:
        wanted = min(most, wanted)
    # the longest list has many short items, or few long ones
    each = room if style == "most" and r.random() < 0.4 else 4
    parts: list[str] = []
    used = 2
    for _ in range(wanted):
        part = json_reply(r, item, min(each, room - used - 1), "least" if style == "most" and each == 4 and r.random() < 0.7 else style)
        used += len(part.encode()) + (1 if parts else 0)
        if used > room:
            break
        parts.append(part)
    return "[" + ",".join(parts) + "]"


def _text(r: Random, room: int, style: Style, *, plain: bool) -> str:
    """A text, or (not `plain`) its JSON."""
    if style == "least":
        return r.choice(("x", "é", "1")) if plain else r.choice(('""', '"x"', '""'))
    alphabet = r.choice(_ALPHABETS)
    count = room if style == "most" else r.choice((0, 1, 2, 5, 12))
    text = (alphabet * count)[: room if style == "most" else 40]
    while text:
        said = text if plain else json.dumps(text, ensure_ascii=False)
        over = len(said.encode()) - room
        if over <= 0:
            return said
        text = text[: -max(1, over // 6)]
    return "x" if plain else '""'
