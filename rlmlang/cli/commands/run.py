"""Runs a program: its answer goes to standard output, everything else to standard error.

A text answer is written as it is, any other as JSON. Replies that were paid for are kept: running again after Ctrl-C, a crash or a spent
budget goes on where it stopped. Exits with 0, 1 (failed), 2 (wrong usage, syntax or types), 3 (budget) or 130 (interrupted).
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from rlmlang.cli import options, terminal
from rlmlang.cli.running import evaluate, fetch_embedded
from rlmlang.errors import BudgetError, Interrupted, RlmError, UsageError
from rlmlang.syntax.diagnostics import plural, printable

if TYPE_CHECKING:
    from rlmlang.cli.answer import OutFile
    from rlmlang.run.budget import Limit
    from rlmlang.run.report import Result
    from rlmlang.session import Session

HELP = "run a program"
_FAILURES_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser)
    options.add_settings(parser)
    options.add_batch(parser)
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="write the answer there: a list as JSON lines, each as soon as it and all before it are known (so a run that "
        "fails or is killed leaves those it had, and the same command goes on from there), any other answer at the end",
    )
    parser.add_argument("--restart", action="store_true", help="begin the file of --out anew, whatever a run before has left there")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output, also of a run that failed")
    parser.add_argument("--plan", action="store_true", help="run nothing: say what each line would call, and how much of it the memo holds")
    parser.add_argument("--explain", action="store_true", help="afterwards, show the program with what each line's calls took")


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.answer import OutFile
    from rlmlang.run.report import Result, Used

    out: OutFile | None = None
    try:
        session = _prepare(args)
        if args.plan:
            return _plan(session, args)
        _admit(session, args)
        if not args.offline:
            fetch_embedded(session.called_models(), quiet=args.quiet)
        if args.out is not None:
            out = OutFile(args.out, session.fingerprint() if _is_list(session) else None, restart=args.restart)
    except RlmError as error:
        if args.json:
            terminal.write_json(Result(None, "none", "", Used(), error=printable(error.message)).to_json())
        raise
    finished = False
    try:
        result, failed = _outcome(session, out, args)
        finished = failed is None
    finally:
        if out is not None:
            out.close(finished=finished)
    _conclude(session, result, failed, out, args)
    if failed is not None:
        raise failed
    return 0


def _prepare(args: argparse.Namespace) -> Session:
    """The run, ready to start; warnings about the program are said here. Raises ProgramError, UsageError."""
    from rlmlang.session import prepare

    if args.file == "-":
        raise UsageError("a program is run from a file", hint="- is for inputs: rlm run FILE NAME=-")
    session = prepare(Path(args.file), options.settings_of(args), options.inputs_of(args), stdin=terminal.take_input)
    if not args.quiet and session.checked.warnings:
        terminal.say(terminal.describe_all(session.checked.warnings))
    return session


def _plan(session: Session, args: argparse.Namespace) -> int:
    """Says what the run would take, with what the memo holds, and runs nothing."""
    from rlmlang.cli.costs import plan_json, plan_text

    try:
        rehearsal = session.rehearse()
    finally:
        session.memo.close()
    if args.json:
        terminal.write_json(plan_json(session.bound, rehearsal))
    else:
        terminal.write(plan_text(session.bound, rehearsal, session.checked.program.source.name))
    if not args.quiet:
        for warning in session.warnings:
            terminal.say(f"warning: {printable(warning)}")
    return 0


def _admit(session: Session, args: argparse.Namespace) -> None:
    """Says how the bound stands to the budget, and where it is beyond that asks whoever sits at a terminal. Raises BudgetError for a no."""
    limits = session.budget.limits
    if not limits:
        return
    budget = " and ".join(map(str, limits))
    beyond = [_amount(session, limit, most) for limit, most in session.beyond]
    if beyond and not args.yes and _at_a_terminal() and not _only_retries(session):
        terminal.draw(f"The bound is {' and '.join(beyond)}, the budget {budget}: go on? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            session.memo.close()
            raise BudgetError("not started; nothing was spent", hint="rlm cost shows what each line takes; --yes does not ask")
    if args.quiet:
        return
    if session.guaranteed:
        terminal.say(f"guaranteed: the bound is within the budget of {budget}")
    elif beyond:
        terminal.say(f"guarded: the bound is {' and '.join(beyond)}, so the run may end at the budget of {budget}")
    else:
        terminal.say(f"guarded: time has no bound, so the run may end at the budget of {budget}")


def _amount(session: Session, limit: Limit, most: float) -> str:
    """What the bound says of a limit's kind: a budget in calls is about all that are sent, those that are tried again too."""
    if most == math.inf:
        return "unbounded"
    if limit.kind == "calls":
        calls = plural(int(_calls(session)), "call")
        return f"{calls} ({plural(int(most), 'request')} if all are tried again)"
    return str(evolve(limit, most=int(most)))


def _only_retries(session: Session) -> bool:
    """Whether the run stays within its budget as long as no call has to be sent again."""
    return all(limit.kind == "calls" and _calls(session) <= limit.most for limit, _ in session.beyond)


def _calls(session: Session) -> float:
    from rlmlang.quantity import value_at

    return value_at(session.bound.figures["calls"].most, {})


def _at_a_terminal() -> bool:
    return terminal.on_terminal() and sys.stdin is not None and sys.stdin.isatty()


def _is_list(session: Session) -> bool:
    from rlmlang.types import ListOf

    return isinstance(session.checked.result, ListOf)


def _outcome(session: Session, out: OutFile | None, args: argparse.Namespace) -> tuple[Result, RlmError | None]:
    """Runs the program and writes its answer. The report, and the error that ended the run, if one did."""
    failed: RlmError | None = None
    answer: Any = None
    try:
        if out is not None and _is_list(session):
            kept: list[Any] = out.earlier() if args.json else []
            if out.done and not args.quiet:
                terminal.say(f"going on after {plural(out.items, 'line')} of {printable(out.path, 300)}")
            out.begin()

            def take(item: Any) -> None:
                out.item(item)
                if args.json:
                    kept.append(item)

            evaluate(session, take, out, quiet=args.quiet)
            answer = kept if args.json else None
        else:
            answer = evaluate(session, quiet=args.quiet)
            if out is not None:
                out.whole(answer)
            elif not args.json:
                terminal.write(terminal.answer_text(answer))
    except RlmError as error:
        failed, answer = error, None
    result = session.report(answer, failed)
    if args.json:
        try:
            report = result.to_json()
        except RlmError as error:  # no JSON can be made of the answer
            failed = error
            result = session.report(None, failed)
            report = result.to_json()
        terminal.write_json(report)
    return result, failed


def _conclude(session: Session, result: Result, failed: RlmError | None, out: OutFile | None, args: argparse.Namespace) -> None:
    """What there is to say after a run, but for the error that ended it."""
    from rlmlang.cli.explain import explain
    from rlmlang.errors import Failure

    failures = result.failures[:-1] if isinstance(failed, Failure) else result.failures
    for failure in failures[:_FAILURES_SHOWN]:
        about = terminal.item_and_attempts(failure.item, failure.attempts)
        terminal.say(f"failed in line {failure.line}{f' ({about})' if about else ''}: {printable(failure.error)}")
    if len(failures) > _FAILURES_SHOWN:
        terminal.say(f"… and {len(failures) - _FAILURES_SHOWN:,} more failed")
    if args.explain:
        terminal.say(explain(session.checked.program.source.text, result.sites))
    if args.quiet:
        return
    for warning in result.warnings:
        terminal.say(f"warning: {printable(warning)}")
    if out is not None and failed is None:
        what = plural(out.items, "item") if out.items else "the answer"
        terminal.say(f"{what} written to {printable(out.path, 300)}")
    terminal.say(summary(result))
    if failed is not None and session.jobs_left and not isinstance(failed, Interrupted):
        terminal.say(f"{session.jobs_left}: the same command waits for them")
    elif failed is not None and session.calls.kept and not isinstance(failed, Interrupted):
        terminal.say(f"{terminal.kept(session.calls.kept)}: the same command goes on from there")


def summary(result: Result) -> str:
    """`40 calls (38 requests, 2 from memo), 4,210 + 320 tokens, $0.0012, 3.4 s`"""
    used = result.used
    how = [plural(used.requests, "request")] if used.requests else []
    counts = {"from memo": used.from_memo, "shared": used.shared, "failed": used.failed}
    how += [f"{count:,} {what}" for what, count in counts.items() if count]
    parts = [plural(used.calls, "call") + (f" ({', '.join(how)})" if how else "")]
    if used.input_tokens or used.output_tokens:
        cached = f" ({used.cached_tokens:,} from the provider's cache)" if used.cached_tokens else ""
        parts.append(f"{used.input_tokens:,} + {used.output_tokens:,} tokens{cached}")
    if used.dollars is not None and used.requests:
        parts.append(terminal.money(used.dollars))
    parts.append(f"{used.seconds:.1f} s")
    return ", ".join(parts)
