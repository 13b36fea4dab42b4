"""Warnings about programs that are right but will cost more, or do less, than their writer thinks.

They are few and sure rather than many: a warning that is wrong teaches people to ignore them. Functions of used files and of the
standard library are not looked at.
"""

from __future__ import annotations

import re
from typing import Final

from rlmlang.check.advice import short
from rlmlang.check.checked import Function
from rlmlang.check.checker import Checker, Tables
from rlmlang.check.report import Report
from rlmlang.check.scope import Variable
from rlmlang.syntax.nodes import (
    Apply,
    Bind,
    Block,
    Call,
    Default,
    Expr,
    FieldAccess,
    Filter,
    First,
    Fn,
    Fold,
    FString,
    If,
    Interpolation,
    Lambda,
    ListType,
    Literal,
    Map,
    Name,
    Node,
    Otherwise,
    Program,
    RecordType,
    Reduce,
    Slice,
    Solve,
    Unary,
)
from rlmlang.syntax.walk import Loop, children, names_and_body, walk
from rlmlang.types import FILE, FLOAT, INT, TEXT, ListOf, Tuple, Type

_LINKS: Final = 20  # bindings followed to find out where a value comes from
_PLAIN_WORK: Final = (
    (
        re.compile(r"\b(how many|count (the|how|all|up|these)|number of (items|entries|lines|rows|elements))\b", re.I),
        "count",
        "len(xs), or len([x for x in xs if …])",
    ),
    (
        re.compile(r"(?<!what )(?<!some )(?<!any )(?<!which )(?<!this )\b(sort(?! of)|alphabetically)\b", re.I),
        "sort",
        "sorted(xs, key=x => …)",
    ),
    (
        re.compile(r"\b(add up|sum (of|up)|total of|calculate the (sum|total|average)|average of)\b", re.I),
        "add up",
        "sum(x.n for x in xs) or mean(…)",
    ),
)
# an order or a sum that only a reader can tell
_JUDGEMENT: Final = re.compile(r"\bby (how|import|relev|qual|urg|sever|simil|prior|inter|topic|mean|senti|theme|categor)", re.I)


# ---- what nothing uses ----


def unused(c: Checker, program: Program, *, turn: bool) -> None:
    """Bindings, inputs and functions that nothing uses. In a `turn` all that stands at the top is needed."""
    for variable in c.variables:
        if variable.used or variable.name.startswith("_") or (turn and variable.top):
            continue
        if variable.kind == "input":
            c.report.warn("unused-input", variable.span, f"nothing uses the input {variable.name}", "leave it out, or use it")
        elif (
            variable.kind == "binding" and not any(v.used for v in variable.together) and variable in (variable.together or (variable,))[:1]
        ):
            _unused_binding(c.report, variable)
    if turn or all(isinstance(s, Fn) or type(s).__name__ in ("TypeDef", "Use") for s in program.statements):
        return
    for statement in program.statements:
        if isinstance(statement, Fn) and statement.name not in c.called and not statement.name.startswith("_"):
            c.report.warn(
                "unused-function", statement.name_span, f"nothing calls the function {statement.name}", "leave it out, or call it"
            )


def _unused_binding(report: Report, variable: Variable) -> None:
    name = variable.name
    if variable.reaches:
        message = f"nothing uses {name}, so this model call is never made"
        report.warn("unused-call", variable.span, message, f"use it in the answer: answer {name}")
    else:
        report.warn("unused-binding", variable.span, f"nothing uses {name}, so it is never evaluated", "leave it out, or use it")


# ---- what costs more than it need ----


def lint(program: Program, tables: Tables, report: Report) -> None:
    """All other warnings, for the program's own text."""
    linter = _Linter(tables, report)
    linter.batches(program)
    for node in walk(program):
        if isinstance(node, (Map, Filter, Fold, Reduce, First)):
            linter.loop(node)
        elif isinstance(node, Call):
            linter.call(node)
        elif isinstance(node, Solve):
            linter.data(node)
        elif isinstance(node, Lambda):
            linter.repeated(node.body, set(node.params), node.params[0] if node.params else "_")


class _Linter:
    def __init__(self, tables: Tables, report: Report) -> None:
        self.tables = tables
        self.report = report
        self._free: dict[Node, frozenset[str]] = {}

    # ---- loops ----

    def loop(self, node: Loop) -> None:
        names, body = names_and_body(node)
        if body not in self.tables.effects:
            return
        self.repeated(body, names, next(iter(sorted(names)), "_"))
        if not isinstance(node, (Map, Filter)):
            return
        self.per_line(node)
        self.per_pair(node, body)
        self.unbounded(node)

    def repeated(self, body: Expr, names: set[str], item: str) -> None:
        """A call inside that depends on nothing of the item: it is the same call each time."""
        if body not in self.tables.effects:
            return
        pending: list[tuple[Node, frozenset[str]]] = [(body, frozenset(names))]
        while pending:
            node, varying = pending.pop()
            if isinstance(node, (Map, Filter, Fold, Reduce, First)):
                # inner loops answer for their own bodies; where their items vary with ours, so does what is inside
                _inner, inner_body = names_and_body(node)
                outside = [n for n in children(node) if n is not inner_body]
                varies = any(self.free(n) & varying for n in outside)
                pending += [(n, varying) for n in outside]
                if not varies and not self.free(inner_body) & varying and inner_body in self.tables.effects:
                    self._same_each_time(node, item)
                continue
            if isinstance(node, Lambda):
                continue
            if self._asks(node) and not self.free(node) & varying:
                self._same_each_time(node, item)
                continue
            if isinstance(node, Block):
                for binding in node.bindings:
                    pending.append((binding.value, varying))
                    bound = {binding.name} if isinstance(binding, Bind) else set(binding.names)
                    varying = varying | bound if self.free(binding.value) & varying else varying - bound
                pending.append((node.value, varying))
                continue
            pending += [(child, varying) for child in children(node)]

    def _asks(self, node: Node) -> bool:
        if isinstance(node, Apply):
            callee = self.tables.callees.get(node)
            return isinstance(callee, Function) and callee.effectful
        return isinstance(node, (Call, Solve))

    def _same_each_time(self, node: Node, item: str) -> None:
        message = f"this does not depend on {item}: it is the same call for every item, and asked once"
        self.report.warn("same-call", node.span, message, "bind it before, or tell the calls apart: with {sample: i}")

    def per_line(self, node: Map | Filter) -> None:
        source, chosen = self.origin(node.source), False
        while isinstance(source, Filter):
            source, chosen = self.origin(source.source), True
        if isinstance(source, Apply) and source.name == "lines" and source.args and isinstance(source.args[0].value, Expr):
            text = self.origin(source.args[0].value)
            of_file = isinstance(text, FieldAccess) and text.name == "text" and self.type_of(text.base) is FILE
            variable = self.tables.variables.get(text) if isinstance(text, Name) else None
            given = (
                variable is not None and variable.kind == "input" and not chosen
            )  # a text whose lines are looked at first may well be a list
            if of_file or given:
                name = short(source.args[0].value)
                hint = f"ask about larger pieces: chunks({name}, 4000), or batch(lines({name}), 20)"
                self.report.warn("call-per-line", node.source.span, "this makes a call for every line", hint)

    def per_pair(self, node: Map | Filter, body: Expr) -> None:
        source = self.origin(node.source)
        hint = "compare each with a few: windows(xs, 2), search, rank or tournament; or group them first"
        if isinstance(source, Apply) and source.name == "pairs":
            self.report.warn("call-per-pair", node.source.span, "this makes a call for every pair: n (n - 1) / 2 of them", hint)
            return
        outer = self.root(node.source)
        while isinstance(body, (Block, Otherwise)):
            body = body.value
        if outer is None or not isinstance(body, (Map, Filter)):
            return
        inner: Expr = body
        while isinstance(inner, (Map, Filter)):
            if self.root(inner.source) is outer and self._asks_about(inner, node):
                self.report.warn("call-per-pair", inner.source.span, "this makes a call for every pair of the same list: n² of them", hint)
                return
            inner = inner.source

    def _asks_about(self, inner: Map | Filter, outer: Map | Filter) -> bool:
        """Whether a call inside depends on both items."""
        _, body = names_and_body(inner)
        calls = [n for n in walk(body) if self._asks(n)]
        return any(self.free(n) & set(inner.target) and self.free(n) & set(outer.target) for n in calls)

    def unbounded(self, node: Map | Filter) -> None:
        """Calls for each item of a list that a reply may make as long as it likes."""
        source, fields = self.origin(node.source), 0
        path: list[str] = []
        while isinstance(source, FieldAccess) and fields < _LINKS:
            path.append(source.name)
            source, fields = self.origin(source.base), fields + 1
        if not isinstance(source, Call) or source.type is None:
            return
        written: Node = source.type
        for name in reversed(path):
            if not isinstance(written, RecordType):
                return
            found = dict(written.fields).get(name)
            if found is None:
                return
            written = found
        if isinstance(written, ListType) and written.most is None:
            hint = f"say how many at most: [{written.item.span.text}; 10]"
            self.report.warn(
                "unbounded-list", written.span, "each item of this reply costs further calls, and it may have any number", hint
            )

    # ---- calls ----

    def batches(self, program: Program) -> None:
        """Calls that would share requests with others, where there are no others, or none that they may share one with."""
        pending: list[tuple[Node, frozenset[str] | None]] = [(node, None) for node in children(program) if not isinstance(node, Fn)]
        while pending:
            node, varying = pending.pop()
            if isinstance(node, (Map, Filter, Fold, Reduce, First)):
                names, body = names_and_body(node)
                pending += [(body, frozenset(names)), *((child, varying) for child in children(node) if child is not body)]
                continue
            if isinstance(node, Lambda):
                pending.append((node.body, frozenset(node.params)))
                continue
            option = next((o for o in node.options if o.name == "batch"), None) if isinstance(node, Call) else None
            if isinstance(node, Call) and option is not None:
                if varying is None:
                    message = "this call is in no map or filter: it shares its request with no other"
                    self.report.warn("lone-batch", option.span, message, 'write [call "…" on x with {batch: 20} for x in xs]')
                elif self.free(node.prompt) & varying:
                    message = "the instruction differs from item to item, and calls that share a request have the same"
                    self.report.warn("lone-batch", node.prompt.span, message, "put what differs into the data: on x, y")
            pending += [(child, varying) for child in children(node)]

    def call(self, node: Call) -> None:
        self.data(node)
        if not any(isinstance(self.type_of(d.value), (ListOf, Tuple)) for d in node.data):
            return
        reply = self.tables.reply_types.get(node)
        text = _literal_text(node.prompt)
        for pattern, verb, instead in _PLAIN_WORK:
            found = pattern.search(text)
            plain = verb == "sort" or reply in (INT, FLOAT) or (reply is TEXT and node.type is None)
            if found and plain and not (verb == "sort" and _JUDGEMENT.search(text)):
                message = f"“{found[0]}”: a model is asked to {verb} what the program can {verb} exactly, for nothing"
                self.report.warn(
                    "plain-work", node.prompt.span, message, f"write {instead}; ask about each item what only a model can tell"
                )
                return

    def data(self, node: Call | Solve) -> None:
        """A whole collection of texts in one message. `solve` hands its data over as a variable, so only its instruction counts."""
        parts: list[Expr] = [node.prompt]
        if isinstance(node, Call):
            parts += [d.value for d in node.data]
        for part in parts:
            holes = [p.value for p in part.parts if isinstance(p, Interpolation)] if isinstance(part, FString) else [part]
            for hole in holes:
                if self.whole(hole, _LINKS):
                    message = "this puts the texts of all files into one message, which may not fit the model"
                    hint = (
                        "ask about each first: [call … on f.text for f in files]; a long one in pieces: chunks(f.text, 8000); or use solve"
                    )
                    self.report.warn("whole-input", hole.span, message, hint)

    def whole(self, node: Expr, links: int) -> bool:
        """Whether this is made of the texts of a whole list of files."""
        if links == 0:
            return False
        node = self.origin(node)
        if self.many_files(node, links):
            return True
        if isinstance(node, Apply):
            if node.name in ("join", "str", "json") and node.args:
                return any(isinstance(a.value, Expr) and self.whole(a.value, links - 1) for a in node.args)
            return False
        if isinstance(node, Filter):
            return self.whole(node.source, links - 1)
        if isinstance(node, Map):
            return self.many_files(node.source, links - 1) and self.gives_text(node.body, set(node.target))
        return False

    def many_files(self, node: Expr, links: int) -> bool:
        """Whether this is a list of files whose number nothing limits."""
        node = self.origin(node)
        if links == 0:
            return False
        if isinstance(node, Filter):
            return self.many_files(node.source, links - 1)
        if isinstance(node, Name):
            variable = self.tables.variables.get(node)
            return variable is not None and variable.kind == "input" and variable.type == ListOf(FILE)
        return isinstance(node, Apply) and node.name == "files"

    def gives_text(self, body: Expr, names: set[str]) -> bool:
        """Whether a map's body has the item's whole text in it, unasked about and uncut."""
        pending: list[Node] = [body]
        while pending:
            node = pending.pop()
            if isinstance(node, FieldAccess) and node.name == "text" and isinstance(node.base, Name) and node.base.name in names:
                return self.type_of(node.base) is FILE
            if isinstance(node, (Apply, Call, Solve, Slice, If, Map, Filter, Unary)) or _is_test(node):
                continue
            pending += children(node)
        return False

    # ---- where a value comes from ----

    def type_of(self, node: Node) -> Type | None:
        return self.tables.types.get(node)

    def origin(self, node: Expr) -> Expr:
        """The expression that a name, however often passed on, was bound to."""
        for _ in range(_LINKS):
            if isinstance(node, Name):
                variable = self.tables.variables.get(node)
                if variable is None or variable.value is None:
                    return node
                node = variable.value
            elif isinstance(node, Block):
                node = node.value
            elif isinstance(node, (Otherwise, Default)):
                node = node.value if isinstance(node, Otherwise) else node.left
            else:
                return node
        return node

    def root(self, node: Expr) -> Variable | None:
        """The variable whose list is gone through, be it filtered or counted on the way."""
        for _ in range(_LINKS):
            if isinstance(node, Filter):
                node = node.source
            elif isinstance(node, Apply) and node.name == "enumerate" and isinstance(node.args[0].value, Expr):
                node = node.args[0].value
            else:
                break
        return self.tables.variables.get(node) if isinstance(node, Name) else None

    def free(self, node: Node) -> frozenset[str]:
        """The names that a node reads from outside itself."""
        known = self._free.get(node)
        if known is None:
            known = self._free[node] = self._find_free(node)
        return known

    def _find_free(self, node: Node) -> frozenset[str]:
        if isinstance(node, Name):
            return frozenset((node.name,))
        if isinstance(node, (Map, Filter, Fold, Reduce, First)):
            names, body = names_and_body(node)
            around = frozenset().union(*[self.free(n) for n in children(node) if n is not body])
            return around | (self.free(body) - names)
        if isinstance(node, Lambda):
            return self.free(node.body) - frozenset(node.params)
        if isinstance(node, Block):
            found, bound = frozenset[str](), frozenset[str]()
            for binding in node.bindings:
                found |= self.free(binding.value) - bound
                bound |= {binding.name} if isinstance(binding, Bind) else set(binding.names)
            return found | (self.free(node.value) - bound)
        return frozenset().union(*[self.free(n) for n in children(node)])


def _is_test(node: Node) -> bool:
    return type(node).__name__ in ("Compare", "Logic", "Index")


def _literal_text(node: Expr) -> str:
    """What is written out in an instruction."""
    if isinstance(node, Literal):
        return node.value if isinstance(node.value, str) else ""
    return " ".join([p for p in node.parts if isinstance(p, str)]) if isinstance(node, FString) else ""
