"""Models that run in this process: a GGUF file under llama.cpp (`gguf:PATH`), and the embedded one (`local`).

One llama.cpp server a provider, with as many slots as the model's concurrency, eight at most: calls under way share each decoding
step. Every call waits in a thread of its own, so the event loop is never held up. Replies are greedy unless a temperature is asked for;
with several slots the rounding of one step depends on the calls that share it, so a reply on the edge between two words may still differ.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from rlmlang.errors import UsageError
from rlmlang.lm.gguf_file import read_header, slot_context
from rlmlang.lm.local import local_model_path
from rlmlang.lm.request import Completion, Message, Model, ProviderError, Request, Usage, tools_json
from rlmlang.lm.tools import messages_json, read_tool_calls
from rlmlang.syntax.diagnostics import printable

# Without this a small model pretty-prints: 23 tokens instead of 7 for {"value": true}.
_COMPACT: Final = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
_ZERO_WIDTH: Final = "\u200b"
_SLOTS: Final = 8  # at most: each holds the memory of a whole context; more calls than that wait their turn
# Tokens of a prompt that are read in one step, at whose end cancelling is noticed: 0.4 s of the embedded model on two cores. In larger
# steps a prompt is read no faster there (808 tokens took 9.9 s of CPU; in steps of 2,048, which is llama.cpp's default, 9.5).
_STEP: Final = 64
# A program whose end is the same piece so often, and so many characters, is not going to end.
_PIECE, _TIMES, _CIRCLES = 200, 5, 600


class GgufProvider:
    """Runs the GGUF file `model.path`, or the embedded model where that is None (fetched at the first call if it is not there yet).

    UsageError when llama.cpp is not installed or the file is not there. The model is loaded at the first call.
    """

    def __init__(self, model: Model) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError("Running a model in this process needs llama.cpp.", hint="pip install 'rlmlang[local]'")
        self._model = model
        self._path = None if model.path is None else Path(model.path)
        self._header = None if self._path is None else read_header(self._path)
        self._slots = min(model.concurrency, _SLOTS)
        self._threads = ThreadPoolExecutor(self._slots, thread_name_prefix="gguf")
        self._loading = threading.Lock()
        self._server: Any = None
        self._broken: ProviderError | None = None
        self._marks = _any_of(self._header.control_tokens if self._header else ())
        self._running: set[threading.Event] = set()
        self._closed = False

    async def complete(self, request: Request) -> Completion:
        """One reply. Cancelling ends it at its next token, or step of the prompt. ProviderError where the prompt does not fit."""
        if self._closed:
            raise ProviderError("the model was closed")
        stop = threading.Event()
        self._running.add(stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._generate, request, stop)
        finally:
            stop.set()
            self._running.discard(stop)

    async def close(self) -> None:
        """Stops what is under way, ends the threads and frees the model."""
        self._closed = True
        for stop in tuple(self._running):
            stop.set()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _generate(self, request: Request, stop: threading.Event) -> Completion:
        """In a thread: the whole reply, or what there was when `stop` was set."""
        server = self._loaded()
        parts: list[str] = []
        calls: dict[int, dict[str, Any]] = {}
        last: dict[str, Any] = {}

        def take(chunk: Any) -> bool:
            for choice in chunk.get("choices") or ():
                delta = choice.get("delta") or {}
                parts.append(delta.get("content") or "")
                for piece in delta.get("tool_calls") or ():
                    add_piece(calls, piece)
                last["finish"] = choice.get("finish_reason") or last.get("finish")
            for key in ("usage", "error", "prompt_progress"):
                if chunk.get(key):
                    last[key] = chunk[key]
            if request.grammar is not None and len(parts) % 16 == 0 and in_circles("".join(parts)):
                last["finish"] = "circles"
            return stop.is_set() or last.get("finish") == "circles"

        if stop.is_set():
            return Completion(None, None)
        try:
            server.handle_chat_completions(self._body(request), take)
        except (ValueError, RuntimeError) as error:
            raise ProviderError(f"{self._model.name} cannot take this request: {printable(str(error), 300)}") from None
        if "error" in last:
            raise self._refused(last["error"])
        called = read_tool_calls([calls[at] for at in sorted(calls)])
        usage = _usage(last.get("usage") or _counted(last.get("prompt_progress"), len(parts)))
        return Completion("".join(parts), last.get("finish"), usage=usage, tool_calls=called)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": messages_json(map(self._harmless, request.messages)),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature or 0.0,
            "seed": int.from_bytes(request.key[:4], "big") >> 1,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # chunks while the prompt is read, so that cancelling need not wait for its end
        }
        if not self._model.reasoning_tokens:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        if request.schema is not None and self._model.structured == "json_schema":
            from xllamacpp import json_schema_to_grammar  # type: ignore[import-untyped]

            body["grammar"] = json_schema_to_grammar({**request.schema, "x-guidance": _COMPACT})
        elif request.grammar is not None:
            body["grammar"] = request.grammar
        if request.tools:
            body["tools"] = json.loads(tools_json(request.tools))
            body["parallel_tool_calls"] = True
        return body

    def _harmless(self, message: Message) -> Message:
        calls = tuple(evolve(call, arguments=self.as_text(call.arguments)) for call in message.calls)
        return evolve(message, content=self.as_text(message.content), calls=calls)

    def as_text(self, content: str) -> str:
        """`content` with the model's role and end marks broken up: llama.cpp would obey them wherever they stand."""
        text = content.encode("utf-8", "replace").decode()
        return text if self._marks is None else self._marks.sub(lambda m: m[0][0] + _ZERO_WIDTH + m[0][1:], text)

    def _loaded(self) -> Any:
        """The server, loaded by the first thread that asks; the others wait for it."""
        with self._loading:
            if self._broken is not None:
                raise self._broken
            if self._server is None:
                try:
                    self._server = self._load()
                except (UsageError, RuntimeError, ValueError) as error:
                    reason = (
                        f"{error.message} {error.hint or ''}".strip()
                        if isinstance(error, UsageError)
                        else "llama.cpp does not accept the file."
                    )
                    self._broken = ProviderError(f"{self._model.name} cannot be loaded: {printable(reason)}")
                    raise self._broken from None
            return self._server

    def _load(self) -> Any:
        xllamacpp = _library()
        path = self._path or local_model_path(self._still_open)
        header = self._header or read_header(path)
        self._marks = _any_of(header.control_tokens)
        window = self._model.context_window or slot_context(header)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = self._slots
        params.n_ctx = self._slots * min(window, header.context or window)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _cores()
        params.verbosity = -1  # else llama.cpp writes to this process's stderr
        if not _has_gpu(xllamacpp):  # which would be slow at it, and needs no such steps
            params.n_batch = params.n_ubatch = _STEP
        params.warmup = False
        params.cache_ram_mib = 0  # 8 GB of saved prompts by default; the slots' own caches do
        params.api_keys = [secrets.token_hex(16)]  # it also listens on a loopback port, which is nobody's business
        params.ui = params.endpoint_slots = False
        return xllamacpp.Server(params)

    def _still_open(self, *_: int) -> None:
        """Ends a download that nobody waits for any more."""
        if self._closed:
            raise ProviderError("the model was closed")

    def _refused(self, error: Any) -> ProviderError:
        if error.get("type") == "exceed_context_size_error":
            asked, room = error.get("n_prompt_tokens"), error.get("n_ctx")
            return ProviderError(f"the prompt has {asked} tokens, {self._model.name} has room for {room}", status=400)
        code = error.get("code")
        message = f"{self._model.name} failed: {printable(str(error.get('message')), 300)}"
        return ProviderError(message, retryable=code in (500, 503), status=code if isinstance(code, int) else None)


def add_piece(calls: dict[int, dict[str, Any]], piece: Any) -> None:
    """Adds what a chunk has of a call of a tool."""
    function = calls.setdefault(piece.get("index") or 0, {"function": {"name": "", "arguments": ""}})["function"]
    for key, text in (piece.get("function") or {}).items():
        function[key] = function.get(key, "") + (text or "")


def _library() -> Any:
    """llama.cpp."""
    # Read when the library is first loaded. Its threads else spin while they wait for one another: on cores shared with anything
    # else that made replies 5 to 30 times slower (measured on two cores, one of them busy).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xllamacpp

    return xllamacpp


def _has_gpu(xllamacpp: Any) -> bool:
    return any("GPU" in device["type"].name for device in xllamacpp.get_device_info())


def _any_of(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Finds any of `words`, the longest that fits; None where there are none."""
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True)))) if words else None


def in_circles(text: str) -> bool:
    """Whether a text ends in one piece over and over, as that of a small model that does not find the way out."""
    for length in range(1, _PIECE + 1):
        times = max(_TIMES, -(-_CIRCLES // length))
        if len(text) >= length * times and text.endswith(text[-length:] * times):
            return True
    return False


def _counted(progress: Any, pieces: int) -> dict[str, Any] | None:
    """The usage of a reply that was stopped, before llama.cpp tells it: each piece is a token."""
    if not isinstance(progress, dict):
        return None
    cached = {"cached_tokens": progress.get("cache", 0)}
    return {"prompt_tokens": progress["total"], "completion_tokens": pieces, "prompt_tokens_details": cached}


def _usage(raw: Any) -> Usage | None:
    if not isinstance(raw, dict):
        return None
    cached = (raw.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(raw["prompt_tokens"], raw["completion_tokens"], cached)


def _cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
