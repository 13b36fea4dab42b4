"""The benchmark `write_programs` measures what it says: reference programs answer right on both sides, and what is wrong is judged so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from benchmarks.write_programs import language_root, python_root
from benchmarks.write_programs.measure import ROOTS, Root, Trial, tried
from benchmarks.write_programs.oracle import Oracle, answer
from benchmarks.write_programs.outcome import Outcome, fenced
from benchmarks.write_programs.task import Task, right
from benchmarks.write_programs.tasks import TASKS
from rlmlang.lm.request import Message

BY_NAME = {task.name: task for task in TASKS}
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name.replace(" ", "-"))


def test_forty_tasks_of_their_own_names() -> None:
    assert len(TASKS) == len(BY_NAME) == 40


@each_task
def test_the_reference_programs_are_right(task: Task) -> None:
    for attempt, program in ((language_root.attempt, task.program), (python_root.attempt, task.python)):
        with Oracle(task) as oracle:
            outcome = attempt(task, f"```\n{program}\n```", oracle.url)
        assert outcome.answered and right(task, outcome.answer), (outcome.answer, outcome.problem)
        assert Trial(task, (outcome,)).right(0)
        assert bool(oracle.asked) == bool(task.seen)  # neither side gets by without reading, where reading is needed


@each_task
def test_other_answers_are_wrong(task: Task) -> None:
    assert right(task, task.answer)
    for wrong in others(task.answer, task.ordered):
        assert not right(task, wrong), wrong


def others(answer: Any, ordered: bool) -> list[Any]:
    """Answers that differ from `answer` in one place."""
    common: list[Any] = [None, [], {}, "", "something else", True]
    if isinstance(answer, (int, float)):
        return [*common, answer + 1, -answer, answer * 1.01, f"it is {answer}", [answer, answer]]
    if isinstance(answer, str):
        return [*common, answer[:-2], answer + "s", 0]
    if isinstance(answer, dict):
        return [*common, *({**answer, name: wrong} for name in answer for wrong in (None, "other")), dict(list(answer.items())[1:])]
    turned = [answer[::-1]] if ordered and answer[::-1] != answer else []
    return [*common, answer[1:], [*answer, answer[0]], [*answer[:-1], "other"], *turned]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("log lines by level", "3"),
        ("log lines by level", {"errors": 3}),
        ("log lines by level", [3.0]),
        ("sum of an invoice", 112),
        ("column of a table", 7.3000000001),
        ("longest file", " 2026/February.txt."),
        ("top three", [{"name": n} for n in ("Omar", "Yuki", "Kofi")]),
        ("totals by group", {"south": 230, "east": 210, "north": 160, "west": 30}),
        ("totals by group", [["south", 230], ["east", 210], ["north", 160], ["west", 30]]),
        ("highest mean", ["Cairo", 27.25]),
        ("highest mean", {"town": "Cairo", "average": 27.25}),
        ("tally of departments", [{"label": "technical", "n": 3}, {"label": "billing", "n": 2}, {"label": "shipping", "n": 2}]),
        ("anagrams", [["stone", "notes", "onset"], ["enlist", "silent", "listen"]]),
    ],
)
def test_what_says_the_same_is_right(name: str, given: Any) -> None:
    assert right(BY_NAME[name], given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("log lines by level", True),
        ("totals by group", {"east": 210, "south": 230, "north": 160, "west": 30}),  # the order is asked for
        ("tally of departments", [["technical", 2], ["billing", 3], ["shipping", 2]]),
        ("highest mean", [27.25, "Cairo"]),
        ("anagrams", [["stone", "notes"], ["onset"], ["enlist", "silent", "listen"]]),
    ],
)
def test_what_says_something_else_is_wrong(name: str, given: Any) -> None:
    assert not right(BY_NAME[name], given)


def test_a_guess_is_not_right() -> None:
    task = BY_NAME["log lines by level"]
    outcome = language_root.attempt(task, "answer 3", "http://127.0.0.1:1/v1")
    assert outcome.answered and right(task, outcome.answer)
    assert not Trial(task, (outcome,)).right(0)  # it has not looked at the data


def test_the_sub_model_says_nothing_about_what_it_is_not_shown() -> None:
    task = BY_NAME["count by sentiment"]
    program = 'answer len([r for r in reviews if call "Is this review positive?" -> bool])'
    with Oracle(task) as oracle:
        outcome = language_root.attempt(task, program, oracle.url)
    assert outcome.answered and outcome.answer == 0 and not right(task, outcome.answer)
    assert answer(task, "How much is it?", None) == "none"


def test_the_sub_model_answers_in_the_form_asked_for() -> None:
    task = BY_NAME["count by sentiment"]
    review = task.seen[1].text
    assert answer(task, f"Is this review negative? Answer yes or no.\n{review}", None) == "Yes"
    assert answer(task, f"Is this review positive? Reply with true or false.\n{review}", None) == "False"
    assert answer(task, f"Is it POSITIVE or NEGATIVE?\n{review}", None) == "NEGATIVE"
    assert answer(task, f"What is the mood?\n{review}", None) == "negative"
    letters = BY_NAME["records from letters"]
    letter = letters.seen[0].text
    assert (
        answer(letters, f'Who, and where? JSON: {{"name": "...", "city": "..."}}\n{letter}', None) == '{"name": "Helena", "city": "Porto"}'
    )
    assert answer(letters, f"What is the name and the city?\n{letter}", None) == "Name: Helena\nCity: Porto"


class Scripted:
    """A root model that gives these replies, and what it was told."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.told = list(replies), [""]

    async def write(self, messages: Sequence[Message]) -> str:
        self.told.append(messages[-1].content)
        return self.replies.pop(0)


def trial(root: Root, task: Task, *replies: str) -> tuple[Trial, Scripted]:
    writer = Scripted(*replies)
    return asyncio.run(tried(root, task, writer)), writer


def test_repairs_are_counted_and_told_what_is_wrong() -> None:
    task = BY_NAME["who has not replied"]
    done, writer = trial(
        ROOTS[0], task, "for p in invited:", "answer sorted(invitedd)", "answer sorted([p for p in invited if p not in replied])"
    )
    assert [(o.parsed, o.checked, o.answered) for o in done.turns] == [(False, False, False), (True, False, False), (True, True, True)]
    assert [done.right(repairs) for repairs in range(3)] == [False, False, True]
    assert "there are no loops" in writer.told[2] and "did you mean invited?" in writer.told[3]


def test_the_python_root_is_repaired_alike() -> None:
    task = BY_NAME["who has not replied"]
    done, writer = trial(ROOTS[1], task, "FINAL(sorted(", "print(invitedd)", "FINAL(sorted(set(invited) - set(replied)))")
    assert [(o.parsed, o.checked, o.answered) for o in done.turns] == [(False, False, False), (True, False, False), (True, True, True)]
    assert done.right(2) and not done.right(1)
    assert "SyntaxError" in writer.told[2] and "NameError: name 'invitedd'" in writer.told[3]


def test_what_is_only_shown_is_no_answer() -> None:
    task = BY_NAME["who has not replied"]
    with Oracle(task) as oracle:
        shown = language_root.attempt(task, "len(invited)", oracle.url)
        printed = python_root.attempt(task, "print(len(invited))", oracle.url)
    for outcome in (shown, printed):
        assert outcome.checked and not outcome.answered and "6" in outcome.problem


def test_a_python_program_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_root, "SECONDS", 1)
    outcome = python_root.attempt(TASKS[0], "while True: pass", "http://127.0.0.1:1/v1")
    assert outcome == Outcome("while True: pass", parsed=True, problem="The program was stopped after 1 seconds.")


def test_a_later_turn_counts_from_there_on() -> None:
    task = BY_NAME["log lines by level"]
    bad, good = Outcome("answer len(log)", True, True, True, 9), Outcome("answer len(log) - 6", True, True, True, 3)
    assert [Trial(task, (bad,)).right(n) for n in range(3)] == [False] * 3
    assert [Trial(task, (evolve(bad, answered=False), good)).right(n) for n in range(3)] == [False, True, True]


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("answer 1", "answer 1"),
        ("Sure!\n```rlm\nanswer 1\n```\nIt works.", "answer 1\n"),
        ("```\nanswer 1", "answer 1"),
        ("``` \na\n```\n```\nb\n```", "a\n"),
    ],
)
def test_the_first_program_of_a_reply_is_taken(reply: str, program: str) -> None:
    assert fenced(reply) == program
