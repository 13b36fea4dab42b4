"""The formatter: laws on random programs, comments in every place, and golden cases."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Programs

from rlmlang.syntax import format_program, formatter, parse, same_tree

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("examples/**/*.rlm"), *ROOT.glob("stdlib/*.rlm")])


def formatted(text: str) -> str:
    """The canonical text, after checking what must hold of any."""
    program = parse(text)
    once = format_program(program)
    again = parse(once)
    assert same_tree(program, again), once
    assert sorted(c.text for c in again.comments) == sorted(c.text for c in program.comments), once
    assert format_program(again) == once, once
    return once


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_random_programs_keep_their_tree(seed: int) -> None:
    program = Programs(seed).program()
    text = format_program(program)
    assert same_tree(program, parse(text)), text
    assert formatted(text) == text


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from((8, 30)))
def test_comments_are_kept_wherever_a_line_may_end(seed: int, width: int) -> None:
    random = Random(seed)
    program = Programs(seed).program()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formatter, "WIDTH", width)  # so that lines end in as many places as they may
        narrow = format_program(program)
    lines: list[str] = []
    for number, line in enumerate(narrow.splitlines()):
        if random.random() < 0.2:
            lines.append(random.choice(("", "   ")) + f"# above {number}")
        if random.random() < 0.1:
            lines.append("")
        lines.append(f"{line} # behind {number}" if random.random() < 0.3 else line)
    lines += ["", "# last"]
    assert same_tree(parse(formatted("\n".join(lines))), program)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_programs_of_the_repository_are_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text


def test_lines_are_at_most_as_wide_as_asked_where_they_can_break() -> None:
    text = "x = f(" + ", ".join(f"name_{i}(a + b, [c, d], {{e: f}})" for i in range(40)) + ")\n"
    assert max(map(len, formatted(text).splitlines())) <= formatter.WIDTH


# each as written, and as it is to be; alone where it is so already
GOLDEN = [
    ("x=1", "x = 1"),
    ("x = True\ny=None", "x = true\ny = none"),
    ("x = 'a' + 'say \"so\"' + 'it\\'s' + r'\\d' + F'{a}'", 'x = "a" + \'say "so"\' + "it\'s" + r"\\d" + f"{a}"'),
    ('x = """\n  a\n "b" """',),
    ("x = '''a'''",),
    ('x = f"{ a+b :.2f}{ {c:1}.c }{join(xs, ", ")}"', "x = f\"{a + b:.2f}{ {c: 1}.c}{join(xs, ', ')}\""),
    ("x = ((a))+(b*c)", "x = a + b * c"),
    ("x = (a + b) * c - (d - e)",),
    ("x = (-a) ** -b ** (c ** d)", "x = (-a) ** -b ** c ** d"),
    ("x = not (a == b) and (not c) == d", "x = not a == b and (not c) == d"),
    ("x = (a < b) == c",),
    ('x = (call "a") + b',),
    ('x = a + call "b" on c',),
    ('x = a + (call "b" on c) + d',),
    ('x = (call "a" -> bool) and b',),
    ('x = (call "a" on b, c) + d',),
    ('x = call "a" on b, c if d else e otherwise f',),
    ('x = f((call "a" on b, c), k=call "d" on e)',),
    ('x = [call "a" on b, c]',),
    ('x = [(call "a" on b), (call "c")]',),
    ('x = [(solve "a" on b, c), d]',),
    ('x = call "a" on (call "b" on c)',),
    ('x = call "a" on ({b: 1})',),
    ('x = call "a" on {b, c.d, e: 1} -> {f: text?} with {sample: i}',),
    ("x = (fail a) + b",),
    ("x = (map a in b { c }) + d",),
    ("x = -(first 3 a in b where c) * d",),
    ("x = (a if b else c) if d else e",),
    ("x = (a if b else c) if d else (e if f else g)",),
    ("x = a if b else c if d else e",),
    ("x = a otherwise (b otherwise c)",),
    ("x = ((map a in b { c }) otherwise (skip))", "x = map a in b { c } otherwise (skip)"),
    ("x = [(a otherwise skip) for a in b]", "x = [a otherwise (skip) for a in b]"),
    ("x = [a otherwise skip for a in b]", "x = [a for a in b] otherwise skip"),
    ("x = [a otherwise skip for a in b for a in c]",),
    ("x = map(lambda a: a + 1, b)", "x = [a + 1 for a in b]"),
    ("x = filter(lambda a: a > 1, b)", "x = [a for a in b if a > 1]"),
    ("x = filter(lambda a, b: a > b, c)", "x = filter((a, b) => a > b, c)"),
    ("x = map(a => a, [a for a in b if c])", "x = [a for a in [a for a in b if c]]"),
    ("x = reduce(lambda a, b: a + b, c, 0)", "x = reduce((a, b) => a + b, c, 0)"),
    ("x = fold(lambda a, b: a + b, c, 0)", "x = fold a, b in c from 0 { a + b }"),
    ("x = sorted(a, key=lambda b: b.c)", "x = sorted(a, key=b => b.c)"),
    ("x = f(lambda map: map)", "x = f(lambda map: map)"),
    ("x = sum(a for a in b)", "x = sum([a for a in b])"),
    ("x = {a: 1, 'b': 2, \"c d\": 3, ...e,}", 'x = {a: 1, b: 2, "c d": 3, ...e}'),
    ("x = (1).f", "x = (1).f"),
    ("x = a[ 1 : ][ : -1 ]", "x = a[1:][:-1]"),
    ("(type) + 1",),
    ("fn f() { (input).a }",),
    ("type T = 'a'|\"b\" | none", 'type T = "a" | "b" | none'),
    ("type T = list[ {a:text?,} ]", "type T = [{a: text?}]"),
    ("x = if a { 1 } else { if b { 2 } else { 3 } }", "x = if a { 1 } else if b { 2 } else { 3 }"),
    ("fn f(a:text,b:int=3)->text depth 2{a}", "fn f(a: text, b: int = 3) -> text depth 2 { a }"),
    ("x = 1\n\n\n\ny = 2\n\n", "x = 1\n\ny = 2"),
    ("\n\n# a\n\n\n# b\nx = 1 # c\n# d\n\n", "# a\n\n# b\nx = 1  # c\n# d"),
    ("x = [ # a\n# b\n1, # c\n2 # d\n, # e\n]", "x = [  # a\n  # b\n  1,  # c\n  2  # d\n  # e\n]"),
    ("x = { # a\n}", "x = {  # a\n}"),
    ("x = a + # b\n  c", "x = a +  # b\n  c"),
    ("x = # a\n  b", "x =  # a\n  b"),
    ("x = (a # b\n).c", "x = a.c  # b"),
    (
        "x = if a { # b\n1 # c\n}\n# d\nelse { # e\n2 }",
        "x = if a {  # b\n  1  # c\n}\n# d\nelse {  # e\n  2\n}",
    ),
    (
        "x = map a in b { # c\n\n# d\n\ny = 1 # e\n\n# f\n y # g\n# h\n}",
        "x = map a in b {  # c\n  # d\n\n  y = 1  # e\n\n  # f\n  y  # g\n  # h\n}",
    ),
    ("x = a otherwise # b\n c", "x = a otherwise  # b\n  c"),
    ('x = f"{f( # a\n1)}"', 'x = f"{f( # a\n1)}"'),
    (
        "if done { xs[0] } else { y = 1\n y }",
        "if done { xs[0] } else {\n  y = 1\n  y\n}",
    ),
    (
        "answer {" + ", ".join(f"field_{i}: value_{i}.of_it" for i in range(5)) + "}",
        "answer {\n" + ",\n".join(f"  field_{i}: value_{i}.of_it" for i in range(5)) + "\n}",
    ),
    (
        'answer flatten([call f"A long question about {topic} and what it is about" on piece -> [text; 10] for piece in pieces])',
        'answer flatten([\n  call f"A long question about {topic} and what it is about" on piece -> [text; 10]\n  for piece in pieces\n])',
    ),
    (
        "x = " + " and ".join(f"some_condition_{i}" for i in range(6)),
        "x = " + " and\n  ".join(f"some_condition_{i}" for i in range(6)),
    ),
]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case[0][:40])
def test_golden(case: tuple[str, ...]) -> None:
    assert formatted(case[0]) == f"{case[-1]}\n"


def test_long_lists_of_literals_are_filled() -> None:
    lines = formatted("x = [" + ", ".join(str(i) for i in range(60)) + "]").splitlines()
    assert len(lines) == 5 and all(len(line) <= formatter.WIDTH for line in lines)


def test_layout_of_the_author_does_not_matter() -> None:
    text = (ROOT / "examples/find_in_repo/find.rlm").read_text("utf-8").split("\n\n", 2)[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formatter, "WIDTH", 12)
        narrow = format_program(parse(text))
    assert narrow != text
    assert format_program(parse(narrow)) == format_program(parse(text))
