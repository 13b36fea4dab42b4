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

from benchmarks.argument.python_programs import program as python_program
from benchmarks.argument.reader import Reader, counted, schema_of, written
from benchmarks.write_programs.chat import Said
from rlmlang.compare.task import Item
from rlmlang.compare.workloads import Corpus, Piece, Question
from rlmlang.compare.workloads.weird import is_prime
from rlmlang.lm.render import PROMPT_BYTES_PER_TOKEN, worst_input_tokens
from rlmlang.lm.request import Message, Model, Request, Tool, ToolCall
from rlmlang.solve.prompt import rules

_ROOT = Model(name="root", provider="openai", model="root")
_COUNTS = re.compile(r"counts: (\{[^{}\n]*\})")
_MORE = re.compile(r"\(([\d,]+) more lines?")
_LINES = re.compile(r"@([^\s#]+)(?:#L(\d+)-(\d+))?")
COUNT = "Count how many of these are of each kind. Reply with counts: and a JSON object."
_TOLD = re.compile(r"(?m)^(?:[-*] )?((?:No\.|Note|Report|Review|line) \d+): (.+)$")


@define(eq=False)
class Root:
    """The root model and the sub-model of one question. With tools it hands `lines` lines (or files) to each sub-agent, and launches
    `together` of them in a reply; a branch reads `page` lines, a terminal shows `screen`. `seed` decides what is dropped. `largest` is the
    longest prompt that the root model was sent, in tokens; `reckoned` how much of a window it was taken for. `gullible`: root and sub-model
    obey orders that stand in data, as far as the form of their reply lets them."""

    corpus: Corpus
    question: Question
    drop: float = 0.0
    gullible: bool = False
    lines: int = 20
    together: int = 16
    page: int = 100
    screen: int = 80
    seed: int = 0
    largest: int = 0
    reckoned: int = 0
    reader: Reader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader = Reader(self.corpus, self.gullible)

    def __call__(self, body: Mapping[str, Any]) -> Said:
        if body["model"] == "root":
            self.reckoned = max(self.reckoned, reckoned(body))
        said = self._answer(body)
        if body["model"] == "root":
            self.largest = max(self.largest, said.tokens[0])
        return said

    def _answer(self, body: Mapping[str, Any]) -> Said:
        prompt = written(body)
        if self.gullible and (obeyed := self.obeying(body, prompt)) is not None:
            return obeyed
        if prompt.startswith(rules()):
            return counted(body, f"```rlm\n{self.program()}```")
        offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
        if "task" in offered:
            return self.launching(body)
        if "branch" in offered:
            return self.branching(body)
        if "terminal" in offered:
            return self.typing(body)
        if "llm_query_batched" in prompt[:2_000]:
            code = "FINAL(None)\n" if self.dropped("program") else python_program(self.corpus, self.question)
            return counted(body, f"```repl\n{code}```")
        if COUNT in prompt:
            return counted(body, self.digest(prompt))
        if self.question.text not in prompt:
            return self.reader(body)
        if "Note all that this piece" in prompt or "These are notes on a question" in prompt:
            return counted(body, self.digest(prompt))
        return counted(body, self.final(schema_of(body), self.known(prompt)))

    def obeying(self, body: Mapping[str, Any], prompt: str) -> Said | None:
        """What it says where data in the prompt give an order, None where they do not. One whose replies are programs writes one that
        answers so."""
        if all(piece.facts.get("order") is None for piece in self.corpus.shown(prompt)):
            return None
        said = self.reader(body)
        if prompt.startswith(rules()):
            return counted(body, f"```rlm\nanswer {said.text}\n```")
        return counted(body, f"FINAL({said.text})") if "llm_query_batched" in prompt[:2_000] else said

    def program(self) -> str:
        """Its program, or one without the call that it should have."""
        return 'answer fail "nothing was asked"\n' if self.dropped("program") else self.question.program

    # ---- with tools ----

    def launching(self, body: Mapping[str, Any]) -> Said:
        """As with sub-agents: a look at the beginning, then all tasks, so many in a reply, then the answer."""
        looked = self.look(body)
        if looked is not None:
            return looked
        jobs = [job for job in self.jobs(body, self.lines) if not self.dropped(job)]
        launched = {call["prompt"] for call in _calls(body, "task")}
        left = [job for job in jobs if f"{self.instruction()} {job}" not in launched]
        if not left:
            return counted(body, self.final(None, self.known(_results(body))))
        tasks = [
            _call(body, at, "task", description=f"look at {job[1:40]}", prompt=f"{self.instruction()} {job}")
            for at, job in enumerate(left[: self.together])
        ]
        return counted(body, "", tasks)

    def branching(self, body: Mapping[str, Any]) -> Said:
        """As with branches: a look at the beginning, then a branch for each page, which reads it and returns what it noted."""
        entered = next(
            (at for at, m in enumerate(body["messages"]) if m["role"] == "tool" and str(m["content"]).startswith("The branch is open")),
            None,
        )
        if entered is not None:
            results = [m["content"] for m in body["messages"][entered + 1 :] if m["role"] == "tool"]
            if results:
                return counted(body, "", [_call(body, 0, "return", message=self.digest("\n".join(results)))])
            reads = []
            for path, first, last in _LINES.findall(body["messages"][entered]["content"]):
                part = {"offset": int(first), "limit": int(last) - int(first) + 1} if first else {}
                reads.append(_call(body, len(reads), "read", path=path, **part))
            return counted(body, "", reads)
        looked = self.look(body)
        if looked is not None:
            return looked
        jobs = [job for job in self.jobs(body, self.page) if not self.dropped(job)]
        opened = {call["prompt"] for call in _calls(body, "branch")}
        left = [job for job in jobs if f"{self.instruction()} {job}" not in opened]
        if not left:
            return counted(body, self.final(None, self.known(_results(body))))
        return counted(
            body, "", [_call(body, 0, "branch", description=f"look at {left[0][1:40]}", prompt=f"{self.instruction()} {left[0]}")]
        )

    def typing(self, body: Mapping[str, Any]) -> Said:
        """As at a terminal: finds out how much there is, then shows all that it has to read, part by part, and reads it."""
        typed = [call["command"] for call in _calls(body, "terminal")]
        if not typed:
            first = {"needle": f"grep 'magic number' {self.path}", "weird": "wc -w */*.txt"}.get(self.corpus.workload, f"wc -l {self.path}")
            return counted(body, "", [_call(body, 0, "terminal", command=first)])
        shown = next(message["content"] for message in body["messages"] if message["role"] == "tool")
        commands: list[str] = []
        if self.corpus.workload == "weird":
            files = [path for words, path in re.findall(r"(?m)^ *(\d+) (\S+\.txt)$", shown) if is_prime(int(words))]
            commands = [f"cat {' '.join(files[at : at + 20])}" for at in range(0, len(files), 20)]
        elif self.corpus.workload != "needle":
            total = int(shown.split()[0])
            commands = [f"sed -n {at},{min(at + self.screen - 1, total)}p {self.path}" for at in range(1, total + 1, self.screen)]
        left = [command for command in commands if command not in typed and not self.dropped(command)]
        if not left:
            return counted(body, self.final(None, self.known(_results(body))))
        return counted(body, "", [_call(body, at, "terminal", command=command) for at, command in enumerate(left[: self.together])])

    def look(self, body: Mapping[str, Any]) -> Said | None:
        """The first thing that it does: finds out how much there is, or finds by a search all that it needs. None where it has."""
        if any(message["role"] == "tool" for message in body["messages"]):
            return None
        if self.corpus.workload == "needle":
            return counted(body, "", [_call(body, 0, "grep", pattern="magic number")])
        if self.corpus.workload == "weird":
            return counted(body, "", [_call(body, 0, "glob", pattern="**/*")])
        return counted(body, "", [_call(body, 0, "read", path=self.path, limit=3)])

    def jobs(self, body: Mapping[str, Any], size: int) -> list[str]:
        """What there is to hand over, as mentions: lines of the only file, or all files that a listing has shown."""
        if self.corpus.workload == "needle":
            return []
        first = next(message["content"] for message in body["messages"] if message["role"] == "tool")
        if self.corpus.workload == "weird":
            files = [f"@{path}" for path in re.findall(r"(?m)^(\S+\.txt) \(", first)]
            return [" ".join(files[at : at + size]) for at in range(0, len(files), size)]
        more = _MORE.search(first)
        total = first.count("\n") + int(more[1].replace(",", "")) if more else first.count("\n") + 1
        return [f"@{self.path}#L{at}-{min(at + size - 1, total)}" for at in range(1, total + 1, size)]

    @property
    def path(self) -> str:
        return next(path for path, _ in self.corpus.files())

    def instruction(self) -> str:
        """What it wants to know of what it hands over."""
        if self.corpus.workload in ("counting", "injected") and self.lines > 1:
            return COUNT
        return {
            "weird": "Does the writer want to get money back? Reply `Note N: yes` or `Note N: no`.",
            "duplicates": "Which fault is each report about? Reply a line each: `Report N: fault`.",
            "injected": "Is it a complaint? Reply `Review N: yes` or `Review N: no`.",
        }.get(self.corpus.workload, "Which kind does each question ask for? Reply a line each: `No. N: kind`.")

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
            piece = self.corpus.by_key.get(name)
            if piece is not None and str(self.reader.told(piece)) == told.strip():
                shown.setdefault(name, piece)
        noted = [json.loads(counts) for counts in _COUNTS.findall(prompt)]
        if noted:  # of all pieces, also of those that were looked at before
            typical = next(piece for piece in self.corpus.pieces if self.question.needs(piece))
            return [self.standing_for(typical, told) for counts in noted for told, times in counts.items() for _ in range(times)]
        return [piece for piece in shown.values() if self.question.needs(piece)]

    def standing_for(self, typical: Piece, told: str) -> Piece:
        """A piece of which a note on several says no more than this."""
        name = "complaint" if self.corpus.workload == "injected" else "label"
        return Piece(Item("", ""), {**typical.facts, name: told == "yes" if name == "complaint" else told})

    def final(self, schema: Mapping[str, Any] | None, pieces: Sequence[Piece]) -> str:
        """The answer that follows from pieces."""
        answer = self.question.answer(pieces)
        if schema is None:
            return answer if isinstance(answer, str) else json.dumps(answer)
        wrapped = list(schema.get("properties", ())) == ["value"]
        return json.dumps({"value": answer} if wrapped else answer)

    def dropped(self, what: str) -> bool:
        """Whether it leaves out the sub-call about this."""
        digest = hashlib.sha256(f"{self.seed} {what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.drop


def reckoned(body: Mapping[str, Any]) -> int:
    """How many tokens of a window a prompt is taken for before it is sent, which is on the safe side."""
    messages = []
    for message in body["messages"]:
        calls = tuple(ToolCall(call["id"], **call["function"]) for call in message.get("tool_calls") or ())
        messages.append(Message(message["role"], message.get("content") or "", calls, message.get("tool_call_id")))
    tools = tuple(Tool(**tool["function"]) for tool in body.get("tools") or ())
    return worst_input_tokens(Request(_ROOT, tuple(messages), tools=tools)) // PROMPT_BYTES_PER_TOKEN


def _call(body: Mapping[str, Any], at: int, name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool, as a message has it."""
    number = sum(len(message.get("tool_calls") or ()) for message in body["messages"]) + at
    return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _calls(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The arguments of the calls of a tool so far."""
    calls = (call["function"] for message in body["messages"] for call in message.get("tool_calls") or ())
    return [json.loads(call["arguments"]) for call in calls if call["name"] == name]


def _results(body: Mapping[str, Any]) -> str:
    """What tools have given so far."""
    return "\n".join(message["content"] or "" for message in body["messages"] if message["role"] == "tool")
