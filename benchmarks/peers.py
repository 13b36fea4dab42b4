"""How many calls a second: a program against what others offer for calling a model many times.

    python benchmarks/peers.py [--calls N] [--concurrency N] [--rounds N]

    rlmlang        one comprehension of `call`s, run whole: parsed, checked, bounded by nothing, every reply checked, no memo store
    AsyncOpenAI    asyncio.gather over chat.completions.create of the openai package
    litellm        asyncio.gather over litellm.acompletion
    dspy           asyncio.gather over dspy.LM.acall, cache off
    rlms           llm_query_batched of a LocalREPL, through its LMHandler (the published recursive language model)
    lotus          DataFrame.sem_map over a column

Each is given the same number of requests at once, the same prompts and a server on this machine that answers at once. Sides take turns,
the best round of each counts. A package that is not installed is left out, and named: `pip install litellm dspy rlms lotus-ai`, into an
environment of its own. (lotus imports torch and sentence_transformers; where they are missing, empty modules do for sem_map.)
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from harness import best, server, table, timed, verdict

PROGRAM = """
input n: int
answer [call f"Say something about number {x}." for x in range(n)]
"""
MOST = 64  # tokens of a reply


def prompts(calls: int) -> list[str]:
    return [f"Say something about number {number}." for number in range(calls)]


def by_program(url: str, calls: int, concurrency: int) -> None:
    from rlmlang.session import Settings, run

    assert len(run(PROGRAM, Settings(model="bench", base_url=url, memo="off", concurrency=concurrency), n=calls).answer) == calls


def gathered(one: Callable[[str], Awaitable[object]], calls: int, concurrency: int) -> None:
    """`one` for every prompt, so many at once."""

    async def everything() -> None:
        slots = asyncio.Semaphore(concurrency)

        async def each(prompt: str) -> object:
            async with slots:
                return await one(prompt)

        assert all(await asyncio.gather(*(each(prompt) for prompt in prompts(calls))))

    asyncio.run(everything())


def by_openai(url: str, calls: int, concurrency: int) -> None:
    import openai

    client: list[openai.AsyncOpenAI] = []

    async def one(prompt: str) -> object:
        if not client:
            client.append(openai.AsyncOpenAI(api_key="none", base_url=url))
        message = {"role": "user", "content": prompt}
        reply = await client[0].chat.completions.create(model="bench", messages=[message], max_tokens=MOST, temperature=0.0)  # type: ignore[list-item]
        return reply.choices[0].message.content

    gathered(one, calls, concurrency)


def by_litellm(url: str, calls: int, concurrency: int) -> None:
    litellm: Any = importlib.import_module("litellm")

    async def one(prompt: str) -> object:
        message = {"role": "user", "content": prompt}
        reply = await litellm.acompletion(
            model="openai/bench", api_base=url, api_key="none", messages=[message], max_tokens=MOST, temperature=0.0
        )
        return reply.choices[0].message.content

    gathered(one, calls, concurrency)


def by_dspy(url: str, calls: int, concurrency: int) -> None:
    dspy: Any = importlib.import_module("dspy")
    lm = dspy.LM("openai/bench", api_base=url, api_key="none", cache=False, max_tokens=MOST, temperature=0.0)

    async def one(prompt: str) -> object:
        return (await lm.acall(prompt))[0]

    gathered(one, calls, concurrency)


def by_rlms(url: str, calls: int, concurrency: int) -> None:
    clients: Any = importlib.import_module("rlm.clients.openai")
    core: Any = importlib.import_module("rlm.core.lm_handler")
    environments: Any = importlib.import_module("rlm.environments.local_repl")
    client = clients.OpenAIClient(api_key="none", model_name="bench", base_url=url)
    with core.LMHandler(client, batch_max_concurrent=concurrency) as handler:
        repl = environments.LocalREPL(lm_handler_address=handler.address)
        replies = repl.globals["llm_query_batched"](prompts(calls))
        repl.cleanup()
    assert len(replies) == calls and not any(reply.startswith("Error") for reply in replies)


def by_lotus(url: str, calls: int, concurrency: int) -> None:
    for name, holding in (("torch", ("Tensor",)), ("sentence_transformers", ("SentenceTransformer", "CrossEncoder"))):
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = _empty(name, *holding)
    lotus: Any = importlib.import_module("lotus")
    models: Any = importlib.import_module("lotus.models")
    pandas: Any = importlib.import_module("pandas")
    os.environ.setdefault("OPENAI_API_KEY", "none")
    lotus.settings.configure(
        lm=models.LM(model="openai/bench", api_base=url, max_batch_size=concurrency, max_tokens=MOST), enable_cache=False
    )
    frame = pandas.DataFrame({"number": range(calls)})
    assert len(frame.sem_map("Say something about number {number}.")) == calls


def _empty(name: str, *holding: str) -> ModuleType:
    module = ModuleType(name)
    for each in holding:
        setattr(module, each, type(each, (), {}))
    return module


SIDES: dict[str, tuple[str, Callable[[str, int, int], None]]] = {  # the module that it needs
    "rlmlang": ("rlmlang", by_program),
    "AsyncOpenAI": ("openai", by_openai),
    "litellm": ("litellm", by_litellm),
    "dspy": ("dspy", by_dspy),
    "rlms": ("rlm", by_rlms),
    "lotus": ("lotus", by_lotus),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=tuple(SIDES))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    there = {name: SIDES[name][1] for name in given.sides if importlib.util.find_spec(SIDES[name][0])}
    missing = [name for name in given.sides if name not in there]

    with server() as url:
        spent = best(
            {name: lambda side=side: timed(lambda: side(url, given.calls, given.concurrency)) for name, side in there.items()}, given.rounds
        )  # type: ignore[misc]
    print(f"{given.calls:,} calls, {given.concurrency} at once, answers after 0 ms; not installed: {', '.join(missing) or 'none'}\n")
    rates = {name: given.calls / s.wall for name, s in spent.items()}
    table(
        ["", "calls/s", "CPU µs a call"], [[name, f"{rates[name]:,.0f}", f"{s.cpu / given.calls * 1e6:,.0f}"] for name, s in spent.items()]
    )
    print()
    own = rates.pop("rlmlang", None)
    if own is not None and rates:
        following = max(rates, key=lambda name: rates[name])
        verdict(f"rlmlang against the next, {following}", own / rates[following], "2.5 or more", own / rates[following] >= 2.5)


if __name__ == "__main__":
    main()
