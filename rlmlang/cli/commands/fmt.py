"""Writes programs in the canonical layout, comments kept. What stands in a program stays: only its layout changes.

With --check nothing is written: exits with 1 if a file would change. Exits with 2 where a file is no program.
"""

from __future__ import annotations

import argparse

from rlmlang.cli import terminal
from rlmlang.cli.replacing import replace
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import printable

HELP = "rewrite programs in the canonical layout"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a program; - formats standard input to standard output")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; list the files that would change, and exit with 1 if any would"
    )


def main(args: argparse.Namespace) -> int:
    codes = [0]
    for file in args.files:
        try:
            codes.append(_format_input(args.check) if file == "-" else _format_file(file, args.check))
        except RlmError as error:  # the other files are formatted all the same
            terminal.say(terminal.describe(error))
            codes.append(2)
    return max(codes)


def _format_input(check: bool) -> int:
    from rlmlang.files import decode

    data = terminal.read_input()
    text = formatted(decode(data, "standard input"), "-")
    if check:
        return int(text.encode() != data)
    terminal.write(text.removesuffix("\n"))
    return 0


def _format_file(path: str, check: bool) -> int:
    from rlmlang.files import FileValue, decode

    file = FileValue.at(path)
    try:
        data = file.place.read(file)
    except OSError as error:
        raise UsageError(f"cannot read {file.path}: {(error.strerror or 'unknown error').lower()}") from None
    made = formatted(decode(data, file.path), path).encode()
    if made == data:
        return 0
    if check:
        terminal.write(printable(path, 1_000))
        return 1
    replace(path, made)
    terminal.say(f"formatted {printable(path, 1_000)}")
    return 0


def formatted(text: str, name: str) -> str:
    """The program's canonical text. Raises ProgramError; RlmError rather than give a text that means something else."""
    from rlmlang.syntax import format_program, parse, same_tree

    program = parse(text, name)
    made = format_program(program)
    if not same_tree(parse(made, name), program):
        raise RlmError(f"{name} cannot be formatted without changing what it means")
    return made
