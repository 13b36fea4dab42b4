"""The language card: short, complete, and every program on it is right."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from commandline import Shell, rlm

from rlmlang.builtins import REGISTRY
from rlmlang.check import Turn, check
from rlmlang.check.library import library_names
from rlmlang.solve.card import PARTS, card
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.walk import walk
from rlmlang.types import DIR, INT, TEXT, ListOf, RecordOf, Type

__all__ = ["rlm"]

SNAPSHOT = Path(__file__).parent / "snapshots" / "card.txt"
PROGRAMS = re.findall(r"^```rlm\n(.*?)^```$", card(), re.M | re.S)
TEAMS = ListOf(RecordOf((("id", INT), ("name", TEXT))))
GAMES = ListOf(RecordOf((("team", INT), ("goals", INT))))
GIVEN: dict[str, Type] = {"docs": ListOf(TEXT), "repo": DIR, "book": TEXT, "letters": ListOf(TEXT), "teams": TEAMS, "games": GAMES}
TOKEN_CHARS = 3.3  # Qwen2.5-Coder's tokenizer makes 887 tokens of its 2,936 characters; those of larger vocabularies make fewer


def test_snapshot(rlm: Shell) -> None:
    done = rlm("card")
    assert done.code == 0 and done.out == card() and done.err == ""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(card(), "utf-8")
    assert card() == SNAPSHOT.read_text("utf-8"), "set UPDATE_SNAPSHOTS=1 if the change is meant"


def test_is_short() -> None:
    assert len(card().encode()) / TOKEN_CHARS < 900


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs_are_right(text: str) -> None:
    assert not check(parse(text), turn=Turn(names=GIVEN)).diagnostics


def test_every_form_is_shown() -> None:
    shown = {type(node) for text in PROGRAMS for node in walk(parse(text))}
    forms = {kind for kind in vars(n).values() if isinstance(kind, type) and issubclass(kind, n.Node)} - {n.Node, n.Expr, n.Program}
    not_in_turns = {n.Input, n.Use}
    as_in_python = {n.Shown, n.DictType, n.Unpack, n.Unary, n.Binary, n.Logic, n.Slice}
    in_a_comment = {n.Spread, n.RecordType, n.OptionalType}
    assert forms - shown == not_in_turns | as_in_python | in_a_comment


def test_every_function_is_named() -> None:
    words = set(re.findall(r"\w+", card()))
    assert {*REGISTRY, *library_names()} <= words


def test_a_page_of_some_parts() -> None:
    assert card("rules", "examples") == PARTS["rules"]() + "\n" + PARTS["examples"]()
    assert card() == "\n".join(part() for part in PARTS.values())
