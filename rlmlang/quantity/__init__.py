"""Amounts that are known, or known as formulas in the sizes of inputs: what the bound computes with."""

from rlmlang.quantity.coarse import above as above
from rlmlang.quantity.coarse import below as below
from rlmlang.quantity.coarse import coarse as coarse
from rlmlang.quantity.coarse import coarse_below as coarse_below
from rlmlang.quantity.coarse import summed as summed
from rlmlang.quantity.formula import INFINITE as INFINITE
from rlmlang.quantity.formula import Formula as Formula
from rlmlang.quantity.formula import Number as Number
from rlmlang.quantity.formula import Quantity as Quantity
from rlmlang.quantity.formula import Symbol as Symbol
from rlmlang.quantity.formula import at_most as at_most
from rlmlang.quantity.formula import ceil_div as ceil_div
from rlmlang.quantity.formula import difference as difference
from rlmlang.quantity.formula import floor_div as floor_div
from rlmlang.quantity.formula import greatest as greatest
from rlmlang.quantity.formula import least as least
from rlmlang.quantity.formula import less as less
from rlmlang.quantity.formula import log2_ceil as log2_ceil
from rlmlang.quantity.formula import maximum as maximum
from rlmlang.quantity.formula import minimum as minimum
from rlmlang.quantity.formula import pairs_of as pairs_of
from rlmlang.quantity.formula import plus as plus
from rlmlang.quantity.formula import symbol as symbol
from rlmlang.quantity.formula import symbols as symbols
from rlmlang.quantity.formula import times as times
from rlmlang.quantity.formula import value_at as value_at
