"""What the C library's allocator may keep of memory that nobody uses, and when Python looks for such memory."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_MOST_FREE = 4 * 1024 * 1024  # octets at the end of the heap
_OWN_MAPPING = 512 * 1024  # octets: larger pieces come from the system and go back to it at once


def hoard_nothing() -> None:
    """Give back what is free. Call it before the first thread; other C libraries than glibc do as they like.

    glibc makes each of some twenty threads a heap, never gives back the free end of one that is not the first, and lets
    more and more lie free once large pieces were used: 17 MB in seven minutes of visits that came and went. Python's
    threads seldom allocate at the same time, so one heap serves them all.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in ((_ARENA_MAX, 1), (_TRIM_THRESHOLD, _MOST_FREE), (_MMAP_THRESHOLD, _OWN_MAPPING)):
            mallopt(setting, value)


@contextmanager
def loading() -> Iterator[None]:
    """While modules are read in nothing looks for garbage, of which they make none: a fifth less time to the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
