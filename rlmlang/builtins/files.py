"""The built-in on directories. It reads what the user handed over, by `rlmlang.files`, and nothing else."""

from __future__ import annotations

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_text
from rlmlang.errors import Failure
from rlmlang.values import Value, describe, type_name


@builtin('files(dir: dir, glob: text = "**/*") -> [file]', help="Its files whose path matches a pattern such as **/*.py, in order of path.")
def files(dir: Value, glob: str | None = None) -> list[Value]:
    if type_name(dir) != "dir":
        raise Failure(f"files needs a directory, not {describe(dir)}")
    found: list[Value] = dir.files("**/*" if glob is None else need_text(glob, "files"))
    return found
