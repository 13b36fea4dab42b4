"""The built-in functions and operators: what each gives, what it refuses, and laws that hold for all arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.builtins import REGISTRY, format_value, lookup
from rlmlang.builtins import operators as op
from rlmlang.builtins.signatures import read_signature
from rlmlang.errors import Failure, LimitError
from rlmlang.files import DirValue, FileValue
from rlmlang.types import BOOL, INT, TEXT, Enum, FunctionOf, ListOf, Optional, RecordOf, Tuple, Var
from rlmlang.values import DictValue, Mismatch, hashable, parse_json_text, same, to_json_text


def call(name: str, *args: Any) -> Any:
    found = lookup(name)
    assert found is not None
    return found.code(*args)


HUGE = 10**30
MANY = range(20_000_000)
LONG = "a" * 30_000_000

# name, arguments, result
CASES: list[tuple[str, tuple[Any, ...], Any]] = [
    ("len", ("é😀",), 2),
    ("len", ([1, 2],), 2),
    ("len", (range(5),), 5),
    ("len", ({"a": 1},), 1),
    ("str", (1.0,), "1.0"),
    ("str", ([True, None],), "[true, null]"),
    ("str", ("a",), "a"),
    ("json", ("a",), '"a"'),
    ("json", ([1], 2), "[\n  1\n]"),
    ("same", (1, 1.0), True),
    ("same", (1, True), False),
    ("lower", ("ÀB",), "àb"),
    ("upper", ("straße",), "STRASSE"),
    ("strip", (" a\n",), "a"),
    ("strip", ("--a-", "-"), "a"),
    ("title", ("they're HERE, o'neil",), "They're Here, O'neil"),
    ("dedent", ("  a\n    b\n",), "a\n  b\n"),
    ("split", (" a  b\n",), ["a", "b"]),
    ("split", ("a,b,,c", ","), ["a", "b", "", "c"]),
    ("split", ("a,b,c", ",", 1), ["a", "b,c"]),
    ("split", ("", ","), [""]),
    ("split", ("a b c", None, 1), ["a", "b c"]),
    ("join", (["a", "b"],), "ab"),
    ("join", (["a", "b"], ", "), "a, b"),
    ("join", (", ", ["a", "b"]), "a, b"),
    ("join", ([1, None, True], "-"), "1-none-true"),
    ("join", ([], ", "), ""),
    ("replace", ("aXbX", "X", "yy"), "ayybyy"),
    ("replace", ("aaa", "a", "b", 2), "bba"),
    ("replace", ("aaa", "a", "b", -1), "bbb"),
    ("replace", ("ab", "", "-"), "-a-b-"),
    ("replace", ("aaa", "a", "bb", HUGE), "bbbbbb"),
    ("startswith", ("abc", "ab"), True),
    ("startswith", ("abc", ["x", "ab"]), True),
    ("endswith", ("a.py", [".md", ".py"]), True),
    ("endswith", ("a.py", []), False),
    ("contains", ("abc", "bc"), True),
    ("contains", ([1, "a"], "a"), True),
    ("contains", ([1, 2], True), False),
    ("contains", ([[1], [2]], [2.0]), True),
    ("contains", (range(5), 3.0), True),
    ("contains", (range(5), True), False),
    ("contains", ({"a": 1}, "a"), True),
    ("find", ("abcb", "b"), 1),
    ("find", ("abcb", "b", 2), 3),
    ("find", ("abcb", "x"), -1),
    ("find", ("abcb", "b", HUGE), -1),
    ("find", ("abcb", "b", -HUGE), 1),
    ("index", (["a", "b"], "b"), 1),
    ("index", ("abc", "c"), 2),
    ("count", ([1, 2, 3],), 3),
    ("count", ([1, 1.0, True], 1), 2),
    ("count", ([None, 1], None), 1),
    ("count", ("banana", "an"), 2),
    ("lines", ("a\nb\r\nc\r\rd\n",), ["a", "b", "c", "", "d"]),
    ("lines", ("",), []),
    ("lines", ("a\u2028b",), ["a\u2028b"]),
    ("words", ("Don't stop — it's 3.14, or 1,000!",), ["Don't", "stop", "it's", "3.14", "or", "1,000"]),
    ("head", ("a\nb\nc\n", 2), "a\nb\n"),
    ("head", ("a\nb", 5), "a\nb"),
    ("head", ("a\nb", 0), ""),
    ("head", ("x\n" * 20,), "x\n" * 10),
    ("tail", ("a\nb\nc\n", 2), "b\nc\n"),
    ("tail", ("a\nb\nc", 1), "c"),
    ("tail", ("a\n\n", 1), "\n"),
    ("tail", ("a\nb", 0), ""),
    ("tail", ("\n", 3), "\n"),
    ("tail", ("a", HUGE), "a"),
    ("paragraphs", ("a\nb\n\n\n  c \n \nd\r\n\r\ne",), ["a\nb", "  c", "d", "e"]),
    ("paragraphs", ("\n\n",), []),
    ("sentences", ("Dr. Smith, e.g. him, met J. Doe. Was it 3.14? Yes!! So do I. End",),
     ["Dr. Smith, e.g. him, met J. Doe.", "Was it 3.14?", "Yes!!", "So do I.", "End"]),
    ("sentences", ('He said "Stop!" and left. "Why?" Nobody\nknew.\n\nA heading\n\nMore… 好。很好！',),
     ['He said "Stop!" and left.', '"Why?"', "Nobody\nknew.", "A heading", "More…", "好。", "很好！"]),
    ("sentences", (" \n ",), []),
    ("chunks", ("", 10), []),
    ("chunks", ("abc", 3), ["abc"]),
    ("chunks", ("aa\nbb\ncc", 6), ["aa\nbb\n", "cc"]),
    ("chunks", ("One. Two. Three.", 11), ["One. Two. ", "Three."]),
    ("chunks", ("see Dr. No now or never", 12), ["see Dr. No ", "now or never"]),
    ("chunks", ("abcdefgh", 3), ["abc", "def", "gh"]),
    ("chunks", ("a\r\nb\r\n", 4), ["a\r\n", "b\r\n"]),
    ("chunks", ("abcdefgh", 4, 2), ["abcd", "cdef", "efgh"]),
    ("chunks", ("a\nbcdefgh", 4, 2), ["a\n", "bcde", "defg", "fgh"]),
    ("matches", ("xaay", "a+"), True),
    ("matches", ("x", "^$"), False),
    ("findall", ("a1b22", r"\d+"), ["1", "22"]),
    ("findall", ("a1b22", r"[a-z](\d)"), ["a1", "b2"]),
    ("findall", ("café über", r"\w+"), ["café", "über"]),
    ("findall", ("é", ""), ["", ""]),
    ("findall", ("a\u00a0b é", r"[^\s]+"), ["a", "b", "é"]),
    ("extract", ("total: 12 é", r"total: (\d+)"), "12"),
    ("extract", ("total: 12", r"\d+"), "12"),
    ("extract", ("total", r"\d+"), None),
    ("extract", ("a", r"(b)|a"), None),
    ("format", ("{} and {}", 1, "b"), "1 and b"),
    ("format", ("{1}{0}{{}}", "a", "b"), "ba{}"),
    ("format", ("{name}: {n:>4}", {"name": "x", "n": 3}), "x:    3"),
    ("format", (3.14159, ".2f"), "3.14"),
    ("format", (1234567, ","), "1,234,567"),
    ("format", ("{}", "{0.__class__}"), "{0.__class__}"),
    ("int", ("12",), 12),
    ("int", (" -1_000\n",), -1000),
    ("int", (2.7,), 2),
    ("int", (-2.7,), -2),
    ("int", (True,), 1),
    ("float", ("1e3",), 1000.0),
    ("float", (3,), 3.0),
    ("abs", (-3,), 3),
    ("abs", (-3.5,), 3.5),
    ("round", (2.5,), 2),
    ("round", (3.5,), 4),
    ("round", (2.345, 1), 2.3),
    ("round", (1234, -2), 1200),
    ("round", (1.5, HUGE), 1.5),
    ("round", (1234, -HUGE), 0),
    ("floor", (-1.5,), -2),
    ("ceil", (1.2,), 2),
    ("clamp", (5, 1, 3), 3),
    ("clamp", (0.5, 1.0, 3.0), 1.0),
    ("sum", ([1, 2],), 3),
    ("sum", ([],), 0),
    ("sum", ([True, False, True],), 2),
    ("sum", ([0.1] * 10,), 1.0),
    ("sum", (range(10),), 45),
    ("mean", ([1, 2],), 1.5),
    ("max", ([1, 3, 2],), 3),
    ("max", (1, 2.5),  2.5),
    ("max", (["aa", "b"], len), "aa"),
    ("max", ([1, 2], [1, 3]), [1, 3]),
    ("max", ([["a", 2], ["b", 1]],), ["b", 1]),
    ("min", ([3, 1],), 1),
    ("min", ("b", "a"), "a"),
    ("min", (["aa", "b"], len), "b"),
    ("first", ([1, 2],), 1),
    ("first", ([1, 2, 3], 2), [1, 2]),
    ("last", ([1, 2],), 2),
    ("last", ([1, 2, 3], 2), [2, 3]),
    ("last", ([1, 2, 3], 0), []),
    ("last", ([1], HUGE), [1]),
    ("take", ([1, 2], 5), [1, 2]),
    ("take", (range(10), 2), [0, 1]),
    ("drop", ([1, 2, 3], 1), [2, 3]),
    ("drop", ([1], HUGE), []),
    ("sample", (range(100), 5, 1), [9, 47, 57, 48, 96]),
    ("sample", (["a"], 5), ["a"]),
    ("reversed", ([1, 2],), [2, 1]),
    ("reversed", ("ab",), "ba"),
    ("sorted", ([3, 1, 2.5],), [1, 2.5, 3]),
    ("sorted", (["b", "a"], None, True), ["b", "a"]),
    ("sorted", (["bb", "a", "cc"], len, True), ["bb", "cc", "a"]),
    ("sorted", ([["b", 1], ["a", 2], ["a", 1]],), [["a", 1], ["a", 2], ["b", 1]]),
    ("sorted", ([True, False],), [False, True]),
    ("unique", ([1, 1.0, True, "1", 1],), [1, True, "1"]),
    ("set", (["b", "a", "b"],), ["b", "a"]),
    ("unique", (["a", "A", "b"], str.lower), ["a", "b"]),
    ("argmax", ([1, 3, 3],), 1),
    ("argmax", (["a", "bbb", "cc"], len), 1),
    ("argmin", ([3, 1, 1],), 1),
    ("any", ([False, True],), True),
    ("any", ([],), False),
    ("all", ([True, ""],), False),
    ("all", ([],), True),
    ("range", (3,), [0, 1, 2]),
    ("range", (1, 3), [1, 2]),
    ("range", (3, 0, -2), [3, 1]),
    ("range", (3, 0), []),
    ("range", (HUGE, HUGE + 2), [HUGE, HUGE + 1]),
    ("enumerate", (["a", "b"],), [[0, "a"], [1, "b"]]),
    ("enumerate", (["a"], 5), [[5, "a"]]),
    ("zip", ([1, 2], ["a", "b", "c"]), [[1, "a"], [2, "b"]]),
    ("zip", ([1], [2], [3]), [[1, 2, 3]]),
    ("flatten", ([[1], [], [2, [3]]],), [1, 2, [3]]),
    ("group_by", (["a", "bb", "c"], len), [{"key": 1, "items": ["a", "c"]}, {"key": 2, "items": ["bb"]}]),
    ("batch", ([1, 2, 3], 2), [[1, 2], [3]]),
    ("batch", ([1], HUGE), [[1]]),
    ("windows", ([1, 2, 3], 2), [[1, 2], [2, 3]]),
    ("windows", ([1], 2), []),
    ("pairs", ([1, 2, 3],), [[1, 2], [1, 3], [2, 3]]),
    ("dict", ([["b", 1], ["a", 2], ["b", 3]],), {"b": 3, "a": 2}),
    ("dict", (DictValue({"a": 1}),), {"a": 1}),
    ("dict", (), {}),
    ("keys", (DictValue({"b": 1, "a": 2}),), ["b", "a"]),
    ("keys", ({"b": 1, "a": 2},), ["b", "a"]),
    ("sorted", (DictValue({"b": 1, "a": 2}),), ["a", "b"]),
    ("values", ({"b": 1, "a": 2},), [1, 2]),
    ("values", ([1, 2],), [1, 2]),
    ("items", ({"a": 1},), [["a", 1]]),
    ("get", ({"a": 1}, "a"), 1),
    ("get", ({"a": 1}, "b"), None),
    ("get", ({"a": 1}, "b", 0), 0),
    ("get", ([1, 2], -1), 2),
    ("get", ([1, 2], 5), None),
    ("get", ([1, 2], HUGE, 0), 0),
    ("parse_json", ('{"a": [1, null]}',), {"a": [1, None]}),
]  # fmt: skip


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, range) else value


@pytest.mark.parametrize(("name", "args", "result"), CASES)
def test_result(name: str, args: tuple[Any, ...], result: Any) -> None:
    assert repr(plain(call(name, *args))) == repr(result), "as texts, since 1, 1.0 and true are equal to Python"


# name, arguments, what the message must say
FAILURES: list[tuple[str, tuple[Any, ...], str]] = [
    ("len", (3,), "int 3 has no length"),
    ("len", (FileValue.held("a", b""),), "file has no length"),
    ("json", (1, HUGE), "0 to 8"),
    ("lower", (1,), "lower needs a text, not int 1"),
    ("lower", (FileValue.held("a", b""),), "not file"),
    ("split", ("a", ""), "not empty"),
    ("join", (1, ","), "needs a list"),
    ("join", (["a"], 1), "sep needs a text"),
    ("startswith", ("a", [1]), "needs a text"),
    ("contains", (1, 2), "nothing is `in` int 1"),
    ("contains", ("a", 1), "only a text"),
    ("index", ([1], True), "bool true is not in list of 1"),
    ("index", ("a", "b"), "is not in"),
    ("count", ("a",), "part"),
    ("head", ("a", -1), "no -1 lines"),
    ("chunks", ("a", 0), "at least 1"),
    ("chunks", ("a", -HUGE), "at least 1"),
    ("chunks", ("a", 4, 3), "half"),
    ("chunks", ("a", 4, -1), "half"),
    ("chunks", ("a", 2.5), "needs an int"),
    ("matches", ("a", "["), "missing ]"),
    ("matches", ("a", r"(a)\1"), "back-references"),
    ("matches", ("a", "(?=a)"), "look-around"),
    ("matches", ("a", "(?<!a)"), "look-around"),
    ("matches", ("a", "a{2000}"), "1,000"),
    ("matches", ("a", r"a\Z"), r"\\z"),
    ("matches", ("a", "(?>a)"), "atomic"),
    ("matches", ("a", "a" * 10_000), "5,000"),
    ("matches", ("a", "\ud800" + "("), "not understood"),
    ("matches", ("a", r"(((a{1,100}){1,100}){1,100})"), "not understood"),
    ("matches", ("a", 1), "needs a text"),
    ("format", ("{0.__class__}", 1), "may name a value"),
    ("format", ("{0[0]}", [1]), "may name a value"),
    ("format", ("{!r}", 1), "may name a value"),
    ("format", ("{}",), "there are 0"),
    ("format", ("{" + "9" * 5_000 + "}", 1), "asks for value"),
    ("format", ("{x}", 1), "no field"),
    ("format", ("{", 1), "single {"),
    ("format", ("}", 1), "single }"),
    ("format", ("{:>2000000000}", "a"), "at most"),
    ("format", ("{:.2000000000f}", 1.5), "at most"),
    ("format", ("{:d}", 1.5), "cannot be written"),
    ("format", ("{:c}", 55_296), "cannot be written"),
    ("int", ("x",), "no whole number"),
    ("int", ("2.5",), "no whole number"),
    ("int", ("9" * 1_000_000,), "is no number"),
    ("int", ([1],), "not list"),
    ("int", (None,), "not none"),
    ("float", ("nan",), "no number"),
    ("float", ("inf",), "too large"),
    ("float", ("1e400",), "too large"),
    ("float", (10**400,), "too large"),
    ("float", ("",), "no number"),
    ("abs", (True,), "needs a number"),
    ("round", (1.7e308, -308), "too large"),
    ("floor", ("1",), "needs a number"),
    ("clamp", (1, 3, 2), "low <= high"),
    ("sum", ([1, "a"],), "not text"),
    ("sum", ([1e308, 1e308],), "too large"),
    ("sum", ([10**400, 1.5],), "too large"),
    ("mean", ([],), "no mean"),
    ("mean", ([10**400],), "too large"),
    ("max", ([],), "no max"),
    ("max", (3,), "needs a list"),
    ("max", ([1, "a"],), "no order"),
    ("min", ([{}, {}],), "no order"),
    ("first", ([],), "no first item"),
    ("last", ([],), "no last item"),
    ("take", ([1], -1), "at least 0"),
    ("drop", ([1], -1), "at least 0"),
    ("sample", ([1], -1), "at least 0"),
    ("sorted", ([1, "a"],), "no order"),
    ("sorted", ([1, True],), "no order"),
    ("sorted", ([None, None],), "no order"),
    ("sorted", ([["a", 1], ["a", "b"]],), "no order"),
    ("argmax", ([],), "no largest"),
    ("argmin", ([],), "no smallest"),
    ("range", (1, 2, 0), "not be 0"),
    ("range", (1e12,), "needs an int"),
    ("batch", ([1], 0), "at least 1"),
    ("windows", ([1], 0), "at least 1"),
    ("flatten", ([1],), "needs a list"),
    ("zip", ([1], 2), "needs a list"),
    ("dict", ([["a", 1, 2]],), "needs pairs"),
    ("dict", ([[1, "a"]],), "a key needs a text"),
    ("dict", ("ab",), "needs a list"),
    ("keys", ([1],), "needs a record"),
    ("get", ({}, 1), "needs a text"),
    ("get", ([], "a"), "needs an int"),
    ("parse_json", ("{",), "not valid JSON"),
    ("parse_json", ("[" * 100_000,), "deep"),
    ("files", ("a",), "needs a directory"),
]


@pytest.mark.parametrize(("name", "args", "message"), FAILURES)
def test_failure(name: str, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(Failure, match=message) as caught:
        call(name, *args)
    assert len(caught.value.message) < 400


# each would need gigabytes
TOO_LARGE: list[tuple[str, tuple[Any, ...]]] = [
    ("range", (10**12,)),
    ("range", (0, HUGE, 1)),
    ("range", (HUGE, 0, -1)),
    ("replace", (LONG, "a", "aaa")),
    ("replace", (LONG, "", "aa")),
    ("join", ([LONG] * 3,)),
    ("join", (["a"] * 1_000_000, "x" * 100)),
    ("join", ([["x" * 1_000_000] * 10] * 100_000,)),
    ("split", (LONG, "a")),
    ("chunks", (LONG, 1)),
    ("format", ("{0}" * 1_000, "a" * 1_000_000)),
    ("flatten", ([MANY, MANY],)),
    ("pairs", (range(100_000),)),
    ("windows", (range(100_000), 50_000)),
    ("int", ("9" * 1_300,)),
    ("zip", ([[]], [__import__("functools").reduce(lambda x, _: [x], range(100), [])])),
]


@pytest.mark.parametrize(("name", "args"), TOO_LARGE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(TOO_LARGE)])
def test_too_large_is_refused(name: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(LimitError):
        call(name, *args)


def test_files(tmp_path: Any) -> None:
    (tmp_path / "a.py").write_text("x")
    (tmp_path / "b.md").write_text("y")
    assert [f.path for f in call("files", DirValue(tmp_path))] == ["a.py", "b.md"]
    assert [f.text for f in call("files", DirValue(tmp_path), "*.py")] == ["x"]


# ---- declarations ----


NAMES = """
len str json same lower upper strip split lines words join replace startswith endswith contains find findall matches extract format chunks
paragraphs sentences head tail count title dedent int float abs round min max sum mean floor ceil clamp first last take drop reversed
sorted unique set flatten zip enumerate range any all index group_by batch pairs windows argmax argmin sample dict keys values items get
parse_json
files
"""


def test_every_builtin_is_declared_and_tried() -> None:
    named = set(NAMES.split())
    assert set(REGISTRY) == named
    assert {name for name, _, _ in CASES} | {"files"} == named


@pytest.mark.parametrize("name", REGISTRY)
def test_declaration(name: str) -> None:
    declared = REGISTRY[name]
    assert "\n" not in declared.help and declared.help.endswith(".")
    assert declared.signatures
    accepted = inspect.signature(declared.code).parameters.values()
    spread = any(p.kind is p.VAR_POSITIONAL for p in accepted)
    needed = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in accepted)
    for signature in declared.signatures:
        required = [p for p in signature.params if p.default is None]
        assert signature.params[: len(required)] == tuple(required), "what may be left out comes last"
        assert needed <= len(required) and (spread or len(signature.params) <= len(accepted))
        assert spread or not signature.variadic


def test_omitted_arguments_may_be_given_as_none() -> None:
    for name, args, result in CASES:
        for signature in REGISTRY[name].signatures:
            optional = len(signature.params) - len(args)
            if optional > 0 and all(p.default for p in signature.params[len(args) :]):
                assert same(call(name, *args, *[None] * optional), result)


def test_signatures() -> None:
    signature = read_signature(
        'f(xs: [T], key: (T, int) -> O = none, how: "a" | "b" = "a", n: int = -1) -> [{key: K?, items: [[T, text]]}]'
    )
    assert [p.name for p in signature.params] == ["xs", "key", "how", "n"]
    assert [p.default for p in signature.params] == [None, "none", '"a"', "-1"]
    assert [p.type for p in signature.params] == [ListOf(Var("T")), FunctionOf((Var("T"), INT), Var("O")), Enum(("a", "b")), INT]
    pair = Tuple((Var("T"), TEXT))
    assert signature.result == ListOf(RecordOf((("key", Optional(Var("K"))), ("items", ListOf(pair)))))
    assert not signature.variadic
    assert read_signature("f(*xs: bool) -> bool").variadic
    assert read_signature("f() -> bool").result == BOOL


@pytest.mark.parametrize(
    "text", ["f(x) -> int", "f(x: int)", "f(x: foo) -> int", "f(x: int -> int", "f(x: int) -> int int", "f(*x: int, y: int) -> int"]
)
def test_signatures_that_are_none(text: str) -> None:
    with pytest.raises(TypeError):
        read_signature(text)


def test_importing_is_light() -> None:
    code = "import sys, rlmlang.builtins; print(*{'re2', 'asyncio', 'openai', 'rich', 'sqlite3', 'xllamacpp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ---- laws ----

PROSE = st.text(st.sampled_from(list("ab. \n\r.!?\"'é。DrI")), max_size=80)


@given(PROSE, st.integers(1, 30))
def test_chunks_give_back_the_text(text: str, size: int) -> None:
    pieces = call("chunks", text, size)
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= size for piece in pieces)
    assert len(pieces) <= 2 * -(-len(text) // size)
    assert all(len(a) + len(b) > size for a, b in pairwise(pieces))


@given(PROSE, st.integers(1, 30), st.data())
def test_chunks_overlap(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    pieces = call("chunks", text, size, overlap)
    whole = ""
    for i, piece in enumerate(pieces):
        assert 1 <= len(piece) <= size
        again = overlap if i and len(pieces[i - 1]) >= 2 * overlap else 0
        assert whole.endswith(piece[:again])
        assert len(piece) > again, "every piece has something new"
        whole += piece[again:]
    assert whole == text


@given(st.text(st.sampled_from("ab .,?!\n"), max_size=60), st.integers(1, 20))
def test_chunks_cut_at_the_last_line_end_that_fits(text: str, size: int) -> None:
    rest = text
    for piece in call("chunks", text, size)[:-1]:
        line_end = rest.rfind("\n", 0, size) + 1
        assert len(piece) >= line_end
        rest = rest[len(piece) :]


@given(PROSE)
def test_pieces_lose_only_white_space(text: str) -> None:
    for name in ("sentences", "paragraphs", "lines"):
        assert "".join("".join(call(name, text)).split()) == "".join(text.split())
    assert "".join(call("head", text, n := 2)) == "".join(text.splitlines(keepends=True)[:n]) or "\r" in text
    assert text.startswith(call("head", text, 3)) and text.endswith(call("tail", text, 3))


ITEMS = st.lists(st.sampled_from([0, 1, 1.0, True, False, "1", None, [1], [True], [1.0], {"a": 1}, {"a": 1.0}]), max_size=12)


@given(ITEMS)
def test_unique_and_group_by_agree_with_same(xs: list[Any]) -> None:
    kept = call("unique", xs)
    assert all(not same(a, b) for i, a in enumerate(kept) for b in kept[:i])
    assert all(any(same(x, k) for k in kept) for x in xs)
    groups = call("group_by", xs, lambda x: x)
    assert [hashable(g["key"]) for g in groups] == [hashable(k) for k in kept]
    assert all(same(x, g["key"]) for g in groups for x in g["items"])
    assert sum(len(g["items"]) for g in groups) == len(xs)
    assert all(call("count", xs, k) == len(g["items"]) for k, g in zip(kept, groups, strict=True))


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=2)).map(list)), st.booleans())
def test_sorted_is_stable_and_as_python(xs: list[list[Any]], reverse: bool) -> None:
    assert call("sorted", xs, lambda x: x[0], reverse) == sorted(xs, key=lambda x: x[0], reverse=reverse)
    assert call("sorted", xs, None, reverse) == sorted(xs, reverse=reverse)


@given(st.integers(0, 40), st.integers(0, 50), st.integers())
def test_sample_is_a_repeatable_choice(many: int, n: int, seed: int) -> None:
    chosen = call("sample", range(many), n, seed)
    assert chosen == call("sample", list(range(many)), n, seed)
    assert len(chosen) == len(set(chosen)) == min(n, many)
    assert set(chosen) <= set(range(many))


def test_sample_is_fair() -> None:
    times = [0] * 10
    for seed in range(2_000):
        for x in call("sample", range(10), 3, seed):
            times[x] += 1
    assert all(500 < t < 700 for t in times)


def test_keys_are_asked_once_for_each_item_in_order() -> None:
    for name in ("sorted", "unique", "group_by", "argmax", "argmin", "max", "min"):
        asked: list[int] = []
        call(name, [3, 1, 2, 1], lambda x, asked=asked: asked.append(x) or x)
        assert asked == [3, 1, 2, 1], name


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from(sorted(REGISTRY)), st.lists(ANYTHING, min_size=1, max_size=4))
def test_any_arguments_give_a_value_or_our_own_errors(name: str, args: list[Any]) -> None:
    code = REGISTRY[name].code
    try:
        inspect.signature(code).bind(*args)
    except TypeError:
        return
    try:
        result = code(*args)
    except (Failure, LimitError) as error:
        assert error.message
    else:
        to_json_text(result)


@given(st.sampled_from([*op.BINARY, *op.COMPARE]), ANYTHING, ANYTHING)
def test_operators_give_a_value_or_our_own_errors(symbol: str, a: Any, b: Any) -> None:
    try:
        result = (op.BINARY.get(symbol) or op.COMPARE[symbol])(a, b)
    except (Failure, LimitError) as error:
        assert error.message
    else:
        assert symbol in op.BINARY or isinstance(result, bool)
        parse_json_text(to_json_text(result).encode(errors="replace").decode())


NUMBERS = st.one_of(st.integers(-50, 50), st.floats(-50, 50).map(lambda x: round(x, 2)))


@given(st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), NUMBERS, NUMBERS)
def test_arithmetic_is_pythons(symbol: str, a: float, b: float) -> None:
    try:
        expected = eval(f"a {symbol} b")
    except (ZeroDivisionError, OverflowError):
        expected = None
    if expected is None or isinstance(expected, complex):
        with pytest.raises(Failure):
            op.BINARY[symbol](a, b)
    else:
        assert repr(op.BINARY[symbol](a, b)) == repr(expected)


# ---- operators ----


@pytest.mark.parametrize(
    ("operate", "args", "result"),
    [
        (op.add, ("a", "b"), "ab"),
        (op.add, ([1], range(2)), [1, 0, 1]),
        (op.add, (1, 2.5), 3.5),
        (op.multiply, ("ab", 2), "abab"),
        (op.multiply, (2, [1]), [1, 1]),
        (op.multiply, ("ab", -HUGE), ""),
        (op.multiply, ("", HUGE), ""),
        (op.multiply, ([], HUGE), []),
        (op.power, (2, 4095), 2**4095),
        (op.power, (-1, HUGE), 1),
        (op.power, (0, HUGE), 0),
        (op.power, (2, -1), 0.5),
        (op.divide, (10**400, 10**399), 10.0),
        (op.negate, (3,), -3),
        (op.less, (1, 1.5), True),
        (op.less, ("a", "b"), True),
        (op.less, ([1, "a"], [1, "b"]), True),
        (op.less_equal, ([1], [1, 2]), True),
        (op.greater, ([2], [1, 5]), True),
        (op.different, (1, True), True),
        (op.contains, (None, [None]), True),
        (op.lacks, ("a", {"b": 1}), True),
    ],
)
def test_operator(operate: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
    assert repr(operate(*args)) == repr(result)


@pytest.mark.parametrize(
    ("operate", "args", "message"),
    [
        (op.divide, (1, 0), "division by zero"),
        (op.divide, (1.5, 0.0), "division by zero"),
        (op.floor_divide, (1, 0), "division by zero"),
        (op.modulo, (1.5, 0), "division by zero"),
        (op.modulo, ("%s", 1), "does not format"),
        (op.power, (0, -1), "division by zero"),
        (op.power, (-8, 0.5), "no real power"),
        (op.power, (10.0, 400), "too large"),
        (op.multiply, (1e308, 10.0), "too large"),
        (op.add, (10**400, 0.5), "too large"),
        (op.add, ("a", 1), "does not take"),
        (op.add, (True, 1), "does not take"),
        (op.multiply, ("a", 1.5), "does not take"),
        (op.negate, (True,), "needs a number"),
        (op.less, (1, "a"), "no order"),
        (op.less, (None, None), "no order"),
        (op.less, ([1], ["a"]), "no order"),
    ],
)
def test_operator_failure(operate: Callable[..., Any], args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(Failure, match=message):
        operate(*args)


@pytest.mark.parametrize(
    ("operate", "args"),
    [
        (op.power, (9, 9**9)),
        (op.power, (2, 4096)),
        (op.power, (-2, HUGE)),
        (op.multiply, (2**4000, 2**4000)),
        (op.add, (2**4095, 2**4095)),
        (op.multiply, ("a", 10**9)),
        (op.multiply, ("ab", HUGE)),
        (op.multiply, ([0], HUGE)),
        (op.add, (LONG, LONG * 2)),
        (op.add, (MANY, [1])),
    ],
)
def test_operator_too_large(operate: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with pytest.raises(LimitError):
        operate(*args)


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [(3.14159, ".2f", "3.14"), (3, "05d", "00003"), ("ab", ">4", "  ab"), (True, "6", "true  "), ([1], ">5", "  [1]"), (None, "", "none"),
     (1234.5, ",.1f", "1,234.5"), (0.25, ".0%", "25%"), ("abcdef", ".3", "abc"), ("a", "*^3", "*a*"), (255, "x", "ff")],
)  # fmt: skip
def test_format_value(value: Any, spec: str, text: str) -> None:
    assert format_value(value, spec) == text


@given(ANYTHING, st.text("0123456789.,<>^=+-fdegx%s_ n", max_size=8))
def test_format_value_is_short_or_refused(value: Any, spec: str) -> None:
    try:
        assert len(format_value(value, spec)) <= 25_000
    except Failure as failure:
        assert failure.message


def test_hostile_patterns_take_linear_time() -> None:
    assert not call("matches", "a" * 200_000 + "!", r"^(a+)+$")
    assert call("findall", "x" * 1_000, "(x+x+)+y") == []


def test_mismatch_is_no_error_of_ours() -> None:
    assert not issubclass(Mismatch, Failure)
