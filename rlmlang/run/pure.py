"""Pure expressions as Python closures: one call of a closure for each node, no coroutine anywhere, no look-up of names.

`PureCode.compile(node)` gives a function of the environment. It reads variables of kind "pending" as done: whoever runs the closure
has waited for those that the expression needs (rlmlang/run/effects.py), which is also how calls within an expression reach it:
their values are put into slots first (`hoisted`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, itemgetter, mul, sub
from typing import Any

from rlmlang import limits
from rlmlang.builtins import operators
from rlmlang.builtins.declare import Builtin
from rlmlang.builtins.formats import format_value
from rlmlang.check.checked import Function
from rlmlang.errors import Failure, LimitError, RlmError
from rlmlang.files import FileValue
from rlmlang.run.flow import Env, Pure, Thunk, located
from rlmlang.run.frames import Frame
from rlmlang.run.resolve import Facts, Variable, parts
from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Span
from rlmlang.types import BOOL, FILE, FLOAT, INT, JSON, NONE, TEXT, Enum, ListOf, Optional, Primitive, Type
from rlmlang.values import SEQUENCES, check_value, describe, to_text

_Each = Callable[[Env, Sequence[Any], int], list[Any]]  # the loop itself, over a slice of the list that starts at a position
_SMALL = 1 << 62  # sums of ints below this need no look at their bits
_FINITE = 1e300  # floats below this need no look at whether they are finite
_FLOAT_STEPS: dict[str, Callable[[float, float], float]] = {"+": add, "-": sub, "*": mul}
_SLICE = 1 << 16  # items between two looks at whether the run was cancelled


class FunctionCode:
    """A function with a pure body, or with one where nothing that may need a model is left to wait for."""

    __slots__ = ("body", "depth", "frame", "name", "slots", "strict")

    def __init__(self, name: str, frame: Frame, depth: int | None, slots: list[int], strict: list[bool]) -> None:
        self.name = name
        self.frame = frame
        self.depth = depth
        self.slots = slots
        self.strict = strict
        self.body: Pure = _unset


def _unset(env: Env) -> Any:
    raise AssertionError("a function was called before it was compiled")


def enter(code: Any, env: Env, same_function: bool) -> Env:
    """The environment of a call of `code` made from `env`. Raises Failure where it has called itself too often, LimitError where all is
    too deep."""
    nested = env[1] + 1 if same_function else 0
    if code.depth is not None and nested > code.depth:
        raise Failure(f"{code.name} has called itself {code.depth} times, which is the depth it declares")
    total = env[2] + 1
    if total > limits.CALL_DEPTH:
        raise LimitError(f"calls of functions are nested more than {limits.CALL_DEPTH} deep")
    frame: Env = [None] * code.frame.size
    frame[0] = env[0]
    frame[1] = nested
    frame[2] = total
    return frame


class PureCode:
    """Compiles the expressions of one frame."""

    def __init__(self, facts: Facts, frame: Frame, functions: dict[n.Fn, FunctionCode], own: n.Fn | None = None) -> None:
        self.facts = facts
        self.checked = facts.checked
        self.frame = frame
        self.functions = functions
        self.own = own
        self.hoisted: dict[n.Node, int] = {}

    def compile(self, node: n.Node) -> Pure:
        """The closure for an expression."""
        slot = self.hoisted.get(node)
        if slot is not None:
            return itemgetter(slot)
        return _COMPILERS[type(node)](self, node)

    def type_of(self, node: n.Node) -> Type:
        return self.checked.types[node]

    # ---- values and variables ----

    def _literal(self, node: n.Literal) -> Pure:
        value = node.value
        return lambda env: value

    def _name(self, node: n.Name) -> Pure:
        return self.read(self.facts.variables[node])

    def read(self, variable: Variable) -> Pure:
        """Reads a variable."""
        slot, kind = self.frame.find(variable)
        if kind == "value":
            return itemgetter(slot)
        if kind == "thunk":
            return lambda env: env[slot].force()
        return lambda env: env[slot].value

    def _fstring(self, node: n.FString) -> Pure:
        pieces = [self._piece(part) for part in node.parts]
        span = node.span

        def text(env: Env) -> str:
            made = [piece if type(piece) is str else piece(env) for piece in pieces]
            if sum(map(len, made)) > limits.TEXT_CHARS:
                raise LimitError(f"a text would have more than {limits.TEXT_CHARS:,} characters", span=span)
            return "".join(made)

        return text

    def _piece(self, part: str | n.Interpolation) -> Any:
        if isinstance(part, str):
            return part
        value, spec, span = self.compile(part.value), part.spec, part.span
        if spec is not None:
            return _guarded2(lambda v, s: format_value(v, s), value, lambda env: spec, span)
        if self.type_of(part.value) == TEXT:
            return value
        return lambda env: to_text(value(env))

    def _list(self, node: n.ListExpr) -> Pure:
        items = [self.compile(item) for item in node.items]
        return lambda env: [item(env) for item in items]

    def _record(self, node: n.Record) -> Pure:
        if not any(isinstance(item, n.Spread) for item in node.items):
            fields = [(item.name, self.compile(item.value)) for item in node.items if isinstance(item, n.RecordField)]
            return lambda env: {name: value(env) for name, value in fields}
        steps = [(item.name if isinstance(item, n.RecordField) else None, self.compile(item.value)) for item in node.items]

        def record(env: Env) -> dict[str, Any]:
            made: dict[str, Any] = {}
            for name, value in steps:
                if name is None:
                    made.update(value(env))
                else:
                    made[name] = value(env)
            return made

        return record

    # ---- operators ----

    def _unary(self, node: n.Unary) -> Pure:
        operand = self.compile(node.operand)
        if node.op == "not":
            return lambda env: not operand(env)
        return _guarded1(operators.UNARY[node.op], operand, node.span)

    def _binary(self, node: n.Binary) -> Pure:
        left, right, op = self.compile(node.left), self.compile(node.right), node.op
        code, span = operators.BINARY[op], node.span
        types = self.type_of(node.left), self.type_of(node.right)
        if types == (INT, INT) and op in ("+", "-"):
            sign = 1 if op == "+" else -1

            def small(env: Env) -> Any:
                a, b = left(env), right(env)
                made = a + b if sign > 0 else a - b
                return made if -_SMALL < made < _SMALL else _located2(code, a, b, span)

            return small
        if types == (FLOAT, FLOAT) and op in _FLOAT_STEPS:
            plain = _FLOAT_STEPS[op]
            if isinstance(node.right, n.Literal):
                value: Any = node.right.value

                def literal_step(env: Env) -> Any:
                    a = left(env)
                    if type(a) is float and -_FINITE < (made := plain(a, value)) < _FINITE:
                        return made
                    return _located2(code, a, value, span)

                return literal_step

            def float_step(env: Env) -> Any:
                a, b = left(env), right(env)
                if type(a) is float and type(b) is float and -_FINITE < (made := plain(a, b)) < _FINITE:
                    return made
                return _located2(code, a, b, span)

            return float_step
        return _guarded2(code, left, right, span)

    def _compare(self, node: n.Compare) -> Pure:
        operands = node.operands
        steps = [self._comparison(op, a, b) for op, a, b in zip(node.ops, operands, operands[1:], strict=False)]
        if len(steps) == 1:
            code, plain = steps[0]
            left, right = self.compile(operands[0]), self.compile(operands[1])
            if plain:
                return _plain_compare(node.ops[0], left, right, operands[1])
            return _guarded2(code, left, right, node.span)
        values = [self.compile(operand) for operand in operands]
        codes = [code for code, _ in steps]
        span = node.span

        def chain(env: Env) -> bool:
            a = values[0](env)
            for code, value in zip(codes, values[1:], strict=False):
                b = value(env)
                if not _located2(code, a, b, span):
                    return False
                a = b
            return True

        return chain

    def _comparison(self, op: str, a: n.Expr, b: n.Expr) -> tuple[Callable[[Any, Any], Any], bool]:
        """The operator's code, and whether Python's own operator means the same on these types."""
        left, right = self.type_of(a), self.type_of(b)
        if op in ("in", "not in"):
            item = right.item if isinstance(right, ListOf) else None
            plain = (right == TEXT and _texts(left)) or (item is not None and _texts(left) and _texts(item))
        elif op in ("==", "!="):
            plain = (_texts(left) and _texts(right)) or (left, right) == (BOOL, BOOL) or {left, right} <= {INT, FLOAT}
            plain = plain or (_texts(left) and right == NONE) or NONE in (left, right)
        else:
            plain = (_texts(left) and _texts(right)) or {left, right} <= {INT, FLOAT}
        return operators.COMPARE[op], plain

    def _logic(self, node: n.Logic) -> Pure:
        left, right = self.compile(node.left), self.compile(node.right)
        if node.op == "and":
            return lambda env: left(env) and right(env)
        return lambda env: left(env) or right(env)

    def _default(self, node: n.Default) -> Pure:
        left, right = self.compile(node.left), self.compile(node.right)

        def default(env: Env) -> Any:
            value = left(env)
            return right(env) if value is None else value

        return default

    def _if(self, node: n.If) -> Pure:
        condition, then, orelse = self.compile(node.condition), self.compile(node.then), self.compile(node.orelse)
        return lambda env: then(env) if condition(env) else orelse(env)

    def _otherwise(self, node: n.Otherwise) -> Pure:
        value, fallback = self.compile(node.value), self.compile(node.fallback)

        def otherwise(env: Env) -> Any:
            try:
                return value(env)
            except Failure:
                return fallback(env)

        return otherwise

    def _fail(self, node: n.Fail) -> Pure:
        message, span = self.compile(node.message), node.span

        def fail(env: Env) -> Any:
            raise Failure(to_text(message(env)), span=span)

        return fail

    # ---- parts of values ----

    def _index(self, node: n.Index) -> Pure:
        return _guarded2(_item, self.compile(node.base), self.compile(node.index), node.span)

    def _slice(self, node: n.Slice) -> Pure:
        base = self.compile(node.base)
        start = self.compile(node.start) if node.start is not None else _none
        stop = self.compile(node.stop) if node.stop is not None else _none
        return lambda env: base(env)[start(env) : stop(env)]

    def _field(self, node: n.FieldAccess) -> Pure:
        base, name, span, maybe = self.compile(node.base), node.name, node.name_span, node.maybe
        given = self.type_of(node.base)
        inner = given.item if isinstance(given, Optional) else given
        if inner == FILE:

            def of_file(env: Env) -> Any:
                file = base(env)
                if file is None:
                    return None
                try:
                    return getattr(file, name)
                except RlmError as error:
                    raise located(error, span) from None

            return of_file

        if isinstance(node.base, n.Name) and node.base not in self.hoisted:
            slot, kind = self.frame.find(self.facts.variables[node.base])
            if kind == "value":  # the most frequent step of a map or filter: one call less

                def field_of_variable(env: Env) -> Any:
                    try:
                        return env[slot][name]
                    except (KeyError, TypeError):
                        return _missing_field(env[slot], name, maybe, span, inner)

                return field_of_variable

        def field(env: Env) -> Any:
            record = base(env)
            try:
                return record[name]
            except (KeyError, TypeError):
                return _missing_field(record, name, maybe, span, inner)

        return field

    # ---- functions ----

    def _apply(self, node: n.Apply) -> Pure:
        callee = self.checked.callees[node]
        given = self.checked.arguments[node]
        if isinstance(callee, Builtin):
            if takes_first(node, given) and given[0] not in self.hoisted:
                return self._first_of_filter(callee, given, node.span)
            return self._builtin(callee, [None if a is None else self.argument(a) for a in given], node.span)
        code = self.function(callee)
        arguments = [
            self._parameter(argument if argument is not None else declared.default, strict)
            for argument, declared, strict in zip(given, callee.node.params, code.strict, strict=False)
        ]
        return self._calling(code, arguments, callee.node is self.own, node.span)

    def _parameter(self, argument: n.Expr | n.Lambda | None, strict: bool) -> Pure:
        assert argument is not None
        value = self.compile(argument)
        return value if strict else lambda env: Thunk(value, env)

    def _calling(self, code: FunctionCode, arguments: list[Pure], same_function: bool, span: Span) -> Pure:
        pairs = list(zip(code.slots, arguments, strict=True))
        copies = self.copies(code.frame)

        def call(env: Env) -> Any:
            try:
                frame = enter(code, env, same_function)
            except RlmError as error:
                raise located(error, span) from None
            for there, here in copies:
                frame[there] = env[here]
            for slot, argument in pairs:
                frame[slot] = argument(env)
            return code.body(frame)

        return call

    def copies(self, inner: Frame) -> list[tuple[int, int]]:
        """What a call from this frame copies into the callee's: (its slot, ours). A function that calls itself finds its own later
        captures, too."""
        if inner is self.frame:
            return _Same(inner)
        return [(slot, self.frame.find(variable)[0]) for variable, slot in inner.captures]

    def function(self, function: Function) -> FunctionCode:
        """The compiled function, compiling it first where nobody has."""
        code = self.functions.get(function.node)
        if code is None:
            facts = self.facts.facts_of(function)
            top = self.frame if self.frame.outer is None else self.frame.outer
            frame = Frame(top)
            strict = [param in facts.awaits for param in facts.params]
            slots = [frame.place(p, "value" if needed else "thunk") for p, needed in zip(facts.params, strict, strict=True)]
            code = self.functions[function.node] = FunctionCode(function.node.name, frame, function.node.depth, slots, strict)
            code.body = PureCode(self.facts, frame, self.functions, function.node).compile(function.node.body)
        return code

    def argument(self, node: n.Expr | n.Lambda) -> Pure:
        """An argument of a built-in: a value, or a Python callable for a lambda or the name of a function."""
        if isinstance(node, n.Lambda):
            return self._lambda(node)
        if isinstance(node, n.Name) and node in self.checked.callees:
            return self.callable_of(node)
        return self.compile(node)

    def callable_of(self, node: n.Name) -> Pure:
        """The function that a bare name stands for."""
        callee = self.checked.callees[node]
        if isinstance(callee, Builtin):
            builtin = callee.code
            return lambda env: builtin
        code = self.function(callee)
        slots = [self.frame.slot() for _ in code.slots]
        arguments: list[Pure] = [itemgetter(s) if strict else _done_thunk(s) for s, strict in zip(slots, code.strict, strict=True)]
        call = self._calling(code, arguments, callee.node is self.own, node.span)

        def function(env: Env) -> Callable[..., Any]:
            def apply(*values: Any) -> Any:
                for slot, value in zip(slots, values, strict=True):
                    env[slot] = value
                return call(env)

            return apply

        return function

    def _lambda(self, node: n.Lambda) -> Pure:
        slots = [self.frame.place(variable, "value") for variable in self.facts.bound[node]]
        body = self.compile(node.body)
        if len(slots) == 1:
            slot = slots[0]

            def one(env: Env) -> Callable[[Any], Any]:
                def apply(value: Any) -> Any:
                    env[slot] = value
                    return body(env)

                return apply

            return one

        def several(env: Env) -> Callable[..., Any]:
            def apply(*values: Any) -> Any:
                for slot, value in zip(slots, values, strict=True):
                    env[slot] = value
                return body(env)

            return apply

        return several

    def _builtin(self, builtin: Builtin, given: Sequence[Pure | None], span: Span) -> Pure:
        code = builtin.code
        while given and given[-1] is None:
            given = given[:-1]
        if all(argument is not None for argument in given):
            arguments = [argument for argument in given if argument is not None]
            if len(arguments) == 1:
                return _guarded1(code, arguments[0], span)
            if len(arguments) == 2:
                return _guarded2(code, arguments[0], arguments[1], span)

            def call(env: Env) -> Any:
                values = [argument(env) for argument in arguments]
                try:
                    return code(*values)
                except RlmError as error:
                    raise located(error, span) from None

            return call
        # an argument in the middle is left to its default: name those after it
        names = builtin_parameters(builtin)
        pairs = [(names[at], argument) for at, argument in enumerate(given) if argument is not None]

        def call_named(env: Env) -> Any:
            values = {name: argument(env) for name, argument in pairs}
            try:
                return code(**values)
            except RlmError as error:
                raise located(error, span) from None

        return call_named

    # ---- blocks and loops ----

    def _block(self, node: n.Block) -> Pure:
        steps = self.bindings(node)
        value = self.compile(node.value)

        def block(env: Env) -> Any:
            for step in steps:
                step(env)
            return value(env)

        return block

    def bindings(self, node: n.Block) -> list[Callable[[Env], None]]:
        """What a block does before its value: needed bindings are computed, others made ready, unused ones left out."""
        needed = self.needed_bindings(node.bindings, self.facts.awaits(node.value), self.facts.awaits)
        return [step for b in node.bindings if (step := self.binding(b, b in needed)) is not None]

    def needed_bindings(
        self, bindings: Sequence[n.Bind | n.Unpack], wanted: frozenset[Variable], needs: Callable[[n.Node], frozenset[Variable]]
    ) -> set[n.Node]:
        """Those that every way to a value which needs `wanted` uses; `needs` says what their own values need."""
        needed: set[n.Node] = set()
        for binding in reversed(bindings):
            if not wanted.isdisjoint(self.facts.bound[binding]):
                needed.add(binding)
                wanted = wanted | needs(binding.value)
        return needed

    def binding(self, binding: n.Bind | n.Unpack, needed: bool) -> Callable[[Env], None] | None:
        """The step that makes a pure binding, None where nothing uses it."""
        variables = self.facts.bound[binding]
        if not any(v.uses for v in variables):
            return None
        code = self.compile(binding.value)
        if isinstance(binding, n.Bind):
            slot = self.frame.place(variables[0], "value" if needed else "thunk")
            return _storing(slot, code) if needed else _postponing(slot, code)
        whole = self.frame.slot()
        count, span = len(variables), binding.value.span
        taking = _taking_apart(code, count, span)
        if needed:
            slots = [self.frame.place(v, "value") for v in variables]
            return _storing_all(slots, taking)
        thunks = [self.frame.place(v, "thunk") for v in variables]

        def postpone(env: Env) -> None:
            env[whole] = shared = Thunk(taking, env)
            for at, slot in enumerate(thunks):
                env[slot] = Thunk(_part_of(shared, at), env)

        return postpone

    def targets(self, node: n.Map | n.Filter) -> list[int]:
        """The slots of a map's or filter's item (and position, last)."""
        return [self.frame.place(variable, "value") for variable in self.facts.bound[node]]

    def _map(self, node: n.Map) -> Pure:
        source = self.compile(node.source)
        slots = self.targets(node)
        body = self.compile(node.body)
        weight = self.weight(node.body)
        each: _Each
        current = slots[0]
        if node.position is not None:
            slot, position = slots

            def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
                made = []
                for env[position], env[slot] in enumerate(xs, start):
                    made.append(body(env))
                return made

        elif len(slots) > 1:
            count, span = len(slots), node.span
            current = self.frame.slot()

            def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
                made = []
                for env[current] in xs:
                    take_apart(env, slots, env[current], count, span)
                    made.append(body(env))
                return made

        else:
            (slot,) = slots

            def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
                return [body(env) for env[slot] in xs]

        return _looping(source, _skipping(each) if node.skip else each, current, weight, node.span, flatten=node.flatten)

    def _filter(self, node: n.Filter) -> Pure:
        source = self.compile(node.source)
        slots = self.targets(node)
        condition = self.compile(node.condition)
        each: _Each
        current = slots[0]
        if len(slots) > 1:
            count, span = len(slots), node.span
            current = self.frame.slot()

            def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
                kept = []
                for x in xs:
                    env[current] = x
                    take_apart(env, slots, x, count, span)
                    if condition(env):
                        kept.append(x)
                return kept

        else:
            (slot,) = slots

            def each(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
                return [env[slot] for env[slot] in xs if condition(env)]

        return _looping(source, _skipping(each) if node.skip else each, current, self.weight(node.condition), node.span)

    def _first(self, node: n.First) -> Pure:
        return self.first_found(node, node.source, self.compile(node.count), node.condition)

    def _first_of_filter(self, builtin: Builtin, given: Sequence[n.Expr | n.Lambda | None], span: Span) -> Pure:
        """`take(filter(…), n)` stops when n are found."""
        source, count = given[:2]
        assert isinstance(source, n.Filter) and isinstance(count, n.Expr)
        return self.first_found(source, source.source, self.amount(builtin, count, span), source.condition)

    def amount(self, builtin: Builtin, count: n.Expr, span: Span) -> Pure:
        """How many `take` or `first` is to give: what it does not take fails as it does elsewhere."""
        wanted, check = self.compile(count), builtin.code

        def amount(env: Env) -> Any:
            value = wanted(env)
            try:
                check([], value)
            except RlmError as error:
                raise located(error, span) from None
            return value

        return amount

    def first_found(self, node: n.First | n.Filter, source_: n.Expr, count: Pure, condition_: n.Expr) -> Pure:
        source = self.compile(source_)
        slots = [self.frame.place(variable, "value") for variable in self.facts.bound[node]]
        condition, span = self.compile(condition_), node.span

        def first(env: Env) -> list[Any]:
            found: list[Any] = []
            xs, wanted = source(env), count(env)
            for at, x in enumerate(xs):
                if len(found) >= wanted:
                    break
                try:
                    if len(slots) == 1:
                        env[slots[0]] = x
                    else:
                        take_apart(env, slots, x, len(slots), span)
                    if condition(env):
                        found.append(x)
                except Failure as failure:
                    raise _at_item(failure, env, x, at) from None
            return found

        return first

    def _reduce(self, node: n.Reduce) -> Pure:
        source = self.compile(node.source)
        initial = None if node.initial is None else self.compile(node.initial)
        left, right = (self.frame.place(variable, "value") for variable in self.facts.bound[node])
        body, span, weight = self.compile(node.body), node.span, self.weight(node.body)

        def reduce(env: Env) -> Any:
            level = source(env)
            if not level:
                return empty_reduce(env, initial, span)
            env[0].run.step(len(level) * weight, span)
            while len(level) > 1:
                merged = []
                for at in range(0, len(level) - 1, 2):
                    env[left], env[right] = level[at], level[at + 1]
                    merged.append(body(env))
                level = merged + list(level[len(level) & ~1 :])
            return level[0]

        return reduce

    def _fold(self, node: n.Fold) -> Pure:
        source, initial = self.compile(node.source), self.compile(node.initial)
        accumulator, item = (self.frame.place(variable, "value") for variable in self.facts.bound[node])
        body, span, weight = self.compile(node.body), node.span, self.weight(node.body)
        deep = may_nest(self.type_of(node.body))

        def fold(env: Env) -> Any:
            xs = source(env)
            value = initial(env)
            env[0].run.step(len(xs) * weight, span)
            for x in xs:
                env[accumulator], env[item] = value, x
                value = body(env)
                if deep:
                    check_value(value)
            return value

        return fold

    def weight(self, body: n.Node) -> int:
        """How many nodes one evaluation of a body visits, roughly: what a pure stage is counted by."""
        return 1 + sum(self.weight(part) for part in parts(body))


class _Same(list[tuple[int, int]]):
    """The copies of a call by a function of itself: slot for slot, of captures that may still be found while it is compiled."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame

    def __iter__(self) -> Any:
        return iter([(slot, slot) for _, slot in self._frame.captures])


def may_nest(type_: Type) -> bool:
    """Whether values of a type can be nested without limit."""
    return type_ == JSON or (isinstance(type_, ListOf) and may_nest(type_.item))


def takes_first(node: n.Apply, given: Sequence[n.Expr | n.Lambda | None]) -> bool:
    """Whether the call of a built-in is `take(filter(…), n)` or `first([x for … if …], n)`."""
    if node.name not in ("take", "first") or len(given) < 2 or given[1] is None:
        return False
    return isinstance(given[0], n.Filter) and not given[0].skip


def builtin_parameters(builtin: Builtin) -> list[str]:
    """The names of its parameters, of the longest signature."""
    longest = max(builtin.signatures, key=lambda s: len(s.params))
    return [p.name for p in longest.params]


def _texts(type_: Type) -> bool:
    return type_ == TEXT or isinstance(type_, Enum)


def _none(env: Env) -> None:
    return None


def _done_thunk(slot: int) -> Pure:
    return lambda env: Thunk(itemgetter(slot), env)


def _guarded1(code: Callable[[Any], Any], argument: Pure, span: Span) -> Pure:
    def call(env: Env) -> Any:
        value = argument(env)
        try:
            return code(value)
        except RlmError as error:
            raise located(error, span) from None

    return call


def _guarded2(code: Callable[[Any, Any], Any], first: Pure, second: Pure, span: Span) -> Pure:
    def call(env: Env) -> Any:
        a = first(env)
        b = second(env)
        try:
            return code(a, b)
        except RlmError as error:
            raise located(error, span) from None

    return call


def _located2(code: Callable[[Any, Any], Any], a: Any, b: Any, span: Span) -> Any:
    try:
        return code(a, b)
    except RlmError as error:
        raise located(error, span) from None


def _plain_compare(op: str, left: Pure, right: Pure, written: n.Expr) -> Pure:
    """A comparison that Python's own operator makes; one with a literal on the right saves a call."""
    if isinstance(written, n.Literal):
        value: Any = written.value
        literal: dict[str, Pure] = {
            "==": lambda env: left(env) == value,
            "!=": lambda env: left(env) != value,
            "<": lambda env: left(env) < value,
            "<=": lambda env: left(env) <= value,
            ">": lambda env: left(env) > value,
            ">=": lambda env: left(env) >= value,
            "in": lambda env: left(env) in value,
            "not in": lambda env: left(env) not in value,
        }
        return literal[op]
    both: dict[str, Pure] = {
        "==": lambda env: left(env) == right(env),
        "!=": lambda env: left(env) != right(env),
        "<": lambda env: left(env) < right(env),
        "<=": lambda env: left(env) <= right(env),
        ">": lambda env: left(env) > right(env),
        ">=": lambda env: left(env) >= right(env),
        "in": lambda env: left(env) in right(env),
        "not in": lambda env: left(env) not in right(env),
    }
    return both[op]


def _item(base: Any, index: Any) -> Any:
    """`base[index]`: an item of a list, a character of a text, a field of a record by its name."""
    if isinstance(base, dict):
        if index in base:
            return base[index]
        raise Failure(f"there is no field {describe(index)}", hint=f"it has {', '.join(list(base)[:12])}" if base else "it has none")
    try:
        return base[index]
    except IndexError:
        what = "text" if isinstance(base, str) else "list"
        raise Failure(f"index {index} is outside a {what} of {len(base)}") from None
    except TypeError:
        raise Failure(f"{describe(base)} has no items") from None


def _missing_field(record: Any, name: str, maybe: bool, span: Span, type_: Type) -> Any:
    """What a field that is not there reads as: none where its type allows that, else a failure."""
    if record is None and maybe:
        return None
    if isinstance(record, dict) and not isinstance(type_, Primitive):
        return None  # an optional field that was left out
    if isinstance(record, dict):
        raise Failure(f"there is no field {name}", span=span, hint=f"it has {', '.join(list(record)[:12])}" if record else "it has none")
    raise Failure(f"{describe(record)} has no field {name}", span=span)


def _storing(slot: int, code: Pure) -> Callable[[Env], None]:
    def store(env: Env) -> None:
        env[slot] = code(env)

    return store


def _postponing(slot: int, code: Pure) -> Callable[[Env], None]:
    def postpone(env: Env) -> None:
        env[slot] = Thunk(code, env)

    return postpone


def _part_of(shared: Thunk, at: int) -> Pure:
    return lambda env: shared.force()[at]


def _storing_all(slots: Sequence[int], taking: Pure) -> Callable[[Env], None]:
    def store(env: Env) -> None:
        for slot, value in zip(slots, taking(env), strict=True):
            env[slot] = value

    return store


def _taking_apart(code: Pure, count: int, span: Span) -> Pure:
    def taking(env: Env) -> Any:
        return apart(code(env), count, span)

    return taking


def apart(value: Any, count: int, span: Span) -> Any:
    """A list of exactly `count` items."""
    if not isinstance(value, SEQUENCES) or len(value) != count:
        got = f"a list of {len(value)}" if isinstance(value, SEQUENCES) else describe(value)
        raise Failure(f"{count} names want a list of exactly {count}, not {got}", span=span)
    return value


def take_apart(env: Env, slots: Sequence[int], value: Any, count: int, span: Span) -> None:
    """Puts the items of `value` into `slots`."""
    for slot, item in zip(slots, apart(value, count, span), strict=True):
        env[slot] = item


def empty_reduce(env: Env, initial: Pure | None, span: Span) -> Any:
    """The value of a reduce over an empty list."""
    if initial is None:
        raise Failure("reduce of an empty list", span=span, hint="give a value for it: reduce(…, xs, initial), or otherwise")
    return initial(env)


def _skipping(each: _Each) -> _Each:
    """Item by item; one that fails is dropped and reported."""

    def one_by_one(env: Env, xs: Sequence[Any], start: int) -> list[Any]:
        made = []
        for at, x in enumerate(xs, start):
            try:
                made += each(env, (x,), at)
            except Failure as failure:
                here = env[0]
                outer = len(here.items)
                failure.item = (*here.items, label(x, at), *failure.item[outer:])
                here.run.skipped(failure, failure.item)
        return made

    return one_by_one


def label(item: Any, position: int) -> str:
    """What reports call an item: a file's path, else its position in the list."""
    return item.path if type(item) is FileValue else str(position)


def _looping(source: Pure, each: _Each, current: int, weight: int, span: Span, *, flatten: bool = False) -> Pure:
    """Runs a loop over a list. Steps are counted before; a long one looks now and then whether the run was cancelled.

    The item that it is at lies in the slot `current`: a failure is told where it happened.
    """

    def loop(env: Env) -> list[Any]:
        xs = source(env)
        env[0].run.step(len(xs) * weight, span)
        try:
            return slices(env, xs)
        except Failure as failure:
            raise _at_item(failure, env, env[current], _position(xs, env[current])) from None

    def slices(env: Env, xs: Sequence[Any]) -> list[Any]:
        count = len(xs)
        run = env[0].run
        made: list[Any] = []
        if flatten:  # as it goes, or what is too large would be built before it is refused
            for at in range(count):
                (part,) = each(env, xs[at : at + 1], at) or ((),)
                if len(made) + len(part) > limits.LIST_ITEMS:
                    raise _too_many(span)
                made += part
        elif count <= _SLICE:
            made = each(env, xs, 0)
        else:
            for at in range(0, count, _SLICE):
                run.check_cancelled()
                made += each(env, xs[at : at + _SLICE], at)
        return made

    return loop


def _position(xs: Sequence[Any], item: Any) -> int:
    """Where in a list its loop failed: the first place where this very value stands, as there it would have failed, too."""
    return xs.index(item) if isinstance(xs, range) else next((at for at, x in enumerate(xs) if x is item), 0)


def _at_item(failure: Failure, env: Env, item: Any, position: int) -> Failure:
    """The failure of a loop's body, with the item it was for put before those of the loops inside."""
    outer = len(env[0].items)
    inner = failure.item[outer:]
    where = (*env[0].items, label(item, position), *inner)
    return Failure(failure.message, span=failure.span, hint=failure.hint, attempts=failure.attempts, item=where)


def flattened(lists: Sequence[Sequence[Any]], span: Span) -> list[Any]:
    """The items of all, one after the other."""
    if sum(map(len, lists)) > limits.LIST_ITEMS:
        raise _too_many(span)
    return [item for items in lists for item in items]


def _too_many(span: Span) -> LimitError:
    return LimitError(f"a list would have more than {limits.LIST_ITEMS:,} items", span=span)


_COMPILERS: dict[type[n.Node], Callable[[PureCode, Any], Pure]] = {
    n.Literal: PureCode._literal,
    n.Name: PureCode._name,
    n.FString: PureCode._fstring,
    n.ListExpr: PureCode._list,
    n.Record: PureCode._record,
    n.Unary: PureCode._unary,
    n.Binary: PureCode._binary,
    n.Compare: PureCode._compare,
    n.Logic: PureCode._logic,
    n.Default: PureCode._default,
    n.If: PureCode._if,
    n.Otherwise: PureCode._otherwise,
    n.Fail: PureCode._fail,
    n.Index: PureCode._index,
    n.Slice: PureCode._slice,
    n.FieldAccess: PureCode._field,
    n.Apply: PureCode._apply,
    n.Block: PureCode._block,
    n.Map: PureCode._map,
    n.Filter: PureCode._filter,
    n.First: PureCode._first,
    n.Reduce: PureCode._reduce,
    n.Fold: PureCode._fold,
}
