import pytest

from progressive.cost import relative_cost, seconds_left, stage_cost
from progressive.schedule import ProgressiveSchedule


def schedule(sizes=(320, 640), epochs=8, stages=4, **options):
    return ProgressiveSchedule.linear(epochs=epochs, stages=stages, image_size=sizes, **options)


@pytest.mark.parametrize(
    ("sizes", "durations", "cost"),
    [((320, 640), None, 0.60), ((160, 640), None, 0.47), ((160, 640), [4, 3, 2, 1], 0.31)],
)
def test_published_pixel_costs(sizes, durations, cost):
    planned = schedule(sizes, epochs=100, durations=durations)
    assert relative_cost(planned) == pytest.approx(cost, abs=0.006)


def test_fixed_size_costs_one():
    assert relative_cost(ProgressiveSchedule.fixed(epochs=3, image_size=64)) == 1


def test_stage_costs_sum_to_the_whole():
    planned = schedule()
    assert stage_cost(planned, planned.stages[0]) == pytest.approx(0.25 * 0.25)
    assert sum(stage_cost(planned, s) for s in planned.stages) == relative_cost(planned)


def test_time_left_knows_that_later_stages_are_slower():
    planned = schedule((32, 64), epochs=4, stages=2)
    # Two epochs at 64 px follow, with four times the pixels of the measured 32 px.
    assert seconds_left(planned, 2, {32: 10.0}) == pytest.approx(80)
    assert seconds_left(planned, 1, {32: 10.0}) == pytest.approx(90)
    assert seconds_left(planned, 4, {32: 10.0}) == 0


def test_time_left_uses_fixed_costs_once_two_sizes_are_known():
    planned = ProgressiveSchedule.linear(epochs=3, stages=3, image_size=(32, 96))
    # 10 s + 1 s per 32x32 block: 11 s at 32 px, 14 s at 64 px, so 19 s at 96 px.
    assert seconds_left(planned, 2, {32: 11.0, 64: 14.0}) == pytest.approx(19)
    # A line bent the wrong way by noise falls back to the pixels of the largest size.
    assert seconds_left(planned, 2, {32: 20.0, 64: 14.0}) == pytest.approx(14 * 9 / 4)


def test_time_left_needs_a_measurement():
    with pytest.raises(ValueError, match="measured"):
        seconds_left(schedule(), 0, {})
