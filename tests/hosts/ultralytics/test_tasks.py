"""All four knobs on stock models of every task, with labels that follow the image."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.obb import OBBTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

SIDE = 96
#: Corners of the one object of each image, in pixels: a box turned by 30 degrees.
CORNERS = cv2.boxPoints(((52, 44), (44, 26), 30))
KEYPOINTS = np.array([[52, 44], [62, 50], [42, 38]])
TASKS = {
    "detect": ("yolo11n.yaml", DetectionTrainer),
    "segment": ("yolo11n-seg.yaml", SegmentationTrainer),
    "pose": ("yolo11n-pose.yaml", PoseTrainer),
    "obb": ("yolo11n-obb.yaml", OBBTrainer),
}


def label(task):
    corners = CORNERS / SIDE
    low, high = corners.min(0), corners.max(0)
    box = [*((low + high) / 2), *(high - low)]
    if task == "pose":
        box += [value for x, y in KEYPOINTS / SIDE for value in (x, y, 2)]
    values = box if task in {"detect", "pose"} else corners.ravel()
    return "0 " + " ".join(f"{value:.6f}" for value in values) + "\n"


def data(folder, task):
    """12 images of noise with an object of one grey level."""
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(12):
        image = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        cv2.fillPoly(image, [np.rint(CORNERS).astype(np.int32)], (230, 230, 230))
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        (folder / "labels" / f"{number}.txt").write_text(label(task))
    yaml = folder / "data.yaml"
    shape = "kpt_shape: [3, 3]\nflip_idx: [0, 1, 2]\n" if task == "pose" else ""
    yaml.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: [box]\n{shape}")
    return yaml


def points_inside(task, batch, row):
    """Return pixels (n, 2) that lie within object `row` of a batch by its label alone."""
    side = batch["img"].shape[-1]
    if task == "pose":
        x, y, visible = batch["keypoints"][row].unbind(-1)
        return torch.stack([x, y], 1)[visible > 0] * side
    if task == "segment":
        mask = batch["masks"][int(batch["batch_idx"][row])].numpy().astype(np.uint8)
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero(inner)
        scale = side / mask.shape[0]
        return torch.tensor(np.stack([columns, rows], 1) * scale + scale / 2)
    x, y, width, height = (batch["bboxes"][row][:4] * side).tolist()
    angle = batch["bboxes"][row][4].item() if task == "obb" else 0.0
    reach = 0.35 if task == "obb" else 0.08  # an upright box has corners without object
    steps = torch.linspace(-reach, reach, 5)
    along, across = torch.meshgrid(steps * width, steps * height, indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([x + along * cos - across * sin, y + along * sin + across * cos], -1).view(
        -1, 2
    )


def spread(task, batch, row):
    """Return how much grey levels differ inside an object; 0.4 and more on noise."""
    pixels = points_inside(task, batch, row).long().clamp(0, batch["img"].shape[-1] - 1)
    image = batch["img"][int(batch["batch_idx"][row])]
    return image[:, pixels[:, 1], pixels[:, 0]].std().item() if len(pixels) > 1 else 0.0


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_all_knobs_act(task, tmp_path, fast, plain):
    stock, trainer = TASKS[task]
    batches = []

    class Recorder(trainer):
        def preprocess_batch(self, batch):
            batch = super().preprocess_batch(batch)
            layers = [m.p for m in self.model.modules() if isinstance(m, nn.Dropout2d)]
            batches.append({**batch, "epoch": self.epoch, "dropout": layers})
            return batch

    schedule = ProgressiveSchedule.linear(
        epochs=4,
        stages=2,
        image_size=(SIDE, 2 * SIDE),
        randaugment=(9, 18),
        mixup=(0, 1),
        dropout=(0.1, 0.3),
    )
    model = YOLO(stock)
    ProgressiveCallback(schedule).attach(model)
    model.train(
        trainer=Recorder,
        data=str(data(tmp_path, task)),
        project=str(tmp_path),
        name="r",
        **{**fast, **plain, "batch": 6, "val": False, "mask_ratio": 1},
    )
    first = [batch for batch in batches if batch["epoch"] < 2]
    second = [batch for batch in batches if batch["epoch"] >= 2]
    assert {batch["img"].shape[-1] for batch in first} == {SIDE}
    assert {batch["img"].shape[-1] for batch in second} == {2 * SIDE}
    assert {tuple(batch["dropout"]) for batch in first} == {(0.1,) * 3}
    assert {tuple(batch["dropout"]) for batch in second} == {(0.3,) * 3}
    # Mixup brings the objects of two images; a tenth may be lost beyond the border.
    assert all(len(batch["cls"]) <= 6 for batch in first)
    assert all(len(batch["cls"]) > 9 for batch in second)
    # RandAugment moved the labels, and the object is where they say.
    objects = [(batch, row) for batch in first for row in range(len(batch["cls"]))]
    centres = torch.stack([batch["bboxes"][row][:2] for batch, row in objects])
    assert (centres.std(0) > 0.02).all()
    spreads = [spread(task, batch, row) for batch, row in objects]
    assert np.mean([value < 0.12 for value in spreads]) > 0.8
