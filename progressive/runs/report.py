"""Tables for people, from schedules and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from progressive.cost import relative_cost, stage_cost
from progressive.schedule import KNOBS, ProgressiveSchedule

#: How each recorded metric is written for people.
METRICS = {
    "mAP50": "mAP50",
    "mAP50_95": "mAP50-95",
    "mask_mAP50": "mask mAP50",
    "mask_mAP50_95": "mask mAP50-95",
    "pose_mAP50": "pose mAP50",
    "pose_mAP50_95": "pose mAP50-95",
    "accuracy_top1": "accuracy",
    "mIoU": "mIoU",
}


def plan_table(schedule: ProgressiveSchedule) -> str:
    """Draw what training will do: a row per stage, and the cost against fixed-size training.

    Knobs that the schedule does not use are left out; the rest fits 80 columns as a rule.
    """
    used = [knob for knob in KNOBS if schedule.uses(knob.name)]
    rows = [
        {
            "stage": f"{stage.index + 1}/{len(schedule.stages)}",
            "epochs": f"{stage.start_epoch + 1}-{stage.stop_epoch}",
            "size": stage.image_size,
            **{knob.label: knob.written(knob.of(stage)) for knob in used},
            "cost": f"{stage_cost(schedule, stage):.1%}",
        }
        for stage in schedule.stages
    ]
    total = f"Pixel cost: {relative_cost(schedule):.2f} of training all {schedule.epochs} epochs"
    return f"{_table(rows)}\n{total} at {schedule.image_size} px."


def stage_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw what each stage did, from the rows of `stages.csv`."""
    return _table(
        [
            {
                "stage": row["stage"] + 1,
                "epochs": f"{row['start_epoch'] + 1}-{row['stop_epoch']}",
                "size": row["image_size"],
                "seconds": f"{row['seconds']:.1f}",
                "images/s": f"{row['images_per_second']:.1f}",
                **{label: _score(row[key]) for key, label in METRICS.items() if key in row},
            }
            for row in rows
        ]
    )


def scores(metrics: Mapping[str, float | None]) -> str:
    """Write metrics in a line."""
    return ", ".join(f"{METRICS[name]} {_score(value)}" for name, value in metrics.items())


def duration(seconds: float) -> str:
    """Write a duration as people say it: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    return tabulate(
        [list(row.values()) for row in rows],
        headers=list(rows[0]),
        tablefmt="github",
        stralign="right",
        disable_numparse=True,
    )
