"""What a data set of the Hugging Face host gives for samples of every type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from progressive.errors import InputError
from progressive.hosts.pytorch import StagedIndex
from progressive.schedule import ProgressiveSchedule

pytest.importorskip("transformers")
from transformers import YolosImageProcessor

from progressive.hosts.transformers import DetectionDataset

#: Sizes by epoch: 32, 32, 64, 64.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(0, 9), mixup=(0, 1), dropout=(0, 0.2)
)


IMAGE = np.full((40, 60, 3), 90, np.uint8)


@pytest.mark.parametrize("stage", [SCHEDULE.at(0), SCHEDULE.at(3)], ids=["first", "last"])
@pytest.mark.parametrize(
    ("sample", "objects"),
    [
        ((IMAGE, [[10, 10, 40, 30]], [3]), 1),
        ((IMAGE, torch.tensor([[10, 10, 40, 30]]), torch.tensor([3])), 1),
        ((Image.fromarray(IMAGE), ((10, 10, 40, 30),), (3.0,)), 1),
        ([IMAGE, np.array([[10, 10, 40, 30]]), np.array([3])], 1),
        ((IMAGE, [], []), 0),
        ((IMAGE, np.array([[70, 10, 80, 20], [5, 5, 5, 30], [20, 20, 10, 10]]), [1, 2, 3]), 0),
        ((IMAGE, [[-10, -10, 100, 100], [10, 10, 10, 10]], [4, 5]), 1),
    ],
)
def test_samples_of_every_type_at_every_magnitude(processor, sample, objects, stage):
    torch.manual_seed(3)
    plain = replace(stage, mixup=0.0)
    item = DetectionDataset([sample], processor)[StagedIndex(0, plain)]
    found = item["labels"]["boxes"]
    assert found.shape[1:] == (4,)
    assert len(found) == len(item["labels"]["class_labels"]) <= objects
    if stage.randaugment_magnitude == 0:
        assert len(found) == objects
    evaluated = DetectionDataset([sample], processor, train=False)[np.int64(0)]["labels"]
    assert len(evaluated["boxes"]) == objects
    corners = torch.cat([found[:, :2] - found[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2], 1)
    assert ((corners > -1e-5) & (corners < 1 + 1e-5)).all()


@pytest.mark.parametrize("stage", [SCHEDULE.at(0), SCHEDULE.at(3)], ids=["first", "last"])
@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"image": IMAGE}, r"samples\[0\]: must be an image, its boxes and their classes, got"),
        ((IMAGE[..., 0], [], []), r"samples\[0\]: image: must be RGB, \(H, W, 3\), got ndarray"),
        ((np.zeros((8, 8, 4), np.uint8), [], []), r"must be RGB, .* uint8 \(8, 8, 4\)"),
        ((IMAGE / 255, [], []), r"samples\[0\]: image: must be a uint8 array"),
        ((IMAGE, [[1, 2, 3, 4]], [1, 2]), r"samples\[0\]: labels=\[1, 2\]: must be one for each"),
        ((IMAGE, [[1, 2, 3, 4]], ["cat"]), r"samples\[0\]: classes must be whole numbers"),
        ((IMAGE, [1, 2, 3, 4], [1]), r"samples\[0\]: boxes: must be \(N, 4\)"),
    ],
)
def test_samples_that_will_not_do_are_refused_in_the_first_stage(processor, sample, message, stage):
    with pytest.raises(InputError, match=message):
        DetectionDataset([sample], processor)[StagedIndex(0, stage)]


def test_dataset_of_one_stage_and_for_evaluation(samples, processor):
    stage = ProgressiveSchedule.fixed(epochs=1, image_size=32).at(0)
    item = DetectionDataset(samples, processor)[StagedIndex(1, stage)]
    assert item["pixel_values"].shape == (3, 32, 32)
    assert item["labels"]["class_labels"].tolist() == [0]
    assert item["labels"]["boxes"].tolist() == [[0.5, 0.5, 0.5, 0.5]]
    evaluation = DetectionDataset(samples, processor, train=False)
    assert len(evaluation) == len(samples)
    assert evaluation[1]["pixel_values"].shape == (3, 64, 64)


def test_images_without_objects(samples, processor):
    image, boxes, labels = samples[0]
    stage = SCHEDULE.at(3)
    data = DetectionDataset([(image, boxes[:0], labels[:0])], processor)
    assert data[StagedIndex(0, stage)]["labels"]["boxes"].shape == (0, 4)


@pytest.mark.parametrize("size", [{"shortest_edge": 64}, {"height": 64, "width": 96}])
def test_processor_with_a_size_that_cannot_be_stacked(samples, size):
    processor = YolosImageProcessor(size=size)
    with pytest.raises(InputError, match=r"image_processor\.size=.*must be the final size"):
        DetectionDataset(samples, processor)
