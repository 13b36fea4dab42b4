"""What a program means, in the plainest way: a recursive walk over its tree, one thing after the other, bindings and parameters by need.

It shares the parser, the checker and the built-ins with the interpreter, and nothing of how that one runs programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rlmlang.builtins import operators
from rlmlang.builtins.declare import Builtin
from rlmlang.builtins.formats import format_value
from rlmlang.check.checked import Checked, Function
from rlmlang.errors import Failure
from rlmlang.syntax import nodes as n
from rlmlang.values import to_text

Ask = Callable[[n.Call, str, list[tuple[str | None, Any]], int, str | None], Any]
Scope = dict[str, Callable[[], Any]]


def once(make: Callable[[], Any]) -> Callable[[], Any]:
    """A value that is computed when first asked for; if it failed, it fails again."""
    kept: list[tuple[Any, Failure | None]] = []

    def get() -> Any:
        if not kept:
            try:
                kept.append((make(), None))
            except Failure as failure:
                kept.append((None, failure))
        value, failed = kept[0]
        if failed is not None:
            raise failed
        return value

    return get


def known(value: Any) -> Callable[[], Any]:
    return lambda: value


class Reference:
    """Evaluates a checked program; `ask` answers its calls or raises Failure."""

    def __init__(self, checked: Checked, ask: Ask) -> None:
        self.checked = checked
        self.ask = ask
        self.scopes: dict[n.Fn, Scope] = {}

    def answer(self, inputs: Mapping[str, Any]) -> Any:
        for module in self.checked.modules.values():
            self.statements(module, {})
        return self.statements(self.checked.program, inputs)

    def statements(self, program: n.Program, inputs: Mapping[str, Any]) -> Any:
        scope: Scope = {}
        for statement in program.statements:
            match statement:
                case n.Input(name=name):
                    scope = {**scope, name: known(inputs[name])}
                case n.Bind() | n.Unpack():
                    scope = self.bound(statement, scope, (None, 0))
                case n.Fn():
                    self.scopes[statement] = scope
                case n.Answer() | n.Shown():
                    return self.value(statement.value, scope, (None, 0))
                case _:
                    pass
        return None

    def bound(self, binding: n.Bind | n.Unpack, scope: Scope, within: tuple[n.Fn | None, int]) -> Scope:
        whole = once(lambda: self.value(binding.value, scope, within))
        if isinstance(binding, n.Bind):
            return {**scope, binding.name: whole}
        names = binding.names

        def part(at: int) -> Callable[[], Any]:
            return lambda: self.apart(whole(), len(names))[at]

        return {**scope, **{name: part(at) for at, name in enumerate(names)}}

    def piece(self, value: Any, spec: str | None) -> str:
        return to_text(value) if spec is None else format_value(value, spec)

    def apart(self, value: Any, count: int) -> Any:
        if len(value) != count:
            raise Failure("not that many")
        return value

    def value(self, node: n.Node, scope: Scope, within: tuple[n.Fn | None, int]) -> Any:
        """The value of an expression. `within`: the function it stands in, and how often that one has called itself."""

        def of(part: n.Node) -> Any:
            return self.value(part, scope, within)

        match node:
            case n.Literal(value=value):
                return value
            case n.Name(name=name):
                return scope[name]()
            case n.FString():
                return "".join(p if isinstance(p, str) else self.piece(of(p.value), p.spec) for p in node.parts)
            case n.ListExpr(items=items):
                return [of(item) for item in items]
            case n.Record(items=items):
                made: dict[str, Any] = {}
                for item in items:
                    made.update(of(item.value) if isinstance(item, n.Spread) else {item.name: of(item.value)})
                return made
            case n.Unary(op=op):
                return not of(node.operand) if op == "not" else operators.UNARY[op](of(node.operand))
            case n.Binary():
                return operators.BINARY[node.op](of(node.left), of(node.right))
            case n.Compare():
                left = of(node.operands[0])
                for op, operand in zip(node.ops, node.operands[1:], strict=True):
                    right = of(operand)
                    if not operators.COMPARE[op](left, right):
                        return False
                    left = right
                return True
            case n.Logic():
                left = of(node.left)
                return left if bool(left) is (node.op == "or") else of(node.right)
            case n.Default():
                left = of(node.left)
                return of(node.right) if left is None else left
            case n.If():
                return of(node.then if of(node.condition) else node.orelse)
            case n.Otherwise():
                try:
                    return of(node.value)
                except Failure:
                    return of(node.fallback)
            case n.Fail():
                raise Failure(to_text(of(node.message)))
            case n.Index():
                base, at = of(node.base), of(node.index)
                try:
                    return base[at]
                except LookupError:
                    raise Failure("not there") from None
            case n.Slice():
                base = of(node.base)
                return base[None if node.start is None else of(node.start) : None if node.stop is None else of(node.stop)]
            case n.FieldAccess():
                record = of(node.base)
                return record.get(node.name) if isinstance(record, dict) else None
            case n.Block():
                for binding in node.bindings:
                    scope = self.bound(binding, scope, within)
                return self.value(node.value, scope, within)
            case n.Call():
                return self.call(node, of)
            case n.Apply():
                return self.apply(node, scope, within)
            case n.Map() | n.Filter():
                made_list = self.loop(node, scope, within, None)
                return [x for xs in made_list for x in xs] if isinstance(node, n.Map) and node.flatten else made_list
            case n.First():
                as_filter = n.Filter(node.span, (node.item,), node.source, node.condition)
                return self.loop(as_filter, scope, within, of(node.count))
            case n.Reduce():
                return self.reduce(node, scope, within)
            case n.Fold():
                xs, total = of(node.source), of(node.initial)
                for x in xs:
                    total = self.value(node.body, {**scope, node.accumulator: known(total), node.item: known(x)}, within)
                return total
        raise AssertionError(f"no rule for {node!r}")

    def loop(self, node: n.Map | n.Filter, scope: Scope, within: tuple[n.Fn | None, int], most: int | None) -> list[Any]:
        made: list[Any] = []
        for at, x in enumerate(self.value(node.source, scope, within)):
            if most is not None and len(made) >= most:
                break
            try:
                parts = [x] if len(node.target) == 1 else self.apart(x, len(node.target))
                inner = {**scope, **{name: known(part) for name, part in zip(node.target, parts, strict=True)}}
                if isinstance(node, n.Filter):
                    if self.value(node.condition, inner, within):
                        made.append(x)
                    continue
                if node.position is not None:
                    inner[node.position] = known(at)
                made.append(self.value(node.body, inner, within))
            except Failure:
                if not node.skip:
                    raise
        return made

    def reduce(self, node: n.Reduce, scope: Scope, within: tuple[n.Fn | None, int]) -> Any:
        level = list(self.value(node.source, scope, within))
        if not level:
            if node.initial is None:
                raise Failure("empty")
            return self.value(node.initial, scope, within)
        while len(level) > 1:
            merged = [
                self.value(node.body, {**scope, node.left: known(a), node.right: known(b)}, within)
                for a, b in zip(level[::2], level[1::2], strict=False)
            ]
            level = merged + (level[-1:] if len(level) % 2 else [])
        return level[0]

    def call(self, node: n.Call, of: Callable[[n.Node], Any]) -> Any:
        options = {option.name: of(option.value) for option in node.options}
        data = [(datum.name, of(datum.value)) for datum in node.data]
        return self.ask(node, of(node.prompt), data, options.get("sample", 0), options.get("system"))

    def apply(self, node: n.Apply, scope: Scope, within: tuple[n.Fn | None, int]) -> Any:
        callee, given = self.checked.callees[node], self.checked.arguments[node]
        if isinstance(callee, Function):
            thunks = []
            for argument, param in zip(given, callee.node.params, strict=True):
                written = argument if argument is not None else param.default
                assert written is not None
                thunks.append(once(partial(self.value, written, scope, within)))
            return self.enter(callee.node, thunks, within)
        if (
            node.name in ("take", "first")
            and len(given) > 1
            and isinstance(given[0], n.Filter)
            and given[1] is not None
            and not given[0].skip
        ):
            most = self.value(given[1], scope, within)
            callee.code([], most)  # for an amount that it does not take
            return self.loop(given[0], scope, within, most)
        names = [p.name for p in max(callee.signatures, key=lambda s: len(s.params)).params]
        while given and given[-1] is None:
            given = given[:-1]
        values = {names[min(at, len(names) - 1)]: self.argument(a, scope, within) for at, a in enumerate(given) if a is not None}
        if all(a is not None for a in given):
            return callee.code(*(self.argument(a, scope, within) for a in given if a is not None))
        return callee.code(**values)

    def argument(self, node: n.Expr | n.Lambda, scope: Scope, within: tuple[n.Fn | None, int]) -> Any:
        if isinstance(node, n.Lambda):
            return lambda *xs: self.value(node.body, {**scope, **{p: known(x) for p, x in zip(node.params, xs, strict=True)}}, within)
        callee = self.checked.callees.get(node) if isinstance(node, n.Name) else None
        if isinstance(callee, Builtin):
            return callee.code
        if isinstance(callee, Function):
            fn = callee.node
            return lambda *xs: self.enter(fn, [known(x) for x in xs], within)
        return self.value(node, scope, within)

    def enter(self, fn: n.Fn, arguments: list[Callable[[], Any]], within: tuple[n.Fn | None, int]) -> Any:
        nested = within[1] + 1 if within[0] is fn else 0
        if fn.depth is not None and nested > fn.depth:
            raise Failure("too deep")
        names = [p.name for p in fn.params]
        return self.value(fn.body, {**self.scopes[fn], **dict(zip(names, arguments, strict=True))}, (fn, nested))
