"""Valid schedules that are a mistake."""

from __future__ import annotations

import pytest

from progressive.errors import InputError
from progressive.pitfalls import large_objects, pitfalls
from progressive.schedule import ProgressiveSchedule


def found(epochs, images, durations=None, *, stages=4, batch=16, nbs=16, warmup_epochs=3.0):
    schedule = ProgressiveSchedule.linear(
        epochs=epochs, stages=stages, image_size=(96, 192), durations=durations
    )
    return list(pitfalls(schedule, images, batch=batch, nbs=nbs, warmup_epochs=warmup_epochs))


def test_a_sound_schedule_has_none():
    assert found(36, 384) == []


def test_few_steps_of_the_optimizer():
    # A stage has 2 epochs of 4 batches of 16 images: 8 steps, or 2 where the optimizer waits for 4.
    assert found(8, 64, warmup_epochs=0) == [
        f"stage {n}/4, 2 epochs of 64 images, has 8 steps of the optimizer: too few to learn from."
        for n in (1, 2, 3, 4)
    ]
    assert "has 2 steps" in found(8, 64, nbs=64, warmup_epochs=0)[0]
    assert found(12, 64, warmup_epochs=0) == []


def test_the_optimizer_does_not_wait_while_it_warms_up():
    # 3 epochs of 4 batches warm up, the other 2 have a step for every 4 batches: 14 steps.
    assert found(5, 64, stages=1, nbs=64) == []


def test_a_last_stage_shorter_than_the_warm_up():
    (said,) = found(36, 384, durations=[11, 11, 12, 2])
    assert said.startswith("The last stage, 2 epochs, is shorter than the warm-up of 3")


def test_a_warm_up_that_reaches_into_the_last_stage():
    (said,) = found(8, 384, stages=2, warmup_epochs=5)
    assert said.startswith("The learning rate warms up for 5 epochs")
    assert said.endswith("beyond the start of the last stage after 4 epochs.")


def test_a_stage_that_never_trains_is_refused():
    with pytest.raises(InputError, match=r"^stage 4/4, 1 epoch of 16 images: ends before"):
        found(8, 16, durations=[3, 2, 2, 1], nbs=128, warmup_epochs=0, batch=64)


def test_large_objects_in_small_images():
    schedule = ProgressiveSchedule.linear(epochs=8, stages=2, image_size=(96, 192))
    (said,) = large_objects(schedule, 0.694)
    assert said.startswith("Half of the objects take up 69% or more of their image's side.")
    assert "a first stage of 96 px costs mAP50-95" in said
    assert list(large_objects(schedule, 0.18)) == []
    # Nearly full size from the start, or one size.
    near = ProgressiveSchedule.linear(epochs=8, stages=2, image_size=(160, 192))
    assert list(large_objects(near, 0.694)) == []
