"""Built-ins on any value."""

from __future__ import annotations

from typing import Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_int
from rlmlang.builtins.rules import given, is_bool, number_of
from rlmlang.errors import Failure
from rlmlang.quantity import maximum
from rlmlang.sizes import Interval, NumberSize, Size, TextSize, json_bytes, length, str_bytes
from rlmlang.values import CONTAINERS, Value, describe, same, to_json_text, to_text, type_name


def _len_size(value: Size) -> Size:
    count = length(value)
    return NumberSize(count.low, count.high, True)


@builtin(
    "len(text: text) -> int",
    "len(xs: [T]) -> int",
    "len(record: json) -> int",
    help="Characters of a text, items of a list, fields.",
    size=_len_size,
)
def len_(value: Value) -> int:
    if isinstance(value, (str, *CONTAINERS)):
        return len(value)
    hint = {"file": "its text has one: len(f.text)", "dir": "its files have one: len(d.files())"}.get(type_name(value))
    raise Failure(f"{describe(value)} has no length", hint=hint)


def _str_size(value: Size) -> Size:
    return TextSize(str_bytes(value))


@builtin("str(value: T) -> text", help="The value as text; lists and records as JSON.", size=_str_size)
def str_(value: Value) -> str:
    return to_text(value)


_MOST_INDENT: Final = 8


def _json_size(value: Size, indent: Size | None = None) -> Size:
    in_line = json_bytes(value)
    if indent is None or given(indent) is None:
        return TextSize(in_line)
    most = number_of(indent).high
    indented = json_bytes(value, min(_MOST_INDENT, max(0, most)) if isinstance(most, int) else _MOST_INDENT)
    return TextSize(Interval(in_line.low, maximum(in_line.high, indented.high)))


@builtin("json(value: T, indent: int = none) -> text", help="The value as JSON text, on one line or indented.", size=_json_size)
def json_(value: Value, indent: int | None = None) -> str:
    if indent is not None and not 0 <= need_int(indent, "indent") <= 8:
        raise Failure(f"indent must be 0 to 8, not {describe(indent)}")
    return to_json_text(value, indent)


@builtin("same(a: T, b: U) -> bool", help="Whether two values are equal all the way down.", size=is_bool)
def same_(a: Value, b: Value) -> bool:
    return same(a, b)
