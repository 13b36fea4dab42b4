"""Finds the mistakes in programs, without running them. Exits with 0 where there are none or only warnings, with 2 else.

With --fix those that can only have been meant in one way are put right in the files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rlmlang.cli import terminal
from rlmlang.errors import Failure, ProgramError, UsageError
from rlmlang.syntax.diagnostics import Diagnostic, plural, printable
from rlmlang.syntax.nodes import Program

if TYPE_CHECKING:
    from rlmlang.check import Checked

HELP = "find mistakes, without running"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program; - is standard input")
    parser.add_argument(
        "--fix", action="store_true", help="put right what can only have been meant in one way; of -, the program goes to standard output"
    )
    parser.add_argument("--json", action="store_true", help="a list of diagnostics, instead of text")


def main(args: argparse.Namespace) -> int:
    if args.fix and args.json and "-" in args.files:
        raise UsageError("--fix - writes the program to standard output, where --json writes its list")
    examine = fix if args.fix else diagnose
    found = [diagnostic for file in args.files for diagnostic in examine(file)]
    if args.json:
        terminal.write_json([diagnostic.to_json() for diagnostic in found], indent=2)
    elif found and "-" in args.files and args.fix:
        terminal.say(terminal.describe_all(found))
    elif found:
        terminal.write(terminal.describe_all(found))
    return 2 if any(diagnostic.severity == "error" for diagnostic in found) else 0


def diagnose(file: str) -> tuple[Diagnostic, ...]:
    """What is wrong with the program in a file (`-`: standard input); a file that cannot be read is an error of its own."""
    try:
        text, load = _read(file)
    except (UsageError, Failure) as error:
        return (_unreadable(file, error),)
    try:
        return _checked(file, load, text).diagnostics
    except ProgramError as error:
        return error.diagnostics


def fix(file: str) -> tuple[Diagnostic, ...]:
    """Puts a program right, and says what was; what is still wrong with it."""
    from rlmlang.check.mend import mend
    from rlmlang.cli.replacing import replace

    try:
        text, load = _read(file)
        mended = mend(text, partial(_checked, file, load))
        if file == "-":
            terminal.write(mended.text.removesuffix("\n"))
        elif mended.fixed:
            replace(file, mended.text.encode())
            terminal.say(f"fixed {printable(file, 1_000)}: {plural(len(mended.fixed), 'mistake')}")
    except (UsageError, Failure) as error:
        return (_unreadable(file, error),)
    return mended.left


def _read(file: str) -> tuple[str, Callable[[str], Program]]:
    """The text of a program, and what reads the files that it uses. Raises UsageError, Failure."""
    from rlmlang.files import decode
    from rlmlang.run.program import load_source, read_text

    if file == "-":
        return decode(terminal.read_input(), "standard input"), load_source(Path())
    return read_text(Path(file)), load_source(Path(file).parent)


def _checked(file: str, load: Callable[[str], Program], text: str) -> Checked:
    """Raises ProgramError for syntax."""
    from rlmlang.check import check
    from rlmlang.syntax import parse

    return check(parse(text, file), load=load)


def _unreadable(file: str, error: UsageError | Failure) -> Diagnostic:
    from rlmlang.syntax.source import Source, Span

    return Diagnostic("unreadable", error.message, Span(Source(file, ""), 0, 0), hint=error.hint)
