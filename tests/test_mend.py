"""What is put right by itself: only what can have been meant in one way, and the program means that then."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import Shell, rlm
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_programs import TypedPrograms

from rlmlang.check import Turn, check
from rlmlang.check.mend import Mended, mend
from rlmlang.errors import ProgramError
from rlmlang.syntax import parse
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.types import DIR, INT, TEXT, ListOf, RecordOf, Type

__all__ = ["rlm"]

ORDERS = ListOf(RecordOf((("id", INT), ("amount", INT))))
DATA: dict[str, Type] = {"xs": ListOf(TEXT), "note": TEXT, "repo": DIR, "n": INT, "orders": ORDERS}


def mended(text: str, *, guess: bool = False, **data: Type) -> Mended:
    return mend(text, lambda text: check(parse(text), turn=Turn(names=data or DATA)), guess=guess)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        # what is declared again
        ("xs = [text]\nanswer xs", "\nanswer xs"),
        ("orders = [{id: int, amount: int}]\nanswer len(orders)", "\nanswer len(orders)"),
        ("input xs: [text]\nanswer xs", "\nanswer xs"),
        # Python's and JavaScript's spellings
        ("answer null", "answer none"),
        ("answer xs.length", "answer len(xs)"),
        ("answer len(xs) if n > 1 else (note + note).length", "answer len(xs) if n > 1 else len((note + note))"),
        ("answer note.trim().toLowerCase()", "answer note.strip().lower()"),
        ("answer note.splitlines()", "answer lines(note)"),
        ("answer not xs.includes(note)", "answer not (note in xs)"),
        ("answer list(xs)", "answer xs"),
        ("ys = xs  // names\nanswer ys", "ys = xs\nanswer ys"),
        ("answer {len(xs)}", "answer len(xs)"),
        ('answer call "Is it?" on note -> True', 'answer call "Is it?" on note -> bool'),
        ("type Row = {name: string, age: [integer]}\nanswer n", "type Row = {name: text, age: [int]}\nanswer n"),
        ("answer {max(x for x in xs if len(x) > 1)}  # the last", "answer max(x for x in xs if len(x) > 1)  # the last"),
        ("answer [{a, b} for a, b in combinations(xs, 2)]", "answer [{a, b} for a, b in pairs(xs)]"),
        ("answer note.substring(1, n + 1)", "answer note[1:n + 1]"),
        ("answer ''.join(sorted(note))", """answer ''.join(sorted(findall(note, "(?s).")))"""),
        ("answer sum(x for x in xs if len(x) > n)", "answer len([x for x in xs if len(x) > n])"),
        ("answer sum([o for o in orders if o.id > 3])", "answer len([o for o in orders if o.id > 3])"),
        ("answer orders[0].id()", "answer orders[0].id"),
        (
            "ys = xs\nys.sort(key=lambda y: len(y), reverse=True)\nanswer ys",
            "ys = xs\nys = sorted(ys, key=lambda y: len(y), reverse=True)\nanswer ys",
        ),
        ("xs.append(note)\nanswer xs", "xs = xs + [note]\nanswer xs"),
        ("answer group_by(flatten(xs), key=x => len(x))", "answer group_by(xs, key=x => len(x))"),
        # files
        ("answer [f.path for f in repo.files if f.size > 9]", "answer [f.path for f in repo.files() if f.size > 9]"),
        ("answer [f.path for f in repo]", 'answer [f.path for f in repo.files("**/*")]'),
        ("answer len(repo)", 'answer len(repo.files("**/*"))'),
        ("answer [f.content for f in repo.files()]", "answer [f.text for f in repo.files()]"),
        ('answer repo.files("*")', 'answer [f.path for f in repo.files("*")]'),
        ("answer [f.path for f in src.files()]", "answer [f.path for f in repo.files()]"),
        # numbers and texts
        ('answer "no. " + n', 'answer "no. " + str(n)'),
        ("answer xs + note", "answer xs + [note]"),
        ("answer note.split()[1] * note.split()[2]", "answer float(note.split()[1]) * float(note.split()[2])"),
        ("answer [x for x in xs if x.split()[0] > 3]", "answer [x for x in xs if float(x.split()[0]) > 3]"),
        ("answer n == note", "answer n == float(note)"),
        ("answer search('who?', n)", "answer search('who?', str(n))"),
        ("answer [i for i in n]", "answer [i for i in range(n)]"),
        # dicts
        ("answer {o.id: o.amount for o in orders}[n]", "answer {str(o.id): o.amount for o in orders}[str(n)]"),
        ("answer {o.id: 1 for o in orders}.get(n, 0)", "answer {str(o.id): 1 for o in orders}.get(str(n), 0)"),
        ("d = {x: 1 for x in xs}\nanswer n in d", "d = {x: 1 for x in xs}\nanswer str(n) in d"),
        ("d = {x: 1 for x in xs}\nanswer [k for k, v in d]", "d = {x: 1 for x in xs}\nanswer [k for k, v in d.items()]"),
        ("d = {x: 1 for x in xs}\nanswer list(d)[0]", "d = {x: 1 for x in xs}\nanswer keys(d)[0]"),
        ("d = {x: 1 for x in xs}\nanswer sum(d)", "d = {x: 1 for x in xs}\nanswer sum(d.values())"),
        ("d = {x: 1 for x in xs}\nanswer d.north", 'd = {x: 1 for x in xs}\nanswer d["north"]'),
        ("d = {x: 1 for x in xs}\nanswer d.items", "d = {x: 1 for x in xs}\nanswer d.items()"),
        ("d = {x: 1 for x in xs}\nanswer max(d, key=lambda k: d.get(k))", "d = {x: 1 for x in xs}\nanswer max(d, key=lambda k: d[k])"),
        ("answer Counter(xs)", "answer {each: count(xs, each) for each in set(xs)}"),
        (
            "answer Counter(xs).most_common(2)",
            "answer sorted({each: count(xs, each) for each in set(xs)}.items(), key=pair => pair[1], reverse=true)[:2]",
        ),
        # loops
        ("answer {q, r} in zip(xs, xs)", "answer [{q, r} for q, r in zip(xs, xs)]"),
        ("answer reduce a, b in orders { a + b.amount } otherwise 0", "answer sum(b.amount for b in orders) otherwise 0"),
        # one after the other
        ("answer [f for f in src.files if f.length > 9]", None),  # but for that
        ("ys = [g.path for g in src.files]\nanswer ys.length", "ys = [g.path for g in repo.files()]\nanswer len(ys)"),
    ],
)
def test_what_is_put_right(wrong: str, right: str | None) -> None:
    made = mended(wrong)
    errors = [d.message for d in made.left if d.severity == "error"]
    if right is not None:
        assert (made.text.removesuffix("\n"), errors) == (right, [])
    assert made.fixed and all(d.severity == "error" for d in made.fixed)


@pytest.mark.parametrize(
    "text",
    [
        "answer total",  # may be anything
        "answer note + n",  # may be a sum
        "answer [x for x in texts]",  # there are two lists
        "answer note.split()[0].amount",
        "answer sum(xs)",  # a mistake of another kind: what is to be added up is not said
        "table = text\nanswer table",
    ],
)
def test_what_may_mean_several_things_is_left(text: str) -> None:
    made = mended(text)
    assert made.text == text and not made.fixed and made.left


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        # a text that is taken for a record
        ("answer [{x.name, x.city} for x in xs]", '[{name: call "Which name?" on x, city: call "Which city?" on x} for x in xs]'),
        ("answer max(xs, key=lambda x: x.anger)", 'max(xs, key=lambda x: (call "Which anger?" on x))'),
        # what a model is asked for
        ('answer [x for x in xs if call "Good, 1 to 9?" on x -> int]', '[x for x in xs if call "Good, 1 to 9?" on x -> bool]'),
        ('answer [x for x in xs if call "Is {x} good?" -> int]', '[x for x in xs if call f"Is {x} good?" -> bool]'),
        ("answer [x for x in xs if len(x) > 1 and x > orders]", None),
        ('answer 1 + call "How many?" on note', '1 + call "How many?" on note -> int'),
        (
            'answer sum([call "How many?" on x -> int? for x in xs])',
            'sum([x for x in ([call "How many?" on x -> int? for x in xs]) if x != none])',
        ),
        ('answer (call "How many?" on note -> int?) + 1', '(((call "How many?" on note -> int?) ?? 0)) + 1'),
        ('answer (call "Who?" on note -> {name: text}?).name', '(call "Who?" on note -> {name: text}?)?.name'),
        # lists, texts, numbers
        ("answer [x for x in note]", "[x for x in lines(note)]"),
        ("answer [i for i, x in enumerate(note)]", "[i for i, x in enumerate(lines(note))]"),
        ("answer combinations(xs, 3)", None),
        ("answer sum([[o.amount * 1.5] for o in orders])", "sum(flatten([[o.amount * 1.5] for o in orders]))"),
        ("answer join([[x] for x in xs] + 1)", None),
        ("answer xs > 3", "len(xs) > 3"),
        ("answer note + n", "note + str(n)"),
        ("answer n[0]", None),
        ("answer round(xs, 2)", None),
        ("answer upper(xs)", "upper(str(xs))"),
        ("answer range(orders[0].amount / 2)", "range(round(orders[0].amount / 2))"),
        # names
        ("answer [o.ammount for o in orders]", "[o.amount for o in orders]"),
        ("answer [o for o in oders]", "[o for o in orders]"),
        ('answer orders[0]["ammount"]', 'orders[0]["amount"]'),
        ("answer sortd(xs)", "sorted(xs)"),
        ("answer [{o.id, mood} for o in orders]", '[{o.id, mood: call "Which mood?" on o} for o in orders]'),
        ("answer [{f.path, count} for f in repo.files()]", '[{f.path, count: call "Which count?" on f.text -> int} for f in repo.files()]'),
        ("answer [{x, mean} for x in xs]", '[{x, mean: call "Which mean?" on x -> float} for x in xs]'),
        ("answer {note, len(xs)}", "{note, len: len(xs)}"),
        (
            "answer [{o.id, sum(x.id for x in orders if x.id > o.id), m: 3} for o in orders]",
            "[{o.id, sum: sum(x.id for x in orders if x.id > o.id), m: 3} for o in orders]",
        ),
        ('answer {n, note.lower().count("a")}', '{n, count: note.lower().count("a")}'),
        ("answer {n, len(xs) + 1}", None),
        ("answer [{xs.index(x), x.upper()} for x in xs]", "[{index: xs.index(x), upper: x.upper()} for x in xs]"),
        ("answer {note, xs[0]}", None),
        ("answer {note, len(xs), len(note)}", None),
        ("answer {note, mood}", None),
        ("answer yes if len(xs) > 3 else no", '"yes" if len(xs) > 3 else "no"'),
        ('answer call "Which?" on note -> bol', 'call "Which?" on note -> bool'),
        ("answer [note + mood for x in xs]", None),
    ],
)
def test_what_may_be_meant_is_guessed_where_that_is_asked_for(wrong: str, right: str | None) -> None:
    """None: it is not known what was meant."""
    alone = mended(wrong)
    assert alone.text == wrong and any(d.severity == "error" for d in alone.left)
    made = mended(wrong, guess=True)
    errors = [d.message for d in made.left if d.severity == "error"]
    if right is None:
        assert errors
    else:
        assert (made.text.removesuffix("\n"), errors) == (f"answer {right}", [])


def test_a_field_that_is_named_after_nothing_may_be_asked_of_all_there_is() -> None:
    wrong = "answer {best_city, mean}"
    made = mended(wrong, guess=True, readings=ListOf(RecordOf((("town", TEXT),))))
    assert made.text == 'answer {best_city: call "Which best city?" on readings, mean: call "Which mean?" on readings -> float}\n'
    assert not made.left and mended(wrong, readings=ListOf(TEXT)).left
    assert mended(wrong, guess=True, readings=ListOf(TEXT), more=TEXT).left
    assert mended(wrong, guess=True, readings=DIR).left


def test_a_function_may_be_named_after_what_it_does() -> None:
    wrong = 'answer {max_key([r for r in people if "a" in r.name], key=lambda r: len(r.name))["name"]}'
    people = ListOf(RecordOf((("name", TEXT),)))
    assert [d.hint for d in mended(wrong, people=people).left] == ["did you mean max?"]
    made = mended(wrong, guess=True, people=people)
    assert made.text.startswith("answer {max([") and not made.left


PEOPLE = ListOf(RecordOf((("name", TEXT), ("ages", ListOf(INT)))))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        # the item of which something is largest, where the largest is asked for a field of the items
        ("answer max([len(p.ages) for p in people]).name", "answer max(people, key=p => len(p.ages)).name"),
        ("answer {min(sum(p.ages) for p in people).name, n}", "answer {min(people, key=p => sum(p.ages)).name, n}"),
        ("answer max([len(p.ages) for p in people]).shoes", None),
        ("answer max([len(p.ages) for p in people if p.ages]).name", None),
        # what has no parts is the part itself
        (
            'answer {max([len(p.ages) for p in people])["most"], min([len(p.ages) for p in people])["least"]}',
            "answer {most: max([len(p.ages) for p in people]), least: min([len(p.ages) for p in people])}",
        ),
        ('answer max([len(p.ages) for p in people])["most"] + 1', "answer max([len(p.ages) for p in people]) + 1"),
        ("answer [{x.text, len(x)} for x in xs]", "answer [{text: x, len: len(x)} for x in xs]"),
        ("answer [x.text for x in xs]", "answer [x for x in xs]"),
        # items taken two at a time, or with their positions
        ("answer [[a, b] for a, b in xs if a != b]", "answer [[a, b] for a, b in pairs(xs) if a != b]"),
        ("answer [a.name for a, b in people if a.ages == b.ages]", "answer [a.name for a, b in pairs(people) if a.ages == b.ages]"),
        ("answer [x for i, x in xs if i > 3]", "answer [x for i, x in enumerate(xs) if i > 3]"),
        ("answer [a for a, b, c in xs]", None),
        # a condition on items that stands outside
        ("answer [x for x in xs] if len(x) > 3 else []", "answer [x for x in xs if len(x) > 3]"),
        ("answer [x for x in xs if x != note] if len(quack) > 3 else []", None),
        # alternatives that are no list
        ("answer any(n > 3, n < 1)", "answer any([n > 3, n < 1])"),
        ("answer any(n > 3, of=n < 1)", None),
    ],
)
def test_what_may_be_meant_by_several_parts_together(wrong: str, right: str | None) -> None:
    made = mended(wrong, guess=True, **DATA, people=PEOPLE)
    errors = [d.message for d in made.left if d.severity == "error"]
    if right is None:
        assert errors
    else:
        assert (made.text.removesuffix("\n"), errors) == (right, [])
    assert mended(wrong, **DATA, people=PEOPLE).text == wrong


@pytest.mark.parametrize(
    "right",
    [
        "answer [x for x in xs] if any(len(x) > 1 for x in xs) else []",
        "answer [x for x in xs] if len([x for x in xs if len(x) > 1]) > 2 else []",
        "x = note\nanswer [x for x in xs] if len(x) > 1 else []",
    ],
)
def test_a_condition_may_use_the_same_names_for_itself(right: str) -> None:
    made = mended(right, guess=True)
    assert not [d for d in made.left if d.severity == "error"] and not [d for d in made.fixed if d.severity == "error"]


def test_fields_that_are_asked_of_what_has_none_keep_their_names() -> None:
    wrong = 'answer [{x.text, (sentences(x)).count, max(len(y) for y in xs)["most"]} for x in xs]'
    made = mended(wrong, guess=True)
    assert made.text == "answer [{text: x, count: len(sentences(x)), most: max(len(y) for y in xs)} for x in xs]\n" and not made.left


def test_a_type_of_words_may_stand_for_their_list() -> None:
    declared = 'type Mood = "good" | "so-so"'
    made = mended(f"{declared}\nanswer {{m: xs.count(m) for m in Mood}}", guess=True)
    assert made.text == f'{declared}\nanswer {{m: xs.count(m) for m in ["good", "so-so"]}}\n' and not made.left


@pytest.mark.parametrize("wrong", ['answer note in {"a"}', 'hit = note == {"a"}\nanswer hit', 'answer not note in {"a"}  # a set'])
def test_a_set_of_one_is_not_put_right(wrong: str) -> None:
    """`note in "a"` would look for a part of a text."""
    made = mended(wrong)
    assert made.text == wrong and not made.fixed and made.left


def test_one_list_is_the_one_that_is_meant() -> None:
    made = mended("answer [m for m in reviews if len(m) > 3]", mails=ListOf(TEXT), note=TEXT)
    assert made.text == "answer [m for m in mails if len(m) > 3]\n" and not made.left
    assert made.fixed[0].hint == "did you mean mails?"


def test_right_programs_stay_as_they_are() -> None:
    for seed in range(60):
        text = TypedPrograms(seed).program()
        made = mend(text, lambda text: check(parse(text)))
        assert made.text == text and not made.fixed


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(["", " ", "x", ".length", "null", "[", "text", "sorted(", ")", ".name", "[0]"]),
)
def test_any_text_is_survived(seed: int, at: int, piece: str) -> None:
    text = TypedPrograms(seed).program()
    at %= len(text) + 1

    def diagnose(text: str) -> tuple[Diagnostic, ...]:
        try:
            return check(parse(text)).diagnostics
        except ProgramError as error:
            return error.diagnostics

    for guess in (False, True):
        made = mend(text[:at] + piece + text[at:], lambda text: check(parse(text)), guess=guess)
        assert made.left == diagnose(made.text) or [d.message for d in made.left] == [d.message for d in diagnose(made.text)]


# ---- on the command line ----


def test_a_file_is_put_right(rlm: Shell) -> None:
    path = rlm.write("p.rlm", "# mine\ninput repo: dir\nanswer [f.path for f in repo.files if nope]  # why\n")
    done = rlm("check", "p.rlm", "--fix")
    assert done.code == 2 and "nothing is named nope here" in done.out and "fixed p.rlm: 1 mistake" in done.err
    assert Path(path).read_text() == "# mine\ninput repo: dir\nanswer [f.path for f in repo.files() if nope]  # why\n"
    Path(path).write_text("input repo: dir\nanswer len(repo)\n")
    done = rlm("check", "p.rlm", "--fix")
    assert (done.code, done.out, done.err) == (0, "", "fixed p.rlm: 1 mistake\n")
    done = rlm("check", "p.rlm", "--fix")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_standard_input_is_put_right(rlm: Shell) -> None:
    done = rlm.process("check", "-", "--fix", data=b"input xs: [int]\nanswer xs.length + nope\n")
    assert done.code == 2 and done.out == "input xs: [int]\nanswer len(xs) + nope\n" and "nothing is named nope" in done.err
    assert rlm("check", "-", "--fix", "--json").code == 2


def test_a_file_that_cannot_be_written(rlm: Shell) -> None:
    rlm.write("p.rlm", "input repo: dir\nanswer len(repo)\n")
    Path("p.rlm").chmod(0o400)
    done = rlm("check", "p.rlm", "--fix")
    assert done.code in (0, 2)  # root may write it
    assert "Traceback" not in done.err
