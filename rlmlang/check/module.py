"""Checks the statements of a file: the program itself, a file it uses, a file of the standard library."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from attrs import define, field, frozen

from rlmlang.check import habits
from rlmlang.check.advice import advice, short
from rlmlang.check.checked import Function, InputVariable
from rlmlang.check.checker import Checker, Tables
from rlmlang.check.expressions import bind
from rlmlang.check.functions import check_default, circles, declare, name_span
from rlmlang.check.library import library
from rlmlang.check.report import Report
from rlmlang.check.unify import is_data
from rlmlang.check.written import BUILT_IN, read_type
from rlmlang.errors import ProgramError, UsageError
from rlmlang.syntax.nodes import Answer, Apply, Bind, Fn, Input, Lambda, Name, Program, Shown, Statement, TypeDef, Unpack, Use
from rlmlang.types import FILE, TEXT, FunctionOf, Type

Load = Callable[[str], Program]


@frozen(eq=False)
class _Exports:
    """The functions and types that a file itself declares."""

    functions: dict[str, Function]
    types: dict[str, Type]


@define(eq=False)
class Files:
    """The files that a program uses, each checked once. `under_way` are those being checked, from the program on."""

    load: Load | None
    report: Report
    tables: Tables
    under_way: list[str]
    done: dict[str, _Exports | None] = field(factory=dict)


@define(eq=False)
class Outcome:
    """What the statements of a program give, beside the tables."""

    inputs: list[InputVariable] = field(factory=list)
    result: Type | None = None


def check_statements(c: Checker, program: Program, files: Files, folder: str, *, turn: bool = False) -> Outcome:
    """Checks a program. `folder` is where its `use` paths start; in a `turn` of `solve` or the repl, `input` and `use` are refused."""
    outcome = Outcome()
    _look_ahead(c, program)
    last = program.statements[-1] if program.statements else None
    answered = False
    for statement in program.statements:
        if answered and not isinstance(statement, Answer):
            c.error("answer-last", statement.span, "nothing comes after the answer", "move the answer to the end")
        if isinstance(statement, (Input, Use)) and turn:
            what = "input" if isinstance(statement, Input) else "use"
            fix = "" if isinstance(statement, Input) and c.scope.find(statement.name) is not None else None
            c.error("not-here", statement.span, f"`{what}` is not possible here", "the data are bound already, by their names", fix)
        elif isinstance(statement, Input):
            outcome.inputs.append(_input(c, statement, outcome.inputs))
        elif isinstance(statement, Use):
            _use(c, statement, files, folder)
        elif isinstance(statement, Answer):
            if answered:
                hint = "put both in one record: answer {a, b}"
                c.error("two-answers", statement.span, "a program has one answer", hint)
            answered = True
            outcome.result = _result(c, statement, turn=turn)
        elif isinstance(statement, Shown) and _changes_in_place(c, statement):
            continue
        elif isinstance(statement, Shown):
            shown = _result(c, statement, turn=turn)
            if statement is last:
                outcome.result = shown
            elif not answered:
                hint = f"bind it (x = {short(statement.value)}), or leave it out: nothing is done by a statement but binding"
                c.error("bare-expression", statement.span, "only the last statement may be an expression alone", hint)
        else:
            _declaration(c, statement, library=False)
    return outcome


def _changes_in_place(c: Checker, statement: Shown) -> bool:
    """`xs.sort()` as a statement, as Python has it; says so."""
    value = statement.value
    if not isinstance(value, Apply) or not value.method or c.function_named(value.name) is not None:
        return False
    name, args = value.args[0].value, value.args[1:]
    if not isinstance(name, Name) or c.scope.find(name.name) is None or any(isinstance(a.value, Lambda) and a.name is None for a in args):
        return False
    made = habits.new_list(value.name, name.name, [a.span.text for a in args])
    if made is not None:
        fix = f"{name.name} = {made}"
        c.error("unknown-function", statement.span, f"lists never change: {value.name} would have to", f"write {fix}", fix)
    return made is not None


def _look_ahead(c: Checker, program: Program) -> None:
    functions = [s for s in program.statements if isinstance(s, Fn)]
    c.cycles = circles(functions) if len(functions) > 1 else {}
    c.later = {f.name: f.name_span for f in reversed(functions)}
    c.later_types = {s.name: name_span(s, s.name) for s in reversed(program.statements) if isinstance(s, TypeDef)}


def _declaration(c: Checker, statement: Statement, *, library: bool) -> None:
    if isinstance(statement, TypeDef):
        _type(c, statement)
    elif isinstance(statement, Fn):
        declare(c, statement, library=library)
    elif isinstance(statement, (Bind, Unpack)):
        bind(c, statement)
        c.reaches = False


def _type(c: Checker, statement: TypeDef) -> None:
    where = name_span(statement, statement.name)
    c.later_types.pop(statement.name, None)
    if statement.name in BUILT_IN:
        c.error("duplicate-type", where, f"{statement.name} is a type already")
        return
    if statement.name in c.types and statement.name not in c.redeclarable:
        c.error("duplicate-type", where, f"the type {statement.name} is declared twice")
    c.declaring = statement.name
    found = read_type(c, statement.type)
    c.declaring = None
    c.redeclarable.discard(statement.name)
    c.types[statement.name] = found


def _input(c: Checker, statement: Input, others: list[InputVariable]) -> InputVariable:
    where = name_span(statement, statement.name)
    if any(o.name == statement.name for o in others):
        c.error("duplicate-input", where, f"the input {statement.name} is declared twice")
    type_ = read_type(c, statement.type)
    if statement.default is not None:
        check_default(c, statement.default, type_, statement.name)
    c.bind(statement.name, type_, where, "input")
    return InputVariable(statement.name, type_, statement)


def _result(c: Checker, statement: Answer | Shown, *, turn: bool) -> Type:
    """The type of what a program gives. A turn shows previews, which files have, too."""
    value = statement.value
    given = c.infer(value)
    c.reaches = False
    if not is_data(given, files=turn and isinstance(statement, Shown)):
        hint = None
        if given is FILE:
            hint = f"write {short(value)}.path or {short(value)}.text"
        elif isinstance(given, FunctionOf):
            hint = "call it"
        elif "file" in str(given):
            hint = f"write [f.path for f in {short(value)}]" if str(given) == "[file]" else "name what is wanted of it: f.path, f.text"
        what = "an answer" if isinstance(statement, Answer) else "what is shown"
        fix = f"[f.path for f in {value.span.text}]" if str(given) == "[file]" else None
        c.error("answer-type", value.span, f"{what} is data; {given} is not", hint or advice(value, given, TEXT), fix)
    return given


# ---- other files ----


def _use(c: Checker, statement: Use, files: Files, folder: str) -> None:
    path = statement.path
    if not path or posixpath.isabs(path) or "\\" in path or "\0" in path or path.startswith("~") or (len(path) > 1 and path[1] == ":"):
        c.error("use", statement.span, "`use` takes a path relative to this file", 'write use "./other.rlm"')
        c.incomplete = True
        return
    key = posixpath.normpath(posixpath.join(folder, path))
    if key == ".." or key.startswith("../"):
        c.error("use", statement.span, "a used file lies in the program's own folder or below it")
        c.incomplete = True
        return
    exports = _exports(c, statement, files, key)
    if exports is None:
        c.incomplete = True
        return
    for name, function in exports.functions.items():
        if name in c.functions and c.functions[name] is not function:
            c.error("duplicate-function", statement.span, f"the function {name} is declared twice: {path} declares it, too")
        c.functions[name] = function
        c.called.add(name)
    for name, type_ in exports.types.items():
        if name in c.types and c.types[name] is not type_:
            c.error("duplicate-type", statement.span, f"the type {name} is declared twice: {path} declares it, too")
        c.types[name] = type_


def _exports(c: Checker, statement: Use, files: Files, key: str) -> _Exports | None:
    if key in files.under_way:
        circle = [*files.under_way[files.under_way.index(key) :], key]
        c.error("use", statement.span, f"files use one another in a circle: {' -> '.join(circle)}")
        return None
    if key in files.done:
        return files.done[key]
    if files.load is None:
        c.error("use", statement.span, "no other file can be used here")
        return None
    files.done[key] = None
    try:
        program = files.load(key)
    except ProgramError as error:
        files.report.add(error.diagnostics)
        return None
    except UsageError as error:
        c.error("use", statement.span, error.message, error.hint)
        return None
    files.under_way.append(key)
    report = Report()
    inner = Checker(report, files.tables, c.standard)
    used = _check_used(inner, program, files, posixpath.dirname(key), library=False)
    files.under_way.pop()
    files.report.add(report.errors())
    files.tables.modules[key] = program
    files.done[key] = used
    return used


def _check_used(c: Checker, program: Program, files: Files, folder: str, *, library: bool) -> _Exports:
    """Checks a used file: its functions and types, and the bindings that functions may see.

    Its inputs and answer are the business of a run of its own.
    """
    _look_ahead(c, program)
    functions: dict[str, Function] = {}
    types: dict[str, Type] = {}
    for statement in program.statements:
        if isinstance(statement, Use):
            _use(c, statement, files, folder)
        elif isinstance(statement, Input):
            variable = c.bind(statement.name, read_type(c, statement.type), name_span(statement, statement.name), "input")
            variable.hidden = f"{statement.name} is an input of a file that is used here, which nobody binds"
        elif not isinstance(statement, (Answer, Shown)):
            _declaration(c, statement, library=library)
            if isinstance(statement, Fn):
                functions[statement.name] = c.functions[statement.name]
            elif isinstance(statement, TypeDef) and statement.name in c.types:
                types[statement.name] = c.types[statement.name]
            elif isinstance(statement, (Bind, Unpack)):
                _hide_what_asks(c, statement)
    return _Exports(functions, types)


def _hide_what_asks(c: Checker, statement: Bind | Unpack) -> None:
    """A function of a used file may see what the file binds, but not what a model would have to be asked for."""
    for name in (statement.name,) if isinstance(statement, Bind) else statement.names:
        variable = c.scope.names[name]
        if variable.reaches:
            variable.hidden = f"{name} asks a model, outside any function of a file that is used here"


# ---- the standard library ----


@frozen(eq=False)
class _Standard:
    function: Function | None
    tables: Tables
    report: Report


_STANDARD: dict[str, _Standard] = {}  # threads may check one at the same time; each result is whole, and the last stays


def standard(name: str, tables: Tables, report: Report, under_way: frozenset[str] = frozenset()) -> Function | None:
    """The function `name` of the standard library, with all that is known of its file put into `tables`. Checked once a process.

    `under_way` are the functions whose files are being checked: one that needs itself through another finds none.
    """
    known = _STANDARD.get(name)
    if known is None:
        program = None if name in under_way else library(name)
        if program is None:
            return None
        known = _STANDARD[name] = _check_standard(name, program, under_way | {name})
    if name not in tables.modules:
        tables.update(known.tables)
        report.add(known.report.errors())
    return known.function


def _check_standard(name: str, program: Program, under_way: frozenset[str]) -> _Standard:
    tables, report = Tables(), Report()
    checker = Checker(report, tables, lambda other: standard(other, tables, report, under_way))
    files = Files(None, report, tables, [])
    exports = _check_used(checker, program, files, "", library=True)
    tables.modules[name] = program
    return _Standard(exports.functions.get(name), tables, report)
