"""What a run has come to, times aside, and in what two runs differ."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import torch

from progressive.hosts.ultralytics.checkpoints.packing import unpack
from progressive.runs import checkpoints
from progressive.safe_loading.checkpoints import read_checkpoint

#: Everything that a state may hold: a loss whose weights move, mosaic and RandAugment, dropout,
#: gradients that wait for the next batch, merged batches, epochs without validation.
RUN = (
    *("device=cpu", "head=yolov10n", "backbone=efficientnetv2_b0"),
    *("backbone.width=0.25", "backbone.depth=0.25", "train.plots=false"),
    *("stages=3", "durations=null", "size.min=32", "size.max=96", "epochs=6"),
    *("batch=2", "train.nbs=8"),
    *(
        "train.warmup_epochs=0.5",
        "train.mosaic=1.0",
        "train.close_mosaic=0",
        "randaugment.min=5",
        "randaugment.max=9",
    ),
    *("mixup.max=0.3", "dropout.min=0.1", "dropout.max=0.1"),
    *("train.amp=false", "train.channels_last=false", "train.optimizer=AdamW"),
)

#: Where a checkpoint follows every batch.
OFTEN = "save_minutes=1e-9"


def end_of(folder: Path) -> dict[str, Any]:
    """Return all that a finished run has come to, in one level."""
    state = unpack(checkpoints.read(max((folder / "checkpoints").glob("*.safetensors"))))
    for name in ("records", "config"):
        del state[name]
    summary = json.loads((folder / "summary.json").read_text())
    for name in ("seconds", "prediction"):
        del summary[name]
    summary["stages"] = _without_times(folder / "stages.csv")
    weights = {
        name: dict(read_checkpoint(folder / "weights" / f"{name}.pt").weights)
        for name in ("best", "last")
    }
    tables = {name: _without_times(folder / name) for name in ("results.csv", "epochs.csv")}
    return _flat({"state": state, "summary": summary, "weights": weights, "tables": tables})


def differences(folder: Path, other: Path) -> list[str]:
    """Return what two finished runs differ in."""
    one, two = end_of(folder), end_of(other)
    names = sorted(one.keys() | two.keys())
    return [name for name in names if not _same(one.get(name), two.get(name))]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return a nested state as a dictionary with one level."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, inner in items for k, v in _flat(inner, f"{name}.{key}").items()}


def _without_times(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    times = ("time", "seconds", "images_per_second")
    return [{k: v for k, v in row.items() if not k.strip().endswith(times)} for row in rows]


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    return type(one) is type(two) and (one == two or one != one)
