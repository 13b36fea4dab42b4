"""The root model: greedy replies of a GGUF file, kept on disk, so that a measurement can be stopped, resumed and repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rlmlang.lm.providers.gguf import GgufProvider
from rlmlang.lm.request import Message, Model, Request

MAX_TOKENS = 400  # of a program; the longest of the reference programs takes 130


class Writer:
    """`await writer.write(messages)`. `written` counts the replies that were not on disk, `tokens` theirs, `cached` the prompt tokens that
    llama.cpp had read before."""

    def __init__(self, path: Path, cache: Path) -> None:
        self._model = Model(name="root", provider="gguf", model=path.name, path=str(path), context_window=8192, concurrency=1)
        self._cache = cache
        self._provider: GgufProvider | None = None
        self.written = self.tokens = self.prompt = self.cached = 0

    async def write(self, messages: Sequence[Message]) -> str:
        """The reply to `messages`. It may be cut at MAX_TOKENS."""
        request = Request(self._model, tuple(messages), max_tokens=MAX_TOKENS, temperature=0.0)
        kept = self._cache / f"{self._key(request)}.json"
        if kept.is_file():
            return str(json.loads(kept.read_text(encoding="utf-8"))["reply"])
        self._provider = self._provider or GgufProvider(self._model)
        completion = await self._provider.complete(request)
        reply = completion.text or ""
        self.written += 1
        if completion.usage is not None:
            self.tokens += completion.usage.output_tokens
            self.prompt += completion.usage.input_tokens
            self.cached += completion.usage.cached_tokens
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_text(json.dumps({"reply": reply, "messages": [[m.role, m.content] for m in messages]}, ensure_ascii=False))
        partial.rename(kept)
        return reply

    def _key(self, request: Request) -> str:
        said = json.dumps([request.model.model, request.max_tokens, [[m.role, m.content] for m in request.messages]])
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    async def close(self) -> None:
        if self._provider is not None:
            await self._provider.close()
