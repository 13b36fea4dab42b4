"""`rlm compare`: the rows, what they count, and that each ends in one, whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commandline import Shell, rlm

from rlmlang import Settings
from rlmlang.compare import coverage
from rlmlang.compare.compare import compare, exact
from rlmlang.compare.coverage import Items, every_item
from rlmlang.compare.files import Files
from rlmlang.compare.task import Item, Task
from rlmlang.solve.contexts import given_contexts

__all__ = ["rlm"]

INBOX = "The kettle arrived broken.\nThank you, all is well.\nMy parcel is late again.\n"


@pytest.fixture(autouse=True)
def own_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memo of its own."""
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))


def programs(*turns: str, calls: str = "yes") -> list[dict[str, Any]]:
    """The rules of a root model that writes programs, and of one answer to everything else."""
    rules = [{"match": f"Turn {at} of ", "reply": f"```rlm\n{text}\n```"} for at, text in enumerate(turns, 1)]
    return [*reversed(rules), {"reply": calls}]


def row(rlm: Shell, model: str, strategy: str, *words: str) -> Any:
    done = rlm("compare", "Which?", "--context", "inbox.txt", "--strategies", strategy, "--model", model, "--json", *words)
    (only,) = done.json["rows"]
    return only


def test_a_row_for_each_strategy(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules(*programs('answer len([l for l in lines(inbox) if call "Is it?" on l -> bool])', calls="yes"))
    done = rlm("compare", "How many?", "--context", "inbox.txt", "--model", model, "--strategies", "direct,chunks,rlm", "--gold", "Yes.")
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == [
        "outcome",
        "answer",
        "score",
        "coverage",
        "calls",
        "calls",
        "≤",
        "root",
        "tokens",
        "tokens",
        "dollars",
        "rounds",
        "seconds",
    ]
    assert [line.split()[:3] for line in rows] == [["direct", "answered", "yes"], ["chunks", "answered", "yes"], ["rlm", "answered", "3"]]
    assert [line.split()[3] for line in rows] == ["1.00", "1.00", "0.00"]


def test_what_a_row_counts(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules(*programs("lines(inbox)[:1]", 'answer [l for l in lines(inbox)[:2] if call "Is it?" on l -> bool]'))
    found = row(rlm, model, "rlm")
    assert (found["calls"], found["root_calls"], found["rounds"]) == (4, 2, 3)
    assert found["coverage"] == pytest.approx(2 / 3) and found["seen"] == 1.0  # the preview shows the third to the root model
    assert 0 < found["root_tokens"] < found["tokens"] == found["paid"]["input_tokens"] + found["paid"]["output_tokens"]
    assert found["program"].startswith("# Which?\n")
    assert [step["by"] for step in found["transcript"]] == ["root", "tool"] * 2
    assert found["transcript"][1]["result"].startswith("shown: [text], 1 item")
    again = row(rlm, model, "rlm")
    assert again["paid"]["requests"] == 0
    assert {k: v for k, v in again.items() if k not in ("paid", "seconds")} == {
        k: v for k, v in found.items() if k not in ("paid", "seconds")
    }


def test_dollars_are_those_of_a_first_run(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    rlm.rules({"reply": "yes"})
    rlm.write("rlm.toml", 'model = "m"\n[models.m]\nmodel = "script:rules.jsonl"\ninput_price = 1.0\noutput_price = 2.0\n')
    words = ("compare", "Which?", "--context", "inbox.txt", "--strategies", "chunks", "--json")
    (first,), (second,) = rlm(*words).json["rows"], rlm(*words).json["rows"]
    assert first["dollars"] == second["dollars"] == first["paid"]["dollars"] > 0 == second["paid"]["dollars"]


def test_direct_is_cut_at_the_window(rlm: Shell) -> None:
    rlm.write("inbox.txt", "".join(f"This is line number {at:05}.\n" for at in range(2_000)))
    rlm.rules({"reply": "yes"})
    rlm.write("rlm.toml", 'model = "m"\n[models.m]\nmodel = "script:rules.jsonl"\ncontext_window = 4096\n')
    words = ("compare", "Which?", "--context", "inbox.txt", "--strategies", "direct,chunks", "--json")
    direct, chunks = rlm(*words).json["rows"]
    assert direct["outcome"] == chunks["outcome"] == "answered"
    assert 0.05 < direct["coverage"] < 0.5 and direct["coverage"] == direct["seen"]
    assert chunks["coverage"] == 1.0


@pytest.mark.parametrize(
    ("rules", "strategy", "outcome"),
    [
        ([{"fault": "refuse"}], "direct", "refused"),
        ([{"fault": "filter"}], "rlm", "refused"),
        ([{"reply": "```rlm\n1\n```"}], "rlm", "looped"),
        ([{"reply": "no program"}], "rlm", "looped"),
        ([{"fault": "garbage"}], "chunks", "answered"),
        ([{"match": "no prompt has this", "reply": ""}], "direct", "failed"),
    ],
)
def test_outcomes(rlm: Shell, rules: list[dict[str, Any]], strategy: str, outcome: str) -> None:
    rlm.write("inbox.txt", INBOX)
    found = row(rlm, rlm.rules(*rules), strategy)
    assert found["outcome"] == outcome
    assert (found["error"] is None) is (outcome == "answered")


def test_a_budget_is_that_of_each_strategy(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules(*programs('answer [l for l in lines(inbox) if call "Is it?" on l -> bool]'))
    words = ("--context", "inbox.txt", "--model", model, "--strategies", "rlm,direct,chunks", "--budget", "2 calls")
    done = rlm("compare", "Which?", *words, "--json")
    assert done.code == 0
    assert [r["outcome"] for r in done.json["rows"]] == ["budget", "answered", "answered"]
    assert rlm("compare", "Which?", *words[:4], "--strategies", "rlm", "--budget", "2 calls", "--memo", "off").code == 3


def test_wrong_usage(rlm: Shell) -> None:
    rlm.write("inbox.txt", INBOX)
    model = rlm.rules({"reply": "yes"})
    words = ("--context", "inbox.txt", "--model", model)
    done = rlm("compare", "Which?", *words, "--strategies", "dirct")
    assert done.code == 2 and "did you mean direct?" in done.err
    assert rlm("compare", "Which?", *words, "--strategies", ",").code == 2
    assert rlm("compare", " ", *words).code == 2
    assert rlm("compare", "Which?", *words, "--type", "int", "--gold", "x").code == 2
    done = rlm("compare", "Which?", *words, "--strategies", "direct", "--type", "nothing", "--json")
    assert (done.code, done.json["rows"][0]["outcome"]) == (1, "failed")


def test_from_python(tmp_path: Path) -> None:
    (tmp_path / "rules.jsonl").write_text('{"reply": 3}')
    settings = Settings(model=f"script:{tmp_path}/rules.jsonl", memo="off")
    task = Task("How many?", {"rows": [{"a": "one thing"}, {"a": "another"}]}, "int", gold=2, score=lambda a, g: 0.75 ** abs(a - g))
    (direct,) = compare(task, ["direct"], settings)
    assert (direct.answer, direct.score, direct.coverage) == (3, 0.75, 1.0)


# ---- coverage ----


def test_items_are_found_wherever_they_stand() -> None:
    texts = ['She said "no".', "short", "x", "a line\nand another", "über", "a line\nand one more", "a line"]
    items = Items(Item(text, text) for text in texts)
    assert items.count == len(texts)
    assert items.within("nothing") == set() and items.within("") == set()
    for at, text in enumerate(texts):
        assert at in items.within(f">>{text}<<"), text
    assert items.within('{"said": "She said \\"no\\"."}') == {0}
    assert items.within('["\\u00fcber"]') == {4}
    assert items.within("a line\\nand another") == {3, 6}
    assert items.within("She said") == set()
    assert items.within("shorter, exact: six") == set() and items.within("exit x=1") == {2} and items.within("short.") == {1}


def test_a_text_is_gone_through_once_for_all_items() -> None:
    items = Items(Item(str(at), f"User {at:06}: what is it that I did wrong?") for at in range(20_000))
    assert items.within("User 000123: what is it that I did wrong?\nUser 019999: what is it that I did wrong?") == {123, 19_999}
    assert items.within("User 000123: what is it that I did right?") == set()


def test_every_item_of_data(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n---\n  two\n")
    (tmp_path / "b.bin").write_bytes(b"\0\1\2")
    contexts = given_contexts({"src": tmp_path, "rows": [{"id": 1, "note": "Works."}, {"id": 2, "note": ""}], "texts": ["x"], "n": 3})
    assert [item.text for item in every_item(contexts)] == ["one", "two", "Works.", '{"id": 2, "note": ""}', "x", "3"]


def test_of_many_items_some_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "_MOST", 10)
    contexts = given_contexts({"text": "".join(f"line {at}\n" for at in range(35))})
    assert [item.text for item in every_item(contexts)] == [f"line {at}" for at in range(0, 35, 4)]


def test_data_as_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    files = Files.of(given_contexts({"src": tmp_path, "rows": [{"id": 1}, {"id": 2}], "note": "a\nb", "conf": {"x": None}}))
    assert dict(files) == {"src/a.txt": "one\n", "rows.jsonl": '{"id": 1}\n{"id": 2}\n', "note.txt": "a\nb", "conf.json": '{"x": null}\n'}
    assert files.size("rows.jsonl") == 20
    assert list(Files.of(given_contexts({"src": tmp_path}))) == ["a.txt"]


@pytest.mark.parametrize(("answer", "gold", "score"), [("Yes. ", "yes", 1), ("yes", "no", 0), (3, 3, 1), ([1], [1.0], 1), ("3", 3, 0)])
def test_exact(answer: Any, gold: Any, score: float) -> None:
    assert exact(answer, gold) == score


# ---- workloads ----


def test_a_workload_has_data_type_and_gold_of_its_own(rlm: Shell) -> None:
    model = rlm.rules(*programs("answer 3"))
    words = ("compare", "--workload", "counting", "--size", "30", "--seed", "2", "--strategies", "rlm", "--model", model)
    done = rlm(*words, "--json")
    assert done.code == 0 and done.json["workload"] == "counting"
    (found,) = done.json["rows"]
    assert found["answer"] == 3 and 0 <= found["score"] <= 1 and found["coverage"] == 0.0
    assert rlm(*words, "--json").json["question"] == done.json["question"]


def test_questions_of_a_workload_share_the_memo(rlm: Shell) -> None:
    """Those that ask the same of each line pay for it once."""
    program = 'x = [call "Which?" on l for l in lines(messages)]\nanswer [{a: 1, b: len(x)}]'
    model = rlm.rules(*programs(program, calls="entity"))
    words = ("compare", "--workload", "pairs", "--size", "12", "--strategies", "rlm", "--model", model)
    first, second = rlm(*words, "--questions", "1,3", "--json").json["questions"]
    assert first["question"] != second["question"]
    (paid,), (free,) = first["rows"], second["rows"]
    assert (paid["paid"]["requests"], free["paid"]["requests"]) == (13, 1)
    assert paid["calls"] == free["calls"] == 13 and free["tokens"] > free["root_tokens"] > 0
    done = rlm(*words, "--questions", "3,4")
    assert done.out.count("outcome") == 2 and " sent " in done.out


def test_a_workload_of_files(rlm: Shell) -> None:
    model = rlm.rules(*programs("answer [f.name for f in notes.files()][:2]"))
    done = rlm("compare", "--workload", "weird", "--size", "5", "--strategies", "rlm,toolcalls", "--model", model, "--json")
    assert [r["outcome"] for r in done.json["rows"]] == ["answered", "looped"]


@pytest.mark.parametrize(
    "words",
    [
        ("--workload", "nothing"),
        ("--workload", "needle", "--size", "0"),
        ("--workload", "needle", "--questions", "2"),
        ("--workload", "needle", "--questions", "x"),
        ("--workload", "needle", "--type", "int"),
        ("Which?", "--workload", "needle"),
        ("Which?", "--size", "3"),
        ("Which?", "--turns", "0"),
        (),
    ],
)
def test_wrong_workloads(rlm: Shell, words: tuple[str, ...]) -> None:
    assert rlm("compare", *words, "--model", rlm.rules({"reply": "x"})).code == 2
