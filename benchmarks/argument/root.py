"""Root models that play each strategy as it is meant: no plan that is not the pattern's own, and no mistake but those that are asked for.

`Root` is handed what a strategy sends to its main model, and goes by nothing but that. It reads perfectly (`reader.py`), decides as its
strategy's prompt tells it to, and forgets nothing. `drop`: the share of its sub-calls, in programs too, that it leaves out without
noticing, each by itself; which ones is decided by what they are about.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from benchmarks.argument.reader import Reader, counted, schema_of, tokens, written
from benchmarks.write_programs.chat import Said
from rlmlang.compare.task import Item
from rlmlang.compare.workloads import Corpus, Piece, Question
from rlmlang.solve.prompt import rules

_COUNTS = re.compile(r"counts: (\{[^{}\n]*\})")
_TOLD = re.compile(r"(?m)^(?:[-*] )?((?:No\.|Note|Report|Review|line) \d+): (.+)$")


@define(eq=False)
class Root:
    """The root model and the sub-model of one question. `largest` is the longest prompt that it was sent, in tokens."""

    corpus: Corpus
    question: Question
    drop: float = 0.0
    largest: int = 0
    reader: Reader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader = Reader(self.corpus)

    def __call__(self, body: Mapping[str, Any]) -> Said:
        if body["model"] == "root":
            self.largest = max(self.largest, tokens(written(body)))
        return self._answer(body)

    def _answer(self, body: Mapping[str, Any]) -> Said:
        prompt = written(body)
        if prompt.startswith(rules()):
            return counted(body, f"```rlm\n{self.question.program}```")
        if self.question.text not in prompt:
            return self.reader(body)
        if "Note all that this piece" in prompt or "These are notes on a question" in prompt:
            return counted(body, self.digest(prompt))
        return counted(body, self.final(schema_of(body), self.known(prompt)))

    # ---- what it knows ----

    def digest(self, prompt: str) -> str:
        """Notes on what a prompt shows or notes: counts where the question is about these, else what is true of each piece."""
        found = self.known(prompt)
        if self.corpus.workload in ("counting", "injected"):
            return "counts: " + json.dumps(dict(Counter(str(self.reader.told(piece)) for piece in found)))
        return self.reader.notes(found)

    def known(self, prompt: str) -> list[Piece]:
        """The pieces that a prompt shows, or says enough about, as far as they bear on the question."""
        shown = {piece.item.name: piece for piece in self.corpus.shown(prompt)}
        for name, told in _TOLD.findall(prompt):
            piece = self.by_name.get(name)
            if piece is not None and str(self.reader.told(piece)) == told.strip():
                shown.setdefault(name, piece)
        pieces = [piece for piece in shown.values() if self.question.needs(piece)]
        typical = next(piece for piece in self.corpus.pieces if self.question.needs(piece))
        for counts in _COUNTS.findall(prompt):
            for told, times in json.loads(counts).items():
                pieces += [self.standing_for(typical, told)] * times
        return pieces

    def standing_for(self, typical: Piece, told: str) -> Piece:
        """A piece of which a note on several says no more than this."""
        name = "complaint" if self.corpus.workload == "injected" else "label"
        return Piece(Item("", ""), {**typical.facts, name: told == "yes" if name == "complaint" else told})

    @property
    def by_name(self) -> Mapping[str, Piece]:
        return self.corpus._by_key

    def final(self, schema: Mapping[str, Any] | None, pieces: Sequence[Piece]) -> str:
        """The answer that follows from pieces."""
        answer = self.question.answer(pieces)
        if schema is None:
            return answer if isinstance(answer, str) else json.dumps(answer)
        wrapped = list(schema.get("properties", ())) == ["value"]
        return json.dumps({"value": answer} if wrapped else answer)

    def dropped(self, what: str) -> bool:
        """Whether it leaves out the sub-call about this."""
        digest = hashlib.sha256(what.encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.drop
