"""Boxes that are none, in the files of a data set: Ultralytics drops them before RandAugment."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ultralytics import YOLO

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

ROWS = ("0 0.5 0.5 0 0", "0 0.5 0.5 0.4 0", "0 0 0 0.2 0.2", "0 1 1 0.1 0.1", "0 0.5 0.5 0.5 0.5")


@pytest.mark.slow
@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_labels_without_area_or_at_the_border_are_trained(tmp_path, fast, mosaic):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((64, 64, 3), 99, np.uint8))
        (tmp_path / "labels" / f"{number}.txt").write_text("\n".join(ROWS))
    source = tmp_path / "data.yaml"
    source.write_text(f"path: {tmp_path}\ntrain: images\nval: images\nnames: [box]\n")
    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), randaugment=(9, 20)
    )
    callback = ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, "val": False, "close_mosaic": 0, "mosaic": mosaic}
    model.train(data=str(source), project=str(tmp_path), name="r", **arguments)
    assert [record.image_size for record in callback.epochs] == [32, 64]
