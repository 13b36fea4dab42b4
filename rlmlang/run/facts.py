"""What the evaluator must know of a checked program before it starts: which variable each name means, which variables an expression
mentions, and which it needs in any case (LANGUAGE.md, "Meaning that must hold", point 2).

A variable is *needed* by an expression if every way of evaluating that expression uses it. A needed binding starts as soon as its inputs
are there; one that only some ways use waits until it is asked for. The variables themselves are found by resolve.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Checked, Function
from rlmlang.syntax import nodes as n

Names = dict[str, "Variable"]
Variables = frozenset["Variable"]
_NONE: Variables = frozenset()
STRICT = (  # what reads all of its parts
    n.Literal,
    n.Binary,
    n.FString,
    n.Call,
    n.FieldAccess,
    n.ListExpr,
    n.Record,
    n.Unary,
    n.Index,
    n.Slice,
    n.Fail,
    n.Solve,
)


@define(eq=False)
class Variable:
    """One binding of a name: an input, a bind statement, a parameter, the item of a map.

    `uses` counts the places that read it (one in a body that runs for many items counts twice); `guarded`: at least one of them is where
    `otherwise` would take its failure; `top`: it is bound by a statement of a program or file, so it has one value in a run.
    """

    name: str
    level: int = 0  # how many bodies (of maps, lambdas, functions) it lies in
    uses: int = 0
    guarded: bool = False
    top: bool = False


@define(eq=False)
class FunctionFacts:
    """What is known of a declared function: its parameters as variables, and what its body mentions and needs."""

    function: Function
    params: tuple[Variable, ...] = ()
    mentions: Variables = _NONE  # beside the parameters: what stands above it
    needs: Variables = _NONE
    awaits: Variables = _NONE


@define(eq=False)
class Facts:
    """The tables. `bound[node]` gives the variables that a binding construct introduces, in the order of its names; `inputs` those of the
    program; `given` those that a turn finds bound from outside, which count as inputs, too; `kept` its own bindings at the top, which are
    computed in any case."""

    checked: Checked
    given: dict[str, Variable] = field(factory=dict)
    inputs: set[Variable] = field(factory=set)
    kept: set[n.Node] = field(factory=set)
    takes_failures: bool = False  # whether there is an `otherwise` anywhere
    skips: bool = False  # whether there is an `otherwise skip`, which reports what it drops
    variables: dict[n.Name, Variable] = field(factory=dict)
    bound: dict[n.Node, tuple[Variable, ...]] = field(factory=dict)
    functions: dict[n.Fn, FunctionFacts] = field(factory=dict)
    _mentions: dict[n.Node, Variables] = field(factory=dict)
    _needs: dict[n.Node, Variables] = field(factory=dict)
    _awaits: dict[n.Node, Variables] = field(factory=dict)
    _busy: set[n.Fn] = field(factory=set)
    _done: set[n.Fn] = field(factory=set)

    # ---- mentions ----

    def mentions(self, node: n.Node) -> Variables:
        """The variables from outside that evaluating `node` may read, also through the functions it calls."""
        known = self._mentions.get(node)
        if known is None:
            known = self._mentions[node] = self._find_mentions(node)
        return known

    def _find_mentions(self, node: n.Node) -> Variables:
        if isinstance(node, n.Name):
            callee = self.checked.callees.get(node)
            if callee is None:
                return frozenset((self.variables[node],))
            defaults = () if isinstance(callee, Builtin) else (p.default for p in callee.node.params if p.default is not None)
            return self._function_mentions(callee).union(*map(self.mentions, defaults))
        found: set[Variable] = set()
        for child in parts(node):
            found |= self.mentions(child)
        if isinstance(node, n.Apply):
            callee = self.checked.callees[node]
            found |= self._function_mentions(callee)
            if not isinstance(callee, Builtin):
                for given, param in zip(self.checked.arguments[node], callee.node.params, strict=False):
                    if given is None and param.default is not None:
                        found |= self.mentions(param.default)
        own = self.bound.get(node)
        if own:
            found.difference_update(own)
        if isinstance(node, n.Block):
            for binding in node.bindings:
                found.difference_update(self.bound[binding])
        return frozenset(found)

    def _function_mentions(self, callee: Builtin | Function) -> Variables:
        if isinstance(callee, Builtin):
            return _NONE
        return self.facts_of(callee).mentions

    def facts_of(self, function: Function) -> FunctionFacts:
        """What is known of a function, found out when first asked for."""
        fn = function.node
        facts = self.functions[fn]
        if fn in self._busy or fn in self._done:
            return facts  # busy: it calls itself, and this is what is known so far, improved until it is stable
        self._busy.add(fn)
        own = frozenset(facts.params)
        facts.needs = facts.awaits = own
        while True:
            before = (facts.mentions, facts.needs, facts.awaits)
            self._forget(fn.body)
            facts.mentions = self.mentions(fn.body) - own
            facts.needs, facts.awaits = self.needs(fn.body), self.awaits(fn.body)
            if (facts.mentions, facts.needs, facts.awaits) == before or fn.depth is None:
                break
        self._busy.discard(fn)
        self._done.add(fn)
        return facts

    def _forget(self, node: n.Node) -> None:
        pending = [node]
        while pending:
            part = pending.pop()
            self._mentions.pop(part, None)
            self._needs.pop(part, None)
            self._awaits.pop(part, None)
            pending += parts(part)

    # ---- needs ----

    def needs(self, node: n.Node) -> Variables:
        """The variables that every way of evaluating `node` reads."""
        return self._needed(node, self._needs, True)

    def awaits(self, node: n.Node) -> Variables:
        """Those of them whose failure is the failure of `node`, because no `otherwise` stands between: they may be computed before it."""
        if not self.takes_failures:
            return self._needed(node, self._needs, True)
        return self._needed(node, self._awaits, False)

    def _needed(self, node: n.Node, known: dict[n.Node, Variables], guarded: bool) -> Variables:
        found = known.get(node)
        if found is None:
            found = known[node] = self._find_needed(node, known, guarded)
        return found

    def _find_needed(self, node: n.Node, known: dict[n.Node, Variables], guarded: bool) -> Variables:
        if isinstance(node, n.Name):
            return _NONE if node in self.checked.callees else frozenset((self.variables[node],))
        if isinstance(node, STRICT):
            below = parts(node)
            return frozenset().union(*[self._needed(part, known, guarded) for part in below]) if below else _NONE

        def of(part: n.Node) -> Variables:
            return self._needed(part, known, guarded)

        match node:
            case n.If():
                return of(node.condition) | (of(node.then) & of(node.orelse))
            case n.Logic() | n.Default():
                return of(node.left)
            case n.Otherwise():
                return of(node.value) if guarded else _NONE
            case n.Compare():
                return of(node.operands[0]) | of(node.operands[1])
            case n.Map() | n.Filter():
                body = node.body if isinstance(node, n.Map) else node.condition
                inside = not_empty(node.source) and (guarded or not node.skip)
                rest = of(body) - frozenset(self.bound[node]) if inside else _NONE
                return of(node.source) | rest
            case n.Reduce():
                return of(node.source)
            case n.Fold():
                rest = of(node.body) - frozenset(self.bound[node]) if not_empty(node.source) else _NONE
                return of(node.source) | of(node.initial) | rest
            case n.First():
                return of(node.source) | of(node.count)
            case n.Lambda():
                return _NONE
            case n.Block():
                wanted = of(node.value)
                for binding in reversed(node.bindings):
                    own = frozenset(self.bound[binding])
                    if own & wanted:
                        wanted = (wanted - own) | of(binding.value)
                return wanted
            case n.Apply():
                return self._apply_needs(node, of, guarded)
            case _:
                raise TypeError(f"no expression: {node!r}")

    def _apply_needs(self, node: n.Apply, of: Callable[[n.Node], Variables], guarded: bool) -> Variables:
        callee = self.checked.callees[node]
        given = self.checked.arguments[node]
        found: set[Variable] = set()
        if isinstance(callee, Builtin):
            for argument in given:
                if argument is not None:
                    found |= of(argument)
            return frozenset(found)
        facts = self.facts_of(callee)
        needed = facts.needs if guarded else facts.awaits
        for param, argument, declared in zip(facts.params, given, callee.node.params, strict=False):
            value = argument if argument is not None else declared.default
            if param in needed and value is not None:
                found |= of(value)
        return frozenset(found) | (needed - frozenset(facts.params))


def not_empty(source: n.Expr) -> bool:
    """Whether a list is known to have items before it is computed."""
    return isinstance(source, n.ListExpr) and bool(source.items)


def parts(node: n.Node) -> Sequence[n.Node]:
    """The expressions directly below an expression (of a binding construct, all of them: source, body …), in program order."""
    return _PARTS[type(node)](node)


def _given(*nodes: n.Expr | None) -> list[n.Expr]:
    return [node for node in nodes if node is not None]


def _two(node: n.Binary | n.Logic | n.Default) -> Sequence[n.Node]:
    return (node.left, node.right)


def _asked(node: n.Call | n.Solve) -> Sequence[n.Node]:
    return (node.prompt, *[datum.value for datum in node.data], *[option.value for option in node.options])


# by the type of a node, and not by `match`, which would ask for one type after the other: everything that looks at a program asks this
_PARTS: dict[type[n.Node], Callable[[Any], Sequence[n.Node]]] = {
    n.Literal: lambda node: (),
    n.Name: lambda node: (),
    n.FString: lambda node: [piece.value for piece in node.parts if not isinstance(piece, str)],
    n.ListExpr: lambda node: node.items,
    n.Record: lambda node: [item.value for item in node.items],
    n.Unary: lambda node: (node.operand,),
    n.Binary: _two,
    n.Logic: _two,
    n.Default: _two,
    n.Compare: lambda node: node.operands,
    n.Index: lambda node: (node.base, node.index),
    n.Slice: lambda node: (node.base, *_given(node.start, node.stop)),
    n.FieldAccess: lambda node: (node.base,),
    n.Lambda: lambda node: (node.body,),
    n.Apply: lambda node: [argument.value for argument in node.args],
    n.Block: lambda node: [*[binding.value for binding in node.bindings], node.value],
    n.If: lambda node: (node.condition, node.then, node.orelse),
    n.Otherwise: lambda node: (node.value, node.fallback),
    n.Fail: lambda node: (node.message,),
    n.Call: _asked,
    n.Solve: _asked,
    n.Map: lambda node: (node.source, node.body),
    n.Filter: lambda node: (node.source, node.condition),
    n.Reduce: lambda node: (node.source, *_given(node.initial), node.body),
    n.Fold: lambda node: (node.source, node.initial, node.body),
    n.First: lambda node: (node.source, node.count, node.condition),
}


def weight_of(body: n.Node) -> int:
    """How many nodes one evaluation of a body visits, roughly: what pure code is counted by."""
    return 1 + sum(weight_of(part) for part in parts(body))
