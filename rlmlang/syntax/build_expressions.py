"""Expressions within a line: operators, names, numbers, lists, records and texts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lark import Token

from rlmlang import limits
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.source import Span
from rlmlang.syntax.strings import BadEscape, dedent, is_name, unescape

if TYPE_CHECKING:
    from rlmlang.syntax.build import Builder, Rule

_RUNS_ON = re.compile(r"[A-Za-z_]\w*|\.")


def present(children: Sequence[Any]) -> list[Any]:
    """Without the places of what is absent."""
    return [c for c in children if c is not None]


# ---- operators ----


def _choice(b: Builder, span: Span, children: list[Any]) -> n.If:
    then, condition, orelse = children
    return n.If(span, condition, then, orelse)


def _default(b: Builder, span: Span, children: list[Any]) -> n.Default:
    return n.Default(span, *children)


def _or(b: Builder, span: Span, children: list[Any]) -> n.Logic:
    return n.Logic(span, "or", *children)


def _and(b: Builder, span: Span, children: list[Any]) -> n.Logic:
    return n.Logic(span, "and", *children)


def _not(b: Builder, span: Span, children: list[Any]) -> n.Unary:
    return n.Unary(span, "not", children[0])


def _compare(b: Builder, span: Span, children: list[Any]) -> n.Compare:
    return n.Compare(span, tuple(children[1::2]), tuple(children[0::2]))


def _operator(b: Builder, span: Span, children: list[Any]) -> str:
    return " ".join(children)


def _binary(b: Builder, span: Span, children: list[Any]) -> n.Binary:
    left, op, right = children
    return n.Binary(span, op, left, right)


def _negate(b: Builder, span: Span, children: list[Any]) -> n.Unary:
    return n.Unary(span, str(children[0]), children[1])


def _power(b: Builder, span: Span, children: list[Any]) -> n.Binary:
    return n.Binary(span, "**", *children)


def _field(b: Builder, span: Span, children: list[Any]) -> n.FieldAccess:
    base, name = children
    return n.FieldAccess(span, base, str(name), name_span=b.token_span(name))


def _maybe_field(b: Builder, span: Span, children: list[Any]) -> n.FieldAccess:
    base, name = children
    return n.FieldAccess(span, base, str(name), maybe=True, name_span=b.token_span(name))


def _index(b: Builder, span: Span, children: list[Any]) -> n.Index:
    return n.Index(span, *children)


def _slice(b: Builder, span: Span, children: list[Any]) -> n.Slice:
    return n.Slice(span, *children)


# ---- names, lists and numbers ----


def _name_ref(b: Builder, span: Span, children: list[Any]) -> n.Name:
    return n.Name(span, str(children[0]))


def _group_name(b: Builder, span: Span, children: list[Any]) -> n.Name:
    name = n.Name(b.token_span(children[0]), str(children[0]))
    b.grouped.add(name)
    return name


def _group(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    value: n.Expr = children[0]
    b.grouped.add(value)
    return value


def _list(b: Builder, span: Span, children: list[Any]) -> n.ListExpr:
    return n.ListExpr(span, tuple(present(children)))


def _number(b: Builder, span: Span, children: list[Any]) -> n.Literal:
    token: Token = children[0]
    digits = token.replace("_", "")
    _ends(b, token)
    if len(digits) > limits.NUMBER_DIGITS:
        b.error("limit", f"a number has more than {limits.NUMBER_DIGITS} digits", span)
        return n.Literal(span, 0, "0")
    if token.type == "INT":
        return n.Literal(span, int(digits), str(token))
    value = float(digits)
    if math.isinf(value):
        b.error("bad-number", f"{token} is too large for a float", span)
    return n.Literal(span, value, str(token))


def integer(b: Builder, token: Token) -> int:
    _ends(b, token)
    if len(token) > limits.NUMBER_DIGITS:
        b.error("limit", f"a number has more than {limits.NUMBER_DIGITS} digits", b.token_span(token))
        return 0
    return int(token.replace("_", ""))


def _ends(b: Builder, token: Token) -> None:
    """Refuses a number that runs into a name: `10kb`, `0x1f`, `1.`"""
    found = _RUNS_ON.match(b.source.text, token.end_pos or 0)
    if found and (found[0] != "." or token.type == "INT"):
        here = Span(b.source, token.start_pos or 0, found.end())
        hint = "a number is written 10, 2.5 or 1e6" if found[0] != "." else f"write {token}.0, or ({token}).name"
        b.error("bad-number", f"`{here.text[:60]}` is no number", here, hint)


def _constant(b: Builder, span: Span, children: list[Any]) -> n.Literal:
    word = str(children[0]).lower()
    return n.Literal(span, None if word == "none" else word == "true", word)


def _token(b: Builder, span: Span, children: list[Any]) -> Token:
    token: Token = children[0]
    return token


# ---- records ----


def _record(b: Builder, span: Span, children: list[Any]) -> n.Record:
    items: list[n.RecordField | n.Spread] = []
    seen: set[str] = set()
    given = present(children)
    for item in given:
        if isinstance(item, n.Expr):
            alone = Fix(span, item.span.text, sure=False) if len(given) == 1 else None
            b.error("syntax", "this field has no name", item.span, "a field is written name: value, as in {total: len(xs)}", alone)
            continue
        if isinstance(item, n.RecordField):
            if item.name in seen:
                b.error("duplicate-field", f"the field {item.name} is given twice", item.span)
            seen.add(item.name)
        items.append(item)
    return n.Record(span, tuple(items))


def _pair(b: Builder, span: Span, children: list[Any]) -> n.RecordField:
    key, value = children
    made = n.RecordField(span, text_value(b, key, span) if key.type == "STRING" else str(key), value)
    b.keys[made] = key
    return made


def _short(b: Builder, span: Span, children: list[Any]) -> n.RecordField:
    value: n.Expr = n.Name(b.token_span(children[0]), str(children[0]))
    for name in children[1:]:
        here = b.token_span(name)
        value = n.FieldAccess(Span(b.source, value.span.start, here.end), value, str(name), name_span=here)
    return n.RecordField(span, str(children[-1]), value, short=True)


def _named(b: Builder, span: Span, children: list[Any]) -> n.RecordField | n.Expr:
    """`counts["a"]` is `a: counts["a"]`, `f(x).name` is `name: f(x).name`; what names nothing stays without a name."""
    value: n.FieldAccess | n.Index = children[0]
    if isinstance(value, n.FieldAccess):
        return n.RecordField(span, value.name, value)
    key = value.index
    if isinstance(key, n.Literal) and isinstance(key.value, str) and is_name(key.value):
        return n.RecordField(span, key.value, value)
    return value


def _spread(b: Builder, span: Span, children: list[Any]) -> n.Spread:
    return n.Spread(span, children[0])


# ---- texts ----


def _string(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    child = children[0]
    if isinstance(child, n.FString):
        return child
    return n.Literal(span, text_value(b, child, span), str(child))


def text_value(b: Builder, token: Token, span: Span) -> str:
    """The value of a text literal."""
    written = str(token)
    raw = written[0] in "rR"
    body = written[1:] if raw else written
    triple = body.startswith(('"""', "'''")) and len(body) >= 6
    inner = "".join(piece or "" for piece in dedent([body[3:-3]])) if triple else body[1:-1]
    return inner if raw else _unescaped(b, inner, span)


def _unescaped(b: Builder, text: str, span: Span) -> str:
    try:
        return unescape(text)
    except BadEscape as error:
        b.error("bad-escape", str(error), span)
        return ""


def _fstring(b: Builder, span: Span, children: list[Any]) -> n.FString:
    first: Token = children[0]
    triple = first.type in ("FSTRING_AAA", "FSTRING_BBB")
    pieces: list[str | n.Interpolation] = []
    opening = "" if first.type == "EMPTY_FSTRING" else str(first)[4 if triple else 2 :]
    for child in [opening, *children[1:]]:
        if isinstance(child, n.Interpolation):
            pieces.append(child)
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += str(child)
        else:
            pieces.append(str(child))
    if triple:
        holes = iter([p for p in pieces if isinstance(p, n.Interpolation)])
        texts = dedent([p if isinstance(p, str) else None for p in pieces])
        pieces = [next(holes) if t is None else t for t in texts]
    parts = tuple(p if isinstance(p, n.Interpolation) else _unescaped(b, p.replace("{{", "{").replace("}}", "}"), span) for p in pieces)
    return n.FString(span, tuple(p for p in parts if p != ""), span.text)


def _interpolation(b: Builder, span: Span, children: list[Any]) -> n.Interpolation:
    value, spec = children[0], children[1] if len(children) > 1 else None
    return n.Interpolation(span, value, None if spec is None else str(spec))


RULES: dict[str, Rule] = {
    "choice": _choice,
    "default": _default,
    "compare": _compare,
    "negate": _negate,
    "power": _power,
    "field": _field,
    "maybe_field": _maybe_field,
    "index": _index,
    "slice": _slice,
    "name_ref": _name_ref,
    "group_name": _group_name,
    "group": _group,
    "list": _list,
    "number": _number,
    "constant": _constant,
    "record": _record,
    "pair": _pair,
    "short": _short,
    "named": _named,
    "key_field": _field,
    "spread": _spread,
    "string": _string,
    "fstring": _fstring,
    "word": _token,
    "form_word": _token,
    "many_choice": _choice,
    "or_": _or,
    "and_": _and,
    "not_": _not,
    "compare_op": _operator,
    "add_op": _operator,
    "multiply_op": _operator,
    "add": _binary,
    "multiply": _binary,
    "interpolation_a": _interpolation,
    "interpolation_b": _interpolation,
    "interpolation_aaa": _interpolation,
    "interpolation_bbb": _interpolation,
}
