"""Built-ins on records and on JSON data."""

from __future__ import annotations

from typing import Any

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_int, need_text
from rlmlang.errors import Failure
from rlmlang.values import SEQUENCES, Mismatch, Value, check_value, describe, parse_json_text


def _record(value: Value, what: str) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise Failure(f"{what} needs a record, not {describe(value)}")


@builtin("keys(record: json) -> [text]", help="The names of its fields.")
def keys(record: Value) -> list[str]:
    return list(_record(record, "keys"))


@builtin("values(record: json) -> [json]", help="What its fields hold; the items, if it is a list.")
def values(record: Value) -> Any:
    return record if isinstance(record, SEQUENCES) else list(_record(record, "values").values())


@builtin("items(record: json) -> [[text, json]]", help="Each field as its name and what it holds.")
def items(record: Value) -> Value:
    return check_value([[name, value] for name, value in _record(record, "items").items()])


@builtin(
    "get(xs: [T], at: int) -> T?",
    "get(xs: [T], at: int, default: T) -> T",
    "get(record: json, at: json, default: json = none) -> json",
    help="The item at a position or the field of a name, or the default where there is none.",
)
def get(whole: Value, at: Value, default: Value = None) -> Value:
    if isinstance(whole, SEQUENCES):
        position = need_int(at, "get")
        return whole[position] if -len(whole) <= position < len(whole) else default
    return _record(whole, "get").get(need_text(at, "get"), default)


@builtin("parse_json(text: text) -> json", help="The data that a JSON text writes; fails if it is none.")
def parse_json(text: str) -> Value:
    try:
        return parse_json_text(need_text(text, "parse_json"))
    except Mismatch as mismatch:
        raise Failure(mismatch.message) from None
