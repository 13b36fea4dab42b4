"""Rows of the memo store: what is kept of an answer, and how it is written and believed again."""

from __future__ import annotations

import json
import struct
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from rlmlang.errors import RlmError

_NUMBERS: Final = struct.Struct("<8q").pack
_DECODE: Final = json.JSONDecoder().raw_decode
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class MemoRow(NamedTuple):
    """One answer: its JSON value, what it took (tokens; nano-dollars, None where no price is known), the model's name, unix seconds."""

    value: Any
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    nanodollars: int | None = 0
    model: str = ""
    created: int = 0


def columns_of(key: bytes, row: MemoRow) -> tuple[Any, ...]:
    """The row as stored: key, then COLUMNS. Raises RlmError for what is no answer."""
    _, sent, received, cached, price, _, created = row
    figures = (sent, received, cached, price)
    if min(sent, received, cached, price or 0, created) < 0 or max(sent, received, cached, price or 0, created) >= 2**63:
        raise RlmError("an answer with impossible figures cannot be put into the memo store")
    try:
        value = _ENCODE(row.value)
        checksum = _checksum(key, value.encode(), row.model.encode(), figures, row.created)
    except (TypeError, ValueError, RecursionError):
        raise RlmError("an answer that is no JSON cannot be put into the memo store") from None
    return key, checksum, value, *figures, row.model, row.created


def row_of(key: bytes, columns: Any) -> MemoRow | None:
    """The row, None if it is damaged. Takes a few microseconds: a rerun asks for every call it makes."""
    checksum, value, sent, received, cached, nanodollars, model, created = columns
    try:
        if checksum != _checksum(key, value, model, (sent, received, cached, nanodollars), created):
            return None
        return MemoRow(_DECODE(value.decode())[0], sent, received, cached, nanodollars, model.decode(), created)
    except (TypeError, ValueError, AttributeError, RecursionError, struct.error):
        return None


def _checksum(key: bytes, value: bytes, model: bytes, figures: tuple[int, int, int, int | None], created: int) -> bytes:
    sent, received, cached, nanodollars = figures
    price = -1 if nanodollars is None else nanodollars
    numbers = _NUMBERS(len(key), len(value), len(model), sent, received, cached, price, created)
    return blake2b(b"".join((numbers, key, value, model)), digest_size=16).digest()
