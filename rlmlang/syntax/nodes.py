"""The tree. One frozen class a construct; its docstring shows what it stands for. Nodes compare by identity.

The several spellings of one thing are one node: `[E for x in XS]`, `map(lambda x: E, XS)` and `map x in XS { E }` are all `Map`;
`x.f(y)` is `Apply(f, [x, y])` marked `method`. A comprehension with conditions is a `Map` over `Filter`s; with a second `for`, a `Map`
whose `flatten` is set. What a pass learns about a node goes into a table of its own, never into the tree.
"""

from __future__ import annotations

from attrs import field, frozen

from rlmlang.syntax.source import Source, Span


@frozen(eq=False, slots=False)
class Node:
    span: Span = field(repr=False)


# ---- types as written ----


@frozen(eq=False, slots=False)
class NamedType(Node):
    """`text`, `str`, `None`, `role`"""

    name: str


@frozen(eq=False, slots=False)
class ListType(Node):
    """`[text]`, `[text; 10]`, `list[text]`"""

    item: TypeExpr
    most: int | None = None


@frozen(eq=False, slots=False)
class RecordType(Node):
    """`{path: text, why: text?}`"""

    fields: tuple[tuple[str, TypeExpr], ...]


@frozen(eq=False, slots=False)
class OptionalType(Node):
    """`text?`, `text | none`"""

    item: TypeExpr


@frozen(eq=False, slots=False)
class EnumType(Node):
    """`"core" | "helper"`"""

    words: tuple[str, ...]


@frozen(eq=False, slots=False)
class DictType(Node):
    """`dict[text, int]`, `Dict[str, int]`"""

    key: TypeExpr
    value: TypeExpr


TypeExpr = NamedType | ListType | RecordType | OptionalType | EnumType | DictType


# ---- expressions ----


@frozen(eq=False, slots=False)
class Expr(Node):
    """Any expression."""


@frozen(eq=False, slots=False)
class Literal(Expr):
    """`"text"`, `1`, `2.5`, `true`, `none`; `value` is the Python value, `raw` the text as written"""

    value: str | int | float | bool | None
    raw: str = ""


@frozen(eq=False, slots=False)
class Interpolation(Node):
    """`{expr:spec}` within an f-string"""

    value: Expr
    spec: str | None


@frozen(eq=False, slots=False)
class FString(Expr):
    """`f"text {expr}"`; parts are texts (unescaped) and interpolations in turn"""

    parts: tuple[str | Interpolation, ...]
    raw: str = ""


@frozen(eq=False, slots=False)
class Name(Expr):
    """`x`"""

    name: str


@frozen(eq=False, slots=False)
class ListExpr(Expr):
    """`[a, b]`"""

    items: tuple[Expr, ...]


@frozen(eq=False, slots=False)
class RecordField(Node):
    """`a: 1` in a record; `a` (short) is `a: a`, `f.path` is `path: f.path`; `counts["k"]` is `k: counts["k"]` (which is not `short`)"""

    name: str
    value: Expr
    short: bool = False


@frozen(eq=False, slots=False)
class Spread(Node):
    """`...r` in a record"""

    value: Expr


@frozen(eq=False, slots=False)
class Record(Expr):
    """`{a: 1, "b c": 2, d, f.path, ...r}`"""

    items: tuple[RecordField | Spread, ...]


@frozen(eq=False, slots=False)
class Unary(Expr):
    """`-x`, `not x`; `op` is `-`, `+` or `not`"""

    op: str
    operand: Expr


@frozen(eq=False, slots=False)
class Binary(Expr):
    """`a + b`; `op` is one of `+ - * / // % **`"""

    op: str
    left: Expr
    right: Expr


@frozen(eq=False, slots=False)
class Compare(Expr):
    """`a < b <= c`, `x in xs`, `x not in xs`: one operator fewer than operands; each operand is evaluated once"""

    ops: tuple[str, ...]
    operands: tuple[Expr, ...]


@frozen(eq=False, slots=False)
class Logic(Expr):
    """`a and b`, `a or b`: the right side only when the left decides so"""

    op: str
    left: Expr
    right: Expr


@frozen(eq=False, slots=False)
class Default(Expr):
    """`a ?? b`: b where a is none"""

    left: Expr
    right: Expr


@frozen(eq=False, slots=False)
class Index(Expr):
    """`xs[i]`"""

    base: Expr
    index: Expr


@frozen(eq=False, slots=False)
class Slice(Expr):
    """`xs[a:b]`"""

    base: Expr
    start: Expr | None
    stop: Expr | None


@frozen(eq=False, slots=False)
class FieldAccess(Expr):
    """`r.path`; `maybe` for `r?.path`"""

    base: Expr
    name: str
    maybe: bool = False
    name_span: Span = field(kw_only=True, repr=False)


@frozen(eq=False, slots=False)
class Lambda(Node):
    """`lambda a, b: E`, `(a, b) => E`: only as an argument. Also stands for the parameters and body of a comprehension's target."""

    params: tuple[str, ...]
    body: Expr


@frozen(eq=False, slots=False)
class Argument(Node):
    """`value` or `name=value` in a call of a function"""

    value: Expr | Lambda
    name: str | None = None


@frozen(eq=False, slots=False)
class Apply(Expr):
    """`f(x, y)`, or `x.f(y)` (`method`, with x the first argument): a built-in, a standard-library or a declared function

    `{K: V for x in XS}` (`braces`) is the built-in `dict` of a `Map` whose body, or the innermost one's, is `[K, V]`.
    """

    name: str
    args: tuple[Argument, ...]
    method: bool = False
    braces: bool = False
    name_span: Span = field(kw_only=True, repr=False)


@frozen(eq=False, slots=False)
class Block(Expr):
    """`{ y = x + 1 ⏎ y * 2 }`: bindings, then the value. A block without bindings is its value alone, never a Block."""

    bindings: tuple[Bind | Unpack, ...]
    value: Expr


@frozen(eq=False, slots=False)
class If(Expr):
    """`if C { A } else { B }` (`block`), `A if C else B`"""

    condition: Expr
    then: Expr
    orelse: Expr
    block: bool = False


@frozen(eq=False, slots=False)
class Otherwise(Expr):
    """`E otherwise F`"""

    value: Expr
    fallback: Expr


@frozen(eq=False, slots=False)
class Fail(Expr):
    """`fail "why"`"""

    message: Expr


# ---- the forms over sub-calls ----


@frozen(eq=False, slots=False)
class Datum(Node):
    """One value after `on`; `name` where it was named (`on {report: r}`), `short` where by itself (`on {report}`)"""

    value: Expr
    name: str | None = None
    short: bool = False


@frozen(eq=False, slots=False)
class Call(Expr):
    """`call PROMPT on DATA -> TYPE with {…}`; `options` are the fields of `with`"""

    prompt: Expr
    data: tuple[Datum, ...] = ()
    type: TypeExpr | None = None
    options: tuple[RecordField, ...] = ()


@frozen(eq=False, slots=False)
class Solve(Expr):
    """`solve PROMPT on DATA -> TYPE with {…}`"""

    prompt: Expr
    data: tuple[Datum, ...] = ()
    type: TypeExpr | None = None
    options: tuple[RecordField, ...] = ()


@frozen(eq=False, slots=False)
class Map(Expr):
    """`map x in XS { E }`, `map i, x in XS { E }` (`position` = i), `[E for x in XS]` (`comprehension`).

    `target` has several names where a comprehension takes each item apart (`for a, b in XS`). `flatten`: the body's lists are joined
    (an outer `for` of a comprehension with several). `skip`: `map … otherwise skip`, an item that fails is dropped and reported.
    """

    target: tuple[str, ...]
    source: Expr
    body: Expr
    position: str | None = None
    comprehension: bool = False
    flatten: bool = False
    skip: bool = False


@frozen(eq=False, slots=False)
class Filter(Expr):
    """`filter x in XS { C }`; a comprehension's `if C` (`comprehension`). `skip`: `filter … otherwise skip`, as with Map."""

    target: tuple[str, ...]
    source: Expr
    condition: Expr
    comprehension: bool = False
    skip: bool = False


@frozen(eq=False, slots=False)
class Reduce(Expr):
    """`reduce a, b in XS { E }`; `initial` is the value for an empty list, the third argument of `reduce(lambda a, b: E, XS, INITIAL)`"""

    left: str
    right: str
    source: Expr
    body: Expr
    initial: Expr | None = None


@frozen(eq=False, slots=False)
class Fold(Expr):
    """`fold acc, x in XS from INIT { E }`"""

    accumulator: str
    item: str
    source: Expr
    initial: Expr
    body: Expr


@frozen(eq=False, slots=False)
class First(Expr):
    """`first n x in XS where C`"""

    count: Expr
    item: str
    source: Expr
    condition: Expr


# ---- statements ----


@frozen(eq=False, slots=False)
class Bind(Node):
    """`x = E`"""

    name: str
    value: Expr
    name_span: Span = field(kw_only=True, repr=False)


@frozen(eq=False, slots=False)
class Unpack(Node):
    """`a, b = E`"""

    names: tuple[str, ...]
    value: Expr
    name_spans: tuple[Span, ...] = field(kw_only=True, repr=False)


@frozen(eq=False, slots=False)
class Input(Node):
    """`input topic: text = "billing"`"""

    name: str
    type: TypeExpr
    default: Expr | None = None


@frozen(eq=False, slots=False)
class TypeDef(Node):
    """`type role = "core" | "helper"`"""

    name: str
    type: TypeExpr


@frozen(eq=False, slots=False)
class Use(Node):
    """`use "./other.rlm"`"""

    path: str


@frozen(eq=False, slots=False)
class Param(Node):
    """`n: int = 3`"""

    name: str
    type: TypeExpr
    default: Expr | None = None


@frozen(eq=False, slots=False)
class Fn(Node):
    """`fn f(a: text, n: int = 3) -> text depth 4 { … }`; `depth` is None where it may not call itself"""

    name: str
    params: tuple[Param, ...]
    result: TypeExpr | None
    depth: int | None
    body: Expr
    name_span: Span = field(kw_only=True, repr=False)


@frozen(eq=False, slots=False)
class Answer(Node):
    """`answer E`"""

    value: Expr


@frozen(eq=False, slots=False)
class Shown(Node):
    """`E` as the last statement: shown, but no answer"""

    value: Expr


Statement = Input | TypeDef | Use | Fn | Bind | Unpack | Answer | Shown


@frozen(eq=False, slots=False)
class Comment:
    """`# text`; `text` includes the `#`"""

    span: Span = field(repr=False)
    text: str


@frozen(eq=False, slots=False)
class Program(Node):
    """A whole file."""

    source: Source
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = ()
