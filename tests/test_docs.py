"""Every example in the documents runs.

What a fenced block is, by the word after its fence:

    rlm       a program. Where lines end in `# => VALUE`, each of these is run by itself, after the lines above it that do not; the value
              is JSON. Otherwise the whole block is a program; a `text` block right after it holds its answer, as JSON or as it stands.
    console   `$ rlm …` is run in the repository's root. Lines below are its standard output (`…`: any lines, or any part of one);
              `[exit N]` its exit code. Of a line with several commands (`a && b`), those that are `rlm` are run.
    python    is run; `EXPR  # => VALUE` compares.
    toml      is read as an `rlm.toml`.
    text, …   are not run.

Comments that a reader does not see set the scene, up to the next one of their kind in the page:

    <!-- replies        rules of the scripted model, one JSON object a line, as in a `script:` file
    <!-- inputs {…} --> the inputs of the next program; a value that is a path of the repository is handed over as such
    <!-- file NAME      a file; the commands that follow run in a folder with these files alone
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import rlmlang
from rlmlang.cli.main import main
from rlmlang.lm.config import read_config
from rlmlang.syntax.nodes import Fn

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NO_RULES = '{"match": "no prompt has this text", "reply": ""}'
PIECE = re.compile(r"^([ ]*)```(\w+)\n(.*?)^\1```$|^<!-- (replies|inputs|file)(.*?)-->$", re.M | re.S)
VALUE = re.compile(r"\s*# => (.*)$")


@frozen
class Example:
    """A block of a page with its scene. `answer` is the `text` block that follows, if one does."""

    kind: str
    text: str
    line: int
    replies: str
    inputs: dict[str, Any]
    files: dict[str, str]
    answer: str | None = None


def examples(page: Path) -> Iterator[Example]:
    """The blocks of a page that can be run, in order."""
    text = page.read_text(encoding="utf-8")
    replies, inputs, files = NO_RULES, dict[str, Any](), dict[str, str]()
    pieces = list(PIECE.finditer(text))
    for at, piece in enumerate(pieces):
        indent, kind, body, scene, setting = piece.groups()
        if scene == "replies":
            replies = setting.strip()
        elif scene == "inputs":
            inputs = json.loads(setting)
        elif scene == "file":
            name, _, content = setting.strip().partition("\n")
            files = {**files, name: content + "\n"}
        elif kind in ("rlm", "console", "python", "toml"):
            after = pieces[at + 1] if at + 1 < len(pieces) else None
            answer = after[3] if after and after[2] == "text" and not text[piece.end() : after.start()].strip() else None
            lines = [line.removeprefix(indent) for line in body.splitlines()]
            yield Example(kind, "\n".join(lines), text.count("\n", 0, piece.start()) + 1, replies, inputs, files, answer)
            inputs = {} if kind == "rlm" else inputs


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(example, id=f"{page.relative_to(ROOT)}:{example.line}")
        for page in PAGES
        for example in examples(page)
        if example.kind == kind
    ]


def value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def run(source: str, example: Example, folder: Path) -> Any:
    """The program's answer, as JSON data."""
    script = folder / "script.jsonl"
    script.write_text(example.replies, encoding="utf-8")
    inputs = {name: str(ROOT / v) if isinstance(v, str) and (ROOT / v).exists() else v for name, v in example.inputs.items()}
    answer = rlmlang.run(source, settings=rlmlang.Settings(model=f"script:{script}", memo="off"), **inputs).answer
    return json.loads(json.dumps(answer))


@pytest.mark.parametrize("example", cases("rlm"))
def test_program(example: Example, tmp_path: Path) -> None:
    above: list[str] = []
    checked = 0
    for line in example.text.splitlines():
        marked = VALUE.search(line)
        if not marked:
            above.append(line)
            continue
        code = line[: marked.start()]
        bound = re.match(r"(\w+) = ", code)
        source = [*above, code, f"answer {bound[1]}"] if bound else [*above, f"answer {code}"]
        assert run("\n".join(source) + "\n", example, tmp_path) == json.loads(marked[1]), line
        checked += 1
    if checked:
        return
    errors = rlmlang.check(rlmlang.parse(example.text + "\n")).errors
    assert not errors, errors
    if example.answer is not None:
        assert run(example.text + "\n", example, tmp_path) == value_of(example.answer)


@pytest.mark.parametrize("example", cases("console"))
def test_command(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "script.jsonl").write_text(example.replies, encoding="utf-8")
    for name, content in example.files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    at_home(monkeypatch, tmp_path)
    if example.files:
        monkeypatch.chdir(tmp_path)
    for command in re.split(r"^\$ ", example.text, flags=re.M)[1:]:
        line, _, output = command.partition("\n")
        lines = output.splitlines()
        exits = [int(found[1]) for text in lines if (found := re.fullmatch(r"\[exit (\d+)\]", text))]
        for part in line.split(" && "):
            words = shlex.split(part.replace(".venv/bin/", ""))
            if words[0] == "cat":
                print(Path(words[1]).read_text("utf-8"), end="")
            elif words[0] != "rlm":
                continue
            code = main(words[1:]) if words[0] == "rlm" else 0
            shown = capfd.readouterr()
            assert code == (exits[0] if exits else 0), f"{line}\n{shown.out}\n{shown.err}"
            wanted = [text for text in lines if not text.startswith("[exit ")]
            if wanted:
                pattern = "".join(r"(?:.*\n)*?" if text == "…" else re.escape(text).replace("…", ".*") + r"\n" for text in wanted)
                assert re.fullmatch(pattern, shown.out.rstrip("\n") + "\n"), f"{line}\n{shown.out}"


@pytest.mark.parametrize("example", cases("python"))
def test_python(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script.jsonl").write_text(example.replies, encoding="utf-8")
    at_home(monkeypatch, tmp_path)
    names: dict[str, Any] = {}
    pending = ""
    for line in example.text.splitlines():
        marked = VALUE.search(line)
        if not marked:
            pending += line + "\n"
            continue
        exec(pending, names)
        pending = ""
        assert eval(line[: marked.start()], names) == json.loads(marked[1]), line
    exec(pending, names)


@pytest.mark.parametrize("example", cases("toml"))
def test_configuration(example: Example) -> None:
    assert read_config(example.text, "rlm.toml").models


def at_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """In the repository's root, with the scripted model and with nothing of this machine's own configuration."""
    monkeypatch.chdir(ROOT)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(folder))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RLM_CACHE_DIR", str(folder))
    monkeypatch.setenv("RLM_MODEL", f"script:{folder / 'script.jsonl'}")


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
            path, _, anchor = target.partition("#")
            there = page.parent / path if path else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them: lower case, punctuation out, spaces to hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_library_function_has_an_example() -> None:
    page = (ROOT / "docs" / "stdlib.md").read_text(encoding="utf-8")
    for file in (ROOT / "stdlib").glob("*.rlm"):
        heading = f"\n## {file.stem}\n"
        assert heading in page
        section = page.split(heading)[1].split("\n## ")[0]
        assert "```rlm" in section and f"{file.stem}(" in section, file.stem
        (function,) = [f for f in rlmlang.parse(file.read_text(encoding="utf-8")).statements if isinstance(f, Fn) and f.name == file.stem]
        assert function.result is not None
        signature = file.read_text(encoding="utf-8")[function.span.start + len("fn ") : function.result.span.end]
        assert f"`{on_one_line(signature)}`" in section


def on_one_line(code: str) -> str:
    return re.sub(r"(?<=\{) | (?=\})", "", " ".join(code.split()))
