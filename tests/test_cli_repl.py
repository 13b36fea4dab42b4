"""`rlm repl`: entries that follow one another, typed by hand or read from a file."""

from __future__ import annotations

import io
import itertools
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Done, Shell, environment, rlm

from rlmlang import Settings
from rlmlang.cli.repl import Repl, unfinished
from rlmlang.lm.config import Config
from rlmlang.solve.contexts import given_contexts

__all__ = ["rlm"]

RULES: tuple[dict[str, Any], ...] = (
    {"match": "mood", "reply": "good"},
    {"match": "wait", "reply": "late", "delay": 60},
    {"match": "broken", "fault": "refuse"},
    {"match": "(?s).*", "reply": "pong"},
)


@pytest.fixture
def read(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `rlm repl` on lines."""

    def run(text: str, *words: str) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return rlm("repl", "--model", rlm.rules(*RULES), "--memo", "off", *words)

    return run


def test_what_a_line_binds_stays(read: Any) -> None:
    done = read('n = 2\nfn twice(x: int) -> int {\n  x * 2\n}\n\ntwice(n)\nn = 5\n\n# a comment\ntwice(n) +\n  1\nanswer "text"\n[n]\n')
    assert (done.code, done.out) == (0, "4\n11\ntext\n[\n  5\n]\n")


def test_calls_are_made_and_counted(read: Any) -> None:
    done = read('mood = call "Which mood?" -> "good" | "bad"\nmood\n[call "x" on i for i in range(3)]\nmood == "good"\n')
    assert done.out == 'good\n[\n  "pong",\n  "pong",\n  "pong"\n]\ntrue\n'
    assert done.err == "1 call; so far 1 call, 1 request\n3 calls; so far 4 calls, 4 requests\n"
    assert read('call "x"', "--quiet").err == ""


def test_data_come_by_context(rlm: Shell, read: Any) -> None:
    rlm.write("rows.csv", "id,note\n1,fine\n2,good\n")
    done = read("[r.id for r in rows]\nrows = rows[:1]\nrows\n:names\n", "--context", "rows.csv")
    assert done.out == '[\n  1,\n  2\n]\n[\n  {\n    "id": 1,\n    "note": "fine"\n  }\n]\nrows: [{id: int, note: text}]\n'


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("x = 1\ny\nx\n", 2, "nothing is named y here"),
        ("x = [1,\n", 2, "`[` is not closed"),
        ("[][0]\n", 1, "failed"),
        ('a = call "broken"\na\n', 1, "refused"),
        ("input x: int\n", 2, "`input` is not possible here"),
        (":sing\n", 2, "there is no :sing"),
        (":cost\n", 2, ":cost wants more"),
        (":save x.rlm\n", 2, "no turn has an answer"),
        ("1\n:save no/x.rlm\n", 2, "cannot write no/x.rlm"),
        ('call "x" with {model: "nobody"}\n', 2, "o model is called nobody"),
        ("range(10**9).sum()\n", 1, "at most 20,000,000 items"),
    ],
)
def test_the_first_line_that_fails_ends_a_file(read: Any, text: str, code: int, message: str) -> None:
    done = read(text + '"not reached"\n')
    assert done.code == code and message in done.err and "not reached" not in done.out


def test_the_budget_is_that_of_all_lines(read: Any) -> None:
    done = read('call "a"\ncall "b"\ncall "c"\n', "--budget", "2 calls")
    assert (done.code, done.out) == (3, "pong\npong\n")
    assert "budget" in done.err


def test_a_failure_of_the_last_expression_leaves_the_bindings(rlm: Shell) -> None:
    with repl(rlm) as prompt:
        with pytest.raises(Exception, match="refused"):
            run(prompt, 'a = 1\ncall "broken"')
        assert run(prompt, "a + 1") == 2
        with pytest.raises(Exception, match="nothing is named b"):
            prompt.prepare("b")
        with pytest.raises(Exception, match="refused"):
            run(prompt, 'b = call "broken"\nc = 3')
        assert set(prompt.names) == {"a"}


def test_bindings_that_only_other_bindings_need(rlm: Shell) -> None:
    with repl(rlm, note="a\nb") as prompt:
        assert run(prompt, 'text = note\nparts = text.split("\\n")\nn = len(parts)\n3') == 3
        assert run(prompt, "text + str(n)") == "a\nb2" and run(prompt, "parts") == ["a", "b"]
        with pytest.raises(Exception, match="outside a list of 2"):
            run(prompt, "first = parts[5]\nsecond = first\n3")


def test_equal_calls_of_several_lines_are_paid_once(rlm: Shell) -> None:
    with repl(rlm) as prompt:
        assert [run(prompt, 'call "x"') for _ in range(3)] == ["pong"] * 3
        assert prompt.client.counters.requests == 1 and prompt.calls.calls == 3


def test_a_line_is_bounded_and_not_run(read: Any) -> None:
    done = read(':cost [call "x" on i for i in range(7)]\n')
    assert done.out.split()[3:7] == ["calls", "7", "7", "7"] and "pong" not in done.out


def test_files_are_shown_by_their_names(rlm: Shell, read: Any) -> None:
    (rlm.folder / "src").mkdir()
    rlm.write("src/a.txt", "hello")
    done = read('src.files("*.txt")\n:save out.rlm\n', "--context", "src")
    assert '["a.txt"]' in done.out and "hello" not in done.out
    assert done.code == 2 and "[file] is not" in done.err and not (rlm.folder / "out.rlm").exists()


def test_what_was_shown_is_kept(rlm: Shell, read: Any) -> None:
    rlm.write("rows.csv", "id,note\n1,fine\n2,good\n")
    done = read("n = 3\nids = [r.id for r in rows]  # all\nids\nunused = 2\nsum(ids)\n:save out.rlm\n", "--context", "rows.csv")
    assert done.code == 0 and done.err.endswith("the program is kept in out.rlm\n")
    program = "input rows: [{id: int, note: text}]\n\nids = [r.id for r in rows]  # all\n\nanswer sum(ids)\n"
    assert (rlm.folder / "out.rlm").read_text() == program
    assert rlm("run", "out.rlm", "rows=@rows.csv", "--memo", "off", "--quiet").out == "3\n"


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("x = [1,", True),
        ("x = (1 +\n  2", True),
        ("x =", True),
        ("fn f(x: int) -> int {\n  x", True),
        ('x = """a\nb', True),
        ("if a { 1 } else", True),
        ("x", False),
        ("x = 1 2", False),
        ('x = "a', False),
        (")", False),
        ("x = [1]", False),
    ],
)
def test_an_entry_goes_on_while_it_is_unfinished(text: str, more: bool) -> None:
    assert unfinished(text) is more


def repl(shell: Shell, **values: Any) -> Repl:
    settings = Settings(model=shell.rules(*RULES), memo="off")
    return Repl(given_contexts(values), settings, Config())


def run(prompt: Repl, text: str) -> Any:
    return prompt.start(prompt.prepare(text)).result()


def test_words_are_completed(rlm: Shell) -> None:
    with repl(rlm, rows=[{"title": "a", "inner": {"deep": 1}}], record={"title": "a", "inner": {"deep": 1}}) as prompt:
        run(prompt, "fn twice(x: int) -> int { x * 2 }\ntype Mood = int\nright = record.inner")
        assert prompt.completions("tw") == ["twice("]
        assert prompt.completions("ri") == ["right"]
        assert prompt.completions("Mo") == ["Mood"]
        assert prompt.completions("othe") == ["otherwise"]
        assert prompt.completions("record.ti") == ["record.title", "record.title("]
        assert prompt.completions("record.inner.de") == ["record.inner.dedent(", "record.inner.deep"]
        assert prompt.completions("right.deep") == ["right.deep"]
        assert prompt.completions("nothing.of.this_") == []
        assert {"summarize(", "rows", "call", "text"} <= set(prompt.completions(""))


# ---- by hand ----


class Hand:
    """A person at a terminal."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "rlmlang", "repl", *words]
        surroundings = environment(TERM="dumb", RLM_CACHE_DIR=str(folder))  # a fork of many threads may do no more than start the command
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, command, surroundings)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait_for(self, text: str, *again: str) -> str:
        """What was written up to `text`; one of `again` in turn is typed each second until then."""
        until = time.monotonic() + 20
        next_time = until - 19
        keys = itertools.cycle(again)
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            if again and time.monotonic() > next_time:
                next_time += 1
                self.type(next(keys))
            if select.select([self.terminal], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.terminal, 4096).decode("utf-8", "replace")
                except OSError:
                    break
        before, found, self.seen = self.seen.partition(text)
        assert found, before
        return before

    def end(self) -> int:
        """The exit code."""
        try:
            while True:
                assert select.select([self.terminal], [], [], 20)[0], "it does not end"
                if not os.read(self.terminal, 4096):
                    break
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def hand(rlm: Shell) -> Iterator[Hand]:
    person = Hand(rlm.folder, "--model", rlm.rules(*RULES), "--memo", "off")
    yield person
    if person.pid:
        os.kill(person.pid, signal.SIGKILL)
        person.end()


def test_by_hand(hand: Hand) -> None:
    hand.wait_for("rlm> ")
    hand.type("n = 20\r")
    hand.wait_for("rlm> ")
    hand.type("n +\r")
    hand.wait_for("...> ")
    hand.type("2\r")
    hand.wait_for("22")
    hand.wait_for("rlm> ")
    hand.type("oops\r")  # goes on after a mistake
    hand.wait_for("nothing is named oops here")
    hand.wait_for("rlm> ")
    hand.type('[call "wait" on i for i in range(20)]\r')
    hand.wait_for("at most 20 calls")
    time.sleep(0.3)
    hand.type("\x03")  # Ctrl-C stops what runs
    hand.wait_for("interrupted")
    hand.wait_for("rlm> ")
    hand.type("n * (")
    hand.wait_for("n * (")
    hand.type("\x03")  # and throws away what is typed
    hand.wait_for("rlm> ", "\x03")  # one that comes while the line is set up may be lost
    hand.type("range(\t100000).le\t)\r")
    hand.wait_for("100000")
    hand.wait_for("rlm> ")
    hand.type("[str(i) for i in range(100000)]\r")
    hand.wait_for(" more]")  # a preview
    hand.wait_for("rlm> ")
    hand.type("\x04")
    assert hand.end() == 0


def test_no_number_of_interrupts_ends_it(hand: Hand) -> None:
    hand.wait_for("rlm> ")
    for entry in ("1 + 1", "count(range(3000000))", '[call "wait" on i for i in range(20)]', "[str(i) for i in range(100000)]"):
        hand.type(f"{entry}\r")
        for _ in range(60):  # wherever it is: at the prompt, checking, running, showing
            hand.type("\x03")
            time.sleep(0.005)
    hand.wait_for("42", "\x03", "40 + 2\r")  # the line may be lost while another one still runs


def test_leaving_by_word(hand: Hand) -> None:
    hand.wait_for("rlm> ")
    hand.type(":help\r")
    hand.wait_for(":save OUT.rlm")
    hand.wait_for("rlm> ")
    hand.type(":quit\r")
    assert hand.end() == 0
