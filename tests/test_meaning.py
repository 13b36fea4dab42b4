"""What must hold of every run (LANGUAGE.md, "Meaning that must hold"): when calls start and end, in virtual time, and what they cost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from scripted import SETTINGS, FakeModel, scripted

import rlmlang
from rlmlang import BudgetError, Failure, Interrupted, LimitError, Result, RlmError, UsageError
from rlmlang.run.evaluate import Run
from rlmlang.run.memo import Memo
from rlmlang.run.memo_rows import MemoRow
from rlmlang.session import prepare


def run(source: str, settings: rlmlang.Settings = SETTINGS, **inputs: Any) -> tuple[Result, FakeModel]:
    with scripted() as model:
        return rlmlang.run(source, settings, **inputs), model


def fails(source: str, settings: rlmlang.Settings = SETTINGS, kind: type[RlmError] = Failure) -> tuple[RlmError, FakeModel]:
    with scripted() as model, pytest.raises(kind) as caught:
        rlmlang.run(source, settings)
    return caught.value, model


def overlap(model: FakeModel, *texts: str) -> bool:
    """Whether all these requests were under way at one time."""
    found = [model.one(text) for text in texts]
    ends = [a.end for a in found if a.end is not None]
    return max(a.start for a in found) < min(ends)


# ---- 1. order does not matter ----


@pytest.mark.parametrize(
    "source",
    [
        'a = call "wait 3 echo a"\nb = call "wait 3 echo b"\nanswer a + b',
        'answer {a: call "wait 3 echo a", b: call "wait 3 echo b"}',
        'answer [(call "wait 3 echo a"), (call "wait 3 echo b")]',
        'answer (call "wait 3 echo a") + (call "wait 3 echo b")',
        "answer f\"{call 'wait 3 echo a'} {call 'wait 3 echo b'}\"",
        'answer (call "wait 3 echo a") == (call "wait 3 echo b")',
        'answer join([(call "wait 3 echo a"), (call "wait 3 echo b")], "-")',
        'answer replace(call "wait 3 echo a", call "wait 3 echo b", "c")',
        'fn f(x: text, y: text) -> text { x + y }\nanswer f(call "wait 3 echo a", call "wait 3 echo b")',
        'answer call "both" on (call "wait 3 echo a"), (call "wait 3 echo b")',
        'answer [call f"wait 3 echo {x}" for x in ["a", "b"]]',
        'fn f() -> text { call "wait 3 echo a" }\nfn g() -> text { call "wait 3 echo b" }\nanswer f() + g()',
        'x = [call f"wait 3 echo {s}" for s in ["a"]]\ny = [call f"wait 3 echo {s}" for s in ["b"]]\nanswer x + y',
        'answer map s in ["x"] { p = call "wait 3 echo a"\n  q = call "wait 3 echo b"\n  p + q }',
    ],
)
def test_independent_calls_overlap(source: str) -> None:
    _, model = run(source)
    assert overlap(model, "echo a", "echo b")


def test_a_binding_starts_as_soon_as_its_inputs_are_there() -> None:
    _, model = run("""
        a = call "wait 1 echo a"
        slow = call "wait 9 echo slow"
        b = call f"wait 1 echo b{a}"
        c = call f"wait 1 echo c{b}"
        answer [slow, c]
        """)
    assert (model.one("echo ba").start, model.one("echo cba").start) == (1.0, 2.0)


def test_an_item_window_is_bounded() -> None:
    settings = evolve(SETTINGS, concurrency=3)
    result, model = run('answer len([call "data" on i for i in range(100)])', settings)
    assert result.answer == 100
    assert model.most_under_way == 3
    assert model.asked[-1].start == 33.0


def test_a_window_takes_only_so_many_items_at_once() -> None:
    with scripted() as model:
        session = prepare('answer [x for x in [call "data" on i for i in range(5000)] if x == "1"]', evolve(SETTINGS, concurrency=2))
        most = 0
        complete = model.complete

        async def watching(request: Any) -> Any:
            nonlocal most
            most = max(most, session.run.live_items)
            return await complete(request)

        model.complete = watching  # type: ignore[method-assign]
        assert session.start().wait() == ["1"]
        assert 2 <= most <= session.run.window == 12


def test_the_first_failure_in_program_order_is_reported() -> None:
    error, _ = fails('a = call "wait 5 fail first"\nb = call "wait 5 fail second"\nanswer b + a')
    assert "first" in error.message and error.span is not None and error.span.line == 1
    error, _ = fails('answer [call f"wait 2 fail {x}" for x in ["p", "q", "r"]]')
    assert '"p"' in error.message and isinstance(error, Failure) and error.item == ("0",)


# ---- 2. nothing unneeded is paid ----


@pytest.mark.parametrize(
    "source",
    [
        'x = call "echo x"\nanswer 1',
        'x = call "echo x"\ny = x + "b"\nanswer 1',
        'x = call "echo x"\nanswer "a" if 1 < 2 else x',
        'x = call "echo true" -> bool\nanswer 1 < 2 or x',
        'x = call "echo true" -> bool\nanswer 1 > 2 and x',
        'answer "a" ?? call "echo x"',
        'x = call "echo x"\nanswer int("3") otherwise len(x)',
        'fn f(a: text) -> int { 1 }\nanswer f(call "echo x")',
        'fn f(c: bool, a: text) -> text { if c { a } else { "b" } }\nanswer f(false, call "echo x")',
        'fn f(a: text) -> text { if 1 > 2 { a } else { "b" } }\nx = call "echo x"\nanswer f(x + "c")',
        'x = call "echo x"\nanswer [x + y for y in []]',
        'x = call "echo x"\nys = [y for y in ["a"] if y == "b"]\nanswer [call f"echo {x}{y}" for y in ys]',
        'x = call "echo x"\nanswer fold a, y in [] from "" { a + x }',
        'x = call "echo x"\nanswer reduce a, b in ["y"] { a + b + x }',
        'x = call "echo x"\nanswer filter y in ["a"][1:] { y == x }',
        'x = [call "echo x" for i in range(3)]\nanswer map y in [1] { if y > 1 { len(x) } else { 0 } }',
        'fn f() -> text { call "echo x" }\ng = f()\nanswer 2',
        'a, b = [(call "echo x"), (call "echo y")]\nanswer 1',
        'x = call "echo x"\nanswer {a: 1}.a',
    ],
)
def test_what_is_not_needed_is_not_paid(source: str) -> None:
    result, model = run(source)
    assert (result.used.calls, model.asked) == (0, [])


def test_a_binding_of_one_branch_starts_when_the_branch_is_taken() -> None:
    _, model = run('x = call "echo x"\nc = call "wait 4 echo true" -> bool\nanswer x if c else "no"')
    assert model.one("echo x").start == 4.0


def test_a_binding_of_both_branches_starts_at_once() -> None:
    _, model = run('x = call "echo x"\nc = call "wait 4 echo true" -> bool\nanswer x + "a" if c else x')
    assert model.one("echo x").start == 0.0


def test_a_needed_list_is_computed_whole() -> None:
    result, model = run('answer len([call "data" on i for i in range(3)])')
    assert (result.answer, len(model.asked)) == (3, 3)
    result, model = run('xs = [call "data" on i for i in range(3)]\nanswer xs[0]')
    assert len(model.asked) == 3


def test_what_only_the_right_side_of_otherwise_uses_starts_when_the_left_failed() -> None:
    _, model = run('x = call "echo x"\nanswer call "wait 3 fail" otherwise x')
    assert model.one("echo x").start == 3.0


# ---- 3. equal calls are paid once ----


def test_equal_calls_share_one_while_it_is_under_way_and_later() -> None:
    result, model = run("""
        a = call "wait 5 echo a"
        b = call "wait 5 echo a"
        c = call f"wait {if a == 'a' { 5 } else { 0 }} echo a"
        answer a + b + c
        """)
    assert (result.answer, len(model.asked)) == ("aaa", 1)
    assert (result.used.calls, result.used.shared, result.used.rounds) == (3, 2, 2)


def test_a_row_that_is_just_committed_is_of_this_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An equal call may find it before the one that paid for it has heard of that."""
    put = Memo.put

    async def put_slowly(memo: Memo, key: bytes, row: MemoRow) -> None:
        await put(memo, key, row)
        await asyncio.sleep(5 if row.value == "a" else 0)

    monkeypatch.setattr(Memo, "put", put_slowly)
    program = """
        a = call "wait 1 echo a"
        b = call "wait 3 echo b"
        answer [a, if b == "b" { call "wait 1 echo a" } else { "" }]
        """
    result, _ = run(program, evolve(SETTINGS, memo=tmp_path / "memo.sqlite"))
    used = result.used
    assert (result.answer, used.calls, used.requests, used.shared, used.from_memo) == (["a", "a"], 3, 2, 1, 0)


def test_an_equal_call_that_fails_fails_for_all() -> None:
    result, model = run('a = call "fail" otherwise "1"\nb = call "fail" otherwise "2"\nanswer a + b')
    assert (result.answer, len(model.asked), result.used.shared, result.used.failed) == ("12", 1, 1, 1)


_PIPELINE = """
fn f(x: int) -> int { call "double" on x -> int }
xs = [f(x) for x in range(20) if call "even" on x -> bool]
best = reduce a, b in xs { call f"echo {max(a, b)}" -> int }
answer {xs, best, t: call "upper" on "text" otherwise "no"}
"""


def test_the_memo_is_transparent(tmp_path: Path) -> None:
    settings = evolve(SETTINGS, memo=tmp_path / "memo")
    plain, _ = run(_PIPELINE)
    first, model = run(_PIPELINE, settings)
    again, other = run(_PIPELINE, settings)
    off, _ = run(_PIPELINE, evolve(settings, offline=True))
    assert plain.answer == first.answer == again.answer == off.answer
    assert len(model.asked) == first.used.requests > 0 and other.asked == []
    assert plain.used.calls == first.used.calls == again.used.calls and plain.used.shared == first.used.shared
    assert again.used.from_memo == again.used.calls and again.used.rounds == first.used.rounds


def test_offline_a_call_that_is_not_in_the_memo_fails(tmp_path: Path) -> None:
    error, model = fails('answer call "echo a"', evolve(SETTINGS, memo=tmp_path / "memo", offline=True))
    assert "offline" in error.message and model.asked == []


# ---- 4. pipelines do not wait ----

_STREAMS = {
    "one expression": 'answer [call f"second {x}" for x in {first}]',
    "a binding": 'xs = {first}\nanswer [call f"second {x}" for x in xs]',
    "a binding that two read": 'xs = {first}\nys = [call f"second {x}" for x in xs]\nanswer {n: len(xs), ys}',
    "a pure stage between": 'xs = {first}\nps = [x + "" for x in xs if x != "z"]\nanswer [call f"second {x}" for x in ps]',
    "a filter between": 'xs = {first}\nanswer [call f"second {x}" for x in xs if x in "abc"]',
    "two loops": 'xs = {first}\nanswer [call f"second {x}" for x in xs for y in [1]]',
    "within a function": 'fn f(s: text) -> [text] { xs = {first}\n  [call f"second {x}" for x in xs] }\nanswer f("a")',
}


@pytest.mark.parametrize("how", _STREAMS)
def test_an_item_goes_on_as_soon_as_it_is_through(how: str) -> None:
    first = """[call f"wait {if s == 'a' { 1 } else { 9 }} echo {s}" for s in ["c", "a", "b"]]"""
    source = _STREAMS[how].replace("second", "echo 2").replace("{first}", first)
    result, model = run(source)
    assert model.one("echo 2 a").start == 1.0, model.asked
    answer = result.answer["ys"] if isinstance(result.answer, dict) else result.answer
    assert answer == ["2 c", "2 a", "2 b"]


def test_a_filter_streams_into_a_map() -> None:
    _, model = run("""
        xs = [x for x in [8, 1, 2] if call f"wait {x} even" on x -> bool]
        answer [call "double" on x -> int for x in xs]
        """)
    assert model.one("double | 2").start == 2.0 and model.one("double | 8").start == 8.0


def test_after_a_failure_no_new_call_starts_and_those_under_way_end_in_the_memo(tmp_path: Path) -> None:
    settings = evolve(SETTINGS, memo=tmp_path / "memo", concurrency=2)
    source = 'answer [call f"wait {w}" on i for i, w in enumerate(["3 data", "1 fail", "1 data", "1 data"])]'
    error, model = fails(source, settings)
    assert isinstance(error, Failure) and error.item == ("1",)
    assert model.texts() == ["wait 3 data | 0", "wait 1 fail | 1"]
    assert model.asked[0].end == 3.0
    result, model = run('answer call f"wait 3 data" on 0', settings)
    assert (result.answer, model.asked) == ("0", [])


def test_after_a_failure_calls_of_other_statements_do_not_start() -> None:
    error, model = fails("""
        a = call "wait 1 fail"
        b = call "wait 3 echo b"
        c = call f"echo c{b}"
        answer a + c
        """)
    assert "refused" in error.message
    assert sorted(model.texts()) == ["wait 1 fail", "wait 3 echo b"]
    assert model.one("echo b").end == 3.0


def test_items_come_in_order_as_soon_as_they_are_there() -> None:
    seen: list[tuple[str, int]] = []
    with scripted() as model:
        session = prepare('answer [call f"wait {w} echo {w}" for w in [2, 1, 4, 3]]', SETTINGS)
        session.start(on_item=lambda item: seen.append((item, sum(a.end is not None for a in model.asked)))).wait()
    assert [item for item, _ in seen] == ["2", "1", "4", "3"]
    assert seen[0][1] < 4, "the first was kept until the last was there"


# ---- cancellation ----

_HANGS = 'a = call "echo a"\nxs = [call "hang" on i for i in range(9)]\nb = xs otherwise ["taken"]\nanswer {a, b}'


def test_cancelling_leaves_no_call() -> None:
    with scripted() as model:
        session = prepare(_HANGS, SETTINGS)
        running = session.start()
        assert model.begun.wait(20)
        running.cancel()
        with pytest.raises(Interrupted):
            running.wait()
    assert model.under_way == 0 and model.closed


def test_cancelling_the_task_of_arun_leaves_no_call() -> None:
    async def main(model: FakeModel) -> None:
        task = asyncio.ensure_future(rlmlang.arun(_HANGS, SETTINGS))
        while not model.begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.under_way == 0 and model.closed

    with scripted() as model:
        asyncio.run(main(model))


def test_cancelling_stops_pure_code() -> None:
    source = 'n = call "echo 2000" -> int\nanswer sum([sum([x * y for x in range(n)]) for y in range(200 * n)])'
    with scripted() as model:
        running = prepare(source, SETTINGS).start()
        while not (model.asked and model.asked[0].end):
            time.sleep(0.001)
        running.cancel()
        with pytest.raises(Interrupted):
            running.wait()


# ---- 6. every program ends; limits; 8. budgets ----


def test_otherwise_takes_no_budget_stop_and_no_limit() -> None:
    error, model = fails('answer [call "data" on i otherwise "x" for i in range(9)]', evolve(SETTINGS, budget="4 calls"), BudgetError)
    assert len(model.asked) == 4 and error.result is not None and error.result.used.requests == 4
    fails('answer len("ab" * 100000000) otherwise 0', kind=LimitError)
    fails('x = call "echo 100000000" -> int\nanswer [len("ab" * x) otherwise 0 for i in [1]] otherwise skip', kind=LimitError)


def test_a_budget_stop_keeps_what_is_paid(tmp_path: Path) -> None:
    settings = evolve(SETTINGS, memo=tmp_path / "memo", budget="4 calls")
    source = 'n = call "echo 8" -> int\nanswer [call "data" on i for i in range(n)]'
    fails(source, settings, BudgetError)
    fails(source, settings, BudgetError)
    result, model = run(source, settings)
    assert result.answer == [str(i) for i in range(8)]
    assert (len(model.asked), result.used.from_memo) == (1, 8)


def test_a_budget_below_the_lower_bound_is_refused_before_anything_is_spent() -> None:
    _, model = fails('answer [call "data" on i for i in range(9)]', evolve(SETTINGS, budget="4 calls"), BudgetError)
    assert model.asked == []


def test_a_budget_of_seconds_stops_calls_under_way() -> None:
    error, model = fails('answer [call "wait 100 data" on i for i in range(3)]', evolve(SETTINGS, budget="10 s"), BudgetError)
    assert "10 s" in error.message and model.under_way == 0


# ---- 7. rounds and depth ----

_SHAPES = {
    "answer 1": (0, 0),
    'answer call "echo a"': (1, 1),
    'answer [call "data" on i for i in range(16)]': (1, 1),
    'a = call "echo a"\nb = call f"echo b{a}"\nc = call f"echo c{b}"\nd = call "echo d"\nanswer c + d': (3, 1),
    'answer reduce a, b in ["1", "2", "3", "4", "5", "6", "7"] { call f"echo {a}{b}" }': (3, 1),
    'answer fold a, x in ["1", "2", "3", "4"] from "" { call f"echo {a}{x}" }': (4, 1),
    'answer fold a, x in ["1", "2", "3", "4"] from "" { a + (call "data" on x) }': (1, 1),
    'answer [call "upper" on x for x in ["a", "b"] if call "has a" on x -> bool]': (2, 1),
    'answer call "fail" otherwise call "echo b"': (2, 1),
    'answer call "later 3" -> int': (1, 1),
    'answer (call "echo a") if call "echo false" -> bool else "b"': (1, 1),
    'answer sorted(["b", "a"], key=x => call "upper" on x)[0] + (call "echo c")': (1, 1),
    'xs = [call "data" on x for x in ["a", "b"]]\nanswer call f"echo {join(xs)}"': (2, 1),
    'fn f(n: int) -> text depth 5 { if n == 0 { "" } else { call f"echo {n}{f(n - 1)}" } }\nanswer f(5)': (5, 1),
    'answer map x in ["a", "b"] { y = call "upper" on x\n  call f"echo {y}" }': (2, 1),
    'xs = [p for p in ["b", "c"] if call "has a" on p -> bool]\nanswer call "data" on [q for p in xs for q in [p]]': (2, 1),
    'xs = [x for x in (call "echo []" -> [text]) if x]\nanswer call "data" on [x for x in xs if call "has a" on x -> bool]': (2, 1),
    'x = call "echo x"\nanswer [call f"echo {x}{y}" for y in ["a"]] + [call f"echo {y}" for y in ["b"]]': (2, 1),
}


@pytest.mark.parametrize("source", _SHAPES)
def test_rounds_and_depth(source: str) -> None:
    result, model = run(source)
    assert (result.used.rounds, result.used.depth) == _SHAPES[source]
    if "later" not in source:  # with one second a call, rounds are what the clock says
        assert max((a.end or 0.0 for a in model.asked), default=0.0) == result.used.rounds


def test_reduce_merges_neighbours_level_by_level() -> None:
    result, model = run('answer reduce a, b in ["1", "2", "3", "4", "5"] { call f"echo ({a}{b})" }')
    assert result.answer == "(((12)(34))5)"
    assert [(a.prompt, a.start) for a in model.asked] == [
        ("echo (12)", 0.0),
        ("echo (34)", 0.0),
        ("echo ((12)(34))", 1.0),
        ("echo (((12)(34))5)", 2.0),
    ]


def test_calls_of_fold_that_do_not_use_the_accumulator_start_at_once() -> None:
    _, model = run('answer fold a, x in ["p", "q", "r"] from "" { u = call "upper" on x\n  call f"echo {a}{u}" }')
    assert [model.one(f"upper | {x}").start for x in "pqr"] == [0.0, 0.0, 0.0]
    assert [model.one(f"echo {x}").start for x in ("P", "PQ", "PQR") if x == "PQR"] == [3.0]


def test_first_starts_no_call_beyond_an_item_that_failed() -> None:
    source = 'answer first 6 x in ["fail", "has a", "has b", "has c", "has d", "has e"] where call x on "z" -> bool'
    error, model = fails(source, evolve(SETTINGS, concurrency=2))
    assert isinstance(error, Failure) and error.item == ("0",)
    assert model.texts() == ["fail | z", "has a | z"]


# ---- failures, and how they are told ----


def test_a_failure_tells_line_item_and_attempts(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "docs" / name).write_text(name)
    source = """input d: dir
xs = [call "echo 1" -> "x" | "y" on f.text otherwise "x" for f in d.files()]
ys = [call "fail" on y for y in ["p", "q"]] otherwise skip
zs = [int(z) for z in ["1", "z"]] otherwise skip
answer {xs, ys, zs}"""
    source = source.replace('-> "x" | "y" on f.text', 'on f.text -> "x" | "y"')
    result, _ = run(source, d=tmp_path / "docs")
    assert result.answer == {"xs": ["x", "x"], "ys": [], "zs": [1]}
    told = sorted((f.line, f.item, f.attempts) for f in result.failures)
    assert told == [(2, "a.txt", 3), (2, "b.txt", 3), (3, "0", 1), (3, "1", 1), (4, "1", 0)]


def test_a_value_that_fails_for_several_items_is_told_for_each() -> None:
    result, _ = run("a = [1, 2]\nt = a[10]\nanswer [x + t otherwise skip for x in range(3)]")
    assert [(f.line, f.item) for f in result.failures] == [(2, "0"), (2, "1"), (2, "2")]


def test_the_price_of_a_failed_call_is_not_known_either() -> None:
    result, _ = run('answer call "fail" otherwise "x"')
    assert result.used.dollars is None


def test_what_ends_the_run_is_the_last_of_its_failures() -> None:
    error, _ = fails('a = call "fail one" otherwise "x"\nb = call f"fail {a} two"\nanswer a + b')
    assert error.result is not None and error.result.error == error.message and error.result.answer is None
    assert [f.line for f in error.result.failures] == [1, 2]


def test_otherwise_takes_failures_wherever_they_come_from() -> None:
    result, _ = run("""
        fn deep(n: int) -> text depth 3 { call f"fail {n}" if n == 0 else deep(n - 1) }
        x = call "fail x"
        answer [deep(2) otherwise "a", x otherwise "b", [y + x for y in ["1"]] otherwise ["c"], str(1 // (call "echo 0" -> int)) otherwise
        "d"]
        """)
    assert result.answer == ["a", "b", ["c"], "d"]


def test_when_the_left_side_fails_its_calls_not_yet_sent_are_dropped() -> None:
    result, model = run(
        'answer ((call "fail") + join([call "wait 2 data" on i for i in range(9)])) otherwise "x"', evolve(SETTINGS, concurrency=2)
    )
    assert result.answer == "x"
    assert len(model.asked) <= 3


def test_otherwise_leaves_the_calls_that_others_need() -> None:
    result, _ = run("""
        shared = [call "wait 2 data" on i for i in range(4)]
        a = join([call "fail"] + shared) otherwise "x"
        answer {a, shared}
        """)
    assert result.answer == {"a": "x", "shared": ["0", "1", "2", "3"]}


# ---- 9. no ambient authority ----


def test_a_program_calls_the_models_it_was_allowed() -> None:
    with scripted(), pytest.raises(UsageError, match=r"(?i)no model is called"):
        rlmlang.run('answer call "echo a" with {model: "other"}', SETTINGS)


def test_a_failure_that_is_kept_keeps_no_data() -> None:
    source = 'answer [(call "fail" on f"{x}" + "x" * 1000) otherwise "none" for x in range(20)]'
    with scripted():
        session = prepare(source, SETTINGS, {})
        assert session.start().wait() == ["none"] * 20
    kept = [*session.calls._failed.values()]
    assert len(kept) == 20
    assert all(failure.__traceback__ is None and failure.__context__ is None for failure in kept)


def test_what_is_cancelled_before_its_task_begins_ends() -> None:
    ended: list[bool] = []

    async def item() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append(True)

    async def main() -> None:
        session = prepare('answer call "echo x"', SETTINGS, {})
        run = Run(session.calls, 1)
        code = item()  # held, so that it is not ended by being forgotten
        run.start(code)
        await run.end()
        await asyncio.sleep(0)
        assert ended == [True]

    asyncio.run(main())
