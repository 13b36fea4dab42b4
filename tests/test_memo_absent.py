"""What the memo store surely does not have is not looked up; what it has is found, whoever wrote it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlmlang.run import memo_absent
from rlmlang.run.memo import Memo
from rlmlang.run.memo_rows import MemoRow


def key(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def row(number: int) -> MemoRow:
    return MemoRow(number, model="m")


def put(memo: Memo, *numbers: int) -> None:
    async def main() -> None:
        await asyncio.gather(*[memo.put(key(n), row(n)) for n in numbers])

    asyncio.run(main())


def found(memo: Memo, *numbers: int) -> list[int]:
    return [n for n in numbers if memo.get(key(n)) == row(n)]


def ask_in_vain(memo: Memo) -> None:
    """Until the store has an idea of what is not there, of rows that were there in time, too."""
    absent = -1
    while not memo._absent._whole:
        assert memo.get(key(absent)) is None
        absent -= 1


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Looks that found nothing, in the file."""
    made: list[int] = []
    missed = memo_absent.Absent.missed

    def counted(self: memo_absent.Absent) -> None:
        made.append(1)
        missed(self)

    monkeypatch.setattr(memo_absent.Absent, "missed", counted)
    yield made


def test_few_looks_are_made_for_what_is_not_there(tmp_path: Path, looks: list[int]) -> None:
    with Memo.open(tmp_path / "memo.sqlite") as memo:
        put(memo, *range(3_000))
        assert not any(memo.get(key(n)) for n in range(3_000, 9_000))
        assert len(looks) < 400
        assert found(memo, *range(3_000)) == list(range(3_000))
        for n in range(20_000, 20_100):  # one after another, each found at once
            put(memo, n)
            assert found(memo, n) == [n]
        assert len(looks) < 450


def test_what_another_process_writes_is_seen(tmp_path: Path, looks: list[int]) -> None:
    path = tmp_path / "memo.sqlite"
    with Memo.open(path) as memo, Memo.open(path) as other:
        put(other, *range(100))
        ask_in_vain(memo)
        assert found(memo, *range(100)) == list(range(100))
        put(other, *range(100, 200))
        time.sleep(2 * memo_absent._SECONDS)
        assert found(memo, *range(300)) == list(range(200))
        other.clear()
        put(other, *range(300, 320))  # rows are counted anew
        time.sleep(2 * memo_absent._SECONDS)
        assert found(memo, *range(300, 340)) == list(range(300, 320))
        assert memo.clear() == 20
        put(memo, 5)
        assert found(memo, *range(340)) == [5]


def test_a_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "memo.sqlite"
    with Memo.open(path) as memo:
        put(memo, *range(2_000))
        ask_in_vain(memo)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            for at in range(size // 2, size, 4096):
                file.seek(at)
                file.write(b"\xff" * 64)
        for n in range(2_000):
            memo.get(key(n))
        put(memo, 7_000)
        kept = found(memo, *range(2_000), 7_000)
        assert kept[-1] == 7_000 and not found(memo, 9_000)
        assert memo.stats().rows == len(kept)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "other", "get", "clear", "vain"]), st.lists(st.integers(0, 60), min_size=1, max_size=8)),
        max_size=10,
    )
)
def test_it_changes_nothing_that_is_found(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]) -> None:
    path = tmp_path_factory.mktemp("absent") / "memo.sqlite"
    there: set[int] = set()
    with Memo.open(path) as memo, Memo.open(path) as other:
        memo._absent._misses = memo_absent._MISSES
        for what, numbers in steps:
            if what in ("put", "other"):
                put(memo if what == "put" else other, *numbers)
                there |= set(numbers)
                if what == "other":
                    time.sleep(1.2 * memo_absent._SECONDS)
            elif what == "clear":
                memo.clear()
                there.clear()
            elif what == "vain":
                assert not found(memo, *(n + 1_000 for n in numbers))
            assert set(found(memo, *range(61))) == there
