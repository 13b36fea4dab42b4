"""The checker on many small programs: `chunks/check.rlm`, separated by lines `---`.

What is expected stands in a comment on the line it is about:

    ### error CODE: part of the message or hint
    ### warning CODE: part of the message or hint
    ### type NAME: T                (the type that NAME has at the end of the chunk; any line)
    ### result: T
    ### effects: f g                (the declared functions that may reach a model)

A chunk has these diagnostics and no others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlmlang import limits
from rlmlang.check import Checked, Turn, check
from rlmlang.check.library import library, library_names
from rlmlang.check.report import similar
from rlmlang.check.unify import fits, hull
from rlmlang.errors import ProgramError, UsageError
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import render
from rlmlang.syntax.nodes import Apply, Call, Expr, Program
from rlmlang.syntax.walk import walk
from rlmlang.types import BOOL, FLOAT, INT, NEVER, NONE, TEXT, Enum, ListOf, RecordOf, Type, optional

_CHUNKS = (Path(__file__).parent / "chunks" / "check.rlm").read_text("utf-8").split("\n---\n")
_SHOWN = (Path(__file__).parent / "chunks" / "messages.rlm").read_text("utf-8").split("\n---\n")
_MARK = re.compile(r"###\s*(error|warning|type|result|effects)\b\s*([\w-]*)\s*(?::\s*(.*))?$")


def _marks(text: str) -> list[tuple[int, str, str, str]]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        for part in line.split("###")[1:]:
            mark = _MARK.fullmatch("###" + part.rstrip())
            assert mark, f"not a mark: {part}"
            found.append((number, mark[1], mark[2], (mark[3] or "").strip()))
    return found


def _name(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "empty")[:60]


@pytest.mark.parametrize("text", _CHUNKS, ids=[_name(t) for t in _CHUNKS])
def test_chunk(text: str) -> None:
    marks = _marks(text)
    try:
        checked = check(parse(text))
    except ProgramError as error:  # some of what is wrong is seen before
        assert [(d.span.line, "error", d.code) for d in error.diagnostics] == [(n, k, code) for n, k, code, _ in marks]
        return
    wanted = sorted((n, kind, code) for n, kind, code, _ in marks if kind in ("error", "warning"))
    got = sorted((d.span.line, d.severity, d.code) for d in checked.diagnostics)
    shown = "\n\n".join(render(d) for d in checked.diagnostics)
    assert got == wanted, shown
    for number, kind, code, part in marks:
        if kind in ("error", "warning"):
            here = [f"{d.message} | {d.hint}" for d in checked.diagnostics if d.span.line == number and d.code == code]
            assert any(part in m for m in here), f"{part!r} is not in {here}"
        elif kind == "type":
            assert str(checked.names[code]) == part
        elif kind == "result":
            assert str(checked.result) == part
        else:
            assert {n for n, f in checked.declared_functions.items() if f.effectful} == set(part.split())
    if not checked.errors:
        _complete(checked)


def _complete(checked: Checked) -> None:
    """What a later room relies on: a type for each expression, a callee and arguments for each application, a reply type for each call."""
    functions = {s.body for s in checked.functions}
    assert all(body in checked.types for body in functions)
    for node in walk(checked.program):
        if isinstance(node, Expr) and not _names_a_function(node, checked):
            assert node in checked.types, node.span.text
        if isinstance(node, Apply):
            assert node in checked.callees and node in checked.arguments
        if isinstance(node, Call):
            assert node in checked.reply_types and node in checked.effects


def _names_a_function(node: Expr, checked: Checked) -> bool:
    return node in checked.callees and not isinstance(node, Apply)


# ---- other files ----


def _loader(**files: str) -> Callable[[str], Program]:
    def load(path: str) -> Program:
        name = path.removesuffix(".rlm").replace("/", "_")
        if name not in files:
            raise UsageError(f"there is no file {path}")
        return parse(files[name], path)

    return load


def _codes(text: str, **files: str) -> list[str]:
    load = _loader(**files)
    return [f"{d.span.source.name}:{d.span.line} {d.code}" for d in check(parse(text, "main.rlm"), load=load).diagnostics]


def test_use_brings_functions_and_types() -> None:
    files = {"lib": 'type role = "a" | "b"\nlimit = 3\nfn ask(x: text) -> role { call f"{x} {limit}" -> role }\nanswer ask("x")\n'}
    program = parse('use "./lib.rlm"\ninput r: role\nanswer ask("q") == r\n', "main.rlm")
    checked = check(program, load=_loader(**files))
    assert checked.diagnostics == ()
    assert list(checked.modules) == ["lib.rlm"]
    assert checked.declared_functions["ask"].effectful
    assert checked.functions[checked.declared_functions["ask"].node] is checked.declared_functions["ask"]


def test_use_is_relative_to_the_file_that_uses() -> None:
    files = {"sub_a": 'use "./b.rlm"\nfn f(x: int) { g(x) }\n', "sub_b": "fn g(x: int) { x + 1 }\n"}
    assert _codes('use "sub/a.rlm"\nanswer f(1)\n', **files) == []
    assert _codes('use "sub/a.rlm"\nanswer g(1)\n', **files) == ["main.rlm:2 unknown-function"]  # not handed on


@pytest.mark.parametrize(
    ("main", "files", "expected"),
    [
        ('use "no.rlm"\nanswer f(1)\n', {}, ["main.rlm:1 use"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": "fn f(x: int) { y }\n"}, ["a.rlm:1 unknown-name"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": "fn f(x: int { y }\n"}, ["a.rlm:1 syntax"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": "input y: int\nfn f(x: int) { y }\n"}, ["a.rlm:2 unknown-name"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": 'y = call "x"\nfn f(x: int) { y }\n'}, ["a.rlm:2 unknown-name"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": 'use "main.rlm"\nfn f(x: int) { x }\n'}, ["a.rlm:1 use"]),
        ('use "a.rlm"\nanswer f(1)\n', {"a": 'use "b.rlm"\nfn f(x: int) { x }\n', "b": 'use "a.rlm"\n_x = 1\n'}, ["b.rlm:1 use"]),
        ('use "a.rlm"\nfn f(x: int) { x }\nanswer f(1)\n', {"a": "fn f(x: int) { x }\n"}, ["main.rlm:2 duplicate-function"]),
        ('use "a.rlm"\nuse "./a.rlm"\nanswer f(1)\n', {"a": "fn f(x: int) { x }\n"}, []),
    ],
)
def test_use_reports(main: str, files: dict[str, str], expected: list[str]) -> None:
    got = _codes(main, **files)
    assert [g if " syntax" not in e else e for g, e in zip(got, expected, strict=True)] == expected


# ---- turns ----


def test_turns_follow_one_another() -> None:
    first = check(parse('fn f(x: text) { call "x" on x }\nparts = chunks(data, 100)\nn = len(parts)\n'), turn=Turn({"data": TEXT}))
    assert first.diagnostics == ()
    second = check(parse("fn f(x: int) { x }\nn = [p for p in parts]\nanswer f(1) + len(n)\n"), turn=Turn(earlier=first))
    assert second.diagnostics == ()
    assert str(second.names["n"]) == "[text]"
    refused = check(parse('input x: text\nuse "./a.rlm"\nanswer 1\n'), turn=Turn())
    assert [d.code for d in refused.diagnostics] == ["not-here", "not-here"]


# ---- the library, effects, limits ----


def test_library_functions_are_checked_with_the_program() -> None:
    checked = check(parse('answer vote("Which?", 3, "x")\n'))
    assert list(checked.modules) == ["vote"]
    (function,) = checked.functions.values()
    assert function.library and function.effectful
    assert checked.program.statements[-1].value in checked.effects  # type: ignore[union-attr]
    assert check(parse('answer vote("Which?", 3, "x")\n')).functions.keys() == checked.functions.keys()


@pytest.mark.parametrize("name", library_names())
def test_the_standard_library_is_right(name: str) -> None:
    program = library(name)
    assert program is not None
    checked = check(program)
    assert [render(d) for d in checked.errors] == []
    assert checked.declared_functions[name].effectful


def test_effects_mark_calls_of_oneself_and_what_they_stand_in() -> None:
    checked = check(
        parse('fn f(t: text) -> text depth 3 {\n  x = if t { f(t[1:]) } else { call "x" }\n  [f(t)][0] + x\n}\nanswer f("abc")\n')
    )
    marked = sorted(n.span.text for n in checked.effects if isinstance(n, Apply))
    assert marked == ['f("abc")', "f(t)", "f(t[1:])"]
    assert all(checked.callees[n].effectful for n in checked.callees if isinstance(n, Apply) and n.name == "f")  # type: ignore[union-attr]
    assert any(n.span.text == "[f(t)][0]" for n in checked.effects)


def test_pure_programs_have_no_effects() -> None:
    assert not check(parse("xs = [x + 1 for x in range(9) if x > 3]\nanswer sorted(xs, key=x => -x)\n")).effects


def test_errors_are_capped_and_counted() -> None:
    text = "\n".join(f"x{i} = nope{i}" for i in range(100)) + "\nanswer 1\n"
    checked = check(parse(text))
    assert len(checked.errors) == limits.ERRORS
    assert checked.diagnostics[-1].message == "80 more errors not shown"
    lines = [d.span.line for d in checked.errors]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n" + "x = [x]\n" * 300 + "answer x\n",
        "x = 1\n" + "x = {a: x, b: x}\n" * 300 + "answer x\n",
        "x = 1\n" + "x = {...{a: x}, b: [x, x]}\n" * 100 + "answer x == x\n",
    ],
)
def test_types_that_grow_are_refused(text: str) -> None:
    assert {d.code for d in check(parse(text)).errors} == {"limit"}


@pytest.mark.parametrize(
    "text",
    [
        "answer " + "[" * 90 + "1" + "]" * 90,
        "answer " + "len([" * 40 + "1" + "])" * 40,
        "answer " + " + ".join(["1"] * 60),
        "answer " + "-" * 100 + "1",
        "x = none\nanswer " + " or ".join(["x"] * 100),
        "answer " + "[x for x in " * 40 + "[1]" + "]" * 40,
        "answer " + "sorted([1], key=x => " * 30 + "x" + ")" * 30,
        "answer " + "fold a, x in [1] from [] { " * 30 + "[1]" + " }" * 30,
        "answer " + "map x in [1] { y = x\n" * 30 + "y" + " }" * 30,
        "x0 = 'a' if true else 'b'\n"
        + "".join(f"x{i + 1} = x{i} if x{i} else x{i}\n" for i in range(300))
        + 'fn f(x: "a" | "b") { x }\nanswer f(x300)\n',
    ],
)
def test_deep_programs_end(text: str) -> None:
    try:
        check(parse(text))
    except ProgramError as error:
        assert all(d.code == "limit" for d in error.diagnostics)


# ---- laws of types ----

_TYPES: tuple[Type, ...] = (TEXT, INT, FLOAT, BOOL, NONE, NEVER, Enum(("a", "b")), Enum(("b", "c")))


def _compound(ts: tuple[Type, ...]) -> tuple[Type, ...]:
    records = [RecordOf((("a", t),)) for t in ts] + [RecordOf((("a", t), ("b", INT))) for t in ts[:3]]
    return (*ts, *(ListOf(t) for t in ts), *(optional(t) for t in ts if t is not NEVER), *records)


@pytest.mark.parametrize("a", _compound(_TYPES), ids=str)
def test_hull_holds_both(a: Type) -> None:
    assert fits(a, a)
    for b in _compound(_TYPES):
        joined, other = hull(a, b), hull(b, a)
        assert (joined is None) == (other is None)
        if joined is not None and other is not None:
            assert fits(a, joined) and fits(b, joined), (str(a), str(b), str(joined))
            assert fits(joined, other) and fits(other, joined)
        if fits(a, b) and not isinstance(a, RecordOf):
            assert joined is not None and fits(joined, b)


def test_similar_is_capped_and_ignores_case() -> None:
    assert similar("Count", ["count", "amount"]) == "count"
    assert similar("x" * 10_000, ["x"]) is None
    assert similar("qqq", ["abc"]) is None


# ---- messages, as they are shown ----


@pytest.mark.parametrize("text", _SHOWN, ids=[_name(t.split("\n====\n")[0]) for t in _SHOWN])
def test_message(text: str) -> None:
    program, shown = text.split("\n====\n")
    assert "\n\n".join(render(d) for d in check(parse(program, "p.rlm")).diagnostics) == shown.strip("\n")


# ---- whatever comes ----


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_CHUNKS), st.data())
def test_broken_programs_are_reported_not_raised(text: str, data: st.DataObject) -> None:
    """A program with some of its parts taken out or swapped is checked or refused: nothing else ever happens."""
    tokens = re.findall(r"\w+|\s+|[^\w\s]", re.sub(r"###.*", "", text))
    for _ in range(data.draw(st.integers(1, 3))):
        at, other = data.draw(st.integers(0, len(tokens) - 1)), data.draw(st.integers(0, len(tokens) - 1))
        tokens[at] = data.draw(st.sampled_from(["", tokens[other], "none", "[]", "x", "1"]))
    try:
        program = parse("".join(tokens))
    except ProgramError:
        return
    checked = check(program)
    assert [render(d) for d in checked.diagnostics] == [render(d) for d in check(program).diagnostics]
    if not checked.errors:
        _complete(checked)
