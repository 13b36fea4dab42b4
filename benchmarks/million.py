"""A million rows, and a hundred thousand files: how long they take, and how much memory.

    python benchmarks/million.py [--rows N] [--files N] [--concurrency N] [--only rows|files]

Rows: JSON lines of about 100 bytes, of which a pure filter keeps one in a thousand, and a call for each that is kept, against a server on
this machine that answers at once. The other side is a plain Python loop over `json.loads` with the same filter, alone: no check of a type,
no bound, no calls. Files: a call about the text of each, with the memo and without. Each side is a process of its own, whose peak memory is
what the operating system says of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from harness import server, table, verdict

ROWS = """
input rows: [{id: int, kind: text, score: float, text: text}]
hits = [r for r in rows if "billing" in r.text]
answer [call f"Is row {r.id} about billing?" on r.text -> bool for r in hits]
"""
FILES = """
input repo: dir
answer [call "Is this about billing?" on f.text -> bool for f in repo.files("**/*.txt")]
"""


class Took(NamedTuple):
    """Seconds, and peak memory in MB."""

    seconds: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--only", choices=["rows", "files"])
    parser.add_argument("--side", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        return side(*given.side)
    with server() as url, tempfile.TemporaryDirectory() as folder:
        if given.only != "files":
            rows(Path(folder), url, given.rows, given.concurrency)
        if given.only != "rows":
            files(Path(folder), url, given.files, given.concurrency)
    return None


def rows(folder: Path, url: str, count: int, concurrency: int) -> None:
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for n in range(count):
            about = "billing" if n % 1_000 == 0 else "nothing here"
            row = {"id": n, "kind": "abcdefgh"[n % 8], "score": n % 1_000 / 8, "text": f"row {n} of a file {about} and some more"}
            file.write(json.dumps(row) + "\n")
    (folder / "rows.rlm").write_text(ROWS)
    plain = measured("plain", str(path))
    ours = measured("rlm", str(folder / "rows.rlm"), f"rows=@{path}", url, str(concurrency), "off")
    kept = -(-count // 1_000)
    print(f"{count:,} rows, {path.stat().st_size / 1e6:,.0f} MB; {kept:,} are kept, with a call for each\n")
    table(["", "s", "peak MB"], [[name, f"{t.seconds:.1f}", f"{t.peak:.0f}"] for name, t in (("json.loads", plain), ("rlmlang", ours))])
    verdict("time against json.loads alone", ours.seconds / plain.seconds, "at most 4", ours.seconds <= 4 * plain.seconds)
    verdict("peak memory, MB", ours.peak, "below 400", ours.peak < 400)


def files(folder: Path, url: str, count: int, concurrency: int) -> None:
    root = folder / "files"
    for n in range(count):
        if n % 1_000 == 0:
            (root / f"{n // 1_000:03}").mkdir(parents=True)
        (root / f"{n // 1_000:03}" / f"{n:06}.txt").write_text(f"File number {n}, about this and that.\n")
    (folder / "files.rlm").write_text(FILES)
    sides = {
        memo: measured("rlm", str(folder / "files.rlm"), f"repo={root}", url, str(concurrency), memo) for memo in ("off", "memo.sqlite")
    }
    print(f"\n{count:,} files, a call for each, {concurrency} at once\n")
    table(["memo", "calls/s", "peak MB"], [[name, f"{count / t.seconds:,.0f}", f"{t.peak:.0f}"] for name, t in sides.items()])
    off, on = sides.values()
    verdict("calls a second with the memo against without", off.seconds / on.seconds, "at least 0.8", off.seconds / on.seconds >= 0.8)
    verdict("peak memory, MB", max(off.peak, on.peak), "below 400", max(off.peak, on.peak) < 400)


def measured(*words: str) -> Took:
    """One side in a process of its own, whose seconds include its start."""
    before = time.perf_counter()
    command = [sys.executable, __file__, "--side", *words]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))}
        said = subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Took(time.perf_counter() - before, float(said.split()[-1]))


def side(which: str, *words: str) -> None:
    """The work of one side; the last word that it prints is its peak memory in MB."""
    if which == "plain":
        hits = []
        with open(words[0]) as file:
            for line in file:
                row = json.loads(line)
                if "billing" in row["text"]:
                    hits.append(row)
        print(len(hits))
    else:
        from rlmlang.cli.main import main as rlm

        program, given, url, concurrency, memo = words
        options = ["--model", "bench", "--base-url", url, "--concurrency", concurrency, "--memo", memo, "--out", "out.jsonl", "--quiet"]
        assert rlm(["run", program, given, *options]) == 0
        with open("out.jsonl") as file:
            print(sum(1 for _ in file))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
