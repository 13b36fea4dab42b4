"""The LALR tables of `grammar/rlm.lark`, made by Lark once and kept in the user's cache (making takes most of a second, loading a tenth).

The cached file is `marshal` data, which holds plain values only (nothing in it is ever executed), under a name with the hash of everything
it depends on, and begins with its own SHA-256, so a damaged file is made again. A cache that cannot be written is no error.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import resources
from operator import itemgetter
from pathlib import Path
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef
from lark.parse_tree_builder import PropagatePositions

from rlmlang.cache import cache_root


def grammar_text() -> str:
    """The grammar: beside the package in a checkout, inside it in a wheel."""
    inside = resources.files("rlmlang") / "grammar" / "rlm.lark"
    if inside.is_file():
        return inside.read_text("utf-8")
    return (Path(__file__).parents[2] / "grammar" / "rlm.lark").read_text("utf-8")


@cache
def parser() -> lark.Lark:
    """The parser, from the cache or made anew. One for all threads: each parse has its own state."""
    text = grammar_text()
    options = "lalr contextual program positions placeholders"
    stamp = hashlib.sha256(f"{lark.__version__} {sys.implementation.cache_tag} {marshal.version} {options}\n{text}".encode()).hexdigest()
    path = cache_root() / f"grammar-{stamp[:16]}.tables"
    return _shortened(_load(path) or _make(text, path))


def _shortened(made: lark.Lark) -> lark.Lark:
    """The same parser in half the time. A rule of the grammar's ladder (`_or: _and`) hands on what it is given, as it stands or as the one
    part of a nameless tree, instead of making a copy; and of positions only the offsets are kept, as nobody asks for lines and columns."""
    callbacks: dict[Any, Callable[[list[Any]], Any]] = made.parser.parser.parser.callbacks
    for rule, made_by in callbacks.items():
        if not isinstance(rule, Rule) or not isinstance(made_by, PropagatePositions):
            continue
        part = rule.expansion[0] if len(rule.expansion) == 1 and rule.origin.name.startswith("_") else None
        if part is not None and not part.is_term and not any(rule.options.empty_indices):
            callbacks[rule] = itemgetter(0) if part.name.startswith("_") else _wrapped
        else:
            callbacks[rule] = _placed(made_by.node_builder)
    return made


def _wrapped(children: list[lark.Tree[lark.Token]]) -> Any:
    return lark.Tree("_", list(children), children[0].meta)


def _placed(build: Callable[[list[Any]], lark.Tree[lark.Token]]) -> Callable[[list[Any]], Any]:
    """What makes a rule's tree, from its first part that is not empty to its last."""

    def place(children: list[Any]) -> Any:
        tree = build(children)
        for child in children:
            at: Any = child if type(child) is lark.Token else child.meta
            if at is child or not at.empty:
                break
        else:
            return tree
        meta = tree.meta
        meta.empty, meta.start_pos = False, at.start_pos
        for child in reversed(children):
            at = child if type(child) is lark.Token else child.meta
            if at is child or not at.empty:
                meta.end_pos = at.end_pos
                break
        return tree

    return place


def _load(path: Path) -> lark.Lark | None:
    try:
        with path.open("rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            digest, payload = file.read(32), file.read()
        if hashlib.sha256(payload).digest() != digest:
            return None
        data, memo = marshal.loads(payload)
        return lark.Lark.__new__(lark.Lark)._load({"data": data, "memo": memo})
    except Exception:  # whatever is wrong with a cached file, the answer is to make it again
        return None


def _make(text: str, path: Path) -> lark.Lark:
    made = lark.Lark(text, parser="lalr", lexer="contextual", start="program", propagate_positions=True, maybe_placeholders=True)
    payload = marshal.dumps(made.memo_serialize([TerminalDef, Rule]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(partial, path)
    except OSError:
        pass
    return made
