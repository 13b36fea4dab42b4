"""What may be meant by an expression that means nothing as it stands, where more than one node has to be looked at to see it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rlmlang.check.advice import whole
from rlmlang.check.checker import Checker
from rlmlang.check.unify import has_field
from rlmlang.syntax.nodes import Apply, Expr, Filter, If, Map
from rlmlang.types import ListOf

_COUNTS: Final = frozenset({"i", "j", "k", "n", "no", "nr", "number", "idx", "index", "pos", "position"})  # names of positions


def item_with_most(c: Checker, base: Expr, name: str) -> str | None:
    """`max(xs, key=x => K)` for `max([K for x in xs])`, of which a field is asked that the items of `xs` have."""
    if not (isinstance(base, Apply) and base.name in ("max", "min") and len(base.args) == 1):
        return None
    keys = base.args[0].value
    if not (isinstance(keys, Map) and keys.comprehension and len(keys.target) == 1 and not keys.flatten) or isinstance(keys.source, Filter):
        return None
    given = c.tables.types.get(keys.source)
    if not isinstance(given, ListOf) or not has_field(given.item, name):
        return None
    return f"{base.name}({keys.source.span.text}, key={keys.target[0]} => {keys.body.span.text})"


def taken_in_twos(target: tuple[str, ...], source: Expr) -> str | None:
    """What gives two names something for each item, where the items cannot be taken apart: their positions, or the other items."""
    if len(target) != 2 or isinstance(source, Filter):
        return None
    return f"{'enumerate' if target[0] in _COUNTS else 'pairs'}({source.span.text})"


def condition_inside(node: If, unknown: Collection[str]) -> str | None:
    """`[E for x in xs if C]` for `[E for x in xs] if C else []`, where C speaks of x, which is `unknown` there."""
    inner = node.then
    text = inner.span.text
    if not (isinstance(inner, Map) and inner.comprehension and text.startswith("[")) or isinstance(inner.source, Filter):
        return None
    if not any(name in unknown for name in inner.target):
        return None
    return f"{text[:-1].rstrip()} if {node.condition.span.text}]"


def in_one_list(node: Apply) -> str | None:
    """`any([a, b])` for `any(a, b)`."""
    if node.name not in ("any", "all") or len(node.args) < 2 or any(a.name is not None for a in node.args) or node.method:
        return None
    return f"{node.name}([{', '.join(a.value.span.text for a in node.args)}])"


def value_itself(base: Expr, name: str, short: bool) -> str:
    """`n` for `n["name"]`, where `n` has no parts; in a record that leaves its names to its values, `name: n`."""
    return f"{name}: {base.span.text}" if short and name.isidentifier() else whole(base)
