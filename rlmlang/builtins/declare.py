"""How a built-in is declared: once, with everything that any room wants to know of it.

    @builtin("first(xs: [T]) -> T", "first(xs: [T], n: int) -> [T]", help="The first item, or the first n.", size=_first_size)
    def first(xs, n=None): ...

Several signatures are alternatives: the checker takes the first that fits the arguments. Signatures are read when first asked for.
A type in capitals is a variable (`T`); one that begins with `O` must be orderable (numbers, text, bool, lists of these).
The code gets plain values in the order of the parameters. A parameter of function type receives a Python callable, which it must call
exactly once for each item, in order (keys that need a model are computed beforehand and replayed). It raises `Failure` for
what a program can cause and `LimitError` for what would be too large, always before allocating it; spans are added by the caller.

The size rule gets the sizes of the arguments in the same order (`rlmlang.sizes`), None where a default is taken, `FunctionSize` for a
function, and gives a size that holds whatever the code gives for arguments of these sizes. It is not asked where all arguments are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from attrs import frozen

from rlmlang.sizes import Size
from rlmlang.types import Type

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Parameter:
    """`default` is the literal as written in the signature, None where the argument is required."""

    name: str
    type: Type
    default: str | None = None


@frozen
class Signature:
    params: tuple[Parameter, ...]
    result: Type
    variadic: bool = False  # the last parameter takes any number of arguments: `max(*xs: O)`


@frozen(eq=False, slots=False)
class Builtin:
    """A built-in function. `code(*args)` takes positional values, `rule(*sizes)` their sizes; defaults are their own."""

    name: str
    texts: tuple[str, ...]
    help: str
    code: Callable[..., Any]
    rule: Callable[..., Size]

    def size(self, arguments: Sequence[Size | None]) -> Size:
        """What the result can be for arguments of these sizes, in the order of the parameters; None: a default."""
        return self.rule(*arguments)

    @cached_property
    def signatures(self) -> tuple[Signature, ...]:
        from rlmlang.builtins.signatures import read_signature

        return tuple(read_signature(text) for text in self.texts)


REGISTRY: dict[str, Builtin] = {}


def builtin(*signatures: str, help: str, size: Callable[..., Size]) -> Callable[[F], F]:
    """Registers the decorated function under the name in its signatures. Raises TypeError where one of the parts is missing."""

    def register(code: F) -> F:
        names = {s.split("(", 1)[0] for s in signatures}
        if len(names) != 1 or not help:
            raise TypeError(f"a built-in has one name and a line of help: {sorted(names)}")
        if not callable(size):
            raise TypeError(f"a built-in has a size rule: {sorted(names)}")
        (name,) = names
        if name in REGISTRY:
            raise TypeError(f"{name} is declared twice")
        REGISTRY[name] = Builtin(name, signatures, help, code, size)
        return code

    return register
