"""Each knob, seen in the pixels and in the layers of a live trainer."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from ultralytics import YOLO

from progressive.detectors.build import build_detector
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

LEVELS = set(range(5, 255, 20))


@pytest.fixture
def train_epochs(flat_data, fast, plain, make_recorder, tmp_path):
    """Train with `schedule` on flat images and return the recorded batches of each epoch."""

    def train(schedule, model=None, **arguments):
        recorder = make_recorder()
        model = model or YOLO("yolov8n.yaml")
        ProgressiveCallback(schedule).attach(model)
        model.train(
            trainer=recorder,
            data=str(flat_data),
            project=str(tmp_path),
            name="r",
            **{**fast, **plain, "batch": 13, "nbs": 13, "val": False, "save": False, **arguments},
        )
        return recorder.batches, model

    return train


def changed_share(batches):
    """Return the share of images whose grey level is none that the data set has."""
    centers = [image[:, 16, 16] for batch in batches for image in batch["images"]]
    levels = [(c * 255).round().int().tolist() for c in centers]
    return float(np.mean([not set(level) <= LEVELS for level in levels]))


@pytest.mark.slow
def test_without_strength_pixels_are_untouched(train_epochs):
    schedule = ProgressiveSchedule.linear(epochs=3, stages=1, image_size=(32, 32))
    batches, _ = train_epochs(schedule)
    # Ultralytics' own defaults change one image in a hundred.
    assert changed_share(batches) < 0.05


@pytest.mark.slow
def test_mixup_blends_at_the_rate_of_the_stage(train_epochs):
    schedule = ProgressiveSchedule.linear(epochs=40, stages=2, image_size=(32, 32), mixup=(0, 0.5))
    batches, _ = train_epochs(schedule)
    first = [b for b in batches if b["epoch"] < 20]
    second = [b for b in batches if b["epoch"] >= 20]
    assert changed_share(first) < 0.05
    # 260 images at p = 0.5; an image blended with itself (1 in 13) looks unchanged: 0.46 +- 0.03.
    assert 0.36 < changed_share(second) < 0.56


@pytest.mark.slow
def test_mosaic_follows_the_schedule(train_epochs):
    schedule = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64), mosaic=(0, 1))
    batches, _ = train_epochs(schedule, close_mosaic=0)  # with mosaic=0.0 of the trainer's own
    assert [batch["mosaic"] for batch in batches] == [0.0, 0.0, 1.0, 1.0]
    levels = [
        [len(image[0].mul(255).round().unique()) for image in batch["images"]] for batch in batches
    ]
    assert max(levels[0]) == 1
    assert np.mean([several > 1 for several in levels[-1]]) > 0.9  # four images in one


@pytest.mark.slow
def test_mixup_of_the_trainer_stays_if_the_schedule_has_none(train_epochs):
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    batches, _ = train_epochs(schedule, mixup=0.3)
    assert {batch["mixup"] for batch in batches} == {0.3}


@pytest.mark.slow
def test_magnitude_changes_pixels_more_and_more(train_epochs):
    schedule = ProgressiveSchedule.linear(
        epochs=20, stages=2, image_size=(32, 32), randaugment=(1, 25)
    )
    batches, _ = train_epochs(schedule)
    distance = {0: [], 1: []}
    palette = np.array(sorted(LEVELS)) / 255
    for batch in batches:
        for image in batch["images"]:
            nearest = np.abs(image.numpy().reshape(-1, 1) - palette).min(1)
            grey = image.numpy().reshape(3, -1)
            # Flat images can only leave their level or lose their flatness.
            distance[int(batch["epoch"] >= 10)].append(nearest.mean() + grey.std(1).mean())
    assert np.mean(distance[1]) > 2 * np.mean(distance[0]) > 0


@pytest.mark.slow
def test_a_schedule_without_dropout_leaves_the_models_own_alone(
    flat_data, fast, plain, make_recorder, tmp_path
):
    class OwnDropout(make_recorder()):
        def get_model(self, *args, **kwargs):
            model = super().get_model(*args, **kwargs)
            model.model[-1].own = nn.Dropout2d(0.4)
            return model

    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.linear(epochs=2, stages=2, image_size=(32, 64))
    ProgressiveCallback(schedule).attach(model)
    arguments = {**fast, **plain, "batch": 13, "val": False, "save": False, "name": "r"}
    model.train(trainer=OwnDropout, data=str(flat_data), project=str(tmp_path), **arguments)
    assert {tuple(batch["dropout"]) for batch in OwnDropout.batches} == {(0.4,)}


@pytest.mark.slow
def test_dropout_follows_the_schedule_in_our_detectors(train_epochs):
    model = build_detector("yolov8", "n", "efficientnetv2_b0", width=0.25, depth=0.25, classes=1)
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), dropout=(0.1, 0.4)
    )
    batches, _ = train_epochs(schedule, model)
    assert {b["epoch"]: b["dropout"] for b in batches} == {0: [0.1], 1: [0.4]}
