"""The data of a question as text files, for strategies whose models know files and no variables: path -> text, read-only.

A text is one file, a list one with a line of JSON for each item, a folder all of its files below its name, other data one JSON file.
Nothing outside of the data can be named: a path is looked up, never opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from rlmlang.files import DirValue, FileValue
from rlmlang.solve.contexts import Context
from rlmlang.types import Type
from rlmlang.values import SEQUENCES, to_json_text


@frozen(eq=False)
class _Data:
    """A value that is no text."""

    value: Any


class Files(Mapping[str, str]):
    """Paths (posix, relative, sorted) and their texts. Reading a file that is no text raises Failure."""

    def __init__(self, data: Sequence[tuple[str, Type, Any]], sources: Mapping[str, str] | None = None) -> None:
        self.origins: dict[str, tuple[str, str | None]] = {}  # of each path: the name of what it is from, and its path in that folder
        self._files: dict[str, str | FileValue | _Data] = {}
        self._made: dict[str, str] = {}
        for name, _, value in data:
            if isinstance(value, DirValue):
                prefix = "" if len(data) == 1 else f"{name}/"
                for file in value.files("**/*"):
                    self._files[f"{prefix}{file.path}"] = file
                    self.origins[f"{prefix}{file.path}"] = name, file.path
                continue
            if isinstance(value, str):
                path = f"{name}{os.path.splitext((sources or {}).get(name, ''))[1] or '.txt'}"
            else:
                path = f"{name}.{'jsonl' if isinstance(value, SEQUENCES) else 'json'}"
            self._files[path] = value if isinstance(value, str) else _Data(value)
            self.origins[path] = name, None
        self._files = dict(sorted(self._files.items()))

    @staticmethod
    def of(contexts: Sequence[Context]) -> Files:
        """The files of what a question was given."""
        return Files([(c.name, c.type, c.value) for c in contexts], {c.name: c.source for c in contexts})

    def __getitem__(self, path: str) -> str:
        file = self._files[path]
        if isinstance(file, str):
            return file
        if isinstance(file, FileValue):
            return file.text
        if path not in self._made:
            lines = file.value if isinstance(file.value, SEQUENCES) else [file.value]
            self._made[path] = "".join(to_json_text(line) + "\n" for line in lines)
        return self._made[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def source(self, path: str) -> str | FileValue:
        """A file as it is: on disk, or the text that it is made of."""
        file = self._files[path]
        return self[path] if isinstance(file, _Data) else file

    def size(self, path: str) -> int:
        """Bytes of a file."""
        file = self._files[path]
        return file.size if isinstance(file, FileValue) else len(self[path].encode("utf-8", "surrogatepass"))
