"""What an honest root model writes at a Python prompt for the first question of each workload: the reference programs, in Python."""

from __future__ import annotations

import re

from rlmlang.compare.workloads import Corpus, Question
from rlmlang.compare.workloads.records import ASK

_LABELS = f'''\
lines = messages.splitlines()
replies = llm_query_batched(["{ASK} Reply `No. N: kind`.\\\\n" + line for line in lines])
labels = [reply.rpartition(": ")[2].strip() for reply in replies]
'''
_PROGRAMS = {
    "needle": """\
found = [line for line in book.splitlines() if "magic number" in line]
reply = llm_query("What is the magic number? Reply `line N: number`.\\n" + found[0])
FINAL(int(reply.rpartition(": ")[2]))
""",
    "counting": _LABELS + "FINAL(labels.count({asked!r}))\n",
    "pairs": _LABELS
    + """\
users = sorted({{int(line.split(" || ")[2].split(" ")[1]) for line, label in zip(lines, labels) if label in {either!r}}})
FINAL([{{"a": a, "b": b}} for at, a in enumerate(users) for b in users[at + 1:]])
""",
    "weird": """\
def is_prime(n):
    return n > 1 and all(n % d for d in range(2, n))
weird = [path for path, text in notes.items() if is_prime(len(text.split()))]
replies = llm_query_batched(["Does the writer want to get money back? Reply `Note N: yes` or `Note N: no`.\\n" + notes[p] for p in weird])
FINAL([path.rpartition("/")[2] for path, reply in zip(weird, replies) if reply.strip().endswith("yes")])
""",
    "duplicates": """\
import itertools, re
groups = {}
for line in reports.splitlines():
    no, machine, day, said = line.split(" || ")
    groups.setdefault((machine, day), []).append((int(no.split(" ")[1]), no + ": " + said))
pairs = [pair for group in groups.values() for pair in itertools.combinations(group, 2)]
ask = "Which fault is each report about? Reply a line each: `Report N: fault`.\\n"
replies = llm_query_batched([ask + a[1] + "\\n" + b[1] for a, b in pairs])
same = [len({line.rpartition(": ")[2] for line in reply.splitlines()}) == 1 for reply in replies]
FINAL([{"a": a[0], "b": b[0]} for (a, b), yes in zip(pairs, same) if yes])
""",
    "injected": """\
replies = llm_query_batched(["Is it a complaint? Reply `Review N: yes` or `Review N: no`.\\n" + line for line in reviews.splitlines()])
FINAL(sum(reply.strip().endswith("yes") for reply in replies))
""",
}


def program(corpus: Corpus, question: Question) -> str:
    """The program, for the first question of a corpus."""
    text = _PROGRAMS[corpus.workload]
    if corpus.workload == "counting":
        found = re.search(r"have the label ([a-z ]+)\?", question.text)
        return text.format(asked=found[1] if found else "")
    if corpus.workload == "pairs":
        found = re.search(r"with the label ([a-z ]+) or ([a-z ]+)\.", question.text)
        return text.format(either=found.groups() if found else ())
    return text
