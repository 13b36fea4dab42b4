"""The exported grammars: what they take parses, what parses they take, judged by llguidance and llama.cpp themselves."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from programs import Programs

from rlmlang.errors import ProgramError
from rlmlang.solve.export import grammar_text
from rlmlang.syntax import format_program, parse

ROOT = Path(__file__).parent.parent
_BEYOND = {"duplicate-field", "limit", "empty-program"}  # what no grammar of this kind can say


def complaints(text: str) -> set[str]:
    """The codes of what `parse` says."""
    try:
        parse(text)
    except ProgramError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}
    return set()


@cache
def programs() -> tuple[str, ...]:
    """Every program of the examples, the library and the tests that parses, and some made at random."""
    files = [*ROOT.glob("examples/**/*.rlm"), *ROOT.glob("stdlib/*.rlm"), *ROOT.glob("tests/chunks/*.rlm")]
    texts = [text for path in sorted(files) for text in re.split(r"\n---\n|(?m:^=== .*\n)", path.read_text("utf-8"))]
    texts += [body for page in ROOT.glob("docs/*.md") for body in re.findall(r"^```rlm\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)]
    texts += [format_program(Programs(seed).program()) for seed in range(60)]
    return tuple(text for text in texts if not complaints(text))


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
    return Decoder(grammar_text("llguidance").removeprefix("%llguidance {}"))


def formatted(text: str) -> str:
    return format_program(parse(text))


def test_every_program_can_be_written(decoder: Decoder) -> None:
    assert len(programs()) > 700
    otherwise = [text for text in programs() if not decoder.takes(text)]
    assert [text for text in otherwise if not decoder.takes(formatted(text))] == []
    assert len(otherwise) < 10, otherwise
