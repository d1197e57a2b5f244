"""Keep the records of a training in an Ultralytics trainer: plan, epochs, stages, summary."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK

from progressive.console import Log
from progressive.cost import seconds_left, seconds_of_epoch
from progressive.hosts.ultralytics.clock import Clock
from progressive.hosts.ultralytics.terminal import Terminal
from progressive.hosts.ultralytics.trackers import Trackers
from progressive.machine import available_cpus
from progressive.prediction import outcome
from progressive.runs import environment, fingerprint, records
from progressive.schedule import ProgressiveSchedule, TrainingStage
from progressive.tracking import of_epoch, of_stage

#: Ultralytics' own record of epochs.
RESULTS = "results.csv"

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
    """Time each epoch, write what happened into the run folder and tell; in the main process only.

    Args:
        schedule: what is trained when.
        config: text to keep as `config.yaml` in the run folder.
        notes: more to keep in `plan.json`; a `prediction` in it is put beside the outcome.
        track: the experiment trackers to tell; None for those of Ultralytics' settings.
        log: what to print.
    """

    def __init__(
        self,
        schedule: ProgressiveSchedule,
        config: str | None = None,
        notes: Mapping[str, Any] | None = None,
        track: Sequence[str] | None = None,
        log: Log = "full",
    ) -> None:
        self.schedule = schedule
        self.config = config
        self.notes = dict(notes or {})
        self._given = dict(self.notes)
        self.epochs: list[records.EpochRecord] = []
        self._started = time.time()
        self._seconds_before = 0.0
        self._validated: frozenset[int] = frozenset()
        self._validation_cost = 0.0
        self._clock = Clock()
        self._terminal, self._trackers = Terminal(log), Trackers(track)
        # Of the process that the user started, which in a multi-GPU training is another one.
        self._command = environment.command_line()

    def start_run(self, trainer: BaseTrainer) -> Callable[[], None]:
        """Start the clock of the whole run, and to tell of it; return what undoes the latter."""
        self._started = time.time()
        self.notes = dict(self._given)  # without what a training before has added
        undo = ExitStack()
        undo.callback(self._trackers.choose(trainer))
        undo.callback(self._terminal.start())
        return undo.close

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

    def remark(self, folder: Path, sentence: str) -> None:
        """Keep a sentence on what has happened, for plan, summary and report."""
        self.notes["remarks"] = [*self.notes.get("remarks", ()), sentence]
        if RANK in {-1, 0}:
            self._write_plan(folder)

    def write_surroundings(self, trainer: BaseTrainer) -> None:
        """Write what the run runs on, and the fingerprint of its data; a resumed run keeps them."""
        folder = Path(trainer.save_dir)
        if (folder / environment.ENVIRONMENT).exists() and trainer.start_epoch:
            return
        records.write_json(
            folder / environment.ENVIRONMENT,
            environment.environment(
                seed=trainer.args.seed,
                cores=available_cpus(),
                gpus=_gpus(trainer),
                command=self._command,
            ),
        )
        try:
            records.write_json(folder / fingerprint.DATA, _fingerprints(trainer))
        except Exception as error:  # a data set of another kind, or one that changes meanwhile
            LOGGER.warning(f"No fingerprint of the data: {error}")

    def start_epoch(self) -> None:
        """Start the clock of an epoch's training."""
        self._clock.start_epoch()
        self._terminal.start_epoch()

    def start_stage(self, stage: TrainingStage, batch: int) -> None:
        """Say that a stage begins, with batches of `batch` images."""
        self._terminal.stage(self.schedule, stage, batch)

    def start_batch(self) -> None:
        """Note that a batch has arrived."""
        self._clock.start_batch()

    def end_batch(self) -> None:
        """Note that a batch is done with."""
        self._clock.end_batch()

    def end_training(self) -> None:
        """Stop the clock of training, before validation starts."""
        self._clock.end_training()

    def watch_optimizer(self, trainer: BaseTrainer) -> Callable[[], None]:
        """Time the optimizer of `trainer`; return what stops that."""
        return self._clock.watch_optimizer(trainer)

    def end_epoch(self, trainer: BaseTrainer, *, validated: bool) -> None:
        """Record the epoch and tell how far the run is.

        The evaluation of the best weights after the last epoch ends here too, and is no epoch.
        """
        clock = self._clock
        if clock.training is None:
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
                train_seconds=clock.training,
                validation_seconds=clock.since_training(),
                metrics=metrics if validated else dict.fromkeys(metrics),
                data_seconds=clock.data,
                compute_seconds=clock.compute,
                optimizer_seconds=clock.optimizer,
            )
        )
        clock.training = None
        folder = Path(trainer.save_dir)
        self._predict(folder)
        records.write_epochs(folder, self.epochs)
        records.write_csv(folder / records.STAGES, records.stage_rows(self.schedule, self.epochs))
        over = trainer.epoch + 1 == trainer.epochs or trainer.stop
        left = None if over else self.seconds_left()
        self._terminal.epoch(trainer, self.schedule, self.epochs, left)
        self._trackers.show(trainer, self._logged(stage, left or 0.0), validated=validated)

    def _logged(self, stage: TrainingStage, left: float) -> dict[str, float]:
        record = self.epochs[-1]
        speed = of_epoch(
            images=record.images,
            train_seconds=record.train_seconds,
            data_seconds=record.data_seconds,
            elapsed=self.elapsed(),
            left=left,
        )
        return {**of_stage(stage), **speed}

    def read(self, folder: Path) -> dict[str, Any]:
        """Return what a checkpoint keeps of the records, Ultralytics' own in `folder` included."""
        results = folder / RESULTS
        return {
            "epochs": [asdict(record) for record in self.epochs],
            "results": results.read_text("utf-8") if results.exists() else "",
            "prediction": self.notes.get("prediction"),
            "so_far": self._clock.so_far(),
        }

    def put(self, folder: Path, found: dict[str, Any]) -> None:
        """Bring the records of a folder back to what `read` has returned."""
        epochs = [records.EpochRecord(**record) for record in found["epochs"]]
        if epochs:
            records.write_epochs(folder, epochs)
            rows = records.stage_rows(self.schedule, epochs)
            records.write_csv(folder / records.STAGES, rows)
            records.write_text(folder / RESULTS, found["results"])
        else:
            for name in (records.EPOCHS, records.STAGES, RESULTS):
                (folder / name).unlink(missing_ok=True)
        if found["prediction"] is not None:
            self.notes["prediction"] = found["prediction"]

    def go_on(self, found: dict[str, Any]) -> None:
        """Go on in an epoch that was interrupted, on its clock."""
        self._clock.go_on(found["so_far"])

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
            if len(prediction["stages"]) == len(stages):  # else of the run before it was extended
                result["prediction"] = outcome(prediction, stages, self.elapsed())
        if timing := self.notes.get("timing"):
            result["seconds"]["probe"] = timing["took"]
            result["seconds"]["total"] += timing["took"]
        if remarks := self.notes.get("remarks"):
            result["remarks"] = remarks
        records.write_json(Path(trainer.save_dir) / records.SUMMARY, result)
        self._terminal.stages(result["stages"])
        _write_report(Path(trainer.save_dir))

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
    given = metrics or {}
    found = {ours: float(given[theirs]) for theirs, ours in METRICS.items() if theirs in given}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _write_report(folder: Path) -> None:
    try:
        from progressive.runs.html import write_report  # Matplotlib takes a second to import

        page = write_report(folder)
    except Exception as error:  # nothing about a page may spoil a training that went well
        LOGGER.warning(f"No report: {error}")
    else:
        LOGGER.info(f"Report: {page}")


def _gpus(trainer: BaseTrainer) -> list[str]:
    if trainer.device.type != "cuda":
        return []
    index, count = trainer.device.index or 0, max(trainer.world_size, 1)
    places = range(count) if count > 1 else (index,)
    return [torch.cuda.get_device_name(place) for place in places]


def _fingerprints(trainer: BaseTrainer) -> dict[str, Any]:
    names = trainer.data["names"]
    return {
        "classes": [str(name) for name in (names.values() if isinstance(names, dict) else names)],
        "train": _fingerprint(trainer.train_loader.dataset),
        "val": _fingerprint(trainer.test_loader.dataset),
    }


def _fingerprint(dataset: Any) -> dict[str, Any]:
    """Return the fingerprints of the images and the labels of a data set of Ultralytics."""
    if hasattr(dataset, "samples"):  # for classification, where the folder is the label
        return {"images": fingerprint.fingerprint([sample[0] for sample in dataset.samples])}
    found = {"images": fingerprint.fingerprint(dataset.im_files)}
    labels = getattr(dataset, "mask_files", None) or getattr(dataset, "label_files", None)
    return found | ({"labels": fingerprint.fingerprint(labels)} if labels else {})
