"""Which variable each name of a checked program means, and how often and where it is read."""

from __future__ import annotations

from attrs import define

from rlmlang.check.checked import Checked
from rlmlang.run.facts import STRICT, Facts, FunctionFacts, Names, Variable, parts
from rlmlang.syntax import nodes as n


def resolve(checked: Checked) -> tuple[Facts, Names]:
    """The facts of a checked program, and the variables of its inputs by name. In a turn, functions and bindings of those before it keep
    their places: a function sees what stood above it."""
    facts = Facts(checked)
    resolver = _Resolver(facts)
    for module in checked.modules.values():
        resolver.program(module, {})
    facts.given = {name: Variable(name) for name in checked.given}
    names = dict(facts.given)
    for earlier in checked.before:
        resolver.declarations(earlier, names)
    inputs = resolver.program(checked.program, names)
    facts.inputs = {*inputs.values(), *facts.given.values()}
    if checked.turn:
        for statement in checked.program.statements:
            if isinstance(statement, (n.Bind, n.Unpack)):
                facts.kept.add(statement)
                for variable in facts.bound[statement]:
                    variable.uses += 2  # whoever goes on from this turn: computed in any case, as a whole
                    variable.guarded = False
    return facts, inputs


@define(eq=False)
class _Resolver:
    facts: Facts
    level: int = 0
    guards: int = 0

    def declarations(self, program: n.Program, names: Names) -> None:
        """What a turn before this one declared: its values are known."""
        for statement in program.statements:
            match statement:
                case n.Bind() | n.Unpack():
                    self.bind(statement, (statement.name,) if isinstance(statement, n.Bind) else statement.names, names)
                case n.Fn():
                    self.function(statement, names)
                case _:
                    pass

    def program(self, program: n.Program, names: Names) -> Names:
        inputs: Names = {}
        for statement in program.statements:
            match statement:
                case n.Input():
                    if statement.default is not None:
                        self.expr(statement.default, names)
                    (variable,) = self.bind(statement, (statement.name,), names)
                    inputs[statement.name] = variable
                    variable.top = True
                case n.Bind() | n.Unpack():
                    self.binding(statement, names)
                    for variable in self.facts.bound[statement]:
                        variable.top = True
                case n.Fn():
                    self.function(statement, names)
                case n.Answer() | n.Shown():
                    self.expr(statement.value, names)
                case _:
                    pass
        return inputs

    def function(self, fn: n.Fn, names: Names) -> None:
        for param in fn.params:
            if param.default is not None:
                self.expr(param.default, names)
        inner = dict(names)
        params = self.bind(fn, tuple(p.name for p in fn.params), inner)
        function = self.facts.checked.functions.get(fn)
        if function is None:
            return  # nothing calls it
        self.facts.functions[fn] = FunctionFacts(function, params)
        self.level += 1
        self.guards += 1  # it may be called where `otherwise` takes what fails
        self.expr(fn.body, inner)
        self.level -= 1
        self.guards -= 1

    def bind(self, node: n.Node, written: tuple[str, ...], names: Names) -> tuple[Variable, ...]:
        variables = tuple(Variable(name, level=self.level) for name in written)
        names.update(zip(written, variables, strict=True))
        self.facts.bound[node] = variables
        return variables

    def binding(self, node: n.Bind | n.Unpack, names: Names) -> None:
        self.expr(node.value, names)
        self.bind(node, (node.name,) if isinstance(node, n.Bind) else node.names, names)

    def expr(self, node: n.Node, names: Names) -> None:
        if isinstance(node, STRICT):
            for part in parts(node):
                self.expr(part, names)
            return
        match node:
            case n.Name():
                if node not in self.facts.checked.callees:
                    variable = names[node.name]
                    variable.uses += 2 if self.level > variable.level else 1
                    variable.guarded |= self.guards > 0
                    self.facts.variables[node] = variable
            case n.Block():
                inner = dict(names)
                for binding in node.bindings:
                    self.binding(binding, inner)
                self.expr(node.value, inner)
            case n.Otherwise():
                self.facts.takes_failures = True
                self.guards += 1
                self.expr(node.value, names)
                self.guards -= 1
                self.expr(node.fallback, names)
            case n.Map():
                self.expr(node.source, names)
                written = node.target if node.position is None else (*node.target, node.position)
                self.facts.takes_failures |= node.skip
                self.facts.skips |= node.skip
                self.guards += node.skip
                self.inside(node, written, node.body, names)
                self.guards -= node.skip
            case n.Filter():
                self.expr(node.source, names)
                self.facts.takes_failures |= node.skip
                self.facts.skips |= node.skip
                self.guards += node.skip
                self.inside(node, node.target, node.condition, names)
                self.guards -= node.skip
            case n.Reduce():
                self.expr(node.source, names)
                if node.initial is not None:
                    self.expr(node.initial, names)
                self.inside(node, (node.left, node.right), node.body, names)
            case n.Fold():
                self.expr(node.source, names)
                self.expr(node.initial, names)
                self.inside(node, (node.accumulator, node.item), node.body, names)
            case n.First():
                self.expr(node.source, names)
                self.expr(node.count, names)
                self.inside(node, (node.item,), node.condition, names)
            case n.Lambda():
                self.inside(node, node.params, node.body, names)
            case _:
                for part in parts(node):
                    self.expr(part, names)

    def inside(self, node: n.Node, written: tuple[str, ...], body: n.Expr, names: Names) -> None:
        self.level += 1
        inner = dict(names)
        self.bind(node, written, inner)
        self.expr(body, inner)
        self.level -= 1
