"""How the C library keeps memory: by itself glibc held 170 MB that nobody used after a text was read.

Elsewhere (macOS, Windows, musl) nothing is done.
"""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
_LARGE = 4 << 20  # bytes: what is larger is a piece of its own, that goes back when it is freed
_WHOLE = 1 << 30  # bytes: larger than any piece
_KEPT = 16 << 20  # bytes at the end of the common place that stay for the next tensors


def share_memory() -> None:
    """Let all threads take memory from one place, instead of one for each, and keep large pieces out of it.

    By itself glibc learns to take pieces of up to 32 MB from the common place, too; two threads that each
    work on a text of 8,192 tokens then leave holes that no next piece fits in: 3 GB and more. To be called
    before there are threads.
    """
    _call("mallopt", _ARENA_MAX, 1)
    _call("mallopt", _MMAP_THRESHOLD, _LARGE)
    _call("mallopt", _TRIM_THRESHOLD, _KEPT)


def keep_memory() -> None:
    """Let freed memory stay for the next tensors, until `share_memory` is called again.

    A training step takes and frees the same large pieces again and again; got anew from the system each time,
    they made it a third slower (1.6 times as slow in bfloat16).
    """
    _call("mallopt", _MMAP_THRESHOLD, _WHOLE)
    _call("mallopt", _TRIM_THRESHOLD, _WHOLE)


def give_memory_back() -> None:
    """Hand what was freed to the system."""
    _call("malloc_trim", 0)


def _call(name: str, *numbers: int) -> None:
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*numbers)
