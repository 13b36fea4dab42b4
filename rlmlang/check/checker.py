"""The core of inference: what is known so far, and the one way to the type of an expression.

The rules, one for each class of expression, stand in the modules beside this one and register themselves with `rule`. A rule gives
the type of its node and reports what is wrong; after a mistake the type is `unknown`, which fits everywhere, so nothing is said twice.
A level of the tree takes at most four Python frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from rlmlang.check.advice import advice, converted, example, likely, short, whole
from rlmlang.check.checked import Callee, Checked, Function
from rlmlang.check.report import Report
from rlmlang.check.scope import Kind, Scope, Variable
from rlmlang.check.unify import Measure, fits, hull_of_items
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import (
    Apply,
    Block,
    Call,
    Compare,
    Default,
    Expr,
    FieldAccess,
    Fn,
    If,
    Lambda,
    ListExpr,
    Literal,
    Logic,
    Map,
    Name,
    Node,
    Otherwise,
    Program,
    Record,
    RecordField,
    Solve,
    Unary,
)
from rlmlang.syntax.source import Span
from rlmlang.types import BOOL, JSON, NEVER, NONE, TEXT, UNKNOWN, DictOf, Enum, ListOf, Optional, RecordOf, Tuple, Type

Facts = dict[tuple[Variable | str, ...], Type]
Rule = Callable[["Checker", Any], Type]
_RULES: dict[type[Expr], Rule] = {}
_STEPS = 500  # that `conforms` looks at; bindings may refer to bindings without end


def rule(kind: type[Expr]) -> Callable[[Rule], Rule]:
    """Registers the decorated function as the one that types nodes of class `kind`."""

    def register(function: Rule) -> Rule:
        _RULES[kind] = function
        return function

    return register


@define(eq=False)
class Tables:
    """What is found out about nodes: `Checked`'s tables while they grow. `variables` says what each name stands for."""

    types: dict[Node, Type] = field(factory=dict)
    reply_types: dict[Call | Solve, Type] = field(factory=dict)
    callees: dict[Apply | Name, Callee] = field(factory=dict)
    arguments: dict[Apply, tuple[Expr | Lambda | None, ...]] = field(factory=dict)
    effects: set[Node] = field(factory=set)
    functions: dict[Fn, Function] = field(factory=dict)
    modules: dict[str, Program] = field(factory=dict)
    variables: dict[Name, Variable] = field(factory=dict)

    def update(self, other: Tables | Checked) -> None:
        """Adds what is known of other nodes. A checked program says no more what its names stand for: only its lints ask."""
        self.types.update(other.types)
        self.reply_types.update(other.reply_types)
        self.callees.update(other.callees)
        self.arguments.update(other.arguments)
        self.effects.update(other.effects)
        self.functions.update(other.functions)
        self.modules.update(other.modules)
        if isinstance(other, Tables):
            self.variables.update(other.variables)


class Checker:
    """Types the expressions of one file. `standard(name)` gives a function of the standard library, None where there is none."""

    def __init__(self, report: Report, tables: Tables, standard: Callable[[str], Function | None]) -> None:
        self.report = report
        self.tables = tables
        self.standard = standard
        self.scope = Scope()
        self.facts: Facts = {}
        self.variables: list[Variable] = []
        self.types: dict[str, Type] = {}
        self.functions: dict[str, Function] = {}
        self.later: dict[str, Span] = {}  # functions declared further down
        self.later_types: dict[str, Span] = {}
        self.declaring: str | None = None  # the type whose declaration is read
        self.called: set[str] = set()  # declared functions that something calls
        self.cycles: dict[tuple[str, str], tuple[str, ...]] = {}  # caller and callee on a circle of functions -> that circle
        self.redeclarable: set[str] = set()  # functions and types of earlier turns
        self.incomplete = False  # a used file could not be read, so that names may be missing
        self.short: set[Expr] = set()  # fields of records that are named by what they hold
        self.templates: set[Expr] = set()  # texts whose braces are not a forgotten f
        self.current: Function | None = None  # the function whose body this is, with what is known of it
        self.own_calls: list[Apply | Name] = []  # its calls of itself
        self.pairs: set[ListExpr] = set()  # lists of a key and a value, each typed for itself
        self.keys: set[Expr] = set()  # of these, the keys
        self.only: dict[Name, str] = {}  # an unknown name -> the one input that could stand there
        self.reaches = False  # whether what was typed since this was reset may reach a model
        self.trials = 0  # how many folds around this one may be typed twice
        self.measure = Measure()

    # ---- expressions ----

    def infer(self, node: Expr) -> Type:
        """The type of `node`, kept in the tables with whether it may reach a model."""
        outer, self.reaches = self.reaches, False
        found = _RULES[type(node)](self, node)
        if isinstance(found, (ListOf, RecordOf, DictOf, Tuple, Optional)) and self.measure.too_large(found):
            self.error("limit", node.span, "the type of this is too large: too deeply nested, or of too many parts")
            found = UNKNOWN
        self.tables.types[node] = found
        if self.reaches:
            self.tables.effects.add(node)
        self.reaches = outer or self.reaches
        return found

    def infer_in(self, scope: Scope, node: Expr) -> Type:
        """The type of `node` where the names of `scope` stand over those around."""
        outer, self.scope = self.scope, scope
        try:
            return self.infer(node)
        finally:
            self.scope = outer

    def infer_if(self, facts: Facts, node: Expr) -> Type:
        """The type of `node` where a test has shown `facts`."""
        if not facts:
            return self.infer(node)
        outer, self.facts = self.facts, {**self.facts, **facts}
        try:
            return self.infer(node)
        finally:
            self.facts = outer

    def infer_lambda(self, function: Lambda, params: Sequence[Type]) -> Type:
        """The type of a lambda's body, given those of its parameters."""
        outer, self.reaches = self.reaches, False
        scope = self.names_for(function.params, params, function.span)
        found = self.infer_in(scope, function.body)
        self.tables.types[function] = found
        if self.reaches:
            self.tables.effects.add(function)
        self.reaches = outer or self.reaches
        return found

    def condition(self, node: Expr) -> Type:
        """Types `node` as a condition: bool, or a list, dict, text or optional, which count by emptiness."""
        found = self.infer(node)
        if not (found in (BOOL, TEXT, NONE, UNKNOWN, NEVER) or isinstance(found, (Enum, ListOf, DictOf, Tuple, Optional))):
            hint = None
            asked = Fix(node.type.span, "bool", sure=False) if isinstance(node, Call) and node.type is not None else None
            if str(found) in ("int", "float"):
                hint = f"compare it: {short(node)} != 0" if not isinstance(node, Call) else "ask for a bool: call … -> bool; or compare it"
            elif isinstance(found, RecordOf):
                bools = [n for n, t in found.fields if t is BOOL]
                hint = f"test one of its fields: {short(node)}.{bools[0]}" if bools else "test one of its fields"
            message = f"a condition is a bool (or a list, text or optional, by emptiness), not {found}"
            self.error("condition", node.span, message, hint, asked)
        return found

    # ---- names ----

    def bind(self, name: str, type_: Type, span: Span, kind: Kind, value: Expr | None = None) -> Variable:
        reaches = value is not None and value in self.tables.effects
        variable = Variable(name, type_, span, kind, value, reaches=reaches, top=self.scope.parent is None)
        self.scope.names[name] = variable
        self.variables.append(variable)
        return variable

    def names_for(self, names: Sequence[str], types: Sequence[Type], span: Span) -> Scope:
        """A new scope with parameters."""
        scope = Scope(self.scope)
        for name, type_ in zip(names, types, strict=True):
            if name in scope.names and name != "_":
                self.error("duplicate-name", span, f"{name} is used for two things here")
            scope.names[name] = Variable(name, type_, span, "parameter")
        return scope

    def function_named(self, name: str) -> Callee | None:
        """What `name(…)` calls: a declared function, a built-in, or one of the standard library."""
        from rlmlang.builtins import lookup

        declared = self.functions.get(name)
        if declared is not None:
            if declared is not self.current:
                self.called.add(name)
            return declared
        return lookup(name) or self.standard(name)

    # ---- facts: what a test has shown ----

    def path(self, node: Expr) -> tuple[Variable | str, ...] | None:
        """`r.title` as a key of facts: the variable, then the fields."""
        fields: list[str] = []
        while isinstance(node, FieldAccess):
            fields.append(node.name)
            node = node.base
        if not isinstance(node, Name) or (variable := self.scope.find(node.name)) is None:
            return None
        return (variable, *reversed(fields))

    def shown(self, node: Expr, truth: bool) -> Facts:
        """What is known where the condition `node` came out as `truth`."""
        if isinstance(node, Unary) and node.op == "not":
            return self.shown(node.operand, not truth)
        if isinstance(node, Logic):
            if (node.op == "and") != truth:
                return {}
            return {**self.shown(node.left, truth), **self.shown(node.right, truth)}
        if isinstance(node, Compare):
            if len(node.ops) != 1 or node.ops[0] not in ("==", "!="):
                return {}
            left, right = node.operands
            same = (node.ops[0] == "==") == truth
            facts: Facts = {}
            for side, other in ((left, right), (right, left)):
                is_none = isinstance(other, Literal) and other.value is None
                never_none = not isinstance(self.tables.types.get(other, UNKNOWN), Optional) and not is_none
                if (is_none and not same) or (same and never_none and self.tables.types.get(other) not in (NONE, UNKNOWN)):
                    facts.update(self._not_none(side))
            return facts
        return self._not_none(node) if truth else {}

    def _not_none(self, node: Expr) -> Facts:
        facts: Facts = {}
        while isinstance(node, (Name, FieldAccess)):
            type_ = self.tables.types.get(node)
            path = self.path(node)
            if isinstance(type_, Optional) and path is not None:
                facts[path] = type_.item
            if not (isinstance(node, FieldAccess) and node.maybe):
                break
            node = node.base
        return facts

    # ---- what fits ----

    def expect_input(self, node: Node, fits: Callable[[Type], bool]) -> None:
        """Notes of an unknown name which input it can only mean, where a single one is of a type that `fits` takes."""
        if isinstance(node, Name) and self.scope.find(node.name) is None:
            found = [self.scope.find(name) for name in dict.fromkeys(self.scope.visible())]
            inputs = [v.name for v in found if v is not None and v.kind in ("input", "given") and fits(v.type)]
            if len(inputs) == 1:
                self.only[node] = inputs[0]

    def conforms(self, node: Expr | Lambda, given: Type, wanted: Type) -> bool:
        """Whether `node` fits: by its type, or as literal words where some words are wanted, as a literal record where a dict is."""
        return fits(given, wanted) or (_says_more(wanted) and _conforms(self.tables, node, wanted, [_STEPS]))

    def as_dict(self, node: Expr, given: Type) -> DictOf | None:
        """A dict, or a record that the program writes and so has no more fields than its type says, as a dict; None for anything else."""
        if isinstance(given, DictOf):
            return given
        if isinstance(given, RecordOf) and given.fields and not any(isinstance(t, Optional) for _, t in given.fields):
            value = hull_of_items([t for _, t in given.fields])
            if value is not JSON and _conforms(self.tables, node, DictOf(value), [_STEPS]):
                return DictOf(value)
        return None

    def expect(self, node: Expr, given: Type, wanted: Type, message: str, code: str = "type", hint: str | None = None) -> bool:
        """Reports `message` unless `node` fits; says what to do about an optional."""
        if self.conforms(node, given, wanted):
            return True
        if isinstance(given, Optional) and fits(given.item, wanted):
            self.optional_misused(node, given)
        else:
            told = hint or advice(node, given, wanted)
            self.error(code, node.span, message, told, converted(node, given, wanted), likely(node, given, wanted))
        return False

    def optional_misused(self, node: Expr, given: Optional) -> None:
        name = short(node)
        hint = f"give a default: {name} ?? {example(given.item)}, or test it first: if {name} != none"
        default = f"({whole(node)} ?? {example(given.item)})"
        self.error("optional", node.span, f"this may be none: it is {given}", hint, guess=None if "…" in default else default)

    def error(
        self, code: str, span: Span, message: str, hint: str | None = None, fix: Fix | str | None = None, guess: str | None = None
    ) -> None:
        self.report.error(code, span, message, hint, fix, guess)


def _says_more(t: Type) -> bool:
    """Whether a literal may be of the type, though its own type does not fit: words of an enum, a record that stands for a dict."""
    if isinstance(t, (ListOf, Optional)):
        return _says_more(t.item)
    if isinstance(t, RecordOf):
        return any(_says_more(f) for _, f in t.fields)
    return isinstance(t, (Enum, DictOf))


def _conforms(tables: Tables, node: Expr | Lambda, wanted: Type, fuel: list[int]) -> bool:
    fuel[0] -= 1
    if fuel[0] < 0 or isinstance(node, Lambda):
        return False
    if isinstance(node, Literal) and isinstance(node.value, str):
        inner = wanted.item if isinstance(wanted, Optional) else wanted
        return fits(TEXT, inner) or (isinstance(inner, Enum) and node.value in inner.words)
    if fits(tables.types.get(node, UNKNOWN), wanted):
        return True
    if isinstance(node, Name):
        variable = tables.variables.get(node)
        deep = fuel[0] < _STEPS - 60  # long chains of bindings are not followed
        return variable is not None and variable.value is not None and not deep and _conforms(tables, variable.value, wanted, fuel)
    if isinstance(node, If):
        return _conforms(tables, node.then, wanted, fuel) and _conforms(tables, node.orelse, wanted, fuel)
    if isinstance(node, Otherwise):
        return _conforms(tables, node.value, wanted, fuel) and _conforms(tables, node.fallback, wanted, fuel)
    if isinstance(node, Default):
        return fits(tables.types.get(node.left, UNKNOWN), Optional(wanted)) and _conforms(tables, node.right, wanted, fuel)
    if isinstance(node, Block):
        return _conforms(tables, node.value, wanted, fuel)
    if isinstance(wanted, ListOf):
        if isinstance(node, ListExpr):
            return all(_conforms(tables, item, wanted.item, fuel) for item in node.items)
        return isinstance(node, Map) and not node.flatten and _conforms(tables, node.body, wanted.item, fuel)
    if isinstance(wanted, DictOf) and isinstance(node, Record):
        return all(isinstance(part, RecordField) and _conforms(tables, part.value, wanted.value, fuel) for part in node.items)
    if isinstance(wanted, RecordOf) and isinstance(node, Record):
        have: dict[str, Expr] = {}
        for part in node.items:
            if not isinstance(part, RecordField):
                return False
            have[part.name] = part.value
        return all(_conforms(tables, have[n], t, fuel) if n in have else isinstance(t, Optional) for n, t in wanted.fields)
    return False
