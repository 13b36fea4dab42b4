"""Puts one question about data to several strategies, on the same models, memo, budget and accounting, and prints a row for each.

A row says what the strategy answered, how much of what had to be looked at a sub-call really saw, and what it took: sub-invocations, tokens
(the root model's own, and all), dollars, rounds, seconds. Whatever becomes of one strategy stands in its row, and the others go on; the
budget is that of each. Exits 0 where one answered, 1 where none did, 2 (wrong usage), 3 (none, for the budget) or 130 (interrupted).

strategies:
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlmlang.cli import options, terminal
from rlmlang.errors import BudgetError, Interrupted, RlmError, UsageError
from rlmlang.syntax.diagnostics import printable

if TYPE_CHECKING:
    from rlmlang.compare.compare import Comparison
    from rlmlang.compare.strategy import Row
    from rlmlang.session import Running

HELP = "put a question to several strategies, and compare what they take"


def arguments(parser: argparse.ArgumentParser) -> None:
    from rlmlang.compare.strategies import available, strategy
    from rlmlang.compare.strategy import CALLS, TURNS

    known = available()
    parser.description = (parser.description or "") + "\n".join(f"  {name:<10} {strategy(name).help}" for name in known)
    parser.add_argument("question", metavar="QUESTION", help="what is asked")
    parser.add_argument(
        "--context", metavar="PATH", action="append", default=[], help="data to answer from, as for rlm solve; may be given several times"
    )
    parser.add_argument(
        "--strategies", metavar="NAMES", default=",".join(known), help="which, separated by commas, in this order; by default all"
    )
    parser.add_argument("--type", metavar="TYPE", help='the type of the answer, as after -> in a program: int, [text], "yes" | "no"')
    parser.add_argument(
        "--gold", metavar="ANSWER", help="the right answer, for the score: JSON where --type asks for another type than text"
    )
    parser.add_argument("--turns", metavar="N", type=options.count, default=TURNS, help=f"replies of the root model, {TURNS} by default")
    parser.add_argument("--calls", metavar="N", type=options.count, default=CALLS, help=f"sub-invocations in all, {CALLS:,} by default")
    parser.add_argument("--depth", metavar="N", type=options.count, default=1, help="levels of solves in rlm, 1 by default")
    options.add_settings(parser)
    parser.add_argument(
        "--as-program",
        metavar="FOLDER",
        help="write what each strategy is as a program, or was in effect, to FOLDER/NAME.rlm: tool calls as a straight line of calls",
    )
    parser.add_argument("--json", action="store_true", help="the rows as JSON on standard output, with every step")


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.comparison import table

    comparison = _prepare(args)
    rows = _run(comparison, args)
    if args.json:
        terminal.write_json({"question": comparison.task.question, "rows": [row.to_json() for row in rows]})
    else:
        terminal.write(table(rows))
    if args.as_program is not None:
        _write_programs(rows, args)
    _conclude(rows, args)
    return _exit_code(comparison, rows)


def _prepare(args: argparse.Namespace) -> Comparison:
    """What is to be compared. Raises UsageError."""
    from rlmlang.compare.compare import Comparison
    from rlmlang.compare.strategies import chosen
    from rlmlang.compare.task import Task
    from rlmlang.solve.contexts import read_contexts

    names = chosen(args.strategies)
    contexts = read_contexts(args.context, terminal.read_input)
    task = Task(args.question, {c.name: c.value for c in contexts}, args.type, _gold(args))
    if not task.question.strip():
        raise UsageError("there is no question")
    return Comparison(task, names, options.settings_of(args), args.turns, args.calls, args.depth, contexts)


def _gold(args: argparse.Namespace) -> Any:
    """The right answer, of the type that is asked for. Raises UsageError."""
    from rlmlang.lm.reply import BadReply, read_value
    from rlmlang.solve.ask import read_type

    if args.gold is None or args.type is None:
        return args.gold
    try:
        return read_value(args.gold, read_type(args.type))
    except BadReply as bad:
        raise UsageError(f"--gold is no {args.type}: {printable(bad.message)}") from None


def _run(comparison: Comparison, args: argparse.Namespace) -> list[Row]:
    """The rows. The first Ctrl-C ends the strategy under way and begins no other; a second one ends the process."""
    from concurrent.futures import wait

    from rlmlang.cli.progress import INTERVAL, Line, describe
    from rlmlang.cli.running import fetch_embedded, stopping

    line = Line(quiet=args.quiet)
    rows: list[Row] = []

    def watch(running: Running) -> None:
        while not running.done.done():
            wait([running.done], timeout=INTERVAL if line.shown else None)
            line.draw(f"{comparison.names[len(rows)]} · {describe(running.session)}")
        line.clear()

    if not args.offline:
        fetch_embedded(_models(comparison), quiet=args.quiet)
    with stopping(comparison.cancel):
        for row in comparison.rows(watch):
            rows.append(row)
            if line.shown:
                terminal.say(f"{row.strategy}: {row.outcome}, {row.seconds:.1f} s")
    return rows


def _models(comparison: Comparison) -> list[Any]:
    from rlmlang.session import configuration, models_of

    found = models_of(comparison.settings, configuration(comparison.settings.config))
    return [found[name] for name in dict.fromkeys((found.root, found.default))]


def _write_programs(rows: Sequence[Row], args: argparse.Namespace) -> None:
    """A file for each strategy that has a program. Raises RlmError."""
    from pathlib import Path

    from rlmlang.cli.answer import OutFile

    folder = Path(args.as_program)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {printable(args.as_program, 300)}: {(error.strerror or 'it cannot be').lower()}"
        ) from None
    for row in rows:
        if row.program is None:
            continue
        path = folder / f"{row.strategy}.rlm"
        file = OutFile(str(path))
        file.whole(row.program.removesuffix("\n"))
        file.close()
        if not args.quiet:
            terminal.say(f"{row.strategy}: the program is in {printable(str(path), 300)}, {len(row.program):,} characters")


def _conclude(rows: Sequence[Row], args: argparse.Namespace) -> None:
    """What went wrong, a line each."""
    for row in rows:
        if row.error is not None and not args.quiet:
            terminal.say(f"{row.strategy}: {row.outcome}: {row.error}")


def _exit_code(comparison: Comparison, rows: Sequence[Row]) -> int:
    if comparison.cancelled:
        return Interrupted.exit_code
    if any(row.outcome == "answered" for row in rows):
        return 0
    return BudgetError.exit_code if rows and all(row.outcome == "budget" for row in rows) else RlmError.exit_code
