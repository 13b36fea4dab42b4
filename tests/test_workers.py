"""Worker processes that send a run's requests: same answers and figures as without, and nobody left behind, whoever dies."""

from __future__ import annotations

import asyncio
import json
import marshal
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlmlang import Settings, limits
from rlmlang.errors import BudgetError, Failure, UsageError
from rlmlang.lm import workers as workers_room
from rlmlang.lm.client import Client
from rlmlang.lm.render import render
from rlmlang.lm.request import Address, Charge, Completion, Message, Model, ProviderError, Secret, Usage
from rlmlang.lm.workers import Workers, need, wire
from rlmlang.lm.workers.need import Need, default_processes
from rlmlang.run.budget import Budget, Limit
from rlmlang.session import run
from rlmlang.types import BOOL, TEXT
from tests.loopback import Answer, Server, limited, loopback, ok, status

PROGRAM = """
input n: int
start = call "start"
hold = call f"hold {start}"
kept = [x for x in range(n) if call f"{hold}: is {x % 7} odd?" -> bool]
answer [call f"{hold}: tell of {x}." for x in kept]
"""


@pytest.fixture
def needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run needs workers, from its first reply on."""
    monkeypatch.setattr(need, "CALLS", 1)
    monkeypatch.setattr(need, "SPANS", 1)
    for name in ("SECONDS", "BUSY", "RATE"):
        monkeypatch.setattr(need, name, 0.0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Workers]:
    """All workers that runs make."""
    found: list[Workers] = []
    make = Workers.__init__

    def init(self: Workers, processes: int) -> None:
        make(self, processes)
        found.append(self)

    monkeypatch.setattr(Workers, "__init__", init)
    return found


def processes_of(workers: Workers) -> list[int]:
    return [worker._process.pid for worker in workers._alive]


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def wait_until(true: Callable[[], bool], seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def said(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


# ---- whole runs ----


def answering(made: list[Workers], processes: int, faults: dict[str, list[Answer]]) -> Callable[[dict[str, Any]], str | Answer]:
    """What a server replies to PROGRAM: the second reply only once all workers stand, so that they have the rest."""

    def reply(body: dict[str, Any]) -> str | Answer:
        text = said(body)
        if text.startswith("hold"):
            wait_until(lambda: len(made[-1]._ready) == processes - 1)
            return "held"
        for part, answers in faults.items():
            if part in text and answers:
                return answers.pop(0)
        return json.dumps({"value": "yes" if int(text.split(" is ")[1][0]) % 2 else "no"}) if " odd?" in text else f"re: {text}"

    return reply


def test_answers_order_and_figures_are_those_of_one_process(needed: None, made: list[Workers], tmp_path: Path) -> None:
    outcomes = []
    for processes in (1, 2, 3):
        faults = {
            "tell of 3.": [status(500)],
            "tell of 8.": [ok("", usage=None)],
            "is 5 odd?": [limited("0.02")],
            "tell of 1.": [status(400)],
        }
        reply = answering(made, processes, faults)
        with loopback(reply) as server:
            config = tmp_path / "rlm.toml"
            config.write_text(f'[models.m]\nbase_url = "{server.url}"\ninput_price = 1\noutput_price = 2\n')
            program = PROGRAM.replace("for x in kept]", 'for x in kept] otherwise ["none"]').replace(
                'tell of {x}." for', 'tell of {x}." otherwise "failed" for'
            )
            setting = Settings(model="m", memo="off", concurrency=8, processes=processes, config=config)
            result = run(program, setting, n=40)
            here = evolve(result.used, seconds=0.0)
            outcomes.append((result.answer, result.type, here, result.bound, result.sites, result.failures, result.warnings))
            assert len(server.requests) == result.used.requests
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0][2].retries == 3 and outcomes[0][2].failed == 1
    assert outcomes[0][0][0] == "failed" and outcomes[0][0][1] == "re: held: tell of 3."


def test_equal_calls_are_paid_once_and_the_memo_is_one(needed: None, made: list[Workers], tmp_path: Path) -> None:
    with loopback(answering(made, 2, {}), delay=0.01) as server:
        setting = Settings(model="m", base_url=server.url, memo=tmp_path / "memo.sqlite", concurrency=8, processes=2)
        first = run(PROGRAM, setting, n=60)
        assert first.used.calls == 2 + 60 + 26 and first.used.shared == 60 - 7
        assert first.used.requests == len(server.requests) == 2 + 7 + 26
        again = run(PROGRAM, setting, n=60)
        assert again.answer == first.answer and again.used.requests == 0 and len(server.requests) == first.used.requests
    assert not made[-1]._begun


def test_the_gate_is_one(needed: None, made: list[Workers]) -> None:
    with loopback(answering(made, 2, {"tell of 10.": [limited("0.3")]}), delay=0.01) as server:
        result = run(PROGRAM, Settings(model="m", base_url=server.url, memo="off", concurrency=4, processes=2), n=60)
        assert server.peak <= 4 and result.used.retries == 1
        at = next(i for i, body in enumerate(server.requests) if "tell of 10." in said(body))
        pause = [t for t in server.times if server.times[at] + 0.05 < t < server.times[at] + 0.29]  # those before it had been sent
        assert not pause


def test_a_budget_stops_all_of_them(needed: None, made: list[Workers]) -> None:
    with loopback(answering(made, 2, {}), delay=0.005) as server:
        with pytest.raises(BudgetError) as stopped:
            run(PROGRAM, Settings(model="m", base_url=server.url, memo="off", concurrency=8, processes=2, budget="20 calls"), n=60)
        assert stopped.value.result is not None
        assert len(server.requests) == stopped.value.result.used.requests == 20


def test_nobody_is_left_behind(needed: None, made: list[Workers]) -> None:
    alive: list[int] = []

    def reply(body: dict[str, Any]) -> str | Answer:
        if "tell" in said(body) and not alive:
            alive.extend(processes_of(made[-1]))
        return answer(body)

    answer = answering(made, 2, {})
    with loopback(reply) as server:
        run(PROGRAM, Settings(model="m", base_url=server.url, memo="off", processes=2), n=9)
    assert len(alive) == 1 and all(is_gone(pid) for pid in alive)


def test_a_run_with_few_or_slow_calls_starts_none(made: list[Workers]) -> None:
    with loopback("ok") as server:
        run('answer [call f"{x}" for x in range(30)]', Settings(model="m", base_url=server.url, memo="off", processes=2))
    assert not made[0]._begun


def test_what_may_be_asked_for(tmp_path: Path, made: list[Workers]) -> None:
    for wrong in (0, limits.PROCESSES + 1):
        with pytest.raises(UsageError, match="--processes"):
            run("answer 1", Settings(processes=wrong, memo="off"))
    config = tmp_path / "rlm.toml"
    config.write_text("processes = 3")
    run("answer 1", Settings(config=config, memo="off"))
    run("answer 1", Settings(config=config, memo="off", processes=1))
    run("answer 1", Settings(memo="off"))
    assert [workers._most for workers in made] == [2, 0, default_processes() - 1]
    config.write_text("processes = 0")
    with pytest.raises(UsageError, match="processes"):
        run("answer 1", Settings(config=config, memo="off"))


# ---- within one event loop ----


class Checked:
    """A budget whose law is looked at after each step: what is spent and reserved is never more than there is."""

    def __init__(self, *most: Limit) -> None:
        self.budget = Budget(most)

    async def reserve(self, worst: Charge) -> None:
        await self.budget.reserve(worst)
        self._check()

    def settle(self, worst: Charge, actual: Charge) -> None:
        self.budget.settle(worst, actual)
        self._check()

    def _check(self) -> None:
        spent, reserved = self.budget.spent, self.budget.reserved
        for kind in ("calls", "tokens", "dollars"):
            most = self.budget.most(kind)
            assert most is None or spent[kind] + reserved[kind] <= most


class Lasting(Workers):
    """Workers that outlive the clients that use them."""

    async def close(self) -> None:
        pass

    async def end(self) -> None:
        await super().close()


@asynccontextmanager
async def standing(processes: int, server: Server) -> AsyncIterator[Lasting]:
    """Workers that stand, started by one request to `server`."""
    workers = Lasting(processes)
    try:
        async with Client({"m": server.model()}, Checked(), workers=workers) as client:
            await ask(client, server.model(), "start")
        while len(workers._ready) < processes - 1:
            await asyncio.sleep(0.01)
        yield workers
    finally:
        await workers.end()


async def ask(client: Client, model: Model, prompt: str) -> Any:
    try:
        return (await client.send(render(prompt, [], TEXT, model), alive=lambda: True)).value
    except (Failure, BudgetError) as error:
        return error


FAULTS = st.sampled_from(
    [None, None, None, status(500), limited("0.001"), Answer(reset=True), ok("", usage=None), ok("x", finish="length")]
)


def test_a_budget_is_never_overspent_whatever_happens(needed: None) -> None:
    script: dict[str, list[Answer]] = {}
    examples = count()

    def reply(body: dict[str, Any]) -> str | Answer:
        left = script.get(said(body).partition("\n")[0], [])
        return left.pop(0) if left else "yes"

    with asyncio.Runner() as runner, loopback(reply) as server:
        context = standing(3, server)
        workers = runner.run(context.__aenter__())

        async def example(faults: list[list[Answer | None]], calls: int, tokens: int, cancelled: set[int]) -> None:
            mark = f"example {next(examples)}, number"
            script.update({f"{mark} {at}": [f for f in few if f is not None] for at, few in enumerate(faults)})
            meter = Checked(Limit("calls", calls), Limit("tokens", tokens))
            model = server.model(concurrency=4)
            async with Client({"m": model}, meter, workers=workers) as client:
                tasks = [asyncio.create_task(ask(client, model, f"{mark} {at}")) for at in range(len(faults))]
                await asyncio.sleep(0.001)
                for at in cancelled:
                    tasks[at % len(tasks)].cancel()
                values = await asyncio.gather(*tasks, return_exceptions=True)
                assert not [v for v in values if not isinstance(v, (str, Failure, BudgetError, asyncio.CancelledError))]
                sent = sum(said(body).startswith(mark) for body in server.requests)
                assert sent <= client.counters.requests <= calls
                assert meter.budget.reserved == {"calls": 0, "tokens": 0, "dollars": 0}
            assert all(worker.load() == 0 for worker in workers._ready)

        @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            st.lists(st.lists(FAULTS, max_size=3), min_size=1, max_size=12),
            st.integers(1, 25),
            st.sampled_from([3_000, 10_000, 1_000_000]),
            st.sets(st.integers(0, 20), max_size=2),
        )
        def check(faults: list[list[Answer | None]], calls: int, tokens: int, cancelled: set[int]) -> None:
            runner.run(example(faults, calls, tokens, cancelled))

        try:
            check()
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_killed_workers_lose_nothing_and_are_replaced_so_often(needed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKER_REPLACEMENTS", 1)

    async def scenario(server: Server) -> None:
        model = server.model(concurrency=8)
        async with standing(3, server) as workers, Client({"m": model}, Checked(), workers=workers) as client:
            seen = set(processes_of(workers))
            assert await ask(client, model, "first") == "yes"
            for turn in range(limits.WORKER_REPLACEMENTS + 2):
                asked = [asyncio.create_task(ask(client, model, f"{turn}: {x}")) for x in range(6)]
                await asyncio.sleep(0.03)
                for pid in processes_of(workers)[:1]:
                    os.kill(pid, signal.SIGKILL)
                assert await asyncio.gather(*asked) == ["yes"] * 6
                while len(workers._ready) < len(workers._alive) or workers._starting:
                    await asyncio.sleep(0.01)
                seen |= set(processes_of(workers))
            assert len(seen) == 2 + limits.WORKER_REPLACEMENTS and not workers._alive
            assert client.counters.retries > 0
            assert await ask(client, model, "alone") == "yes"

    with loopback("yes", delay=0.1) as server:
        asyncio.run(scenario(server))


def test_a_worker_that_hangs_is_given_up(needed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_room, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(workers_room, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(limits, "WORKER_REPLACEMENTS", 0)

    async def scenario(server: Server) -> None:
        model = server.model(timeout=0.3)
        async with standing(2, server) as workers, Client({"m": model}, Checked(), workers=workers) as client:
            (pid,) = processes_of(workers)
            assert await ask(client, model, "first") == "yes"
            os.kill(pid, signal.SIGSTOP)
            assert await ask(client, model, "hello") == "yes"
            assert client.counters.retries == 1 and is_gone(pid)

    with loopback("yes") as server:
        asyncio.run(scenario(server))


def test_where_no_process_can_be_started_the_run_goes_on(needed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = tmp_path / "python3"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o700)
    for executable in ("/nonexistent/python", str(fails)):
        monkeypatch.setattr(sys, "executable", executable)

        async def scenario(server: Server) -> None:
            model, workers = server.model(), Workers(3)
            async with Client({"m": model}, Checked(), workers=workers) as client:
                for x in range(3):
                    assert await ask(client, model, f"{x}") == "yes"
                    await asyncio.sleep(0.05)
                while workers._alive or workers._starting:
                    await asyncio.sleep(0.01)
                assert not workers._ready

        with loopback("yes") as server:
            asyncio.run(scenario(server))


def test_nothing_but_a_python_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Workers(3)._most == 2
    for executable in ("", None, "/usr/sbin/server"):
        monkeypatch.setattr(sys, "executable", executable)
        assert Workers(3)._most == 0
    monkeypatch.undo()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert Workers(3)._most == 0


def test_no_secret_is_to_be_seen_and_messages_leave_the_key_out(needed: None) -> None:
    async def scenario(server: Server) -> None:
        model = server.model()
        async with standing(2, server) as workers, Client({"m": model}, Checked(), workers=workers) as client:
            (pid,) = processes_of(workers)
            assert await ask(client, model, "first") == "yes"
            failure = await ask(client, model, "hello")
            assert isinstance(failure, Failure) and "***" in failure.message and "canary" not in failure.message
            assert b"canary" not in command_line(pid)
            assert server.headers[-1]["authorization"].endswith("sk-canary-0123456789")

    with loopback("yes", faults=[ok("yes"), ok("yes"), status(401, "no such key: sk-canary-0123456789")]) as server:
        asyncio.run(scenario(server))


# ---- the run itself ends ----

CHILD = """
import sys
from rlmlang.cli.main import main
from rlmlang.lm.workers import need
need.CALLS, need.SPANS, need.SECONDS, need.BUSY, need.RATE = 1, 1, 0.0, 0.0, 0.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_run(how: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "p.rlm"
    program.write_text('first = call "first"\nanswer [call f"{first} {x}" for x in range(1000)]\n')

    def children(pid: int) -> set[int]:
        return {int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()}

    with loopback(lambda body: ok("yes", delay=0.0 if said(body) == "first" else 5.0)) as server:
        command = [sys.executable, "-c", CHILD, "run", str(program), "--model", "m", "--base-url", server.url, "--processes", "3"]
        command += ["--memo", str(tmp_path / "memo.sqlite"), "--quiet"]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: len(children(parent.pid)) == 2)
            workers = children(parent.pid)
            time.sleep(0.3)  # at whatever point of their start
            parent.send_signal(how)
            out, err = parent.communicate(timeout=40)
            assert parent.returncode == (-9 if how is signal.SIGKILL else 130)
            assert b"Traceback" not in err and not out
            wait_until(lambda: all(is_gone(pid) for pid in workers))
        finally:
            parent.kill()
            parent.wait()


# ---- what goes between ----


class Collecting(wire.Channel):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[wire.Words] = []

    def received(self, message: wire.Words) -> None:
        self.messages.append(message)


TEXTS = st.text(st.characters(codec=None), max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(), TEXTS), max_size=3), max_size=4), st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_frames_come_whole_however_they_are_cut(frames: list[list[wire.Words]], cuts: list[int]) -> None:
    async def take() -> list[wire.Words]:
        channel = Collecting()
        stream = b"".join(len(packed).to_bytes(8) + packed for packed in map(marshal.dumps, frames))
        at = 0
        while at < len(stream):
            size = cuts[at % len(cuts)]
            channel.data_received(stream[at : at + size])
            at += size
        return channel.messages

    assert asyncio.run(take()) == [message for frame in frames for message in frame]


MAYBE_FLOAT = st.none() | st.floats(0, 2)


@given(
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS), min_size=1, max_size=3),
    st.sampled_from([TEXT, BOOL]),
    st.integers(1, 5_000),
    MAYBE_FLOAT,
    st.none() | TEXTS,
)
def test_a_worker_sends_what_the_run_would(said: list[Message], type: Any, most: int, warmth: float | None, grammar: str | None) -> None:
    model = Model(name="m", provider="openai", model="mm", api_key=Secret("sk"), timeout=3.0, grammar="vllm", reasoning_tokens=7)
    plain = render("x", [], type, model)
    request = evolve(plain, messages=tuple(said), max_tokens=most, temperature=warmth, grammar=grammar)
    there = Address("http://h/v1/chat/completions", (("Authorization", "Bearer sk"),))
    _, number, *told = marshal.loads(marshal.dumps(wire.model_words(4, model, there)))
    back, address = wire.read_model(*told)
    assert (address.url, address.headers) == (there.url, there.headers) and "sk" not in repr(address)
    assert number == 4 and back.api_key is not None and back.api_key.reveal() == "sk" and evolve(back, api_key=model.api_key) == model
    _, call, named, *asked = marshal.loads(marshal.dumps(wire.ask_words(9, 4, request)))
    assert (call, named) == (9, 4) and evolve(wire.read_ask(model, *asked), type=request.type) == request


@given(st.none() | TEXTS, st.none() | TEXTS, st.none() | st.builds(Usage, *[st.integers(-1, 2**62)] * 3), MAYBE_FLOAT, st.booleans())
def test_replies_and_errors_come_back_as_they_were(
    text: str | None, refusal: str | None, usage: Usage | None, pause: float | None, charged: bool
) -> None:
    completion = Completion(text, "stop", refusal, usage)
    _, call, *rest = marshal.loads(marshal.dumps(wire.reply_words(3, completion)))
    assert call == 3 and wire.read_completion(*rest) == completion
    error = ProviderError(text or "", retryable=not charged, retry_after=pause, status=None if charged else 429, charged=charged)
    _, call, *rest = marshal.loads(marshal.dumps(wire.error_words(5, error)))
    assert call == 5 and vars(wire.read_error(*rest)) == vars(error)


# ---- when there is a need ----


def spans(calls: int, seconds: float, busy: float) -> bool:
    """Whether `calls`, evenly over so many seconds of which so many are of processor time, are more than one process can do."""
    now = 0.0
    watch = Need(lambda: now, lambda: now * busy)
    needed = False
    for at in range(calls):
        now = (at + 1) * seconds / calls
        needed = needed or watch.answered()
    return needed


def test_need_is_for_many_fast_calls_that_keep_the_loop_busy() -> None:
    assert spans(5_000, 2.0, 0.95)
    assert not spans(need.CALLS - 1, 1.2, 0.95)  # too few
    assert not spans(3_000, 0.9, 0.95)  # over before a process would stand
    assert not spans(5_000, 2.0, 0.5)  # it waits for the server
    assert not spans(5_000, 30.0, 0.95)  # busy with something else


def test_the_default_is_by_cores() -> None:
    assert 1 <= default_processes() <= 4
