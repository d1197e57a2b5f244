"""Runs as processes, with a trainer that only writes what a run leaves."""

import json
from dataclasses import replace
from zipfile import ZipFile

import pytest

from progressive.comparison.arms import Arm
from progressive.comparison.processes import Run, check_reuse, take_turns
from progressive.comparison.progress import Progress
from progressive.errors import InputError
from progressive.schedule import ProgressiveSchedule

#: Ends as its first argument says, and notes its arguments.
FAKE = """
import sys
from pathlib import Path
how, *rest = sys.argv[1:]
if how.startswith("resume="):
    folder, rest = how[7:], ["resumed"]
    how = "fail" if (Path(folder) / "broken").exists() else "finish"
else:
    folder, *rest = rest
folder = Path(folder)
(folder / "weights").mkdir(parents=True, exist_ok=True)
with (folder.parent / "order").open("a") as file:
    print(folder.name, *rest, file=file)
if how == "fail":
    print("this went wrong")
    sys.exit(3)
(folder / "summary.json").write_text("{}")
"""

HERE = {"kind": "cpu", "processor": "one"}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return what makes a run of the fake trainer."""
    (tmp_path / "fake_trainer.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(name="fixed", seed=0, how="finish", trainer="progressive", **settings):
        schedule = ProgressiveSchedule.linear(epochs=4, stages=1, image_size=(64, 64))
        arm = Arm(name, trainer, (), settings, schedule)
        folder = tmp_path / "out" / f"{name}{seed}"
        return Run(arm, seed, folder, ("fake_trainer",), (how, str(folder)), f"resume={folder}")

    return run


def order(run):
    return (run.folder.parent / "order").read_text().splitlines()


def interrupted(run):
    (run.folder / "weights").mkdir(parents=True)
    with ZipFile(run.folder / "weights" / "last.pt", "w") as archive:
        archive.writestr("data.pkl", "")
    run.request.write_text(json.dumps({"asked": run.arm.asked}))
    return run


def test_runs_are_trained_in_order_and_reused(make):
    runs = [make(seed=seed) for seed in (1, 0)]
    told = []
    take_turns(runs, [None], HERE, lambda run, seconds: told.append((run.seed, seconds > 0)))
    assert order(runs[0]) == ["fixed1", "fixed0"]
    check_reuse(runs, HERE)
    take_turns(runs, [None], HERE, lambda run, seconds: told.append((run.seed, seconds > 0)))
    assert order(runs[0]) == ["fixed1", "fixed0"]
    assert told == [(1, True), (0, True), (1, False), (0, False)]
    asked = json.loads(runs[0].request.read_text())
    assert asked["command"] == ["python", "-m", "fake_trainer", "finish", str(runs[0].folder)]


def test_several_devices_take_one_run_each(make):
    runs = [make(seed=seed) for seed in range(3)]
    take_turns(runs, ["0", "1"], HERE, lambda run, seconds: None)
    devices = {line.partition(" ")[2] for line in order(runs[0])}
    assert devices == {"device=0", "device=1"}
    assert {line.partition(" ")[0] for line in order(runs[0])} == {"fixed0", "fixed1", "fixed2"}


def test_an_interrupted_run_goes_on_or_begins_again(make):
    ours, damaged, stock = (
        interrupted(make(name, trainer=trainer))
        for name, trainer in (("a", "progressive"), ("b", "progressive"), ("c", "stock"))
    )
    (damaged.folder / "weights" / "last.pt").write_bytes(b"half of it")
    take_turns([ours, damaged, stock], [None], HERE, lambda run, seconds: None)
    assert order(ours) == ["a0 resumed", "b0", "c0"]


def test_what_a_resumed_run_has_saved_stays_when_it_fails(make):
    run = interrupted(make())
    (run.folder / "broken").touch()
    with pytest.raises(InputError, match="fixed, seed 0: failed with code 3: this went wrong"):
        take_turns([run], [None], HERE, lambda run, seconds: None)
    assert order(run) == ["fixed0 resumed"]
    assert (run.folder / "weights" / "last.pt").exists()


def test_a_run_that_fails_is_named_with_its_last_line(make):
    run = make(how="fail")
    with pytest.raises(InputError, match=r"fixed, seed 0: failed with code 3: this went wrong; se"):
        take_turns([run, make(seed=1)], [None], HERE, lambda run, seconds: None)
    assert order(run) == ["fixed0"]


def test_folders_of_others_are_refused(make):
    run = make(epochs=4)
    run.folder.mkdir(parents=True)
    with pytest.raises(InputError, match="is no run of a comparison"):
        check_reuse([run], HERE)
    run.request.write_text(json.dumps({"asked": run.arm.asked}))
    check_reuse([run], HERE)
    other = replace(run, arm=make(epochs=8).arm)
    with pytest.raises(InputError, match=r"other settings \(epochs=4, not 8\)"):
        check_reuse([other], HERE)
    run.request.write_text('{"asked": ')
    with pytest.raises(InputError, match="cannot be read"):
        check_reuse([run], HERE)
    run.request.write_text("[]")
    with pytest.raises(InputError, match="other settings"):
        check_reuse([run], HERE)


def test_a_run_whose_command_is_lost_is_one_line(make):
    run = make()
    run.folder.parent.mkdir(parents=True)
    run.request.write_text('{"asked": {}}')
    with pytest.raises(InputError, match="names no command; repeat the run"):
        _ = run.trained_by


def test_times_of_two_machines_are_not_mixed(make):
    run = make()
    take_turns([run], [None], HERE, lambda run, seconds: None)
    check_reuse([run], HERE)
    with pytest.raises(InputError, match="was trained on cpu, one, and this is cuda, one: their"):
        check_reuse([run], HERE | {"kind": "cuda"})


def test_the_rest_is_predicted_by_arm_and_by_pixels(make):
    small, large = make("small"), make("large")
    twice = ProgressiveSchedule.linear(epochs=4, stages=1, image_size=(128, 128))
    large = replace(large, arm=replace(large.arm, schedule=twice))
    runs = [small, replace(small, seed=1), large]
    progress = Progress(runs, devices=1)
    assert progress.seconds_left() is None
    # 10 s for the small one, and four times as many pixels in the large one.
    line = progress.line(runs[0], 10.0, "mAP50-95 0.400")
    assert line == "1/3 small, seed 0: mAP50-95 0.400, 10 s. About 50 s left."
    assert progress.line(large, 0.0, "-").endswith("was there already. About 10 s left.")
    assert progress.line(runs[1], 20.0, "-").endswith(" 20 s.")
