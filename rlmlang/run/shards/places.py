"""Places in a program, as numbers: the same in every process that has read the same text."""

from __future__ import annotations

from collections.abc import Iterator

from rlmlang.check.checked import Checked
from rlmlang.run.facts import Facts, Variable
from rlmlang.syntax import nodes as n
from rlmlang.syntax.walk import walk

Place = tuple[int, int]  # of a variable: the number of the node that binds it, and which of its names it is


def numbered(checked: Checked) -> list[n.Node]:
    """All nodes of a program and of the files it uses."""
    return [node for program in (checked.program, *checked.modules.values()) for node in walk(program)]


def variables(facts: Facts, nodes: list[n.Node]) -> Iterator[tuple[Place, Variable]]:
    """All variables that something among `nodes` binds."""
    for number, node in enumerate(nodes):
        for at, variable in enumerate(facts.bound.get(node, ())):
            yield (number, at), variable
