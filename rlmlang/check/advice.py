"""What to write instead: texts of nodes for hints and fixes, and the usual ways from a value of one type to one of another."""

from __future__ import annotations

from rlmlang.check.report import similar
from rlmlang.check.unify import fits, hull, is_data, item_of
from rlmlang.syntax.nodes import Apply, Call, FieldAccess, FString, Index, ListExpr, Literal, Name, Node, Record
from rlmlang.types import FLOAT, TEXT, DictOf, Enum, ListOf, Optional, Tuple, Type


def short(node: Node) -> str:
    """The text of a node for a hint: short, on one line, safe to put an operator behind."""
    text = node.span.text
    if len(text) > 40 or "\n" in text:
        return "x"
    return text if isinstance(node, Literal) else whole(node)


def whole(node: Node) -> str:
    """The text of a node for a fix: safe to put an operator behind."""
    text = node.span.text
    return text if isinstance(node, (Name, FieldAccess, Apply, ListExpr, Record, Index, FString)) else f"({text})"


def converted(node: Node, given: Type, wanted: Type) -> str | None:
    """What to write instead of a value of one type where another is wanted, if there is but one way."""
    if isinstance(wanted, Optional):
        wanted = wanted.item
    if str(given) == "dir" and isinstance(wanted, ListOf):
        return f'{whole(node)}.files("**/*")'
    if isinstance(given, DictOf) and isinstance(wanted, ListOf):
        return next((f"{whole(node)}.{name}()" for name, t in _lists_of(given) if fits(t, wanted)), None)
    if given is TEXT and str(wanted) in ("int", "float") and not isinstance(node, (Call, Literal)):
        return f"{wanted}({node.span.text})"
    if wanted is TEXT and str(given) in ("int", "float", "bool"):
        return f"str({node.span.text})"
    return None


def _lists_of(t: DictOf) -> tuple[tuple[str, Type], ...]:
    """The functions that give lists of a dict, with their types."""
    return (("keys", ListOf(TEXT)), ("values", ListOf(t.value)), ("items", ListOf(Tuple((TEXT, t.value)))))


def example(t: Type) -> str:
    """A value of a type, for a hint."""
    if isinstance(t, Enum):
        return f'"{t.words[0]}"' if t.words else '""'
    if isinstance(t, (ListOf, Tuple)):
        return "[]"
    if isinstance(t, DictOf):
        return "{}"
    return {"text": '""', "int": "0", "float": "0.0", "bool": "false"}.get(str(t), "…")


def advice(node: Node, given: Type, wanted: Type) -> str | None:
    """How to make a value of one type one of another, where there is a usual way."""
    name = short(node)
    if isinstance(wanted, Optional):
        wanted = wanted.item
    if isinstance(wanted, Enum):
        if isinstance(node, Literal) and isinstance(node.value, str):
            word = similar(node.value, wanted.words)
            return f'did you mean "{word}"?' if word else f"it is one of {wanted}"
        return f"one of {wanted} is wanted; ask for it: call … -> {wanted}" if given is TEXT else None
    file_as_text = str(given) == "file" and wanted is TEXT
    if file_as_text:
        return f"write {name}.text for what is in it, or {name}.path"
    if str(given) == "dir" and isinstance(wanted, ListOf):
        return f'write {name}.files("**/*") for the files in it'
    if isinstance(given, DictOf) and isinstance(wanted, ListOf):
        return next((f"write {name}.{function}()" for function, t in _lists_of(given) if fits(t, wanted)), None)
    if isinstance(wanted, DictOf) and isinstance(given, (ListOf, Tuple)):
        return f"write dict({name}), if it is a list of pairs, or {{x.name: x for x in {name}}}"
    if wanted is TEXT:
        return f'write str({name}), or f"{{{name}}}"' if is_data(given) else None
    if given is TEXT and str(wanted) in ("int", "float"):
        if isinstance(node, Call):
            return f"ask for it: call … -> {wanted}"
        return f"write {wanted}({name})"
    if str(given) == "float" and str(wanted) == "int":
        return f"write round({name}), or // for a whole division"
    if isinstance(wanted, ListOf):
        if each := _item_by_item(name, given, wanted):
            return ": ".join(each)
        if given is TEXT:
            return f'write lines({name}), words({name}), chunks({name}, 4000), or findall({name}, ".") for its characters'
        if fits(given, wanted.item):
            return f"put it in a list: [{name}]"
    if isinstance(given, (ListOf, Tuple)) and fits(item_of(given), wanted):
        return f"take one item ({name}[0]), or do it for each: [… for x in {name}]"
    return None


def likely(node: Node, given: Type, wanted: Type) -> str | None:
    """What may well be meant instead of a value of one type where another is wanted, though there are other ways."""
    text, name = node.span.text, whole(node)
    if isinstance(wanted, Optional):
        wanted = wanted.item
    if given is TEXT and isinstance(node, Call) and node.type is None and not node.options and str(wanted) in ("int", "float", "bool"):
        return f"{text} -> {wanted}"
    if given is TEXT and str(wanted) in ("int", "float") and not isinstance(node, Literal):
        return f"{wanted}({text})"
    if str(given) == "file" and wanted is TEXT:
        return f"{name}.text"
    if wanted is TEXT:
        return f"str({text})" if is_data(given) else None
    if str(given) == "float" and str(wanted) == "int":
        return f"round({text})"
    if isinstance(wanted, ListOf):
        if each := _item_by_item(name, given, wanted):
            return each[1]
        if isinstance(given, ListOf) and isinstance(given.item, ListOf) and fits(given.item.item, hull(wanted.item, FLOAT) or wanted.item):
            return f"flatten({text})"
        return f"lines({text})" if given is TEXT else f"[{text}]" if fits(given, wanted.item) else None
    if isinstance(given, (ListOf, Tuple)) and fits(item_of(given), wanted):
        return f"{name}[0]"
    return None


def _item_by_item(name: str, given: Type, wanted: ListOf) -> tuple[str, str] | None:
    """What makes one list of another: in words, and as a program writes it."""
    if not isinstance(given, ListOf):
        return None
    if isinstance(given.item, Optional) and fits(given.item.item, wanted.item):
        return "leave out what is none", f"[x for x in {name} if x != none]"
    if {str(given.item), str(wanted.item)} in ({"text", "int"}, {"text", "float"}):
        return "do it for each", f"[{'str' if wanted.item is TEXT else wanted.item}(x) for x in {name}]"
    return None
