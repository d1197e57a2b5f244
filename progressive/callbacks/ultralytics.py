"""Progressive learning in an Ultralytics trainer.

    schedule = ProgressiveSchedule.linear(epochs=24, stages=4, image_size=(320, 640), ...)
    ProgressiveCallback(schedule).attach(model)
    model.train(data="data.yaml")

What each event does::

    model.train(...)
        on_pretrain_routine_start    refuse settings under which a schedule cannot hold
        on_pretrain_routine_end      write the plan
        for epoch in epochs:
            on_train_epoch_start     apply schedule.at(epoch) to loader and model
            for batch in loader:
                on_train_batch_start
            on_train_epoch_end       stop the clock of training
            (validation, checkpoint)
            on_fit_epoch_end         record the epoch, say how much time is left
        on_train_end                 write the summary
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive import records, report
from progressive.callbacks.loading import set_loader_stage
from progressive.callbacks.refusals import refusal
from progressive.cost import seconds_left
from progressive.machine import available_cpus
from progressive.regularize import set_channel_dropout, set_drop_path, set_dropout
from progressive.schedule import ProgressiveSchedule, TrainingStage

EVENTS = (
    "on_pretrain_routine_start",
    "on_pretrain_routine_end",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_epoch_end",
    "on_fit_epoch_end",
    "on_train_end",
    "teardown",
)

#: Ultralytics' name of each metric we record, and ours.
METRICS = {
    "metrics/mAP50(B)": "mAP50",
    "metrics/mAP50-95(B)": "mAP50_95",
    "metrics/accuracy_top1": "accuracy_top1",
}


class ProgressiveCallback:
    """Apply a `ProgressiveSchedule` to the training of an ``ultralytics.YOLO`` model.

    The instance holds plain data only, so it survives the pickling of a multi-GPU launch and acts
    in every worker process.

    Args:
        schedule: what to train when.
        config: text to keep as ``config.yaml`` in the run folder. Handed over rather than written
            by the caller, since a multi-GPU launch deletes the folder first.
    """

    def __init__(self, schedule: ProgressiveSchedule, *, config: str | None = None) -> None:
        self.schedule = schedule
        self.config = config
        self.epochs: list[records.EpochRecord] = []
        self._applied: tuple[Any, TrainingStage, bool] | None = None
        self._close_mosaic: int | None = None
        self._started = time.time()
        self._epoch_started: float | None = None
        self._train_seconds: float | None = None
        self._threads: int | None = None

    def attach(self, model: Model) -> ProgressiveCallback:
        """Hook into ``model``, whose next call of ``train`` follows the schedule.

        Image size and number of epochs come from the schedule; giving ``train`` others is refused.
        """
        for event in EVENTS:
            model.add_callback(event, getattr(self, event))
        model.overrides["imgsz"] = self.schedule.image_size
        model.overrides["epochs"] = self.schedule.epochs
        return self

    def on_pretrain_routine_start(self, trainer: BaseTrainer) -> None:
        """Refuse what cannot work before any data is read; use every core of a CPU."""
        self._started = time.time()
        self._refuse(trainer)
        if trainer.device.type == "cpu":
            # Ultralytics leaves one core unused, which is half of a small machine.
            self._threads = torch.get_num_threads()
            torch.set_num_threads(available_cpus())

    def on_pretrain_routine_end(self, trainer: BaseTrainer) -> None:
        """Write the plan, and take up the records of a resumed run."""
        self._refuse(trainer)  # only rank 0 saw the start event
        if RANK not in {-1, 0}:
            return
        folder = Path(trainer.save_dir)
        done = records.read_epochs(folder) if trainer.start_epoch else []
        self.epochs = [record for record in done if record.epoch < trainer.start_epoch]
        records.write_json(folder / records.PLAN, records.plan(self.schedule))
        if self.config is not None:
            records.write_text(folder / "config.yaml", self.config)

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Bring loader and model to the stage of this epoch, whatever state they are in."""
        self._epoch_started = time.perf_counter()
        stage = self.schedule.at(trainer.epoch)
        tail = trainer.epoch >= trainer.epochs - trainer.args.close_mosaic
        self._apply_to_loader(
            trainer, stage, mosaic_closed=bool(trainer.args.close_mosaic and tail)
        )
        model = unwrap_model(trainer.model)
        if trainer.args.task == "classify":
            set_dropout(model.model[-1], stage.dropout_rate)
        else:
            set_channel_dropout(model, stage.dropout_rate)
        set_drop_path(model, stage.drop_path_rate)
        # The trainer is about to ask whether to close mosaic. Its way of closing rebuilds the
        # transforms without RandAugment and mixup, so it must not find a reason; we closed it.
        self._close_mosaic, trainer.args.close_mosaic = trainer.args.close_mosaic, 0

    def on_train_batch_start(self, trainer: BaseTrainer) -> None:
        """Give back what `on_train_epoch_start` hid."""
        if self._close_mosaic is not None:
            trainer.args.close_mosaic, self._close_mosaic = self._close_mosaic, None

    def on_train_epoch_end(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Stop the clock of training before validation starts."""
        if self._epoch_started is not None:
            self._train_seconds = time.perf_counter() - self._epoch_started

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Record the epoch; the evaluation after the last one fires this event too."""
        if self._train_seconds is None or self._epoch_started is None or RANK not in {-1, 0}:
            return
        stage = self.schedule.at(trainer.epoch)
        validated = trainer.args.val or trainer.epoch + 1 == trainer.epochs
        metrics = _metrics(trainer.metrics)
        self.epochs.append(
            records.EpochRecord(
                epoch=trainer.epoch,
                stage=stage.index,
                image_size=stage.image_size,
                randaugment_magnitude=stage.randaugment_magnitude,
                mixup=stage.mixup,
                dropout_rate=stage.dropout_rate,
                drop_path_rate=stage.drop_path_rate,
                images=len(trainer.train_loader.dataset),
                train_seconds=self._train_seconds,
                validation_seconds=time.perf_counter() - self._epoch_started - self._train_seconds,
                metrics=metrics if validated else dict.fromkeys(metrics),
            )
        )
        self._train_seconds = None
        folder = Path(trainer.save_dir)
        records.write_epochs(folder, self.epochs)
        records.write_csv(folder / records.STAGES, records.stage_rows(self.schedule, self.epochs))
        if trainer.epoch + 1 < trainer.epochs:
            LOGGER.info(f"About {report.duration(self.seconds_left())} left.")

    def on_train_end(self, trainer: BaseTrainer) -> None:
        """Write what the run came to, with the metrics of the best checkpoint."""
        result = records.summary(
            self.schedule,
            self.epochs,
            metrics=_metrics(trainer.metrics),
            total_seconds=time.time() - self._started,
        )
        records.write_json(Path(trainer.save_dir) / records.SUMMARY, result)
        LOGGER.info(f"\n{report.stage_table(result['stages'])}")

    def teardown(self, trainer: BaseTrainer) -> None:  # noqa: ARG002 - the event's signature
        """Leave the process as it was found."""
        if self._threads is not None:
            torch.set_num_threads(self._threads)
            self._threads = None

    def seconds_left(self) -> float:
        """Predict the remaining seconds of training and validation from the epochs so far."""
        measured: dict[int, list[float]] = {}
        for record in self.epochs:
            measured.setdefault(record.image_size, []).append(record.train_seconds)
        done = self.epochs[-1].epoch + 1
        mean = {size: sum(seconds) / len(seconds) for size, seconds in measured.items()}
        validation = sum(r.validation_seconds for r in self.epochs) / len(self.epochs)
        left = self.schedule.epochs - done
        return seconds_left(self.schedule, done, mean) + left * validation

    def _refuse(self, trainer: BaseTrainer) -> None:
        arguments = vars(trainer.args)
        reason = refusal(arguments)
        if not reason and trainer.epochs != self.schedule.epochs:
            reason = f"epochs={trainer.epochs}: the schedule has {self.schedule.epochs}"
        if not reason and trainer.args.imgsz != self.schedule.image_size:
            reason = f"imgsz={trainer.args.imgsz}: the schedule ends at {self.schedule.image_size}"
        if reason:
            raise ValueError(f"progressive learning is impossible with {reason}")

    def _apply_to_loader(
        self, trainer: BaseTrainer, stage: TrainingStage, *, mosaic_closed: bool
    ) -> None:
        """Rebuild what the loader does, unless this very data set already does it.

        The data set is compared, not the epoch: after an out-of-memory retry the trainer starts
        the same epoch again on a new loader.
        """
        wanted = (trainer.train_loader.dataset, stage, mosaic_closed)
        if wanted == self._applied:
            return
        set_loader_stage(trainer, stage, mosaic_closed=mosaic_closed)
        self._applied = wanted
        LOGGER.info(
            f"Stage {stage.index + 1}/{len(self.schedule.stages)}: "
            f"epochs {stage.start_epoch + 1}-{stage.stop_epoch} at {stage.image_size} px, "
            f"RandAugment {stage.randaugment_magnitude:.1f}, mixup {stage.mixup:.2f}, "
            f"dropout {stage.dropout_rate:.2f}, drop path {stage.drop_path_rate:.2f}"
        )


def _metrics(metrics: dict[str, float] | None) -> dict[str, float | None]:
    """Pick the scores we report out of Ultralytics' metrics, which depend on the task."""
    found = metrics or {}
    return {ours: float(found[theirs]) for theirs, ours in METRICS.items() if theirs in found}
