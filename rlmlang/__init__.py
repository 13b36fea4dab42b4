"""rlmlang: a language in which calls to a language model are syntax: checked, run in parallel, remembered, and never over budget."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlmlang.check.checked import Checked
    from rlmlang.compare.compare import compare
    from rlmlang.compare.task import Task
    from rlmlang.cost import Bound
    from rlmlang.errors import BudgetError, Failure, Interrupted, LimitError, ProgramError, RlmError, Unsolved, UsageError
    from rlmlang.run.report import Result
    from rlmlang.session import Settings, arun, bound, check, run
    from rlmlang.solve.ask import Solution, asolve, solve
    from rlmlang.syntax import parse

__version__ = "0.1.0"
__all__ = [
    "Bound",
    "BudgetError",
    "Checked",
    "Failure",
    "Interrupted",
    "LimitError",
    "ProgramError",
    "Result",
    "RlmError",
    "Settings",
    "Solution",
    "Task",
    "Unsolved",
    "UsageError",
    "arun",
    "asolve",
    "bound",
    "check",
    "compare",
    "parse",
    "run",
    "solve",
]
_HOME = {
    **dict.fromkeys(
        ("BudgetError", "Failure", "Interrupted", "LimitError", "ProgramError", "RlmError", "Unsolved", "UsageError"), "rlmlang.errors"
    ),
    **dict.fromkeys(("Settings", "arun", "bound", "check", "run"), "rlmlang.session"),
    **dict.fromkeys(("Solution", "asolve", "solve"), "rlmlang.solve.ask"),
    "Bound": "rlmlang.cost",
    "Checked": "rlmlang.check.checked",
    "Result": "rlmlang.run.report",
    "Task": "rlmlang.compare.task",
    "compare": "rlmlang.compare.compare",
    "parse": "rlmlang.syntax",
}


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that `import rlmlang` costs next to nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


class _Package(ModuleType):
    """`rlmlang.run`, `check`, `solve` and `compare` are the functions, although importing the rooms of these names would put the
    modules there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
