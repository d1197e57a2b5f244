"""What a sample of a `DetectionDataset` may hold."""

import re

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from transformers import YolosImageProcessor

from progressive.errors import InputError
from progressive.hosts.shared.samplers import StagedIndex
from progressive.hosts.transformers import DetectionDataset
from progressive.schedule import ProgressiveSchedule

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
BOXES = [[8, 8, 40, 32], [16, 16, 48, 40]]


def labels_of(image, classes, magnitude=0.0):
    stage = ProgressiveSchedule.fixed(epochs=1, image_size=64, randaugment=magnitude).at(0)
    processor = YolosImageProcessor(size={"height": 64, "width": 64})
    torch.manual_seed(0)
    return DetectionDataset([(image, BOXES, classes)], processor)[StagedIndex(0, stage)]


@pytest.mark.parametrize("magnitude", [0.0, 9.0])
def test_a_tensor_is_the_image_that_its_array_is(magnitude):
    expected = labels_of(IMAGE, [1, 2], magnitude)
    found = labels_of(torch.from_numpy(IMAGE.copy()), [1, 2], magnitude)
    assert torch.equal(found["pixel_values"], expected["pixel_values"])
    listed = labels_of(torch.from_numpy(IMAGE.copy()), torch.tensor([1.0, 2.0]), magnitude)
    assert torch.equal(listed["labels"]["class_labels"], expected["labels"]["class_labels"])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (torch.zeros(3, 48, 64, dtype=torch.uint8), "must be RGB, (H, W, 3), got Tensor of uint8"),
        (torch.zeros(48, 64, 3), "must be a uint8 array (H, W) or (H, W, C)"),
        ([[1, 2], [3]], "must be a uint8 array (H, W) or (H, W, C), got [[1, 2], [3]]"),
    ],
)
def test_another_image_is_refused(image, said):
    with pytest.raises(InputError, match=rf"^samples\[0\]: image: {re.escape(said)}"):
        labels_of(image, [1, 2])


@pytest.mark.parametrize(
    "classes", [[-1, 0], [0.5, 1], ["0", "1"], [None, 1], [float("nan"), 1], torch.tensor([0, -2])]
)
def test_classes_are_whole_numbers_from_0(classes):
    said = r"^samples\[0\]: classes must be whole numbers of at least 0, got "
    with pytest.raises(InputError, match=said):
        labels_of(IMAGE, classes)
