"""The house keeps its order: a room imports only rooms above it, heavy libraries only where they are used, nothing leaks into the
package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rlmlang"
# what every room may use comes first, then the rooms from top to bottom
FOUNDATION = {"limits", "errors", "types", "streamed", "values", "cache", "glob", "files", "quantity", "sizes"}
ROOMS = ["syntax", "builtins", "check", "lm", "run", "cost", "session", "solve", "compare", "cli"]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules of the package that a file imports, and whether only for types."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {id(node) for block in ast.walk(tree) if _is_type_checking(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [f"rlmlang.{a.name}" for a in node.names] if node.module == "rlmlang" else [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        yield from ((name, id(node) in for_types) for name in names if name.startswith("rlmlang."))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_rooms_above(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    own = parts[0].removesuffix(".py")
    for module, for_types in imports(path):
        other = room_of(module)
        if own in ("__init__", "__main__") or for_types or other == own or other in FOUNDATION:
            continue
        assert own in ROOMS, f"{own} is in no room, yet it imports {module}"
        assert ROOMS.index(other) < ROOMS.index(own), f"{own} imports {module}, which is below it"


def test_the_package_names_no_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    home = re.compile(r"/(?:root|home/\w+|work)/(?!\*)")
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".rlm", ".lark", ".jsonl", ".json"} and path.is_file():
            found = home.search(path.read_text("utf-8"))
            assert found is None or "home/" in found[0], f"{name} names a path of a machine: {found}"


LINES = 500
LONGER = {"values.py"}  # all that is asked of a value


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_is_read_in_one_go(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    name = path.relative_to(PACKAGE).as_posix()
    assert (lines > LINES) is (name in LONGER), f"{name} has {lines} lines: split it by what it does, or name it no longer among the long"


HEAVY = {"openai", "aiohttp", "genai_prices", "re2", "xllamacpp", "rich.console", "rich.progress", "pydantic", "httpx", "asyncio"}


_CHECKING = "from rlmlang.syntax import parse; from rlmlang.check import check; check(parse('answer 1'))"


@pytest.mark.parametrize("code", ["import rlmlang", _CHECKING])
def test_checking_imports_nothing_heavy(code: str) -> None:
    code += "; import sys; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & HEAVY
