"""How tightly expressions hold together: the levels of the grammar's rules, for whoever writes a tree as text."""

from __future__ import annotations

from typing import Final

from rlmlang.syntax import nodes as n

# loosest first; an expression stands bare where its own level or a looser one is allowed, nothing does where FENCED is
WIDE, EXPR, CHOICE, TEST, OR, AND, NOT, COMPARE, SUM, TERM, FACTOR, POWER, OPERAND, POSTFIX, FENCED = range(15)
_OPERATORS: Final = {"+": SUM, "-": SUM, "*": TERM, "/": TERM, "//": TERM, "%": TERM, "**": POWER, "or": OR, "and": AND}

Chained = n.Binary | n.Logic | n.Default


def level(node: n.Expr) -> int:
    """The level at which an expression is written."""
    while isinstance(node, n.Otherwise):
        if not _loose(node.value):
            return EXPR
        node = node.value
    if isinstance(node, n.If):
        return OPERAND if node.block else WIDE if is_many(node.then) else CHOICE
    if isinstance(node, (n.Map, n.Filter)):
        return EXPR if node.skip else POSTFIX if is_bracketed(node) else OPERAND
    if isinstance(node, n.Reduce):
        return POSTFIX if node.initial else OPERAND
    if isinstance(node, (n.Call, n.Solve, n.Fold, n.First, n.Fail)):
        return WIDE if is_many(node) else OPERAND
    if isinstance(node, (n.Binary, n.Logic)):
        return _OPERATORS[node.op]
    if isinstance(node, n.Default):
        return TEST
    if isinstance(node, n.Unary):
        return NOT if node.op == "not" else FACTOR
    return COMPARE if isinstance(node, n.Compare) else POSTFIX


def _loose(node: n.Expr) -> bool:
    return isinstance(node, n.Otherwise) or is_many(node) or (isinstance(node, n.If) and not node.block and is_many(node.then))


def is_many(node: n.Expr) -> bool:
    """Whether it is a call or solve with several data, which takes the commas that follow."""
    return isinstance(node, (n.Call, n.Solve)) and len(node.data) > 1 and not any(datum.name for datum in node.data)


def is_form(node: n.Expr) -> bool:
    """Whether it starts with a keyword and takes what follows as its own."""
    if isinstance(node, (n.Map, n.Filter, n.Reduce, n.If)):
        return level(node) == OPERAND
    return isinstance(node, (n.Call, n.Solve, n.Fold, n.First, n.Fail))


def is_bracketed(node: n.Map | n.Filter) -> bool:
    """Whether it is written `[… for … in …]` or `filter((a, b) => …, xs)`."""
    if isinstance(node, n.Map):
        return len(node.target) > 1 or (node.comprehension and node.position is None and not isinstance(node.body, n.Block))
    return len(node.target) > 1 or (node.comprehension and not isinstance(node.condition, n.Block))


def chain(node: Chained) -> tuple[n.Expr, list[tuple[str, n.Expr]]]:
    """`a + b - c` as a, [(+, b), (-, c)]: what operators of one level join from the left."""
    joined: list[tuple[str, n.Expr]] = []
    own, first = level(node), node
    while True:
        joined.append(("??" if isinstance(first, n.Default) else first.op, first.right))
        left = first.left
        if not isinstance(left, (n.Binary, n.Logic, n.Default)) or level(left) != own:
            return left, joined[::-1]
        first = left


def leftmost(node: n.Expr) -> n.Expr:
    """The expression with which the text of another begins, parentheses aside."""
    while True:
        if isinstance(node, (n.Binary, n.Logic, n.Default)):
            node = node.left
        elif isinstance(node, n.Compare):
            node = node.operands[0]
        elif isinstance(node, (n.Index, n.Slice, n.FieldAccess)):
            node = node.base
        elif isinstance(node, n.Otherwise):
            node = node.value
        elif isinstance(node, n.If) and not node.block:
            node = node.then
        elif isinstance(node, n.Apply) and node.method and isinstance(node.args[0].value, n.Expr):
            node = node.args[0].value
        else:
            return node
