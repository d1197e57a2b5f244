"""The knobs that act on a model: dropout and stochastic depth."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.hosts.ultralytics.head_dropout import insert_head_dropout, remove_head_dropout
from progressive.regularize import (
    rates,
    restore_rates,
    set_channel_dropout,
    set_drop_path,
    set_dropout,
)
from progressive.schedule import ProgressiveSchedule, TrainingStage


class ModelKnobs:
    """Sets the rates of a stage in a trainer's model and in its average, which is what is saved."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}

    def prepare(self, trainer: BaseTrainer, schedule: ProgressiveSchedule, undo: ExitStack) -> None:
        """Remember the model's rates, and insert dropout where a schedule with dropout needs it.

        Args:
            trainer: set up, before its first epoch.
            schedule: what it is going to train.
            undo: takes what undoes all of it.

        Raises:
            InputError: a size of the schedule is no multiple of the model's stride.
        """
        models = _models(trainer)
        self._rates = rates(models[0])
        if schedule.uses("drop_path_rate") and not set_drop_path(models[0], 0.0):
            LOGGER.warning("drop_path has no effect: the model has no stochastic depth to set.")
        for model in models:
            undo.callback(restore_rates, model, self._rates)
        if trainer.args.task == "classify":
            return
        _refuse_sizes(schedule, trainer.stride)
        if schedule.uses("dropout_rate"):
            for model in models:
                undo.callback(insert_head_dropout(model, trainer.data.get("channels", 3)))

    def apply(
        self, trainer: BaseTrainer, schedule: ProgressiveSchedule, stage: TrainingStage
    ) -> None:
        """Set the rates of `stage`, as far as the schedule has them."""
        for model in _models(trainer):
            if schedule.uses("dropout_rate"):
                if trainer.args.task == "classify":
                    set_dropout(model.model[-1], stage.dropout_rate)
                else:
                    set_channel_dropout(model, stage.dropout_rate)
            if schedule.uses("drop_path_rate"):
                set_drop_path(model, stage.drop_path_rate)

    def remove(self, model: Any) -> None:
        """Leave a model loaded from a file, with what was inserted, as one without a schedule."""
        remove_head_dropout(model)
        restore_rates(model, self._rates)


def _models(trainer: BaseTrainer) -> tuple[Any, Any]:
    return unwrap_model(trainer.model), trainer.ema.ema


def _refuse_sizes(schedule: ProgressiveSchedule, stride: int) -> None:
    for stage in schedule.stages:
        if stage.image_size % stride:
            raise InputError(
                f"progressive learning is impossible with image_size={stage.image_size}: no "
                f"multiple of the model's stride; give the schedule stride={stride}"
            )
