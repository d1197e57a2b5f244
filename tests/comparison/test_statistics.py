"""Against numbers from tables and textbooks, not against the functions themselves."""

import pytest

from progressive.comparison.statistics import detectable, paired, power, seeds_needed

BASELINE = [0.40, 0.42, 0.41, 0.43, 0.39]


def test_interval_and_test_of_five_pairs():
    # Differences 1, 2, 3, 4, 5 hundredths: mean 3, standard deviation 1.5811, standard error
    # 0.7071; t with 4 degrees of freedom is 2.776 at 97.5 %, so the interval is 3 +- 1.963.
    scores = [b + d for b, d in zip(BASELINE, (0.01, 0.02, 0.03, 0.04, 0.05), strict=True)]
    found = paired(scores, BASELINE, margin=0.005)
    assert found.mean == pytest.approx(0.03)
    assert (found.low, found.high) == (
        pytest.approx(0.01037, abs=1e-4),
        pytest.approx(0.04963, abs=1e-4),
    )
    # t = 3 / 0.7071 = 4.243, two-sided p = 0.0132.
    assert found.p_value == pytest.approx(0.0132, abs=1e-4)
    assert found.non_inferior is True
    # Means of five draws out of 1 to 5: 95 % of them lie between 1.8 and 4.2.
    assert found.bootstrap_low == pytest.approx(0.018, abs=0.0011)
    assert found.bootstrap_high == pytest.approx(0.042, abs=0.0011)


def test_an_arm_that_is_clearly_worse_is_not_called_as_good():
    found = paired(
        [b - d for b, d in zip(BASELINE, (0.02, 0.03, 0.02, 0.03, 0.02), strict=True)],
        BASELINE,
        margin=0.005,
    )
    assert found.non_inferior is False
    assert found.high < 0


def test_noise_tells_nothing_either_way():
    found = paired(
        [b + d for b, d in zip(BASELINE, (0.05, -0.05, 0.04, -0.04, 0), strict=True)],
        BASELINE,
        margin=0.005,
    )
    assert found.low < 0 < found.high
    assert found.non_inferior is False
    assert found.p_value == pytest.approx(1.0)
    assert found.seeds_needed > 100


def test_no_worse_means_that_the_whole_interval_lies_above_the_margin():
    # One-sided at 5 % this would pass, beside an interval that begins at -0.007.
    found = paired([0.0004, 0.005, -0.0081, 0.0057, -0.0012], [0.0] * 5, margin=0.005)
    assert found.low < -0.005
    assert found.non_inferior is False


def test_equal_differences_say_nothing_of_chance():
    found = paired([0.990, 0.980], [0.985, 0.975], margin=0.005)
    assert found.mean == pytest.approx(0.005)
    assert (found.low, found.high, found.p_value, found.non_inferior) == (None,) * 4


def test_one_seed_tells_nothing():
    found = paired([0.5], [0.4], margin=0.005)
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.p_value, found.non_inferior, found.seeds_needed) == (None,) * 4


def test_arms_that_are_the_same():
    found = paired(BASELINE, BASELINE, margin=0.005)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert found.non_inferior is True
    assert found.p_value is None


# Sample sizes of the paired t-test at 5 % and a power of 80 %, from textbook tables.
@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_needed_are_those_of_the_tables(effect, pairs):
    assert seeds_needed(spread=1.0, difference=effect) == pairs


def test_what_three_seeds_can_tell():
    smallest = detectable(spread=0.01, seeds=3)
    assert smallest == pytest.approx(0.0326, abs=0.0005)
    assert power(smallest, 0.01, 3) == pytest.approx(0.8, abs=1e-6)
