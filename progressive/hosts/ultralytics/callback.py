"""Progressive learning in an Ultralytics trainer.

    schedule = ProgressiveSchedule.linear(epochs=24, stages=4, image_size=(320, 640), ...)
    ProgressiveCallback(schedule).attach(model)
    model.train(data="data.yaml")

What each event does::

    model.train(...)
        on_pretrain_routine_start    refuse settings under which a schedule cannot hold
        on_pretrain_routine_end      insert dropout, set up for speed, write the plan
        for epoch in epochs:
            on_train_epoch_start     apply schedule.at(epoch) to loader and model
            for batch in loader:
                on_train_batch_start
                on_train_batch_end   read the clock
            on_train_epoch_end       stop the clock of training
            (validation where due, checkpoint)
            on_fit_epoch_end         record the epoch, draw images, say how much time is left
        on_train_end                 write the summary and the report
        teardown                     leave the process as it was found; also after an error
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.console import Log
from progressive.errors import InputError
from progressive.hosts.ultralytics.batches import Batches
from progressive.hosts.ultralytics.checkpoints.keeper import Keeper
from progressive.hosts.ultralytics.hooks import hook
from progressive.hosts.ultralytics.images.checking import check_without_writing
from progressive.hosts.ultralytics.images.dataset import decode_at_stage_size, forget_images
from progressive.hosts.ultralytics.learning_rate import RateByCompute
from progressive.hosts.ultralytics.levels import FinalLevels
from progressive.hosts.ultralytics.loader import StagedLoader
from progressive.hosts.ultralytics.memory import probe_memory
from progressive.hosts.ultralytics.mishaps import go_on_after_mishaps
from progressive.hosts.ultralytics.model_knobs import ModelKnobs
from progressive.hosts.ultralytics.options import check_options
from progressive.hosts.ultralytics.pictures import Pictures
from progressive.hosts.ultralytics.recorder import Recorder
from progressive.hosts.ultralytics.refusals import refusal
from progressive.hosts.ultralytics.safe_files import read_checkpoints_safely, read_labels_safely
from progressive.hosts.ultralytics.speed import train_faster
from progressive.hosts.ultralytics.validation import (
    VALIDATION_COST,
    epochs_to_validate,
    validate_if,
)
from progressive.pitfalls import lone_image
from progressive.runs import records
from progressive.schedule import ProgressiveSchedule, TrainingStage

EVENTS = (
    "on_pretrain_routine_start",
    "on_pretrain_routine_end",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_end",
    "on_fit_epoch_end",
    "on_train_end",
    "teardown",
)


class ProgressiveCallback:
    """Apply a `ProgressiveSchedule` to the training of an `ultralytics.YOLO` model.

    The instance holds plain data only until training starts, so it survives the pickling of a
    multi-GPU launch and acts in every worker process.

    What it changes is undone by two stacks: the process's when training ends, however it ends, and
    the trainer's when the callback is detached.

    Args:
        schedule: what to train when.
        config: text to keep as `config.yaml` in the run folder. Handed over rather than written
            by the caller, since a multi-GPU launch deletes the folder first.
        val_every: validate every N epochs, at the end of stages and throughout the last one; None
            to spend a tenth of the training time on it.
        lr_by_compute: let the learning rate fall with the pixels processed, not with the epochs.
        levels_by_final: let an object be learned on the feature maps that hold it at the final
            size, in all stages, instead of those that fit it in each.
        cache_encoded: keep the image files in memory, as they are on disk.
        merge_batches: load several batches as one where the optimizer waits for several anyway
            (`nbs` above `batch`) and the images of a stage are small enough.
        train_faster: compute and load images the fastest way; False leaves precision, threads,
            memory, layers, optimizer, batches, decoding and suppression of boxes as they are in
            Ultralytics (but for images kept in memory by `cache_encoded`, which are decoded at the
            size of the stage).
        notes: more to keep in `plan.json`; a `prediction` in it is put beside the outcome.
        save_minutes: most minutes between two checkpoints within an epoch; epochs start with one
            too, unless the last is very young. None for these alone.
        checkpoints: keep the whole state in `checkpoints/` of the run folder, to resume exactly;
            never with `save=False`.
        resume: go on from the newest checkpoint in the run folder.
        track: the experiment trackers to log to, such as `("tensorboard", "mlflow")`, and no
            others; None to leave that to Ultralytics' settings.
        log: what to print: `full`, `quiet` or `json`.

    Raises:
        InputError: one of them is of another type or value, or a tracker is not installed.
    """

    def __init__(
        self,
        schedule: ProgressiveSchedule,
        *,
        config: str | None = None,
        val_every: int | None = None,
        lr_by_compute: bool = False,
        levels_by_final: bool = False,
        cache_encoded: bool = False,
        merge_batches: bool = True,
        train_faster: bool = True,
        notes: Mapping[str, Any] | None = None,
        save_minutes: float | None = 10,
        checkpoints: bool = True,
        resume: bool = False,
        track: Sequence[str] | None = None,
        log: Log = "full",
    ) -> None:
        check_options(**{name: value for name, value in locals().items() if name != "self"})
        self.schedule = schedule
        self.val_every = val_every
        self.lr_by_compute = lr_by_compute
        self.levels_by_final = levels_by_final
        self.cache_encoded = cache_encoded
        self.merge_batches = merge_batches
        self.train_faster = train_faster
        self._recorder = Recorder(schedule, config, notes, track, log)
        self._pictures = Pictures(schedule)
        self.save_minutes = save_minutes
        self.checkpoints = checkpoints
        self.resume = resume
        self._validated: frozenset[int] = frozenset()
        self._knobs = ModelKnobs()
        self._close_mosaic: int | None = None
        self._forget_training()

    def _forget_training(self) -> None:
        self._unhook: Callable[[], None] | None = None
        self._process, self._trainer = ExitStack(), ExitStack()
        self._rate, self._levels = RateByCompute(), FinalLevels()
        self._loader: StagedLoader | None = None
        self._batches: Batches | None = None
        self._applied: tuple[Any, TrainingStage, bool, int] | None = None
        #: The trainer from its first event until its first epoch.
        self.untrained: BaseTrainer | None = None
        self._keeper = Keeper(self._recorder, minutes=self.save_minutes, resume=self.resume)

    @property
    def epochs(self) -> list[records.EpochRecord]:
        """What each epoch so far did."""
        return self._recorder.epochs

    def attach(self, model: Model) -> ProgressiveCallback:
        """Hook into `model`, whose calls of `train` follow the schedule from its start.

        Image size and number of epochs come from the schedule; giving `train` others is refused.
        So is `tune`, whose trainings would not follow the schedule.

        Raises:
            InputError: this is no model of Ultralytics, it follows a schedule already, or this
                callback another model.
        """
        if not isinstance(model, Model):
            kind = type(model).__name__
            raise InputError(f"attach: this is a {kind}; give the YOLO object itself")
        if any(_is_ours(function) for found in model.callbacks.values() for function in found):
            raise InputError("the model follows a schedule already; detach that callback first")
        if self._unhook is not None:
            raise InputError("this callback is attached to a model already; make another one")
        self._unhook = hook(model, self, EVENTS)
        return self

    def detach(self, model: Model) -> None:
        """Leave `model`, and the trainer it may have, as they would be without this callback.

        Weights and records stay. In the middle of training, as from another callback, the trainer
        goes on with its own settings.

        Raises:
            InputError: this callback is not attached.
        """
        if self._unhook is None:
            raise InputError("this callback is not attached to a model")
        self._process.close()
        self._trainer.close()
        self._unhook()
        # The trained weights were loaded from a file, with what the trainer's model had.
        self._knobs.remove(model.model)
        self._forget_training()

    def on_pretrain_routine_start(self, trainer: BaseTrainer) -> None:
        """Refuse what cannot work before any data is read."""
        self.untrained = trainer
        self._refuse(trainer)
        self._process.callback(self._recorder.start_run(trainer))
        self._process.callback(read_labels_safely())
        self._process.callback(check_without_writing())
        self._keeper.prepare(trainer)

    def on_pretrain_routine_end(self, trainer: BaseTrainer) -> None:
        """Make the model ready for every knob, process and trainer for speed; write the plan."""
        self._refuse(trainer)  # only rank 0 saw the start event
        self._trainer = ExitStack()  # of a trainer before, which is gone, nothing needs undoing
        self._trainer.callback(self._rate.undo, trainer)
        model = unwrap_model(trainer.model)
        self._process.callback(read_checkpoints_safely(model, vars(trainer.args)))
        self._refuse_lone_image(trainer)
        self._keeper.begin(trainer)
        self._knobs.prepare(trainer, self.schedule, self._trainer)
        if self.levels_by_final:
            self._process.callback(self._levels.watch())
        if self.train_faster:
            train_faster(
                trainer, self.schedule, process_undo=self._process, trainer_undo=self._trainer
            )
        if trainer.device.type == "cuda":
            size, batch = self.schedule.image_size, trainer.train_loader.batch_size
            half = torch.bfloat16 if trainer.args.amp == "bf16" else torch.float16
            shape = (batch, trainer.data.get("channels", 3), size, size)
            dtype, processes = half if trainer.amp else None, max(trainer.world_size, 1)
            probe_memory(unwrap_model(trainer.model), shape, dtype, processes)
        images = (len(trainer.train_loader.dataset), len(trainer.test_loader.dataset))
        self._validated = epochs_to_validate(self.schedule, images, self.val_every)
        self._trainer.callback(validate_if(trainer, lambda: trainer.epoch in self._validated))
        if RANK in {-1, 0}:
            cost = VALIDATION_COST * images[1] / images[0]
            folder = Path(trainer.save_dir)
            self._recorder.write_plan(folder, trainer.start_epoch, self._validated, cost)
            self._recorder.write_surroundings(trainer)
            self._trainer.callback(self._recorder.watch_optimizer(trainer))
            self._watch_pictures(trainer)
        if self.checkpoints and trainer.args.save:
            steps = lambda: self._batches and self._batches.steps  # noqa: E731
            self._trainer.callback(self._keeper.watch(trainer, steps))
        remark = partial(self._recorder.remark, Path(trainer.save_dir))
        self._trainer.callback(go_on_after_mishaps(trainer, lambda: self.schedule, remark))

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Bring loader and model to the stage of this epoch, whatever state they are in."""
        self.untrained = None
        self._recorder.start_epoch()
        if self.lr_by_compute:
            self._rate.apply(trainer, self.schedule)
        stage = self.schedule.at(trainer.epoch)
        tail = trainer.epoch >= trainer.epochs - trainer.args.close_mosaic
        self._apply_to_loader(
            trainer, stage, mosaic_closed=bool(trainer.args.close_mosaic and tail)
        )
        self._knobs.apply(trainer, self.schedule, stage)
        self._levels.apply(self.schedule, stage)
        # A plateau at small images says little of large ones: only the last stage stops early.
        stopper, last = trainer.stopper, self.schedule.stages[-1]
        stopper.best_epoch = max(stopper.best_epoch, min(trainer.epoch + 1, last.start_epoch))
        # The trainer is about to ask whether to close mosaic. Its way of closing rebuilds the
        # transforms without RandAugment and mixup, so it must not find a reason; we closed it.
        self._close_mosaic, trainer.args.close_mosaic = trainer.args.close_mosaic, 0

    def on_train_batch_start(self, trainer: BaseTrainer) -> None:
        """Give back what `on_train_epoch_start` hid, and say whether the optimizer is to step."""
        self._recorder.start_batch()
        self._show_close_mosaic(trainer)
        if self._batches is not None:
            self._batches.next_batch(trainer)

    def on_train_batch_end(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Read the clock."""
        self._recorder.end_batch()

    def on_train_epoch_end(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Stop the clock of training before validation, at the final size, starts."""
        self._recorder.end_training()
        self._levels.release()

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Record the epoch."""
        if RANK in {-1, 0}:
            done = trainer.args.val or trainer.epoch + 1 == trainer.epochs
            self._recorder.end_epoch(trainer, validated=done and trainer.epoch in self._validated)
            self._pictures.draw(Path(trainer.save_dir))

    def on_train_end(self, trainer: BaseTrainer) -> None:
        """Write the summary."""
        self._recorder.end_run(trainer)

    def teardown(self, trainer: BaseTrainer) -> None:  # noqa: ARG002 - the event's signature
        """Leave the process as it was found."""
        self._process.close()

    def __getstate__(self) -> dict[str, Any]:
        # What a training leaves cannot go along to the processes of the next.
        plain = dict(vars(self))
        for name in ("_unhook", "_process", "_trainer", "_rate", "_loader", "_batches", "_applied"):
            del plain[name]
        del plain["_keeper"], plain["untrained"]
        return plain

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget_training()

    def _refuse(self, trainer: BaseTrainer) -> None:
        reason = refusal(vars(trainer.args), self.schedule)
        if not reason and trainer.epochs != self.schedule.epochs:
            reason = f"epochs={trainer.epochs}: the schedule has {self.schedule.epochs}"
        if not reason and trainer.args.imgsz != self.schedule.image_size:
            reason = f"imgsz={trainer.args.imgsz}: the schedule ends at {self.schedule.image_size}"
        if reason:
            raise InputError(f"progressive learning is impossible with {reason}")

    def _refuse_lone_image(self, trainer: BaseTrainer) -> None:
        loader = trainer.train_loader
        if not loader.drop_last:
            images, batch = len(loader.sampler), loader.batch_size
            reason = lone_image(self.schedule, images, batch=batch, stride=trainer.stride)
            if reason:
                raise InputError(f"progressive learning is impossible with {reason}")

    def _watch_pictures(self, trainer: BaseTrainer) -> None:
        if trainer.args.plots:
            self._trainer.callback(self._pictures.watch(trainer))

    def _apply_to_loader(
        self, trainer: BaseTrainer, stage: TrainingStage, *, mosaic_closed: bool
    ) -> None:
        """Rebuild what the loader does, unless this very loader already does it.

        The loader is compared, not the epoch: after an out-of-memory retry the trainer starts the
        same epoch again on a new one.
        """
        loader, batches = self._take_loader(trainer)
        batch_size = batches.start_epoch(trainer, stage.image_size, self.schedule.image_size)
        wanted = (loader, stage, mosaic_closed, batch_size)
        if wanted == self._applied:
            return
        loader.set_stage(stage, mosaic_closed=mosaic_closed, batch_size=batch_size)
        self._applied = wanted
        self._recorder.start_stage(stage, batch_size)

    def _take_loader(self, trainer: BaseTrainer) -> tuple[StagedLoader, Batches]:
        """Return the trainer's loader with its batches, prepared when it is seen first."""
        if (
            self._loader is None
            or self._batches is None
            or (self._loader.loader is not trainer.train_loader)
        ):
            if self._loader is not None:  # replaced, as after running out of memory
                forget_images(self._loader.loader.dataset)
            dataset = trainer.train_loader.dataset
            self._loader = StagedLoader(trainer, self.schedule)
            self._batches = Batches(trainer, merge=self.merge_batches and self.train_faster)
            self._trainer.callback(self._loader.restore)
            self._trainer.callback(self._show_close_mosaic, trainer)
            if self.train_faster or self.cache_encoded:
                self._trainer.callback(decode_at_stage_size(dataset, encoded=self.cache_encoded))
            self._process.callback(forget_images, dataset)
        return self._loader, self._batches

    def _show_close_mosaic(self, trainer: BaseTrainer) -> None:
        if self._close_mosaic is not None:
            trainer.args.close_mosaic, self._close_mosaic = self._close_mosaic, None


def _is_ours(function: Any) -> bool:
    return isinstance(getattr(function, "__self__", None), ProgressiveCallback)
