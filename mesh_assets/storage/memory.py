"""Keeps a run as small as its largest stage: what one stage freed is given back before the next one begins.

Arrow's pool and the C library keep freed memory for allocations of the same size; the next stage asks for other sizes.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache

import pyarrow as pa

# New objects after which the collector looks for garbage among them.
_OBJECTS = 20_000


def give_back() -> None:
    """Return unused pages of this process to the system, in milliseconds; the C library's only where it can."""
    pa.default_memory_pool().release_unused()
    _trim()(0)


@cache
def keep_loaded() -> None:
    """Take what is loaded so far, modules and definitions, out of garbage collection, once a process.

    Each full collection would look through half a million objects (0.1 s) that live as long as the process. Stages make
    millions of objects of which few are garbage in cycles: looked for after every 700 they cost a tenth of a run.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS)


@cache
def _trim() -> Callable[[int], int]:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # not glibc
        return lambda _: 0
