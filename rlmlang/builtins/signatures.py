"""Reads the signatures of built-ins: `sorted(xs: [T], key: (T) -> O = none, reverse: bool = false) -> [T]`.

    signature  NAME "(" [param ("," param)*] ")" "->" type
    param      ["*"] NAME ":" type ["=" literal]
    type       atom "?"* | word ("|" word)*
    atom       NAME | "[" type "]" (a list) | "[" type "," type … "]" (a tuple) | "dict" "[" "text" "," type "]"
               | "{" field ("," field)* "}" | "(" types ")" ["->" type]

A name in capitals is a type variable. What it reads is written in this package, so a mistake is a TypeError, not a diagnostic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeVar

from rlmlang.builtins.declare import Parameter, Signature
from rlmlang.types import (
    BOOL,
    DIR,
    FILE,
    FLOAT,
    INT,
    JSON,
    NEVER,
    NONE,
    TEXT,
    DictOf,
    Enum,
    FunctionOf,
    ListOf,
    Optional,
    RecordOf,
    Tuple,
    Type,
    Var,
)

_TOKEN: Final = re.compile(r'\s*(->|[A-Za-z_]\w*|"[^"]*"|-?\d+(?:\.\d+)?|[^\s\w])')
_NAMED: Final = {t.name: t for t in (TEXT, INT, FLOAT, BOOL, NONE, FILE, DIR, JSON, NEVER)}

T = TypeVar("T")


def read_signature(text: str) -> Signature:
    """The signature that `text` writes. Raises TypeError where it writes none."""
    reader = _Reader(text)
    reader.take()
    reader.take("(")
    params = reader.series(reader.parameter, ")")
    reader.take("->")
    result = reader.type()
    reader.take("")
    stars = [starred for _, starred in params]
    if any(stars[:-1]):
        raise TypeError(f"only the last parameter may take several arguments: {text}")
    return Signature(tuple(p for p, _ in params), result, variadic=any(stars))


class _Reader:
    """A recursive-descent reader: `next` is the token to come, empty at the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.position = 0

    @property
    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.next
        if expected is not None and token != expected:
            raise TypeError(f"expected {expected!r}, not {token!r}, in the signature {self.text}")
        self.position += 1
        return token

    def accept(self, token: str) -> bool:
        if self.next != token:
            return False
        self.position += 1
        return True

    def series(self, read: Callable[[], T], end: str) -> list[T]:
        """What `read` reads, between commas, up to and with `end`."""
        found: list[T] = []
        while not self.accept(end):
            if found:
                self.take(",")
            found.append(read())
        return found

    def parameter(self) -> tuple[Parameter, bool]:
        starred = self.accept("*")
        name = self.take()
        self.take(":")
        return Parameter(name, self.type(), self.take() if self.accept("=") else None), starred

    def type(self) -> Type:
        found = self.atom()
        while self.accept("?"):
            found = Optional(found)
        return found

    def atom(self) -> Type:
        token = self.take()
        if token == "[":
            items = self.series(self.type, "]")
            return ListOf(items[0]) if len(items) == 1 else Tuple(tuple(items))
        if token == "{":
            return RecordOf(tuple(self.series(self.field, "}")))
        if token == "(":
            params = self.series(self.type, ")")
            if self.accept("->"):
                return FunctionOf(tuple(params), self.type())
            if len(params) == 1:
                return params[0]
        elif token.startswith('"'):
            words = [json.loads(token)]
            while self.accept("|"):
                words.append(json.loads(self.take()))
            return Enum(tuple(words))
        elif token == "dict":
            for expected in ("[", "text", ","):
                self.take(expected)
            value = self.type()
            self.take("]")
            return DictOf(value)
        elif token in _NAMED:
            return _NAMED[token]
        elif token.isupper():
            return Var(token)
        raise TypeError(f"no type begins with {token!r}, in the signature {self.text}")

    def field(self) -> tuple[str, Type]:
        name = self.take()
        self.take(":")
        return name, self.type()
