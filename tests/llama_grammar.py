"""llama.cpp's own grammar engine, out of the library that xllamacpp loads: whether a GBNF grammar takes a text.

It goes by the C++ names of internal functions, so it raises Unavailable where a build has others.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

_INIT = "_Z23llama_grammar_init_implPK11llama_vocabPKcS3_bPS3_mPKim"
_CLONE = "_Z24llama_grammar_clone_implRK13llama_grammar"
_ACCEPT = "_Z20llama_grammar_acceptP13llama_grammarj"
_STACKS = "_Z24llama_grammar_get_stacksP13llama_grammar"
_FREE = "_Z23llama_grammar_free_implP13llama_grammar"


class Unavailable(Exception):
    """This build of llama.cpp cannot be asked."""


class _Vector(ctypes.Structure):
    """A std::vector."""

    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p)]


class LlamaGrammar:
    """A GBNF grammar. ValueError where llama.cpp refuses it."""

    def __init__(self, text: str) -> None:
        found = importlib.util.find_spec("xllamacpp")
        if found is None or not found.submodule_search_locations:
            raise Unavailable
        library = next(Path(found.submodule_search_locations[0]).glob("xllamacpp*.so"), None)
        if library is None:
            raise Unavailable
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the library is first loaded
        try:
            loaded = ctypes.CDLL(str(library))
            init, clone, accept, stacks, free = (loaded[name] for name in (_INIT, _CLONE, _ACCEPT, _STACKS, _FREE))
        except (OSError, AttributeError):
            raise Unavailable from None
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        init.restype, init.argtypes = pointer, [pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_bool, pointer, size, pointer, size]
        clone.restype, clone.argtypes = pointer, [pointer]
        accept.restype, accept.argtypes = None, [pointer, ctypes.c_uint32]
        stacks.restype, stacks.argtypes = ctypes.POINTER(_Vector), [pointer]
        free.restype, free.argtypes = None, [pointer]
        self._clone, self._accept, self._stacks, self._free = clone, accept, stacks, free
        self._grammar = init(None, text.encode(), b"root", False, None, 0, None, 0)
        if not self._grammar:
            raise ValueError("llama.cpp refuses the grammar")

    def takes(self, text: str) -> bool:
        """Whether `text` could be written, and decoding end there."""
        grammar = self._clone(self._grammar)
        try:
            for character in text:
                self._accept(grammar, ord(character))
                if not self._count(grammar):
                    return False
            return self._may_end(grammar)
        finally:
            self._free(grammar)

    def _count(self, grammar: int) -> int:
        """How many ways there are to go on: none, and it refused the last character."""
        stacks = self._stacks(grammar)[0]
        return ((stacks.end or 0) - (stacks.begin or 0)) // ctypes.sizeof(_Vector)

    def _may_end(self, grammar: int) -> bool:
        stacks = ctypes.cast(self._stacks(grammar)[0].begin, ctypes.POINTER(_Vector))
        return any(stacks[at].begin == stacks[at].end for at in range(self._count(grammar)))
