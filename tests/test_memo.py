"""The memo store: what is put is there, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rlmlang.errors import RlmError, UsageError
from rlmlang.run import memo_file
from rlmlang.run.memo import Memo, default_path
from rlmlang.run.memo_rows import MemoRow

ROOT = Path(__file__).parent.parent


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def row(number: int, size: int = 20) -> MemoRow:
    return MemoRow({"n": number, "text": "x" * size}, 10, 5, 2, 1_000, "small", 1_700_000_000 + number)


def put_all(memo: Memo, rows: dict[bytes, MemoRow]) -> None:
    async def main() -> None:
        await asyncio.gather(*[memo.put(k, r) for k, r in rows.items()])

    asyncio.run(main())


async def put_some(memo: Memo, rows: dict[bytes, MemoRow]) -> list[BaseException | None]:
    return await asyncio.gather(*[memo.put(k, r) for k, r in rows.items()], return_exceptions=True)


def filled(path: Path, count: int = 300, size: int = 20) -> Path:
    with Memo.open(path) as memo:
        put_all(memo, {key(i): row(i, size) for i in range(count)})
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memo.sqlite"


def test_put_and_get(path: Path) -> None:
    with Memo.open(path) as memo:
        assert memo.get(key(1)) is None
        put_all(memo, {key(1): row(1), key(2): MemoRow(None, nanodollars=None, model="ä")})
        assert memo.get(key(1)) == row(1)
        found = memo.get(key(2))
        assert found is not None
        assert (found.value, found.nanodollars, found.model) == (None, None, "ä")
    with Memo.open(path) as memo:
        assert memo.get(key(1)) == row(1)
        assert memo.warnings == []
    assert [p.name for p in path.parent.iterdir()] == ["memo.sqlite"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Memo.open(tmp_path_factory.mktemp("memo") / "m.sqlite") as memo:
        yield memo


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(min_size=32, max_size=32),
    JSON_VALUES,
    st.tuples(*[st.integers(0, 2**63 - 1)] * 3),
    st.none() | st.integers(0, 2**63 - 1),
    TEXTS,
)
def test_what_is_put_comes_back(shared: Memo, k: bytes, value: Any, tokens: tuple[int, int, int], price: int | None, model: str) -> None:
    before = shared.get(k)
    new = MemoRow(value, *tokens, price, model, 7)
    put_all(shared, {k: new})
    found = shared.get(k)
    assert found == (before or new)
    assert found is not None
    assert json.dumps(found.value) == json.dumps((before or new).value)  # 1, 1.0 and true stay apart
    assert shared.damaged == 0


def test_the_first_answer_wins(path: Path) -> None:
    with Memo.open(path) as memo:
        put_all(memo, {key(1): row(1)})
        put_all(memo, {key(1): row(2)})
        assert memo.get(key(1)) == row(1)


def test_off() -> None:
    with Memo.open(None) as memo:
        put_all(memo, {key(1): row(1)})
        assert memo.get(key(1)) is None
        assert (memo.path, memo.stats().rows, memo.clear(), memo.export(io.StringIO())) == (None, 0, 0, 0)


def test_closed(path: Path) -> None:
    memo = Memo.open(path)
    memo.close()
    memo.close()
    assert memo.get(key(1)) is None
    with pytest.raises(RlmError, match="closed"):
        put_all(memo, {key(1): row(1)})


@pytest.mark.parametrize(
    "bad", [MemoRow(float("nan")), MemoRow({1, 2}), MemoRow("\ud800"), MemoRow(1, input_tokens=-1), MemoRow(1, nanodollars=2**63)]
)
def test_what_is_no_answer_is_refused_alone(path: Path, bad: MemoRow) -> None:
    with Memo.open(path) as memo:
        first, second, third = asyncio.run(put_some(memo, {key(1): row(1), key(2): bad, key(3): row(3)}))
        assert (first, third) == (None, None)
        assert isinstance(second, RlmError)
        assert memo.stats().rows == 2


def test_a_put_that_was_cancelled_is_kept(path: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(memo.put(key(1), row(1)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with Memo.open(path) as memo:
        asyncio.run(main())
    with Memo.open(path) as memo:
        assert memo.get(key(1)) == row(1)


def test_stats_clear_export(path: Path) -> None:
    with Memo.open(filled(path, 3)) as memo:
        put_all(memo, {key(9): MemoRow("é", model="big", created=5, nanodollars=None)})
        for _ in range(2):
            memo.get(key(1))
    with Memo.open(path) as memo:
        memo.get(key(9))
        stats = memo.stats()
        assert [(m.model, m.rows, m.hits) for m in stats.models] == [("big", 1, 1), ("small", 3, 2)]
        assert (stats.rows, stats.oldest, stats.newest, stats.damaged) == (4, 5, 1_700_000_002, 0)
        assert 0 < stats.size <= 100_000
        out = io.StringIO()
        assert memo.export(out) == 4
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        figures = {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0, "dollars": None}
        assert lines[3] == {"key": key(9).hex(), "model": "big", "created": 5, **figures, "value": "é"}
        assert lines[0]["dollars"] == 1e-6
        assert memo.clear() == 4
        assert memo.get(key(1)) is None
        assert memo.stats().models == ()


def test_the_oldest_rows_go(path: Path) -> None:
    with Memo.open(path, max_bytes=300_000) as memo:
        for start in range(0, 1_000, 100):
            put_all(memo, {key(i): row(i, 2_000) for i in range(start, start + 100)})
            assert memo.stats().size <= 300_000
        assert memo.get(key(0)) is None
        assert memo.get(key(999)) == row(999, 2_000)
        assert memo.damaged == 0
    assert path.stat().st_size < 1_000_000


# ---- other processes ----

WRITER = """
import asyncio, sys
from pathlib import Path
from rlmlang.run.memo import Memo
from rlmlang.run.memo_rows import MemoRow

async def one(memo, number):
    await memo.put(number.to_bytes(32, "big"), MemoRow({"n": number}, 1, 2, 3, 4, sys.argv[2], number))
    print(number, flush=True)

async def main():
    memo = Memo.open(Path(sys.argv[1]))
    assert not memo.warnings, memo.warnings
    for start in range(int(sys.argv[3]), int(sys.argv[4]), 16):
        await asyncio.gather(*[one(memo, n) for n in range(start, start + 16)])
    memo.close()

asyncio.run(main())
"""


def writer(path: Path, name: str, start: int, end: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(start), str(end)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_kill_9_loses_only_what_was_in_flight(path: Path) -> None:
    for attempt in range(3):
        with writer(path, "killed", attempt * 1_000_000, (attempt + 1) * 1_000_000) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(200 + 77 * attempt)]
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()  # with what was read ahead of the lines, which communicate() leaves out
        confirmed = {int(line) for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")}
        with Memo.open(path) as memo:
            assert len(confirmed) >= 200
            for number in confirmed:
                found = memo.get(key(number))
                assert found is not None
                assert found.value == {"n": number}
            assert (memo.damaged, memo.warnings) == (0, [])


def test_two_processes_at_once(path: Path) -> None:
    processes = [writer(path, name, start, start + 480) for name, start in (("a", 0), ("b", 160), ("c", 320))]
    for process in processes:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
    with Memo.open(path) as memo:
        stats = memo.stats()
        assert stats.rows == 800
        for number in range(800):
            found = memo.get(key(number))
            assert found is not None
            assert found.value == {"n": number}
        assert memo.damaged == 0


def test_a_miss_is_looked_up_anew(path: Path) -> None:
    """Hits that follow one another are read in one transaction, which must hide nothing that came since."""
    with Memo.open(filled(path, 9)) as memo, Memo.open(path) as other:

        async def main() -> None:
            for round in range(3):
                assert [memo.get(key(i)) for i in range(9)] == [row(i) for i in range(9)]
                new = 100 + round
                await asyncio.to_thread(put_all, other, {key(new): row(new)})
                assert memo.get(key(1)) and memo.get(key(2))
                put = asyncio.to_thread(put_all, other, {key(new + 100): row(new + 100)})
                task = asyncio.ensure_future(put)
                while memo.get(key(new + 100)) is None:  # seen without a turn of this loop, too
                    if task.done():
                        task.result()
                    await asyncio.sleep(0)
                await task
                assert memo.get(key(new)) == row(new)

        asyncio.run(main())
        assert memo.stats().rows == other.stats().rows == 15


def near(order: list[int], moves: list[int]) -> list[int]:
    """The order, but each item may move by so many places."""
    return [i for _, i in sorted((at + moves[at % len(moves)], i) for at, i in enumerate(order))]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["in order", "backwards", "each tenth", "by chance"]),
    st.lists(st.integers(0, 80), min_size=1, max_size=7),
    st.lists(st.integers(0, 899), max_size=20),
    st.randoms(use_true_random=False),
)
@example("in order", [0], [], random.Random(0))
def test_in_whatever_order_rows_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, how: str, moves: list[int], again: list[int], chance: random.Random
) -> None:
    order = {"in order": range(900), "backwards": range(899, -1, -1), "each tenth": range(0, 900, 10)}.get(how) or chance.sample(
        range(900), 900
    )
    asked = near(list(order), moves)
    for i in again:  # twice, and one that is not there
        asked[i % len(asked) : i % len(asked)] = [i, 1_000 + i]
    with Memo.open(filled(tmp_path_factory.mktemp("memo") / "memo.sqlite", 900)) as memo:
        for i in asked:
            assert memo.get(key(i)) == (row(i) if i < 900 else None)
        assert len(memo._ahead._rows) <= 1_024
        assert memo._ahead.found == sum(i < 900 for i in asked)
        assert memo._ahead.read <= 4 * memo._ahead.found + 257  # a look by itself takes as long as five rows
        assert memo.stats().models[0].hits == memo._ahead.found
        if how == "in order" and not again:
            assert memo._ahead.read > 800


def test_what_is_read_ahead_is_little_where_values_are_large(path: Path) -> None:
    with Memo.open(filled(path, 40, 100_000)) as memo:
        for i in range(40):
            assert memo.get(key(i)) == row(i, 100_000)
            assert sum(len(columns[1]) for columns in memo._ahead._rows.values()) < 500_000


def test_what_was_cleared_is_not_read_ahead(path: Path) -> None:
    with Memo.open(filled(path)) as memo:
        assert memo.get(key(1)) and memo.get(key(2)) and memo._ahead._rows
        memo.clear()
        assert memo.get(key(3)) is None


def test_a_damaged_row_that_was_read_ahead_is_dropped_alone(path: Path) -> None:
    filled(path)
    db = sqlite3.connect(path)
    db.execute("UPDATE replies SET value = '1' WHERE key = ?", (key(5),))
    db.execute("UPDATE replies SET value = 7, checksum = 8 WHERE key = ?", (key(6),))
    db.commit()
    db.close()
    with Memo.open(path) as memo:
        found = [memo.get(key(i)) for i in range(300)]
        assert found == [None if i in (5, 6) else row(i) for i in range(300)] and memo.damaged == 2
        put_all(memo, {key(5): row(5)})
        assert memo.get(key(5)) == row(5)
        assert memo.stats().rows == 299


def test_two_stores_of_one_process(path: Path) -> None:
    with Memo.open(path) as first:
        put_all(first, {key(1): row(1)})
        with Memo.open(path) as second:
            assert second.get(key(1)) == row(1)
            put_all(second, {key(2): row(2)})
        writer(path, "other", 16, 32).communicate()  # the last to close must not think itself alone and remove the journal
        assert Path(f"{path}-wal").exists()
        put_all(first, {key(3): row(3)})
        assert first.get(key(2)) == row(2)
    with Memo.open(path) as memo:
        assert memo.stats().rows == 3 + 16


# ---- damage ----


@pytest.mark.parametrize(
    "change",
    [
        "value = replace(value, 'x', 'y')",
        "value = '{'",
        "value = 3",
        "input_tokens = 11",
        "nanodollars = NULL",
        "nanodollars = 'free'",
        "model = 'other'",
        "created = 1.5",
        "checksum = x'00'",
        "key = randomblob(32)",
    ],
)
def test_a_row_that_was_changed_is_dropped(path: Path, change: str) -> None:
    filled(path, 3)
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE replies SET {change} WHERE id = 2")
    db.close()
    with Memo.open(path) as memo:
        assert memo.get(key(1)) is None
        assert memo.damaged == (0 if change.startswith("key") else 1)
        assert memo.get(key(0)) == row(0)
        memo.export(io.StringIO())
        memo.stats()
        put_all(memo, {key(1): row(1)})  # the damaged row does not stand in the way
        assert memo.get(key(1)) == row(1)


def damage(data: bytearray, how: str) -> bytes:
    match how:
        case "text":
            return b"these are my notes\n" * 100
        case "zeros":
            return bytes(len(data))
        case "header":
            data[0:16] = b"x" * 16
        case "old version":
            data[60:64] = (99).to_bytes(4, "big")
        case "stub":
            return bytes(data[:50])
        case "half":
            return bytes(data[: len(data) // 2])
        case "odd half":
            return bytes(data[: len(data) // 2 + 777])
        case "schema":
            data[100:400] = b"\xff" * 300
        case "column":
            at = data.index(b"hits INTEGER")
            data[at : at + 4] = b"hots"
        case "page":
            data[4096 * 3 : 4096 * 4] = b"\xa5" * 4096
        case "many pages":
            for at in range(4096, len(data), 4096 * 2):
                data[at : at + 100] = b"\xff" * 100
        case "rows":
            data[-6000:-2000] = bytes(255 - b for b in data[-6000:-2000])
    return bytes(data)


@pytest.mark.parametrize(
    "how", ["text", "zeros", "header", "old version", "stub", "half", "odd half", "schema", "column", "page", "many pages", "rows"]
)
def test_a_damaged_file_is_recovered_from(path: Path, how: str) -> None:
    data = bytearray(filled(path).read_bytes())
    path.write_bytes(damage(data, how))
    check_recovery(path, 300)


def check_recovery(path: Path, count: int) -> None:
    with Memo.open(path) as memo:
        known = 0
        for number in range(count):
            found = memo.get(key(number))
            assert found is None or found == row(number)
            known += found is not None
        put_all(memo, {key(i): row(i) for i in range(count)})
        for number in range(count):
            found = memo.get(key(number))
            assert found is None or found == row(number)
        put_all(memo, {key(count): row(count)})
        assert memo.stats().rows > 0
    with Memo.open(path) as memo:
        assert sum(memo.get(key(i)) == row(i) for i in range(count + 1)) > count * 0.9
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 7)), min_size=1, max_size=30), st.none() | st.integers(0, 2**20))
@example(flips=[(3357, 7)], cut=None)  # in the names of the schema, which are no UTF-8 then
@example(flips=[(3352, 7)], cut=None)
@example(flips=[(18, 2)], cut=None)  # of a later version of SQLite, as it seems
def test_flipped_bits_and_torn_ends(tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], cut: int | None) -> None:
    path = tmp_path_factory.mktemp("flipped") / "memo.sqlite"
    data = bytearray(filled(path, 60, 200).read_bytes())
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    path.write_bytes(data if cut is None else data[: cut % len(data)])
    with_rows = {key(i): row(i, 200) for i in range(60)}
    try:
        memo = Memo.open(path)
    except UsageError as error:
        assert "another program's" in error.message  # the flip hit the mark by which we know our files
        return
    with memo:
        for k, expected in with_rows.items():
            assert memo.get(k) in (None, expected)
        put_all(memo, with_rows)
        for k, expected in with_rows.items():
            assert memo.get(k) in (None, expected)
        memo.stats()
        memo.export(io.StringIO())


def test_what_can_be_read_of_a_damaged_file_is_kept(path: Path) -> None:
    data = bytearray(filled(path, 2_000, 100).read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with Memo.open(path) as memo:
        put_all(memo, {key(i): row(i) for i in range(2_000, 4_000)})
        for number in range(2_000):
            memo.get(key(number))
        put_all(memo, {key(5_000): row(5_000)})
        assert memo.stats().rows > 3_500
        assert len(memo.warnings) == 1
        assert "was damaged: it was moved to" in memo.warnings[0]
    with Memo.open(path) as memo:
        assert memo.get(key(5_000)) == row(5_000)
        assert memo.warnings == []
    assert path.with_name("memo.sqlite.damaged-1").exists()


def test_a_torn_journal(path: Path) -> None:
    memo = Memo.open(path)
    put_all(memo, {key(i): row(i) for i in range(50)})
    main, journal = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    memo.close()
    for cut in [*range(0, len(journal), len(journal) // 12), len(journal) - 1]:
        torn = path.parent / f"torn{cut}" / "memo.sqlite"
        torn.parent.mkdir()
        torn.write_bytes(main)
        Path(f"{torn}-wal").write_bytes(journal[:cut])
        with Memo.open(torn) as memo:
            for number in range(50):
                assert memo.get(key(number)) in (None, row(number))
            put_all(memo, {key(i): row(i) for i in range(50)})
            assert all(memo.get(key(i)) == row(i) for i in range(50))


# ---- files that are not ours ----


def test_files_that_are_not_ours_to_use(tmp_path: Path) -> None:
    real = filled(tmp_path / "real.sqlite", 1)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("")
    os.mkfifo(tmp_path / "fifo")
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE accounts (name)")
    db.close()
    before = (tmp_path / "other.db").read_bytes()
    for name, says in {
        "link": "symbolic link",
        "folder": "not a regular file",
        "fifo": "not a regular file",
        "other.db": "another program's database",
        "plain/memo.sqlite": "exists",
        "a\0b": "null",
    }.items():
        with pytest.raises(UsageError, match=f"memo store|{says}") as caught:
            Memo.open(tmp_path / name)
        assert says in caught.value.message, name
    assert (tmp_path / "other.db").read_bytes() == before


def test_the_file_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(UsageError, match="belongs to another user"):
        Memo.open(path)


def test_mode_is_tightened(path: Path) -> None:
    filled(path, 1).chmod(0o666)
    Memo.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_locked_store_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    monkeypatch.setattr(memo_file, "_BUSY", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UsageError, match="another process has locked it"):
        Memo.open(path)
    other.execute("ROLLBACK")
    memo = Memo.open(path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RlmError, match="cannot be written: another process has locked it"):
        put_all(memo, {key(7): row(7)})
    assert memo.get(key(0)) == row(0)  # readers never wait
    other.execute("ROLLBACK")
    other.close()
    put_all(memo, {key(8): row(8)})
    assert (memo.get(key(7)), memo.get(key(8))) == (None, row(8))
    memo.close()


def test_a_full_disk_stops_puts_and_leaves_nothing_half_written(path: Path) -> None:
    with Memo.open(path) as memo:
        put_all(memo, {key(1): row(1)})
        pages = memo._write.execute("PRAGMA page_count").fetchone()[0]
        memo._write.execute(f"PRAGMA max_page_count = {pages + 5}")
        outcomes = asyncio.run(put_some(memo, {key(i): row(i, 5_000) for i in range(2, 20)}))
        assert any(isinstance(outcome, RlmError) and "full" in outcome.message for outcome in outcomes)
    with Memo.open(path) as memo:
        assert memo.get(key(1)) == row(1)
        for number, outcome in enumerate(outcomes, start=2):
            assert memo.get(key(number)) == (row(number, 5_000) if outcome is None else None)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    assert default_path() == tmp_path / "cache" / "memo.sqlite"
    Memo.open(default_path()).close()
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    monkeypatch.delenv("RLM_CACHE_DIR")
    assert "rlmlang" in str(default_path())
