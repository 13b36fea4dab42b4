"""Writes a file anew, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile

from rlmlang.errors import Failure


def replace(path: str, data: bytes) -> None:
    """Puts `data` in place of a file at once, with its mode and owner; a link stays one. Raises Failure."""
    real = os.path.realpath(path)
    try:
        if not os.access(real, os.W_OK):
            raise PermissionError(0, "permission denied")
        status = os.stat(real)
        handle, partial = tempfile.mkstemp(dir=os.path.dirname(real), prefix=".rlm-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fchmod(out.fileno(), status.st_mode & 0o7777)
                with contextlib.suppress(OSError):
                    os.fchown(out.fileno(), status.st_uid, status.st_gid)
            os.replace(partial, real)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        raise Failure(f"cannot write {path}: {(error.strerror or 'unknown error').lower()}") from None
