"""The law of bounds for programs that solve: whatever root models write and however calls reply, `min <= used <= max` for every figure, of
the program and of each line. Programs, replies and budgets are random; every reply takes as many tokens as it may.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from attrs import define, evolve

import rlmlang
from rlmlang.errors import BudgetError, Failure
from rlmlang.lm.render import worst_input_tokens
from rlmlang.lm.request import Completion, ProviderError, Request, Usage
from tests.scripted import scripted
from tests.test_solve import OFF, Reply, Roots, block

PROGRAMS, PARTS = 160, 2
TYPES = ("", " -> text", " -> int", " -> [text; 3]", " -> bool", " -> {a: text, b: int?}")
VALUES = ('"so"', '"so"', "3", '["a", "b"]', "true", '{a: "x"}')
DEFAULTS = ('"none"', '"none"', "0", "[]", "false", '{a: "y", b: 1}')


@define(eq=False, slots=False)
class Costly(Roots):
    """Replies that take all that they may take."""

    async def complete(self, request: Request) -> Completion:
        said = await super().complete(request)
        return evolve(said, usage=Usage(worst_input_tokens(request), request.max_tokens))


class Writer:
    """Writes programs with solves, and what their root models reply; all by one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.seed = seed
        self.questions = 0

    def solve(self, on: str, levels: int) -> tuple[str, str]:
        """A solve, and an expression that is a value of its type."""
        kind = self.rng.randrange(len(TYPES))
        self.questions += 1
        # the question tells the root model what it is to answer
        question = f"K{kind} L{levels} no. {self.rng.randrange(3)}"
        options = [f"turns: {self.rng.randint(1, 3)}", f"calls: {self.rng.randint(1, 6 if levels == 1 else 25)}", f"depth: {levels}"]
        data = f" on {{d: {on}}}" if self.rng.random() < 0.7 else ""
        return f'solve "{question}"{data}{TYPES[kind]} with {{{", ".join(options)}}}', DEFAULTS[kind]

    def guarded(self, on: str, levels: int) -> str:
        text, default = self.solve(on, levels)
        return f"({text} otherwise {default})" if self.rng.random() < 0.8 else f"({text})"

    def program(self) -> str:
        lines = ["input xs: [text]"]
        names = []
        for at in range(self.rng.randint(1, 3)):
            levels = self.rng.choice((1, 2, 2))
            value = self.rng.choice(
                [
                    lambda levels=levels: self.guarded("xs", levels),
                    lambda levels=levels: f"[{self.guarded('x', levels)} for x in xs]",
                    lambda levels=levels: f'[{self.guarded("x", levels)} for x in xs if call "has a" on x -> bool]',
                    lambda levels=levels: f'{self.guarded("xs", levels)} if call "has a" on xs -> bool else none',
                    lambda levels=levels: f'[str({self.guarded("xs", levels)}), call "echo after"]',
                    lambda levels=levels: f"map i, x in xs {{\n  s = {self.guarded('x', levels)}\n  [str(s), str(i)]\n}}",
                ]
            )()
            lines.append(f"v{at} = {value}")
            names.append(f"v{at}")
        return "\n".join([*lines, f"answer {{{', '.join(names)}}}"])

    def reply(self, turn: int, request: Request) -> Reply:
        """Of a root model, by what it is asked: of a request always the same."""
        question = request.messages[1].content
        asked = re.search(r"\nK(\d) L(\d) no", question)
        assert asked is not None
        kind, levels = map(int, asked.groups())
        rng = Random(f"{self.seed} {question.partition(' no. ')[2][:1]} {kind} {turn}")
        value = VALUES[kind]
        wrong = "[none]"
        inner, default = Writer(rng.randrange(1_000_000)).solve('"data"', levels - 1)
        choices: list[Reply] = [
            block(f"answer {value}"),
            block(f'xs = [call f"echo {{i}}" for i in range({rng.randint(0, 6)})]\nanswer {value} if len(xs) > 2 else {value}'),
            block(f'x = call "later {rng.randint(1, 9)}" -> int\nx'),
            block(f'a = call "echo a"\nb = call "echo b" on a\nanswer {value} if b == a else {value}'),
            block(f'[call "fail no" otherwise "{turn}", call "echo {turn}"]'),
            block(f"answer {wrong}[{turn}]"),
            block(f"y = {turn}\ny"),
            block("answer nothing"),
            block(f'answer [call "echo many" on i for i in range({rng.choice([50, 1_000_000])})]'),
            "no program",
            "",
            Completion("```rlm\nx = ", "length"),
            ProviderError("gone", status=400),
        ]
        if levels > 1:
            choices += [block(f's = {inner} otherwise {default}\nanswer {value} if str(s) > "a" else {value}')] * 8
            choices += [block(f"ss = [{inner} otherwise {default} for i in range(2)]\nss")] * 4
        return rng.choice(choices)


def outside(bound: Mapping[str, Any], used: Mapping[str, Any], *, answered: bool) -> list[str]:
    """The figures that are not within the bound; the lower ends are about runs that end with an answer."""
    found = []
    for name, figure in bound.items():
        value = used.get(name)
        if value is None:
            continue
        if (figure["max"] is not None and value > figure["max"]) or (answered and value < figure["min"]):
            found.append(f"{name}: used {value}, bound {figure}")
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_the_bound_of_programs_that_solve_holds(part: int) -> None:
    counted: Counter[str] = Counter()
    for seed in range(part, PROGRAMS, PARTS):
        writer = Writer(seed)
        program = writer.program()
        xs = [writer.rng.choice(["a", "bcd", "data"]) + str(at) for at in range(writer.rng.randint(0, 3))]
        budget = writer.rng.choice([(), (), (), (f"{writer.rng.randint(1, 20)} calls",), ("2 depth",), ("20000 tokens",)])
        roots = Costly(replies={"": writer.reply})
        try:
            with scripted(roots):
                result = rlmlang.run(program, evolve(OFF, budget=budget), xs=xs)
        except (BudgetError, Failure) as error:
            if error.result is None:  # refused before it began
                counted["refused"] += 1
                continue
            result = error.result
        report = result.to_json()
        answered = report["error"] is None
        counted["answered" if answered else "failed"] += 1
        counted["deep"] += report["used"]["depth"] > 2
        counted["calls"] += report["used"]["calls"]
        wrong = outside(report["bound"], report["used"], answered=answered)
        for site in report["sites"]:
            # of a site, only the replies that came are counted, not what calls took that failed
            figures = {name: figure for name, figure in site["bound"].items() if name == "calls" or not answered}
            wrong += [f"line {site['line']}: {w}" for w in outside(figures, site, answered=answered)]
            wrong += [f"line {site['line']}: {w}" for w in outside(site["bound"], site, answered=False)]
        assert not wrong, (seed, wrong, program, xs, budget)
    assert counted["answered"] > 20 and counted["deep"] > 1 and counted["calls"] > 300, counted
