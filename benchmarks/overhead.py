"""Where a call's processor time goes, layer by layer.

    python benchmarks/overhead.py [--calls N] [--concurrency N] [--rounds N]

The same requests are sent to a server on this machine that answers at once, through more and more of the program: the transport, which is
connections that are kept; the provider, which makes bodies and reads replies; the client (slots, budget, rate limits, retries, the check of
the reply); the whole evaluator (rendering, keys, sharing, a task an item). Each line is CPU time of this process a call, the least of
several turns; the difference between two lines is what the layer between them costs, and that of the last and the first what all of rlmlang
adds to its transport. A bare aiohttp client is shown for orientation. No worker processes are started.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from calls import PROGRAM, by_aiohttp
from harness import best, server, table, timed, verdict

from rlmlang.lm.client import Client
from rlmlang.lm.providers.chat import encoded
from rlmlang.lm.providers.connections import Connections
from rlmlang.lm.providers.openai import OpenAIProvider
from rlmlang.lm.render import render
from rlmlang.lm.request import Address, Model, Request
from rlmlang.run.budget import Budget
from rlmlang.session import Settings, run
from rlmlang.types import TEXT


async def gathered(send: Callable[[Request], Awaitable[object]], model: Model, calls: int) -> None:
    """Sends the requests of PROGRAM through `send`, as many at once as the model allows."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            await send(render(f"Say something about number {number}.", [], TEXT, model))

    await asyncio.gather(*(worker() for _ in range(model.concurrency)))


async def by_connections(base_url: str, calls: int, concurrency: int) -> None:
    """Through our connections alone, with bodies like the others'."""
    connections = Connections(Address(f"{base_url}/chat/completions", (("Content-Type", "application/json"),)))
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            messages = [{"role": "user", "content": f"Say something about number {number}."}]
            received = await connections.post(encoded({"model": "bench", "messages": messages, "max_tokens": 1024, "temperature": 0.0}))
            assert received.status == 200

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    connections.close()
    await asyncio.sleep(0)


async def by_provider(model: Model, calls: int) -> None:
    """Through OpenAIProvider alone."""
    provider = OpenAIProvider(model)
    try:
        await gathered(provider.complete, model, calls)
    finally:
        await provider.close()


async def by_client(model: Model, calls: int) -> None:
    """Through the client."""
    async with Client({"bench": model}, Budget(())) as client:

        async def send(request: Request) -> object:
            return await client.send(request, alive=lambda: True)

        await gathered(send, model, calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with server() as url:
        model = Model(name="bench", provider="openai", model="bench", base_url=url, concurrency=given.concurrency)
        settings = Settings(model="bench", base_url=url, memo="off", concurrency=given.concurrency, processes=1)
        spent = best(
            {
                "transport": lambda: timed(lambda: asyncio.run(by_connections(url, given.calls, given.concurrency))),
                "provider": lambda: timed(lambda: asyncio.run(by_provider(model, given.calls))),
                "client": lambda: timed(lambda: asyncio.run(by_client(model, given.calls))),
                "evaluator": lambda: timed(lambda: run(PROGRAM, settings, n=given.calls)),
                "(aiohttp alone)": lambda: timed(lambda: asyncio.run(by_aiohttp(url, given.calls, given.concurrency))),
            },
            given.rounds,
        )
    rows = []
    before = 0.0
    for name, s in spent.items():
        micros = s.cpu / given.calls * 1e6
        rows.append([name, f"{micros:,.0f}", "" if name.startswith("(") else f"{micros - before:+,.0f}"])
        before = micros
    table(["through", "CPU µs a call", "this layer"], rows)
    ours = (spent["evaluator"].cpu - spent["transport"].cpu) / given.calls * 1e6
    verdict("CPU µs a call beyond the transport's", ours, "less than 150", ours < 150)


if __name__ == "__main__":
    main()
