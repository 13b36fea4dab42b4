"""A model that works with tools, turn by turn: the loop that the strategies with tool calls have in common.

    reply -> its calls of tools, all at the same time -> their results, in order, go back   ... until a reply calls none: the answer

Whatever a model does wrong is told to it as the tool's result: a tool that there is not, arguments that are no JSON or not those of the
tool, a tool that fails. It ends without an answer where the turns are used, or the model does the same again and again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from rlmlang import limits
from rlmlang.compare.desk import Desk
from rlmlang.compare.strategy import Step, Who
from rlmlang.errors import CutOff, Failure, Looped
from rlmlang.lm.reply import BadReply, Spoken
from rlmlang.lm.request import Message, Tool, ToolCall
from rlmlang.syntax.diagnostics import plural, printable
from rlmlang.values import Mismatch, parse_json_text

Arguments = Mapping[str, Any]
Use = Callable[[Desk, Arguments], Awaitable[str]]

_KINDS: Final = {"string": str, "integer": int}
_LAST: Final = "This is your last reply: answer now, with what you have, and call no tool."
_TOO_LONG: Final = "Your reply was too long and was cut off, so nothing of it counts. Write less."
_TAGGED: Final = re.compile(r"<tool_call>\s*(\{.*?\})\s*(?:</tool_call>|$)", re.S)
_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.S)


@frozen(eq=False)
class Offer:
    """A tool and what it does: `use` gives its result, given arguments that fit it. A Failure that it raises is the result, too."""

    tool: Tool
    use: Use


def tool(name: str, description: str, required: Mapping[str, str], optional: Mapping[str, tuple[str, str]] | None = None) -> Tool:
    """A tool whose arguments are texts, given with what each means; optional ones with their JSON type before that."""
    properties = {key: {"type": "string", "description": meaning} for key, meaning in required.items()}
    properties |= {key: {"type": kind, "description": meaning} for key, (kind, meaning) in (optional or {}).items()}
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return Tool(name, description, schema)


@define(eq=False)
class Talk:
    """A conversation of one model with tools. `who` is what the transcript calls it; `called` counts its calls of tools."""

    desk: Desk
    offers: Sequence[Offer]
    messages: list[Message]
    who: Who = "root"
    called: int = 0
    _before: tuple[str, tuple[tuple[str, str], ...]] | None = field(default=None, init=False)
    _repeats: int = field(default=1, init=False)
    _wrong: bool = field(default=False, init=False)

    async def answer(self, turns: int, read: Callable[[str], Any]) -> Any:
        """What `read` makes of the first reply that calls no tool; a BadReply that it raises is told to the model. Raises Unsolved, the
        Failure of the model, what stops the run."""
        for turn in range(1, turns + 1):
            said = await self.reply(last=turn == turns)
            if said is None:
                continue
            if not said.calls:
                try:
                    return read(said.text)
                except BadReply as bad:
                    self.tell(said.text, bad.message)
                    continue
            if turn < turns:  # else nobody would read what comes of it
                await self.use(said)
        raise self.desk.unsolved(f"its {turns} turns are used" if turns != 1 else "its only turn is used")

    async def reply(self, *, last: bool = False) -> Spoken | None:
        """The model's next reply, None where it was cut off. Raises Looped, the Failure of the model, what stops the run."""
        last = last or self.desk.calls_left == 1
        messages = [*self.messages, Message("user", _LAST)] if last and self.messages[-1].role == "tool" else self.messages
        try:
            said = await self.desk.ask(messages, [offer.tool for offer in self.offers], warm=self._wrong)
        except CutOff:
            self.tell("…", _TOO_LONG)
            return None
        if not said.calls:
            said = written_calls(said.text, [offer.tool.name for offer in self.offers])
        if said.text.strip():
            self.desk.note(Step(self.who, text=said.text))
        same = said.text, said.calls
        self._repeats = self._repeats + 1 if same == self._before else 1
        self._before = same
        if self._repeats >= limits.SOLVE_REPEATS:
            raise self.desk.unsolved(f"the model did the same {self._repeats} times in a row", Looped)
        return said

    def tell(self, reply: str, problem: str) -> None:
        """Lets a reply without calls go back, with what is wrong with it."""
        self._wrong = True
        self.desk.note(Step("note", text=printable(problem)))
        self.messages += [Message("assistant", reply), Message("user", problem)]

    async def use(self, said: Spoken) -> None:
        """Does what a reply asks for, all at the same time, and lets the results go back."""
        calls = self.enter(said)
        results = await self.results(said.calls)
        for call, result in zip(calls, results, strict=True):
            self.result(call, result)

    async def results(self, calls: Sequence[tuple[str, str]]) -> list[str]:
        """What calls of tools, all at the same time, give."""
        steps = await self.desk.together([self._job(call) for call in calls[: limits.TOOL_CALLS]])
        self.desk.transcript += steps
        results = [step.result for step in steps]
        results += [refused(f"at most {plural(limits.TOOL_CALLS, 'tool')} may be called in one reply")] * (len(calls) - len(results))
        self._wrong = bool(results) and all(result.startswith(_ERROR) for result in results)
        return results

    def enter(self, said: Spoken) -> list[ToolCall]:
        """Puts a reply with calls into the conversation; its calls, with ids that say nothing but their order. Each needs a `result`."""
        calls = []
        for name, arguments in said.calls:
            self.called += 1
            calls.append(ToolCall(f"call{self.called:05}", name, _sendable(arguments)))
        self.messages.append(Message("assistant", said.text, tuple(calls)))
        return calls

    def result(self, call: ToolCall, text: str) -> None:
        """Puts the result of a call into the conversation."""
        self.messages.append(Message("tool", text, call_id=call.id))

    def _job(self, call: tuple[str, str]) -> Callable[[Desk], Awaitable[Step]]:
        async def job(desk: Desk) -> Step:
            name, arguments = call
            result = await self.run(desk, name, arguments)
            return Step("tool", name=name, arguments=arguments, result=result, steps=tuple(desk.transcript))

        return job

    async def run(self, desk: Desk, name: str, arguments: str) -> str:
        """The result of a tool, or what is wrong with the call of it."""
        offer = next((offer for offer in self.offers if offer.tool.name == name), None)
        if offer is None:
            return refused(f"there is no tool {printable(name, 60)}; there is {', '.join(offer.tool.name for offer in self.offers)}")
        try:
            return desk.cut(await offer.use(desk, read_arguments(offer.tool, arguments)))
        except (BadReply, Failure) as failure:
            return refused(printable(failure.message))


_ERROR: Final = "error: "


def refused(why: str) -> str:
    """The result of a tool that did nothing."""
    return _ERROR + why


def read_arguments(tool: Tool, text: str) -> dict[str, Any]:
    """The arguments of a call, of the types that the tool declares. Raises BadReply, whose message is meant for the model."""
    try:
        given = parse_json_text(text) if text.strip() else {}
    except Mismatch as mismatch:
        raise BadReply(f"the arguments of {tool.name} were {mismatch.message}") from None
    properties, required = tool.parameters["properties"], tool.parameters["required"]
    if not isinstance(given, dict):
        raise BadReply(f"the arguments of {tool.name} are an object with {', '.join(properties)}")
    missing = [name for name in required if given.get(name) is None]
    if missing:
        raise BadReply(f"{tool.name} needs {', '.join(missing)}")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in properties:
            raise BadReply(f"{tool.name} has no argument {printable(name, 60)}; it has {', '.join(properties)}")
        kind = properties[name]["type"]
        if kind == "integer" and isinstance(value, str) and value.strip().isdecimal():
            value = int(value.strip()[:9])
        if value is None and name not in required:
            continue
        if not isinstance(value, _KINDS[kind]) or isinstance(value, bool):
            raise BadReply(f"{name} of {tool.name} is {'a text' if kind == 'string' else 'a whole number'}")
        found[name] = value
    return found


def written_calls(text: str, names: Sequence[str]) -> Spoken:
    """A reply whose server did not read the calls that the model wrote: between `<tool_call>` marks, as the chat templates of several
    model families have them, in code fences, or as a reply that is nothing but the JSON of one."""
    for marked in (_TAGGED, _FENCED):
        pieces = marked.findall(text)
        if pieces:
            break
    calls = [call for piece in pieces or [text] if (call := _written_call(piece, names)) is not None]
    if not calls or len(calls) < len(pieces):
        return Spoken(text)
    return Spoken(marked.sub("", text).strip() if pieces else "", tuple(calls))


def _written_call(text: str, names: Sequence[str]) -> tuple[str, str] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = parse_json_text(text)
    except Mismatch:
        return None
    if not isinstance(value, dict) or value.get("name") not in names:
        return None
    arguments = value.get("arguments", value.get("parameters"))
    return (value["name"], json.dumps(arguments, ensure_ascii=False)) if isinstance(arguments, dict) else None


def _sendable(arguments: str) -> str:
    """Arguments as they may go back: servers parse them, and some refuse a whole conversation for one that is no JSON object."""
    try:
        if isinstance(parse_json_text(arguments), dict):
            return arguments
    except Mismatch:
        pass
    return json.dumps({"malformed": arguments}, ensure_ascii=False) if arguments.strip() else "{}"
