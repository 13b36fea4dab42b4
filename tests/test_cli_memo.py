"""`rlm memo`: what the store holds, emptying it, its rows."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path

import pytest
from commandline import Shell, rlm

__all__ = ["rlm"]

STORE = ["--memo", "store.sqlite"]


@pytest.fixture
def filled(rlm: Shell) -> Shell:
    """With three answers in `store.sqlite`."""
    rlm.write("p.rlm", 'answer [call f"Number {i}?" for i in range(3)]')
    assert rlm("run", "p.rlm", "--model", rlm.rules({"reply": "ünïcode"}), *STORE).code == 0
    return rlm


def test_stats(filled: Shell) -> None:
    done = filled("memo", "stats", *STORE)
    assert done.code == 0 and done.out.startswith("store.sqlite: 3 answers, ") and "script:rules.jsonl" in done.out
    filled("run", "p.rlm", "--model", "script:rules.jsonl", *STORE)
    stats = filled("memo", "stats", *STORE, "--json").json
    assert {"path": "store.sqlite", "rows": 3, "damaged": 0}.items() <= stats.items() and stats["size"] > 0
    assert stats["models"] == [{"model": "script:rules.jsonl", "rows": 3, "hits": 3}]


def test_clear(filled: Shell) -> None:
    done = filled("memo", "clear", *STORE)
    assert (done.code, done.out) == (0, "3 answers deleted\n")
    assert filled("memo", "clear", *STORE, "--json", "--yes").json == {"path": "store.sqlite", "cleared": 0}
    assert filled("memo", "stats", *STORE, "--json").json["rows"] == 0


@pytest.mark.parametrize(("reply", "left"), [(b"n\n", 3), (b"\n", 3), (b"\x04", 3), (b"y\n", 0)])
def test_clear_asks_on_a_terminal(filled: Shell, reply: bytes, left: int) -> None:
    ours, theirs = pty.openpty()
    with filled.start("memo", "clear", *STORE, stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        asked = b""
        while b"[y/N]" not in asked:
            asked += os.read(ours, 1_000)
        os.write(ours, reply)
        assert process.wait() == (0 if left == 0 else 1)
    os.close(ours)
    assert b"Delete 3 answers" in asked
    assert filled("memo", "stats", *STORE, "--json").json["rows"] == left


def test_clear_does_not_ask_with_yes(filled: Shell) -> None:
    ours, theirs = pty.openpty()
    with filled.start("memo", "clear", *STORE, "--yes", stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        assert process.wait() == 0
    os.close(ours)


def test_export(filled: Shell) -> None:
    done = filled("memo", "export", *STORE)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and [row["value"] for row in rows] == ["ünïcode"] * 3 and len({row["key"] for row in rows}) == 3
    done = filled("memo", "export", *STORE, "--out", "rows.jsonl")
    assert done.code == 0 and done.out == "" and len(Path("rows.jsonl").read_text("utf-8").splitlines()) == 3
    assert filled("memo", "export", *STORE, "--out", "nosuch/rows.jsonl").code == 2


@pytest.mark.parametrize("action", ["stats", "clear", "export"])
def test_no_store_is_an_empty_store(rlm: Shell, action: str) -> None:
    done = rlm("memo", action, "--memo", "nosuch.sqlite")
    assert done.code == 0 and "there is no memo store nosuch.sqlite yet" in done.err and not Path("nosuch.sqlite").exists()


def test_the_store_of_the_configuration(filled: Shell) -> None:
    filled.write("rlm.toml", 'memo = "store.sqlite"')
    assert filled("memo", "stats", "--json").json["rows"] == 3
    filled.write("rlm.toml", 'memo = "off"')
    assert filled("memo", "stats").code == 2
    filled.write("rlm.toml", "memo = 3")
    assert filled("memo", "stats").code == 2


def test_wrong_use(rlm: Shell) -> None:
    for words in (["memo"], ["memo", "frobnicate"], ["memo", "stats", "more"], ["memo", "stats", "--memo", "."]):
        done = rlm(*words)
        assert done.code == 2 and done.err.startswith("error: "), words
    rlm.write("notes.txt", "not a database, and somebody's own")
    done = rlm("memo", "clear", "--memo", "notes.txt", "--yes")
    assert "Traceback" not in done.err
