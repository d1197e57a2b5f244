"""When to validate: hand-written epochs, and a live trainer that skips some."""

from __future__ import annotations

import csv

import pytest
import torch
from ultralytics import YOLO

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.validation import epochs_to_validate, validate_if
from progressive.schedule import ProgressiveSchedule

#: Epochs 0-3 at 64, 4-7 at 96, 8-11 at 128 px.
SCHEDULE = ProgressiveSchedule.linear(epochs=12, stages=3, image_size=(64, 128))


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}),
        (2, {1, 3, 5, 7, 8, 9, 10, 11}),
        (3, {2, 3, 5, 7, 8, 9, 10, 11}),
        (50, {3, 7, 8, 9, 10, 11}),
    ],
)
def test_every_so_many_epochs_at_stage_ends_and_in_the_last_stage(every, expected):
    assert epochs_to_validate(SCHEDULE, (100, 100), every) == expected


def test_a_tenth_of_the_training_time_by_default():
    # 12 epochs cost 4 * (0.25 + 0.5625 + 1) * n = 7.25 n full-size images, a tenth of which is
    # 0.725 n; a validation costs 0.8 times its images. Six are always there.
    always = {3, 7, 8, 9, 10, 11}
    assert epochs_to_validate(SCHEDULE, (100, 100)) == always  # affords none
    assert epochs_to_validate(SCHEDULE, (100, 12)) == always  # affords seven: every eighth
    assert epochs_to_validate(SCHEDULE, (100, 10)) == always | {2, 5}  # nine: every third
    assert epochs_to_validate(SCHEDULE, (100, 1)) == set(range(12))


def test_one_stage_is_validated_throughout():
    schedule = ProgressiveSchedule.fixed(epochs=5, image_size=64)
    assert epochs_to_validate(schedule, (10, 10)) == set(range(5))


def test_what_another_callback_put_there_comes_back():
    class Trainer:
        def validate(self):
            return "own"

    trainer = Trainer()
    restore = validate_if(trainer, lambda: True)
    restore()
    assert "validate" not in vars(trainer)
    trainer.validate = other = lambda: "another"
    validate_if(trainer, lambda: True)()
    assert trainer.validate is other


@pytest.mark.slow
def test_an_epoch_without_validation_has_no_fitness(tiny_data, fast, make_recorder, tmp_path):
    """Its weights are never the best, however good the last validation was."""
    recorder = make_recorder()
    schedule = ProgressiveSchedule.linear(epochs=6, stages=2, image_size=(32, 64))
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(schedule, val_every=9).attach(model)
    fitness, best = [], []
    model.add_callback("on_fit_epoch_end", lambda trainer: fitness.append(trainer.fitness))
    model.add_callback(
        "on_model_save",
        lambda trainer: best.append(
            torch.load(trainer.best, weights_only=False)["epoch"] if trainer.best.exists() else None
        ),
    )
    model.train(
        trainer=recorder, data=str(tiny_data), project=str(tmp_path), name="r", patience=2, **fast
    )
    assert [value is None for value in fitness[:6]] == [True, True, False, False, False, False]
    assert best[:2] == [0, 1]  # nothing to compare with yet
    assert set(best[2:]) <= {2, 3, 4, 5}
    assert len(recorder.validation) == 5  # four epochs of one batch, and the best weights
    with (tmp_path / "r" / "epochs.csv").open() as file:
        scores = [row["mAP50"] for row in csv.DictReader(file)]
    assert [score == "" for score in scores] == [True, True, False, False, False, False]
    saved = torch.load(tmp_path / "r" / "weights" / "last.pt", weights_only=False)
    assert saved["train_args"]["val"] is True
