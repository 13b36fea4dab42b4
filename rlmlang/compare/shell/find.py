"""`find`: the files and folders below a place for which an expression holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field, frozen

from rlmlang.compare.shell.command import LINE_WORK, Call
from rlmlang.compare.shell.listing import when
from rlmlang.compare.shell.patterns import compile_all
from rlmlang.compare.shell.tree import File, Folder, compiled, unescaped
from rlmlang.compare.shell.words import Misuse
from rlmlang.limits import SHELL_NESTED

_SCALES: Final = {"c": 1, "w": 2, "b": 512, "": 512, "k": 1024, "M": 1024**2, "G": 1024**3}
_VALUED: Final = frozenset(
    {"-name", "-iname", "-path", "-wholename", "-ipath", "-iwholename", "-regex", "-iregex", "-type", "-size", "-maxdepth", "-mindepth"}
)
_WRITES: Final = frozenset({"-delete", "-fprint", "-fprint0", "-fprintf", "-fls", "-ok", "-okdir"})
_EXEC_ARGS: Final = 1_000  # of one command by `-exec … {} +`


@frozen
class _Entry:
    path: str
    depth: int
    node: File | Folder


Test = Callable[["_Walk", _Entry], bool]


@define
class _Walk:
    """One walk: what its actions gave, and what they decide."""

    call: Call
    output: list[bytes] = field(factory=list)
    pruned: bool = False
    ended: bool = False
    gathered: dict[int, list[str]] = field(factory=dict)  # of each `-exec … +`


def find(call: Call) -> Iterator[bytes]:
    args = list(call.args)
    places: list[str] = []
    while args and args[0] in ("-H", "-L", "-P"):
        del args[0]
    while args and not (args[0].startswith("-") and len(args[0]) > 1) and args[0] not in ("!", "(", ")", ","):
        places.append(args.pop(0))
    parser = _Parser(call, args)
    test = parser.whole()
    walk = _Walk(call)
    for name in places or ["."]:
        try:
            top = call.place.look(name)
        except Misuse as misuse:
            call.complain(f"‘{name}’: {misuse.message}")
            continue
        yield from _below(walk, _Entry(name, 0, top), test, parser)
        if walk.ended:
            break
    for at, paths in walk.gathered.items():
        yield from _executed(walk, parser.commands[at], paths)


def _below(walk: _Walk, top: _Entry, test: Test, parser: _Parser) -> Iterator[bytes]:
    pending = [top]
    while pending and not walk.ended:
        entry = pending.pop()
        walk.call.meter.spend(LINE_WORK)
        walk.pruned = False
        if entry.depth >= parser.least:
            test(walk, entry)
            yield from walk.output
            walk.output.clear()
            for at, paths in walk.gathered.items():
                if len(paths) >= _EXEC_ARGS:
                    yield from _executed(walk, parser.commands[at], paths)
                    paths.clear()
        if isinstance(entry.node, Folder) and not walk.pruned and (parser.most is None or entry.depth < parser.most):
            prefix = entry.path if entry.path.endswith("/") else entry.path + "/"
            pending += [_Entry(prefix + inner.name, entry.depth + 1, inner) for inner in reversed(entry.node.sorted())]


def _executed(walk: _Walk, command: list[str], paths: list[str]) -> Iterator[bytes]:
    if not paths:
        return
    at = command.index("{}") if "{}" in command else len(command)
    inner = walk.call.run([*command[:at], *paths, *command[at + 1 :]], None)
    yield from inner.output
    if inner.status():
        walk.call.status = 1


class _Parser:
    """The expression of a `find`: `a -o b`, `a b`, `! a`, `( a )`."""

    def __init__(self, call: Call, args: list[str]) -> None:
        self.call = call
        self.args = args
        self.at = 0
        self.least = 0
        self.most: int | None = None
        self.acts = False
        self.commands: list[list[str]] = []

    def whole(self) -> Test:
        test = self._either(0) if self.args else _always
        if self.at < len(self.args):
            if self.args[self.at] == ")":
                raise Misuse("find: invalid expression; you have used a ')' without a matching '('.", 1)
            raise Misuse(f"find: paths must precede expression: `{self.args[self.at]}'", 1)
        if self.acts:
            return test

        def shown(walk: _Walk, entry: _Entry) -> bool:
            return test(walk, entry) and _print(walk, entry)

        return shown

    def _next(self) -> str | None:
        return self.args[self.at] if self.at < len(self.args) else None

    def _either(self, depth: int) -> Test:
        found = [self._both(depth)]
        while self._next() in ("-o", "-or"):
            self.at += 1
            found.append(self._both(depth))
        return found[0] if len(found) == 1 else lambda walk, entry: any(test(walk, entry) for test in found)

    def _both(self, depth: int) -> Test:
        found = [self._one(depth)]
        while (arg := self._next()) is not None and arg not in ("-o", "-or", ")"):
            if arg in ("-a", "-and"):
                self.at += 1
            elif not arg.startswith("-") and arg not in ("!", "("):
                break
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda walk, entry: all(test(walk, entry) for test in found)

    def _one(self, depth: int) -> Test:
        if depth > SHELL_NESTED:
            raise Misuse("find: the expression is nested too deeply", 1)
        arg = self._next()
        if arg is None:
            raise Misuse(f"find: expected an expression after '{self.args[-1]}'", 1)
        self.at += 1
        if arg in ("!", "-not"):
            inner = self._one(depth + 1)
            return lambda walk, entry: not inner(walk, entry)
        if arg == "(":
            if self._next() == ")":
                raise Misuse("find: invalid expression; empty parentheses are not allowed.", 1)
            inner = self._either(depth + 1)
            if self._next() != ")":
                raise Misuse("find: invalid expression; I was expecting to find a ')' somewhere but did not see one.", 1)
            self.at += 1
            return inner
        if arg in (")", "-o", "-or", "-a", "-and"):
            raise Misuse(f"find: invalid expression; you have used a binary operator '{arg}' with nothing before it.", 1)
        return self._valued(arg) if arg in _VALUED else self._plain(arg)

    def _plain(self, arg: str) -> Test:
        match arg:
            case "-print" | "-print0":
                self.acts = True
                return _print if arg == "-print" else _print0
            case "-ls":
                self.acts = True
                return _ls
            case "-prune":
                return _prune
            case "-quit":
                self.acts = True
                return _quit
            case "-empty":
                return lambda walk, entry: not (entry.node.entries if isinstance(entry.node, Folder) else entry.node.size)
            case "-true" | "-readable" | "-depth" | "-daystart" | "-follow" | "-mount" | "-xdev" | "-noleaf":
                return _always
            case "-false" | "-writable" | "-executable":
                return lambda walk, entry: False
            case "-exec" | "-execdir":
                return self._exec(arg)
        if arg in _WRITES:
            raise Misuse(f"find: {arg}: Read-only file system", 1)
        if not arg.startswith("-"):
            raise Misuse(f"find: paths must precede expression: `{arg}'", 1)
        raise Misuse(f"find: unknown predicate `{arg}'", 1)

    def _exec(self, arg: str) -> Test:
        rest = self.args[self.at :]
        end = next((i for i, a in enumerate(rest) if a == ";" or (a == "+" and i and rest[i - 1] == "{}")), None)
        if not end:
            raise Misuse(f"find: missing argument to `{arg}'", 1)
        command, plus = rest[:end], rest[end] == "+"
        self.at += end + 1
        self.acts = True
        place = len(self.commands)
        self.commands.append(command)

        def gather(walk: _Walk, entry: _Entry) -> bool:
            walk.gathered.setdefault(place, []).append(entry.path)
            return True

        def execute(walk: _Walk, entry: _Entry) -> bool:
            inner = walk.call.run([part.replace("{}", entry.path) for part in command], None)
            for block in inner.output:
                walk.call.meter.hold(len(block))
                walk.output.append(block)
            return inner.status() == 0

        return gather if plus else execute

    def _valued(self, arg: str) -> Test:
        value = self._next()
        if value is None:
            raise Misuse(f"find: missing argument to `{arg}'", 1)
        self.at += 1
        match arg:
            case "-name" | "-iname":
                match = compiled(unescaped(value), re.IGNORECASE if arg == "-iname" else 0).match
                return lambda walk, entry: match(entry.path.rstrip("/").rpartition("/")[2] or "/") is not None
            case "-path" | "-wholename" | "-ipath" | "-iwholename":
                match = compiled(unescaped(value), re.IGNORECASE if arg.startswith("-i") else 0).match
                return lambda walk, entry: match(entry.path) is not None
            case "-regex" | "-iregex":
                return self._regex(arg, value)
            case "-type":
                kinds = set(value.split(","))
                if not kinds <= set("fdlbcps"):
                    raise Misuse(f"find: Unknown argument to -type: {value[:20]}", 1)
                return lambda walk, entry: ("d" if isinstance(entry.node, Folder) else "f") in kinds
            case "-size":
                return _sized(value)
        if not re.fullmatch(r"\d{1,6}", value):
            raise Misuse(f"find: Expected a positive decimal integer argument to {arg}, but got ‘{value}’", 1)
        if arg == "-maxdepth":
            self.most = int(value)
        else:
            self.least = int(value)
        return _always

    def _regex(self, arg: str, value: str) -> Test:
        try:
            expression = compile_all([value], "extended", ignore_case=arg == "-iregex", lines=True)
        except Misuse as misuse:
            raise Misuse(f"find: {misuse.message}", 1) from None

        def matches(walk: _Walk, entry: _Entry) -> bool:
            path = entry.path.encode("utf-8", "replace")
            expression.check(path, walk.call.meter)
            return expression.search(path) is not None

        return matches


def _always(walk: _Walk, entry: _Entry) -> bool:
    return True


def _print(walk: _Walk, entry: _Entry) -> bool:
    walk.output.append(entry.path.encode("utf-8", "replace") + b"\n")
    return True


def _print0(walk: _Walk, entry: _Entry) -> bool:
    walk.output.append(entry.path.encode("utf-8", "replace") + b"\0")
    return True


def _ls(walk: _Walk, entry: _Entry) -> bool:
    folder = isinstance(entry.node, Folder)
    size, mtime = (4096, 0.0) if isinstance(entry.node, Folder) else (entry.node.size, entry.node.mtime)
    walk.output.append(
        f"{'dr-xr-xr-x' if folder else '-r--r--r--'} 1 root root {size:>12} {when(mtime)} {entry.path}\n".encode("utf-8", "replace")
    )
    return True


def _prune(walk: _Walk, entry: _Entry) -> bool:
    walk.pruned = True
    return True


def _quit(walk: _Walk, entry: _Entry) -> bool:
    walk.ended = True
    return True


def _sized(value: str) -> Test:
    """`-size +10k`: in units, rounded up."""
    found = re.fullmatch(r"([+-]?)(\d{1,12})([cwbkMG]?)", value)
    if not found:
        raise Misuse(f"find: Invalid argument `{value}' to -size", 1)
    scale, wanted = _SCALES[found[3]], int(found[2])

    def fits(walk: _Walk, entry: _Entry) -> bool:
        size = -(-(4096 if isinstance(entry.node, Folder) else entry.node.size) // scale)
        return size > wanted if found[1] == "+" else size < wanted if found[1] == "-" else size == wanted

    return fits
