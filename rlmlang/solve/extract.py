"""The one program in a reply of the root model. The rule, in order:

1. What stands between `<think>` and `</think>` at the start is dropped.
2. Where there are code fences (``` or ~~~ at the start of a line), the first one marked `rlm` or `rlmlang` has the program; without such
   a mark the first of all. What comes after it was written without having seen what it shows, so it does not count.
3. Without a fence, the whole reply is the program if it parses.
4. Else the program begins at the first line that looks like a statement (`NAME = …`, `answer …`, `fn …`, `type …`) and goes on as far as
   it parses; if no part does, all from there on is the program, whose errors are then reported.
5. Else there is no program. Prose is never searched for an answer.

Where a grammar saw to it that the reply is one block, its last line is the end of it: a fence before that is part of a text.
"""

from __future__ import annotations

import re
from typing import Final

from rlmlang.errors import ProgramError
from rlmlang.limits import SOURCE_CHARS
from rlmlang.syntax import parse

_THOUGHT: Final = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_FENCE: Final = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*")
_WHOLE: Final = re.compile(r"```rlm\n(.*)\n```\n?", re.DOTALL)
_STATEMENT: Final = re.compile(
    r"(?:[A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*[ \t]*=(?![=>])|answer\b(?=[ \t]*[\[{\"'(\w])|fn[ \t]+\w+[ \t]*\(|type[ \t]+\w+[ \t]*=)"
)
_MARKS: Final = ("rlm", "rlmlang")
_TRIES: Final = 60  # ends of a bare program that are tried: each takes a parse


def extract(reply: str, *, only: bool = False) -> str | None:
    """The program in `reply`, without its fence; None where there is none. `only`: a grammar saw to it that there is nothing else."""
    reply = reply.replace("\r\n", "\n").replace("\r", "\n")
    if only and (whole := _WHOLE.fullmatch(reply)):
        return whole[1]
    thought = _THOUGHT.match(reply)
    if thought is not None:
        reply = reply[thought.end() :]
    blocks = _blocks(reply)
    if blocks:
        program = next((text for mark, text in blocks if mark.lower() in _MARKS), blocks[0][1])
        return program if program.strip() else None
    return _bare(reply)


def _blocks(reply: str) -> list[tuple[str, str]]:
    """The fenced blocks: mark and text. One that is not closed goes on to the end."""
    found: list[tuple[str, str]] = []
    mark, fence, lines = "", "", list[str]()
    for line in reply.split("\n"):
        opened = _FENCE.fullmatch(line.rstrip())
        if not fence and opened is not None:
            fence, mark = opened[1], opened[2]
        elif fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            found.append((mark, "\n".join(lines)))
            mark, fence, lines = "", "", []
        elif fence:
            lines.append(line)
    if fence:
        found.append((mark, "\n".join(lines)))
    return found


def _bare(reply: str) -> str | None:
    """The program in a reply without fences."""
    if not reply.strip():
        return None
    if _parses(reply):
        return reply.strip("\n")
    lines = reply.split("\n")
    first = next((at for at, line in enumerate(lines) if _STATEMENT.match(line)), None)
    if first is None:
        return None
    for end in range(len(lines), max(first, len(lines) - _TRIES), -1):
        part = "\n".join(lines[first:end])
        if _parses(part):
            return part.rstrip()
    return "\n".join(lines[first:]).rstrip()


def _parses(text: str) -> bool:
    if len(text) > SOURCE_CHARS:
        return False
    try:
        parse(text)
    except ProgramError:
        return False
    return True
