"""Labels are painted into an image and found again after the transform."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progressive.augment import RandAugment

HEIGHT, WIDTH = 150, 220
BOXES = np.array(
    [
        [10, 12, 60, 50],
        [90, 40, 130, 110],
        [180, 5, 215, 30],
        [0, 100, 40, 150],
        [150, 80, 220, 140],
    ]
)
GEOMETRIC = ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"]
OUTWARDS = np.array([-1, -1, 1, 1])
CASES = [([name], m) for name in GEOMETRIC for m in (2, 9, 17)] + [(GEOMETRIC, m) for m in (3, 8)]


def paint(box):
    """Return a black image with a white box."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def bounds(found):
    """Return the box around the true pixels, as pascal_voc."""
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def augment(operations, magnitude, box, seed, keypoints=(), num_ops=1):
    transform = RandAugment(num_ops, magnitude, operations=operations, fill=0)
    compose = A.Compose(
        [transform],
        bbox_params=A.BboxParams(format="pascal_voc"),
        keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
        seed=seed,
    )
    image = paint(box)
    return compose(
        image=image,
        mask=image // 255 * 7,
        bboxes=np.array([[*box, 0]], dtype=np.float32),
        keypoints=np.array(keypoints, dtype=np.float32).reshape(-1, 2),
    )


@pytest.mark.parametrize(("operations", "magnitude"), CASES)
def test_boxes_and_masks_are_where_the_paint_is(operations, magnitude):
    kept = 0
    for box in BOXES:
        area = (box[2] - box[0]) * (box[3] - box[1])
        for seed in range(4):
            result = augment(operations, magnitude, box, seed, num_ops=len(operations))
            image, mask = result["image"] > 127, result["mask"]
            assert set(np.unique(mask)) <= {0, 7}
            assert ((mask == 7) != image).sum() <= 0.02 * area + 8  # only at the edges
            if len(result["bboxes"]):
                kept += 1
                slack = (result["bboxes"][0, :4] - bounds(image)) * OUTWARDS
                # All paint is in the box. The box may be larger, where the border of the image
                # leaves a sharp corner too thin to fill a pixel.
                assert (slack > -1).all()
                assert (slack < 3).all()
                assert image.sum() >= 0.09 * area
            else:
                assert image.sum() <= 0.11 * area
    assert kept >= 5


@pytest.mark.parametrize(("operations", "magnitude"), CASES)
def test_keypoints_are_where_the_paint_is(operations, magnitude):
    spots = 0
    for x, y in [(60, 40), (110, 75), (170, 120)]:
        for seed in range(4):
            spot = np.array([x - 3, y - 3, x + 3, y + 3])
            result = augment(operations, magnitude, spot, seed, [(x, y)], len(operations))
            keypoint = result["keypoints"][0]
            if not all(keypoint > 6) or not all(keypoint < np.array([WIDTH, HEIGHT]) - 6):
                continue  # the border may cut the spot
            spots += 1
            rows, columns = np.nonzero(result["image"] > 127)
            centre = columns.mean() + 0.5, rows.mean() + 0.5
            assert keypoint == pytest.approx(centre, abs=0.5)
    assert spots


@pytest.mark.parametrize("magnitude", [4, 12, 25])
def test_a_box_is_dropped_when_cutout_leaves_less_than_a_tenth(magnitude):
    outcomes = set()
    for seed in range(150):
        box = BOXES[seed % len(BOXES)]
        result = augment(["Cutout"], magnitude, box, seed)
        share = (result["image"] == 255).sum() / (paint(box) == 255).sum()
        outcomes.add(kept := len(result["bboxes"]) == 1)
        assert kept == (share >= 0.1)
        if kept:
            assert result["bboxes"][0, :4] == pytest.approx(box, abs=1e-3)
        assert np.array_equal(result["mask"] == 7, result["image"] == 255)
    assert outcomes == ({True} if magnitude == 4 else {True, False})


def test_masks_in_a_stack_move_with_the_image():
    image = paint(BOXES[1])
    transform = RandAugment(2, 9, operations=GEOMETRIC, fill=0)
    result = transform(image=image, masks=np.stack([image, 255 - image]))
    first, second = result["masks"]
    assert ((first == 255) != (result["image"] > 127)).mean() < 0.01
    assert not (first & second).any()
    assert second.any()


@st.composite
def labelled_images(draw):
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    side = st.floats(0, 1, width=32)
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        (x0, x1), (y0, y1) = sorted((draw(side), draw(side))), sorted((draw(side), draw(side)))
        if x0 < x1 and y0 < y1:
            boxes.append([x0, y0, x1, y1])
    channels = draw(st.sampled_from([(), (1,), (3,)]))
    image = np.full((height, width, *channels), draw(st.integers(0, 255)), np.uint8)
    return image, np.array(boxes, dtype=np.float32).reshape(-1, 4)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(labelled_images(), st.floats(0, 30), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_boxes_stay_valid_whatever_happens(sample, magnitude, num_ops, seed):
    image, boxes = sample
    compose = A.Compose(
        [RandAugment(num_ops, magnitude), RandAugment(num_ops, magnitude)],
        bbox_params=A.BboxParams(format="albumentations", label_fields=["ids"]),
        seed=seed,
    )
    result = compose(image=image, bboxes=boxes, ids=np.arange(len(boxes)))
    moved = result["bboxes"]
    assert len(moved) == len(result["ids"]) <= len(boxes)
    assert ((moved >= 0) & (moved <= 1)).all()
    assert (moved[:, 2:4] > moved[:, :2]).all()
    assert result["image"].shape == image.shape
