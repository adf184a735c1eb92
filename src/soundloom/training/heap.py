"""The heap of a training on a CPU: what one step frees, the next takes again.

glibc gives blocks of more than 32 MB back to the system as soon as they are freed, and the system clears every page of
them when they are asked for again. The activations of a batch are such blocks: of a step of a small ResNet that
was a quarter.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_memory"]

# Parameters of mallopt(3), numbered as in malloc.h, and the largest that glibc comes to by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST_THRESHOLD = 32 << 20
_MOST_MAPPINGS = 65536
_NEVER = -1


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, freed memory stays with the process, which is as large as its largest step; with glibc only."""
    if sys.platform != "linux" or not hasattr(heap := ctypes.CDLL(None), "mallopt"):
        yield
        return
    heap.mallopt(_MMAP_MAX, 0)
    heap.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        heap.mallopt(_MMAP_MAX, _MOST_MAPPINGS)
        heap.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        heap.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
        heap.malloc_trim(0)
