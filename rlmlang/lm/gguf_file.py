"""What a GGUF file says about its model, read from its header alone: no library, no weights."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, Final

from attrs import frozen

from rlmlang.errors import UsageError
from rlmlang.syntax.diagnostics import printable

SLOT_TOKENS: Final = 8_192  # context of one call: what the embedded model was trained for, and 0.2 GB of memory at most
_SAMPLE: Final = 1024 * 1024  # bytes at each end of the file that tell two models apart
_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_CONTROL: Final = 3  # token_type of the tokens that mark roles and ends
_MOST: Final = 16 * 1024 * 1024  # entries of a list, bytes of a text: no real header comes near


@frozen
class Header:
    """`context`: tokens the model was trained for (None: not said). `control_tokens`: the texts that it reads as role and end marks."""

    context: int | None
    control_tokens: tuple[str, ...]


def read_header(path: Path) -> Header:
    """The header of the GGUF file at `path`. UsageError when there is no such file, or it is no GGUF."""
    try:
        with open_regular(path) as file:
            if file.read(4) != b"GGUF":
                raise UsageError(f"{printable(str(path), 300)} is not a GGUF file.")
            return _header(file)
    except (OSError, struct.error, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its header is damaged"
        raise UsageError(f"Cannot read the model {printable(str(path), 300)}: {reason}.") from None


def fingerprint(path: Path) -> str:
    """16 hex digits that tell this model file from another: of its length, first and last megabyte. UsageError when it cannot be read."""
    try:
        with open_regular(path) as file:
            length = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(f"{length}\n".encode())
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, length - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    except OSError as error:
        raise UsageError(f"Cannot read the model {printable(str(path), 300)}: {error.strerror or 'it cannot be read'}.") from None
    return digest.hexdigest()[:16]


def open_regular(path: Path) -> BinaryIO:
    """The file opened for reading; OSError unless it is a regular file (a pipe would block, a device would never end)."""
    if not path.is_file():
        raise OSError(0, "it is not a file" if path.exists() else "there is no such file")
    return path.open("rb")


def slot_context(header: Header) -> int:
    """Tokens of context for one call, prompt and reply together."""
    return min(header.context or SLOT_TOKENS, SLOT_TOKENS)


def _header(file: BinaryIO) -> Header:
    version, _tensors, pairs = _read(file, "IQQ")
    if version not in (2, 3) or pairs > 100_000:
        raise ValueError
    found: dict[str, Any] = {}
    for _ in range(pairs):
        key = _text(file).decode("utf-8", "replace")
        (kind,) = _read(file, "I")
        keep = key.endswith(".context_length") or key in ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
        value = _value(file, kind, keep)
        if keep:
            found["context" if key.endswith(".context_length") else key] = value
    context = found.get("context")
    words, kinds = (
        x if isinstance(x, list | tuple) else () for x in map(found.get, ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type"))
    )
    control = (w.decode("utf-8", "replace") for w, k in zip(words, kinds, strict=False) if k == _CONTROL and isinstance(w, bytes))
    return Header(context if isinstance(context, int) and context > 0 else None, tuple(w for w in control if len(w) > 1))


def _value(file: BinaryIO, kind: int, keep: bool) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        return _read(file, _SCALARS[kind])[0]
    item, count = _read(file, "IQ")
    if count > _MOST:
        raise ValueError
    if item in (_STRING, _ARRAY):
        if item == _ARRAY:
            raise ValueError  # lists of lists are in no model's header
        return [_text(file) for _ in range(count)]
    width = struct.calcsize("<" + _SCALARS[item])
    if not keep:
        file.seek(width * count, os.SEEK_CUR)
        return None
    return struct.unpack(f"<{count}{_SCALARS[item]}", file.read(width * count))


def _text(file: BinaryIO) -> bytes:
    (length,) = _read(file, "Q")
    if length > _MOST:
        raise ValueError
    data = file.read(length)
    if len(data) != length:
        raise ValueError
    return data


def _read(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))
