"""Runs by a Batch API: which calls make a job, what becomes of those that it does not answer, and that nothing is ever paid twice."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from batch_server import BatchServer, Line, Made, Plan, batches, error_line, lost_line
from commandline import Shell, rlm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Answer, limited, status

import rlmlang
from rlmlang import Settings, limits
from rlmlang.errors import BudgetError, Failure, RlmError, UsageError
from rlmlang.run.memo_jobs import MemoJobs
from rlmlang.session import Running, prepare

__all__ = ["rlm"]

CANARY = "sk-canary-0123456789"
PRICES = "[models.m]\ninput_price = 0.10\noutput_price = 0.30\n"
EACH = 'input n: int = 5\nanswer [call f"Number {i}?" for i in range(n)]\n'
CARRIED_OUT = Answer(status=299)  # and the connection is closed instead of an answer
WAIT = 60


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "JOB_POLL_FIRST", 0.005)
    monkeypatch.setattr(limits, "JOB_POLL_LONGEST", 0.02)
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(limits, "RETRY_LONGEST", 0.002)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    Path("rlm.toml").write_text(PRICES)


@pytest.fixture
def shell(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    return rlm


def run(
    server: BatchServer, source: str = EACH, *, budget: str | tuple[str, ...] = (), batch: bool = True, **inputs: Any
) -> rlmlang.Result:
    chosen = Settings(model="m", base_url=server.url, memo="memo.sqlite", batch=batch, budget=budget)
    return rlmlang.run(source, chosen, **inputs)


def failing(server: BatchServer, source: str = EACH, **more: Any) -> RlmError:
    with pytest.raises(RlmError) as caught:
        run(server, source, **more)
    assert CANARY not in str(caught.value) and len(caught.value.message) <= limits.MESSAGE_CHARS
    return caught.value


def echo(body: dict[str, Any]) -> str:
    """The model: says the prompt again, in lower case."""
    return str(body["messages"][0]["content"]).lower()


def noted() -> tuple[int, int]:
    """Jobs and requests in the journal."""
    db = sqlite3.connect("memo.sqlite")
    try:
        return tuple(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("jobs", "asked"))  # type: ignore[return-value]
    finally:
        db.close()


# ---- what makes a job ----


def test_each_round_is_a_job() -> None:
    with batches(echo, jobs=[Plan(polls=3, backwards=True)]) as server:
        made = run(server, 'a = [call f"A{i}" for i in range(5)]\nb = [call f"B {x}" for x in a]\nanswer {a, b, c: call "C"}')
    assert made.answer == {"a": [f"a{i}" for i in range(5)], "b": [f"b a{i}" for i in range(5)], "c": "c"}
    assert server.sizes == [6, 5] and not server.requests, "nothing is sent by itself"
    used = made.used
    assert (used.calls, used.requests, used.rounds, used.input_tokens, used.output_tokens) == (11, 11, 2, 110, 55)
    assert noted() == (0, 0)


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        ('answer [x for x in range(9) if (call f"Keep {x}?") == "yes"]', [9]),
        ('hits = [x for x in range(6) if (call f"Keep {x}?") == "yes"]\nanswer [call f"Why {x}?" for x in hits]', [6, 6]),
        ('answer reduce(lambda a, b: call f"{a}+{b}", ["1", "2", "3", "4", "5"])', [2, 1, 1]),
        ('answer fold acc, x in [1, 2, 3] from "" { a = call f"Alone {x}"\n call f"{acc}{a}{x}" }', [3, 1, 1, 1]),
        ('answer first 2 x in range(8) where (call f"Good {x}?") == "yes"', [2]),
        ('a = call "A"\nanswer if a == "yes" { call "B" } else { "no" }', [1, 1]),
        ('answer [[call f"{i} {j}" for j in range(3)] for i in range(4)]', [12]),
        ('answer [call f"Same {i // 4}" for i in range(8)]', [2]),
        ('x = call "A" otherwise "none"\nanswer [x, call "B"]', [2]),
        ('fn f(n: int) -> text depth 4 { if n == 0 { "end" } else { (call f"{n}") + f(n - 1) } }\nanswer f(3)', [3]),
    ],
)
def test_all_that_can_be_known_goes_at_once(source: str, sizes: list[int]) -> None:
    with batches() as server:
        run(server, source)
    assert server.sizes == sizes and max(server.paid.values()) == 1


def test_many_items_share_jobs_however_narrow_the_model() -> None:
    Path("rlm.toml").write_text(PRICES + "concurrency = 2\nrequests_per_minute = 1\n")
    with batches(echo) as server:
        source = 'answer map i in range(300) {\n  a = call f"A{i}"\n  call f"B {a}"\n}'
        made = run(server, source)
    assert server.sizes == [300, 300] and made.answer == [f"b a{i}" for i in range(300)]


def test_a_job_is_no_larger_than_servers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_LINES", 4)
    with batches(echo) as server:
        assert run(server, n=10).answer == [f"number {i}?" for i in range(10)]
    assert server.sizes == [4, 4, 2]
    monkeypatch.setattr(limits, "JOB_LINES", 100)
    with batches(echo) as server:
        monkeypatch.setattr(limits, "JOB_BYTES", 700)
        assert len(run(server, 'answer [call f"Other {i}?" for i in range(9)]').answer) == 9
        assert all(len(content) <= 700 for name, content in server.files.values() if name.startswith("rlmlang"))
        assert len(server.jobs) > 2
        assert "a job takes 700" in failing(server, f'answer call "{"x" * 700}"').message


def test_nested_lists_are_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_ITEMS", 10)
    with batches(echo) as server:
        run(server, 'answer [[call f"{i} {j}" for j in range(8)] for i in range(40)]')
    assert server.sizes == [320]


def test_solve_by_jobs() -> None:
    with batches(lambda body: "answer 40 + 2") as server:
        assert run(server, 'answer solve "What is it?" on "data" -> int').answer == 42
    assert server.sizes == [1] and not server.requests


def test_a_sample_by_jobs(shell: Shell) -> None:
    shell.write("p.rlm", EACH)
    with batches() as server:
        words = [word for word in command(server, "n=100", "--sample", "7", "--json") if word != "run"]
        found = shell("cost", *words).json
    assert server.sizes == [7] and found["sample"]["used"]["requests"] == 7


def test_one_model_a_job() -> None:
    Path("rlm.toml").write_text(PRICES + '[models.other]\nmodel = "o"\n')
    with batches(lambda body: body["model"]) as server:
        Path("rlm.toml").write_text(PRICES + f'[models.o]\nbase_url = "{server.url}"\napi_key_env = "OPENAI_API_KEY"\n')
        made = run(server, 'answer [[call f"{i}", (call f"{i}" with {model: "o"})] for i in range(3)]')
    assert made.answer == [["m", "o"]] * 3 and server.sizes == [3, 3]


def test_several_items_in_one_request_are_one_line() -> None:
    with batches(
        lambda body: json.dumps({"value": ["yes"] * len(re.findall("item [0-9]+", body["messages"][0]["content"], re.I))})
    ) as server:
        program = 'answer [call "Is it?" on i -> bool with {batch: 4} for i in range(8)]'
        assert run(server, program).answer == [True] * 8
    assert server.sizes == [2]


def test_what_the_memo_holds_is_in_no_job() -> None:
    with batches(echo) as server:
        run(server, n=3)
        assert run(server, n=5).used.from_memo == 3 and server.sizes == [3, 2]
        assert run(server, n=5, batch=False).used.from_memo == 5 and not server.requests


def test_models_without_a_batch_api_are_called_as_usual(shell: Shell) -> None:
    model = shell.rules({"reply": "yes"})
    with batches() as server:
        Path("rlm.toml").write_text(f'[models.b]\nmodel = "m"\nbase_url = "{server.url}"\napi_key_env = "OPENAI_API_KEY"\n')
        shell.write("p.rlm", 'answer [[call f"{i}", (call f"{i}" with {model: "b"})] for i in range(3)]\n')
        done = shell("run", "p.rlm", "--model", model, "--batch", "--memo", "memo.sqlite")
        assert done.code == 0 and json.loads(done.out) == [["yes", "yes"]] * 3 and server.sizes == [3]
        assert "script:rules.jsonl has no Batch API: it is called as usual" in done.err
        assert "job batch_0 at 127.0.0.1 is sent: 3 requests\njob batch_0 at 127.0.0.1 is done: 3 answered\n" in done.err
        Path("rlm.toml").write_text(Path("rlm.toml").read_text() + "batch = false\n")
        shell.write("p.rlm", 'answer call "Other" with {model: "b"}\n')
        assert shell("run", "p.rlm", "--model", model, "--batch", "--memo", "memo.sqlite").out == "yes\n" and len(server.requests) == 1


def test_a_job_waits_for_what_other_models_have_still_to_say(shell: Shell) -> None:
    slow = shell.rules({"match": "A0", "reply": "late", "delay": 0.3}, {"reply": "soon", "delay": 0.02})
    with batches(echo) as server:
        Path("rlm.toml").write_text(f'[models.slow]\nmodel = "{slow}"\n')
        source = 'b = map i in range(4) {\n  a = call f"A{i}" with {model: "slow"}\n  call f"B {a} {i}"\n}\n'
        made = run(server, source + 'answer {b, c: [call f"C{i}" for i in range(3)]}')
    assert made.answer == {"b": ["b late 0", "b soon 1", "b soon 2", "b soon 3"], "c": ["c0", "c1", "c2"]} and server.sizes == [7]


def test_jobs_want_a_store() -> None:
    with batches() as server, pytest.raises(UsageError, match="nobody would find a job"):
        rlmlang.run(EACH, Settings(model="m", base_url=server.url, memo="off", batch=True))


# ---- what it costs ----


def test_half_the_price() -> None:
    with batches() as server:
        by_jobs = run(server).used
        by_itself = run(server, 'input n: int = 5\nanswer [call f"Figure {i}?" for i in range(n)]', batch=False).used
    assert by_jobs.dollars is not None and by_itself.dollars == pytest.approx(2 * by_jobs.dollars) == pytest.approx(
        5 * (10 * 0.1 + 5 * 0.3) / 1e6
    )
    assert len(server.requests) == 5


def test_a_server_with_its_own_share(shell: Shell) -> None:
    shell.write("p.rlm", EACH)

    def most(*words: str) -> float:
        return float(
            shell("cost", "p.rlm", "n=5", "--model", "m", "--base-url", "http://localhost:1/v1", "--json", *words).json["bound"]["dollars"][
                "max"
            ]
        )

    assert most("--batch") == pytest.approx(most() / 2) and most("--no-batch") == most()
    Path("rlm.toml").write_text("batch = true\n" + PRICES + "batch_share = 0.25\n")
    assert most() == pytest.approx(most("--no-batch") / 4)


@pytest.mark.parametrize(
    "line",
    [
        "batch = 1",
        "[models.m]\nbatch_share = 0",
        "[models.m]\nbatch_share = 2",
        "[models.m]\nbatch_share = 1e-999999999",
        '[models.m]\nbatch = "no"',
        '[models.m]\nmodel = "local"\nbatch = true',
    ],
)
def test_wrong_settings_are_told(line: str) -> None:
    Path("rlm.toml").write_text(line + "\n")
    with pytest.raises(UsageError):
        rlmlang.bound(EACH, Settings(model="m"))


def test_the_bound_says_how_long_it_may_take(shell: Shell) -> None:
    shell.write("p.rlm", 'a = call "A"\nanswer call f"B {a}"\n')
    words = ("cost", "p.rlm", "--model", "m", "--base-url", "http://localhost:1/v1", "--batch")
    assert shell(*words, "--json").json["seconds"] == {"min": 0, "expected": None, "max": 172_800}
    assert "at 50 % by its Batch API, which may take 24 hours a round" in shell(*words).out
    assert "seconds" not in shell(*words, "--json", "--no-batch").json


@pytest.mark.parametrize("budget", ["4 calls", "$0.0002"])
def test_a_round_is_cut_to_what_the_budget_takes(budget: str) -> None:
    with batches() as server:
        error = failing(server, EACH.replace("]", "] otherwise skip"), n=50, budget=budget)
        assert isinstance(error, BudgetError) and error.result is not None
        used = error.result.used
        assert 0 < used.requests == sum(server.sizes) < 50 and server.paid.total() == used.requests
        assert used.requests <= 4 or (used.dollars is not None and used.dollars <= 0.0002)
        rest = run(server, n=50)
    assert rest.used.from_memo == used.requests and max(server.paid.values()) == 1


def test_a_budget_is_reserved_for_the_whole_round_at_half_the_price() -> None:
    with batches() as server:
        most = rlmlang.bound(EACH, Settings(model="m", base_url=server.url, batch=True), n=1).figures["dollars"].most
        once = run(server, n=1).used.dollars
        assert isinstance(most, int) and once is not None
        tight = f"${(9 * most / 3 + 1e6) / 1e9:.9f}"  # of a call the bound counts three attempts, of which each is reserved when it is sent
        made = run(server, 'answer [call f"Figure {i}?" for i in range(9)] otherwise []', budget=tight)
    assert len(made.answer) == 9 and server.sizes == [1, 9]


# ---- what a job does not answer ----


def once(*lines: str, by: Callable[[Line], Sequence[bytes]] | None = None, **more: Any) -> Plan:
    """A job that does not answer the requests that say one of `lines`; with `by`, errors for these."""

    def hit(line: Line) -> bool:
        return line["body"]["messages"][0]["content"] in lines

    return Plan(
        lines=lambda line, usual: [] if hit(line) else [usual],
        errors=None if by is None else lambda line: by(line) if hit(line) else [],
        **more,
    )


@pytest.mark.parametrize("code", [429, 500, 503])
def test_errors_that_may_pass_go_into_the_next_job(code: int) -> None:
    with batches(jobs=[once("Number 1?", "Number 3?", by=lambda line: [error_line(line, code)])]) as server:
        made = run(server)
    assert made.answer == ["yes"] * 5 and server.sizes == [5, 2]
    assert (made.used.requests, made.used.retries, made.used.failed) == (7, 2, 0) and noted() == (0, 0)


def test_errors_that_stay_are_failures_of_their_items() -> None:
    with batches(jobs=[once("Number 1?", by=lambda line: [error_line(line, 400, f"no good {CANARY}")])]) as server:
        made = run(server, EACH.replace("]", "] otherwise skip"))
    assert made.answer == ["yes"] * 4 and server.sizes == [5]
    [failure] = made.failures
    assert failure.item == "1" and failure.attempts == 1 and "400" in failure.error and "no good ***" in failure.error
    assert made.used.dollars == pytest.approx(4 * (10 * 0.05 + 5 * 0.15) / 1e6), "what was turned away costs nothing"


@pytest.mark.parametrize("end", ["expired", "cancelled"])
@pytest.mark.parametrize("told", [True, False])
def test_a_job_that_ends_early_is_gone_on_with(end: str, told: bool) -> None:
    plan = once("Number 0?", "Number 4?", by=(lambda line: [lost_line(line, f"batch_{end}")]) if told else None, end=end)
    with batches(jobs=[plan]) as server:
        made = run(server)
    assert made.answer == ["yes"] * 5 and server.sizes == [5, 2] and max(server.paid.values()) == 1
    assert made.used.dollars == pytest.approx(5 * (10 * 0.05 + 5 * 0.15) / 1e6)


def test_tries_end() -> None:
    plan = once("Number 1?", end="expired")
    with batches(jobs=[plan] * 9) as server:
        error = failing(server)
    assert isinstance(error, Failure) and "expired before it came to this request (tried 3 times)" in error.message and error.attempts == 3
    assert server.sizes == [5, 1, 1] and noted() == (0, 0)


def test_a_request_of_which_nothing_is_heard_may_have_been_billed() -> None:
    with batches(jobs=[once("Number 1?")] * 9) as server:
        error = failing(server)
    assert isinstance(error, Failure) and "gave no reply" in error.message and error.attempts == 3 and server.sizes == [5, 1, 1]
    assert error.result is not None and error.result.used.input_tokens > 40 + 3 * 10, "each at its worst"


@pytest.mark.parametrize(
    "made",
    [
        lambda line, usual: [usual, usual],
        lambda line, usual: [b"garbage", b"", b"[1]", b'{"custom_id": 3}', b"\xff\xfe", usual],
        lambda line, usual: [error_line(line, 500), usual],
        lambda line, usual: [usual, error_line(line, 500)],
        lambda line, usual: [usual.replace(line["custom_id"].encode(), b"0" * 64), usual, b'{"custom_id": "zz", "response": {}}'],
        lambda line, usual: [usual, usual.replace(b"yes", b"no")],
    ],
)
def test_odd_files_of_replies_are_read(made: Callable[[Line, bytes], Sequence[bytes]]) -> None:
    with batches(jobs=[Plan(lines=made)]) as server:
        assert run(server).answer == ["yes"] * 5
    assert server.sizes == [5]


@pytest.mark.parametrize(
    "made",
    [
        lambda line, usual: [b"{"],
        lambda line, usual: [
            json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": "x"}, "error": None}).encode()
        ],
        lambda line, usual: [json.dumps({"custom_id": line["custom_id"], "response": None, "error": None}).encode()],
        lambda line, usual: [json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 504}, "error": None}).encode()],
        lambda line, usual: [usual[:40]],
    ],
)
def test_garbage_for_a_reply_is_none(made: Callable[[Line, bytes], Sequence[bytes]]) -> None:
    """It is asked for again where that may help, and paid at its worst either way."""
    with batches(jobs=[Plan(lines=made)]) as server:
        try:
            assert run(server, n=1).answer == ["yes"] and server.sizes == [1, 1]
        except Failure as failure:
            assert failure.attempts == 1 and failure.result is not None and failure.result.used.input_tokens > 10
    assert noted() == (0, 0)


def test_bad_replies_are_asked_again_in_the_next_job() -> None:
    def moody(body: dict[str, Any]) -> str:
        first = len(body["messages"]) == 1
        return "perhaps" if first and "Number 2?" in body["messages"][0]["content"] else '{"value": "yes"}'

    with batches(moody) as server:
        made = run(server, EACH.replace('?"', '?" -> bool'))
    assert made.answer == [True] * 5 and server.sizes == [5, 1] and made.used.retries == 1


def test_a_job_that_is_refused_fails_its_calls() -> None:
    plan = Plan(end="failed", faults=[{"code": "model_not_found", "message": "no such model", "line": None}])
    with batches(jobs=[plan]) as server:
        error = failing(server)
    assert (
        isinstance(error, Failure)
        and "refused the job batch_0: no such model" in error.message
        and server.sizes == [5]
        and noted() == (0, 0)
    )
    with batches(jobs=[Plan(end="failed")]) as server:
        assert run(server).answer == ["yes"] * 5 and server.sizes == [5, 5], "without a reason it is tried again"


def test_a_wrong_line_is_the_failure_of_its_call_alone() -> None:
    plan = Plan(end="failed", faults=[{"code": "invalid", "message": "line 2 is no good", "line": 2}])
    with batches(jobs=[plan]) as server:
        made = run(server, EACH.replace("]", "] otherwise skip"))
    assert made.answer == ["yes"] * 4 and [f.item for f in made.failures] == ["1"] and server.sizes == [5, 4]


def test_a_full_queue_is_waited_for_with_smaller_jobs() -> None:
    plan = Plan(end="failed", faults=[{"code": "token_limit_exceeded", "message": "Enqueued token limit reached for m"}])
    with batches(jobs=[plan, plan, Plan(), plan]) as server:
        made = run(server, n=8)
    assert made.answer == ["yes"] * 8 and max(server.paid.values()) == 1 and server.sizes[0] == 8 and max(server.sizes[1:]) <= 4
    assert made.used.retries == 0, "nobody answered, so nothing was asked twice"


def test_a_failure_ends_the_run_once_its_job_has_ended() -> None:
    with batches(jobs=[once("Number 1?", by=lambda line: [error_line(line, 400)])]) as server:
        source = 'input n: int = 5\na = [call f"Number {i}?" for i in range(n)]\nanswer [call f"Then {x}" for x in a]\n'
        assert isinstance(failing(server, source), Failure)
        assert server.sizes == [5] and run(server, n=5).used.from_memo == 4


# ---- what goes wrong on the way ----


def test_what_passes_is_tried_again() -> None:
    trouble = [status(500), limited("0.01"), Answer(reset=True)]
    at = {name: list(trouble) for name in ("POST /files", "POST /batches", "GET /batches", "GET /files/content")}
    with batches(at=at) as server:
        assert run(server).answer == ["yes"] * 5
    assert server.sizes == [5] and max(server.paid.values()) == 1


def test_a_job_that_was_made_unheard_is_found_and_not_made_again() -> None:
    with batches(at={"POST /batches": [CARRIED_OUT]}) as server:
        for name in ("other", "another", "third"):  # on several pages
            server.jobs[name] = Made(name, server.file("x", b""), {}, Plan())
        assert run(server).answer == ["yes"] * 5
    assert server.log.count("POST /batches") == 1 and max(server.paid.values()) == 1


def test_a_server_without_a_batch_api() -> None:
    with batches(at={"POST /files": [status(404, "unknown path")]}) as server:
        error = failing(server)
    assert isinstance(error, Failure) and "it seems to have no Batch API (leave out --batch" in error.message and noted() == (0, 0)
    assert error.result is not None and error.result.used.requests == 0


def test_a_refused_key_loses_nothing() -> None:
    with batches(jobs=[Plan(polls=1)], at={"GET /batches": [status(401, "bad key")]}) as server:
        error = failing(server)
        assert "the job batch_0 is kept in mind, and the same command asks for it again" in error.message and noted() == (1, 5)
        assert run(server).answer == ["yes"] * 5
    assert server.sizes == [5] and max(server.paid.values()) == 1 and noted() == (0, 0)


def test_a_job_that_the_server_forgot_is_made_again() -> None:
    with batches(jobs=[Plan(polls=3)], at={"GET /batches": [status(404, "no such batch")]}) as server:
        assert run(server).answer == ["yes"] * 5 and server.sizes == [5, 5]
    with batches(at={"GET /files/content": [status(404, "gone")]}) as server:
        assert run(server, 'answer call "Other"').answer == "yes" and server.sizes == [1, 1]


def test_a_job_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_SECONDS", -limits.JOB_LATE - 1)
    with batches(hold=True) as server:
        assert "has not answered in time; the job batch_0 is kept in mind" in failing(server).message


@pytest.mark.parametrize(
    "found",
    [[], {"id": 3, "status": "completed"}, {"id": "x\x1b[2J", "status": "completed"}, {"id": "x" * 1000, "status": "x"}, {"id": "b"}],
)
def test_an_odd_server_gives_typed_errors(found: Any) -> None:
    odd = [Answer(json.dumps(found).encode())] * 200
    with batches(at={"POST /batches": list(odd), "GET /batches": list(odd)}) as server:
        assert failing(server).message.isprintable()
    with batches(at={"POST /files": list(odd)}) as server:
        assert failing(server).message.isprintable()


def test_a_file_of_replies_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOB_OUTPUT_BYTES", 2_000)
    with batches("x" * 3_000) as server:
        assert "sent more than" in failing(server).message


# ---- stopped and started again ----


def command(server: BatchServer, *words: str) -> list[str]:
    return ["run", "p.rlm", "--model", "m", "--base-url", server.url, "--memo", "memo.sqlite", "--batch", *words]


def until(happened: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("moment", ["POST /files", "POST /batches", "GET /batches", "GET /files/content"])
def test_killed_at_any_moment_nothing_is_paid_twice(shell: Shell, moment: str) -> None:
    shell.write("p.rlm", EACH)
    process: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        process[0].kill()
        process[0].wait(WAIT)

    with batches(echo, on={moment: kill}) as server:
        process.append(shell.start(*command(server), env={"OPENAI_API_KEY": CANARY}))
        with process[0] as started:
            started.communicate(timeout=WAIT)
        assert process[0].returncode == -signal.SIGKILL and moment in server.log
        server.on.clear()
        done = shell(*command(server))
        assert done.code == 0 and json.loads(done.out) == [f"number {i}?" for i in range(5)]
        assert server.log.count("POST /files") == server.log.count("POST /batches") == 1, "nothing is sent again"
        assert server.sizes == [5] and set(server.paid.values()) == {1} and noted() == (0, 0)
        assert shell(*command(server)).code == 0 and len(server.jobs) == 1


def started(server: BatchServer, source: str = EACH, **inputs: Any) -> Running:
    return prepare(source, Settings(model="m", base_url=server.url, memo="memo.sqlite", batch=True), inputs).start()


@pytest.mark.parametrize("moment", ["POST /files", "POST /batches"])
def test_a_file_is_only_used_for_what_is_asked_for_still(moment: str) -> None:
    with batches(at={"POST /batches": [Answer(reset=True, delay=600)]} if moment == "POST /batches" else {}) as server:
        running = started(server, n=9)
        if moment == "POST /files":
            server.on[moment] = running.cancel
        else:
            until(lambda: moment in server.log)
            running.cancel()
        with pytest.raises(RlmError, match="interrupted"):
            running.wait()
        server.on.clear()
        assert noted() == (1, 9)
        assert run(server, n=2, budget="2 calls").answer == ["yes"] * 2
        assert server.sizes == [2] and server.paid.total() == 2, "the file of nine would have been paid whole"


def test_interrupted_while_a_job_is_under_way(shell: Shell) -> None:
    shell.write("p.rlm", EACH)
    with batches(echo, hold=True) as server:
        with shell.start(*command(server), env={"OPENAI_API_KEY": CANARY}) as process:
            until(lambda: server.log.count("GET /batches") > 0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=WAIT)
        assert process.returncode == 130 and out == b""
        told = err.decode()
        assert "job batch_0 at 127.0.0.1 is sent: 5 requests" in told
        assert told.endswith("1 job with 5 requests goes on at 127.0.0.1, and the same command waits for them\n") and CANARY not in told
        assert "1 job" in shell("memo", "stats", "--memo", "memo.sqlite").out
        server.hold = False
        done = shell(*command(server))
        assert done.code == 0 and "job batch_0 at 127.0.0.1 is found again: 5 requests" in done.err
        assert server.sizes == [5] and max(server.paid.values()) == 1


def test_a_later_run_takes_what_an_earlier_one_left_behind() -> None:
    """Replies of a job belong to whoever asks first; the rest stays for others."""
    with batches(echo, jobs=[Plan(polls=2)], at={"GET /batches": [status(401)]}) as server:
        failing(server, n=6)
        assert run(server, n=2).answer == ["number 0?", "number 1?"] and noted() == (1, 4)
        assert run(server, n=7).answer == [f"number {i}?" for i in range(7)]
    assert server.sizes == [6, 1] and max(server.paid.values()) == 1 and noted() == (0, 0)


def test_bad_replies_are_not_paid_again_by_a_rerun() -> None:
    def moody(body: dict[str, Any]) -> str:
        return "perhaps" if len(body["messages"]) == 1 else '{"value": "yes"}'

    source = EACH.replace('?"', '?" -> bool')
    with batches(moody, jobs=[Plan(), Plan(polls=2)], at={"GET /batches": [Answer(reset=True)] * 2}) as server:
        server.held.add("batch_1")
        running = started(server, source)
        until(lambda: any(job.record.id == "batch_1" for job in running.session.client.jobs()))
        running.cancel()
        with pytest.raises(RlmError, match="1 job with 5 requests goes on"):
            running.wait()
        server.held.clear()
        made = run(server, source)
    assert made.answer == [True] * 5 and server.sizes == [5, 5] and made.used.requests == 10 and noted() == (0, 0)


def test_two_runs_at_once_pay_once() -> None:
    with batches(echo, hold=True) as server:
        runs = [started(server, n=20) for _ in range(3)]
        until(lambda: all(each.session.client.jobs() for each in runs))
        server.hold = False
        made = [each.wait() for each in runs]
    assert made == [[f"number {i}?" for i in range(20)]] * 3 and set(server.paid.values()) == {1}


def test_what_another_run_has_used_is_still_there_for_this_one() -> None:
    with batches(echo, hold=True, at={"GET /files/content": [evolve(status(503), delay=0.7)]}) as server:
        runs = [started(server) for _ in range(2)]
        until(lambda: all(each.session.client.jobs() for each in runs))
        server.hold = False
        assert [each.wait() for each in runs] == [[f"number {i}?" for i in range(5)]] * 2
    assert server.sizes == [5] and noted() == (0, 0)


@pytest.mark.parametrize("size", [1, 2])
def test_what_another_run_has_been_told_before_this_one_sends_it(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run begins and is over between the look into the memo and the look into the journal."""
    source = f'answer [call "Is it?" on i -> bool with {{batch: {size}}} for i in range(4)]\n'
    others: list[Any] = []
    making = MemoJobs.making

    @asynccontextmanager
    async def after_another(self: MemoJobs) -> AsyncIterator[None]:
        if not others:
            others.append("under way")
            others[:] = (await asyncio.to_thread(run, server, source)).answer
        async with making(self):
            yield

    def model(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"]
        return json.dumps({"value": "yes" if size == 1 else ["yes"] * len(re.findall("item [0-9]+", text, re.I))})

    monkeypatch.setattr(MemoJobs, "making", after_another)
    with batches(model) as server:
        made = run(server, source)
    assert made.answer == others == [True] * 4 and server.sizes == [4 // size] and noted() == (0, 0)
    assert (made.used.calls, made.used.from_memo, made.used.requests) == (4, 4, 0)


def test_clearing_the_memo_forgets_jobs(shell: Shell) -> None:
    with batches(at={"GET /batches": [status(401)]}) as server:
        failing(server)
        assert noted() == (1, 5)
        assert shell("memo", "clear", "--memo", "memo.sqlite", "--yes").code == 0 and noted() == (0, 0)


def test_jobs_survive_a_damaged_store() -> None:
    with batches(at={"GET /batches": [status(401)]}) as server:
        failing(server)
        Path("memo.sqlite-wal").unlink(missing_ok=True)
        db = sqlite3.connect("memo.sqlite")
        db.execute("PRAGMA user_version = 99")
        db.close()
        assert run(server).answer == ["yes"] * 5 and server.sizes == [5]


def test_cancelled_at_any_time_nothing_is_paid_twice() -> None:
    source = EACH.replace("answer", "a =") + 'answer [call f"Then {x}" for x in a]\n'
    with batches(echo, jobs=[Plan(polls=2)] * 9) as server:
        for wait in range(40):
            running = started(server, source)
            time.sleep(wait / 500)
            running.cancel()
            with pytest.raises(RlmError, match="interrupted"):
                running.wait()
            if len(server.jobs) == 2:
                break
        made = run(server, source)
    assert made.answer == [f"then number {i}?" for i in range(5)] and set(server.paid.values()) == {1} and noted() == (0, 0)


def test_time_that_is_up_leaves_the_job_behind(shell: Shell) -> None:
    shell.write("p.rlm", EACH)
    with batches(hold=True) as server:
        done = shell(*command(server, "--budget", "0.5 s"))
        assert done.code == 3 and "1 job with 5 requests goes on at 127.0.0.1: the same command waits for them" in done.err
        server.hold = False
        assert shell(*command(server)).code == 0 and server.sizes == [5] and set(server.paid.values()) == {1}


def test_a_full_disk_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with batches(jobs=[Plan(polls=1)]) as server:
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "TemporaryFile", full)
            error = failing(server)
        assert "the jobs at 127.0.0.1 cannot be followed: no space left on device" in error.message and not server.jobs
        with monkeypatch.context() as patch:
            server.on["POST /batches"] = lambda: patch.setattr(tempfile, "TemporaryFile", full)
            assert "no space left" in failing(server).message
        assert run(server).answer == ["yes"] * 5 and server.sizes == [5]


# ---- whatever happens ----


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    def plan(kind: int, residue: int, polls: int, end: str, backwards: bool) -> Plan:
        def hit(line: Line) -> bool:
            return int(line["custom_id"][:8], 16) % 3 == residue

        def lines(line: Line, usual: bytes) -> Sequence[bytes]:
            if not hit(line):
                return [usual]
            return [[], [usual, usual], [b"x", usual], [usual[:30]], [error_line(line, 500)], [lost_line(line, "batch_expired")]][kind]

        return Plan(polls, end, lines, backwards=backwards)

    ends = st.sampled_from(["completed", "completed", "expired", "cancelled", "failed"])
    made = st.builds(plan, st.integers(0, 5), st.integers(0, 3), st.integers(0, 2), ends, st.booleans())
    return draw(st.lists(made, max_size=5))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans(), st.integers(1, 12), st.sampled_from([0, 3, 100]))
def test_answers_are_those_of_a_run_without_jobs(jobs: list[Plan], n: int, most: int) -> None:
    for file in Path().glob("memo.sqlite*"):
        file.unlink()
    source = """input n: int
answer map i in range(n) {
  a = call f"A {i}" otherwise "lost"
  b = call f"B {a} {i}" otherwise "lost"
  [a, b]
}
"""
    with pytest.MonkeyPatch.context() as patch, batches(echo, jobs=jobs) as server:
        patch.setattr(limits, "JOB_LINES", most or limits.JOB_LINES)
        made = run(server, source, n=n)
    for i, (a, b) in enumerate(made.answer):
        assert a in (f"a {i}", "lost") and b in (f"b {a} {i}", "lost")
    assert made.bound is not None
    for name, figure in made.bound.items():
        used = getattr(made.used, name)
        assert figure["min"] <= used <= figure["max"] or (name == "calls" and used <= figure["max"]), name
    assert server.paid.total() >= len({x for pair in made.answer for x in pair} - {"lost"}) and noted() == (0, 0)
