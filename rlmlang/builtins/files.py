"""The built-in on directories. It reads what the user handed over, by `rlmlang.files`, and nothing else."""

from __future__ import annotations

from typing import Final

from rlmlang.builtins.declare import builtin
from rlmlang.builtins.operators import need_text
from rlmlang.errors import Failure
from rlmlang.limits import PATH_BYTES
from rlmlang.sizes import ANY, DirSize, Exact, FileSize, Interval, ListSize, Size, unfold
from rlmlang.values import Value, describe, type_name

_ALL: Final = "**/*"


def _files_size(dir: Size, glob: Size | None = None) -> Size:
    """All that `**/*` lists is sure to be there; what another pattern lists is not."""
    whole = unfold(dir)
    if not isinstance(whole, DirSize):
        return ListSize(ANY, FileSize(path=Interval(1, PATH_BYTES)))
    all_of_them = glob is None or (isinstance(glob, Exact) and glob.value == _ALL)
    item = FileSize(Interval(0, whole.largest), Interval(1, PATH_BYTES))
    return ListSize(whole.count, item, whole.total) if all_of_them else ListSize(whole.count.from_zero(), item, whole.total.from_zero())


@builtin(
    'files(dir: dir, glob: text = "**/*") -> [file]',
    help="Its files whose path matches a pattern such as **/*.py, in order of path.",
    size=_files_size,
)
def files(dir: Value, glob: str | None = None) -> list[Value]:
    if type_name(dir) != "dir":
        raise Failure(f"files needs a directory, not {describe(dir)}")
    found: list[Value] = dir.files("**/*" if glob is None else need_text(glob, "files"))
    return found
