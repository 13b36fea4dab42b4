"""What whoever runs a program gives for its inputs: `NAME=VALUE` texts of the command line, or Python values.

On the command line a text is read by the type that the program declares: as it is for `text`, `@notes.txt` for the text of a file, `-` for
standard input, `@rows.jsonl` (or `.json`, `.csv`, `.tsv`, `.parquet`) for a list or record (or the JSON itself), a path for `file` and
`dir`; a text that begins with `@` is written `@@…`. From Python a str is just a text: nothing in it is a path or a mark, but where a file
or a directory is declared; a `Path` stands for a list of rows, too.
"""

from __future__ import annotations

import difflib
import os
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any, Final

from attrs import evolve

from rlmlang.check.checked import InputVariable
from rlmlang.errors import Failure, UsageError
from rlmlang.files import DirValue, FileValue, decode
from rlmlang.limits import ERRORS, FILE_BYTES, HELD_BYTES, HELD_ROWS
from rlmlang.run.rows import LINES, PARQUET, stream_rows
from rlmlang.run.tables import TABLES, has_parts, read_csv, read_json_lines, read_scalar
from rlmlang.streamed import Streamed
from rlmlang.syntax.diagnostics import printable
from rlmlang.types import BOOL, DIR, FILE, FLOAT, INT, JSON, NONE, TEXT, DictOf, Enum, ListOf, Optional, RecordOf, Type
from rlmlang.values import Mismatch, conform, parse_json_text

_BEGINNING: Final = 4_096  # bytes, of which one says what is there

Given = str | Any
StandardInput = Callable[[], bytes | Path]  # gives all of it, or where a large one was put: a file that stays until the run has ended


def bind_inputs(
    declared: tuple[InputVariable, ...], given: Mapping[str, Given], *, stdin: StandardInput | None = None, partly: bool = False
) -> dict[str, Any]:
    """The value of each input that was given, by its name and of its declared type; optional ones that were not are none.

    With `stdin` (which gives all of standard input) every str is read as the command line's VALUE; without it, as a Python value.
    An input with a default that was not given is left out; with `partly`, so is one that has to be given. Raises UsageError, which says
    everything that is wrong.
    """
    reader = _CommandLine(stdin) if stdin is not None else None
    names = {variable.name: variable for variable in declared}
    bound: dict[str, Any] = {}
    wrong = [_unknown(name, list(names)) for name in given if name not in names]
    for name, variable in names.items():
        if name not in given:
            if variable.node.default is None:
                if isinstance(variable.type, Optional):
                    bound[name] = None
                elif not partly:
                    wrong.append(f"the input `{name}: {variable.type}` is missing: {_example(name, variable.type, reader is not None)}")
            continue
        value = given[name]
        try:
            if reader is not None and isinstance(value, str):
                bound[name] = reader.read(name, value, variable.type)
            else:
                opened = _with_files(value, variable.type)
                bound[name] = opened if isinstance(opened, Streamed) else conform(opened, variable.type, name)
        except (Mismatch, UsageError, Failure) as error:
            told = error.message.removeprefix(f"{name}: ")
            wrong.append(f"the input `{name}: {variable.type}`: {told}")
    if wrong:
        more = [f"… and {len(wrong) - ERRORS} more"] if len(wrong) > ERRORS else []
        raise UsageError("\n".join(printable(line) for line in (*wrong[:ERRORS], *more)))
    return bound


class _CommandLine:
    """Reads VALUEs. Standard input can be had once."""

    def __init__(self, stdin: StandardInput) -> None:
        self._stdin = stdin
        self._stdin_for = ""

    def read(self, name: str, value: str, type: Type) -> Any:
        """The value of type `type` that `value` stands for. Raises Mismatch, UsageError, Failure."""
        wanted = type.item if isinstance(type, Optional) else type
        if wanted == DIR:
            if value == "-":
                raise UsageError("standard input is no directory")
            return DirValue(_path(value))
        if wanted == FILE:
            return self._take_stdin(name) if value == "-" else FileValue.at(_path(value))
        if value == "-":
            return _read_value(self._take_stdin(name), "-", type)
        if value.startswith("@") and not value.startswith("@@"):
            path = _path(value)
            try:
                return _read_file(path, type)
            except UsageError as error:
                hint = "; a text that begins with @ is written @@…" if wanted == TEXT else ""
                raise UsageError(error.message + hint) from None
        text = value[1:] if value.startswith("@@") else value
        if not has_parts(type):
            return conform(text, type, name) if wanted == TEXT else read_scalar(text, type)
        return conform(_with_files(_literal(text, wanted), type), type, name)

    def _take_stdin(self, name: str) -> FileValue:
        if self._stdin_for:
            raise UsageError(f"standard input is taken already, by the input `{self._stdin_for}`")
        self._stdin_for = name
        return read_standard_input(self._stdin)


def read_standard_input(stdin: StandardInput) -> FileValue:
    """Standard input as a file. Raises UsageError where it cannot be read."""
    try:
        data = stdin()
    except OSError as error:
        raise _unreadable(error) from None
    return FileValue.held("-", data) if isinstance(data, bytes) else evolve(FileValue.at(data), raw="-")


def _unreadable(error: OSError) -> UsageError:
    return UsageError(f"cannot read standard input: {(error.strerror or 'unknown error').lower()}")


def standard_text(file: FileValue) -> str:
    """The text of standard input. Raises UsageError, Failure."""
    if file.size > FILE_BYTES:
        raise UsageError(f"standard input has more than the {FILE_BYTES:,} bytes that are read")
    try:
        return decode(file.place.read(file), "standard input")
    except OSError as error:
        raise _unreadable(error) from None


def _begins_a_list(file: FileValue) -> bool:
    """Whether a file that lies somewhere is one JSON list, and not lines. Raises Failure."""
    descriptor = file.opened()
    try:
        return os.read(descriptor, _BEGINNING).removeprefix(BOM_UTF8).lstrip()[:1] == b"["
    finally:
        os.close(descriptor)


def _path(value: str) -> str:
    """The path that a VALUE names: `src/`, `@notes.txt`, `~/notes.txt` (which no shell expands behind an `@`)."""
    return os.path.expanduser(value.removeprefix("@"))


def _read_file(path: str, type: Type) -> Any:
    """A value of type `type` from the file at a path. Raises Mismatch, Failure, UsageError."""
    try:
        return _read_value(FileValue.at(path), os.path.splitext(path)[1].lower(), type)
    except Mismatch as mismatch:
        raise Mismatch(f"{path}: {mismatch.message}") from None


def _read_value(file: FileValue, ending: str, type: Type) -> Any:
    """The value in a file. A list of rows is held where it is small, else read whenever it is needed (rows.py)."""
    wanted = type.item if isinstance(type, Optional) else type
    if isinstance(wanted, ListOf):
        if ending == PARQUET:
            rows = stream_rows(file, ending, wanted)
            return list(rows) if rows.weight <= HELD_BYTES and len(rows) <= HELD_ROWS else rows
        if file.size > HELD_BYTES and (ending in LINES or ending in TABLES):
            return stream_rows(file, ending, wanted)
        if file.size > HELD_BYTES and ending == "-" and not _begins_a_list(file):
            return stream_rows(file, LINES[0], wanted)
    return _read_data(standard_text(file) if ending == "-" else file.text, ending, type)


def _read_data(text: str, ending: str, type: Type) -> Any:
    """A value of type `type` from the text of a file whose name ends in `ending` (`-`: standard input). Raises Mismatch."""
    wanted = type.item if isinstance(type, Optional) else type
    if wanted == TEXT:
        return text
    if not has_parts(wanted):
        return read_scalar(text.strip(), wanted)
    many = isinstance(wanted, ListOf) or wanted == JSON
    if isinstance(wanted, ListOf) and ending in TABLES:
        return read_csv(text, wanted, TABLES[ending])
    if many and ending in LINES:
        return read_json_lines(text, wanted)
    if ending == "-" and many:
        try:
            return conform(parse_json_text(text), wanted)
        except Mismatch as whole:
            if text.lstrip()[:1] == "[" or "\n" not in text.strip():
                raise
            try:
                return read_json_lines(text, wanted)
            except Mismatch as mismatch:
                raise Mismatch(f"standard input is neither JSON ({whole.message}) nor JSON lines ({mismatch.message})") from None
    if ending in ("-", ".json"):
        return conform(parse_json_text(text), wanted)
    raise Mismatch(
        f"a {'list is read from a .json, .jsonl, .csv or .tsv file, or .parquet' if many else 'record is read from a .json file'}"
    )


def _literal(text: str, type: Type) -> Any:
    """The value of a JSON text given as it is. Raises Mismatch that says how else to give one."""
    try:
        return parse_json_text(text)
    except Mismatch as mismatch:
        raise Mismatch(f"{mismatch.message}; give it as JSON or as {'@rows.jsonl' if isinstance(type, ListOf) else '@data.json'}") from None


def _with_files(value: Any, type: Type) -> Any:
    """The value with paths opened where the type has files and directories. Raises UsageError."""
    if isinstance(value, (str, PurePath)):
        wanted = type.item if isinstance(type, Optional) else type
        if wanted == FILE:
            return FileValue.at(value)
        if wanted == DIR:
            return DirValue(value)
        if isinstance(wanted, ListOf) and isinstance(value, PurePath):
            return _read_file(str(value), type)
    if value is None or not _has_files(type):
        return value
    if isinstance(type, Optional):
        return _with_files(value, type.item)
    if isinstance(type, ListOf) and isinstance(value, (list, tuple)):
        return [_with_files(item, type.item) for item in value]
    if isinstance(type, RecordOf) and isinstance(value, Mapping):
        return {name: _with_files(item, type.get(name) or NONE) for name, item in value.items()}
    if isinstance(type, DictOf) and isinstance(value, Mapping):
        return {name: _with_files(item, type.value) for name, item in value.items()}
    return value


def _has_files(type: Type) -> bool:
    match type:
        case Optional(item=item) | ListOf(item=item) | DictOf(value=item):
            return _has_files(item)
        case RecordOf(fields=fields):
            return any(_has_files(t) for _, t in fields)
    return type in (FILE, DIR)


def _unknown(name: str, names: list[str]) -> str:
    if not names:
        return f"there is no input `{name}`: the program has none"
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"there is no input `{name}`: " + (
        f"did you mean `{near[0]}`?" if near else f"the inputs are {', '.join(f'`{n}`' for n in names)}"
    )


def _example(name: str, type: Type, command_line: bool) -> str:
    """How an input could be given."""
    wanted = type.item if isinstance(type, Optional) else type
    if isinstance(wanted, Enum):
        word = wanted.words[0]
        sample = (word, repr(word))
    elif isinstance(wanted, ListOf) and not _has_files(wanted):
        sample = ("@rows.jsonl", "[…]")
    elif wanted in _EXAMPLES:
        sample = _EXAMPLES[wanted]
    else:
        sample = ("@data.json", "{…}") if not isinstance(wanted, ListOf) else ('\'["a.txt", "b.txt"]\'', '["a.txt", "b.txt"]')
    if command_line:
        also = f", or {name}=@notes.txt for the text of a file" if wanted == TEXT else ""
        return f"give it as {name}={sample[0]}{also}"
    return f"give it as {name}={sample[1]}"


_EXAMPLES: Mapping[Type, tuple[str, str]] = {
    TEXT: ('"…"', '"…"'),
    INT: ("3", "3"),
    FLOAT: ("0.5", "0.5"),
    BOOL: ("true", "True"),
    NONE: ("none", "None"),
    FILE: ("notes.txt", 'Path("notes.txt")'),
    DIR: ("src/", 'Path("src")'),
}
