"""Each example runs on its own data with its scripted model, and gives the answer that stands beside it.

Those marked `embedded` ask the model that is built in. It is small, so they assert what must hold of any answer and that it is better than
chance, not its words.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from rlmlang.cache import cache_root
from rlmlang.cli.main import main

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(p.parent for p in (ROOT / "examples").glob("*/script.jsonl"))


def command(example: Path) -> list[str]:
    """The arguments of the first `rlm run` that the example's own first lines name."""
    programs = [p.read_text(encoding="utf-8") for p in sorted(example.glob("*.rlm"))]
    found = next(m for text in programs if (m := re.search(r"^#   rlm run (.*)$", text, re.M)))
    words = shlex.split(found[1])
    return words[: words.index("--out")] if "--out" in words else words


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the repository's root, with nothing of this machine's own configuration but the embedded model, which is fetched once."""
    models = cache_root() / "models"
    models.mkdir(parents=True, exist_ok=True)
    (tmp_path / "models").symlink_to(models)
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path))
    monkeypatch.chdir(ROOT)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("RLM_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> Any:
    """The JSON report of `rlm run`."""
    code = main(["run", *arguments, "--memo", "off", "--json", "--quiet", "--yes"])
    shown = capfd.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def scripted(example: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    return run([*command(example), "--model", f"script:{example / 'script.jsonl'}"], capfd)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_scripted(example: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = scripted(example, capfd)
    assert report["answer"] == json.loads((example / "expected.json").read_text(encoding="utf-8"))
    assert report["warnings"] == [] and report["failures"] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_within_its_bound(example: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = scripted(example, capfd)
    for figure, bound in report["bound"].items():
        assert bound["max"] is not None, figure  # with its inputs, no example is unbounded
        assert bound["min"] <= report["used"][figure] <= bound["max"], figure


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_checks_clean(example: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["check", "--json", *map(str, sorted(example.glob("*.rlm")))])
    assert json.loads(capfd.readouterr().out) == []


def test_every_example_is_listed() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 8
    assert {p.name for p in EXAMPLES} == set(re.findall(r"^\| \[(\w+)\]", page, re.M))


def test_records_as_json_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    example = ROOT / "examples" / "extract_records"
    out = tmp_path / "orders.jsonl"
    run([*command(example), "--model", f"script:{example / 'script.jsonl'}", "--out", str(out)], capfd)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows == json.loads((example / "expected.json").read_text(encoding="utf-8"))


# ---- with the embedded model ----


def embedded(program: str, given: str, capfd: pytest.CaptureFixture[str]) -> Any:
    pytest.importorskip("xllamacpp", reason="the embedded model is the extra `local`")
    return run([f"examples/{program}", given], capfd)["answer"]


@pytest.mark.embedded
def test_triage_on_the_embedded_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = (ROOT / "examples" / "triage_reviews" / "reviews.csv").read_text(encoding="utf-8").splitlines()
    some = tmp_path / "reviews.csv"
    some.write_text("\n".join(rows[at] for at in (0, 1, 2, 5, 21, 23, 35, 36)) + "\n", encoding="utf-8")
    answer = embedded("triage_reviews/triage.rlm", f"reviews=@{some}", capfd)
    assert {p["product"]: p["reviews"] for p in answer["products"]} == {"kettle": 3, "backpack": 2, "headphones": 2}
    assert len(answer["stars_disagree"]) <= 2  # stars and words agree in all seven


@pytest.mark.embedded
def test_votes_of_the_embedded_model(capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = "Wonderful rooms and a great breakfast.", "Terrible noise all night. I want my money back."
    answer = embedded("majority_vote/vote.rlm", f"reviews={good}\n{bad}", capfd)
    assert len(answer["positive"]) + len(answer["negative"]) + len(answer["ask_a_person"]) == 2
    assert good not in answer["negative"] and bad not in answer["positive"]


@pytest.mark.embedded
def test_mail_sorted_by_the_embedded_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mails = (ROOT / "examples" / "sort_mail" / "mails.jsonl").read_text(encoding="utf-8").splitlines()
    some = tmp_path / "mails.jsonl"
    some.write_text("\n".join(mails[:3]), encoding="utf-8")
    answer = embedded("sort_mail/sort.rlm", f"mails=@{some}", capfd)
    assert answer["complaints"] + answer["thanks"] == 3
    assert answer["complaints"] >= 1
    assert set(answer["orders_complained_of"]) <= {"KX-2201", "KX-2178"}
