"""The arguments that the commands which run programs share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rlmlang.errors import UsageError

if TYPE_CHECKING:
    from rlmlang.session import Settings


def add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the program")
    parser.add_argument(
        "inputs",
        metavar="NAME=VALUE",
        nargs="*",
        help="an input, read by its declared type: question=text as is, n=3, doc=@notes.txt, rows=@rows.jsonl (or .json, .csv, .parquet), "
        "repo=src/; - is standard input, and @@ begins a text that begins with @",
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Who answers, and where replies are kept."""
    parser.add_argument("--model", metavar="NAME", help="who answers: a name in rlm.toml or of the endpoint, local, gguf:PATH, script:PATH")
    parser.add_argument("--root", metavar="NAME", help="who writes the programs of solve, by default [models.root], else --model")
    parser.add_argument("--base-url", metavar="URL", help="the endpoint, for any server that speaks OpenAI's chat completions")
    parser.add_argument("--concurrency", metavar="N", type=count, help="calls under way at once")
    parser.add_argument("--memo", metavar="PATH|off", help="where paid replies are kept, by default in the user's cache")
    parser.add_argument("--config", metavar="PATH", help="instead of rlm.toml in the current folder")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """All that a run goes by."""
    add_models(parser)
    add_budget(parser)
    parser.add_argument(
        "--processes",
        metavar="N",
        type=count,
        help="at most so many share the work, where one is too slow; by default one a core, 4 at most",
    )
    parser.add_argument("--offline", action="store_true", help="answer from the memo only; a reply that is not there is a failure")
    parser.add_argument("--quiet", action="store_true", help="no progress, warnings or summary")
    parser.add_argument("--yes", action="store_true", help="answer yes to whatever would be asked")


def add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="send requests as jobs of the server's Batch API, at half the price: each round of calls may take up to a day",
    )


def add_budget(parser: argparse.ArgumentParser, about: str = "") -> None:
    parser.add_argument(
        "--budget",
        metavar="AMOUNT",
        action="append",
        default=[],
        help=f"{about}'$2', '500 calls', '2M tokens' or '10 min'; may be given several times",
    )


def count(text: str) -> int:
    """A whole number of an option."""
    number = whole(text) if text == text.strip() else None
    if number is None:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text[:60]!r}")
    return number


def whole(text: str) -> int | None:
    """A whole number among others of an option; None where it is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def settings_of(args: argparse.Namespace) -> Settings:
    """What `add_models` or `add_settings` read."""
    from attrs import fields

    from rlmlang.session import Settings

    return Settings(**{field.name: getattr(args, field.name) for field in fields(Settings) if hasattr(args, field.name)})


def inputs_of(args: argparse.Namespace) -> dict[str, str]:
    """What `add_inputs` read. Raises UsageError for what is not NAME=VALUE, or given twice."""
    inputs: dict[str, str] = {}
    for given in args.inputs:
        name, equals, value = given.partition("=")
        if not equals:
            raise UsageError(f"{given[:200]} is no input", hint="inputs are given as NAME=VALUE; quote a value that has spaces")
        if name in inputs:
            raise UsageError(f"the input {name[:200]} is given twice")
        inputs[name] = value
    return inputs
