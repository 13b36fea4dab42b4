"""Files and directories as values: what a program may read, and nothing else.

A `DirValue` is a root that the user handed over; a `FileValue` is a file in it (or one handed over alone). Only what is a regular file can
be read. A path is opened component by component below the root's descriptor and never through a symbolic link, so that nothing put in
place of a checked path leads outside. A link to a file within the same root is listed, and read at the place it pointed to.

A file that cannot be read, is no text, is too large or has changed since it was listed is a `Failure` that names it: `otherwise` takes it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakValueDictionary

from attrs import field, frozen

from rlmlang.errors import Failure, LimitError, UsageError
from rlmlang.glob import Pattern, State
from rlmlang.limits import DIR_DEPTH, DIR_FILES, FILE_BYTES, LISTINGS_KEPT, PATH_BYTES, TEXT_CHARS

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # non-blocking: a FIFO must not hold us up
_CHUNK = 1024 * 1024


class _Place(Protocol):
    """Where a file's bytes come from."""

    def read(self, file: FileValue) -> bytes:
        """All bytes of the file. Raises Failure, OSError."""

    def open(self, file: FileValue) -> int:
        """A descriptor of the file, which is as it was listed. Raises Failure, OSError."""


@frozen(weakref_slot=False, repr=False)
class FileValue:
    """A file: `path` (posix, relative to its directory, or as it was given), `name`, `size` in bytes, `text`.

    Two are equal when path and root are. `mtime` is in nanoseconds, as of the listing.
    """

    place: _Place
    raw: str  # the path as the operating system has it: undecodable bytes as surrogates
    size: int = field(eq=False)
    mtime: int = field(eq=False)

    @classmethod
    def at(cls, given: str | os.PathLike[str]) -> FileValue:
        """The file at a path that the user gave: anywhere, through links, but regular. Raises UsageError."""
        shown = os.fspath(given)
        try:
            real = _real_path(shown)
            status = os.stat(real)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {_show(shown)}: {_reason(error)}") from None
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{_show(shown)} is a directory, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{_show(shown)} is not a regular file")
        if _is_long(shown):
            raise UsageError(f"the path {_show(shown)[:100]}… has more than {PATH_BYTES:,} bytes")
        folder, name = os.path.split(real)
        return cls(_Alone(folder, name), shown, status.st_size, status.st_mtime_ns)

    @classmethod
    def held(cls, name: str, data: bytes) -> FileValue:
        """A file that exists only in memory: standard input."""
        return cls(_Held(data), name, len(data), 0)

    @property
    def path(self) -> str:
        return self.raw if self.raw.isascii() else _show(self.raw)

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def text(self) -> str:
        """The file's text, read now and not kept: UTF-8, without byte-order mark, newlines as `\\n`. Raises Failure."""
        if self.size > FILE_BYTES:
            raise Failure(f"{self.path} has {self.size:,} bytes, more than the {FILE_BYTES:,} that are read")
        try:
            data = self.place.read(self)
        except OSError as error:
            raise Failure(f"cannot read {self.path}: {_reason(error)}") from None
        return decode(data, self.path)

    def opened(self) -> int:
        """A descriptor of the file, to read it part by part; `check_unchanged` tells at the end whether it was the same all along. Raises
        Failure."""
        try:
            return self.place.open(self)
        except OSError as error:
            raise Failure(f"cannot read {self.path}: {_reason(error)}") from None

    def __repr__(self) -> str:
        return f"FileValue({self.path!r})"

    def __reduce__(self) -> tuple[type[FileValue], tuple[_Place, str, int, int]]:
        return FileValue, (self.place, self.raw, self.size, self.mtime)


def decode(data: bytes, name: str) -> str:
    """The text in `data`: UTF-8, byte-order mark dropped, newlines as Python reads them. Raises Failure that names `name`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = "is not text: it holds a zero byte" if b"\0" in data[:8192] else "is not UTF-8 text"
        raise Failure(f"{name} {what} (byte {error.start:,})") from None
    if len(text) > TEXT_CHARS:
        raise Failure(f"{name} has {len(text):,} characters, more than the {TEXT_CHARS:,} of a text")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _real_path(given: str) -> str:
    """The absolute path, links resolved. Raises OSError, ValueError, UsageError."""
    if not given:
        raise UsageError("the path is empty")
    return os.path.realpath(given, strict=True)


@frozen(weakref_slot=False)
class _Alone:
    """A file handed over alone: its folder and name, links resolved."""

    folder: str
    name: str

    def read(self, file: FileValue) -> bytes:
        return _read_whole(self.open(file), file)

    def open(self, file: FileValue) -> int:
        top = os.open(self.folder, _DIRECTORY)
        try:
            return _open_below(top, self.name, file)
        finally:
            os.close(top)


@frozen(weakref_slot=False)
class _Held:
    data: bytes = field(repr=False)

    def read(self, file: FileValue) -> bytes:
        return self.data

    def open(self, file: FileValue) -> int:
        raise OSError(errno.EINVAL, "it is held in memory")


@frozen(weakref_slot=False)
class _Linked:
    """A link in `root` to the regular file `target` (relative to the root) in the same root."""

    root: DirValue
    target: str = field(eq=False)

    def read(self, file: FileValue) -> bytes:
        return _read_whole(self.open(file), file)

    def open(self, file: FileValue) -> int:
        return self.root.open_at(self.target, file)


def _real_directory(given: str | os.PathLike[str]) -> str:
    shown = os.fspath(given)
    try:
        real = _real_path(shown)
        mode = os.stat(real).st_mode
        if stat.S_ISDIR(mode):
            os.close(os.open(real, _DIRECTORY))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {_show(shown)}: {_reason(error)}") from None
    if not stat.S_ISDIR(mode):
        raise UsageError(f"{_show(shown)} is not a directory")
    return real


@frozen
class DirValue:
    """A directory that the user handed over. `root` is its absolute path, links resolved. Raises UsageError if it is none.

    What `files` lists is kept, so that a pattern gives the same files whenever in a run it is asked. In another process of the run, where
    that is not known, it cannot be listed; the files in it can be read.
    """

    root: str = field(converter=_real_directory)
    _identity: tuple[int, int] = field(init=False, eq=False, repr=False)
    _listings: dict[str, list[FileValue]] | None = field(init=False, factory=dict, eq=False, repr=False)

    @_identity.default
    def _identify(self) -> tuple[int, int]:
        try:
            status = os.stat(self.root)
        except OSError as error:
            raise UsageError(f"cannot read {_show(self.root)}: {_reason(error)}") from None
        return status.st_dev, status.st_ino

    def files(self, glob: str = "**/*") -> list[FileValue]:
        """The regular files whose path matches `glob`, sorted by path.

        `**` is any number of folders, `*`, `?` and `[…]` stay within a name, `{a,b}` is either. Names that begin with a dot are left out
        unless the pattern has the dot. Folders that may not be read are left out, as are links that lead to a folder or outside.
        Raises Failure for a pattern that cannot be, LimitError for a tree that is too large.
        """
        if self._listings is None:
            raise LimitError("a folder is listed in one process of a run")
        known = self._listings.get(glob)
        if known is not None:
            return known
        pattern = Pattern.parse(glob)
        found = sorted(self._walk(pattern), key=lambda file: file.raw)
        if len(self._listings) >= LISTINGS_KEPT:
            del self._listings[next(iter(self._listings))]
        self._listings[glob] = found
        return found

    def listed(self) -> tuple[str, ...]:
        """The patterns that `files` was asked for, of those that are remembered."""
        return tuple(self._listings or ())

    def __reduce__(self) -> tuple[Callable[..., DirValue], tuple[str, tuple[int, int]]]:
        _travelled[self.root, self._identity] = self
        return _arrived, (self.root, self._identity)

    def open_at(self, path: str, file: FileValue) -> int:
        """A descriptor of the file at `path` below the root, which must be as `file` was listed. Raises Failure, OSError."""
        top = self._open()
        try:
            return _open_below(top, path, file)
        finally:
            os.close(top)

    def read(self, file: FileValue) -> bytes:
        return _read_whole(self.open(file), file)

    def open(self, file: FileValue) -> int:
        return self.open_at(file.raw, file)

    def _open(self) -> int:
        """A descriptor of the root, which must still be the directory that was handed over."""
        try:
            top = os.open(self.root, _DIRECTORY)
        except OSError as error:
            raise Failure(f"cannot read the directory {_show(self.root)}: {_reason(error)}") from None
        status = os.fstat(top)
        if (status.st_dev, status.st_ino) != self._identity:
            os.close(top)
            raise Failure(f"the directory {_show(self.root)} was replaced while the program ran")
        return top

    def _walk(self, pattern: Pattern) -> list[FileValue]:
        """All matches, in no order. Holds one descriptor a level: a folder is opened by name in its parent, never by a whole path."""
        found: list[FileValue] = []
        seen = 0
        open_folders = [self._open()]
        pending = [[("", pattern.start)]]  # for each open folder, its sub-folders (of the root: itself) that are still to do
        try:
            while pending:
                if not pending[-1]:
                    pending.pop()
                    os.close(open_folders.pop())
                    continue
                prefix, state = pending[-1].pop()
                folder = open_folders[-1]
                if prefix:
                    name = prefix[:-1].rpartition("/")[2]
                    try:
                        folder = os.open(name, _DIRECTORY, dir_fd=open_folders[-1])
                    except OSError:  # not ours to read, or gone since
                        continue
                    if len(open_folders) > DIR_DEPTH:
                        os.close(folder)
                        raise LimitError(f"{_show(prefix)} is nested deeper than {DIR_DEPTH} folders")
                else:
                    folder = os.dup(folder)
                open_folders.append(folder)
                deeper: list[tuple[str, State]] = []
                pending.append(deeper)
                try:
                    with os.scandir(folder) as entries:
                        for entry in entries:
                            seen += 1
                            if seen > DIR_FILES:
                                raise LimitError(f"{_show(self.root)} holds more than {DIR_FILES:,} files and folders")
                            if entry.is_dir(follow_symlinks=False):
                                if below := pattern.enter(state, entry.name):
                                    deeper.append((f"{prefix}{entry.name}/", below))
                            elif pattern.accepts(state, entry.name) and (file := self._file(entry, prefix + entry.name)):
                                found.append(file)
                except OSError as error:
                    raise Failure(f"cannot read the directory {_show(prefix) or '.'}: {_reason(error)}") from None
        finally:
            for folder in open_folders:
                os.close(folder)
        return found

    def _file(self, entry: os.DirEntry[str], path: str) -> FileValue | None:
        """The file of a directory entry, None if it is no regular file of this root. Raises LimitError."""
        if _is_long(path):
            raise LimitError(f"the path {_show(path)[:100]}… has more than {PATH_BYTES:,} bytes")
        try:
            if entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                return FileValue(self, path, status.st_size, status.st_mtime_ns)
            if not entry.is_symlink():
                return None
            real = os.path.realpath(os.path.join(self.root, path), strict=True)
            status = os.stat(real, follow_symlinks=False)
        except (OSError, ValueError):  # gone since, a broken link, a loop of links
            return None
        inside = self.root.rstrip("/") + "/"
        if not real.startswith(inside) or not stat.S_ISREG(status.st_mode):
            return None
        return FileValue(_Linked(self, real[len(inside) :]), path, status.st_size, status.st_mtime_ns)


_travelled: WeakValueDictionary[tuple[str, tuple[int, int]], DirValue] = WeakValueDictionary()


def _arrived(root: str, identity: tuple[int, int]) -> DirValue:
    """A directory that was pickled: here, or in another process that was handed it."""
    directory = _travelled.get((root, identity))
    if directory is None:
        directory = object.__new__(DirValue)
        for name, value in (("root", root), ("_identity", identity), ("_listings", None)):
            object.__setattr__(directory, name, value)
        _travelled[root, identity] = directory
    return directory


PLACES: Final = (_Alone, _Linked, DirValue)  # where files lie that another process can read, too


def _open_below(top: int, path: str, file: FileValue) -> int:
    """A descriptor of the regular file at `path` below the descriptor `top`, no link followed. Raises Failure, OSError."""
    *folders, name = path.split("/")
    at = top
    try:
        for folder in folders:
            inner = os.open(folder, _DIRECTORY, dir_fd=at)
            if at != top:
                os.close(at)
            at = inner
        opened = os.open(name, _REGULAR, dir_fd=at)
    finally:
        if at != top:
            os.close(at)
    try:
        check_unchanged(opened, file)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _read_whole(opened: int, file: FileValue) -> bytes:
    """All bytes of an open file, which is closed. Raises Failure, OSError."""
    try:
        parts: list[bytes] = []
        left = file.size + 1  # one more, to notice growth
        while left > 0 and (part := os.read(opened, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        if left != 1:
            raise Failure(f"{file.path} changed while the program ran")
        check_unchanged(opened, file)
    finally:
        os.close(opened)
    return b"".join(parts)


def check_unchanged(opened: int, file: FileValue) -> None:
    """Raises Failure where an open file is not as it was listed."""
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        raise Failure(f"{file.path} is no longer a regular file")
    if status.st_size != file.size or status.st_mtime_ns != file.mtime:
        raise Failure(f"{file.path} changed while the program ran")


def _show(path: str) -> str:
    """The path as valid text: bytes that are no UTF-8 as `\\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_long(path: str) -> bool:
    """Whether the path that is shown is too long: a byte of it is shown as at most four."""
    return len(path) > PATH_BYTES // 4 and len(_show(path).encode()) > PATH_BYTES


def _reason(error: OSError | ValueError) -> str:
    """What the operating system says, in its words, without paths."""
    if isinstance(error, OSError):
        return (error.strerror or "unknown error").lower()
    return "the path holds a zero byte"
