"""Backgrounds and clutter for generated scenes: gradients, noise, stripes, lines and blobs."""

from __future__ import annotations

import cv2
import numpy as np


def background(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a textured background, shape (side, side, 3), float32, about 20 to 235."""
    canvas = _gradient(rng, side) + _cloud(rng, side)
    if rng.random() < 0.5:
        canvas += _stripes(rng, side)
    return np.clip(canvas, 20, 235).astype(np.float32)


def draw_strokes(rng: np.random.Generator, canvas: np.ndarray, count: tuple[int, int]) -> None:
    """Draw lines and blobs onto `canvas`, shape (side, side, 3), float32, in place.

    Args:
        rng: source of all random numbers.
        canvas: what to draw on.
        count: smallest and largest number of lines, inclusive. The number of blobs has the same
            range.
    """
    side = canvas.shape[0]
    for _ in range(rng.integers(*count, endpoint=True)):
        layer = np.zeros((side, side), np.float32)
        start, end = rng.integers(0, side, (2, 2)).tolist()
        cv2.line(layer, start, end, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA)
        _shade(rng, canvas, layer, 40.0)
    for _ in range(rng.integers(*count, endpoint=True)):
        layer = np.zeros((side, side), np.float32)
        centre = rng.integers(0, side, 2).tolist()
        axes = rng.integers(side // 64 + 1, side // 8, 2).tolist()
        cv2.ellipse(layer, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
        _shade(rng, canvas, layer, 30.0)


def _shade(rng: np.random.Generator, canvas: np.ndarray, layer: np.ndarray, most: float) -> None:
    """Lighten or darken `canvas` in place by up to `most` grey levels, with a random tint.

    Args:
        rng: source of all random numbers.
        canvas: shape (side, side, 3), float32.
        layer: how strongly each pixel is changed, shape (side, side), 0..1.
        most: largest change of the brightness.
    """
    amount = rng.uniform(0.4 * most, most) * rng.choice([-1.0, 1.0])
    tint = rng.uniform(-0.25 * most, 0.25 * most, 3)
    # Only the rectangle around the shape: most shapes are small, and this is called often.
    x, y, width, height = cv2.boundingRect((layer > 0).astype(np.uint8))
    window = np.s_[y : y + height, x : x + width]
    canvas[window] += layer[window][..., None] * (amount + tint).astype(np.float32)


def _gradient(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a linear blend of two colours of similar brightness, in a random direction."""
    base = (rng.uniform(50, 205) + rng.uniform(-30, 30, 3)).astype(np.float32)
    change = (rng.uniform(-45, 45) + rng.uniform(-20, 20, 3)).astype(np.float32)
    return base + (_along(side, rng.uniform(0, 2 * np.pi)) / side)[..., None] * change


def _cloud(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return smooth colour noise: the sum of a coarse and a finer random grid, both enlarged."""
    total = np.zeros((side, side, 3), np.float32)
    for cells, strength in ((int(rng.integers(3, 7)), 18.0), (int(rng.integers(12, 32)), 7.0)):
        grid = rng.normal(0, rng.uniform(0.2, 1.0) * strength, (cells, cells, 1))
        grid = grid + rng.normal(0, 0.3 * strength, (cells, cells, 3))
        smooth = cv2.resize(grid.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        total += smooth
    return total


def _stripes(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return sinusoidal stripes in a random direction, shape (side, side, 1)."""
    period = rng.uniform(side / 24, side / 4)
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    wave = np.sin(_along(side, angle) * np.float32(2 * np.pi / period) + np.float32(phase))
    return np.float32(rng.uniform(3, 14)) * wave[..., None]


def _along(side: int, angle: float) -> np.ndarray:
    """Return how far each pixel is from the centre along a direction, (side, side), float32.

    Args:
        side: side of the square, in pixels.
        angle: the direction, in radians.
    """
    offset = np.arange(side, dtype=np.float32) - (side - 1) / 2
    return offset * np.float32(np.cos(angle)) + offset[:, None] * np.float32(np.sin(angle))
