"""Pairs of users whose lines go together: the twenty questions of OOLONG-Pairs (Zhang, Kraska and Khattab, arXiv 2512.24601, appendix D.1),
scored by F1. The answer is quadratic in the users, though every line has to be read only once: what is known of the lines for one
question is all that the nineteen others need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from rlmlang.compare.scores import pairs as f1
from rlmlang.compare.workloads.corpus import Corpus, Piece, Question
from rlmlang.compare.workloads.dice import Dice
from rlmlang.compare.workloads.records import ASK, KEY, KINDS, LABEL_TYPE, records, some_users

ABBREVIATION, DESCRIPTION, ENTITY, HUMAN, LOCATION, NUMERIC = (
    "abbreviation",
    "description",
    "entity",
    "human being",
    "location",
    "numeric value",
)


@frozen
class Times:
    """So many instances of a label: at least `least`, or exactly so many."""

    label: str
    least: int = 1
    exactly: bool = False

    @property
    def said(self) -> str:
        many = "instance" if self.least == 1 else "instances"
        return f"{'exactly' if self.exactly else 'at least'} {('one', 'two')[self.least - 1]} {many} with the label {self.label}"

    @property
    def code(self) -> str:
        return f'count(ls, "{self.label}") {"==" if self.exactly else ">="} {self.least}'

    def holds(self, counts: Mapping[str, int]) -> bool:
        count = counts.get(self.label, 0)
        return count == self.least if self.exactly else count >= self.least


@frozen
class Both:
    """Both users have an instance of one of the labels, and all that they have of `dated` are after (or before) a day."""

    either: tuple[str, str]
    dated: str | None = None
    after: bool = True
    day: str = ""

    @property
    def said(self) -> str:
        text = f"where both users have at least one instance with the label {self.either[0]} or {self.either[1]}"
        when = f", and all instances of both with the label {self.dated} are {'after' if self.after else 'before'} {self.day}"
        return text + (when if self.dated else "")

    @property
    def code(self) -> str:
        text = f'fn fits(rs: [Row]) -> bool {{ any(r.label in ["{self.either[0]}", "{self.either[1]}"] for r in rs)'
        wrong = "<=" if self.after else ">="
        return text + (f' and not any(r.label == "{self.dated}" and r.date {wrong} "{self.day}" for r in rs) }}' if self.dated else " }")

    def holds(self, rows: Sequence[Piece]) -> bool:
        if not any(row.facts["label"] in self.either for row in rows):
            return False
        dates = [row.facts["date"] for row in rows if row.facts["label"] == self.dated]
        return all(date > self.day if self.after else date < self.day for date in dates)


@frozen
class Each:
    """One of the two users has all of `one`, the other all of `other`."""

    one: tuple[Times, ...]
    other: tuple[Times, ...]

    @property
    def said(self) -> str:
        first, second = (" and ".join(times.said for times in side) for side in (self.one, self.other))
        return f"such that one user has {first}, and the other user has {second}"


_QUESTIONS: Final[tuple[Both | Each, ...]] = (
    Both((NUMERIC, LOCATION)),
    Both((ENTITY, HUMAN)),
    Both((DESCRIPTION, ABBREVIATION)),
    Both((HUMAN, LOCATION), HUMAN, True, "2023-01-06"),
    Both((ENTITY, NUMERIC), ENTITY, False, "2023-03-15"),
    Both((LOCATION, ABBREVIATION)),
    Both((DESCRIPTION, NUMERIC), NUMERIC, True, "2023-02-01"),
    Both((HUMAN, DESCRIPTION)),
    Both((ENTITY, LOCATION), LOCATION, True, "2023-04-10"),
    Both((NUMERIC, ABBREVIATION), ABBREVIATION, False, "2023-05-20"),
    Each((Times(ENTITY), Times(ABBREVIATION)), (Times(ENTITY, exactly=True),)),
    Each((Times(NUMERIC, 2),), (Times(LOCATION), Times(HUMAN))),
    Each((Times(DESCRIPTION, exactly=True),), (Times(ABBREVIATION), Times(ENTITY))),
    Each((Times(HUMAN), Times(NUMERIC)), (Times(LOCATION, 2, exactly=True),)),
    Each((Times(ENTITY), Times(LOCATION), Times(ABBREVIATION)), (Times(NUMERIC, exactly=True),)),
    Each((Times(DESCRIPTION), Times(HUMAN)), (Times(ENTITY, 2), Times(ABBREVIATION, exactly=True))),
    Each((Times(NUMERIC, exactly=True),), (Times(LOCATION), Times(DESCRIPTION))),
    Each((Times(ABBREVIATION), Times(HUMAN, exactly=True)), (Times(ENTITY), Times(NUMERIC))),
    Each((Times(LOCATION, 2), Times(ENTITY)), (Times(DESCRIPTION, exactly=True), Times(ABBREVIATION, exactly=True))),
    Each((Times(NUMERIC), Times(HUMAN)), (Times(LOCATION), Times(ENTITY), Times(ABBREVIATION, exactly=True))),
)


def pairs(n: int, seed: int) -> Corpus:
    """`n` lines of records, and the twenty questions."""
    dice = Dice("pairs", n, seed)
    text, pieces = records(dice, n, some_users(n))
    questions = tuple(_question(at, asked) for at, asked in enumerate(_QUESTIONS, 1))
    return Corpus("pairs", n, seed, {"messages": text}, pieces, questions, KEY)


def _question(at: int, asked: Both | Each) -> Question:
    text = (
        f"In the data, list all pairs of user IDs (no duplicate pairs, the lower ID first) {asked.said}. Each instance asks for one of six "
        f"kinds of thing, its label: {KINDS}. The data do not say which. A pair is of two different users."
    )
    if isinstance(asked, Both):
        return Question(f"{at}", text, "[{a: int, b: int}]", _symmetric(asked), f1, _ROWS + _BOTH.format(fits=asked.code))
    sides = [" and ".join(times.code for times in side) for side in (asked.one, asked.other)]
    return Question(f"{at}", text, "[{a: int, b: int}]", _asymmetric(asked), f1, _ROWS + _EACH.format(one=sides[0], other=sides[1]))


def _users(pieces: Sequence[Piece]) -> dict[int, list[Piece]]:
    """Each user's lines, by the user's number from the lowest up."""
    rows: dict[int, list[Piece]] = {}
    for piece in pieces:
        rows.setdefault(piece.facts["user"], []).append(piece)
    return dict(sorted(rows.items()))


def _symmetric(asked: Both) -> Callable[[Sequence[Piece]], list[dict[str, Any]]]:
    def answer(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
        fit = [user for user, rows in _users(pieces).items() if asked.holds(rows)]
        return [{"a": a, "b": b} for at, a in enumerate(fit) for b in fit[at + 1 :]]

    return answer


def _asymmetric(asked: Each) -> Callable[[Sequence[Piece]], list[dict[str, Any]]]:
    def answer(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
        counts = {user: Counter(row.facts["label"] for row in rows) for user, rows in _users(pieces).items()}
        ones, others = ({u for u, c in counts.items() if all(times.holds(c) for times in side)} for side in (asked.one, asked.other))
        users = [user for user in counts if user in ones or user in others]
        return [
            {"a": a, "b": b}
            for at, a in enumerate(users)
            for b in users[at + 1 :]
            if (a in ones and b in others) or (b in ones and a in others)
        ]

    return answer


# The programs of all twenty begin with the same calls, so the memo has them after the first.
_ROWS: Final = f"""{LABEL_TYPE}
type Row = {{user: int, date: text, label: Label}}
rows = map l in lines(messages) {{
  parts = split(l, " || ")
  label = call "{ASK}" on split(parts[3], "Instance: ")[1] -> Label
  {{user: int(split(parts[2], " ")[1]), date: split(parts[1], " ")[1], label}}
}}
users = sorted(group_by(rows, key=lambda r: r.user), key=lambda g: g.key)
"""
_BOTH: Final = """{fits}
fit = [u.key for u in users if fits(u.items)]
answer [{{a: p[0], b: p[1]}} for p in pairs(fit)]
"""
_EACH: Final = """fn one(ls: [Label]) -> bool {{ {one} }}
fn other(ls: [Label]) -> bool {{ {other} }}
sides = map u in users {{
  ls = [r.label for r in u.items]
  {{id: u.key, one: one(ls), other: other(ls)}}
}}
answer [{{a: p[0].id, b: p[1].id}} for p in pairs(sides) if (p[0].one and p[1].other) or (p[1].one and p[0].other)]
"""
