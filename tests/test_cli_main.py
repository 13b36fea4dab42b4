"""`rlm` itself: help, unknown commands, streams that end early, and how little is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from commandline import Shell, environment, rlm

import rlmlang
from rlmlang.cli.main import command_names

__all__ = ["rlm"]

HEAVY = ["aiohttp", "asyncio", "genai_prices", "openai", "re2", "rich", "xllamacpp", "sqlite3", "numpy"]
SPY = f"""\
import atexit, json, sys
atexit.register(lambda: print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr))
"""


def test_version(rlm: Shell) -> None:
    done = rlm("--version")
    assert (done.code, done.out) == (0, f"rlm {rlmlang.__version__}\n")


def test_help_names_every_command(rlm: Shell) -> None:
    done = rlm("--help")
    assert done.code == 0 and done.err == ""
    for name in command_names():
        assert f"  rlm {name} " in done.out


@pytest.mark.parametrize("name", command_names())
def test_help_of_each_command(rlm: Shell, name: str) -> None:
    done = rlm(name, "--help")
    assert done.code == 0 and done.out.startswith(f"usage: rlm {name}") and done.err == ""


def test_help_of_run_names_its_options(rlm: Shell) -> None:
    options = ["model", "base-url", "budget", "concurrency", "memo", "offline", "out", "json", "quiet", "yes", "explain", "config"]
    shown = rlm("run", "--help").out
    assert all(f"--{option}" in shown for option in options)


def test_wrong_commands(rlm: Shell) -> None:
    done = rlm()
    assert done.code == 2 and done.out == "" and "rlm --help" in done.err
    done = rlm("chekc", "p.rlm")
    assert done.code == 2 and "did you mean rlm check?" in done.err
    done = rlm("zzz")
    assert done.code == 2 and "there is card, check" in done.err
    assert rlm("--frobnicate").code == 2
    assert rlm("main").code == 2


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["check", "p.rlm"], ["fmt", "p.rlm"], ["card"]])
def test_heavy_libraries_are_not_imported(rlm: Shell, words: list[str]) -> None:
    rlm.write("p.rlm", 'input d: dir\nanswer [call "x" on f.text -> bool for f in d.files() if matches(f.text, "a")]\n')
    rlm.write("sitecustomize.py", SPY)
    path = os.pathsep.join((str(rlm.folder), environment()["PYTHONPATH"]))
    done = rlm.process(*words, env={"PYTHONPATH": path})
    assert done.code == 0, done.err
    assert json.loads(done.err.splitlines()[-1]) == []


def test_broken_pipe_is_quiet(rlm: Shell) -> None:
    rlm.write("p.rlm", "answer range(200000)")
    with rlm.start("run", "p.rlm", "--memo", "off", "--quiet") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_answers_are_utf8_in_any_locale(rlm: Shell, encoding: str) -> None:
    rlm.write("p.rlm", 'answer "ünïcode → 𝄞"')
    done = rlm.process("run", "p.rlm", "--memo", "off", env={"PYTHONIOENCODING": encoding, "LC_ALL": "C"})
    assert done.code == 0 and done.out == "ünïcode → 𝄞\n"


def test_closed_streams(rlm: Shell) -> None:
    rlm.write("p.rlm", "input x: text\nanswer x")
    script = f"exec {sys.executable} -m rlmlang run p.rlm x=- --memo off"
    for closed, code in ((">&-", 0), ("2>&-", 0), ("<&-", 2)):
        done = subprocess.run(["sh", "-c", f"{script} {closed}"], cwd=rlm.folder, env=environment(), input=b"text", capture_output=True)
        assert done.returncode == code and b"Traceback" not in done.stderr, closed
