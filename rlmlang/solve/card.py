"""The language on one page, for a model that writes programs. The functions on it come from their declarations, so none can be missing or
stale; the programs on it are checked by the tests. Kept under 900 tokens: a root model reads it in every turn."""

from __future__ import annotations

import builtins
import re
from functools import cache

from rlmlang.builtins import REGISTRY
from rlmlang.builtins.declare import Builtin
from rlmlang.check.library import library, library_names
from rlmlang.syntax.nodes import Fn

_PAGE = """\
rlmlang: pure expressions as in Python, one statement a line. `call` asks a language model about one piece of data. All calls that can run
in parallel do; equal calls are paid once. There is no loop statement, def, import, class, += or changing of values: use comprehensions.

```rlm
input docs: [text]  # a parameter. Types: text int float bool none file dir [T] [T; 9] {a: T, b: T?} T? "x" | "y"
input repo: dir
type Mood = "good" | "bad"
fn short(x: text, n: int = 99) -> text depth 5 { x if len(x) < n else short(call "Shorten." on x, n) }  # depth: if it calls itself
moods = [call "Which mood?" on d -> Mood for d in docs if len(d) > 9]
notes = map i, d in docs {  # a comprehension with bindings; its last line is the value
  title = call f"Title of no. {i}?" on d  # no type: text
  {i, title, size: len(d)}  # a record; also {...r, a: 1}
}
money = filter d in docs { call "Is it about money?" on d -> bool }
agree = call "Do they agree?" on money, notes -> bool with {max_tokens: 9}
merged = reduce a, b in docs { call "Merge." on a, b } otherwise ""  # a tree; `otherwise`: where the left side fails
story = fold acc, d in docs from "" { call "Go on." on {acc, d} }  # in order
fun = first 3 d in docs where call "Is it funny?" on d -> bool  # stops early
top = notes[0].title if notes else fail "no docs"
code = [f.path for f in repo.files("**/*.py") if "TODO" in f.text]  # a file has path, name, size, text
answer {moods, notes, agree, merged, story, fun, code, top: short(top), second: docs.get(1) ?? "none"}  # the last statement
```

x.f(y) is f(x, y). As in Python: @PYTHON@.
Others: @OTHERS@.
Made of calls: @LIBRARY@.

Who is named in a book, most often first?
```rlm
input book: text
found = [call "Which people are named?" on p -> [text; 20] otherwise [] for p in chunks(book, 8000)]
groups = group_by(flatten(found), key=lambda n: n.lower())
answer [{name: g.key, times: len(g.items)} for g in sorted(groups, key=lambda g: len(g.items), reverse=True)]
```

How many reviews blame the battery, and why?
```rlm
input reviews: [text]
read = [{r, says: call "What of the battery?" on r -> "good" | "bad" | "nothing"} for r in reviews]
bad = [x.r for x in read if x.says == "bad"]
answer {share: len(bad) / max(len(reviews), 1), why: call "What do they complain of?" on bad if bad else none}
```
"""


@cache
def card() -> str:
    """The page, ending in a newline."""
    python = [b.name for b in REGISTRY.values() if _is_python(b.name)]
    others = [_signature(b) for b in REGISTRY.values() if not _is_python(b.name)]
    made = [_library_signature(name) for name in library_names()]
    return _PAGE.replace("@PYTHON@", " ".join(python)).replace("@OTHERS@", " ".join(others)).replace("@LIBRARY@", "; ".join(made))


def _is_python(name: str) -> bool:
    """Whether a model knows it: a function of Python, or a method of its texts."""
    return hasattr(builtins, name) or hasattr(str, name)


def _signature(builtin: Builtin) -> str:
    """`chunks(text, size, overlap=0)`, by its longest signature; with the result where that has fields."""
    params = max((signature.params for signature in builtin.signatures), key=len)
    names = ", ".join(p.name if p.default in (None, "none") else f"{p.name}={p.default}" for p in params)
    result = _fields(str(builtin.signatures[0].result))
    return f"{builtin.name}({names})" + (f" -> {result}" if "{" in result else "")


def _library_signature(name: str) -> str:
    """`rank(question, items) -> [text]`, without what may be left out."""
    program = library(name)
    declared = [s for s in program.statements if isinstance(s, Fn) and s.name == name] if program is not None else []
    return ", ".join(
        f"{name}({', '.join(p.name for p in fn.params if p.default is None)}) -> {_fields(fn.result.span.text)}"
        for fn in declared
        if fn.result
    )


def _fields(type: str) -> str:
    """A type as written, of records only the names of their fields."""
    return re.sub(r":[^,}]+|\s", "", type).replace(",", ", ")
