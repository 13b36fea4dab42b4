"""The types of the language, as values. They compare by structure; `str(type)` is how a program writes them."""

from __future__ import annotations

import json

from attrs import frozen


def _quoted(text: str) -> str:
    """A text as a program writes it: what may not stand in a program's text as an escape."""
    written = json.dumps(text, ensure_ascii=False)
    if written.isprintable():
        return written
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in written)


@frozen(cache_hash=True)
class Primitive:
    """`text int float bool none file dir`"""

    name: str

    def __str__(self) -> str:
        return self.name


TEXT = Primitive("text")
INT = Primitive("int")
FLOAT = Primitive("float")
BOOL = Primitive("bool")
NONE = Primitive("none")
FILE = Primitive("file")
DIR = Primitive("dir")
JSON = Primitive("json")  # any data at all: a list of mixed items, what `parse_json` gives
NEVER = Primitive("never")  # `fail`, and the items of `[]`: fits everywhere
UNKNOWN = Primitive("unknown")  # after an error: fits everywhere, so that one mistake is reported once


@frozen(cache_hash=True)
class Enum:
    """`"core" | "helper"`: a text that is one of `words`"""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " | ".join(map(_quoted, self.words))


@frozen(cache_hash=True)
class ListOf:
    """`[T]`, `[T; 10]`: at most `most` items"""

    item: Type
    most: int | None = None

    def __str__(self) -> str:
        return f"[{self.item}]" if self.most is None else f"[{self.item}; {self.most}]"


@frozen(cache_hash=True)
class Tuple:
    """A list of fixed length, typed item by item: what `zip`, `enumerate`, `pairs` and `items` are lists of. A list in JSON."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.items)) + "]"


@frozen(cache_hash=True)
class RecordOf:
    """`{a: T, b: T?}`: fields in order. A field of optional type may be missing, which reads as none."""

    fields: tuple[tuple[str, Type], ...]

    def get(self, name: str) -> Type | None:
        return next((t for n, t in self.fields if n == name), None)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{n if n.isidentifier() and n.isascii() else _quoted(n)}: {t}" for n, t in self.fields) + "}"


@frozen(cache_hash=True)
class DictOf:
    """`dict[text, T]`: values by keys, which are texts that nobody knows before it runs"""

    value: Type

    def __str__(self) -> str:
        return f"dict[text, {self.value}]"


@frozen(cache_hash=True)
class Optional:
    """`T?`: T or none. Never nested."""

    item: Type

    def __str__(self) -> str:
        return f"({self.item})?" if isinstance(self.item, Enum) else f"{self.item}?"


@frozen(cache_hash=True)
class Var:
    """A type variable in the signature of a built-in (`T`), bound anew at each use"""

    name: str

    def __str__(self) -> str:
        return self.name


@frozen(cache_hash=True)
class FunctionOf:
    """`(T, T) -> K`: the type of a lambda that a built-in takes"""

    params: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.params))}) -> {self.result}"


Type = Primitive | Enum | ListOf | Tuple | RecordOf | DictOf | Optional | Var | FunctionOf


def optional(item: Type) -> Type:
    """`item?`, not nested."""
    return item if isinstance(item, Optional) or item in (NONE, UNKNOWN, JSON) else Optional(item)
