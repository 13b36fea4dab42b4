"""Puts one question about data to several strategies, on the same models, memo, budget and accounting, and prints a row for each.

A row says what the strategy answered, how much of what had to be looked at a sub-call really saw, and what it took: sub-invocations, tokens
(the root model's own, and all), dollars, rounds, seconds. Whatever becomes of one strategy stands in its row, and the others go on; the
budget is that of each. Exits 0 where one answered, 1 where none did, 2 (wrong usage), 3 (none, for the budget) or 130 (interrupted).

strategies:
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rlmlang.cli import options, terminal
from rlmlang.errors import BudgetError, Interrupted, RlmError, UsageError
from rlmlang.limits import SOURCE_CHARS
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.cli.answer import OutFile
    from rlmlang.compare.compare import Comparison
    from rlmlang.compare.strategy import Row
    from rlmlang.compare.task import Task
    from rlmlang.compare.workloads import Corpus
    from rlmlang.session import Running
    from rlmlang.solve.contexts import Context

HELP = "put a question to several strategies, and compare what they take"
_SIZE: Final = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    from rlmlang.compare.strategies import available, strategy
    from rlmlang.compare.strategy import CALLS, TURNS

    known = available()
    parser.description = (parser.description or "") + "\n".join(f"  {name:<10} {strategy(name).help}" for name in known)
    parser.add_argument("question", metavar="QUESTION", nargs="?", help="what is asked; with --workload, nothing")
    parser.add_argument(
        "--context", metavar="PATH", action="append", default=[], help="data to answer from, as for rlm solve; may be given several times"
    )
    parser.add_argument(
        "--strategies", metavar="NAMES", help="which, separated by commas, in this order; by default all, python only where it is allowed"
    )
    parser.add_argument(
        "--allow-python", action="store_true", help="let python run programs that a model writes, locked in as well as the system can"
    )
    parser.add_argument("--type", metavar="TYPE", help='the type of the answer, as after -> in a program: int, [text], "yes" | "no"')
    parser.add_argument(
        "--gold", metavar="ANSWER", help="the right answer, for the score: JSON where --type asks for another type than text"
    )
    parser.add_argument("--workload", metavar="NAME", help="instead of a question: generated data with a known answer (docs/compare.md)")
    parser.add_argument("--size", "--n", metavar="N", type=options.count, help=f"pieces of the workload, {_SIZE} by default")
    parser.add_argument("--seed", metavar="N", type=options.count, help="that the workload is generated from, 0 by default")
    parser.add_argument(
        "--questions", metavar="NUMBERS", help="which questions of the workload, from 1, separated by commas, or all; 1 by default"
    )
    parser.add_argument("--write", metavar="FOLDER", help="write the workload there, data and right answers, and ask nothing")
    parser.add_argument("--turns", metavar="N", type=options.count, default=TURNS, help=f"replies of the root model, {TURNS} by default")
    parser.add_argument("--calls", metavar="N", type=options.count, default=CALLS, help=f"sub-invocations in all, {CALLS:,} by default")
    parser.add_argument("--depth", metavar="N", type=options.count, default=1, help="levels of solves in rlm, 1 by default")
    options.add_settings(parser)
    parser.add_argument(
        "--as-program",
        metavar="FOLDER",
        help="write what each strategy is as a program, or was in effect, to FOLDER/NAME.rlm: tool calls as a straight line of calls",
    )
    parser.add_argument("--html", metavar="FILE", help="write the rows as a page: table, plots, and what each strategy did")
    parser.add_argument("--json", action="store_true", help="the rows as JSON on standard output, with every step")


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.comparison import report, table

    if args.write is not None:
        return _write_workload(args)
    done: list[tuple[Comparison, list[Row]]] = []
    with contextlib.ExitStack() as stack:
        comparisons = _comparisons(args, stack)
        html = None if args.html is None else _opened(args.html, stack)
        for comparison in comparisons:
            rows = _run(comparison, args)
            done.append((comparison, rows))
            if not args.json:
                terminal.write(table(rows, comparison.task.question if len(comparisons) > 1 else None))
            if args.as_program is not None:
                _write_programs(rows, args.as_program, comparison.task.name if len(comparisons) > 1 else "", quiet=args.quiet)
            _conclude(rows, args)
            if comparison.cancelled:
                break
        reported = report([(comparison.task, rows) for comparison, rows in done], args.workload)
        if html is not None:
            _write_page(html, reported, quiet=args.quiet)
    if args.json:
        terminal.write_json(reported)
    return _exit_code(done)


def _comparisons(args: argparse.Namespace, stack: contextlib.ExitStack) -> list[Comparison]:
    """What is to be compared, question by question; `stack` holds what has to go afterwards. Raises UsageError."""
    from rlmlang.compare.compare import Comparison
    from rlmlang.compare.strategies import available, chosen

    default = ",".join(name for name in available() if name != "python" or args.allow_python)
    names, settings = chosen(default if args.strategies is None else args.strategies), options.settings_of(args)
    if "python" in names and not args.allow_python:
        raise UsageError("python runs programs that a model writes on this machine", hint="allow it with --allow-python")
    for name in ("turns", "calls", "depth"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} is a whole number from 1 up")
    limits = {"turns": args.turns, "calls": args.calls, "depth": args.depth, "allow_python": args.allow_python}
    if args.workload is not None:
        return [Comparison(task, names, settings, **limits) for task in _workload(args, stack)]
    wrong = next((name for name in ("size", "seed", "questions") if getattr(args, name) is not None), None)
    if wrong is not None:
        raise UsageError(f"--{wrong} is of a workload", hint="give --workload NAME")
    task, contexts = _question(args)
    return [Comparison(task, names, settings, contexts=contexts, **limits)]


def _question(args: argparse.Namespace) -> tuple[Task, tuple[Context, ...]]:
    """The question that was given, and its data. Raises UsageError."""
    from rlmlang.compare.task import Task
    from rlmlang.solve.contexts import read_contexts

    if args.question is None or not args.question.strip():
        raise UsageError("there is no question", hint="give one, or --workload NAME")
    contexts = read_contexts(args.context, terminal.read_input)
    return Task(args.question, {c.name: c.value for c in contexts}, args.type, _gold(args)), contexts


def _workload(args: argparse.Namespace, stack: contextlib.ExitStack) -> list[Task]:
    """The questions of a workload; one that is a folder is written to a place that goes afterwards. Raises UsageError."""
    from tempfile import TemporaryDirectory

    wrong = next((name for name in ("question", "context", "type", "gold") if getattr(args, name)), None)
    if wrong is not None:
        raise UsageError(f"a workload has its own {wrong}")
    corpus = _corpus(args)
    folder = stack.enter_context(TemporaryDirectory(prefix="rlm-workload-", ignore_cleanup_errors=True))
    if any(not isinstance(data, str) for data in corpus.data.values()):
        corpus.write(folder)
    count = len(corpus.questions)
    if args.questions == "all":
        return [corpus.task(at, folder) for at in range(count)]
    numbers = [options.whole(number) for number in (args.questions or "1").split(",")]
    if not numbers or any(number is None or not 1 <= number <= count for number in numbers):
        raise UsageError(f"--questions are numbers from 1 to {count}, or all", hint="for example --questions 1,3")
    return [corpus.task(number - 1, folder) for number in numbers if number is not None]


def _corpus(args: argparse.Namespace) -> Corpus:
    """The workload that is asked for. Raises UsageError."""
    from rlmlang.compare.workloads import generate

    return generate(args.workload, _SIZE if args.size is None else args.size, args.seed or 0)


def _write_workload(args: argparse.Namespace) -> int:
    """Writes a workload for people to look at. Raises UsageError."""
    if args.workload is None:
        raise UsageError("--write is of a workload", hint="give --workload NAME")
    corpus = _corpus(args)
    context = corpus.write(args.write)
    if not args.quiet:
        pieces, questions = plural(len(corpus.pieces), "piece"), plural(len(corpus.questions), "question")
        terminal.say(f"{pieces} in {printable(str(context), 300)}; {questions} with the right answers in gold.json beside it")
    return 0


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


def _write_programs(rows: Sequence[Row], given: str, below: str, *, quiet: bool) -> None:
    """A file for each strategy that has a program, in a folder of each question where there are several. Raises UsageError."""
    from pathlib import Path

    from rlmlang.cli.answer import OutFile

    folder = Path(given) / "".join(c if c.isalnum() else "_" for c in below)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {printable(str(folder), 300)}: {(error.strerror or 'unknown').lower()}") from None
    for row in rows:
        if row.program is None:
            continue
        file = OutFile(str(folder / f"{row.strategy}.rlm"))
        try:
            file.whole(row.program.removesuffix("\n"))
        finally:
            file.close()
        if not quiet:
            long = f", of which a program may have {SOURCE_CHARS:,}" if len(row.program) > SOURCE_CHARS else ""
            terminal.say(f"{row.strategy}: the program is in {printable(file.path, 300)}, {len(row.program):,} characters{long}")


def _opened(path: str, stack: contextlib.ExitStack) -> OutFile:
    """The file of `--html`, before anything is spent. Raises UsageError."""
    from rlmlang.cli.answer import OutFile

    return stack.enter_context(contextlib.closing(OutFile(path)))


def _write_page(file: OutFile, reported: dict[str, Any], *, quiet: bool) -> None:
    from rlmlang.cli.page import page

    file.whole(page(reported))
    if not quiet:
        terminal.say(f"the page is in {printable(file.path, 300)}")


def _conclude(rows: Sequence[Row], args: argparse.Namespace) -> None:
    """What went wrong, a line each."""
    for row in rows:
        if row.error is not None and not args.quiet:
            told = row.error if row.error.startswith(row.outcome) else f"{row.outcome}: {row.error}"
            terminal.say(f"{row.strategy}: {told}")


def _exit_code(done: Sequence[tuple[Comparison, Sequence[Row]]]) -> int:
    if any(comparison.cancelled for comparison, _ in done):
        return Interrupted.exit_code
    rows = [row for _, rows in done for row in rows]
    if any(row.outcome == "answered" for row in rows):
        return 0
    return BudgetError.exit_code if rows and all(row.outcome == "budget" for row in rows) else RlmError.exit_code
