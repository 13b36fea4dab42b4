"""Says what a program takes at least, probably and at most, without running it.

Inputs that are not given stand in formulas by their sizes: n = len(docs), b = bytes(docs); --at n=1e6 evaluates these. `max` is a promise
that no run breaks; `expected` goes by what earlier runs have seen, and by a sample with --sample. Exits with 0 or 2 (wrong usage, syntax
or types); 1 where what is pure and known cannot be computed; with --sample as rlm run does.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlmlang.cli import options, terminal
from rlmlang.errors import Interrupted, RlmError, UsageError
from rlmlang.syntax.diagnostics import printable

if TYPE_CHECKING:
    from rlmlang.cli.costs import Latency
    from rlmlang.cli.samples import Sample
    from rlmlang.cost.bound import Bound
    from rlmlang.session import Estimate

HELP = "what a program takes at most, without running it"
_SIZE = re.compile(r"([0-9][0-9_]{0,29}(?:\.[0-9]{1,15})?)(?:e\+?([0-9]{1,2})|([kmg]))?", re.I)
_SCALES = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_LARGEST = 10**30


def arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser)
    options.add_models(parser)
    options.add_batch(parser)
    parser.add_argument(
        "--at",
        metavar="NAME=SIZE",
        action="append",
        default=[],
        help="evaluate formulas there: n=1e6 or n=1e6,b=2M; may be given several times",
    )
    parser.add_argument(
        "--latency",
        metavar="SECONDS",
        action="append",
        default=[],
        help="also say how long it takes, at so many seconds a call; MODEL=SECONDS for one model",
    )
    parser.add_argument(
        "--prompts", action="store_true", help="show each prompt as it would be sent, with one real item where there is one"
    )
    parser.add_argument(
        "--sample",
        metavar="N",
        type=options.count,
        help="run the program for N items of each list, chosen at random, and expect what they say; "
        "what is paid is kept in the memo, and no run pays it again",
    )
    options.add_budget(parser, "of the sample: ")
    parser.add_argument("--json", action="store_true", help="the bound as JSON")
    parser.add_argument("--quiet", action="store_true", help="the figures alone: no call sites, no warnings")


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.costs import latency_of, seconds_of

    if args.file == "-":
        raise UsageError("a program is read from a file", hint="- is for inputs: rlm cost FILE NAME=-")
    given = _latency(args.latency)
    if args.sample is None:
        if args.budget:
            raise UsageError("a bound spends nothing: --budget goes with --sample", hint="rlm run holds the bound against its budget")
        found, sample, failed = _estimate(args), None, None
    elif args.sample < 1:
        raise UsageError("a sample has at least one item")
    else:
        found, sample, failed = _sample(args)
    if not args.quiet and found.checked.warnings:
        terminal.say(terminal.describe_all(found.checked.warnings))
    bound = _evaluated(found.bound, args.at)
    latency = latency_of(found, bound, given)
    seconds = None if latency is None else seconds_of(found, bound, latency)
    if args.json:
        report: dict[str, Any] = bound.to_json()
        if seconds is not None:
            report["seconds"] = seconds.to_json()
        if args.prompts:
            report["prompts"] = _prompts_json(found)
        if sample is not None:
            report["sample"] = sample.to_json()
        terminal.write_json(report)
    else:
        _show(found, bound, seconds, sample, args)
    if failed is not None:
        raise failed
    return 0


def _estimate(args: argparse.Namespace) -> Estimate:
    from rlmlang.session import estimate

    return estimate(Path(args.file), options.settings_of(args), options.inputs_of(args), stdin=terminal.take_input)


def _sample(args: argparse.Namespace) -> tuple[Estimate, Sample, RlmError | None]:
    """Runs a sample: what is known then, and what ended it before its time. Raises UsageError, Interrupted."""
    from rlmlang.cli.running import evaluate, fetch_embedded
    from rlmlang.cli.samples import Sample
    from rlmlang.session import prepare

    session = prepare(Path(args.file), options.settings_of(args), options.inputs_of(args), stdin=terminal.take_input, sample=args.sample)
    if session.memo.path is None:
        raise UsageError("a sample is kept for the run after it, which without a memo would pay it again", hint="leave out --memo off")
    failed: RlmError | None = None
    try:
        fetch_embedded(session.called_models(), quiet=args.quiet)
        evaluate(session, quiet=args.quiet)
    except Interrupted:
        raise
    except RlmError as error:
        failed = error
    sampled = session.sampled()
    return session.estimate(sampled.bound), Sample(args.sample, sampled, session.report(None, failed), session.checked), failed


def _show(found: Estimate, bound: Bound, seconds: Any, sample: Sample | None, args: argparse.Namespace) -> None:
    from rlmlang.cli import costs
    from rlmlang.cost.weight import heaviest_loop, missing_size

    main = found.checked.program.source.name
    parts = [costs.figures_text(bound, seconds, None if sample is None else sample.sampled.ranges)]
    if sample is not None and not args.quiet:
        parts.append(sample.text())
    if not args.quiet and bound.sites:
        parts.append(costs.sites_text(bound, main))
        loop = heaviest_loop(found.checked, bound)
        missing = missing_size(bound)
        told = [*([costs.loop_text(loop, main)] if loop is not None else []), *([costs.missing_text(missing)] if missing else [])]
        parts.append("\n".join(told))
        parts.append(costs.prices_text(found, bound))
    if args.prompts:
        parts.append(costs.prompts_text(found, bound, _previews(found)))
    terminal.write("\n\n".join(part for part in parts if part))
    if not args.quiet:
        for warning in bound.warnings:
            terminal.say(f"{'error' if warning in bound.errors else 'warning'}: {printable(warning)}")


def _previews(found: Estimate) -> Any:
    from rlmlang.cost.preview import preview

    return preview(found.checked, found.model, found.inputs)


def _prompts_json(found: Estimate) -> list[dict[str, Any]]:
    from rlmlang.cost.preview import prompt_bytes

    return [
        {
            "line": node.span.line,
            "column": node.span.column,
            "file": node.span.source.name,
            "bytes": prompt_bytes(preview.request),
            "real": preview.real,
            "messages": [{"role": m.role, "content": m.content} for m in preview.request.messages],
        }
        for node, preview in _previews(found).items()
    ]


# ---- options ----


def _evaluated(bound: Bound, given: list[str]) -> Bound:
    """The bound at the sizes of `--at`. Raises UsageError."""
    sizes: dict[str, int] = {}
    names = {symbol.name: symbol.meaning for symbol in bound.symbols}
    for part in (part.strip() for text in given for part in text.split(",")):
        name, equals, size = (word.strip() for word in part.partition("="))
        if not equals:
            raise UsageError(f"{part[:100]} is no size", hint="sizes are given as --at n=1e6 or --at n=20k,b=2M")
        if name not in names:
            there = ", ".join(f"{n} = {meaning}" for n, meaning in names.items())
            raise UsageError(
                f"no formula has a size called {name[:100]}" if names else f"no formula is left in which to put {name[:100]}",
                hint=f"there is {there}" if names else "sizes of inputs that are given are known",
            )
        if name in sizes:
            raise UsageError(f"the size {name[:100]} is given twice")
        sizes[name] = _size(size)
    return bound.at(sizes) if sizes else bound


def _size(text: str) -> int:
    """`1e6`, `2M`, `1.5k`, `12_000` as a whole number. Raises UsageError."""
    from decimal import Decimal

    match = _SIZE.fullmatch(text)
    if match is not None:
        scale = 10 ** int(match[2]) if match[2] else _SCALES[match[3].lower()] if match[3] else 1
        number = Decimal(match[1]) * scale
        if number == int(number) and number <= _LARGEST:
            return int(number)
    raise UsageError(f"{text[:100]} is no size", hint="write a whole number, as 1000000, 1e6, 1M or 1.5k")


def _latency(given: list[str]) -> Latency | None:
    """Raises UsageError."""
    from rlmlang.cli.costs import Latency

    if not given:
        return None
    usual: float | None = None
    of: dict[str, float] = {}
    for text in given:
        name, equals, seconds = text.rpartition("=")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", seconds):
            raise UsageError(f"{seconds[:100]} is no number of seconds", hint="--latency 2.5, or --latency MODEL=2.5 for one model")
        if equals:
            of[name] = float(seconds)
        else:
            usual = float(seconds)
    return Latency(usual, of)
