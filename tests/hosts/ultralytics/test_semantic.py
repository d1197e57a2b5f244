"""Semantic segmentation: masks change size along with their images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import SemanticDataset
from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer

from progressive.augment import RandAugment
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.checkpoints.randomness import _walk
from progressive.hosts.ultralytics.images import dataset as images
from progressive.schedule import ProgressiveSchedule


@pytest.fixture
def folder(tmp_path):
    """Dark images of 96x48 px with a bright square, and masks that mark it as class 1."""
    for number in range(8):
        image = np.full((96, 48, 3), 40, np.uint8)
        mask = np.zeros((96, 48), np.uint8)
        image[10 + 4 * number : 40 + 4 * number, 8:40] = 220
        mask[10 + 4 * number : 40 + 4 * number, 8:40] = 1
        for kind, array in (("images", image), ("masks", mask)):
            (tmp_path / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / kind / f"{number}.png"), array)
    (tmp_path / "data.yaml").write_text(
        f"path: {tmp_path}\ntrain: images\nval: images\nmasks_dir: masks\nnames: [dark, bright]\n"
    )
    return tmp_path


@pytest.mark.slow
def test_masks_follow_their_images_over_a_boundary(folder, fast, plain):
    seen = []

    class Recorder(SemanticSegmentationTrainer):
        def preprocess_batch(self, batch):
            batch = super().preprocess_batch(batch)
            bright = batch["img"].mean(1) > 0.55  # beyond what an edge is blurred to
            agree = bright == (batch["semantic_mask"] == 1)
            valid = batch["semantic_mask"] != 255
            seen.append((self.epoch, batch["img"].shape[-1], agree[valid].float().mean().item()))
            return batch

    schedule = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(64, 128))
    model = YOLO("yolo26n-sem.yaml")
    ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, **plain, "val": False, "project": str(folder), "name": "r"}
    model.train(trainer=Recorder, data=str(folder / "data.yaml"), **arguments)
    assert [(epoch, side) for epoch, side, _ in seen] == [
        (epoch, 64 if epoch < 2 else 128) for epoch in range(4) for _ in range(2)
    ]
    assert min(agree for *_, agree in seen) > 0.95
    metrics = model.trainer.metrics
    assert "metrics/mIoU" in metrics


def test_masks_count_as_memory(folder, monkeypatch):
    data = {"channels": 3, "names": {0: "dark", 1: "bright"}, "nc": 2, "masks_dir": "masks"}
    dataset = SemanticDataset(
        img_path=str(folder / "images"), imgsz=64, data=data, hyp=get_cfg(), augment=True
    )
    few = dataset.max_buffer_length = 3
    images.decode_at_stage_size(dataset)
    # The shorter side has 64 px, the longer one twice as many; three channels and a mask.
    needed = 8 * 64 * 128 * 4
    for free, kept in ((needed / images.KEPT_SHARE - 4, few), (needed / images.KEPT_SHARE, 9)):
        monkeypatch.setattr(images, "available_memory", lambda free=free: free)
        images.keep_decoded(dataset, in_process=True)
        assert dataset.max_buffer_length == kept
    dataset.masks = {0: np.zeros((64, 128), np.uint8)}
    images.forget_images(dataset)
    assert dataset.masks == {}


@pytest.mark.slow
def test_pixels_that_randaugment_empties_are_of_no_class(folder, fast, plain):
    found = set()

    class Recorder(SemanticSegmentationTrainer):
        def preprocess_batch(self, batch):
            batch = super().preprocess_batch(batch)
            for part in _walk(self.train_loader.dataset.transforms):
                if isinstance(part, RandAugment):
                    found.add(part.fill_mask)
            return batch

    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=1, image_size=(64, 64), randaugment=(9, 9)
    )
    model = YOLO("yolo26n-sem.yaml")
    ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, **plain, "val": False, "project": str(folder), "name": "r"}
    model.train(trainer=Recorder, data=str(folder / "data.yaml"), **arguments)
    assert found == {255}
