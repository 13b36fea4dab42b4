"""The language on one page, for a model that writes programs: under 900 tokens, since a root model reads it in every turn.

The page is its parts, one below the other; `card("rules", "examples")` is a page of other parts, to be measured against it. Functions
come from their declarations, so none can be missing or stale; the tests check that every program on it is right and every form is there.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

from rlmlang.builtins import REGISTRY
from rlmlang.builtins.declare import Builtin
from rlmlang.check.library import library, library_names
from rlmlang.syntax.nodes import Fn
from rlmlang.types import FLOAT, INT, TEXT, ListOf, Type

_RULES: Final = """\
rlmlang: Python's expressions, one statement a line. `call PROMPT on DATA -> TYPE` asks a model, which sees PROMPT and DATA alone.
Calls run in parallel. There is no loop, def, import, class or +=: write comprehensions. What code can tell, ask no model.
"""

_FORMS: Final = """\
```rlm
type Mood = "good" | "bad"  # types: text int float bool none file dir [T] [T; 9] {a: T, b: T?}
moods = [call "Which mood?" on d -> Mood for d in docs if len(d) > 9]
notes = map i, d in docs {  # bindings, then the value
  title = call f"Title of no. {i}?" on d  # a text
  {i, title, size: len(d)}  # a record; also {...r, a: 1}
}
sizes = {n.title: n.size for n in notes}  # a dict: sizes[k]
money = [d for d in docs if call "Is it about money?" on d -> bool]
agree = call "Agreed?" on money, notes -> bool with {max_tokens: 9}
merged = reduce a, b in docs { call "Merge." on a, b } otherwise ""
story = fold acc, d in docs from "" { call "Go on." on {acc, d} }
fun = first 3 d in docs where call "Funny?" on d -> bool
plan = solve "What is to be done?" on docs
fn short(x: text, n: int = 99) -> text depth 5 { x if len(x) < n else short(call "Shorten." on x, n) }
top = notes[0].title if notes else fail "no docs"
code = [f.path for f in repo.files("**/*") if "TODO" in f.text]  # file: path, name, size, text
answer {moods, code, top: short(top), second: docs.get(1) ?? "none"}
```
"""

_EXAMPLES: Final = """\
From `book: text`: who is named, most often first?
```rlm
found = [call "Who is named?" on p -> [text; 20] for p in chunks(book, 8000)]
groups = group_by(flatten(found), key=lambda n: n.lower())
answer [g.key for g in sorted(groups, key=lambda g: len(g.items), reverse=True)]
```

From `teams: [{id: int, name: text}]` and `games: [{team: int, goals: int}]`: goals of each team?
```rlm
answer [{t.name, goals: sum(g.goals for g in games if g.team == t.id)} for t in teams]
```

From `letters: [text]`: which complain, angriest first?
```rlm
found = [l for l in letters if call "Does it complain?" on l -> bool]
answer sorted(found, key=lambda l: call "How angry, 1 to 10?" on l -> int, reverse=True)
```
"""


def _functions() -> str:
    """The functions, those that a model knows from Python by name only; the others by what they are for, without their first parameter."""
    python = [b.name for b in REGISTRY.values() if _is_python(b.name)]
    others: dict[str, list[str]] = {}
    for builtin in REGISTRY.values():
        if not _is_python(builtin.name) and builtin.name != "files":  # which is among the forms
            others.setdefault(_kind(builtin.signatures[0].params[0].type), []).append(_signature(builtin))
    made: dict[str, list[str]] = {}
    for name in library_names():
        signature, result = _library_signature(name)
        made.setdefault(result, []).append(signature)
    lines = [
        f"x.f(y) is f(x, y). As in Python: {' '.join(python)}.",
        *(f"Of {kind}: {' '.join(names)}." for kind, names in others.items()),
        f"Made of calls: {'; '.join(f'{chr(32).join(names)} -> {result}' for result, names in made.items())}.",
    ]
    return "\n".join(lines) + "\n"


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "rules": lambda: _RULES,
    "forms": lambda: _FORMS,
    "functions": _functions,
    "examples": lambda: _EXAMPLES,
}


@cache
def card(*parts: str) -> str:
    """The page, ending in a newline: all of `PARTS`, or those that are named, in this order."""
    return "\n".join(PARTS[part]() for part in parts or PARTS)


def _is_python(name: str) -> bool:
    """Whether a model knows it: a function of Python, or a method of its texts."""
    return hasattr(builtins, name) or hasattr(str, name)


def _kind(first: Type) -> str:
    """What a function is for, by its first parameter."""
    if first == TEXT:
        return "a text"
    if first in (INT, FLOAT):
        return "a number"
    return "a list" if isinstance(first, ListOf) else "data"


def _signature(builtin: Builtin) -> str:
    """`chunks(size)`: what it must be given beside its first parameter."""
    params = max((signature.params for signature in builtin.signatures), key=len)[1:]
    required = ", ".join(p.name for p in params if p.default is None)
    return f"{builtin.name}({required})" if required else builtin.name


def _library_signature(name: str) -> tuple[str, str]:
    """`rank(question, items)`, without what may be left out, and what it gives."""
    program = library(name)
    statements: Iterable[object] = () if program is None else program.statements
    (fn,) = [s for s in statements if isinstance(s, Fn) and s.name == name]
    required = ", ".join(p.name for p in fn.params if p.default is None)
    return f"{name}({required})", _fields(fn.result.span.text if fn.result else "text")


def _fields(type: str) -> str:
    """A type as written, of records only the names of their fields."""
    return re.sub(r":[^,}]+|\s", "", type).replace(",", ", ")
