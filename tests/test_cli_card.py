"""The language card: short, complete, and every program on it is right."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from commandline import Shell, rlm

from rlmlang.builtins import REGISTRY
from rlmlang.check import check
from rlmlang.check.library import library_names
from rlmlang.solve.card import card
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.walk import walk

__all__ = ["rlm"]

SNAPSHOT = Path(__file__).parent / "snapshots" / "card.txt"
PROGRAMS = re.findall(r"^```rlm\n(.*?)^```$", card(), re.M | re.S)
TOKEN_BYTES = 4  # of English and code, about


def test_snapshot(rlm: Shell) -> None:
    done = rlm("card")
    assert done.code == 0 and done.out == card() and done.err == ""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(card(), "utf-8")
    assert card() == SNAPSHOT.read_text("utf-8"), "set UPDATE_SNAPSHOTS=1 if the change is meant"


def test_is_short() -> None:
    assert len(card().encode()) / TOKEN_BYTES < 900


@pytest.mark.parametrize("text", PROGRAMS)
def test_programs_are_right(text: str) -> None:
    assert not check(parse(text)).diagnostics


def test_every_form_is_shown() -> None:
    shown = {type(node) for text in PROGRAMS for node in walk(parse(text))}
    for form in (n.Input, n.TypeDef, n.Fn, n.Bind, n.Answer, n.Call, n.Map, n.Filter, n.Reduce, n.Fold, n.First, n.Otherwise, n.Fail):
        assert form in shown, form.__name__


def test_every_function_is_named() -> None:
    words = set(re.findall(r"\w+", card()))
    assert {*REGISTRY, *library_names()} <= words
