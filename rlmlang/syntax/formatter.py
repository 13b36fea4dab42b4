"""Tree -> text in the one canonical layout: two columns a block, lines of at most 100 columns where that is possible, double quotes, parentheses
only where the grammar needs them. The author keeps: comments, single blank lines between statements, block or comprehension, method or
function, triple quotes, short fields.

Parsing what it writes gives the same tree, and formatting that gives the same text. It does not: sort, rename, or change a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from rlmlang.syntax import nodes as n
from rlmlang.syntax.comments import Comments
from rlmlang.syntax.layout import EMPTY, HARD, SOFT, SPACE, Choice, Doc, Fill, Group, Indent, Text, concat, group, indent, render, separated
from rlmlang.syntax.strings import escape, opening_of, quote, requoted, respell, usual_mark

WIDTH: Final = 100
# how tightly each kind of expression holds together: the rules of the grammar, loosest first
_WIDE, _EXPR, _CHOICE, _TEST, _OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _FACTOR, _POWER, _OPERAND, _POSTFIX = range(14)
_OPERATORS = {"+": _SUM, "-": _SUM, "*": _TERM, "/": _TERM, "//": _TERM, "%": _TERM, "**": _POWER, "or": _OR, "and": _AND}
_STATEMENT_WORDS = frozenset({"input", "type", "use", "fn", "answer"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_Form = n.Call | n.Solve | n.Map | n.Filter | n.Reduce | n.Fold | n.First | n.Fail


def format_program(program: n.Program) -> str:
    """The program's canonical text, ending in a newline (empty for an empty program)."""
    return _Formatter(program).program(program)


class _Formatter:
    """One run over one tree, in the order of the text, so that comments are met where they stood."""

    def __init__(self, program: n.Program) -> None:
        self._comments = Comments(program)
        self._marks = ['"']  # the quotes wanted for texts, by nesting in f-strings
        self._fenced: set[n.Expr] = set()  # names that need parentheses, as a statement would start there

    # ---- statements ----

    def program(self, program: n.Program) -> str:
        body = self._sequence(program.statements)
        left = self._comments.take(len(program.source.text) + 1)
        last = concat(*(concat(*self._own_line(c, first=i == 0 and body is EMPTY), HARD) for i, c in enumerate(left)))
        text = render(concat(body, HARD, last) if left and body is not EMPTY else concat(body, last), WIDTH).rstrip("\n")
        return text + "\n" if text else ""

    def _own_line(self, comment: n.Comment, *, first: bool) -> list[Doc]:
        """A comment between statements, with the blank line above it."""
        blank = not first and self._comments.blank_before(comment.span.start)
        return [HARD, Text(comment.text)] if blank else [Text(comment.text)]

    def _sequence(self, statements: Sequence[n.Statement | n.Expr]) -> Doc:
        """Statements (of a block: bindings and the value) on lines of their own."""
        parts: list[Doc] = []
        for statement in statements:
            start = statement.span.start
            for comment in self._comments.take(start):
                parts += [*self._own_line(comment, first=not parts), HARD]
            if parts and self._comments.blank_before(start):
                parts.append(HARD)
            parts.append(self._statement(statement))
            if statement is not statements[-1] or not isinstance(statement, n.Expr):
                parts.append(self._comments.rest_of_line(statement.span.end))
            parts.append(HARD)
        return concat(*parts[:-1]) if parts else EMPTY

    def _statement(self, node: n.Statement | n.Expr) -> Doc:
        if isinstance(node, n.Bind):
            return self._bound(node.name, node.value)
        if isinstance(node, n.Unpack):
            return self._bound(", ".join(node.names), node.value)
        if isinstance(node, n.Answer):
            return self._after("answer", node.value)
        if isinstance(node, n.Shown):
            return self._starting(node.value)
        if isinstance(node, n.Input):
            return concat("input ", self._declared(node, _WIDE))
        if isinstance(node, n.TypeDef):
            return concat(f"type {node.name} = ", self._type(node.type))
        if isinstance(node, n.Use):
            return concat("use ", quote(node.path))
        if isinstance(node, n.Fn):
            params = self._bracketed("(", [(p.span.start, lambda p=p: self._declared(p, _EXPR)) for p in node.params], ")", None)
            result = concat(" -> ", self._type(node.result)) if node.result else EMPTY
            depth = f" depth {node.depth}" if node.depth is not None else ""
            return concat(f"fn {node.name}", params, result, depth, " ", self._block(node.body))
        return self._starting(node)

    def _bound(self, names: str, value: n.Expr) -> Doc:
        return self._after(f"{names} =", value)

    def _after(self, head: str, value: n.Expr) -> Doc:
        comments = self._comments.doc(value.span.start)
        if comments is None:
            return concat(head, " ", self._expr(value, _WIDE))
        return concat(head, indent(comments, HARD, self._expr(value, _WIDE)))

    def _declared(self, node: n.Input | n.Param, level: int) -> Doc:
        """`name: type = default`"""
        default = concat(" = ", self._expr(node.default, level)) if node.default else EMPTY
        return concat(f"{node.name}: ", self._type(node.type), default)

    def _starting(self, value: n.Expr) -> Doc:
        """An expression where a statement may start: a name such as `type` in front would be taken for one."""
        first = value
        while (inner := _leftmost(first)) is not None:
            first = inner
        if isinstance(first, (n.Name, n.Apply)) and first.name in _STATEMENT_WORDS:
            self._fenced.add(first)
        return self._expr(value, _WIDE)

    def _block(self, body: n.Expr) -> Doc:
        lead, value, trail = self._block_parts(body)
        return Group(_braced(lead, value, trail, SPACE))

    def _block_parts(self, body: n.Expr) -> tuple[Doc | None, Doc, Doc | None]:
        """The comments after the brace, what is inside, the comments before the closing brace."""
        if not isinstance(body, n.Block):
            lead = self._comments.doc(body.span.start)
            inside = self._starting(body)
            return lead, inside, self._comments.doc(self._comments.after_brace(body.span.end))
        # only a comment on the brace's own line stays there; the others belong to the first binding
        newline = self._comments.line_end(body.span.start)
        lead = self._comments.doc(min(newline, body.bindings[0].span.start))
        inside = concat(self._sequence([*body.bindings, body.value]), Text(""))
        return lead, concat(inside, _FORCED), self._comments.doc(self._comments.after_brace(body.value.span.end))
