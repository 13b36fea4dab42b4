"""The store of replies that were paid for: what it holds, emptying it, and its rows as JSON lines."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict

from rlmlang.cli import terminal
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.run.memo import Memo
    from rlmlang.run.memo_stats import MemoStats

HELP = "the store of paid replies: stats, clear, export"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("stats", "clear", "export"), help="what it holds; delete all of it; write its rows as JSON lines"
    )
    parser.add_argument("--memo", metavar="PATH", help="the store; by default that of rlm.toml, else the one in the user's cache")
    parser.add_argument("--config", metavar="PATH", help="instead of rlm.toml in the current folder")
    parser.add_argument("--out", metavar="PATH", help="export: write here, not to standard output")
    parser.add_argument("--json", action="store_true", help="stats, clear: JSON instead of text")
    parser.add_argument("--yes", action="store_true", help="clear: do not ask")


def main(args: argparse.Namespace) -> int:
    from rlmlang.run.memo import Memo
    from rlmlang.session import configuration, memo_path

    path = memo_path(args.memo, configuration(args.config))
    if path is None:
        raise UsageError("the memo is off, so there is no store", hint="name one with --memo PATH")
    if not path.exists():
        terminal.say(f"there is no memo store {printable(str(path), 300)} yet")
    with Memo.open(path if path.exists() else None) as memo:
        for warning in memo.warnings:
            terminal.say(f"warning: {printable(warning)}")
        if args.action == "stats":
            _stats(memo.stats(), path, args.json)
        elif args.action == "clear":
            return _clear(memo, path, args)
        else:
            _export(memo, args.out)
    return 0


def _stats(stats: MemoStats, path: Path, as_json: bool) -> None:
    if as_json:
        terminal.write_json({"path": str(path), **asdict(stats)}, indent=2)
        return
    lines = [f"{printable(str(path), 300)}: {_answers(stats.rows)}, {_bytes(stats.size)}"]
    if stats.oldest is not None and stats.newest is not None:
        lines.append(f"from {_day(stats.oldest)} to {_day(stats.newest)}")
    if stats.jobs:
        lines.append(f"{plural(stats.jobs, 'job')} of Batch APIs whose replies were not all taken")
    if stats.damaged:
        lines.append(f"{stats.damaged:,} damaged, and dropped")
    if stats.models:
        width = max(len(printable(m.model, 60)) for m in stats.models)
        lines.append(f"{'model':<{width}} {'answers':>10} {'reused':>10}")
        lines += [f"{printable(m.model, 60):<{width}} {m.rows:>10,} {m.hits:>10,}" for m in stats.models]
    terminal.write("\n".join(lines))


def _clear(memo: Memo, path: Path, args: argparse.Namespace) -> int:
    stats = memo.stats()
    forgotten = f", and forget {plural(stats.jobs, 'job')} of Batch APIs that may have to be paid again," if stats.jobs else ""
    if (stats.rows or stats.jobs) and not args.yes and terminal.on_terminal() and sys.stdin is not None and sys.stdin.isatty():
        terminal.draw(f"Delete {_answers(stats.rows)}{forgotten} from {printable(str(path), 300)}? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            terminal.say("nothing was deleted")
            return 1
    cleared = memo.clear()
    if args.json:
        terminal.write_json({"path": str(path), "cleared": cleared})
    else:
        terminal.write(f"{_answers(cleared)} deleted")
    return 0


def _export(memo: Memo, out: str | None) -> None:
    if out is None:
        with terminal.output() as stream:
            memo.export(stream)
        return
    try:
        with open(out, "w", encoding="utf-8") as file:
            rows = memo.export(file)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it cannot be opened"
        raise UsageError(f"cannot write {printable(out, 300)}: {reason.lower()}") from None
    terminal.say(f"{_answers(rows)} written to {printable(out, 300)}")


def _answers(count: int) -> str:
    return plural(count, "answer")


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:,.3g} GB"


def _day(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        raise RlmError("the memo store holds a date that cannot be") from None
