"""The root model: replies of a GGUF file, kept on disk, so that a measurement can be stopped, resumed and repeated."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from attrs import asdict, frozen

from benchmarks.write_programs.chat import Said
from rlmlang.lm.providers.gguf import GgufProvider
from rlmlang.lm.request import Message, Model, Request

MAX_TOKENS = 400  # of a reply: the longest of the reference programs takes 130


class Root(Protocol):
    """Who writes the programs: a RootModel, or a script."""

    def write(self, messages: Sequence[Message], grammar: str | None, temperature: float) -> Said:
        """The reply to `messages`, which fits `grammar`, if there is one."""


@frozen
class Tokens:
    """Of one reply."""

    prompt: int
    cached: int
    written: int


class RootModel:
    """`new` are the replies that were not on disk. One at a time: llama.cpp then reads what is new of a prompt, and no reply depends on
    what else is under way."""

    def __init__(self, path: Path, cache: Path) -> None:
        self._model = Model(name="root", provider="gguf", model=path.name, path=str(path), context_window=8192, concurrency=1)
        self._cache = cache
        self._provider: GgufProvider | None = None
        self._loop = asyncio.new_event_loop()
        self._one = Lock()
        self.new: list[Tokens] = []

    def write(self, messages: Sequence[Message], grammar: str | None, temperature: float) -> Said:
        """The reply to `messages`. It may be cut at MAX_TOKENS."""
        request = Request(self._model, tuple(messages), max_tokens=MAX_TOKENS, temperature=temperature, grammar=grammar)
        kept = self._cache / f"{key(self._model.model, messages, grammar, temperature)}.json"
        with self._one:
            if not kept.is_file():
                kept.parent.mkdir(parents=True, exist_ok=True)
                partial = kept.with_suffix(".partial")
                partial.write_text(json.dumps(self._asked(request), ensure_ascii=False), encoding="utf-8")
                partial.rename(kept)
            found: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return Said(found["text"], found["finish"])

    def _asked(self, request: Request) -> dict[str, Any]:
        self._provider = self._provider or GgufProvider(self._model)
        completion = self._loop.run_until_complete(self._provider.complete(request))
        usage = completion.usage
        tokens = Tokens(usage.input_tokens, usage.cached_tokens, usage.output_tokens) if usage else Tokens(0, 0, 0)
        self.new.append(tokens)
        return {"text": completion.text or "", "finish": completion.finish or "stop", **asdict(tokens)}

    def close(self) -> None:
        """Frees the model."""
        if self._provider is not None:
            self._loop.run_until_complete(self._provider.close())
        self._loop.close()


def key(model: str, messages: Sequence[Message], grammar: str | None, temperature: float) -> str:
    """What a reply is kept under."""
    asked = [model, MAX_TOKENS, grammar, temperature, [[m.role, m.content] for m in messages]]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
