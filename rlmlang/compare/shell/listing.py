"""`ls` (also `list` and `dir`): which files there are. Never in columns, as if its output were piped."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from rlmlang.compare.shell.command import LINE_WORK, Call
from rlmlang.compare.shell.tree import File, Folder
from rlmlang.compare.shell.words import Misuse

_FOLDER_BYTES: Final = 4096  # as most file systems say of a folder
_Named = tuple[str, File | Folder]


def ls(call: Call) -> Iterator[bytes]:
    found, operands = call.options(
        "1aAlRrStdhFpgGoCxmnUsfi",
        "all=a almost-all=A recursive=R reverse=r directory=d human-readable=h classify=F size=s time-style= group-directories-first=dirs",
    )
    keys = {key for key, _ in found}
    files: list[_Named] = []
    folders: list[_Named] = []
    for name in operands or ["."]:
        try:
            entry = call.place.look(name)
        except Misuse as misuse:
            call.complain(f"cannot access '{name}': {misuse.message}", 2)
            continue
        (folders if isinstance(entry, Folder) and "d" not in keys else files).append((name, entry))
    yield from _shown(call, _ordered(files, keys), keys, total=False)
    titles = "R" in keys or len(operands) > 1
    first = not files
    pending = _ordered(folders, keys)[::-1]
    while pending:
        name, folder = pending.pop()
        assert isinstance(folder, Folder)
        entries = _ordered([(e.name, e) for e in folder.entries.values() if keys & {"a", "A", "f"} or e.name[0] != "."], keys)
        if keys & {"a", "f"}:
            entries = [(".", folder), ("..", folder), *entries]
        if titles:
            yield f"{'' if first else chr(10)}{name}:\n".encode()
        first = False
        yield from _shown(call, entries, keys, total=True)
        if "R" in keys:
            inner = [(f"{name.rstrip('/')}/{n}", e) for n, e in entries if isinstance(e, Folder) and n not in (".", "..")]
            pending += inner[::-1]


def _ordered(entries: Iterable[_Named], keys: set[str]) -> list[_Named]:
    ordered = sorted(entries, key=lambda named: named[0])
    if "S" in keys:
        ordered.sort(key=lambda named: -_size(named[1]))
    elif "t" in keys:
        ordered.sort(key=lambda named: -_mtime(named[1]))
    if "r" in keys:
        ordered.reverse()
    if "dirs" in keys:
        ordered.sort(key=lambda named: isinstance(named[1], File))
    return ordered


def _size(entry: File | Folder) -> int:
    return entry.size if isinstance(entry, File) else _FOLDER_BYTES


def _mtime(entry: File | Folder) -> float:
    return entry.mtime if isinstance(entry, File) else 0.0


def _blocks(entry: File | Folder) -> int:
    return -(-_size(entry) // _FOLDER_BYTES) * (_FOLDER_BYTES // 1024)


def _shown(call: Call, entries: list[_Named], keys: set[str], total: bool) -> Iterator[bytes]:
    call.meter.spend(LINE_WORK * len(entries))
    long = bool(keys & {"l", "g", "o", "n"})
    if total and (long or "s" in keys):
        blocks = sum(_blocks(entry) for _, entry in entries)
        yield f"total {human(blocks * 1024) if 'h' in keys else blocks}\n".encode()
    sizes = [human(_size(entry)) if "h" in keys else str(_size(entry)) for _, entry in entries] if long else []
    width = max(map(len, sizes), default=0)
    parts = [str(_blocks(entry)) for _, entry in entries] if "s" in keys else []
    before = max(map(len, parts), default=0)
    for at, (name, entry) in enumerate(entries):
        folder = isinstance(entry, Folder)
        line = f"{parts[at]:>{before}} " if "s" in keys else ""
        if long:
            owner = "" if "g" in keys else "root "
            group = "" if keys & {"o", "G"} else "root "
            line += f"{'dr-xr-xr-x' if folder else '-r--r--r--'} 1 {owner}{group}{sizes[at]:>{width}} {when(_mtime(entry))} "
        yield (line + name + ("/" if folder and keys & {"F", "p"} else "") + "\n").encode()


def when(mtime: float) -> str:
    """A date, in UTC, the same whenever it is asked for: with the year, never the hour of the last months."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(mtime))
    except (ValueError, OverflowError, OSError):
        return "????-??-?? ??:??"


def human(size: int) -> str:
    """`1.2K`: rounded up, as GNU does it."""
    if size < 1024:
        return str(size)
    scale, unit = 1024, 0
    while size >= scale * 1024 and unit < 5:
        scale *= 1024
        unit += 1
    tenths = -(-size * 10 // scale)
    if tenths >= 100:
        whole = -(-size // scale)
        return f"{whole}{'KMGTPE'[unit]}" if whole < 1024 else f"1.0{'KMGTPEZ'[unit + 1]}"
    return f"{tenths // 10}.{tenths % 10}{'KMGTPE'[unit]}"
