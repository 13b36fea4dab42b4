"""The program that a solve leaves behind gives what its turns gave, by requests that they made."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from commandline import Shell, rlm
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference, Scope, known
from scripted import SETTINGS, VirtualLoop
from test_laws import _MODEL, _now, _reply
from typed_programs import SCALARS, AnyModel, TypedPrograms

import rlmlang
from rlmlang.check import Checked, Turn, check
from rlmlang.errors import Failure, LimitError, UsageError
from rlmlang.lm import client
from rlmlang.lm.render import render
from rlmlang.lm.request import Completion, Request
from rlmlang.solve.keep import kept_program
from rlmlang.syntax import format_program, parse
from rlmlang.syntax import nodes as n
from rlmlang.types import DIR, FILE, INT, JSON, NEVER, TEXT, Enum, ListOf, Optional, RecordOf, Tuple, Type

__all__ = ["rlm"]

ROW = RecordOf((("id", INT), ("note", TEXT)))
INPUTS: dict[str, Type] = {"rows": ListOf(ROW), "doc": TEXT, "repo": DIR}


def turns_of(*programs: str, inputs: dict[str, Type] = INPUTS) -> list[Checked]:
    """The programs checked as turns that follow one another."""
    turns: list[Checked] = []
    for text in programs:
        turn = Turn(earlier=turns[-1]) if turns else Turn(names=inputs)
        turns.append(check(parse(text), turn=turn))
        assert not turns[-1].errors, (text, [d.message for d in turns[-1].errors])
    return turns


def kept(*programs: str, inputs: dict[str, Type] = INPUTS) -> str:
    """The kept program, which is right and in the canonical layout."""
    text = kept_program(turns_of(*programs, inputs=inputs), inputs)
    again = check(parse(text))
    assert not again.errors, (text, [d.message for d in again.errors])
    assert not [d for d in again.warnings if d.code.startswith("unused")], text
    assert format_program(parse(text)) == text
    return text


def test_turns_are_joined_and_dead_code_is_dropped() -> None:
    text = kept(
        "# a look at the data\nrows[:3]\n",
        "n = len(rows)\n# what they say\nshort = [r for r in rows if len(r.note) < 9]  # short\nfn unused(x: text) -> text { x }\nn\n",
        'moods = [call "Mood?" on r.note -> "good" | "bad" for r in short]\nmoods[:2]',
        '# the share\nanswer count(moods, "good") / max(n, 1)',
    )
    assert text == (
        "input rows: [{id: int, note: text}]\n\n"
        "n = len(rows)\n"
        "# what they say\n"
        "short = [r for r in rows if len(r.note) < 9]  # short\n\n"
        'moods = [call "Mood?" on r.note -> "good" | "bad" for r in short]\n\n'
        "# the share\n"
        'answer count(moods, "good") / max(n, 1)\n'
    )


def test_a_name_bound_again_shadows_from_there_on() -> None:
    text = kept("x = 1\nfn f() -> int { x }", "y = x\nx = 10\nfn g() -> int { x }", "answer {a: f(), b: g(), x, y}")
    assert rlmlang.run(text).answer == {"a": 1, "b": 10, "x": 10, "y": 1}


def test_a_function_sees_what_stood_above_it() -> None:
    assert kept("x = 1\nfn f() -> int { x }", "x = 2", "answer f()") == "x = 1\nfn f() -> int { x }\n\nanswer f()\n"


def test_what_is_shadowed_and_unused_goes() -> None:
    assert kept('x = call "first"', 'x = call "second"', "answer x") == 'x = call "second"\n\nanswer x\n'


def test_an_input_may_be_shadowed() -> None:
    assert kept("doc = doc.upper()", "answer doc") == "input doc: text\n\ndoc = doc.upper()\n\nanswer doc\n"
    assert kept('doc = "mine"', "answer doc") == 'doc = "mine"\n\nanswer doc\n'


def test_functions_declared_again_are_told_apart() -> None:
    text = kept(
        "fn f(x: int) -> int { x + 1 }\na = f(1)\nfn twice(x: int) -> int { f(f(x)) }",
        "fn f(x: int) -> int depth 9 { if x < 1 { 0 } else { f(x - 1) + 2 } }\nb = f(1)",
        'answer {a, b, c: twice(1), d: [f(x) for x in [1]], e: map(f, [3]), f: f"{f(4)}", g: (1).f(), f_2: sorted([1, 2], key=f)}',
    )
    assert text.count("fn f(") == 1 and text.count("fn f_3(") == 1 and "f_2:" in text  # f_2 is a word of the program already
    assert rlmlang.run(text).answer == {"a": 2, "b": 2, "c": 3, "d": [2], "e": [6], "f": "8", "g": 2, "f_2": [1, 2]}


def test_only_what_is_declared_twice_and_used_twice_is_renamed() -> None:
    text = kept("fn f() -> int { 1 }", "fn f() -> int { 2 }", "answer f()")
    assert text == "fn f() -> int { 2 }\n\nanswer f()\n"


def test_types_declared_again_are_told_apart() -> None:
    text = kept(
        'type type_ = int\ntype Mood = "good" | "bad"\nfn f(x: Mood) -> Mood { x }\na = call "one" -> Mood',
        'type Mood = "happy" | "sad"\nb = call "two" -> [Mood; 3]\nc = call "three" -> {m: Mood?}',
        "answer {a: f(a), b, c}",
    )
    assert 'type Mood = "good" | "bad"' in text and 'type Mood_2 = "happy" | "sad"' in text
    assert "-> [Mood_2; 3]" in text and "-> {m: Mood_2?}" in text and "fn f(x: Mood) -> Mood" in text
    assert "type type_" not in text


def test_a_library_function_before_one_of_that_name() -> None:
    text = kept('a = head("x\\ny", 1)', 'fn head(x: text) -> text { x.upper() }\nb = head("q")', "answer {a, b}")
    assert rlmlang.run(text).answer == {"a": "x\n", "b": "Q"}
    assert "search_2" not in kept('a = search("q", doc)', "fn search(x: text) -> text { x }", 'answer {a, b: search("q")}')


def test_names_that_are_part_of_a_request_stay() -> None:
    text = kept('report = call "one"', 'report = call "two" on {report}', 'answer solve "three" on report')
    assert text == 'report = call "one"\n\nreport = call "two" on {report}\n\nanswer solve "three" on report\n'


def test_names_bound_inside_are_not_those_outside() -> None:
    text = kept(
        "x = 1\nr = 2\na = 3\nacc = 4\np = 5\nq = 6\ni = 7\nz = 8",
        "fn f(p: int) -> int { z = p\n z }",
        "answer {m: [x for x in [1]], n: map i, r in [1] { i + r }, o: reduce a, b in [1] { a + b }, "
        "s: fold acc, b in [1] from 0 { acc + b }, t: sorted([1], key=q => q), u: f(1), v: first 1 x in [1] where x > 0}",
    )
    assert text.count(" = ") == 1, text  # the z of the function


def test_an_unpacked_pair_is_kept_whole() -> None:
    assert kept("a, b = [1, 2]", "a = 5", "answer b") == "a, b = [1, 2]\n\nanswer b\n"


def test_a_default_and_a_condition_are_uses() -> None:
    text = kept("n = 3\nfn f(x: int = n) -> int { x }\nk = 1", "answer [x for x in rows if f() > x.id and k in [1]]")
    assert text.startswith("input rows:") and "n = 3" in text and "k = 1" in text


def test_what_is_shown_last_is_the_answer_where_none_is_given() -> None:
    assert kept("a = 1", "(\n  a # here\n)") == "a = 1\n\nanswer a # here\n".replace(" # here", "  # here")
    with pytest.raises(UsageError, match="no turn has an answer"):
        kept_program(turns_of("a = 1"), {})


def test_turns_that_are_too_large_together_are_refused() -> None:
    turns = [f'x{i} = "{"a" * 60_000}"' for i in range(2)]
    with pytest.raises(UsageError, match=r"the turns together are no program: the program has 120,\d+ characters"):
        kept_program(turns_of(*turns, "answer x0 + x1"), {})


def test_what_a_solve_keeps_is_answered_by_the_memo(rlm: Shell) -> None:
    rlm.write("rows.csv", "id,note\n1,fine\n2,awful\n")
    first = "short = [r for r in rows if len(r.note) < 9]\nshort[:1]"
    second = 'moods = [call "How does it sound?" on r.note -> "good" | "bad" for r in short]\nanswer count(moods, "good")'
    model = rlm.rules(
        {"match": r"short\[:1\]", "reply": f"```rlm\n{second}\n```"},
        {"match": "(?s)How does it sound.*fine", "reply": "good"},
        {"match": "How does it sound", "reply": "bad"},
        {"match": "(?s).*", "reply": f"```rlm\n{first}\n```"},
    )
    shared = ("--model", model, "--memo", "memo", "--quiet")
    solved = rlm("solve", "How many are good?", "--context", "rows.csv", "--save", "out.rlm", *shared)
    assert (solved.code, solved.out) == (0, "1\n"), solved.err
    assert rlm("check", "out.rlm").code == 0 and rlm("fmt", "--check", "out.rlm").code == 0
    again = rlm("run", "out.rlm", "rows=@rows.csv", *shared, "--offline", "--json")
    assert again.json["answer"] == 1 and again.json["used"]["from_memo"] == 2
    rlm.write("more.csv", "id,note\n1,fine\n2,fine\n3,awful\n")
    assert rlm("run", "out.rlm", "rows=@more.csv", *shared).out == "2\n"


def test_texts_that_look_like_comments_and_statements_stay() -> None:
    program = 'a = """\n  # not a comment\n\n  answer 3\n  # last"""\nb = f"{a}"\nanswer [a, b]'
    assert rlmlang.run(kept(program)).answer == ["# not a comment\n\nanswer 3\n# last"] * 2


def test_a_comment_goes_with_what_it_is_about() -> None:
    text = kept("# about nothing\n\n# about a\n  a = 1 # end of a\n# about b\nb = 2\n# the end\n", "answer a")
    assert text == "# about a\na = 1  # end of a\n\nanswer a\n"


def test_the_question_stands_on_top() -> None:
    question = "How many\n\x1b[31mare there? " + "very " * 300
    text = kept_program(turns_of("answer 1"), {}, question)
    assert text.startswith("# How many \\x1b[31mare there? very very")
    assert all(line.startswith("# ") for line in text.split("\n\n")[0].split("\n")) and len(text) < 1_200
    assert check(parse(text)).result == INT


def test_long_records_get_a_name() -> None:
    wide = RecordOf(tuple((f"a_rather_long_name_{i}", TEXT) for i in range(6)))
    inputs: dict[str, Type] = {"rows": ListOf(Optional(wide)), "Row": INT, "settings": wide, "b": ListOf(RecordOf((("x y", JSON),)))}
    text = kept("answer {n: len(rows), Row, s: settings.a_rather_long_name_1, b}", inputs=inputs)
    assert "input rows: [Row_2?]" in text and "type Settings = {" in text and "input settings: Settings" in text
    assert 'input b: [{"x y": json}]' in text


def test_types_that_no_program_writes_are_declared_as_what_holds_them() -> None:
    inputs: dict[str, Type] = {"pairs": ListOf(Tuple((INT, TEXT))), "none": JSON, "e": ListOf(NEVER), "f": FILE}
    text = kept("answer {n: len(pairs), m: len(e), f: f.name}", inputs=inputs)
    assert "input pairs: [[json]]" in text and "input e: [json]" in text and "input f: file" in text


# ---- the law ----


class RandomTurns(TypedPrograms):
    """Turns that bind and declare the same few names again and again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.scope: list[tuple[str, Type]] = []
        self.types: dict[str, Type] = {}
        self.declared: set[str] = set()

    def name(self, prefix: str) -> str:
        if prefix == "f":
            name = self.random.choice([f for f in ("f", "g", "h") if f not in self.declared])
            self.declared.add(name)
            self.functions = [f for f in self.functions if f[0] != name]
            return name
        return super().name(prefix)

    def _call(self, type_: Type, depth: int, scope: list[tuple[str, Type]]) -> str:
        """Without batches: which calls go together in one request may differ, as in two runs of one program."""
        return re.sub(r" with \{batch: \d+\}", "", super()._call(type_, depth, scope))

    def turn(self, *, last: bool) -> str:
        r = self.random
        self.declared = set()
        lines: list[str] = []
        if r.random() < 0.4:
            name, type_ = r.choice(("T", "U")), r.choice((INT, Enum(("red", "green", "blue")), ListOf(TEXT, 3)))
            self.types[name] = type_
            lines.append(f"type {name} = {type_}")
        for _ in range(r.randint(1, 3)):
            if len(self.declared) < 2 and r.random() < 0.4:
                lines += self.function(self.scope)
            if r.random() < 0.2:
                lines.append(f"# about the next line{r.choice(('', chr(10)))}")
            name = r.choice(("a", "b", "c", "doc"))
            if self.types and r.random() < 0.3:
                declared = r.choice(sorted(self.types))
                type_ = self.types[declared]
                lines.append(f'{name} = call "a {declared}" -> {declared}')
            else:
                type_ = r.choice((*SCALARS, ListOf(INT), ListOf(TEXT), ROW, Optional(TEXT)))
                lines.append(f"{name} = {self.expr(type_, 2, self.scope)}{r.choice(('', '  # so'))}")
            self.scope = [(n, t) for n, t in self.scope if n != name] + [(name, type_)]
        type_ = r.choice((INT, TEXT, ListOf(TEXT)))
        if last:
            fields = [name for name, _ in self.scope if r.random() < 0.6]
            for name, params, _ in self.functions:
                fields.append(
                    f"of_{name}: {name}({', '.join(self.expr(t, 1, self.scope) for t in params)}){r.choice(('', ' otherwise none'))}"
                )
            lines.append(f"answer {{{', '.join([*fields, f'last: {self.expr(type_, 2, self.scope)}'])}}}")
        elif r.random() < 0.5:
            lines.append(self.expr(type_, 2, self.scope))
        return "\n".join(lines) + "\n"


class Turned(Reference):
    """The reference, turn by turn: every binding of a turn is computed in it."""

    def turn(self, checked: Checked, scope: Scope) -> tuple[Scope, Any]:
        self.checked = checked
        for module in checked.modules.values():
            self.statements(module, {})
        shown: Any = None
        for statement in checked.program.statements:
            match statement:
                case n.Bind() | n.Unpack():
                    scope = self.bound(statement, scope, (None, 0))
                    for name in (statement.name,) if isinstance(statement, n.Bind) else statement.names:
                        scope[name]()
                case n.Fn():
                    self.scopes[statement] = scope
                case n.Answer() | n.Shown():
                    shown = self.value(statement.value, scope, (None, 0))
                case _:
                    pass
        return scope, shown


class Recording(AnyModel):
    """`AnyModel`, which keeps the keys of what it was asked."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, trouble=0.02)
        self.keys: set[bytes] = set()

    async def complete(self, request: Request) -> Completion:
        self.keys.add(request.key)
        return await super().complete(request)


def run(text: str, inputs: dict[str, Any], model: AnyModel) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "open_provider", lambda _: model)
        patch.setattr(asyncio, "Runner", partial(_RUNNER, loop_factory=VirtualLoop))
        return rlmlang.run(text, SETTINGS, **inputs).to_json()["answer"]


_RUNNER = asyncio.Runner


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1_000_000))
def test_the_kept_program_gives_what_the_turns_gave(seed: int) -> None:
    made = RandomTurns(seed)
    inputs: dict[str, Type] = {"doc": TEXT, "rows": ListOf(ROW)}
    values = {name: made.value(type_) for name, type_ in inputs.items()}
    made.scope = list(inputs.items())
    model, asked = Recording(seed), set[bytes]()
    turns: list[Checked] = []

    def sent(request: Request) -> Completion:
        asked.add(request.key)
        return _now(model, request)

    def ask(node: n.Call, prompt: str, data: list[tuple[str | None, Any]], sample: int, system: str | None) -> Any:
        options: dict[str, Any] = {o.name: o.value.value for o in node.options if isinstance(o.value, n.Literal)}
        type_ = reference.checked.reply_types[node]
        request = render(prompt, data, type_, _MODEL, max_tokens=options.get("max_tokens"), sample=sample, system=system)
        return _reply(request, sent)

    reference: Turned = Turned(check(parse("answer 1")), ask)
    scope: Scope = {name: known(value) for name, value in values.items()}
    answered, count = None, Random(seed).randint(2, 4)
    for at in range(count):
        before = list(made.scope), list(made.functions), dict(made.types)
        text = made.turn(last=at == count - 1)
        checked = check(parse(text), turn=Turn(earlier=turns[-1]) if turns else Turn(names=inputs))
        try:
            assert not checked.errors
            scope, answered = reference.turn(checked, scope)
        except (AssertionError, Failure, LimitError):
            made.scope, made.functions, made.types = before  # a failed turn's code does not exist
            answered = None
        else:
            turns.append(checked)
    if not turns or not isinstance(turns[-1].program.statements[-1], n.Answer):
        return
    text = kept_program(turns, inputs)
    again = check(parse(text))
    assert not again.errors, (text, [d.message for d in again.errors])
    answer = run(text, {v.name: values[v.name] for v in again.inputs}, model)
    assert answer == json.loads(json.dumps(answered)), text
    if not re.search(r" otherwise |\bfirst |take\(", text):  # there calls may have been sent that the reference does not need
        assert model.keys <= asked, text


def test_the_page_about_it_is_right() -> None:
    page = (Path(__file__).parents[1] / "docs" / "solve.md").read_text("utf-8").split("## Keeping the program")[1]
    *turns, program, _ = re.findall(r"^```\w+\n(.*?)^```$", page, re.M | re.S)
    inputs: dict[str, Type] = {"rows": ListOf(ROW)}
    assert kept_program(turns_of(*turns, inputs=inputs), inputs, "What share of the short notes is in a good mood?") == program
