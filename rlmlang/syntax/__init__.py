"""Text -> tree, and back: `parse` and `format_program`."""

from rlmlang.syntax.parser import parse

__all__ = ["parse"]
