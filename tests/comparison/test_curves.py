import pytest

from progressive.comparison.curves import Point, converged, seconds_to, speed_up_at_equal_quality


def curve(*scores, seconds=10):
    return [Point(n * seconds, score, n) for n, score in enumerate(scores, start=1)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.1, 0.3, 0.5, 0.6), 30),
        ((0.1, 0.6, 0.4, 0.5), 40),  # reached at 20 s, lost again, reached and held from 40 s
        ((0.5, 0.6, 0.7, 0.6), 10),
        ((0.1, 0.6, 0.6, 0.4), None),
        ((), None),
    ],
)
def test_a_score_counts_once_it_is_held(scores, expected):
    assert seconds_to(0.5, curve(*scores)) == expected


def test_speed_up_is_measured_to_the_baselines_final_score():
    baseline = curve(0.2, 0.4, 0.5, seconds=20)  # reaches its 0.5 after 60 s
    fast = curve(0.3, 0.5, 0.6, seconds=10)  # after 20 s
    never = curve(0.3, 0.4, 0.45, seconds=10)
    assert speed_up_at_equal_quality([fast, never], [baseline, baseline]) == [3.0, None]


def test_a_baseline_that_had_its_final_score_early_is_not_charged_for_the_rest():
    baseline = curve(0.5, 0.6, 0.5, seconds=20)
    assert speed_up_at_equal_quality([curve(0.1, 0.5, 0.5)], [baseline]) == [1.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.1, 0.3, 0.4, 0.45, 0.455), True),
        ((0.1, 0.3, 0.4, 0.45, 0.47), False),
        ((0.1, 0.3, 0.4, 0.45, 0.40), True),
        ((0.4,), False),
    ],
)
def test_converged_means_no_gain_in_the_last_fifth(scores, expected):
    assert converged(curve(*scores)) is expected


def test_a_fifth_is_one_of_epochs_however_seldom_they_are_validated():
    rising = [Point(float(n), 0.002 * n, n) for n in range(1, 61)]  # gains 0.024 in twelve epochs
    seldom = [point for point in rising if point.epoch in {15, 30, 45} or point.epoch > 45]
    assert converged(rising) is False
    assert converged(seldom) is False
