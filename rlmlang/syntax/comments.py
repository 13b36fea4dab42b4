"""The comments of a program on their way to the places where its new layout can hold them.

They are handed out in the order of the text: each place asks for those that stood before it. A place asks only where a line may end, so a
comment that stood where none may end any more (within parentheses that are dropped, say) goes to the next such place; none is ever lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rlmlang.syntax.layout import EMPTY, HARD, Doc, Indent, Remark, Text, concat
from rlmlang.syntax.nodes import Comment, Program
from rlmlang.syntax.source import Span

_BEFORE_CLOSER = {"}": re.compile(r"(?:[\s,)]|#[^\n]*)*\}"), ")": re.compile(r"(?:[\s,]|#[^\n]*)*\)")}
_AFTER_BRACKET = re.compile(r"\[(?:[\s(]|#[^\n]*)*")
_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_BEFORE_ELSE = re.compile(r"(?:\s|#[^\n]*)*else\b")


class Comments:
    """Those of one program not yet written."""

    def __init__(self, program: Program) -> None:
        self._text = program.source.text
        self._waiting = sorted(program.comments, key=lambda comment: comment.span.start, reverse=True)

    def take(self, before: int) -> list[Comment]:
        """Those that stood before an offset."""
        taken = []
        while self._waiting and self._waiting[-1].span.start < before:
            taken.append(self._waiting.pop())
        return taken

    def drop(self, span: Span) -> bool:
        """Forgets those within `span`, which is written as it was; whether there are any."""
        kept = [c for c in self._waiting if not span.start <= c.span.start < span.end]
        found = len(kept) < len(self._waiting)
        self._waiting = kept
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Gives none away meanwhile."""
        held, self._waiting = self._waiting, []
        yield
        self._waiting = held

    def ends_line(self, comment: Comment) -> bool:
        """Whether something stood before it on its line."""
        start = self._text.rfind("\n", 0, comment.span.start) + 1
        return not self._text[start : comment.span.start].isspace() and start < comment.span.start

    def doc(self, before: int) -> Doc | None:
        """Those before an offset: the first at the end of the line if it stood at the end of one, the others on lines of their own."""
        parts: list[Doc] = []
        for comment in self.take(before):
            if not parts and self.ends_line(comment):
                parts.append(Remark("  " + comment.text))
            else:
                parts += [HARD, Text(comment.text)]
        return concat(*parts) if parts else None

    def tail(self, before: int) -> Doc | None:
        """Only the next one, and only if it stood at the end of a line, before an offset."""
        if not (self._waiting and self._waiting[-1].span.start < before and self.ends_line(self._waiting[-1])):
            return None
        return Remark("  " + self._waiting.pop().text)

    def gap(self, before: int, line: Doc) -> Doc:
        """A place between two parts: `line`, or the comments and a break."""
        comments = self.doc(before)
        return line if comments is None else concat(comments, HARD)

    def closing(self, before: int, line: Doc) -> Doc:
        """The place before a closing bracket, with its comments indented like what is inside."""
        comments = self.doc(before)
        return line if comments is None else concat(Indent(comments), HARD)

    def rest_of_line(self, end: int) -> Doc:
        """What a statement that ended at `end` left over, and the comment after it on its line."""
        newline = self._text.find("\n", end)
        return self.doc(len(self._text) + 1 if newline < 0 else newline) or EMPTY

    def blank_before(self, offset: int) -> bool:
        """Whether the line above that of an offset was blank."""
        start = self._text.rfind("\n", 0, offset)
        above = self._text.rfind("\n", 0, max(start, 0))
        return start > 0 and not self._text[above + 1 : start].strip()

    def closer(self, end: int, bracket: str) -> int:
        """The offset of the closing bracket after something that ends at `end`."""
        found = _BEFORE_CLOSER[bracket].match(self._text, end) if self._waiting else None
        return found.end() - 1 if found else end

    def inside(self, start: int) -> int:
        """The offset of the first thing within the bracket at `start`, or `start` where there is none."""
        found = _AFTER_BRACKET.match(self._text, start) if self._waiting else None
        return found.end() if found else start

    def skip_space(self, start: int) -> int:
        """The offset of the next thing after `start` that is neither space nor a comment."""
        found = _SPACE.match(self._text, start)
        return found.end() if found else start

    def at_else(self, brace: int) -> int:
        """The offset of the `else` after a closing brace."""
        found = _BEFORE_ELSE.match(self._text, brace + 1) if self._waiting else None
        return found.end() - 4 if found else brace
