"""What the checker finds out: tables beside the tree, keyed by its nodes."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from rlmlang.builtins.declare import Builtin
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.syntax.nodes import Apply, Call, Expr, Fn, Input, Lambda, Name, Node, Program, Solve
from rlmlang.types import Optional, Type


@frozen(eq=False)
class Function:
    """A declared function: of this program, of a file it uses, or of the standard library. `effectful`: its body may reach a model."""

    node: Fn
    params: tuple[tuple[str, Type], ...]
    result: Type
    effectful: bool
    library: bool = False


Callee = Builtin | Function


@frozen(eq=False)
class InputVariable:
    """A declared input."""

    name: str
    type: Type
    node: Input

    @property
    def optional(self) -> bool:
        """Whether it may be left out: it has a default, or it is none then."""
        return self.node.default is not None or isinstance(self.type, Optional)


@frozen(eq=False)
class Checked:
    """A program with what is known of it. Usable for running only when `errors` is empty.

    types           every expression (and lambda: what it gives), in function bodies (of used files and the standard library, too) as well
    reply_types     the type that each `call` or `solve` asks for
    callees         what each `f(…)` calls; also what a bare name calls where it stands for a function (`sorted(xs, key=len)`)
    arguments       for each `f(…)`, the argument of each parameter in order, None where the default is taken; a variadic's are appended
    effects         the expressions and lambdas whose evaluation may reach a model (a name is not one: its binding is)
    modules         the programs of `use`d files and of the standard library that are needed, by path or name
    result          the type of the answer, or of the expression shown
    names           what is bound at the end of the file, with types; declared_functions, declared_types: likewise
    turn            whether it is one of several programs that follow one another (see Turn): given are the names bound from outside, before
                    the programs before it

    `a and b`, `a or b` of type bool give a truth value; of any other type the value of the side that decided, as in Python.
    """

    program: Program
    diagnostics: tuple[Diagnostic, ...]
    types: Mapping[Node, Type] = field(repr=False)
    reply_types: Mapping[Call | Solve, Type] = field(repr=False)
    callees: Mapping[Apply | Name, Callee] = field(repr=False)
    arguments: Mapping[Apply, tuple[Expr | Lambda | None, ...]] = field(repr=False)
    effects: frozenset[Node] = field(repr=False)
    functions: Mapping[Fn, Function] = field(repr=False)
    modules: Mapping[str, Program] = field(repr=False)
    inputs: tuple[InputVariable, ...] = ()
    result: Type | None = None
    names: Mapping[str, Type] = field(factory=dict, repr=False)
    declared_functions: Mapping[str, Function] = field(factory=dict, repr=False)
    declared_types: Mapping[str, Type] = field(factory=dict, repr=False)
    turn: bool = False
    given: Mapping[str, Type] = field(factory=dict)
    before: tuple[Program, ...] = field(default=(), repr=False)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "warning")


@frozen(eq=False)
class Turn:
    """One program of several that follow one another (`solve`, the repl): `input` and `use` are refused, every top-level binding is needed.

    `names` are bound from outside (the datum of `solve`); `earlier` is the turn before, whose bindings, functions and types are in scope,
    and may be declared anew.
    """

    names: Mapping[str, Type] = field(factory=dict)
    earlier: Checked | None = None
