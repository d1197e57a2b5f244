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
    """A photograph in an installed package, and how to use it.

    Attributes:
        package: name that the package is imported by.
        file: path inside the package.
        scale: smallest and largest factor by which the photograph is resized. Even the largest is
            small enough for the result to be really sharp.
        share: fraction of the patches of its split that are cut from it.
    """

    package: str
    file: str
    scale: tuple[float, float]
    share: float

    def path(self) -> Path:
        """Return the path of the file, without importing the package.

        Raises:
            DatasetError: the package is not installed, or it does not contain the photograph.
        """
        spec = find_spec(self.package)
        # There is no origin if only an empty folder of that name is on the import path.
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / self.file
            if path.is_file():
                return path
        raise DatasetError(
            f"data: the photograph {self.file} of the package {self.package} is missing; "
            f"pip install --force-reinstall {self.package} brings it back"
        )

    def read(self) -> np.ndarray:
        """Return the pixels, shape (height, width, 3), uint8, BGR.

        Raises:
            DatasetError: the file is missing or is not an image.
        """
        import cv2
        import numpy as np

        path = self.path()
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise DatasetError(f"data: {path} is not an image; reinstall {self.package}")
        return pixels
