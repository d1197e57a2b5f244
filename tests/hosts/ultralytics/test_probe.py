"""A probe times every kind of epoch and leaves everything else as it was."""

from __future__ import annotations

import random

import pytest
import torch
from ultralytics import YOLO

from progressive.errors import InputError
from progressive.hosts.ultralytics.probe import Pass, probe
from progressive.prediction import Kind
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(epochs=5, stages=2, image_size=(32, 64))
ARGUMENTS = {"batch": 4, "nbs": 8, "warmup_epochs": 1, "device": "cpu", "plots": False}


@pytest.mark.slow
def test_every_kind_of_epoch_is_timed_and_nothing_stays(tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = random.getstate(), torch.get_rng_state(), torch.get_num_threads()
    arguments = {**ARGUMENTS, "data": str(tiny_data), "mosaic": 1.0, "close_mosaic": 1}
    # As in a run; and there are more passes than the schedule has epochs.
    arguments["plots"] = True
    probed = probe(lambda: YOLO("yolov8n.yaml"), SCHEDULE, arguments)
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]
    assert list(tmp_path.iterdir()) == []

    timing = probed.timing
    # Epochs 0 and 1 warm up, so nothing is merged there; the last one has no mosaic.
    kinds = {Kind(0, warming=True), Kind(0), Kind(1), Kind(1, mosaic_closed=True)}
    assert set(timing.epochs) == kinds
    assert all(seconds > 0 for seconds in timing.epochs.values())
    assert timing.before > 0
    assert timing.after > 0
    assert 0 < timing.saving < timing.took
    assert probed.images == (12, 4)
    prediction = probed.predict(SCHEDULE)
    assert prediction.total > prediction.train > 0


def test_the_time_of_an_epoch_follows_from_a_pass():
    # The first batch is there after 1 s; the steps take 5 s (which prepares something), 2 s, 2 s
    # and 2 s: an epoch of 40 images in batches of 4 takes 10 steps and the 4 s beside them.
    timed = Pass(Kind(0), 0, cold=False, started=10, batch=4)
    timed.batch_starts = [11.0, 16.0, 18.0, 20.0]
    timed.trained = 22.0
    assert timed.step == 2
    assert timed.around == 4
    assert timed.seconds(40) == 24


def test_several_devices_cannot_be_probed():
    with pytest.raises(InputError, match="one device"):
        probe(lambda: None, SCHEDULE, {"device": "0,1"})
