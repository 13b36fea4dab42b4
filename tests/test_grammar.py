"""The exported grammars: what they take parses, and what parses they take; judged by llguidance and by llama.cpp themselves."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve
from llama_grammar import LlamaGrammar, Unavailable
from programs import PIECES, Programs, mutated

from rlmlang.errors import ProgramError
from rlmlang.lm.providers.gguf import GgufProvider
from rlmlang.lm.request import Message, Model, Request
from rlmlang.solve.export import FORMATS, HEADER, grammar_for, grammar_text
from rlmlang.solve.extract import extract
from rlmlang.syntax import format_program, parse
from rlmlang.syntax.nodes import Answer, Shown
from rlmlang.syntax.tables import grammar_text as source

ROOT = Path(__file__).parent.parent
BEYOND = {"duplicate-field", "limit"}  # what no grammar of this kind can say
MORE_PIECES = (*PIECES, ":", "in ", "not ", "else ", "map ", "lambda x: ", "answer ", "none", "with {", "\\ud800", "1.x", "=>", "...", "r'")


def complaints(text: str) -> set[str]:
    """The codes of all that `parse` says, and `place` where something follows an answer or an expression alone, which `check` refuses."""
    try:
        program = parse(text)
    except ProgramError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}
    return {"place"} if any(isinstance(statement, (Answer, Shown)) for statement in program.statements[:-1]) else set()


@cache
def programs() -> tuple[str, ...]:
    """Every program of the examples, the library, the documents and the tests that parses, and some made at random."""
    files = [*ROOT.glob("examples/**/*.rlm"), *ROOT.glob("stdlib/*.rlm"), *ROOT.glob("tests/chunks/*.rlm")]
    texts = [text for path in sorted(files) for text in re.split(r"\n---\n|(?m:^=== .*\n)", path.read_text("utf-8"))]
    texts += [body for page in ROOT.glob("docs/*.md") for body in re.findall(r"^```rlm\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)]
    texts += [format_program(Programs(seed).program()) for seed in range(30)]
    texts = [re.sub(r"[ \t]*### .*", "", text).rstrip() + "\n" for text in texts]  # the chunks' expectations are no part of them
    return tuple(text for text in dict.fromkeys(texts) if not complaints(text))


class Decoder:
    """llguidance with one token a byte."""

    def __init__(self, grammar: str) -> None:
        llguidance = pytest.importorskip("llguidance")
        self._tokenizer = llguidance.LLTokenizer("byte")
        made = llguidance.LLMatcher.grammar_from_lark(grammar)
        assert llguidance.LLMatcher.validate_grammar(made, self._tokenizer) == ""
        self._matcher = llguidance.LLMatcher(self._tokenizer, made)

    def takes(self, text: str) -> bool:
        """Whether it could write `text` and end there."""
        self._matcher.reset()
        tokens = self._tokenizer.tokenize_bytes(text.encode())
        return bool(self._matcher.try_consume_tokens(tokens) == len(tokens) and self._matcher.is_accepting())


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(grammar_text("llguidance"))


@pytest.fixture(scope="module")
def llama() -> LlamaGrammar:
    try:
        return LlamaGrammar(grammar_text("gbnf"))
    except Unavailable:
        pytest.skip("no xllamacpp, or one of another build")


@pytest.fixture(scope="module")
def llama_reply() -> LlamaGrammar:
    """What a model is sent."""
    grammar = grammar_for(Model(name="m", provider="gguf", model="m", grammar="llamacpp"))
    assert grammar is not None
    try:
        return LlamaGrammar(grammar)
    except Unavailable:
        pytest.skip("no xllamacpp, or one of another build")


def formatted(text: str) -> str:
    return format_program(parse(text))


def mutants(seed: int, count: int, longest: int) -> list[str]:
    """Programs with something cut out or put in, at one or two places."""
    random = Random(seed)
    texts = [text for text in programs() if len(text) < longest]
    made = []
    for _ in range(count):
        text = random.choice(texts)
        for _ in range(random.choice((1, 1, 1, 2))):
            text = mutated(text, random, MORE_PIECES)
        made.append(text or "1")
    return made


def test_every_program_can_be_written(decoder: Decoder) -> None:
    """Nearly all as they stand; the others in the canonical layout."""
    assert len(programs()) > 1_000
    others = [text for text in programs() if not decoder.takes(text)]
    assert [text for text in others if not decoder.takes(formatted(text))] == []
    assert len(others) < 5


def test_every_program_can_be_written_with_llama_cpp(llama: LlamaGrammar) -> None:
    """A sample: it takes a millisecond a character."""
    texts = [*[text for text in programs() if len(text) < 70][::12], (ROOT / "stdlib/vote.rlm").read_text("utf-8")]
    others = [text for text in texts if not llama.takes(text)]
    assert [text for text in others if not llama.takes(formatted(text))] == []
    assert len(texts) > 25 and len(others) < 5


def test_mutants_are_judged_as_by_the_parser(decoder: Decoder) -> None:
    """What the grammar takes parses; what parses it takes, as it stands or formatted."""
    met: Counter[tuple[bool, bool]] = Counter()
    for text in mutants(3, 1_000, 800):
        theirs, wrong = decoder.takes(text), complaints(text)
        met[theirs, not wrong] += 1
        if theirs:
            assert wrong <= BEYOND, text
        elif not wrong and not re.search(r"\\[uU]", text) and not re.search(r"\n#[^\n]*\n*$", text):
            assert decoder.takes(formatted(text)), text
    assert met[True, True] > 150 and met[False, False] > 500 and met[False, True] < 30


def test_llama_cpp_judges_as_llguidance_does(decoder: Decoder, llama: LlamaGrammar) -> None:
    for text in mutants(4, 60, 60):
        assert llama.takes(text) == decoder.takes(text), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# nothing",
        "answer 1\nanswer 2",
        "x\ny = 1",
        "answer call 'a' on call 'b' on c",
        "answer call 'a' on b, call 'c' on d",
        "answer solve 'a' on b, call 'c' on d",
        "answer call 'a' on {b: call 'c' on d}",
        "answer call 'a' on {...r}",
        "answer call 'a' with {...r}",
        "answer 1.x",
        "answer 1if a else b",
        "answer (a)ifb else c",
        "answer aif b else c",
        "type T = text | int",
        "type T = none | none",
        "type T = set[text]",
        "input r: text??\nanswer r",
        "answer call 'a' -> text??? b",
        "answer map(xs)",
        "answer xs.map(1)",
        "answer reduce(lambda a: a, xs)",
        "answer fold((a, b) => a, xs)",
        "answer '\\ud800'",
        "answer f'\\U00110000'",
        "answer 1e400",
        "answer '\u202e'",
        "answer 1 # \u2028",
        "answer f'{{a: 1} }'",
        'answer f"""a""""',
        "if = 1",
        "answer if",
    ],
)
def test_what_cannot_be_written(text: str, decoder: Decoder, llama: LlamaGrammar) -> None:
    assert complaints(text)
    assert not decoder.takes(text) and not llama.takes(text)


@pytest.mark.parametrize(
    "text",
    [
        "answer 1",
        "x = 1",
        "\n\n# why\n\nanswer [\n  1, # one\n  2\n]  # two\n",
        "type T = 'a' | none | 'b'\ninput t: T\nanswer t",
        "type T = [text]? | none",
        "type = 3\nanswer {type, if: 1}.if",
        "answer call 'a' on (call 'b' on c), d",
        "answer [solve 'a' on b, c -> bool if d else e]",
        "answer call 'a' on {b, c: d.e} -> text? ?? 'x'",
        "answer a ?? b",
        "answer xs.map(str).filter(x => x).reduce((a, b) => a, 1)",
        'answer f\'{ {a: 1}.a }\' + f"""say "{x}" or {{no}}"""',
        "answer '\\u20ac \\d' + r'\\ud'",
        "answer 2 ** -1.5e10 % 12[0]",
    ],
)
def test_what_can_be_written(text: str, decoder: Decoder, llama: LlamaGrammar) -> None:
    assert not complaints(text)
    assert decoder.takes(text) and llama.takes(text)


# ---- the formats ----


def test_the_formats() -> None:
    assert grammar_text("lark") == source()
    assert grammar_text("llguidance").startswith(f"{HEADER}\n\nstart: ") and grammar_text("gbnf").startswith("root ::= ")
    for format_ in FORMATS:
        text = grammar_text(format_)
        assert text.endswith("\n") and not text.endswith("\n\n") and text.isascii() and len(text) < 60_000


def test_gbnf_repeats_less_than_llama_cpp_allows() -> None:
    counts = [int(count) for pair in re.findall(r"\{(\d+),?(\d*)\}", grammar_text("gbnf")) for count in pair if count]
    assert max(counts) < 2_000


def test_openai_gets_a_custom_tool_within_its_limits() -> None:
    """Its Lark has no look-around, no lazy repetition, no priorities, templates, %declare or imports; blanks are to be written out."""
    tool = json.loads(grammar_text("openai"))
    assert set(tool) == {"type", "name", "description", "format"} and tool["type"] == "custom"
    assert set(tool["format"]) == {"type", "syntax", "definition"} and tool["format"]["syntax"] == "lark"
    definition = tool["format"]["definition"]
    assert f"{HEADER}\n\n{definition}" == grammar_text("llguidance")
    for line in definition.splitlines():
        assert not line or re.match(r"[a-z][a-z0-9_]*: |[A-Z][A-Z0-9_]*: /", line), line
        classless = re.sub(r"\\.|\[(\\.|[^\]])*\]", "x", line)
        assert not re.search(r"\(\?|[*+?}]\?", classless), line


def test_what_a_model_is_given() -> None:
    def given(**more: object) -> str | None:
        return grammar_for(Model(name="m", provider="openai", model="m", **more))  # type: ignore[arg-type]

    assert given() is None
    tool = given(grammar="openai")
    assert tool is not None and "#" not in re.sub(r"\[(\\.|[^\]])*\]|\"[^\"]*\"", "", tool) and "\ninput: " not in tool
    assert tool.splitlines()[0] == grammar_text("llguidance").splitlines()[2]
    fenced = given(grammar="vllm")
    assert fenced == given(grammar="sglang") == given(grammar="llamacpp")
    assert fenced is not None and fenced.startswith(r'root ::= "```rlm\n" program "\n```"')


@pytest.mark.parametrize(
    ("program", "takes"),
    [
        ("answer 1", True),
        ("\nx = [1,\n2]\n\nanswer x", True),
        ("answer 1  # why", False),
        ("# why\nanswer 1", False),
        ("for if x else y", False),
        ("import = 1", False),
        ("fo = [format(form, 2) for form in forms]", True),
        ("x = 1\nforms.path", False),
        ("forline in lines", False),
        ("whilelines and count", False),
        ("y = map x in xs {\n  forx = x\n  forx\n}", False),
        ("answer {str(x): 1 for x in xs}", True),
        ('answer {any(xs): "yes" for x in xs}', False),
        ('answer {x.y.len(): "yes" for x in xs}', False),
        ('answer {any [x]: "yes"}', False),
        ('answer {any [x:]: "yes"}', False),
        ('answer {count.a + "b": "yes"}', False),
        ('answer {call ["Which?"]: 1}', False),
        ("answer {words[0]: 1 for words in xs}", True),
        ("answer {max(x, y): 1 for x in xs}", False),
        ("answer {lower(x): 1 for x in xs}", True),
        ("print(x)", False),
        ("x.print", True),
        ("input n: int\nanswer 1", False),
        ("from . import * from . import *", False),
        ("from = 1", False),
        ("let x = 1", False),
        ("let, and, x = [1, 2]", False),
        ("answer, x = [1, 2]", False),
        ("first, map = [1, 2]", False),
        ("first, type = [1, 2]", True),
        ("a, b, c, d, e, f, g, h, i, j, k, l = xs", False),
        ("fromage = 1", True),
        ("answer {any .true .no}", False),
        ("answer {any: 1}", False),
        ('answer {max(xs, key=x => x.a)["name"]}', True),
        ("answer {max(xs, key=x => x.a).name, min(ys).b}", True),
        ("answer {max(xs, key=x => x.a).name: 1 for x in xs}", False),
        ("answer {len(xs).name}", False),
        ("answer {any: 1 for x in xs}", False),
        ('answer {"any": 1, all: 2, max: 3}', True),
        ("answer {any .true .no: 1 for x in xs}", False),
        ("answer {person.name}", True),
        ('answer {counts["a"], counts["b"]}', True),
        ("answer {xs[0]}", False),
        ("answer {city, mean} == max(xs)", False),
        ("answer {city, mean}", True),
        ("answer {x: x for x in xs}.a", True),
        (f"answer {' + '.join(['x'] * 9)}", True),
        (f"answer {' + '.join(['x'] * 10)}", False),
        (f"answer x{'.y' * 8}", True),
        (f"answer x{'.y' * 9}", False),
        (f"answer [{', '.join('x' * 33)}]", True),
        (f"answer [{', '.join('x' * 35)}]", False),
        (f"answer {'x if y else ' * 4}z", True),
        (f"answer {'x if y else ' * 6}z", False),
        (f'answer "from 1 to {10**11}, or {10**11}"', True),
        (f'answer "from 1 to {10**12}"', False),
        ('answer """\n```\n"""', True),
        ("", False),
        ("Let us see.", False),
    ],
)
def test_a_reply_is_a_program_between_fences(program: str, takes: bool, llama: LlamaGrammar, llama_reply: LlamaGrammar) -> None:
    reply = f"```rlm\n{program}\n```"
    assert llama_reply.takes(reply) == takes
    assert not llama_reply.takes(program) and not llama_reply.takes(reply[:-4])
    assert extract(reply, only=True) == program
    assert not takes or not complaints(program)
    assert llama.takes(program) or not takes


# ---- a real model ----


@pytest.mark.embedded
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed")
def test_what_the_embedded_model_writes_parses() -> None:
    """At temperature 1, where a small model writes anything at all; `benchmarks/constrained.py` takes more samples."""
    written = asyncio.run(constrained_samples(16))
    assert len(written) >= 16 and len(set(written)) > 8
    for text in written:
        assert complaints(text) <= BEYOND, text


async def constrained_samples(count: int) -> list[str]:
    """At least so many texts of the embedded model under the grammar. What the token limit cut off is no sample."""
    model = Model(name="local", provider="gguf", model="local", context_window=256, concurrency=8, grammar="llamacpp")
    import xllamacpp  # type: ignore[import-untyped]

    reads_llguidance = xllamacpp.json_schema_to_grammar({"type": "null"}).startswith(HEADER)
    grammar = grammar_text("llguidance" if reads_llguidance else "gbnf")
    prompt = "Repeat one of these lines with small changes:\n\n" + "\n".join(LINES)
    one = Request(model, (Message("user", prompt),), max_tokens=20, temperature=1.0, grammar=grammar)
    provider = InAHurry(model)
    written: list[str] = []
    try:
        for start in range(0, 6 * count, 16):
            done = await asyncio.gather(*(provider.complete(evolve(one, sample=start + i)) for i in range(16)))
            written += [completion.text or "" for completion in done if completion.finish == "stop"]
            if len(written) >= count:
                break
    finally:
        await provider.close()
    return written


LINES = (
    "answer [x for x in xs if x > 1]",
    'answer call "Is it good?" on text -> bool',
    "answer {name: f.path, size: len(f.text)}",
    "answer sum(map(lambda x: x * 2, [1, 2, 3]))",
)


class InAHurry(GgufProvider):
    """Rather ends where the grammar lets it, which saves the test some minutes; else the samples are what they are."""

    def _body(self, request: Request) -> dict[str, Any]:
        end_of_turn = 2
        return super()._body(request) | {"logit_bias": [[end_of_turn, 5.5]]}
