"""Schedules that are valid and still a mistake: named before training."""

from __future__ import annotations

import math
from collections.abc import Iterator

from progressive.errors import InputError
from progressive.schedule import ProgressiveSchedule

#: Steps of the optimizer below which a stage cannot be expected to teach anything.
FEW_STEPS = 10

#: Median side of objects, as a fraction of the image's, from which on they count as large.
LARGE = 0.5

#: Fraction of the final size below which a stage is small.
SMALL = 0.8


def pitfalls(
    schedule: ProgressiveSchedule,
    images: int,
    *,
    batch: int,
    nbs: int,
    warmup_epochs: float,
) -> Iterator[str]:
    """Yield a sentence for everything about a schedule that is likely to be a mistake.

    Args:
        schedule: to be trained.
        images: in the training set.
        batch: images in a batch.
        nbs: images between two steps of the optimizer, if there are more than in a batch.
        warmup_epochs: during which the learning rate rises.

    Raises:
        InputError: a stage ends before the optimizer takes a step, so that it would never train.
    """
    if lone := lone_image(schedule, images, batch=batch):
        raise InputError(lone)
    batches = math.ceil(images / batch)
    waits = min(max(round(nbs / batch), 1), batches * schedule.epochs)
    # The optimizer does not wait while it warms up, and Ultralytics warms up one epoch less than
    # there are at most.
    warmup = min(warmup_epochs, schedule.epochs - 1)
    many, last = len(schedule.stages), schedule.stages[-1]
    for stage in schedule.stages:
        eager = max(0.0, min(warmup, stage.stop_epoch) - stage.start_epoch)
        steps = math.floor(batches * (eager + (stage.epochs - eager) / waits))
        name = (
            f"stage {stage.index + 1}/{many}, {_number(stage.epochs, 'epoch')} of {images} images"
        )
        if steps < 1:
            raise InputError(
                f"{name}: ends before the optimizer takes a step; give more epochs, a smaller "
                "batch or train.nbs"
            )
        if steps < FEW_STEPS:
            yield f"{name}, has {_number(steps, 'step')} of the optimizer: too few to learn from."
    if many > 1 and last.start_epoch < warmup:
        yield (
            f"The learning rate warms up for {warmup:g} epochs (train.warmup_epochs), beyond the "
            f"start of the last stage after {_number(last.start_epoch, 'epoch')}."
        )
    elif last.epochs < warmup:
        yield (
            f"The last stage, {_number(last.epochs, 'epoch')}, is shorter than the warm-up of "
            f"{warmup:g} (train.warmup_epochs); it decides how good the detector is at "
            f"{last.image_size} px. More epochs help, or durations=null."
        )


def large_objects(schedule: ProgressiveSchedule, side: float) -> Iterator[str]:
    """Yield a sentence if small images are likely to cost a detector precision.

    Large objects are found as well, but their edges get exact at the final size only, where such a
    schedule spends the fewest epochs (docs/schedules.md).

    Args:
        schedule: to be trained.
        side: median side of the objects, as a fraction of the side of their image.
    """
    first, final = schedule.stages[0].image_size, schedule.image_size
    if side >= LARGE and first < SMALL * final:
        yield (
            f"Half of the objects take up {side:.0%} or more of their image's side. With such "
            f"objects a first stage of {first} px costs mAP50-95, 0.08 to 0.13 where it was "
            "measured, but hardly any mAP50 (docs/schedules.md): give stages=1 if exact edges "
            "count, or compare on your data (python -m progressive.compare)."
        )


def lone_image(
    schedule: ProgressiveSchedule, images: int, *, batch: int, stride: int = 32
) -> str | None:
    """Return why a stage would fail in batch normalisation, or None.

    At a single stride the last map of a detector is one pixel, and a batch of one image then has
    one value per channel, of which there is no variance.

    Args:
        schedule: to be trained.
        images: in the training set.
        batch: images in a batch.
        stride: of the last map, in pixels.
    """
    if images % batch != 1 and batch != 1:
        return None
    for stage in schedule.stages:
        if stage.image_size < 2 * stride:
            last = "every batch is" if batch == 1 else f"the last batch of {images} images is"
            return (
                f"stage {stage.index + 1}/{len(schedule.stages)} at {stage.image_size} px: {last} "
                f"one image, which batch normalisation cannot train on at this size; give another "
                f"batch, or sizes of at least {2 * stride} px"
            )
    return None


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
