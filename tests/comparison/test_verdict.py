import pytest

from progressive.comparison.statistics import paired
from progressive.comparison.verdict import baseline_note, verdict


def said(*differences, margin=0.005, speed_up=2.0):
    zero = [0.0] * len(differences)
    return verdict("fast", "fixed", "mAP50-95", paired(differences, zero, margin), speed_up)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ((0.01, 0.011, 0.012), "is better"),
        ((0.001, -0.001, 0.0), "is no worse by more than 0.005"),
        ((-0.001, -0.0011, -0.0009), "is no worse by more than 0.005"),
        ((-0.01, -0.011, -0.012), "is worse by more than the margin"),
        ((-0.003, -0.009, -0.006, -0.006), "but is worse ("),
        ((-0.001, -0.001), "all two seeds differ by -0.001 mAP50-95, which says nothing of chance"),
        ((0.0,), "one seed can tell nothing"),
    ],
)
def test_what_follows(differences, expected):
    assert expected in said(*differences)


def test_what_three_seeds_cannot_tell():
    # Standard deviation 0.01: three seeds find 0.033 with a power of 0.8 (see test_statistics).
    # For an effect of 0.5 standard deviations a textbook asks for 34 pairs.
    sentence = said(0.01, 0.0, -0.01)
    assert sentence.endswith(
        "whether it is as good is open (+0.000 mAP50-95, 95 % interval -0.025 to +0.025, three "
        "seeds): three seeds cannot tell a difference under 0.033; 34 could tell 0.005."
    )
    assert "a thousand could not tell 0.0001" in said(0.01, 0.0, -0.01, margin=0.0001)


@pytest.mark.parametrize(
    ("speed_up", "expected"),
    [
        (2.0, "fast is 2.00 times as fast as fixed"),
        (0.5, "fast takes 2.00 times as long as fixed"),
        (1.01, "fast takes as long as fixed"),
    ],
)
def test_the_pace(speed_up, expected):
    assert said(0.01, 0.011, 0.012, speed_up=speed_up).startswith(expected)


def test_notes_on_the_baseline():
    assert baseline_note("fixed", [0.4, 0.5], [True, True]) is None
    assert "had not converged with one of two seeds" in baseline_note(
        "fixed", [0.4, 0.5], [True, False]
    )
    assert baseline_note("fixed", [0.4], [False]).startswith("fixed had not converged (its last")
    assert "has learned nothing" in baseline_note("fixed", [0.0, 0.0], [True, True])
