"""The size of what a built-in or an operator gives holds what it gives, for any arguments within the sizes it was told; also as formulas.

Each case draws arguments and others like them, and takes each argument as known, measured, measured together with the other, or of any
size; then numbers are replaced by symbols. That these tests can fail is tested: a size that is one less at the top, or one more at the
bottom, is noticed for every built-in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from rlmlang.builtins import REGISTRY
from rlmlang.builtins.declare import builtin
from rlmlang.builtins.formats import format_value, formatted_size
from rlmlang.builtins.operators import BINARY, BINARY_SIZES, COMPARE, UNARY, UNARY_SIZES, compare_sizes
from rlmlang.errors import Failure, LimitError
from rlmlang.files import DirValue
from rlmlang.quantity import (
    INFINITE,
    Formula,
    Number,
    Quantity,
    at_most,
    ceil_div,
    difference,
    floor_div,
    greatest,
    least,
    less,
    log2_ceil,
    maximum,
    minimum,
    pairs_of,
    plus,
    symbol,
    times,
    value_at,
)
from rlmlang.sizes import (
    ANY,
    AnySize,
    BoolSize,
    DictSize,
    DirSize,
    Exact,
    FileSize,
    FunctionSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
    as_list,
    content_bytes,
    holds,
    hull,
    hull_all,
    json_bytes,
    length,
    list_of,
    list_total,
    measure,
    of_type,
    str_bytes,
    text_bytes,
    truth,
)
from rlmlang.types import BOOL, FLOAT, INT, JSON, NONE, TEXT, DictOf, Enum, ListOf, Optional, RecordOf, Tuple
from rlmlang.values import DictValue, Mismatch, conform, parse_json_text, to_json_text, to_text

DEFAULT = object()  # an argument that is left out
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SEARCH = settings(QUICK, max_examples=3000, phases=[Phase.generate])
Mutation = Callable[[Size], Size]


# ---- values ----

LETTERS = "aabbA1 .\n,;'\"\\\x01\réΐİıK。…😀"
texts = st.text(LETTERS, max_size=9)
words = st.text("ab", max_size=3)
some_text = st.text(LETTERS, min_size=1, max_size=3)
ints = st.integers(-4, 12)
amounts = st.integers(0, 7)
floats = st.floats(-100, 100).map(lambda x: round(x, 3)) | st.sampled_from([1e300, -5e-324, 2.0**53, 0.1, 1e16, -1e-5])
numbers = ints | floats | st.sampled_from([10**20, -(2**60)])
scalars = texts | numbers | st.booleans() | st.none()
names = st.sampled_from(["a", "b", "é\n"])
data: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3) | st.dictionaries(names, inner, max_size=3).map(DictValue)
    ),
    max_leaves=6,
)
lists = st.lists(texts, max_size=5) | st.lists(ints, max_size=6) | st.lists(data, max_size=4)
records = st.dictionaries(st.sampled_from(["a", "b", "key", "é"]), data, max_size=4)
dicts = st.dictionaries(words | texts, data, max_size=4).map(DictValue) | st.dictionaries(words, ints, max_size=5).map(DictValue)
number_lists = st.lists(ints, max_size=5) | st.lists(floats, max_size=5) | st.lists(numbers, max_size=5)
orderable = number_lists | st.lists(texts, max_size=4)
functions: st.SearchStrategy[Any] = st.sampled_from([lambda x: to_text(x), lambda x: len(to_text(x)), lambda x: bool(x)])
default = st.just(DEFAULT)


def args(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(*parts)


long_texts = st.text("ab. \né😀", max_size=60)
patterns = st.sampled_from(["a", "[ab]+", "a*", "", "(a)|b", r"\w+", "(é)?."])
specs = st.sampled_from(["", "d", ".2f", ",", "5", "é>9", "08,.1f", "b", "%", "e", "g", "_x", "+", "^3", ".2"])
templates = st.sampled_from(["{}", "é{}{{x}} {}", "{1}{0}", "{a}-{b:>4}", "{:.2f}", "", "{0:,}"])

ARGUMENTS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "len": args(texts | lists | records | dicts),
    "str": args(data),
    "json": args(data) | args(data, default) | args(data, st.integers(0, 8)),
    "same": args(data, data),
    "lower": args(texts),
    "upper": args(texts),
    "title": args(texts),
    "strip": args(texts) | args(texts, words),
    "dedent": args(texts),
    "split": args(texts) | args(texts, some_text) | args(texts, default, ints) | args(texts, some_text, ints),
    "join": args(lists | dicts) | args(lists, texts) | args(texts, lists),
    "replace": args(texts, words, texts) | args(texts, some_text, words, ints),
    "startswith": args(texts, words) | args(texts, st.lists(words, max_size=2)),
    "endswith": args(texts, words) | args(texts, st.lists(words, max_size=2)),
    "contains": args(texts, words) | args(lists, data) | args(records | dicts, words),
    "find": args(texts, words) | args(texts, words, ints),
    "index": args(texts, words) | args(st.lists(ints, max_size=4), ints),
    "count": args(lists) | args(texts, words) | args(st.lists(ints, max_size=4), ints),
    "format": args(numbers, specs) | args(templates, data) | args(templates, data, data) | args(texts, data) | args(templates, records),
    "matches": args(texts, patterns),
    "findall": args(texts, patterns),
    "extract": args(texts, patterns),
    "lines": args(texts),
    "words": args(texts),
    "head": args(texts) | args(texts, amounts),
    "tail": args(texts) | args(texts, amounts),
    "paragraphs": args(st.text("a\n \r", max_size=9)),
    "sentences": args(st.text("a. !。\n", max_size=9)),
    "chunks": args(long_texts, st.integers(1, 12)) | args(long_texts, st.integers(1, 12), st.integers(0, 6)),
    "int": args(numbers | st.booleans() | st.sampled_from(["3", " -7", "x"])),
    "float": args(numbers | st.booleans() | st.sampled_from(["3", " -7.5e2", "x"])),
    "abs": args(numbers),
    "round": args(numbers) | args(numbers, ints),
    "floor": args(numbers),
    "ceil": args(numbers),
    "clamp": args(numbers, numbers, numbers),
    "sum": args(number_lists | st.lists(st.booleans(), max_size=4)),
    "mean": args(number_lists),
    "max": args(orderable) | args(orderable, functions) | args(ints, ints) | args(numbers, numbers, numbers) | args(texts, texts),
    "min": args(orderable) | args(orderable, functions) | args(ints, ints) | args(numbers, numbers, numbers) | args(texts, texts),
    "first": args(lists | dicts) | args(lists, amounts),
    "last": args(lists) | args(lists, amounts),
    "take": args(lists | dicts, amounts),
    "drop": args(lists, amounts),
    "sample": args(lists, amounts) | args(lists, amounts, ints),
    "reversed": args(lists) | args(texts),
    "sorted": args(orderable | dicts) | args(lists, functions, st.booleans()),
    "unique": args(lists) | args(lists, functions),
    "set": args(lists),
    "argmax": args(orderable) | args(lists, functions),
    "argmin": args(orderable) | args(lists, functions),
    "any": args(lists),
    "all": args(lists),
    "range": args(ints) | args(ints, ints) | args(ints, ints, ints),
    "enumerate": args(lists) | args(lists, ints),
    "zip": args(lists, lists) | args(lists, lists, lists),
    "flatten": args(st.lists(lists, max_size=4)),
    "group_by": args(lists, functions),
    "batch": args(lists, amounts),
    "windows": args(lists, amounts),
    "pairs": args(lists),
    "dict": args(st.lists(st.tuples(words, data).map(list), max_size=5)) | args(dicts | records) | args(),
    "keys": args(records | dicts),
    "values": args(records | dicts) | args(lists),
    "items": args(records | dicts),
    "get": args(lists, ints) | args(lists, ints, data) | args(records | dicts, words) | args(records | dicts, words, data),
    "parse_json": args(
        data.map(lambda v: to_json_text(v).replace(", ", ",")) | st.sampled_from(["[1e15,9e15]", "9E15", '{"":1E2}', "[]", "0"])
    ),
}
TAKES_JSON = {"len", "str", "json", "same", "int", "float", "contains", "keys", "values", "items", "get", "parse_json", "format"}

# ---- how an argument may be known ----


def loosened(value: Any) -> Size:
    """Any value of its kind."""
    match value:
        case str():
            return TextSize()
        case bool():
            return BoolSize()
        case int():
            return NumberSize(whole=True)
        case float():
            return NumberSize()
        case None:
            return NoneSize()
        case DictValue():
            return DictSize(ListSize(ANY, TextSize()), ListSize(ANY, hull_all(map(loosened, value.values())) if value else AnySize()))
        case dict():
            return RecordSize(tuple((name, loosened(item)) for name, item in value.items()))
    return ListSize(ANY, hull_all(map(loosened, value)) if value else AnySize())


def known_as(value: Any, other: Any, chance: random.Random, name: str) -> Size | None:
    """A size that holds `value`, by one of the ways there are to know it."""
    if value is DEFAULT:
        return None
    way = chance.randrange(6)
    if way == 0:
        return Exact(value)
    if way == 1 and other is not DEFAULT and type(other) is type(value):
        return hull(measure(value), measure(other))
    if way == 2:
        return loosened(value)
    if way == 3 and isinstance(value, list) and value:
        return TupleSize(tuple(known_as(item, item, chance, name) or NoneSize() for item in value))
    if way == 4 and name in TAKES_JSON:
        return AnySize(Interval.exactly(text_bytes(to_json_text(value))))
    if way == 5 and isinstance(value, list) and value:
        return hull(measure(value), ListSize(Interval(0, 2), hull_all(measure(x) for x in value), Interval(0, 0)))
    return measure(value)


def abstracted(name: str, given_args: tuple[Any, ...], others: tuple[Any, ...], chance: random.Random) -> list[Size | None]:
    sizes: list[Size | None] = []
    for at, value in enumerate(given_args):
        if callable(value) and value is not DEFAULT:
            items = given_args[0]
            results = [measure(value(item)) for item in items] or [AnySize()]
            sizes.append(FunctionSize(hull_all(results)))
        else:
            sizes.append(known_as(value, others[at] if at < len(others) else DEFAULT, chance, name))
    return sizes


def unchanged(size: Size) -> Size:
    return size


def outcome(code: Callable[..., Any], given_args: tuple[Any, ...]) -> Any:
    """What the function gives, DEFAULT where it fails."""
    try:
        return code(*(None if a is DEFAULT else a for a in given_args))
    except (Failure, LimitError):
        return DEFAULT


def check_holds(name: str, given_args: tuple[Any, ...], others: tuple[Any, ...], seed: int, mutate: Mutation = unchanged) -> None:
    """The property: whatever way the arguments are known, the size of the result holds the result."""
    function = REGISTRY[name]
    value = outcome(function.code, given_args)
    if value is DEFAULT:
        return
    chance = random.Random(seed)
    for _ in range(6):
        sizes = abstracted(name, given_args, others, chance)
        size = mutate(function.size(sizes))
        assert holds(size, value), f"{name}{given_args} = {value!r} is not in {size} by {sizes}"
        names: dict[str, Number] = {}
        symbolic = [None if s is None else with_symbols(s, names, chance) for s in sizes]
        formula = mutate(function.size(symbolic))
        assert holds(at_sizes(formula, names), value), f"{name}{given_args} = {value!r} is not in {formula} at {names} by {symbolic}"


# ---- symbols ----


def changed(size: Size, end: Callable[[Quantity], Quantity], number: Callable[[Quantity], Quantity]) -> Size:
    """The size with its ends changed."""

    def interval(i: Interval) -> Interval:
        return Interval(end(i.low), end(i.high))

    def changed_list(xs: ListSize) -> ListSize:
        return ListSize(interval(xs.count), changed(xs.item, end, number), None if xs.total is None else interval(xs.total))

    match size:
        case TextSize(bytes_):
            return TextSize(interval(bytes_))
        case AnySize(bytes_):
            return AnySize(interval(bytes_))
        case NumberSize(low, high, whole):
            return NumberSize(number(low), number(high), whole)
        case ListSize():
            return changed_list(size)
        case DictSize(keys, values):
            return DictSize(changed_list(keys), changed_list(values))
        case TupleSize(items):
            return TupleSize(tuple(changed(item, end, number) for item in items))
        case RecordSize(fields):
            return RecordSize(tuple((name, changed(field, end, number)) for name, field in fields))
        case MaybeSize(item):
            return MaybeSize(changed(item, end, number))
        case FunctionSize(result):
            return FunctionSize(changed(result, end, number))
        case FileSize(text, path):
            return FileSize(interval(text), interval(path))
        case DirSize(count, largest, total):
            return DirSize(interval(count), end(largest), interval(total))
    return size


def with_symbols(size: Size, names: dict[str, Number], chance: random.Random) -> Size:
    """The size with some of its numbers replaced by symbols, whose values go to `names`. Equal numbers may get the same symbol."""

    def replaced(q: Quantity) -> Quantity:
        if not isinstance(q, int) or not 0 <= q < 1 << 50 or chance.random() < 0.4:
            return q
        less_by = chance.choice([0, 0, 0, 1])
        if q < less_by:
            return q
        same_value = [n for n, v in names.items() if v == q - less_by]
        name = chance.choice([*same_value, f"s{len(names)}"])
        names[name] = q - less_by
        return plus(symbol(name, name), less_by)

    return changed(size, replaced, replaced)


def at_sizes(size: Size, names: Mapping[str, Number]) -> Size:
    """The size with numbers for its symbols."""
    return changed(size, lambda q: value_at(q, names), lambda q: value_at(q, names) if isinstance(q, Formula) else q)


# ---- every built-in ----


def test_every_builtin_has_arguments() -> None:
    assert set(ARGUMENTS) | {"files"} == set(REGISTRY)


def test_a_builtin_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError):
        builtin("nothing() -> none", help="Nothing.")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        builtin("nothing() -> none", help="Nothing.", size=None)(lambda: None)  # type: ignore[arg-type]
    assert "nothing" not in REGISTRY


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_size_holds_the_result(name: str) -> None:
    @QUICK
    @given(ARGUMENTS[name], ARGUMENTS[name], st.integers(0, 1 << 30))
    def check(given_args: tuple[Any, ...], others: tuple[Any, ...], seed: int) -> None:
        check_holds(name, given_args, others, seed)

    check()


def lowered(q: Quantity) -> Quantity:
    return less(q, 1) if q != INFINITE else 3


def mutated(size: Size, top: bool) -> Size:
    """A size whose upper end is one less, or whose lower end is one more."""
    end: Callable[[Quantity], Quantity] = lowered if top else lambda q: plus(q, 1)

    def interval(i: Interval) -> Interval:
        return Interval(i.low, end(i.high)) if top else Interval(end(i.low), i.high)

    match size:
        case TextSize(bytes_):
            return TextSize(interval(bytes_))
        case AnySize(bytes_):
            return AnySize(interval(bytes_))
        case NumberSize(low, high, whole):
            above = math.nextafter(-1000 if low == -INFINITE else least(low), INFINITE)
            return NumberSize(low, math.nextafter(min(1000, greatest(high)), -INFINITE), whole) if top else NumberSize(above, high, whole)
        case ListSize(count, item, total):
            return ListSize(interval(count), item, total)
        case DictSize(keys, values):
            return DictSize(ListSize(interval(keys.count), keys.item, keys.total), values)
        case TupleSize(items):
            return TupleSize(items[1:] if top else (*items, BoolSize()))
        case MaybeSize(item):
            return MaybeSize(mutated(item, top))
        case RecordSize(fields):
            return RecordSize(tuple((name, mutated(field, top)) for name, field in fields))
        case BoolSize():
            return Exact(top)
        case NoneSize():
            return BoolSize()
    return size


@pytest.mark.parametrize("top", [True, False], ids=["top", "bottom"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_size_that_is_too_narrow_is_noticed(name: str, top: bool) -> None:
    def noticed(case: tuple[tuple[Any, ...], tuple[Any, ...], int]) -> bool:
        try:
            check_holds(name, *case, mutate=lambda size: mutated(size, top))
        except AssertionError:
            return True
        return False

    find(st.tuples(ARGUMENTS[name], ARGUMENTS[name], st.integers(0, 1 << 30)), noticed, settings=SEARCH)


def test_files_have_the_sizes_of_their_directory(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "é.md").write_text("é" * 10)
    root = DirValue(str(tmp_path))
    size = DirSize(Interval(2, 2), 20, Interval(23, 23))
    assert holds(size, root)
    rule, code = REGISTRY["files"].size, REGISTRY["files"].code
    assert holds(rule([size, None]), code(root))
    assert holds(rule([size, Exact("*.txt")]), code(root, "*.txt"))
    assert holds(rule([size, TextSize()]), code(root, "x"))
    assert holds(rule([measure(root), Exact("**/*")]), code(root))
    assert not holds(rule([size, None]), code(root, "*.txt"))
    assert not holds(rule([DirSize(Interval(2, 2), 20, Interval(22, 22)), None]), code(root))
    assert not holds(rule([DirSize(Interval(2, 2), 19, Interval(23, 23)), None]), code(root))


def test_growth_by_case_over_all_code_points() -> None:
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for change, most, low in ((str.lower, 3 / 2, 1 / 3), (str.upper, 3, 1 / 2), (str.title, 3, 1 / 2)):
        grown = [text_bytes(new) / text_bytes(c) for c in every if (new := change(c)) != c]
        assert (max(grown), min(grown)) == (most, low)
    # within a word, what is not the first letter gets lower by `title`
    assert [str(REGISTRY[name].size([TextSize(Interval(6, 6))])) for name in ("lower", "upper", "title")] == [
        str(TextSize(Interval(low, high))) for low, high in ((2, 9), (3, 18), (2, 18))
    ]


@settings(max_examples=300)
@given(
    st.lists(st.text("ab .!é\r\n", max_size=9), max_size=12),
    st.sampled_from(["\n", "\n\n", "\r\n", ".\n"]),
    st.integers(1, 40),
    st.booleans(),
)
def test_chunks_of_joined_lines(items: list[str], sep: str, size: int, measured: bool) -> None:
    """However unlucky the cuts: pieces of a text whose lines are known are counted by its lines."""
    join, chunks = REGISTRY["join"], REGISTRY["chunks"]
    longest = max(map(text_bytes, items), default=0)
    whole = list_of(list(map(measure, items))) if measured else ListSize(Interval(0, len(items)), TextSize(Interval(0, longest)))
    joined = join.size([whole, Exact(sep)])
    assert isinstance(joined, TextSize) and joined.lines is not None
    text = sep.join(items)
    assert holds(joined, text)
    assert holds(chunks.size([joined, Exact(size), None]), chunks.code(text, size))


def test_sizes_that_programs_rely_on() -> None:
    """Exact where they can be: tightness is what these are for."""
    rules = {name: function.size for name, function in REGISTRY.items()}
    n, b = symbol("n", "len(docs)"), symbol("b", "bytes(docs)")
    docs = ListSize(Interval.exactly(n), TextSize(Interval(0, 100)), Interval.exactly(b))
    text = TextSize(Interval.exactly(b))

    def count(size: Size) -> tuple[str, str]:
        whole = as_list(size)
        return str(whole.count.low), str(whole.count.high)

    assert count(rules["chunks"]([text, Exact(4000), None])) == ("⌈b/16000⌉", "2·⌈b/4000⌉")
    assert count(rules["chunks"]([TextSize(Interval(4000, 4000)), Exact(4000), None])) == ("1", "1")
    assert count(rules["chunks"]([TextSize(Interval(10_000, 10_000)), Exact(4000), None])) == ("1", "5")
    lines = rules["join"]([docs, Exact("\n\n")])
    assert count(rules["chunks"]([lines, Exact(400), None]))[1] == "⌈n/3⌉"
    assert count(rules["chunks"]([lines, Exact(100), None]))[1] != "n"
    assert count(rules["take"]([docs, Exact(20)])) == ("min(20, n)", "min(20, n)")
    assert count(rules["pairs"]([docs])) == ("(n^2 - n)/2",) * 2
    assert count(rules["batch"]([docs, Exact(10)])) == ("⌈n/10⌉", "⌈n/10⌉")
    assert count(rules["windows"]([docs, Exact(3)])) == ("max(0, n - 2)",) * 2
    assert count(rules["range"]([NumberSize(n, n, True)])) == ("n", "n")
    assert count(rules["range"]([NumberSize(whole=True)])) == ("0", "inf")
    assert count(rules["enumerate"]([docs, None])) == ("n", "n")
    bounded = rules["clamp"]([NumberSize(whole=True), Exact(0), Exact(10)])
    assert bounded == NumberSize(0, 10, True)
    assert count(rules["range"]([bounded])) == ("0", "10")
    joined = rules["join"]([docs, Exact("\n")])
    assert isinstance(joined, TextSize) and str(joined.bytes.low) == "max(0, n - 1) + b"
    pieces = ListSize(Interval.exactly(n), ListSize(Interval(0, 5), TextSize(Interval(0, 9))), Interval(0, b))
    assert rules["flatten"]([pieces]) == ListSize(Interval(0, times(5, n)), TextSize(Interval(0, 9)), Interval(0, b))
    assert rules["parse_json"]([TextSize(Interval(0, 100))]) == AnySize(Interval(1, 450))


# ---- operators ----

OPERANDS = {
    "+": args(numbers, numbers) | args(texts, texts) | args(lists, lists),
    "-": args(numbers, numbers),
    "*": args(numbers, numbers) | args(texts, ints) | args(ints, lists),
    "/": args(numbers, numbers),
    "//": args(numbers, numbers),
    "%": args(numbers, numbers),
    "**": args(numbers, ints) | args(amounts, amounts) | args(floats, floats),
}


def test_every_operator_has_a_size() -> None:
    assert set(BINARY) == set(BINARY_SIZES) == set(OPERANDS) and set(UNARY) == set(UNARY_SIZES)


@pytest.mark.parametrize("op", BINARY)
def test_operators(op: str) -> None:
    @QUICK
    @given(OPERANDS[op], OPERANDS[op], st.integers(0, 1 << 30))
    def check(given_args: tuple[Any, ...], others: tuple[Any, ...], seed: int) -> None:
        check_operator(op, given_args, others, seed)

    check()


def check_operator(op: str, given_args: tuple[Any, ...], others: tuple[Any, ...], seed: int, mutate: Mutation = unchanged) -> None:
    value = outcome(BINARY[op], given_args)
    chance = random.Random(seed)
    for _ in range(6 if value is not DEFAULT else 0):
        a, b = (s or NoneSize() for s in abstracted(op, given_args, others, chance))
        size = mutate(BINARY_SIZES[op](a, b))
        assert holds(size, value), f"{given_args[0]!r} {op} {given_args[1]!r} = {value!r} is not in {size} by {a} and {b}"
        names: dict[str, Number] = {}
        a, b = (with_symbols(s, names, chance) for s in (a, b))
        formula = mutate(BINARY_SIZES[op](a, b))
        assert holds(at_sizes(formula, names), value), (
            f"{given_args[0]!r} {op} {given_args[1]!r} = {value!r}: {formula} at {names} by {a} and {b}"
        )


@pytest.mark.parametrize("top", [True, False], ids=["top", "bottom"])
@pytest.mark.parametrize("op", BINARY)
def test_an_operators_size_that_is_too_narrow_is_noticed(op: str, top: bool) -> None:
    def noticed(case: tuple[tuple[Any, ...], tuple[Any, ...], int]) -> bool:
        try:
            check_operator(op, *case, mutate=lambda size: mutated(size, top))
        except AssertionError:
            return True
        return False

    find(st.tuples(OPERANDS[op], OPERANDS[op], st.integers(0, 1 << 30)), noticed, settings=SEARCH)


@QUICK
@given(numbers, numbers, st.integers(0, 1 << 30))
def test_unary_operators(x: int | float, other: int | float, seed: int) -> None:
    chance = random.Random(seed)
    for op in UNARY:
        (size,) = abstracted(op, (x,), (other,), chance)
        assert size is not None
        names: dict[str, Number] = {}
        assert holds(UNARY_SIZES[op](size), UNARY[op](x))
        assert holds(at_sizes(UNARY_SIZES[op](with_symbols(size, names, chance)), names), UNARY[op](x))


COMPARED = (
    args(numbers, numbers) | args(texts, texts) | args(lists, lists) | args(data, data) | args(data, lists) | args(words, texts | records)
)


@settings(QUICK, max_examples=120)
@given(COMPARED, COMPARED, st.integers(0, 1 << 30))
def test_a_decided_comparison_is_right(pair: tuple[Any, Any], others: tuple[Any, Any], seed: int) -> None:
    chance = random.Random(seed)
    for op, code in COMPARE.items():
        value = outcome(code, pair)
        a, b = (s or NoneSize() for s in abstracted("same", pair, others, chance))
        names: dict[str, Number] = {}
        for x, y in ((a, b), (with_symbols(a, names, chance), with_symbols(b, names, chance))):
            decided = compare_sizes(op, x, y)
            assert decided is None or value is DEFAULT or decided is value, (
                f"{pair[0]!r} {op} {pair[1]!r} is {value}, not {decided}, by {x} and {y}"
            )


def test_comparisons_are_decided() -> None:
    n = symbol("n", "len(docs)")
    few, many = NumberSize(0, 3, True), NumberSize(4, 9, True)
    empty, some = ListSize(Interval(0, 0), NoneSize()), ListSize(Interval(1, 5), TextSize())
    assert [compare_sizes(op, few, many) for op in COMPARE] == [False, True, True, True, False, False, None, None]
    assert (
        compare_sizes("<=", NumberSize(0, 4), NumberSize(4, 9)) is True and compare_sizes("<", NumberSize(0, 4), NumberSize(4, 9)) is None
    )
    assert compare_sizes("<", NumberSize(n, n, True), NumberSize(plus(n, 1), INFINITE, True)) is True
    assert compare_sizes(">", NumberSize(plus(n, 1), INFINITE, True), Exact(0)) is True
    assert compare_sizes("==", empty, Exact([])) is True and compare_sizes("!=", some, Exact([])) is True
    assert compare_sizes("==", TextSize(Interval(1, 4)), Exact("")) is False and compare_sizes("==", TextSize(), Exact("a")) is None
    assert compare_sizes("==", some, NoneSize()) is False and compare_sizes("!=", Exact(None), TextSize()) is True
    assert compare_sizes("==", MaybeSize(some), NoneSize()) is None and compare_sizes("==", AnySize(), NoneSize()) is None
    assert compare_sizes("in", TextSize(), empty) is False and compare_sizes("in", Exact(""), TextSize()) is True
    assert compare_sizes("in", Exact(3), Exact([1, 3])) is True and compare_sizes("<", Exact([1]), Exact(None)) is None


# ---- the sizes themselves ----


@settings(QUICK, max_examples=100)
@given(data, data, st.integers(0, 1 << 30))
def test_measures_and_hulls(a: Any, b: Any, seed: int) -> None:
    assert holds(measure(a), a) and holds(Exact(a), a) and holds(loosened(a), a)
    both = hull(measure(a), measure(b))
    assert holds(both, a) and holds(both, b)
    chance = random.Random(seed)
    x, y = known_as(a, b, chance, "json") or NoneSize(), known_as(b, a, chance, "json") or NoneSize()
    assert holds(hull(x, y), a) and holds(hull(x, y), b) and holds(hull_all([x, y, x]), b)
    assert holds(list_of([x, y, x]), [a, b, a])
    for value, size in ((a, x), (b, y), (a, both)):
        names: dict[str, Number] = {}
        for one in (size, with_symbols(size, names, chance)):

            def within(amount: int, interval: Interval, names: dict[str, Number] = names) -> bool:
                return value_at(interval.low, names) <= amount <= value_at(interval.high, names)

            assert within(text_bytes(to_json_text(value)), json_bytes(one)), one
            assert within(text_bytes(to_text(value)), str_bytes(one)), one
            assert value_at(content_bytes(one).low, names) <= text_bytes(to_json_text(value))
            if isinstance(value, (str, list, dict)):
                assert within(len(value), length(one)), one
            if isinstance(value, list):
                assert within(len(value), as_list(one).count)
            assert isinstance(value, (int, float)) or truth(one) in (None, bool(value))


@settings(QUICK, max_examples=100)
@given(data, st.integers(0, 8))
def test_indented_json(value: Any, indent: int) -> None:
    assert holds(TextSize(json_bytes(measure(value), indent)), to_json_text(value, indent))


TYPES = {
    TEXT: texts,
    INT: ints,
    FLOAT: floats | ints,
    BOOL: st.booleans(),
    NONE: st.none(),
    JSON: data,
    Enum(("a", "bcd")): st.sampled_from(["a", "bcd"]),
    ListOf(INT): st.lists(ints, max_size=5),
    ListOf(FLOAT, 4): st.lists(floats | ints, max_size=4),
    ListOf(JSON): st.lists(data, max_size=3),
    ListOf(ListOf(TEXT)): st.lists(st.lists(texts, max_size=3), max_size=3),
    RecordOf((("a", TEXT), ("b", Optional(FLOAT)))): st.fixed_dictionaries({"a": texts}, optional={"b": floats | ints}),
    ListOf(RecordOf((("a", Optional(TEXT)), ("b", JSON)))): st.lists(
        st.fixed_dictionaries({}, optional={"a": texts, "b": scalars}), max_size=4
    ),
    DictOf(FLOAT): st.dictionaries(words | texts, floats | ints, max_size=4),
    DictOf(TEXT): st.dictionaries(words, texts, max_size=4),
    ListOf(DictOf(RecordOf((("a", Optional(TEXT)),)))): st.lists(
        st.dictionaries(words, st.fixed_dictionaries({}, optional={"a": texts}), max_size=2), max_size=3
    ),
    ListOf(Tuple((INT, TEXT))): st.lists(st.tuples(ints, texts).map(list), max_size=3),
}


@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_what_is_read_of_a_type_is_within_its_size(type_: Any) -> None:
    @QUICK
    @given(TYPES[type_])
    def check(value: Any) -> None:
        text = to_json_text(value).replace(", ", ",").replace(": ", ":")
        text = text.replace("0000000000000.0", "e13") if "e" not in text else text
        try:
            read = conform(parse_json_text(text), type_)
        except Mismatch:
            return
        most = text_bytes(text)
        assert holds(of_type(type_, most), read), text
        assert holds(of_type(type_, text_bytes(to_json_text(read)), ours=True), read)
        n = symbol("n", "")
        assert holds(at_sizes(of_type(type_, n), {"n": most}), read)

    check()


def test_holds_says_no() -> None:
    assert not holds(TextSize(Interval(0, 2)), "aé") and not holds(TextSize(), 1) and not holds(NumberSize(), True)
    assert not holds(NumberSize(whole=True), 1.0) and not holds(BoolSize(), 0) and not holds(NoneSize(), 0)
    assert not holds(ListSize(ANY, TextSize(), Interval(3, 9)), ["a", "b"]) and not holds(TupleSize((TextSize(),)), [])
    assert not holds(RecordSize((("a", TextSize()),)), {}) and holds(RecordSize((("a", MaybeSize(TextSize())),)), {})
    assert not holds(RecordSize(()), {"a": 1}) and not holds(AnySize(Interval(0, 3)), "ab") and not holds(FunctionSize(ANY_SIZE), 1)
    keys = ListSize(ANY, TextSize(Interval(0, 1)))
    assert not holds(DictSize(keys, keys), {"ab": "a"}) and not holds(DictSize(keys, keys), {"a": "ab"}) and holds(DictSize(keys, keys), {})
    assert holds(FunctionSize(ANY_SIZE), len) and not holds(MaybeSize(TextSize()), 1)


ANY_SIZE = AnySize()


@settings(QUICK, max_examples=120)
@given(data, specs | st.sampled_from(["10", "<5s", "é^12", "#x", "+.3f", "012_b"]), st.integers(0, 1 << 30))
def test_formatted_values(value: Any, spec: str, seed: int) -> None:
    try:
        written = format_value(value, spec)
    except Failure:
        return
    size = known_as(value, value, random.Random(seed), "json") or NoneSize()
    assert holds(formatted_size(size, spec), written), (size, spec)
    assert holds(formatted_size(size, None), written), (size, spec)


# ---- quantities ----

NAMES = ["n", "m", "k"]
quantities: st.SearchStrategy[Quantity] = st.recursive(
    st.integers(0, 9) | st.sampled_from(NAMES).map(lambda name: symbol(name, name)),
    lambda inner: st.one_of(
        st.builds(plus, inner, inner),
        st.builds(times, inner, inner),
        st.builds(minimum, inner, inner),
        st.builds(maximum, inner, inner, inner),
        st.builds(difference, inner, inner),
        st.builds(ceil_div, inner, st.integers(1, 5)),
        st.builds(floor_div, inner, st.integers(1, 5)),
        st.builds(log2_ceil, inner),
        st.builds(pairs_of, inner),
        st.builds(less, inner, st.integers(0, 5)),
    ),
    max_leaves=6,
)
at = st.fixed_dictionaries({name: st.integers(0, 9) for name in NAMES})


@settings(QUICK, max_examples=200)
@given(quantities, quantities, st.integers(1, 6), at)
def test_operations_on_formulas_are_those_on_numbers(a: Quantity, b: Quantity, by: int, sizes: dict[str, Number]) -> None:
    x, y = value_at(a, sizes), value_at(b, sizes)
    assert value_at(plus(a, b), sizes) == x + y
    assert value_at(plus(a, b, by), sizes) == x + y + by
    assert value_at(times(a, b), sizes) == x * y
    assert value_at(minimum(a, b), sizes) == min(x, y)
    assert value_at(maximum(a, b), sizes) == max(x, y)
    assert value_at(maximum(minimum(a, by), b), sizes) == max(min(x, by), y)
    assert value_at(difference(a, b), sizes) == max(0, x - y)
    assert value_at(less(a, by), sizes) == max(0, x - by)
    assert value_at(ceil_div(a, by), sizes) == -(-x // by)
    assert value_at(floor_div(a, by), sizes) == x // by
    assert value_at(log2_ceil(a), sizes) == (0 if x <= 1 else math.ceil(math.log2(x)))
    assert value_at(pairs_of(a), sizes) == x * (x - 1) // 2
    assert least(a) <= x <= greatest(a)
    if at_most(a, b):
        assert x <= y
    if at_most(a, by):
        assert x <= by
    if at_most(by, a):
        assert by <= x


def test_what_is_seen_to_be_at_most() -> None:
    n, m = symbol("n", ""), symbol("m", "")
    for a, b in (
        (n, plus(n, m)),
        (n, times(n, n)),
        (minimum(n, 5), 5),
        (minimum(n, m), maximum(n, m)),
        (ceil_div(n, 10), ceil_div(n, 3)),
        (ceil_div(n, 10), n),
        (log2_ceil(n), n),
        (3, plus(n, 3)),
        (n, INFINITE),
        (-1, n),
        (-INFINITE, n),
        (less(n, 2), n),
    ):
        assert at_most(a, b), f"{a} <= {b}"
    for a, b in ((n, m), (n, times(n, m)), (times(n, n), n), (1, n), (n, 5), (INFINITE, n), (plus(n, 1), n), (0.5, n)):
        assert not at_most(a, b), f"{a} <= {b}"


def test_ends_of_quantities() -> None:
    n = symbol("n", "")
    assert (least(n), greatest(n)) == (0, INFINITE)
    assert (least(plus(n, 2)), greatest(minimum(n, 7))) == (2, 7)
    assert times(0, INFINITE) == 0 and times(n, 0) == 0 and times(INFINITE, n) == INFINITE and plus(n, INFINITE) == INFINITE
    assert times(1 << 150, 1 << 150) == INFINITE and difference(INFINITE, n) == INFINITE and difference(n, INFINITE) == 0
    assert value_at(times(n, 2), {}) == INFINITE and value_at(times(0.5, n), {"n": 3}) == 1.5
    assert str(plus(times(2, n), -0)) == "2·n" and str(less(n, 1)) == "max(0, n - 1)"


@given(
    st.lists(texts)
    | st.lists(ints | numbers.filter(lambda x: isinstance(x, int)))
    | st.lists(data)
    | st.lists(st.fixed_dictionaries({"a": texts, "b": ints}))
)
@QUICK
def test_a_list_is_measured_as_its_items_are(values: list[Any]) -> None:
    quick, slow = measure(values), list_of([measure(value) for value in values])
    assert isinstance(quick, ListSize) and (quick.count, quick.item) == (slow.count, slow.item) and list_total(quick) == list_total(slow)
