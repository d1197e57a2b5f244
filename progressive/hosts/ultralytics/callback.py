"""Progressive learning in an Ultralytics trainer.

    schedule = ProgressiveSchedule.linear(epochs=24, stages=4, image_size=(320, 640), ...)
    ProgressiveCallback(schedule).attach(model)
    model.train(data="data.yaml")

What each event does::

    model.train(...)
        on_pretrain_routine_start    refuse settings under which a schedule cannot hold
        on_pretrain_routine_end      insert dropout, choose the precision, write the plan
        for epoch in epochs:
            on_train_epoch_start     apply schedule.at(epoch) to loader and model
            for batch in loader:
                on_train_batch_start
            on_train_epoch_end       stop the clock of training
            (validation where due, checkpoint)
            on_fit_epoch_end         record the epoch, say how much time is left
        on_train_end                 write the summary
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.hosts.ultralytics.batches import StepCounter, batches_to_merge, may_merge
from progressive.hosts.ultralytics.head_dropout import insert_head_dropout, remove_head_dropout
from progressive.hosts.ultralytics.images.dataset import decode_at_stage_size
from progressive.hosts.ultralytics.loader import (
    LoaderState,
    forget_images,
    loader_state,
    restore_loader,
    set_loader_stage,
)
from progressive.hosts.ultralytics.memory import probe_memory
from progressive.hosts.ultralytics.recorder import Recorder
from progressive.hosts.ultralytics.refusals import refusal
from progressive.hosts.ultralytics.speed.allocator import keep_freed_memory
from progressive.hosts.ultralytics.speed.compilation import compile_once_per_size
from progressive.hosts.ultralytics.speed.precision import (
    Precision,
    choose_precision,
    fuse_optimizer,
    set_precision,
)
from progressive.hosts.ultralytics.validation import (
    epochs_to_validate,
    validate_always,
    validate_if,
)
from progressive.machine import available_cpus
from progressive.regularize import (
    rates,
    restore_rates,
    set_channel_dropout,
    set_drop_path,
    set_dropout,
)
from progressive.runs import records
from progressive.schedule import KNOBS, ProgressiveSchedule, TrainingStage

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


class ProgressiveCallback:
    """Apply a `ProgressiveSchedule` to the training of an ``ultralytics.YOLO`` model.

    The instance holds plain data only until training starts, so it survives the pickling of a
    multi-GPU launch and acts in every worker process.

    Args:
        schedule: what to train when.
        config: text to keep as ``config.yaml`` in the run folder. Handed over rather than written
            by the caller, since a multi-GPU launch deletes the folder first.
        val_every: validate each this many epochs, besides at the end of stages and throughout the
            last one; None to spend a tenth of the training time on it.
        cache_encoded: keep the image files in memory, as they are on disk.
        merge_batches: load several batches as one where the optimizer waits for several anyway
            (``nbs`` above ``batch``) and the images of a stage are small enough.
    """

    def __init__(
        self,
        schedule: ProgressiveSchedule,
        *,
        config: str | None = None,
        val_every: int | None = None,
        cache_encoded: bool = False,
        merge_batches: bool = True,
    ) -> None:
        if val_every is not None and val_every < 1:
            raise InputError(f"val_every={val_every}: must be at least 1")
        self.schedule = schedule
        self.val_every = val_every
        self.cache_encoded = cache_encoded
        self.merge_batches = merge_batches
        self._recorder = Recorder(schedule, config)
        self._validated: frozenset[int] = frozenset()
        self._applied: tuple[Any, TrainingStage, bool, int] | None = None
        self._close_mosaic: int | None = None
        self._undo: list[Callable[[], None]] = []
        self._overrides: dict[str, Any] | None = None
        self._loader: tuple[Any, LoaderState] | None = None
        self._steps: StepCounter | None = None
        self._rates: dict[str, float] = {}

    @property
    def epochs(self) -> list[records.EpochRecord]:
        """What each epoch so far did."""
        return self._recorder.epochs

    def attach(self, model: Model) -> ProgressiveCallback:
        """Hook into ``model``, whose next call of ``train`` follows the schedule.

        Image size and number of epochs come from the schedule; giving ``train`` others is refused.

        Raises:
            InputError: the model follows a schedule already, or this callback another model.
        """
        if any(_is_ours(function) for found in model.callbacks.values() for function in found):
            raise InputError("the model follows a schedule already; detach that callback first")
        if self._overrides is not None:
            raise InputError("this callback is attached to a model already; make another one")
        for event in EVENTS:
            model.add_callback(event, getattr(self, event))
        self._overrides = dict(model.overrides)
        model.overrides["imgsz"] = self.schedule.image_size
        model.overrides["epochs"] = self.schedule.epochs
        return self

    def detach(self, model: Model) -> None:
        """Leave ``model``, and the trainer it may have, as they would be without this callback.

        Weights and records stay. In the middle of training, as from another callback, the trainer
        goes on with its own settings.

        Raises:
            InputError: this callback is not attached.
        """
        if self._overrides is None:
            raise InputError("this callback is not attached to a model")
        trainer = model.trainer
        for callbacks in (model.callbacks, trainer.callbacks if trainer else {}):
            for found in callbacks.values():
                found[:] = [f for f in found if getattr(f, "__self__", None) is not self]
        if "epochs" in model.overrides:  # a training replaces them by what it was given
            for name in ("imgsz", "epochs"):
                del model.overrides[name]
            model.overrides.update(self._overrides)
        self._overrides = None
        modules = [model.model]
        if trainer is not None and trainer.ema is not None:  # else others trained, or none
            modules += [unwrap_model(trainer.model), trainer.ema.ema]
            self._restore_trainer(trainer)
        for module in modules:
            remove_head_dropout(module)
            restore_rates(module, self._rates)

    def on_pretrain_routine_start(self, trainer: BaseTrainer) -> None:
        """Refuse what cannot work before any data is read."""
        self._recorder.start_run()
        self._refuse(trainer)

    def on_pretrain_routine_end(self, trainer: BaseTrainer) -> None:
        """Make the model ready for every knob, the processor for speed, and write the plan."""
        self._refuse(trainer)  # only rank 0 saw the start event
        model = unwrap_model(trainer.model)
        channels = trainer.data.get("channels", 3)
        self._rates = rates(model)
        if trainer.args.task != "classify":
            self._refuse_sizes(trainer.stride)
            insert_head_dropout(model, channels)
            insert_head_dropout(trainer.ema.ema, channels)
        if trainer.args.compile:
            self._undo.append(compile_once_per_size(self.schedule))
        if trainer.device.type == "cpu":
            # Ultralytics leaves one core unused, which is half of a small machine.
            self._undo.append(partial(torch.set_num_threads, torch.get_num_threads()))
            torch.set_num_threads(available_cpus())
            self._undo.append(keep_freed_memory())
            fuse_optimizer(trainer)
            if RANK == -1:  # processes would choose differently
                choose_precision(trainer, self.schedule.image_size)
        if trainer.device.type == "cuda":
            size, batch = self.schedule.image_size, trainer.train_loader.batch_size
            half = torch.bfloat16 if trainer.args.amp == "bf16" else torch.float16
            probe_memory(
                model,
                (batch, channels, size, size),
                half if trainer.amp else None,
            )
        images = (len(trainer.train_loader.dataset), len(trainer.test_loader.dataset))
        self._validated = epochs_to_validate(self.schedule, images, self.val_every)
        validate_if(trainer, lambda: trainer.epoch in self._validated)
        if RANK in {-1, 0}:
            self._recorder.write_plan(Path(trainer.save_dir), trainer.start_epoch)

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Bring loader and model to the stage of this epoch, whatever state they are in."""
        self._recorder.start_epoch()
        stage = self.schedule.at(trainer.epoch)
        tail = trainer.epoch >= trainer.epochs - trainer.args.close_mosaic
        self._apply_to_loader(
            trainer, stage, mosaic_closed=bool(trainer.args.close_mosaic and tail)
        )
        for model in (unwrap_model(trainer.model), trainer.ema.ema):  # the average is what is saved
            if trainer.args.task == "classify":
                set_dropout(model.model[-1], stage.dropout_rate)
            else:
                set_channel_dropout(model, stage.dropout_rate)
            set_drop_path(model, stage.drop_path_rate)
        # A plateau at small images says little of large ones: only the last stage stops early.
        stopper, last = trainer.stopper, self.schedule.stages[-1]
        stopper.best_epoch = max(stopper.best_epoch, min(trainer.epoch + 1, last.start_epoch))
        # The trainer is about to ask whether to close mosaic. Its way of closing rebuilds the
        # transforms without RandAugment and mixup, so it must not find a reason; we closed it.
        self._close_mosaic, trainer.args.close_mosaic = trainer.args.close_mosaic, 0

    def on_train_batch_start(self, trainer: BaseTrainer) -> None:
        """Give back what `on_train_epoch_start` hid, and say whether the optimizer is to step."""
        if self._close_mosaic is not None:
            trainer.args.close_mosaic, self._close_mosaic = self._close_mosaic, None
        if self._steps is not None:
            trainer.accumulate = self._steps.next_batch()

    def on_train_epoch_end(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Stop the clock of training before validation starts."""
        self._recorder.end_training()

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Record the epoch."""
        if RANK in {-1, 0}:
            done = trainer.args.val or trainer.epoch + 1 == trainer.epochs
            self._recorder.end_epoch(trainer, validated=done and trainer.epoch in self._validated)

    def on_train_end(self, trainer: BaseTrainer) -> None:
        """Write the summary."""
        self._recorder.end_run(trainer)

    def teardown(self, trainer: BaseTrainer) -> None:  # noqa: ARG002 - the event's signature
        """Leave the process as it was found."""
        if self._loader is not None and self._loader[1].image_size is not None:
            forget_images(self._loader[0].dataset)
        while self._undo:
            self._undo.pop()()

    def __getstate__(self) -> dict[str, Any]:
        # A training before leaves a loader, which cannot go along to the processes of the next.
        return {**vars(self), "_loader": None, "_applied": None, "_steps": None, "_undo": []}

    def _refuse(self, trainer: BaseTrainer) -> None:
        arguments = vars(trainer.args)
        reason = refusal(arguments)
        if not reason and trainer.epochs != self.schedule.epochs:
            reason = f"epochs={trainer.epochs}: the schedule has {self.schedule.epochs}"
        if not reason and trainer.args.imgsz != self.schedule.image_size:
            reason = f"imgsz={trainer.args.imgsz}: the schedule ends at {self.schedule.image_size}"
        if reason:
            raise InputError(f"progressive learning is impossible with {reason}")

    def _refuse_sizes(self, stride: int) -> None:
        for stage in self.schedule.stages:
            if stage.image_size % stride:
                raise InputError(
                    f"progressive learning is impossible with image_size={stage.image_size}: no "
                    f"multiple of the model's stride; give the schedule stride={stride}"
                )

    def _apply_to_loader(
        self, trainer: BaseTrainer, stage: TrainingStage, *, mosaic_closed: bool
    ) -> None:
        """Rebuild what the loader does, unless this very data set already does it.

        The data set is compared, not the epoch: after an out-of-memory retry the trainer starts
        the same epoch again on a new loader.
        """
        loader = trainer.train_loader
        if self._loader is None or self._loader[0] is not loader:
            self._loader = loader, loader_state(trainer)
            self._steps = None
        state, merged = self._loader[1], 1
        if self.merge_batches and state.accumulate > 1 and may_merge(trainer):
            sizes = stage.image_size, self.schedule.image_size
            merged = batches_to_merge(*sizes, state.accumulate)
            self._steps = self._steps or StepCounter(state.accumulate)
            self._steps.start_epoch(state.batches, merged)
        wanted = (loader.dataset, stage, mosaic_closed, merged)
        if wanted == self._applied:
            return
        decode_at_stage_size(loader.dataset, encoded=self.cache_encoded)
        batch_size = merged * state.batch_size
        set_loader_stage(trainer, stage, mosaic_closed=mosaic_closed, batch_size=batch_size)
        self._applied = wanted
        LOGGER.info(
            f"Stage {stage.index + 1}/{len(self.schedule.stages)}: "
            f"epochs {stage.start_epoch + 1}-{stage.stop_epoch} at {stage.image_size} px, "
            f"{', '.join(f'{knob.label} {knob.written(knob.of(stage))}' for knob in KNOBS)}, "
            f"batches of {batch_size}"
        )

    def _restore_trainer(self, trainer: BaseTrainer) -> None:
        validate_always(trainer)
        self._steps = None
        self.on_train_batch_start(trainer)
        self.teardown(trainer)
        if trainer.device.type == "cpu":
            fuse_optimizer(trainer, None)
            set_precision(trainer, Precision())
        if self._loader is not None and self._loader[0] is trainer.train_loader:
            restore_loader(trainer, self._loader[1])
        self._applied = self._loader = None


def _is_ours(function: Any) -> bool:
    return isinstance(getattr(function, "__self__", None), ProgressiveCallback)
