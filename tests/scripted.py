"""A model and a clock for tests of the language: what a call's instruction says is done, in virtual time.

The first word of an instruction decides (`echo hello` replies `hello`); `wait 3 echo hello` takes three seconds instead of one, and no
seconds
pass: the loop's clock jumps to the next thing that is due. So when a call starts and ends is exact, and a test can compare it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field

import rlmlang
from rlmlang.lm import client
from rlmlang.lm.request import Completion, Model, ProviderError, Request, Usage

SETTINGS = rlmlang.Settings(model="virtual", base_url="http://localhost:1/v1", memo="off")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(None if timeout is None else 0)
        if not found and timeout is not None and timeout > 0:
            self._loop.pass_by(timeout)
        return found


@define(eq=False)
class Asked:
    """One request: the instruction, its data as rendered, and when it was under way."""

    prompt: str
    data: list[str]
    request: Request
    start: float
    end: float | None = None

    @property
    def text(self) -> str:
        return " | ".join([self.prompt, *self.data])


@define(eq=False, slots=False)
class FakeModel:
    """The provider of a test, and its record of what was asked, in order of start. `delay` gives the seconds of a call without `wait`."""

    delay: Callable[[Request], float] = lambda request: 1.0
    asked: list[Asked] = field(factory=list)
    under_way: int = 0
    most_under_way: int = 0
    closed: bool = False
    begun: threading.Event = field(factory=threading.Event)  # set when a call hangs

    async def complete(self, request: Request) -> Completion:
        if request.batch:
            return await self._batch(request)
        prompt, data = apart(request)
        loop = asyncio.get_running_loop()
        asked = Asked(prompt, data, request, loop.time())
        self.asked.append(asked)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            words = re.fullmatch(r"(?s)wait ([0-9.]+) (.*)", prompt)
            if words:
                prompt = words[2]
            if prompt.startswith("hang"):
                self.begun.set()
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(float(words[1]) if words else self.delay(request))
            asked.end = loop.time()
            return reply(prompt, data, request)
        finally:
            self.under_way -= 1

    async def _batch(self, request: Request) -> Completion:
        """Answers each item as if it were alone; what goes wrong for one, goes wrong for all."""
        loop = asyncio.get_running_loop()
        told = [apart(item) for item in request.batch]
        asked = Asked(told[0][0], [text for _, data in told for text in data], request, loop.time())
        self.asked.append(asked)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.delay(request))
            asked.end = loop.time()
            values = []
            for (prompt, data), item in zip(told, request.batch, strict=True):
                said = reply(prompt, data, item)
                if said.refusal is not None or said.finish != "stop":
                    return said
                is_json = str(item.type) != "text"
                value = json.loads(said.text or "") if is_json else said.text
                values.append(value["value"] if is_json and item.schema is not None and list(value) == ["value"] else value)
            return Completion(json.dumps({"value": values}, ensure_ascii=False), usage=Usage(10, len(values)))
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        assert self.under_way == 0, "a call outlived its run"
        self.closed = True

    def texts(self) -> list[str]:
        return [a.text for a in self.asked]

    def one(self, text: str) -> Asked:
        """The only request whose instruction and data contain `text`."""
        found = [a for a in self.asked if text in a.text]
        assert len(found) == 1, f"{len(found)} requests with {text!r}: {self.texts()}"
        return found[0]


def apart(request: Request) -> tuple[str, list[str]]:
    """The instruction and the data of a rendered request."""
    content = next(m.content for m in request.messages if m.role == "user")
    fence = re.match(r"The task and each piece of data stand between lines of (\S+)\. ", content)
    if fence is None:
        form, _, rest = content.partition("\n\n")
        return (rest if form.startswith("Reply with JSON") else content), []
    parts = content.split("\n" + fence[1])[1::2]
    texts = [part.removeprefix("\n") for part in parts]
    return texts[0], texts[1:]


def reply(prompt: str, data: list[str], request: Request) -> Completion:
    """What the model says."""
    verb, _, rest = prompt.partition(" ")
    whole = data[0] if data else ""
    match verb:
        case "echo":  # the first line: the library's functions say more below
            return _said(rest.split("\n", 1)[0], request)
        case "data":
            return _said(whole, request)
        case "both":
            return _said("+".join(data), request)
        case "upper":
            return _said(whole.upper(), request)
        case "size":
            return _said(str(len(whole)), request)
        case "has":
            return _said("true" if any(rest in d for d in data) else "false", request)
        case "even":
            return _said("true" if int(whole) % 2 == 0 else "false", request)
        case "double":
            return _said(str(2 * int(whole)), request)
        case "settings":
            return _said(json.dumps([request.max_tokens, request.temperature, request.sample]), request)
        case "system":
            return _said(next((m.content for m in request.messages if m.role == "system"), ""), request)
        case "whole":
            return _said("\n".join(m.content for m in request.messages), request)
        case "raw":
            return Completion(rest, usage=Usage(1, 1))
        case "later":  # a bad reply, then a good one
            good = len(request.messages) > 1
            return _said(rest, request) if good else Completion("no JSON", usage=Usage(1, 1))
        case "cut":
            return Completion("and so", "length", usage=Usage(1, request.max_tokens))
        case "fail":
            return Completion(None, refusal=rest or "no", usage=Usage(1, 1))
        case "broken":
            raise ProviderError(rest or "bad request", status=400)
    raise ProviderError(f"the model does not know what to do: {prompt}", status=400)


def _said(text: str, request: Request) -> Completion:
    """`text` as a reply of the type asked for: as JSON where it is any, else as a JSON text."""
    if str(request.type) != "text":
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if request.schema is not None and list(request.schema.get("properties", ())) == ["value"]:
            value = {"value": value}
        text = json.dumps(value, ensure_ascii=False)
    return Completion(text, usage=Usage(1, 1))


@contextmanager
def scripted(model: FakeModel | None = None) -> Iterator[FakeModel]:
    """Within it, runs ask `model`, and their time is virtual."""
    model = model or FakeModel()

    def opened(_: Model) -> FakeModel:
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "open_provider", opened)
        patch.setattr(asyncio, "Runner", functools.partial(asyncio.Runner, loop_factory=VirtualLoop))
        yield model
