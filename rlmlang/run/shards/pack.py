"""Values on their way to another process of the same run and back, as bytes: pickled, which keeps shared parts shared.

Both ends are the same program and trust each other. Of a file or a folder only its place goes, and how it was when it was listed.
"""

from __future__ import annotations

import io
import pickle
from fractions import Fraction
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from rlmlang.files import PLACES, FileValue
from rlmlang.lm.request import Model
from rlmlang.values import DictValue

_SHIPPED: Final = frozenset((DictValue, range, FileValue, *PLACES, Model, Fraction, type, FunctionType, BuiltinFunctionType))


class Unshippable(Exception):
    """What another process cannot have: a list that is not held, a file that lies in memory alone."""


class _Packer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Is asked for all but plain values."""
        if type(value) not in _SHIPPED:
            raise Unshippable
        return NotImplemented


def pack(value: Any) -> bytes:
    """`value` as bytes. Raises Unshippable."""
    out = io.BytesIO()
    try:
        _Packer(out, pickle.HIGHEST_PROTOCOL).dump(value)
    except RecursionError:
        raise Unshippable from None
    return out.getvalue()


unpack: Final = pickle.loads
