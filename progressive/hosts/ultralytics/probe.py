"""Time a few real steps of every kind of epoch, through the callback that a run would use.

One short training in a folder of its own: each kind of epoch is cut down to a few batches of the
real loader, the validation likewise. What is left of the training, set-up, checkpoints and the
evaluation of the best weights, is what a run takes besides.
"""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.errors import InputError
from progressive.hosts.ultralytics.batches import Batches
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.loader import StagedLoader
from progressive.hosts.ultralytics.validation import VALIDATION_COST, epochs_to_validate
from progressive.prediction import Kind, Prediction, Timing, kind_of, predict
from progressive.schedule import ProgressiveSchedule

#: Seconds that the batches of one pass should take.
PASS_SECONDS = 2.0

#: Batches of a pass: the fewest that give a mean without the first step, and the most.
BATCHES = 4, 20

#: Transforms of Ultralytics that `close_mosaic` ends.
MOSAICS = ("mosaic", "copy_paste", "cutmix")


@dataclass
class Pass:
    """A few batches of one kind of epoch, and when what happened, in seconds of `perf_counter`."""

    kind: Kind
    epoch: int
    cold: bool
    started: float = 0.0
    batch_starts: list[float] = field(default_factory=list)
    trained: float = 0.0
    ended: float = 0.0
    batch: int = 0

    @property
    def step(self) -> float:
        """Seconds from batch to batch; of the whole pass if there is only one."""
        return mean_step(self.batch_starts) or self.trained - self.started

    @property
    def around(self) -> float:
        """Seconds of the pass beside its steps."""
        return max(self.trained - self.started - len(self.batch_starts) * self.step, 0.0)

    def seconds(self, images: int) -> float:
        """Return what an epoch of this kind takes with so many images."""
        return self.around + self.step * images / self.batch


def mean_step(starts: list[float]) -> float | None:
    """Return the mean seconds from start to start; the first, which may prepare, is left out."""
    starts = starts[1:] if len(starts) > 2 else starts
    return (starts[-1] - starts[0]) / (len(starts) - 1) if len(starts) > 1 else None


class Probe(ProgressiveCallback):
    """Runs every kind of epoch of a schedule for a few batches; leaves `timing`, weights alone.

    The trainer counts passes; what the callback it derives from sees is the epoch of the schedule
    that a pass stands for.
    """

    def __init__(self, schedule: ProgressiveSchedule, **options: Any) -> None:
        self._resumable = options.pop("checkpoints", True)
        super().__init__(schedule, checkpoints=False, **options)
        self.timing: Timing | None = None
        self.images = (0, 0)
        self._passes: list[Pass] = []
        self._begun = self._ended = self._checkpoint = 0.0
        self._memory: dict[int, int] = {}
        self._order: list[int] = []
        self._validated_images = 0
        self._validation_starts: list[float] = []

    def on_pretrain_routine_start(self, trainer: BaseTrainer) -> None:
        """Start the clock of the set-up."""
        self._begun = time.perf_counter()
        trainer.add_callback("on_val_batch_start", self._on_validation_batch)
        super().on_pretrain_routine_start(trainer)

    def on_pretrain_routine_end(self, trainer: BaseTrainer) -> None:
        """Plan the passes, and let the trainer take them for its epochs."""
        super().on_pretrain_routine_end(trainer)
        self.images = (len(trainer.train_loader.dataset), len(trainer.test_loader.dataset))
        self._passes = list(self._plan(trainer))
        trainer.epochs = len(self._passes)
        trainer.stopper.patience = float("inf")
        trainer._get_warmup_iterations = lambda _: 0
        # Nothing is learnt: a rate that did not warm up could end in an infinite loss.
        trainer.scheduler.base_lrs = [0.0 for _ in trainer.scheduler.base_lrs]
        self._validated = frozenset({trainer.epochs - 2, trainer.epochs - 1})
        self._order = random.Random(0).sample(range(self.images[0]), self.images[0])
        self._take_validation_images(trainer, BATCHES[0])

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Bring the trainer to the epoch that the next pass stands for."""
        current = self._passes[trainer.epoch]
        if trainer.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(trainer.device)
        current.started = time.perf_counter()
        number, passes = trainer.epoch, trainer.epochs
        trainer.epoch, trainer.epochs = current.epoch, self.schedule.epochs
        try:
            super().on_train_epoch_start(trainer)
        finally:
            trainer.epoch, trainer.epochs = number, passes
        self._take_images(trainer, number)

    def on_train_batch_start(self, trainer: BaseTrainer) -> None:
        """Note when the batch was there."""
        super().on_train_batch_start(trainer)
        self._passes[trainer.epoch].batch_starts.append(time.perf_counter())

    def on_train_epoch_end(self, trainer: BaseTrainer) -> None:
        """Stop the clock of training."""
        current = self._passes[trainer.epoch]
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)
            peak = torch.cuda.max_memory_allocated(trainer.device)
            stage = current.kind.stage
            self._memory[stage] = max(peak, self._memory.get(stage, 0))
        current.trained = time.perf_counter()
        if trainer.epoch == trainer.epochs - 2:
            image = VALIDATION_COST * current.step / current.batch
            size = trainer.test_loader.batch_size
            self._take_validation_images(trainer, int(PASS_SECONDS / (image * size)))

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Note when validation and checkpoint were done."""
        if trainer.epoch < len(self._passes):
            self._passes[trainer.epoch].ended = time.perf_counter()
            if trainer.epoch < trainer.epochs - 1:
                self._validation_starts = []

    def _on_validation_batch(self, validator: object) -> None:  # noqa: ARG002 - the event's
        if not self._passes[-1].ended:  # the evaluation of the best weights comes after
            self._validation_starts.append(time.perf_counter())

    def on_train_end(self, trainer: BaseTrainer) -> None:
        """Make of all clocks what a whole training takes."""
        self._ended = time.perf_counter()
        if self._resumable and trainer.args.save:
            self._checkpoint = self._keeper.time_one(trainer)
        self.timing = self._evaluate()

    def _watch_pictures(self, trainer: BaseTrainer) -> None:
        """Take none: nobody sees them, and the number of a pass is no epoch of the schedule."""

    def _take_loader(self, trainer: BaseTrainer) -> tuple[StagedLoader, Batches]:
        loader, batches = super()._take_loader(trainer)
        batches.count = 1 << 30  # a pass has no last batch that is smaller than the others
        return loader, batches

    def _plan(self, trainer: BaseTrainer) -> Iterator[Pass]:
        """Yield a short pass to warm up, then of every stage a first pass and one of each kind."""
        arguments = trainer.args
        merging = self.merge_batches and trainer.accumulate > 1
        self._warmup = arguments.warmup_epochs if merging else 0.0
        mosaic = any(getattr(arguments, name, 0) for name in MOSAICS) or self.schedule.uses(
            "mosaic"
        )
        self._close = arguments.close_mosaic if mosaic else 0
        kinds: dict[Kind, int] = {}
        for epoch in range(self.schedule.epochs):
            kind = kind_of(
                self.schedule, epoch, warmup_epochs=self._warmup, close_mosaic=self._close
            )
            kinds.setdefault(kind, epoch)
        stage = None
        for kind, epoch in kinds.items():
            if stage is None:
                yield Pass(kind, epoch, cold=True)  # replaced by the next of this kind
            if kind.stage != stage:
                yield Pass(kind, epoch, cold=True)
            stage = kind.stage
            yield Pass(kind, epoch, cold=False)

    def _take_images(self, trainer: BaseTrainer, number: int) -> None:
        """Cut the loader down to the batches of a pass.

        A pass that follows the first of a stage has the same images if the data set keeps all that
        it decoded, and others if it does not.
        """
        sampler, dataset = trainer.train_loader.batch_sampler.sampler, trainer.train_loader.dataset
        current = self._passes[number]
        current.batch = min(sampler.batch_size, self.images[0])
        batches = self._batches_of(trainer, number)
        images = min(batches * current.batch, self.images[0] // current.batch * current.batch)
        keeps = getattr(dataset, "max_buffer_length", 0) > self.images[0]
        start = 0 if keeps and number else number * images % self.images[0]
        if number == 0:
            start = self.images[0] - images  # leaves what the first stage is to decode
        sampler.sampler = (self._order[start:] + self._order[:start])[:images]

    def _batches_of(self, trainer: BaseTrainer, number: int) -> int:
        least, most = (bound + 2 * trainer.train_loader.num_workers for bound in BATCHES)
        if number == 0:
            return 3
        current, before = self._passes[number], self._passes[number - 1]
        if not current.cold and before.batch == current.batch and number > 1:
            return len(before.batch_starts)
        size, was = (self.schedule.stages[p.kind.stage].image_size for p in (current, before))
        step = before.step * current.batch / before.batch * (size / was) ** 2
        return max(least, min(most, int(PASS_SECONDS / step)))

    def _take_validation_images(self, trainer: BaseTrainer, batches: int) -> None:
        size = trainer.test_loader.batch_size
        least, most = BATCHES[0] - 1, BATCHES[1]
        images = min(max(least, min(batches, most)) * size, self.images[1])
        trainer.test_loader.batch_sampler.sampler.sampler = range(images)
        self._validated_images = images

    def _evaluate(self) -> Timing:
        train, validation = self.images
        passes = self._passes[1:]
        warm = {p.kind: p for p in passes if not p.cold}
        first = {}
        for cold in (p for p in passes if p.cold):
            again = warm[cold.kind]
            decoding = max(cold.step / cold.batch - again.step / again.batch, 0.0) * train
            first[cold.kind.stage] = decoding + max(cold.around - again.around, 0.0)
        saving = min(p.ended - p.trained for p in self._passes[:-2])
        once = max(self._passes[-1].ended - self._passes[-1].trained - saving, 0.0)
        batches = len(self._validation_starts)
        step = mean_step(self._validation_starts) or once / batches
        left_out = step * batches * (validation / self._validated_images - 1)
        return Timing(
            epochs={kind: p.seconds(train) for kind, p in warm.items()},
            first=first,
            validation=once + left_out,
            saving=saving,
            checkpoint=self._checkpoint,
            before=self._passes[0].started - self._begun,
            after=self._ended - self._passes[-1].ended + left_out,
            warmup_epochs=self._warmup,
            close_mosaic=self._close,
            memory=self._memory,
            took=self._ended - self._begun,
        )


@dataclass(frozen=True)
class Probed:
    """What a probe found, and what follows for a schedule of the same stages.

    Attributes:
        timing: what was measured.
        images: in the training and in the validation set.
        val_every: as of the callback.
    """

    timing: Timing
    images: tuple[int, int]
    val_every: int | None

    def predict(self, schedule: ProgressiveSchedule) -> Prediction:
        """Predict what training by a schedule with the probed stages takes."""
        return predict(
            schedule, self.timing, epochs_to_validate(schedule, self.images, self.val_every)
        )


def probe(
    build: Callable[[], Model],
    schedule: ProgressiveSchedule,
    arguments: dict[str, Any],
    **options: Any,
) -> Probed:
    """Time a few steps of each kind of epoch.

    Args:
        build: makes the detector.
        schedule: that a run would follow.
        arguments: of `Model.train`, without a folder.
        options: of `ProgressiveCallback`.

    Raises:
        InputError: the training cannot begin, or is one on several GPUs.
    """
    if "," in str(arguments.get("device")):
        raise InputError(f"probe: device={arguments['device']}: give one device")
    callback = Probe(schedule, **options)
    began = time.perf_counter()
    with _untouched(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = build()
        callback.attach(model)
        threads = set(threading.enumerate())
        model.train(**{**arguments, "project": folder, "name": "probe", "exist_ok": True})
        for drawing in set(threading.enumerate()) - threads:
            drawing.join(5)  # pictures are drawn into the folder, which is about to go
    if callback.timing is None:
        raise InputError("probe: the training of a few steps did not end")
    took = {"took": time.perf_counter() - began}
    timing = Timing(**{**vars(callback.timing), **took})
    return Probed(timing, callback.images, callback.val_every)


@contextmanager
def _untouched() -> Iterator[None]:
    """Keep the log quiet, and give random states and the number of threads back."""
    state, legacy, level = random.getstate(), np.random.get_state(), LOGGER.level
    threads = torch.get_num_threads()  # Ultralytics sets it, and leaves it there
    LOGGER.setLevel(logging.ERROR)
    devices = range(torch.cuda.device_count())  # named, since several unnamed ones are a warning
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.set_num_threads(threads)
        LOGGER.setLevel(level)
        random.setstate(state)
        np.random.set_state(legacy)
