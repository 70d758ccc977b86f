"""How the C library keeps memory: by itself glibc held 170 MB that nobody used after a text was read.

Elsewhere (macOS, Windows, musl) nothing is done.
"""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def share_memory() -> None:
    """Let all threads take memory from one place, instead of one for each: what one frees, another takes.

    To be called before there are threads.
    """
    _call("mallopt", _ARENA_MAX, 1)


def give_memory_back() -> None:
    """Hand what was freed to the system."""
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*numbers)
