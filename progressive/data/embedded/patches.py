"""Cut a patch from a photograph and blur a copy of it.

This module makes pixels only. Files and caching are in `blur.py`. All random numbers come from the
generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from progressive.data.embedded.specs import BlurSpec

#: Kinds of blur; see `kernel`.
KINDS = ("gaussian", "defocus", "motion")

#: Side in pixels of the blocks in which texture is measured.
BLOCK = 16

#: Each pixel of a kernel is the mean of this many sample points along each side.
OVERSAMPLE = 8

#: Number of random places that are tried in a photograph before giving up.
ATTEMPTS = 1000


@dataclass(frozen=True)
class Pair:
    """The same patch sharp and blurred, before `expose`.

    Attributes:
        sharp: shape (side, side, 3), float32, BGR.
        blurred: the same.
        kind: one of `KINDS`.
        sigma: standard deviation of the blur in pixels; of a motion blur, along its direction.
    """

    sharp: np.ndarray
    blurred: np.ndarray
    kind: str
    sigma: float


def cut_pair(
    rng: np.random.Generator, spec: BlurSpec, photograph: np.ndarray, scale: tuple[float, float]
) -> Pair:
    """Cut one textured patch from a photograph and blur a copy of it.

    Args:
        rng: source of all random numbers.
        spec: size of the patch, what counts as texture, and strength of the blur.
        photograph: shape (height, width, 3), uint8, BGR.
        scale: smallest and largest factor by which the photograph is resized.

    Raises:
        ValueError: no place with enough texture was found.
    """
    margin = reach(spec.sigma[1])
    window = _textured_window(rng, spec, photograph, scale, margin)
    kind = str(rng.choice(KINDS))
    smallest, largest = np.log(spec.sigma).tolist()
    sigma = math.exp(rng.uniform(smallest, largest))
    blurred = cv2.filter2D(window, -1, kernel(kind, sigma, rng.uniform(0, np.pi)))
    # Cut after the blur, so that the blur at the border uses the real pixels beyond it.
    inside = np.s_[margin:-margin, margin:-margin]
    return Pair(window[inside], blurred[inside], kind, sigma)


def expose(
    rng: np.random.Generator, spec: BlurSpec, patch: np.ndarray, exposure: float
) -> np.ndarray:
    """Return the patch as a camera would record it: with exposure and noise, as uint8.

    Sharp and blurred patches get the same kind of noise, after the blur. Otherwise missing noise
    would reveal the class.

    Args:
        rng: source of all random numbers.
        spec: strength of the noise.
        patch: shape (side, side, 3), float32, 0..255.
        exposure: factor that every pixel is multiplied by.
    """
    noise = rng.standard_normal(patch.shape, np.float32) * np.float32(rng.uniform(*spec.noise))
    return np.clip(patch * np.float32(exposure) + noise, 0, 255).round().astype(np.uint8)


def reach(sigma: float) -> int:
    """Return how many pixels a kernel extends to each side: three standard deviations."""
    return math.ceil(3 * sigma)


def kernel(kind: str, sigma: float, angle: float) -> np.ndarray:
    """Return a blur kernel with sum 1, shape (2 * reach + 1, 2 * reach + 1), float32.

    Args:
        kind: 'gaussian'; 'defocus', a disk of radius 2 sigma, as a point looks out of focus; or
            'motion', a line of length sqrt(12) sigma, one pixel wide.
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
    """Return the fraction of a patch's blocks that are textured, in 0..1.

    Measured in blocks, because one strong edge in a clear sky would make the whole patch count.

    Args:
        patch: shape (side, side, 3), float32; side is a multiple of BLOCK.
        threshold: variance of the Laplacian above which a block is textured.
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
    """Return a random resized cut-out: a textured patch with `margin` more pixels on each side.

    Args:
        rng: source of all random numbers.
        spec: size of the patch and what counts as texture.
        photograph: as in `cut_pair`.
        scale: as in `cut_pair`.
        margin: number of extra pixels.

    Raises:
        ValueError: no place with enough texture was found.
    """
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
