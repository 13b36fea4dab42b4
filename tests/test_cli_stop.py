"""What happens to a run that is stopped from outside, and what a person at a terminal sees. Real processes and a real HTTP server."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from commandline import Shell, rlm
from loopback import Server, loopback, status

from rlmlang.cli import terminal
from rlmlang.cli.progress import Download
from rlmlang.cli.running import stopping
from rlmlang.errors import UsageError
from rlmlang.lm import local

__all__ = ["rlm"]

WAIT = 60  # seconds at most for something that surely comes
PROGRAM = 'input n: int\nanswer [call f"Number {i}?" for i in range(n)]\n'


def until(happened: Callable[[], Any]) -> None:
    """Waits until it has."""
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def against(server: Server, *words: str) -> list[str]:
    return ["run", "p.rlm", "--model", "m", "--base-url", server.url, "--memo", "memo.sqlite", *words]


def prompts(server: Server) -> list[str]:
    return [re.findall(r"Number \d+", json.dumps(body))[0] for body in server.requests]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(rlm: Shell, sent: signal.Signals) -> None:
    rlm.write("p.rlm", PROGRAM)
    # the first half answers at once, the rest never
    model = rlm.rules({"match": "Number [0-9]\\?", "reply": "quick"}, {"reply": "slow", "delay": 600})
    with rlm.start("run", "p.rlm", "n=20", "--model", model, "--memo", "memo.sqlite", "--json") as process:
        until(lambda: stored(rlm) == 10)
        process.send_signal(sent)
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert err.decode().endswith("interrupted; 10 finished calls are kept\n")
    report = json.loads(out)
    assert report["answer"] is None and report["error"].startswith("interrupted") and report["used"]["calls"] == 20
    # the same rules, but quick; an edited file would be another model, so only the ten that are known are asked for
    again = rlm("run", "p.rlm", "n=10", "--model", model, "--memo", "memo.sqlite", "--json").json
    assert again["used"]["from_memo"] == 10 and again["used"]["requests"] == 0


def stored(rlm: Shell) -> int:
    return int(rlm("memo", "stats", "--memo", "memo.sqlite", "--json").json["rows"])


def test_a_rerun_pays_only_the_rest(rlm: Shell) -> None:
    rlm.write("p.rlm", PROGRAM)
    with loopback("yes", delay=0.05) as server:
        with rlm.start(*against(server, "n=60", "--concurrency", "4")) as process:
            until(lambda: len(server.requests) > 20)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=WAIT)
        assert process.returncode == 130
        first, kept = len(server.requests), stored(rlm)
        assert first - 4 <= kept <= first < 60
        used = rlm(*against(server, "n=60", "--json")).json["used"]
        assert used["from_memo"] == kept and used["requests"] == 60 - kept == len(server.requests) - first


def test_pure_code_is_interrupted(rlm: Shell) -> None:
    # after its only call the program computes for minutes
    rlm.write("p.rlm", 'input n: int\nxs = range(20000 + len(call "Number 0?"))\nanswer sum(sum(x * y % 7 for y in xs) for x in xs)\n')
    with loopback("yes") as server, rlm.start(*against(server, "n=1")) as process:
        until(lambda: server.requests)
        until(lambda: interrupted(process))
        assert process.returncode in (130, -signal.SIGINT), "the latter, 130 to a shell, while Python ends"
        assert process.stderr is not None and b"Traceback" not in process.stderr.read()


def interrupted(process: subprocess.Popen[bytes]) -> bool:
    """Interrupts it once more; whether it has ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    return process.poll() is not None


def test_a_second_interrupt_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", end)
    before = signal.getsignal(signal.SIGINT)
    asked: list[bool] = []
    try:
        with pytest.raises(Ended, match="130"), stopping(lambda: asked.append(True)):
            signal.raise_signal(signal.SIGINT)
            assert asked == [True]
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_killed(rlm: Shell) -> None:
    rlm.write("p.rlm", PROGRAM)
    with loopback("yes", delay=0.01) as server:
        words = against(server, "n=300", "--concurrency", "16")
        with rlm.start(*words) as process:
            until(lambda: len(server.requests) > 120)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        before = len(server.requests)
        assert before < 300
        done = rlm(*words, "--json")
        assert done.code == 0 and done.json["answer"] == ["yes"] * 300
        asked = prompts(server)
        assert len(set(asked)) == 300 and len(asked) - 300 <= 16


def test_budget_is_never_overrun(rlm: Shell) -> None:
    # with `skip` no call is sure, so that the run is not refused before it starts
    rlm.write("p.rlm", PROGRAM.replace("range(n)]", "range(n)] otherwise skip"))
    with loopback("yes", delay=0.01) as server:
        done = rlm(*against(server, "n=300", "--concurrency", "64", "--budget", "50 calls", "--json"))
        assert done.code == 3 and len(server.requests) == 50
        assert done.json["used"]["requests"] == 50 and "50 finished calls are kept" in done.err
        assert stored(rlm) == 50


def test_a_key_is_never_shown(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-42")
    rlm.write("p.rlm", PROGRAM)
    with loopback(lambda _: status(401, "sk-canary-42 is no good key")) as server:
        done = rlm(*against(server, "n=1", "--explain", "--json"))
        assert any("sk-canary-42" in header for header in server.headers[0].values())
    assert done.code == 1 and "401" in done.err and "canary" not in done.out + done.err


# ---- at a terminal ----


def screen(rlm: Shell, *words: str) -> tuple[int, str, str]:
    """Runs with a terminal for standard error: the exit code, standard output, all that the terminal got."""
    ours, theirs = pty.openpty()
    with rlm.start(*words, stderr=theirs, env={"COLUMNS": "100"}) as process:
        os.close(theirs)
        shown = b""
        while True:
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    shown += os.read(ours, 10_000)
                except OSError:  # nobody has the other end open any more
                    break
            elif process.poll() is not None:
                break
        out = process.stdout.read() if process.stdout else b""
    os.close(ours)
    return process.returncode, out.decode(), shown.decode()


def test_progress_on_a_terminal(rlm: Shell) -> None:
    rlm.write("p.rlm", PROGRAM)
    words = ["run", "p.rlm", "n=12", "--model", rlm.rules({"reply": "x", "delay": 0.1}), "--memo", "off", "--concurrency", "2"]
    code, out, shown = screen(rlm, *words)
    assert code == 0 and json.loads(out) == ["x"] * 12
    counts = [int(done) for done in re.findall(r"\r(\d+)/12 items · \d+ calls?", shown)]
    assert counts == sorted(counts) and len(set(counts)) >= 3 and "2 under way" in shown
    *_, blank, last = re.split(r"\r(?!\n)", shown.rstrip("\r\n"))
    assert blank.strip() == "" and last.startswith("12 calls"), "the line is gone before anything else is written"


def test_no_progress_elsewhere(rlm: Shell) -> None:
    rlm.write("p.rlm", PROGRAM)
    words = ["run", "p.rlm", "n=4", "--model", rlm.rules({"reply": "x", "delay": 0.2}), "--memo", "off", "--concurrency", "2"]
    done = rlm.process(*words)
    assert done.code == 0 and "items" not in done.err and "\r" not in done.err
    assert screen(rlm, *words, "--quiet") == (0, done.out, "")


def test_a_narrow_terminal_is_not_overrun(rlm: Shell) -> None:
    rlm.write("p.rlm", PROGRAM)
    words = ["run", "p.rlm", "n=4", "--model", rlm.rules({"reply": "x", "delay": 0.2}), "--memo", "off", "--concurrency", "2"]
    ours, theirs = pty.openpty()
    with rlm.start(*words, stderr=theirs, env={"COLUMNS": "20"}) as process:
        os.close(theirs)
        shown = b""
        with pytest.raises(OSError):
            while True:
                shown += os.read(ours, 10_000)
        process.communicate()
    os.close(ours)
    lines = [line for line in re.split("[\r\n]+", shown.decode()) if "items" in line]
    assert lines and all(len(line) < 20 for line in lines)


# ---- the embedded model's first use ----


def test_download_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(terminal, "on_terminal", lambda: True)
    progress = Download("the model", quiet=False)
    for done in (0, 45_000_000, 90_000_000):
        progress(done, 90_000_000)
    progress.end()
    shown = capsys.readouterr().err
    assert "fetching the model, once: 0 of 90 MB" in shown and "90 of 90 MB" in shown and shown.endswith(" \r")


@pytest.mark.parametrize(("quiet", "said"), [(False, "fetching the model, once (90 MB)\n"), (True, "")])
def test_download_elsewhere(capsys: pytest.CaptureFixture[str], quiet: bool, said: str) -> None:
    progress = Download("the model", quiet=quiet)
    for done in (0, 45_000_000, 90_000_000):
        progress(done, 90_000_000)
    progress.end()
    assert capsys.readouterr().err == said


def test_the_embedded_model_is_fetched_before_it_is_asked(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    fetched: list[bool] = []

    def fetch(progress: Callable[[int, int], None]) -> None:
        fetched.append(True)
        raise UsageError("no network in this test")

    monkeypatch.setenv("RLM_CACHE_DIR", str(rlm.folder / "cache"))
    monkeypatch.setattr(local, "local_model_path", fetch)
    rlm.write("pure.rlm", "answer 1")
    rlm.write("asks.rlm", 'answer call "x"')
    assert rlm("run", "pure.rlm").code == 0 and not fetched
    assert rlm("run", "asks.rlm", "--offline").code == 1 and not fetched
    done = rlm("run", "asks.rlm", "--json")
    assert done.code == 2 and fetched and done.json["error"] == "no network in this test"
