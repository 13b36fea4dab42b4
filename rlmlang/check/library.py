"""The standard library: `stdlib/NAME.rlm` holds the function NAME and what it needs.

It is read and checked when a program first uses the name.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from rlmlang.syntax import parse
from rlmlang.syntax.nodes import Program


@cache
def _folder() -> Traversable:
    """Inside the package in a wheel, beside it in a checkout."""
    inside = resources.files("rlmlang") / "stdlib"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "stdlib"


@cache
def library_names() -> tuple[str, ...]:
    """The functions of the standard library, sorted."""
    folder = _folder()
    return tuple(sorted(f.name.removesuffix(".rlm") for f in folder.iterdir() if f.name.endswith(".rlm"))) if folder.is_dir() else ()


@cache
def library(name: str) -> Program | None:
    """The program that declares the standard function `name`, None where there is none."""
    if name not in library_names():
        return None
    return parse((_folder() / f"{name}.rlm").read_text("utf-8"), f"stdlib/{name}.rlm")
