"""The parser: chunks of `syntax.rlm`, hostile texts, the grammar's promises, and messages for the mistakes people and models make.

The expectations of a chunk are explained at its top.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from random import Random

import pytest
from lark import Lark, UnexpectedInput
from programs import Programs, mutated

from rlmlang import limits
from rlmlang.errors import ProgramError
from rlmlang.syntax import format_program, parse, same_tree
from rlmlang.syntax.diagnostics import Diagnostic, render, render_all
from rlmlang.syntax.nodes import Bind, FString, Program, RecordField
from rlmlang.syntax.tables import grammar_text, parser
from rlmlang.syntax.walk import walk

HERE = Path(__file__).parent
ROOT = HERE.parent


def errors_of(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ProgramError) as raised:
        parse(text)
    return raised.value.diagnostics


# ---- chunks ----


def chunks() -> list[tuple[int, str]]:
    """The line and the text of each chunk."""
    found, line = [], 2
    text = (HERE / "chunks/syntax.rlm").read_text("utf-8").split("\n", 1)[1]
    for chunk in text.split("\n---\n"):
        found.append((line, chunk))
        line += chunk.count("\n") + 2
    return found


CHUNKS = chunks()


@pytest.mark.parametrize(("at", "chunk"), list(enumerate(chunk for _, chunk in CHUNKS)), ids=[f"line {line}" for line, _ in CHUNKS])
def test_chunk(at: int, chunk: str) -> None:
    expected = re.findall(r"^### (.*)", chunk, re.MULTILINE)
    assert expected, "a chunk without an expectation"
    if expected[0].startswith("error"):
        met = [f"error {d.code} {d.span.line}:{d.span.column}" for d in errors_of(chunk)]
        assert met == expected
    else:
        program = parse(chunk)
        if expected[0] == "same":
            assert same_tree(program, parse(CHUNKS[at + 1][1]))


def test_same_tree_tells_trees_apart() -> None:
    texts = ["x = 1", "x = 1.0", "x = true", "y = 1", "x = a - b - c", "x = a - (b - c)", "x = [a]", "x = [a, b]", "x = f(a)", "x = f(k=a)"]
    for at, one in enumerate(texts):
        for other in texts[at + 1 :]:
            assert not same_tree(parse(one), parse(other)), (one, other)


# ---- places ----


def spans(text: str) -> list[str]:
    return [f"{type(node).__name__} {node.span.line}:{node.span.column} {node.span.text}" for node in walk(parse(text))][1:]


def test_places_within_f_strings() -> None:
    text = 'x = f"é{a}{ {b}[c] }" + f"""\n  {d.e}"""'
    met = spans(text)
    for expected in ("Name 1:9 a", "Interpolation 1:11 { {b}[c] }", "Name 1:14 b", "Name 1:17 c", "FieldAccess 2:4 d.e"):
        assert expected in met


def test_every_span_is_the_text_of_its_node() -> None:
    for node in walk(parse('answer {a: [b.c, -d], e: call f"x{g}" on h -> text}')):
        assert node.span.text.strip() == node.span.text or isinstance(node, Program)
        if isinstance(node, RecordField):
            assert node.span.text.startswith(node.name)


@pytest.mark.parametrize("text", ["\ufeffx = 1\r\ny = a b\r\n", "x = 1\ry = a b", "x = 1\ny = a b"])
def test_byte_order_mark_and_line_ends(text: str) -> None:
    (error,) = errors_of(text)
    assert (error.span.line, error.span.column) == (2, 7)


def test_comments_are_kept_with_their_places() -> None:
    program = parse("# a\nx = [ # b\n  1, # c\n  # d\n]\n\n  # e")
    assert [(c.text, c.span.line, c.span.column) for c in program.comments] == [
        *(("# a", 1, 1), ("# b", 2, 7), ("# c", 3, 6)),
        *(("# d", 4, 3), ("# e", 7, 3)),
    ]


# ---- hostile texts ----

WIDE = 100_000


def nested(before: str, middle: str, after: str, n: int) -> str:
    return "x = " + before * n + middle + after * n


@pytest.mark.parametrize(
    "before, after", [("(", ")"), ("[", "]"), ("{a: ", "}"), ("f(", ")"), ("map x in xs { ", " }"), ('f"{', '}"'), ("x[", "]")]
)
@pytest.mark.parametrize("closed", [True, False])
def test_nested_brackets(before: str, after: str, closed: bool) -> None:
    n = WIDE // len(before + after) - 10
    (error,) = errors_of(nested(before, "1", after if closed else "", n))
    assert error.code == "limit" and "nested" in error.message


@pytest.mark.parametrize(
    "text",
    [
        nested("", "a", " + a", 2000),
        nested("", "a", ".f()", 3000),
        nested("", "a", "[0]", 3000),
        nested("not ", "a", "", 3000),
        nested("call ", '"a"', "", 3000),
        nested("if a { 1 } else ", "{ 2 }", "", 2000),
        nested("1 if a else ", "2", "", 2000),
        nested("", "1", " otherwise 2", 2000),
        "x = [x for x in xs" + " if x" * 3000 + "]",
        "x = [x" + " for x in xs" * 2000 + "]",
        "x = {a" + ".a" * 3000 + "}",
        "type T = " + "[" * 99 + "text" + "]" * 99 + "?" * 0 + " | " + "[" * 3000,
    ],
    ids=lambda text: text[:24],
)
def test_deep_trees_without_brackets(text: str) -> None:
    assert errors_of(text)[0].code == "limit"


DEEP = {
    "lists": ("[", "1", "]"),
    "calls of functions": ("f(", "1", ")"),
    "lambdas": ("f(x => ", "1", ")"),
    "prompts": ("call ", '"a"', ""),
    "failures": ("fail ", '"a"', ""),
    "maps": ("map x in xs { ", "1", " }"),
    "sources": ("map x in ", "xs", " { x }"),
    "bindings": ("map x in xs {\ny = ", "1", "\ny\n}"),
    "ifs": ("if a { ", "1", " } else { 2 }"),
    "ladders": ("if a { 1 } else ", "{ 2 }", ""),
    "choices": ("1 if a else ", "2", ""),
    "sums": ("", "1", " + 2"),
    "powers": ("a ** ", "2", ""),
    "methods": ("", "x", ".a()"),
    "comprehensions": ("[", "x", " for x in xs]"),
    "texts": ('f"{', "1", '}"'),
    "firsts": ("first 3 x in xs where ", "a", ""),
    "folds": ("fold a, b in xs from ", "0", " { a }"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_the_deepest_trees_that_parse_can_be_formatted(kind: str) -> None:
    """With 350 frames of the host below, as in a test, a server, or a notebook."""
    low, high = 1, limits.TREE_DEPTH
    while low < high:
        middle = (low + high + 1) // 2
        try:
            parse(nested(*DEEP[kind], middle))
            low = middle
        except ProgramError:
            high = middle - 1
    assert low > 25

    def lower(frames: int) -> str:
        return lower(frames - 1) if frames else format_program(parse(text))

    text = nested(*DEEP[kind], low)
    assert same_tree(parse(text), parse(lower(350)))


def test_sizes() -> None:
    """10 MB; a name and a number of 100,000 characters; many statements."""
    assert errors_of("x = 1\n" * 2_000_000)[0].code == "limit"
    assert errors_of("a" * (limits.SOURCE_CHARS - 10) + " = 1")[0].code == "limit"
    assert errors_of("x = " + "1" * 5000)[0].code == "limit"
    assert len(parse("x = 1\n" * 5_000).statements) == 5_000


@pytest.mark.parametrize(
    "text",
    ['x = "' + "a" * 90_000, 'x = """' + 'a"' * 45_000, 'x = f"""' + "{a}" * 3_000, 'x = f"' + "a" * 90_000, "x = r'" + "\\'" * 45_000],
)
def test_unterminated_texts(text: str) -> None:
    (error,) = errors_of(text)
    assert len(render(error)) < 2_000


@pytest.mark.parametrize(
    "text",
    ["x = \0", "x\u202e = 1", "x = 1\u2028", "x = 1\x0c", "x = \ud800", "x = '\u2066'", "x = 1\ufeff", "x = 1\x85"],
    ids=ascii,
)
def test_characters_that_deceive(text: str) -> None:
    (error,) = errors_of(text)
    assert error.code == "bad-character"
    assert render(error).replace("\n", "").isprintable()
    render(error).encode()


@pytest.mark.parametrize("name", ["аnswer", "ｘ", "ﬁ", "x̂", "x²", "Ⅷ", "ẋ"])
def test_names_of_other_letters(name: str) -> None:
    assert errors_of(f"{name} = 1")[0].code == "syntax"


def test_many_errors() -> None:
    diagnostics = errors_of("x = = 1\n" * 10_000)
    assert len(diagnostics) == limits.ERRORS
    assert [d.span.line for d in diagnostics] == list(range(1, limits.ERRORS + 1))
    assert len(errors_of("x = {a: 1, a: 2}\n" * 500)) == limits.ERRORS


@pytest.mark.parametrize(
    "text",
    [
        "```rlm\nanswer 1\n```",
        "Here is the program:\n\n```\nanswer 1\n```\nIt answers one.",
        "Sure! This program finds the files.\nanswer 1",
        "answer 1\n\nThis program answers with one.",
        "diff --git a/x.rlm b/x.rlm\n@@ -1 +1 @@\n-answer 1\n+answer 2",
        "<program>\nanswer 1\n</program>",
        "# Solution\n\n1. First we read the text.\n2. Then we answer it.\n",
    ],
)
def test_what_models_write_around_programs(text: str) -> None:
    (error,) = errors_of(text)
    assert error.code == "not-a-program" and error.hint


def test_hostile_bytes_never_escape() -> None:
    """Whatever the text, only ProgramError leaves, with printable messages below 2 KB."""
    random = Random(7)
    pieces = [
        '"',
        "'",
        '"""',
        "f'",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\\",
        "\n",
        "\t",
        " ",
        "é",
        "\U0001d11e",
        "#",
        "call ",
        "if ",
        "1e9",
        "x",
        ":",
        "->",
        "...",
        "?",
        "`",
    ]
    for _ in range(400):
        text = "".join(random.choice(pieces) for _ in range(random.randint(1, 40)))
        try:
            parse(text)
        except ProgramError as error:
            for diagnostic in error.diagnostics:
                assert len(render(diagnostic)) < 2_500
                assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(diagnostic.span.source.text)


# ---- the grammar ----

_STARTS = ("", '"', "'", '"""', "'''", 'f"', 'f"""', "r'", 'r"""', "1", "\n")
_UNITS = ("a", "\\", '"', "'", "{", "0_", "0", "\n ", "#\n", " ", '\\"', '""a', '"a', "\\\n", "1e", ".", ",")
_LINEAR = f"""
import re
from rlmlang.syntax.tables import parser
patterns = [re.compile(terminal.pattern.to_regexp()) for terminal in parser().terminals if terminal.pattern.type == "re"]
for start in {_STARTS!r}:
    for unit in {_UNITS!r}:
        text = start + unit * 20_000 + "!"
        for pattern in patterns:
            pattern.match(text)
print("linear")
"""


def test_every_terminal_is_linear() -> None:
    """A terminal with super-linear growth would take many minutes on these texts; all together take a second."""
    done = subprocess.run([sys.executable, "-c", _LINEAR], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "linear\n", done.stderr


def test_no_conflict_but_shifts() -> None:
    """Reduce/reduce conflicts would be refused here; the shift/reduce ones are those that the grammar's header explains."""
    Lark(grammar_text(), parser="lalr", lexer="contextual", start="program")


@cache
def _matcher():  # type: ignore[no-untyped-def]
    llguidance = pytest.importorskip("llguidance")
    grammar = llguidance.LLMatcher.grammar_from_lark("start: program\n" + grammar_text())
    tokenizer = llguidance.LLTokenizer("byte")
    assert llguidance.LLMatcher.validate_grammar(grammar, tokenizer) == ""
    return llguidance.LLMatcher(tokenizer, grammar), tokenizer


def constrained(text: str) -> bool:
    """Whether a constrained decoder could write `text`."""
    matcher, tokenizer = _matcher()
    matcher.reset()
    tokens = tokenizer.tokenize_bytes(text.encode())
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())


def parses(text: str) -> bool:
    """Whether the grammar takes it, whatever is refused later."""
    try:
        parser().parse(text)
    except UnexpectedInput:
        return False
    return True


def programs() -> list[str]:
    files = [*ROOT.glob("examples/**/*.rlm"), *ROOT.glob("stdlib/*.rlm")]
    texts = [path.read_text("utf-8") for path in sorted(files)]
    texts += [chunk + "\n" for _, chunk in CHUNKS]
    texts += [format_program(Programs(seed).program()) for seed in range(60)]
    return [text for text in texts if parses(text)]


def test_constrained_decoders_can_write_every_program() -> None:
    texts = programs()
    assert len(texts) > 100
    refused = []
    for text in texts:
        if not constrained(text):
            with pytest.raises(ProgramError):  # `[1for x in xs]`: a number that runs into a name, which the builder refuses
                parse(text)
            refused.append(text)
    assert len(refused) < 3


def test_constrained_decoders_judge_as_the_parser_does() -> None:
    """Mutated programs. The decoder knows no contextual keywords, so it lets through a few names that we do not."""
    random = Random(3)
    texts = [text for text in programs() if len(text) < 1_500]
    looser = 0
    for _ in range(300):
        text = mutated(random.choice(texts), random) + "\n"
        theirs = constrained(text)
        if theirs and not parses(text):
            looser += 1
        elif not theirs and parses(text):
            with pytest.raises(ProgramError):
                parse(text)
    assert looser < 6


def test_keywords_are_fields_wherever_a_field_stands() -> None:
    words = sorted({t.pattern.value for t in parser().terminals if t.pattern.type == "str" and t.pattern.value.isalpha()})
    assert "answer" in words and "otherwise" in words
    for word in words:
        for text in (
            f"x = {{{word}: 1}}",
            f"x = {{\n  {word}: r.{word}, a: r?.{word}\n}}",
            f"x = {{a,\n{word}: 1}}",
            f"x = f({word}=1)" if word not in _STARTERS else "",
        ):
            (bind,) = parse(text or "x = 1").statements
            assert isinstance(bind, Bind)
        parse(f"type T = {{\n{word}: text}}\ninput {word}: text\nfn f({word}: int) {{ 1 }}")


_STARTERS = {
    "call",
    "solve",
    "map",
    "filter",
    "reduce",
    "fold",
    "first",
    "if",
    "fail",
    "not",
    "true",
    "True",
    "false",
    "False",
    "none",
    "None",
    "lambda",
}


def test_an_f_string_is_its_parts() -> None:
    (bind,) = parse('x = f"a{b}c{{d}}{e:.2f}"').statements
    assert isinstance(bind, Bind) and isinstance(bind.value, FString)
    texts = [part if isinstance(part, str) else (part.span.text, part.spec) for part in bind.value.parts]
    assert texts == ["a", ("{b}", None), "c{d}", ("{e:.2f}", ".2f")]


# ---- messages ----


def test_messages_for_habits_of_other_languages() -> None:
    """Each program of the snapshot with all that is said of it. To accept new messages, write what this computes to the file."""
    snapshot = (HERE / "snapshots/mistakes.txt").read_text("utf-8")
    written = []
    for case in snapshot.rstrip("\n").split("\n===\n"):
        program = case.split("\n---\n")[0]
        written.append(f"{program}\n---\n{render_all(errors_of(program))}")
    assert "\n===\n".join(written) + "\n" == snapshot
    assert len(written) > 60
