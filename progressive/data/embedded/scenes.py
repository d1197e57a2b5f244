"""Compose one scene: a background, clutter, and digits with tight boxes.

This module only draws. Files and caching are in `digits.py`. All random numbers come from the
generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from progressive.data.embedded.backgrounds import background, draw_strokes

if TYPE_CHECKING:
    from progressive.data.embedded.specs import DigitsSpec

#: Left, top, right, bottom in pixels; right and bottom are exclusive.
Box = tuple[int, int, int, int]

#: Side in pixels, and largest value, of scikit-learn's digits.
SAMPLE_SIDE, SAMPLE_MAX = 8, 16.0

#: Coverage from which a pixel counts as ink. Fainter pixels are not drawn, so boxes are tight.
VISIBLE = 0.15

#: Pixels that stay free between a box and the border of the scene.
MARGIN = 2

#: Number of random places that are tried for a glyph before it is drawn smaller.
ATTEMPTS = 25


@dataclass(frozen=True)
class Glyph:
    """A digit, or a fragment of one, as drawn in a scene.

    Attributes:
        label: class of the digit; -1 for a fragment, which has no label.
        sample: index of the handwritten sample that it was drawn from.
        box: the tightest box around the ink.
        ink: coverage of each pixel of the box, shape (bottom - top, right - left), 0..1.
    """

    label: int
    sample: int
    box: Box
    ink: np.ndarray


@dataclass(frozen=True)
class Scene:
    """An image and the digits in it.

    Attributes:
        image: shape (side, side, 3), uint8, BGR.
        digits: the labelled digits, without fragments.
    """

    image: np.ndarray
    digits: tuple[Glyph, ...]


def compose(
    rng: np.random.Generator,
    spec: DigitsSpec,
    samples: np.ndarray,
    labels: np.ndarray,
    pool: np.ndarray,
) -> Scene:
    """Draw one scene.

    Args:
        rng: source of all random numbers.
        spec: sizes, counts and contrasts.
        samples: all handwritten digits, shape (n, 8, 8), 0..16.
        labels: their classes, shape (n,).
        pool: indices of the samples that may be used, for digits and for fragments.
    """
    canvas = background(rng, spec.side)
    draw_strokes(rng, canvas, spec.strokes)
    digits = int(rng.integers(*spec.count, endpoint=True))
    fragments = int(rng.integers(*spec.fragments, endpoint=True))
    smallest, largest = np.log(spec.height).tolist()
    heights = np.exp(rng.uniform(smallest, largest, digits + fragments))
    # Large digits first, because a small one still finds room between large ones.
    heights[:digits] = np.sort(heights[:digits])[::-1]
    chosen = rng.choice(pool, digits + fragments, replace=False)

    placed: list[Glyph] = []
    for position, (sample, height) in enumerate(zip(chosen, heights, strict=True)):
        is_digit = position < digits
        strokes = samples[sample] if is_digit else scramble(rng, samples[sample])
        label = int(labels[sample]) if is_digit else -1
        glyph = _place(rng, spec, strokes, float(height), label, int(sample), placed)
        if glyph is not None:
            placed.append(glyph)
            paint(canvas, glyph, _ink_colour(rng, spec, canvas, glyph.box))
    grain = rng.standard_normal((spec.side, spec.side, 1), np.float32)
    canvas += np.float32(rng.uniform(1.0, 5.0)) * grain
    image = np.clip(canvas, 0, 255).round().astype(np.uint8)
    return Scene(image, tuple(glyph for glyph in placed if glyph.label >= 0))


def render(sample: np.ndarray, height: float, angle: float) -> np.ndarray:
    """Enlarge, smooth and rotate a handwritten sample.

    Args:
        sample: shape (8, 8), 0..16.
        height: height in pixels that the 8 rows of the sample are enlarged to.
        angle: rotation in degrees, counter-clockwise.

    Returns:
        Coverage of each pixel, 0..1, cropped to the ink: the first and last row and column contain
        ink.
    """
    padded = np.pad(np.asarray(sample, np.float32) / SAMPLE_MAX, 3)
    # Draw at twice the size and halve it, so that small digits have smooth edges too.
    side = max(2 * round(height * padded.shape[0] / SAMPLE_SIDE), 4)
    big = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
    big = cv2.warpAffine(big, turn, (side, side), flags=cv2.INTER_LINEAR)
    # Make the edges steeper than the enlargement left them, like those of a pen.
    edge = np.clip((big - 0.3) / 0.4, 0.0, 1.0)
    smooth = edge * edge * (3.0 - 2.0 * edge)
    ink = cv2.resize(smooth, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    ink[ink < VISIBLE] = 0.0
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scramble(rng: np.random.Generator, sample: np.ndarray) -> np.ndarray:
    """Return a sample, shape (8, 8), that is not a digit any more.

    Each quarter of the sample moves to another place and is rotated by 90 or 270 degrees.
    """
    half = SAMPLE_SIDE // 2
    quarters = [sample[r : r + half, c : c + half] for r in (0, half) for c in (0, half)]
    order = np.roll(np.arange(4), rng.integers(1, 4))
    turned = [np.rot90(quarters[i], int(rng.choice([1, 3]))) for i in order]
    return np.block([turned[:2], turned[2:]])


def paint(canvas: np.ndarray, glyph: Glyph, colour: np.ndarray) -> None:
    """Draw a glyph onto `canvas`, shape (side, side, 3), float32, in place."""
    left, top, right, bottom = glyph.box
    window = canvas[top:bottom, left:right]
    window += glyph.ink[..., None] * (colour - window)


def cover(a: Box, b: Box) -> float:
    """Return the fraction of the smaller box that lies inside the other one, in 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0) * max(height, 0) / smaller


def _place(
    rng: np.random.Generator,
    spec: DigitsSpec,
    strokes: np.ndarray,
    height: float,
    label: int,
    sample: int,
    placed: list[Glyph],
) -> Glyph | None:
    """Find a free place for a glyph and make it smaller if needed; None if the scene is full."""
    angle = rng.uniform(-spec.rotation, spec.rotation)
    while True:
        ink = render(strokes, height, angle)
        rows, columns = ink.shape
        for _ in range(ATTEMPTS):
            left = int(rng.integers(MARGIN, spec.side - MARGIN - columns, endpoint=True))
            top = int(rng.integers(MARGIN, spec.side - MARGIN - rows, endpoint=True))
            box = (left, top, left + columns, top + rows)
            if all(cover(box, other.box) <= spec.max_cover for other in placed):
                return Glyph(label, sample, box, ink)
        if height <= spec.height[0]:
            return None
        height = max(height * 0.75, spec.height[0])


def _ink_colour(
    rng: np.random.Generator, spec: DigitsSpec, canvas: np.ndarray, box: Box
) -> np.ndarray:
    """Choose a colour, shape (3,), that stands out from what lies under `box`."""
    left, top, right, bottom = box
    under = canvas[top:bottom, left:right].mean(axis=(0, 1))
    grey = float(under.mean())
    difference = rng.uniform(*spec.contrast)
    darker = rng.random() < 0.5
    # If this contrast does not fit between black and white, use the other direction.
    if (darker and grey < difference) or (not darker and grey > 255 - difference):
        darker = not darker
    target = grey - difference if darker else grey + difference
    tint = rng.uniform(-25.0, 25.0, 3)
    return np.clip(target + tint - tint.mean(), 0, 255).astype(np.float32)
