"""RandAugment inside the wrapper that Ultralytics uses for its `augmentations` argument."""

from __future__ import annotations

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from ultralytics.data.augment import Albumentations
from ultralytics.utils.instance import Instances

from progressive.augment import RandAugment

GEOMETRIC = ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"]
BOXES = np.array([[20, 30, 90, 80], [120, 60, 180, 150], [200, 10, 235, 60]])
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])


def outline(box):
    """Return points all around a box, as dense as in the loader."""
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32)
    steps = np.linspace(0, 1, 50, endpoint=False, dtype=np.float32)[:, None]
    return np.concatenate(
        [a + steps * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
    )


def labels(segments=False, keypoints=False):
    """Return a sample as in the loader: three boxes, each painted in its own colour."""
    image = np.zeros((160, 240, 3), np.uint8)
    for box, colour in zip(BOXES, COLOURS, strict=True):
        image[box[1] : box[3], box[0] : box[2]] = colour
    outlines = np.array([outline(box) for box in BOXES])
    centres = np.array(
        [[[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2, 2]] for b in BOXES], dtype=np.float32
    )
    return {
        "img": image,
        "cls": np.array([[0], [1], [2]], dtype=np.float32),
        "instances": Instances(
            BOXES.astype(np.float32),
            outlines if segments else np.zeros((0, 4, 2), np.float32),
            centres if keypoints else None,
            bbox_format="xyxy",
            normalized=False,
        ),
    }


def run(seed, magnitude=8, **kinds):
    """Return the sample after two geometric operations, in pixels."""
    torch.manual_seed(seed)
    transform = RandAugment(2, magnitude, operations=GEOMETRIC, fill=0)
    sample = Albumentations(p=1.0, transforms=[transform])(labels(**kinds))
    sample["instances"].convert_bbox("xyxy")
    height, width = sample["img"].shape[:2]
    sample["instances"].denormalize(width, height)
    return sample


def found(image, class_index):
    return image[..., int(class_index)] > 127


@pytest.mark.parametrize("segments", [False, True])
def test_boxes_follow_the_image(segments):
    survivors = 0
    for seed in range(12):
        sample = run(seed, segments=segments)
        instances = sample["instances"]
        assert len(instances) == len(sample["cls"])
        for index, box in zip(sample["cls"][:, 0], instances.bboxes, strict=True):
            rows, columns = np.nonzero(found(sample["img"], index))
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            # Ultralytics makes the box from the points of a segment that are inside the image.
            assert box == pytest.approx(seen, abs=4 if segments else 2)
            survivors += 1
    assert survivors > 20


def test_segments_follow_the_image():
    for seed in range(12):
        sample = run(seed, segments=True)
        for index, points in zip(sample["cls"][:, 0], sample["instances"].segments, strict=True):
            drawn = np.zeros(sample["img"].shape[:2], np.uint8)
            cv2.fillPoly(drawn, [np.rint(points - 0.5).astype(np.int32)], 1)
            wrong = (drawn == 1) != found(sample["img"], index)
            assert wrong.mean() < 0.01


def test_keypoints_follow_the_image():
    visible = 0
    for seed in range(12):
        sample = run(seed, keypoints=True)
        for index, points in zip(sample["cls"][:, 0], sample["instances"].keypoints, strict=True):
            x, y, visibility = points[0]
            if visibility:
                visible += 1
                near = found(sample["img"], index)[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
                assert near.any()
    assert visible > 20


def test_a_sample_without_objects_passes():
    sample = labels()
    sample["cls"] = np.zeros((0, 1), np.float32)
    sample["instances"] = Instances(
        np.zeros((0, 4), np.float32),
        np.zeros((0, 4, 2), np.float32),
        bbox_format="xyxy",
        normalized=False,
    )
    result = Albumentations(p=1.0, transforms=[RandAugment(2, 25, operations=GEOMETRIC)])(sample)
    assert len(result["instances"]) == len(result["cls"]) == 0
    assert result["img"].shape == (160, 240, 3)


def test_the_dictionary_in_a_checkpoint_gives_the_same_result():
    torch.manual_seed(5)
    transform = RandAugment(2, 8)
    first = Albumentations(p=1.0, transforms=[transform])(labels())
    second = Albumentations(p=1.0, transforms=[A.to_dict(transform)])(labels())
    assert np.array_equal(first["img"], second["img"])
    assert not np.array_equal(first["img"], labels()["img"])


class Samples(Dataset):
    def __init__(self):
        self.transform = Albumentations(p=1.0, transforms=[RandAugment(2, 9)])

    def __len__(self):
        return 12

    def __getitem__(self, index):
        worker = torch.utils.data.get_worker_info()
        return worker.id, torch.from_numpy(self.transform(labels())["img"])


def test_workers_differ_and_a_seed_reproduces_them():
    def epoch():
        loader = DataLoader(
            Samples(), batch_size=None, num_workers=2, generator=torch.Generator().manual_seed(3)
        )
        images = {0: [], 1: []}
        for worker, image in loader:
            images[worker].append(image)
        return torch.stack(images[0]), torch.stack(images[1])

    first, second = epoch()
    assert not torch.equal(first, second)
    again, _ = epoch()
    assert torch.equal(first, again)
