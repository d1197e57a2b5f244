"""Keep freed memory in the process, so that a training step need not get it again page by page."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

#: Names from malloc.h of the GNU C library. Once one is set, the library stops adjusting all.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4

#: Where its own adjusting ends in a process that has freed large blocks.
ADJUSTED = {M_MMAP_MAX: 65536, M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 64 * 2**20}


def keep_freed_memory() -> Callable[[], None]:
    """Let the C library reuse large blocks of memory; does nothing where it is not GNU's.

    By default it gives every block above 32 MB back to the system when it is freed. The activations
    of a large image are such blocks: each step the system clears them again, page by page, which
    takes up to a third of the step.

    Returns:
        What sets the C library back and gives free memory to the system.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):  # musl, macOS
        return lambda: None
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, -1)

    def restore() -> None:
        for option, value in ADJUSTED.items():
            library.mallopt(option, value)
        library.malloc_trim(0)

    return restore
