"""Each place that calls a model, with its prompt as it would be sent for one real item.

The program is followed once, one item of each list: what is pure and known is computed, what a model would say or nobody has given stands
as a placeholder (`⟨reply of line 4⟩`, `⟨docs[0]⟩`). Both branches of a condition that is not known are looked at. Nothing is sent, and
nothing here says how often a call is made: the bound does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from rlmlang import limits
from rlmlang.builtins.declare import Builtin
from rlmlang.check.checked import Checked, Function
from rlmlang.cost.prefix import Prefix
from rlmlang.errors import Failure, LimitError
from rlmlang.lm.render import render, utf8_length
from rlmlang.lm.request import Model, Request
from rlmlang.run.facts import Facts, Variable, parts
from rlmlang.run.resolve import resolve
from rlmlang.streamed import Streamed
from rlmlang.syntax import nodes as n
from rlmlang.values import SEQUENCES, to_text

_FUEL = 20_000  # nodes visited: a function is followed at every place that calls it
_SHOWN = 60  # characters of the program in a placeholder


class Hole(str):
    """What is not known, as it stands in a prompt."""

    __slots__ = ()

    @staticmethod
    def of(text: str) -> Hole:
        text = " ".join(text.split())
        return Hole(f"⟨{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}⟩")


@frozen(eq=False)
class Seen:
    """A value: real where `known`; else holes stand in it."""

    value: Any
    known: bool = True


@frozen(eq=False)
class Preview:
    """The first request of a call that was met; `real`: all of it is as it would be sent."""

    request: Request
    real: bool


Env = Mapping[Variable, Seen]


def preview(checked: Checked, model_of: Callable[[str | None], Model], inputs: Mapping[str, Any] | None = None) -> dict[n.Call, Preview]:
    """The prompt of each call that can be reached. `inputs` and `model_of` as for `bound`. Raises LimitError, and what reading files
    raises."""
    facts, variables = resolve(checked)
    walker = _Walker(checked, facts, Prefix(facts, limits.PURE_STEPS), model_of)
    env: dict[Variable, Seen] = {}
    for declared in checked.inputs:
        if inputs is not None and declared.name in inputs:
            seen = Seen(inputs[declared.name])
        elif inputs is not None and declared.node.default is not None:
            seen = Seen(walker.prefix.value(declared.node.default, {}))
        else:
            seen = Seen(Hole.of(declared.name), False)
        env[variables[declared.name]] = seen
    with contextlib.suppress(RecursionError):  # too deep to be followed: what was met so far is shown
        walker.program(env)
    return walker.found


@define(eq=False)
class _Walker:
    checked: Checked
    facts: Facts
    prefix: Prefix
    model_of: Callable[[str | None], Model]
    found: dict[n.Call, Preview] = field(factory=dict)
    fuel: int = _FUEL
    depths: dict[n.Fn, int] = field(factory=dict)

    def program(self, env: dict[Variable, Seen]) -> None:
        """All statements, in order."""
        for statement in (*(s for m in self.checked.modules.values() for s in m.statements), *self.checked.program.statements):
            match statement:
                case n.Bind() | n.Unpack():
                    self.binding(statement, env)
                case n.Answer() | n.Shown():
                    self.of(statement.value, env)
                case _:
                    pass

    def of(self, node: n.Node, env: Env) -> Seen:
        """The value of an expression; the calls in it are met."""
        self.fuel -= 1
        if self.fuel < 0:
            return _source(node)
        if node not in self.checked.effects and not isinstance(node, n.Lambda):
            seen = self._computed(node, env)
            if seen is not None:
                return seen
        return self._met(node, env)

    def _computed(self, node: n.Node, env: Env) -> Seen | None:
        """A pure value, where all that it reads is known."""
        values: dict[Variable, Any] = {}
        for variable in self.facts.mentions(node):
            seen = env.get(variable)
            if seen is None or not seen.known:
                return None
            values[variable] = seen.value
        try:
            return Seen(self.prefix.value(node, values))
        except Failure:
            return _source(node)
        except LimitError:
            if any(isinstance(value, Streamed) for value in values.values()):
                return None  # too much to be held: its first item will do
            raise

    def _met(self, node: n.Node, env: Env) -> Seen:
        match node:
            case n.Name():
                return env.get(self.facts.variables[node], _source(node)) if node in self.facts.variables else _source(node)
            case n.FString():
                shown = [Seen(part) if isinstance(part, str) else self.of(part.value, env) for part in node.parts]
                return Seen("".join(_text(s.value) for s in shown), all(s.known for s in shown))
            case n.ListExpr():
                items = [self.of(item, env) for item in node.items]
                return Seen([s.value for s in items], all(s.known for s in items))
            case n.Record():
                return self._record(node, env)
            case n.FieldAccess():
                base = self.of(node.base, env)
                if isinstance(base.value, dict) and node.name in base.value:
                    return Seen(base.value[node.name], not _has_holes(base.value[node.name]))
                return Seen(Hole.of(f"{base.value[1:-1]}.{node.name}"), False) if isinstance(base.value, Hole) else _source(node)
            case n.Block():
                inner = dict(env)
                for binding in node.bindings:
                    self.binding(binding, inner)
                return self.of(node.value, inner)
            case n.If():
                condition = self.of(node.condition, env)
                if condition.known:
                    return self.of(node.then if condition.value else node.orelse, env)
                then, _ = self.of(node.then, env), self.of(node.orelse, env)
                return then
            case n.Otherwise():
                value, _ = self.of(node.value, env), self.of(node.fallback, env)
                return value
            case n.Map():
                return self._map(node, env)
            case n.Filter():
                return self._filter(node, env)
            case n.Reduce() | n.Fold() | n.First():
                return self._loop(node, env)
            case n.Call():
                return self._call(node, env)
            case n.Apply():
                return self._apply(node, env)
        for part in parts(node):
            self.of(part, env)
        return _source(node)

    def binding(self, binding: n.Bind | n.Unpack, env: dict[Variable, Seen]) -> None:
        """Adds what a binding binds to `env`."""
        env.update(self._taken_apart(self.facts.bound[binding], self.of(binding.value, env)))

    def _taken_apart(self, variables: Sequence[Variable], seen: Seen) -> dict[Variable, Seen]:
        if len(variables) == 1:
            return {variables[0]: seen}
        whole = seen.value
        if isinstance(whole, SEQUENCES) and len(whole) == len(variables):
            return {v: Seen(item, not _has_holes(item)) for v, item in zip(variables, whole, strict=True)}
        return {v: Seen(Hole.of(v.name), False) for v in variables}

    def _record(self, node: n.Record, env: Env) -> Seen:
        fields: dict[str, Any] = {}
        known = True
        for item in node.items:
            seen = self.of(item.value, env)
            known = known and seen.known
            if isinstance(item, n.RecordField):
                fields[item.name] = seen.value
            elif isinstance(seen.value, dict):
                fields |= seen.value
            else:
                fields[_text(seen.value)] = Hole("⟨…⟩")
        return Seen(fields, known)

    # ---- loops: one item of each list ----

    def _item(self, source: n.Node, env: Env) -> tuple[Seen, Seen]:
        """A list, and its first item."""
        whole = self.of(source, env)
        if isinstance(whole.value, dict):
            whole = Seen(list(whole.value), whole.known)
        if isinstance(whole.value, SEQUENCES) and len(whole.value):
            first = whole.value[0]
            return whole, Seen(first, whole.known or not _has_holes(first))
        text = whole.value[1:-1] if isinstance(whole.value, Hole) else source.span.text
        return whole, Seen(Hole.of(f"{text}[0]" if text.isidentifier() else f"item of {text}"), False)

    def _map(self, node: n.Map, env: Env) -> Seen:
        whole, item = self._item(node.source, env)
        variables = self.facts.bound[node]
        inner = dict(env)
        if node.position is not None:
            inner[variables[-1]] = Seen(0)
            variables = variables[:-1]
        inner |= self._taken_apart(variables, item)
        made = self.of(node.body, inner)
        if node.flatten and isinstance(made.value, SEQUENCES):
            return Seen([*made.value, Hole("⟨…⟩")], False)
        more = not isinstance(whole.value, SEQUENCES) or len(whole.value) > 1
        return Seen([made.value, Hole("⟨…⟩")] if more else [made.value], False)

    def _filter(self, node: n.Filter, env: Env) -> Seen:
        whole, item = self._item(node.source, env)
        self.of(node.condition, {**env, **self._taken_apart(self.facts.bound[node], item)})
        # the first item passes, whatever would be said of it
        return Seen([item.value, Hole("⟨…⟩")] if not isinstance(whole.value, SEQUENCES) or len(whole.value) > 1 else [item.value], False)

    def _loop(self, node: n.Reduce | n.Fold | n.First, env: Env) -> Seen:
        whole, item = self._item(node.source, env)
        variables = self.facts.bound[node]
        if isinstance(node, n.First):
            self.of(node.count, env)
            self.of(node.condition, {**env, **self._taken_apart(variables, item)})
            return Seen([item.value], False)
        if isinstance(node, n.Fold):
            given = (self.of(node.initial, env), item)
        else:
            if node.initial is not None:
                self.of(node.initial, env)
            two = isinstance(whole.value, SEQUENCES) and len(whole.value) > 1
            given = (item, Seen(whole.value[1], not _has_holes(whole.value[1])) if two else Seen(Hole("⟨the next item⟩"), False))
        self.of(node.body, {**env, **dict(zip(variables, given, strict=True))})
        return Seen(Hole.of(f"value of line {node.span.line}"), False)

    # ---- functions and calls ----

    def _apply(self, node: n.Apply, env: Env) -> Seen:
        callee = self.checked.callees[node]
        given = self.checked.arguments[node]
        if isinstance(callee, Builtin):
            plain = [a for a in given if a is not None and not self._is_function(a)]
            item = self._item(plain[0], env)[1] if plain else Seen(Hole("⟨item⟩"), False)
            for argument in plain[1:]:
                self.of(argument, env)
            for function in given:
                if isinstance(function, n.Lambda):
                    self.of(function.body, {**env, **self._taken_apart(self.facts.bound[function], item)})
                elif isinstance(function, n.Name) and isinstance(named := self.checked.callees.get(function), Function):
                    self._enter(named, [item], env)
            return _source(node)
        values = []
        for written, declared in zip(given, callee.node.params, strict=False):
            value = written if written is not None else declared.default
            values.append(_source(node) if value is None else self.of(value, env))
        return self._enter(callee, values, env) or _source(node)

    def _is_function(self, argument: n.Node) -> bool:
        return isinstance(argument, n.Lambda) or (isinstance(argument, n.Name) and argument in self.checked.callees)

    def _enter(self, callee: Function, values: Sequence[Seen], env: Env) -> Seen | None:
        """The value of a function's body; None where it calls itself more often than it may."""
        fn, facts = callee.node, self.facts.facts_of(callee)
        depth = self.depths.get(fn, -1) + 1
        if depth > (fn.depth or 0):
            return None
        self.depths[fn] = depth
        inner = {variable: env[variable] for variable in facts.mentions if variable in env}
        value = self.of(fn.body, {**inner, **dict(zip(facts.params, values, strict=False))})
        self.depths[fn] = depth - 1
        return value

    def _call(self, node: n.Call, env: Env) -> Seen:
        reply = Seen(Hole.of(f"reply of line {node.span.line}"), False)
        options = {o.name: o.value for o in node.options}
        prompt = self.of(node.prompt, env)
        data = [self.of(d.value, env) for d in node.data]
        given = {name: self.of(value, env) for name, value in options.items()}
        if node in self.found and (self.found[node].real or not all(s.known for s in (prompt, *data))):
            return reply
        model = given["model"].value if "model" in given else None
        system = given.get("system")
        try:
            request = render(
                _text(prompt.value),
                [(d.name, _sent(s)) for d, s in zip(node.data, data, strict=True)],
                self.checked.reply_types[node],
                self.model_of(model if isinstance(model, str) else None),
                max_tokens=given["max_tokens"].value if "max_tokens" in given else None,
                temperature=given["temperature"].value if "temperature" in given else None,
                system=None if system is None else _text(system.value),
            )
        except (Failure, LimitError):
            return reply  # this item's call would fail
        self.found[node] = Preview(request, all(s.known for s in (prompt, *data, *given.values())))
        return reply


def _source(node: n.Node) -> Seen:
    """What cannot be known, by how it is written."""
    return Seen(Hole.of(node.span.text), False)


def _text(value: Any) -> str:
    """A value as an f-string writes it."""
    return value if isinstance(value, str) else to_text(value)


def _sent(seen: Seen) -> Any:
    """A datum; a placeholder is a text like any other."""
    return str(seen.value) if isinstance(seen.value, Hole) else seen.value


def _has_holes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_holes(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_holes(item) for item in value)
    return isinstance(value, Hole)


def prompt_bytes(request: Request) -> int:
    """UTF-8 bytes of a request's messages."""
    return sum(utf8_length(message.content) for message in request.messages)
