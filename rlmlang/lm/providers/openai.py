"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, Ollama, llama.cpp, OpenRouter, …

Through the openai package's client, but by its raw `post`: building and validating its reply objects costs twice what the rest does,
and refuses odd bodies that are easily read. The requests of a provider differ in their body alone, so the client builds and sends the
first; later ones have its address and headers, and go straight to the transport (half of the remaining cost).

Not done here: retries, limits on rates, checks of the reply (see `lm.client`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import openai

from rlmlang import limits
from rlmlang.errors import UsageError
from rlmlang.lm.providers.transport import Transport, read_error
from rlmlang.lm.request import GRAMMAR_TOOL, GRAMMAR_TOOL_HELP, Completion, GrammarWay, Model, ProviderError, Request, Secret, Usage

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OPENAI = "https://api.openai.com/v1"
_NO_KEY = Secret("none")  # a server that asks for no key gets this one: the client wants some
_NOISE = (  # headers that a server has no use for
    *("X-Stainless-Lang", "X-Stainless-Package-Version", "X-Stainless-OS", "X-Stainless-Arch", "X-Stainless-Runtime"),
    *("X-Stainless-Runtime-Version", "X-Stainless-Async"),
)
_OWN = ("OpenAI-Organization", "OpenAI-Project")  # from the environment, and meant for OpenAI alone


class OpenAIProvider:
    """A Provider over HTTP. Raises UsageError where the model's `base_url` is none."""

    def __init__(self, model: Model) -> None:
        base_url = model.base_url or _OPENAI
        host = _host(base_url)
        self._model = model
        self._host = host
        self._seconds = model.timeout or limits.CALL_SECONDS
        modern = host.endswith(("openai.com", "openai.azure.com")) or model.reasoning_tokens > 0
        self._limit_name = "max_completion_tokens" if modern else "max_tokens"  # older servers know only the latter
        key = model.api_key or _NO_KEY
        self._transport = Transport(host, key if model.api_key else Secret(""), model.concurrency)
        unsent = (*_NOISE, *_OWN) if model.base_url else _NOISE
        http: Any = openai.DefaultAioHttpClient(transport=self._transport, trust_env=False, follow_redirects=False)  # type: ignore[arg-type]
        http.headers.clear()
        http.headers["Accept-Encoding"] = "identity"
        self._client = _Client(
            self._transport,
            api_key=key.reveal(),
            base_url=base_url,
            max_retries=0,
            http_client=http,
            default_headers={name: openai.Omit() for name in unsent},
        )
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._response = _response_type(http)

    async def complete(self, request: Request) -> Completion:
        """One attempt. Raises ProviderError, nothing else."""
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._client.send(self._url, self._body(request), self._response)
        except ProviderError:
            raise
        except TimeoutError:
            raise ProviderError(f"{self._host} took longer than {self._seconds:g} s", retryable=True, charged=True) from None
        except Exception as error:  # of openai or httpx: none is expected, and none may leave
            message = self._transport.redacted(f"the request to {self._host} could not be made ({type(error).__name__})")
            raise ProviderError(message) from None
        return self._read(reply)

    async def close(self) -> None:
        await self._client.close()

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
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
        return body

    def _read(self, content: bytes) -> Completion:
        """A completion out of a body that may be anything. Raises ProviderError where there is none in it."""
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            what = "an HTML page" if content.lstrip()[:1] == b"<" else "no valid JSON" if content.strip() else "an empty body"
            raise ProviderError(f"{self._host} answered with {what} instead of a completion", charged=True) from None
        if not isinstance(body, dict):
            body = {}
        choice = _first(body.get("choices"))
        message = choice.get("message") if choice else None
        if choice is None or not isinstance(message, dict):
            said = read_error(body)[0] if body.get("error") else ""
            message = f"{self._host} answered without a completion{said and f': {said}'}"
            raise ProviderError(self._transport.redacted(message), charged=True)
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
        )


class _Client(openai.AsyncOpenAI):
    """The client, with two of its steps overridden: the first request that it builds is remembered, and goes to our transport without the
    HTTP library's own layers (redirects, cookies, authentication), of which none is wanted. Should these steps go, this is only slower."""

    def __init__(self, transport: Transport, **settings: Any) -> None:
        super().__init__(**settings)
        self._platform = "Unknown"  # else it is asked for in a thread, for a header that is not sent
        self._direct = transport
        self._first: Any = None

    async def send(self, url: str, body: dict[str, Any], response: Any) -> bytes:
        """The body of the response to a POST of `body`; `response` is the HTTP library's class of responses."""
        if self._first is None:
            return (await self.post(url, cast_to=response, body=body)).extensions["body"]  # type: ignore[no-any-return]
        return await self._direct.send(self._first, _encoded(body))

    def _build_request(self, options: Any, **more: Any) -> Any:
        body, options.json_data = options.json_data, {}
        request = super()._build_request(options, **more)
        del request.headers["Content-Length"]
        request.extensions["body"] = _encoded(body)
        self._first = request
        return request

    async def _send_request(self, request: Any, **more: Any) -> Any:
        return await self._direct.handle_async_request(request)


def _encoded(body: dict[str, Any]) -> bytes:
    return _encode(body).encode("utf-8", "replace")


def _response_type(http: Any) -> Any:
    """The response class of the HTTP library that openai uses; asked for as result, it comes without any parsing."""
    library = next(base for base in type(http).__mro__ if base.__name__ == "AsyncClient")
    return sys.modules[library.__module__.partition(".")[0]].Response


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
