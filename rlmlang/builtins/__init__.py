"""The built-in functions: `REGISTRY` has them by name, in the order of the rooms below; importing this package fills it.

Each is declared once, in the room of what it works on (`declare.py` says how). `operators.py` has what `+`, `<` and `in` do.
"""

from rlmlang.builtins import general, texts, pieces, patterns, formats, numbers, lists, records, files  # noqa: F401, I001
from rlmlang.builtins.declare import REGISTRY, Builtin
from rlmlang.builtins.formats import format_value

__all__ = ["REGISTRY", "Builtin", "format_value", "lookup"]


def lookup(name: str) -> Builtin | None:
    """The built-in function of this name, if there is one."""
    return REGISTRY.get(name)
