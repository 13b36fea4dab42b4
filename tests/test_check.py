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
from pathlib import Path

import pytest

from rlmlang import limits
from rlmlang.check import Checked, Turn, check
from rlmlang.check.report import similar
from rlmlang.check.unify import fits, hull
from rlmlang.errors import ProgramError, UsageError
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import render
from rlmlang.syntax.nodes import Apply, Call, Expr, Program
from rlmlang.syntax.walk import walk
from rlmlang.types import BOOL, FLOAT, INT, NEVER, NONE, TEXT, Enum, ListOf, RecordOf, Type, optional

_CHUNKS = (Path(__file__).parent / "chunks" / "check.rlm").read_text("utf-8").split("\n---\n")
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
    checked = check(parse(text))
    marks = _marks(text)
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
