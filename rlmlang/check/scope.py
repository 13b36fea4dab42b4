"""What names stand for, where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import define, field

from rlmlang.syntax.nodes import Expr
from rlmlang.syntax.source import Span
from rlmlang.types import Type

Kind = Literal["input", "binding", "parameter", "given"]


@define(eq=False)
class Variable:
    """A name bound to a value. `value` is the expression it was bound to, where it is one; `reaches`: that expression may reach a model.

    `top`: bound by a statement of the file; `together`: bound by the same `a, b = …`.
    `given` names come from outside (a turn of `solve`), `hidden` says why a name that exists cannot be read here.
    """

    name: str
    type: Type
    span: Span
    kind: Kind
    value: Expr | None = field(default=None, repr=False)
    reaches: bool = False
    top: bool = False
    used: bool = False
    together: tuple[Variable, ...] = ()
    hidden: str | None = None


@define(eq=False)
class Scope:
    """Names of one block, over those of the block around it."""

    parent: Scope | None = field(default=None, repr=False)
    names: dict[str, Variable] = field(factory=dict)

    def find(self, name: str) -> Variable | None:
        scope: Scope | None = self
        while scope is not None:
            if (variable := scope.names.get(name)) is not None:
                return variable
            scope = scope.parent
        return None

    def visible(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent
