"""The JSON schema that a typed reply must fit, within what strict structured output accepts.

Strict schemas are objects at the top, name every field as required, allow no others, and cannot say "any JSON": scalars and lists are
wrapped in `{"value": …}`, an optional field may be null, and a type with `json` anywhere in it has no schema (the prompt then asks for
JSON in words, and the reply is checked all the same). Lists of fixed length (`zip`, `pairs`) say their length and the types that occur;
which stands where is checked on the reply.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from rlmlang.types import BOOL, FLOAT, INT, NONE, TEXT, Enum, ListOf, Optional, RecordOf, Tuple, Type

_SCALARS = {TEXT: "string", INT: "integer", FLOAT: "number", BOOL: "boolean", NONE: "null"}


_YES_OR_NO = Enum(("yes", "no"))


class _NoSchema(Exception):
    """The type holds something that a strict schema cannot say."""


@lru_cache(maxsize=1024)
def schema_of(type: Type) -> dict[str, Any] | None:
    """The strict JSON schema of replies of `type`; None for text and for types that no strict schema can say. Shared: never change it."""
    if type == TEXT:
        return None
    try:
        inner = _schema(asked(type))
    except _NoSchema:
        return None
    return inner if isinstance(type, RecordOf) else _object({"value": inner})


def asked(type: Type) -> Type:
    """What a reply of `type` is asked as: a bool as one of two words, which a model of 1.5 billion parameters got right in 21 of 24
    cases, against
    18 for a JSON boolean (benchmarks/bool_rendering.py)."""
    if type == BOOL:
        return _YES_OR_NO
    return Optional(_YES_OR_NO) if type == Optional(BOOL) else type


@lru_cache(maxsize=1024)
def schema_json(type: Type) -> str:
    """`schema_of(type)` as compact JSON, empty where there is none."""
    schema = schema_of(type)
    return "" if schema is None else json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def wrapped(type: Type) -> bool:
    """Whether replies of `type` come as `{"value": …}`."""
    return schema_of(type) is not None and not isinstance(type, RecordOf)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _schema(type: Type) -> dict[str, Any]:
    match type:
        case Enum(words=words):
            return {"type": "string", "enum": list(words)}
        case Optional(item=item):
            return {"anyOf": [_schema(item), {"type": "null"}]}
        case RecordOf(fields=fields):
            return _object({name: _schema(field) for name, field in fields})
        case ListOf(item=item, most=most):
            return {"type": "array", "items": _schema(item)} | ({} if most is None else {"maxItems": most})
        case Tuple(items=items):
            kinds = [_schema(item) for item in dict.fromkeys(items)]
            one = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
            return {"type": "array", "items": one, "minItems": len(items), "maxItems": len(items)}
        case _ if type in _SCALARS:
            return {"type": _SCALARS[type]}
    raise _NoSchema
