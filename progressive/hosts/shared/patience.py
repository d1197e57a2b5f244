"""Let the early stopping of a trainer wait for the last stage.

A plateau at small images says little of large ones. The score that patience is measured against is
the best of all stages, since all are validated at the final size.
"""

from __future__ import annotations

from progressive.schedule import ProgressiveSchedule, TrainingStage

#: A count of validations without improvement that no patience is reached from.
WAITING = -(10**9)


def patience_count(count: int, schedule: ProgressiveSchedule, stage: TrainingStage) -> int:
    """Return what a count of validations without improvement is to be before the next one.

    Args:
        count: what it is. In the last stage it is left alone, unless it comes from one before.
        schedule: that is followed.
        stage: that is being trained.
    """
    return max(count, 0) if stage == schedule.stages[-1] else WAITING
