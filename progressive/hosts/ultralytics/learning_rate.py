"""Let Ultralytics' learning rate follow the compute that is spent instead of the epochs."""

from __future__ import annotations

from collections.abc import Callable

from ultralytics.engine.trainer import BaseTrainer

from progressive.schedule import ProgressiveSchedule


class RateByCompute:
    """Ultralytics' own decay, linear or cosine, at the epoch that equal epochs would have reached.

    Where half of the pixels are spent, the rate is what it would be after half of the epochs.
    Warm-up, `lr0`, `lrf` and `cos_lr` act as ever.
    """

    def __init__(self) -> None:
        self._ours: Callable[[float], float] | None = None
        self._theirs: Callable[[float], float] | None = None

    def apply(self, trainer: BaseTrainer, schedule: ProgressiveSchedule) -> None:
        """Hold for the scheduler the trainer has now; a schedule that ends elsewhere has a new one.

        Args:
            trainer: before the scheduler's step of an epoch.
            schedule: that it follows.
        """
        if trainer.lf is self._ours:
            return
        by_epochs = trainer.lf
        epochs = schedule.epochs

        def by_compute(epoch: float) -> float:
            return by_epochs(epochs * schedule.spent(epoch))

        _set(trainer, by_compute)
        self._ours, self._theirs = by_compute, by_epochs

    def undo(self, trainer: BaseTrainer) -> None:
        """Give the trainer its own decay back."""
        if self._theirs is not None and trainer.lf is self._ours:
            _set(trainer, self._theirs)
        self._ours = None


def _set(trainer: BaseTrainer, factor: Callable[[float], float]) -> None:
    trainer.lf = factor
    trainer.scheduler.lr_lambdas = [factor] * len(trainer.scheduler.lr_lambdas)
