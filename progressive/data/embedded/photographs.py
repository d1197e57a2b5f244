"""Photographs that come with the packages this project depends on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from progressive.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package, and how to use it."""

    package: str
    file: str
    """Path inside the package."""
    scale: tuple[float, float]
    """Smallest and largest factor it is reduced by: at most as much of it as is really sharp."""
    share: float
    """Share of its split's patches that are cut from it."""

    def path(self) -> Path:
        """Return where it is, without importing the package.

        Raises:
            DatasetError: the package is not installed or came without the photograph.
        """
        spec = find_spec(self.package)
        # No origin: an empty folder of that name somewhere on the import path.
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / self.file
            if path.is_file():
                return path
        raise DatasetError(
            f"data: the photograph {self.file} of the package {self.package} is missing; "
            f"pip install --force-reinstall {self.package} brings it back"
        )

    def read(self) -> np.ndarray:
        """Return its pixels, shape (height, width, 3), uint8, BGR.

        Raises:
            DatasetError: it is missing or no image.
        """
        import cv2
        import numpy as np

        path = self.path()
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise DatasetError(f"data: {path} is no image; reinstall {self.package}")
        return pixels
