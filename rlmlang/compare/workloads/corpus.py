"""What a workload generates: data, what is true of each piece of them, and questions whose answers follow from that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import field, frozen

from rlmlang.compare.task import Item, Task
from rlmlang.errors import UsageError
from rlmlang.syntax.diagnostics import printable

MOST = 1_000_000  # pieces of one corpus: some seconds, and some hundred megabytes


@frozen
class Piece:
    """An item of the data and what any careful reader knows of it. `facts` that only reading tells have the names of `Corpus.words`; the
    others are what code finds in the data (a number, a date)."""

    item: Item
    facts: Mapping[str, Any]


@frozen
class Question:
    """`answer` gives the answer that follows from the pieces it is handed: from all of them the gold one. `needs`: whether a piece has to
    be read for it, by whoever can. `program` answers it in the language, over the data's names."""

    name: str
    text: str
    type: str
    answer: Callable[[Sequence[Piece]], Any]
    score: Callable[[Any, Any], float]
    program: str
    needs: Callable[[Piece], bool] = lambda piece: True


@frozen(slots=False)
class Corpus:
    """`data`: each name with a text, or with the files of a folder by their paths. `key` finds, in any text, what may be pieces: a match is
    the name of one (`Piece.item.name`), or its text."""

    workload: str
    n: int
    seed: int
    data: Mapping[str, str | Mapping[str, str]]
    pieces: Sequence[Piece] = field(repr=False)
    questions: tuple[Question, ...]
    key: re.Pattern[str]

    def task(self, at: int = 0, folder: str | Path | None = None) -> Task:
        """The question of that place. A corpus that is a folder of files is read from where `write` has put it. Raises UsageError."""
        if not 0 <= at < len(self.questions):
            raise UsageError(f"{self.workload} has the questions 1 to {len(self.questions)}")
        question = self.questions[at]
        return Task(
            question=question.text,
            data=self._values(folder),
            type=question.type,
            gold=question.answer(self.pieces),
            score=question.score,
            needed=tuple(piece.item for piece in self.pieces if question.needs(piece)),
            name=f"{self.workload} {question.name}" if len(self.questions) > 1 else self.workload,
        )

    def tasks(self, folder: str | Path | None = None) -> Iterator[Task]:
        """All questions, one after the other."""
        return (self.task(at, folder) for at in range(len(self.questions)))

    def write(self, folder: str | Path) -> Path:
        """Writes `context/`, `gold.json` and `pieces.jsonl` (each piece and its facts), for people to look at; gives the path of the
        context. Raises UsageError."""
        place = Path(folder)
        context = place / "context"
        golds = [{"question": q.text, "type": q.type, "gold": q.answer(self.pieces)} for q in self.questions]
        about = {"workload": self.workload, "n": self.n, "seed": self.seed, "questions": golds}
        try:
            for path, text in self.files():
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                (context / path).write_text(text, encoding="utf-8", newline="\n")
            (place / "gold.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8", newline="\n")
            with (place / "pieces.jsonl").open("w", encoding="utf-8", newline="\n") as file:
                for piece in self.pieces:
                    file.write(json.dumps({"name": piece.item.name, **piece.facts}) + "\n")
        except OSError as error:
            raise UsageError(printable(f"the workload cannot be written to {place}: {error.strerror or error}")) from None
        return context

    def files(self) -> Iterator[tuple[str, str]]:
        """The data as files: path and text."""
        for name, held in self.data.items():
            if isinstance(held, str):
                yield f"{name}.txt", held
            else:
                yield from ((f"{name}/{path}", text) for path, text in held.items())

    def shown(self, text: str) -> list[Piece]:
        """The pieces that a text holds, verbatim or as JSON writes them, in its order, each once."""
        found: dict[str, Piece] = {}
        for match in self.key.finditer(text):
            piece = self.by_key.get(match[0])
            if piece is not None and piece.item.name not in found and (match[0] == piece.item.text or holds(text, piece.item)):
                found[piece.item.name] = piece
        return list(found.values())

    @cached_property
    def by_key(self) -> Mapping[str, Piece]:
        """The pieces by their names, and by their texts."""
        return {key: piece for piece in self.pieces for key in (piece.item.text, piece.item.name)}

    def _values(self, folder: str | Path | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, held in self.data.items():
            if isinstance(held, str):
                values[name] = held
            elif folder is None:
                raise UsageError(f"{self.workload} is a folder of files: write it first")
            else:
                values[name] = Path(folder) / "context" / name
        return values


def holds(text: str, item: Item) -> bool:
    """Whether a text has an item in it, as it stands or JSON-escaped."""
    return item.text in text or json.dumps(item.text)[1:-1] in text or json.dumps(item.text, ensure_ascii=False)[1:-1] in text
