"""What is reached when an expression is evaluated, also through the functions that it calls: places that call a model, and functions."""

from __future__ import annotations

from collections.abc import Mapping

from rlmlang.check.checked import Checked, Function
from rlmlang.run.facts import parts
from rlmlang.run.nesting import nested_depth
from rlmlang.syntax import nodes as n


class Places:
    """Looks at every function of a program once."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._found: dict[n.Node, Mapping[n.Node, int]] = {}
        self._own: dict[n.Fn, tuple[Mapping[n.Node, int], list[n.Fn]]] = {}
        self._functions: dict[n.Node, frozenset[n.Fn]] = {}

    def below(self, node: n.Node) -> Mapping[n.Node, int]:
        """The calls and solves in an expression, and how deep calls are nested in each."""
        known = self._found.get(node)
        if known is not None:
            return known
        found, pending = self._look(node)
        found, seen = dict(found), set(pending)
        while pending:
            fn = pending.pop()
            own = self._own.get(fn)
            if own is None:
                own = self._own[fn] = self._look(fn.body)
            found |= own[0]
            pending += [callee for callee in own[1] if callee not in seen]
            seen.update(own[1])
        self._found[node] = found
        return found

    def functions(self, node: n.Node) -> frozenset[n.Fn]:
        """The functions that are called in an expression, also by others that are."""
        found = self._called(node)
        pending = list(found)
        while pending:
            more = self._called(pending.pop().body) - found
            found |= more
            pending += more
        return found

    def _called(self, node: n.Node) -> frozenset[n.Fn]:
        known = self._functions.get(node)
        if known is None:
            known = frozenset().union(*map(self._called, parts(node)))
            callee = self._checked.callees.get(node) if isinstance(node, (n.Name, n.Apply)) else None
            if isinstance(callee, Function):
                known |= {callee.node}
            self._functions[node] = known
        return known

    def _look(self, node: n.Node) -> tuple[Mapping[n.Node, int], list[n.Fn]]:
        """The places in an expression itself, and the functions that it calls."""
        found: dict[n.Node, int] = {}
        called: dict[n.Fn, None] = {}
        effects, callees = self._checked.effects, self._checked.callees
        pending = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, (n.Name, n.Apply)):
                callee = callees.get(part)
                if isinstance(callee, Function):
                    called[callee.node] = None
            if part in effects:
                if isinstance(part, (n.Call, n.Solve)):
                    found[part] = nested_depth(part)
                pending += parts(part)
        return found, list(called)
