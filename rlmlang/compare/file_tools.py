"""The read-only tools for files that models with tool calls have, after those of Claude Code (code.claude.com/docs: Glob, Grep, Read).

They look things up in the data that were handed over and open nothing themselves. `read` gives lines as they stand, without numbers.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Final

from rlmlang import limits
from rlmlang.builtins.patterns import matches
from rlmlang.compare.agent import Arguments, Offer, tool
from rlmlang.compare.desk import Desk
from rlmlang.compare.files import Files
from rlmlang.errors import Failure
from rlmlang.glob import Pattern
from rlmlang.syntax.diagnostics import plural, printable

_PATHS: Final = 200  # of one result
_MATCHES: Final = 200
_LINES: Final = 2_000  # of one read, where it does not say how many
_NOTE: Final = 150  # characters of what is said of the rest of a file
_MENTION: Final = re.compile(r"(?<![\w@])@(?:\"([^\"\n]+)\"|([^\s@#`\"'()<>\[\]{},;]+))(?:#L([0-9]{1,9})(?:-L?([0-9]{1,9}))?)?")

GLOB: Final = tool(
    "glob",
    "Lists the files whose path matches a pattern, with their sizes.",
    {"pattern": "such as **/*.py, or * for the top"},
)
GREP: Final = tool(
    "grep",
    "Finds the lines that match a regular expression, as path:number:line.",
    {"pattern": "a regular expression (RE2)"},
    {"path": ("string", "a file, or a pattern such as src/**; all files where it is left out")},
)
READ: Final = tool(
    "read",
    f"Reads a file, or so many of its lines ({_LINES:,} where `limit` is left out).",
    {"path": "the file"},
    {"offset": ("integer", "the first line, from 1"), "limit": ("integer", "how many lines")},
)


def file_tools() -> list[Offer]:
    """The tools."""
    return [Offer(GLOB, _glob), Offer(GREP, _grep), Offer(READ, _read)]


async def _glob(desk: Desk, given: Arguments) -> str:
    found = list(matching(desk.files, given["pattern"]))
    lines = [f"{printable(path, 300)} ({plural(desk.files.size(path), 'byte')})" for path in found[:_PATHS]]
    return _listed(lines, len(found), "file")


async def _grep(desk: Desk, given: Arguments) -> str:
    where = given.get("path") or "**/*"
    paths = [where] if where in desk.files else list(matching(desk.files, where))
    stop = threading.Event()
    try:
        return await asyncio.to_thread(search, desk.files, paths, given["pattern"], stop)
    finally:
        stop.set()


def search(files: Files, paths: list[str], pattern: str, stop: threading.Event) -> str:
    """In a thread: the lines that match, as many as are shown; it ends early once nobody waits for it."""
    found, unread = [], 0
    total = 0
    for path in paths:
        try:
            text = files[path]
        except Failure:
            unread += 1
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if stop.is_set():
                return ""
            if matches(line, pattern):
                total += 1
                if total <= _MATCHES:
                    found.append(f"{path}:{number}:{line}")
    note = f"\n({plural(unread, 'file')} could not be read as text)" if unread else ""
    return _listed(found, total, "match") + note


async def _read(desk: Desk, given: Arguments) -> str:
    text = text_of(desk.files, given["path"])
    offset, limit = given.get("offset", 1), given.get("limit", _LINES)
    if offset < 1 or limit < 1:
        raise Failure("offset and limit are whole numbers from 1")
    lines = lines_of(text)
    if offset > len(lines):
        raise Failure(f"{given['path']} has {plural(len(lines), 'line')}")
    shown: list[str] = []
    room = desk.room - _NOTE
    for line in lines[offset - 1 : offset - 1 + limit]:
        room -= len(line) + 1
        if room < 0 and shown:
            break
        shown.append(line)
    left = len(lines) - (offset - 1 + len(shown))
    text = "\n".join(shown)
    cut = f"\n(cut: {len(text) - desk.room + _NOTE:,} more characters of this line)" if len(text) > desk.room - _NOTE else ""
    more = f"\n({plural(left, 'more line')}: read on from offset {offset + len(shown)})" if left else ""
    return (text[: desk.room - _NOTE] if cut else text) + cut + more


def lines_of(text: str) -> list[str]:
    """The lines of a text; a newline at its end begins no other."""
    return text.removesuffix("\n").split("\n")


def text_of(files: Files, path: str) -> str:
    """The text at a path. Raises Failure that says what there is."""
    path = path.removeprefix("./")
    if path not in files:
        close = [other for other in files if other.rpartition("/")[2] == path.rpartition("/")[2]]
        hint = f"; did you mean {close[0]}?" if close else f"; there is {', '.join(list(files)[:10])}" if files else ""
        raise Failure(f"there is no file {printable(path, 200)}{printable(hint, 400)}")
    return files[path]


def matching(files: Files, pattern: str) -> Iterator[str]:
    """The paths that a pattern matches. Raises Failure for one that can match nothing."""
    wanted = Pattern.parse(pattern.removeprefix("./"))
    for path in files:
        *folders, name = path.split("/")
        state = wanted.start
        for folder in folders:
            state = wanted.enter(state, folder)
        if state and wanted.accepts(state, name):
            yield path


def mentioned(files: Files, prompt: str) -> list[tuple[str, int, int | None]]:
    """The files that a prompt mentions as `@path` (`@"a path"`), or lines of them as `@path#L10-20`: path, first line and last (None: the
    end), each once, in order. What is no file is no mention."""
    found = []
    for quoted, bare, first, last in _MENTION.findall(prompt):
        path = quoted or (bare if bare in files else bare.rstrip(".:!?"))
        if path in files:
            found.append((path, int(first or 1), int(last or first) if first else None))
    return list(dict.fromkeys(found))


def part(text: str, first: int, last: int | None) -> str:
    """The lines `first` to `last` (from 1, inclusive) of a text; all of it as it stands for the lines from 1 to the end."""
    return text if first == 1 and last is None else "\n".join(text.split("\n")[max(0, first - 1) : last])


def label(path: str, first: int, last: int | None) -> str:
    """How a mention is written."""
    return path if first == 1 and last is None else f"{path}#L{first}" if last == first else f"{path}#L{first}-{last or ''}".rstrip("-")


def _listed(lines: list[str], total: int, noun: str) -> str:
    if not lines:
        return f"no {noun}"
    left = total - len(lines)
    return "\n".join(lines) + (f"\n({left:,} more)" if left else "")


def overview(files: Files) -> str:
    """What there is, in some lines: so many files, the first of them with their sizes."""
    shown = [f"- {printable(path, 200)} ({plural(files.size(path), 'byte')})" for path in list(files)[: limits.FILES_SHOWN]]
    more = len(files) - len(shown)
    return "\n".join([f"The data: {plural(len(files), 'file')}.", *shown, *([f"- … and {more:,} more"] if more else [])])
