"""Keep the records of a training in an Ultralytics trainer: plan, epochs, stages, summary."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.cost import seconds_left, seconds_of_epoch
from progressive.prediction import outcome
from progressive.runs import records, report
from progressive.schedule import ProgressiveSchedule

#: Ultralytics' name of each metric we record, and ours.
METRICS = {
    "metrics/mAP50(B)": "mAP50",
    "metrics/mAP50-95(B)": "mAP50_95",
    "metrics/mAP50(M)": "mask_mAP50",
    "metrics/mAP50-95(M)": "mask_mAP50_95",
    "metrics/mAP50(P)": "pose_mAP50",
    "metrics/mAP50-95(P)": "pose_mAP50_95",
    "metrics/accuracy_top1": "accuracy_top1",
    "metrics/mIoU": "mIoU",
}


class Recorder:
    """Time each epoch and write what happened into the run folder; for the main process only.

    Args:
        schedule: what is trained when.
        config: text to keep as `config.yaml` in the run folder.
        notes: more to keep in `plan.json`; a `prediction` in it is put beside the outcome.
    """

    def __init__(
        self,
        schedule: ProgressiveSchedule,
        config: str | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self.schedule = schedule
        self.config = config
        self.notes = dict(notes or {})
        self.epochs: list[records.EpochRecord] = []
        self._started = time.time()
        self._seconds_before = 0.0
        self._validated: frozenset[int] = frozenset()
        self._validation_cost = 0.0
        self._epoch_started: float | None = None
        self._train_seconds: float | None = None

    def start_run(self) -> None:
        """Start the clock of the whole run."""
        self._started = time.time()

    def write_plan(
        self, folder: Path, start_epoch: int, validated: frozenset[int], validation_cost: float
    ) -> None:
        """Write plan and configuration, and take up the records of a resumed run.

        Args:
            folder: of the run.
            start_epoch: first epoch to train; above 0 in a resumed run.
            validated: epochs after which the trainer validates.
            validation_cost: expected seconds of a validation over those of training an epoch at
                the final size.
        """
        self._validated, self._validation_cost = validated, validation_cost
        done = records.read_epochs(folder) if start_epoch else []
        self.epochs = [record for record in done if record.epoch < start_epoch]
        self._seconds_before = sum(r.train_seconds + r.validation_seconds for r in self.epochs)
        self._write_plan(folder)

    def follow(
        self,
        folder: Path,
        schedule: ProgressiveSchedule,
        validated: frozenset[int],
        config: str | None,
    ) -> None:
        """Go on with a corrected schedule, whose finished stages are the same."""
        self.schedule, self._validated = schedule, validated
        self.config = config or self.config
        self._write_plan(folder)

    def _write_plan(self, folder: Path) -> None:
        records.write_json(folder / records.PLAN, {**records.plan(self.schedule), **self.notes})
        if self.config is not None:
            records.write_text(folder / "config.yaml", self.config)

    def start_epoch(self) -> None:
        """Start the clock of an epoch's training."""
        self._epoch_started = time.perf_counter()

    def end_training(self) -> None:
        """Stop it, before validation starts."""
        if self._epoch_started is not None:
            self._train_seconds = time.perf_counter() - self._epoch_started

    def end_epoch(self, trainer: BaseTrainer, *, validated: bool) -> None:
        """Record the epoch and say how much time is left.

        The evaluation of the best weights after the last epoch ends here too, and is no epoch.
        """
        if self._train_seconds is None or self._epoch_started is None:
            return
        stage = self.schedule.at(trainer.epoch)
        metrics = _metrics(trainer.metrics)
        self.epochs.append(
            records.EpochRecord(
                epoch=trainer.epoch,
                stage=stage.index,
                image_size=stage.image_size,
                knobs=stage.knobs,
                images=len(trainer.train_loader.dataset),
                train_seconds=self._train_seconds,
                validation_seconds=time.perf_counter() - self._epoch_started - self._train_seconds,
                metrics=metrics if validated else dict.fromkeys(metrics),
            )
        )
        self._train_seconds = None
        folder = Path(trainer.save_dir)
        self._predict(folder)
        records.write_epochs(folder, self.epochs)
        records.write_csv(folder / records.STAGES, records.stage_rows(self.schedule, self.epochs))
        if trainer.epoch + 1 < trainer.epochs and not trainer.stop:
            LOGGER.info(f"About {report.duration(self.seconds_left())} left.")

    def end_run(self, trainer: BaseTrainer) -> None:
        """Write what the run came to, with the metrics of the best checkpoint."""
        result = records.summary(
            self.schedule,
            self.epochs,
            metrics=_metrics(trainer.metrics),
            total_seconds=self.elapsed(),
        )
        if prediction := self.notes.get("prediction"):
            stages = [stage["seconds"] for stage in result["stages"]]
            result["prediction"] = outcome(prediction, stages, self.elapsed())
        if timing := self.notes.get("timing"):
            result["seconds"]["probe"] = timing["took"]
            result["seconds"]["total"] += timing["took"]
        records.write_json(Path(trainer.save_dir) / records.SUMMARY, result)
        LOGGER.info(f"\n{report.stage_table(result['stages'])}")

    def elapsed(self) -> float:
        """Return the seconds since the run started, those of earlier epochs included."""
        return self._seconds_before + time.time() - self._started

    def _predict(self, folder: Path) -> None:
        """Note what the epochs so far make of the whole run, if no probe has said it before."""
        if "prediction" in self.notes:
            return
        mean = self._mean_seconds()
        self.notes["prediction"] = {
            "source": "first epoch",
            "stages": [
                stage.epochs * seconds_of_epoch(mean, stage.image_size)
                for stage in self.schedule.stages
            ],
            "total": self.elapsed() + self.seconds_left(),
        }
        self._write_plan(folder)

    def seconds_left(self) -> float:
        """Predict the remaining seconds of training and validation from the epochs so far."""
        mean = self._mean_seconds()
        done = self.epochs[-1].epoch + 1
        return seconds_left(self.schedule, done, mean) + self._validation_left(done, mean)

    def _mean_seconds(self) -> dict[int, float]:
        """Return the mean seconds of an epoch's training by image size."""
        measured: dict[int, list[float]] = {}
        for record in self.epochs:
            measured.setdefault(record.image_size, []).append(record.train_seconds)
        return {size: fmean(seconds) for size, seconds in measured.items()}

    def _validation_left(self, done: int, mean: Mapping[int, float]) -> float:
        """Predict the seconds after training in the epochs from `done` on.

        Epochs that are validated take other times than those that only save, and the last stage
        has more of them.
        """
        spent: dict[bool, list[float]] = {True: [], False: []}
        for record in self.epochs:
            spent[record.epoch in self._validated].append(record.validation_seconds)
        left = self.schedule.epochs - done
        due = sum(epoch >= done for epoch in self._validated)
        if spent[True]:
            once = fmean(spent[True])
        else:
            once = self._validation_cost * seconds_of_epoch(mean, self.schedule.image_size)
        return due * once + (left - due) * (fmean(spent[False]) if spent[False] else 0.0)


def _metrics(metrics: dict[str, float] | None) -> dict[str, float | None]:
    """Pick the scores we report out of Ultralytics' metrics, which depend on the task."""
    found = metrics or {}
    return {ours: float(found[theirs]) for theirs, ours in METRICS.items() if theirs in found}
