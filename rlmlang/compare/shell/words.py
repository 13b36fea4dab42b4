"""A command line, read: words with their quotes, redirections, pipelines, and what stands between them.

Refused, with what bash would say where it would say something: variables and substitutions (`$x`, `$(…)`, backquotes), here-documents,
jobs (`&`), sub-shells, compound commands, and redirections to files.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from attrs import define, frozen

from rlmlang.limits import SHELL_LINE_CHARS, SHELL_WORDS

Char = tuple[str, bool]  # a character, and whether it stood in quotes

_OPERATORS: Final = ("&&", "||", "|&", ";;", "|", ";", "&", "\n", "(", ")")
_RESERVED: Final = frozenset(
    {"for", "while", "until", "if", "case", "select", "function", "time", "coproc", "{", "[[", "do", "done", "then", "fi"}
)
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
_BLANK: Final = " \t\r"
_IN_QUOTES: Final = re.compile(r"`|\$(?:\(|\{|[A-Za-z0-9_@*#?$!-])")
_BARE: Final = re.compile(rf"{_IN_QUOTES.pattern}|\$['\"]")


class Misuse(Exception):
    """A command line, or the options of a command, that cannot be: what is said of it, and the status."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@frozen
class Word:
    chars: tuple[Char, ...]

    @property
    def text(self) -> str:
        return "".join(c for c, _ in self.chars)

    @property
    def plain(self) -> bool:
        """Whether no part of it was quoted, as of a reserved word."""
        return not any(quoted for _, quoted in self.chars)


@define
class Command:
    """`words < source 2>/dev/null >/dev/null`"""

    words: list[Word]
    source: Word | None = None
    drops_output: bool = False
    drops_errors: bool = False
    errors_to_output: bool = False


@define
class Pipeline:
    """`! a | b | c`, run where the one before `succeeded` or `failed`, or in any case."""

    commands: list[Command]
    negated: bool = False
    when: Literal["always", "succeeded", "failed"] = "always"


def read(line: str) -> list[Pipeline]:
    """The pipelines of a command line. Raises Misuse."""
    if len(line) > SHELL_LINE_CHARS:
        raise Misuse(f"bash: the command has {len(line):,} characters, more than the {SHELL_LINE_CHARS:,} that are read here")
    if "\0" in line:
        raise Misuse("bash: the command holds a zero byte")
    return _Reader(line).pipelines()


class _Reader:
    def __init__(self, line: str) -> None:
        self.line = line.replace("\r\n", "\n")
        self.at = 0

    def pipelines(self) -> list[Pipeline]:
        found: list[Pipeline] = []
        when: Literal["always", "succeeded", "failed"] = "always"
        needed = ""  # the operator that something must follow
        while True:
            self._skip(newlines=True)
            pipeline = self._pipeline()
            if pipeline is not None:
                pipeline.when = when
                found.append(pipeline)
            ends = self._operator()
            if pipeline is None and (ends not in ("", "\n") or needed):
                raise _unexpected(ends)
            if ends == "":
                return found
            if ends not in (";", "\n", "&&", "||"):
                raise Misuse("bash: &: jobs are not supported here") if ends == "&" else _unexpected(ends)
            needed = ends if ends in ("&&", "||") else ""
            when = "succeeded" if ends == "&&" else "failed" if ends == "||" else "always"

    def _pipeline(self) -> Pipeline | None:
        first = self._command()
        if first is None:
            return None
        pipeline = Pipeline([first])
        if first.words and first.words[0].plain and first.words[0].text == "!":
            del first.words[0]
            pipeline.negated = True
        while (operator := self._peek()) in ("|", "|&"):
            self.at += len(operator)
            pipeline.commands[-1].errors_to_output |= operator == "|&"
            self._skip(newlines=True)
            command = self._command()
            if command is None:
                raise _unexpected(self._peek())
            pipeline.commands.append(command)
        for command in pipeline.commands:
            _check(command)
        return pipeline

    def _command(self) -> Command | None:
        command = Command([])
        seen = False
        while True:
            self._skip()
            if self.at >= len(self.line) or (self._peek() and not self.line.startswith("&>", self.at)):
                return command if seen else None
            seen = True
            if not self._redirection(command):
                command.words.append(self._word())
                if len(command.words) > SHELL_WORDS:
                    raise Misuse("bash: argument list too long")

    def _redirection(self, command: Command) -> bool:
        found = re.compile(r"(&>>?|(?P<fd>\d?)(?:>&|>>|>\||>|<<<|<<|<&|<>|<))[ \t]*").match(self.line, self.at)
        if not found:
            return False
        sign = found[1].lstrip("0123456789")
        self.at = found.end()
        if sign in ("<<", "<<<", "<>", "<&"):
            raise Misuse(f"bash: {sign}: not supported here")
        target = self._word()
        if not target.chars:
            raise _unexpected(self._peek())
        if sign == "<":
            command.source = target
        elif sign == ">&" and (found["fd"], target.text) == ("2", "1"):
            command.errors_to_output = True
        elif sign == ">&" and (found["fd"] or "1", target.text) in (("1", "1"), ("1", "2"), ("2", "2")):
            pass  # a terminal shows both
        elif target.text != "/dev/null":
            raise Misuse(f"bash: {target.text}: Read-only file system", 1)
        elif sign.startswith("&"):
            command.drops_output = command.drops_errors = True
        elif found["fd"] == "2":
            command.drops_errors = True
        else:
            command.drops_output = True
        return True

    def _word(self) -> Word:
        chars: list[Char] = []
        line = self.line
        while self.at < len(line):
            c = line[self.at]
            if c in _BLANK or c in "<>" or self._peek():
                break
            if c == "'":
                end = self._closing("'")
                chars += [("", True), *((q, True) for q in line[self.at + 1 : end])]
                self.at = end + 1
            elif c == '"':
                self._double(chars)
            elif c == "\\":
                if self.at + 1 < len(line) and line[self.at + 1] != "\n":
                    chars.append((line[self.at + 1], True))
                self.at += 2
            else:
                self._substitution()
                if c == "~" and not chars and line[self.at + 1 : self.at + 2] in ("", *"/ \t\n;&|"):
                    c = "/"
                chars.append((c, False))
                self.at += 1
        return Word(tuple(chars))

    def _double(self, chars: list[Char]) -> None:
        end = self._closing('"')
        chars.append(("", True))
        self.at += 1
        while self.at < end:
            c = self.line[self.at]
            if c == "\\" and self.line[self.at + 1] in '\\"$`\n':
                self.at += 1
                c = "" if self.line[self.at] == "\n" else self.line[self.at]
            else:
                self._substitution(quoted=True)
            chars.append((c, True))
            self.at += 1
        self.at = end + 1

    def _closing(self, quote: str) -> int:
        """Where the quote that begins here ends."""
        at = self.at + 1
        while at < len(self.line) and self.line[at] != quote:
            at += 2 if quote == '"' and self.line[at] == "\\" else 1
        if at >= len(self.line):
            raise Misuse(f"bash: unexpected EOF while looking for matching `{quote}'")
        return at

    def _substitution(self, quoted: bool = False) -> None:
        """Refuses what bash would put something else for."""
        found = (_IN_QUOTES if quoted else _BARE).match(self.line, self.at)
        if found:
            raise Misuse(
                f"bash: {found[0]}…: variables and substitutions are not supported here; quote it with '…' or write \\{found[0][0]}"
            )

    def _skip(self, newlines: bool = False) -> None:
        """Past blanks and comments, and line ends too."""
        blank = _BLANK + "\n" if newlines else _BLANK
        while self.at < len(self.line):
            if self.line[self.at] in blank:
                self.at += 1
            elif self.line.startswith("\\\n", self.at):
                self.at += 2
            elif self.line[self.at] == "#":
                end = self.line.find("\n", self.at)
                self.at = len(self.line) if end < 0 else end
            else:
                return

    def _peek(self) -> str:
        """The operator that stands here, else nothing."""
        return next((op for op in _OPERATORS if self.line.startswith(op, self.at)), "")

    def _operator(self) -> str:
        operator = self._peek()
        self.at += len(operator)
        return operator


def _check(command: Command) -> None:
    if not command.words:
        if command.source is None and not command.drops_output and not command.drops_errors:
            raise _unexpected("")
        return
    first = command.words[0]
    if first.plain and first.text in _RESERVED:
        raise Misuse(f"bash: {first.text}: compound commands are not supported here; write one command, or a pipe")
    if _ASSIGNMENT.match(first.text) and not first.chars[0][1]:
        raise Misuse(f"bash: {first.text[:100]}: variables are not supported here")


def _unexpected(operator: str) -> Misuse:
    shown = "newline" if operator in ("", "\n") else operator
    return Misuse(f"bash: syntax error near unexpected token `{shown}'")
