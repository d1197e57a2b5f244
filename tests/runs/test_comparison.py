from __future__ import annotations

from progressive.runs.comparison import data_table, differences, group, pareto
from progressive.runs.load import load_run
from progressive.runs.view import arm_rows


def test_runs_that_differ_in_their_seeds_belong_together(make_run, tmp_path):
    runs = [
        load_run(make_run(tmp_path / f"{stages}-{seed}", stages=stages, seed=seed, pictures=False))
        for stages, seed in ((1, 0), (3, 0), (1, 1))
    ]
    fixed, staged = group(runs)
    assert (fixed.name, staged.name) == ("size.min=128 stages=1", "size.min=64 stages=3")
    assert [run.folder.name for run in fixed.runs] == ["1-0", "1-1"]
    assert (fixed.baseline, staged.baseline) == (True, False)
    assert fixed.spread is not None
    assert staged.spread is None
    assert differences(runs) == {
        "size.min": [128, 64, 128],
        "stages": [1, 3, 1],
    }


def test_runs_are_compared_by_their_last_weights(make_run, tmp_path):
    best = {"metrics": {"mAP50": 0.9, "mAP50_95": 0.8}}  # of an epoch chosen on the same data
    run = load_run(make_run(tmp_path / "run", pictures=False, extra=best))
    (arm,) = group([run])
    assert run.score == 0.8
    assert arm.scores == [run.epochs[-1].metrics["mAP50_95"]]
    (row,) = arm_rows([arm])
    assert row["mAP50-95"] == f"{arm.scores[0]:.3f}"
    assert row["best mAP50-95"] == "0.800"


def test_runs_that_are_not_finished_do_not_count(make_run, tmp_path):
    runs = [
        load_run(make_run(tmp_path / str(seed), seed=seed, finished=not seed, pictures=False))
        for seed in (0, 1)
    ]
    (arm,) = group(runs)
    assert arm.finished == [runs[0]]
    assert arm.seconds == runs[0].seconds


def test_data_is_compared(make_run, tmp_path):
    runs = [
        load_run(make_run(tmp_path / letter, stages=stages, data=32 * letter, pictures=False))
        for letter, stages in (("a", 1), ("b", 2))
    ]
    row = ["12 files, aaaaaaaaaaaa", "12 files, bbbbbbbbbbbb"]
    assert data_table(group(runs)) == {
        f"{part} {kind}": row for part in ("train", "val") for kind in ("images", "labels")
    }


def test_the_front_has_what_nothing_beats():
    points = [(10, 0.3), (20, 0.5), (15, 0.2), (10, 0.4), (30, 0.5), (40, 0.6)]
    assert pareto(points) == [(10, 0.4), (20, 0.5), (40, 0.6)]
    assert pareto([]) == []
