"""Larger batches for smaller images, where the optimizer waits for several batches anyway.

Ultralytics sums the gradients of `nbs / batch` batches before each step of the optimizer. A stage
at half the size has room for four of them at once: as many images in a step, for a quarter of the
calls, each of which costs the same at any size. The sum of gradients is the same but for what is
taken over a batch: the statistics of batch normalisation and the normaliser of the loss.
"""

from __future__ import annotations

import math

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.tasks import RTDETRDetectionModel
from ultralytics.utils.torch_utils import unwrap_model

#: Tasks whose loss is a sum over the images of a batch. Where it is a mean, the gradients of a
#: merged batch would be smaller than the sum of those of its parts.
SUMMED_LOSS = ("detect", "segment", "pose", "obb")


class Batches:
    """The batches of a training loader: how many are loaded as one, and when the optimizer steps.

    Args:
        trainer: with a new training loader, nothing merged.
        merge: whether batches may be merged at all.
    """

    def __init__(self, trainer: BaseTrainer, *, merge: bool) -> None:
        self.size = trainer.train_loader.batch_size
        self.count = len(trainer.train_loader)
        self.steps = StepCounter(trainer.accumulate)
        self.merge = merge and trainer.accumulate > 1
        self._counting = False

    def start_epoch(self, trainer: BaseTrainer, image_size: int, last_size: int) -> int:
        """Decide for this epoch, at `image_size` pixels; return how many images make a batch."""
        self._counting = self.merge and may_merge(trainer)
        if not self._counting:
            return self.size
        merged = batches_to_merge(image_size, last_size, self.steps.accumulate)
        self.steps.start_epoch(trainer.epoch, self.count, merged)
        return merged * self.size

    def next_batch(self, trainer: BaseTrainer) -> None:
        """Tell the trainer whether the optimizer steps after the next batch."""
        if self._counting:
            trainer.accumulate = self.steps.next_batch()


def batches_to_merge(image_size: int, last_size: int, accumulate: int) -> int:
    """Return how many batches to load as one.

    Args:
        image_size: of the stage, in pixels.
        last_size: of the last stage; a merged batch has no more pixels than a batch there.
        accumulate: batches between two steps of the optimizer; a multiple of the result.
    """
    room = last_size**2 // image_size**2
    return max(n for n in range(1, min(room, accumulate) + 1) if accumulate % n == 0)


def may_merge(trainer: BaseTrainer) -> bool:
    """Tell whether batches of this epoch can be merged without changing what is optimised.

    While it warms up, the trainer counts batches to raise the learning rate and `accumulate`, so
    nothing is merged then. Nor is it where the loader drops a last batch that is not full, since a
    larger one would leave out more images.
    """
    if trainer.train_loader.drop_last:
        return False
    warmup = min(trainer.args.warmup_epochs, trainer.epochs - 1)
    return sums_loss(trainer) and (warmup <= 0 or trainer.epoch > warmup)


def sums_loss(trainer: BaseTrainer) -> bool:
    """Tell whether the loss of a batch is a sum over its images, so that parts of it add up."""
    model = unwrap_model(trainer.model)
    return trainer.args.task in SUMMED_LOSS and not isinstance(model, RTDETRDetectionModel)


def set_batch_size(trainer: BaseTrainer, images: int) -> None:
    """Let the training loader, once it is reset, make batches of so many images.

    `trainer.batch_size`, which is saved in checkpoints, stays.
    """
    trainer.train_loader.batch_sampler.sampler.batch_size = images


class StepCounter:
    """Lets the optimizer take as many steps as if no batches were merged.

    The trainer counts what the loader yields, so it would take a step for the rest of every epoch.

    Args:
        accumulate: batches of the usual size between two steps.
    """

    def __init__(self, accumulate: int) -> None:
        self.accumulate = accumulate
        self.pending = 0
        self.left = 0
        self.merged = 1
        self.epoch: int | None = None

    def start_epoch(self, epoch: int, batches: int, merged: int) -> None:
        """Start an epoch of so many batches of the usual size, of which so many are one.

        The same epoch a second time means that the trainer recovered from an infinite loss; it has
        dropped all gradients, also those that an epoch before had left over.
        """
        if epoch == self.epoch:
            self.pending = 0
        self.epoch, self.left, self.merged = epoch, batches, merged

    def next_batch(self) -> float:
        """Return what `trainer.accumulate` is to be for the next batch: 0 for a step after it."""
        batches = min(self.merged, self.left)
        self.left -= batches
        self.pending += batches
        if self.pending < self.accumulate:
            return math.inf
        self.pending -= self.accumulate
        return 0
