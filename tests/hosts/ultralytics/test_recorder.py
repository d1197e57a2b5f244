"""How much time is left, and what the tables of a run keep."""

from __future__ import annotations

import json

import pytest

from progressive.hosts.ultralytics.recorder import METRICS, Recorder
from progressive.runs.records import EpochRecord
from progressive.runs.report import METRICS as WRITTEN
from progressive.schedule import ProgressiveSchedule

#: Epochs 0 to 3 at 32 px, 4 to 7 at 64 px.
SCHEDULE = ProgressiveSchedule.linear(epochs=8, stages=2, image_size=(32, 64))


def recorder(folder, validated, seconds):
    """Return a recorder after as many epochs of 10 s as `seconds` has entries."""
    made = Recorder(SCHEDULE)
    made.write_plan(folder, 0, frozenset(validated), validation_cost=0.2)
    made.epochs = [
        EpochRecord(number, 0, 32, 100, 10.0, spent) for number, spent in enumerate(seconds)
    ]
    return made


def test_time_left_counts_the_validations_that_are_due(tmp_path):
    # Two epochs at 32 px are left and four at 64 px, of four times the pixels. Five of them are
    # validated in 6 s; the other one takes 1 s to save.
    made = recorder(tmp_path, {1, 3, 4, 5, 6, 7}, seconds=[1.0, 6.0])
    assert made.seconds_left() == pytest.approx(2 * 10 + 4 * 40 + 5 * 6 + 1)


def test_time_left_before_the_first_validation(tmp_path):
    # A validation is expected to take a fifth of an epoch at 64 px.
    made = recorder(tmp_path, {3, 4, 5, 6, 7}, seconds=[1.0, 1.0])
    assert made.seconds_left() == pytest.approx(2 * 10 + 4 * 40 + 5 * 8 + 1)


def test_without_a_probe_the_first_epoch_predicts(tmp_path):
    made = recorder(tmp_path, {3, 4, 5, 6, 7}, seconds=[1.0])
    made._predict(tmp_path)
    found = json.loads((tmp_path / "plan.json").read_text())["prediction"]
    assert found["source"] == "first epoch"
    assert found["stages"] == [4 * 10, 4 * 40]
    assert found["total"] == pytest.approx(3 * 10 + 4 * 40 + 5 * 8 + 2 * 1, abs=1)
    # What is known later does not change what was predicted.
    made.epochs *= 2
    made._predict(tmp_path)
    assert made.notes["prediction"] == found


def test_every_recorded_metric_is_written_for_people():
    assert set(METRICS.values()) <= set(WRITTEN)
