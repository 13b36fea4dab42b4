"""What becomes of a root model's reply, on either side."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen


@frozen
class Outcome:
    """`parsed`: it is a program; `checked`: it has no other error that is known before it runs (Python: it ran to its end); `answered`:
    it gave an answer. `problem` is what the root model is told where there is no answer."""

    program: str
    parsed: bool = False
    checked: bool = False
    answered: bool = False
    answer: Any = None
    problem: str = ""


def fenced(reply: str) -> str:
    """The first program between fences of three backquotes, or all of the reply where there is none."""
    found = re.search(r"^```[^\n]*\n(.*?)(?:^```|\Z)", reply, re.S | re.M)
    return found[1] if found else reply
