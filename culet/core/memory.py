"""Memory that is freed stays with the process, to be used again."""

import ctypes
import os
import sys

# Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = -1  # as the manual of mallopt says: no trimming at all


def keep_freed_memory() -> None:
    """Tells glibc's malloc not to give freed memory back to the system between steps.

    XLA asks for all of a step's scratch memory anew at each call. By default each call then gets fresh pages, which the
    system clears one by one: on two cores that is a third of a small model's training step (LOG.md). It works only
    before the first thread of XLA starts, so `import culet` does it. Elsewhere than on glibc nothing happens; nor does
    it if the environment sets malloc up itself (`MALLOC_ARENA_MAX`, `MALLOC_TRIM_THRESHOLD_`, `GLIBC_TUNABLES`, ...).
    """
    chosen = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if chosen or not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    for parameter, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER)):
        mallopt(parameter, value)
