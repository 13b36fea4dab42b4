"""The control flow of each way of asking, as programs of the language, and what the bound says of them, as formulas of n.

What a main model with tools does, turn after turn, is a fold: each turn reads all that was said before, asks for something, and what comes
back is said too. A transcript of it is a straight line. Neither needs the program to be known beforehand, and both show in the bound.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import rlmlang
from rlmlang import Settings
from rlmlang.cost import Figure
from rlmlang.quantity import value_at

_FIGURES = ("calls", "rounds", "input_tokens")


def _program(text: str) -> str:
    return textwrap.dedent(text).lstrip()


def straight(n: int) -> str:
    """What a transcript of tool calls is: a line for each, whose data stand in it."""
    lines = [f'a{at} = call "Which kind is it?" on "the item no. {at:06}" with {{max_tokens: 20}}' for at in range(1, n + 1)]
    return "\n".join([*lines, f"answer [{', '.join(f'a{at}' for at in range(1, n + 1))}]\n"])


LOOP = "a loop over a growing context: a main model and its tool"
SHAPES = {
    LOOP: _program("""
        input items: [text]
        answer fold said, item in items from "" {
          task = call "Which task comes next?" on said with {max_tokens: 100}
          result = call task on item with {max_tokens: 20}
          f"{said}{task}{result}"
        }
    """),
    "the same, folded: of each task its result is kept": _program("""
        input items: [text]
        answer fold said, item in items from "" {
          task = call "Which task comes next?" on said with {max_tokens: 100}
          result = call task on item with {max_tokens: 20}
          f"{said}{result}"
        }
    """),
    "a map": _program("""
        input items: [text]
        answer [call "Which kind is it?" on item with {max_tokens: 20} for item in items]
    """),
    "a condition that code tests, then one that a model tests": _program("""
        input items: [text]
        answer [i for i in items if len(words(i)) % 2 == 1 and call "Is it a complaint?" on i -> bool]
    """),
    "a reduction by levels": _program("""
        input items: [text]
        answer reduce a, b in items { call "Merge these notes." on a, b with {max_tokens: 200} }
    """),
    "recursion: halves until they are small": _program("""
        input items: text
        fn look(t: text) -> text depth 3 {
          half = max(8000, len(t) // 2)
          call "Note what matters." on t if len(t) <= 8000 else call "Merge these notes." on [look(p) for p in chunks(t, half)]
        }
        answer look(items)
    """),
}
HEADINGS = ("shape", "lines", "calls", "rounds", "input tokens, at most")


def rows() -> list[list[str]]:
    """Each shape: lines of its program, and the upper bounds of its figures. `n` is the number of items, `b` their bytes."""
    told = [["a straight line: a transcript of tool calls", "n + 1", *(_slope(figure) for figure in _FIGURES)]]
    for name, program in SHAPES.items():
        figures = _bound(program)
        told.append([name, str(len(program.splitlines())), *(str(figures[figure].most) for figure in _FIGURES)])
    return told


def loop_tokens(sizes: Sequence[int], item_bytes: int) -> list[tuple[float, float]]:
    """Each size with the input tokens that a main model and its tool take at most for so many items, by the bound of the loop."""
    most = _bound(SHAPES[LOOP])["input_tokens"].most
    return [(float(n), float(value_at(most, {"n": n, "b": n * item_bytes}))) for n in sizes]


def _bound(program: str) -> Mapping[str, Figure]:
    return rlmlang.bound(program, Settings(model="m", base_url="http://127.0.0.1:9/v1", memo="off")).figures


def _slope(figure: str) -> str:
    """A figure of a straight line of n calls, from lines of two lengths: it is n times something, or the same for all."""
    short, long = (int(str(_bound(straight(n))[figure].most)) for n in (50, 100))
    assert long in (short, 2 * short), (figure, short, long)
    return f"{long}" if long == short else _times(long // 100)


def _times(number: int) -> str:
    return "n" if number == 1 else f"{number:,}·n"
