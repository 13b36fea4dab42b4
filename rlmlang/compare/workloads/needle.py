"""One needle in a haystack: RULER's single needle (S-NIAH; Hsieh et al., arXiv 2404.06654; github.com/NVIDIA/RULER,
scripts/data/synthetic/niah.py), with its wording of needle and question.

The haystack is prose of invented sentences, one a line, with other numbers in it; the needle stands at any line of it. It can be found
without a model, by whoever may search; that is what it is there to tell.
"""

from __future__ import annotations

import re
from typing import Final

from rlmlang.compare.scores import value
from rlmlang.compare.task import Item
from rlmlang.compare.workloads.corpus import Corpus, Piece, Question
from rlmlang.compare.workloads.dice import Dice

_SENTENCES: Final = (
    "The miller of {name} painted his door {colour} in the spring of {year}.",
    "In {year} a {colour} cart stood before the school of {name} for a week.",
    "Nobody in {name} remembers who built the {colour} bridge, or why.",
    "The baker from {name} walked home {count} times without an umbrella.",
    "A letter to {name} took {count} days and arrived with a {colour} stamp.",
    "The choir of {name} sang until the {colour} lamps went out.",
    "There were {count} geese on the road to {name}, and none of them moved.",
    "They say that {name} had a {colour} tower once, which fell in {year}.",
)
_COLOURS: Final = ("red", "blue", "green", "yellow", "white", "black", "grey", "brown")
_TRAITS: Final = ("quiet", "wooden", "early", "hollow", "crooked", "gentle", "narrow", "rusty", "eager", "pale")
_THINGS: Final = ("lantern", "harbour", "orchard", "violin", "meadow", "anchor", "ladder", "kettle", "window", "pebble")


def needle(n: int, seed: int) -> Corpus:
    """`n` lines, of which one is the needle."""
    dice = Dice("needle", n, seed)
    lines = [
        dice.one(_SENTENCES).format(name=dice.name(), colour=dice.one(_COLOURS), year=1700 + dice.below(300), count=2 + dice.below(97))
        for _ in range(n)
    ]
    key, number = f"{dice.one(_TRAITS)}-{dice.one(_THINGS)}", 1_000_000 + dice.below(9_000_000)
    place = dice.below(n)
    lines[place] = f"One of the special magic numbers for {key} is: {number}."
    pieces = tuple(Piece(Item(f"line {at}", line), {"number": number} if at == place + 1 else {}) for at, line in enumerate(lines, 1))
    question = Question(
        "number",
        f"A special magic number is hidden within the text. What is the special magic number for {key} mentioned in the text?",
        "int",
        lambda seen: next((piece.facts["number"] for piece in seen if piece.facts), None),
        value,
        'found = [l for l in lines(book) if "magic number" in l]\n'
        f'answer [call "What is the magic number for {key}?" on l -> int for l in found][0]\n',
        needs=lambda piece: bool(piece.facts),
    )
    return Corpus("needle", n, seed, {"book": "\n".join(lines) + "\n"}, pieces, (question,), re.compile(r"(?m)[A-Z][^\n\"\\]*\."))
