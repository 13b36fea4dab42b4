"""How fast the part of a program is that calls no model: `filter` and `map` over a million records.

    python benchmarks/pure.py [--records N] [--rounds N]

Two filters and two maps, each as an RLM program and in the language of every peer that is installed: cel-python, asteval, simpleeval,
smolagents' Python executor, and plain Python, the floor. Each side gets the same list in memory; parsing and compiling are not counted,
nor is the conversion of input values (cel-python's own types are made beforehand). Peers run on fewer records, and their time is scaled
up: at their speed a million would take minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from harness import Spent, best, table, timed, verdict

from rlmlang.session import Settings, prepare

Record = dict[str, Any]
Evaluator = Callable[[], object]
_INPUT = "input xs: [{id: int, name: text, lang: text, score: float}]\n"


class Task(NamedTuple):
    """One expression over `xs`: as a program, in Python, and over one record `r` in Python's and CEL's spelling (with the CEL macro)."""

    name: str
    program: str
    python: str
    function: Callable[[list[Record]], list[Any]]
    cel: str


TASKS = (
    Task(
        "filter by two fields",
        "answer len([r for r in xs if r.score > 0.5 and r.lang == 'en'])",
        "[r for r in xs if r['score'] > 0.5 and r['lang'] == 'en']",
        lambda xs: [r for r in xs if r["score"] > 0.5 and r["lang"] == "en"],
        "xs.filter(r, r.score > 0.5 && r.lang == 'en')",
    ),
    Task(
        "filter by text",
        "answer len([r for r in xs if r.name.startswith('user 9')])",
        "[r for r in xs if r['name'].startswith('user 9')]",
        lambda xs: [r for r in xs if r["name"].startswith("user 9")],
        "xs.filter(r, r.name.startsWith('user 9'))",
    ),
    Task(
        "map to a number",
        "answer len([r.score * 2.0 + 1.0 for r in xs])",
        "[r['score'] * 2.0 + 1.0 for r in xs]",
        lambda xs: [r["score"] * 2.0 + 1.0 for r in xs],
        "xs.map(r, r.score * 2.0 + 1.0)",
    ),
    Task(
        "map to a record",
        "answer len([{r.id, high: r.score > 0.5} for r in xs])",
        "[{'id': r['id'], 'high': r['score'] > 0.5} for r in xs]",
        lambda xs: [{"id": r["id"], "high": r["score"] > 0.5} for r in xs],
        "xs.map(r, {'id': r.id, 'high': r.score > 0.5})",
    ),
)


def records(count: int) -> list[Record]:
    """The same `count` records every time."""
    return [{"id": at, "name": f"user {at}", "lang": ("en", "de", "fr")[at % 3], "score": at * 0.618 % 1} for at in range(count)]


def ours(task: Task, xs: list[Record]) -> Callable[[], Spent]:
    """The program, from the moment its inputs are bound."""
    settings = Settings(model="none", base_url="http://localhost:9/v1", memo="off")

    def side() -> Spent:
        session = prepare(_INPUT + task.program, settings, {"xs": xs})
        return timed(lambda: session.start().wait())

    return side


def timing(work: Evaluator) -> Callable[[], Spent]:
    """A side that runs `work`."""
    return lambda: timed(work)


def by_cel(task: Task, xs: list[Record]) -> Evaluator:
    celpy = import_module("celpy")
    environment = celpy.Environment()
    program = environment.program(environment.compile(task.cel))
    given = {"xs": celpy.json_to_cel(xs)}
    return lambda: program.evaluate(given)


def by_asteval(task: Task, xs: list[Record]) -> Evaluator:
    asteval = import_module("asteval")
    interpreter = asteval.Interpreter()
    interpreter.symtable["xs"] = xs
    parsed = interpreter.parse(task.python)
    return lambda: interpreter.run(parsed)


def by_simpleeval(task: Task, xs: list[Record]) -> Evaluator:
    simpleeval: Any = import_module("simpleeval")
    simpleeval.MAX_COMPREHENSION_LENGTH = len(xs) + 1
    evaluator = simpleeval.EvalWithCompoundTypes(names={"xs": xs})
    parsed = evaluator.parse(task.python)
    return lambda: evaluator.eval(task.python, previously_parsed=parsed)


def by_smolagents(task: Task, xs: list[Record]) -> Evaluator:
    executor = import_module("smolagents.local_python_executor").LocalPythonExecutor([], timeout_seconds=None)
    executor.send_tools({})
    executor.send_variables({"xs": xs})
    return lambda: executor(task.python)


PEERS: dict[str, tuple[Callable[[Task, list[Record]], Evaluator], int]] = {  # and how many records they get
    "cel-python": (by_cel, 2_000),
    "asteval": (by_asteval, 20_000),
    "simpleeval": (by_simpleeval, 20_000),
    "smolagents": (by_smolagents, 20_000),
}


def installed() -> list[str]:
    """The peers that are there; says which are not."""
    there = []
    for name, (make, _) in PEERS.items():
        try:
            make(TASKS[0], records(1))()
        except ImportError:
            print(f"{name} is not installed: left out")
        else:
            there.append(name)
    return there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    count = given.records
    peers = installed()
    xs = records(count)
    scales = {name: count / min(count, PEERS[name][1]) for name in peers}
    print(f"{count:,} records" + "".join(f"; {name} on {count / scales[name]:,.0f}, scaled" for name in peers) + "\n")

    rows = []
    slowest = 0.0
    lead = float("inf")
    for task in TASKS:
        sides = {"rlmlang": ours(task, xs), "plain Python": timing(partial(task.function, xs))}
        sides |= {name: timing(PEERS[name][0](task, xs[: PEERS[name][1]])) for name in peers}
        spent = {name: s.cpu * scales.get(name, 1) for name, s in best(sides, given.rounds, warm=False).items()}
        mine, plain = spent["rlmlang"], spent["plain Python"]
        rows.append([task.name, *(f"{seconds:.2f}" for seconds in spent.values()), f"{mine / plain:.1f}"])
        slowest = max(slowest, mine / plain)
        lead = min([lead, *(spent[name] / mine for name in peers)])
    table(["CPU seconds", "rlmlang", "plain Python", *peers, "times plain"], rows)
    verdict("slowest task, times plain Python", slowest, "10 or less", slowest <= 10)
    if peers:
        verdict("nearest peer, times our time", lead, "over 1", lead > 1)


if __name__ == "__main__":
    main()
