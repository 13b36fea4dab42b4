"""The program that a solve leaves behind: its turns as one file, without what the answer does not use.

A turn sees what the turns before it bound and declared, which is what a statement of a file sees of those above it, so the turns are
joined one below the other. Names may be bound again in a file as in a turn; only a function or a type that a later turn declared anew
gets another name, where both are used. Nothing else is renamed, because the name of a variable may be part of a request (`on {report}`).
Comments stay with the statement that they stand above or behind.

It does not: merge turns, inline bindings, or change an expression. Equal requests are what lets the memo answer all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from textwrap import wrap
from typing import Final

from attrs import field, frozen

from rlmlang.check import check
from rlmlang.check.checked import Checked, Function
from rlmlang.check.unify import item_of
from rlmlang.errors import ProgramError, UsageError
from rlmlang.solve.shape import shaped
from rlmlang.syntax import format_program, parse
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import printable
from rlmlang.syntax.formatter import WIDTH
from rlmlang.syntax.source import Span
from rlmlang.syntax.walk import Loop, children, names_and_body, walk
from rlmlang.types import JSON, NEVER, UNKNOWN, DictOf, ListOf, Optional, RecordOf, Tuple, Type

_QUESTION_CHARS: Final = 1_000
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANSWER: Final = re.compile(r"^answer\b", re.M)  # the first line that begins so: comments above it do not
_AFTER_TYPE: Final = re.compile(r"type\s+")


def kept_program(turns: Sequence[Checked], inputs: Mapping[str, Type], question: str = "", wanted: Type | None = None) -> str:
    """The whole program, formatted: `turns` are the accepted ones in order, the last of which has the answer (or shows it), `inputs` the
    names and types that they found bound. Inputs that the answer does not use are left out. The question is a comment on top. `wanted` is
    the type that the answer was made to have, where it had to be.

    Raises UsageError where no turn has an answer, or all of them are too large for one program.
    """
    statements = [_Statement(turn, at, node) for turn in turns for at, node in enumerate(turn.program.statements)]
    last = max((at for at, s in enumerate(statements) if isinstance(s.node, (n.Answer, n.Shown))), default=None)
    if last is None:
        raise UsageError("no turn has an answer, so there is no program to keep")
    uses = _Uses(statements)
    kept, used = uses.of(last)
    taken = {word for turn in turns for word in _WORD.findall(turn.program.source.text)}
    renamed = _renamed(kept, statements, taken)
    parts = _declarations({name: type_ for name, type_ in inputs.items() if name in used}, taken)
    if question:
        parts.insert(0, _comment(question))
    above: Checked | None = None
    for at in kept:
        statement = statements[at]
        edits = [(span, renamed[place]) for span, place in uses.references(at) if place in renamed]
        if at in renamed:
            edits.append((_name_span(statement.node), renamed[at]))
        written = _written(statement, edits, apart=statement.turn is not above)
        if at == last and wanted is not None and statement.turn.result is not None:
            name = "result" if "result" not in taken else _new_name("result", taken)
            shape = shaped(name, statement.turn.result, wanted)
            if shape is not None:
                written = f"{_ANSWER.sub(f'{name} =', written, count=1)}\nanswer {shape}"
        parts.append(written)
        above = statement.turn
    try:
        program = parse("\n".join(parts), "<kept>")
        errors = check(program).errors
    except ProgramError as error:
        errors = error.diagnostics
    if errors:  # limits that hold for one program, not for all turns together
        raise UsageError(f"the turns together are no program: {errors[0].message}")
    return format_program(program)


@frozen(eq=False)
class _Statement:
    """One statement of a turn; `position` within its program."""

    turn: Checked
    position: int
    node: n.Statement
    names: frozenset[str] = field(init=False)

    @names.default
    def _bound(self) -> frozenset[str]:
        node = self.node
        return frozenset((node.name,)) if isinstance(node, n.Bind) else frozenset(node.names) if isinstance(node, n.Unpack) else frozenset()


# ---- what the answer uses ----


class _Uses:
    """Which statements another needs: the latest above it that binds a name or declares a type, and the functions that it calls."""

    def __init__(self, statements: Sequence[_Statement]) -> None:
        self._statements = statements
        self._functions = {s.node: at for at, s in enumerate(statements) if isinstance(s.node, n.Fn)}
        self._places: dict[str, list[int]] = {}
        self._types: dict[str, list[int]] = {}
        for at, statement in enumerate(statements):
            for name in statement.names:
                self._places.setdefault(name, []).append(at)
            if isinstance(statement.node, n.TypeDef):
                self._types.setdefault(statement.node.name, []).append(at)

    def of(self, last: int) -> tuple[list[int], set[str]]:
        """The places of all that the statement at `last` needs, in order, its own included; and the names that come from outside."""
        found: set[int] = set()
        outside: set[str] = set()
        pending = [last]
        while pending:
            at = pending.pop()
            if at in found:
                continue
            found.add(at)
            pending += [place for _, place in self.references(at)]
            for name in self._values(at):
                place = _latest(self._places.get(name, ()), at)
                if place is None:
                    outside.add(name)
                else:
                    pending.append(place)
        return sorted(found), outside

    def _values(self, at: int) -> set[str]:
        """The values that a statement reads."""
        callees = self._statements[at].turn.callees
        return {name.name for name in free_names(self._statements[at].node) if name not in callees}

    def references(self, at: int) -> Iterator[tuple[Span, int]]:
        """Where a statement names a function or a type of a turn, and the place that declares it."""
        statement = self._statements[at]
        callees = statement.turn.callees
        for node in walk(statement.node):
            if isinstance(node, n.NamedType):
                place = _latest(self._types.get(node.name, ()), at)
                if place is not None:
                    yield node.span, place
            elif isinstance(node, (n.Apply, n.Name)):
                callee = callees.get(node)
                if isinstance(callee, Function) and callee.node in self._functions:
                    yield node.name_span if isinstance(node, n.Apply) else node.span, self._functions[callee.node]


def _latest(places: Sequence[int], before: int) -> int | None:
    return max((place for place in places if place < before), default=None)


def free_names(node: n.Node) -> Iterator[n.Name]:
    """The names within `node` that nothing within it binds: those of functions, too, where one stands as a value."""
    pending: list[tuple[n.Node, frozenset[str]]] = [(node, frozenset())]
    while pending:
        here, bound = pending.pop()
        if isinstance(here, n.Name):
            if here.name not in bound:
                yield here
        elif isinstance(here, Loop):
            names, body = names_and_body(here)
            pending += [(child, bound | names if child is body else bound) for child in children(here)]
        elif isinstance(here, n.Lambda):
            pending.append((here.body, bound.union(here.params)))
        elif isinstance(here, n.Fn):
            pending += [(param.default, bound) for param in here.params if param.default is not None]
            pending.append((here.body, bound.union(param.name for param in here.params)))
        elif isinstance(here, n.Block):
            for binding in here.bindings:
                pending.append((binding.value, bound))
                bound = bound.union((binding.name,) if isinstance(binding, n.Bind) else binding.names)
            pending.append((here.value, bound))
        else:
            pending += [(child, bound) for child in children(here)]


# ---- names ----


def _new_name(wanted: str, taken: set[str]) -> str:
    """A name that is not taken, and is from now on."""
    name = next(name for i in count(2) if (name := f"{wanted}_{i}") not in taken)
    taken.add(name)
    return name


def _renamed(kept: Sequence[int], statements: Sequence[_Statement], taken: set[str]) -> dict[int, str]:
    """The places of functions and types whose names are declared above already, with their new names."""
    seen: set[tuple[type, str]] = set()
    renamed: dict[int, str] = {}
    for at in kept:
        node = statements[at].node
        if isinstance(node, (n.Fn, n.TypeDef)):
            if (type(node), node.name) in seen:
                renamed[at] = _new_name(node.name, taken)
            seen.add((type(node), node.name))
    return renamed


def _name_span(node: n.Statement) -> Span:
    """Where a function or type has its name."""
    if isinstance(node, n.Fn):
        return node.name_span
    span = node.span
    found = _AFTER_TYPE.match(span.text)
    start = span.start + (found.end() if found else 0)
    assert isinstance(node, n.TypeDef)
    return Span(span.source, start, start + len(node.name))


# ---- text ----


def _comment(question: str) -> str:
    text = " ".join(printable(question, _QUESTION_CHARS).split())
    return "\n".join(f"# {line}" for line in wrap(text, WIDTH - 2)) + "\n"


def _declarations(inputs: Mapping[str, Type], taken: set[str]) -> list[str]:
    """`input NAME: TYPE` for each; a record that would make the line too long gets a name."""
    lines: list[str] = []
    for name, type_ in inputs.items():
        written = str(_writable(type_))
        record = _record_in(type_)
        if record is not None and len(f"input {name}: {written}") > WIDTH:
            singular = name[:-1] if name.endswith("s") and isinstance(type_, ListOf) else name
            title = singular.title().replace("_", "") or "Data"
            title = _new_name(title, taken) if title in taken else title
            fields = str(_writable(record))
            lines.append(f"type {title} = {fields}")
            written = written.replace(fields, title, 1)
        lines.append(f"input {name}: {written}")
    return lines


def _record_in(type_: Type) -> RecordOf | None:
    """The record that a type is, or is a list of."""
    while isinstance(type_, (ListOf, Optional)):
        type_ = type_.item
    return type_ if isinstance(type_, RecordOf) else None


def _writable(type_: Type) -> Type:
    """The type as a program can declare it."""
    match type_:
        case ListOf(item=item, most=most):
            return ListOf(_writable(item), most)
        case Optional(item=item):
            return Optional(_writable(item))
        case RecordOf(fields=fields):
            return RecordOf(tuple([(name, _writable(t)) for name, t in fields]))
        case DictOf(value=value):
            return DictOf(_writable(value))
        case Tuple():
            return ListOf(_writable(item_of(type_)))
    return JSON if type_ in (NEVER, UNKNOWN) else type_


def _written(statement: _Statement, edits: Sequence[tuple[Span, str]], *, apart: bool) -> str:
    """A statement as its turn has it, with new names put in, and its comments: those right above it, and the one behind it.

    What was shown is answered.
    """
    span = statement.node.span
    text = span.source.text
    body = span.text
    for where, name in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        body = body[: where.start - span.start] + name + body[where.end - span.start :]
    if isinstance(statement.node, n.Shown):
        body = f"answer {body}"
    before = statement.turn.program.statements[: statement.position]
    start = text.find("\n", before[-1].span.end) + 1 if before else 0
    gap = text[start : span.start]
    *paragraphs, lead = re.split(r"^[ \t]*\n", gap, flags=re.M)
    behind = text[span.end : text.find("\n", span.end)]
    return ("\n" if apart or paragraphs else "") + lead + body + behind
