"""Tree -> text in the one canonical layout: two columns a block, lines of at most 100 columns where that is possible, double quotes,
parentheses only where the grammar needs them. The author keeps: comments, single blank lines between statements, block or
comprehension, method or function, triple quotes, short fields.

Parsing what it writes gives the same tree, and formatting that gives the same text. It does not: sort, rename, or change a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import frozen

from rlmlang.syntax import nodes as n
from rlmlang.syntax.comments import Comments
from rlmlang.syntax.layout import EMPTY, HARD, SOFT, SPACE, Choice, Doc, Fill, Group, Indent, Text, concat, group, indent, render, separated
from rlmlang.syntax.precedence import (
    CHOICE,
    EXPR,
    FACTOR,
    FENCED,
    NOT,
    OPERAND,
    POSTFIX,
    SUM,
    TEST,
    WIDE,
    Chained,
    chain,
    is_bracketed,
    is_form,
    is_many,
    leftmost,
    level,
)
from rlmlang.syntax.strings import escape, is_name, opening, quote, requoted, respell, usual_mark

WIDTH: Final = 100
_N = TypeVar("_N", bound=n.Node)
_STATEMENT_WORDS = frozenset({"input", "type", "use", "fn", "answer"})
# before `=>` and after `reduce` or `fold` these would be taken for what they start
_KEYWORDS = frozenset(
    [
        *("and", "call", "else", "fail", "false", "False", "filter", "first", "fold", "for", "from", "if", "in", "lambda", "map", "none"),
        *("None", "not", "on", "or", "otherwise", "reduce", "solve", "true", "True", "where", "with"),
    ]
)


def format_program(program: n.Program) -> str:
    """The program's canonical text, ending in a newline (empty for an empty program)."""
    return _Formatter(program).program(program)


@frozen
class _Braces:
    """A block's inside: the comments after the brace, the bindings and the value, the comments before the closing brace."""

    lead: Doc | None
    inside: Doc
    trail: Doc | None

    def doc(self, line: Doc) -> Doc:
        inside = indent(line, self.inside) if self.lead is None else indent(self.lead, HARD, self.inside)
        return concat("{", inside, line if self.trail is None else concat(Indent(self.trail), HARD), "}")

    @property
    def forced(self) -> bool:
        return self.lead is not None or self.inside.forced or self.trail is not None


class _Formatter:
    """One run over one tree, in the order of the text, so that comments are met where they stood."""

    def __init__(self, program: n.Program) -> None:
        self._comments = Comments(program)
        self._marks = ['"']  # the quotes wanted for texts, by nesting in f-strings
        self._fenced: set[n.Expr] = set()  # names that need parentheses, as a statement would start there

    # ---- statements ----

    def program(self, program: n.Program) -> str:
        lines = self._sequence(program.statements)
        for comment in self._comments.take(len(program.source.text) + 1):
            lines += self._own_line(comment, first=not lines)
        text = render(concat(*lines), WIDTH).rstrip("\n")
        return text + "\n" if text else ""

    def _own_line(self, comment: n.Comment, *, first: bool) -> list[Doc]:
        """A comment between statements, with the blank line above it."""
        blank = not first and self._comments.blank_before(comment.span.start)
        return [HARD, Text(comment.text), HARD] if blank else [Text(comment.text), HARD]

    def _sequence(self, statements: Sequence[n.Statement | n.Expr]) -> list[Doc]:
        """Statements, or a block's bindings and value, each with its comments and a line break after it."""
        lines: list[Doc] = []
        for at, statement in enumerate(statements):
            start = statement.span.start
            for comment in self._comments.take(start):
                lines += self._own_line(comment, first=not lines)
            if at and isinstance(statement, n.Expr):  # whose span leaves out its parentheses
                start = self._comments.skip_space(statements[at - 1].span.end)
            if lines and self._comments.blank_before(start):
                lines.append(HARD)
            lines.append(self._statement(statement))
            if not isinstance(statement, n.Expr):  # those after a value belong to its block
                lines.append(self._comments.rest_of_line(statement.span.end))
            lines.append(HARD)
        return lines

    def _statement(self, node: n.Statement | n.Expr) -> Doc:
        if isinstance(node, n.Bind):
            return _headed(f"{node.name} =", self._lead(node.value), self._expr(node.value, WIDE))
        if isinstance(node, n.Unpack):
            return _headed(f"{', '.join(node.names)} =", self._lead(node.value), self._expr(node.value, WIDE))
        if isinstance(node, n.Answer):
            return _headed("answer", self._lead(node.value), self._expr(node.value, WIDE))
        if isinstance(node, n.Shown):
            return self._starting(node.value)
        if isinstance(node, n.Input):
            return concat("input ", self._declared(node, WIDE))
        if isinstance(node, n.TypeDef):
            return _headed(f"type {node.name} =", self._lead(node.type), self._type(node.type))
        if isinstance(node, n.Use):
            return concat("use ", quote(node.path))
        if isinstance(node, n.Fn):
            return self._fn(node)
        return self._starting(node)

    def _lead(self, node: n.Node) -> Doc | None:
        """The comments before a node."""
        return self._comments.doc(node.span.start)

    def _declared(self, node: n.Input | n.Param, loosest: int) -> Doc:
        """`name: type = default`"""
        type_ = self._type(node.type)
        default = concat(" = ", self._expr(node.default, loosest)) if node.default else EMPTY
        return concat(f"{node.name}: ", type_, default)

    def _fn(self, node: n.Fn) -> Doc:
        end = self._comments.closer(node.params[-1].span.end, ")") if node.params else node.name_span.end
        params = self._list("(", node.params, lambda param: self._declared(param, EXPR), ")", end)
        result = concat(" -> ", self._type(node.result)) if node.result else EMPTY
        depth = "" if node.depth is None else f" depth {node.depth}"
        return concat(f"fn {node.name}", params, result, depth, " ", self._block(node.body))

    def _starting(self, value: n.Expr) -> Doc:
        """An expression where a statement may start: a name such as `type` in front would be taken for one."""
        first = leftmost(value)
        if isinstance(first, (n.Name, n.Apply)) and first.name in _STATEMENT_WORDS:
            self._fenced.add(first)
        return self._expr(value, WIDE)

    # ---- brackets and blocks ----

    def _list(self, left: str, nodes: Sequence[_N], write: Callable[[_N], Doc], right: str, end: int, *, fill: bool = False) -> Doc:
        """Items with commas between, on one line or one a line. `end` is the offset before which comments stand inside."""
        places: list[Doc] = []
        items: list[Doc] = []
        for node in nodes:
            places.append(self._comments.gap(node.span.start, SPACE if places else SOFT))
            items.append(write(node))
        close = self._comments.closing(end, SOFT if nodes else EMPTY)
        if fill and not any(place.forced for place in places):
            return group(left, indent(SOFT, Fill(tuple(items))), close, right)
        parts = [part for place, item in zip(places, items, strict=True) for part in (Text(","), place, item)][1:]
        return group(left, Indent(concat(*parts)), close, right)

    def _block(self, body: n.Expr) -> Doc:
        return Group(self._braces(body).doc(SPACE))

    def _braces(self, body: n.Expr) -> _Braces:
        if isinstance(body, n.Block):
            lead: Doc | None = self._comments.tail(body.bindings[0].span.start)
            inside = concat(*self._sequence([*body.bindings, body.value])[:-1])
            value = body.value
        else:
            lead = self._comments.doc(body.span.start)
            inside, value = self._starting(body), body
        return _Braces(lead, inside, self._comments.doc(self._comments.closer(value.span.end, "}")))

    # ---- expressions ----

    def _expr(self, node: n.Expr, loosest: int, *, tail: bool = False) -> Doc:
        """An expression where only what holds together at least as tightly as `loosest` may stand bare. `tail`: something follows that a
        form at the right end (`call "a"`, `fail "b"`) would take as its own."""
        if level(node) < loosest or (tail and is_form(node)) or node in self._fenced:
            return group("(", indent(SOFT, _WRITERS[type(node)](self, node, False)), SOFT, ")")
        return _WRITERS[type(node)](self, node, tail)

    def _name(self, node: n.Name, tail: bool) -> Doc:
        return Text(node.name)

    def _literal(self, node: n.Literal, tail: bool) -> Doc:
        wanted = self._marks[-1]
        if isinstance(node.value, str):
            return Text(respell(node.raw, wanted) if node.raw else quote(node.value, wanted))
        if node.value is None or isinstance(node.value, bool):
            return Text(str(node.value).lower())
        return Text(node.raw or repr(node.value))

    def _fstring(self, node: n.FString, tail: bool) -> Doc:
        if self._comments.drop(node.span):
            return Text(node.raw)
        wanted = self._marks[-1]
        holes = [part for part in node.parts if isinstance(part, n.Interpolation)]
        if node.raw:
            _, mark, start = opening(node.raw)
            edges = [
                start,
                *(edge - node.span.start for hole in holes for edge in (hole.span.start, hole.span.end)),
                len(node.raw) - len(mark),
            ]
            pieces = [node.raw[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
            new = usual_mark(mark, wanted, pieces)
            pieces = [requoted(piece, mark, new) for piece in pieces]
        else:
            new, pieces = wanted, [""]
            for part in node.parts:
                if isinstance(part, str):
                    pieces[-1] += escape(part, new).replace("{", "{{").replace("}", "}}")
                else:
                    pieces.append("")
        self._marks.append("'" if new == '"' else '"')
        with self._comments.held():  # those before the text have no place in it
            written = [self._interpolation(hole) for hole in holes]
        self._marks.pop()
        if node.raw and any("\n" in text for text in written):
            return Text(node.raw)  # a block in braces: as it was
        return Text("f" + new + pieces[0] + "".join(hole + piece for hole, piece in zip(written, pieces[1:], strict=True)) + new)

    def _interpolation(self, node: n.Interpolation) -> str:
        text = render(self._expr(node.value, WIDE), math.inf)
        spec = f":{node.spec}" if node.spec is not None else ""
        return f"{{{' ' if text.startswith('{') else ''}{text}{spec}}}"

    def _operators(self, node: Chained, tail: bool) -> Doc:
        if isinstance(node, n.Binary) and node.op == "**":
            left = self._expr(node.left, OPERAND, tail=True)
            return concat(left, " ** ", self._expr(node.right, FACTOR, tail=tail))
        own = level(node)
        first, joined = chain(node)
        start = self._expr(first, own, tail=True)
        rest: list[Doc] = []
        for at, (op, right) in enumerate(joined, 1):
            rest += [Text(f" {op}"), self._comments.gap(right.span.start, SPACE)]
            rest.append(self._expr(right, own + 1, tail=tail or at < len(joined)))
        return group(start, indent(*rest))

    def _compare(self, node: n.Compare, tail: bool) -> Doc:
        start = self._expr(node.operands[0], SUM, tail=True)
        rest: list[Doc] = []
        for at, (op, right) in enumerate(zip(node.ops, node.operands[1:], strict=True), 1):
            rest += [Text(f" {op}"), self._comments.gap(right.span.start, SPACE)]
            rest.append(self._expr(right, SUM, tail=tail or at < len(node.ops)))
        return group(start, indent(*rest))

    def _unary(self, node: n.Unary, tail: bool) -> Doc:
        if node.op == "not":
            return concat("not ", self._expr(node.operand, NOT, tail=tail))
        return concat(node.op, self._expr(node.operand, FACTOR, tail=tail))

    def _access(self, node: n.FieldAccess, tail: bool) -> Doc:
        return concat(self._base(node.base), "?." if node.maybe else ".", node.name)

    def _base(self, node: n.Expr) -> Doc:
        """What stands before a dot."""
        if isinstance(node, n.Literal) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return self._expr(node, FENCED)
        return self._expr(node, POSTFIX)

    def _index(self, node: n.Index, tail: bool) -> Doc:
        return concat(self._expr(node.base, POSTFIX), "[", self._expr(node.index, EXPR), "]")

    def _slice(self, node: n.Slice, tail: bool) -> Doc:
        base = self._expr(node.base, POSTFIX)
        start = self._expr(node.start, EXPR) if node.start else EMPTY
        return concat(base, "[", start, ":", self._expr(node.stop, EXPR) if node.stop else EMPTY, "]")

    def _list_expr(self, node: n.ListExpr, tail: bool) -> Doc:
        several = len(node.items) > 1
        fill = several and all(isinstance(item, n.Literal) for item in node.items)

        def item(value: n.Expr) -> Doc:
            return self._expr(value, FENCED) if several and isinstance(value, n.Call) else self._expr(value, WIDE)

        return self._list("[", node.items, item, "]", node.span.end, fill=fill)

    def _record(self, node: n.Record, tail: bool) -> Doc:
        return self._list("{", node.items, self._field, "}", node.span.end)

    def _field(self, node: n.RecordField | n.Spread | n.Datum) -> Doc:
        if isinstance(node, n.Spread):
            return concat("...", self._expr(node.value, EXPR))
        if node.short:
            return concat(*_dotted(node.value))
        name = node.name or ""
        bare = isinstance(node, n.RecordField) or not isinstance(node.value, (n.Call, n.Solve))
        value = self._expr(node.value, EXPR) if bare else self._expr(node.value, FENCED)
        return concat(name if is_name(name) else quote(name), ": ", value)

    def _apply(self, node: n.Apply, tail: bool) -> Doc:
        first = node.args[0].value if node.method else None
        if isinstance(first, n.Expr):
            head = concat(self._base(first), f".{node.name}")
            return concat(head, self._arguments(node.args[1:], node.span.end))
        return concat(node.name, self._arguments(node.args, node.span.end))

    def _arguments(self, args: Sequence[n.Argument], end: int) -> Doc:
        if len(args) == 1 and args[0].name is None:
            lead, written = self._lead(args[0]), self._argument(args[0])
            if lead is None and _hugged(args[0].value, written):
                return concat("(", written, self._comments.closing(end, EMPTY), ")")
            inside = indent(SOFT, written) if lead is None else indent(lead, HARD, written)
            return group("(", inside, self._comments.closing(end, SOFT), ")")
        return self._list("(", args, self._argument, ")", end)

    def _argument(self, node: n.Argument) -> Doc:
        value = self._lambda(node.value) if isinstance(node.value, n.Lambda) else self._expr(node.value, EXPR)
        return concat(node.name, "=", value) if node.name else value

    def _lambda(self, node: n.Lambda) -> Doc:
        names = ", ".join(node.params)
        if _KEYWORDS.intersection(node.params):
            return concat(f"lambda {names}: ", self._expr(node.body, EXPR))
        return concat(f"({names})" if len(node.params) > 1 else names, " => ", self._expr(node.body, EXPR))

    # ---- forms ----

    def _choice_or_block(self, node: n.If, tail: bool) -> Doc:
        return self._if_block(node) if node.block else self._choice(node)

    def _choice(self, node: n.If) -> Doc:
        """`A if C else B if D else E`"""
        start, rest = self._alternative(node), []
        here: n.Expr = node
        while isinstance(here, n.If) and not here.block:
            paired = isinstance(here.then, n.If) and isinstance(here.orelse, n.If)  # both in parentheses, or it reads badly
            here = here.orelse
            rest += [self._comments.gap(here.span.start, SPACE), Text("else ")]
            if isinstance(here, n.If) and level(here) == CHOICE and not paired:
                rest.append(self._alternative(here))
                continue
            rest.append(self._expr(here, FENCED) if paired else self._expr(here, CHOICE))
            break
        return group(start, indent(*rest))

    def _alternative(self, node: n.If) -> Doc:
        """`A if C`"""
        bracketed = isinstance(node.then, n.If)
        then = self._expr(node.then, FENCED) if bracketed else self._expr(node.then, WIDE if is_many(node.then) else TEST)
        return concat(then, _headed(" if", self._lead(node.condition), self._expr(node.condition, TEST)))

    def _if_block(self, node: n.If) -> Doc:
        heads: list[Doc] = []
        branches: list[_Braces] = []
        here: n.Expr = node
        before: Doc = EMPTY
        while isinstance(here, n.If) and here.block:
            lead = self._lead(here.condition)
            head = _header("if", here.condition, lead, self._expr(here.condition, _condition(here.condition)))
            heads.append(concat(before, head, " "))
            branches.append(self._braces(here.then))
            value = here.then.value if isinstance(here.then, n.Block) else here.then
            brace = self._comments.closer(value.span.end, "}")
            before = concat(self._comments.gap(self._comments.at_else(brace), Text(" ")), "else ")
            here = here.orelse
        heads.append(before)
        branches.append(self._braces(here))

        def written(line: Doc) -> Doc:
            return concat(*(part for head, branch in zip(heads, branches, strict=True) for part in (head, branch.doc(line))))

        if len(branches) > 2 or branches[0].forced or not _is_plain(node.then):
            return Group(written(SPACE))
        # a plain value in front stays on the line of its condition: `if done { xs[0] } else {`
        guard = concat(Group(concat(heads[0], branches[0].doc(SPACE))), heads[1], branches[1].doc(HARD))
        return Choice((guard,)) if branches[1].forced else Choice((Group(written(SPACE)), guard))

    def _otherwise(self, node: n.Otherwise, tail: bool) -> Doc:
        value = self._expr(node.value, WIDE if level(node) == WIDE else EXPR)
        comments = self._comments.doc(node.fallback.span.start)
        is_skip = isinstance(node.fallback, n.Name) and node.fallback.name == "skip"
        fallback = self._expr(node.fallback, FENCED) if is_skip else self._expr(node.fallback, CHOICE)
        if comments is not None:
            return concat(value, " otherwise", indent(comments, HARD, fallback))
        own_lines = fallback.forced or isinstance(node.fallback, (n.ListExpr, n.Record, n.Map, n.Filter))
        return concat(value, " otherwise", *([" ", fallback] if own_lines else [group(indent(SPACE, fallback))]))

    def _sub_call(self, node: n.Call | n.Solve, tail: bool) -> Doc:
        word = "call" if isinstance(node, n.Call) else "solve"
        more = bool(node.data or node.type or node.options)
        parts = [_headed(word, self._lead(node.prompt), self._expr(node.prompt, TEST, tail=tail or more))]
        if node.data:
            follows = tail or bool(node.type or node.options)
            parts += [Text(" "), self._data(node, follows)]
        if node.type:
            parts += [Text(" "), _headed("->", self._lead(node.type), self._type(node.type))]
        if node.options:
            end = self._comments.closer(node.options[-1].span.end, "}")
            parts += [Text(" with "), self._list("{", node.options, self._field, "}", end)]
        return concat(*parts)

    def _data(self, node: n.Call | n.Solve, tail: bool) -> Doc:
        data = node.data
        if data[0].name:
            return concat("on ", self._list("{", data, self._field, "}", self._comments.closer(data[-1].value.span.end, "}")))
        parts: list[Doc] = []
        for at, datum in enumerate(data, 1):
            apart = isinstance(datum.value, (n.Call, n.Solve)) or (isinstance(datum.value, n.Record) and len(data) == 1)
            lead = self._lead(datum)
            written = self._expr(datum.value, FENCED if apart else TEST, tail=tail or at < len(data))
            if at == 1:
                parts.append(_headed("on", lead, written))
            else:
                parts += [Text(","), SPACE if lead is None else concat(lead, HARD), written]
        return group(indent(*parts))

    def _map(self, node: n.Map, tail: bool) -> Doc:
        if is_bracketed(node):
            return self._comprehension(node)
        names = node.target[0] if node.position is None else f"{node.position}, {node.target[0]}"
        return concat(
            _header(f"map {names} in", node.source, self._lead(node.source), self._expr(node.source, TEST)),
            " ",
            self._block(node.body),
            _skip(node),
        )

    def _filter(self, node: n.Filter, tail: bool) -> Doc:
        if len(node.target) > 1 or _KEYWORDS.intersection(node.target):
            return concat(self._functional(node, "filter", node.target, node.condition, node.source), _skip(node))
        if is_bracketed(node):
            return self._comprehension(node)
        return concat(
            _header(f"filter {node.target[0]} in", node.source, self._lead(node.source), self._expr(node.source, TEST)),
            " ",
            self._block(node.condition),
            _skip(node),
        )

    def _reduce(self, node: n.Reduce, tail: bool) -> Doc:
        names = (node.left, node.right)
        if node.initial or _KEYWORDS.intersection(names):
            return self._functional(node, "reduce", names, node.body, node.source, *([node.initial] if node.initial else []))
        return concat(
            _header(f"reduce {', '.join(names)} in", node.source, self._lead(node.source), self._expr(node.source, TEST)),
            " ",
            self._block(node.body),
        )

    def _fold(self, node: n.Fold, tail: bool) -> Doc:
        names = (node.accumulator, node.item)
        if _KEYWORDS.intersection(names):
            return self._functional(node, "fold", names, node.body, node.source, node.initial)
        source = _header(f"fold {', '.join(names)} in", node.source, self._lead(node.source), self._expr(node.source, TEST))
        start = _header(" from", node.initial, self._lead(node.initial), self._expr(node.initial, TEST))
        return concat(source, start, " ", self._block(node.body))

    def _functional(self, node: n.Expr, name: str, params: tuple[str, ...], body: n.Expr, *others: n.Expr) -> Doc:
        """`reduce((a, b) => E, xs)`, where the other spellings cannot say it."""
        function = n.Argument(body.span, n.Lambda(body.span, params, body))
        return concat(name, self._arguments([function, *(n.Argument(other.span, other) for other in others)], node.span.end))

    def _first(self, node: n.First, tail: bool) -> Doc:
        head = concat("first ", self._expr(node.count, POSTFIX), f" {node.item} in")
        source = _headed(head, self._lead(node.source), self._expr(node.source, TEST))
        lead = self._lead(node.condition)
        return concat(source, _headed(" where", lead, self._expr(node.condition, TEST, tail=tail)))

    def _fail(self, node: n.Fail, tail: bool) -> Doc:
        return _headed("fail", self._lead(node.message), self._expr(node.message, TEST, tail=tail))

    def _comprehension(self, node: n.Map | n.Filter) -> Doc:
        """`[E for x in XS if C for y in YS]`, in which a map within a map and the filters below them are clauses."""
        loops: list[tuple[tuple[str, ...], n.Expr, list[n.Expr]]] = []
        here: n.Expr = node
        while True:
            conditions: list[n.Expr] = []
            source = here
            element: n.Expr | None = None
            if isinstance(here, n.Map):
                source, element = here.source, here.body
            assert isinstance(here, (n.Map, n.Filter))
            # `[x for x in xs if c]` is the filter alone, so a map of x to itself keeps its filter apart
            itself = isinstance(element, n.Name) and (element.name,) == here.target
            while isinstance(source, n.Filter) and source.target == here.target and not itself and (source is here or _is_clause(source)):
                conditions.append(source.condition)
                source = source.source
            loops.append((here.target, source, conditions[::-1]))
            if not (isinstance(here, n.Map) and here.flatten):
                break
            here = here.body
        place = self._comments.gap(self._comments.inside(here.span.start) if element is None else element.span.start, SOFT)
        inner_skip = here is not node and isinstance(here, n.Map) and here.skip
        parts: list[Doc] = [place]
        if element is None:
            parts.append(Text(here.target[0]))
        elif inner_skip:
            written = self._expr(element, FENCED) if isinstance(element, (n.Map, n.Filter)) else self._expr(element, EXPR)
            parts.append(concat(written, " otherwise skip"))
        else:
            parts.append(self._expr(element, WIDE))
        for target, source, conditions in loops:
            parts.append(self._comments.gap(source.span.start, SPACE))
            parts.append(_headed(f"for {', '.join(target)} in", self._lead(source), self._expr(source, TEST)))
            for condition in conditions:
                parts.append(self._comments.gap(condition.span.start, SPACE))
                parts.append(concat("if ", self._expr(condition, _condition(condition))))
        if len(loops) == 1 and loops[0][2]:
            parts[1:4] = [group(*parts[1:4])]
        end = self._comments.closing(node.span.end, SOFT)
        return concat(group("[", indent(*parts), end, "]"), _skip(node))

    # ---- types ----

    def _type(self, node: n.TypeExpr) -> Doc:
        if isinstance(node, n.NamedType):
            return Text(node.name)
        if isinstance(node, n.ListType):
            return concat("[", self._type(node.item), "]" if node.most is None else f"; {node.most}]")
        if isinstance(node, n.RecordType):
            names = {id(type_): name for name, type_ in node.fields}
            return self._list(
                "{", [type_ for _, type_ in node.fields], lambda type_: self._named_type(names[id(type_)], type_), "}", node.span.end
            )
        if isinstance(node, n.EnumType):
            return _union([quote(word) for word in node.words])
        if isinstance(node.item, n.EnumType) and len(node.item.words) > 1:
            return _union([*map(quote, node.item.words), "none"])
        return concat(self._type(node.item), "?")

    def _named_type(self, name: str, type_: n.TypeExpr) -> Doc:
        return concat(name if is_name(name) else quote(name), ": ", self._type(type_))


def _union(words: Sequence[str]) -> Doc:
    return group(indent(separated([Text(word) for word in words], concat(" |", SPACE))))


def _headed(head: Doc | str, lead: Doc | None, written: Doc) -> Doc:
    """`head`, the comments between, and what follows it."""
    return concat(head, " ", written) if lead is None else concat(head, indent(lead, HARD, written))


def _header(head: str, node: n.Expr, lead: Doc | None, written: Doc) -> Doc:
    """The same before a block, its lines of operators further in than the block's."""
    whole = _headed(head, lead, written)
    return Indent(whole) if isinstance(node, (n.Binary, n.Logic, n.Default, n.Compare, n.If)) else whole


def _condition(node: n.Expr) -> int:
    """How loose a condition may be: a call with several data stands bare."""
    return WIDE if is_many(node) else TEST


def _skip(node: n.Map | n.Filter) -> str:
    return " otherwise skip" if node.skip else ""


def _is_clause(node: n.Filter) -> bool:
    return node.comprehension and not isinstance(node.condition, n.Block) and not node.skip


def _is_plain(node: n.Expr) -> bool:
    while isinstance(node, (n.FieldAccess, n.Index)):
        node = node.base
    return isinstance(node, (n.Name, n.Literal))


def _hugged(node: n.Expr | n.Lambda, written: Doc) -> bool:
    """Whether, as the only argument, it takes the lines of the parentheses: `flatten([⏎ … ⏎])`."""
    if isinstance(node, (n.Map, n.Filter)):
        return level(node) == POSTFIX
    return isinstance(node, (n.ListExpr, n.Record)) or (isinstance(node, (n.Literal, n.FString)) and written.forced)


def _dotted(node: n.Expr) -> list[str]:
    """`r.a.b` of a short field as its pieces."""
    pieces: list[str] = []
    while isinstance(node, n.FieldAccess):
        pieces = ["." + node.name, *pieces]
        node = node.base
    assert isinstance(node, n.Name)
    return [node.name, *pieces]


_WRITERS: Final[dict[type[n.Expr], Callable[[_Formatter, Any, bool], Doc]]] = {
    n.Name: _Formatter._name,
    n.Literal: _Formatter._literal,
    n.FString: _Formatter._fstring,
    n.Binary: _Formatter._operators,
    n.Logic: _Formatter._operators,
    n.Default: _Formatter._operators,
    n.Compare: _Formatter._compare,
    n.Unary: _Formatter._unary,
    n.FieldAccess: _Formatter._access,
    n.Index: _Formatter._index,
    n.Slice: _Formatter._slice,
    n.ListExpr: _Formatter._list_expr,
    n.Record: _Formatter._record,
    n.Apply: _Formatter._apply,
    n.If: _Formatter._choice_or_block,
    n.Otherwise: _Formatter._otherwise,
    n.Call: _Formatter._sub_call,
    n.Solve: _Formatter._sub_call,
    n.Map: _Formatter._map,
    n.Filter: _Formatter._filter,
    n.Reduce: _Formatter._reduce,
    n.Fold: _Formatter._fold,
    n.First: _Formatter._first,
    n.Fail: _Formatter._fail,
}
