"""How the formatter writes plain expressions: texts, operators, lists, records, functions applied to arguments.

Each writer takes the formatter, the node, and whether something follows that a form at the right end would take as its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rlmlang.syntax import nodes as n
from rlmlang.syntax.layout import EMPTY, HARD, SOFT, SPACE, Doc, Text, concat, group, indent, render
from rlmlang.syntax.precedence import EXPR, FACTOR, FENCED, NOT, OPERAND, POSTFIX, SUM, WIDE, Chained, chain, level
from rlmlang.syntax.strings import escape, is_name, opening, quote, requoted, respell, usual_mark

if TYPE_CHECKING:
    from rlmlang.syntax.formatter import Formatter

Writer = Callable[["Formatter", Any, bool], Doc]
# before `=>` and after `reduce` or `fold` these would be taken for what they start
KEYWORDS = frozenset(
    [
        *("and", "call", "else", "fail", "false", "False", "filter", "first", "fold", "for", "from", "if", "in", "lambda", "map", "none"),
        *("None", "not", "on", "or", "otherwise", "reduce", "solve", "true", "True", "where", "with"),
    ]
)


def _name(f: Formatter, node: n.Name, tail: bool) -> Doc:
    return Text(node.name)


def _literal(f: Formatter, node: n.Literal, tail: bool) -> Doc:
    wanted = f.marks[-1]
    if isinstance(node.value, str):
        return Text(respell(node.raw, wanted) if node.raw else quote(node.value, wanted))
    if node.value is None or isinstance(node.value, bool):
        return Text(str(node.value).lower())
    return Text(node.raw or repr(node.value))


def _fstring(f: Formatter, node: n.FString, tail: bool) -> Doc:
    if f.comments.drop(node.span):
        return Text(node.raw)
    wanted = f.marks[-1]
    holes = [part for part in node.parts if isinstance(part, n.Interpolation)]
    if node.raw:
        _, mark, start = opening(node.raw)
        edges = [
            start,
            *(edge - node.span.start for hole in holes for edge in (hole.span.start, hole.span.end)),
            len(node.raw) - len(mark),
        ]
        pieces = [node.raw[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
        new = usual_mark(mark, wanted, pieces)
        pieces = [requoted(piece, mark, new) for piece in pieces]
    else:
        new, pieces = wanted, [""]
        for part in node.parts:
            if isinstance(part, str):
                pieces[-1] += escape(part, new).replace("{", "{{").replace("}", "}}")
            else:
                pieces.append("")
    f.marks.append("'" if new == '"' else '"')
    with f.comments.held():  # those before the text have no place in it
        written = [_interpolation(f, hole) for hole in holes]
    f.marks.pop()
    if node.raw and any("\n" in text for text in written):
        return Text(node.raw)  # a block in braces: as it was
    return Text("f" + new + pieces[0] + "".join(hole + piece for hole, piece in zip(written, pieces[1:], strict=True)) + new)


def _interpolation(f: Formatter, node: n.Interpolation) -> str:
    text = render(f.expr(node.value, WIDE), math.inf)
    spec = f":{node.spec}" if node.spec is not None else ""
    return f"{{{' ' if text.startswith('{') else ''}{text}{spec}}}"


def _operators(f: Formatter, node: Chained, tail: bool) -> Doc:
    if isinstance(node, n.Binary) and node.op == "**":
        left = f.expr(node.left, OPERAND, tail=True)
        return concat(left, " ** ", f.expr(node.right, FACTOR, tail=tail))
    own = level(node)
    first, joined = chain(node)
    start = f.expr(first, own, tail=True)
    rest: list[Doc] = []
    for at, (op, right) in enumerate(joined, 1):
        rest += [Text(f" {op}"), f.comments.gap(right.span.start, SPACE)]
        rest.append(f.expr(right, own + 1, tail=tail or at < len(joined)))
    return group(start, indent(*rest))


def _compare(f: Formatter, node: n.Compare, tail: bool) -> Doc:
    start = f.expr(node.operands[0], SUM, tail=True)
    rest: list[Doc] = []
    for at, (op, right) in enumerate(zip(node.ops, node.operands[1:], strict=True), 1):
        rest += [Text(f" {op}"), f.comments.gap(right.span.start, SPACE)]
        rest.append(f.expr(right, SUM, tail=tail or at < len(node.ops)))
    return group(start, indent(*rest))


def _unary(f: Formatter, node: n.Unary, tail: bool) -> Doc:
    if node.op == "not":
        return concat("not ", f.expr(node.operand, NOT, tail=tail))
    return concat(node.op, f.expr(node.operand, FACTOR, tail=tail))


def _access(f: Formatter, node: n.FieldAccess, tail: bool) -> Doc:
    return concat(_base(f, node.base), "?." if node.maybe else ".", node.name)


def _base(f: Formatter, node: n.Expr) -> Doc:
    """What stands before a dot."""
    if isinstance(node, n.Literal) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return f.expr(node, FENCED)
    return f.expr(node, POSTFIX)


def _index(f: Formatter, node: n.Index, tail: bool) -> Doc:
    return concat(f.expr(node.base, POSTFIX), "[", f.expr(node.index, EXPR), "]")


def _slice(f: Formatter, node: n.Slice, tail: bool) -> Doc:
    base = f.expr(node.base, POSTFIX)
    start = f.expr(node.start, EXPR) if node.start else EMPTY
    return concat(base, "[", start, ":", f.expr(node.stop, EXPR) if node.stop else EMPTY, "]")


def _list_expr(f: Formatter, node: n.ListExpr, tail: bool) -> Doc:
    several = len(node.items) > 1
    fill = several and all(isinstance(item, n.Literal) for item in node.items)

    def item(value: n.Expr) -> Doc:
        return f.expr(value, FENCED) if several and isinstance(value, (n.Call, n.Solve)) else f.expr(value, WIDE)

    return f.listed("[", node.items, item, "]", node.span.end, fill=fill)


def _record(f: Formatter, node: n.Record, tail: bool) -> Doc:
    return f.listed("{", node.items, partial(record_item, f), "}", node.span.end)


def record_item(f: Formatter, node: n.RecordField | n.Spread | n.Datum) -> Doc:
    if isinstance(node, n.Spread):
        return concat("...", f.expr(node.value, EXPR))
    if node.short:
        return concat(*_dotted(node.value))
    name = node.name or ""
    bare = isinstance(node, n.RecordField) or not isinstance(node.value, (n.Call, n.Solve))
    value = f.expr(node.value, EXPR) if bare else f.expr(node.value, FENCED)
    return concat(name if is_name(name) else quote(name), ": ", value)


def applied(f: Formatter, node: n.Apply) -> Doc:
    """`f(x)`, `x.f()`"""
    first = node.args[0].value if node.method else None
    if isinstance(first, n.Expr):
        head = concat(_base(f, first), f".{node.name}")
        return concat(head, arguments(f, node.args[1:], node.span.end))
    return concat(node.name, arguments(f, node.args, node.span.end))


def arguments(f: Formatter, args: Sequence[n.Argument], end: int) -> Doc:
    if len(args) == 1 and args[0].name is None:
        lead, written = f.lead(args[0]), _argument(f, args[0])
        if lead is None and _hugged(args[0].value, written):
            return concat("(", written, f.comments.closing(end, EMPTY), ")")
        inside = indent(SOFT, written) if lead is None else indent(lead, HARD, written)
        return group("(", inside, f.comments.closing(end, SOFT), ")")
    return f.listed("(", args, partial(_argument, f), ")", end)


def _argument(f: Formatter, node: n.Argument) -> Doc:
    value = _lambda(f, node.value) if isinstance(node.value, n.Lambda) else f.expr(node.value, EXPR)
    return concat(node.name, "=", value) if node.name else value


def _lambda(f: Formatter, node: n.Lambda) -> Doc:
    names = ", ".join(node.params)
    if KEYWORDS.intersection(node.params):
        return concat(f"lambda {names}: ", f.expr(node.body, EXPR))
    return concat(f"({names})" if len(node.params) > 1 else names, " => ", f.expr(node.body, EXPR))


def _hugged(node: n.Expr | n.Lambda, written: Doc) -> bool:
    """Whether, as the only argument, it takes the lines of the parentheses: `flatten([⏎ … ⏎])`."""
    if isinstance(node, (n.Map, n.Filter)):
        return level(node) == POSTFIX
    if isinstance(node, n.Apply):
        return node.braces
    return isinstance(node, (n.ListExpr, n.Record)) or (isinstance(node, (n.Literal, n.FString)) and written.forced)


def _dotted(node: n.Expr) -> list[str]:
    """`r.a.b` of a short field as its pieces."""
    pieces: list[str] = []
    while isinstance(node, n.FieldAccess):
        pieces = ["." + node.name, *pieces]
        node = node.base
    assert isinstance(node, n.Name)
    return [node.name, *pieces]


EXPRESSIONS: Final[dict[type[n.Expr], Writer]] = {
    n.Name: _name,
    n.Literal: _literal,
    n.FString: _fstring,
    n.Binary: _operators,
    n.Logic: _operators,
    n.Default: _operators,
    n.Compare: _compare,
    n.Unary: _unary,
    n.FieldAccess: _access,
    n.Index: _index,
    n.Slice: _slice,
    n.ListExpr: _list_expr,
    n.Record: _record,
}
