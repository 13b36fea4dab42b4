"""Running a program while somebody watches: the model fetched, progress drawn, signals taken."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rlmlang.cli import terminal
from rlmlang.errors import Interrupted
from rlmlang.syntax.diagnostics import printable

if TYPE_CHECKING:
    from rlmlang.cli.answer import OutFile
    from rlmlang.cli.progress import Line
    from rlmlang.lm.request import Model
    from rlmlang.session import Session

_NEWS = 0.5  # seconds until it is looked for news of jobs, where no line is drawn


def fetch_embedded(models: Iterable[Model], *, quiet: bool) -> None:
    """Fetches the embedded model where it is one of those that may be called and is not there yet. Raises UsageError."""
    from rlmlang.cli.progress import Download
    from rlmlang.lm.local import local_model_path, model_file
    from rlmlang.lm.providers import open_provider

    embedded = next((model for model in models if model.provider == "gguf" and model.path is None), None)
    if embedded is None or model_file().is_file():
        return
    open_provider(embedded)  # says so if llama.cpp is missing, before the download
    progress = Download("the embedded model", quiet=quiet)
    try:
        local_model_path(progress)
    finally:
        progress.end()


def evaluate(session: Session, on_item: Callable[[Any], None] | None = None, out: OutFile | None = None, *, quiet: bool) -> Any:
    """The answer; with `on_item` its items go there one by one, from where `out` stopped.

    The first Ctrl-C or SIGTERM stops the run and raises Interrupted, a second one ends the process.
    """
    from concurrent.futures import wait

    from rlmlang.cli.progress import INTERVAL, Line, describe

    line = Line(quiet=quiet)
    running = session.start(on_item) if out is None else session.start(on_item, out.through, out.done)
    pause = INTERVAL if line.shown else _NEWS if session.by_jobs and not quiet else None
    with stopping(running.cancel):
        try:
            while not running.done.done():
                wait([running.done], timeout=pause)
                _say_news(session, line, quiet=quiet)
                line.draw(describe(session))
        finally:
            line.clear()
        try:
            return running.done.result()
        except Interrupted:
            kept, left = session.calls.kept, session.jobs_left
            told = f"interrupted; {terminal.kept(kept)}" if session.memo.path else "interrupted"
            raise Interrupted(f"{told}; {left}, and the same command waits for them" if left else told) from None


def _say_news(session: Session, line: Line, *, quiet: bool) -> None:
    """Says what has become known of jobs since the last time."""
    while not session.news.empty():
        news = session.news.get()
        if not quiet:
            line.clear()
            terminal.say(printable(news))


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Within it the first Ctrl-C or SIGTERM calls `stop`, a second one ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(*_: object) -> None:
        nonlocal asked
        if asked:
            os._exit(Interrupted.exit_code)
        asked = True
        stop()

    # a shell starts what runs in the background with SIGINT ignored: it stays so
    signals = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
    previous = {s: signal.signal(s, handle) for s in signals}
    try:
        yield
    finally:
        if not asked:  # else the process is about to end, and a further signal has nothing to interrupt
            for s, handler in previous.items():
                signal.signal(s, handler)


class CtrlC:
    """What Ctrl-C does where one line after another is run.

    Within `raises` it raises KeyboardInterrupt, within `calls` it calls what it was given, each once. At any other time it does nothing
    `by_hand`, so that it never ends what a person works with, and raises KeyboardInterrupt else. A context manager, in the main thread:
    leaving it puts back what was there before.
    """

    def __init__(self, *, by_hand: bool) -> None:
        self._otherwise = None if by_hand else _interrupt
        self._does: Callable[[], object] | None = None
        self._previous = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> CtrlC:
        if self._previous is not signal.SIG_IGN:  # what a shell starts in the background
            signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _take(self, *_: object) -> None:
        does, self._does = self._does or self._otherwise, None
        if does is not None:
            does()

    def raises(self) -> _Meanwhile:
        """Within it Ctrl-C raises KeyboardInterrupt."""
        return _Meanwhile(self, _interrupt)

    def calls(self, stop: Callable[[], object]) -> _Meanwhile:
        """Within it Ctrl-C calls `stop`."""
        return _Meanwhile(self, stop)

    def set(self, does: Callable[[], object] | None) -> None:
        """What it does from now on."""
        self._does = does


class _Meanwhile:
    """Not a generator: one that is interrupted on its way in would end at any later time."""

    def __init__(self, ctrl_c: CtrlC, does: Callable[[], object]) -> None:
        self._ctrl_c = ctrl_c
        self._does = does

    def __enter__(self) -> None:
        self._ctrl_c.set(self._does)

    def __exit__(self, *_: object) -> None:
        self._ctrl_c.set(None)


def _interrupt() -> None:
    raise KeyboardInterrupt
