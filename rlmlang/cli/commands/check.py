"""Finds the mistakes in programs, without running them. Exits with 0 where there are none or only warnings, with 2 else."""

from __future__ import annotations

import argparse
from pathlib import Path

from rlmlang.cli import terminal
from rlmlang.errors import Failure, ProgramError, UsageError
from rlmlang.syntax.diagnostics import Diagnostic

HELP = "find mistakes, without running"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program; - is standard input")
    parser.add_argument("--json", action="store_true", help="a list of diagnostics, instead of text")


def main(args: argparse.Namespace) -> int:
    found = [diagnostic for file in args.files for diagnostic in diagnose(file)]
    if args.json:
        terminal.write_json([diagnostic.to_json() for diagnostic in found], indent=2)
    elif found:
        terminal.write(terminal.describe_all(found))
    return 2 if any(diagnostic.severity == "error" for diagnostic in found) else 0


def diagnose(file: str) -> tuple[Diagnostic, ...]:
    """What is wrong with the program in a file (`-`: standard input); a file that cannot be read is an error of its own."""
    from rlmlang.check import check
    from rlmlang.files import decode
    from rlmlang.run.program import load_source, read_program
    from rlmlang.syntax import parse
    from rlmlang.syntax.source import Source, Span

    try:
        if file == "-":
            text = decode(terminal.read_input(), "standard input")
            return check(parse(text, file), load=load_source(Path())).diagnostics
        return read_program(Path(file)).diagnostics
    except ProgramError as error:
        return error.diagnostics
    except (UsageError, Failure) as error:
        nowhere = Span(Source(file, ""), 0, 0)
        return (Diagnostic("unreadable", error.message, nowhere, hint=error.hint),)
