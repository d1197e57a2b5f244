"""Keep a training within a time: at every boundary the stages still to come are fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.validation import epochs_to_validate
from progressive.prediction import Timing, predict, refit
from progressive.runs import report
from progressive.schedule import ProgressiveSchedule


class BudgetCallback(ProgressiveCallback):
    """Follow a schedule that was planned to take a given time, and correct it as time is spent.

    Args:
        schedule: as planned; its finished stages never change.
        seconds: in total; probe, set-up and validation included.
        timing: what a probe measured.
        weights: relative lengths of the stages.
        rewrite: returns `config.yaml` for a corrected schedule, so that a resumed run knows it.
        options: of `ProgressiveCallback`.
    """

    def __init__(
        self,
        schedule: ProgressiveSchedule,
        *,
        seconds: float,
        timing: Timing,
        weights: Sequence[float],
        rewrite: Callable[[ProgressiveSchedule], str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(schedule, **options)
        self.seconds = seconds
        self.timing = timing
        self.weights = tuple(weights)
        self.rewrite = rewrite

    def on_pretrain_routine_start(self, trainer: BaseTrainer) -> None:
        """Let a resumed trainer have the number of epochs that was corrected last."""
        if trainer.resume:
            trainer.epochs = trainer.args.epochs = self.schedule.epochs
        super().on_pretrain_routine_start(trainer)

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Record the epoch, and correct the rest where a stage has ended."""
        super().on_fit_epoch_end(trainer)
        stops = [stage.stop_epoch for stage in self.schedule.stages[:-1]]
        if RANK in {-1, 0} and trainer.epoch + 1 in stops and not trainer.stop:
            self._correct(trainer, done=stops.index(trainer.epoch + 1) + 1)

    def _correct(self, trainer: BaseTrainer, done: int) -> None:
        images = len(trainer.train_loader.dataset), len(trainer.test_loader.dataset)
        timing = self._measured(done)
        next_epoch = trainer.epoch + 1

        def seconds_of(schedule: ProgressiveSchedule) -> float:
            due = epochs_to_validate(schedule, images, self.val_every)
            return predict(schedule, timing, due, next_epoch).total

        left = self.seconds - self.timing.took - self._recorder.elapsed()
        corrected = refit(self.schedule, done, self.weights, seconds_of, left)
        if corrected != self.schedule:
            self._follow(trainer, corrected, images)

    def _measured(self, done: int) -> Timing:
        """Return what is to be expected of the rest, as the stages done differ from the probe.

        The last of them is most like those to come. The first validation of a hardly trained
        detector, which takes several times as long as others, says nothing once there are others.
        """
        epochs = self._recorder.epochs
        stage = self.schedule.stages[done - 1]
        inside = [r.train_seconds for r in epochs if r.stage == stage.index]
        probed = predict(self.schedule, self.timing, ()).stages[done - 1]
        ratio = sum(inside) / probed if probed and len(inside) == stage.epochs else 1.0
        validated = [r.validation_seconds for r in epochs if r.epoch in self._validated]
        saved = [r.validation_seconds for r in epochs if r.epoch not in self._validated]
        saving = median(saved) if saved else self.timing.saving
        validation = self.timing.validation * ratio
        if validated:
            validation = max(fmean(validated[1:] or validated) - saving, 0.0)
        return replace(
            self.timing,
            epochs={kind: ratio * seconds for kind, seconds in self.timing.epochs.items()},
            first={index: ratio * seconds for index, seconds in self.timing.first.items()},
            validation=validation,
            saving=saving,
            before=0.0,
        )

    def _follow(
        self, trainer: BaseTrainer, schedule: ProgressiveSchedule, images: tuple[int, int]
    ) -> None:
        """Change the schedule of a live trainer, as its own option `time` changes the epochs."""
        LOGGER.info(
            f"Corrected to {schedule.epochs} epochs instead of {self.schedule.epochs}, to end "
            f"after {report.duration(self.seconds)}."
        )
        self.schedule = schedule
        self._validated = epochs_to_validate(schedule, images, self.val_every)
        trainer.epochs = trainer.args.epochs = schedule.epochs
        trainer._setup_scheduler()
        trainer.scheduler.last_epoch = trainer.epoch
        config = self.rewrite(schedule) if self.rewrite else None
        self._recorder.follow(Path(trainer.save_dir), schedule, self._validated, config)
