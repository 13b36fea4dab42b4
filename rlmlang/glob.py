"""Glob patterns, matched name by name on the way down a tree, so that a folder that cannot hold a match is never opened.

A pattern is a few alternatives (`{a,b}` written out), each a row of segments between slashes. A state is the set of places in them that the
way so far may have reached: matching never backtracks from one name to another, and within a name `fnmatch` is linear.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from attrs import field, frozen

from rlmlang.errors import Failure
from rlmlang.limits import GLOB_ALTERNATIVES, GLOB_CHARS

State = frozenset[tuple[int, int]]  # (alternative, segment that the next name must match)


@frozen
class Segment:
    """One name of a pattern. `any_depth` is `**`; `hidden` says that it names files which begin with a dot."""

    any_depth: bool
    hidden: bool
    match: re.Pattern[str] = field(repr=False)

    def accepts(self, name: str) -> bool:
        return (self.hidden or name[0] != ".") and self.match.match(name) is not None


@frozen
class Pattern:
    """A glob pattern, read. `start` is the state at the root."""

    alternatives: tuple[tuple[Segment, ...], ...]
    start: State

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises Failure for what can match no file below a directory."""
        if len(text) > GLOB_CHARS:
            raise Failure(f"a file pattern has at most {GLOB_CHARS:,} characters, this one {len(text):,}")
        rows = tuple(dict.fromkeys(_segments(text, whole) for whole in _expand(text)))
        return cls(rows, _closed(rows, ((row, 0) for row in range(len(rows)))))

    def enter(self, state: State, folder: str) -> State:
        """The state inside a folder; empty if nothing below it can match."""
        reached = []
        for row, at in state:
            segments = self.alternatives[row]
            segment = segments[at]
            if segment.any_depth:
                if folder[0] != ".":
                    reached.append((row, at))
            elif at + 1 < len(segments) and segment.accepts(folder):
                reached.append((row, at + 1))
        return _closed(self.alternatives, reached)

    def accepts(self, state: State, name: str) -> bool:
        """Whether a file of this name, in a folder in this state, matches."""
        for row, at in state:
            segments = self.alternatives[row]
            if at == len(segments) - 1 and segments[at].accepts(name):
                return True
        return False


def _closed(rows: tuple[tuple[Segment, ...], ...], places: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> State:
    """The places, and those behind a `**`, which may stand for no folder at all."""
    reached = set()
    for row, at in places:
        reached.add((row, at))
        if rows[row][at].any_depth and at + 1 < len(rows[row]):  # two in a row are read as one
            reached.add((row, at + 1))
    return frozenset(reached)


def _segments(pattern: str, whole: str) -> tuple[Segment, ...]:
    if whole.startswith("/"):
        raise Failure(f"the file pattern {pattern!r} must be relative to the directory")
    if whole.endswith("/"):
        raise Failure(f"the file pattern {pattern!r} names a folder; all files in it are {whole + '**/*'!r}")
    names = [name for name in whole.split("/") if name not in ("", ".")]
    if not names:
        raise Failure(f"the file pattern {pattern!r} names no file; all files are '**/*'")
    if ".." in names:
        raise Failure(f"the file pattern {pattern!r} leads out of the directory: '..' is not allowed")
    return tuple(_segment(name) for i, name in enumerate(names) if name != "**" or names[i - 1 : i] != ["**"])


def _segment(name: str) -> Segment:
    return Segment(name == "**", name.startswith("."), re.compile(fnmatch.translate(name)))


def _expand(text: str) -> list[str]:
    """`a{b,c{d,e}}` is `ab acd ace`. Braces without a comma or a partner are plain characters."""
    done: list[str] = []
    todo = [(text, 0)]
    while todo:
        whole, start = todo.pop()
        group = _first_group(whole, start)
        if group is None:
            done.append(whole)
        else:
            at, end, parts = group
            todo.extend((whole[:at] + part + whole[end:], at) for part in reversed(parts))
        if len(done) + len(todo) > GLOB_ALTERNATIVES:
            raise Failure(f"the braces of a file pattern stand for more than {GLOB_ALTERNATIVES} patterns")
    return done


def _first_group(text: str, start: int) -> tuple[int, int, list[str]] | None:
    """Where the first brace group with a comma begins and ends, and its parts."""
    at = text.find("{", start)
    while at >= 0:
        depth, part = 0, at + 1
        parts: list[str] = []
        for i in range(at, len(text)):
            if text[i] == "{":
                depth += 1
            elif text[i] == "}":
                depth -= 1
                if depth == 0:
                    if parts:
                        return at, i + 1, [*parts, text[part:i]]
                    break
            elif text[i] == "," and depth == 1:
                parts.append(text[part:i])
                part = i + 1
        at = text.find("{", at + 1)
    return None
