"""What a memo store holds, in figures."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from rlmlang.run.memo_file import used_bytes


@frozen
class ModelStats:
    """Rows stored and rows found (`hits`, over all finished runs) of one model."""

    model: str
    rows: int
    hits: int


@frozen
class MemoStats:
    """`size` in bytes, of the file less what is free in it; `oldest` and `newest` in unix seconds, None if it is empty; `damaged`: rows
    found damaged since the store was opened; `jobs`: those of Batch APIs whose replies were not all taken."""

    rows: int
    size: int
    oldest: int | None
    newest: int | None
    damaged: int
    models: tuple[ModelStats, ...]
    jobs: int = 0


def stats(db: sqlite3.Connection, hits: Mapping[str, int], damaged: int) -> MemoStats:
    """Of an open store, with the hits and damaged rows that are not written yet. Raises sqlite3.Error."""
    rows, found, (oldest, newest), size, jobs = count(db)
    found.update({model.encode(): added for model, added in hits.items()})
    models = tuple(ModelStats(_decoded(m), rows.get(m, 0), found[m]) for m in sorted(rows.keys() | found.keys(), key=_decoded))
    return MemoStats(sum(rows.values()), size, oldest, newest, damaged, models, jobs)


def count(db: sqlite3.Connection) -> tuple[dict[bytes, int], Counter[bytes], tuple[int | None, int | None], int, int]:
    """Rows by model, hits by model, first and last time, bytes used, jobs."""
    rows = dict(db.execute("SELECT model, count(*) FROM replies GROUP BY model").fetchall())
    hits = Counter(dict(db.execute("SELECT model, hits FROM hits").fetchall()))
    jobs = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    return rows, hits, db.execute("SELECT min(created), max(created) FROM replies").fetchone(), used_bytes(db), jobs


def _decoded(model: Any) -> str:
    return model.decode("utf-8", "replace") if isinstance(model, bytes) else str(model)
