"""The language on one page, as a model that writes programs is given it."""

from __future__ import annotations

import argparse

from rlmlang.cli import terminal

HELP = "the language on one page, for a model"


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def main(args: argparse.Namespace) -> int:
    from rlmlang.solve.card import card

    terminal.write(card().removesuffix("\n"))
    return 0
