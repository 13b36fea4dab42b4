"""The files that a shell sees, as folders in folders, and the globs over them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

from attrs import define, field

from rlmlang.compare.shell.words import Char, Misuse, Word
from rlmlang.errors import Failure
from rlmlang.files import FileValue, check_unchanged
from rlmlang.limits import SHELL_NESTED, SHELL_WORDS

BLOCK: Final = 64 * 1024  # bytes that are read at once: the clock is looked at between two of them
_GLOB: Final = "*?["


@define(slots=False)
class File:
    """A file: its name, and where its bytes are. `mtime` is in seconds."""

    name: str
    source: str | FileValue = field(repr=False)

    @cached_property
    def size(self) -> int:
        return self.source.size if isinstance(self.source, FileValue) else sum(map(len, self.blocks()))

    @property
    def mtime(self) -> float:
        return self.source.mtime / 1e9 if isinstance(self.source, FileValue) else 0.0

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, some at a time. Raises Failure, OSError."""
        if isinstance(self.source, str):
            for at in range(0, len(self.source), BLOCK):
                yield self.source[at : at + BLOCK].encode("utf-8", "replace")
            return
        opened = self.source.opened()
        try:
            while block := os.read(opened, BLOCK):
                yield block
            check_unchanged(opened, self.source)
        finally:
            os.close(opened)


@define
class Folder:
    name: str
    entries: dict[str, File | Folder] = field(factory=dict, repr=False)

    def sorted(self) -> list[File | Folder]:
        return [self.entries[name] for name in sorted(self.entries)]


def tree(files: Mapping[str, str | FileValue]) -> Folder:
    """The folder that holds the files, by path. A path that cannot be one beside the others is left out: `a/b` where `a` is a file."""
    top = Folder("/")
    for given, source in files.items():
        path = given.encode("utf-8", "replace").decode()
        *folders, name = [part for part in path.split("/") if part not in ("", ".", "..")] or [""]
        folder: File | Folder | None = top
        for part in folders:
            folder = folder.entries.setdefault(part, Folder(part)) if isinstance(folder, Folder) else None
        if isinstance(folder, Folder) and name and name not in folder.entries:
            folder.entries[name] = File(name, source)
    return top


@define
class Place:
    """Where a shell stands in its tree: `cwd` are the names from the top."""

    top: Folder
    cwd: tuple[str, ...] = ()

    def names(self, path: str) -> tuple[str, ...]:
        """The names from the top to a path, which may lead nowhere."""
        found = [] if path.startswith("/") else list(self.cwd)
        for part in path.split("/"):
            if part == "..":
                del found[-1:]
            elif part not in ("", "."):
                found.append(part)
        return tuple(found)

    def look(self, path: str) -> File | Folder:
        """What is at a path. Raises Misuse with the reason alone, as `ls` and `cat` say it."""
        here: File | Folder = self.top
        walked = list[File | Folder]()
        names = path.split("/") if path.startswith("/") else [*self.cwd, *path.split("/")]
        if not path:
            raise Misuse("No such file or directory")
        for name in names:
            if name in ("", "."):
                if isinstance(here, File) and walked:
                    raise Misuse("Not a directory")
                continue
            if isinstance(here, File):
                raise Misuse("Not a directory")
            if name == "..":
                here = walked.pop() if walked else self.top
                continue
            found = here.entries.get(name)
            if found is None:
                raise Misuse("No such file or directory")
            walked.append(here)
            here = found
        return here

    def expand(self, word: Word) -> list[str]:
        """The arguments that a word stands for: braces written out, globs matched, or the word itself where they match nothing. Raises
        Misuse for more than a command line holds."""
        found: list[str] = []
        for chars in _braces(tuple(char for char in word.chars if char[0])):
            matched = self._matched(chars) if any(c in _GLOB and not quoted for c, quoted in chars) else []
            found += matched or (["".join(c for c, _ in chars)] if chars or not word.plain else [])
            if len(found) > SHELL_WORDS:
                raise Misuse("bash: argument list too long")
        return found

    def _matched(self, chars: tuple[Char, ...]) -> list[str]:
        """The paths that a glob matches, sorted, as they are written below where the glob begins."""
        segments: list[list[Char]] = [[]]
        for char in chars:
            if char[0] == "/":
                segments.append([])
            else:
                segments[-1].append(char)
        starts: list[tuple[str, File | Folder]] = [("", self.top if chars[0][0] == "/" else self._here())]
        for place, segment in enumerate(segments):
            last = place == len(segments) - 1
            slash = "" if last else "/"
            text = "".join(c for c, _ in segment)
            reached: list[tuple[str, File | Folder]] = []
            for prefix, at in starts:
                if text in ("", "."):
                    reached.append((prefix + text + slash, at))
                elif text == "..":
                    names = self.names(prefix + "..")
                    reached.append((prefix + ".." + slash, self.look("/" + "/".join(names))))
                elif isinstance(at, Folder):
                    reached += [(prefix + e.name + slash, e) for e in _matching(at, segment) if last or isinstance(e, Folder)]
                if len(reached) > SHELL_WORDS:
                    raise Misuse("bash: argument list too long")
            starts = reached
        return [path for path, _ in starts if path]

    def _here(self) -> Folder:
        here = self.look("/" + "/".join(self.cwd))
        assert isinstance(here, Folder)
        return here


def _matching(folder: Folder, segment: list[Char]) -> Iterable[File | Folder]:
    if not any(c in _GLOB and not quoted for c, quoted in segment):
        entry = folder.entries.get("".join(c for c, _ in segment))
        return [] if entry is None else [entry]
    match = compiled(segment).match
    hidden = segment[0][0] == "."
    return [entry for entry in folder.sorted() if (hidden or entry.name[0] != ".") and match(entry.name)]


def unescaped(pattern: str) -> list[Char]:
    """A glob as `find -name` takes it: a backslash quotes what follows it."""
    chars: list[Char] = []
    quoted = False
    for c in pattern:
        if c == "\\" and not quoted:
            quoted = True
        else:
            chars.append((c, quoted))
            quoted = False
    return chars


def compiled(chars: Iterable[Char], flags: int = 0) -> re.Pattern[str]:
    """What a glob matches, whole: `*` any text, `?` a character, `[…]` one of some. Time is linear in the text."""
    pattern = "".join(f"[{c}]" if quoted and c in _GLOB else c for c, quoted in chars)
    pattern = re.sub(r"\[\^", "[!", pattern)
    return re.compile(fnmatch.translate(pattern), flags)


def _braces(chars: tuple[Char, ...], depth: int = 0) -> list[tuple[Char, ...]]:
    """`a{b,c}` is `ab` and `ac`; `{1..3}` is `1`, `2`, `3`. Raises Misuse."""
    if depth > SHELL_NESTED:
        raise Misuse("bash: braces: nested too deeply")
    found = _first_brace(chars)
    if found is None:
        return [chars]
    start, end, parts = found
    words: list[tuple[Char, ...]] = []
    tails = _braces(chars[end:], depth + 1)
    for part in parts:
        for middle in _braces(part, depth + 1):
            words += [chars[:start] + middle + tail for tail in tails]
            if len(words) > SHELL_WORDS:
                raise Misuse("bash: argument list too long")
    return words


def _first_brace(chars: tuple[Char, ...]) -> tuple[int, int, list[tuple[Char, ...]]] | None:
    """Where the first brace group that stands for something begins and ends, and its parts."""
    open_: list[list[int]] = []  # for each brace that is open: its place, and those of its commas
    pairs: list[tuple[list[int], int]] = []
    for i, (c, quoted) in enumerate(chars):
        if quoted:
            continue
        if c == "{":
            open_.append([i])
        elif c == "," and open_:
            open_[-1].append(i)
        elif c == "}" and open_:
            pairs.append((open_.pop(), i))
    for commas, end in sorted(pairs):
        start = commas[0]
        if len(commas) > 1:
            return start, end + 1, [chars[a + 1 : b] for a, b in zip(commas, [*commas[1:], end], strict=True)]
        if steps := _range("".join(c for c, _ in chars[start + 1 : end])):
            return start, end + 1, [tuple((c, False) for c in step) for step in steps]
    return None


def _range(text: str) -> list[str]:
    found = re.fullmatch(r"(-?\d{1,6})\.\.(-?\d{1,6})", text)
    if not found:
        return []
    low, high = int(found[1]), int(found[2])
    if abs(high - low) > SHELL_WORDS:
        raise Misuse("bash: argument list too long")
    width = max(len(found[1]), len(found[2])) if re.match(r"-?0\d", found[1]) or re.match(r"-?0\d", found[2]) else 0
    return [f"{n:0{width}d}" for n in range(low, high + (1 if high >= low else -1), 1 if high >= low else -1)]


def reason(error: Failure | OSError) -> str:
    """What is said of a file that cannot be read."""
    return error.message if isinstance(error, Failure) else (error.strerror or "Input/output error")
