"""Types of dicts: the keys and values that a program writes, and what a built-in takes a dict as."""

from __future__ import annotations

from collections.abc import Sequence

from rlmlang.builtins.declare import Builtin
from rlmlang.check.advice import whole
from rlmlang.check.checker import Checker
from rlmlang.check.unify import hull_of_items
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import Apply, Argument, Binary, Block, Expr, Lambda, ListExpr, Literal, Map
from rlmlang.types import TEXT, DictOf, ListOf, RecordOf, Type


def note_entries(c: Checker, args: Sequence[Argument]) -> list[ListExpr]:
    """The entries that are written in the argument of `dict`, which are then typed as pairs."""
    entries = entries_of(args[0].value) if args else []
    c.pairs.update(entries)
    c.keys.update(entry.items[0] for entry in entries)
    return entries


def entries_of(node: Expr | Lambda) -> list[ListExpr]:
    """The lists of a key and a value that a list of pairs is written with: `[[k, v] for …]`, `[[a, 1], [b, 2]]`."""
    if isinstance(node, Map):
        body = node.body.value if isinstance(node.body, Block) else node.body
        if node.flatten:
            return entries_of(body)
        return [body] if isinstance(body, ListExpr) and len(body.items) == 2 else []
    if isinstance(node, ListExpr):
        return [item for item in node.items if isinstance(item, ListExpr) and len(item.items) == 2]
    if isinstance(node, Binary) and node.op == "+":
        return entries_of(node.left) + entries_of(node.right)
    return []


def of_wrong_keys(c: Checker, entries: Sequence[ListExpr]) -> DictOf | None:
    """Reports keys that are no texts; the type that the dict would have otherwise, None where all is right."""
    types = c.tables.types
    keys, values = [entry.items[0] for entry in entries], [entry.items[1] for entry in entries]
    right = [c.expect(key, types[key], TEXT, f"a dict's keys are texts, not {types[key]}") for key in keys]
    return None if all(right) else DictOf(hull_of_items([types[value] for value in values]))


def looked_up(c: Checker, node: Expr) -> Fix | None:
    """`d[k]` for `d.get(k)` where a key has to have a value: in `max(d, key=lambda k: d.get(k))`."""
    values = [argument.value for argument in node.args] if isinstance(node, Apply) and node.name == "get" else []
    if len(values) != 2 or not isinstance(c.tables.types.get(values[0]), DictOf):
        return None
    return Fix(node.span, f"{whole(values[0])}[{values[1].span.text}]")


def taken_as(c: Checker, callee: Builtin, args: Sequence[Argument], argument: Argument, given: Type, wanted: Sequence[Type]) -> Type:
    """What a built-in takes one of its arguments as, where it wants one of the types `wanted`: of a dict the keys where it wants a list,
    unless it has to do with dicts; a record that the program writes as a dict, unless a field of it is named."""
    if not isinstance(given, (DictOf, RecordOf)) or isinstance(argument.value, Lambda):
        return given
    found = c.as_dict(argument.value, given)
    if found is None:
        return given
    if any(isinstance(t, DictOf) for t in wanted):
        names_field = len(args) > 1 and isinstance(args[1].value, Literal)
        return found if callee.name == "dict" or (callee.name == "get" and not names_field) else given
    return ListOf(TEXT) if any(isinstance(t, ListOf) for t in wanted) else given
