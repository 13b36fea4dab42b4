"""Forms: sub-calls, loops, comprehensions, lambdas and what they are given to, and `E otherwise skip`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import attrs
from lark import Token

from rlmlang.syntax import nodes as n
from rlmlang.syntax.build_expressions import integer, present
from rlmlang.syntax.source import Span
from rlmlang.syntax.walk import walk

if TYPE_CHECKING:
    from rlmlang.syntax.build import Builder, Rule


@attrs.frozen
class _For:
    target: tuple[str, ...]
    source: n.Expr


@attrs.frozen
class _Ifs:
    condition: n.Expr


# ---- sub-calls ----

_SubCall = tuple[n.Expr, tuple[n.Datum, ...], n.TypeExpr | None, tuple[n.RecordField, ...]]


def _call(b: Builder, span: Span, children: list[Any]) -> n.Call:
    return n.Call(span, *_sub_call(b, children))


def _solve(b: Builder, span: Span, children: list[Any]) -> n.Solve:
    return n.Solve(span, *_sub_call(b, children))


def _sub_call(b: Builder, children: list[Any]) -> _SubCall:
    prompt, datum, returns, options = children
    data: tuple[n.Datum, ...] = ()
    if isinstance(datum, n.Record) and datum not in b.grouped:
        data = tuple(_named(b, item) for item in datum.items if isinstance(item, n.RecordField))
        for item in datum.items:
            if isinstance(item, n.Spread):
                b.error("bad-datum", "data are named one by one", item.span, "put a record in parentheses to send it whole: on ({...r})")
    elif datum is not None:
        data = (_datum(b, datum),)
    return prompt, data, returns, tuple(options or ())


def _named(b: Builder, item: n.RecordField) -> n.Datum:
    return attrs.evolve(_datum(b, item.value), name=item.name, short=item.short)


def _datum(b: Builder, value: n.Expr) -> n.Datum:
    if isinstance(value, (n.Call, n.Solve)) and value not in b.grouped:
        hint = "put each call of a list in parentheses: [(call … on a), (call … on b)]; a call that another needs, too: on (call …)"
        b.error("bare-call-datum", "a call may not stand bare among the data of another", value.span, hint)
    return n.Datum(value.span, value)


def _many_call(b: Builder, span: Span, children: list[Any]) -> n.Call:
    return n.Call(span, *_several(b, children))


def _many_solve(b: Builder, span: Span, children: list[Any]) -> n.Solve:
    return n.Solve(span, *_several(b, children))


def _several(b: Builder, children: list[Any]) -> _SubCall:
    prompt, *data, returns, options = children
    return prompt, tuple(_datum(b, c) for c in data), returns, tuple(options or ())


def _first_child(b: Builder, span: Span, children: list[Any]) -> Any:
    return children[0]


def _with(b: Builder, span: Span, children: list[Any]) -> list[n.RecordField]:
    record: n.Record = children[0]
    for item in record.items:
        if isinstance(item, n.Spread):
            b.error("bad-option", "options are written one by one", item.span)
    return [item for item in record.items if isinstance(item, n.RecordField)]


# ---- loops and choices ----


def _map(b: Builder, span: Span, children: list[Any]) -> n.Map:
    position, item, source, body = children
    body, skip = _skipping_body(b, body)
    return n.Map(span, (str(item),), source, body, None if position is None else str(position), skip=skip)


def _filter(b: Builder, span: Span, children: list[Any]) -> n.Filter:
    item, source, condition = children
    condition, skip = _skipping_body(b, condition)
    return n.Filter(span, (str(item),), source, condition, skip=skip)


def _reduce(b: Builder, span: Span, children: list[Any]) -> n.Reduce:
    left, right, source, body = children
    return n.Reduce(span, str(left), str(right), source, body)


def _fold(b: Builder, span: Span, children: list[Any]) -> n.Fold:
    accumulator, item, source, initial, body = children
    return n.Fold(span, str(accumulator), str(item), source, initial, body)


def _first(b: Builder, span: Span, children: list[Any]) -> n.First:
    count, item, source, condition = children
    here = b.token_span(count)
    number = n.Literal(here, integer(b, count), str(count)) if count.type == "INT" else n.Name(here, str(count))
    return n.First(span, number, str(item), source, condition)


def _if(b: Builder, span: Span, children: list[Any]) -> n.If:
    condition, then, orelse = children
    return n.If(span, condition, then, orelse, block=True)


def _fail(b: Builder, span: Span, children: list[Any]) -> n.Fail:
    return n.Fail(span, children[0])


def _otherwise(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    made = n.Otherwise(span, *children)
    value, skip = _skipping(b, made)
    if skip and isinstance(value, (n.Map, n.Filter)) and value not in b.grouped:
        return attrs.evolve(value, span=span, skip=True)
    return made


def _skipping(b: Builder, value: n.Expr) -> tuple[n.Expr, bool]:
    """E and True for a bare `E otherwise skip`, else the value itself and False."""
    if isinstance(value, n.Otherwise) and value not in b.grouped:
        skip = value.fallback
        if isinstance(skip, n.Name) and skip.name == "skip" and skip not in b.grouped:
            return value.value, True
    return value, False


def _skipping_body(b: Builder, body: n.Expr) -> tuple[n.Expr, bool]:
    """The same for what a map does with an item, where the value may stand after bindings."""
    if isinstance(body, n.Block):
        value, skip = _skipping(b, body.value)
        return (attrs.evolve(body, value=value), True) if skip else (body, False)
    return _skipping(b, body)


# ---- comprehensions ----


def _generator(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    return _loops(b, span, children[0], children[1])


def _comprehension(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    element, clauses = present(children)
    return _loops(b, span, element, clauses)


def _dict(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    """`{K: V for x in XS}` as `dict([[K, V] for x in XS])`."""
    entry, clauses = present(children)
    if isinstance(entry, n.RecordField):
        token = b.keys[entry]
        here = b.token_span(token)
        key: n.Expr = n.Literal(here, entry.name, str(token)) if token.type == "STRING" else n.Name(here, str(token))
        value, skip = _skipping(b, entry.value)
    else:
        key, value = entry
        value, skip = _skipping(b, value)
    pair = n.ListExpr(Span(b.source, key.span.start, value.span.end), (key, value))
    pairs = _loops(b, span, pair, clauses, skip)
    return n.Apply(span, "dict", (n.Argument(span, pairs),), braces=True, name_span=Span(b.source, span.start, span.start + 1))


def _entry(b: Builder, span: Span, children: list[Any]) -> tuple[n.Expr, n.Expr]:
    key, value = children
    return _key(key), value


def _key(key: n.Expr | n.RecordField) -> n.Expr:
    """What begins a key: a name or `x.name` comes as a field of a record does."""
    return key.value if isinstance(key, n.RecordField) else key


def _key_add(b: Builder, span: Span, children: list[Any]) -> n.Binary:
    left, op, right = children
    return n.Binary(span, op, _key(left), right)


def _key_index(b: Builder, span: Span, children: list[Any]) -> n.Index:
    return n.Index(span, _key(children[0]), children[1])


def _key_slice(b: Builder, span: Span, children: list[Any]) -> n.Slice:
    base, start, stop = children
    return n.Slice(span, _key(base), start, stop)


def _key_called(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    called, args = _key(children[0]), children[1]
    if isinstance(called, n.FieldAccess):
        first = n.Argument(called.base.span, called.base)
        return _application(b, span, called.name, called.name_span, (first, *(args or ())), method=True)
    assert isinstance(called, n.Name)
    return _application(b, span, called.name, called.span, tuple(args or ()), method=False)


def _clauses(b: Builder, span: Span, children: list[Any]) -> list[_For | _Ifs]:
    return [c for c in children if isinstance(c, (_For, _Ifs))]


def _for_clause(b: Builder, span: Span, children: list[Any]) -> _For:
    return _For(tuple(children[0]), children[1])


def _if_clause(b: Builder, span: Span, children: list[Any]) -> _Ifs:
    return _Ifs(children[0])


def _target(b: Builder, span: Span, children: list[Any]) -> list[str]:
    names: list[str] = children[0]
    return names


def _loops(b: Builder, span: Span, element: n.Expr, clauses: Sequence[_For | _Ifs], skip: bool = False) -> n.Expr:
    """A comprehension as maps over filters, the innermost `for` first."""
    if not skip:
        element, skip = _skipping(b, element)
    groups: list[tuple[_For, list[_Ifs]]] = []
    for clause in clauses:
        if isinstance(clause, _For):
            groups.append((clause, []))
        else:
            groups[-1][1].append(clause)
    result = element
    for depth, (loop, conditions) in enumerate(reversed(groups)):
        source = loop.source
        for clause in conditions:
            source = n.Filter(
                Span(b.source, span.start, clause.condition.span.end), loop.target, source, clause.condition, comprehension=True
            )
        identity = isinstance(result, n.Name) and (result.name,) == loop.target and result is element and bool(conditions) and not skip
        if identity:
            result = attrs.evolve(source, span=span)
        else:
            result = n.Map(span, loop.target, source, result, comprehension=True, flatten=depth > 0, skip=skip and depth == 0)
    return result


# ---- functions and their arguments ----


def _args(b: Builder, span: Span, children: list[Any]) -> list[n.Argument]:
    return [c if isinstance(c, n.Argument) else n.Argument(c.span, c) for c in present(children)]


def _keyword(b: Builder, span: Span, children: list[Any]) -> n.Argument:
    name, value = str(children[0]), children[1]
    if name == "key" and isinstance(value, n.FieldAccess) and value.name == "get" and not value.maybe and value not in b.grouped:
        value = _look_up(value)
    return n.Argument(span, value, name)


def _look_up(node: n.FieldAccess) -> n.Lambda:
    """`key=d.get`, as Python has it: the function of a key that gives what is there for it."""
    taken = {name.name for name in walk(node.base) if isinstance(name, n.Name)}
    param = next(name for name in chain(("k", "key"), (f"k{at}" for at in count(2))) if name not in taken)
    return n.Lambda(node.span, (param,), n.Index(node.span, node.base, n.Name(node.name_span, param)))


def _lambda(b: Builder, span: Span, children: list[Any]) -> n.Lambda:
    head, body = children
    names = (head.name,) if isinstance(head, n.Name) else (str(head),) if isinstance(head, Token) else tuple(head)
    return n.Lambda(span, names, body)


def _names(b: Builder, span: Span, children: list[Any]) -> list[str]:
    return [str(c) for c in children]


def _apply(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    name, args = children
    return _application(b, span, name.name, name.span, tuple(args or ()), method=False)


def _method(b: Builder, span: Span, children: list[Any]) -> n.Expr:
    base, name, args = children
    return _application(b, span, str(name), b.token_span(name), (n.Argument(base.span, base), *(args or ())), method=True)


def _application(b: Builder, span: Span, name: str, name_span: Span, args: tuple[n.Argument, ...], *, method: bool) -> n.Expr:
    if name in ("map", "filter", "reduce", "fold"):
        return _form_of_function(b, span, name, name_span, args, int(method))
    return n.Apply(span, name, args, method, name_span=name_span)


def _form_of_function(b: Builder, span: Span, name: str, name_span: Span, args: tuple[n.Argument, ...], place: int) -> n.Expr:
    """`map(lambda x: E, XS)`, `xs.map(x => E)` and their like; `place` is where the name of a function may stand: `xs.map(str)`."""
    usual = {
        "map": "[E for x in xs] or map(lambda x: E, xs)",
        "filter": "[x for x in xs if C] or filter(lambda x: C, xs)",
        "reduce": "reduce(lambda a, b: E, xs)",
        "fold": "fold acc, x in xs from INIT { E }",
    }[name]
    values = [a.value for a in args]
    most = {"map": 2, "filter": 2, "reduce": 3, "fold": 3}[name]
    function = next((v for v in values if isinstance(v, n.Lambda)), None)
    given = values[place] if len(values) > place else None
    if function is None and isinstance(given, n.Name):  # the name of a function, where a lambda may stand: `map(str, xs)`
        params = ("a", "b") if name in ("reduce", "fold") else ("x",)
        applied = tuple(n.Argument(given.span, n.Name(given.span, p)) for p in params)
        function = n.Lambda(given.span, params, n.Apply(given.span, given.name, applied, name_span=given.span))
        values[place] = function
    others = [v for v in values if v is not function and not isinstance(v, n.Lambda)]
    arity = 2 if name in ("reduce", "fold") else None
    if (
        function is None
        or any(a.name for a in args)
        or not 1 <= len(others) <= most - 1
        or (name == "fold" and len(others) != 2)
        or (arity is not None and len(function.params) != arity)
    ):
        b.error("bad-form", f"this is not how {name} is written", name_span, f"write {usual}")
        return n.Literal(span, None, "none")
    source = others[0]
    if name in ("map", "filter"):
        body, skip = _skipping(b, function.body)
        form = n.Map if name == "map" else n.Filter
        return form(span, function.params, source, body, comprehension=True, skip=skip)
    left, right = function.params
    if name == "fold":
        return n.Fold(span, left, right, source, others[1], function.body)
    return n.Reduce(span, left, right, source, function.body, others[1] if len(others) > 1 else None)


RULES: dict[str, Rule] = {
    "otherwise": _otherwise,
    "args": _args,
    "keyword": _keyword,
    "lambda": _lambda,
    "names": _names,
    "apply": _apply,
    "method": _method,
    "generator": _generator,
    "comprehension": _comprehension,
    "clauses": _clauses,
    "dict": _dict,
    "entry": _entry,
    "key_add": _key_add,
    "key_index": _key_index,
    "key_slice": _key_slice,
    "key_called": _key_called,
    "key_method": _method,
    "for_clause": _for_clause,
    "if_clause": _if_clause,
    "target": _target,
    "call": _call,
    "solve": _solve,
    "many_call": _many_call,
    "many_solve": _many_solve,
    "with": _with,
    "map": _map,
    "filter": _filter,
    "reduce": _reduce,
    "fold": _fold,
    "first": _first,
    "fail": _fail,
    "many_otherwise": _otherwise,
    "if_": _if,
    "names_two": _names,
    "on": _first_child,
    "edge": _first_child,
    "returns": _first_child,
}
