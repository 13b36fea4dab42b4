"""The sub-model of both sides: it knows the truth about each piece of a task's data, so what is measured is the program that asks.

It answers what it is asked, about what it is shown, in the form it is asked for. A program that asks about the wrong piece, leaves the
data out or reads the reply wrongly gets no right answer out of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen

from benchmarks.write_programs.chat import Said, served
from benchmarks.write_programs.task import Seen, Task


@frozen
class Fact:
    """A thing that can be asked about a piece. `asked` finds it in an instruction. `labels`, where it is one of some words: each with
    how it is spoken of. `between`: it is asked about two pieces, and holds for their values or not."""

    asked: str
    labels: Mapping[str, str] = field(factory=dict)
    between: Callable[[Any, Any], bool] | None = None


_YES_NO = {"yes": r"yes|true|same|contradict", "no": r"\bno\b|false|different|agree|consistent"}
_STANDING = re.compile(
    r"^(The task and each piece of data stand between|Reply with JSON of this form|Reply again).*$|^=====8<.*$|^Task$|^Data\b.*$", re.M
)
_AUXILIARY = re.compile(r"^\W*(is|are|was|were|does|do|did|has|have|can|should|will)\b", re.I | re.M)
_NOTHING = re.compile(r"none|nothing|unknown|other|neither|unclear|n/a", re.I)


@frozen
class Oracle:
    """Where the sub-model is, and the prompts that it was asked."""

    url: str
    asked: list[str]


def answer(task: Task, prompt: str, schema: Mapping[str, Any] | None) -> str:
    """The reply to `prompt`: text, or JSON of `schema`."""
    shown = sorted((s for s in task.seen if s.text in prompt), key=lambda s: prompt.index(s.text))
    said = _STANDING.sub("", prompt)
    for piece in sorted(shown, key=lambda s: -len(s.text)):
        said = said.replace(piece.text, "")
    reader = _Reader(task.words, shown, said)
    return reader.plain() if schema is None else json.dumps(reader.typed(schema, reader.asked(said)))


@frozen
class _Reader:
    facts: Mapping[str, Fact]
    shown: Sequence[Seen]
    said: str

    def asked(self, text: str) -> str | None:
        """The fact that `text` asks for: the first whose words are in it, or the only one there is."""
        found = (name for name, fact in self.facts.items() if re.search(fact.asked, text, re.I))
        return next(found, next(iter(self.facts), None))

    def labels(self, name: str) -> list[str]:
        """The labels of a fact that the instruction speaks of, in the order it does."""
        places = ((label, re.search(words, self.said, re.I)) for label, words in self.facts[name].labels.items())
        return [label for _, label in sorted((m.start(), label) for label, m in places if m)]

    def values(self, name: str | None) -> list[Any]:
        return [s.facts[name] for s in self.shown if name in s.facts] if name else []

    # ---- by a schema ----

    def typed(self, schema: Mapping[str, Any], name: str | None) -> Any:
        if "anyOf" in schema:
            inner = next(s for s in schema["anyOf"] if s.get("type") != "null")
            return self.typed(inner, name) if self.values(name) else None
        if "enum" in schema:
            return self.word([w for w in schema["enum"] if isinstance(w, str)], name)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self.typed({**schema, "type": next(k for k in kind if k != "null")}, name) if self.values(name) else None
        match kind:
            case "object":
                return {key: self.typed(s, self.named(key, name)) for key, s in schema.get("properties", {}).items()}
            case "array":
                return self.many(schema.get("items", {}), name)[: schema.get("maxItems")]
            case "boolean":
                return self.holds(name)
            case "integer" | "number":
                number = self.number(name)
                return int(number) if kind == "integer" else number
        return self.text(name)

    def named(self, key: str, name: str | None) -> str | None:
        """The fact that a field asks for."""
        if key == "value":
            return name
        return key if key in self.facts else next((n for n, f in self.facts.items() if re.search(f.asked, key, re.I)), None)

    def many(self, item: Mapping[str, Any], name: str | None) -> list[Any]:
        if item.get("type") == "object":
            return [_Reader(self.facts, [s], self.said).typed(item, name) for s in self.shown if s.facts]
        values = self.values(name)
        if values and isinstance(values[0], list):
            return list(dict.fromkeys(v for value in values for v in value))
        if name is not None and item.get("type") == "string" and "enum" not in item and len(labels := self.labels(name)) == 1:
            return [s.text for s in self.shown if s.facts.get(name) == labels[0]]
        return [_Reader(self.facts, [s], self.said).typed(item, name) for s in self.shown if name in s.facts]

    def holds(self, name: str | None) -> bool:
        values = self.values(name)
        if name is None or not values:
            return False
        fact = self.facts[name]
        if fact.between is not None:
            return len(values) == 2 and fact.between(*values)
        if fact.labels:
            return (self.labels(name) or list(fact.labels))[0] in values
        return any(map(bool, values))

    def number(self, name: str | None) -> float:
        values = self.values(name)
        if name is not None and self.facts[name].labels:
            label = (self.labels(name) or list(self.facts[name].labels))[0]
            return values.count(label)
        return sum(v for v in values if isinstance(v, (int, float)))

    def word(self, words: Sequence[str], name: str | None) -> str:
        if {w.casefold() for w in words} == {"yes", "no"}:  # a bool is asked for so
            return "yes" if self.holds(name) else "no"
        values = self.values(name)
        if name is None or not values:
            return next((w for w in words if _NOTHING.search(w)), words[-1])
        fact, value = self.facts[name], values[0]
        if fact.between is not None:
            value, labels = "yes" if self.holds(name) else "no", _YES_NO
        elif len(values) > 1 and isinstance(value, (int, float)):
            return words[min(values.index(max(values)), len(words) - 1)]
        elif fact.labels and any(re.search(_YES_NO["yes"], w, re.I) for w in words):
            value, labels = "yes" if self.holds(name) else "no", _YES_NO
        else:
            labels = {**fact.labels}
        exact = next((w for w in words if w.casefold() == str(value).casefold()), None)
        fitting = (w for w in words if value in labels and re.search(labels[value], w, re.I))
        return exact or next(fitting, None) or next((w for w in words if _NOTHING.search(w)), words[-1])

    # ---- in plain words ----

    def text(self, name: str | None) -> str:
        """A text that is asked for."""
        values = self.values(name)
        if name is None or not values:
            return "" if "empty" in self.said else "none"
        if self.facts[name].between is not None:
            return "Yes" if self.holds(name) else "No"
        if (
            len(values) > 1
            and all(isinstance(v, (int, float)) for v in values)
            and re.search(r"which|most|more|best|higher", self.said, re.I)
        ):
            return next(s.text for s in self.shown if s.facts.get(name) == max(values))
        return ("\n" if len(values) > 1 else "").join(self.spelt(name, value) for value in values)

    def spelt(self, name: str, value: Any) -> str:
        if isinstance(value, list):
            return ("\n" if re.search(r"\blines?\b", self.said, re.I) else ", ").join(value)
        word = str(value)
        found = re.search(rf"\b{re.escape(word)}\b", self.said, re.I) if self.facts[name].labels else None
        return found[0] if found else word

    def plain(self) -> str:
        """A reply to a prompt that gives no schema, in the form that it asks for in words."""
        names = [n for n, f in self.facts.items() if re.search(f.asked, self.said, re.I)] or list(self.facts)[:1]
        if not names or not any(self.values(n) for n in names):
            return "[]" if re.search(r"json (list|array)", self.said, re.I) else self.text(None)
        if re.search(r"\bjson\b", self.said, re.I):
            return self.json(names)
        if len(names) > 1 and not any(self.facts[n].labels for n in names):
            if re.search(r"comma|,\s*separated|csv", self.said, re.I):
                return ", ".join(self.text(n) for n in names)
            return "\n".join(f"{n.title()}: {self.text(n)}" for n in names)
        name = names[0]
        fact = self.facts[name]
        spoken = self.labels(name) if fact.labels else []
        yes_no = re.search(r"\b(yes|no)\b", self.said, re.I) or (len(spoken) < 2 and _AUXILIARY.search(self.said))
        true_false = re.search(r"\b(true|false)\b", self.said, re.I)
        if (fact.labels or fact.between) and (yes_no or true_false) and len(spoken) < 3:
            return ("True" if self.holds(name) else "False") if true_false else "Yes" if self.holds(name) else "No"
        if fact.labels and len(self.values(name)) > 1 and re.search(r"how many|count", self.said, re.I):
            return str(int(self.number(name)))
        return self.text(name)

    def json(self, names: list[str]) -> str:
        keys = list(dict.fromkeys(re.findall(r"[\"'](\w+)[\"']\s*:", self.said)))
        one = {"type": "object", "properties": {k: {} for k in keys or names}}
        single = len(names) == 1 and not keys
        values = [
            self.values(names[0])[i] if single else _Reader(self.facts, [s], self.said).record(one)
            for i, s in enumerate(self.having(names))
        ]
        if len(values) == 1 and not (re.search(r"\b(list|array)\b", self.said, re.I) and not isinstance(values[0], list)):
            return json.dumps(values[0])
        if single and all(isinstance(v, list) for v in values):
            return json.dumps([x for v in values for x in v])
        return json.dumps(values)

    def having(self, names: list[str]) -> list[Seen]:
        return [s for s in self.shown if names[0] in s.facts]

    def record(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: self.values(self.named(key, None)) for key in schema["properties"]}
        return {key: values[0] if values else None for key, values in found.items()}


@contextmanager
def oracle(task: Task) -> Iterator[Oracle]:
    """The sub-model of `task`, for one program."""
    asked: list[str] = []

    def reply(body: Mapping[str, Any]) -> Said:
        prompt = "\n".join(m["content"] for m in body["messages"] if m["role"] == "user")
        asked.append(prompt)
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        return Said(answer(task, prompt, schema))

    with served(reply) as url:
        yield Oracle(url, asked)
