"""Counting and comparing labels over lines, as OOLONG-synth asks for it (Bertsch et al., arXiv 2511.02817, appendix; the three groups of
its questions: counting, users, dates). Every line has to be read, and none of them says what it is.

The wording follows OOLONG's, but for the form of the answer: here the answer is a value, and the score does not look for it in prose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rlmlang.compare.scores import number, word
from rlmlang.compare.workloads.corpus import Corpus, Piece, Question
from rlmlang.compare.workloads.dice import Dice
from rlmlang.compare.workloads.records import ASK, KEY, KINDS, LABEL_TYPE, LABELS, counted, records, some_users

_ABOUT = f"Each instance asks for one of six kinds of thing, its label: {KINDS}. The data do not say which. "
_TIE = " (Of those that are equally common, the one first in the alphabet.)"
_RELATION = '"more common" | "less common" | "same frequency"'


def counting(n: int, seed: int) -> Corpus:
    """`n` lines of records, and seven questions."""
    dice = Dice("counting", n, seed)
    text, pieces = records(dice, n, some_users(n))
    one, other = dice.some(LABELS, 2)
    present = sorted({piece.facts["label"] for piece in pieces})
    asked = dice.one(present)
    user = dice.one([piece.facts["user"] for piece in pieces])
    day = dice.one(sorted(piece.facts["date"] for piece in pieces)[n // 4 : n // 4 + n // 2 + 1])
    words = " | ".join(f'"{label}"' for label in LABELS)
    questions = (
        _question(
            "how many", f"In the data, how many instances have the label {asked}?", "int", lambda c: c[asked], f'count(labels, "{asked}")'
        ),
        _question("most", f"In the data, which of the labels is the most common?{_TIE}", words, most, _RANKED + "first(ranked, 1)[0]"),
        _question(
            "least", f"In the data, which of the labels is the least common?{_TIE}", words, least, _RANKED_UP + "first(ranked, 1)[0]"
        ),
        _question(
            "compare",
            f"In the data, is the label {one} more common, less common, or of the same frequency as the label {other}?",
            _RELATION,
            lambda c: relation(c[one], c[other]),
            _COMPARED.format(one=one, other=other),
        ),
        _question(
            "of a user",
            f"In the data, how many instances of user {user} have the label {asked}?",
            "int",
            lambda c: c[asked],
            f'count(labels, "{asked}")',
            where=lambda piece: bool(piece.facts["user"] == user),
            code=f'" || User: {user} || " in l',
        ),
        _question(
            "before a day",
            f"Among the instances with a date before {day}, how many have the label {asked}?",
            "int",
            lambda c: c[asked],
            f'count(labels, "{asked}")',
            where=lambda piece: bool(piece.facts["date"] < day),
            code=f'split(split(l, "Date: ")[1], " ")[0] < "{day}"',
        ),
        _question(
            "since a day",
            f"Among the instances with a date of {day} or later, is the label {one} more common, less common, or of the same frequency as "
            f"the label {other}?",
            _RELATION,
            lambda c: relation(c[one], c[other]),
            _COMPARED.format(one=one, other=other),
            where=lambda piece: bool(piece.facts["date"] >= day),
            code=f'split(split(l, "Date: ")[1], " ")[0] >= "{day}"',
        ),
    )
    return Corpus("counting", n, seed, {"messages": text}, pieces, questions, KEY)


_COMPARED = (
    'ones = count(labels, "{one}")\nothers = count(labels, "{other}")\n'
    'answer "more common" if ones > others else "less common" if ones < others else "same frequency"\n'
)
_KINDS_SORTED = f"kinds = [{', '.join(f'{chr(34)}{label}{chr(34)}' for label in LABELS)}]\n"
_RANKED = _KINDS_SORTED + "ranked = sorted(kinds, key=lambda k: -count(labels, k))\nanswer "
_RANKED_UP = _KINDS_SORTED + "ranked = sorted(kinds, key=lambda k: count(labels, k))\nanswer "


def labelled(code: str | None = None) -> str:
    """The head of a program: `labels` of all lines of `messages`, or of those that `code` takes."""
    chosen = f" if {code}" if code else ""
    return f'{LABEL_TYPE}\nlabels = [call "{ASK}" on split(l, "Instance: ")[1] -> Label for l in lines(messages){chosen}]\n'


def most(counts: Mapping[str, int]) -> str:
    return max(LABELS, key=lambda label: counts[label])


def least(counts: Mapping[str, int]) -> str:
    return min(LABELS, key=lambda label: counts[label])


def relation(one: int, other: int) -> str:
    return "more common" if one > other else "less common" if one < other else "same frequency"


def _question(
    name: str,
    text: str,
    type: str,
    answer: Callable[[Mapping[str, int]], int | str],
    program: str,
    *,
    where: Callable[[Piece], bool] = lambda piece: True,
    code: str | None = None,
) -> Question:
    def answered(pieces: Sequence[Piece]) -> int | str:
        return answer(counted(pieces, where))

    program = program if "answer " in program else f"answer {program}\n"
    score = number if type == "int" else word
    return Question(name, _ABOUT + text, type, answered, score, labelled(code) + program.rstrip("\n") + "\n", where)
