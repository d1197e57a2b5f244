"""How fast an epoch was, and how long the rest takes."""

from __future__ import annotations

import pytest

from progressive import ProgressiveSchedule
from progressive.hosts.shared import clock
from progressive.hosts.shared.clock import EpochClock

SCHEDULE = ProgressiveSchedule.linear(epochs=4, stages=2, image_size=(32, 64))


def test_an_evaluation_is_no_wait(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def after(seconds, event, *arguments):
        now[0] += seconds
        return event(*arguments)

    watch = EpochClock(SCHEDULE)
    after(0, watch.start_epoch)
    after(1, watch.start_batch)
    after(3, watch.end_batch)
    after(10, watch.go_on)  # an evaluation
    after(1, watch.start_batch)
    after(3, watch.end_batch)
    told = after(2, watch.end_epoch, 0, 16)
    assert told["progressive/images_per_second"] == 2
    assert told["progressive/share_waiting_for_data"] == 0.25
    # The epoch took 20 s: so does the next at this size, and 4 times as long those at twice that.
    assert told["progressive/minutes_left"] == pytest.approx((20 + 2 * 80) / 60)
    assert told["progressive/predicted_minutes"] == pytest.approx((20 + 20 + 2 * 80) / 60)
    assert (told["progressive/stage"], told["progressive/image_size"]) == (0, 32)
