"""What a training goes on after: memory that runs out, a loss that is no number, a lost image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ultralytics.engine.trainer import BaseTrainer

from progressive.hosts.ultralytics.images.unreadable import (
    skip_unreadable,
    stop_without_validation_image,
)
from progressive.hosts.ultralytics.micro_batches import split_when_short
from progressive.hosts.ultralytics.not_finite import recover
from progressive.hosts.ultralytics.place import Place
from progressive.schedule import ProgressiveSchedule


def go_on_after_mishaps(
    trainer: BaseTrainer,
    schedule: Callable[[], ProgressiveSchedule],
    remark: Callable[[str], None],
) -> Callable[[], None]:
    """Prepare a trainer for mishaps; return what undoes it.

    Args:
        trainer: set up, before its first epoch.
        schedule: returns the one that is followed at the time.
        remark: takes a sentence for the records.
    """
    undo = ExitStack()
    before = {event: list(found) for event, found in trainer.callbacks.items()}
    place = Place(trainer, schedule)
    undo.callback(split_when_short(trainer, place, remark))
    undo.callback(recover(trainer, place, remark))
    undo.callback(skip_unreadable(trainer, remark))
    undo.callback(stop_without_validation_image(trainer))
    ours = {
        event: [function for function in found if function not in before.get(event, ())]
        for event, found in trainer.callbacks.items()
    }
    undo.callback(_leave, trainer, ours)
    return undo.close


def _leave(trainer: BaseTrainer, ours: Mapping[str, Sequence[Any]]) -> None:
    """Take our functions out of the events of a trainer."""
    for event, found in trainer.callbacks.items():
        found[:] = [function for function in found if function not in ours.get(event, ())]
