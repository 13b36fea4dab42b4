"""A worker process: sends the requests that a run hands it, and hands back what came. It keeps no account of anything: retries, limits,
budget and memo are the run's. What else it serves stands in modules of rooms below, which the run names.

It ends when its run does, however that ended: then the socket is closed, or it has another parent.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any, Final

from rlmlang.lm.providers.chat import Body, Chat
from rlmlang.lm.request import Model, ProviderError
from rlmlang.lm.steady import take_portions
from rlmlang.lm.workers.wire import (
    ASK,
    CANCEL,
    MODEL,
    READY,
    SERVE,
    SERVED,
    Channel,
    Words,
    error_words,
    read_ask,
    read_model,
    reply_words,
)

_ORPHAN_SECONDS: Final = 1.0  # between two looks at who the parent is: a fork of the run would keep the socket open
_YOUNG: Final = 50_000  # objects made, less those freed, between two collections, as in a run


def main(descriptor: int) -> None:
    """Serves the run at the other end of the socket; does not return."""
    parent = os.getppid()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    with asyncio.Runner() as runner:
        take_portions(runner.get_loop())
        runner.run(_serve(socket.socket(fileno=descriptor), parent))


async def _serve(connection: socket.socket, parent: int) -> None:
    loop = asyncio.get_running_loop()
    _, serving = await loop.create_connection(_Serving, sock=connection)
    serving.send((READY,))
    while os.getppid() == parent:
        await asyncio.sleep(_ORPHAN_SECONDS)
    _end()


def _end() -> None:
    os._exit(0)  # nothing here outlives the run, and nobody waits for an orderly end


class _Serving(Channel):
    """Does as it is told, each request in a task of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._models: dict[int, tuple[Model, Chat, Callable[[Body], Awaitable[bytes]]]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._serving: dict[str, Callable[[Words], None]] = {}

    def received(self, message: Words) -> None:
        kind, *rest = message
        if kind == ASK:
            call, number, *asked = rest
            self._tasks[call] = self._loop.create_task(self._answer(call, number, asked))
        elif kind == CANCEL:
            (call,) = rest
            if (task := self._tasks.pop(call, None)) is not None:  # none where its reply is just on its way
                task.cancel()
        elif kind == SERVE:
            module, words = rest
            if module not in self._serving:
                self._serving[module] = import_module(module).serve(lambda said: self.send((SERVED, module, said)))
            self._serving[module](words)
        elif kind == MODEL:
            number, *said = rest
            model, address = read_model(*said)
            chat = Chat(model)
            self._models[number] = model, chat, partial(chat.post, address)

    async def _answer(self, call: int, number: int, asked: list[Any]) -> None:
        model, chat, post = self._models[number]
        try:
            completion = await chat.complete(read_ask(model, *asked), post)
            self.send(reply_words(call, completion))
        except ProviderError as error:
            self.send(error_words(call, error))
        finally:
            self._tasks.pop(call, None)

    def connection_lost(self, error: Exception | None) -> None:
        _end()
