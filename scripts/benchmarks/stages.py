"""The time of each stage against its pixel cost."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.training import BATCH, Clock, b0, train

from progressive import ProgressiveCallback, ProgressiveSchedule


def stage_costs(
    data: str, folder: Path, size: int, repeats: int, steps: int, nbs: int = 64
) -> list[Row]:
    """Compare a whole epoch of each stage, per image, with its share of the pixels.

    Every stage has two epochs, of which the second is timed: the first decodes images to keep.

    Args:
        data: path of a data.yaml.
        folder: to train in.
        size: of the last stage; the others have 0.25, 0.5 and 0.75 of it, in multiples of 32.
        repeats: of the whole schedule.
        steps: batches in an epoch; a multiple of how many the optimizer waits for.
        nbs: images between two steps of the optimizer, 64 being Ultralytics' default.
    """
    ratios, seconds = defaultdict(list), defaultdict(list)
    smallest = size // 4 if size % 128 == 0 else 96
    for _ in range(repeats):
        schedule = ProgressiveSchedule.linear(epochs=8, stages=4, image_size=(smallest, size))
        model = b0()
        ProgressiveCallback(schedule, val_every=8).attach(model)
        clock = Clock().attach(model)
        train(model, data, folder, steps, nbs=nbs, warmup_epochs=0.0)
        took = {s.image_size: sum(clock.steps[s.stop_epoch - 1]) for s in schedule.stages}
        for small, spent in took.items():
            seconds[small].append(spent / (steps * BATCH))
            ratios[small].append(spent / (took[size] * (small / size) ** 2))
    waits = f"optimizer waits for {nbs} images" if nbs > BATCH else "optimizer waits for no more"
    return [
        Row(
            f"training at {small} px / its share of the pixels at {size} px",
            tuple(found),
            ("<= 1.05" if 2 * small >= size else "<= 1.10") if nbs > BATCH else "",
            f"{1000 * min(seconds[small]):.1f} ms an image, batch {BATCH}, {waits}",
        )
        for small, found in ratios.items()
        if small < size
    ]
