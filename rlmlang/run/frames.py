"""Where variables stand: the layout of environments, worked out before a program runs."""

from __future__ import annotations

from typing import Literal

from attrs import define, field

from rlmlang.run.facts import Variable
from rlmlang.run.flow import FIRST_SLOT

Kind = Literal["value", "thunk", "pending"]  # what a slot holds: the value itself, a Thunk, a Lazy


@define(eq=False)
class Frame:
    """The layout of one kind of environment: of the program, or of the calls of one function.

    A function's frame captures what it mentions of the program's: `captures` pairs the variable with the slot it is copied to,
    `recaptures` that slot with itself, for calls of the function by itself; both grow while its body is compiled.
    """

    outer: Frame | None = None
    size: int = FIRST_SLOT
    captures: list[tuple[Variable, int]] = field(factory=list)
    recaptures: list[tuple[int, int]] = field(factory=list)
    _places: dict[Variable, tuple[int, Kind]] = field(factory=dict)

    def slot(self) -> int:
        """A new slot, for an intermediate value."""
        self.size += 1
        return self.size - 1

    def place(self, variable: Variable, kind: Kind) -> int:
        """The slot of a variable bound here."""
        slot = self.slot()
        self._places[variable] = (slot, kind)
        return slot

    def find(self, variable: Variable) -> tuple[int, Kind]:
        """Where a variable is read, capturing it if it stands outside."""
        place = self._places.get(variable)
        if place is None:
            assert self.outer is not None, variable
            _, kind = self.outer.find(variable)
            place = (self.place(variable, kind), kind)
            self.captures.append((variable, place[0]))
            self.recaptures.append((place[0], place[0]))
        return place
