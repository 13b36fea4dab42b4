"""Answers a question about data: a root model writes programs, which are checked, bounded and run here, until one of them answers.

The data of --context are bound to variables; the root model sees previews of them, never the data. The answer goes to standard output, all
else to standard error. --save keeps the program that gave the answer, to be run again without a root model. Exits as rlm run does: 0, 1 (no
answer, or failed), 2 (wrong usage), 3 (budget) or 130 (interrupted).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from rlmlang.cli import options, terminal
from rlmlang.errors import Interrupted, RlmError, Unsolved, UsageError
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.cli.answer import OutFile
    from rlmlang.solve.ask import Question, Solution

HELP = "answer a question about data: a model writes the program"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", metavar="QUESTION", help="what is asked; - reads it from standard input")
    parser.add_argument(
        "--context",
        metavar="PATH",
        action="append",
        default=[],
        help="data to answer from: a text file, a folder, .json, .jsonl, .csv, or - for standard input; NAME=PATH names the variable; "
        "may be given several times",
    )
    parser.add_argument(
        "--turns", metavar="N", type=options.count, default=None, help="programs that the root model may write, 8 by default"
    )
    parser.add_argument("--calls", metavar="N", type=options.count, default=None, help="sub-invocations in all, 100 by default")
    parser.add_argument(
        "--depth", metavar="N", type=options.count, default=None, help="levels of solves, 1 by default: programs may call, not solve"
    )
    parser.add_argument("--type", metavar="TYPE", help='the type of the answer, as after -> in a program: int, [text], "yes" | "no"')
    parser.add_argument("--save", metavar="OUT.rlm", help="write the program that gave the answer there")
    options.add_settings(parser)
    parser.add_argument("--out", metavar="PATH", help="write the answer there: a list as JSON lines, any other as it is shown")
    parser.add_argument(
        "--json", action="store_true", help="the report as JSON on standard output, with every turn; also without an answer"
    )


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.answer import OutFile
    from rlmlang.cli.running import fetch_embedded
    from rlmlang.run.report import Used
    from rlmlang.solve.ask import Solution

    files: list[OutFile] = []
    try:
        asked = _prepare(args)
        try:
            files = [OutFile(path) for path in (args.out, args.save) if path is not None]
            if not args.offline:
                fetch_embedded(asked.session.called_models(), quiet=args.quiet)
        except RlmError:
            asked.session.memo.close()
            raise
    except RlmError as refused:
        if args.json:
            report = Solution(None, "none", "", Used(), error=printable(refused.message), question=args.question, outcome="failed")
            terminal.write_json(report.to_json())
        raise
    try:
        solution, error = _outcome(asked, args, files[0] if args.out is not None else None)
        if args.save is not None and solution.program is not None:
            files[-1].whole(solution.program.removesuffix("\n"))
    finally:
        for file in files:
            file.close()
    _conclude(asked, solution, error, args)
    if error is not None:
        raise error
    return 0


def _prepare(args: argparse.Namespace) -> Question:
    """The question, ready to be asked. Raises UsageError; BudgetError where not even one call is within the budget."""
    from rlmlang.solve.ask import Question
    from rlmlang.solve.contexts import read_contexts

    question = args.question
    if question == "-":
        from rlmlang.files import decode

        if any(spec == "-" or spec.endswith("=-") for spec in args.context):
            raise UsageError("standard input can be read once: for the question or for a context")
        question = decode(terminal.read_input(), "standard input")
    contexts = read_contexts(args.context, terminal.read_input)
    given = {name: getattr(args, name) for name in ("turns", "calls", "depth") if getattr(args, name) is not None}
    return Question(question, contexts, options.settings_of(args), type=args.type, **given)


def _outcome(asked: Question, args: argparse.Namespace, out: OutFile | None) -> tuple[Solution, RlmError | None]:
    """Asks, and writes the answer. The report, and the error that ended it, if one did."""
    error: RlmError | None = None
    answer: Any = None
    try:
        answer = _ask(asked, quiet=args.quiet)
        if out is not None:
            out.whole(answer)
        elif not args.json:
            terminal.write(terminal.answer_text(answer))
    except RlmError as failed:
        error, answer = failed, None
    solution = asked.report(answer, error)
    if args.json:
        terminal.write_json(solution.to_json())
    return solution, error


def _ask(asked: Question, *, quiet: bool) -> Any:
    """The answer, with the turns shown as they come where a person watches."""
    from concurrent.futures import wait

    from rlmlang.cli.progress import INTERVAL
    from rlmlang.cli.running import stopping
    from rlmlang.cli.turns import View

    view = View(asked, quiet=quiet)
    running = asked.start()
    with stopping(running.cancel):
        try:
            while not running.done.done():
                wait([running.done], timeout=INTERVAL if view.shown else None)
                view.draw()
        finally:
            view.end()
        try:
            return running.done.result()
        except Interrupted:
            kept = asked.session.calls.kept
            raise Interrupted(f"interrupted; {terminal.kept(kept)}" if asked.session.memo.path else "interrupted") from None


def _conclude(asked: Question, solution: Solution, error: RlmError | None, args: argparse.Namespace) -> None:
    """What there is to say afterwards, but for the error that ended it."""
    from rlmlang.cli.commands.run import summary

    if args.quiet:
        return
    if isinstance(error, Unsolved):
        if error.shown is not None:
            terminal.say(printable(error.shown))
        if error.names:
            terminal.say("bound at the end: " + printable(", ".join(f"{name}: {type_}" for name, type_ in error.names.items())))
    for warning in solution.warnings:
        terminal.say(f"warning: {printable(warning)}")
    if args.save is not None and error is None:
        kept = "kept in " + printable(args.save, 300) if solution.program is not None else "too long to be kept"
        terminal.say(f"the program is {kept}")
    turns = plural(len(solution.turns), "turn")
    terminal.say(f"{turns}, {summary(solution)}")
    if error is not None and asked.session.calls.kept and not isinstance(error, (Interrupted, Unsolved)):
        terminal.say(f"{terminal.kept(asked.session.calls.kept)}: the same command goes on from there")
