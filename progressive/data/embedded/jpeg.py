"""Encode a generated image as JPEG."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return the JPEG file of an image, shape (height, width, 3), uint8, BGR.

    `cv2.imwrite` raises no error when writing fails. Writing these bytes does.
    """
    import cv2

    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
