"""Whether two runs give the same answer: program, inputs and models, each as a digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from rlmlang.check.checked import Checked
from rlmlang.files import DirValue, FileValue
from rlmlang.lm.request import KEY_VERSION, Model
from rlmlang.streamed import Streamed
from rlmlang.values import SEQUENCES, to_text

_VERSION = 1  # raise when the same program may write other lines, or the items of its answer are counted otherwise


def fingerprint(checked: Checked, inputs: Mapping[str, Any], models: Iterable[Model]) -> dict[str, str]:
    """Digests of the program with all that it uses, of its inputs (files by size and time of change), and of the models it may call.

    Raises Failure where a directory cannot be listed.
    """
    texts = [checked.program.source.text, *(module.source.text for module in checked.modules.values())]
    settings = [
        (
            m.name,
            m.provider,
            m.model,
            m.base_url,
            m.path,
            _changed(m.path),
            m.structured,
            m.reasoning_tokens,
            m.temperature,
            m.max_output_tokens,
        )
        for m in sorted(models, key=lambda model: model.name)
    ]
    return {
        "program": _digest([_VERSION, KEY_VERSION, *texts]),
        "inputs": _digest([[name, inputs[name]] for name in sorted(inputs)]),
        "models": _digest([list(map(str, one)) for one in settings]),
    }


def _changed(path: str | None) -> str:
    """When and how a model's file was written last."""
    try:
        status = os.stat(path or "")
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, value: Any) -> None:
    """Adds a value, unlike any other: each part by its kind and length."""
    if isinstance(value, Streamed):
        return _part(digest, "rows", value.identity())
    if isinstance(value, SEQUENCES):
        _part(digest, "list", str(len(value)))
        for item in value:
            _add(digest, item)
        return None
    if isinstance(value, dict):
        _part(digest, "record", str(len(value)))
        for name, item in value.items():
            _part(digest, "name", name)
            _add(digest, item)
        return None
    if isinstance(value, DirValue):
        _part(digest, "dir", value.root)
        for glob in dict.fromkeys(("**/*", *value.listed())):
            for file in value.files(glob):
                _part(digest, "file", f"{file.raw} {file.size} {file.mtime}")
        return None
    if isinstance(value, FileValue):
        return _part(digest, "file", f"{value.raw} {value.size} {value.mtime}")
    return _part(digest, type(value).__name__, to_text(value))


def _part(digest: hashlib._Hash, kind: str, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    digest.update(f"{kind} {len(data)}\n".encode())
    digest.update(data)
