"""How good an answer is: from 0 to 1, by the rules of the benchmarks that the workloads follow, as far as these can be trusted.

`number` is the 0.75^|error| of OOLONG, `word` its exact match for the rest (arXiv 2511.02817; github.com/abertsch72/oolong).
`pairs` is the F1 over pairs of OOLONG-Pairs (arXiv 2512.24601, appendix D.1), `names` the same over a set of names. `value` is for the one
number that RULER's single needle hides (github.com/NVIDIA/RULER); RULER itself looks for it anywhere in the reply.

An answer may be a value of the right type, or a text as a model writes it: `Answer: 17`, `**entity**`, pairs one a line. None of them
gives credit for a gold answer that merely occurs in a longer text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_BASE: Final = 0.75
_FAR: Final = 1_000  # an error from which on nothing is left of 0.75^error
_LABELLED: Final = re.compile(r"(?s)^(?:final )?(?:answer|label|user|date|month|number|count|name|value)\s*:\s*(.*)$", re.I)
_EDGES: Final = " \t\r\n.*_`\"'[]()"
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.0{1,9})?")
_PAIR: Final = re.compile(r"[(\[{]?\s*(\d{1,18})\s*[,;&-]\s*(\d{1,18})\s*[)\]}]?")
_BULLET: Final = re.compile(r"^\s*(?:[-*•]|\d{1,9}[.)])\s+")
_SEVEN: Final = re.compile(r"(?<![\d.,])\d{7}(?![\d]|[.,]\d)")


def number(answer: Any, gold: Any) -> float:
    """0.75^|answer - gold| for whole numbers."""
    given = _whole(answer)
    if given is None:
        return 0.0
    error = abs(given - int(gold))
    return 0.0 if error > _FAR else float(_BASE**error)


def word(answer: Any, gold: Any) -> float:
    """1 where the answer is the word or number of `gold`, but for case, space, quotes and emphasis."""
    if isinstance(answer, bool) or not isinstance(answer, (str, int)):
        return 0.0
    return float(_plain(str(answer)) == _plain(str(gold)))


def value(answer: Any, gold: Any) -> float:
    """1 where the answer is the number of seven digits that `gold` is, or a sentence with that one alone."""
    if isinstance(answer, str):
        found = set(_SEVEN.findall(answer))
        return float(found == {str(gold)})
    return float(_whole(answer) == int(gold))


def pairs(answer: Any, gold: Any) -> float:
    """F1 over pairs of numbers; which of the two stands first does not count, nor does a pair that stands twice."""
    return _f1(_pairs(answer), _pairs(gold))


def names(answer: Any, gold: Any) -> float:
    """F1 over a set of names; of a path its last part."""
    return _f1(_names(answer), _names(gold))


def _f1(given: set[Any] | None, gold: set[Any] | None) -> float:
    if given is None or gold is None:
        return 0.0
    if not given and not gold:
        return 1.0
    return 2 * len(given & gold) / (len(given) + len(gold))


def _parsed(answer: Any) -> Any:
    """The list that a text is as JSON, else the answer as it is."""
    if isinstance(answer, str) and answer.lstrip().startswith("["):
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            return answer
    return answer


def _plain(text: str) -> str:
    """What a text says, without `Answer:` before it and marks around it."""
    text = text.strip(_EDGES)
    found = _LABELLED.match(text)
    return " ".join((found[1] if found else text).strip(_EDGES).split()).casefold()


def _whole(answer: Any) -> int | None:
    """A whole number: as a value, or as all that a text says."""
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int):
        return answer
    if isinstance(answer, float):
        return int(answer) if answer.is_integer() else None
    if not isinstance(answer, str):
        return None
    found = _NUMBER.fullmatch(_plain(answer))
    return int(found[0].split(".")[0].replace(",", "")) if found else None


def _pairs(answer: Any) -> set[tuple[int, int]] | None:
    """The pairs of an answer, the lower number first; None where it is nothing of the kind. Of a text, the lines that are pairs and nothing
    else."""
    answer = _parsed(answer)
    if isinstance(answer, str):
        return set(_written_pairs(answer))
    if isinstance(answer, Mapping) or not isinstance(answer, Iterable):
        return None
    found: set[tuple[int, int]] = set()
    for entry in answer:
        if isinstance(entry, str):
            found.update(_written_pairs(entry))
            continue
        parts = list(entry.values()) if isinstance(entry, Mapping) else list(entry) if isinstance(entry, Iterable) else []
        numbers = [_whole(part) for part in parts]
        if len(numbers) != 2 or None in numbers:
            return None
        found.add(_ordered(*(int(n) for n in numbers if n is not None)))
    return found


def _written_pairs(text: str) -> Iterable[tuple[int, int]]:
    for line in text.splitlines():
        line = _BULLET.sub("", line).strip()
        rest = _PAIR.sub("", line)
        if not rest.strip(" ,;[]."):
            yield from (_ordered(int(a), int(b)) for a, b in _PAIR.findall(line))


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a <= b else (b, a)


def _names(answer: Any) -> set[str] | None:
    """The names of an answer: a list of texts, or a text with one a line or commas between them."""
    answer = _parsed(answer)
    if isinstance(answer, str):
        lines = answer.strip().splitlines()
        parts = [part for line in lines for part in _BULLET.sub("", line).split(",")]
    elif isinstance(answer, Mapping) or not isinstance(answer, Iterable):
        return None
    else:
        parts = []
        for entry in answer:
            if isinstance(entry, Mapping) and len(entry) == 1:
                entry = next(iter(entry.values()))
            if not isinstance(entry, str):
                return None
            parts.append(entry)
    return {name for part in parts if (name := part.strip(_EDGES).rpartition("/")[2].casefold())}
