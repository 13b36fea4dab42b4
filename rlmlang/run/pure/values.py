"""Values made and taken apart: literals, names, f-strings, lists, records, and `xs[i]`, `xs[a:b]`, `r.field`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlmlang import limits
from rlmlang.builtins.formats import format_value
from rlmlang.errors import Failure, LimitError, RlmError
from rlmlang.run.flow import Env, Pure, located
from rlmlang.run.pure.guarded import guarded2
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import FILE, TEXT, Optional, Primitive, Type
from rlmlang.values import DictValue, describe, quote, to_text

if TYPE_CHECKING:
    from rlmlang.run.pure.code import PureCode


def literal(c: PureCode, node: n.Literal) -> Pure:
    value = node.value
    return lambda env: value


def name(c: PureCode, node: n.Name) -> Pure:
    return c.read(c.facts.variables[node])


# ---- made ----


def fstring(c: PureCode, node: n.FString) -> Pure:
    pieces = [_piece(c, part) for part in node.parts]
    span = node.span

    def text(env: Env) -> str:
        made = [piece if type(piece) is str else piece(env) for piece in pieces]
        if sum(map(len, made)) > limits.TEXT_CHARS:
            raise LimitError(f"a text would have more than {limits.TEXT_CHARS:,} characters", span=span)
        return "".join(made)

    return text


def _piece(c: PureCode, part: str | n.Interpolation) -> Any:
    if isinstance(part, str):
        return part
    value, spec, span = c.compile(part.value), part.spec, part.span
    if spec is not None:
        return guarded2(lambda v, s: format_value(v, s), value, lambda env: spec, span)
    if c.type_of(part.value) == TEXT:
        return value
    return lambda env: to_text(value(env))


def list_of(c: PureCode, node: n.ListExpr) -> Pure:
    items = [c.compile(item) for item in node.items]
    return lambda env: [item(env) for item in items]


def record(c: PureCode, node: n.Record) -> Pure:
    if not any(isinstance(item, n.Spread) for item in node.items):
        fields = [(item.name, c.compile(item.value)) for item in node.items if isinstance(item, n.RecordField)]
        return lambda env: {name: value(env) for name, value in fields}
    steps = [(item.name if isinstance(item, n.RecordField) else None, c.compile(item.value)) for item in node.items]

    def record(env: Env) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in steps:
            if name is None:
                made.update(value(env))
            else:
                made[name] = value(env)
        return made

    return record


# ---- taken apart ----


def index(c: PureCode, node: n.Index) -> Pure:
    return guarded2(_item, c.compile(node.base), c.compile(node.index), node.span)


def part(c: PureCode, node: n.Slice) -> Pure:
    base = c.compile(node.base)
    start = c.compile(node.start) if node.start is not None else _none
    stop = c.compile(node.stop) if node.stop is not None else _none
    return lambda env: base(env)[start(env) : stop(env)]


def _none(env: Env) -> None:
    return None


def field(c: PureCode, node: n.FieldAccess) -> Pure:
    base, name, span, maybe = c.compile(node.base), node.name, node.name_span, node.maybe
    given = c.type_of(node.base)
    inner = given.item if isinstance(given, Optional) else given
    if inner == FILE:

        def of_file(env: Env) -> Any:
            file = base(env)
            if file is None:
                return None
            try:
                return getattr(file, name)
            except RlmError as error:
                raise located(error, span) from None

        return of_file

    if isinstance(node.base, n.Name) and node.base not in c.hoisted:
        slot, kind = c.frame.find(c.facts.variables[node.base])
        if kind == "value":  # the most frequent step of a map or filter: one call less

            def field_of_variable(env: Env) -> Any:
                try:
                    return env[slot][name]
                except (KeyError, TypeError):
                    return _missing_field(env[slot], name, maybe, span, inner)

            return field_of_variable

    def field(env: Env) -> Any:
        record = base(env)
        try:
            return record[name]
        except (KeyError, TypeError):
            return _missing_field(record, name, maybe, span, inner)

    return field


def _item(base: Any, index: Any) -> Any:
    """`base[index]`: an item of a list, a character of a text, the value of a dict's key, a field of a record by its name."""
    if isinstance(base, dict):
        if index in base:
            return base[index]
        if isinstance(base, DictValue):
            raise Failure(
                f"there is no key {quote(index)} in this dict", hint=f"write get(d, {quote(index)}), which is none then, or `otherwise`"
            )
        raise Failure(f"there is no field {describe(index)}", hint=_fields(base))
    try:
        return base[index]
    except IndexError:
        what = "text" if isinstance(base, str) else "list"
        raise Failure(f"index {index} is outside a {what} of {len(base)}") from None
    except TypeError:
        raise Failure(f"{describe(base)} has no items") from None


def _missing_field(record: Any, name: str, maybe: bool, span: Span, type_: Type) -> Any:
    """What a field that is not there reads as: none where its type allows that, else a failure."""
    if record is None and maybe:
        return None
    if not isinstance(record, dict):
        raise Failure(f"{describe(record)} has no field {name}", span=span)
    if not isinstance(type_, Primitive):
        return None  # an optional field that was left out
    raise Failure(f"there is no field {name}", span=span, hint=_fields(record))


def _fields(record: dict[str, Any]) -> str:
    return f"it has {', '.join(list(record)[:12])}" if record else "it has none"
