"""What sizes and costs are computed to, told to people: `chunks/sizes.rlm` has an expression a line, behind `###` the size of its value,
and behind a second `###` what it costs, where it calls a model. Lines without are declarations.

The names in them are those of `KNOWN`. A size is written as

    text 2..9          bytes; an end that is left out is infinite, a formula is in the sizes n, m (of lists) and b, c (of texts)
    int 0..5, float    a number between; without ends, any
    [text 0..9; 3]     a list of three; behind a comma the bytes of all its items, where they are known
    (int 1, text 2)    a list of fixed length
    {a: int, b: text?} a record; `?`: or none
    json 1..40         anything else, by the bytes of its JSON
    "abc"              the value itself
    never              it always fails

and a cost as

    rounds 1..2: calls 2..4, 48 requests, 1,200 + 60 tokens, 250,000 nano-dollars | calls 1..2, ..., prompt 20..40 | ...

of all together and then, where there are several, of each place that calls. `rounds`: when the last call ends; `there`: when the value
is there, if that is not the same. The models are those of adversary.py.

`python tests/test_exact_sizes.py` prints the file with the sizes as they are now: for when a rule got better.
"""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import pytest
from adversary import MODELS, price_of
from attrs import frozen
from themed_programs import folder

from rlmlang.check import check
from rlmlang.cost.account import Cost, SiteCost
from rlmlang.cost.analysis import Analysis
from rlmlang.cost.outcome import Bound
from rlmlang.cost.places import Places
from rlmlang.cost.prefix import Prefix
from rlmlang.cost.pricing import Pricing
from rlmlang.lm.request import Model
from rlmlang.quantity import INFINITE, Quantity, symbol
from rlmlang.run.resolve import resolve
from rlmlang.run.seen import Experience, Keys
from rlmlang.sizes import (
    ZERO,
    AnySize,
    BoolSize,
    DictSize,
    DirSize,
    Exact,
    FileSize,
    FunctionSize,
    Interval,
    ListSize,
    MaybeSize,
    NoneSize,
    NumberSize,
    RecordSize,
    Size,
    TextSize,
    TupleSize,
)
from rlmlang.syntax import nodes as n
from rlmlang.syntax import parse
from rlmlang.values import to_json_text

SIZES = Path(__file__).parent / "chunks" / "sizes.rlm"


def _some(name: str, meaning: str) -> Interval:
    return Interval.exactly(symbol(name, meaning))


_RECORD = RecordSize((("a", NumberSize(0, 99, True)), ("t", TextSize(Interval(1, 20))), ("o", MaybeSize(TextSize(Interval(2, 6))))))
KNOWN: dict[str, tuple[str, Size]] = {
    "s": ("text", TextSize(Interval(2, 9))),
    "t": ("text", TextSize(_some("b", "bytes(t)"))),
    "any": ("text", TextSize()),
    "i": ("int", NumberSize(2, 8, True)),
    "j": ("int", NumberSize(-3, 4, True)),
    "k": ("int", NumberSize(symbol("n", "len(docs)"), symbol("n", "len(docs)"), True)),
    "l": ("int", NumberSize(symbol("m", "len(rows)"), symbol("m", "len(rows)"), True)),
    "z": ("int", NumberSize(whole=True)),
    "f": ("float", NumberSize(0.5, 2.5)),
    "g": ("float", NumberSize()),
    "q": ("bool", BoolSize()),
    "u": ("text?", MaybeSize(TextSize(Interval(1, 5)))),
    "docs": ("[text]", ListSize(_some("n", "len(docs)"), TextSize(Interval(0, 100)), _some("b", "bytes(docs)"))),
    "some": ("[text]", ListSize(Interval(0, 4), TextSize(Interval(1, 9)))),
    "two": ("[text]", TupleSize((TextSize(Interval(1, 2)), TextSize(Interval(5, 5))))),
    "few": ("[int]", ListSize(Interval(2, 5), NumberSize(1, 7, True))),
    "signs": ("[int]", ListSize(Interval(1, 3), NumberSize(-2, 6, True))),
    "parts": ("[float]", ListSize(Interval(2, 4), NumberSize(0.5, 1.5))),
    "lists": ("[[text]]", ListSize(Interval(1, 3), ListSize(Interval(0, 4), TextSize(Interval(1, 9))), Interval(2, 50))),
    "maybes": ("[int?]", ListSize(Interval(1, 3), MaybeSize(NumberSize(1, 7, True)))),
    "r": ("{a: int, t: text, o: text?}", _RECORD),
    "rows": ("[{a: int, t: text, o: text?}]", ListSize(_some("m", "len(rows)"), _RECORD, _some("c", "bytes(rows)"))),
    "by": (
        "dict[text, int]",
        DictSize(ListSize(Interval(1, 3), TextSize(Interval(1, 5))), ListSize(Interval(1, 3), NumberSize(1, 7, True))),
    ),
    "texts": (
        "dict[text, text]",
        DictSize(
            ListSize(_some("n", "len(docs)"), TextSize(Interval(0, 9))),
            ListSize(_some("n", "len(docs)"), TextSize(Interval(0, 100)), _some("b", "bytes(docs)")),
        ),
    ),
    "d": ("json", AnySize(Interval(10, 40))),
    "file": ("file", FileSize(Interval(10, 50), Interval(4, 8))),
    "dir": ("dir", DirSize(Interval(3, 3), 50, Interval(20, 90))),
    "notes": ("dir", Exact(folder())),
}


@frozen
class Line:
    """An expression, and the size (and cost) that it should have, as text."""

    number: int
    text: str
    wanted: str


class Table:
    """The lines of the file, read together as one program."""

    def __init__(self) -> None:
        texts = SIZES.read_text("utf-8").splitlines()
        parts = [text.partition("###") for text in texts]
        self.lines = [Line(at, code.strip(), wanted.strip()) for at, (code, mark, wanted) in enumerate(parts, 1) if mark]
        program = [f"input {name}: {type_}" for name, (type_, _) in KNOWN.items()]
        program += [text for text, (_, mark, _) in zip(texts, parts, strict=True) if not mark and not text.startswith("#")]
        program += [f"line{line.number} = {line.text}" for line in self.lines]
        self._checked = check(parse("\n".join([*program, "answer 0\n"])))
        assert not self._checked.errors, self._checked.errors[0]
        self._facts, variables = resolve(self._checked)
        self._env = {variables[name]: Bound(size) for name, (_, size) in KNOWN.items()}
        self._nodes = {s.name: s.value for s in self._checked.program.statements if isinstance(s, n.Bind)}

    def of(self, line: Line) -> str:
        """The size and cost of a line's value, as text."""
        with patch("rlmlang.cost.pricing.price_of", price_of):
            pricing = Pricing(self._checked, _model_of, Experience(Keys(self._checked, _model_of)))
            analysis = Analysis(self._checked, self._facts, Prefix(self._facts), pricing, Places(self._checked))
            out = analysis.of(self._nodes[f"line{line.number}"], self._env, ZERO)
        return shown(out.size) + (f"   ### {shown_cost(out.cost, out.round)}" if out.cost else "")

    def written(self) -> str:
        """The file with the sizes as they are."""
        by_number = {line.number: line for line in self.lines}
        texts = SIZES.read_text("utf-8").splitlines()
        found = [text if (line := by_number.get(at)) is None else f"{line.text}   ### {self.of(line)}" for at, text in enumerate(texts, 1)]
        return "\n".join(found) + "\n"


def _model_of(name: str | None) -> Model:
    return MODELS[name or "m"]


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


def test_sizes_and_costs_are_as_told(table: Table) -> None:
    wrong = [f"sizes.rlm:{line.number}: {line.text} is {got}" for line in table.lines if (got := table.of(line)) != line.wanted]
    assert not wrong, "\n".join(wrong)


def shown(size: Size | None) -> str:
    """A size as it stands in the file."""
    match size:
        case None:
            return "never"
        case Exact(value):
            return to_json_text(list(value) if isinstance(value, range) else value)
        case TextSize(bytes_):
            return f"text{_interval(bytes_)}"
        case NumberSize(low, high, whole):
            known = "" if (low, high) == (-INFINITE, INFINITE) else _ends(low, high)
            return f"{'int' if whole else 'float'} {known}".strip()
        case BoolSize():
            return "bool"
        case NoneSize():
            return "none"
        case MaybeSize(item):
            return f"{shown(item)}?"
        case TupleSize(items):
            return f"({', '.join(map(shown, items))})"
        case RecordSize(fields):
            return "{" + ", ".join(f"{name}: {shown(field)}" for name, field in fields) + "}"
        case ListSize(count, item, total):
            return f"[{shown(item)};{_interval(count)}{'' if total is None else ',' + _interval(total)}]"
        case DictSize(keys, values):
            return f"{{{shown(keys)}: {shown(values)}}}"
        case FileSize(text, path):
            return f"file{_interval(text)},{_interval(path)}"
        case AnySize(bytes_):
            return f"json{_interval(bytes_)}"
        case DirSize() | FunctionSize():
            raise AssertionError("no value has this size")


def _interval(interval: Interval) -> str:
    return "" if (interval.low, interval.high) == (0, INFINITE) else f" {_ends(interval.low, interval.high)}"


def _ends(low: Quantity, high: Quantity) -> str:
    if low == high:
        return _amount(low)
    text = f"{'' if low == -INFINITE else _amount(low)}..{'' if high == INFINITE else _amount(high)}"
    return text if re.fullmatch(r"\S+", text) else text.replace("..", " .. ")


def _amount(q: Quantity) -> str:
    return f"{q:,.6g}" if isinstance(q, float) else f"{q:,}" if isinstance(q, int) else str(q)


def shown_cost(cost: Cost, end: Interval) -> str:
    """A cost as it stands in the file. `end`: when the value is there, in rounds; told where that is not when the last call is."""
    sites = [f"{_site(site)}, prompt{_interval(site.prompt)}" for site in cost.sites.values()]
    texts = sites if len(sites) == 1 else [_site(cost.total), *sites]
    there = "" if end == cost.rounds else f", there{_interval(end)}"
    return f"rounds{_interval(cost.rounds)}{there}: " + " | ".join(texts)


def _site(site: SiteCost) -> str:
    amounts = [_amount(q) for q in (site.requests, site.input_tokens, site.output_tokens, site.nanodollars)]
    tokens = "{} requests, {} + {} tokens, {} nano-dollars".format(*amounts)
    return f"calls{_interval(site.calls)}, {tokens}" + (f", depth {site.depth}" if site.depth != 1 else "")


if __name__ == "__main__":
    print(Table().written(), end="")
