"""What follows from a probe: predictions, and epochs that fit into a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from progressive.lengths import relative_lengths
from progressive.prediction import (
    Kind,
    Timing,
    checkpoints,
    fewest_epochs,
    kind_of,
    most_epochs,
    outcome,
    predict,
    refit,
    shares,
    speed_up,
    with_lengths,
)
from progressive.schedule import ProgressiveSchedule

#: An epoch takes 1 s in the first and 4 s in the second stage.
TIMING = Timing(
    epochs={Kind(0): 1.0, Kind(1): 4.0},
    first={0: 0.5, 1: 2.0},
    validation=3.0,
    saving=0.25,
    before=5.0,
    after=4.0,
)


def schedule(epochs=8, **options):
    return ProgressiveSchedule.linear(epochs=epochs, stages=2, image_size=(32, 64), **options)


def seconds_of(planned):
    """Validated once in each stage."""
    return predict(planned, TIMING, (0, 1)).total


def test_a_prediction_adds_up():
    found = predict(schedule(), TIMING, {3, 6, 7})
    assert found.stages == (4 * 1 + 0.5, 4 * 4 + 2.0)
    assert found.validation == 9
    assert found.total == 4.5 + 18 + 9 + 8 * 0.25 + 5 + 4


def test_a_checkpoint_is_not_predicted_for_every_epoch():
    # Two at the ends; between them one whenever 20 times as long has passed.
    assert checkpoints([10.0] * 8, 0.1) == 9
    assert checkpoints([10.0] * 8, 1.0) == 2 + 3
    assert checkpoints([10.0] * 8, 100.0) == 2
    costly = replace(TIMING, checkpoint=100.0)
    for start, expected in ((0, 200), (4, 100)):  # the first of a training is not left to write
        totals = [predict(schedule(), timing, (), start).total for timing in (costly, TIMING)]
        assert totals[0] - totals[1] == expected


def test_fixed_training_has_the_last_stage_throughout():
    assert speed_up(schedule(), TIMING) == pytest.approx((8 * 4 + 2) / 22.5)


def test_kinds_follow_warm_up_and_mosaic():
    kinds = [kind_of(schedule(), e, warmup_epochs=1, close_mosaic=2) for e in range(8)]
    assert [k.warming for k in kinds] == [True, True, *[False] * 6]
    assert [k.mosaic_closed for k in kinds] == [*[False] * 6, True, True]
    assert not any(
        kind_of(schedule(), e, warmup_epochs=0, close_mosaic=0).warming for e in range(8)
    )


def test_a_kind_that_was_not_probed_costs_what_the_nearest_does():
    timing = Timing(epochs={Kind(0, warming=True): 3.0, Kind(0, mosaic_closed=True): 1.0})
    assert timing.epoch(Kind(0)) == 3.0
    assert timing.epoch(Kind(0, warming=True, mosaic_closed=True)) == 1.0


def test_a_timing_survives_json():
    import json

    timing = Timing(epochs={Kind(0, warming=True): 1.5}, first={0: 0.5}, memory={0: 1024})
    assert Timing.from_json(json.loads(json.dumps(timing.to_json()))) == timing


def test_the_outcome_has_the_error():
    predicted = {"source": "probe", "stages": [1.0], "total": 11.0}
    assert outcome(predicted, [1.1], 10.0) == {
        **predicted,
        "measured_stages": [1.1],
        "measured_total": 10.0,
        "error": pytest.approx(0.1),
    }


def test_as_many_epochs_as_fit():
    # 5 + 4 s around, 2.5 s in first epochs, 6 s of validations: 17.5 s and 0.25 s an epoch, of
    # which the first half takes 1 s and the other 4 s: 16 epochs take 17.5 + 4 + 8 + 32 = 61.5 s.
    assert most_epochs(schedule, seconds_of, 61.5, least=2) == 16
    assert most_epochs(schedule, seconds_of, 61.4, least=2) == 15
    assert most_epochs(schedule, seconds_of, 23.0, least=2) == 2
    assert most_epochs(schedule, seconds_of, 20.0, least=2) is None


@pytest.mark.parametrize(
    ("durations", "fewest"), [([2, 1, 2], 5), ([1, 8, 1], 6), (None, 3), ("falling", 3)]
)
def test_from_the_fewest_epochs_on_every_number_will_do(durations, fewest):
    def plan(epochs):
        return ProgressiveSchedule.linear(
            epochs=epochs, stages=3, image_size=(32, 96), durations=durations
        )

    weights = relative_lengths([32, 64, 96], durations)
    assert fewest_epochs(plan, weights) == fewest
    assert [plan(epochs).epochs for epochs in range(fewest, 40)] == [*range(fewest, 40)]
    if fewest > 3:
        with pytest.raises(ValueError, match="would get none"):
            plan(fewest - 1)


def test_what_is_left_is_fitted_to_the_time():
    def left(planned):  # 4 s an epoch in the stages after the first
        return 4.0 * (planned.epochs - planned.stages[0].epochs)

    planned = ProgressiveSchedule.linear(epochs=9, stages=3, image_size=(32, 96))
    fitted = refit(planned, 1, (1, 1, 2), left, seconds=25.0)
    assert [stage.epochs for stage in fitted.stages] == [3, 2, 4]
    assert fitted.stages[0] == planned.stages[0]
    assert [stage.image_size for stage in fitted.stages] == [32, 64, 96]
    # A stage is never left out.
    late = refit(planned, 1, (1, 1, 2), left, seconds=-1.0)
    assert [stage.epochs for stage in late.stages] == [3, 1, 1]


def test_shares_leave_no_part_empty():
    assert shares(10, [4, 3, 2, 1]) == [4, 3, 2, 1]
    assert shares(4, [100, 1, 1, 1]) == [1, 1, 1, 1]
    assert sum(shares(17, [1, 5, 1])) == 17


def test_lengths_as_durations_make_the_same_schedule():
    lengths = [5, 1, 9]
    planned = ProgressiveSchedule.linear(epochs=9, stages=3, image_size=(32, 96))
    again = ProgressiveSchedule.linear(
        epochs=15, stages=3, image_size=(32, 96), durations=[float(n) for n in lengths]
    )
    assert with_lengths(planned, lengths) == again
