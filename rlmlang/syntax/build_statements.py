"""Statements and types: what the grammar's rules for them become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlmlang.syntax import nodes as n
from rlmlang.syntax.build_expressions import integer, present, text_value
from rlmlang.syntax.source import Span

if TYPE_CHECKING:
    from rlmlang.syntax.build import Builder, Rule


def _program(b: Builder, span: Span, children: list[Any]) -> n.Program:
    return n.Program(Span(b.source, 0, len(b.source.text)), b.source, tuple(present(children)), b.comments)


def _input(b: Builder, span: Span, children: list[Any]) -> n.Input:
    name, type_, *default = children
    return n.Input(span, str(name), type_, *default)


def _type_def(b: Builder, span: Span, children: list[Any]) -> n.TypeDef:
    return n.TypeDef(span, str(children[0]), children[1])


def _use(b: Builder, span: Span, children: list[Any]) -> n.Use:
    return n.Use(span, text_value(b, children[0], span))


def _fn(b: Builder, span: Span, children: list[Any]) -> n.Fn:
    name, params, result, depth, body = children
    number = None if depth is None else integer(b, depth)
    return n.Fn(span, str(name), tuple(params or ()), result, number, body, name_span=b.token_span(name))


def _params(b: Builder, span: Span, children: list[Any]) -> list[n.Param]:
    return present(children)


def _param(b: Builder, span: Span, children: list[Any]) -> n.Param:
    name, type_, *default = children
    return n.Param(span, str(name), type_, *default)


def _answer(b: Builder, span: Span, children: list[Any]) -> n.Answer:
    return n.Answer(span, children[0])


def _shown(b: Builder, span: Span, children: list[Any]) -> n.Shown:
    return n.Shown(span, children[0])


def _bind(b: Builder, span: Span, children: list[Any]) -> n.Bind:
    name, value = children
    return n.Bind(span, str(name), value, name_span=b.token_span(name))


def _unpack(b: Builder, span: Span, children: list[Any]) -> n.Unpack:
    *names, value = children
    return n.Unpack(span, tuple(map(str, names)), value, name_spans=tuple(map(b.token_span, names)))


def _block(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    *bindings, value = present(children)
    return n.Block(span, tuple(bindings), value) if bindings else value


# ---- types ----


def _named_type(b: Builder, span: Span, children: list[Any]) -> n.NamedType:
    return n.NamedType(span, str(children[0]))


def _literal_type(b: Builder, span: Span, children: list[Any]) -> n.EnumType:
    return n.EnumType(span, (text_value(b, children[0], span),))


def _union(b: Builder, span: Span, children: list[Any]) -> n.TypeExpr:
    words = [w for c in children if isinstance(c, n.EnumType) for w in c.words]
    others = [c for c in children if not isinstance(c, n.EnumType)]
    nones = [c for c in others if isinstance(c, n.NamedType) and c.name in ("none", "None", "null")]
    rest = [c for c in others if c not in nones]
    if len(rest) + bool(words) > 1 or (not rest and not words):
        b.error(
            "bad-union",
            "only words may be alternatives of one another",
            span,
            'write "a" | "b", T? for T or none, or a record with optional fields',
        )
        return n.NamedType(span, "text")
    item: n.TypeExpr = rest[0] if rest else n.EnumType(span, tuple(words))
    return _optional(b, span, [item]) if nones else item


def _optional(b: Builder, span: Span, children: list[Any]) -> n.OptionalType:
    item: n.TypeExpr = children[0]
    return n.OptionalType(span, item.item if isinstance(item, n.OptionalType) else item)


def _list_type(b: Builder, span: Span, children: list[Any]) -> n.ListType:
    item, most = children
    return n.ListType(span, item, None if most is None else integer(b, most))


def _generic_type(b: Builder, span: Span, children: list[Any]) -> n.TypeExpr:
    name, item, *more = children
    name, value = str(name), more[0] if more else None
    if name in ("dict", "Dict") and value is not None:
        return n.DictType(span, item, value)
    if value is not None:
        b.error("unknown-type", f"there is no type {name}[…, …]", span, "a dict is dict[text, T], a list of T is [T]")
        return n.NamedType(span, "text")
    if name in ("list", "List"):
        return n.ListType(span, item)
    if name in ("Optional", "optional"):
        return _optional(b, span, [item])
    hint = "a dict is dict[text, T]" if name in ("dict", "Dict") else "a list of T is [T], T or none is T?"
    b.error("unknown-type", f"there is no type {name}[…]", span, hint)
    return n.NamedType(span, "text")


def _record_type(b: Builder, span: Span, children: list[Any]) -> n.RecordType:
    fields = tuple(c for c in children if isinstance(c, tuple))
    if len({name for name, _ in fields}) < len(fields):
        b.error("duplicate-field", "a field is named twice", span)
    return n.RecordType(span, fields)


def _field_type(b: Builder, span: Span, children: list[Any]) -> tuple[str, n.TypeExpr]:
    key, type_ = children
    return (text_value(b, key, span) if key.type == "STRING" else str(key)), type_


RULES: dict[str, Rule] = {
    "program": _program,
    "input": _input,
    "type_def": _type_def,
    "use": _use,
    "fn": _fn,
    "params": _params,
    "param": _param,
    "answer": _answer,
    "shown": _shown,
    "bind": _bind,
    "unpack": _unpack,
    "block": _block,
    "named_type": _named_type,
    "literal_type": _literal_type,
    "union": _union,
    "optional": _optional,
    "list_type": _list_type,
    "generic_type": _generic_type,
    "record_type": _record_type,
    "field_type": _field_type,
}
