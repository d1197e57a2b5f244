"""Where a training is: stage, epoch and batch, as a line of the log names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ultralytics.engine.trainer import BaseTrainer

from progressive.schedule import ProgressiveSchedule


class Place:
    """Counts the batches of an epoch, which the trainer keeps to itself.

    Args:
        trainer: set up, before its first epoch.
        schedule: returns the one that it follows at the time.
    """

    def __init__(self, trainer: BaseTrainer, schedule: Callable[[], ProgressiveSchedule]) -> None:
        self._trainer, self._schedule = trainer, schedule
        self.batch = -1  # of the epoch, counted from 0
        for event in ("on_train_epoch_start", "on_train_batch_start"):
            trainer.add_callback(event, getattr(self, event))

    def on_train_epoch_start(self, trainer: Any) -> None:  # noqa: ARG002
        """Begin to count."""
        self.batch = -1

    def on_train_batch_start(self, trainer: Any) -> None:  # noqa: ARG002
        """Count."""
        self.batch += 1

    def __str__(self) -> str:
        schedule = self._schedule()
        stage = schedule.at(self._trainer.epoch)
        return (
            f"Stage {stage.index + 1}/{len(schedule.stages)}, epoch "
            f"{self._trainer.epoch + 1}, batch {self.batch + 1}"
        )
