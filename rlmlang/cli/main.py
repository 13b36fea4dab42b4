"""`rlm`: finds the command, and turns whatever happens into output and an exit code.

0 done, 1 failed, 2 wrong usage, 3 budget, 130 interrupted; 141 where nobody reads standard output any more, as other programs do.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import rlmlang
from rlmlang.cli import commands, terminal
from rlmlang.errors import RlmError, UsageError
from rlmlang.syntax.diagnostics import printable

BROKEN_PIPE = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command (by default that of `sys.argv`) and gives its exit code. Nothing is raised."""
    terminal.use_unicode()
    try:
        with _terminating():
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except RlmError as error:
        terminal.say(terminal.describe(error))
        return error.exit_code
    except BrokenPipeError:
        terminal.forget_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        terminal.say("interrupted")
        return 130
    except SystemExit as done:  # argparse, after --help and --version
        return done.code if isinstance(done.code, int) else 0
    except Exception as error:
        if os.environ.get("RLM_DEBUG"):
            raise
        terminal.say(f"internal error: {type(error).__name__}: {printable(str(error))}\n(RLM_DEBUG=1 shows where)")
        return 1


class Arguments(argparse.ArgumentParser):
    """A parser whose complaints are UsageErrors, and that writes where the commands do."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        terminal.write(message.rstrip("\n"))


def _dispatch(words: list[str]) -> int:
    names = command_names()
    if words and not words[0].startswith("-"):
        name, *rest = words
        if name not in names:
            close = difflib.get_close_matches(name[:50], names, n=1)
            hint = f"did you mean rlm {close[0]}?" if close else f"there is {', '.join(names)}"
            raise UsageError(f"there is no command {name[:200]}", hint=hint)
        command = _command(name)
        parser = Arguments(prog=f"rlm {name}", description=command.__doc__)
        command.arguments(parser)
        return int(command.main(parser.parse_intermixed_args(rest)))
    parser = Arguments(
        prog="rlm", usage="rlm COMMAND …", description=rlmlang.__doc__, epilog=_overview(names) if _wants_help(words) else ""
    )
    parser.add_argument("--version", action="version", version=f"rlm {rlmlang.__version__}")
    parser.parse_args(words)
    raise UsageError("a command is missing", hint=f"one of {', '.join(names)}; rlm --help says what they do")


def _wants_help(words: list[str]) -> bool:
    return "-h" in words or "--help" in words


def command_names() -> list[str]:
    """The commands there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def _command(name: str) -> ModuleType:
    return import_module(f"{commands.__name__}.{name}")


def _overview(names: list[str]) -> str:
    lines = [f"  rlm {name:<9} {_command(name).HELP}" for name in names]
    return "\n".join(["commands:", *lines, "", "rlm COMMAND --help says more of each."])


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, previous)
