"""Checks `fn`: parameters, result, recursion, and whether its body may reach a model."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rlmlang import limits
from rlmlang.check.checked import Function
from rlmlang.check.checker import Checker
from rlmlang.check.report import listing
from rlmlang.check.scope import Scope, Variable
from rlmlang.check.written import read_type
from rlmlang.syntax.nodes import Apply, Block, Expr, Fn, Lambda, Name, Node, Param
from rlmlang.syntax.source import Span
from rlmlang.syntax.walk import children, walk
from rlmlang.types import FILE, UNKNOWN, Optional, RecordOf, Type


def name_span(node: Node, name: str) -> Span:
    """Where a declaration (`input x: …`, `type x = …`, `x: …`) has its name."""
    found = re.search(rf"\b{re.escape(name)}\b", node.span.text[6 if node.span.text.startswith("input") else 0 :])
    if found is None:
        return node.span
    start = node.span.start + (6 if node.span.text.startswith("input") else 0) + found.start()
    return Span(node.span.source, start, start + len(name))


def declare(c: Checker, node: Fn, *, library: bool) -> None:
    """Checks a function and makes it known to what stands below."""
    c.later.pop(node.name, None)
    if node.name in c.functions and node.name not in c.redeclarable:
        c.error("duplicate-function", node.name_span, f"the function {node.name} is declared twice")
    c.redeclarable.discard(node.name)
    params = tuple([(p.name, _parameter(c, p)) for p in node.params])
    declared = None if node.result is None else read_type(c, node.result)
    _check_depth(c, node)
    own = Function(node, params, UNKNOWN if declared is None else declared, effectful=False, library=library)
    c.functions[node.name] = own
    body = _body(c, node, own, params)
    if declared is not None:
        _check_result(c, node, body, declared)
    effectful = node.body in c.tables.effects
    final = Function(node, params, body if declared is None else declared, effectful, library)
    for call in c.own_calls:
        c.tables.callees[call] = final
    if effectful and c.own_calls:
        _mark(node.body, set(c.own_calls), c.tables.effects)
    c.own_calls = []
    c.functions[node.name] = c.tables.functions[node] = final


def _parameter(c: Checker, node: Param) -> Type:
    type_ = read_type(c, node.type)
    if node.default is not None:
        check_default(c, node.default, type_, node.name)
    return type_


def check_default(c: Checker, node: Expr, wanted: Type, name: str) -> None:
    """A default is pure and has the declared type."""
    given = c.infer(node)
    c.expect(node, given, wanted, f"{name} is {wanted}, but its default is {given}")
    if node in c.tables.effects:
        c.error("impure-default", node.span, "a default may not ask a model", "bind it in the program instead")
        c.reaches = False


def _check_depth(c: Checker, node: Fn) -> None:
    if node.depth is None:
        return
    if not 1 <= node.depth <= limits.RECURSION:
        c.error("recursion", node.name_span, f"the depth of {node.name} is from 1 to {limits.RECURSION}, not {node.depth}")
    if node.result is None:
        c.error(
            "recursive-result",
            node.name_span,
            f"{node.name} may call itself, so its result type must be declared",
            "write fn f(…) -> T depth 5 { … }",
        )


def _body(c: Checker, node: Fn, own: Function, params: tuple[tuple[str, Type], ...]) -> Type:
    """The type of the body, with only what stands above in scope."""
    scope = Scope(c.scope)
    for param, (name, type_) in zip(node.params, params, strict=True):
        if name in scope.names:
            c.error("duplicate-name", name_span(param, name), f"two parameters are named {name}")
        scope.names[name] = Variable(name, type_, name_span(param, name), "parameter")
    facts, reaches = c.facts, c.reaches
    c.facts, c.reaches, c.current, c.own_calls = {}, False, own, []
    try:
        return c.infer_in(scope, node.body)
    finally:
        c.facts, c.reaches, c.current = facts, reaches, None


def _check_result(c: Checker, node: Fn, body: Type, declared: Type) -> None:
    value = node.body
    while isinstance(value, Block):
        value = value.value
    message = f"{node.name} is declared to give {declared}, but gives {body}"
    hint = None
    if isinstance(body, RecordOf) and isinstance(declared, RecordOf):
        missing = [n for n, t in declared.fields if body.get(n) is None and not isinstance(t, Optional)]
        message = f"{node.name} is declared to give {declared}, but {listing(missing)} is missing" if missing else message
    if body is FILE:
        hint = "write .text for what is in it"
    c.expect(value, body, declared, message, "result-type", hint)


def _mark(node: Node, calls: set[Apply | Name], effects: set[Node]) -> bool:
    """Marks a function's calls of itself, and what they stand in, as reaching a model."""
    found = node in calls
    for child in children(node):
        found = _mark(child, calls, effects) or found
    if found and isinstance(node, (Expr, Lambda)) and not isinstance(node, Name):
        effects.add(node)
    return found


def circles(functions: Iterable[Fn]) -> dict[tuple[str, str], tuple[str, ...]]:
    """For each call of another function that leads back: the circle, as the names on it. Needs no recursion."""
    by_name = {f.name: f for f in functions}
    called = {name: _called(fn, by_name) for name, fn in by_name.items()}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, others in called.items():
        for other in others:
            if other != name and (way := _way(called, other, name)) is not None:
                found[name, other] = (name, *way)
    return found


def _called(fn: Fn, known: dict[str, Fn]) -> list[str]:
    names = [n.name for n in walk(fn.body) if isinstance(n, (Apply, Name))]
    return [n for n in dict.fromkeys(names) if n in known]


def _way(called: dict[str, list[str]], start: str, end: str) -> list[str] | None:
    """The shortest chain of calls from one function to another."""
    before: dict[str, str | None] = {start: None}
    queue = [start]
    for name in queue:
        if name == end:
            way: list[str] = []
            at: str | None = name
            while at is not None:
                way.append(at)
                at = before[at]
            return way[::-1]
        for other in called[name]:
            if other not in before:
                before[other] = name
                queue.append(other)
    return None
