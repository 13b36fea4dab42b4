"""What a root model sees of data: a name, a type, a size and a short preview, never the data.

All of it is bounded in characters whatever the value is, and takes time linear in the value at most. Data cannot pose as part of the
prompt: every line of it is indented behind a `|` or stands in quotes as JSON, what does not print is escaped, and so is what could be
taken for a fence or a mark of a chat template.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from rlmlang.files import DirValue, FileValue
from rlmlang.limits import CONTEXT_CHARS, SHOWN_CHARS
from rlmlang.syntax.diagnostics import plural
from rlmlang.types import Type
from rlmlang.values import SEQUENCES, DictValue, to_text

_TYPE_CHARS: Final = 400  # of a type; a record of hundreds of fields says nothing
_CELL_CHARS: Final = 120  # of a text within a record or list
_LINE_CHARS: Final = 200  # of a line of a text
_LINES: Final = 20  # of a text, from its beginning
_LAST_LINES: Final = 4
_ITEMS: Final = 5  # of a list within a list
_NESTED: Final = 4  # levels of a value that are shown
_ROWS: Final = 20  # of a list, and fields of a record, each on a line of its own
_SHORT: Final = 40  # characters of a text that is shown beside others on one line
_PATHS: Final = 12
_ENDINGS: Final = 6
_LONG: Final = 500  # characters, from which on a field's longest text is worth saying
# a character that something begins with which a prompt could take for its own
_FENCES: Final = re.compile(r"`(?=``)|~(?=~~)|<(?=\||<<|/?s>)|\|(?=>)|=(?====)|>(?=>>)|\[(?=/?INST)")


def describe(name: str, type: Type, value: Any) -> str:
    """A context in at most `CONTEXT_CHARS` characters: its name, type and size, and its beginning.

    Raises Failure and LimitError for a directory that cannot be listed.
    """
    lines = [headline(name, type)]
    room = CONTEXT_CHARS - len(lines[0]) - 1
    if isinstance(value, DirValue):
        lines += _directory(value, room)
    elif isinstance(value, str):
        lines += _text(value, room)
    elif isinstance(value, SEQUENCES):
        lines += _list(value, room)
    else:
        lines += _one(value, room)
    return _cut("\n".join(lines), CONTEXT_CHARS)


def headline(name: str, type: Type) -> str:
    """The name and type of a variable. Not as in a program, `name: type`: small models would begin theirs with a copy of that."""
    return f"`{name}` is of type {_type(type)}"


def observe(type: Type, value: Any) -> str:
    """What a turn has shown, in at most `SHOWN_CHARS` characters: its type and size, then as much of it as fits, and what is left out."""
    head = _type(type)
    room = SHOWN_CHARS - len(head) - 80
    if isinstance(value, str):
        shown = [f"{head}, {plural(len(value), 'character')}", *_head_and_tail(value, room)]
    elif isinstance(value, SEQUENCES):
        shown = [f"{head}, {plural(len(value), 'item')}", *_items(value, room)]
    elif isinstance(value, DictValue):
        shown = [f"{head}, {plural(len(value), 'key')}", "  " + _json(value, room, len)]
    else:
        shown = [head, "  " + _json(value, room, len)]
    return _cut("\n".join(shown), SHOWN_CHARS)


# ---- by kind of value ----


def _directory(value: DirValue, room: int) -> list[str]:
    files = value.files("**/*")
    if not files:
        return ["  no files"]
    endings = Counter(os.path.splitext(file.name)[1].lower() or "no ending" for file in files)
    common = [f"{_safe(ending, 20)} {count:,}" for ending, count in endings.most_common(_ENDINGS)]
    if len(endings) > _ENDINGS:
        common.append(f"{plural(len(endings) - _ENDINGS, 'other ending')}")
    lines = [f"  {plural(len(files), 'file')}, {plural(sum(f.size for f in files), 'byte')}; {', '.join(common)}"]
    some = _spread(files, _PATHS)
    if len(some) < len(files):
        lines.append("  some of them, by path:")
    return _fitting(lines, (f"  {_path(file)} ({plural(file.size, 'byte')})" for file in some), room, len(files), "file")


def _path(file: FileValue) -> str:
    return _quoted(file.path, _CELL_CHARS)


def _text(value: str, room: int) -> list[str]:
    if not value:
        return ["  an empty text"]
    size = f"  {plural(len(value), 'character')} in {plural(value.count(chr(10)) + (not value.endswith(chr(10))), 'line')}"
    return [size, *_head_and_tail(value, room - len(size) - 1)]


def _head_and_tail(value: str, room: int) -> list[str]:
    """The first lines of a text and, where they are not all, its last ones, each behind a bar."""
    lines = value[:room].removesuffix("\n").split("\n")
    whole = [_bar(line) for line in lines]
    if len(value) <= room and len(lines) <= _LINES and max(map(len, lines)) <= _LINE_CHARS and sum(map(len, whole)) + len(whole) <= room:
        return whole
    room -= 60  # what the note takes
    head = _while_fits(whole[:_LINES], room * 3 // 4)
    rest = value[sum(min(len(line), _LINE_CHARS) + 1 for line in lines[: len(head)]) :]
    last = [line if len(line) <= _LINE_CHARS else "…" + line[-_LINE_CHARS + 1 :] for line in rest[-room:].rstrip("\n").split("\n")]
    tail = _while_fits(map(_bar, reversed(last[-_LAST_LINES:])), room // 4)[::-1]
    left = len(rest) - sum(len(line) + 1 for line in last[len(last) - len(tail) :])
    return [*head, f"  … about {plural(max(left, 1), 'character')} not shown …", *tail]


def _bar(line: str) -> str:
    return "  | " + _safe(line, _LINE_CHARS)


def _list(value: Sequence[Any], room: int) -> list[str]:
    if not value:
        return ["  an empty list"]
    size = "  " + _list_size(value)
    return [size, *_items(value, room - len(size) - 1)]


def _list_size(value: Sequence[Any]) -> str:
    """How many items, and how long their texts are."""
    count = plural(len(value), "item")
    if isinstance(value[0], str):
        lengths = [len(item) for item in value if isinstance(item, str)]
        return f"{count}, {plural(sum(lengths), 'character')} together, the longest {max(lengths):,}"
    if isinstance(value[0], dict):
        longest: dict[str, int] = {}
        for record in value:
            for name, part in record.items() if isinstance(record, dict) else ():
                if isinstance(part, str) and len(part) > longest.get(name, _LONG):
                    longest[name] = len(part)
        if longest:
            named = sorted(longest.items(), key=lambda pair: -pair[1])[:3]
            return f"{count}; texts of up to " + ", ".join(f"{size:,} characters in {_name(name)}" for name, size in named)
    return count


def _items(value: Sequence[Any], room: int) -> list[str]:
    """A list's first items: on one line where they are short, else one a line."""
    first = value[:_ROWS]
    if all(len(item) <= _SHORT if isinstance(item, str) else not isinstance(item, (dict, *SEQUENCES)) for item in first):
        return ["  " + _json(value, room - 4, len)]
    rows = ("  " + _json(item, max(_LINE_CHARS, room // 3), lambda text: _CELL_CHARS) for item in first)
    return _fitting([], rows, room, len(value), "item")


def _one(value: Any, room: int) -> list[str]:
    if isinstance(value, dict):
        noun = "key" if isinstance(value, DictValue) else "field"
        size = f"  {plural(len(value), noun)}"
        fields = (f"  {_name(name)}: {_json(part, _LINE_CHARS, lambda text: _CELL_CHARS)}" for name, part in islice(value.items(), _ROWS))
        return _fitting([size], fields, room, len(value), noun)
    if isinstance(value, FileValue):
        return [f"  {_path(value)}, {plural(value.size, 'byte')}"]
    return ["  " + _json(value, room, len)]


# ---- values as JSON, cut ----


def _json(value: Any, room: int, most: Callable[[str], int]) -> str:
    """A value as JSON of about `room` characters: long texts cut to `most` characters, lists to their first items, deep parts left out."""
    left = [room - 30]  # a note at the end

    def write(part: Any, depth: int) -> str:
        if isinstance(part, str):
            text = _quoted(part, max(10, min(most(part), left[0])))
        elif isinstance(part, (dict, *SEQUENCES)):
            return compound(part, depth)
        elif isinstance(part, FileValue):
            text = _path(part)
        else:
            text = "null" if part is None else _safe(to_text(part), _CELL_CHARS) if not isinstance(part, DirValue) else "a directory"
        left[0] -= len(text) + 2
        return text

    def compound(part: Any, depth: int) -> str:
        brackets = "{}" if isinstance(part, dict) else "[]"
        left[0] -= 4
        if part and (depth == _NESTED or left[0] <= 0):
            return f"{brackets[0]}… {len(part):,} …{brackets[1]}"
        shown: list[str] = []
        for at, item in enumerate(part):
            if left[0] <= 0 or (brackets == "[]" and depth and at == _ITEMS):
                shown.append(f"… {len(part) - at:,} more")
                break
            if isinstance(part, dict):
                name = _quoted(item, 60)
                left[0] -= len(name) + 2
                shown.append(f"{name}: {write(part[item], depth + 1)}")
            else:
                shown.append(write(item, depth + 1))
        return brackets[0] + ", ".join(shown) + brackets[1]

    return write(value, 0)


# ---- texts that cannot do harm ----


def _quoted(text: str, most: int) -> str:
    """A text in double quotes as JSON, cut to `most` characters, with how much is left out."""
    shown, left = _clipped(text, most, lambda part: _harmless(json.dumps(part, ensure_ascii=False)[1:-1]))
    return f'"{shown}…" (+{left:,} characters)' if left else f'"{shown}"'


def _name(name: str) -> str:
    return name if name.isascii() and name.isidentifier() and len(name) <= 60 else _quoted(name, 60)


def _safe(text: str, most: int) -> str:
    """One line of at most `most` characters, cut."""
    shown, left = _clipped(text, most, _harmless)
    return f"{shown}…" if left else shown


def _clipped(text: str, most: int, write: Callable[[str], str]) -> tuple[str, int]:
    """As much of a text as is written in at most `most` characters, and how many characters of it are left out."""
    taken = min(len(text), most)
    while len(shown := write(text[:taken])) > most and taken > 1:
        taken = max(1, taken * most // len(shown))
    return shown, len(text) - taken


def _harmless(text: str) -> str:
    """A text without anything that a prompt or a terminal could take for its own."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return _FENCES.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(number) or (f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")


def _type(type: Type) -> str:
    text = _harmless(str(type))
    if len(text) <= _TYPE_CHARS:
        return text
    kept = text[:_TYPE_CHARS].rpartition(", ")[0] or text[:_TYPE_CHARS]
    return f"{kept}, … ({len(text) - len(kept):,} more characters of the type)"


# ---- what fits ----


def _fitting(lines: list[str], more: Iterable[str], room: int, total: int, noun: str) -> list[str]:
    """The lines, and as many more as there is room for, with a note of how many are left out."""
    left = room - sum(len(line) + 1 for line in lines) - 40
    shown = _while_fits(more, left)
    missing = total - len(shown)
    return [*lines, *shown, *([f"  … {plural(missing, f'more {noun}' if shown else noun)} not shown"] if missing else [])]


def _while_fits(lines: Iterable[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _spread(items: Sequence[FileValue], count: int) -> list[FileValue]:
    """So many of them, evenly over the whole."""
    return [items[at * len(items) // count] for at in range(count)] if len(items) > count else list(items)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 4] + "\n  …"
