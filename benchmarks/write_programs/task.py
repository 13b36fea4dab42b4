"""What a task is, and what its answer is judged by."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from rlmlang.files import DirValue


@frozen
class Datum:
    """A variable that the program is handed: its type as a program writes it, and its value. A `dir` is a mapping from path to text."""

    type: str
    value: Any


@frozen
class Seen:
    """What any careful reader knows of one piece of data: `text` stands in that piece and in no other, `facts` are the answers."""

    text: str
    facts: Mapping[str, Any]


@frozen
class Task:
    """A question about data, with its answer. `ordered`: the order of a list counts.

    `seen` and `words` are what the sub-model goes by (oracle.py); a task without them needs no sub-calls. `program` and `python` are
    programs that solve it, on either side.
    """

    name: str
    question: str
    data: Mapping[str, Datum]
    answer: Any
    program: str
    python: str
    ordered: bool = True
    seen: tuple[Seen, ...] = ()
    words: Mapping[str, Any] = field(factory=dict)


@contextmanager
def opened(data: Mapping[str, Datum]) -> Iterator[dict[str, Any]]:
    """The values as a run takes them: what is a `dir` is made, and gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = {}
        for name, datum in data.items():
            values[name] = datum.value
            if datum.type == "dir":
                for path, text in datum.value.items():
                    (Path(folder) / name / path).parent.mkdir(parents=True, exist_ok=True)
                    (Path(folder) / name / path).write_text(text, encoding="utf-8")
                values[name] = DirValue(str(Path(folder) / name))
        yield values


def right(task: Task, given: Any) -> bool:
    """Whether `given` is the answer of `task`: numbers to the second decimal, texts but for case, white space, quotes and a full stop at
    the end; a number may stand as a text; a record of one field and a list of one item stand for what they hold; a record counts by its
    values where its names are others; a record x: y for a list of pairs or of records of two fields, and the other way round."""
    return _same(task.answer, given, task.ordered)


def _same(wanted: Any, given: Any, ordered: bool) -> bool:
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given or (
            not isinstance(wanted, (list, dict)) and isinstance(given, (list, dict)) and _within(wanted, given, ordered)
        )
    if isinstance(wanted, (list, tuple)):
        rows = _rows(wanted) is not None and isinstance(given, dict)
        return _same_lists(list(wanted), _as_list(given, rows), ordered) or (isinstance(given, dict) and _within(wanted, given, ordered))
    if isinstance(wanted, dict):
        return _same_records(wanted, given, ordered)
    if isinstance(given, (list, tuple, dict)):
        return _within(wanted, given, ordered)
    if isinstance(wanted, (int, float)):
        number = _number(given)
        return number is not None and math.isclose(wanted, number, rel_tol=1e-9, abs_tol=0.0051 if isinstance(wanted, float) else 1e-9)
    return isinstance(given, str) and _plain(wanted) == _plain(given)


def _within(wanted: Any, given: Any, ordered: bool) -> bool:
    """Whether `given` holds one thing only, and that is it."""
    inner = list(given.values()) if isinstance(given, dict) else list(given)
    return len(inner) == 1 and _same(wanted, inner[0], ordered)


def _same_lists(wanted: list[Any], given: list[Any] | None, ordered: bool) -> bool:
    if given is None or len(wanted) != len(given):
        return False
    if ordered:
        return all(_same(w, g, ordered) for w, g in zip(wanted, given, strict=True))
    left = list(given)
    for w in wanted:
        at = next((i for i, g in enumerate(left) if _same(w, g, ordered)), None)
        if at is None:
            return False
        del left[at]
    return True


def _same_records(wanted: Mapping[str, Any], given: Any, ordered: bool) -> bool:
    if isinstance(given, dict):
        names = {_plain(str(name)): value for name, value in given.items()}
        if set(names) == {_plain(name) for name in wanted}:
            return all(_same(value, names[_plain(name)], ordered) for name, value in wanted.items())
        return len(wanted) > 1 and len(wanted) == len(given) and _same_lists([*wanted.values()], [*given.values()], True)
    if isinstance(given, (list, tuple)):
        if len(given) == 1:
            return _same(wanted, given[0], ordered)
        rows = _rows(given)
        if rows is not None and len(rows) > 1 and len({_plain(str(name)) for name, _ in rows}) == len(rows):
            return _same_records(wanted, {str(name): value for name, value in rows}, ordered)
        return len(wanted) == len(given) and _same_lists([*wanted.values()], list(given), True)
    return False


def _as_list(given: Any, rows: bool) -> list[Any] | None:
    """A list; where rows of two are wanted, a record x: y as such."""
    if isinstance(given, (list, tuple)):
        return [*given]
    return [{"x": x, "y": y} for x, y in given.items()] if rows else None


def _rows(given: Any) -> list[tuple[Any, Any]] | None:
    """A list of pairs, or of records of two fields, as pairs."""
    rows = [tuple(row.values()) if isinstance(row, dict) else tuple(row) if isinstance(row, (list, tuple)) else () for row in given]
    return [(row[0], row[1]) for row in rows] if rows and all(len(row) == 2 for row in rows) else None


def _number(given: Any) -> float | None:
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .\"'`").casefold()
