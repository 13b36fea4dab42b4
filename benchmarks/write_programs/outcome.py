"""What becomes of a root model's reply, on either side."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

TURNS: Final = 3  # programs that a root model may write for a task: one, and two repairs


@frozen
class Outcome:
    """A turn. `parsed`: it is a program; `checked`: it has no other error that is known before it runs (Python: it ran to its end);
    `answered`: it gave `answer`. `told` is what the root model is told where there is no answer; `asked` counts sub-calls."""

    program: str
    parsed: bool = False
    checked: bool = False
    answered: bool = False
    answer: Any = None
    told: str = ""
    asked: int = 0


def fenced(reply: str) -> str:
    """The first program between fences of three backquotes, or all of the reply where there is none."""
    found = re.search(r"^```[^\n]*\n(.*?)(?:^```|\Z)", reply, re.S | re.M)
    return found[1] if found else reply
