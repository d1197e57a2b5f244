"""A training that was planned to take a time is corrected where its stages end."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
import yaml
from ultralytics import YOLO

from progressive.hosts.ultralytics.budget import BudgetCallback
from progressive.prediction import Kind, Timing
from progressive.runs.records import EpochRecord
from progressive.schedule import ProgressiveSchedule


def planned(epochs):
    return ProgressiveSchedule.linear(epochs=epochs, stages=2, image_size=(32, 64))


LONGER = ProgressiveSchedule.linear(epochs=5, stages=2, image_size=(32, 64), durations=(2, 3))


def written(schedule):
    return yaml.safe_dump([stage.epochs for stage in schedule.stages])


def callback(seconds, second_stage):
    """Return a callback of 4 + 4 epochs, probed to take 10 s and `second_stage` s."""
    timing = Timing(epochs={Kind(0): 10.0, Kind(1): second_stage}, validation=1.0, after=1.0)
    return BudgetCallback(
        planned(8), seconds=seconds, timing=timing, weights=(1, 1), rewrite=written
    )


class Trainer(SimpleNamespace):
    def _setup_scheduler(self):
        self.scheduler = SimpleNamespace(last_epoch=0)


def test_the_rest_is_as_much_slower_as_the_stage_before(tmp_path):
    # Epochs took 20 s instead of 10 s, so those of the second stage will take 40 s instead of 20 s,
    # with 1 s to validate each. Of 200 s, 80 s and 1 s for the validation are spent and 1 s is kept
    # for the end: 118 s are enough for two epochs.
    made = callback(200.0, 20.0)
    made._validated = frozenset({3, 4, 5, 6, 7})
    made._recorder.epochs = [EpochRecord(e, 0, 32, 12, 20.0, float(e == 3)) for e in range(4)]
    made._recorder._started = time.time() - 81
    loader = SimpleNamespace(dataset=range(12))
    trainer = Trainer(
        epoch=3,
        epochs=8,
        args=SimpleNamespace(epochs=8),
        save_dir=tmp_path,
        train_loader=loader,
        test_loader=loader,
    )
    made._correct(trainer, done=1)
    assert [stage.epochs for stage in made.schedule.stages] == [4, 2]
    assert (trainer.epochs, trainer.args.epochs, trainer.scheduler.last_epoch) == (6, 6, 3)
    assert made._validated == {3, 4, 5}
    assert json.loads((tmp_path / "plan.json").read_text())["epochs"] == 6
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == [4, 2]


@pytest.mark.slow
def test_a_live_trainer_ends_where_the_corrected_schedule_does(tiny_data, tmp_path):
    made = BudgetCallback(planned(4), seconds=3600.0, timing=Timing({}), weights=(1, 1))
    rates = {}
    model = YOLO("yolov8n.yaml")
    model.add_callback(
        "on_train_epoch_end",
        lambda t: rates.update({t.epoch: t.optimizer.param_groups[0]["lr"]}),
    )
    made._correct = lambda trainer, done: made._follow(trainer, LONGER, (12, 4))
    made.attach(model)
    options = {"batch": 4, "nbs": 4, "device": "cpu", "plots": False, "warmup_epochs": 0}
    options |= {"lr0": 0.01, "lrf": 0.0, "optimizer": "SGD", "cos_lr": True}
    model.train(data=str(tiny_data), project=str(tmp_path), name="run", **options)
    assert [record.epoch for record in made.epochs] == [0, 1, 2, 3, 4]
    assert [record.image_size for record in made.epochs] == [32, 32, 64, 64, 64]
    # A cosine over 4 epochs until the correction, over 5 from then on.
    assert rates[1] == pytest.approx(0.01 * 0.8536, rel=1e-3)
    assert rates[2] == pytest.approx(0.01 * 0.6545, rel=1e-3)
    assert rates[4] == pytest.approx(0.01 * 0.0955, rel=1e-3)
