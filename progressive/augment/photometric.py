"""The pixel operations of RandAugment: they change values and move nothing.

Every function takes a uint8 image of shape (H, W) or (H, W, 3) and a strength, and returns a new
uint8 image of the same shape. The channels of any other image come one by one. A strength means the
same as in PIL (`ImageOps` and `ImageEnhance`) and torchvision. Results differ from PIL's by at most
one grey level, or three for strong sharpening, because PIL truncates where OpenCV rounds.
Arithmetic on whole images is three to six times faster than a table of 256 entries, so tables are
used only where they are necessary.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Shape (H, W) or (H, W, 3).
Image = NDArray[np.uint8]

#: ITU-R 601 luma, as in PIL's "L" and OpenCV's RGB2GRAY.
LUMA = np.array([0.299, 0.587, 0.114])


def autocontrast(image: Image, _strength: float = 0.0) -> Image:
    """Stretch every channel to 0..255 (`PIL.ImageOps.autocontrast`)."""
    columns = image.reshape(image.shape[0], -1)  # reducing whole rows is fast in NumPy
    low = columns.min(axis=0).reshape(image.shape[1], -1).min(axis=0).astype(np.float64)
    high = columns.max(axis=0).reshape(image.shape[1], -1).max(axis=0).astype(np.float64)
    flat = low == high  # nothing to stretch
    scale = np.where(flat, 1.0, 255.0 / np.maximum(high - low, 1.0))
    return _scale(image, scale, np.where(flat, 0.0, -low * scale))


def equalize(image: Image, _strength: float = 0.0) -> Image:
    """Equalise the histogram of every channel (`PIL.ImageOps.equalize`)."""
    if image.ndim == 2:
        return cv2.LUT(image, _flattening_table(image, 0))
    tables = [_flattening_table(image, channel) for channel in range(image.shape[2])]
    return cv2.LUT(image, np.stack(tables, axis=-1)[None])


def invert(image: Image, _strength: float = 0.0) -> Image:
    """Return the negative of the image."""
    return cv2.bitwise_not(image)


def posterize(image: Image, bits: float) -> Image:
    """Keep `bits` bits of each value, 1..8. Fractions of a bit are allowed.

    For integers this is `PIL.ImageOps.posterize`. With fractions, every magnitude is stronger than
    the one before. With integers, the 31 magnitudes would share eight strengths.
    """
    step = 2.0 ** (8.0 - bits)
    table = np.floor(np.floor(np.arange(256) / step) * step)
    return cv2.LUT(image, table.astype(np.uint8))


def solarize(image: Image, threshold: float) -> Image:
    """Invert the values at or above `threshold`, 0..256 (`PIL.ImageOps.solarize`)."""
    below = math.ceil(threshold) - 1
    inverted = cv2.threshold(image, below, 255, cv2.THRESH_BINARY)[1]
    return cv2.bitwise_xor(image, inverted)


def solarize_add(image: Image, addition: float) -> Image:
    """Add `addition` grey levels to the values below 128 (RandAugment's own operation)."""
    added = cv2.threshold(image, 127, min(round(addition), 255), cv2.THRESH_BINARY_INV)[1]
    return cv2.add(image, added)


def color(image: Image, factor: float) -> Image:
    """Scale the saturation: 0 is grey, 1 is the image itself (`PIL.ImageEnhance.Color`).

    A grey image has no saturation and is returned unchanged.
    """
    if image.ndim == 2:
        return image
    return cv2.transform(image, factor * np.eye(3) + (1.0 - factor) * LUMA)


def contrast(image: Image, factor: float) -> Image:
    """Scale the distance from the mean: 0 is flat, 1 the image (`PIL.ImageEnhance.Contrast`)."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean = math.floor(cv2.mean(grey)[0] + 0.5)
    return _scale(image, factor, (1.0 - factor) * mean)


def brightness(image: Image, factor: float) -> Image:
    """Scale every value: 0 is black, 1 is the image itself (`PIL.ImageEnhance.Brightness`)."""
    return _scale(image, factor, 0.0)


def sharpness(image: Image, factor: float) -> Image:
    """Blend with a 3x3 blur: 0 is the blur, 1 is the image (`PIL.ImageEnhance.Sharpness`).

    In PIL's blur the centre has the weight 5/13 and each of its eight neighbours 1/13. That equals
    9/13 of a box blur plus 4/13 of the image, and a box blur is several times faster than a general
    3x3 filter. As in PIL, the outermost pixels do not change.
    """
    blur_share = (1.0 - factor) * 9.0 / 13.0
    sharpened = cv2.addWeighted(image, 1.0 - blur_share, cv2.blur(image, (3, 3)), blur_share, 0.0)
    for border in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        sharpened[border] = image[border]
    return sharpened


def _scale(image: Image, scale: ArrayLike, shift: ArrayLike) -> Image:
    """Return `scale * value + shift`, clipped to 0..255.

    Args:
        image: the image.
        scale: a number, or one for each channel.
        shift: a number, or one for each channel.
    """
    channels = 1 if image.ndim == 2 else image.shape[2]
    matrix = np.zeros((channels, channels + 1))
    np.fill_diagonal(matrix, scale)
    matrix[:, -1] = shift
    return cv2.transform(image, matrix)


def _flattening_table(image: Image, channel: int) -> Image:
    """Return the table of 256 entries that equalises a channel, in PIL's integer arithmetic."""
    counts = cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel().astype(np.int64)
    occupied = counts[counts > 0]
    step = (occupied.sum() - occupied[-1]) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = np.cumsum(counts) - counts
    return np.clip((step // 2 + below) // step, 0, 255).astype(np.uint8)
