"""A program's file, and the files it uses, read and checked. Imports nothing that runs: `rlm check` starts in a blink."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rlmlang.check import Checked, check
from rlmlang.errors import Failure, UsageError
from rlmlang.files import FileValue
from rlmlang.syntax import parse
from rlmlang.syntax.nodes import Program


def read_program(source: str | os.PathLike[str], name: str = "<text>") -> Checked:
    """Parses and checks a program: a text, or a path. Raises ProgramError for syntax, UsageError for a file that cannot be read."""
    if isinstance(source, str):
        return check(parse(source, name))
    path = Path(source)
    program = parse(read_text(path), str(path))
    return check(program, load=load_source(path.parent))


def read_text(path: Path) -> str:
    """The text of a file. Raises UsageError for one that cannot be read, or is no text."""
    try:
        return FileValue.at(path).text
    except Failure as failure:
        raise UsageError(failure.message) from None


def load_source(folder: Path) -> Callable[[str], Program]:
    """Reads the files that a program in `folder` uses, by their path relative to it, never outside of it.

    What it gives raises ProgramError for syntax, UsageError for a file that cannot be read.
    """

    def load(path: str) -> Program:
        target = (folder / path).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise UsageError(f"{path} is outside the program's folder")
        return parse(read_text(target), path)

    return load
