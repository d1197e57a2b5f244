"""What is checked, and what is taken over, before an interrupted run goes on."""

from __future__ import annotations

import json
import os

import pytest

from progressive.config.command_line import compose_config
from progressive.config.model import to_yaml
from progressive.errors import ConfigError
from progressive.resume import interrupted as settings_of
from progressive.run import precheck, run
from progressive.runs import checkpoints
from progressive.runs.folders import find_run, newest_unfinished
from progressive.runs.lock import locked


@pytest.fixture
def interrupted(tmp_path):
    """Return what makes the folder of an interrupted run, from overrides or a whole config.yaml."""

    def make(*overrides, text=None):
        config = text if text is not None else to_yaml(compose_config(["device=cpu", *overrides]))
        folder = tmp_path / "run"
        (folder / "weights").mkdir(parents=True)
        (folder / "weights" / "last.pt").write_bytes(b"")
        (folder / "config.yaml").write_text(config)
        return folder

    return make


def test_settings_are_those_the_run_began_with(interrupted, capsys):
    folder = interrupted("epochs=7", "stages=1", "batch=3")
    assert run(compose_config([f"resume={folder}", "dry_run=true"])) is None
    assert "batch 3\n" in capsys.readouterr().out


def test_loader_processes_stay_as_many_unless_told(interrupted):
    folder = interrupted("workers=2")
    kept, _ = settings_of(compose_config([f"resume={folder}"]), str(folder))
    told, _ = settings_of(compose_config([f"resume={folder}", "workers=3"]), str(folder))
    assert (kept.workers, told.workers) == (2, 3)


def test_a_run_of_another_trainer_is_left_to_its_comparison(interrupted):
    folder = interrupted()
    for trained_by, ours in (("progressive.run", True), ("progressive.comparison.train", False)):
        (folder / "environment.json").write_text(
            json.dumps({"command": f"python -m {trained_by} multi_scale epochs=4"})
        )
        if ours:
            assert find_run(str(folder)) == folder
        else:
            with pytest.raises(ConfigError, match="was trained by another trainer of a comparison"):
                find_run(str(folder))


def test_weights_that_have_moved_are_not_missed(interrupted, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.touch()
    folder = interrupted("backbone=resnet50", f"backbone.weights={weights}")
    weights.unlink()
    precheck(compose_config([f"resume={folder}"]))
    fresh = compose_config(["device=cpu", "backbone=resnet50", f"backbone.weights={weights}"])
    with pytest.raises(ConfigError, match=r"backbone\.weights=.*weights\.pth: no such file"):
        precheck(fresh)


def test_a_run_without_later_keys_goes_on(interrupted):
    config = to_yaml(compose_config(["device=cpu"]))
    earlier = config.replace("merge_batches: true\n", "")
    assert earlier != config
    precheck(compose_config([f"resume={interrupted(text=earlier)}"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 0", "config.yaml: task: missing; give task=VALUE"),
        ("[1", "config.yaml: "),
        ("- 1", r"config.yaml: \[1\]: must be a mapping"),
        ("", "config.yaml: None: must be a mapping"),
    ],
)
def test_settings_that_cannot_be_read(interrupted, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        precheck(compose_config([f"resume={interrupted(text=text)}"]))
    assert "\n" not in str(error.value)


def test_a_run_without_settings_is_no_run(interrupted):
    folder = interrupted()
    (folder / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"resume=.*: has no config\.yaml, so it is not a run"):
        precheck(compose_config([f"resume={folder}"]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["batch=8"], r"batch=8 \(the run has 3\): cannot be changed by resume"),
        (["stages=2"], r"stages=2 \(the run has 1\)"),
        (["backbone=resnet50"], r"backbone\.name=resnet50 \(the run has "),
        (["train.lrf=0.5"], r"train\.lrf=0\.5 \(the run has null\)"),
        (["epochs=200"], r"epochs=200 \(the run has 7\)"),
        (["batch=8", "seed=1"], r"batch=8 \(the run has 3\), seed=1 \(the run has 0\)"),
        (["output=elsewhere"], r"output=.*/elsewhere \(the run has .*/run\)"),
        (["data=blur", "task=classify"], r"data=blur \(the run has digits\)"),
    ],
)
def test_other_settings_are_refused_with_what_differs(interrupted, given, message):
    folder = interrupted("epochs=7", "stages=1", "batch=3")
    with pytest.raises(ConfigError, match=message) as error:
        precheck(compose_config([f"resume={folder}", *given]))
    assert "\n" not in str(error.value)


def test_the_same_command_again_is_no_change(interrupted):
    given = ("epochs=7", "stages=1", "batch=3")
    folder = interrupted(*given)
    precheck(compose_config([f"resume={folder}", *given, f"output={folder}", "data=digits"]))


@pytest.fixture
def finished(interrupted):
    """A finished run of 7 epochs, as far as its settings go."""
    folder = interrupted("epochs=7", "stages=2", "size.min=32", "size.max=64", "dropout.max=0.3")
    (folder / "summary.json").write_text("{}")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / checkpoints.name_of(7, 0)).write_bytes(b"")
    return folder


def test_a_finished_run_is_extended_by_a_stage_at_full_size(finished):
    config, folder = settings_of(compose_config([f"resume={finished}", "epochs=20"]), str(finished))
    assert folder == finished
    before = config.model_copy(update={"epochs": 7, "extended": ()}).schedule()
    stages = config.schedule().stages
    assert stages[:-1] == before.stages
    assert (stages[-1].start_epoch, stages[-1].stop_epoch) == (7, 20)
    assert stages[-1].knobs == stages[-2].knobs
    assert stages[-1].image_size == 64


def test_an_extended_run_is_extended_again(finished):
    once, _ = settings_of(compose_config([f"resume={finished}", "epochs=20"]), str(finished))
    (finished / "config.yaml").write_text(to_yaml(once))
    config, _ = settings_of(compose_config([f"resume={finished}", "epochs=30"]), str(finished))
    assert [stage.stop_epoch for stage in config.schedule().stages] == [5, 7, 20, 30]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "is finished; there is nothing to resume, but epochs=NUMBER extends it"),
        (["epochs=7"], "epochs=7: .* has finished 7; to extend it, give more"),
        (["epochs=20", "stages=5"], r"stages=5 \(the run has 2\)"),
    ],
)
def test_a_finished_run_is_not_changed(finished, given, message):
    with pytest.raises(ConfigError, match=message):
        precheck(compose_config([f"resume={finished}", *given]))


def test_the_newest_run_that_is_not_finished(tmp_path):
    with pytest.raises(ConfigError, match=r"resume=true: no run under .* is unfinished"):
        newest_unfinished(tmp_path)
    for age, name in enumerate(["busy", "done", "sweep/0", "old"]):
        folder = tmp_path / name / "checkpoints"
        folder.mkdir(parents=True)
        (folder / checkpoints.name_of(1, 0)).touch()
        os.utime(folder, (1000 - age, 1000 - age))
    (tmp_path / "done" / "summary.json").touch()
    with locked(tmp_path / "busy", "output=busy"):
        assert newest_unfinished(tmp_path) == tmp_path / "sweep" / "0"
    assert newest_unfinished(tmp_path) == tmp_path / "busy"
