"""Running `rlm`, in this process or in one of its own, with nothing of this machine's own configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from rlmlang.cli.main import main

ROOT = Path(__file__).parents[1]
MODEL_SETTINGS = ("RLM_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "RLM_DEBUG")


@frozen
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A folder in which `rlm` is run."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def rules(self, *rules: dict[str, Any], name: str = "rules.jsonl") -> str:
        """A scripted model with these rules, as `--model` takes it."""
        self.write(name, "\n".join(json.dumps(rule) for rule in rules))
        return f"script:{name}"

    def __call__(self, *words: str) -> Done:
        """Runs `rlm` in this process."""
        self._capsys.readouterr()
        code = main(words)
        shown = self._capsys.readouterr()
        return Done(code, shown.out, shown.err)

    def start(self, *words: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Starts `rlm` in a process of its own."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
        return subprocess.Popen(
            [sys.executable, "-m", "rlmlang", *words], cwd=self.folder, env=environment(**given.pop("env", {})), **given
        )

    def process(self, *words: str, data: bytes = b"", **settings: Any) -> Done:
        """Runs `rlm` in a process of its own to its end; `data` is its standard input."""
        with self.start(*words, stdin=subprocess.PIPE, **settings) as process:
            out, err = process.communicate(data)
        return Done(process.returncode, (out or b"").decode(), (err or b"").decode())


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in MODEL_SETTINGS}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def rlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """`rlm` in an empty folder; the memo is in `memo.sqlite` there unless said otherwise."""
    monkeypatch.chdir(tmp_path)
    for name in MODEL_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path, capsys)
