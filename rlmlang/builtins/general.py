"""Built-ins on any value."""

from __future__ import annotations

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_int
from rlmlang.errors import Failure
from rlmlang.values import CONTAINERS, Value, describe, same, to_json_text, to_text, type_name


@builtin("len(text: text) -> int", "len(xs: [T]) -> int", "len(record: json) -> int", help="Characters of a text, items of a list, fields.")
def len_(value: Value) -> int:
    if isinstance(value, (str, *CONTAINERS)):
        return len(value)
    hint = {"file": "its text has one: len(f.text)", "dir": "its files have one: len(d.files())"}.get(type_name(value))
    raise Failure(f"{describe(value)} has no length", hint=hint)


@builtin("str(value: T) -> text", help="The value as text; lists and records as JSON.")
def str_(value: Value) -> str:
    return to_text(value)


@builtin("json(value: T, indent: int = none) -> text", help="The value as JSON text, on one line or indented.")
def json_(value: Value, indent: int | None = None) -> str:
    if indent is not None and not 0 <= need_int(indent, "indent") <= 8:
        raise Failure(f"indent must be 0 to 8, not {describe(indent)}")
    return to_json_text(value, indent)


@builtin("same(a: T, b: U) -> bool", help="Whether two values are equal all the way down.")
def same_(a: Value, b: Value) -> bool:
    return same(a, b)
