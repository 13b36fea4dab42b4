"""Random programs in which one thing matters: a form, an operator, an option of a call, a built-in or a standard function.

The theme of a program is computed from replies, whose size is not known beforehand; then how large its value is decides how often a model
is called, and how long the prompts are; and it is a field of the answer, so that its size is seen. Files, records within records and any
JSON occur as well, all of which `TypedPrograms` leaves out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from typed_programs import BOOL, ENUM, RECORD, SCALARS, WANTED, Scope, TypedPrograms, as_written, written

from rlmlang.builtins import REGISTRY
from rlmlang.check.library import library_names
from rlmlang.files import DirValue
from rlmlang.types import DIR, FILE, FLOAT, INT, JSON, NONE, TEXT, DictOf, Enum, FunctionOf, ListOf, Optional, RecordOf, Tuple, Type, Var

NESTED = RecordOf((("r", RECORD), ("xs", ListOf(TEXT)), ("o", Optional(TEXT))))
REPLIES: tuple[Type, ...] = (
    *(TEXT, TEXT, TEXT, INT, FLOAT, BOOL, ENUM, RECORD, NESTED, Optional(TEXT), Optional(INT)),
    *(ListOf(TEXT, 3), ListOf(TEXT), ListOf(INT, 4), ListOf(INT), ListOf(BOOL), ListOf(FLOAT), ListOf(RECORD), ListOf(ENUM)),
    *(ListOf(ListOf(INT, 2), 3), ListOf(Optional(INT), 3), ListOf(ListOf(TEXT))),
)
INPUTS: tuple[Type, ...] = (
    INT,
    TEXT,
    TEXT,
    ListOf(TEXT),
    ListOf(TEXT),
    ListOf(INT),
    ListOf(RECORD),
    NESTED,
    ListOf(TEXT, 5),
    Optional(TEXT),
    DictOf(INT),
    DictOf(TEXT),
    DictOf(RECORD),
)
FILES = {
    "a.md": "# One\n\nA word. Two words.\n",
    "b.md": "",
    "sub/c.txt": "é𝄞 word word\n\n\nlast",
    "sub/d.md": "x" * 90,
    "win.txt": "\ufefffirst\r\nsecond\r\n",
}


@cache
def folder() -> DirValue:
    """A small directory, the same for all programs of a process."""
    kept = tempfile.TemporaryDirectory(prefix="rlm-")
    _KEPT.append(kept)
    for name, text in FILES.items():
        path = Path(kept.name) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    return DirValue(kept.name)


_KEPT: list[Any] = []  # removed when the process ends
Made = tuple[str, Type]


class ThemedPrograms(TypedPrograms):
    """`program` makes the program of its seed; `theme` says what it is about."""

    names = 0.45

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.theme = THEMES[seed % len(THEMES)]
        self.defaults: dict[str, Any] = {}  # of inputs

    def program(self) -> str:
        r = self.random
        lines: list[str] = []
        scope: Scope = []
        types = r.choices((*INPUTS, FILE, DIR), k=r.randrange(3)) + ([FILE, DIR] if self.theme.startswith("file") else [])
        lines += [self.input(type_, scope) for type_ in types]
        if self.theme == "recursion":
            lines += self.recursion(scope)
        elif r.random() < 0.25 or self.theme == "function":
            lines += self.function(scope)
        for _ in range(r.randint(1, 3)):
            type_ = r.choice(REPLIES)
            lines.append(self.bind("r", self.asked(type_, scope), type_, scope))
        for _ in range(r.randrange(2)):
            type_ = r.choice(WANTED)
            lines.append(self.bind("v", self.expr(type_, 2, scope), type_, scope))
        text, made = _MAKERS[self.theme](self, scope)
        lines.append(self.bind("t", text, made, scope))
        theme = scope[-1][0]
        for _ in range(r.choice((1, 1, 2))):
            type_, use = self.used(theme, made, scope)
            lines.append(self.bind("u", use, type_, scope))
        shown = [name for name, t in scope if _is_data(t) and (name[0] in "tu" or r.random() < 0.5)]
        lines.append(f"answer {{{', '.join(shown)}}}")
        return "\n".join(lines) + "\n"

    def input(self, type_: Type, scope: Scope) -> str:
        r = self.random
        name = self.name("p")
        default = ""
        if type_ in (DIR, FILE):
            self.inputs[name] = folder() if type_ == DIR else r.choice(folder().files())
        elif r.random() < 0.15:
            self.defaults[name] = self.value(type_)
            default = f" = {as_written(self.defaults[name])}"
        if not default or r.random() < 0.5:
            self.inputs.setdefault(name, self.value(type_))
        scope.append((name, type_))
        return f"input {name}: {written(type_)}{default}"

    def bind(self, prefix: str, text: str, type_: Type, scope: Scope) -> str:
        name = self.name(prefix)
        scope.append((name, type_))
        return f"{name} = {text}"

    def used(self, name: str, type_: Type, scope: Scope) -> tuple[Type, str]:
        """Something whose cost depends on how large the value of a name is."""
        r = self.random
        x = self.name("x")
        reply: Type = r.choice((TEXT, TEXT, BOOL, INT))
        returns = "" if reply == TEXT else f" -> {written(reply)}"
        ask = f'call "use {r.randrange(3)}"'
        prompt: tuple[Type, str] = r.choice(
            (
                (reply, f"{ask} on {name}{returns}"),
                (reply, f"{ask} on {{a: 1, d: {name}}}{returns}"),
                (reply, f"{ask} on [{name}]{returns}"),
            )
        )
        if type_ == FILE:
            return reply, f"{ask} on {name}{returns}"
        if r.random() < 0.35 or isinstance(type_, RecordOf):
            return prompt
        match type_:
            case ListOf():
                loops: list[tuple[Type, str]] = [
                    (ListOf(reply), f"[{ask} on {x}{returns} for {x} in {name}]"),
                    (ListOf(type_.item), f"[{x} for {x} in {name} if {ask} on {x} -> bool]"),
                    (ListOf(INT), f"[{ask} -> int with {{sample: {x}}} for {x} in range(len({name}))]"),
                    (TEXT, f'(fold a, {x} in {name} from "" {{ {ask} on a, {x} }})'),
                    (ListOf(type_.item), f"(first 2 {x} in {name} where ({ask} on {x} -> bool))"),
                    (ListOf(type_.item), f"sorted({name}, key=lambda {x}: {ask} on {x} -> int)"),
                    (INT, f"(argmax({name}, key=lambda {x}: {ask} on {x} -> int) otherwise 0)"),
                ]
                return loops[r.randrange(len(loops))]
            case DictOf(value):
                k = self.name("k")
                uses: list[tuple[Type, str]] = [
                    (ListOf(reply), f"[{ask} on {x}{returns} for {x} in {name}]"),
                    (ListOf(reply), f"[{ask} on {name}[{x}]{returns} for {x} in {name}]"),
                    (ListOf(reply), f"[{ask} on {x}{returns} for {x} in {name}.values()]"),
                    (ListOf(reply), f"[({ask} on {k}, {x}{returns}) for {k}, {x} in {name}.items()]"),
                    (DictOf(reply), f"{{{k}: ({ask} on {x}{returns}) for {k}, {x} in {name}.items()}}"),
                    (DictOf(value), f"{{({ask} on {k}): {x} for {k}, {x} in items({name})}}"),
                    (ListOf(TEXT), f"[{x} for {x} in {name} if {ask} on {x} -> bool]"),
                    (ListOf(TEXT), f"(first 2 {x} in {name} where ({ask} on {x} -> bool))"),
                    (ListOf(TEXT), f"sorted({name}, key=lambda {x}: {ask} on {x} -> int)"),
                    (TEXT, f"(max({name}, key=lambda {x}: {ask} on {name}[{x}] -> int) otherwise {self.literal(TEXT)})"),
                ]
                return r.choice(uses)
        if type_ in (INT, FLOAT):
            return ListOf(TEXT), f'[call f"use {{{x}}}" for {x} in range(clamp({self.whole(name, type_)}, 0, 7))]'
        if type_ == TEXT:
            how = r.choice((f"chunks({name}, 7)", f"words({name})", f"lines({name})", f"range(len({name}) // 5)", f'split({name}, "a")'))
            return ListOf(reply), f"[{ask} on {x}{returns} for {x} in {how}]"
        if type_ == BOOL:
            return reply, f"({ask}{returns}) if {name} else {self.literal(reply)}"
        return prompt

    def whole(self, name: str, type_: Type) -> str:
        return name if type_ == INT else f"round({name})"

    def asked(self, type_: Type, scope: Scope) -> str:
        """A reply of a type, not too dear."""
        return self._call(type_, 0, scope)

    def recursion(self, scope: Scope) -> list[str]:
        """A function that ends by itself where its argument gets small enough."""
        r = self.random
        name, q = self.name("f"), self.name("q")
        result: Type = r.choice((INT, TEXT, ListOf(TEXT)))
        of: Type = r.choice((ListOf(TEXT), TEXT, INT))
        inner = [*scope, (q, of)]
        base, end = self.expr(result, 1, inner), r.choice((f"fail {self.expr(TEXT, 0, inner)}", self.expr(result, 0, inner)))
        if of == INT:
            small, again = f"{q} <= 0", f"{self.expr(result, 1, inner)} + {name}({q} - {r.randint(1, 2)})"
        else:
            small = f"len({q}) <= {r.randint(1, 3)}"
            again = f"{name}({q}[:len({q}) // 2]) + {name}({q}[len({q}) // 2:])"
        otherwise = f" otherwise {end}" if r.random() < 0.6 else ""
        self.functions.append((name, (of,), result))
        body = f"if {small} {{ {base} }} else {{ ({again}){otherwise} }}"
        return [f"fn {name}({q}: {of}) -> {result} depth {r.randint(1, 4)} {{ {body} }}"]

    def called(self, scope: Scope) -> Made:
        """A call of the last function."""
        name, params, result = self.functions[-1]
        return f"{name}({', '.join(self.expr(t, 1, scope) for t in params)})", result

    # ---- what TypedPrograms leaves out ----

    def expr(self, type_: Type, depth: int, scope: Scope) -> str:
        if type_ in (FILE, DIR):
            return self.random.choice([name for name, t in scope if t == type_])
        return super().expr(type_, depth, scope)

    def _ways(self, type_: Type) -> list[Any]:
        ways = super()._ways(type_)
        if type_ in (TEXT, ListOf(TEXT), ListOf(INT)) or isinstance(type_, Enum):
            ways += [self._call] * 2
        if type_ == TEXT:
            ways += [self._file]
        if type_ == JSON:
            return [self._json, self._json, self._builtin]
        return ways

    def _call(self, type_: Type, depth: int, scope: Scope) -> str:
        r = self.random
        chosen = r.choice((*WANTED, NESTED, ListOf(FLOAT), ListOf(Optional(INT))))
        data = [self.datum(self.expr(r.choice((chosen, *WANTED)), depth, scope)) for _ in range(r.choice((0, 1, 1, 2)))]
        files = [name for name, t in scope if t == FILE]
        if files and r.random() < 0.5:
            data.append(r.choice(files))
        if data and r.random() < 0.15:
            data = ["{" + ", ".join(f"{self.name('d')}: {d}" for d in data) + "}"]
        hole = self.expr(r.choice((*SCALARS, TEXT)), 0, scope)
        prompt = r.choice((f'"ask {r.randrange(4)}"', f'f"ask {r.randrange(4)} {{{hole}}}"', f"str({hole})"))
        on = " on " + ", ".join(data) if data else ""
        returns = "" if type_ == TEXT and r.random() < 0.5 else f" -> {written(type_)}"
        return f"(call {prompt}{on}{returns}{self.options(type_, scope, batch=bool(data))})"

    def options(self, type_: Type, scope: Scope, *, batch: bool) -> str:
        """What stands in `with`."""
        r = self.random
        few = 9 if isinstance(type_, RecordOf) else 2
        given = [
            *([f"max_tokens: {r.choice((few, 5 if few == 2 else 10, 12, 20))}"] if r.random() < 0.2 else []),
            *([f"sample: {self.expr(INT, 0, scope)}"] if r.random() < 0.1 else []),
            *([f"system: {self.expr(TEXT, 0, scope)}"] if r.random() < 0.1 else []),
            *(['model: "small"'] if r.random() < 0.15 else []),
            *([f"temperature: {r.choice((0, 0.7))}"] if r.random() < 0.05 else []),
            *([f"batch: {r.choice((2, 3, 20))}"] if batch and r.random() < 0.2 else []),
        ]
        return f" with {{{', '.join(given)}}}" if given else ""

    def _file(self, type_: Type, depth: int, scope: Scope) -> str | None:
        files = [name for name, t in scope if t == FILE]
        return f"{self.random.choice(files)}.{self.random.choice(('text', 'text', 'path', 'name'))}" if files else None

    def _json(self, type_: Type, depth: int, scope: Scope) -> str:
        r = self.random
        return (
            f"parse_json({r.choice(('json', 'str'))}({self.expr(r.choice((RECORD, NESTED, ListOf(INT), ListOf(RECORD))), depth, scope)}))"
        )

    def literal(self, type_: Type) -> str:
        if type_ == JSON:
            return self.random.choice(('parse_json("[1, 2]")', "{a: 1}", "[1]"))
        return super().literal(type_)

    def _item(self) -> Type:
        return self.random.choice((INT, TEXT, TEXT, RECORD, BOOL, ENUM, FLOAT))

    # ---- themes ----

    def applied(self, name: str, scope: Scope) -> Made:
        """A call of a built-in, by any of its signatures."""
        r = self.random
        builtin = REGISTRY[name]
        for _ in range(60):
            signature = r.choice(builtin.signatures)
            bound: dict[str, Type] = {}
            args: list[str] = []
            for param in signature.params:
                if param.default is not None and r.random() < 0.4:
                    break
                wanted = self._concrete(param.type, bound)
                made = self.argument(name, param.name, wanted, scope)
                if made is None:
                    break
                args.append(made)
            else:
                if signature.variadic:
                    args += [self.expr(wanted, 1, scope) for _ in range(r.randrange(3))]
            needed = sum(param.default is None for param in signature.params)
            result = self._concrete(signature.result, bound)
            if len(args) >= needed and None not in args:
                method = bool(args) and not args[0].startswith(("-", "lambda")) and r.random() < 0.2 and not args[0][0].isdigit()
                return (f"{args[0]}.{name}({', '.join(args[1:])})" if method else f"{name}({', '.join(args)})"), result
        raise AssertionError(f"no call of {name} was found")

    def argument(self, builtin: str, name: str, wanted: Type, scope: Scope) -> str | None:
        r = self.random
        if isinstance(wanted, FunctionOf):
            if len(wanted.params) != 1:
                return None
            x = self.name("k")
            return f"lambda {x}: {self.expr(wanted.result, 1, [*scope, (x, wanted.params[0])])}"
        if wanted == NONE:
            return "none"
        if builtin == "format" and wanted == TEXT:
            if name == "spec":
                return r.choice(('"5"', '".2f"', '"é>9"', '",.1f"', '"+"', '""', '"%"'))
            return r.choice(('"{} {}"', '"{}"', '"{a}: {t}"', '"{0}{0:>9}"', self.expr(TEXT, 1, scope)))
        if builtin == "range":
            return r.choice(("0", "2", "9", "-3", f"clamp({self.expr(INT, 1, scope)}, -9, 9)", f"len({self.expr(ListOf(TEXT), 1, scope)})"))
        if builtin == "files" and name == "glob":
            return r.choice(('"**/*"', '"*.md"', '"**/*.txt"'))
        if builtin == "chunks" and wanted == INT and r.random() < 0.8:
            return r.choice(("0", "1", "2")) if name == "overlap" else r.choice(("4", "5", "9", f"max(4, {self.expr(INT, 1, scope)})"))
        if builtin == "clamp" and name == "high":
            return r.choice(("12", "99")) if wanted == INT else r.choice(("2.5", "99"))
        if builtin == "parse_json":
            return self._json(JSON, 1, scope).removeprefix("parse_json(")[:-1]
        if name == "indent":
            return r.choice(("0", "2", f"clamp({self.expr(INT, 0, scope)}, 0, 4)"))
        if builtin in ("get", "contains") and name in ("at", "name") and wanted == JSON:
            return r.choice(('"a"', '"xs"', "0"))
        if builtin in ("get", "contains", "format") and wanted == JSON:
            return r.choice((self.expr(RECORD, 1, scope), self.expr(NESTED, 1, scope), self.expr(JSON, 1, scope)))
        if builtin == "dict" or (isinstance(wanted, DictOf) and builtin in ("keys", "values", "items", "get")):
            return self.expr(wanted, 1, scope) if isinstance(wanted, DictOf) else self.pairs(wanted, scope)
        if builtin in ("keys", "values", "items"):
            return self.expr(r.choice((RECORD, NESTED, JSON)), 1, scope)
        if builtin == "get" and name == "record":
            return self.expr(r.choice((RECORD, NESTED, JSON, ListOf(TEXT))), 1, scope)
        if wanted == JSON:
            return self.expr(r.choice((RECORD, NESTED, JSON, JSON, ListOf(TEXT), TEXT)), 1, scope)
        return self._argument(builtin, name, wanted, r.choice((1, 2)), scope)

    def pairs(self, wanted: Type, scope: Scope) -> str:
        """A list of pairs that makes a dict."""
        r = self.random
        assert isinstance(wanted, ListOf) and isinstance(wanted.item, Tuple)
        value = wanted.item.items[1]
        x = self.name("x")
        return r.choice(
            (
                f"zip({self.expr(ListOf(TEXT), 1, scope)}, {self.expr(ListOf(value), 1, scope)})",
                f"items({self.expr(DictOf(value), 1, scope)})",
                f"[[{self.key(1, scope)}, {self.expr(value, 1, scope)}], [{self.key(1, scope)}, {self.expr(value, 1, scope)}]]",
                f"[[{x}, {self.expr(value, 1, [*scope, (x, TEXT)])}] for {x} in {self.expr(ListOf(TEXT), 1, scope)}]",
            )
        )

    def _concrete(self, type_: Type, bound: dict[str, Type]) -> Type:
        if isinstance(type_, Var) and type_.name not in bound and not type_.name.startswith("O"):
            bound[type_.name] = self.random.choice((INT, TEXT, TEXT, RECORD, BOOL, Optional(INT), ListOf(INT)))
        return super()._concrete(type_, bound)

    def standard(self, name: str, scope: Scope) -> Made:
        """A call of a standard function."""
        r = self.random

        def text(depth: int = 1) -> str:
            return self.expr(TEXT, depth, scope)

        def texts() -> str:
            return r.choice((f"take({self.expr(ListOf(TEXT), 1, scope)}, 4)", f"words({text()})[:3]"))

        match name:
            case "summarize":
                return f"summarize({r.choice((text(), f'({text()} * 900)'))}{r.choice(('', f', {text(0)}', ', size=6000'))})", TEXT
            case "vote" | "consensus":
                data = self.expr(r.choice((TEXT, RECORD, ListOf(INT))), 1, scope)
                return f"{name}({text(0)}, {self.expr(INT, 1, scope) if r.random() < 0.3 else r.randrange(4)}, {data})", TEXT
            case "search" | "extract_all":
                return f"{name}({text(0)}, {text(2)}, {r.choice((40, 300, 8))})", ListOf(TEXT)
            case "rank":
                return f"rank({text(0)}, {texts()})", ListOf(TEXT)
            case "tournament":
                return f"tournament({text(0)}, {texts()})", TEXT
            case "classify":
                labels = r.choice((texts(), '["red", "blue"]'))
                return f"classify({texts()}, {labels})", ListOf(TEXT)
            case "compare_pairs":
                fields = (("i", INT), ("j", INT), ("a", TEXT), ("b", TEXT), ("yes", BOOL))
                return f"compare_pairs({text(0)}, {texts()})", ListOf(RecordOf(fields))
        verdict = Enum(("supported", "contradicted", "disputed", "not found"))
        return f"verify({text(0)}, {text(2)}, {r.choice((40, 300))})", RecordOf((("verdict", verdict), ("quotes", ListOf(TEXT))))

    def in_form(self, way: Callable[[ThemedPrograms, Type, int, Scope], str | None], types: tuple[Type, ...], scope: Scope) -> Made:
        """One of the ways to write an expression."""
        for _ in range(20):
            type_ = self.random.choice(types)
            made = way(self, type_, 2, scope)
            if made is not None:
                return made, type_
        raise AssertionError("this form is never made")

    def written_as(self, template: str, type_: Type, scope: Scope) -> Made:
        """A template whose places `{text}`, `{int}`, `{texts}` … are filled with expressions of those types."""
        filled = template
        for word, kind in _PLACES.items():
            while f"‹{word}›" in filled:
                filled = filled.replace(f"‹{word}›", self.expr(kind, self.random.choice((0, 1, 1)), scope), 1)
        while "‹name›" in filled:
            filled = filled.replace("‹name›", self.name("n"), 1)
        return filled, type_


_PLACES: dict[str, Type] = {
    "text": TEXT,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "enum": ENUM,
    "texts": ListOf(TEXT),
    "ints": ListOf(INT),
    "record": RECORD,
    "nested": NESTED,
    "records": ListOf(RECORD),
    "text?": Optional(TEXT),
    "dict": DictOf(TEXT),
    "counts": DictOf(INT),
    "json": JSON,
    "dir": DIR,
    "file": FILE,
}
_ANY: tuple[Type, ...] = (INT, TEXT, ListOf(TEXT), RECORD, ListOf(INT))
_LISTS: tuple[Type, ...] = (ListOf(TEXT), ListOf(INT), ListOf(RECORD))
_WAYS: dict[str, tuple[Callable[..., str | None], tuple[Type, ...]]] = {
    "if": (ThemedPrograms._if, _ANY),
    "otherwise": (ThemedPrograms._otherwise, _ANY),
    "block": (ThemedPrograms._block, _LISTS),
    "call": (ThemedPrograms._call, REPLIES),
    "map": (ThemedPrograms._map, _LISTS),
    "pairs of a loop": (ThemedPrograms._pairs, _LISTS),
    "filter": (ThemedPrograms._filter, _LISTS),
    "first": (ThemedPrograms._first, _LISTS),
    "list": (ThemedPrograms._list, _LISTS),
    "slice": (ThemedPrograms._slice, (*_LISTS, TEXT)),
    "fold": (ThemedPrograms._fold, (INT, TEXT)),
    "reduce": (ThemedPrograms._reduce, (INT, TEXT)),
    "f-string": (ThemedPrograms._fstring, (TEXT,)),
    "compare": (ThemedPrograms._compare, (BOOL,)),
    "logic": (ThemedPrograms._logic, (BOOL,)),
    "record": (ThemedPrograms._record, (RECORD, NESTED)),
}
_TEMPLATES: dict[str, tuple[Type, tuple[str, ...]]] = {
    "+ numbers": (INT, ("(‹int› + ‹int›)", "(‹int› + 1)")),
    "+ floats": (FLOAT, ("(‹float› + ‹int›)", "(‹float› + ‹float›)")),
    "+ texts": (TEXT, ("(‹text› + ‹text›)",)),
    "+ lists": (ListOf(TEXT), ("(‹texts› + ‹texts›)", "(‹texts› + [‹text›])")),
    "-": (INT, ("(‹int› - ‹int›)", "(len(‹texts›) - 1)", "(len(‹text›) - len(‹text›))")),
    "*": (INT, ("(‹int› * ‹int›)", "(len(‹texts›) * ‹int›)")),
    "* texts": (TEXT, ("(‹text› * 3)", "(‹text› * clamp(‹int›, -1, 4))", "(len(‹texts›) * ‹text›)")),
    "* lists": (ListOf(TEXT), ("(‹texts› * 2)", "(‹texts› * clamp(‹int›, 0, 3))")),
    "/": (FLOAT, ("(‹int› / 2)", "(‹float› / ‹int›)", "(len(‹texts›) / len(‹text›))")),
    "//": (INT, ("(‹int› // 2)", "(len(‹texts›) // 3)", "(‹int› // ‹int›)", "(‹int› // -2)")),
    "// floats": (FLOAT, ("(‹float› // 0.5)", "(‹float› // ‹int›)")),
    "%": (INT, ("(‹int› % 3)", "(len(‹text›) % ‹int›)", "(‹int› % -4)", "(‹int› % len(‹texts›))")),
    "% floats": (FLOAT, ("(‹float› % 1.5)", "(‹float› % ‹int›)")),
    "**": (INT, ("(clamp(‹int›, 0, 5) ** clamp(‹int›, 0, 3))", "(2 ** clamp(‹int›, 0, 6))", "(len(‹texts›) ** 2)")),
    "** floats": (FLOAT, ("(‹float› ** 2)", "(clamp(‹float›, 0.5, 3.0) ** clamp(‹int›, -2, 2))")),
    "unary -": (INT, ("(-‹int›)", "(-len(‹texts›) + 9)", "abs(-‹int›)", "(+‹int›)")),
    "== texts": (
        BOOL,
        ("(‹text› == ‹text›)", "(‹texts› == [])", '(‹text› != "")', "(‹int› == ‹int›)", "(‹text?› != none)", "(‹text?› == none)"),
    ),
    "< numbers": (BOOL, ("(‹int› < len(‹texts›))", "(len(‹text›) >= len(‹texts›))", "(‹int› <= ‹float› < 3)", "(‹int› > ‹int›)")),
    "in": (BOOL, ("(‹text› in ‹text›)", "(‹int› in ‹ints›)", '("a" in ‹record›)', "(‹text› not in ‹texts›)")),
    "if of sizes": (
        TEXT,
        ("(‹text› if len(‹text›) < 9 else ‹text›)", "(‹text› if ‹texts› else ‹text›)", '(if ‹text› { ‹text› } else { "b" })'),
    ),
    "if with calls": (
        TEXT,
        (
            '(if ‹bool› { call "long" on ‹text›, ‹ints› } else { call "b" with {max_tokens: 3} })',
            '((call "a") if ‹bool› else (call "longer" on ‹text›, ‹texts› with {model: "small"}))',
            '(if (call "c" -> bool) { (call "a" on ‹text›) + (call "b" with {max_tokens: 2}) } else { call "c" with {max_tokens: 9} })',
        ),
    ),
    "a list of one": (
        TEXT,
        (
            "(reduce c0, c1 in ‹texts› { c0[:1] })",
            '(reduce c0, c1 in take(‹texts›, 1) { "" })',
            "(fold c0, c1 in ‹texts› from ‹text› { c1[:1] })",
        ),
    ),
    "a long known list": (
        ListOf(TEXT),
        (
            '[call f"n {c0}" for c0 in range(70)]',
            '[f"{c0}" * c0 for c0 in range(70) if (call "n" on c0 -> bool)]',
            '(map c1, c0 in ["a", "bcd"] * 35 { f"{c0}{c1}{‹int›}" })',
            "[str(c0)[:len(‹text›)] for c0 in range(99)]",
        ),
    ),
    "skipping what fails": (
        ListOf(INT),
        (
            "([int(c0) for c0 in ‹texts›] otherwise skip)",
            '([int(call "n" on c0) for c0 in ["1", "2", "3"]] otherwise skip)',
            "([c0 for c0 in ‹ints› if 6 // c0 > 0] otherwise skip)",
            '([c1 for c0 in ‹texts› for c1 in [int(c0), len(call "n" on c0)]] otherwise skip)',
        ),
    ),
    "a filter that is decided": (
        ListOf(TEXT),
        (
            "[c0 for c0 in ‹texts› if len(c0) >= 0]",
            '[c0 for c0 in ‹texts› if c0 in ""]',
            '[c0 for c0 in ["a", "bc", ‹text›] if len(c0) < 2]',
        ),
    ),
    "a chain": (
        TEXT,
        (
            '(fold c0, c1 in ‹texts› from "" { call f"{c0}" on (call "n" on c0) })',
            '(reduce c0, c1 in ‹texts› { call f"{c0}" on (call "n" on c1) })',
            '(fold c0, c1 in range(clamp(‹int›, 0, 5)) from "" { call f"{c0}" })',
            '(reduce c0, c1 in [‹text›, ‹text›, ‹text›, "a", "b"] { call f"{c0}" on c1 })',
        ),
    ),
    "in batches": (
        ListOf(TEXT),
        (
            '[call "b" on c0 with {batch: 20} for c0 in ‹texts›]',
            '[call f"b {‹int›}" on c0, ‹text› -> "red" | "green" with {batch: 3} for c0 in ‹texts›]',
            '[c0 for c0 in ‹texts› if call "b" on c0 -> bool with {batch: 2}]',
            '[str(call "b" on c0 -> int with {batch: 4, max_tokens: 5}) for c0 in range(9)]',
        ),
    ),
    "??": (TEXT, ("(‹text?› ?? ‹text›)", '(‹text?› ?? (call "default"))', '(‹nested›.o ?? "none")')),
    "otherwise skip": (
        ListOf(TEXT),
        (
            '([(call "s" on s0) for s0 in ‹texts›] otherwise skip)',
            '([s0[:3] for s0 in ‹texts› if (call "s" on s0 -> bool)] otherwise skip)',
        ),
    ),
    "fail": (
        TEXT,
        ("((fail ‹text›) otherwise ‹text›)", '(if ‹bool› { ‹text› } else { fail "no" })', '((fail (call "why")) otherwise ‹text›)'),
    ),
    "index": (
        TEXT,
        ("‹texts›[0]", "‹texts›[-1]", "‹text›[0]", "(‹texts›[‹int›] otherwise ‹text›)", '‹record›["t"]', '[‹text›, ‹text›, "a"][1]'),
    ),
    "field": (TEXT, ("‹record›.t", "‹nested›.r.t", '(‹nested›.o ?? "x")', "[c0.t for c0 in ‹records›].join()")),
    "maybe field": (Optional(TEXT), ("(first(‹records›) otherwise none)?.t", "(‹record› if ‹bool› else none)?.t")),
    "spread": (RECORD, ("{...‹record›, a: ‹int›}", "{a: 1, ...‹record›}", "{...‹record›, t: ‹text›}")),
    "unpacking": (TEXT, ("[(c0 + c1) for c0, c1 in zip(‹texts›, ‹texts›)].join()", '[c1 for c0, c1 in enumerate(‹texts›)].join(", ")')),
    "format spec": (TEXT, ('f"{‹int›:>5} {‹float›:.2f}"', 'f"{ ‹text›:<9}|"', 'f"{‹int›:,}{‹int›:+}"', 'f"{ ‹text›:é^12.3}"')),
    "reduce with a start": (
        TEXT,
        ('reduce(lambda c0, c1: (call "merge" on c0, c1), ‹texts›, ‹text›)', 'reduce(lambda c0, c1: c0 + c1, ‹texts›, "")'),
    ),
    "reduce with calls": (TEXT, ('(reduce c0, c1 in ‹texts› { call f"m {c0}" on c1 })', "(reduce c0, c1 in ‹texts› { c0 + c1[:2] })")),
    "reduce lists": (
        ListOf(TEXT),
        ("(reduce c0, c1 in [[c2] for c2 in ‹texts›] { c0 + c1 })", "(reduce c0, c1 in [[‹text›], ‹texts›] { take(c0 + c1, 3) })"),
    ),
    "fold with calls": (
        TEXT,
        ('(fold c0, c1 in ‹texts› from ‹text› { call "f" on c0, c1 })', '(fold c0, c1 in ‹texts› from "" { c0 + c1 })'),
    ),
    "fold without": (
        INT,
        ('(fold c0, c1 in ‹texts› from 0 { c0 + (call "n" on c1 -> int) })', "(fold c0, c1 in ‹ints› from ‹int› { max(c0, c1) })"),
    ),
    "fold lists": (
        ListOf(TEXT),
        ("(fold c0, c1 in ‹texts› from [] { c0 + [c1] })", "(fold c0, c1 in take(‹texts›, 3) from [‹text›] { c0 + c0 })"),
    ),
    "first with a count": (
        ListOf(TEXT),
        (
            '(first 1 c0 in ‹texts› where (call "w" on c0 -> bool))',
            'take([c0 for c0 in ‹texts› if (call "w" on c0 -> bool)], clamp(‹int›, 0, 3))',
        ),
    ),
    "map with position": (ListOf(TEXT), ('(map c1, c0 in ‹texts› { call f"p {c1}" on c0 })', "(map c1, c0 in ‹texts› { c0 * c1 })")),
    "two loops": (
        ListOf(TEXT),
        ('[(call "t" on c0, c1) for c0 in ‹texts› for c1 in ‹texts›]', "[c1 for c0 in [‹texts›, ‹texts›] for c1 in c0 if ‹bool›]"),
    ),
    "a key that calls": (
        ListOf(TEXT),
        (
            'sorted(‹texts›, key=lambda c0: call "k" on c0 -> int)',
            'unique(‹texts›, key=lambda c0: call "k" on c0 -> bool)',
            '[c1.items[0] for c1 in group_by(‹texts›, key=lambda c0: call "k" on c0 -> int)]',
        ),
    ),
    "a best by calls": (
        TEXT,
        (
            'max(‹texts›, key=lambda c0: call "k" on c0 -> int)',
            '‹texts›[argmin(‹texts›, key=lambda c0: (call "k" on c0 -> float))]',
            "min(‹texts›, len)",
        ),
    ),
    "a dict": (
        DictOf(TEXT),
        (
            "{c0: c0 for c0 in ‹texts›}",
            "{c0[:1]: c0 * 2 for c0 in ‹texts› if len(c0) > 0}",
            '{f"{c0}{c1}": c1 for c0 in ‹texts› for c1 in ‹texts›}',
            '{c0: (call "v" on c0) for c0 in ‹texts›}',
            '{(call "k" on c0): c0 for c0 in ‹texts›}',
            "{c0.t: c0.t + ‹text› for c0 in ‹records›}",
            '{c0: int(c0) otherwise skip for c0 in ["1", "x", "2"]} and ‹dict›',
            "dict(zip(‹texts›, ‹texts›))",
            "{c1: c0 for c0, c1 in ‹dict›.items()}",
            "(‹dict› if ‹bool› else {a: ‹text›})",
            "(fold c0, c1 in ‹texts› from dict() { dict(items(c0) + [[c1, ‹text›]]) })",
            "(fold c0, c1 in ‹texts› from ‹dict› { dict(items(c0) + [[c1, c1 + c0.get(c1, ‹text›)]]) })",
        ),
    ),
    "a dict of numbers": (
        DictOf(INT),
        (
            "{c0: len(c0) for c0 in set(‹texts›)}",
            "{c0: count(‹texts›, c0) for c0 in ‹texts›}",
            '{c0: (call "n" on c0 -> int) for c0 in ‹dict›}',
            "{c0: c1 for c0, c1 in sorted(‹counts›.items(), key=lambda c2: c2[1])}",
            "dict(items(‹counts›) + items(‹counts›))",
            "{c0: sum([c1.a for c1 in ‹records› if c1.t == c0]) for c0 in set([c2.t for c2 in ‹records›])}",
            "(fold c0, c1 in ‹texts› from dict() { dict(items(c0) + [[c1, c0.get(c1, 0) + 1]]) })",
        ),
    ),
    "dicts of more": (
        DictOf(ListOf(TEXT)),
        ("{c0: [c1 for c1 in ‹texts› if c0 in c1] for c0 in ‹texts›}", "{c0: words(c0) for c0 in ‹dict›.values()}"),
    ),
    "of a dict": (
        TEXT,
        (
            "‹dict›[‹text›]",
            '(‹dict›["a"] otherwise ‹text›)',
            '(‹dict›.get("a") ?? ‹text›)',
            "get(‹dict›, ‹text›, ‹text›)",
            "max(‹counts›, key=‹counts›.get)",
            "{a: ‹text›, b: ‹text›}[‹text›]",
            "first(sorted(‹dict›))",
            "‹dict›.values().join()",
            '"".join(‹dict›)',
            "(reduce c0, c1 in ‹dict› { c0 + c1 })",
            '(call "d" on ‹dict›, ‹counts›)',
            'f"{ ‹dict› }"',
            "json([‹counts›, ‹counts›], indent=2)",
        ),
    ),
    "through a dict": (
        ListOf(TEXT),
        (
            "[c0 for c0 in ‹dict›]",
            "[c0 for c0 in ‹counts› if ‹counts›[c0] > 1]",
            "[c0 + ‹dict›[c0] for c0 in ‹dict›]",
            '[(call "d" on c0) for c0 in ‹dict›]',
            '(map c1, c0 in ‹dict› { call f"d {c1}" on c0 })',
            "keys(‹dict› if ‹bool› else dict())",
            '[(f"{c0}{c1}") for c0, c1 in zip(‹dict›, ‹counts›)]',
            "[c1 for c0 in [‹dict›, ‹dict›] for c1 in c0]",
        ),
    ),
    "named data": (TEXT, ('(call "n" on {‹name›: ‹text›, ‹name›: ‹ints›})', '(call "n" on {"é \\"": ‹text›})')),
    "system": (TEXT, ('(call "n" on ‹text› with {system: ‹text›})', '(call "n" with {system: ‹text›, max_tokens: 5})')),
    "sample": (
        ListOf(TEXT),
        ('[(call "n" with {sample: c0}) for c0 in range(clamp(‹int›, 0, 4))]', '[(call "n" on ‹text› with {sample: ‹int›})]'),
    ),
    "batch": (
        ListOf(TEXT),
        (
            '[(call "n" on c0 with {batch: 3, model: "small"}) for c0 in ‹texts›]',
            '[c0 for c0 in ‹texts› if (call "n" on c0, ‹ints› -> bool with {batch: 20})]',
            '(map c0 in ‹texts› { c1 = call "n" on c0 with {batch: 2, model: "small"}\n call "m" on c1 with {batch: 5} } otherwise skip)',
        ),
    ),
    "model": (TEXT, ('(call "n" on ‹text› with {model: "small"})', '(call ‹text› -> "red" | "blue" with {model: "small"})')),
    "max_tokens": (TEXT, ('(call "n" on ‹text› with {max_tokens: 3})', "(call ‹text› with {max_tokens: 1})")),
    "a fence in the data": (TEXT, ('(call "n" on "=====8<=====" + ‹text›)', '(call "=====8<=====" on "=====8<1=====", ‹text›, ‹ints›)')),
    "a call for data": (TEXT, ('(call (call "p" on ‹text›) on (call "d"), ‹texts›)', "(call f\"{(call 'a')}\" on ‹record›)")),
    "an empty loop": (
        ListOf(TEXT),
        ("[c0 for c0 in [][1:]]", '[(call "e" on c0) for c0 in ‹texts› if false]', "[c0 for c0 in ‹texts› if len(c0) < 0]"),
    ),
    "a binding in a branch": (
        TEXT,
        (
            '(if ‹bool› { c0 = call "b" on ‹text›\n c0 + c0 } else { ‹text› })',
            '(map c2 in ‹texts› { c0 = call "b" on c2\n c1 = call "never"\n c0 + c0 }).join()',
        ),
    ),
    "file text": (TEXT, ("‹file›.text", 'f"{‹file›.path} {‹file›.size}"', '(call "f" on ‹file›)', '(call "f" on {name: ‹file›})')),
    "file list": (
        ListOf(TEXT),
        (
            "[c0.text for c0 in ‹dir›.files()]",
            '[(call "f" on c0) for c0 in ‹dir›.files("**/*.md")]',
            "[c0.path for c0 in files(‹dir›) if c0.size > 5]",
        ),
    ),
    "file size": (INT, ("‹file›.size", "sum([c0.size for c0 in ‹dir›.files()])", 'len(‹dir›.files("sub/*"))')),
}


def _is_data(type_: Type) -> bool:
    match type_:
        case ListOf(item) | Optional(item) | DictOf(item):
            return _is_data(item)
        case Tuple(items):
            return all(map(_is_data, items))
        case RecordOf(fields):
            return all(_is_data(t) for _, t in fields)
    return type_ not in (FILE, DIR)


_MAKERS: dict[str, Callable[[ThemedPrograms, Scope], Made]] = {
    **{name: (lambda p, s, n=name: p.applied(n, s)) for name in REGISTRY},
    **{f"standard {name}": (lambda p, s, n=name: p.standard(n, s)) for name in library_names()},
    **{name: (lambda p, s, w=way: p.in_form(*w, s)) for name, way in _WAYS.items()},
    "function": ThemedPrograms.called,
    "recursion": ThemedPrograms.called,
    **{name: (lambda p, s, t=t: p.written_as(p.random.choice(t[1]), t[0], s)) for name, t in _TEMPLATES.items()},
}
THEMES: tuple[str, ...] = tuple(_MAKERS)
