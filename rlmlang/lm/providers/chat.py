"""OpenAI's chat completions, as most servers speak them: what is sent for a request, and what is read out of the reply.

It needs to be told the address and headers of requests (`openai.py` asks the openai package for them), and knows no such package: worker
processes send requests with what stands here alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from rlmlang import limits
from rlmlang.errors import UsageError
from rlmlang.lm.providers.transport import Transport, read_error
from rlmlang.lm.request import (
    GRAMMAR_TOOL,
    GRAMMAR_TOOL_HELP,
    Address,
    Completion,
    GrammarWay,
    Model,
    ProviderError,
    Request,
    Secret,
    Usage,
    tools_json,
)
from rlmlang.lm.tools import messages_json, read_tool_calls

OPENAI: Final = "https://api.openai.com/v1"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Body = dict[str, Any]


class Chat:
    """The chat of one model, over connections of its own. Raises UsageError where the model's `base_url` is no address."""

    def __init__(self, model: Model) -> None:
        host = _host(model.base_url or OPENAI)
        self._model = model
        self.host = host
        self._seconds = model.timeout or limits.CALL_SECONDS
        modern = host.endswith(("openai.com", "openai.azure.com")) or model.reasoning_tokens > 0
        self._limit_name = "max_completion_tokens" if modern else "max_tokens"  # older servers know only the latter
        self.transport = Transport(host, model.api_key or Secret(""), model.concurrency)

    async def complete(self, request: Request, post: Callable[[Body], Awaitable[bytes]]) -> Completion:
        """One attempt: `post` takes the body that is sent, and gives that of the reply. Raises ProviderError, nothing else."""
        try:
            async with asyncio.timeout(self._seconds):
                reply = await post(self.body(request))
        except ProviderError:
            raise
        except TimeoutError:
            raise ProviderError(f"{self.host} took longer than {self._seconds:g} s", retryable=True, charged=True) from None
        except Exception as error:  # of the libraries: none is expected, and none may leave
            message = self.transport.redacted(f"the request to {self.host} could not be made ({type(error).__name__})")
            raise ProviderError(message) from None
        return self.read(reply)

    async def post(self, address: Address, body: Body) -> bytes:
        """The body of the reply to `body`. Raises ProviderError, and what the libraries raise."""
        return await self.transport.send(address, encoded(body))

    def body(self, request: Request) -> Body:
        """What is sent for `request`."""
        body: Body = {
            "model": self._model.model,
            "messages": messages_json(request.messages),
            self._limit_name: request.max_tokens,
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.schema is not None and self._model.structured == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": request.schema},
            }
        elif request.grammar is not None:
            body |= _constrained(request.grammar, self._model.grammar)
        if request.tools:
            body["tools"] = json.loads(tools_json(request.tools))
        return body

    def read(self, content: bytes) -> Completion:
        """A completion out of a body that may be anything. Raises ProviderError where there is none in it."""
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            what = "an HTML page" if content.lstrip()[:1] == b"<" else "no valid JSON" if content.strip() else "an empty body"
            raise ProviderError(f"{self.host} answered with {what} instead of a completion", charged=True) from None
        return self.read_body(body)

    def read_body(self, body: Any) -> Completion:
        """The same, out of a body that has been read as JSON."""
        if not isinstance(body, dict):
            body = {}
        choice = _first(body.get("choices"))
        message = choice.get("message") if choice else None
        if choice is None or not isinstance(message, dict):
            said = read_error(body)[0] if body.get("error") else ""
            message = f"{self.host} answered without a completion{said and f': {said}'}"
            raise ProviderError(self.transport.redacted(message), charged=True)
        finish = choice.get("finish_reason")
        refusal = message.get("refusal")
        text = _text(message.get("content"))
        written = _tool_input(message.get("tool_calls")) if self._model.grammar == "openai" else None
        if written is not None:
            text, finish = written, "stop" if finish == "tool_calls" else finish
        elif text is None and (message.get("tool_calls") or message.get("function_call")):
            finish = "tool_calls"
        return Completion(
            text=text,
            finish=finish if isinstance(finish, str) else None,
            refusal=refusal if isinstance(refusal, str) and refusal else None,
            usage=_usage(body.get("usage")),
            tool_calls=read_tool_calls(message.get("tool_calls")),
        )


def encoded(body: Body) -> bytes:
    """`body` as JSON; what no encoding can hold is replaced."""
    return _encode(body).encode("utf-8", "replace")


def _host(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        host = parts.hostname
        _ = parts.port  # out of range: ValueError
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError("a model's base_url is an address such as http://localhost:8000/v1")
    return host


def _first(choices: Any) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _text(content: Any) -> str | None:
    """The text of a message: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "".join(texts) if texts else None
    return None


def _constrained(grammar: str, way: GrammarWay | None) -> dict[str, Any]:
    """What a body needs so that the reply fits `grammar`, in the words of each server; nothing where it knows no grammars."""
    match way:
        case "openai":  # not a reply but the input of a tool that must be called, and as text
            tool = {"name": GRAMMAR_TOOL, "description": GRAMMAR_TOOL_HELP, "format": _tool_format(grammar)}
            forced = {"type": "custom", "custom": {"name": GRAMMAR_TOOL}}
            return {"tools": [{"type": "custom", "custom": tool}], "tool_choice": forced, "parallel_tool_calls": False}
        case "vllm":
            return {"structured_outputs": {"grammar": grammar}}
        case "sglang":
            return {"ebnf": grammar}
        case "llamacpp":
            return {"grammar": grammar}
    return {}


def _tool_format(grammar: str) -> dict[str, Any]:
    return {"type": "grammar", "grammar": {"syntax": "lark", "definition": grammar}}


def _tool_input(calls: Any) -> str | None:
    """What the model wrote as the input of our tool."""
    for call in calls if isinstance(calls, list) else ():
        custom = call.get("custom") if isinstance(call, dict) else None
        if isinstance(custom, dict) and custom.get("name") == GRAMMAR_TOOL and isinstance(custom.get("input"), str):
            return str(custom["input"])
    return None


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    received, sent = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(received) is not int or type(sent) is not int:
        return None
    return Usage(received, sent, cached if type(cached) is int else 0)
