"""The bound, told to people: formulas of many small programs, tightness, work, and `rlm cost`.

`chunks/bounds.rlm` has the programs, separated by lines `---`. What is expected stands in comments:

    ### calls 2·n + 1           at most; likewise requests, rounds, depth, input_tokens …
    ### calls n + 1 .. 2·n + 1  at least .. at most; numbers may stand close: 3..7
    ### unbounded calls         nothing bounds it
    ### given {"n": 3}          the inputs that are given; without any, they are sizes in formulas

A program whose bound has no formula is also run (tests/scripted.py), and has to keep to it.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from commandline import Done, Shell, rlm
from scripted import SETTINGS, FakeModel, scripted

import rlmlang
from benchmarks.tightness import Tightness, measured, medians, table
from rlmlang.builtins import REGISTRY
from rlmlang.cost.analysis import Analysis
from rlmlang.cost.bound import FIGURES, formula
from rlmlang.errors import Failure
from rlmlang.files import FileValue
from rlmlang.lm.request import Completion, Request, Usage
from rlmlang.quantity import INFINITE, Quantity
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.syntax.walk import walk

__all__ = ["rlm"]

ROOT = Path(__file__).parents[1]


@define
class Chunk:
    line: int
    text: str
    given: dict[str, Any] = field(factory=dict)
    marks: list[tuple[str, str]] = field(factory=list)
    xfail: bool = False


def _read() -> list[Chunk]:
    found, line = [], 1
    for text in (ROOT / "tests" / "chunks" / "bounds.rlm").read_text("utf-8").split("\n---\n"):
        chunk = Chunk(line, text)
        for mark in re.findall(r"### (.*)", text):
            word, _, rest = mark.strip().partition(" ")
            if word == "given":
                chunk.given = json.loads(rest)
            elif word == "xfail":
                chunk.xfail = True
            elif word == "unbounded":
                chunk.marks.append((rest, "unbounded"))
            else:
                assert word in FIGURES, mark
                chunk.marks.append((word, rest))
        assert chunk.marks, f"bounds.rlm:{line}: nothing is expected"
        found.append(chunk)
        line += text.count("\n") + 2
    return found


CHUNKS = _read()


def _shown(name: str, q: Quantity) -> str:
    return "unbounded" if q == INFINITE else formula(name, q)


@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda c: f"bounds.rlm:{c.line}")
def test_bound(chunk: Chunk) -> None:
    bound = rlmlang.bound(chunk.text, SETTINGS, **chunk.given)
    wrong = []
    for name, wanted in chunk.marks:
        figure = bound.figures[name]
        least, dots, most = (part.strip() for part in wanted.rpartition(".."))
        got = (_shown(name, figure.least) if dots else "", _shown(name, figure.most))
        if got != (least, most):
            wrong.append(f"{name} {got[0]}{dots}{got[1]}, not {wanted}")
    if chunk.xfail:
        assert wrong
        return
    assert not wrong, "\n".join(wrong)
    if not bound.symbols and all(v.optional or v.name in chunk.given for v in rlmlang.check(rlmlang.parse(chunk.text)).inputs):
        _check_run(chunk, bound)


def _check_run(chunk: Chunk, bound: rlmlang.Bound) -> None:
    """No run breaks the bound; only one that ends with an answer has to reach its minimum."""
    with scripted():
        try:
            used, answered = rlmlang.run(chunk.text, SETTINGS, **chunk.given).used, True
        except Failure as failure:
            assert failure.result is not None
            used, answered = failure.result.used, False
    for name in ("calls", "requests", "depth", "rounds"):
        figure, got = bound.figures[name], getattr(used, name)
        assert got <= figure.most, (name, got, figure)
        assert not answered or figure.least <= got, (name, got, figure)


def test_only_a_sure_call_that_no_store_answers_sends_something() -> None:
    """Of all places together, and of each."""
    program = 'input sure: bool\nanswer [call "echo a", (call "echo b") if sure else "c"]'
    least = []
    with tempfile.TemporaryDirectory() as folder:
        for settings in (SETTINGS, evolve(SETTINGS, memo=Path(folder) / "memo")):
            bound = rlmlang.bound(program, settings)
            least.append([figures["requests"].least for figures in (bound.figures, *(site.figures for site in bound.sites))])
    assert least == [[1, 1, 0], [0, 0, 0]]


def test_every_form_stands_in_the_chunks() -> None:
    assert len(CHUNKS) >= 60
    kinds = {type(node) for chunk in CHUNKS for node in walk(parse(chunk.text))}
    loops = {n.Map, n.Filter, n.Reduce, n.Fold, n.First}
    assert kinds >= loops | {n.Call, n.If, n.Logic, n.Otherwise, n.Default, n.Fail, n.Block, n.Apply, n.Lambda, n.Unpack, n.Slice}


# ---- tightness ----


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Tightness]:
    """The examples, each run on its own data with its scripted model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLM_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return measured()


def test_examples_keep_to_their_bounds(examples: list[Tightness]) -> None:
    """Prints how tight each is (`pytest -s`)."""
    print("\n" + table(examples))
    for example in examples:
        for figure in FIGURES:
            bound, used = example.report["bound"][figure], example.report["used"][figure]
            assert bound["min"] <= used <= bound["max"], (example.name, figure, bound, used)
            assert bound["min"] <= bound["expected"] <= bound["max"], (example.name, figure, bound)


def test_counts_are_tight(examples: list[Tightness]) -> None:
    ratios = {example.name: example.ratio("calls") for example in examples}
    assert {e.name for e in examples if e.kind == "known" and e.ratio("calls") > 1} == set(), "where no reply decides a count, it is known"
    whole, known = medians(examples)
    assert whole <= 1.5 and known == 1 and all(e.ratio("calls") <= 1.5 for e in examples if e.kind != "limit"), ratios


def test_sites_of_an_example_keep_to_their_bounds(examples: list[Tightness]) -> None:
    for example in examples:
        for site in example.report["sites"]:
            bound = site["bound"].get("calls", {"min": 0, "expected": 0, "max": 0})
            assert bound["min"] <= site["calls"] <= bound["max"], example.name
            assert bound["min"] <= bound["expected"] <= bound["max"], example.name


# ---- the pieces of a long text: what was counted wrongly elsewhere ----

WORDS = "It was said again and again that the mill had been sold before the autumn came, and nobody knew to whom. "
HALVES = """input doc: text
fn read(t: text) -> text depth 12 {
  if len(t) <= 8000 { call "echo part" on t } else {
    middle = len(t) // 2
    call "echo whole" on read(t[:middle]), read(t[middle:])
  }
}
answer read(doc)
"""


def _text(chars: int) -> str:
    return (WORDS * (chars // len(WORDS) + 1))[:chars]


@define(eq=False, slots=False)
class Says(FakeModel):
    """Whatever is asked, it says the same."""

    text: str = "yes"

    async def complete(self, request: Request) -> Completion:
        self.asked.append(None)  # type: ignore[arg-type]
        value = json.dumps({"value": self.text}) if request.schema is not None else self.text
        return Completion(value, usage=Usage(1, 1))


@pytest.mark.parametrize("chars", [150_000, 3_000_000])
@pytest.mark.parametrize(
    ("program", "says", "reached"),
    [
        ('answer [call "Note." on p for p in chunks(doc, 8000)]', "a note", "min max"),
        ('answer reduce a, b in [call "Note." on p for p in chunks(doc, 8000)] { call "Merge." on a, b }', "a note", "min max"),
        (HALVES.partition("\n")[2], "a note", "min max"),
        ('answer search("who?", doc)', "no", "min"),
        ('answer search("who?", doc)', "yes", "max"),
        ("answer summarize(doc)", "short", ""),
        ("answer summarize(doc)", "x" * 2000, "max"),
    ],
    ids=["chunks", "reduce", "halves", "search-no", "search-yes", "summarize-short", "summarize-long"],
)
def test_long_texts(program: str, says: str, reached: str, chars: int) -> None:
    """Calls are as many as are bound, whether the pieces are cut where they could be or before, and inner calls are counted. Where a reply
    decides how many there are, the most is what the worst replies lead to: yes to all, and notes as long as they may be."""
    with scripted(Says(text=says)):
        result = rlmlang.run("input doc: text\n" + program, SETTINGS, doc=_text(chars))
    assert result.bound is not None
    used, bound = result.used.calls, result.bound["calls"]
    print(f"\n{chars:>9,} characters: {bound['min']:,} ≤ {used:,} ≤ {bound['max']:,} calls")
    assert bound["min"] <= used <= bound["max"]
    assert result.bound["rounds"]["min"] <= result.used.rounds <= result.bound["rounds"]["max"]
    for end in reached.split():
        assert used == bound[end], end


MANY = "input docs: [text]\nfn f(t: text) -> [text] { [call 'N' on p for p in chunks(t, 100)] }\nanswer "
DOCS = ["w " * (i * 37 % 401) for i in range(300)]
PARTS = [len(REGISTRY["chunks"].code(doc, 100)) for doc in DOCS]
LONG = [count for count in PARTS if count > 3]
MERGES = sum(max(0, count - 1) for count in PARTS)


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        ("[call 'N' on p for d in docs for p in chunks(d, 100)]", sum(PARTS)),
        ("[f(d + '') for d in docs[:60]]", sum(PARTS[:60])),
        ("[f(d + '') for d in docs]", sum(PARTS)),
        ("[call 'N' on p for i, d in enumerate(docs) if len(d) > 300 for p in chunks(d, 100)]", sum(LONG)),
        ("map d in docs { if len(d) > 300 { call 'long' on d } else { '' } }", len(LONG)),
        ("map d in docs { if d and len(d) > 300 and call 'long?' on d -> bool { 1 } else { 2 } }", len(LONG)),
        (
            "map d in docs { ps = chunks(d, 100)\n reduce a, b in ps { call 'both' on a, b } otherwise '' }",
            MERGES,
        ),
        ("map d in docs { ps = chunks(d, 100)\n fold a, b in ps from '' { call 'both' on a, b } }", sum(PARTS)),
        ("map d in docs { ps = chunks(d, 100)\n sorted(ps, key=p => call 'mark' on p -> int) }", sum(PARTS)),
        ("[call 'N' on p for d in docs if call 'ok?' on d -> bool for p in chunks(d, 100)]", 300 + sum(PARTS)),
        (
            "[call 'N' on p for d in sorted([d for d in docs if call 'ok?' on d -> bool]) if d for p in chunks(d, 100)]",
            300 + sum(PARTS),
        ),
    ],
)
def test_counts_of_many_items(program: str, calls: int) -> None:
    """However many items there are, what each leads to is known: the pieces of each are counted as they are."""
    bound = rlmlang.bound(
        "input docs: [text]\nfn f(t: text) -> [text] { [call 'N' on p for p in chunks(t, 100)] }\nanswer " + program, SETTINGS, docs=DOCS
    )
    assert bound.figures["calls"].most == calls
    decided = "ok?" in program or "otherwise" in program
    assert bound.figures["calls"].least == (300 if "ok?" in program else 0 if decided else calls)


# ---- the work that a bound takes, counted in nodes ----


@pytest.fixture
def visited(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nodes the analysis looked at."""
    count = [0]
    original = Analysis.of

    def of(self: Analysis, *given: Any) -> Any:
        count[0] += 1
        return original(self, *given)

    monkeypatch.setattr(Analysis, "of", of)
    return count


DOUBLED = 'x0 = [call "echo a"]\n' + "".join(f"x{i} = [x{i - 1}, x{i - 1}]\n" for i in range(1, 41))


@pytest.mark.parametrize(
    "program",
    [
        DOUBLED + 'answer call "data" on len(x40)',
        'x0 = call "echo a"\n' + "".join(f"x{i} = x{i - 1} + x{i - 1}\n" for i in range(1, 41)) + 'answer call "data" on len(x40)',
        'answer [call f"echo {a}{b}{c}{d}" for a in range(9) for b in range(9) for c in range(9) for d in range(9)]',
        'input xs: [text]\nanswer [call f"echo {a}{b}{c}{d}" for a in xs for b in xs for c in xs for d in xs]',
        "".join(f'a{i} = call "echo {i}"\n' for i in range(300)) + f"answer [{', '.join(f'a{i}' for i in range(300))}]",
        "".join(f'a{i} = [call "data" on x for x in {f"a{i - 1}" if i else "range(9)"}]\n' for i in range(100)) + "answer a99",
        'fn f0(x: text) -> text { call "upper" on x }\n'
        + "".join(f"fn f{i}(x: text) -> text {{ f{i - 1}(x) + f{i - 1}(x) }}\n" for i in range(1, 25))
        + 'answer f24("a")',
        'fn f(x: text) -> text depth 30 { f(x) + f(x) + (call "upper" on x) otherwise x }\nanswer f("a")',
        'answer reduce a, b in [[call f"echo {i}"] for i in range(50)] { a + b }',
        'answer fold acc, x in range(60) from "" { acc + acc + (call f"echo {x}") }',
    ],
    ids=["lists", "texts", "products", "unknown", "long", "chain", "functions", "recursion", "reduce", "fold"],
)
def test_work_is_limited(program: str, visited: list[int]) -> None:
    bound = rlmlang.bound(program, SETTINGS)
    assert visited[0] <= 40_000
    assert bound.figures["calls"].most != 0


# ---- the command ----

NOTES = """input docs: [text]
input topic: text = "mills"
read = [d for d in docs if call f"Is it about {topic}?" on d -> bool]
notes = map d in read {
  note = call "Note." on d
  {note, why: call f"Why is {note} about {topic}?" on d}
}
answer call "All." on notes
"""
NUMBERS = re.compile(r"^(calls|requests|input tokens|output tokens|dollars|depth|rounds|seconds) +(\S+) +(\S+) +(\S+)$", re.M)


@pytest.fixture
def cost(rlm: Shell) -> Callable[..., Done]:
    """`rlm cost notes.rlm`, at a dollar a million tokens, three calls at a time."""
    rlm.write("notes.rlm", NOTES)
    rlm.write(
        "rlm.toml",
        'model = "m"\nmemo = "off"\n[models.m]\nbase_url = "http://localhost:1/v1"\nmodel = "m"\n'
        "input_price = 1\noutput_price = 1\nconcurrency = 3\n",
    )
    return lambda *words: rlm("cost", "notes.rlm", *words)


def test_table(cost: Callable[..., Done]) -> None:
    done = cost('docs=["one", "two"]')
    assert done.code == 0, done.err
    rows = {name: values for name, *values in NUMBERS.findall(done.out)}
    assert list(rows) == ["calls", "requests", "input tokens", "output tokens", "dollars", "depth", "rounds"]
    assert rows["calls"][0] == "3" and rows["calls"][2] == "7" and rows["requests"][2] == "84"
    assert rows["dollars"][2].startswith("$0.") and rows["depth"] == ["1", "1", "1"] and rows["rounds"][2] == "4"
    assert re.search(r"^3 +2 +\d+ %  call f\"Is it about", done.out, re.M)
    assert re.search(r"^line 4: 2 x read, at most 4 calls, \d+ % of the bound$", done.out, re.M)
    assert "m: $1.00 in, $1.00 out a million tokens, as configured" in done.out


def test_table_in_json(cost: Callable[..., Done]) -> None:
    report = cost('docs=["one", "two"]', "--json").json
    assert set(report) == {"bound", "formula", "sites", "warnings"}
    assert report["bound"]["calls"] == {"min": 3, "expected": report["bound"]["calls"]["expected"], "max": 7}
    assert report["formula"] == {} and report["warnings"] == []
    assert [(s["line"], s["bound"]["calls"]["max"]) for s in report["sites"]] == [(3, 2), (5, 2), (6, 2), (8, 1)]


def test_formulas(cost: Callable[..., Done]) -> None:
    done = cost()
    assert done.code == 0, done.err
    assert re.search(r"^calls +≤ 3·n \+ 1, ≥ n \+ 1$", done.out, re.M)
    assert re.search(r"^with n = len\(docs\), b = bytes\(docs\), c = bytes\(topic\)$", done.out, re.M)
    assert re.search(r"^line 4: 2 x read, at most 2·n calls$", done.out, re.M)
    assert re.search(r"^most depends on n = len\(docs\): give that input, or try --at n=1000$", done.out, re.M)
    report = cost("--json").json
    assert report["formula"]["calls"] == "3·n + 1" and report["formula"]["where"]["n"] == "len(docs)"
    assert report["bound"]["calls"] == {"min": None, "expected": None, "max": None}


def test_formulas_at_sizes(cost: Callable[..., Done]) -> None:
    one = cost("--at", "n=1e3,b=2M", "--at", "c=5", "--json").json
    assert one["bound"]["calls"] == {"min": 1001, "expected": None, "max": 3001} and one["formula"] == {}
    all_known = cost("--at", "n=1k,b=2M,c=5").out
    assert re.search(r"^calls +1,001 +3,001$", all_known, re.M) and "depends on" not in all_known
    assert "most depends on c = bytes(topic)" in cost("--at", "n=1000").out
    part = cost("--at", "n=1_000", "--json").json
    assert part["bound"]["calls"]["max"] == 3001 and set(part["formula"]["where"]) == {"b", "c"}


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("k=3", "no formula has a size called k"),
        ("n", "n is no size"),
        ("n=-1", "-1 is no size"),
        ("n=x", "x is no size"),
        ("n=1.5", "1.5 is no size"),
        ("n=1e40", "1e40 is no size"),
        ("n=1,n=2", "given twice"),
    ],
)
def test_wrong_sizes(cost: Callable[..., Done], at: str, said: str) -> None:
    done = cost("--at", at)
    assert done.code == 2 and said in done.err
    if at == "k=3":
        assert "n = len(docs), b = bytes(docs), c = bytes(topic)" in done.err


def test_sizes_that_are_known(cost: Callable[..., Done]) -> None:
    done = cost('docs=["a"]', "--at", "n=3")
    assert done.code == 2 and "no formula is left" in done.err


def test_some_inputs_given(cost: Callable[..., Done]) -> None:
    report = cost("topic=ponds", "--json").json
    assert report["formula"]["calls"] == "3·n + 1" and set(report["formula"]["where"]) == {"n", "b"}


def test_latency(cost: Callable[..., Done]) -> None:
    done = cost('docs=["one", "two"]', "--latency", "2")
    rows = {name: values for name, *values in NUMBERS.findall(done.out)}
    assert rows["seconds"][0] == "4.0" and rows["seconds"][2] == "10.0"  # four rounds, and the other 3 of 7 calls, three at a time
    many = cost("docs=" + json.dumps([f"d{i}" for i in range(30)]), "--latency", "9", "--latency", "m=1.5", "--json").json
    assert many["seconds"]["max"] == pytest.approx((4 + 87 / 3) * 1.5, abs=0.01)
    assert many["seconds"]["min"] == pytest.approx(11 * 1.5, abs=0.01)  # 31 calls in waves of three
    assert cost("--latency", "soon").code == 2
    assert cost("--latency", "m=-1").code == 2


def test_prompts_of_real_items(cost: Callable[..., Done]) -> None:
    done = cost('docs=["The mill.", "two"]', "--prompts")
    assert done.code == 0, done.err
    assert "Is it about mills?" in done.out and "The mill." in done.out and "two" not in done.out
    assert "Why is ⟨reply of line 5⟩ about mills?" in done.out
    assert '[{"note": "⟨reply of line 5⟩", "why": "⟨reply of line 6⟩"}, "⟨…⟩"]' in done.out
    assert re.search(r"^── line 3, to m: \d+ bytes, \d+ % of the bound$", done.out, re.M)


def test_prompts_are_as_sent(cost: Callable[..., Done], rlm: Shell) -> None:
    (shown,) = [p for p in cost('docs=["The mill."]', "--prompts", "--json").json["prompts"] if p["line"] == 3]
    assert shown["real"] is True
    with scripted(Says(text="no")) as model:
        sent: list[Request] = []
        model.complete = lambda request: (sent.append(request), Says.complete(model, request))[1]  # type: ignore[method-assign, func-returns-value]
        rlm("run", "notes.rlm", 'docs=["The mill."]', "--memo", "off", "--quiet")
    assert shown["messages"] == [{"role": m.role, "content": m.content} for m in sent[0].messages]
    assert shown["bytes"] == sum(len(m.content.encode()) for m in sent[0].messages)


def test_prompts_without_inputs(cost: Callable[..., Done]) -> None:
    done = cost("--prompts", "--quiet")
    assert done.code == 0 and "⟨docs[0]⟩" in done.out and "⟨topic⟩" in done.out and done.err == ""


def test_prompts_of_the_library_and_recursion(rlm: Shell) -> None:
    rlm.write("p.rlm", 'input doc: text\nanswer summarize(doc, "mills")')
    done = rlm("cost", "p.rlm", f"doc={_text(30_000)}", "--prompts", "--model", rlm.rules({"reply": "x"}), "--memo", "off")
    assert done.code == 0, done.err
    assert "stdlib/summarize.rlm:" in done.out and "Keep only what concerns this: mills" in done.out and "It was said again" in done.out


def test_what_there_is_no_time_for_is_said() -> None:
    """A program of hundreds of branches: any number of calls from where the work ends, one warning, and no formula that nobody reads."""
    lines = [f'x{i} = if (call "{i}?" on x{i - 1} -> bool) {{ x{i - 1} + "a" }} else {{ call "b" on x{i - 1} }}' for i in range(1, 400)]
    found = rlmlang.bound("\n".join(["input t: text", "x0 = t", *lines, "answer x399"]), SETTINGS, t="a")
    assert found.figures["calls"].most == INFINITE and found.figures["calls"].least >= 1
    assert [w for w in found.warnings if "too large" in w] == list(found.warnings[:1])
    assert sum("nothing bounds" in w for w in found.warnings) == 0
    assert {site.figures["calls"].most for site in found.sites} == {1, INFINITE}


def test_a_long_text_is_not_put_together() -> None:
    """Thousands of holes, each of a hundred thousand characters: its size is known without the text."""
    holes = "{t}" * 4_000
    found = rlmlang.bound(f'input t: text\nanswer call f"{holes}"', SETTINGS, t="a" * 100_000)
    prompt = found.sites[0].prompt
    assert prompt.low >= 400_000_000 and prompt.high < 400_010_000


def test_quiet_and_warnings(rlm: Shell) -> None:
    rlm.write("p.rlm", 'n = call "How many?" -> int\nanswer [call f"echo {i}" for i in range(n)]')
    model = rlm.rules({"reply": 3})
    done = rlm("cost", "p.rlm", "--model", model, "--memo", "off")
    assert done.code == 0 and re.search(r"^calls +1 +\S+ +unbounded$", done.out, re.M)
    assert "warning: line 2: nothing bounds how often this is called" in done.err
    assert re.search(r"^line 2: 1 x range\(n\), which nothing bounds", done.out, re.M)
    assert rlm("cost", "p.rlm", "--model", model, "--memo", "off", "--json").json["warnings"]
    quiet = rlm("cost", "p.rlm", "--model", model, "--memo", "off", "--quiet")
    assert quiet.err == "" and "line" not in quiet.out


@pytest.mark.parametrize(
    ("words", "said"),
    [(("docs=3",), "docs"), (("dics=[]",), "did you mean"), (("--offline",), "offline"), (("--model", "script:none.jsonl"), "none.jsonl")],
)
def test_wrong_use(cost: Callable[..., Done], words: tuple[str, ...], said: str) -> None:
    done = cost(*words)
    assert done.code == 2 and said in done.err and done.out == ""


def test_a_wrong_program(rlm: Shell) -> None:
    rlm.write("p.rlm", "answer x")
    assert rlm("cost", "p.rlm").code == 2
    assert rlm("cost", "none.rlm").code == 2
    assert rlm("cost", "-").code == 2


def test_a_folder_is_bounded_without_reading_it(rlm: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(300):
        (rlm.folder / "repo" / f"d{i % 7}").mkdir(parents=True, exist_ok=True)
        (rlm.folder / "repo" / f"d{i % 7}" / f"f{i}.txt").write_text("x" * (10 * i))
    rlm.write("p.rlm", 'input repo: dir\nanswer [call f"What is in {f.name}?" on f.text for f in repo.files("**/*.txt") if f.size < 2000]')
    model = rlm.rules({"reply": "x"})

    def text(self: FileValue) -> str:
        raise AssertionError("a file was read")

    original = FileValue.__dict__["text"]
    monkeypatch.setattr(
        FileValue,
        "text",
        property(
            lambda self: text(self) if "repo" in str(rlm.folder / self.path) and self.path.startswith("d") else original.__get__(self)
        ),
    )
    report = rlm("cost", "p.rlm", "repo=repo", "--model", model, "--memo", "off", "--json").json
    assert report["bound"]["calls"] == {"min": 200, "expected": 200, "max": 200}
    sent = sum(10 * i for i in range(200))
    assert sent < report["bound"]["input_tokens"]["max"] < 3 * (sent + 200 * (20_000 + 1_000))


# ---- context windows ----

WINDOW = '[models.m]\nbase_url = "http://localhost:1/v1"\nmodel = "m"\ninput_price = 1\noutput_price = 1\ncontext_window = 4000\n'


def test_a_prompt_that_may_not_fit(rlm: Shell) -> None:
    rlm.write("rlm.toml", 'model = "m"\nmemo = "off"\n' + WINDOW)
    rlm.write("p.rlm", 'input doc: text\nanswer call "Sum up." on doc with {max_tokens: 500}')
    fits, may, cannot = (rlm("cost", "p.rlm", f"doc={'word ' * count}") for count in (2_000, 4_000, 10_000))
    assert fits.err == "" and (fits.code, may.code, cannot.code) == (0, 0, 0)
    said = r"line 2: the prompt, by doc, can have up to 20,\d+ bytes, more than fit m, whose window has 4,000 tokens, 500 of them for the"
    hint = re.search(said + r" reply; write \[call … on piece for piece in chunks\(doc, (\d+)\)\]", may.err)
    assert may.err.startswith("warning: ") and hint, may.err
    assert cannot.err.startswith("error: line 2: the prompt, by doc, has at least 50,") and "does not fit m" in cannot.err
    refused = rlm("run", "p.rlm", f"doc={'word ' * 10_000}")
    assert refused.code == 2 and "does not fit m" in refused.err and "nothing was spent" in refused.err and refused.out == ""
    # as the hint says it fits, whatever characters there are
    for doc in ("word " * 10_000, "\u00fc\U0001f600 " * 10_000):
        rlm.write(
            "p.rlm", f'input doc: text\nanswer [call "Sum up." on piece with {{max_tokens: 500}} for piece in chunks(doc, {hint[1]})]'
        )
        assert rlm("cost", "p.rlm", f"doc={doc}").err == ""


def test_what_does_not_fit_is_named(rlm: Shell) -> None:
    rlm.write("rlm.toml", 'model = "m"\nmemo = "off"\n' + WINDOW)
    rlm.write("p.rlm", 'input a: text\ninput b: text\nx = call "x" on a\nanswer call "Compare." on x, {q: a}, b + b')
    said = rlm("cost", "p.rlm", "a=short", f"b={'word ' * 1_000}").err
    assert "line 4: the prompt, by b + b, can have" in said and "chunks(b + b, " in said and "line 3" not in said, said
    rlm.write("p.rlm", 'input doc: text\nanswer if len(doc) > 9 { call f"Sum up {doc}" } else { "" }')
    said = rlm("cost", "p.rlm", f"doc={'word ' * 4_000}").err
    assert 'by f"Sum up {doc}", can have' in said and "ask a model with a larger one" in said
    rlm.write("p.rlm", 'input doc: text\nok = call "Long?" -> bool\nanswer if ok { call "Sum up." on doc } else { "" }')
    said = rlm("cost", "p.rlm", f"doc={'word ' * 40_000}").err
    assert said.startswith("warning: line 3") and "does not fit" in said, "it may never be asked"


# ---- admission ----

TEN = 'answer [call f"Say {i}." for i in range(10)]'


def test_admission_is_said(rlm: Shell) -> None:
    rlm.write("p.rlm", TEN)
    words = ("run", "p.rlm", "--model", rlm.rules({"reply": "x"}), "--memo", "off")
    assert "guaranteed: the bound is within the budget of 500 calls" in rlm(*words, "--budget", "500 calls").err
    assert "guarded: the bound is 10 calls (120 requests if all are tried again)" in rlm(*words, "--budget", "20 calls").err
    assert "guarded: time has no bound" in rlm(*words, "--budget", "10 min").err
    assert "guar" not in rlm(*words, "--budget", "500 calls", "--quiet").err
    assert "guar" not in rlm(*words).err


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 3), ("", 3)])
def test_a_person_is_asked(rlm: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    rlm.write("p.rlm", TEN)
    monkeypatch.setattr("rlmlang.cli.commands.run._at_a_terminal", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    words = ("run", "p.rlm", "--model", rlm.rules({"reply": "x"}), "--memo", "off", "--budget", "50k tokens")
    done = rlm(*words)
    assert done.code == code and "The bound is " in done.err and "the budget 50,000 tokens: go on? [y/N]" in done.err
    if code:
        assert "nothing was spent" in done.err and done.out == ""
    assert "go on?" not in rlm(*words, "--yes").err
    assert "go on?" not in rlm(*words[:-1], "9M tokens").err


def test_distinct_calls_count_against_a_budget_in_calls(rlm: Shell) -> None:
    """Ten calls for which ten requests are needed are refused at once; ten equal ones need one."""
    words = ("--model", rlm.rules({"reply": "x"}), "--memo", "memo.sqlite", "--budget", "5 calls", "--quiet")
    rlm.write("p.rlm", TEN)
    done = rlm("run", "p.rlm", *words)
    assert done.code == 3 and "takes at least 10 calls" in done.err and "nothing was spent" in done.err
    rlm.write("same.rlm", 'answer [call "Say it." for i in range(10)]')
    assert rlm("run", "same.rlm", *words).code == 0
    rlm.write("some.rlm", TEN.replace("10", "5"))
    assert rlm("run", "some.rlm", *words).code == 0
    assert rlm("run", "p.rlm", *words).code == 0, "the memo has five of the ten"


def test_the_plan(rlm: Shell) -> None:
    rlm.write(
        "p.rlm", 'input docs: [text]\nkept = [d for d in docs if call "Is it?" on d -> bool]\nanswer [call f"Say {d}" on d for d in kept]'
    )
    model = rlm.rules({"match": "Is it", "reply": True}, {"reply": "x"})
    words = ("run", "p.rlm", "--model", model, "--memo", "memo.sqlite")

    def plan(docs: str) -> tuple[bool, list[tuple[int, int, int, int]]]:
        report = rlm(*words, f"docs={docs}", "--plan", "--json").json
        return report["done"], [(s["known"], s["from_memo"], s["to_pay"]["min"], s["to_pay"]["max"]) for s in report["sites"]]

    # the sites in the order of the program: the filter's calls, then those of what it keeps
    assert plan('["a", "b"]') == (False, [(2, 0, 2, 2), (0, 0, 0, 2)])
    assert rlm(*words, 'docs=["a"]').code == 0
    assert plan('["a", "b"]') == (False, [(2, 1, 1, 1), (1, 1, 0, 1)])
    assert plan('["a"]') == (True, [(1, 1, 0, 0), (1, 1, 0, 0)])
    done = rlm(*words, 'docs=["a", "b"]', "--plan")
    assert done.code == 0 and re.search(r"^2 +2 +2 +2 +1 +1 +1  call", done.out, re.M)
    assert "Nothing is left to pay" in rlm(*words, 'docs=["a"]', "--plan").out


def test_the_plan_of_a_program_that_fails_and_of_one_that_calls_nothing(rlm: Shell) -> None:
    words = ("--model", rlm.rules({"reply": "x"}), "--memo", "off", "--plan")
    rlm.write("p.rlm", "answer [1][3]")
    done = rlm("run", "p.rlm", *words)
    assert done.code == 0 and "The run would fail" in done.out
    rlm.write("p.rlm", "answer 1")
    assert rlm("run", "p.rlm", *words, "--json").json["done"] is True
