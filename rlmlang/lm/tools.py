"""Tools as OpenAI's chat completions have them: as they are called and answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rlmlang.lm.request import Message, ToolCall


def messages_json(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as they are sent."""
    return [{"role": m.role, "content": m.content} if not m.calls and m.call_id is None else _with_calls(m) for m in messages]


def _with_calls(message: Message) -> dict[str, Any]:
    """A message that calls tools, or has the result of such a call."""
    if message.call_id is not None:
        return {"role": message.role, "tool_call_id": message.call_id, "content": message.content}
    calls = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.calls]
    return {"role": message.role, "content": message.content or None, "tool_calls": calls}


def read_tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    """The calls of functions in a message that may hold anything; arguments that came as JSON instead of its text are written out."""
    found = []
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
            found.append(ToolCall(str(call.get("id") or ""), function["name"], text))
    return tuple(found)
