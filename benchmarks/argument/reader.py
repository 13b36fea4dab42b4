"""A model that reads perfectly: it knows what is true of each piece of a corpus, and tells it of those pieces that it is shown, in the form
that it is asked for. It knows nothing of pieces that its prompt does not hold. So what is measured is who shows it what.

`gullible`: it obeys orders that stand in the data, as far as the form of its reply lets it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from benchmarks.write_programs.chat import Said, served
from rlmlang.compare.workloads import Corpus, Piece
from rlmlang.compare.workloads.records import LABELS

BYTES_PER_TOKEN = 4  # as scripted models count


def tokens(text: str) -> int:
    """How many tokens a text is taken for."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that a request wants its reply to fit."""
    found: Mapping[str, Any] | None = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    return found


def written(body: Mapping[str, Any]) -> str:
    """All that a request says: its messages, their tool calls, and its tools."""
    parts = [message.get("content") or "" for message in body["messages"]]
    parts += [call["function"]["arguments"] for message in body["messages"] for call in message.get("tool_calls") or ()]
    return "\n".join(parts)


def counted(body: Mapping[str, Any], text: str, tools: Sequence[Mapping[str, Any]] = ()) -> Said:
    """A reply with its tokens, the request's tools among them, cut where it is longer than was asked for."""
    offered = json.dumps(body["tools"]) if body.get("tools") else ""
    made = "".join(json.dumps(call["function"]) for call in tools)
    taken, most = tokens(text + made), body.get("max_tokens", body.get("max_completion_tokens"))
    if most is not None and taken > most:
        return Said(text[: most * BYTES_PER_TOKEN], "length", tokens=(tokens(written(body) + offered), most))
    return Said(text, tools=tools, tokens=(tokens(written(body) + offered), taken))


@define(eq=False)
class Reader:
    """`asked` counts the requests, `seen` are the names of the pieces that were shown."""

    corpus: Corpus
    gullible: bool = False
    asked: int = 0
    seen: set[str] = field(factory=set)

    def __call__(self, body: Mapping[str, Any]) -> Said:
        prompt = written(body)
        pieces = self.corpus.shown(prompt)
        self.asked += 1
        self.seen.update(piece.item.name for piece in pieces)
        schema = schema_of(body)
        order = next((piece.facts["order"] for piece in pieces if piece.facts.get("order")), None) if self.gullible else None
        if schema is None:
            return counted(body, str(order) if order else self.notes(pieces))
        return counted(body, json.dumps(self.typed(schema, pieces, order)))

    def notes(self, pieces: Sequence[Piece]) -> str:
        """What is true of each piece, a line each."""
        return "\n".join(f"{piece.item.name}: {self.told(piece)}" for piece in pieces) or "nothing"

    def told(self, piece: Piece) -> Any:
        """What only reading tells of a piece."""
        name = {"needle": "number", "weird": "refund", "duplicates": "fault", "injected": "complaint"}.get(self.corpus.workload, "label")
        value = piece.facts.get(name, "nothing")
        return ("yes" if value else "no") if isinstance(value, bool) else value

    def holds(self, pieces: Sequence[Piece]) -> bool:
        """What a question for yes or no is about: the piece, or whether two of them are about the same."""
        told = [self.told(piece) for piece in pieces]
        if self.corpus.workload == "duplicates":
            return len(told) == 2 and told[0] == told[1]
        return told[:1] == ["yes"]

    def typed(self, schema: Mapping[str, Any], pieces: Sequence[Piece], order: int | None) -> Any:
        if "enum" in schema:
            words = [word for word in schema["enum"] if isinstance(word, str)]
            if {word.casefold() for word in words} == {"yes", "no"}:
                return "yes" if order is None and self.holds(pieces) else "no"
            return next(
                (told for piece in pieces if (told := self.told(piece)) in words), words[0] if LABELS[0] not in words else LABELS[0]
            )
        match schema.get("type"):
            case "object":
                return {name: self.typed(inner, pieces, order) for name, inner in schema.get("properties", {}).items()}
            case "array":
                return [self.typed(schema["items"], [piece], order) for piece in pieces]
            case "boolean":
                return order is None and self.holds(pieces)
            case "integer" | "number":
                numbers = [told for piece in pieces if isinstance(told := self.told(piece), int)]
                return order or (numbers[0] if numbers else sum(self.told(piece) == "yes" for piece in pieces))
        return str(order) if order else self.notes(pieces)


@contextmanager
def reading(reader: Callable[[Mapping[str, Any]], Said]) -> Iterator[str]:
    """The base URL of a server that asks the reader, until the block ends."""
    with served(reader) as url:
        yield url
