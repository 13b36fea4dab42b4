"""The operators on values: `+ - * / // % **`, unary minus, comparison, `in`. Typed: a bool is no number, and texts are not divided.

Each raises Failure where the operands do not fit or the result is no finite number, and LimitError where the result would be too large,
before it is built. The most common types come first in each, as an operator is the most frequent step of a pure program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cmp_to_key
from types import MappingProxyType
from typing import Any, Final, NoReturn

from rlmlang.builtins.operator_sizes import BINARY_SIZES as BINARY_SIZES  # the sizes of BINARY and UNARY, by the same names
from rlmlang.builtins.operator_sizes import UNARY_SIZES as UNARY_SIZES
from rlmlang.builtins.operator_sizes import compared
from rlmlang.errors import Failure, LimitError
from rlmlang.limits import INT_BITS, LIST_ITEMS, TEXT_CHARS
from rlmlang.sizes import Exact, Size
from rlmlang.streamed import Streamed
from rlmlang.values import SEQUENCES, Value, describe, same, type_name

# ---- sizes ----


def check_int(number: int) -> int:
    """`number`, or LimitError beyond INT_BITS bits."""
    if number.bit_length() > INT_BITS:
        _int_too_large()
    return number


def check_text_chars(count: int) -> None:
    """LimitError where a text of `count` code points is more than TEXT_CHARS."""
    if count > TEXT_CHARS:
        raise LimitError(f"a text may have at most {TEXT_CHARS:,} characters, not {count:,}")


def check_list_items(count: int) -> None:
    """LimitError where a list of `count` items is more than LIST_ITEMS."""
    if count > LIST_ITEMS:
        raise LimitError(f"a list may have at most {LIST_ITEMS:,} items, not {count:,}")


def _int_too_large() -> NoReturn:
    raise LimitError(f"an int may have at most {INT_BITS:,} bits")


# ---- arithmetic ----


def add(a: Value, b: Value) -> Value:
    """`a + b`: numbers, texts, lists."""
    if type(a) is int and type(b) is int:
        return check_int(a + b)
    if type(a) is str and type(b) is str:
        check_text_chars(len(a) + len(b))
        return a + b
    if isinstance(a, SEQUENCES) and isinstance(b, SEQUENCES):
        check_list_items(len(a) + len(b))
        return [*a, *b]
    if type(a) is float and type(b) is float and math.isfinite(total := a + b):
        return total
    if _are_numbers(a, b):
        return _float("+", a, b, lambda: float(a) + float(b))
    hint = None
    if isinstance(a, str) or isinstance(b, str):
        hint = 'only texts are joined by `+`: write f"{x}" or str(x) for the other one'
    elif isinstance(a, dict) and isinstance(b, dict):
        hint = "records are merged by spreading: {...a, ...b}; dicts by dict(items(a) + items(b))"
    raise Failure(f"`+` does not take {describe(a)} and {describe(b)}", hint=hint)


def subtract(a: Value, b: Value) -> Value:
    """`a - b`: numbers."""
    if type(a) is int and type(b) is int:
        return check_int(a - b)
    if type(a) is float and type(b) is float and math.isfinite(rest := a - b):
        return rest
    return _float("-", a, b, lambda: float(a) - float(b))


def multiply(a: Value, b: Value) -> Value:
    """`a * b`: numbers; a text or a list that many times over."""
    if type(a) is int and type(b) is int:
        if a.bit_length() + b.bit_length() > INT_BITS + 1:
            _int_too_large()
        return check_int(a * b)
    if type(a) is float and type(b) is float and math.isfinite(product := a * b):
        return product
    if type(a) is int and isinstance(b, (str, *SEQUENCES)):
        a, b = b, a
    if type(b) is int and isinstance(a, str):
        check_text_chars(len(a) * max(b, 0))
        return a * max(b, 0) if a else ""
    if type(b) is int and isinstance(a, SEQUENCES):
        check_list_items(len(a) * max(b, 0))
        return list(a) * max(b, 0) if a else []
    return _float("*", a, b, lambda: float(a) * float(b))


def divide(a: Value, b: Value) -> float:
    """`a / b`: numbers, always a float."""
    if type(a) is float and type(b) is float and b and math.isfinite(quotient := a / b):
        return quotient
    return _float("/", a, b, lambda: float(a / b))


def floor_divide(a: Value, b: Value) -> Value:
    """`a // b`: numbers; an int for ints."""
    if type(a) is int and type(b) is int and b:
        return a // b
    return _float("//", a, b, lambda: float(a) // float(b))


def modulo(a: Value, b: Value) -> Value:
    """`a % b`: numbers, with the sign of `b`; an int for ints."""
    if type(a) is int and type(b) is int and b:
        return a % b
    if isinstance(a, str):
        raise Failure("`%` does not format text", hint='write f"…{x}…"')
    return _float("%", a, b, lambda: float(a) % float(b))


def power(a: Value, b: Value) -> Value:
    """`a ** b`: numbers; an int for ints unless the exponent is negative."""
    if type(a) is int and type(b) is int and b >= 0:
        if (a.bit_length() - 1) * b >= INT_BITS:
            _int_too_large()
        return check_int(a**b)
    if _are_numbers(a, b) and a < 0 and b != int(b):
        raise Failure(f"{describe(a)} has no real power {b}")
    return _float("**", a, b, lambda: float(a) ** float(b))


def negate(a: Value) -> Value:
    """`-a`: a number."""
    if type(a) is int or type(a) is float:
        return -a
    raise Failure(f"`-` needs a number, not {describe(a)}")


def positive(a: Value) -> Value:
    """`+a`: a number, as it is."""
    if type(a) is int or type(a) is float:
        return a
    raise Failure(f"`+` needs a number, not {describe(a)}")


def _are_numbers(*values: Value) -> bool:
    return all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values)


def _float(symbol: str, a: Value, b: Value, compute: Callable[[], Any]) -> float:
    """What `compute` gives for two numbers, as a finite float, or Failure."""
    if not _are_numbers(a, b):
        raise Failure(f"`{symbol}` does not take {describe(a)} and {describe(b)}")
    try:
        result = compute()
    except ZeroDivisionError:
        raise Failure(f"division by zero: {describe(a)} {symbol} {describe(b)}") from None
    except OverflowError:
        result = math.inf
    return finite(result, lambda: f"{describe(a)} {symbol} {describe(b)}")


def finite(number: float, what: Callable[[], str]) -> float:
    """`number`, or Failure where it is infinite or no number."""
    if math.isfinite(number):
        return number
    raise Failure(f"{what()} is too large for a float")


# ---- comparison ----


def compare(a: Value, b: Value) -> int:
    """Negative, zero or positive, as `a` is before, with or after `b`. Numbers, texts, bools, and lists of these in the order of their
    first difference; anything else, and a mixture, is a Failure."""
    while True:
        if isinstance(a, SEQUENCES) and isinstance(b, SEQUENCES):
            for x, y in zip(a, b, strict=False):
                if not same(x, y):
                    a, b = x, y
                    break
            else:
                return len(a) - len(b)
            continue
        if (isinstance(a, str) and isinstance(b, str)) or _are_numbers(a, b) or (isinstance(a, bool) and isinstance(b, bool)):
            return int(a > b) - int(a < b)
        raise Failure(f"{describe(a)} and {describe(b)} have no order")


def less(a: Value, b: Value) -> bool:
    """`a < b`"""
    return a < b if type(a) is type(b) and type(a) in _NATIVE else compare(a, b) < 0


def less_equal(a: Value, b: Value) -> bool:
    """`a <= b`"""
    return a <= b if type(a) is type(b) and type(a) in _NATIVE else compare(a, b) <= 0


def greater(a: Value, b: Value) -> bool:
    """`a > b`"""
    return a > b if type(a) is type(b) and type(a) in _NATIVE else compare(a, b) > 0


def greater_equal(a: Value, b: Value) -> bool:
    """`a >= b`"""
    return a >= b if type(a) is type(b) and type(a) in _NATIVE else compare(a, b) >= 0


def different(a: Value, b: Value) -> bool:
    """`a != b`"""
    return not same(a, b)


def contains(x: Value, xs: Value) -> bool:
    """`x in xs`: an item of a list, a part of a text, a field of a record."""
    if isinstance(xs, str):
        if isinstance(x, str):
            return x in xs
        raise Failure(f"only a text can be in a text, not {describe(x)}")
    if isinstance(xs, list):
        return x in xs if type(x) is str else any(same(x, item) for item in xs)
    if isinstance(xs, range):
        return _are_numbers(x) and x in xs
    if isinstance(xs, Streamed):
        return any(same(x, item) for item in xs)
    if isinstance(xs, dict):
        return isinstance(x, str) and x in xs
    raise Failure(f"nothing is `in` {describe(xs)}")


def lacks(x: Value, xs: Value) -> bool:
    """`x not in xs`"""
    return not contains(x, xs)


_NATIVE: Final = frozenset((int, str, float, bool))


def order_keys(values: Sequence[Value]) -> list[Any]:
    """For each value a key that Python's own sort and comparison take in the order of `compare`. Failure for a mixture."""
    kinds = set(map(type, values))
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= _NATIVE):
        return list(values)
    if len(values) > 1:
        for value in values:
            compare(values[0], value)
    return list(map(cmp_to_key(compare), values))


BINARY: Final[Mapping[str, Callable[[Value, Value], Value]]] = MappingProxyType(
    {"+": add, "-": subtract, "*": multiply, "/": divide, "//": floor_divide, "%": modulo, "**": power}
)
UNARY: Final[Mapping[str, Callable[[Value], Value]]] = MappingProxyType({"-": negate, "+": positive})
COMPARE: Final[Mapping[str, Callable[[Value, Value], bool]]] = MappingProxyType(
    {
        "==": same,
        "!=": different,
        "<": less,
        "<=": less_equal,
        ">": greater,
        ">=": greater_equal,
        "in": contains,
        "not in": lacks,
    }
)


def compare_sizes(op: str, a: Size, b: Size) -> bool | None:
    """What `a op b` gives for all values of these sizes; None where that depends on the values, or it fails."""
    if isinstance(a, Exact) and isinstance(b, Exact):
        try:
            return COMPARE[op](a.value, b.value)
        except Failure:
            return None
    return compared(op, a, b)


def need_int(value: Value, what: str) -> int:
    """`value` if it is an int; else a Failure that says what needs one."""
    if type(value) is int:
        return value
    raise Failure(f"{what} needs an int, not {describe(value)}")


def need_text(value: Value, what: str) -> str:
    """`value` if it is a text; else a Failure that says what needs one."""
    if isinstance(value, str):
        return value
    hint = "use its .text" if type_name(value) == "file" else None
    raise Failure(f"{what} needs a text, not {describe(value)}", hint=hint)


def keys_of(items: Sequence[Value], key: Value, what: str) -> Sequence[Value]:
    """What the function `key` gives for each item, in order; the items themselves where it is none."""
    if key is None:
        return items
    if not callable(key):
        raise Failure(f"{what} needs a function as its key, not {describe(key)}", hint="for example x => x.size")
    return list(map(key, items))


def need_list(value: Value, what: str) -> Sequence[Value]:
    """`value` if it is a list, the keys of a dict; else a Failure that says what needs one."""
    if isinstance(value, SEQUENCES):
        return value
    if isinstance(value, dict):
        return list(value)
    raise Failure(f"{what} needs a list, not {describe(value)}")
