from __future__ import annotations

from progressive.hosts.shared.patience import WAITING, patience_count
from progressive.schedule import ProgressiveSchedule


def test_patience_counts_from_the_last_stage_on():
    schedule = ProgressiveSchedule.linear(epochs=6, stages=3, image_size=(32, 96))
    counts = [patience_count(4, schedule, stage) for stage in schedule.stages]
    assert counts == [WAITING, WAITING, 4]
    assert patience_count(WAITING + 2, schedule, schedule.stages[-1]) == 0
    only = ProgressiveSchedule.fixed(epochs=6, image_size=32)
    assert patience_count(3, only, only.stages[0]) == 3
