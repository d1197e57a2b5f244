"""What a schedule costs: in pixels before training, in seconds once some epochs are measured.

The pixel cost of an epoch is `(size / final size) ** 2`, the limit no implementation can beat
for a compute-bound detector; everything above it is overhead.
"""

from __future__ import annotations

from collections.abc import Mapping

from progressive.schedule import ProgressiveSchedule, TrainingStage


def relative_cost(schedule: ProgressiveSchedule) -> float:
    """Return the pixel cost of the schedule as a fraction of training at its final size."""
    return sum(stage_cost(schedule, stage) for stage in schedule.stages)


def stage_cost(schedule: ProgressiveSchedule, stage: TrainingStage) -> float:
    """Return what `stage` adds to `relative_cost`."""
    return stage.epochs / schedule.epochs * (stage.image_size / schedule.image_size) ** 2


def seconds_left(
    schedule: ProgressiveSchedule, next_epoch: int, measured: Mapping[int, float]
) -> float:
    """Predict the seconds of the epochs from `next_epoch` on.

    Args:
        schedule: the schedule being trained.
        next_epoch: first epoch not yet done, counted from 0.
        measured: image size -> mean seconds of an epoch at that size; at least one entry.

    """
    total = 0.0
    for stage in schedule.stages:
        epochs = stage.stop_epoch - max(stage.start_epoch, next_epoch)
        if epochs > 0:
            total += epochs * seconds_of_epoch(measured, stage.image_size)
    return total


def seconds_of_epoch(measured: Mapping[int, float], image_size: int) -> float:
    """Return the seconds of an epoch at an image size.

    A size not measured yet is extrapolated as `fixed + per_pixel * size**2` through the two largest
    measured sizes, or in proportion to the pixels when there is only one.

    Args:
        measured: image size -> mean seconds of an epoch at that size; at least one entry.
        image_size: in pixels.
    """
    fixed, per_pixel = _fit(measured)
    return measured.get(image_size, fixed + per_pixel * image_size**2)


def _fit(measured: Mapping[int, float]) -> tuple[float, float]:
    sizes = sorted(measured)[-2:]
    if not sizes:
        raise ValueError("measured={}: needs the seconds of at least one image size")
    if len(sizes) == 2:
        small, large = sizes
        per_pixel = (measured[large] - measured[small]) / (large**2 - small**2)
        fixed = measured[large] - per_pixel * large**2
        # Noise can bend the line the wrong way; pixels alone are then the better guide.
        if per_pixel > 0 and fixed >= 0:
            return fixed, per_pixel
    return 0.0, measured[sizes[-1]] / sizes[-1] ** 2
