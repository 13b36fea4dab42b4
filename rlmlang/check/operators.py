"""Types of operators: arithmetic, comparison, `and or not`."""

from __future__ import annotations

from rlmlang.check.advice import advice, converted, likely, short
from rlmlang.check.checker import Checker, rule
from rlmlang.check.report import listing, similar
from rlmlang.check.unify import fits, hull, hull_of_items, item_of, may_equal, orderable
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import (
    Binary,
    Block,
    Call,
    Compare,
    Expr,
    FieldAccess,
    Filter,
    First,
    Fold,
    FString,
    Lambda,
    ListExpr,
    Literal,
    Logic,
    Map,
    Name,
    Record,
    Reduce,
    Unary,
)
from rlmlang.syntax.source import Span
from rlmlang.syntax.walk import walk
from rlmlang.types import BOOL, FLOAT, INT, JSON, NEVER, NONE, TEXT, UNKNOWN, DictOf, Enum, ListOf, Optional, RecordOf, Tuple, Type

_NUMBERS = (INT, FLOAT)
_VERBS = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "//": "divided", "%": "divided", "**": "raised to a power"}


@rule(Unary)
def infer_unary(c: Checker, node: Unary) -> Type:
    if node.op == "not":
        c.condition(node.operand)
        return BOOL
    given = c.infer(node.operand)
    if given in (INT, FLOAT, UNKNOWN, NEVER):
        return given
    if isinstance(given, Optional):
        c.optional_misused(node.operand, given)
    else:
        c.error("operands", node.operand.span, f"`{node.op}` takes a number, not {given}", advice(node.operand, given, FLOAT))
    return UNKNOWN


@rule(Binary)
def infer_binary(c: Checker, node: Binary) -> Type:
    left = c.infer(node.left)
    if node.op == "//" and isinstance(node.right, Name) and (left is BOOL or isinstance(left, (ListOf, Tuple, RecordOf, DictOf))):
        comment = Span(node.span.source, node.left.span.end, node.span.end)
        c.error("operands", node.span, f"{left} cannot be divided", "a comment starts with #", Fix(comment, ""))
        return left
    right = c.infer(node.right)
    if left in (UNKNOWN, NEVER) or right in (UNKNOWN, NEVER):
        known = right if left in (UNKNOWN, NEVER) else left
        return TEXT if node.op == "+" and known is TEXT else UNKNOWN
    for side, given in ((node.left, left), (node.right, right)):
        if isinstance(given, Optional):
            c.optional_misused(side, given)
            return UNKNOWN
    found = _result(node, left, right)
    if found is None:
        fix = _what_is_meant(node, left, right)
        c.error("operands", node.span, _complaint(node.op, left, right), _what_instead(node, left, right), fix)
        return UNKNOWN
    return found


def _result(node: Binary, left: Type, right: Type) -> Type | None:
    """The type of `left op right`, None where there is none."""
    op = node.op
    if left in _NUMBERS and right in _NUMBERS:
        if op == "/" or FLOAT in (left, right):
            return FLOAT
        negative = op == "**" and isinstance(node.right, Unary) and node.right.op == "-"
        return FLOAT if negative else INT
    texts = [t is TEXT or isinstance(t, Enum) for t in (left, right)]
    lists = [t for t in (left, right) if isinstance(t, (ListOf, Tuple))]
    if op == "+":
        if all(texts):
            return TEXT
        return ListOf(hull_of_items([item_of(t) for t in lists])) if len(lists) == 2 else None
    if op == "*" and INT in (left, right):
        return TEXT if any(texts) else ListOf(item_of(lists[0])) if lists else None
    return None


def _complaint(op: str, left: Type, right: Type) -> str:
    joint = {"+": "and", "-": "and", "*": "and"}.get(op, "by")
    return f"{left} {joint} {right} cannot be {_VERBS[op]}"


def _what_is_meant(node: Binary, left: Type, right: Type) -> Fix | None:
    """A number that is put behind a text in quotes, a text that is computed with, an item that is added to a list."""
    for side, given, other, wanted in ((node.left, left, node.right, right), (node.right, right, node.left, left)):
        if node.op == "+" and given in _NUMBERS and isinstance(other, (FString, Literal)) and wanted is TEXT:
            return Fix(side.span, f"str({side.span.text})")
        if node.op in ("-", "*", "/") and given is TEXT and wanted in (TEXT, *_NUMBERS) and (made := converted(side, given, FLOAT)):
            return Fix(side.span, made)
        if node.op == "+" and isinstance(wanted, ListOf) and fits(given, wanted.item):
            return Fix(side.span, f"[{side.span.text}]")
        if given is TEXT and wanted in _NUMBERS and isinstance(other, Literal) and (made := likely(side, given, wanted)):
            return Fix(side.span, made, sure=False)
        if node.op == "+" and given in _NUMBERS and wanted is TEXT and not isinstance(side, Literal):
            return Fix(side.span, f"str({side.span.text})", sure=False)
    return None


def _what_instead(node: Binary, left: Type, right: Type) -> str | None:
    op = node.op
    sides = (left, right)
    if JSON in sides:
        return "json data is not computed with; ask for a type where it comes from: call … -> float"
    if op == "+" and (TEXT in sides or any(isinstance(t, Enum) for t in sides)):
        other = node.left if right is TEXT or isinstance(right, Enum) else node.right
        given = left if other is node.left else right
        if isinstance(given, (ListOf, Tuple)):
            return f'join the list first: join({short(other)}, ", ")'
        return advice(other, given, TEXT)
    if op == "+" and any(isinstance(t, (ListOf, Tuple)) for t in sides):
        other = node.right if isinstance(left, (ListOf, Tuple)) else node.left
        return f"put it in a list: [{short(other)}]"
    if op == "+" and all(isinstance(t, (DictOf, RecordOf)) for t in sides) and not all(isinstance(t, RecordOf) for t in sides):
        return f"write dict(items({short(node.left)}) + items({short(node.right)}))"
    if op == "+" and all(isinstance(t, RecordOf) for t in sides):
        return f"write {{...{short(node.left)}, ...{short(node.right)}}}"
    for side, record in ((node.left, left), (node.right, right)):
        if isinstance(record, RecordOf) and (field := next((name for name, t in record.fields if t in _NUMBERS), None)):
            return f"take one of its fields: {short(side)}.{field}"
    if op == "%" and left is TEXT:
        return 'write f"… {x} …"'
    if op == "-" and all(isinstance(t, (ListOf, Tuple)) for t in sides):
        return f"write [x for x in {short(node.left)} if x not in {short(node.right)}]"
    if BOOL in sides:
        return f"write int({short(node.left if left is BOOL else node.right)})"
    if TEXT in sides:
        side = node.left if left is TEXT else node.right
        return advice(side, TEXT, FLOAT)
    return None


@rule(Compare)
def infer_compare(c: Checker, node: Compare) -> Type:
    if _no_for(c, node):
        return UNKNOWN
    types = [c.infer(operand) for operand in node.operands]
    for at, op in enumerate(node.ops):
        left, right = node.operands[at], node.operands[at + 1]
        a, b = types[at], types[at + 1]
        if a in (UNKNOWN, NEVER) or b in (UNKNOWN, NEVER):
            continue
        if op in ("==", "!="):
            _check_equality(c, left, a, right, b)
        elif op in ("in", "not in"):
            _check_membership(c, left, a, right, b)
        else:
            _check_order(c, left, a, right, b)
    return BOOL


def _no_for(c: Checker, node: Compare) -> bool:
    """`answer {q, r} in zip(questions, rules)`: a comprehension without brackets and `for`; says so. Not where all may be misspelt."""
    left, right = node.operands[0], node.operands[-1]
    if node.ops != ("in",) or not isinstance(left, (Record, ListExpr, FieldAccess, Call)):
        return False
    inside = list(walk(left))
    names = list(dict.fromkeys(n.name for n in inside if isinstance(n, Name) and c.scope.find(n.name) is None))
    if all(similar(name, c.scope.visible()) for name in names) or any(
        isinstance(n, (Map, Filter, Reduce, Fold, First, Lambda, Block)) for n in inside
    ):
        return False
    c.infer(right)
    written = f"[{left.span.text} for {', '.join(names)} in {right.span.text}]"
    shown = " ".join(written.split())
    hint = f"to go through a list, write {shown if len(shown) <= 100 else '[E for x in xs]'}"
    message = f"nothing is named {listing(names)} here: `in` only tests whether a list holds something"
    c.error("unknown-name", left.span, message, hint, Fix(node.span, written))
    return True


def _check_equality(c: Checker, left: Expr, a: Type, right: Expr, b: Type) -> None:
    if not may_equal(a, b):
        span = left.span if a is NONE else right.span
        known, other = (b, a) if a is NONE else (a, b)
        hint = advice(right, b, a)
        if NONE in (a, b):
            hint = 'compare with "" or test it for emptiness' if known is TEXT else "leave the test out"
        elif {a, b} == {TEXT, BOOL}:
            hint = "ask for a bool: call … -> bool"
        elif a is BOOL and b is INT:
            hint = "compare with true or false, or leave the comparison out"
        c.error("never-equal", span, f"{known} never equals {other}", hint, _as_number(left, a, right, b))
        return
    for side, given, literal in ((left, a, right), (right, b, left)):
        inner = given.item if isinstance(given, Optional) else given
        if isinstance(inner, Enum) and isinstance(literal, Literal) and isinstance(literal.value, str) and literal.value not in inner.words:
            word = similar(literal.value, inner.words)
            hint = f'did you mean "{word}"?' if word else None
            c.error("never-equal", literal.span, f"{short(side)} is never this: it is {inner}", hint)


def _as_number(left: Expr, a: Type, right: Expr, b: Type) -> Fix | None:
    """A text that is compared with a number is read as one."""
    text, given, number = (left, a, b) if a is TEXT else (right, b, a)
    if given is not TEXT or number not in _NUMBERS:
        return None
    made = converted(text, given, FLOAT)
    return None if made is None else Fix(text.span, made)


def _check_membership(c: Checker, left: Expr, a: Type, right: Expr, b: Type) -> None:
    if isinstance(b, Optional):
        c.optional_misused(right, b)
        return
    if b is TEXT or isinstance(b, Enum):
        c.expect(left, a, TEXT, f"only a text can be in a text, not {a}", "operands")
        return
    if isinstance(b, DictOf):
        c.expect(left, a, TEXT, f"a dict's keys are texts, not {a}", "operands")
        return
    if isinstance(b, RecordOf):
        c.expect(left, a, TEXT, f"a record's fields are named by texts, not {a}", "operands")
        return
    if isinstance(b, (ListOf, Tuple)):
        item = item_of(b)
        if not may_equal(a, item):
            c.error("never-equal", left.span, f"{a} is never in {b}", advice(left, a, item), converted(left, a, item))
        elif isinstance(a, Enum) or isinstance(item, Enum):
            _check_equality(c, left, a, right, item)
        return
    hint = f"write {short(right)}.text" if str(b) == "file" else f'write {short(right)}.files("**/*")' if str(b) == "dir" else None
    c.error("operands", right.span, f"`in` looks into a list or a text, not into {b}", hint)


def _check_order(c: Checker, left: Expr, a: Type, right: Expr, b: Type) -> None:
    for side, given in ((left, a), (right, b)):
        if isinstance(given, Optional):
            c.optional_misused(side, given)
            return
    if not orderable(a) or not orderable(b):
        side, given = (right, b) if orderable(a) else (left, a)
        hint = f"compare their number: len({short(side)})" if isinstance(given, (ListOf, Tuple)) else None
        c.error("operands", side.span, f"numbers and texts have an order, {given} has none", hint)
    elif hull(a, b) is None:
        if isinstance(a, (ListOf, Tuple)) and b in _NUMBERS:
            c.error("operands", left.span, f"{a} and {b} have no common order", f"write len({short(left)})", guess=f"len({left.span.text})")
            return
        wrong, given, other = (left, a, b) if a is TEXT and b in _NUMBERS else (right, b, a)
        fix = converted(wrong, given, FLOAT if other in _NUMBERS else other)
        c.error("operands", wrong.span, f"{a} and {b} have no common order", advice(wrong, given, other), fix, likely(wrong, given, other))


@rule(Logic)
def infer_logic(c: Checker, node: Logic) -> Type:
    """As in Python the value is that of the side that decided; where the two have no type in common, only the truth of it: bool."""
    left = c.condition(node.left)
    right = c.infer_if(c.shown(node.left, node.op == "and"), node.right)
    if not (right in (BOOL, TEXT, NONE, UNKNOWN, NEVER) or isinstance(right, (Enum, ListOf, DictOf, Tuple, Optional))):
        if node.op == "or" and isinstance(left, Optional) and hull(left.item, right) is not None:
            return hull(left.item, right) or UNKNOWN
        c.error("condition", node.right.span, f"`{node.op}` takes a bool (or a list, text or optional, by emptiness), not {right}")
        return BOOL
    if node.op == "or" and isinstance(left, Optional):
        left = left.item
    return BOOL if BOOL in (left, right) else hull(left, right) or BOOL
