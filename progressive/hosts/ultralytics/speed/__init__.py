"""What makes a CPU train faster than Ultralytics does by itself, behind one entry.

It computes the same, up to rounding. `train_faster=False` of the callback rules all of it out.
"""

from __future__ import annotations

from contextlib import ExitStack

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import RANK

from progressive.hosts.ultralytics.speed.allocator import keep_freed_memory
from progressive.hosts.ultralytics.speed.compilation import compile_once_per_size
from progressive.hosts.ultralytics.speed.precision import choose_precision
from progressive.hosts.ultralytics.speed.processor import fuse_optimizer, use_all_cores
from progressive.hosts.ultralytics.speed.suppression import suppress_by_class
from progressive.schedule import ProgressiveSchedule


def train_faster(
    trainer: BaseTrainer,
    schedule: ProgressiveSchedule,
    *,
    process_undo: ExitStack,
    trainer_undo: ExitStack,
) -> None:
    """Set process and trainer up for speed.

    Args:
        trainer: set up, before its first epoch.
        schedule: what it is going to train.
        process_undo: takes what undoes changes of the process.
        trainer_undo: takes what undoes changes of the trainer.
    """
    if trainer.args.compile:
        process_undo.callback(compile_once_per_size(schedule))
    if trainer.device.type != "cpu":
        return
    process_undo.callback(use_all_cores())
    process_undo.callback(keep_freed_memory())
    process_undo.callback(suppress_by_class())
    trainer_undo.callback(fuse_optimizer(trainer.optimizer))
    if RANK == -1:  # processes would choose differently
        trainer_undo.callback(choose_precision(trainer, schedule.image_size))
