"""Which calls of a program may have to be answered before a batched call is asked: the calls upstream of it.

This is worked out on the tree before the run, and generously: what a body, a branch or a variable may wait for counts. It only decides
how long a batch waits for company (batches.py), never whether it goes; so where functions call one another a few rounds are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Function
from rlmlang.run.calls import Site
from rlmlang.run.facts import Facts, Variable, parts
from rlmlang.syntax import nodes as n

_ROUNDS = 4  # until what functions hand to one another has come to rest
Calls = frozenset[n.Node]
_NONE: Calls = frozenset()


def find_upstream(facts: Facts, sites: Mapping[n.Node, Site]) -> None:
    """Sets `upstream` of all sites that batch."""
    if all(site.batch == 1 for site in sites.values()):
        return
    walk = _Walk(facts)
    for _ in range(_ROUNDS):
        before = dict(walk.before)
        walk.program()
        if walk.before == before:
            break
    for node, site in sites.items():
        if site.batch > 1:
            site.upstream = frozenset(sites[call] for call in walk.before.get(node, _NONE) if call in sites and call is not node)


@define(eq=False)
class _Walk:
    """`before[node]`: what may come before a call, or before the body of a function; `inside[variable]`: the calls it is made with."""

    facts: Facts
    before: dict[n.Node, Calls] = field(factory=dict)
    inside: dict[Variable, Calls] = field(factory=dict)
    _below: dict[n.Node, Calls] = field(factory=dict)

    def program(self) -> None:
        """All statements, then the bodies of the functions that were called."""
        checked = self.facts.checked
        for module in (*checked.modules.values(), checked.program):
            for statement in module.statements:
                if isinstance(statement, (n.Bind, n.Unpack)):
                    self.binding(statement, _NONE)
                elif isinstance(statement, (n.Answer, n.Shown)):
                    self.of(statement.value, _NONE)
        for fn in self.facts.functions:
            if fn in self.before:
                self.of(fn.body, self.before[fn])

    def of(self, node: n.Node, before: Calls) -> None:
        """Notes what comes before each call below `node`, which itself comes after `before`."""
        match node:
            case n.Call() | n.Solve():
                self.note(node, before | self.ends(parts(node)))
            case n.Block():
                for binding in node.bindings:
                    self.binding(binding, before)
                self.of(node.value, before)
                return
            case n.Map() | n.Filter() | n.First() | n.Fold() | n.Reduce():
                *first, body = parts(node)
                for part in first:
                    self.of(part, before)
                self.of(body, before | self.ends(first))
                return
            case n.If():
                self.of(node.condition, before)
                for branch in (node.then, node.orelse):
                    self.of(branch, before | self.ends([node.condition]))
                return
            case n.Logic() | n.Default() | n.Otherwise():
                left, right = parts(node)
                self.of(left, before)
                self.of(right, before | self.ends([left]))
                return
            case n.Apply():
                self.apply(node, before)
                return
            case _:
                pass
        for part in parts(node):
            self.of(part, before)

    def apply(self, node: n.Apply, before: Calls) -> None:
        callee = self.facts.checked.callees[node]
        given = self.facts.checked.arguments[node]
        if isinstance(callee, Builtin):
            data = [a for a in given if a is not None and not isinstance(a, n.Lambda)]
            for argument in given:
                if isinstance(argument, n.Lambda):
                    self.of(argument.body, before | self.ends(data))
                elif argument is not None:
                    self.of(argument, before)
            return
        for argument, declared, param in zip(given, callee.node.params, self.facts.facts_of(callee).params, strict=False):
            value = argument if argument is not None else declared.default
            if value is not None:
                self.of(value, before)
                self.inside[param] = self.inside.get(param, _NONE) | self.ends([value])
        self.note(callee.node, before)

    def binding(self, binding: n.Bind | n.Unpack, before: Calls) -> None:
        self.of(binding.value, before)
        ends = self.ends([binding.value])
        for variable in self.facts.bound[binding]:
            self.inside[variable] = self.inside.get(variable, _NONE) | ends

    def note(self, node: n.Node, before: Calls) -> None:
        self.before[node] = self.before.get(node, _NONE) | before

    def ends(self, nodes: Iterable[n.Node]) -> Calls:
        """The calls that must be answered before expressions have their values, perhaps."""
        found = _NONE
        for node in nodes:
            found |= self.below(node)
            for variable in self.facts.mentions(node):
                found |= self.inside.get(variable, _NONE)
        return found

    def below(self, node: n.Node) -> Calls:
        """The calls below an expression, those of functions too."""
        known = self._below.get(node)
        if known is not None:
            return known
        self._below[node] = _NONE  # while it is looked at: a function may call itself
        found = frozenset([node]) if isinstance(node, (n.Call, n.Solve)) else _NONE
        callee = self.facts.checked.callees.get(node) if isinstance(node, (n.Apply, n.Name)) else None
        if isinstance(callee, Function):
            found |= self.below(callee.node.body)
        for part in parts(node):
            found |= self.below(part)
        self._below[node] = found
        return found
