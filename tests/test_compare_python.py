"""The interpreter for a model's Python: what it computes and keeps, what it cannot reach, and what ends it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlmlang.compare import python_repl
from rlmlang.compare.python_repl import Asks, Repl, Turn
from rlmlang.errors import Failure

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is nothing to lock it in with")

FILTERS = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")


@pytest.fixture(scope="module")
def long_lived() -> Iterator[Repl]:
    with Repl({"book": "once upon a time", "rows": [{"a": 1}, {"a": 2}], "none": None}, seconds=20) as repl:
        yield repl


def upper(prompts: Sequence[str]) -> Sequence[str]:
    return [prompt.upper() for prompt in prompts]


def test_state_lasts_from_turn_to_turn(long_lived: Repl) -> None:
    assert long_lived.run("count = len(book)\ndef twice(x): return 2 * x\nimport math") == Turn()
    assert long_lived.run("print(twice(count), rows[1]['a'], none, math.floor(2.5))") == Turn("32 2 None 2\n")
    assert long_lived.run("print(SHOW_VARS())") == Turn("{'count': 'int', 'twice': 'function', 'math': 'module'}\n")


def test_it_asks(long_lived: Repl) -> None:
    step = long_lived.run("a = llm_query('one')\nb = llm_query_batched(['two', 'three'], model='x')\nprint(a, b, llm_query_batched([]))")
    assert step == Asks(("one",))
    assert long_lived.reply(["1"]) == Asks(("two", "three"))
    assert long_lived.reply(["2", "3"]) == Turn("1 ['2', '3'] []\n")
    assert long_lived.run_with("print(llm_query(7), llm_query_batched(x for x in 'ab'))", upper) == Turn("7 ['A', 'B']\n")
    turn = long_lived.run_with("llm_query_batched('abc')", upper)
    assert turn.error is not None
    assert "takes a list of prompts" in turn.error


def test_threads_may_ask(long_lived: Repl) -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool: print(sorted(pool.map(llm_query, 'abcd')))"
    )
    assert long_lived.run_with(code, upper) == Turn("['A', 'B', 'C', 'D']\n")


def test_a_thread_that_asks_after_its_turn_waits_for_the_next(long_lived: Repl) -> None:
    late = "import threading, time\nsaid = []\ndef later():\n    time.sleep(0.2)\n    said.append(llm_query('late'))\n"
    assert long_lived.run(f"{late}threading.Thread(target=later).start()") == Turn()
    time.sleep(0.4)
    turn = long_lived.run_with("while not said: time.sleep(0.01)\nprint(said)", upper)
    assert turn == Turn("['LATE']\n")


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("FINAL(42)\nprint('never')", 42),
        ("FINAL('text')", "text"),
        ("FINAL({'a': [1, 2.5, None, True]})", {"a": [1, 2.5, None, True]}),
        ("FINAL({3, 1, 2})", [1, 2, 3]),
        ("FINAL(x for x in range(3))", [0, 1, 2]),
        ("FINAL(range(3))", [0, 1, 2]),
        ("FINAL({'a': 1}.keys())", ["a"]),
        ("from collections import Counter\nFINAL(Counter('aab'))", {"a": 2, "b": 1}),
        ("from decimal import Decimal\nFINAL(Decimal('1.5'))", "1.5"),
        ("FINAL('\\ud800')", "?"),
        ("FINAL()", None),
        ("found = 'it'\nFINAL_VAR('found')", "it"),
        ("FINAL_VAR(' \"found\" ')", "it"),
        ("FINAL_VAR(found)", "it"),
        ("FINAL_VAR([1])", [1]),
        ("try:\n    FINAL(1)\nexcept Exception:\n    pass", 1),
        ("def f():\n    FINAL('deep')\nf()", "deep"),
    ],
)
def test_answers(long_lived: Repl, code: str, answer: Any) -> None:
    assert long_lived.run("found = 'it'") == Turn()
    turn = long_lived.run(code)
    assert turn == Turn(answered=True, answer=answer)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero\nin line 1: 1 / 0"),
        ("x = 1\nprint(y)", "NameError: name 'y' is not defined\nin line 2: print(y)"),
        ("def f(:\n  pass", "SyntaxError: invalid syntax\nin line 1: def f(:"),
        ("a\0b", "SyntaxError: source code string cannot contain null bytes"),
        ("raise SystemExit(3)", "SystemExit: 3\nin line 1: raise SystemExit(3)"),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\nraise E", "E"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded\nin line 1: def f(): f()"),
        ("x = [0] * 10 ** 10", "MemoryError: \nin line 1: x = [0] * 10 ** 10"),
        ("FINAL_VAR('nope')", "NameError: there is no variable 'nope'; there are {"),
        ("a = []; a.append(a); FINAL(a)", "ValueError: Circular reference detected"),
        ("FINAL({(1, 2): 3})", "TypeError: keys must be str, int, float, bool or None, not tuple"),
        ("import numpy", "ModuleNotFoundError: there is no module 'numpy' here"),
        ("import rlmlang", "ModuleNotFoundError: there is no module 'rlmlang' here"),
        ("import socket", "ModuleNotFoundError: there is no module 'socket' here"),
        ("input()", "EOFError"),
        ("(" * 300 + ")" * 300, "SyntaxError: too many nested parentheses"),
    ],
)
def test_errors_are_told_and_the_state_stays(long_lived: Repl, code: str, error: str) -> None:
    assert long_lived.run("kept = 'kept'") == Turn()
    turn = long_lived.run(code)
    assert turn.error is not None
    assert turn.error.startswith(error)
    assert not turn.lost
    assert long_lived.run("print(kept)") == Turn("kept\n")


def test_what_is_printed_is_cut(long_lived: Repl) -> None:
    assert long_lived.run("print('x' * 30_000)").printed == "x" * 20_000 + "... + [10,001 chars...]"
    turn = long_lived.run("import sys\nfor i in range(1_000_000): print(i, file=sys.stderr)")
    assert turn.printed.startswith("0\n1\n2\n")
    assert turn.printed.endswith("... + [6,868,890 chars...]")
    assert long_lived.run("print('\\ud800', 'é', '\\0')") == Turn("\\ud800 é \0\n")
    assert long_lived.run("import os\nos.write(1, b'x' * 100)\nos.write(2, b'y')\nprint('seen')") == Turn("seen\n")
    assert long_lived.run("import sys\nsys.stdout = None\nprint('lost')") == Turn()
    assert long_lived.run("print('there again')") == Turn("there again\n")


# ---- what it cannot reach ----

NOWHERE = [
    "open('/etc/hostname').read()",
    "open('/tmp/rlm_python_test', 'w').write('x')",
    "import os; os.listdir('/')",
    "import os; os.system('true')",
    "import os; os.fork()",
    "import os; os.execv('/bin/true', ['true'])",
    "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "import os; os.kill(os.getppid(), 9)",
    "import os; os.remove('/tmp/x')",
    "import io; io.FileIO('/etc/hostname')",
    "import subprocess",
    "import multiprocessing",
    "import _socket",
    "__import__('urllib.request')",
]


@pytest.mark.parametrize("code", NOWHERE)
@pytest.mark.parametrize("filtered", [True, False], ids=["seccomp", "limits"])
def test_it_reaches_nothing(code: str, filtered: bool) -> None:
    with Repl({}, filtered=filtered) as repl:
        turn = repl.run(code)
        assert repl.wall == ("seccomp" if filtered and FILTERS else "limits")
    assert turn.error is not None
    assert turn.error.startswith(("PermissionError", "ModuleNotFoundError"))


# what the audit hook does not see: calls of the C library
LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(call):
    ctypes.set_errno(0)
    return call(), ctypes.get_errno()
"""


@pytest.mark.skipif(not FILTERS, reason="there is no filter of system calls here")
@pytest.mark.parametrize(
    "call",
    [
        "libc.open(b'/etc/hostname', 0)",
        "libc.open(b'/tmp/rlm_python_test', 0o1101, 0o600)",
        "libc.socket(2, 1, 0)",
        "libc.socketpair(1, 1, 0, (ctypes.c_int * 2)())",
        "libc.fork()",
        "libc.vfork()",
        "libc.execve(b'/bin/true', None, None)",
        "libc.kill(os.getppid(), 9)",
        "libc.tgkill(os.getppid(), os.getppid(), 9)",
        "libc.ptrace(0, 0, 0, 0)",
        "libc.unlink(b'/tmp/x')",
        "libc.chdir(b'/tmp')",
        "libc.stat(b'/etc/hostname', ctypes.create_string_buffer(1000))",
        "libc.prctl(1, 0, 0, 0, 0)",
        "libc.memfd_create(b'x', 0)",
        "libc.mount(b'a', b'b', b'c', 0, None)",
        "libc.syscall(435, 0, 0)",
        "libc.syscall(425, 0, 0)",
        "libc.setrlimit(7, ctypes.create_string_buffer(b'\\xff' * 16))",
        "libc.fcntl(0, 8, os.getppid())",
    ],
)
def test_the_filter_of_system_calls(call: str) -> None:
    with Repl({}) as repl:
        turn = repl.run(f"{LIBC}\nFINAL(tried(lambda: {call}))")
    assert turn.answered, turn
    assert turn.answer[0] == -1
    assert turn.answer[1] in (1, 38)  # EPERM, ENOSYS


def test_its_environment_is_empty() -> None:
    with Repl({}) as repl:
        turn = repl.run("import os, sys\nFINAL([sorted(os.environ), 'site' in sys.modules, sorted({'b', 'a', 'c'}, key=hash)])")
        names, site, order = turn.answer
        assert set(names) <= {"LC_CTYPE", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"}
        assert not site
    with Repl({}) as repl:
        assert repl.run("FINAL(sorted({'b', 'a', 'c'}, key=hash))").answer == order


# ---- what ends it ----


def test_a_program_that_takes_too_long_is_stopped_and_the_state_stays() -> None:
    with Repl({"a": 1}, seconds=0.5) as repl:
        assert repl.run("b = 2").error is None
        turn = repl.run("print('begun')\nwhile True: pass")
        assert turn == Turn("begun\n", "stopped after 0.5 seconds")
        assert repl.run("print(a + b)") == Turn("3\n")


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "sum(range(10 ** 12))",
        "import re\nre.match('(a+)+b', 'a' * 40)",
        "FINAL(iter(int, 1))",
    ],
)
def test_one_that_does_not_hear_is_ended(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_repl, "_GRACE_SECONDS", 0.3)
    with Repl({"a": 1}, seconds=0.3) as repl:
        turn = repl.run(code)
        assert turn.error == "stopped after 0.3 seconds"
        assert repl.run("print(a)") == Turn("1\n")  # it begins afresh


def test_the_time_that_it_waits_for_replies_does_not_count() -> None:
    with Repl({}, seconds=1) as repl:
        for _ in range(3):
            assert isinstance(repl.run("print(llm_query('?'))"), Asks)
            time.sleep(0.6)
            assert repl.reply(["!"]) == Turn("!\n")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os; os._exit(3)", "the interpreter ended (exit code 3)"),
        ("import ctypes; ctypes.string_at(0)", "the interpreter ended by SIGSEGV"),
        ("import os; os.close(4)", "the interpreter ended"),
        ("import os; os.write(4, b'\\xff' * 8)", "the interpreter ended: what it sent is too long"),
        ("import os; os.write(4, b'\\0' * 7 + b'\\x02' + b'[]')", "the interpreter ended and said nothing that is understood"),
        ("import os; os.write(4, b'\\0' * 7 + b'\\x0b' + b'{\"ask\":[1]}')", "the interpreter ended and said nothing that is understood"),
        ("import os; os.write(4, b'\\0' * 6 + b'\\x27\\x10' + b'[' * 10_000)", "the interpreter ended and said nothing that is understood"),
    ],
)
def test_one_that_ends_itself(code: str, error: str) -> None:
    with Repl({"a": 1}) as repl:
        turn = repl.run(f"b = 2\n{code}\nimport time\ntime.sleep(1)")
        assert turn.lost
        assert turn.error is not None
        assert turn.error.startswith(error)
        assert repl.run("print(a)\nb").error == "NameError: name 'b' is not defined\nin line 2: b"


def test_memory_is_bounded() -> None:
    with Repl({}, seconds=30) as repl:
        turn = repl.run("x = []\nwhile True: x.append(bytes(10 ** 8))")
        assert turn.error == "MemoryError: \nin line 2: while True: x.append(bytes(10 ** 8))"
        assert repl.run("del x\nprint('alive')") == Turn("alive\n")


def test_many_threads_end_somewhere() -> None:
    with Repl({}, seconds=5) as repl:
        turn = repl.run("import threading, time\nfor _ in range(100_000): threading.Thread(target=time.sleep, args=(60,)).start()")
        assert turn.error is not None


def test_closing_ends_what_runs() -> None:
    repl = Repl({}, seconds=60)
    repl.run("1")  # it has started
    turns: list[Turn | Asks | Failure] = []

    def work(code: str) -> None:
        try:
            turns.append(repl.run(code))
        except Failure as failure:
            turns.append(failure)

    thread = threading.Thread(target=work, args=("while True: pass",))
    thread.start()
    time.sleep(0.4)
    repl.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(turns[0], Turn)
    assert turns[0].lost
    with pytest.raises(Failure, match="it was closed"):
        repl.run("1")


def test_nobody_stays_behind() -> None:
    with Repl({}) as repl:
        repl.run("import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()")
        process = repl._process
        assert process is not None
    assert process.poll() is not None


def test_large_data_come_through() -> None:
    with Repl({"text": "é" * 3_000_000, "rows": [{"a": i} for i in range(50_000)]}) as repl:
        assert repl.run("print(len(text), sum(r['a'] for r in rows))") == Turn("3000000 1249975000\n")
        assert repl.run_with("print(len(llm_query(text)))", lambda prompts: [prompts[0] * 2]) == Turn("6000000\n")


def test_what_is_named_like_a_function_of_ours(long_lived: Repl) -> None:
    assert long_lived.run("llm_query = 3\nFINAL = None") == Turn()
    assert long_lived.run_with("FINAL(llm_query('a'))", upper) == Turn(answered=True, answer="A")


def test_an_interpreter_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nope"))
    with Repl({}) as repl, pytest.raises(Failure, match="did not start: no such file or directory"):
        repl.run("1")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Repl({}) as repl, pytest.raises(Failure, match="did not start"):
        repl.run("1")
