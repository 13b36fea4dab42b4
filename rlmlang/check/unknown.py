"""What is said of names that stand for nothing, or for no value."""

from __future__ import annotations

from typing import Final

from rlmlang.check import habits
from rlmlang.check.advice import short, whole
from rlmlang.check.checked import Function
from rlmlang.check.checker import Checker
from rlmlang.check.report import listing, similar
from rlmlang.check.written import BUILT_IN
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import Apply, Expr, Lambda, Name
from rlmlang.types import FILE, FLOAT, INT, TEXT, UNKNOWN, Enum, ListOf, RecordOf

_SAID: Final = ("yes", "no")  # words that are meant as texts


def unknown_name(c: Checker, node: Name) -> None:
    """Reports it, with what to write instead where that is known."""
    name = node.name
    hint, fix = habits.name_hint(name), habits.same_name(name)
    guess = None
    if name in _SAID:
        hint, guess = f'a text stands in quotes: "{name}"', f'"{name}"'
    if hint is None:
        known = c.function_named(name)
        if known is not None:
            function = "a function of this program" if isinstance(known, Function) and not known.library else "a function"
            c.error("unknown-name", node.span, f"{name} is {function}, not a value", f"call it: {name}(…)", guess=_asked(c, node))
            return
        close = similar(name, c.scope.visible())
        names = sorted({n for n in c.scope.visible() if n != "_"})
        named = c.types.get(name)
        if close is None and isinstance(named, Enum):
            words = f"[{', '.join(str(Enum((word,))) for word in named.words)}]"
            c.error("unknown-name", node.span, f"{name} is a type, not a value", f"as a list it is {words}", guess=words)
            return
        if close is None and (named is not None or name in BUILT_IN):
            hint = f"leave this out: {listing(names)} {'has' if len(names) == 1 else 'have'} a value already" if names else None
            c.error("unknown-name", node.span, f"{name} is a type, not a value", hint)
            return
        if close is None:
            close = fix = c.only.get(node)
        guess = close or _asked(c, node)
        hint = f"did you mean {close}?" if close else f"names in scope: {listing(names)}" if names else None
        if node in c.keys and not close:
            hint = f'a key is an expression: the text itself is "{name}"' + (f"; {hint}" if hint else "")
    c.error("unknown-name", node.span, f"nothing is named {name} here", hint, fix, guess)


def _asked(c: Checker, node: Name) -> str | None:
    """What a field may be that is named after nothing (`{f.path, subject} for f in files`): what a model says about the item, or about
    all, where there is one thing alone."""
    items = [] if node not in c.short else [(n, v.type) for n, v in c.scope.names.items()]
    if c.scope.parent is None:
        items = [(n, t.item if isinstance(t, ListOf) else t) for n, t in items] if len(items) == 1 else []
    item = next((f"{n}.text" if t is FILE else n for n, t in items if t in (TEXT, FILE) or isinstance(t, RecordOf)), None)
    if item is None:
        return None
    from rlmlang.builtins import REGISTRY

    results = {signature.result for signature in REGISTRY[node.name].signatures} if node.name in REGISTRY else set()
    wanted = " -> float" if FLOAT in results else " -> int" if INT in results else ""
    return f'{node.name}: call "Which {node.name.replace("_", " ")}?" on {item}{wanted}'


def unknown_function(c: Checker, node: Apply) -> None:
    """Reports it, with what to write instead where that is known."""
    for argument in node.args:
        if isinstance(argument.value, Lambda):
            c.infer_lambda(argument.value, [UNKNOWN] * len(argument.value.params))
        else:
            c.infer(argument.value)
    name = node.name
    if c.incomplete:
        return
    if name in c.later:
        line = c.later[name].line
        if not _is_mutual(c, name, node):
            c.error("used-before", node.name_span, f"the function {name} is declared below, in line {line}", "move its declaration up")
        return
    receiver = node.args[0].value if node.method and node.args else None
    owner = short(receiver) if receiver is not None else None
    hint = habits.function_hint(name, owner, [short(a.value) for a in node.args[1 if node.method else 0 :]])
    given = c.tables.types.get(receiver) if isinstance(receiver, Expr) else None
    if isinstance(given, RecordOf) and given.get(name) is not None:
        fix = Fix(node.span, f"{whole(receiver)}.{name}") if len(node.args) == 1 and receiver is not None else None
        c.error("unknown-function", node.name_span, f"{name} is a field, not a function", f"write {owner}.{name}", fix)
        return
    variable = c.scope.find(name)
    if hint is None and variable is not None and not node.method:
        variable.used = True
        c.error("unknown-function", node.name_span, f"{name} is a value ({variable.type}), not a function")
        return
    if hint is None and name in ("text", "none", "bool", *c.types):
        hint = "write str(…)" if name == "text" else f"{name} is a type; a model gives it: call … -> {name}"
    guess = None
    if hint is None:
        from rlmlang.builtins import REGISTRY
        from rlmlang.check.library import library_names

        head = name.partition("_")[0]  # max_by(xs, key=f)
        close = similar(name, [*c.functions, *REGISTRY, *library_names()]) or (head if head in REGISTRY else None)
        hint = f"did you mean {close}?" if close else "declare it above: fn " + name + "(…) { … }"
        guess = close
    parts = [whole(argument.value) if argument.value is receiver else argument.value.span.text for argument in node.args]
    first = c.tables.types.get(node.args[0].value) if node.args else None
    same = habits.same_function(name, parts, first) if all(argument.name is None for argument in node.args) else None
    c.error("unknown-function", node.name_span, f"there is no function {name}", hint, None if same is None else Fix(node.span, same), guess)


def _is_mutual(c: Checker, name: str, node: Apply) -> bool:
    """Reports a cycle of functions that call one another, once."""
    cycle = c.cycles.get((c.current.node.name if c.current else "", name))
    if cycle is None:
        return False
    c.error(
        "mutual-recursion",
        node.name_span,
        f"functions call one another in a circle: {' -> '.join(cycle)}",
        "put them in one function that calls itself: fn f(…) -> T depth 5 { … }",
    )
    return True
