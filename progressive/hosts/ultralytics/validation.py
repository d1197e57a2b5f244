"""Validate as often as pays: always where stages end and throughout the last one, else sparsely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ultralytics.engine.trainer import BaseTrainer

from progressive.hosts.ultralytics.methods import replace_method
from progressive.schedule import ProgressiveSchedule

#: Share of the training time that validation may cost unless the user says how often to validate.
SHARE = 0.1

#: Cost of validating an image relative to training on one of the same size. Besides the forward
#: pass, a third of a training step, it loads the image and searches overlapping boxes; measured
#: 0.78 with YOLOv10n on EfficientNetV2-B0 at half width and depth, 192 px, 2 cores.
VALIDATION_COST = 0.8


def epochs_to_validate(
    schedule: ProgressiveSchedule, images: tuple[int, int], every: int | None = None
) -> frozenset[int]:
    """Return the epochs after which to validate. All processes compute the same.

    Args:
        schedule: the stages.
        images: in the training and in the validation set.
        every: validate every N epochs; None to keep within `SHARE` of the training time, counted
            in pixels.
    """
    last = schedule.stages[-1]
    chosen = {stage.stop_epoch - 1 for stage in schedule.stages}
    chosen |= set(range(last.start_epoch, last.stop_epoch))
    if every is None:
        train, validation = images
        pixels = sum((s.stop_epoch - s.start_epoch) * s.image_size**2 for s in schedule.stages)
        once = max(validation, 1) * schedule.image_size**2 * VALIDATION_COST
        affordable = int(SHARE * train * pixels / once) - len(chosen)
        if affordable < 1 or not last.start_epoch:
            return frozenset(chosen)
        every = -(-last.start_epoch // affordable)  # rounded up
    return frozenset(chosen | set(range(every - 1, last.start_epoch, every)))


def validate_if(trainer: BaseTrainer, due: Callable[[], bool]) -> Callable[[], None]:
    """Let `trainer` validate only when `due()`; return what lets it validate always.

    `trainer.args.val` is no way to do this: it is saved in checkpoints, and the trainer would give
    an epoch without validation the fitness of the one before, so that it could become the best.
    Here such an epoch has no fitness. Early stopping ignores it, and so does the best checkpoint
    once a validated epoch has been saved.
    """
    validate = trainer.validate

    def validate_when_due() -> tuple[dict[str, Any], float | None]:
        return validate() if due() else (trainer.metrics, None)

    return replace_method(trainer, "validate", validate_when_due)
