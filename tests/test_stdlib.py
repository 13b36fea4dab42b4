"""The standard library on texts and lists of all sizes: what it gives, and that it makes no more calls than its first lines say.

What each function gives for ordinary input stands in docs/stdlib.md, whose examples run in test_docs.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rlmlang

SENTENCE = "The river rose by two hands in the night and took the lower bridge with it. "
BOOK = SENTENCE * 2_000  # some 150,000 characters
LIBRARY = SENTENCE * 40_000  # some 3,000,000


class Model:
    """Runs programs against rules: `rule(pattern, reply)`, the first that matches answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules: list[dict[str, Any]] = []

    def rule(self, pattern: str, reply: Any) -> Model:
        self.rules.append({"match": f"(?s){pattern}", "reply": reply})
        return self

    def run(self, source: str, **inputs: Any) -> rlmlang.Result:
        script = self.folder / "script.jsonl"
        script.write_text("\n".join(map(json.dumps, self.rules or [{"match": "no prompt has this text", "reply": ""}])), encoding="utf-8")
        declared = {str: "text", list: "[text]", int: "int"}
        lines = [f"input {name}: {declared[type(value)]}" for name, value in inputs.items()]
        settings = rlmlang.Settings(model=f"script:{script}", memo="off")
        return rlmlang.run("\n".join([*lines, f"answer {source}"]) + "\n", settings=settings, **inputs)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


@pytest.mark.parametrize(("text", "most"), [("", 0), ("Short.", 1), (BOOK, 30), (LIBRARY, 480)], ids=["empty", "short", "book", "library"])
def test_summarize_any_length(model: Model, text: str, most: int) -> None:
    model.rule("one part of a longer", "word " * 60).rule("one paragraph", "In short.")
    result = model.run("summarize(doc)", doc=text)
    assert result.answer == ("In short." if text else "")
    assert result.used.calls <= most
    assert result.used.calls >= len(text) / 8_000 - 1


def test_summarize_passes_the_topic_down(model: Model) -> None:
    model.rule("one part of.*only what concerns this: tolls", "Two coins.").rule(
        "one paragraph.*only what concerns this: tolls", "Tolls: two coins."
    )
    assert model.run('summarize(doc, "tolls")', doc=BOOK).answer == "Tolls: two coins."


def test_summarize_with_long_winded_notes_still_ends(model: Model) -> None:
    model.rule("one part of a longer", "x" * 980).rule("one paragraph", "In short.")
    result = model.run("summarize(doc, size=6000)", doc=LIBRARY)
    assert result.answer == "In short." and result.used.calls < 900


def test_summarize_leaves_out_what_cannot_be_read(model: Model) -> None:
    model.rules.append({"match": "(?s)one part of.*BOMB", "reply": "", "fault": "filter"})
    model.rule("one part of a longer", "A part.").rule("one paragraph", "In short.")
    result = model.run("summarize(doc)", doc="BOMB. " + SENTENCE * 300)
    assert result.answer == "In short."
    assert len(result.failures) == 1


def test_summarize_fails_where_nothing_can_be_read(model: Model) -> None:
    model.rules.append({"match": "one part of", "reply": "", "fault": "filter"})
    with pytest.raises(rlmlang.Failure, match="no part of the text"):
        model.run("summarize(doc)", doc=BOOK)


@pytest.mark.parametrize("at", [0, 1_000, 20_000, 39_999])
def test_search_finds_a_needle(model: Model, at: int) -> None:
    needle = "The toll keeper's name was Ambrose. "
    text = SENTENCE * at + needle + SENTENCE * (39_999 - at)
    model.rule("anything that helps.*Ambrose", True).rule("Does this passage help.*Ambrose", True).rule("Does this", False)
    result = model.run('search("Who kept the toll?", doc)', doc=text)
    (passage,) = result.answer
    assert needle.strip() in passage and len(passage) <= 1_000
    assert passage in text
    assert result.used.calls <= 420 and result.used.rounds == 2


def test_search_of_nothing(model: Model) -> None:
    assert model.run('search("Who?", doc)', doc="").answer == []


def test_extract_all_joins_and_deduplicates(model: Model) -> None:
    model.rule("List what", ["Lower Bridge", "lower bridge", " ", "river"])
    result = model.run('extract_all("Which places?", doc)', doc=BOOK)
    assert result.answer == ["Lower Bridge", "river"]
    assert result.used.calls <= 45 and result.used.rounds == 1


def test_verify_wants_real_quotations(model: Model) -> None:
    made_up = {"verdict": "supported", "quote": "The bridge is fine."}
    model.rule("the claim", made_up)
    assert model.run('verify("The bridge stands.", doc)', doc=BOOK).answer == {"verdict": "not found", "quotes": []}


def test_verify_sees_both_sides(model: Model) -> None:
    model.rule("the claim.*It stands yet", {"verdict": "supported", "quote": "it stands  yet."})
    model.rule("the claim.*lower bridge", {"verdict": "contradicted", "quote": "took the lower bridge"})
    answer = model.run('verify("The bridge stands.", doc)', doc=SENTENCE * 200 + "It stands yet.").answer
    assert answer == {"verdict": "disputed", "quotes": ["it stands  yet.", "took the lower bridge"]}


@pytest.mark.parametrize(
    ("reply", "label"), [("Sport", "sport"), ("**politics**.", "politics"), ("It is party politics", "party politics")]
)
def test_classify_reads_the_reply(model: Model, reply: str, label: str) -> None:
    model.rule("Which label", reply)
    assert model.run('classify(items, ["sport", "politics", "party politics"])', items=["x"]).answer == [label]


@pytest.mark.parametrize(("number", "label"), [(2, "politics"), (0, "sport"), (99, "politics")])
def test_classify_asks_again_by_number(model: Model, number: int, label: str) -> None:
    model.rule("Which label", "Hard to say.").rule("number of the label", number)
    result = model.run('classify(items, ["sport", "politics"])', items=["x"])
    assert result.answer == [label] and result.used.calls == 2


def test_classify_at_the_edges(model: Model) -> None:
    assert model.run('classify(items, ["only"])', items=["x", "y"]).answer == ["only", "only"]
    assert model.run("classify(items, items)", items=[]).answer == []
    with pytest.raises(rlmlang.Failure, match="at least one label"):
        model.run("classify(items, [])", items=["x"])


def test_rank_keeps_the_order_of_equals(model: Model) -> None:
    model.rule("best", 500).rule("mark", 7)
    assert model.run('rank("How good?", items)', items=["b", "best", "a"]).answer == ["best", "b", "a"]
    assert model.run('rank("How good?", items)', items=[]).answer == []


def test_tournament(model: Model) -> None:
    model.rule("A or B", "B")
    result = model.run('tournament("Best?", items)', items=[str(i) for i in range(100)])
    assert result.answer == "99" and result.used.calls == 99 and result.used.rounds == 7
    assert model.run('tournament("Best?", items)', items=["one"]).used.calls == 0
    with pytest.raises(rlmlang.Failure):
        model.run('tournament("Best?", items)', items=[])


def test_compare_pairs_counts(model: Model) -> None:
    model.rule("Same", False)
    result = model.run('compare_pairs("Same?", items)', items=[str(i) for i in range(20)])
    assert result.used.calls == len(result.answer) == 190
    assert model.run('compare_pairs("Same?", items)', items=["one"]).answer == []


@pytest.mark.parametrize(("n", "calls"), [(1, 1), (7, 7), (0, 1), (1_000, 100)])
def test_vote_asks_so_often(model: Model, n: int, calls: int) -> None:
    model.rule("Which day", " Tuesday. ")
    result = model.run(f'vote("Which day?", {n}, {{day: doc}})', doc="It was Tuesday.")
    assert result.answer == "Tuesday." and result.used.calls == calls and result.used.rounds == 1


def test_consensus_merges_once(model: Model) -> None:
    model.rule("3 independent answers to one question: Why", "Because.").rule("Why", "Who knows.")
    result = model.run('consensus("Why?", 3, items)', items=["a", "b"])
    assert result.answer == "Because." and result.used.calls == 4 and result.used.rounds == 2
    assert model.run('consensus("Why?", 1, items)', items=["a"]).answer == "Who knows."


def test_a_program_may_shadow_a_library_function(model: Model) -> None:
    settings = rlmlang.Settings(model="script:" + str(model.folder / "script.jsonl"), memo="off")
    model.rule("x", "y").run('"x"')
    source = 'fn rank(items: [text]) -> text { items[0] }\nanswer rank(["mine"])\n'
    assert rlmlang.run(source, settings=settings).answer == "mine"
