"""Tree -> typed tree: names, types, effects, lints. `check` is the one entry; it reads no files but the standard library's."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from rlmlang.check import apply, calls, expressions, forms, operators  # noqa: F401  (they register their rules)
from rlmlang.check.checked import Checked, Function, InputVariable, Turn
from rlmlang.check.checker import Checker, Tables
from rlmlang.check.lints import lint, unused
from rlmlang.check.module import Files, check_statements, standard
from rlmlang.check.report import Report
from rlmlang.syntax.nodes import Program

__all__ = ["Checked", "Function", "InputVariable", "Turn", "check"]


def check(program: Program, *, load: Callable[[str], Program] | None = None, turn: Turn | None = None) -> Checked:
    """Everything that can be known of a program before it runs. Never raises for what a program says: `diagnostics` has it.

    `load(path)` gives the parsed program of a used file, by its path relative to this program's folder (`lib/x.rlm`), or raises
    UsageError or ProgramError. With `turn` the program is one of several that follow one another, as in `solve` and the repl.
    """
    report, tables = Report(), Tables()
    checker = Checker(report, tables, lambda name: standard(name, tables, report))
    if turn is not None:
        _resume(checker, turn, program)
    files = Files(load, report, tables, [posixpath.basename(program.source.name.replace("\\", "/"))])
    outcome = check_statements(checker, program, files, "", turn=turn is not None)
    if not report.errors():
        unused(checker, program, turn=turn is not None)
        lint(program, tables, report)
    return Checked(
        program=program,
        diagnostics=report.finish(program.source),
        types=tables.types,
        reply_types=tables.reply_types,
        callees=tables.callees,
        arguments=tables.arguments,
        effects=frozenset(tables.effects),
        functions=tables.functions,
        modules=tables.modules,
        inputs=tuple(outcome.inputs),
        result=outcome.result,
        names={name: v.type for name, v in checker.scope.names.items()},
        declared_functions=dict(checker.functions),
        declared_types=dict(checker.types),
        turn=turn is not None,
        given={} if turn is None else {**(turn.earlier.given if turn.earlier else {}), **turn.names},
        before=() if turn is None or turn.earlier is None else (*turn.earlier.before, turn.earlier.program),
    )


def _resume(checker: Checker, turn: Turn, program: Program) -> None:
    """Puts what earlier turns have left into scope."""
    names = dict(turn.names)
    if (earlier := turn.earlier) is not None:
        checker.tables.update(earlier)
        checker.functions.update(earlier.declared_functions)
        checker.types.update(earlier.declared_types)
        checker.redeclarable.update((*earlier.declared_functions, *earlier.declared_types))
        names = {**earlier.names, **names}
    for name, type_ in names.items():
        checker.bind(name, type_, program.span, "given")
