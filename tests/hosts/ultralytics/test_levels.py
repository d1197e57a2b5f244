"""Objects go to the maps of the final size in every stage, if that is asked for."""

from __future__ import annotations

import pytest
import torch
from ultralytics import YOLO
from ultralytics.utils import tal
from ultralytics.utils.tal import (
    PoseTaskAlignedAssigner,
    RotatedTaskAlignedAssigner,
    SegTaskAlignedAssigner,
    TaskAlignedAssigner,
    make_anchors,
)

from progressive import ProgressiveCallback
from progressive.hosts.ultralytics.levels import FinalLevels, open_only, strides_of
from progressive.schedule import ProgressiveSchedule

STRIDES = [8.0, 16.0, 32.0]
SCHEDULE = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(96, 192))


def points(height: int = 96, width: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of all maps in pixels (points, 2), and their strides (points)."""
    maps = [torch.zeros(1, 1, height // int(s), width // int(s)) for s in STRIDES]
    centres, strides = make_anchors(maps, torch.tensor(STRIDES))
    return centres * strides, strides[:, 0]


@pytest.mark.parametrize(("height", "width"), [(96, 128), (32, 32), (640, 384), (1280, 1088)])
def test_strides_follow_from_the_number_of_points(height, width):
    centres, strides = points(height, width)
    assert torch.equal(strides_of(len(centres), STRIDES), strides)


def candidates(assigner, boxes) -> dict[float, int]:
    """Count on each map the points that may learn the only object of one image."""
    centres, strides = points()
    assigner.anc_strides = strides  # set by the loss for poses
    found = assigner.select_candidates_in_gts(centres, boxes, torch.ones(1, 1, 1))
    return {stride: int(found[0, 0, strides == stride].sum()) for stride in STRIDES}


@pytest.mark.parametrize(
    ("assigner", "boxes"),
    [
        (SegTaskAlignedAssigner(stride=STRIDES), [[16.0, 16.0, 80.0, 80.0]]),
        (PoseTaskAlignedAssigner(torch.ones(1), stride=STRIDES), [[16.0, 16.0, 80.0, 80.0]]),
        (TaskAlignedAssigner(stride=STRIDES), [[16.0, 16.0, 80.0, 80.0]]),
        (RotatedTaskAlignedAssigner(stride=STRIDES), [[48.0, 48.0, 64.0, 64.0, 0.0]]),
    ],
)
def test_small_images_close_the_maps_that_are_too_fine_for_the_final_size(assigner, boxes):
    boxes = torch.tensor([boxes])
    free = candidates(assigner, boxes)
    assert free[8] == 64
    levels = FinalLevels()
    undo = levels.watch()
    try:
        assert candidates(assigner, boxes) == free
        levels.apply(SCHEDULE, SCHEDULE.stages[0])  # 128 px at the final size: 16 strides of 8
        assert candidates(assigner, boxes) == {**free, 8: 0}
        levels.apply(SCHEDULE, SCHEDULE.stages[1])
        assert candidates(assigner, boxes) == free
    finally:
        undo()
    levels.apply(SCHEDULE, SCHEDULE.stages[0])
    assert candidates(assigner, boxes) == free


def test_an_object_keeps_its_candidates_if_no_others_are_left():
    strides = torch.tensor([8.0, 8.0, 32.0])
    only_fine = torch.tensor([[[True, True, False]]])
    side = torch.tensor([[[400.0]]])  # too large for every map but the last
    assert torch.equal(open_only(only_fine, side, strides), only_fine)
    everywhere = torch.tensor([[[True, True, True]]])
    assert open_only(everywhere, side, strides).tolist() == [[[False, False, True]]]


@pytest.mark.slow
@pytest.mark.parametrize("by_final", [False, True])
def test_a_training_closes_maps_before_its_last_stage(tiny_data, tmp_path, by_final):
    seen, growth = [], []
    before = tal.TaskAlignedAssigner.select_candidates_in_gts
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    callback = ProgressiveCallback(schedule, levels_by_final=by_final, train_faster=False)
    model = YOLO("yolov8n.yaml")
    callback.attach(model)

    def look(trainer):
        seen.append(tal.TaskAlignedAssigner.select_candidates_in_gts is not before)
        growth.append(callback._levels._growth)

    model.add_callback("on_train_batch_end", look)
    validated = []
    model.add_callback("on_val_batch_start", lambda _: validated.append(callback._levels._growth))
    arguments = {"batch": 12, "workers": 0, "plots": False, "device": "cpu"}
    model.train(data=str(tiny_data), project=str(tmp_path), name="run", **arguments)
    assert seen == [by_final] * 2
    assert growth == [2.0, 1.0]
    assert set(validated) == {1.0}  # the loss of validation is that of the final size
    assert tal.TaskAlignedAssigner.select_candidates_in_gts is before
