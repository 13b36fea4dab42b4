"""Runs a program line by line: what a line binds stays, and its value is shown.

An entry goes on over several lines while a bracket is open or an operator wants more; an empty line ends it. `input` and `use` are not for
here: data come by --context, as in rlm solve. Tab completes names, fields and functions; Ctrl-C stops what runs; Ctrl-D leaves. Where
standard input is no terminal the lines are run without a prompt, and the first that fails ends it with its exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from rlmlang.cli import options, terminal
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import plural, printable
from rlmlang.types import JSON, Type

if TYPE_CHECKING:
    from rlmlang.cli.repl import Repl
    from rlmlang.cli.running import CtrlC

HELP = "a line at a time"

_COMMANDS: Final = """\
:names            what is bound, with types
:cost EXPR        what a line would take, without running it
:save OUT.rlm     keep the program that gave what was shown last
:help             this
:quit             leave, as Ctrl-D"""
_PROMPT: Final = "rlm> "
_MORE: Final = "...> "
_SHOWN_WHOLE: Final = 10_000  # characters of a value; a longer one is shown as a preview
_WORTH_SAYING: Final = 10  # calls of one line
_HISTORY: Final = 2_000  # lines that are remembered


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--context", metavar="PATH", action="append", default=[], help="data, as in rlm solve: PATH or NAME=PATH; again for more"
    )
    options.add_settings(parser)


def main(args: argparse.Namespace) -> int:
    from rlmlang.cli.repl import Repl
    from rlmlang.cli.running import CtrlC
    from rlmlang.session import configuration
    from rlmlang.solve.contexts import read_contexts

    if sys.stdin is None:
        raise UsageError("standard input is closed, so there is no line to read")
    by_hand = sys.stdin.isatty() and terminal.on_terminal()
    contexts = read_contexts(args.context)
    settings = options.settings_of(args)
    with Repl(contexts, settings, configuration(args.config)) as repl, _line_editing(repl) if by_hand else contextlib.nullcontext():
        if by_hand and not args.quiet:
            terminal.say(":help says what there is beside the language")
        with CtrlC(by_hand=by_hand) as ctrl_c:
            return _converse(repl, ctrl_c, by_hand=by_hand, quiet=args.quiet)


def _converse(repl: Repl, ctrl_c: CtrlC, *, by_hand: bool, quiet: bool) -> int:
    for entry in _entries(ctrl_c, by_hand=by_hand):
        try:
            if entry.startswith(":"):
                with ctrl_c.raises():
                    if not _command(repl, entry):
                        return 0
            else:
                _evaluate(repl, entry, ctrl_c, by_hand=by_hand, quiet=quiet)
        except KeyboardInterrupt:
            if not by_hand:
                raise
            terminal.say("interrupted")
        except RlmError as error:
            if not by_hand:
                raise
            terminal.say(terminal.describe(error))
    return 0


def _entries(ctrl_c: CtrlC, *, by_hand: bool) -> Iterator[str]:
    """What is typed, entry by entry."""
    from rlmlang.cli.repl import unfinished

    lines: list[str] = []
    while True:
        try:
            with ctrl_c.raises():
                line = _line(_MORE if lines else _PROMPT, by_hand=by_hand)
        except KeyboardInterrupt:
            if not by_hand:
                raise
            terminal.say("")
            lines = []
            continue
        if line is None:
            if lines:
                yield "\n".join(lines)
            if by_hand:
                terminal.say("")
            return
        lines.append(line)
        text = "\n".join(lines)
        if not text.strip() or (len(lines) == 1 and line.lstrip().startswith("#")):
            lines = []
        elif text.startswith(":") or not line.strip() or not unfinished(text):
            lines = []
            yield text.strip("\n")


def _line(prompt: str, *, by_hand: bool) -> str | None:
    """The next line, None at the end. Raises KeyboardInterrupt, UsageError."""
    try:
        if by_hand:
            return input(prompt)
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
    except EOFError:
        return None
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text") from None
    except SystemError:  # input() takes a second signal while the exception of the first is on its way
        raise KeyboardInterrupt from None


def _evaluate(repl: Repl, text: str, ctrl_c: CtrlC, *, by_hand: bool, quiet: bool) -> None:
    """Runs an entry and shows its value. Raises RlmError; KeyboardInterrupt where it was not running yet, or no longer."""
    from rlmlang.cli.running import fetch_embedded

    with ctrl_c.raises():
        entry = repl.prepare(text)
        if entry.checked.warnings and not quiet:
            terminal.say(terminal.describe_all(entry.checked.warnings))
        if by_hand and not quiet and entry.most_calls >= _WORTH_SAYING:
            most = "any number of calls" if entry.most_calls == float("inf") else plural(int(entry.most_calls), "call")
            terminal.say(f"at most {most}; Ctrl-C stops it")
        if not repl.offline:
            fetch_embedded(entry.models, quiet=quiet)
    before = repl.calls.calls
    running = repl.start(entry)
    try:
        with ctrl_c.calls(running.cancel):
            value = running.result()
    finally:
        if (made := repl.calls.calls - before) and not quiet:
            terminal.say(f"{plural(made, 'call')}; {_spent(repl)}")
    if entry.shows:
        with ctrl_c.raises():
            terminal.write(_shown(entry.checked.result or JSON, value, whole=not by_hand))


def _shown(type_: Type, value: Any, *, whole: bool) -> str:
    """A value as it is shown: data that are short, or wanted `whole`, as an answer is; else a preview. Raises LimitError, Failure."""
    from rlmlang.check.unify import is_data
    from rlmlang.errors import LimitError
    from rlmlang.solve.preview import observe

    if is_data(type_):
        with contextlib.nullcontext() if whole else contextlib.suppress(LimitError):
            text = terminal.answer_text(value)
            if whole or len(text) <= _SHOWN_WHOLE:
                return text
    return observe(type_, value)


def _spent(repl: Repl) -> str:
    """What all entries have taken so far."""
    counters, tally = repl.client.counters, repl.tally
    parts = [f"so far {plural(repl.calls.calls, 'call')}, {plural(counters.requests, 'request')}"]
    if tally.nanodollars and not repl.calls.unpriced:
        parts.append(terminal.money(tally.nanodollars / 1e9))
    return ", ".join(parts)


def _command(repl: Repl, text: str) -> bool:
    """Does what a line that begins with a colon says; whether to go on. Raises RlmError."""
    word, _, rest = text[1:].strip().partition(" ")
    rest = rest.strip()
    if word in ("quit", "q", "exit"):
        return False
    if word == "help":
        terminal.write(_COMMANDS)
    elif word == "names":
        for name, type_ in repl.names.items():
            terminal.write(printable(f"{name}: {type_}"))
    elif word == "cost" and rest:
        from rlmlang.cli.costs import figures_text, sites_text

        entry = repl.prepare(rest)
        terminal.write(
            "\n\n".join(
                [
                    figures_text(entry.bound, None),
                    *([sites_text(entry.bound, entry.checked.program.source.name)] if entry.bound.sites else []),
                ]
            )
        )
    elif word == "save" and rest:
        _save(repl, rest)
    else:
        raise UsageError(f"there is no :{printable(word, 50)}" if word not in ("cost", "save") else f":{word} wants more", hint=":help")
    return True


def _save(repl: Repl, path: str) -> None:
    from rlmlang.cli.answer import OutFile

    program = repl.kept()
    out = OutFile(path)
    try:
        out.whole(program.removesuffix("\n"))
    finally:
        out.close()
    terminal.say(f"the program is kept in {printable(path, 300)}")


@contextlib.contextmanager
def _line_editing(repl: Repl) -> Iterator[None]:
    """Completion and a history, where the system has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    from rlmlang.cache import cache_root

    found: list[str] = []

    def complete(word: str, state: int) -> str | None:
        nonlocal found
        if state == 0:
            found = repl.completions(word)
        return found[state] if state < len(found) else None

    history = cache_root() / "history"
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n\"'`~!@#$%^&*()-=+[{]}\\|;,<>/?")
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_completer(None)
        with contextlib.suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(_HISTORY)
            readline.write_history_file(history)
