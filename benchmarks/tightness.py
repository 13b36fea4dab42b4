"""How tight the bound is: of each example, run on its own data with its scripted model, max / used of calls and tokens.

    python benchmarks/tightness.py

Calls are what is promised: 1 where no reply decides how many there are, and a median of at most 1.5 over all examples whose calls are
counted. Tokens are for information: a bound takes a byte for a token, the longest reply, and three attempts. tests/test_cost.py holds
the examples to the same figures.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from attrs import frozen

from rlmlang.cli.main import main as rlm

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_examples import EXAMPLES, ROOT, command

# examples in which a reply decides how often a model is called; of the rest the count is known before
DECIDED = {"compare_pairs", "extract_records", "find_in_repo", "folder_questions", "read_book"}
# not counted by the analysis: the calls of a `solve` are those of programs that are not yet written, and its limit stands for them
LIMITED = {"odd_logins"}
SHOWN = ("calls", "input_tokens", "output_tokens", "rounds")


@frozen
class Tightness:
    """An example's report (`rlm run --json`), and max / used of a figure of it: 1 where nothing is used and nothing bound."""

    name: str
    report: dict[str, Any]

    def ratio(self, figure: str) -> float:
        used, most = self.report["used"][figure], self.report["bound"][figure]["max"]
        return 1.0 if most == used else float("inf") if not used else float(most / used)

    @property
    def kind(self) -> str:
        return "limit" if self.name in LIMITED else "reply" if self.name in DECIDED else "known"


def measured() -> list[Tightness]:
    """The examples, run in this process from the root of the repository. Raises RuntimeError where one fails."""
    found = []
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        for example in EXAMPLES:
            out = io.StringIO()
            words = [*command(example), "--model", f"script:{example / 'script.jsonl'}", "--memo", "off", "--json", "--quiet", "--yes"]
            with contextlib.redirect_stdout(out):
                code = rlm(["run", *words])
            if code != 0:
                raise RuntimeError(f"{example.name} ends with exit code {code}")
            found.append(Tightness(example.name, json.loads(out.getvalue())))
    finally:
        os.chdir(before)
    return found


def medians(found: list[Tightness]) -> tuple[float, float]:
    """The median of max / used of calls: of the examples whose calls are counted, and of those where no reply decides them."""
    counted = [t.ratio("calls") for t in found if t.kind != "limit"]
    known = [t.ratio("calls") for t in found if t.kind == "known"]
    return median(counted), median(known)


def table(found: list[Tightness]) -> str:
    lines = [f"{'max / used':20} " + " ".join(f"{name.replace('_', ' '):>13}" for name in SHOWN) + "  calls decided by"]
    by = {"known": "what is known before", "reply": "replies", "limit": "the limit of a solve"}
    lines += [f"{t.name:20} " + " ".join(f"{t.ratio(name):13.2f}" for name in SHOWN) + f"  {by[t.kind]}" for t in found]
    return "\n".join(lines)


def main() -> int:
    """Exit code 1 where it is less tight than it should be."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RLM_CACHE_DIR"] = folder
        found = measured()
    whole, known = medians(found)
    print(table(found))
    print(f"median of calls: {whole:.2f} (at most 1.5), where no reply decides {known:.2f} (1)")
    good = whole <= 1.5 and all(t.ratio("calls") == 1 for t in found if t.kind == "known")
    print("ok" if good else "MISS")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
