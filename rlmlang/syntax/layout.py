"""Documents of text, possible line breaks and groups, and the one printer that sets them into lines of a given width.

A group stays on one line if it fits, else all its breaks are taken (Wadler; the names are Prettier's). Docs are immutable and know when
they are made whether they hold a forced break, so that printing needs neither recursion nor a second pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import field, frozen


@frozen(eq=False)
class Text:
    """Text as it is. A newline in it (a triple-quoted text) counts as a forced break and gets no indentation."""

    text: str
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", "\n" in self.text)


@frozen(eq=False)
class Remark:
    """A comment at the end of a line: takes no width. What follows begins with a forced break."""

    text: str
    forced: bool = field(default=True, init=False)


@frozen(eq=False)
class Line:
    """A possible line break; `flat` stands for it where it is not taken, None if it always is."""

    flat: str | None
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", self.flat is None)


@frozen(eq=False)
class Concat:
    """One after the other."""

    parts: tuple[Doc, ...]
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", any(part.forced for part in self.parts))


@frozen(eq=False)
class Indent:
    """The lines begun inside stand two columns further in."""

    doc: Doc
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", self.doc.forced)


@frozen(eq=False)
class Group:
    """All breaks directly inside are taken, or none."""

    doc: Doc
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", self.doc.forced)


@frozen(eq=False)
class Fill:
    """Items with commas between, as many a line as fit."""

    items: tuple[Doc, ...]
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", any(item.forced for item in self.items))


@frozen(eq=False)
class Choice:
    """The first that fits up to its first taken break, else the last."""

    options: tuple[Doc, ...]
    forced: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "forced", all(option.forced for option in self.options))


Doc = Text | Remark | Line | Concat | Indent | Group | Fill | Choice

SPACE = Line(" ")  # a break or a space
SOFT = Line("")  # a break or nothing
HARD = Line(None)  # a break
EMPTY = Text("")


def concat(*parts: Doc | str) -> Doc:
    return Concat(tuple(Text(part) if isinstance(part, str) else part for part in parts))


def group(*parts: Doc | str) -> Doc:
    return Group(concat(*parts))


def indent(*parts: Doc | str) -> Doc:
    return Indent(concat(*parts))


def headed(head: Doc | str, lead: Doc | None, written: Doc) -> Doc:
    """`head`, the comments between, and what follows it."""
    return concat(head, " ", written) if lead is None else concat(head, indent(lead, HARD, written))


def separated(items: Iterable[Doc], separator: Doc) -> Doc:
    parts: list[Doc] = []
    for item in items:
        if parts:
            parts.append(separator)
        parts.append(item)
    return Concat(tuple(parts))


_Command = tuple[int, bool, Doc]  # indentation, whether broken, what


def render(doc: Doc, width: float) -> str:
    """The lines of `doc`, without spaces at their ends, at most `width` wide where that is possible."""
    out: list[str] = []
    column = 0
    commands: list[_Command] = [(0, True, doc)]
    while commands:
        margin, broken, here = commands.pop()
        if isinstance(here, Text):
            out.append(here.text)
            column = column + len(here.text) if not here.forced else len(here.text) - here.text.rindex("\n") - 1
        elif isinstance(here, Remark):
            out.append(here.text)
        elif isinstance(here, Concat):
            commands.extend((margin, broken, part) for part in reversed(here.parts))
        elif isinstance(here, Indent):
            commands.append((margin + 2, broken, here.doc))
        elif isinstance(here, Line):
            if here.flat is not None and not broken:
                out.append(here.flat)
                column += len(here.flat)
            else:
                while out and not out[-1].rstrip(" "):
                    out.pop()
                if out:
                    out[-1] = out[-1].rstrip(" ")
                out.append("\n")
                out.append(" " * margin)
                column = margin
        elif isinstance(here, Group):
            fits = not here.forced and (not broken or _fits((margin, False, here.doc), commands, width - column))
            commands.append((margin, not fits, here.doc))
        elif isinstance(here, Fill):
            commands.extend(_filled(here, margin, broken))
        else:
            for option in here.options[:-1]:
                if _fits((margin, True, option), commands, width - column):
                    commands.append((margin, True, option))
                    break
            else:
                commands.append((margin, broken, here.options[-1]))
    return "".join(out).rstrip(" ")


def _filled(fill: Fill, margin: int, broken: bool) -> Sequence[_Command]:
    """The items in reverse, each but the first with the comma and the break before it as a group of its own."""
    commands: list[_Command] = [(margin, broken, fill.items[0])] if fill.items else []
    for item in fill.items[1:]:
        commands.append((margin, False, Text(",")))
        commands.append((margin, broken, Group(Concat((SPACE, item)))))
    return commands[::-1]


def _fits(first: _Command, rest: Sequence[_Command], room: float) -> bool:
    """Whether everything up to the next taken break is at most `room` wide."""
    at = len(rest)
    commands = [first]
    while room >= 0:
        if not commands:
            if at == 0:
                return True
            at -= 1
            commands.append(rest[at])
        margin, broken, here = commands.pop()
        if isinstance(here, Text):
            if here.forced:
                return room >= here.text.index("\n")
            room -= len(here.text)
        elif isinstance(here, Concat):
            commands.extend((margin, broken, part) for part in reversed(here.parts))
        elif isinstance(here, Indent):
            commands.append((margin, broken, here.doc))
        elif isinstance(here, Line):
            if here.flat is None or broken:
                return True
            room -= len(here.flat)
        elif isinstance(here, Group):
            commands.append((margin, broken if at < len(rest) or here.forced else False, here.doc))
        elif isinstance(here, Fill):
            commands.extend(_filled(here, margin, broken))
        elif isinstance(here, Choice):
            commands.append((margin, broken, here.options[-1] if here.forced else here.options[0]))
    return False
