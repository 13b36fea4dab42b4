"""Going through a tree without knowing its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs

from rlmlang.syntax.nodes import Expr, Filter, First, Fold, Map, Node, Reduce

Loop = Map | Filter | Fold | Reduce | First

_NO_NODES = frozenset(("span", "name_span", "name_spans", "name", "names", "raw", "op", "ops", "comments", "words"))


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(a.name for a in attrs.fields(kind) if a.name not in _NO_NODES)


def children(node: Node) -> Iterator[Node]:
    """The nodes right below `node`, in the order of the class's fields: that of the text, save that an `if` has its condition first."""
    kind: Any = type(node)
    for name in _fields(kind):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item
                elif isinstance(item, tuple):  # a field of a record type: its name and its type
                    yield from (part for part in item if isinstance(part, Node))


def walk(node: Node) -> Iterator[Node]:
    """`node` and all below it, each before what is below it; needs no recursion."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(tuple(children(node))))


def names_and_body(node: Loop) -> tuple[set[str], Expr]:
    """What a loop binds for each item, and where."""
    if isinstance(node, Map):
        return {*node.target, *([] if node.position is None else [node.position])}, node.body
    if isinstance(node, Filter):
        return set(node.target), node.condition
    if isinstance(node, First):
        return {node.item}, node.condition
    if isinstance(node, Fold):
        return {node.accumulator, node.item}, node.body
    return {node.left, node.right}, node.body


_NO_MEANING = frozenset(
    ("span", "name_span", "name_spans", "source", "comments", "raw", "comprehension", "block", "braces", "method", "short")
)


@cache
def _meaning(kind: Any) -> tuple[str, ...]:
    return tuple(a.name for a in attrs.fields(kind) if a.name not in _NO_MEANING)


def same_tree(a: Node, b: Node) -> bool:
    """Whether two trees are equal but for places, comments and spelling: a text's quotes, block or comprehension, method or function."""
    pending: list[tuple[Any, Any]] = [(a, b)]
    while pending:
        left, right = pending.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, Node):
            kind: Any = type(left)
            pending.extend((getattr(left, name), getattr(right, name)) for name in _meaning(kind))
        elif isinstance(left, tuple):
            if len(left) != len(right):
                return False
            pending.extend(zip(left, right, strict=True))
        elif left != right:
            return False
    return True
