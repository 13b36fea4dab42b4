"""Duplicates: reports of faults, of which some are about one and the same, in other words. Code tells which can be (the same machine on the
same day), and only a reader which are. Whoever compares all of them with all of them makes n² / 2 calls; the candidates are about n / 2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from rlmlang.compare.scores import pairs as f1
from rlmlang.compare.task import Item
from rlmlang.compare.workloads.corpus import Corpus, Piece, Question
from rlmlang.compare.workloads.dice import Dice

_FAULTS: Final = {
    "leak": ("there is a puddle of oil under it", "it loses oil from below", "the floor beneath it is slippery with lubricant"),
    "noise": ("it squeals when it starts", "an awful screech comes from the front", "I need ear plugs beside it"),
    "heat": ("the motor gets too hot to touch", "it overheats after ten minutes", "the casing nearly burnt my hand"),
    "stop": ("it halts for no reason", "every hour it simply switches off", "it comes to a standstill in mid work"),
    "display": ("the screen stays dark", "nothing can be read on the panel", "its monitor shows no picture"),
    "belt": ("the belt has a tear", "its conveyor is ripped on one side", "the moving band is about to break"),
}
_WHO: Final = ("Noted by {name}", "{name} reports", "{name} on the early shift", "Call from {name}")


def duplicates(n: int, seed: int) -> Corpus:
    """`n` reports; half of them share machine and day with one to three others."""
    dice = Dice("duplicates", n, seed)
    raw: list[tuple[str, str, str]] = []  # place, fault, text
    while len(raw) < n:
        place = f"Machine: M-{len(raw) + 100} || Day: 2023-{1 + dice.below(12):02}-{1 + dice.below(28):02}"
        faults = dice.some(tuple(_FAULTS), 2)
        for _ in range(min(n - len(raw), 1 if dice.share() < 0.75 else 2 + dice.below(3))):
            fault = dice.one(faults)
            raw.append((place, fault, f"{dice.one(_WHO).format(name=dice.name())}: {dice.one(_FAULTS[fault])}."))
    shuffled = dice.some(raw, n)
    many = Counter(place for place, _, _ in shuffled)
    lines = [f"Report {no} || {place} || Text: {text}" for no, (place, _, text) in enumerate(shuffled, 1)]
    pieces = tuple(
        Piece(Item(f"Report {no}", text), {"no": no, "place": place, "alone": many[place] == 1, "fault": fault})
        for no, (place, fault, text) in enumerate(shuffled, 1)
    )
    question = Question(
        "same",
        "List all pairs of reports (by number, the lower first) that are about one and the same fault: the same machine, the same day, and "
        "the same thing wrong, in whatever words.",
        "[{a: int, b: int}]",
        _same,
        f1,
        'rows = [{no: int(findall(l, "[0-9]+")[0]), place: split(split(l, " || Text: ")[0], " || ", 1)[1], said: split(l, "Text: ")[1]}'
        " for l in lines(reports)]\n"
        "groups = [g.items for g in group_by(rows, key=lambda r: r.place) if len(g.items) > 1]\n"
        "candidates = flatten([pairs(g) for g in groups])\n"
        'same = [p for p in candidates if call "Do both reports describe the same fault?" on {one: p[0].said, other: p[1].said} -> bool]\n'
        "answer [{a: p[0].no, b: p[1].no} for p in same]\n",
        needs=lambda piece: not piece.facts["alone"],
    )
    key = re.compile(r"Report \d+|[A-Z][^|\n]*?: [a-zI][^|\n.]*\.")
    return Corpus("duplicates", n, seed, {"reports": "\n".join(lines) + "\n"}, pieces, (question,), key)


def _same(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for piece in pieces:
        groups.setdefault((piece.facts["place"], piece.facts["fault"]), []).append(piece.facts["no"])
    found = [(a, b) for nos in groups.values() for at, a in enumerate(sorted(nos)) for b in sorted(nos)[at + 1 :]]
    return [{"a": a, "b": b} for a, b in sorted(found)]
