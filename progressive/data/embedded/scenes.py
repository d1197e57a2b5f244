"""Compose one scene: a background, clutter, and digits with tight boxes.

Only drawing happens here; files and caching are in `digits.py`. Everything random comes from
the generator passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from progressive.data.embedded.backgrounds import background, draw_strokes

if TYPE_CHECKING:
    from progressive.data.embedded.specs import DigitsSpec

Box = tuple[int, int, int, int]

SAMPLE_SIDE = 8
SAMPLE_MAX = 16.0
VISIBLE = 0.15
"""Coverage from which a pixel counts as ink. Fainter pixels are not drawn, so boxes are tight."""
MARGIN = 2
"""Pixels kept free between a box and the border of the scene."""
ATTEMPTS = 25
"""Places tried for a glyph before it is drawn smaller."""


@dataclass(frozen=True)
class Glyph:
    """A digit, or a piece of one, as drawn in a scene."""

    label: int
    """Class of the digit; -1 for an unlabelled fragment."""
    sample: int
    """Index of the handwritten sample it was drawn from."""
    box: Box
    """Left, top, right, bottom in pixels; right and bottom are exclusive."""
    ink: np.ndarray
    """Coverage of each pixel of the box, shape (bottom - top, right - left), 0 to 1."""


@dataclass(frozen=True)
class Scene:
    """An image and the digits in it."""

    image: np.ndarray
    """Shape (side, side, 3), uint8, BGR."""
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
        rng: consumed; the scene depends on nothing else that is random.
        spec: sizes, counts and contrasts.
        samples: all handwritten digits, shape (n, 8, 8), 0 to 16.
        labels: their classes, shape (n,).
        pool: indices of the samples this scene may use, for digits and for fragments.
    """
    canvas = background(rng, spec.side)
    draw_strokes(rng, canvas, spec.strokes)
    digits = int(rng.integers(*spec.count, endpoint=True))
    fragments = int(rng.integers(*spec.fragments, endpoint=True))
    smallest, largest = np.log(spec.height).tolist()
    heights = np.exp(rng.uniform(smallest, largest, digits + fragments))
    # Large digits first: a small one always finds room between them, not the other way round.
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
    """Draw a sample large, smooth and turned.

    Args:
        sample: shape (8, 8), 0 to 16.
        height: pixels that the sample's 8 rows become.
        angle: degrees, counter-clockwise.

    Returns:
        Coverage 0 to 1, cropped to the ink: every border row and column has a pixel of ink.
    """
    padded = np.pad(np.asarray(sample, np.float32) / SAMPLE_MAX, 3)
    # Twice the size, then halved: small digits keep smooth edges.
    side = max(2 * round(height * padded.shape[0] / SAMPLE_SIDE), 4)
    big = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
    big = cv2.warpAffine(big, turn, (side, side), flags=cv2.INTER_LINEAR)
    # An edge a little steeper than the blur of the enlargement, as a pen would leave.
    edge = np.clip((big - 0.3) / 0.4, 0.0, 1.0)
    smooth = edge * edge * (3.0 - 2.0 * edge)
    ink = cv2.resize(smooth, (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    ink[ink < VISIBLE] = 0.0
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scramble(rng: np.random.Generator, sample: np.ndarray) -> np.ndarray:
    """Return strokes that are no digit: the sample's quarters exchanged and turned.

    Shape (8, 8) in and out. Every quarter leaves its place and is turned by 90 or 270 degrees.
    """
    half = SAMPLE_SIDE // 2
    quarters = [sample[r : r + half, c : c + half] for r in (0, half) for c in (0, half)]
    order = np.roll(np.arange(4), rng.integers(1, 4))
    turned = [np.rot90(quarters[i], int(rng.choice([1, 3]))) for i in order]
    return np.block([turned[:2], turned[2:]])


def paint(canvas: np.ndarray, glyph: Glyph, colour: np.ndarray) -> None:
    """Lay the glyph's ink over `canvas`, shape (side, side, 3), float32, in place."""
    left, top, right, bottom = glyph.box
    window = canvas[top:bottom, left:right]
    window += glyph.ink[..., None] * (colour - window)


def cover(a: Box, b: Box) -> float:
    """Return the share of the smaller box that lies inside the other, 0 to 1."""
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
    """Find a free place for a glyph, shrinking it as needed; None when the scene is full."""
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
    # Keep the drawn contrast where it fits between black and white, else take the other side.
    if (darker and grey < difference) or (not darker and grey > 255 - difference):
        darker = not darker
    target = grey - difference if darker else grey + difference
    tint = rng.uniform(-25.0, 25.0, 3)
    return np.clip(target + tint - tint.mean(), 0, 255).astype(np.float32)
