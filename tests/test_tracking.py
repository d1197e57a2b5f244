"""What trackers are told, and the answer for one that is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from progressive import ProgressiveSchedule
from progressive.config.command_line import compose_config
from progressive.errors import ConfigError
from progressive.tracking import check_installed, of_epoch, of_stage


def test_a_stage_is_told_with_every_knob_it_has():
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), randaugment=(0, 10), mixup=(0, 0.2)
    )
    assert of_stage(schedule.stages[1]) == {
        "progressive/stage": 1,
        "progressive/image_size": 64,
        "progressive/randaugment_magnitude": 10,
        "progressive/mixup": 0.2,
        "progressive/dropout_rate": 0,
        "progressive/drop_path_rate": 0,
    }


def test_an_epoch_is_told_with_its_speed_and_the_end():
    told = of_epoch(images=40, train_seconds=8.0, data_seconds=2.0, elapsed=60.0, left=120.0)
    assert told == {
        "progressive/images_per_second": 5.0,
        "progressive/share_waiting_for_data": 0.25,
        "progressive/minutes_left": 2.0,
        "progressive/predicted_minutes": 3.0,
    }
    less = of_epoch(images=None, train_seconds=8.0, data_seconds=None, elapsed=0.0, left=6.0)
    assert set(less) == {"progressive/minutes_left", "progressive/predicted_minutes"}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("[tensorbord]", "did you mean tensorboard?"),
        ("[mlflow,mlflow]", "names one twice"),
        ("3", "must be a list, as [tensorboard,mlflow]"),
    ],
)
def test_a_wrong_list_is_answered_in_one_line(value, line):
    with pytest.raises(ConfigError, match=r"^track=") as error:
        compose_config([f"track={value}"])
    assert line in str(error.value)


def test_one_tracker_needs_no_brackets():
    assert compose_config(["track=mlflow"]).track == ("mlflow",)
    assert compose_config([]).track == ()


def test_a_tracker_that_is_not_there_is_refused_with_what_installs_it():
    # Whatever is installed here, `import dvclive` finds nothing.
    code = (
        "import sys, importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'dvclive' else find(name)\n"
        "sys.argv = ['run', 'track=[dvc]', 'dry_run=true', 'device=cpu']\n"
        "from progressive.run import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("progressive: track=dvc: is not installed; pip install dvclive")


def test_a_folder_that_is_called_like_a_tracker_is_none(tmp_path, monkeypatch):
    (tmp_path / "dvclive").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^track=dvc: is not installed"):
        check_installed(["dvc"])
