"""rlmlang: a language in which calls to a language model are syntax: checked, run in parallel, remembered, and never over budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlmlang.check import Checked, check
    from rlmlang.errors import BudgetError, Failure, Interrupted, LimitError, ProgramError, RlmError, UsageError
    from rlmlang.run.report import Result
    from rlmlang.run.session import Settings, arun, run
    from rlmlang.syntax import parse

__version__ = "0.1.0"
__all__ = [
    "BudgetError",
    "Checked",
    "Failure",
    "Interrupted",
    "LimitError",
    "ProgramError",
    "Result",
    "RlmError",
    "Settings",
    "UsageError",
    "arun",
    "check",
    "parse",
    "run",
]
_HOME = {
    **dict.fromkeys(("BudgetError", "Failure", "Interrupted", "LimitError", "ProgramError", "RlmError", "UsageError"), "rlmlang.errors"),
    **dict.fromkeys(("Checked",), "rlmlang.check"),
    **dict.fromkeys(("Settings", "arun", "run"), "rlmlang.run.session"),
    "Result": "rlmlang.run.report",
    "parse": "rlmlang.syntax",
}


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that `import rlmlang` costs next to nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value
