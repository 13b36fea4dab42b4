"""The grammar for constrained decoding, so that what a model writes is a program: for llguidance, llama.cpp and OpenAI, or as it is."""

from __future__ import annotations

import argparse

from rlmlang.cli import terminal

HELP = "the grammar for constrained decoding"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("lark", "llguidance", "gbnf", "openai"), default="lark", help="in whose notation (default: lark)"
    )


def main(args: argparse.Namespace) -> int:
    from rlmlang.solve.export import grammar_text

    terminal.write(grammar_text(args.format).removesuffix("\n"))
    return 0
