"""What goes between a run and its worker processes, over a pair of sockets.

A frame is its length in 8 bytes and a list of messages; whoever sends puts all that came up in one turn of its event loop into one frame.
Both ends run the same interpreter and trust each other, so messages are tuples of plain values under `marshal`, the quickest there is:

    (MODEL, model, fields, url, headers)                            to a worker: a model that it will be asked for, its key in the clear
    (ASK, call, model, messages, max_tokens, temperature, schema, grammar, tools)
    (CANCEL, call)
    (SERVE, module, words)                                          for that module, which is imported with the first
    (READY,)                                                        from a worker: it has imported all that it needs
    (REPLY, call, text, finish, refusal, usage, tool_calls)
    (ERROR, call, message, retryable, retry_after, status, charged)
    (SERVED, module, words)                                         from that module
"""

from __future__ import annotations

import asyncio
import marshal
import struct
from collections.abc import Mapping
from typing import Any, Final

from attrs import fields

from rlmlang.lm.request import Address, Completion, Message, Model, ProviderError, Request, Secret, Tool, ToolCall, Usage

MODEL: Final = 0
ASK: Final = 1
CANCEL: Final = 2
READY: Final = 3
REPLY: Final = 4
ERROR: Final = 5
SERVE: Final = 6
SERVED: Final = 7

_LENGTH: Final = struct.Struct(">Q")

Words = tuple[Any, ...]  # a message


class Channel(asyncio.Protocol):
    """One end: `send` queues a message until the turn of the event loop is over; subclasses say what is done with those that come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._queued: list[Words] = []
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, message: Words) -> None:
        """Sends `message`, with all others of this turn. What is sent after the other end has gone is lost."""
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued.append(message)

    def received(self, message: Words) -> None:
        """Another message came."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        self._received += data
        for message in _take(self._received):
            self.received(message)

    def _flush(self) -> None:
        queued, self._queued = self._queued, []
        if self._transport is not None and not self._transport.is_closing():
            packed = marshal.dumps(queued)
            self._transport.write(_LENGTH.pack(len(packed)) + packed)


def _take(received: bytearray) -> list[Words]:
    """The messages of all frames that are complete, in order; what is left in `received` is the beginning of another."""
    messages: list[Words] = []
    start = 0
    while len(received) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(received, start)
        end = start + _LENGTH.size + length
        if len(received) < end:
            break
        with memoryview(received) as view, view[start + _LENGTH.size : end] as frame:
            messages += marshal.loads(frame)
        start = end
    del received[:start]
    return messages


def model_words(number: int, model: Model, address: Address) -> Words:
    """`model`, and where its requests go, as a message. Only for a socket: it has the key."""
    values = {field.name: getattr(model, field.name) for field in fields(Model)}
    key = model.api_key
    return MODEL, number, values | {"api_key": None if key is None else key.reveal()}, address.url, address.headers


def read_model(values: Mapping[str, Any], url: str, headers: tuple[tuple[str, str], ...]) -> tuple[Model, Address]:
    """What `model_words` says."""
    key = values["api_key"]
    return Model(**{**values, "api_key": None if key is None else Secret(key)}), Address(url, headers)


def ask_words(call: int, model: int, request: Request) -> Words:
    """One attempt of `request`, with what a provider needs of it."""
    messages = [(message.role, message.content, _calls_words(message.calls), message.call_id) for message in request.messages]
    tools = [(tool.name, tool.description, dict(tool.parameters)) for tool in request.tools]
    return ASK, call, model, messages, request.max_tokens, request.temperature, request.schema, request.grammar, tools


def read_ask(
    model: Model,
    messages: list[Any],
    max_tokens: int,
    temperature: float | None,
    schema: dict[str, Any] | None,
    grammar: str | None,
    tools: list[Any],
) -> Request:
    """What `ask_words` says. The type is left out: a provider has no use for it."""
    said = tuple(Message(role, content, _read_calls(calls), call_id) for role, content, calls, call_id in messages)
    given = tuple(Tool(*tool) for tool in tools)
    return Request(model, said, schema=schema, max_tokens=max_tokens, temperature=temperature, grammar=grammar, tools=given)


def _calls_words(calls: tuple[ToolCall, ...]) -> list[tuple[str, str, str]]:
    return [(call.id, call.name, call.arguments) for call in calls]


def _read_calls(words: list[tuple[str, str, str]]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(*call) for call in words)


def reply_words(call: int, completion: Completion) -> Words:
    usage = completion.usage
    counted = None if usage is None else (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    return REPLY, call, completion.text, completion.finish, completion.refusal, counted, _calls_words(completion.tool_calls)


def read_completion(
    text: str | None,
    finish: str | None,
    refusal: str | None,
    counted: tuple[int, int, int] | None,
    tool_calls: list[tuple[str, str, str]],
) -> Completion:
    """What `reply_words` says."""
    return Completion(text, finish, refusal, None if counted is None else Usage(*counted), _read_calls(tool_calls))


def error_words(call: int, error: ProviderError) -> Words:
    return ERROR, call, error.message, error.retryable, error.retry_after, error.status, error.charged


def read_error(message: str, retryable: bool, retry_after: float | None, status: int | None, charged: bool) -> ProviderError:
    """What `error_words` says."""
    return ProviderError(message, retryable=retryable, retry_after=retry_after, status=status, charged=charged)
