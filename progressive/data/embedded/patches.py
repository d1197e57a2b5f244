"""Cut a patch from a photograph, twice: once sharp and once blurred.

Only pixels are made here; files and caching are in `blur.py`. Everything random comes from
the generator passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from progressive.data.embedded.specs import BlurSpec

KINDS = ("gaussian", "defocus", "motion")
BLOCK = 16
"""Side of the blocks, in pixels, in which texture is measured."""
OVERSAMPLE = 8
"""Points a pixel of a kernel is sampled at, along each side."""
ATTEMPTS = 1000
"""Places tried in a photograph before it is called too smooth."""


@dataclass(frozen=True)
class Pair:
    """The same patch sharp and blurred: shape (side, side, 3), float32, BGR, not yet exposed."""

    sharp: np.ndarray
    blurred: np.ndarray
    kind: str
    sigma: float
    """Standard deviation of the blur in pixels, along its direction if it has one."""


def cut_pair(
    rng: np.random.Generator, spec: BlurSpec, photograph: np.ndarray, scale: tuple[float, float]
) -> Pair:
    """Cut one textured patch from a photograph and blur a copy of it.

    Args:
        rng: consumed; the pair depends on nothing else that is random.
        spec: size of the patch, what counts as texture, and strength of the blur.
        photograph: shape (height, width, 3), uint8, BGR.
        scale: smallest and largest factor the photograph is reduced by.

    Raises:
        ValueError: no place with enough texture was found.
    """
    margin = reach(spec.sigma[1])
    window = _textured_window(rng, spec, photograph, scale, margin)
    kind = str(rng.choice(KINDS))
    smallest, largest = np.log(spec.sigma).tolist()
    sigma = math.exp(rng.uniform(smallest, largest))
    blurred = cv2.filter2D(window, -1, kernel(kind, sigma, rng.uniform(0, np.pi)))
    # Cut after the blur: the borders of a patch are made of what lay beyond them, in both.
    inside = np.s_[margin:-margin, margin:-margin]
    return Pair(window[inside], blurred[inside], kind, sigma)


def expose(
    rng: np.random.Generator, spec: BlurSpec, patch: np.ndarray, exposure: float
) -> np.ndarray:
    """Return what a camera would: the patch brightened, with noise, as uint8.

    The noise comes after the blur and alike on sharp and blurred: its absence must tell nothing.

    Args:
        rng: consumed.
        spec: how much noise.
        patch: shape (side, side, 3), float32, 0 to 255.
        exposure: factor on every pixel.
    """
    noise = rng.standard_normal(patch.shape, np.float32) * np.float32(rng.uniform(*spec.noise))
    return np.clip(patch * np.float32(exposure) + noise, 0, 255).round().astype(np.uint8)


def reach(sigma: float) -> int:
    """Return how many pixels a blur looks to either side: three standard deviations."""
    return math.ceil(3 * sigma)


def kernel(kind: str, sigma: float, angle: float) -> np.ndarray:
    """Return a blur kernel with sum 1, shape (2 * reach + 1, 2 * reach + 1), float32.

    Args:
        kind: 'gaussian'; 'defocus', the disk a point becomes out of focus, of radius 2 sigma; or
            'motion', a line of length sqrt(12) sigma and one pixel wide.
        sigma: standard deviation in pixels; of 'motion', along the line.
        angle: direction of 'motion' in radians.
    """
    side = 2 * reach(sigma) + 1
    fine = (np.arange(side * OVERSAMPLE) + 0.5) / OVERSAMPLE - side / 2
    x, y = fine[None, :], fine[:, None]
    if kind == "gaussian":
        values = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    elif kind == "defocus":
        values = (x**2 + y**2 <= (2 * sigma) ** 2).astype(np.float64)
    else:
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        values = ((np.abs(along) <= math.sqrt(3) * sigma) & (np.abs(across) <= 0.5)).astype(float)
    pixels = values.reshape(side, OVERSAMPLE, side, OVERSAMPLE).sum(axis=(1, 3))
    return (pixels / pixels.sum()).astype(np.float32)


def textured_share(patch: np.ndarray, threshold: float) -> float:
    """Return the share of a patch's blocks that are textured, 0 to 1.

    By blocks, because one strong edge through a clear sky would carry the whole patch.

    Args:
        patch: shape (side, side, 3), float32; side is a multiple of BLOCK.
        threshold: variance of the Laplacian from which a block counts.
    """
    grey = cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY)
    rows, columns = (length // BLOCK for length in grey.shape)
    blocks = cv2.Laplacian(grey, cv2.CV_32F).reshape(rows, BLOCK, columns, BLOCK)
    return float((blocks.var(axis=(1, 3)) > threshold).mean())


def _textured_window(
    rng: np.random.Generator,
    spec: BlurSpec,
    photograph: np.ndarray,
    scale: tuple[float, float],
    margin: int,
) -> np.ndarray:
    """Return a reduced cut-out with a textured middle and `margin` more pixels on every side."""
    wanted = spec.side + 2 * margin
    height, width = photograph.shape[:2]
    for _ in range(ATTEMPTS):
        side = min(round(wanted / rng.uniform(*scale)), height, width)
        top = int(rng.integers(height - side, endpoint=True))
        left = int(rng.integers(width - side, endpoint=True))
        piece = photograph[top : top + side, left : left + side]
        window = cv2.resize(piece, (wanted, wanted), interpolation=cv2.INTER_AREA)
        window = window.astype(np.float32)
        middle = window[margin:-margin, margin:-margin]
        if textured_share(middle, spec.texture) >= spec.textured:
            return window
    raise ValueError(f"no patch with texture in {spec.textured:.0%} of its blocks")
