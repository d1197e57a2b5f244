"""What a probe predicts, for people and for `summary.json`."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from progressive.prediction import Prediction, Timing, speed_up
from progressive.runs.report import duration
from progressive.schedule import ProgressiveSchedule


def forecast(
    schedule: ProgressiveSchedule,
    timing: Timing,
    prediction: Prediction,
    price_per_hour: float | None = None,
) -> str:
    """Write how long a training will take: a row for each stage, and what it comes to.

    Args:
        schedule: to be trained.
        timing: what the probe measured.
        prediction: what follows.
        price_per_hour: of the machine, in any currency.
    """
    rows = []
    for stage, seconds in zip(schedule.stages, prediction.stages, strict=True):
        row = {
            "stage": f"{stage.index + 1}/{len(schedule.stages)}",
            "size": f"{stage.image_size}",
            "predicted training": duration(seconds),
            "an epoch": f"{seconds / stage.epochs:.1f} s",
        }
        if timing.memory:
            row["peak memory"] = f"{timing.memory.get(stage.index, 0) / 2**30:.1f} GiB"
        rows.append(list(row.values()))
    drawn = tabulate(
        rows, headers=list(row), tablefmt="github", stralign="right", disable_numparse=True
    )
    rest = prediction.total - prediction.train - prediction.validation
    lines = [
        drawn,
        f"Predicted: {duration(prediction.total)} in total, of which training "
        f"{duration(prediction.train)}, validation {duration(prediction.validation)}, set-up and "
        f"checkpoints {duration(rest)}.",
        f"Training all {schedule.epochs} epochs at {schedule.image_size} px would take "
        f"{speed_up(schedule, timing):.2f} times as long as these stages.",
    ]
    if price_per_hour is not None:
        lines.append(
            f"At {price_per_hour:g} an hour: {prediction.total / 3600 * price_per_hour:.2f}."
        )
    lines.append(f"The probe took {duration(timing.took)}.")
    return "\n".join(lines)


def as_record(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction from a probe as records keep it."""
    return {
        "source": "probe",
        "stages": list(prediction.stages),
        "validation": prediction.validation,
        "total": prediction.total,
    }
