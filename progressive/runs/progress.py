"""How far a run is: a line for people after every epoch, fields for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from progressive.runs.load import PRIMARY
from progressive.runs.records import EpochRecord
from progressive.runs.report import METRICS, duration
from progressive.schedule import ProgressiveSchedule


def best(records: Sequence[EpochRecord]) -> tuple[str, float] | None:
    """Return the best of what the run is judged by so far, with its name; None before the first."""
    for name in PRIMARY:
        found = [r.metrics[name] for r in records if r.metrics.get(name) is not None]
        if found:
            return name, max(value for value in found if value is not None)
    return None


def epoch_line(
    schedule: ProgressiveSchedule,
    records: Sequence[EpochRecord],
    left: float | None,
    losses: Mapping[str, float] | None = None,
) -> str:
    """Say how far a run is, in less than 80 columns unless losses are given.

    Args:
        schedule: what is trained when.
        records: of its epochs so far, one at least.
        left: seconds that remain; None when nothing does.
        losses: of the last epoch by name.
    """
    record = records[-1]
    parts = [
        f"Stage {record.stage + 1}/{len(schedule.stages)} at {record.image_size} px",
        f"epoch {record.epoch + 1}/{schedule.epochs}",
    ]
    if losses:
        named = " ".join(f"{name} {value:.3g}" for name, value in losses.items())
        parts.append(named if "loss" in losses else f"loss {named}")  # a classifier has but one
    if found := best(records):
        parts.append(f"best {METRICS[found[0]]} {found[1]:.3f}")
    if left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def epoch_fields(
    schedule: ProgressiveSchedule,
    records: Sequence[EpochRecord],
    left: float | None,
    losses: Mapping[str, float],
) -> dict[str, Any]:
    """Return the last epoch as a program reads it; numbers count from 0, as in `epochs.csv`."""
    record = records[-1]
    found = asdict(record)
    return {
        **{"epoch": found.pop("epoch"), "epochs": schedule.epochs},
        **{"stage": found.pop("stage"), "stages": len(schedule.stages)},
        **found,
        "images_per_second": record.images / record.train_seconds,
        "losses": dict(losses),
        "seconds_left": 0.0 if left is None else left,
    }
