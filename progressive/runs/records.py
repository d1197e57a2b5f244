"""What happened in a run, written as it happens: one row per epoch, and what follows from them.

Every file is replaced whole, so a run that is killed leaves complete files behind.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from progressive.cost import relative_cost, stage_cost
from progressive.errors import InputError
from progressive.schedule import KNOBS, ProgressiveSchedule

EPOCHS, STAGES, PLAN, SUMMARY = "epochs.csv", "stages.csv", "plan.json", "summary.json"


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    Attributes:
        epoch: counted from 0.
        stage: index of the stage it belongs to.
        image_size: in pixels.
        images: in the training set.
        train_seconds: of training, validation left out.
        validation_seconds: of validation, and of what follows it in the epoch.
        knobs: value of every knob by name; None for one left to the host.
        metrics: those of the task: mAP50 and mAP50_95 of a detector, accuracy_top1 of a
            classifier; None where the epoch was not validated.
        data_seconds: of training, waiting for the loader, a change of stage included.
        compute_seconds: of training, from images to gradients.
        optimizer_seconds: of training, for the steps of the optimizer and the averaged model.

    The last three are None where they were not recorded. They are times of the host: a GPU works
    on while the host goes ahead, and what it owes is paid where the host next waits for it.
    """

    epoch: int
    stage: int
    image_size: int
    images: int
    train_seconds: float
    validation_seconds: float
    knobs: Mapping[str, float | None] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    data_seconds: float | None = None
    compute_seconds: float | None = None
    optimizer_seconds: float | None = None


#: Parts of the training time, which files of earlier versions do not have.
PARTS = ("data_seconds", "compute_seconds", "optimizer_seconds")

#: Columns of `epochs.csv` around those of the knobs, and what is in them.
_BEFORE = {"epoch": int, "stage": int, "image_size": int}
_AFTER = {"images": int, "train_seconds": float, "validation_seconds": float}


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace `path` by `rows`, whose first one names the columns; None becomes empty."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def write_epochs(folder: Path, records: Iterable[EpochRecord]) -> None:
    """Write `epochs.csv`: a row for each epoch, whose last columns are the metrics."""
    rows = [
        {
            **{name: getattr(record, name) for name in _BEFORE},
            **record.knobs,
            **{name: getattr(record, name) for name in (*_AFTER, *PARTS)},
            **record.metrics,
        }
        for record in records
    ]
    write_csv(folder / EPOCHS, rows)


def read_epochs(folder: Path) -> list[EpochRecord]:
    """Read `epochs.csv` back; an absent file means no epoch is done.

    Raises:
        InputError: the file is cut off, or not of this program.
    """
    path = folder / EPOCHS
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    if not text.endswith("\n"):
        raise InputError(f"{path}: is cut off in line {text.count(chr(10)) + 1}")
    try:
        return _parse_epochs(text)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is no record of epochs: {error}") from None


def _parse_epochs(text: str) -> list[EpochRecord]:
    kinds = {**_BEFORE, **_AFTER}
    names = [knob.name for knob in KNOBS]
    records = []
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        if None in row or None in row.values():
            raise ValueError(f"line {line} has not as many values as there are columns")
        known: dict[str, Any] = {name: kind(row.pop(name)) for name, kind in kinds.items()}
        values = {name: float(value) if value else None for name, value in row.items()}
        numbers = [*values.values(), known["train_seconds"], known["validation_seconds"]]
        if any(number is not None and not math.isfinite(number) for number in numbers):
            raise ValueError(f"line {line} has a value that is no finite number")
        # An earlier version may not have had all the knobs.
        knobs = {name: values.pop(name, None) for name in names}
        parts: dict[str, Any] = {name: values.pop(name, None) for name in PARTS}
        records.append(EpochRecord(**known, knobs=knobs, metrics=values, **parts))
    return records


def plan(schedule: ProgressiveSchedule) -> dict[str, Any]:
    """Return the plan as written to `plan.json`: the stages and their pixel cost."""
    return {
        "epochs": schedule.epochs,
        "image_size": schedule.image_size,
        "pixel_cost": relative_cost(schedule),
        "stages": [
            {**asdict(stage), "pixel_cost": stage_cost(schedule, stage)}
            for stage in schedule.stages
        ],
    }


def stage_rows(
    schedule: ProgressiveSchedule, records: Sequence[EpochRecord]
) -> list[dict[str, Any]]:
    """Sum the epochs of each stage that has begun; the metrics are those at its end."""
    rows = []
    for stage in schedule.stages:
        inside = [r for r in records if stage.start_epoch <= r.epoch < stage.stop_epoch]
        if not inside:
            continue
        seconds = sum(r.train_seconds for r in inside)
        validated = [r for r in inside if None not in r.metrics.values()]
        rows.append(
            {
                "stage": stage.index,
                "image_size": stage.image_size,
                "start_epoch": stage.start_epoch,
                "stop_epoch": inside[-1].epoch + 1,
                **stage.knobs,
                "seconds": seconds,
                "images_per_second": sum(r.images for r in inside) / seconds if seconds else 0.0,
                "validation_seconds": sum(r.validation_seconds for r in inside),
                **{name: _sum(getattr(r, name) for r in inside) for name in PARTS},
                **(validated or inside)[-1].metrics,
            }
        )
    return rows


def _sum(values: Iterable[float | None]) -> float | None:
    """Sum `values`; None where any of them is unknown."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def summary(
    schedule: ProgressiveSchedule,
    records: Sequence[EpochRecord],
    *,
    metrics: Mapping[str, float | None],
    total_seconds: float,
) -> dict[str, Any]:
    """Return what a finished run comes to, as written to `summary.json`.

    Args:
        schedule: what was trained.
        records: its epochs.
        metrics: of the best checkpoint at the final size.
        total_seconds: from the call to train until the end, set-up and validation included.
    """
    return {
        "metrics": dict(metrics),
        "seconds": {
            "train": sum(r.train_seconds for r in records),
            "validation": sum(r.validation_seconds for r in records),
            "total": total_seconds,
        },
        "epochs": len(records),
        "pixel_cost": relative_cost(schedule),
        "stages": stage_rows(schedule, records),
    }
