"""Code that may fail, called so that its failure knows the place in the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlmlang.errors import RlmError
from rlmlang.run.flow import Env, Pure, located
from rlmlang.syntax.source import Span


def guarded1(code: Callable[[Any], Any], argument: Pure, span: Span) -> Pure:
    """`code(argument)`"""

    def call(env: Env) -> Any:
        value = argument(env)
        try:
            return code(value)
        except RlmError as error:
            raise located(error, span) from None

    return call


def guarded2(code: Callable[[Any, Any], Any], first: Pure, second: Pure, span: Span) -> Pure:
    """`code(first, second)`"""

    def call(env: Env) -> Any:
        a = first(env)
        b = second(env)
        try:
            return code(a, b)
        except RlmError as error:
            raise located(error, span) from None

    return call


def called2(code: Callable[[Any, Any], Any], a: Any, b: Any, span: Span) -> Any:
    """The same at once, of values that are there."""
    try:
        return code(a, b)
    except RlmError as error:
        raise located(error, span) from None
