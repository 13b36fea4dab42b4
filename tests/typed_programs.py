"""Random well-typed programs over all forms and built-ins, with inputs, and a model that answers anything of the right type.

The generator works backwards from a wanted type: a name in scope, a literal, a form, an operator, or any built-in or function one of whose
signatures gives that type. What it makes may still fail at run time, which is wanted.
"""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

from rlmlang.builtins import REGISTRY
from rlmlang.check.unify import fits, match, substitute
from rlmlang.lm.request import Completion, Model, ProviderError, Request, Usage
from rlmlang.types import BOOL, FLOAT, INT, NONE, TEXT, DictOf, Enum, FunctionOf, ListOf, Optional, RecordOf, Tuple, Type, Var
from rlmlang.values import DictValue

MODEL = Model("m", "openai", "m", base_url="http://127.0.0.1:9", input_price=100, output_price=400, concurrency=8)
ENUM = Enum(("red", "green", "blue"))
RECORD = RecordOf((("a", INT), ("t", TEXT)))
SCALARS: tuple[Type, ...] = (INT, FLOAT, BOOL, TEXT, ENUM)
WANTED: tuple[Type, ...] = (
    INT,
    BOOL,
    TEXT,
    TEXT,
    ListOf(INT),
    ListOf(TEXT),
    ListOf(TEXT),
    RECORD,
    ListOf(RECORD),
    Optional(TEXT),
    FLOAT,
    ENUM,
    DictOf(INT),
    DictOf(TEXT),
)
REPLIES: tuple[Type, ...] = (TEXT, BOOL, INT, ENUM, ListOf(TEXT, 3), ListOf(INT, 4), ListOf(TEXT), RECORD, Optional(TEXT), FLOAT)
_ORDERED = (INT, FLOAT, TEXT, BOOL)
_HEAVY = {"range", "files", "sample", "parse_json", "same"}
Scope = list[tuple[str, Type]]


def written(type_: Type) -> str:
    return f"({type_})?" if isinstance(type_, Optional) and isinstance(type_.item, Enum) else str(type_)


class TypedPrograms:
    """Makes programs from a seed. `inputs` are the values that the last one takes."""

    names = 0.25  # how often a name stands where anything may

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.inputs: dict[str, Any] = {}
        self.fresh = 0
        self.functions: list[tuple[str, tuple[Type, ...], Type]] = []

    def program(self) -> str:
        """A program of a few statements, with an answer."""
        r = self.random
        lines: list[str] = []
        scope: Scope = []
        for _ in range(r.randrange(3)):
            name, type_ = self.name("p"), r.choice((INT, TEXT, ListOf(TEXT), ListOf(INT), ListOf(RECORD), DictOf(INT)))
            lines.append(f"input {name}: {type_}")
            self.inputs[name] = self.value(type_)
            scope.append((name, type_))
        if r.random() < 0.4:
            lines += self.function(scope)
        for _ in range(r.randint(1, 4)):
            name, type_ = self.name("v"), r.choice(WANTED)
            lines.append(f"{name} = {self.expr(type_, 3, scope)}")
            scope.append((name, type_))
        lines.append(f"answer {self.expr(r.choice(WANTED), 3, scope)}")
        return "\n".join(lines) + "\n"

    def function(self, scope: Scope) -> list[str]:
        r = self.random
        name, result = self.name("f"), r.choice((INT, TEXT, ListOf(TEXT)))
        params: Scope = [(self.name("q"), r.choice((TEXT, INT, ListOf(TEXT)))) for _ in range(r.randint(1, 2))]
        given = ", ".join(f"{p}: {t}" for p, t in params)
        inner = [*scope, *params]
        if r.random() < 0.4:
            depth = r.randint(1, 3)
            args = ", ".join(self.expr(t, 1, inner) for _, t in params)
            condition, last, fallback = self.expr(BOOL, 1, inner), self.expr(result, 1, inner), self.expr(result, 1, inner)
            body = f"if {condition} {{ {last} }} else {{ {name}({args}) otherwise {fallback} }}"
            lines = [f"fn {name}({given}) -> {result} depth {depth} {{ {body} }}"]
        else:
            lines = [f"fn {name}({given}) -> {result} {{ {self.expr(result, 2, inner)} }}"]
        self.functions.append((name, tuple(t for _, t in params), result))
        return lines

    def name(self, prefix: str) -> str:
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    # ---- expressions ----

    def expr(self, type_: Type, depth: int, scope: Scope) -> str:
        """An expression of a type that may stand anywhere: in brackets where it has to."""
        r = self.random
        known = [name for name, t in scope if fits(t, type_)]
        if known and r.random() < (0.6 if depth <= 0 else self.names):
            return r.choice(known)
        if depth <= 0:
            return self.literal(type_)
        for _ in range(12):
            made = r.choice(self._ways(type_))(type_, depth - 1, scope)
            if made is not None:
                return made
        return self.literal(type_)

    def _ways(self, type_: Type) -> list[Any]:
        ways = [self._if, self._otherwise, self._builtin, self._builtin, self._builtin, self._function, self._block]
        if type_ in REPLIES:
            ways += [self._call, self._call, self._call]
        if isinstance(type_, ListOf):
            ways += [self._map, self._map, self._filter, self._filter, self._list, self._slice, self._first, self._pairs]
        if type_ in (INT, TEXT):
            ways += [self._fold, self._reduce, self._operator, self._operator]
        if isinstance(type_, DictOf):
            ways += [self._dict, self._dict, self._pairs_of_dict]
        if type_ in (INT, TEXT, RECORD):
            ways += [self._value]
        if type_ == TEXT:
            ways += [self._fstring, self._field]
        if type_ == BOOL:
            ways += [self._compare, self._compare, self._logic]
        if isinstance(type_, RecordOf):
            ways += [self._record, self._record]
        if isinstance(type_, Optional):
            ways += [lambda t, d, s: self.expr(t.item, d, s)]
        return ways

    def _if(self, type_: Type, depth: int, scope: Scope) -> str:
        c, a, b = self.expr(BOOL, depth, scope), self.expr(type_, depth, scope), self.expr(type_, depth, scope)
        return f"({a} if {c} else {b})" if self.random.random() < 0.5 else f"(if ({c}) {{ {a} }} else {{ {b} }})"

    def _otherwise(self, type_: Type, depth: int, scope: Scope) -> str:
        left = f"(fail {self.expr(TEXT, 0, scope)})" if self.random.random() < 0.05 else self.expr(type_, depth, scope)
        return f"({left} otherwise {self.expr(type_, depth, scope)})"

    def _block(self, type_: Type, depth: int, scope: Scope) -> str | None:
        if not isinstance(type_, ListOf):
            return None
        x, y, z = self.name("x"), self.name("y"), self.name("z")
        item_type = self.random.choice((INT, TEXT))
        other = self.random.choice(SCALARS)
        inner = [*scope, (x, item_type), (z, INT)]
        source = self.expr(ListOf(item_type), depth, scope)
        value = self.expr(other, depth, inner)
        return f"(map {z}, {x} in {source} {{\n {y} = {value}\n {self.expr(type_.item, depth, [*inner, (y, other)])}\n}})"

    def _call(self, type_: Type, depth: int, scope: Scope) -> str:
        r = self.random
        data = [self.datum(self.expr(r.choice(WANTED), depth, scope)) for _ in range(r.choice((0, 1, 1, 2)))]
        prompt = f'f"ask {r.randrange(4)} {{{self.expr(r.choice(SCALARS), 0, scope)}}}"' if r.random() < 0.5 else f'"ask {r.randrange(4)}"'
        on = " on " + ", ".join(data) if data else ""
        returns = "" if type_ == TEXT and r.random() < 0.5 else f" -> {written(type_)}"
        options = r.choice(("", "", " with {max_tokens: 20}", " with {sample: 3}", ' with {system: "be brief"}'))
        if data and r.random() < 0.3:
            options = f" with {{batch: {r.choice((2, 3, 20))}}}"
        return f"(call {prompt}{on}{returns}{options})"

    def datum(self, text: str) -> str:
        """What may stand after `on`, where a record literal would name its data."""
        return f"({text})" if text.startswith("{") else text

    def _builtin(self, type_: Type, depth: int, scope: Scope) -> str | None:
        r = self.random
        names = [name for name in REGISTRY if name not in _HEAVY]
        for _ in range(30):
            builtin = REGISTRY[r.choice(names)]
            signature = r.choice(builtin.signatures)
            bound: dict[str, Type] = {}
            if (signature.result == TEXT and type_ != TEXT) or not _fits(signature.result, type_, bound):
                continue
            if any(name.startswith("O") and made not in _ORDERED for name, made in bound.items()):
                continue
            args: list[str] = []
            for param in signature.params:
                if param.default is not None and r.random() < 0.6:
                    break
                wanted = self._concrete(param.type, bound)
                if isinstance(wanted, FunctionOf):
                    x = self.name("k")
                    if len(wanted.params) != 1:
                        return None
                    args.append(f"lambda {x}: {self.expr(wanted.result, min(depth, 1), [*scope, (x, wanted.params[0])])}")
                elif _expressible(wanted):
                    args.append(self._argument(builtin.name, param.name, wanted, depth, scope))
                else:
                    return None
            return f"{builtin.name}({', '.join(args)})"
        return None

    def _argument(self, builtin: str, name: str, wanted: Type, depth: int, scope: Scope) -> str:
        r = self.random
        if builtin in ("extract", "findall", "matches") and wanted == TEXT and name in ("pattern", "re"):
            return r.choice(('r"\\w+"', '"a"', 'r"(b)."'))
        if name in ("size", "n", "count", "overlap", "width") and wanted == INT and r.random() < 0.7:
            return str(r.choice((0, 1, 2, 3, 5, 9)))
        if wanted == ListOf(TEXT) and builtin not in ("get", "values"):
            return self._source(TEXT, depth, scope)
        if builtin == "get" and name == "at" and wanted == TEXT:
            return self.key(depth, scope)
        return self.expr(wanted, depth, scope)

    def _concrete(self, type_: Type, bound: dict[str, Type]) -> Type:
        for var in _variables(type_):
            if var not in bound:
                bound[var] = self.random.choice((INT, TEXT) if var.startswith("O") else (INT, TEXT, RECORD))
        return substitute(type_, bound)

    def _dict(self, type_: DictOf, depth: int, scope: Scope) -> str:
        r = self.random
        x, item = self.name("x"), self._item()
        inner = [*scope, (x, item)]
        source = self._source(item, depth, scope)
        key = self.expr(TEXT, min(depth, 1), inner) if item != TEXT or r.random() < 0.6 else x
        if not key.replace("_", "").isalnum():
            key = f"({key})"
        condition = f" if {self.expr(BOOL, min(depth, 1), inner)}" if r.random() < 0.3 else ""
        skip = " otherwise skip" if r.random() < 0.1 else ""
        return f"{{{key}: {self.expr(type_.value, depth, inner)}{skip} for {x} in {source}{condition}}}"

    def _pairs_of_dict(self, type_: DictOf, depth: int, scope: Scope) -> str:
        r = self.random
        if r.random() < 0.4:
            return f"dict(zip({self.expr(ListOf(TEXT), depth, scope)}, {self.expr(ListOf(type_.value), depth, scope)}))"
        before, value = self.expr(type_, depth, scope), self.expr(type_.value, depth, scope)
        return f"dict(items({before}) + [[{self.key(depth, scope)}, {value}]])"

    def _value(self, type_: Type, depth: int, scope: Scope) -> str:
        found = f"{self.expr(DictOf(type_), depth, scope)}[{self.key(depth, scope)}]"
        return f"({found} otherwise {self.literal(type_)})" if self.random.random() < 0.6 else found

    def key(self, depth: int, scope: Scope) -> str:
        """A text that a dict may have as a key."""
        return self.random.choice(('"a"', '"b "', self.expr(TEXT, min(depth, 1), scope)))

    def _source(self, item: Type, depth: int, scope: Scope) -> str:
        """A list to go through, or a dict."""
        if item == TEXT and self.random.random() < 0.15:
            return self.expr(DictOf(self.random.choice((INT, TEXT))), depth, scope)
        return self.expr(ListOf(item), depth, scope)

    def _function(self, type_: Type, depth: int, scope: Scope) -> str | None:
        fitting = [f for f in self.functions if f[2] == type_]
        if not fitting:
            return None
        name, params, _ = self.random.choice(fitting)
        return f"{name}({', '.join(self.expr(t, depth, scope) for t in params)})"

    def _item(self) -> Type:
        return self.random.choice((INT, TEXT, TEXT, RECORD))

    def _map(self, type_: ListOf, depth: int, scope: Scope) -> str:
        x, item = self.name("x"), self._item()
        body = self.expr(type_.item, depth, [*scope, (x, item)])
        if self.random.random() < 0.2:
            y = self.name("y")
            element = self.expr(type_.item, depth, [*scope, (x, item), (y, INT)])
            outer, inner = self.expr(ListOf(item), depth, scope), self.expr(ListOf(INT), 1, [*scope, (x, item)])
            return self.skipping(f"[{element} for {x} in {outer} for {y} in {inner}]")
        return self.skipping(f"[{body} for {x} in {self._source(item, depth, scope)}]")

    def skipping(self, loop: str) -> str:
        """A map or filter, sometimes one that leaves out what fails."""
        return f"({loop} otherwise skip)" if self.random.random() < 0.15 else loop

    def _pairs(self, type_: ListOf, depth: int, scope: Scope) -> str:
        x, y = self.name("x"), self.name("y")
        how = self.random.choice(("zip({}, {})", "pairs({})", "enumerate({})"))
        lists = [self.expr(ListOf(INT), depth, scope) for _ in range(2)]
        return f"[{self.expr(type_.item, depth, [*scope, (x, INT), (y, INT)])} for {x}, {y} in {how.format(*lists)}]"

    def _filter(self, type_: ListOf, depth: int, scope: Scope) -> str:
        x = self.name("x")
        source = self._source(type_.item, depth, scope)
        condition = self.expr(BOOL, depth, [*scope, (x, type_.item)])
        if self.random.random() < 0.2:
            return f"take([{x} for {x} in {source} if {condition}], {self.random.randrange(4)})"
        return self.skipping(f"[{x} for {x} in {source} if {condition}]")

    def _first(self, type_: ListOf, depth: int, scope: Scope) -> str:
        x = self.name("x")
        source, condition = self._source(type_.item, depth, scope), self.expr(BOOL, depth, [*scope, (x, type_.item)])
        return f"(first {self.random.randrange(4)} {x} in {source} where {condition})"

    def _list(self, type_: ListOf, depth: int, scope: Scope) -> str:
        return "[" + ", ".join(self.expr(type_.item, depth, scope) for _ in range(self.random.randrange(4))) + "]"

    def _slice(self, type_: ListOf, depth: int, scope: Scope) -> str:
        a, b = (self.random.choice(("", "0", "1", "2", "-1", self.expr(INT, 0, scope))) for _ in range(2))
        return f"{self.expr(type_, depth, scope)}[{a}:{b}]"

    def _fold(self, type_: Type, depth: int, scope: Scope) -> str:
        acc, x, item = self.name("acc"), self.name("x"), self._item()
        body = self.expr(type_, depth, [*scope, (acc, type_), (acc, type_), (x, item)])
        return f"(fold {acc}, {x} in {self._source(item, depth, scope)} from {self.expr(type_, 0, scope)} {{ {body} }})"

    def _reduce(self, type_: Type, depth: int, scope: Scope) -> str:
        a, b = self.name("a"), self.name("b")
        body = self.expr(type_, depth, [*scope, (a, type_), (b, type_), (a, type_)])
        source = self._source(type_, depth, scope)
        if self.random.random() < 0.3:
            return f"reduce(lambda {a}, {b}: {body}, {source}, {self.expr(type_, 0, scope)})"
        return f"(reduce {a}, {b} in {source} {{ {body} }})"

    def _operator(self, type_: Type, depth: int, scope: Scope) -> str:
        op = "+" if type_ == TEXT else self.random.choice(("+", "-", "*", "//", "%", "+"))
        if type_ == TEXT and self.random.random() < 0.15:
            return f"({self.expr(TEXT, depth, scope)} * {self.random.randrange(4)})"
        return f"({self.expr(type_, depth, scope)} {op} {self.expr(type_, depth, scope)})"

    def _fstring(self, type_: Type, depth: int, scope: Scope) -> str:
        return f'f"<{{ {self.expr(self.random.choice(WANTED), depth, scope)} }}>"'

    def _field(self, type_: Type, depth: int, scope: Scope) -> str:
        return f"{self.expr(RECORD, depth, scope)}.t"

    def _compare(self, type_: Type, depth: int, scope: Scope) -> str:
        r = self.random
        kind = r.choice((INT, TEXT))
        if r.random() < 0.15:
            whole = self.expr(DictOf(INT), depth, scope)
            return f"({self.key(depth, scope)} {r.choice(('in', 'not in'))} {whole})" if r.random() < 0.6 else f"({whole} == {whole})"
        if r.random() < 0.4:
            return f"(len({self.expr(r.choice((TEXT, ListOf(TEXT))), depth, scope)}) {r.choice(('<', '>', '==', '>='))} {r.randrange(6)})"
        op = r.choice(("==", "!=", "<", ">=")) if kind == INT else r.choice(("==", "!=", "in", "not in"))
        return f"({self.expr(kind, depth, scope)} {op} {self.expr(kind, depth, scope)})"

    def _logic(self, type_: Type, depth: int, scope: Scope) -> str:
        if self.random.random() < 0.2:
            return f"(not {self.expr(BOOL, depth, scope)})"
        return f"({self.expr(BOOL, depth, scope)} {self.random.choice(('and', 'or'))} {self.expr(BOOL, depth, scope)})"

    def _record(self, type_: RecordOf, depth: int, scope: Scope) -> str:
        return "{" + ", ".join(f"{n}: {self.expr(t, depth, scope)}" for n, t in type_.fields) + "}"

    def literal(self, type_: Type) -> str:
        """A literal of a type."""
        return as_written(self.value(type_))

    def value(self, type_: Type) -> Any:
        """A random value of a type."""
        r = self.random
        match type_:
            case ListOf(item, most):
                return [self.value(item) for _ in range(min(r.choice((0, 1, 2, 3, 5)), most if most is not None else 9))]
            case RecordOf(fields):
                return {n: self.value(t) for n, t in fields}
            case DictOf(value):
                return DictValue({r.choice(("a", "b ", "é", "words", "")): self.value(value) for _ in range(r.choice((0, 1, 2, 4)))})
            case Optional(item):
                return None if r.random() < 0.4 else self.value(item)
            case Tuple(items):
                return [self.value(t) for t in items]
            case Enum(words):
                return r.choice(words)
        if type_ == INT:
            return r.choice((0, 1, 2, 3, 7, -1, 12))
        if type_ == FLOAT:
            return r.choice((0.0, 0.5, 2.0, -1.5))
        if type_ == BOOL:
            return r.random() < 0.5
        if type_ == NONE:
            return None
        return "".join(r.choice(("a", "b ", "c", "é", "\n", "word ", '"', "\t", "𝄞")) for _ in range(r.choice((0, 1, 3, 8, 30))))


def as_written(value: Any) -> str:
    """A value as a literal."""
    match value:
        case None:
            return "none"
        case list():
            return "[" + ", ".join(map(as_written, value)) + "]"
        case DictValue():
            return "dict([" + ", ".join(f"[{as_written(key)}, {as_written(item)}]" for key, item in value.items()) + "])"
        case dict():
            return "{" + ", ".join(f"{name}: {as_written(item)}" for name, item in value.items()) + "}"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _fits(result: Type, wanted: Type, bound: dict[str, Type]) -> bool:
    if isinstance(result, Optional) and not isinstance(wanted, Optional):
        return False
    return match(result, wanted, bound) if _variables(result) else result == wanted


def _variables(type_: Type) -> list[str]:
    match type_:
        case Var(name):
            return [name]
        case ListOf(item) | Optional(item) | DictOf(item):
            return _variables(item)
        case Tuple(items):
            return [v for t in items for v in _variables(t)]
        case RecordOf(fields):
            return [v for _, t in fields for v in _variables(t)]
        case FunctionOf(params, result):
            return [v for t in (*params, result) for v in _variables(t)]
    return []


def _expressible(type_: Type) -> bool:
    match type_:
        case ListOf(item) | Optional(item) | DictOf(item):
            return _expressible(item)
        case RecordOf(fields):
            return all(_expressible(t) for _, t in fields)
    return type_ in SCALARS


class AnyModel:
    """A provider whose reply depends on the request's key and `seed` alone: of the right type, of any size that is allowed; now and then
    a refusal,
    a bad reply, an error. With `greedy` it never says what it used, so that the most that a prompt can take counts."""

    def __init__(self, seed: int, trouble: float = 0.15, *, greedy: bool = False) -> None:
        self.seed = seed
        self.trouble = trouble
        self.greedy = greedy

    async def complete(self, request: Request) -> Completion:
        made = TypedPrograms(0)
        r = made.random = Random(request.key + self.seed.to_bytes(8, "big"))
        await asyncio.sleep(0)
        usage = None if self.greedy else r.choice((None, Usage(r.randrange(1, 20), r.randrange(0, min(20, request.max_tokens)))))
        if r.random() < self.trouble:
            kind = r.randrange(5)
            if kind == 0:
                return Completion(None, refusal="no", usage=usage)
            if kind == 1:
                return Completion("{nonsense", usage=usage)
            if kind == 2:
                return Completion("x", finish="length", usage=usage)
            if kind == 3:
                raise ProviderError("it broke", retryable=False, charged=True)
            raise ProviderError("it is busy", status=400)
        if request.batch:
            entries = [made.value(item.type) for item in request.batch]
            if r.random() < self.trouble:
                del entries[r.randrange(len(entries))]
            elif r.random() < self.trouble:
                entries[r.randrange(len(entries))] = {"nonsense": 1}
            return Completion(json.dumps({"value": entries}), usage=usage)
        value = made.value(request.type)
        if isinstance(value, str) and r.random() < 0.2:
            value *= 40
        if request.type == TEXT:
            return Completion(str(value) or "x", usage=usage)
        text = json.dumps(value if isinstance(request.type, RecordOf) else {"value": value})
        return Completion(text, usage=usage)

    async def close(self) -> None:
        return None
