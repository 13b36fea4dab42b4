"""Lark's tree -> our nodes, bottom-up and without recursion, counting depth and nodes as they are made.

Each rule of the grammar has one function, named after it, in build_statements.py, build_expressions.py or build_forms.py. It takes the
span and the children (already built) and gives the node, or a plain Python value for the parts that are no node (`clauses`, `with`,
`target` …).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Token, Tree

from rlmlang import limits
from rlmlang.syntax import build_expressions, build_forms, build_statements
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import Diagnostic, Fix
from rlmlang.syntax.source import Source, Span


class Builder:
    """Builds one program. `errors` holds what the grammar lets through but the language does not."""

    def __init__(self, source: Source, comments: tuple[n.Comment, ...]) -> None:
        self.source = source
        self.comments = comments
        self.errors: list[Diagnostic] = []
        self.keys: dict[n.RecordField, Token] = {}  # what stands before the colon
        self.grouped: set[n.Expr] = set()  # expressions that stand in parentheses of their own

    def program(self, tree: Tree[Token]) -> n.Program:
        """The program, or what could be made of it when there are errors."""
        built: dict[int, Any] = {}
        depths: dict[int, int] = {}
        for count, part in enumerate(tree.iter_subtrees()):
            if count > limits.NODES:
                return self._refused(f"the program has more than {limits.NODES:,} parts", Span(self.source, 0, 0))
            depth = max((depths[id(child)] for child in part.children if isinstance(child, Tree)), default=0)
            depth += part.data != "group"  # parentheses leave no node
            if part.data in ("clauses", "short"):  # side by side in the text, but one in the other in the tree
                depth += len(part.children) - 1
            span = self._span(part)
            if depth > limits.TREE_DEPTH:
                return self._refused(f"this is nested more than {limits.TREE_DEPTH} deep", span)
            depths[id(part)] = depth
            children = [built[id(child)] if isinstance(child, Tree) else child for child in part.children]
            built[id(part)] = _RULES[part.data](self, span, children)
        result: n.Program = built[id(tree)]
        return result

    def _refused(self, message: str, span: Span) -> n.Program:
        """A limit was met: no program, and why."""
        self.error("limit", message, span, "bind parts of it to names first, or make it a list and use a built-in (sum, join, any)")
        return n.Program(Span(self.source, 0, len(self.source.text)), self.source, ())

    def _span(self, tree: Tree[Token]) -> Span:
        meta = tree.meta
        return Span(self.source, 0, 0) if meta.empty else Span(self.source, meta.start_pos, meta.end_pos)

    def token_span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def error(self, code: str, message: str, span: Span, hint: str | None = None, fix: Fix | None = None) -> None:
        self.errors.append(Diagnostic(code, message, span, hint=hint, fix=fix))


Rule = Callable[[Builder, Span, list[Any]], Any]
_RULES: dict[str, Rule] = build_statements.RULES | build_expressions.RULES | build_forms.RULES
