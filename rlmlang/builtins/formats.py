"""`format`, and the specs of f-strings: numbers and padding. A template cannot write an attribute, an item or a call."""

from __future__ import annotations

import re
from typing import Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_text_chars, need_text
from rlmlang.errors import Failure
from rlmlang.limits import FORMAT_WIDTH
from rlmlang.values import Value, describe, quote, to_text

_SPEC: Final = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>=^]))?(?P<sign>[+\- ])?(?P<hash>#)?(?P<zero>0)?(?P<width>\d+)?(?P<group>[_,])?(?:\.(?P<precision>\d+))?"
    r"(?P<type>[a-zA-Z%])?",
    re.DOTALL,
)
_TYPES: Final = {int: "bdoxXeEfFgG%", float: "eEfFgG%", str: "s"}
_PLACE: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}:]*)(?::(?P<spec>[^{}]*))?\}|[{}]")


def format_value(value: Value, spec: str) -> str:
    """`value` as `{value:spec}` writes it: Python's specs for numbers and texts; anything else is padded as its text.

    Raises Failure for a spec that does not fit, or that pads or rounds beyond FORMAT_WIDTH.
    """
    if not spec:
        return to_text(value)
    if type(value) not in (int, float):
        value = to_text(value)
    parts = _SPEC.fullmatch(spec)
    kind = type(value)
    if parts is None or (parts["type"] and parts["type"] not in _TYPES[kind]):
        raise Failure(f"{describe(value)} cannot be written as {quote(spec)}", hint="for example {x:.2f}, {x:,}, {x:>10}")
    width, precision = int(parts["width"] or 0), int(parts["precision"] or 0)
    if width > FORMAT_WIDTH or (precision > FORMAT_WIDTH and kind is not str):
        raise Failure(f"a format may pad and round to at most {FORMAT_WIDTH:,} characters, not {quote(spec)}")
    try:
        return format(value, spec)
    except (ValueError, OverflowError) as error:
        raise Failure(f"{describe(value)} cannot be written as {quote(spec)}: {error}") from None


@builtin(
    "format(x: int, spec: text) -> text",
    "format(x: float, spec: text) -> text",
    "format(template: text, *values: json) -> text",
    help='Fills {}, {0} or {name} in a template; or writes one number by a spec such as ".2f".',
)
def format_(template: Value, *values: Value) -> str:
    if type(template) in (int, float):
        return format_value(template, need_text(values[0] if values else "", "spec"))
    text = need_text(template, "format")
    named = next((v for v in values if isinstance(v, dict)), {})
    done: list[str] = []
    size = end = position = 0
    for place in _PLACE.finditer(text):
        done.append(text[end : place.start()])
        end = place.end()
        if place[0] in ("{{", "}}"):
            done.append(place[0][0])
        elif place["name"] is None:
            raise Failure(f"the template has a single {place[0]}", hint=f"write {place[0] * 2} for a brace")
        else:
            name = place["name"]
            if not name:
                name, position = str(position), position + 1
            done.append(format_value(_lookup(name, values, named), place["spec"] or ""))
        size += len(done[-1]) + len(done[-2])
        check_text_chars(size)
    done.append(text[end:])
    return "".join(done)


def _lookup(name: str, values: tuple[Value, ...], named: dict[str, Value]) -> Value:
    if name in named:
        return named[name]
    if name.isascii() and name.isdigit():
        if len(name) <= 4 and int(name) < len(values):
            return values[int(name)]
        raise Failure(f"the template asks for value {name[:10]}, but there are {len(values)}")
    if name.isidentifier():
        raise Failure(f"the template asks for {quote(name)}, which is no field of a record given", hint='write f"…{x}…" for a variable')
    raise Failure(f"a template may name a value, not {quote(name)}", hint='write f"…{x.field}…" for an expression')
