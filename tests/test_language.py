"""The language on many small programs: the files of `chunks/` named below, separated by lines `---`.

What is expected stands in comments:

    ### 3                       the answer, as JSON (or `none`): types count, so 3 is not 3.0, and so does the order of fields
    ### fails: division         the run ends with a failure at this line whose message or hint has these words
    ### refused: no such name   the program is refused with an error at this line (likewise)
    ### limit: too many         a limit of the interpreter stops it at this line (likewise)
    ### usage: expected         the inputs are refused (likewise, without a line)
    # ## calls 3                 a figure of the report: calls requests from_memo shared failed retries depth rounds; `failures`: how many
    # it lists
    ### seconds 2               the virtual seconds that it took; a call takes one unless it says `wait`
    ### failed item: 1 / b      the item of a failure that the report lists
    ### given {"n": 3}          the inputs
    ### xfail why               the language is right and the program is not yet

`=== NAME` begins a further file beside the program. The model does what an instruction says: tests/scripted.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from scripted import SETTINGS, FakeModel, scripted

import rlmlang
from rlmlang import Failure, LimitError, ProgramError, RlmError, UsageError
from rlmlang.builtins.declare import REGISTRY
from rlmlang.session import prepare
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.formatter import format_program
from rlmlang.syntax.walk import walk

_CHUNKS = Path(__file__).parent / "chunks"
_THEMES = ("values", "text", "data", "dicts", "builtins", "functions", "lists", "calls", "maps", "fine_print", "stdlib")
_ENDS = {"fails": Failure, "refused": ProgramError, "limit": LimitError, "usage": UsageError}
_FIGURES = ("calls", "requests", "from_memo", "shared", "failed", "retries", "depth", "rounds", "failures", "seconds")


@define
class Chunk:
    """A program, its files and inputs, and what is expected of it."""

    theme: str
    line: int
    text: str
    files: dict[str, str] = field(factory=dict)
    given: dict[str, Any] = field(factory=dict)
    answer: list[Any] = field(factory=list)
    ends: list[tuple[str, int, str]] = field(factory=list)
    figures: dict[str, float] = field(factory=dict)
    failed_items: list[str] = field(factory=list)
    xfail: str | None = None


def _read(theme: str) -> list[Chunk]:
    chunks: list[Chunk] = []
    line = 1
    for text in (_CHUNKS / f"{theme}.rlm").read_text("utf-8").split("\n---\n"):
        chunks.append(_chunk(theme, line, text))
        line += text.count("\n") + 2
    return chunks


def _chunk(theme: str, line: int, text: str) -> Chunk:
    main, *others = re.split(r"(?m)^=== (\S+)\n", text)
    chunk = Chunk(theme, line, main, dict(zip(others[::2], others[1::2], strict=True)))
    for number, source in enumerate(main.split("\n"), 1):
        for mark in source.split("### ")[1:]:
            kind, _, rest = mark.partition(":")
            word, _, figure = mark.strip().partition(" ")
            if kind in _ENDS:
                chunk.ends.append((kind, number, rest.strip()))
            elif kind == "failed item":
                chunk.failed_items.append(rest.strip())
            elif word in _FIGURES:
                chunk.figures[word] = float(figure)
            elif word == "given":
                chunk.given = json.loads(figure)
            elif word == "xfail":
                chunk.xfail = figure
            else:
                chunk.answer.append(None if mark.strip() == "none" else json.loads(mark))
    assert len(chunk.answer) + len(chunk.ends) == 1, f"{theme}.rlm:{line}: a chunk wants an answer or an end"
    return chunk


_ALL = [chunk for theme in _THEMES for chunk in _read(theme)]


def _id(chunk: Chunk) -> str:
    return f"{chunk.theme}.rlm:{chunk.line}"


@pytest.mark.parametrize("chunk", _ALL, ids=_id)
def test_chunk(chunk: Chunk, tmp_path: Path) -> None:
    if chunk.xfail is not None:
        pytest.xfail(chunk.xfail)
    with scripted() as model:
        result, error = _run(chunk, chunk.text, tmp_path, SETTINGS)
    _check_end(chunk, result, error)
    if result is not None:
        _check_report(chunk, result, model)
    if result is not None and error is None:
        _check_figures(result, model)
    if isinstance(error, (ProgramError, UsageError)):
        return
    with scripted():
        again, other = _run(chunk, _formatted(chunk), tmp_path, SETTINGS)
    assert _outcome(again, other) == _outcome(result, error), f"the formatted program does otherwise:\n{_formatted(chunk)}"
    if model.asked:
        with scripted(FakeModel(delay=lambda request: request.key[0] / 64)):
            again, other = _run(chunk, chunk.text, tmp_path, evolve(SETTINGS, concurrency=2))
        assert _outcome(again, other) == _outcome(result, error), "two at a time, in another order, it does otherwise"


def _run(chunk: Chunk, text: str, folder: Path, settings: rlmlang.Settings) -> tuple[rlmlang.Result | None, RlmError | None]:
    source: str | Path = text
    inputs = dict(chunk.given)
    if chunk.files:
        source = folder / "program.rlm"
        for name, content in {**chunk.files, "program.rlm": text}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, "utf-8")
        inputs = {k: folder / v if isinstance(v, str) and v.startswith("./") else v for k, v in inputs.items()}
    try:
        return rlmlang.run(source, settings, **inputs), None
    except RlmError as error:
        return error.result, error


def _check_end(chunk: Chunk, result: rlmlang.Result | None, error: RlmError | None) -> None:
    if chunk.ends:
        ((kind, line, words),) = chunk.ends
        assert error is not None, f"it gives {result and result.answer!r}"
        said = [(error.span, error.message, error.hint)]
        if isinstance(error, ProgramError):
            said = [(d.span, d.message, d.hint) for d in error.diagnostics if d.severity == "error"]
        assert isinstance(error, _ENDS[kind]), said
        assert any(words in f"{message} | {hint}" for _, message, hint in said), said
        span = said[0][0]
        if kind != "usage" and not (span and span.source.name.startswith("stdlib/")):
            assert span is not None and span.line == line, said
        return
    if error is not None:
        raise error
    assert result is not None
    (answer,) = chunk.answer
    assert json.dumps(result.to_json()["answer"], ensure_ascii=False) == json.dumps(answer, ensure_ascii=False)


def _check_report(chunk: Chunk, result: rlmlang.Result, model: FakeModel) -> None:
    for name, wanted in chunk.figures.items():
        if name == "seconds":
            assert max((a.end or 0 for a in model.asked), default=0) == wanted, [(a.text, a.start, a.end) for a in model.asked]
        else:
            got = len(result.failures) if name == "failures" else getattr(result.used, name)
            assert got == wanted, (name, result.used, result.failures)
    for item in chunk.failed_items:
        assert item in [failure.item for failure in result.failures], result.failures


def _check_figures(result: rlmlang.Result, model: FakeModel) -> None:
    """What holds of every run that gave an answer."""
    used = result.used
    assert used.requests == len(model.asked) == used.calls - used.shared - used.from_memo + used.retries
    assert used.calls == sum(site.calls for site in result.sites) and used.shared == sum(site.shared for site in result.sites)
    assert used.depth == min(1, used.calls) and used.rounds <= used.calls
    assert model.under_way == 0
    for name, figure in (result.bound or {}).items():
        amount = getattr(used, name)
        if name != "dollars":
            assert amount >= figure["min"], f"less {name} than the bound: {amount} of {figure}"
            assert figure["max"] is None or amount <= figure["max"], f"more {name} than the bound: {amount} of {figure}"


def _formatted(chunk: Chunk) -> str:
    return format_program(parse(chunk.text))


def _outcome(result: rlmlang.Result | None, error: RlmError | None) -> object:
    if error is not None:
        return type(error)
    assert result is not None
    return json.dumps(result.to_json()["answer"], ensure_ascii=False)


def test_every_builtin_stands_in_the_chunks() -> None:
    """Each at least twice: as a function, as a method, or as a name for a lambda."""
    used: Counter[str] = Counter()
    for chunk in _ALL:
        try:
            program = parse(chunk.text)
        except ProgramError:
            continue
        for node in walk(program):
            if isinstance(node, n.Apply | n.Name):
                used[node.name] += 1
            elif isinstance(node, n.Map | n.Filter | n.Reduce):
                used[type(node).__name__.lower()] += 1
    assert sorted(name for name in REGISTRY if used[name] < 2) == []


def test_every_form_stands_in_the_chunks() -> None:
    kinds = {type(node) for chunk in _ALL if not any(end[0] == "refused" for end in chunk.ends) for node in walk(parse(chunk.text))}
    forms = {kind for kind in vars(n).values() if isinstance(kind, type) and issubclass(kind, n.Node) and not kind.__subclasses__()}
    assert {kind.__name__ for kind in forms - kinds} <= {"Solve"}


def test_a_flat_list_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlmlang.limits.LIST_ITEMS", 1_000)
    with pytest.raises(LimitError, match="1,000 items"):
        rlmlang.run("answer [y for x in range(100) for y in range(100)]", SETTINGS)


def test_the_names_from_python() -> None:
    """`run` and `check` are functions, although rooms of the package have these names."""
    assert rlmlang.Settings is not None and prepare is not None  # both rooms are imported
    assert callable(rlmlang.run) and callable(rlmlang.check) and callable(rlmlang.arun)
