"""How many calls a second: a program against the same requests sent by hand.

    python benchmarks/calls.py [--calls N] [--concurrency N] [--rounds N] [--latency SECONDS]

The program is one comprehension of `call`s, run whole (parsed, checked, compiled, every reply checked, no memo store). The other side is
what one would write with the openai package: `asyncio.gather` over `AsyncOpenAI().chat.completions.create`, as many at once, on its
default transport. A bare aiohttp client that reads nothing but the reply's text is shown for orientation: it is what the network
costs. All talk to the same server on this machine, which answers at once; sides take turns, the best round of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import aiohttp
import openai
from harness import best, server, table, timed, verdict

from rlmlang.session import Settings, run

PROGRAM = """
input n: int
answer [call f"Say something about number {x}." for x in range(n)]
"""


def by_program(base_url: str, calls: int, concurrency: int) -> None:
    """One run of PROGRAM."""
    settings = Settings(model="bench", base_url=base_url, memo="off", concurrency=concurrency)
    assert len(run(PROGRAM, settings, n=calls).answer) == calls


async def by_openai(base_url: str, calls: int, concurrency: int) -> None:
    """The same with AsyncOpenAI."""
    slots = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url) as client:

        async def one(number: int) -> str:
            async with slots:
                reply = await client.chat.completions.create(
                    model="bench",
                    messages=[{"role": "user", "content": f"Say something about number {number}."}],
                    max_tokens=1024,
                    temperature=0.0,
                )
                return reply.choices[0].message.content or ""

        assert len(await asyncio.gather(*(one(number) for number in range(calls)))) == calls


async def by_aiohttp(base_url: str, calls: int, concurrency: int) -> None:
    """The same with aiohttp alone."""
    slots = asyncio.Semaphore(concurrency)
    url = f"{base_url}/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def one(number: int) -> Any:
            body = {
                "model": "bench",
                "messages": [{"role": "user", "content": f"Say something about number {number}."}],
                "max_tokens": 1024,
                "temperature": 0.0,
            }
            async with slots, session.post(url, json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        assert len(await asyncio.gather(*(one(number) for number in range(calls)))) == calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    with server(given.latency) as url:
        work = (url, given.calls, given.concurrency)
        spent = best(
            {
                "rlmlang": lambda: timed(lambda: by_program(*work)),
                "AsyncOpenAI": lambda: timed(lambda: asyncio.run(by_openai(*work))),
                "aiohttp alone": lambda: timed(lambda: asyncio.run(by_aiohttp(*work))),
            },
            given.rounds,
        )
    print(f"{given.calls:,} calls, {given.concurrency} at once, answers after {given.latency * 1000:g} ms\n")
    theirs = spent["AsyncOpenAI"].wall
    rows = []
    for name, s in spent.items():
        figures = given.calls / s.wall, s.wall / given.calls * 1e6, s.cpu / given.calls * 1e6
        rows.append([name, *(f"{figure:,.0f}" for figure in figures), f"{theirs / s.wall:.2f}"])
    table(["", "calls/s", "µs a call", "of it CPU here", "times AsyncOpenAI"], rows)
    ratio = theirs / spent["rlmlang"].wall
    verdict("calls a second against AsyncOpenAI", ratio, "2.5 or more", ratio >= 2.5)


if __name__ == "__main__":
    main()
