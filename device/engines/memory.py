"""Keeps the process small. Engines allocate and free a lot, and the C library keeps what was freed.

glibc gives every thread a heap ("arena") of its own and returns little of it to the system (mallopt(3),
malloc_trim(3)). With the engines' few threads, one heap costs no time that could be measured, and a trim after an
utterance returns what its length had asked for. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import functools

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX."""


@functools.cache
def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def share_one_heap() -> None:
    """Make threads that start from now on allocate from one heap."""
    if (library := _library()) is not None:
        library.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return freed memory to the system; takes some milliseconds."""
    if (library := _library()) is not None:
        library.malloc_trim(0)
