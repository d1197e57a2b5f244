"""A comparison of hand-made runs, whose answer is known."""

import json

import pytest

from progressive.comparison.outcome import Trained, outcome, table
from progressive.comparison.results import read_result

BASELINE = [0.40, 0.42, 0.41, 0.43, 0.39]


@pytest.fixture
def compared(write_run):
    """Return what compares runs with these final scores, half as long as those of the baseline."""

    def compare(scores, baseline=BASELINE, margin=0.005):
        def trained(name, finals, seconds):
            # The final score is reached in the third of five epochs and held.
            folders = [
                write_run(f"{name}/{n}", [0.1, 0.2, end, end, end], seconds=seconds)
                for n, end in enumerate(finals)
            ]
            results = [read_result(folder, "detect") for folder in folders]
            return Trained([str(f) for f in folders], [["python"]] * len(folders), results)

        arms = {"fixed": trained("fixed", baseline, 19), "fast": trained("fast", scores, 9)}
        seeds = range(len(baseline))
        return outcome(arms, seeds=seeds, baseline="fixed", margin=margin, task="detect")

    return compare


def test_an_arm_that_is_faster_and_better(compared):
    differences = (0.01, 0.02, 0.03, 0.04, 0.05)
    found = compared([b + d for b, d in zip(BASELINE, differences, strict=True)])
    fast = found["arms"]["fast"]
    assert found["metric"] == "map50_95"
    assert fast["map50_95"] == pytest.approx([0.41, 0.44, 0.44, 0.47, 0.44])
    assert fast["map50"] == pytest.approx([0.82, 0.88, 0.88, 0.94, 0.88])
    # Five epochs of 20 s and 5 s of set-up against five of 10 s and 5 s.
    assert fast["seconds"]["total"] == [55] * 5
    assert fast["speed_up"] == pytest.approx(105 / 55)
    # 60 s until the third epoch of the baseline ends, 30 s in the arm.
    assert fast["speed_up_equal_quality"] == [2.0] * 5
    # Mean 0.03, standard error 0.7071, t 2.776: see tests of the statistics.
    assert fast["difference"]["mean"] == pytest.approx(0.03)
    assert fast["difference"]["low"] == pytest.approx(0.01037, abs=1e-4)
    assert fast["difference"]["high"] == pytest.approx(0.04963, abs=1e-4)
    assert fast["difference"]["non_inferior"] is True
    assert fast["converged"] == [True] * 5
    assert found["verdict"] == (
        "fast is 1.91 times as fast as fixed and is better (+0.030 mAP50-95, 95 % interval +0.010 "
        "to +0.050, five seeds)."
    )
    json.dumps(found, allow_nan=False)


def test_an_arm_that_never_gets_there(compared):
    found = compared([b - 0.02 - 0.001 * n for n, b in enumerate(BASELINE)])
    assert found["arms"]["fast"]["speed_up_equal_quality"] == [None] * 5
    assert "is worse by more than the margin" in found["verdict"]
    assert "not reached" in table(found)


def test_one_seed(compared):
    found = compared([0.5], [0.4])
    assert "one seed can tell nothing" in found["verdict"]
    assert found["arms"]["fast"]["difference"]["low"] is None
    assert "+0.100" in table(found)
    json.dumps(found, allow_nan=False)


def test_a_baseline_that_has_learned_nothing(compared):
    found = compared([0.2, 0.3], [0.0, 0.0])
    assert found["arms"]["fast"]["speed_up_equal_quality"] == [None, None]
    assert "fixed has learned nothing" in found["verdict"]
