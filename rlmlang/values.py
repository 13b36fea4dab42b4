"""The values of the language, and what every room needs to do with them.

text = str, int, float, bool, none = None, list = list, record = dict with str keys, dict = DictValue (or a record that the program
writes), file = FileValue, dir = DirValue (rlmlang.files). Lists and dicts are never changed once made. A lambda is only ever handed to a
built-in, as a Python callable.

A list may also be a Python `range`: that is what the built-in `range` gives, so that it is never built; or `Streamed`: a large input that
is read from its file again and again, and not held. Whoever takes a list apart takes it as a sequence (`isinstance(value, SEQUENCES)`;
`len`, indexing, slices and iteration work on all), and it compares, prints and hashes as the list of its items. No float is ever infinite
or NaN: what would make one fails.

Values may share parts (`x = [x, x]` forty times), so nothing here walks a value path by path: `levels` visits each part once a level.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Iterable, Sequence, Sized
from hashlib import blake2b
from typing import Any, Final

from rlmlang.errors import Failure, LimitError
from rlmlang.limits import INT_BITS, JSON_DEPTH, JSON_ITEMS, LIST_ITEMS, PRINT_CHARS, TEXT_CHARS, VALUE_DEPTH
from rlmlang.streamed import Streamed
from rlmlang.types import (
    BOOL,
    DIR,
    FILE,
    FLOAT,
    INT,
    JSON,
    NONE,
    TEXT,
    UNKNOWN,
    DictOf,
    Enum,
    ListOf,
    Optional,
    RecordOf,
    Tuple,
    Type,
)

Value = Any
SEQUENCES: Final = (list, range, Streamed)
CONTAINERS: Final = (list, dict, range, Streamed)
_SHOWN_CHARS: Final = 60  # of a value quoted in a message
_INT_DIGITS: Final = math.ceil(INT_BITS * math.log10(2)) + 1  # with a sign, any int of INT_BITS fits
_HASH_LIMIT: Final = 2**61 - 1  # Python hashes an int modulo this: from here on, equal hashes can be made at will


class DictValue(dict[str, Any]):
    """A value of a type `dict[text, T]`. It goes for a record everywhere, save that its size is not told name by name."""

    __slots__ = ()


class Mismatch(Exception):
    """A value is not of the type asked for, or a text is not JSON. `message` says where and why, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# ---- names and messages ----


def type_name(value: Value) -> str:
    """The name of a value's type as messages write it: `text`, `int`, `list`, `record`, …"""
    match value:
        case str():
            return "text"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case None:
            return "none"
        case list() | range() | tuple() | Streamed():
            return "list"
        case DictValue():
            return "dict"
        case dict():
            return "record"
    if callable(value):
        return "function"
    return {"FileValue": "file", "DirValue": "dir"}.get(type(value).__name__, type(value).__name__)


def quote(text: str) -> str:
    """A text as a message may quote it: in double quotes, short, with what does not print escaped."""
    shown = json.dumps(text[:_SHOWN_CHARS], ensure_ascii=False)
    shown = "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in shown)
    return shown if len(text) <= _SHOWN_CHARS else shown[:-1] + '…"'


def describe(value: Value) -> str:
    """A value as a message may mention it: `text "x"`, `int 3`, `list of 5`, `none`."""
    match value:
        case None:
            return "none"
        case str():
            return f"text {quote(value)}"
        case bool():
            return f"bool {to_text(value)}"
        case int() | float():
            digits = to_text(value) if isinstance(value, float) or value.bit_length() <= 200 else f"of {value.bit_length()} bits"
            return f"{type_name(value)} {digits}"
        case list() | range() | tuple() | Streamed():
            return f"list of {len(value)}"
        case DictValue():
            return f"dict of {len(value)}"
        case dict():
            names = ", ".join(quote(str(k))[1:-1] for k in list(value)[:5])
            return f"record {{{names}{', …' if len(value) > 5 else ''}}}"
    return type_name(value)


# ---- walking ----


def levels(value: Value) -> list[list[Value]]:
    """The containers within `value`, level by level: `[value]`, those in it, those in these, …

    A part occurs once in each level it is found at. Raises LimitError beyond VALUE_DEPTH levels.
    """
    found: list[list[Value]] = []
    level: list[Value] = [value] if isinstance(value, CONTAINERS) else []
    while level:
        if len(found) == VALUE_DEPTH:
            raise LimitError(f"a value may hold at most {VALUE_DEPTH} nested lists and records")
        found.append(level)
        below: dict[int, Value] = {}
        for part in level:
            if type(part) is range:
                continue
            for item in _items(part):
                if isinstance(item, CONTAINERS):
                    below[id(item)] = item
        level = list(below.values())
    return found


def _items(part: Any) -> Iterable[Value]:
    """What is directly in a container; the same objects each time."""
    found: Iterable[Value] = part.values() if isinstance(part, dict) else part.hold() if isinstance(part, Streamed) else part
    return found


def check_value(value: Value) -> Value:
    """`value` itself, if it keeps to the limits on depth and sizes; else LimitError. Takes time linear in its distinct parts."""
    if isinstance(value, str):
        if len(value) > TEXT_CHARS:
            raise LimitError(f"a text may have at most {TEXT_CHARS:,} characters, not {len(value):,}")
        return value
    for level in levels(value):
        for part in level:
            if len(part) > LIST_ITEMS:
                raise LimitError(f"a list may have at most {LIST_ITEMS:,} items, not {len(part):,}")
    return value


# ---- equality ----


def same(a: Value, b: Value) -> bool:
    """Typed deep equality: `1` equals `1.0`, but no number equals a bool; the order of fields does not matter. Any depth, linear time."""
    if a is b:
        return True
    if not isinstance(a, CONTAINERS) or not isinstance(b, CONTAINERS):
        return _same_scalar(a, b)
    todo = [(a, b)]
    seen: set[tuple[int, int]] = set()
    while todo:
        a, b = todo.pop()
        if len(a) != len(b) or isinstance(a, dict) is not isinstance(b, dict):
            return False
        if isinstance(a, dict):
            if a.keys() != b.keys():
                return False
            b = [b[k] for k in a]
            a = a.values()
        for x, y in zip(_items(a), _items(b), strict=True):
            if x is y:
                continue
            if isinstance(x, CONTAINERS) and isinstance(y, CONTAINERS):
                pair = (id(x), id(y))
                if pair not in seen:
                    seen.add(pair)
                    todo.append((x, y))
            elif not _same_scalar(x, y):
                return False
    return True


def _same_scalar(a: Value, b: Value) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return bool(a == b)


def hashable(value: Value) -> Hashable:
    """A key that is equal for values that are `same`, and only for those (lists and records by a 160-bit digest).

    Large ints are keyed by their digits, so that no data can make a dict slow. Raises LimitError beyond VALUE_DEPTH.
    """
    if type(value) is str or value is None:
        return value
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, (int, float)):
        return value if -_HASH_LIMIT < value < _HASH_LIMIT else ("number", hex(int(value)))
    if not isinstance(value, CONTAINERS):
        key: Hashable = value
        return key
    digests: dict[int, bytes] = {}
    for level in reversed(levels(value)):
        for part in level:
            if id(part) not in digests:
                digests[id(part)] = _digest(part, digests)
    return digests[id(value)]


def _digest(part: Value, digests: dict[int, bytes]) -> bytes:
    """The digest of a container whose containers have theirs. Every item is tagged, its length before it, so none runs into the next."""
    whole = blake2b(b"record" if isinstance(part, dict) else b"list", digest_size=20)
    items = part
    if isinstance(part, dict):
        items = [x for name in sorted(part) for x in (name, part[name])]
    for item in items:
        if isinstance(item, CONTAINERS):
            data = b"c" + digests[id(item)]
        elif isinstance(item, str):
            data = b"t" + item.encode("utf-8", "surrogatepass")
        elif isinstance(item, bool) or item is None:
            data = b"b" + repr(item).encode()
        elif isinstance(item, (int, float)):
            data = b"n" + (hex(int(item)) if item == int(item) else repr(item)).encode()
        else:
            data = b"f" + repr((type(item).__name__, hash(item), to_text(item))).encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()


# ---- as text ----


def to_text(value: Value) -> str:
    """What `str()` and f-strings write: text raw, `true false none`, lists and records as JSON, a file as its path.

    Raises as to_json_text does.
    """
    if type(value) is str:
        return value
    if value is None:
        return "none"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, CONTAINERS):
        return to_json_text(value)
    return str(value) if isinstance(value, (int, float)) else _path(value)


def to_json_text(value: Value, indent: int | None = None) -> str:
    """A value as JSON, in one line or indented, with a file as its path.

    Raises LimitError beyond PRINT_CHARS characters (shared parts print each time they occur) or VALUE_DEPTH, before much is built, and
    Failure for a directory or a function.
    """
    if isinstance(value, CONTAINERS) and _least_chars(value, indent or 0) > PRINT_CHARS:
        raise LimitError(f"a value is written as at most {PRINT_CHARS:,} characters of JSON")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, check_circular=False, indent=indent, default=_plain)
    if len(text) > PRINT_CHARS and isinstance(value, CONTAINERS):
        raise LimitError(f"a value is written as at most {PRINT_CHARS:,} characters of JSON, not {len(text):,}")
    return text


def _least_chars(value: Value, indent: int) -> int:
    """At least so many characters are needed to print `value`: counts no escapes, and stops once past PRINT_CHARS."""
    total = 0
    times = {id(value): 1}
    for depth, level in enumerate(levels(value), 1):
        below: dict[int, int] = {}
        for part in level:
            often = times[id(part)]
            chars = 2 + len(part) * (1 + indent * depth)
            if isinstance(part, dict):
                chars += 4 * len(part) + sum(map(len, part))
            for item in () if type(part) is range else _items(part):
                if type(item) is str:
                    chars += len(item)
                elif isinstance(item, CONTAINERS):
                    below[id(item)] = below.get(id(item), 0) + often
            total += often * chars
            if total > PRINT_CHARS:
                return total
        times = below
    return total


def _plain(value: Value) -> Value:
    return list(value) if isinstance(value, (range, Streamed)) else _path(value)


def _path(value: Value) -> str:
    if type_name(value) == "file":
        return str(value.path)
    raise Failure(f"a {type_name(value)} cannot be written as text")


# ---- from JSON ----

_NOT_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^\[\]{}"]++', re.DOTALL)  # an open string runs to the end: linear on any text
_SURROGATES = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)


def parse_json_text(text: str) -> Value:
    """The value of a strict JSON text.

    Raises Mismatch on anything else: NaN, duplicate names, numbers beyond the limits, half surrogate pairs, more than JSON_DEPTH
    levels or JSON_ITEMS lists and records (both counted before anything is built).
    """
    brackets = text.count("[") + text.count("{")
    if brackets > JSON_DEPTH:
        _check_brackets(text)
    if not _encodable(text) or ("\\u" in text and any(m[1] for m in _SURROGATES.finditer(text))):
        raise Mismatch("not valid JSON: half of a surrogate pair is no character")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Mismatch(f"not valid JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Mismatch(f"not valid JSON for us: nested deeper than {JSON_DEPTH}") from None


def parse_short_json(text: str) -> tuple[bool, Value]:
    """What `parse_json_text` gives, in half the time, and True; False where the text, which must be UTF-8, is long, uncommon or wrong."""
    if len(text) > _SHORT_CHARS or "\\u" in text:
        return False, None
    braces = text.count("{")
    flat = braces == 1 and "[" not in text and " :" not in text and "\t:" not in text
    if not flat and braces + text.count("[") > JSON_DEPTH:
        return False, None
    try:
        value, end = (_scan_flat if flat else _scan_short)(text, 0)
    except (StopIteration, json.JSONDecodeError, Mismatch):
        return False, None
    # no name occurs twice if there are no more than the names that are left; what ends a name is `":`, perhaps in a text, too
    if flat and (type(value) is not dict or text.count('":') != len(value)):
        return False, None
    return end == len(text) or not text[end:].strip(" \t\r\n"), value


def _check_brackets(text: str) -> None:
    depth = count = 0
    for bracket in _NOT_BRACKETS.sub("", text):
        if bracket in "[{":
            depth += 1
            count += 1
            if depth > JSON_DEPTH:
                raise Mismatch(f"JSON may nest lists and records at most {JSON_DEPTH} deep")
            if count > JSON_ITEMS:
                raise Mismatch(f"a JSON document may have at most {JSON_ITEMS:,} lists and records")
        elif bracket in "]}":
            depth -= 1


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Mismatch(f"not valid JSON for us: the name {quote(name)} occurs twice in one object")
            seen.add(name)
    return record


def _json_int(digits: str) -> int:
    if len(digits) > _INT_DIGITS or (number := int(digits)).bit_length() > INT_BITS:
        raise Mismatch(f"an integer may have at most {INT_BITS:,} bits, not {len(digits):,} digits")
    return number


def _json_float(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise Mismatch(f"the number {digits[:_SHOWN_CHARS]} is too large for a float")
    return number


def _json_constant(name: str) -> Value:
    raise Mismatch(f"not valid JSON: {name} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_json_object, parse_int=_json_int, parse_float=_json_float, parse_constant=_json_constant, strict=True
)
# hooks take most of the time: no int in a short text is too large, and a record without lists and records in it is checked afterwards
_SHORT_CHARS: Final = _INT_DIGITS - 2
_Scan = Callable[[str, int], tuple[Value, int]]
_scan_short: _Scan = json.JSONDecoder(
    object_pairs_hook=_json_object, parse_float=_json_float, parse_constant=_json_constant, strict=True
).scan_once  # type: ignore[attr-defined]
_scan_flat: _Scan = json.JSONDecoder(parse_float=_json_float, parse_constant=_json_constant, strict=True).scan_once  # type: ignore[attr-defined]


# ---- against a type ----


def conform(value: Value, type: Type, name: str = "value") -> Value:
    """`value` in the canonical form of `type`: ints widened to float where float is asked, missing optional fields present as none, fields
    that are not asked for dropped, fields in the type's order. Raises Mismatch with the place: `value.items[3].name: expected int, got …`.
    """
    try:
        return _conform(value, type)
    except _Misfit as misfit:
        place = name + "".join(reversed(misfit.steps))
        raise Mismatch(f"{place}: {misfit.reason}") from None


class _Misfit(Exception):
    """A mismatch on its way up; each level adds its step, innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []


def _conform(value: Value, type: Type) -> Value:
    if type is TEXT or type == TEXT:
        if isinstance(value, str):
            return _text(value)
    elif isinstance(type, Optional):
        return None if value is None else _conform(value, type.item)
    elif isinstance(type, Enum):
        if isinstance(value, str):
            if value in type.words:
                return str(value)
            raise _Misfit(f"expected one of {_few(type.words)}, got {quote(value)}")
    elif isinstance(type, RecordOf):
        if isinstance(value, dict):
            return _record(value, type)
    elif isinstance(type, DictOf):
        if isinstance(value, dict):
            return _dict(value, type)
    elif isinstance(type, ListOf):
        if isinstance(value, (list, tuple, range, Streamed)):
            return _list(value, type)
    elif isinstance(type, Tuple):
        if isinstance(value, (list, tuple, range, Streamed)):
            if len(value) != len(type.items):
                raise _Misfit(f"expected a list of exactly {len(type.items)}, got {len(value)}")
            return [_at(i, item, t) for i, (item, t) in enumerate(zip(value, type.items, strict=True))]
    elif type == INT:
        if isinstance(value, int) and not isinstance(value, bool):
            return _int(value)
    elif type == FLOAT:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _float(value)
    elif type == BOOL:
        if isinstance(value, bool):
            return value
    elif type == NONE:
        if value is None:
            return None
    elif type in (FILE, DIR):
        if type_name(value) == type.name:
            return value
    elif type in (JSON, UNKNOWN):
        return _json(value, 0, {})
    raise _Misfit(f"expected {_shortly(type)}, got {describe(value)}")


def _at(position: int, value: Value, type: Type) -> Value:
    try:
        return _conform(value, type)
    except _Misfit as misfit:
        misfit.steps.append(f"[{position}]")
        raise


def _list(value: Sequence[Value], type: ListOf) -> list[Value]:
    if type.most is not None and len(value) > type.most:
        raise _Misfit(f"expected at most {type.most} items ({_shortly(type)}), got {len(value)}")
    _check_items(value)
    item_type = type.item
    if item_type == TEXT and not any(not isinstance(x, str) or not x.isascii() for x in value):
        return list(value)
    done: list[Value] = []
    try:
        for item in value:
            done.append(_conform(item, item_type))  # noqa: PERF401 (its length says which item failed)
    except _Misfit as misfit:
        misfit.steps.append(f"[{len(done)}]")
        raise
    return done


def _record(value: dict[Any, Value], type: RecordOf) -> dict[str, Value]:
    record: dict[str, Value] = {}
    for name, field_type in type.fields:
        try:
            if name in value:
                record[name] = _conform(value[name], field_type)
            elif isinstance(field_type, Optional) or field_type in (NONE, JSON):
                record[name] = None
            else:
                raise _Misfit(f"is missing, expected {_shortly(field_type)}")
        except _Misfit as misfit:
            misfit.steps.append(_step(name))
            raise
    return record


def _dict(value: dict[Any, Value], type: DictOf) -> DictValue:
    _check_items(value)
    made = DictValue()
    for key, item in value.items():
        if not isinstance(key, str):
            raise _Misfit(f"the keys of a dict are texts, not {describe(key)}")
        try:
            made[_text(key)] = _conform(item, type.value)
        except _Misfit as misfit:
            misfit.steps.append(f"[{quote(key)}]")
            raise
    return made


def _json(value: Value, depth: int, done: dict[int, Value]) -> Value:
    """A copy of any JSON value, with tuples and ranges as lists; parts that are shared stay shared."""
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool) or type_name(value) in ("file", "dir"):
        return value
    if isinstance(value, int):
        return _int(value)
    if isinstance(value, float):
        return _float(value)
    if depth == VALUE_DEPTH:
        raise _Misfit(f"nested deeper than {VALUE_DEPTH}")
    if id(value) in done:
        return done[id(value)]
    copy: Value
    step = ""
    try:
        if isinstance(value, (list, tuple, range, Streamed)):
            _check_items(value)
            copy = []
            for i, item in enumerate(value):
                step = f"[{i}]"
                copy.append(_json(item, depth + 1, done))
        elif isinstance(value, dict):
            copy = {}
            for name, item in value.items():
                if not isinstance(name, str):
                    raise _Misfit(f"the name of a field must be text, not {describe(name)}")
                step = _step(name)
                copy[_text(name)] = _json(item, depth + 1, done)
        else:
            raise _Misfit(f"expected JSON data, got {describe(value)}")
    except _Misfit as misfit:
        if step and len(misfit.steps) < 20:
            misfit.steps.append(step)
        raise
    done[id(value)] = copy
    return copy


def _step(name: str) -> str:
    return f".{name}" if name.isidentifier() and len(name) <= _SHOWN_CHARS else f"[{quote(name)}]"


def _text(value: str) -> str:
    if len(value) > TEXT_CHARS:
        raise _Misfit(f"a text may have at most {TEXT_CHARS:,} characters, not {len(value):,}")
    if not _encodable(value):
        raise _Misfit("half of a surrogate pair is no character")
    return value


def _int(value: int) -> int:
    if value.bit_length() > INT_BITS:
        raise _Misfit(f"an integer may have at most {INT_BITS:,} bits, not {value.bit_length():,}")
    return value


def _float(value: int | float) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise _Misfit(f"{describe(value)} is too large for a float") from None
    if not math.isfinite(number):
        raise _Misfit(f"expected a finite number, got {number}")
    return number


def _check_items(value: Sized) -> None:
    if len(value) > LIST_ITEMS:
        raise _Misfit(f"a list may have at most {LIST_ITEMS:,} items, not {len(value):,}")


def _few(words: tuple[str, ...]) -> str:
    return ", ".join(quote(w) for w in words[:10]) + (", …" if len(words) > 10 else "")


def _shortly(type: Type) -> str:
    text = str(type)
    return text if len(text) <= 200 else text[:200] + "…"
