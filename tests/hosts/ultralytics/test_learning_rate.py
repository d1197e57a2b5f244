"""The learning rate that falls with the pixels processed, in a live trainer."""

from __future__ import annotations

import pytest
from ultralytics import YOLO

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

#: 3, 1 and 4 epochs of 1, 4 and 4 times the pixels: shares of 3, 4 and 16 of 23.
SCHEDULE = ProgressiveSchedule.linear(
    epochs=8, stages=3, image_size=(32, 64), sizes=[32, 64, 64], durations=[3, 1, 4]
)
SPENT = [0, 1, 2, 3, 7, 11, 15, 19]


def rates(tiny_data, fast, tmp_path, schedule=SCHEDULE, **options):
    """Train, and return what the first group's learning rate was in each epoch, over lr0."""
    seen = []
    cosine = options.pop("cos_lr", False)
    model = YOLO("yolov8n.yaml")
    callback = ProgressiveCallback(schedule, **options).attach(model)
    model.add_callback(
        "on_train_epoch_end", lambda trainer: seen.append(trainer.optimizer.param_groups[0]["lr"])
    )
    model.train(
        **fast,
        **{"data": str(tiny_data), "project": str(tmp_path), "name": "r"},
        **{"val": False, "save": False, "warmup_epochs": 0},
        **{"optimizer": "SGD", "lr0": 0.001, "lrf": 0.0, "cos_lr": cosine},
    )
    return [rate / 0.001 for rate in seen], callback, model


@pytest.mark.slow
def test_it_falls_with_the_pixels(tiny_data, fast, tmp_path):
    seen, callback, model = rates(tiny_data, fast, tmp_path, lr_by_compute=True)
    assert seen == pytest.approx([1 - spent / 23 for spent in SPENT])
    trainer = model.trainer
    callback.detach(model)
    assert trainer.lf(2) == pytest.approx(1 - 2 / 8)
    assert all(factor is trainer.lf for factor in trainer.scheduler.lr_lambdas)


@pytest.mark.slow
def test_it_falls_with_the_epochs_unless_asked(tiny_data, fast, tmp_path):
    seen, _, _ = rates(tiny_data, fast, tmp_path)
    assert seen == pytest.approx([1 - epoch / 8 for epoch in range(8)])


@pytest.mark.slow
def test_cosine_stays_cosine(tiny_data, fast, tmp_path):
    seen, _, _ = rates(tiny_data, fast, tmp_path, lr_by_compute=True, cos_lr=True)
    # Half of the pixels, 11.5 of 23, lie between 11 and 15; a cosine is flatter at its start.
    assert seen[0] == 1.0
    assert seen[1] == pytest.approx(0.9953, abs=1e-4)  # (1 + cos(pi / 23)) / 2
    assert seen[5] == pytest.approx(0.5341, abs=1e-4)  # (1 + cos(11 pi / 23)) / 2
