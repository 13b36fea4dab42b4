"""Lines as OOLONG has them: a date, a user and a short question, whose kind only a reader can tell.

    No. 17 || Date: 2023-03-09 || User: 44436 || Instance: Who founded the town of Velmarnor?

The kinds are the six coarse ones of TREC questions, which OOLONG's `trec_coarse` split and all of OOLONG-Pairs use. As there, four of
five lines belong to one of five users, and how common each kind is differs from corpus to corpus. Unlike there, the questions are made
from templates with invented names, so that there are as many as are wanted, each once; lines are numbered, and dates are written with
digits.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from typing import Final

from rlmlang.compare.task import Item
from rlmlang.compare.workloads.corpus import Piece
from rlmlang.compare.workloads.dice import Dice

LABELS: Final = ("abbreviation", "description", "entity", "human being", "location", "numeric value")
LABEL_TYPE: Final = "type Label = " + " | ".join(f'"{label}"' for label in LABELS)
KINDS: Final = (
    "abbreviation (what letters stand for), description (an explanation, a reason, a way to do something), entity (an animal, a food, a "
    "colour, a language, a thing), human being (a person), location (a place), numeric value (a count, a size, a year)"
)
ASK: Final = "What does this question ask for?"
KEY: Final = re.compile(r"No\. \d+|(?:What|Which|Who|Where|In which|How|When|Why)\b[^?|\n]*\?")
_FIRST_DAY: Final = datetime.date(2023, 1, 1).toordinal()
_FIRST_USER: Final = 10_000

_TEMPLATES: Final[Mapping[str, Sequence[str]]] = {
    "abbreviation": ("What does {abc} stand for?", "What is {abc} short for?", "What do the letters {abc} mean?"),
    "description": (
        "Why was the bridge of {name} closed?",
        "How is the cheese of {name} made?",
        "What is meant by the {name} effect?",
        "How did the fire of {name} start?",
        "How do you get from {name} to the coast without a car?",
    ),
    "entity": (
        "What animal is on the flag of {name}?",
        "What colour is the town hall of {name}?",
        "What language is spoken in {name}?",
        "Which instrument did {name} play?",
        "What food is {name} famous for?",
    ),
    "human being": (
        "Who founded the town of {name}?",
        "Who was the first mayor of {name}?",
        "Who wrote the song The {name} Road?",
        "Who taught {name} to swim?",
        "Which painter lived in {name}?",
    ),
    "location": (
        "Where is {name}?",
        "In which country is {name}?",
        "Where was {name} born?",
        "Where is the statue of {name}?",
        "Which river does the bridge of {name} cross?",
    ),
    "numeric value": (
        "How many people live in {name}?",
        "When was the town of {name} founded?",
        "How tall is the tower of {name}?",
        "How far is {name} from the sea?",
        "What year did {name} die?",
    ),
}


def records(dice: Dice, n: int, users: int) -> tuple[str, tuple[Piece, ...]]:
    """The text, and its lines as pieces with the facts `no`, `date`, `user` and `label`."""
    weights = [0.3 + dice.share() for _ in LABELS]
    known = [_FIRST_USER + at for at in dice.some(range(9 * users), users)]
    common = max(1, users // 5)
    pieces = []
    lines = []
    for no in range(1, n + 1):
        label = dice.weighted(LABELS, weights)
        template = dice.one(_TEMPLATES[label])
        text = template.format(abc=dice.letters()) if "{abc}" in template else template.format(name=dice.name())
        date = datetime.date.fromordinal(_FIRST_DAY + dice.below(365)).isoformat()
        user = dice.one(known[:common]) if dice.share() < 0.8 or common == users else dice.one(known[common:])
        pieces.append(Piece(Item(f"No. {no}", text), {"no": no, "date": date, "user": user, "label": label}))
        lines.append(f"No. {no} || Date: {date} || User: {user} || Instance: {text}")
    return "\n".join(lines) + "\n", tuple(pieces)


def some_users(n: int) -> int:
    """As many users as leave each some lines, and fewer pairs of them than a thousand to a line."""
    return max(2, min(n, 3 * isqrt(n)))


def counted(pieces: Sequence[Piece], where: Callable[[Piece], bool] = lambda piece: True) -> dict[str, int]:
    """How often each label is there, in the order of `LABELS`."""
    counts = dict.fromkeys(LABELS, 0)
    for piece in pieces:
        if where(piece):
            counts[piece.facts["label"]] += 1
    return counts
