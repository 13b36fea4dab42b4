"""`format`, and the specs of f-strings: numbers and padding. A template cannot write an attribute, an item or a call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import check_text_chars, need_text
from rlmlang.builtins.rules import text_of
from rlmlang.errors import Failure
from rlmlang.limits import FORMAT_WIDTH
from rlmlang.quantity import Quantity, ceil_div, maximum, minimum, plus, times
from rlmlang.sizes import (
    ZERO,
    AnySize,
    DictSize,
    Exact,
    Interval,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    hull_all,
    json_bytes,
    longest_number,
    str_bytes,
    text_bytes,
    unfold,
)
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


_FILLED: Final = 4 * FORMAT_WIDTH  # bytes of padding, at most
_IN_BITS: Final = "boxX"


def formatted_size(value: Size, spec: str | None) -> Size:
    """The size of `{value:spec}`; None is a spec that is not known."""
    plain = unfold(value)
    written = str_bytes(plain)
    if spec == "":
        return TextSize(written)
    parts = None if spec is None else _SPEC.fullmatch(spec)
    if parts is None:
        return TextSize(Interval(0, maximum(plus(written.high, _FILLED), _number_chars(plain, "b", FORMAT_WIDTH))))
    width, precision = int(parts["width"] or 0), parts["precision"]
    padding = width * text_bytes(parts["fill"] or " ")
    if isinstance(plain, (NumberSize, AnySize, MaybeSize)):
        chars = _number_chars(plain, parts["type"], int(precision or 0))
        if isinstance(plain, NumberSize):
            return TextSize(Interval(max(1, width), max(chars, padding + chars if parts["fill"] else width + 1)))
        return TextSize(Interval(0, maximum(plus(written.high, padding), chars + padding)))
    most = minimum(written.high, 4 * int(precision)) if precision else written.high
    return TextSize(Interval(maximum(0 if precision else written.low, width), plus(most, padding)))


def _number_chars(size: Size, kind: str | None, precision: int) -> int:
    """How many characters write a number without padding: in digits with a mark after every three, or in bits with one after every four."""
    digits = longest_number(size if isinstance(size, NumberSize) else NumberSize())
    in_digits = 3 + digits + (digits + 3) // 3 + 1 + max(precision, 17) + 6  # rounded up or a percentage, a point, an exponent, a sign
    return in_digits if kind is not None and kind not in _IN_BITS else max(in_digits, 5 * digits + 4)


def _format_size(template: Size, *values: Size | None) -> Size:
    sizes = [NoneSize() if v is None else v for v in values]
    if isinstance(unfold(template), NumberSize):
        spec = sizes[0] if sizes else Exact("")
        return formatted_size(template, spec.value if isinstance(spec, Exact) and isinstance(spec.value, str) else None)
    if isinstance(template, Exact) and isinstance(template.value, str):
        return TextSize(_filled(template.value, sizes))
    bytes_ = text_of(template)
    each: Quantity = 0
    for size in sizes:
        each = maximum(each, plus(maximum(str_bytes(size).high, json_bytes(size).high), _FILLED))
    return TextSize(Interval(0, plus(bytes_.high, times(ceil_div(bytes_.high, 2), each))))


def _filled(template: str, sizes: Sequence[Size]) -> Interval:
    """A template that is known: its own text, and what stands in its places."""
    total, end, position = ZERO, 0, 0
    for place in _PLACE.finditer(template):
        total = total + Interval.exactly(text_bytes(template[end : place.start()]))
        end = place.end()
        name = place["name"]
        if name is None:
            total = total + Interval.exactly(1)
            continue
        if not name:
            name, position = str(position), position + 1
        found = [named for size in sizes for named in _named(size, name)]
        if name.isdigit() and len(name) <= 4 and int(name) < len(sizes):
            found.append(sizes[int(name)])
        if found:
            hulls = [formatted_size(size, place["spec"] or "") for size in found]
            one = hull_all(hulls)
            total = total + text_of(one)
    return total + Interval.exactly(text_bytes(template[end:]))


def _named(size: Size, name: str) -> list[Size]:
    """What a place may stand for by its name, in one of the values given."""
    match unfold(size):
        case RecordSize(fields):
            return [field for field_name, field in fields if field_name == name]
        case DictSize(_, values):
            return [values.item]
        case MaybeSize(item):
            return _named(item, name)
        case AnySize() as anything:
            return [anything]
    return []


@builtin(
    "format(x: int, spec: text) -> text",
    "format(x: float, spec: text) -> text",
    "format(template: text, *values: json) -> text",
    help='Fills {}, {0} or {name} in a template; or writes one number by a spec such as ".2f".',
    size=_format_size,
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
