import pytest

from progressive.comparison.arms import Arm, check_all_differ, check_only_named, rotation
from progressive.errors import ConfigError
from progressive.schedule import ProgressiveSchedule


def arm(name, trainer="progressive", size=(32, 64), stages=2, **settings):
    schedule = ProgressiveSchedule.linear(epochs=4, stages=stages, image_size=size)
    return Arm(
        name,
        trainer,
        (),
        {"stages": stages, "lr_by": "epochs", "levels_by": "stage", **settings},
        schedule,
    )


def test_arms_differ_by_what_they_do():
    fixed = arm("fixed", stages=1, seed=0)
    check_all_differ([fixed, arm("stock", trainer="stock", stages=1), arm("progressive")])
    check_all_differ([fixed, arm("faster", stages=1, train={"lr0": 0.1})])
    check_all_differ([arm("progressive"), arm("compute", lr_by="compute")])
    # With one stage the smaller size is never used, and the seed is no part of an arm.
    with pytest.raises(ConfigError, match="fixed and other are the same"):
        check_all_differ([fixed, arm("other", size=(64, 64), stages=1, seed=1)])
    with pytest.raises(ConfigError, match="fixed and other are the same"):
        check_all_differ([fixed, arm("other", stages=1, lr_by="compute")])


def test_only_what_an_arm_names_may_differ():
    base = {"stages": 4, "size": {"min": 96, "max": 192}, "train": {"nbs": 16}, "seed": 0}
    changed = {**base, "size": {"min": 128, "max": 192}, "seed": 1}
    check_only_named(Arm("a", "stock", (), changed, arm("a").schedule), base, ["size"])
    check_only_named(Arm("a", "stock", (), changed, arm("a").schedule), base, ["size.min"])
    check_only_named(Arm("a", "stock", (), changed, arm("a").schedule), base, ["schedule"])
    listed = {**changed, "stages": 3, "sizes": [96, 128, 192]}
    check_only_named(Arm("a", "stock", (), listed, arm("a").schedule), base, ["sizes"])
    shares = {**base, "durations": [1, 3], "durations_by": "epochs"}
    check_only_named(Arm("a", "stock", (), shares, arm("a").schedule), base, ["durations"])
    silent = Arm("a", "stock", (), {**changed, "train": {"nbs": 4}}, arm("a").schedule)
    with pytest.raises(ConfigError, match=r"arm a: train\.nbs would be 4 in it and 16"):
        check_only_named(silent, base, ["size", "batch"])
    with pytest.raises(ConfigError, match=r"arm a: size\.min would be 128"):
        check_only_named(silent, base, ["train"])


def test_how_a_run_is_followed_makes_it_no_other_run():
    quiet = arm("fixed", log="quiet", track=["mlflow"], save_minutes=1.0, price_per_hour=2.5)
    assert quiet.asked == arm("fixed", log="full", track=[]).asked


def test_each_seed_begins_with_another_arm():
    arms = [arm("a"), arm("b"), arm("c")]
    order = [f"{found.name}{seed}" for found, seed in rotation([7, 8, 9, 10], arms)]
    assert order == ["a7", "b7", "c7", "b8", "c8", "a8", "c9", "a9", "b9", "a10", "b10", "c10"]
