from __future__ import annotations

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A smooth colour image with the full range of values, 120 x 160, read-only."""
    noise = np.random.default_rng(0).normal(size=(120, 160, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4) + 0.02 * noise
    low, high = smooth.min(), smooth.max()
    image = ((smooth - low) / (high - low) * 255).astype(np.uint8)
    image.setflags(write=False)
    return image
