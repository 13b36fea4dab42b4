"""Text -> tree, and back: `parse` and `format_program`."""

from rlmlang.syntax.formatter import format_program
from rlmlang.syntax.parser import parse
from rlmlang.syntax.walk import same_tree

__all__ = ["format_program", "parse", "same_tree"]
