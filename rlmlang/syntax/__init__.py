"""Text -> tree, and back: `parse` and `format_program`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlmlang.syntax.parser import parse
from rlmlang.syntax.walk import same_tree

if TYPE_CHECKING:
    from rlmlang.syntax.formatter import format_program

__all__ = ["format_program", "parse", "same_tree"]


def __getattr__(name: str) -> Any:
    """The formatter is imported when first used: most commands do without it."""
    if name != "format_program":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rlmlang.syntax.formatter import format_program

    return format_program
