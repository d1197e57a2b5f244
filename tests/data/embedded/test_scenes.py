"""Labels fit what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from progressive.data.embedded import scenes
from progressive.data.embedded.digits import SPEC, split_samples

SOURCE = load_digits()


@pytest.fixture(scope="module")
def composed() -> list[scenes.Scene]:
    pool = np.arange(100, 400)
    return [
        scenes.compose(np.random.default_rng(seed), SPEC, SOURCE.images, SOURCE.target, pool)
        for seed in range(40)
    ]


def test_no_sample_is_in_both_splits() -> None:
    parts = split_samples(SOURCE.target, 0.25, 0)
    train, val = set(parts["train"].tolist()), set(parts["val"].tolist())
    assert not train & val
    assert train | val == set(range(1797))
    share = np.bincount(SOURCE.target[parts["val"]]) / np.bincount(SOURCE.target)
    assert share.min() > 0.24
    assert share.max() < 0.26
    # All samples differ, so none is in the other split under another index.
    assert len(np.unique(SOURCE.data, axis=0)) == 1797


def test_scenes_use_only_their_pool(composed: list[scenes.Scene]) -> None:
    used = [glyph for scene in composed for glyph in scene.digits]
    assert all(100 <= glyph.sample < 400 for glyph in used)
    assert all(glyph.label == SOURCE.target[glyph.sample] for glyph in used)


def test_scenes_hold_three_to_eight_digits_of_widely_different_size(
    composed: list[scenes.Scene],
) -> None:
    counts = [len(scene.digits) for scene in composed]
    assert min(counts) == 3
    assert max(counts) == 8
    heights = np.array([g.box[3] - g.box[1] for scene in composed for g in scene.digits])
    assert heights.min() < 20
    assert heights.max() > 90
    # Log-uniform: about as many from 14 to 39 pixels as from 39 to 110.
    assert 0.35 < np.mean(heights < 39) < 0.65


def test_boxes_lie_inside_and_hardly_overlap(composed: list[scenes.Scene]) -> None:
    for scene in composed:
        boxes = [glyph.box for glyph in scene.digits]
        assert all(0 < v < 256 for box in boxes for v in box)
        pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
        assert all(scenes.cover(a, b) <= 0.08 for a, b in pairs)


def test_boxes_are_tight_on_the_ink(composed: list[scenes.Scene]) -> None:
    for glyph in (glyph for scene in composed for glyph in scene.digits):
        left, top, right, bottom = glyph.box
        assert glyph.ink.shape == (bottom - top, right - left)
        for border in (glyph.ink[0], glyph.ink[-1], glyph.ink[:, 0], glyph.ink[:, -1]):
            assert border.max() >= 0.15
        canvas = np.full((256, 256, 3), 100, np.float32)
        scenes.paint(canvas, glyph, np.zeros(3, np.float32))
        rows, columns = np.nonzero((canvas != 100).any(axis=2))
        assert (columns.min(), rows.min()) == (left, top)
        assert (columns.max() + 1, rows.max() + 1) == (right, bottom)


def test_ink_stands_out_from_its_surroundings(composed: list[scenes.Scene]) -> None:
    differences = []
    for scene in composed:
        grey = scene.image.mean(axis=2)
        for glyph in scene.digits:
            left, top, right, bottom = glyph.box
            window = grey[top:bottom, left:right]
            inked, bare = glyph.ink > 0.95, glyph.ink == 0
            differences.append(abs(window[inked].mean() - window[bare].mean()))
    assert np.percentile(differences, 5) > 45
    assert np.std(differences) > 15


@pytest.mark.parametrize("height", [14.0, 110.0])
def test_every_sample_can_be_drawn_at_the_asked_height(height: float) -> None:
    step = 1 if height < 20 else 20
    drawn = np.array([scenes.render(image, height, 0.0).shape for image in SOURCE.images[::step]])
    # Strokes begin and end inside the first and last of the 8 rows, so digits are a bit smaller.
    assert 0.6 * height < drawn[:, 0].min()
    assert drawn[:, 0].max() < 1.2 * height


def test_cover() -> None:
    assert scenes.cover((0, 0, 10, 10), (5, 5, 9, 9)) == 1.0
    assert scenes.cover((0, 0, 10, 10), (9, 0, 19, 10)) == 0.1
    assert scenes.cover((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0
    assert scenes.cover((0, 0, 10, 10), (20, 20, 30, 30)) == 0.0


def test_scramble_keeps_the_ink_and_moves_every_quarter() -> None:
    sample = np.zeros((8, 8))
    sample[:4, :4] = np.arange(16).reshape(4, 4)
    for seed in range(20):
        pieces = scenes.scramble(np.random.default_rng(seed), sample)
        assert pieces.sum() == sample.sum()
        assert pieces[:4, :4].sum() == 0
