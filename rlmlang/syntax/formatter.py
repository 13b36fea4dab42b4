"""Tree -> text in the one canonical layout: two columns a block, lines of at most 100 columns where that is possible, double quotes,
parentheses only where the grammar needs them. The author keeps: comments, single blank lines between statements, block or
comprehension, method or function, triple quotes, short fields.

Parsing what it writes gives the same tree, and formatting that gives the same text. It does not: sort, rename, or change a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import frozen

from rlmlang.syntax import nodes as n
from rlmlang.syntax.comments import Comments
from rlmlang.syntax.format_expressions import EXPRESSIONS
from rlmlang.syntax.format_forms import FORMS
from rlmlang.syntax.layout import EMPTY, HARD, SOFT, SPACE, Doc, Fill, Group, Indent, Text, concat, group, headed, indent, render, separated
from rlmlang.syntax.precedence import EXPR, WIDE, is_form, leftmost, level
from rlmlang.syntax.strings import is_name, quote

WIDTH: Final = 100
_N = TypeVar("_N", bound=n.Node)
_STATEMENT_WORDS = frozenset({"input", "type", "use", "fn", "answer"})
_WRITERS: Final = EXPRESSIONS | FORMS


def format_program(program: n.Program) -> str:
    """The program's canonical text, ending in a newline (empty for an empty program)."""
    return Formatter(program).program(program)


def format_expression(node: n.Expr) -> str:
    """An expression's, or a block's, canonical text, without comments."""
    formatter = Formatter(n.Program(node.span, node.span.source, ()))
    return render(formatter.block(node) if isinstance(node, n.Block) else formatter.expr(node, WIDE), math.inf)


@frozen
class Braces:
    """A block's inside: the comments after the brace, the bindings and the value, the comments before the closing brace."""

    lead: Doc | None
    inside: Doc
    trail: Doc | None

    def doc(self, line: Doc) -> Doc:
        inside = indent(line, self.inside) if self.lead is None else indent(self.lead, HARD, self.inside)
        return concat("{", inside, line if self.trail is None else concat(Indent(self.trail), HARD), "}")

    @property
    def forced(self) -> bool:
        return self.lead is not None or self.inside.forced or self.trail is not None


class Formatter:
    """One run over one tree, in the order of the text, so that comments are met where they stood."""

    def __init__(self, program: n.Program) -> None:
        self.comments = Comments(program)
        self.marks = ['"']  # the quotes wanted for texts, by nesting in f-strings
        self._fenced: set[n.Expr] = set()  # names that need parentheses, as a statement would start there

    # ---- statements ----

    def program(self, program: n.Program) -> str:
        lines = self._sequence(program.statements)
        for comment in self.comments.take(len(program.source.text) + 1):
            lines += self._own_line(comment, first=not lines)
        text = render(concat(*lines), WIDTH).rstrip("\n")
        return text + "\n" if text else ""

    def _own_line(self, comment: n.Comment, *, first: bool) -> list[Doc]:
        """A comment between statements, with the blank line above it."""
        blank = not first and self.comments.blank_before(comment.span.start)
        return [HARD, Text(comment.text), HARD] if blank else [Text(comment.text), HARD]

    def _sequence(self, statements: Sequence[n.Statement | n.Expr]) -> list[Doc]:
        """Statements, or a block's bindings and value, each with its comments and a line break after it."""
        lines: list[Doc] = []
        for at, statement in enumerate(statements):
            start = statement.span.start
            for comment in self.comments.take(start):
                lines += self._own_line(comment, first=not lines)
            if at and isinstance(statement, n.Expr):  # whose span leaves out its parentheses
                start = self.comments.skip_space(statements[at - 1].span.end)
            if lines and self.comments.blank_before(start):
                lines.append(HARD)
            lines.append(self._statement(statement))
            if not isinstance(statement, n.Expr):  # those after a value belong to its block
                lines.append(self.comments.rest_of_line(statement.span.end))
            lines.append(HARD)
        return lines

    def _statement(self, node: n.Statement | n.Expr) -> Doc:
        if isinstance(node, n.Bind):
            return headed(f"{node.name} =", self.lead(node.value), self.expr(node.value, WIDE))
        if isinstance(node, n.Unpack):
            return headed(f"{', '.join(node.names)} =", self.lead(node.value), self.expr(node.value, WIDE))
        if isinstance(node, n.Answer):
            return headed("answer", self.lead(node.value), self.expr(node.value, WIDE))
        if isinstance(node, n.Shown):
            return self._starting(node.value)
        if isinstance(node, n.Input):
            return concat("input ", self._declared(node, WIDE))
        if isinstance(node, n.TypeDef):
            return headed(f"type {node.name} =", self.lead(node.type), self.type_(node.type))
        if isinstance(node, n.Use):
            return concat("use ", quote(node.path))
        if isinstance(node, n.Fn):
            return self._fn(node)
        return self._starting(node)

    def lead(self, node: n.Node) -> Doc | None:
        """The comments before a node."""
        return self.comments.doc(node.span.start)

    def _declared(self, node: n.Input | n.Param, loosest: int) -> Doc:
        """`name: type = default`"""
        type_ = self.type_(node.type)
        default = concat(" = ", self.expr(node.default, loosest)) if node.default else EMPTY
        return concat(f"{node.name}: ", type_, default)

    def _fn(self, node: n.Fn) -> Doc:
        end = self.comments.closer(node.params[-1].span.end, ")") if node.params else node.name_span.end
        params = self.listed("(", node.params, lambda param: self._declared(param, EXPR), ")", end)
        result = concat(" -> ", self.type_(node.result)) if node.result else EMPTY
        depth = "" if node.depth is None else f" depth {node.depth}"
        return concat(f"fn {node.name}", params, result, depth, " ", self.block(node.body))

    def _starting(self, value: n.Expr) -> Doc:
        """An expression where a statement may start: a name such as `type` in front would be taken for one."""
        first = leftmost(value)
        if isinstance(first, (n.Name, n.Apply)) and first.name in _STATEMENT_WORDS:
            self._fenced.add(first)
        return self.expr(value, WIDE)

    # ---- brackets and blocks ----

    def listed(self, left: str, nodes: Sequence[_N], write: Callable[[_N], Doc], right: str, end: int, *, fill: bool = False) -> Doc:
        """Items with commas between, on one line or one a line. `end` is the offset before which comments stand inside."""
        places: list[Doc] = []
        items: list[Doc] = []
        for node in nodes:
            places.append(self.comments.gap(node.span.start, SPACE if places else SOFT))
            items.append(write(node))
        close = self.comments.closing(end, SOFT if nodes else EMPTY)
        if fill and not any(place.forced for place in places):
            return group(left, indent(SOFT, Fill(tuple(items))), close, right)
        parts = [part for place, item in zip(places, items, strict=True) for part in (Text(","), place, item)][1:]
        return group(left, Indent(concat(*parts)), close, right)

    def block(self, body: n.Expr) -> Doc:
        return Group(self.braces(body).doc(SPACE))

    def braces(self, body: n.Expr) -> Braces:
        if isinstance(body, n.Block):
            lead: Doc | None = self.comments.tail(body.bindings[0].span.start)
            inside = concat(*self._sequence([*body.bindings, body.value])[:-1])
            value = body.value
        else:
            lead = self.comments.doc(body.span.start)
            inside, value = self._starting(body), body
        return Braces(lead, inside, self.comments.doc(self.comments.closer(value.span.end, "}")))

    # ---- expressions and types ----

    def expr(self, node: n.Expr, loosest: int, *, tail: bool = False) -> Doc:
        """An expression where only what holds together at least as tightly as `loosest` may stand bare. `tail`: something follows that a
        form at the right end (`call "a"`, `fail "b"`) would take as its own."""
        if level(node) < loosest or (tail and is_form(node)) or node in self._fenced:
            return group("(", indent(SOFT, _WRITERS[type(node)](self, node, False)), SOFT, ")")
        return _WRITERS[type(node)](self, node, tail)

    def type_(self, node: n.TypeExpr) -> Doc:
        if isinstance(node, n.NamedType):
            return Text(node.name)
        if isinstance(node, n.ListType):
            return concat("[", self.type_(node.item), "]" if node.most is None else f"; {node.most}]")
        if isinstance(node, n.RecordType):
            names = {id(type_): name for name, type_ in node.fields}
            return self.listed(
                "{", [type_ for _, type_ in node.fields], lambda type_: self._named_type(names[id(type_)], type_), "}", node.span.end
            )
        if isinstance(node, n.DictType):
            return concat("dict[", self.type_(node.key), ", ", self.type_(node.value), "]")
        if isinstance(node, n.EnumType):
            return _union([quote(word) for word in node.words])
        if isinstance(node.item, n.EnumType) and len(node.item.words) > 1:
            return _union([*map(quote, node.item.words), "none"])
        return concat(self.type_(node.item), "?")

    def _named_type(self, name: str, type_: n.TypeExpr) -> Doc:
        return concat(name if is_name(name) else quote(name), ": ", self.type_(type_))


def _union(words: Sequence[str]) -> Doc:
    return group(indent(separated([Text(word) for word in words], concat(" |", SPACE))))
