"""Items of a map that workers do from the memo: the same answer and figures as without, whatever the workers cannot do or whoever dies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import SETTINGS, FakeModel, scripted
from test_laws import Replies, outcome, program

import rlmlang
from rlmlang import BudgetError, LimitError, Result, RlmError, Settings, limits
from rlmlang.files import DirValue, FileValue
from rlmlang.lm.workers import Worker, Workers
from rlmlang.lm.workers.wire import Words
from rlmlang.run import inputs, stages
from rlmlang.run.calls import Calls, Site
from rlmlang.run.flow import Here
from rlmlang.run.shards import spread, words
from rlmlang.run.shards.pack import Unshippable, pack, unpack
from rlmlang.values import DictValue

# ---- workers of a test: in this process, or real ones that stand before the first item is taken ----


class Loopback:
    """A worker in this very process; with `broken` it is gone before it answers its second batch."""

    def __init__(self, stand: list[Loopback], broken: bool) -> None:
        self._stand = stand
        self._broken = broken
        self._answered = 0
        self._servings: list[Any] = []
        stand.append(self)

    def serve(self, module: str, told: Callable[[Words], None], gone: Callable[[Any], None]) -> Callable[[Words], None]:
        loop = asyncio.get_running_loop()

        def answered(words: Words) -> None:
            self._answered += 1
            if not self._broken or self._answered == 1:
                loop.call_soon(told, words)
            elif self._answered == 2:
                self._stand.remove(self)
                loop.call_soon(gone, self)
                loop.call_soon(self.end)
            else:
                loop.call_soon(self.end)

        serving = import_module(module)._Serving(answered)
        self._servings.append(serving)
        return lambda words: loop.call_soon(serving.take, words) and None

    def end(self) -> None:
        """Nothing of it goes on."""
        for serving in self._servings:
            if serving._program is not None:
                for question in [*serving._program._asked]:
                    serving._program.answered(question, None)


class Watched:
    """What went to workers in the runs of a test."""

    def __init__(self) -> None:
        self.items = 0
        self.undone = 0


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with shared_out() as watched:
        yield watched


class shared_out:
    """Within it every stage that may be shared out is, to workers in this process: from its first item on, or with `late` from its
    second. With `asks` workers may ask for replies."""

    def __init__(self, batch: int = 3, broken: bool = False, late: bool = False, asks: bool = False) -> None:
        self._patch = pytest.MonkeyPatch()
        self._batch = batch
        self._broken = broken
        self._late = late
        self._asks = asks

    def __enter__(self) -> Watched:
        watched = Watched()
        workers: list[Loopback] = []
        for _ in range(2):
            Loopback(workers, self._broken)
        self_ = self
        init, came, lost = spread.Spread.__init__, spread.Spread.came, spread.Spread.lost

        def made(self: spread.Spread, *given: Any) -> None:
            init(self, *given)
            if not self_._late:
                self._turn_on()

        def through(self: spread.Spread, events: list[Any], done: words.Done) -> None:
            watched.items += len(events)
            watched.undone += len(done.back)
            came(self, events, done)

        def gone(self: spread.Spread, events: list[Any]) -> None:
            watched.undone += len(events)
            lost(self, events)

        self._patch.setattr(spread.Spread, "__init__", made)
        self._patch.setattr(spread.Spread, "came", through)
        self._patch.setattr(spread.Spread, "lost", gone)
        for name in ("SECONDS", "BUSY", "LEAST"):
            self._patch.setattr(spread, name, 0.0)
        self._patch.setattr(spread, "HEAVY", 0.0 if self._asks else 1e9)
        self._patch.setattr(spread, "_LOOK", 1)
        self._patch.setattr(spread, "_BATCH", self._batch)
        self._patch.setattr(spread, "_BATCH_SECONDS", 1e9)
        self._patch.setattr(spread, "_JUDGED", 10**9)
        self._patch.setattr(spread, "_JUDGED_TIMES", 10**9)
        self._patch.setattr(Workers, "begin", lambda self: None)
        self._patch.setattr(Workers, "ready", property(lambda self: workers))
        return watched

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def kept(folder: Path) -> Settings:
    return evolve(SETTINGS, memo=folder / "memo.sqlite", processes=2)


def run(source: str, given: Settings, model: FakeModel | None = None, **inputs: Any) -> Result:
    """A run, also one that fails: then its report."""
    with scripted(model):
        try:
            return rlmlang.run(source, given, **inputs)
        except RlmError as error:
            assert error.result is not None, error
            return error.result


def said(result: Result) -> dict[str, Any]:
    """All of the report that does not depend on time."""
    report = result.to_json()
    del report["run"], report["used"]["seconds"]
    report["failures"] = sorted(report["failures"], key=str)  # they come as they happen
    report["sites"] = [
        (site["line"], site["column"], site["calls"]) for site in report["sites"]
    ]  # which of equal calls pays may depend on it
    return report


def forget(memo: Path, share: float, seed: int = 0) -> None:
    """Takes rows out of a store."""
    random = Random(seed)
    with sqlite3.connect(memo) as db:
        gone = [(at,) for (at,) in db.execute("SELECT id FROM replies ORDER BY id").fetchall() if random.random() < share]
        db.executemany("DELETE FROM replies WHERE id = ?", gone)
    db.close()


# ---- what a program can say ----

FOLDER = {"a.txt": "alpha", "b/c.txt": "gamma", "d.txt": "delta", "e.txt": "epsilon"}
# each: the program, and whether workers can do all of it
PROGRAMS = [
    ('answer [call f"echo {x}" for x in range(20)]', True),
    ('answer [x for x in range(20) if call "even" on x -> bool]', True),
    ('answer map i, x in ["a", "b", "c", "d"] { call f"echo {i} {x}" }', True),
    ('answer [call f"echo {a} {b}" for a, b in zip(range(9), range(9))]', True),
    ('answer [call f"echo {a} {b}" for a in range(12) for b in range(a)]', True),
    ('answer [call f"echo {a} {b}" for a in range(5) if call "even" on a -> bool for b in range(3)]', True),
    ('xs = [len(x) for x in ["a", "bb", "ccc"]]\nanswer [call f"echo {x}" on xs for x in range(5)]', True),
    ('say = call "echo first"\nanswer [call f"echo {x} {say}" for x in range(9)]', None),
    ('say = call "echo first"\nanswer [(call f"echo {x} {say}") if x > 3 else "few" for x in range(9)]', None),
    ('t = [1, 2][5]\nanswer [call f"echo {x} {t}" if x > 90 else call f"echo {x}" for x in range(9)]', True),
    ('t = [7, 8][1]\nanswer [call f"echo {x} {t}" if x > 3 else call f"echo {x}" for x in range(9)]', None),
    ('answer map x in range(6) {\n a = call f"echo {x}"\n b = call f"echo {x} again"\n {a, b, c: (call "both" on a, b)}\n}', True),
    ('answer [if len(call f"echo {x}") > 1 { call f"echo long {x}" } else { "short" } for x in range(15)]', True),
    ('answer [(call f"fail {x}") otherwise "none" for x in range(30)]', False),
    ('answer [int("no") otherwise x for x in range(5) if call "even" on x -> bool]', True),
    ('answer map x in range(9) { if x == 4 { call "fail" } else { call f"echo {x}" } } otherwise skip', False),
    ('answer [[1, 2][x] + len(call f"echo {x}") for x in range(5)]', False),
    ('fn f(x: int) -> text { call f"echo {x}" }\nanswer [f(x) for x in range(9)]', True),
    ('b = 3\nfn f(x: int) -> text { call f"echo {x + b}" }\nanswer map(f, range(9))', True),
    ('fn f(xs: [int], by: int) -> [text] { [call f"echo {x * by}" for x in xs] }\nanswer f([1, 2, 3], 2) + f([4], 3)', True),
    ('fn g(n: int) -> text depth 5 { if n < 1 { "" } else { g(n - 1) + call f"echo {n}" } }\nanswer [g(n) for n in range(5)]', True),
    ('answer [[call f"echo {x} {y}" for y in range(x)] for x in range(6)]', True),
    ('answer [reduce a, b in [call f"echo {x}", call f"echo {x} too"] { a + b } for x in range(6)]', True),
    ('answer [fold acc, y in range(3) from "" { acc + call f"echo {x} {y}" } for x in range(4)]', True),
    ('answer [first 2 y in range(12) where call f"has {x}" on y -> bool for x in range(4)]', True),
    ('answer [sorted(range(3), key=lambda y: len(call f"echo {x} {y}")) for x in range(4)]', True),
    ('answer [f.path + call "data" on f.text for f in dir.files("**/*.txt")]', True),
    ('answer [call "data" on f for f in dir.files("**/*.txt")]', True),
    ('answer [{f.path, n: len(dir.files("*.txt")), s: call "data" on f.text} for f in dir.files("**/*.txt")]', None),
    ('answer [f.path for f in [f for f in dir.files("**/*.txt") if call "has m" on f.text -> bool]]', True),
    ('answer [{word: w, hint: call f"echo {w}", rest: [len(w), none, true, 1.5]} for w in ["a", "b", "ü→𝄞"]]', True),
    ('answer classify(["one", "two", "three"], ["a", "b"])', None),
    ('answer vote("echo what", 3, "x")', None),
    ('a = [x for x in range(12) if call "even" on x -> bool]\nb = [call f"echo {x}" for x in a]\nanswer b', True),
    ('answer [call f"echo {x % 3}" for x in range(20)]', True),
    ('answer [call "echo same" with {sample: x, system: f"you are {x}"} for x in range(6)]', True),
]


@pytest.mark.parametrize(("source", "whole"), PROGRAMS)
@pytest.mark.parametrize(
    ("missing", "late", "asks"),
    [(0.0, True, False), (0.4, False, False), (0.4, False, True)],
)
def test_the_report_is_that_of_one_process(source: str, whole: bool | None, missing: float, late: bool, asks: bool, tmp_path: Path) -> None:
    for path, text in FOLDER.items():
        (tmp_path / "dir" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dir" / path).write_text(text)
    if "dir." in source:
        source = f"input dir: dir\n{source}"
    given = {"dir": tmp_path / "dir"} if "dir." in source else {}
    one = kept(tmp_path)
    run(source, one, **given)
    assert isinstance(one.memo, Path)
    forget(one.memo, missing)
    two = evolve(one, memo=tmp_path / "copy.sqlite")
    shutil.copy(one.memo, tmp_path / "copy.sqlite")
    wanted = run(source, one, **given)
    with shared_out(late=late, asks=asks) as watched:
        got = run(source, two, **given)
    if wanted.error is None:
        assert said(got) == said(wanted)
    assert got.error == wanted.error  # which calls a run that fails has made, depends on time
    if late and whole is not None:
        assert (watched.undone == 0) is whole or not watched.items
        assert watched.items or not whole or len(wanted.answer) < 9


SEEDS = st.integers(0, 1_000_000)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SEEDS, st.integers(1, 5), st.sampled_from([0.0, 0.3, 1.0]), st.booleans(), st.booleans())
def test_any_program_gives_the_same(seed: int, batch: int, missing: float, broken: bool, asks: bool) -> None:
    source, given_to = program(seed)
    with TemporaryDirectory() as folder:
        one = kept(Path(folder))
        outcome(source, given_to, Replies(seed), one)
        assert isinstance(one.memo, Path)
        forget(one.memo, missing, seed)
        two = evolve(one, memo=Path(folder) / "copy")
        shutil.copy(one.memo, Path(folder) / "copy")
        wanted, first = outcome(source, given_to, Replies(seed), one)
        with shared_out(batch, broken, asks=asks):
            got, second = outcome(source, given_to, Replies(seed), two)
        if LimitError not in (wanted, got):
            assert got == wanted, source
        if isinstance(wanted, str) and " otherwise " not in source:
            assert first is not None and second is not None
            assert said(first) == said(second), source


def test_a_worker_that_dies_costs_nothing(tmp_path: Path) -> None:
    source = 'answer [call f"echo {x}" for x in range(40)]'
    one = kept(tmp_path)
    wanted = run(source, one)
    with shared_out(broken=True) as watched:
        got = run(source, one)
    assert got.answer == wanted.answer and got.used.from_memo == 40 and watched.undone


def test_where_most_comes_back_nothing_goes_any_more(eager: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "_JUDGED_TIMES", 4)
    result = run('answer [call f"echo {x}" for x in range(400)]', kept(tmp_path))
    assert result.used.requests == 400 and eager.items == eager.undone <= 3 * 8


def test_a_stage_goes_where_it_kept_the_process_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Workers] = []
    monkeypatch.setattr(Workers, "begin", lambda self: begun.append(self))
    monkeypatch.setattr(spread, "BUSY", 0.0)
    monkeypatch.setattr(spread, "HEAVY", 1e9)
    source = 'answer [call f"echo {x}" for x in range(300)]'
    run(source, kept(tmp_path))
    run(source, kept(tmp_path))
    assert not begun  # too short
    monkeypatch.setattr(spread, "SECONDS", 0.0)
    run(source, evolve(kept(tmp_path), memo=tmp_path / "other"))
    assert not begun  # all of it waits
    run(source, evolve(kept(tmp_path), processes=1))
    run("answer [x for x in range(300)]", kept(tmp_path))
    batched = 'answer [call "data" on f"{x}" with {batch: 3} for x in range(300)]'
    run(batched, kept(tmp_path))
    run(batched, kept(tmp_path))
    assert not begun
    run(source, kept(tmp_path))
    assert begun
    begun.clear()
    monkeypatch.setattr(spread, "HEAVY", 0.0)
    run(source, evolve(SETTINGS, processes=2))
    assert begun  # it waits, but its items are work


def test_steps_that_were_taken_elsewhere_count(eager: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = 'answer [len([y for y in range(x * 100) if y % 7 == 3]) + len(call f"echo {x}") for x in range(20)]'
    assert run(source, kept(tmp_path)).error is None
    monkeypatch.setattr(limits, "RUN_STEPS", 10_000)
    monkeypatch.setattr(spread, "_BATCH", 1)
    with pytest.raises(LimitError, match="steps"), scripted():
        rlmlang.run(source, kept(tmp_path))


# ---- what goes from process to process ----


def test_values_arrive_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    folder = DirValue(tmp_path)
    (file,) = folder.files()
    shared = [1, "ü", None]
    value = [True, 2**70, -0.5, {"a": shared, "b": shared}, DictValue({"k": 1}), range(3), file, folder, FileValue.at(tmp_path / "f")]
    arrived = unpack(pack(value))
    assert arrived == value and [type(v) for v in arrived] == [type(v) for v in value]
    assert arrived[3]["a"] is arrived[3]["b"] and arrived[6].text == "text" and arrived[7] is folder and arrived[8].text == "text"


@pytest.mark.parametrize("value", [object(), {"a": [asyncio]}, Path()])
def test_nothing_else_goes(value: object) -> None:
    with pytest.raises(Unshippable):
        pack(value)


def test_a_list_that_is_not_held_stays(eager: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "HELD_BYTES", -1)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"n": n}) + "\n" for n in range(60)))
    declared = "input rows: [{n: int}]\n"
    source = declared + 'answer [call f"echo {r.n} {len(rows)}" for r in rows]'
    first = run(source, kept(tmp_path), rows=rows)
    assert run(source, kept(tmp_path), rows=rows).answer == first.answer and not eager.items
    streams = declared + 'answer [call f"echo {r.n}" for r in rows if r.n % 2 == 0]'
    first = run(streams, kept(tmp_path), rows=rows)
    assert run(streams, kept(tmp_path), rows=rows).answer == first.answer and eager.items


# ---- real processes ----


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """Workers that are processes, and stand before a stage takes its first item; those of the last run."""
    found: list[Worker] = []
    take = stages._Stage._take

    async def taken(self: stages._Stage) -> None:
        if self.spread is not None:
            self.spread._turn_on()
            workers = self.spread._shards._workers
            while len(workers.ready) < workers._most:
                await asyncio.sleep(0.01)
            found[:] = workers.ready
        await take(self)

    monkeypatch.setattr(stages._Stage, "_take", taken)
    monkeypatch.setattr(spread, "_BATCH", 8)
    return found


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A model that is asked without a network."""
    path = tmp_path / "model.jsonl"
    path.write_text('{"match": "odd", "reply": {"value": true}}\n{"match": "", "reply": "said"}\n')
    return f"script:{path}"


PROGRAM = """
input n: int
say = call "first"
kept = [x for x in range(n) if call f"is {x} odd?" on say -> bool]
answer [call f"tell of {x}, {len(kept)}" for x in kept]
"""


def test_processes_give_the_same(standing: list[Worker], tmp_path: Path, script: str) -> None:
    given = Settings(model=script, memo=tmp_path / "memo.sqlite", processes=3)
    first = rlmlang.run(PROGRAM, given, n=300)
    assert first.used.requests == 601 and len(standing) == 2
    pids = [worker._process.pid for worker in standing]
    again = rlmlang.run(PROGRAM, given, n=300)
    assert again.answer == first.answer
    assert (again.used.calls, again.used.from_memo, again.used.requests, again.used.rounds) == (601, 601, 0, 3)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("memo", [True, False])
def test_workers_ask_the_run_for_replies(
    standing: list[Worker], tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch, memo: bool
) -> None:
    monkeypatch.setattr(spread, "HEAVY", 0.0)
    fetched: list[bytes] = []
    fetch = Calls.fetch

    async def watched(self: Calls, site: Site, here: Here, key: bytes, request: Any) -> Any:
        fetched.append(key)
        return await fetch(self, site, here, key, request)

    monkeypatch.setattr(Calls, "fetch", watched)
    given = Settings(model=script, memo=tmp_path / "memo.sqlite" if memo else "off", processes=2)
    program = 'input n: int\nanswer [call f"tell of {call f"what is {x}"}, {x}" for x in range(n)]'
    result = rlmlang.run(program, given, n=200)
    used = result.used
    assert (used.calls, used.requests, used.from_memo, used.shared, used.rounds) == (400, 400, 0, 0, 2)
    assert result.answer == ["said"] * 200 and len(fetched) > 10
    with pytest.raises(BudgetError) as stopped:
        program = 'input n: int\nanswer [call f"tell of {x}" for x in range(n) if call f"is {x} odd?" -> bool]'
        rlmlang.run(program, evolve(given, budget="250 calls", memo="off"), n=200)
    assert stopped.value.result is not None and stopped.value.result.used.requests == 250


def test_files_are_read_there_and_folders_listed_here(standing: list[Worker], tmp_path: Path, script: str) -> None:
    folder = tmp_path / "dir"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"text {number}")
    given = Settings(model=script, memo=tmp_path / "memo.sqlite", processes=2)
    reading = '[{f.path, said: call "tell" on f} for f in dir.files() if len(f.text) > 6]'
    listing = '[{f.path, n: len(dir.files("1*.txt")), said: call "tell" on f} for f in dir.files()]'
    first, again = (rlmlang.run(f"input dir: dir\nanswer [{reading}, {listing}]", given, dir=folder) for _ in range(2))
    assert again.answer == first.answer and again.used.requests == 0


def test_a_process_that_is_killed_is_done_without(
    standing: list[Worker], tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WORKER_REPLACEMENTS", 0)
    given = Settings(model=script, memo=tmp_path / "memo.sqlite", processes=2)
    first = rlmlang.run(PROGRAM, given, n=300)
    came = spread.Spread.came

    def kill(self: spread.Spread, events: list[Any], done: words.Done) -> None:
        came(self, events, done)
        standing[0]._process.send_signal(signal.SIGKILL)

    monkeypatch.setattr(spread.Spread, "came", kill)
    again = rlmlang.run(PROGRAM, given, n=300)
    assert again.answer == first.answer and again.used.from_memo == 601
