"""Random programs as trees, over all nodes: whatever the parser can make, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rlmlang.syntax import nodes as n
from rlmlang.syntax.source import Source, Span

_SOURCE = Source("<random>", "")
HERE = Span(_SOURCE, 0, 0)
_NAMES = ("a", "b", "xs", "report", "f", "skip", "type", "input", "map", "first", "depth", "on", "with", "otherwise")
_PLAIN = ("a", "b", "xs", "report", "f")
_TEXTS = (
    "",
    "plain",
    "it's",
    'say "so"',
    "both ' and \"",
    "line\nbreak",
    "tab\t",
    "{braces}",
    "back\\slash",
    "\\d+",
    "ü→𝄞",
    "\u2028",
    "a" * 40,
)


# what mutations put into a program
PIECES = (
    *(
        '"',
        "'",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        "\n",
        " ",
        ".",
        "if ",
        "for ",
        "call ",
        "on ",
        'f"',
        '"""',
        "1",
        "x",
        "#",
        "-> text",
        "=",
    ),
    *("\\", "|", "?", "{{"),
)


def mutated(text: str, random: Random, pieces: Sequence[str] = PIECES) -> str:
    """A program with something cut out or put in, at one place."""
    at = random.randrange(len(text))
    cut, put = (random.choice((1, 1, 3)), "") if random.random() < 0.4 else (0, random.choice(pieces))
    return text[:at] + put + text[at + cut :]


class Programs:
    """Makes programs from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def program(self) -> n.Program:
        statements = [self.statement() for _ in range(self.random.randint(1, 4))]
        return n.Program(HERE, _SOURCE, tuple(statements))

    def statement(self) -> n.Statement:
        kind = self.random.randrange(9)
        if kind == 0:
            return n.Input(HERE, self.name(), self.type(), self.maybe(lambda: self.expr(3)))
        if kind == 1:
            return n.TypeDef(HERE, self.name(), self.type())
        if kind == 2:
            return n.Use(HERE, self.pick(("./other.rlm", "./it's.rlm")))
        if kind == 3:
            params = tuple(
                n.Param(HERE, self.name(), self.type(), self.maybe(lambda: self.expr(2))) for _ in range(self.random.randrange(3))
            )
            depth = self.maybe(lambda: self.random.randint(1, 9))
            return n.Fn(HERE, self.name(), params, self.maybe(self.type), depth, self.body(3), name_span=HERE)
        if kind == 4:
            return n.Answer(HERE, self.expr(4))
        if kind == 5:
            return n.Shown(HERE, self.expr(4))
        return self.binding(4)

    def binding(self, depth: int) -> n.Bind | n.Unpack:
        if self.random.random() < 0.2:
            return n.Unpack(HERE, (self.name(), self.name()), self.expr(depth), name_spans=(HERE, HERE))
        return n.Bind(HERE, self.name(), self.expr(depth), name_span=HERE)

    def body(self, depth: int) -> n.Expr:
        if self.random.random() < 0.4:
            return n.Block(HERE, (self.binding(depth - 1),), self.expr(depth - 1))
        return self.expr(depth)

    def expr(self, depth: int) -> n.Expr:
        r = self.random
        if depth <= 0:
            return self.pick((self.literal, self.named))()
        below = depth - 1
        kinds = (
            *(self.literal, self.named),
            lambda: self.fstring(below),
            lambda: n.ListExpr(HERE, tuple(self.expr(below) for _ in range(r.randrange(4)))),
            lambda: self.record(below),
            lambda: n.Unary(HERE, self.pick(("-", "+", "not")), self.expr(below)),
            *(3 * [lambda: n.Binary(HERE, self.pick(("+", "-", "*", "/", "//", "%", "**")), self.expr(below), self.expr(below))]),
            lambda: self.compare(below),
            lambda: n.Logic(HERE, self.pick(("and", "or")), self.expr(below), self.expr(below)),
            lambda: n.Default(HERE, self.expr(below), self.expr(below)),
            lambda: n.Index(HERE, self.expr(below), self.expr(below)),
            lambda: n.Slice(HERE, self.expr(below), self.maybe(lambda: self.expr(below)), self.maybe(lambda: self.expr(below))),
            lambda: n.FieldAccess(HERE, self.expr(below), self.pick(("path", "if", "type")), r.random() < 0.3, name_span=HERE),
            *(2 * [lambda: self.apply(below)]),
            lambda: n.If(HERE, self.expr(below), self.expr(below), self.expr(below)),
            lambda: n.If(HERE, self.expr(below), self.body(below), self.body(below), block=True),
            lambda: n.Otherwise(HERE, self.expr(below), self.expr(below)),
            lambda: n.Fail(HERE, self.expr(below)),
            *(2 * [lambda: self.call(below)]),
            lambda: self.solve(below),
            lambda: self.block_map(below),
            lambda: n.Filter(HERE, (self.plain(),), self.expr(below), self.value_body(below), skip=r.random() < 0.2),
            *(2 * [lambda: self.comprehension(below)]),
            lambda: self.dict(below),
            lambda: n.Reduce(HERE, self.plain(), self.plain(), self.expr(below), self.body(below)),
            lambda: n.Reduce(HERE, self.plain(), "if", self.expr(below), self.expr(below), self.expr(below)),
            lambda: n.Fold(HERE, self.plain(), self.plain(), self.expr(below), self.expr(below), self.body(below)),
            lambda: n.First(HERE, self.pick((n.Literal(HERE, 3), n.Name(HERE, "a"))), self.plain(), self.expr(below), self.expr(below)),
        )
        return self.pick(kinds)()

    def value_body(self, depth: int) -> n.Expr:
        """What a map does with an item; a bare `E otherwise skip` there would belong to the map."""
        return self.body(depth)

    def literal(self) -> n.Expr:
        return n.Literal(HERE, self.pick((*_TEXTS, 0, 1, 12345, 2.5, 1e16, 1e-7, True, False, None)))

    def named(self) -> n.Expr:
        return n.Name(HERE, self.pick(_NAMES))

    def fstring(self, depth: int) -> n.Expr:
        parts: list[str | n.Interpolation] = []
        for _ in range(self.random.randrange(4)):
            text = self.pick(_TEXTS)
            if text and (not parts or isinstance(parts[-1], n.Interpolation)):
                parts.append(text)
            if self.random.random() < 0.7:
                parts.append(n.Interpolation(HERE, self.expr(min(depth, 2)), self.maybe(lambda: ".2f")))
        return n.FString(HERE, tuple(parts))

    def record(self, depth: int) -> n.Expr:
        items: list[n.RecordField | n.Spread] = []
        for name in self.random.sample(("a", "if", "two words", "path", "x"), self.random.randrange(4)):
            if name == "path":
                base: n.Expr = n.FieldAccess(HERE, n.Name(HERE, "r"), "s", name_span=HERE)
                items.append(n.RecordField(HERE, name, n.FieldAccess(HERE, base, name, name_span=HERE), short=True))
            elif name == "x":
                items.append(n.Spread(HERE, self.expr(depth)))
            else:
                items.append(n.RecordField(HERE, name, self.expr(depth)))
        return n.Record(HERE, tuple(items))

    def compare(self, depth: int) -> n.Expr:
        ops = tuple(self.pick(("==", "!=", "<", "<=", ">", ">=", "in", "not in")) for _ in range(self.random.randint(1, 2)))
        return n.Compare(HERE, ops, tuple(self.expr(depth) for _ in range(len(ops) + 1)))

    def apply(self, depth: int) -> n.Expr:
        args = [n.Argument(HERE, self.expr(depth)) for _ in range(self.random.randrange(3))]
        if self.random.random() < 0.4:
            params = self.pick((("x",), ("x", "y"), ("map",), ("x", "if")))
            args.append(n.Argument(HERE, n.Lambda(HERE, params, self.expr(depth)), self.maybe(lambda: "key")))
        method = self.random.random() < 0.5 and bool(args) and isinstance(args[0].value, n.Expr)
        return n.Apply(HERE, self.pick(("f", "first", "type", "len")), tuple(args), method, name_span=HERE)

    def data(self, depth: int) -> tuple[n.Datum, ...]:
        count = self.random.randrange(4)
        if self.random.random() < 0.3 and count:
            return tuple(n.Datum(HERE, self.expr(depth), name) for name in ("report", "two words", "if")[:count])
        return tuple(n.Datum(HERE, self.expr(depth)) for _ in range(count))

    def call(self, depth: int) -> n.Expr:
        return n.Call(HERE, self.expr(depth), self.data(depth), self.maybe(self.type), self.options(depth))

    def solve(self, depth: int) -> n.Expr:
        return n.Solve(HERE, self.expr(depth), self.data(depth), self.maybe(self.type), self.options(depth))

    def options(self, depth: int) -> tuple[n.RecordField, ...]:
        return (n.RecordField(HERE, "sample", self.expr(depth)),) if self.random.random() < 0.3 else ()

    def block_map(self, depth: int) -> n.Expr:
        position = self.maybe(lambda: "i")
        return n.Map(HERE, (self.plain(),), self.expr(depth), self.value_body(depth), position, skip=self.random.random() < 0.2)

    def comprehension(self, depth: int) -> n.Expr:
        """As the parser makes them: maps over filters, the body of all but the innermost flattened."""
        r = self.random
        loops = r.choice((1, 1, 1, 2, 3))
        result: n.Expr = self.expr(depth)
        for at in range(loops):
            target = self.pick((("a",), ("a",), ("a", "b"), ("if",)))
            source: n.Expr = self.expr(depth)
            conditions = r.choice((0, 0, 1, 2))
            for _ in range(conditions):
                source = n.Filter(HERE, target, source, self.expr(depth), comprehension=True)
            if at == 0 and conditions and target == ("a",) and r.random() < 0.3:
                result = source
            else:
                skip = r.random() < 0.15 and at in (0, loops - 1)
                result = n.Map(HERE, target, source, result, comprehension=True, flatten=at > 0, skip=skip)
        return result

    def dict(self, depth: int) -> n.Expr:
        """As the parser makes them."""
        r = self.random
        keys = (self.named, self.literal, lambda: self.fstring(1), lambda: self.key(depth), lambda: self.expr(min(depth, 2)))
        result: n.Expr = n.ListExpr(HERE, (self.pick(keys)(), self.expr(depth)))
        for at in range(r.choice((1, 1, 2))):
            target = self.pick((("a",), ("a", "b"), ("if",)))
            source: n.Expr = self.expr(depth)
            if r.random() < 0.3:
                source = n.Filter(HERE, target, source, self.expr(depth), comprehension=True)
            skip = at == 0 and r.random() < 0.15
            result = n.Map(HERE, target, source, result, comprehension=True, flatten=at > 0, skip=skip)
        return n.Apply(HERE, "dict", (n.Argument(HERE, result),), braces=True, name_span=HERE)

    def key(self, depth: int) -> n.Expr:
        """A key that begins with a name."""
        r = self.random
        made: n.Expr = n.Name(HERE, self.pick(("a", "type", "map")))
        for _ in range(r.randint(1, 3)):
            below = self.expr(min(depth, 1))
            ways = (
                n.FieldAccess(HERE, made, self.pick(("path", "if", "type")), name_span=HERE),
                n.Index(HERE, made, below),
                n.Slice(HERE, made, None, below),
                n.Apply(HERE, "f", (n.Argument(HERE, made),), True, name_span=HERE),
                n.Apply(HERE, "f", (n.Argument(HERE, below),), name_span=HERE),
                n.Binary(HERE, "+", made, below),
            )
            made = self.pick(ways)
        return made

    def type(self, depth: int = 2) -> n.TypeExpr:
        kind = self.random.randrange(6 if depth else 2)
        if kind == 0:
            return n.NamedType(HERE, self.pick(("text", "int", "Role", "None")))
        if kind == 1:
            return n.EnumType(HERE, self.pick((("one",), ("core", "helper"), ("it's", 'say "so"', "a\nb"))))
        if kind == 2:
            return n.ListType(HERE, self.type(depth - 1), self.maybe(lambda: 10))
        if kind == 3:
            return n.RecordType(HERE, tuple((name, self.type(depth - 1)) for name in self.random.sample(("a", "if", "two words"), 2)))
        if kind == 4:
            return n.DictType(HERE, n.NamedType(HERE, self.pick(("text", "str"))), self.type(depth - 1))
        item = self.type(depth - 1)
        return item if isinstance(item, n.OptionalType) else n.OptionalType(HERE, item)

    def name(self) -> str:
        return self.pick(("a", "type", "map", "answers", "input"))

    def plain(self) -> str:
        return self.pick(_PLAIN)

    def pick(self, choices):  # type: ignore[no-untyped-def]
        return choices[self.random.randrange(len(choices))]

    def maybe(self, make):  # type: ignore[no-untyped-def]
        return make() if self.random.random() < 0.4 else None
