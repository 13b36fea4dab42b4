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
