"""Lark's tree -> our nodes, bottom-up and without recursion, counting depth and nodes as they are made.

Each rule of the grammar has one method here, named after it, that takes the span and the children (already built) and gives the node,
or a plain Python value for the parts that are no node (`clauses`, `with`, `target` …).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from lark import Token, Tree

from rlmlang import limits
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.syntax.source import Source, Span
from rlmlang.syntax.strings import BadEscape, dedent, unescape

_RUNS_ON = re.compile(r"[A-Za-z_]\w*|\.")


@attrs.frozen
class _For:
    target: tuple[str, ...]
    source: n.Expr


@attrs.frozen
class _Ifs:
    condition: n.Expr


class _Refused(Exception):
    """A limit was met; `span` says where."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


class Builder:
    """Builds one program. `errors` holds what the grammar lets through but the language does not."""

    def __init__(self, source: Source, comments: tuple[n.Comment, ...]) -> None:
        self.source = source
        self.comments = comments
        self.errors: list[Diagnostic] = []
        self._grouped: set[n.Expr] = set()  # expressions that stand in parentheses of their own

    def program(self, tree: Tree[Token]) -> n.Program:
        """The program, or what could be made of it when there are errors."""
        built: dict[int, Any] = {}
        depths: dict[int, int] = {}
        try:
            for count, part in enumerate(tree.iter_subtrees()):
                if count > limits.NODES:
                    raise _Refused(f"the program has more than {limits.NODES:,} parts", Span(self.source, 0, 0))
                depth = max((depths[id(child)] for child in part.children if isinstance(child, Tree)), default=0)
                depth += part.data != "group"  # parentheses leave no node
                if part.data in ("clauses", "short"):  # side by side in the text, but one in the other in the tree
                    depth += len(part.children) - 1
                span = self._span(part)
                if depth > limits.TREE_DEPTH:
                    raise _Refused(f"this is nested more than {limits.TREE_DEPTH} deep", span)
                depths[id(part)] = depth
                children = [built[id(child)] if isinstance(child, Tree) else child for child in part.children]
                built[id(part)] = _METHODS[part.data](self, span, children)
        except _Refused as refused:
            hint = "bind parts of it to names first, or make it a list and use a built-in (sum, join, any)"
            self.errors.append(Diagnostic("limit", refused.message, refused.span, hint=hint))
            return n.Program(Span(self.source, 0, len(self.source.text)), self.source, ())
        result: n.Program = built[id(tree)]
        return result

    def _span(self, tree: Tree[Token]) -> Span:
        meta = tree.meta
        return Span(self.source, 0, 0) if meta.empty else Span(self.source, meta.start_pos, meta.end_pos)

    def _token_span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def _error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.errors.append(Diagnostic(code, message, span, hint=hint))

    # ---- statements ----

    def _program(self, span: Span, children: list[Any]) -> n.Program:
        return n.Program(Span(self.source, 0, len(self.source.text)), self.source, tuple(_nodes(children)), self.comments)

    def _input(self, span: Span, children: list[Any]) -> n.Input:
        name, type_, *default = children
        return n.Input(span, str(name), type_, *default)

    def _type_def(self, span: Span, children: list[Any]) -> n.TypeDef:
        return n.TypeDef(span, str(children[0]), children[1])

    def _use(self, span: Span, children: list[Any]) -> n.Use:
        return n.Use(span, self._text(children[0], span))

    def _fn(self, span: Span, children: list[Any]) -> n.Fn:
        name, params, result, depth, body = children
        number = None if depth is None else self._integer(depth)
        return n.Fn(span, str(name), tuple(params or ()), result, number, body, name_span=self._token_span(name))

    def _params(self, span: Span, children: list[Any]) -> list[n.Param]:
        return _nodes(children)

    def _param(self, span: Span, children: list[Any]) -> n.Param:
        name, type_, *default = children
        return n.Param(span, str(name), type_, *default)

    def _answer(self, span: Span, children: list[Any]) -> n.Answer:
        return n.Answer(span, children[0])

    def _shown(self, span: Span, children: list[Any]) -> n.Shown:
        return n.Shown(span, children[0])

    def _bind(self, span: Span, children: list[Any]) -> n.Bind:
        name, value = children
        return n.Bind(span, str(name), value, name_span=self._token_span(name))

    def _unpack(self, span: Span, children: list[Any]) -> n.Unpack:
        *names, value = children
        return n.Unpack(span, tuple(map(str, names)), value, name_spans=tuple(map(self._token_span, names)))

    def _block(self, span: Span, children: list[Any]) -> n.Expr:
        *bindings, value = _nodes(children)
        return n.Block(span, tuple(bindings), value) if bindings else value

    def _token(self, span: Span, children: list[Any]) -> Token:
        token: Token = children[0]
        return token

    # ---- expressions ----

    def _otherwise(self, span: Span, children: list[Any]) -> n.Expr:
        made = n.Otherwise(span, *children)
        value, skip = self._skipping(made)
        if skip and isinstance(value, (n.Map, n.Filter)) and value not in self._grouped:
            return attrs.evolve(value, span=span, skip=True)
        return made

    def _skipping(self, value: n.Expr) -> tuple[n.Expr, bool]:
        """E and True for a bare `E otherwise skip`, else the value itself and False."""
        if isinstance(value, n.Otherwise) and value not in self._grouped:
            skip = value.fallback
            if isinstance(skip, n.Name) and skip.name == "skip" and skip not in self._grouped:
                return value.value, True
        return value, False

    def _skipping_body(self, body: n.Expr) -> tuple[n.Expr, bool]:
        """The same for what a map does with an item, where the value may stand after bindings."""
        if isinstance(body, n.Block):
            value, skip = self._skipping(body.value)
            return (attrs.evolve(body, value=value), True) if skip else (body, False)
        return self._skipping(body)

    def _choice(self, span: Span, children: list[Any]) -> n.If:
        then, condition, orelse = children
        return n.If(span, condition, then, orelse)

    def _default(self, span: Span, children: list[Any]) -> n.Default:
        return n.Default(span, *children)

    def _or(self, span: Span, children: list[Any]) -> n.Logic:
        return n.Logic(span, "or", *children)

    def _and(self, span: Span, children: list[Any]) -> n.Logic:
        return n.Logic(span, "and", *children)

    def _not(self, span: Span, children: list[Any]) -> n.Unary:
        return n.Unary(span, "not", children[0])

    def _compare(self, span: Span, children: list[Any]) -> n.Compare:
        return n.Compare(span, tuple(children[1::2]), tuple(children[0::2]))

    def _operator(self, span: Span, children: list[Any]) -> str:
        return " ".join(children)

    def _binary(self, span: Span, children: list[Any]) -> n.Binary:
        left, op, right = children
        return n.Binary(span, op, left, right)

    def _negate(self, span: Span, children: list[Any]) -> n.Unary:
        return n.Unary(span, str(children[0]), children[1])

    def _power(self, span: Span, children: list[Any]) -> n.Binary:
        return n.Binary(span, "**", *children)

    def _field(self, span: Span, children: list[Any]) -> n.FieldAccess:
        base, name = children
        return n.FieldAccess(span, base, str(name), name_span=self._token_span(name))

    def _maybe_field(self, span: Span, children: list[Any]) -> n.FieldAccess:
        base, name = children
        return n.FieldAccess(span, base, str(name), maybe=True, name_span=self._token_span(name))

    def _index(self, span: Span, children: list[Any]) -> n.Index:
        return n.Index(span, *children)

    def _slice(self, span: Span, children: list[Any]) -> n.Slice:
        return n.Slice(span, *children)

    def _name_ref(self, span: Span, children: list[Any]) -> n.Name:
        return n.Name(span, str(children[0]))

    def _group_name(self, span: Span, children: list[Any]) -> n.Name:
        name = n.Name(self._token_span(children[0]), str(children[0]))
        self._grouped.add(name)
        return name

    def _group(self, span: Span, children: list[Any]) -> n.Expr:
        value: n.Expr = children[0]
        self._grouped.add(value)
        return value

    def _list(self, span: Span, children: list[Any]) -> n.ListExpr:
        return n.ListExpr(span, tuple(_nodes(children)))

    def _number(self, span: Span, children: list[Any]) -> n.Literal:
        token: Token = children[0]
        digits = token.replace("_", "")
        self._ends(token)
        if len(digits) > limits.NUMBER_DIGITS:
            self._error("limit", f"a number has more than {limits.NUMBER_DIGITS} digits", span)
            return n.Literal(span, 0, "0")
        if token.type == "INT":
            return n.Literal(span, int(digits), str(token))
        value = float(digits)
        if math.isinf(value):
            self._error("bad-number", f"{token} is too large for a float", span)
        return n.Literal(span, value, str(token))

    def _ends(self, token: Token) -> None:
        """Refuses a number that runs into a name: `10kb`, `0x1f`, `1.`"""
        found = _RUNS_ON.match(self.source.text, token.end_pos or 0)
        if found and (found[0] != "." or token.type == "INT"):
            here = Span(self.source, token.start_pos or 0, found.end())
            hint = "a number is written 10, 2.5 or 1e6" if found[0] != "." else f"write {token}.0, or ({token}).name"
            self._error("bad-number", f"`{here.text[:60]}` is no number", here, hint)

    def _constant(self, span: Span, children: list[Any]) -> n.Literal:
        word = str(children[0]).lower()
        return n.Literal(span, None if word == "none" else word == "true", word)

    # ---- functions and their arguments ----

    def _args(self, span: Span, children: list[Any]) -> list[n.Argument]:
        return [c if isinstance(c, n.Argument) else n.Argument(c.span, c) for c in _nodes(children)]

    def _keyword(self, span: Span, children: list[Any]) -> n.Argument:
        return n.Argument(span, children[1], str(children[0]))

    def _lambda(self, span: Span, children: list[Any]) -> n.Lambda:
        head, body = children
        names = (head.name,) if isinstance(head, n.Name) else (str(head),) if isinstance(head, Token) else tuple(head)
        return n.Lambda(span, names, body)

    def _names(self, span: Span, children: list[Any]) -> list[str]:
        return [str(c) for c in children]

    def _apply(self, span: Span, children: list[Any]) -> n.Expr:
        name, args = children
        return self._application(span, name.name, name.span, tuple(args or ()), method=False)

    def _method(self, span: Span, children: list[Any]) -> n.Expr:
        base, name, args = children
        return self._application(span, str(name), self._token_span(name), (n.Argument(base.span, base), *(args or ())), method=True)

    def _application(self, span: Span, name: str, name_span: Span, args: tuple[n.Argument, ...], *, method: bool) -> n.Expr:
        if name in ("map", "filter", "reduce", "fold"):
            return self._form_of_function(span, name, name_span, args, int(method))
        return n.Apply(span, name, args, method, name_span=name_span)

    def _form_of_function(self, span: Span, name: str, name_span: Span, args: tuple[n.Argument, ...], place: int) -> n.Expr:
        """`map(lambda x: E, XS)`, `xs.map(x => E)` and their like; `place` is where the name of a function may stand: `xs.map(str)`."""
        usual = {
            "map": "[E for x in xs] or map(lambda x: E, xs)",
            "filter": "[x for x in xs if C] or filter(lambda x: C, xs)",
            "reduce": "reduce(lambda a, b: E, xs)",
            "fold": "fold acc, x in xs from INIT { E }",
        }[name]
        values = [a.value for a in args]
        most = {"map": 2, "filter": 2, "reduce": 3, "fold": 3}[name]
        function = next((v for v in values if isinstance(v, n.Lambda)), None)
        given = values[place] if len(values) > place else None
        if function is None and isinstance(given, n.Name):  # the name of a function, where a lambda may stand: `map(str, xs)`
            params = ("a", "b") if name in ("reduce", "fold") else ("x",)
            applied = tuple(n.Argument(given.span, n.Name(given.span, p)) for p in params)
            function = n.Lambda(given.span, params, n.Apply(given.span, given.name, applied, name_span=given.span))
            values[place] = function
        others = [v for v in values if v is not function and not isinstance(v, n.Lambda)]
        arity = 2 if name in ("reduce", "fold") else None
        if (
            function is None
            or any(a.name for a in args)
            or not 1 <= len(others) <= most - 1
            or (name == "fold" and len(others) != 2)
            or (arity is not None and len(function.params) != arity)
        ):
            self._error("bad-form", f"this is not how {name} is written", name_span, f"write {usual}")
            return n.Literal(span, None, "none")
        source = others[0]
        if name in ("map", "filter"):
            body, skip = self._skipping(function.body)
            form = n.Map if name == "map" else n.Filter
            return form(span, function.params, source, body, comprehension=True, skip=skip)
        left, right = function.params
        if name == "fold":
            return n.Fold(span, left, right, source, others[1], function.body)
        return n.Reduce(span, left, right, source, function.body, others[1] if len(others) > 1 else None)

    def _generator(self, span: Span, children: list[Any]) -> n.Expr:
        return self._loops(span, children[0], children[1])

    def _comprehension(self, span: Span, children: list[Any]) -> n.Expr:
        element, clauses = _nodes(children)
        return self._loops(span, element, clauses)

    def _clauses(self, span: Span, children: list[Any]) -> list[_For | _Ifs]:
        return [c for c in children if isinstance(c, (_For, _Ifs))]

    def _for_clause(self, span: Span, children: list[Any]) -> _For:
        return _For(tuple(children[0]), children[1])

    def _if_clause(self, span: Span, children: list[Any]) -> _Ifs:
        return _Ifs(children[0])

    def _target(self, span: Span, children: list[Any]) -> list[str]:
        names: list[str] = children[0]
        return names

    def _loops(self, span: Span, element: n.Expr, clauses: Sequence[_For | _Ifs]) -> n.Expr:
        """A comprehension as maps over filters, the innermost `for` first."""
        element, skip = self._skipping(element)
        groups: list[tuple[_For, list[_Ifs]]] = []
        for clause in clauses:
            if isinstance(clause, _For):
                groups.append((clause, []))
            else:
                groups[-1][1].append(clause)
        result = element
        for depth, (loop, conditions) in enumerate(reversed(groups)):
            source = loop.source
            for clause in conditions:
                source = n.Filter(
                    Span(self.source, span.start, clause.condition.span.end), loop.target, source, clause.condition, comprehension=True
                )
            identity = isinstance(result, n.Name) and (result.name,) == loop.target and result is element and bool(conditions) and not skip
            if identity:
                result = attrs.evolve(source, span=span)
            else:
                result = n.Map(span, loop.target, source, result, comprehension=True, flatten=depth > 0, skip=skip and depth == 0)
        return result

    # ---- records and texts ----

    def _record(self, span: Span, children: list[Any]) -> n.Record:
        items = tuple(_nodes(children))
        seen: set[str] = set()
        for item in items:
            if isinstance(item, n.RecordField):
                if item.name in seen:
                    self._error("duplicate-field", f"the field {item.name} is given twice", item.span)
                seen.add(item.name)
        return n.Record(span, items)

    def _pair(self, span: Span, children: list[Any]) -> n.RecordField:
        key, value = children
        return n.RecordField(span, self._text(key, span) if key.type == "STRING" else str(key), value)

    def _short(self, span: Span, children: list[Any]) -> n.RecordField:
        value: n.Expr = n.Name(self._token_span(children[0]), str(children[0]))
        for name in children[1:]:
            here = self._token_span(name)
            value = n.FieldAccess(Span(self.source, value.span.start, here.end), value, str(name), name_span=here)
        return n.RecordField(span, str(children[-1]), value, short=True)

    def _spread(self, span: Span, children: list[Any]) -> n.Spread:
        return n.Spread(span, children[0])

    def _string(self, span: Span, children: list[Any]) -> n.Expr:
        child = children[0]
        if isinstance(child, n.FString):
            return child
        return n.Literal(span, self._text(child, span), str(child))

    def _text(self, token: Token, span: Span) -> str:
        """The value of a text literal."""
        written = str(token)
        raw = written[0] in "rR"
        body = written[1:] if raw else written
        triple = body.startswith(('"""', "'''")) and len(body) >= 6
        inner = "".join(piece or "" for piece in dedent([body[3:-3]])) if triple else body[1:-1]
        return inner if raw else self._unescaped(inner, span)

    def _unescaped(self, text: str, span: Span) -> str:
        try:
            return unescape(text)
        except BadEscape as error:
            self._error("bad-escape", str(error), span)
            return ""

    def _fstring(self, span: Span, children: list[Any]) -> n.FString:
        first: Token = children[0]
        triple = first.type in ("FSTRING_AAA", "FSTRING_BBB")
        pieces: list[str | n.Interpolation] = []
        opening = "" if first.type == "EMPTY_FSTRING" else str(first)[4 if triple else 2 :]
        for child in [opening, *children[1:]]:
            if isinstance(child, n.Interpolation):
                pieces.append(child)
            elif pieces and isinstance(pieces[-1], str):
                pieces[-1] += str(child)
            else:
                pieces.append(str(child))
        if triple:
            holes = iter([p for p in pieces if isinstance(p, n.Interpolation)])
            texts = dedent([p if isinstance(p, str) else None for p in pieces])
            pieces = [next(holes) if t is None else t for t in texts]
        parts = tuple(
            p if isinstance(p, n.Interpolation) else self._unescaped(p.replace("{{", "{").replace("}}", "}"), span) for p in pieces
        )
        return n.FString(span, tuple(p for p in parts if p != ""), span.text)

    def _interpolation(self, span: Span, children: list[Any]) -> n.Interpolation:
        value, spec = children[0], children[1] if len(children) > 1 else None
        return n.Interpolation(span, value, None if spec is None else str(spec))

    # ---- the forms over sub-calls ----

    def _call(self, span: Span, children: list[Any]) -> n.Call:
        return n.Call(span, *self._sub_call(children))

    def _solve(self, span: Span, children: list[Any]) -> n.Solve:
        return n.Solve(span, *self._sub_call(children))

    def _sub_call(self, children: list[Any]) -> tuple[n.Expr, tuple[n.Datum, ...], n.TypeExpr | None, tuple[n.RecordField, ...]]:
        prompt, datum, returns, options = children
        data: tuple[n.Datum, ...] = ()
        if isinstance(datum, n.Record) and datum not in self._grouped:
            data = tuple(self._named(item) for item in datum.items if isinstance(item, n.RecordField))
            for item in datum.items:
                if isinstance(item, n.Spread):
                    self._error(
                        "bad-datum", "data are named one by one", item.span, "put a record in parentheses to send it whole: on ({...r})"
                    )
        elif datum is not None:
            data = (self._datum(datum),)
        return prompt, data, returns, tuple(options or ())

    def _named(self, item: n.RecordField) -> n.Datum:
        return attrs.evolve(self._datum(item.value), name=item.name, short=item.short)

    def _datum(self, value: n.Expr) -> n.Datum:
        if isinstance(value, (n.Call, n.Solve)) and value not in self._grouped:
            hint = "put each call of a list in parentheses: [(call … on a), (call … on b)]; a call that another needs, too: on (call …)"
            self._error("bare-call-datum", "a call may not stand bare among the data of another", value.span, hint)
        return n.Datum(value.span, value)

    def _many(self, span: Span, children: list[Any]) -> n.Call:
        prompt, *rest, returns, options = children
        data = tuple(self._datum(c) for c in rest)
        return n.Call(span, prompt, data, returns, tuple(options or ()))

    def _first_child(self, span: Span, children: list[Any]) -> Any:
        return children[0]

    def _with(self, span: Span, children: list[Any]) -> list[n.RecordField]:
        record: n.Record = children[0]
        for item in record.items:
            if isinstance(item, n.Spread):
                self._error("bad-option", "options are written one by one", item.span)
        return [item for item in record.items if isinstance(item, n.RecordField)]

    def _map(self, span: Span, children: list[Any]) -> n.Map:
        position, item, source, body = children
        body, skip = self._skipping_body(body)
        return n.Map(span, (str(item),), source, body, None if position is None else str(position), skip=skip)

    def _filter(self, span: Span, children: list[Any]) -> n.Filter:
        item, source, condition = children
        condition, skip = self._skipping_body(condition)
        return n.Filter(span, (str(item),), source, condition, skip=skip)

    def _reduce(self, span: Span, children: list[Any]) -> n.Reduce:
        left, right, source, body = children
        return n.Reduce(span, str(left), str(right), source, body)

    def _fold(self, span: Span, children: list[Any]) -> n.Fold:
        accumulator, item, source, initial, body = children
        return n.Fold(span, str(accumulator), str(item), source, initial, body)

    def _first(self, span: Span, children: list[Any]) -> n.First:
        count, item, source, condition = children
        here = self._token_span(count)
        number = n.Literal(here, self._integer(count), str(count)) if count.type == "INT" else n.Name(here, str(count))
        return n.First(span, number, str(item), source, condition)

    def _if(self, span: Span, children: list[Any]) -> n.If:
        condition, then, orelse = children
        return n.If(span, condition, then, orelse, block=True)

    def _fail(self, span: Span, children: list[Any]) -> n.Fail:
        return n.Fail(span, children[0])

    def _integer(self, token: Token) -> int:
        self._ends(token)
        if len(token) > limits.NUMBER_DIGITS:
            self._error("limit", f"a number has more than {limits.NUMBER_DIGITS} digits", self._token_span(token))
            return 0
        return int(token.replace("_", ""))

    # ---- types ----

    def _named_type(self, span: Span, children: list[Any]) -> n.NamedType:
        return n.NamedType(span, str(children[0]))

    def _literal_type(self, span: Span, children: list[Any]) -> n.EnumType:
        return n.EnumType(span, (self._text(children[0], span),))

    def _union(self, span: Span, children: list[Any]) -> n.TypeExpr:
        words = [w for c in children if isinstance(c, n.EnumType) for w in c.words]
        others = [c for c in children if not isinstance(c, n.EnumType)]
        nones = [c for c in others if isinstance(c, n.NamedType) and c.name in ("none", "None", "null")]
        rest = [c for c in others if c not in nones]
        if len(rest) + bool(words) > 1 or (not rest and not words):
            self._error(
                "bad-union",
                "only words may be alternatives of one another",
                span,
                'write "a" | "b", T? for T or none, or a record with optional fields',
            )
            return n.NamedType(span, "text")
        item: n.TypeExpr = rest[0] if rest else n.EnumType(span, tuple(words))
        return self._optional(span, [item]) if nones else item

    def _optional(self, span: Span, children: list[Any]) -> n.OptionalType:
        item: n.TypeExpr = children[0]
        return n.OptionalType(span, item.item if isinstance(item, n.OptionalType) else item)

    def _list_type(self, span: Span, children: list[Any]) -> n.ListType:
        item, most = children
        return n.ListType(span, item, None if most is None else self._integer(most))

    def _generic_type(self, span: Span, children: list[Any]) -> n.TypeExpr:
        name, item = str(children[0]), children[1]
        if name in ("list", "List"):
            return n.ListType(span, item)
        if name in ("Optional", "optional"):
            return self._optional(span, [item])
        self._error("unknown-type", f"there is no type {name}[…]", span, "a list of T is [T], T or none is T?")
        return n.NamedType(span, "text")

    def _record_type(self, span: Span, children: list[Any]) -> n.RecordType:
        fields = tuple(c for c in children if isinstance(c, tuple))
        if len({name for name, _ in fields}) < len(fields):
            self._error("duplicate-field", "a field is named twice", span)
        return n.RecordType(span, fields)

    def _field_type(self, span: Span, children: list[Any]) -> tuple[str, n.TypeExpr]:
        key, type_ = children
        return (self._text(key, span) if key.type == "STRING" else str(key)), type_


def _nodes(children: Sequence[Any]) -> list[Any]:
    """Without the places of what is absent."""
    return [c for c in children if c is not None]


_Method = Callable[[Builder, Span, list[Any]], Any]
_SAME = [
    "program",
    "input",
    "type_def",
    "use",
    "fn",
    "params",
    "param",
    "answer",
    "shown",
    "bind",
    "unpack",
    "block",
    "otherwise",
    "choice",
    "default",
    "compare",
    "negate",
    "power",
    "field",
    "maybe_field",
    "index",
    "slice",
    "name_ref",
    "group_name",
    "group",
    "list",
    "number",
    "constant",
    "args",
    "keyword",
    "lambda",
    "names",
    "apply",
    "method",
    "generator",
    "comprehension",
    "clauses",
    "for_clause",
    "if_clause",
    "target",
    "record",
    "pair",
    "short",
    "spread",
    "string",
    "fstring",
    "call",
    "solve",
    "many",
    "with",
    "map",
    "filter",
    "reduce",
    "fold",
    "first",
    "fail",
    "named_type",
    "literal_type",
    "union",
    "optional",
    "list_type",
    "generic_type",
    "record_type",
    "field_type",
]
_OTHERS: dict[str, _Method] = {
    "word": Builder._token,
    "form_word": Builder._token,
    "many_choice": Builder._choice,
    "many_otherwise": Builder._otherwise,
    "or_": Builder._or,
    "and_": Builder._and,
    "not_": Builder._not,
    "if_": Builder._if,
    "compare_op": Builder._operator,
    "add_op": Builder._operator,
    "multiply_op": Builder._operator,
    "add": Builder._binary,
    "multiply": Builder._binary,
    "names_two": Builder._names,
    "on": Builder._first_child,
    "edge": Builder._first_child,
    "returns": Builder._first_child,
    **{f"interpolation_{q}": Builder._interpolation for q in ("a", "b", "aaa", "bbb")},
}
_METHODS: dict[str, _Method] = {name: getattr(Builder, f"_{name}") for name in _SAME} | _OTHERS
