"""Files with a weird property: notes whose number of words is a prime, which code can tell and no model should be asked, and whose
writer wants money back, which only a reader can tell. A strategy that can put a condition before a call asks about a quarter of them.

It is the example that the case for recursive language models is often made with: look into the files that have property P, and only there.
Who wants money back is written in many ways, and those who do not want it use the same words.
"""

from __future__ import annotations

import re
from typing import Final

from rlmlang.compare.scores import names
from rlmlang.compare.task import Item
from rlmlang.compare.workloads.corpus import Corpus, Piece, Question
from rlmlang.compare.workloads.dice import Dice

_OPENINGS: Final = (
    "I bought a kettle from you in {month}, and it came in two days.",
    "My order of a lamp arrived on a Tuesday in {month}.",
    "In {month} I ordered four chairs for my mother.",
    "We have had your tent since {month} and slept in it twice.",
)
_FILLERS: Final = (
    "It rained all week.",
    "My neighbour has the same one.",
    "The parcel was heavy.",
    "Your shop by the station was closed when I came by.",
    "I have been a customer for nine years now, and so has my sister.",
    "The colour is not quite what the picture shows, but I got used to it.",
    "The driver was very friendly and carried it up to the third floor.",
    "Please excuse my handwriting.",
)
_WANTS: Final = (
    "It has never worked, and I would like to be reimbursed.",
    "Please return what I paid to my account.",
    "I am sending it back today and expect the full amount by Friday.",
    "Keep your voucher: I want what it cost me, in cash or by transfer.",
)
_DOES_NOT: Final = (
    "It broke once, you reimbursed me within a day, and I have ordered it again.",
    "Do not return what I paid to my account, I am quite happy with it.",
    "I thought of sending it back and asking for the full amount, but it works now.",
    "The voucher that you sent instead of cash was a nice surprise, thank you.",
)
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


def weird(n: int, seed: int) -> Corpus:
    """`n` files, a thousand to a folder."""
    dice = Dice("weird", n, seed)
    files, pieces = {}, []
    for no in range(1, n + 1):
        wants = dice.share() < 0.4
        body = dice.some(_FILLERS, 1 + dice.below(5))
        body.insert(dice.below(len(body) + 1), dice.one(_WANTS if wants else _DOES_NOT))
        text = f"Note {no}\n{dice.one(_OPENINGS).format(month=dice.one(_MONTHS))} {' '.join(body)}\n{dice.name()}\n"
        path = f"{no // 1000:03}/note-{no}.txt"
        files[path] = text
        facts = {"file": f"note-{no}.txt", "words": len(text.split()), "refund": wants}
        pieces.append(Piece(Item(f"Note {no}", text.rstrip("\n")), facts))
    question = Question(
        "files",
        "List the names of all files whose number of words (parts between white space, in the whole file) is a prime number and whose "
        "writer wants to get money back.",
        "[text]",
        lambda seen: sorted(p.facts["file"] for p in seen if p.facts["refund"] and is_prime(p.facts["words"])),
        names,
        "fn is_prime(n: int) -> bool { n > 1 and all(n % d != 0 for d in range(2, n)) }\n"
        'weird = [f for f in notes.files("**/*.txt") if is_prime(len(words(f.text)))]\n'
        'answer [f.name for f in weird if call "Does the writer want to get money back?" on f.text -> bool]\n',
        needs=lambda piece: is_prime(piece.facts["words"]),
    )
    return Corpus("weird", n, seed, {"notes": files}, tuple(pieces), (question,), re.compile(r"Note \d+"))


def is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
