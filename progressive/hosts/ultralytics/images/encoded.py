"""Image files held in memory as they are on disk, shared by all loader processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from progressive.errors import InputError
from progressive.machine import available_memory


class EncodedImages:
    """The content of many files, one after the other in a single tensor.

    One buffer instead of a list of bytes: forked workers read it without touching, and so copying,
    a reference count per file, and where workers are started afresh torch passes it on as shared
    memory.

    Args:
        files: to read, all of them at once.
        copies: how many processes of this machine will each hold the same files.

    Raises:
        InputError: if the copies would take more than half of the memory that is free.
    """

    def __init__(self, files: Sequence[str | Path], copies: int = 1) -> None:
        sizes = [Path(file).stat().st_size for file in files]
        needed, free = sum(sizes) * copies, available_memory()
        if needed > free // 2:
            raise InputError(
                f"cache=encoded: the {len(files)} image files need {_gigabytes(needed)}, more than "
                f"half of the {_gigabytes(free)} of memory that is free; use cache=disk or none"
            )
        self.offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        self.content = torch.empty(int(self.offsets[-1]), dtype=torch.uint8)
        for index, file in enumerate(files):
            with Path(file).open("rb") as stream:
                stream.readinto(self[index].data)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return the content of a file, as a view."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        return self.content.numpy()[start:stop]


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GB"
