"""The data that `rlm solve` works on: `--context PATH`, `NAME=PATH`, `-` for standard input; or Python values by name.

A folder is a `dir`. A file is read by the ending of its name: `.json`, `.jsonl` and `.ndjson`, `.csv` and `.tsv` get the type that their
data have (rlmlang/solve/infer.py), anything else is text. Standard input is JSON where all of it is a JSON list or record, JSON lines
where each line is a record, text else. The value is the one that `rlm run` would give to an `input` of that type, so that a program that
was kept runs on the same file.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from attrs import frozen

from rlmlang.errors import Failure, UsageError
from rlmlang.files import DirValue, FileValue
from rlmlang.limits import CONTEXTS, FILE_BYTES, NAME_CHARS
from rlmlang.run.inputs import StandardInput, read_standard_input, standard_text
from rlmlang.run.tables import TABLES, read_csv, read_json_lines
from rlmlang.solve.infer import row_type, type_of
from rlmlang.syntax.diagnostics import printable
from rlmlang.syntax.format_expressions import KEYWORDS
from rlmlang.syntax.strings import is_name
from rlmlang.types import DIR, JSON, TEXT, ListOf, Type
from rlmlang.values import Mismatch, conform, parse_json_text, quote

_RESERVED: Final = KEYWORDS | {"input", "type", "use", "fn", "answer", "skip"}
_DEFAULT_CHARS: Final = 40  # of a name made from a file's: a model writes it again and again
_LINES: Final = (".jsonl", ".ndjson")


@frozen
class Context:
    """One piece of data: what a program calls it, its type and value, and where it came from (`source`: the path as given, `-`, or the
    name itself for a Python value)."""

    name: str
    type: Type
    value: Any
    source: str


def read_contexts(specs: Sequence[str], stdin: StandardInput | None = None) -> tuple[Context, ...]:
    """The contexts that `specs` (each `PATH`, `NAME=PATH`, `-` or `NAME=-`) stand for, in order.

    `stdin` gives all of standard input; without it, `-` is refused. Raises UsageError, which says everything that is wrong.
    """
    if len(specs) > CONTEXTS:
        raise UsageError(f"there are {len(specs):,} contexts; at most {CONTEXTS} are read", hint="give the folder that the files are in")
    found: dict[str, Context] = {}
    wrong: list[str] = []
    taken = False
    for spec in specs:
        try:
            given, path = _split(spec)
            if path == "-" and taken:
                raise UsageError("standard input can be read once")
            taken = taken or path == "-"
            name = default_name(path) if given is None else _checked_name(given)
            if name in found:
                also = "" if given is not None else f"; give one of them another: {name}_2={path}"
                raise UsageError(f"two contexts have the name {name}{also}")
            found[name] = Context(name, *_read(path, stdin), path)
        except (UsageError, Failure) as error:
            wrong.append(printable(f"the context {spec}: {error.message}"))
    if wrong:
        raise UsageError("\n".join(wrong))
    return tuple(found.values())


def given_contexts(values: Mapping[str, Any]) -> tuple[Context, ...]:
    """The contexts of Python values, by name: a str is a text, a path is read as on the command line, other data get the type that they
    have. Raises UsageError."""
    if len(values) > CONTEXTS:
        raise UsageError(f"there are {len(values):,} contexts; at most {CONTEXTS} are taken")
    return tuple([_given(_checked_name(name), value) for name, value in values.items()])


def _given(name: str, value: Any) -> Context:
    if isinstance(value, PurePath):
        try:
            return Context(name, *_read(str(value), None), str(value))
        except Failure as failure:
            raise UsageError(f"{name}: {failure.message}") from None
    try:
        type_ = type_of(value)
        return Context(name, type_, conform(value, type_, name), name)
    except Mismatch as mismatch:
        raise UsageError(mismatch.message) from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply") from None


def _split(spec: str) -> tuple[str | None, str]:
    """The name, if one is given, and the path. What is before the first `=` is a name unless it has a slash: `./a=b.txt` is a path."""
    name, equals, path = spec.partition("=")
    if not equals or "/" in name or os.sep in name:
        return None, spec
    if not path:
        raise UsageError("there is nothing behind the =; write NAME=PATH")
    return name, path


def _checked_name(name: str) -> str:
    if not is_name(name) or len(name) > NAME_CHARS:
        raise UsageError(f"{quote(name)} is no name: letters, digits and _, no digit first; a path that has a = is written ./…")
    if name in _RESERVED:
        raise UsageError(f"{name} is a word of the language; give it another name: {name}_data=…")
    return name


def default_name(path: str) -> str:
    """What a file is called in a program: its name without the ending, as an identifier (`server logs.txt` is `server_logs`); `data` where
    nothing is left."""
    if path == "-":
        return "data"
    shown = os.path.basename(os.path.abspath(os.path.expanduser(path)))
    stem = os.path.splitext(shown)[0]
    letters = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", letters).strip("_")[:_DEFAULT_CHARS].rstrip("_")
    if not name:
        return "data"
    if name[0].isdigit():
        name = f"data_{name}"
    return f"{name}_data" if name in _RESERVED else name


def _read(path: str, stdin: StandardInput | None) -> tuple[Type, Any]:
    """The type and value of what is at a path. Raises UsageError, Failure."""
    if path == "-":
        if stdin is None:
            raise UsageError("standard input is not read here")
        return _read_input(standard_text(read_standard_input(stdin)))
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        return DIR, DirValue(path)
    file = FileValue.at(path)
    if file.size > FILE_BYTES:
        raise UsageError(f"it has {file.size:,} bytes, more than the {FILE_BYTES:,} that are read")
    ending = os.path.splitext(path)[1].lower()
    text = file.text
    try:
        if ending == ".json":
            found = _typed(parse_json_text(text))
            return found if found[0] != TEXT else (TEXT, text)  # as `rlm run` reads a text from any file
        if ending in _LINES:
            return _typed(read_json_lines(text, JSON), ListOf(JSON))
        if ending in TABLES:
            return _read_table(text, TABLES[ending])
    except Mismatch as mismatch:
        raise UsageError(mismatch.message) from None
    return TEXT, text


def _typed(value: Any, otherwise: Type = JSON) -> tuple[Type, Any]:
    """Data with the type that they have. Raises Mismatch."""
    found = type_of(value)
    try:
        return found, conform(value, found)
    except Mismatch:  # a number too large for the float that it would be beside others
        return otherwise, conform(value, otherwise)


def _read_table(text: str, delimiter: str) -> tuple[Type, Any]:
    """The rows of a table. The cells are read twice: as texts to find their types, then by these as `rlm run` reads them."""
    cells = read_csv(text, ListOf(JSON), delimiter)
    found = ListOf(row_type(cells, cells[0]) if cells else JSON)
    return found, read_csv(text, found, delimiter)


def _read_input(text: str) -> tuple[Type, Any]:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            return _typed(parse_json_text(text))
        except Mismatch:
            pass
    if start == "{":
        try:
            return _typed(read_json_lines(text, JSON), ListOf(JSON))
        except Mismatch:
            pass
    return TEXT, text
