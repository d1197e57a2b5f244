"""Experiment trackers: which there are, what they need, and what they are told of a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import NamedTuple

from progressive.errors import ConfigError
from progressive.schedule import TrainingStage

#: Put before the name of everything a tracker is told, so that it stands together.
PREFIX = "progressive/"


class Tracker(NamedTuple):
    """A tracker that Ultralytics has logger callbacks for.

    Attributes:
        package: to install with pip.
        module: that the package brings.
        callbacks: the module of `ultralytics.utils.callbacks` with its logger callbacks.
    """

    package: str
    module: str
    callbacks: str


#: Every tracker, by what `track=` and Ultralytics' settings call it.
TRACKERS = {
    "tensorboard": Tracker("tensorboard", "tensorboard", "tensorboard"),
    "mlflow": Tracker("mlflow", "mlflow", "mlflow"),
    "wandb": Tracker("wandb", "wandb", "wb"),
    "clearml": Tracker("clearml", "clearml", "clearml"),
    "comet": Tracker("comet_ml", "comet_ml", "comet"),
    "dvc": Tracker("dvclive", "dvclive", "dvc"),
}


def check_installed(names: Iterable[str]) -> None:
    """Raise ConfigError, with the command that installs it, for a tracker that is not there.

    Nothing of it is imported.
    """
    for name in names:
        found = find_spec(TRACKERS[name].module)
        if found is None or found.origin is None:  # a folder of that name, as W&B makes here
            raise ConfigError(
                f"track={name}: is not installed; pip install {TRACKERS[name].package}, "
                "or leave it out"
            )


def of_stage(stage: TrainingStage) -> dict[str, float]:
    """Return what is logged of a stage: its index from 0, its size in pixels and every knob.

    A knob that is left to the host is not among them.
    """
    shown = {"stage": stage.index, "image_size": stage.image_size, **stage.knobs}
    return {f"{PREFIX}{name}": float(value) for name, value in shown.items() if value is not None}


def of_epoch(
    *,
    images: int | None,
    train_seconds: float,
    data_seconds: float | None,
    elapsed: float,
    left: float,
) -> dict[str, float]:
    """Return what is logged of how fast an epoch was and of when training will end.

    Args:
        images: that were trained on; None where nobody can tell.
        train_seconds: of the epoch's training.
        data_seconds: of these, waiting for data; None where nobody has measured it.
        elapsed: seconds since the run began.
        left: seconds that remain, as predicted.
    """
    shown = {"minutes_left": left / 60, "predicted_minutes": (elapsed + left) / 60}
    if images is not None and train_seconds > 0:
        shown["images_per_second"] = images / train_seconds
    if data_seconds is not None and train_seconds > 0:
        shown["share_waiting_for_data"] = min(data_seconds / train_seconds, 1.0)
    return {f"{PREFIX}{name}": value for name, value in shown.items()}
