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
from functools import cache
from importlib import resources
from pathlib import Path

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

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
    return _load(path) or _make(text, path)


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
