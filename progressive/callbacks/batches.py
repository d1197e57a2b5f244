"""Larger batches for smaller images, where the optimizer waits for several batches anyway.

Ultralytics sums the gradients of ``nbs / batch`` batches before each step of the optimizer. A stage
at half the size has room for four of them at once: as many images in a step and the same sum of
gradients, for a quarter of the calls, each of which costs the same at any size.
"""

from __future__ import annotations

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.tasks import RTDETRDetectionModel
from ultralytics.utils.torch_utils import unwrap_model

#: Tasks whose loss is a sum over the images of a batch. Where it is a mean, the gradients of a
#: merged batch would be smaller than the sum of those of its parts.
SUMMED_LOSS = ("detect", "segment", "pose", "obb")


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

    While it warms up the trainer counts batches to raise the learning rate, and ``accumulate`` with
    it, so nothing is merged then.
    """
    model = unwrap_model(trainer.model)
    summed = trainer.args.task in SUMMED_LOSS and not isinstance(model, RTDETRDetectionModel)
    warmup = min(trainer.args.warmup_epochs, trainer.epochs - 1)
    return summed and (warmup <= 0 or trainer.epoch > warmup)


def set_batch_size(trainer: BaseTrainer, images: int) -> None:
    """Let the training loader, once it is reset, make batches of so many images.

    ``trainer.batch_size``, which is saved in checkpoints, stays.
    """
    trainer.train_loader.batch_sampler.sampler.batch_size = images
