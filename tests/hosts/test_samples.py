"""Samples in every type and with every box that a data set may hold, at every magnitude alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from progressive.errors import InputError
from progressive.hosts.pytorch import collate_detection, mixup_detection, randaugment_detection

IMAGE = np.full((60, 80, 3), 100, np.uint8)
MAGNITUDES = pytest.mark.parametrize("magnitude", [0, 9, 30])

#: Boxes of which nothing is left in an image of 80 x 60 pixels.
NO_BOXES = {
    "no width": [10, 10, 10, 20],
    "no height": [10, 10, 20, 10],
    "a point": [5, 5, 5, 5],
    "right of it": [90, 10, 120, 20],
    "above it": [10, -30, 20, -1],
    "touches it": [80, 0, 90, 10],
    "ends before it starts": [30, 30, 20, 40],
    "too thin for float32": [10, 10, 10 + 1e-9, 20],
    "thin at the border": [80 - 1e-7, 0, 90, 10],
    "not a number": [float("nan"), 1, 5, 5],
}


@MAGNITUDES
@pytest.mark.parametrize("box", NO_BOXES.values(), ids=NO_BOXES)
def test_a_box_that_is_none_is_dropped_with_its_label(box, magnitude):
    for seed in range(8):
        torch.manual_seed(seed)
        boxes = np.array([box, [20, 20, 60, 50], box])
        _, found, labels = randaugment_detection(IMAGE, boxes, np.array([7, 3, 7]), magnitude)
        assert found.shape == (len(labels), 4)
        assert set(labels) <= {3}
        if magnitude == 0:
            assert found.tolist() == [[20, 20, 60, 50]]
        _, found, labels = randaugment_detection(IMAGE, boxes[:1], [7], magnitude)
        assert (found.shape, labels) == ((0, 4), [])


@MAGNITUDES
def test_a_box_is_cut_to_its_image(magnitude):
    torch.manual_seed(0)
    box = [[-10, -np.inf, 70, 200]]
    _, found, _ = randaugment_detection(IMAGE, np.array(box), ["a"], magnitude)
    assert (found >= 0).all()  # at a large magnitude it may be moved out, and there is none
    assert (found[:, 2:] <= (80, 60)).all()
    if magnitude == 0:
        assert found.tolist() == [[0, 0, 70, 60]]


@MAGNITUDES
@pytest.mark.parametrize(
    ("boxes", "labels"),
    [
        ([[20, 20, 60, 50], [1, 2, 30, 40]], ["cat", "dog"]),
        ([(20, 20, 60, 50), (1, 2, 30, 40)], (1, 2)),
        (np.array([[20, 20, 60, 50], [1, 2, 30, 40]]), np.array([1, 2])),
        (torch.tensor([[20, 20, 60, 50], [1, 2, 30, 40]]), torch.tensor([1, 2])),
        (torch.tensor([[20.0, 20, 60, 50], [1, 2, 30, 40]]), [1, 2]),
        ([], []),
        (np.array([]), np.array([])),
        (torch.tensor([]), torch.tensor([])),
        (np.zeros((0, 4), np.float32), ()),
    ],
)
def test_boxes_and_labels_of_every_type(boxes, labels, magnitude):
    torch.manual_seed(1)
    _, found, kept = randaugment_detection(IMAGE, boxes, labels, magnitude)
    assert isinstance(found, torch.Tensor if isinstance(boxes, torch.Tensor) else np.ndarray)
    assert type(kept) is type(labels)
    assert tuple(found.shape) == (len(kept), 4)
    if magnitude == 0:
        assert np.asarray(found).tolist() == np.asarray(boxes).reshape(-1, 4).tolist()
        assert list(kept) == list(labels)


def test_boxes_of_whole_numbers_are_rounded():
    boxes = torch.tensor([[20, 20, 60, 50], [1, 2, 30, 40], [7, 7, 8, 8]])
    moved = 0
    for seed in range(20):
        both = []
        for given in (boxes, boxes.double()):
            torch.manual_seed(seed)
            both.append(randaugment_detection(IMAGE, given, [0, 1, 2], 9)[1:])
        (whole, kept), (exact, labels) = both
        assert whole.dtype == torch.int64
        assert (whole[:, 2:] > whole[:, :2]).all()  # a pixel may shrink to nothing
        exact = exact[[labels.index(label) for label in kept]]
        assert (whole - exact).abs().max() <= 0.5
        moved += bool((exact % 1).any())
    assert moved > 5


@MAGNITUDES
@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 1), (60, 80, 2), (60, 80, 4), (60, 80, 10)])
def test_images_of_any_channels(shape, magnitude):
    torch.manual_seed(2)
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    out, _, _ = randaugment_detection(image, [[1, 2, 30, 40]], [0], magnitude)
    assert (out.shape, out.dtype) == (shape, np.uint8)
    assert np.array_equal(out, image) == (magnitude == 0)


@MAGNITUDES
def test_an_image_of_pillow(magnitude):
    out, _, _ = randaugment_detection(Image.fromarray(IMAGE), [[1, 2, 30, 40]], [0], magnitude)
    assert out.shape == IMAGE.shape


@MAGNITUDES
@pytest.mark.parametrize(
    ("image", "boxes", "labels", "message"),
    [
        (
            IMAGE / 255,
            [],
            [],
            r"image: must be a uint8 array .* got ndarray of float64 \(60, 80, 3",
        ),
        (torch.zeros(3, 60, 80), [], [], r"got Tensor of float32 \(3, 60, 80\)"),
        (IMAGE[None], [], [], r"got ndarray of uint8 \(1, 60, 80, 3\)"),
        ("a.jpg", [], [], "image: must be a uint8 array .* got 'a.jpg'"),
        (None, [], [], "image: must be a uint8 array .* got None"),
        (IMAGE, [1, 2, 3, 4], [0], r"boxes: must be \(N, 4\), .* got \[1, 2, 3, 4\]"),
        (IMAGE, np.zeros((2, 5)), [0, 0], r"got ndarray of float64 \(2, 5\)"),
        (IMAGE, [[1, 2, 3]], [0], r"boxes: must be \(N, 4\)"),
        (IMAGE, [[1, 2, 3, 4], [1]], [0, 0], r"boxes: must be \(N, 4\)"),
        (IMAGE, [["a", "b", "c", "d"]], [0], r"boxes: must be \(N, 4\)"),
        (IMAGE, None, [], r"boxes: must be \(N, 4\), .* got None"),
        (IMAGE, [[1, 2, 3, 4]], [0, 1], r"labels=\[0, 1\]: must be one for each of 1 boxes"),
        (IMAGE, [[1, 2, 3, 4]], 0, r"labels=0: must be one for each of 1 boxes"),
    ],
)
def test_what_cannot_be_augmented_is_refused_at_every_magnitude(
    image, boxes, labels, message, magnitude
):
    with pytest.raises(InputError, match=message) as error:
        randaugment_detection(image, boxes, labels, magnitude)
    assert "\n" not in str(error.value)


def target(index, **more):
    return {"boxes": torch.full((1, 4), float(index)), "labels": torch.tensor([index]), **more}


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("uint8", 1), ("int16", 1), ("float16", 0.2), ("float32", 1e-3), ("float64", 1e-3)],
)
def test_mixup_of_images_of_every_type(kind, tolerance):
    dtype = getattr(torch, kind)
    images = torch.tensor([0, 200]).to(dtype).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, joined = mixup_detection(images, [target(0), target(1)], 1.0)
        assert mixed.dtype == dtype
        if len(joined[0]["labels"]) == 2:  # blended with the other one: near the middle of both
            level = float(mixed[0, 0, 0, 0])
            assert 40 < level < 160
            assert torch.allclose(mixed[0].double(), torch.tensor(level).double(), atol=tolerance)
            return
    pytest.fail("nothing was blended")


@pytest.mark.parametrize(
    "image_id",
    [lambda i: i, torch.tensor, lambda i: torch.tensor([i]), lambda i: f"{i}.jpg", lambda i: [i]],
)
def test_what_belongs_to_the_image_stays(image_id):
    torch.manual_seed(0)
    size = torch.tensor([4, 4])
    targets = [
        target(i, image_id=image_id(i), orig_size=size, area=[float(i)], iscrowd=np.array([0]))
        for i in range(8)
    ]
    _, joined = mixup_detection(torch.zeros(8, 3, 4, 4), targets, 1.0)
    assert any(len(found["labels"]) == 2 for found in joined)
    for index, found in enumerate(joined):
        assert found["image_id"] == image_id(index)
        assert found["orig_size"] is size
        objects = [int(label) for label in found["labels"]]
        assert found["boxes"][:, 0].tolist() == objects
        assert found["area"] == objects
        assert found["iscrowd"].shape == (len(objects),)


@pytest.mark.parametrize("probability", [0, 1.0])
def test_targets_of_every_type(probability):
    torch.manual_seed(0)
    kinds = [
        {"boxes": [], "labels": []},
        {"boxes": [[1, 2, 3, 4]], "labels": [5]},
        {"boxes": torch.tensor([]), "labels": torch.tensor([], dtype=torch.int64)},
        {"boxes": np.array([[1, 2, 3, 4.0]]), "labels": np.array([5])},
        {"boxes": torch.tensor([[1, 2, 3, 4.0]]), "labels": torch.tensor([5])},
        {"boxes": ((1, 2, 3, 4),), "labels": (5,)},
    ]
    _, found = mixup_detection(torch.zeros(6, 3, 4, 4), kinds, probability)
    for each in found:
        assert each["boxes"].shape == (len(each["labels"]), 4)
        assert each["boxes"].is_floating_point()
        assert each["labels"].dtype == torch.int64
        assert set(each["labels"].tolist()) <= {5}
    assert kinds[1] == {"boxes": [[1, 2, 3, 4]], "labels": [5]}
    _, named = mixup_detection(
        torch.zeros(1, 3, 4, 4), [{"boxes": [[1, 2, 3, 4]], "labels": ["a"]}], 0
    )
    assert named[0]["labels"] == ["a"]


@pytest.mark.parametrize("probability", [0, 1.0])
@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        ([torch.zeros(3, 4, 4)], [target(0)], r"images: must be a tensor \(B, C, H, W\), got"),
        (torch.zeros(3, 4, 4), [target(0)] * 3, r"got Tensor of float32 \(3, 4, 4\)"),
        (torch.zeros(2, 3, 4, 4), [target(0)], "targets: 1 of them for 2 images"),
        (
            torch.zeros(1, 3, 4, 4),
            [5],
            r"targets\[0\]: must be a dict with boxes and labels, got 5",
        ),
        (torch.zeros(1, 3, 4, 4), [{"labels": [1]}], r"targets\[0\]: must be a dict with boxes"),
        (
            torch.zeros(1, 3, 4, 4),
            [{"boxes": [1, 2, 3, 4], "labels": [1]}],
            r"targets\[0\]: boxes: must be \(N, 4\)",
        ),
        (
            torch.zeros(1, 3, 4, 4),
            [{"boxes": [[1, 2, 3, 4]], "labels": 1}],
            r"targets\[0\]: labels=1: must be one for each of 1 boxes",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            [target(0, masks=torch.zeros(1, 4, 4)), target(1)],
            r"targets\[1\]: has no masks, which other targets have",
        ),
    ],
)
def test_what_cannot_be_blended_is_refused_at_every_probability(
    images, targets, message, probability
):
    with pytest.raises(InputError, match=message):
        mixup_detection(images, targets, probability)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), None, "0.5"])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(InputError, match=r"probability=.*: must be a number in"):
        mixup_detection(torch.zeros(1, 3, 4, 4), [target(0)], probability)


def test_a_batch_of_several_sizes_is_refused():
    with pytest.raises(InputError, match=r"\(3, 4, 4\) and Tensor of float32 \(3, 4, 8\) in one"):
        collate_detection([(torch.zeros(3, 4, 4), {}), (torch.zeros(3, 4, 8), {})])
    with pytest.raises(InputError, match="must be tensors of one size, that of the stage"):
        collate_detection([(IMAGE, {}), (IMAGE, {})])
