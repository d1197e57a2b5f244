from __future__ import annotations

from types import SimpleNamespace

import pytest

from progressive.hosts.ultralytics import clock
from progressive.hosts.ultralytics.clock import Clock


@pytest.fixture
def times(monkeypatch):
    """Return a list to write the next readings of the clock into."""
    readings: list[float] = []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: readings.pop(0))
    return readings


def test_an_epoch_is_cut_into_its_parts(times):
    watch, steps = Clock(), []
    trainer = SimpleNamespace(optimizer_step=lambda: steps.append(1))
    stop = watch.watch_optimizer(trainer)
    times[:] = [100, 103, 105, 106, 107, 108, 110, 111, 115]
    watch.start_epoch()  # 100
    watch.start_batch()  # 103: 3 s of waiting
    trainer.optimizer_step()  # 105 to 106
    watch.end_batch()  # 107: 4 s, the step included
    watch.start_batch()  # 108: 1 s of waiting
    watch.end_batch()  # 110: 2 s without a step
    watch.end_training()  # 111
    assert (watch.data, watch.compute, watch.optimizer, watch.training) == (4, 5, 1, 11)
    assert watch.since_training() == 4  # 115
    assert steps == [1]
    stop()
    assert not hasattr(trainer, "optimizer_step")  # a trainer has one in its class


def test_an_epoch_that_starts_again_counts_anew(times):
    watch = Clock()
    times[:] = [100, 103, 107, 200, 202]
    watch.start_epoch()
    watch.start_batch()
    watch.end_batch()
    watch.start_epoch()
    watch.start_batch()
    assert (watch.data, watch.batches) == (2, 0)
    assert watch.training is None
    with pytest.raises(RuntimeError, match="no training"):
        watch.since_training()
