"""`rlm check` and `rlm fmt`: diagnostics, exit codes, and files that are left as they should be."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from commandline import Shell, rlm

__all__ = ["rlm"]

CLEAN = "input docs: [text]\nanswer [len(d) for d in docs]\n"
WARNED = "unused = 1\nanswer 2\n"
WRONG = "answer missing + absent\n"
BROKEN = "answer (\n"
UNTIDY = "input  docs :[text]   # all of them\n\n\n\nanswer   [ len( d ) for d in docs ]"
TIDY = "input docs: [text]  # all of them\n\nanswer [len(d) for d in docs]\n"


# ---- check ----


def test_clean(rlm: Shell) -> None:
    rlm.write("clean.rlm", CLEAN)
    done = rlm("check", "clean.rlm")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert rlm("check", "--json", "clean.rlm").json == []


def test_warnings_are_no_errors(rlm: Shell) -> None:
    rlm.write("warned.rlm", WARNED)
    done = rlm("check", "warned.rlm")
    assert done.code == 0 and "warned.rlm:1:1: warning:" in done.out and "1 | unused = 1" in done.out


def test_errors_of_several_files(rlm: Shell) -> None:
    for name, text in {"clean.rlm": CLEAN, "warned.rlm": WARNED, "wrong.rlm": WRONG, "broken.rlm": BROKEN}.items():
        rlm.write(name, text)
    done = rlm("check", "clean.rlm", "warned.rlm", "wrong.rlm", "broken.rlm")
    assert done.code == 2 and done.err == ""
    for place in ("warned.rlm:1:1: warning:", "wrong.rlm:1:8: error:", "wrong.rlm:1:18: error:", "broken.rlm:"):
        assert place in done.out


def test_json(rlm: Shell) -> None:
    rlm.write("wrong.rlm", WRONG)
    done = rlm("check", "wrong.rlm", "nosuch.rlm", "--json")
    assert done.code == 2
    first, second, unreadable = done.json
    assert set(first) == {"file", "line", "column", "end_line", "end_column", "severity", "code", "message", "hint"}
    assert (first["file"], first["line"], first["column"], first["end_column"], first["severity"]) == ("wrong.rlm", 1, 8, 15, "error")
    assert second["column"] == 18
    assert (unreadable["file"], unreadable["code"], unreadable["severity"]) == ("nosuch.rlm", "unreadable", "error")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nosuch.rlm", None, "no such file"),
        (".", None, "is a directory"),
        ("latin.rlm", b"answer '\xe9'", "not UTF-8"),
        ("empty.rlm", b"", "there is no program here"),
        ("large.rlm", b"answer 1 #" + b"x" * 100_001, "at most 100,000 are allowed"),
    ],
)
def test_files_that_are_no_program(rlm: Shell, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        rlm.write(name, content)
    done = rlm("check", name)
    assert done.code == 2 and said in done.out and "error" in done.out


def test_used_files(rlm: Shell) -> None:
    rlm.write("main.rlm", 'use "./lib.rlm"\nanswer twice(2)\n')
    rlm.write("lib.rlm", "fn twice(n: int) -> int { n * 2 }\n")
    assert rlm("check", "main.rlm").code == 0
    rlm.write("lib.rlm", "fn twice(n: int) -> int { m * 2 }\n")
    done = rlm("check", "main.rlm")
    assert done.code == 2 and "lib.rlm:1:27: error:" in done.out
    rlm.write("lib.rlm", b"\xff\xfe")
    done = rlm("check", "main.rlm")
    assert done.code == 2 and "lib.rlm" in done.out and "UTF-8" in done.out


def test_standard_input(rlm: Shell) -> None:
    assert rlm.process("check", "-", data=CLEAN.encode()).code == 0
    done = rlm.process("check", "-", "--json", data=WRONG.encode())
    assert done.code == 2 and [d["file"] for d in done.json] == ["-", "-"]


def test_files_are_needed(rlm: Shell) -> None:
    for command in ("check", "fmt"):
        done = rlm(command)
        assert done.code == 2 and "FILE" in done.err and f"rlm {command} --help" in done.err


# ---- fmt ----


def test_fmt_rewrites(rlm: Shell) -> None:
    path = rlm.write("p.rlm", UNTIDY)
    path.chmod(0o640)
    done = rlm("fmt", "p.rlm")
    assert (done.code, done.out, done.err) == (0, "", "formatted p.rlm\n")
    assert path.read_text() == TIDY and stat.S_IMODE(path.stat().st_mode) == 0o640
    before = path.stat()
    assert rlm("fmt", "p.rlm").err == "" and (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(os.listdir()) == ["p.rlm"]


def test_fmt_check(rlm: Shell) -> None:
    rlm.write("untidy.rlm", UNTIDY)
    rlm.write("tidy.rlm", TIDY)
    done = rlm("fmt", "--check", "untidy.rlm", "tidy.rlm")
    assert (done.code, done.out) == (1, "untidy.rlm\n") and Path("untidy.rlm").read_text() == UNTIDY
    assert rlm("fmt", "tidy.rlm", "--check").code == 0
    rlm.write("broken.rlm", BROKEN)
    done = rlm("fmt", "--check", "broken.rlm", "untidy.rlm")
    assert done.code == 2 and done.out == "untidy.rlm\n" and "broken.rlm:" in done.err


@pytest.mark.parametrize("content", [BROKEN, "", "\xff"])
def test_fmt_leaves_what_it_cannot_read(rlm: Shell, content: str) -> None:
    data = content.encode("latin-1")
    path = rlm.write("broken.rlm", data)
    other = rlm.write("other.rlm", UNTIDY)
    done = rlm("fmt", "broken.rlm", "other.rlm", "nosuch.rlm", ".")
    assert done.code == 2 and path.read_bytes() == data and other.read_text() == TIDY
    assert "nosuch.rlm" in done.err and "is a directory" in done.err


def test_fmt_through_a_link(rlm: Shell) -> None:
    Path("real").mkdir()
    path = rlm.write("real/p.rlm", UNTIDY)
    Path("link.rlm").symlink_to("real/p.rlm")
    assert rlm("fmt", "link.rlm").code == 0
    assert Path("link.rlm").is_symlink() and path.read_text() == TIDY


def test_fmt_of_other_newlines(rlm: Shell) -> None:
    path = rlm.write("p.rlm", b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode())
    assert rlm("fmt", "--check", "p.rlm").code == 1
    assert rlm("fmt", "p.rlm").code == 0 and path.read_bytes() == TIDY.encode()


def test_fmt_standard_input(rlm: Shell) -> None:
    done = rlm.process("fmt", "-", data=UNTIDY.encode())
    assert (done.code, done.out) == (0, TIDY)
    assert rlm.process("fmt", "--check", "-", data=UNTIDY.encode()).code == 1
    assert rlm.process("fmt", "--check", "-", data=TIDY.encode()).code == 0
    done = rlm.process("fmt", "-", data=BROKEN.encode())
    assert done.code == 2 and done.out == "" and "-:" in done.err


def test_check_says_the_same_in_both_ways(rlm: Shell) -> None:
    rlm.write("wrong.rlm", WRONG)
    text = rlm("check", "wrong.rlm").out
    for found in json.loads(rlm("check", "wrong.rlm", "--json").out):
        assert f"{found['file']}:{found['line']}:{found['column']}: {found['severity']}: {found['message']} [{found['code']}]" in text
