"""The workloads: the same for ever, their programs right, their scorers strict."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rlmlang
from benchmarks.argument.reader import Reader, reading
from rlmlang import Settings, UsageError
from rlmlang.cli.main import main
from rlmlang.compare import scores
from rlmlang.compare.workloads import WORKLOADS, Corpus, generate
from rlmlang.compare.workloads.corpus import holds

each = pytest.mark.parametrize("name", WORKLOADS)


def inputs(corpus: Corpus, folder: Path, at: int = 0) -> tuple[str, dict[str, Any]]:
    """A question's program with its inputs declared, and the values."""
    corpus.write(folder)
    task = corpus.task(at, folder)
    kinds = {name: "text" if isinstance(value, str) else "dir" for name, value in task.data.items()}
    declared = "".join(f"input {name}: {kind}\n" for name, kind in kinds.items())
    return declared + corpus.questions[at].program, {**task.data}


@each
def test_the_program_of_each_question_answers_it(name: str, tmp_path: Path) -> None:
    corpus = generate(name, 40, 5)
    reader = Reader(corpus)
    with reading(reader) as url:
        for at in range(len(corpus.questions)):
            program, data = inputs(corpus, tmp_path, at)
            result = rlmlang.run(program, Settings(model="reader", base_url=url, memo=tmp_path / "memo"), **data)
            task = corpus.task(at, tmp_path)
            assert task.score is not None and task.score(result.answer, task.gold) == 1.0, (task.question, result.answer, task.gold)
            assert {item.name for item in task.needed} <= reader.seen


def digest(corpus: Corpus) -> str:
    """Of all that a corpus is: data, pieces, questions and gold."""
    told = [[*corpus.files()], [[p.item.name, p.item.text, p.facts] for p in corpus.pieces]]
    asked = [[q.text, q.type, q.answer(corpus.pieces)] for q in corpus.questions]
    return hashlib.sha256(json.dumps([told, asked]).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("needle", "11cc4becdd7d8ad5"),
        ("counting", "fc979c8f9aacaac2"),
        ("pairs", "4276822c09e1fde4"),
        ("weird", "ca738ca684fe07ff"),
        ("duplicates", "13c80a3bb57126fa"),
        ("injected", "34dd0185678c4d11"),
    ],
)
def test_a_seed_gives_the_same_for_ever(name: str, wanted: str) -> None:
    assert digest(generate(name, 60, 3)) == digest(generate(name, 60, 3)) == wanted
    assert digest(generate(name, 60, 4)) != wanted


@each
@pytest.mark.parametrize("n", [1, 2, 3, 200])
def test_every_size_has_data_items_and_gold(name: str, n: int, tmp_path: Path) -> None:
    corpus = generate(name, n, 11)
    corpus.write(tmp_path)
    texts = {piece.item.text for piece in corpus.pieces}
    assert len(corpus.pieces) == len(texts) == n  # each can be told from the others, so that seeing one is not seeing another
    data = "\n".join(text for _, text in corpus.files())
    assert all(holds(data, piece.item) for piece in corpus.pieces)
    for at, task in enumerate(corpus.tasks(tmp_path)):
        assert task.score is not None and task.score(task.gold, task.gold) == 1.0
        assert {item.text for item in task.needed} <= texts
        assert corpus.questions[at].answer(corpus.pieces) == task.gold


@each
def test_what_is_written_can_be_looked_at(name: str, tmp_path: Path) -> None:
    corpus = generate(name, 20, 1)
    context = corpus.write(tmp_path)
    assert {path.relative_to(context).as_posix(): path.read_text("utf-8") for path in context.rglob("*.txt")} == dict(corpus.files())
    gold = json.loads((tmp_path / "gold.json").read_text("utf-8"))
    assert [(q["question"], q["gold"]) for q in gold["questions"]] == [(t.question, t.gold) for t in corpus.tasks(tmp_path)]
    assert len((tmp_path / "pieces.jsonl").read_text("utf-8").splitlines()) == 20


def test_the_command_writes_a_workload_and_asks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "looked"
    assert main(["compare", "--workload", "weird", "--n", "30", "--seed", "3", "--write", str(folder)]) == 0
    assert {path.relative_to(folder / "context").as_posix() for path in folder.rglob("*.txt")} == {
        p for p, _ in generate("weird", 30, 3).files()
    }
    assert json.loads((folder / "gold.json").read_text("utf-8"))["seed"] == 3
    assert "30 pieces" in capsys.readouterr().err
    assert main(["compare", "How many?", "--write", str(folder)]) == 2
    assert main(["compare", "--workload", "hay", "--write", str(folder)]) == 2
    assert main(["compare", "--workload", "weird", "--write", str(folder / "gold.json")]) == 2


def test_what_cannot_be_generated_is_refused(tmp_path: Path) -> None:
    for name, n in (("hay\x1b[2J", 10), ("needle", 0), ("needle", 10**7), ("needle", -1)):
        with pytest.raises(UsageError) as caught:
            generate(name, n)
        assert "\x1b" not in caught.value.message
    with pytest.raises(UsageError, match="1 to 7"):
        generate("counting", 5).task(7)
    with pytest.raises(UsageError, match="write it first"):
        generate("weird", 5).task(0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        generate("weird", 5).write(tmp_path / "file")


def test_a_piece_is_shown_where_it_is_whole() -> None:
    corpus = generate("weird", 12, 3)
    one, other = corpus.pieces[3], corpus.pieces[10]
    assert corpus.shown(one.item.text) == [one]
    assert corpus.shown(json.dumps({"text": other.item.text}) + one.item.text) == [other, one]
    assert corpus.shown(one.item.text[:-4]) == [] == corpus.shown(one.item.name)


def test_only_a_reader_can_tell() -> None:
    """Those who want money back and those who do not use the same words; so do reports of one fault and another."""
    corpus = generate("weird", 400, 2)
    words: list[set[str]] = [set(), set()]
    for piece in corpus.pieces:
        words[piece.facts["refund"]] |= set(piece.item.text.lower().replace(".", " ").replace(",", " ").replace(":", " ").split())
    for word in ("reimbursed", "return", "paid", "amount", "cash", "account", "voucher", "sending"):
        assert word in words[True] & words[False], word
    assert 40 < sum(piece.facts["refund"] for piece in corpus.pieces) < 240


def test_orders_want_what_is_no_answer() -> None:
    corpus = generate("injected", 300, 4)
    task = corpus.task()
    orders = {piece.facts["order"] for piece in corpus.pieces} - {None}
    assert len(orders) == 1
    (wanted,) = orders
    assert task.score is not None and task.score(wanted, task.gold) == 0.0 == task.score(str(wanted), task.gold)
    assert all((str(wanted) in piece.item.text) == bool(piece.facts["order"]) for piece in corpus.pieces)


def test_a_gullible_model_loses_one_answer_where_calls_are_of_one_item(tmp_path: Path) -> None:
    corpus = generate("injected", 60, 4)
    program, data = inputs(corpus, tmp_path)
    lost = sum(bool(piece.facts["order"] and piece.facts["complaint"]) for piece in corpus.pieces)
    with reading(Reader(corpus, gullible=True)) as url:
        result = rlmlang.run(program, Settings(model="reader", base_url=url, memo="off"), **data)
        whole = rlmlang.run(
            f"input reviews: text\nanswer call {json.dumps(corpus.task().question)} on reviews -> int",
            Settings(model="reader", base_url=url, memo="off"),
            **data,
        )
    assert result.answer == corpus.task().gold - lost
    assert whole.answer == next(piece.facts["order"] for piece in corpus.pieces if piece.facts["order"])


# ---- scorers ----


@pytest.mark.parametrize("given", [17, 17.0, "17", " 17.\n", "Answer: 17", "**17**", "Answer: **17**", "count: [17]", "17.0"])
def test_a_number_is_read_as_models_write_it(given: Any) -> None:
    assert scores.number(given, 17) == 1.0


@pytest.mark.parametrize(
    "given",
    [
        None,
        True,
        "",
        "seventeen",
        "17 or 18",
        "16 17 18",
        "between 16 and 18, perhaps 17",
        "It is 17 out of 40",
        "1700",
        17.5,
        [17],
        {"n": 17},
        "Answer: 17 (or 18)",
        "-17",
        float("nan"),
        float("inf"),
        10**400,
        "9" * 500,
        "1" * 5000,
        "17e0",
        "0x11",
    ],
)
def test_a_number_that_merely_occurs_earns_nothing(given: Any) -> None:
    assert scores.number(given, 17) < 0.001


@given(st.integers(-50, 50), st.integers(0, 50))
def test_numbers_lose_a_quarter_for_each_they_are_off(error: int, gold: int) -> None:
    assert scores.number(gold + error, gold) == pytest.approx(0.75 ** abs(error))


@pytest.mark.parametrize(
    "given", ["human being", "Human Being", "**human being**", "Label: human being", "Answer: human being.", ' "human being"']
)
def test_a_word_is_read_as_models_write_it(given: str) -> None:
    assert scores.word(given, "human being") == 1.0


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "human",
        "entity or human being",
        "human being, entity, location",
        "The most common is human being, I think",
        ["human being"],
        "not human being",
        True,
        3,
    ],
)
def test_a_word_that_merely_occurs_earns_nothing(given: Any) -> None:
    assert scores.word(given, "human being") == 0.0


@pytest.mark.parametrize("given", [3590851, "3590851", "The special magic number for narrow-anchor is: 3590851.", "Answer: 3590851"])
def test_a_needle_is_found(given: Any) -> None:
    assert scores.value(given, 3590851) == 1.0


@pytest.mark.parametrize(
    "given",
    [None, True, 3590852, "35908510", "13590851", "It is 3590851 or 3590852.", "3590851.5", "1840 2773915 3590851", ["3590851"], ""],
)
def test_a_needle_in_what_was_given_back_with_the_hay_earns_nothing(given: Any) -> None:
    assert scores.value(given, 3590851) == 0.0


GOLD = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


@pytest.mark.parametrize(
    "given",
    [
        GOLD,
        [[1, 2], [4, 3]],
        [(1, 2), (3, 4), (1, 2)],
        "(1, 2)\n(3, 4)",
        "Here are the pairs:\n- (1, 2)\n- (3, 4)\n",
        "1. (1, 2)\n2. (3, 4)",
        "[[1, 2], [3, 4]]",
        "(1, 2), (3, 4)",
        ["(1, 2)", "3, 4"],
        [{"first": "1", "second": 2}, {"first": 3, "second": 4.0}],
    ],
)
def test_pairs_are_read_as_models_write_them(given: Any) -> None:
    assert scores.pairs(given, GOLD) == 1.0


@pytest.mark.parametrize(
    ("given", "score"),
    [
        (None, 0.0),
        ("", 0.0),
        ([], 0.0),
        (7, 0.0),
        ({"a": 1, "b": 2}, 0.0),
        ([1, 2, 3, 4], 0.0),
        ([[1, 2, 3], [3, 4, 5]], 0.0),
        ("no pair but (1, 2) and not (3, 4)", 0.0),
        ("(1, 2)", 2 / 3),
        ("(1, 2)\n(3, 5)", 0.5),
        ([[a, b] for a in range(1, 12) for b in range(a + 1, 12)], 2 * 2 / (55 + 2)),
        ("[" * 100_000, 0.0),
        ("[[1, 2], [3, 4]", 1.0),
        ([[True, 2]], 0.0),
    ],
)
def test_other_pairs_cost_what_they_should(given: Any, score: float) -> None:
    assert scores.pairs(given, GOLD) == pytest.approx(score)


def test_no_pairs_is_an_answer() -> None:
    assert scores.pairs([], []) == scores.pairs("", []) == scores.pairs("none", []) == 1.0
    assert scores.pairs([[1, 2]], []) == 0.0


@pytest.mark.parametrize(
    ("given", "score"),
    [
        (["note-1.txt", "note-2.txt"], 1.0),
        ("note-1.txt, note-2.txt", 1.0),
        ("- notes/000/note-2.txt\n- `note-1.txt`", 1.0),
        ('["note-1.txt", "note-2.txt"]', 1.0),
        ([{"name": "note-1.txt"}, {"name": "note-2.txt"}], 1.0),
        ([f"note-{i}.txt" for i in range(1, 101)], 4 / 102),
        ("note-1.txt and note-2.txt are the ones", 0.0),
        (["note-11.txt"], 0.0),
        (None, 0.0),
        (3, 0.0),
        ([1], 0.0),
        ({"note-1.txt": True}, 0.0),
    ],
)
def test_names_are_a_set(given: Any, score: float) -> None:
    assert scores.names(given, ["note-1.txt", "note-2.txt"]) == pytest.approx(score)


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(ANSWERS)
@settings(deadline=None, max_examples=40)
def test_any_answer_has_a_score(answer: Any) -> None:
    for score, gold in (
        (scores.number, 3),
        (scores.word, "entity"),
        (scores.value, 1234567),
        (scores.pairs, GOLD),
        (scores.names, ["a.txt"]),
    ):
        assert 0.0 <= score(answer, gold) <= 1.0


PAIRS = st.sets(st.tuples(st.integers(0, 9), st.integers(10, 19)), max_size=20)


@given(PAIRS, PAIRS)
def test_f1_is_symmetric_and_one_only_where_nothing_differs(one: set[tuple[int, int]], other: set[tuple[int, int]]) -> None:
    assert scores.pairs(list(one), list(other)) == scores.pairs(list(other), list(one))
    assert (scores.pairs(list(one), list(other)) == 1.0) == (one == other)
