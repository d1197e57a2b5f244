"""What a run came to, read from its records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from progressive.comparison.curves import Point
from progressive.errors import InputError
from progressive.runs.records import EPOCHS, SUMMARY, EpochRecord, read_epochs

_BOXES = {"mAP50_95": "map50_95", "mAP50": "map50"}

#: Scores by task as the records name them, and as `compare.json` does; the first one decides. It is
#: the one that the report judges a run by.
SCORES = {
    "detect": _BOXES,
    "obb": _BOXES,
    "segment": {"mask_mAP50_95": "mask_map50_95", "mask_mAP50": "mask_map50", **_BOXES},
    "pose": {"pose_mAP50_95": "pose_map50_95", "pose_mAP50": "pose_map50", **_BOXES},
    "classify": {"accuracy_top1": "accuracy"},
    "semantic": {"mIoU": "miou"},
}


@dataclass(frozen=True)
class Result:
    """Numbers of one run.

    Attributes:
        last: scores of the last weights, by their names in `compare.json`. The best epoch is chosen
            on the data it is scored on, and not all arms are validated equally often.
        best: scores of the best weights.
        train_seconds: of training alone.
        validation_seconds: of validation, and of what follows it in an epoch.
        total_seconds: both, with set-up and the last evaluation.
        images: that were trained on, each as often as it was.
        pixels: the same with their sizes, mean over batches for random ones.
        curve: score that decides over seconds, for the validated epochs.
    """

    last: Mapping[str, float]
    best: Mapping[str, float]
    train_seconds: float
    validation_seconds: float
    total_seconds: float
    images: int
    pixels: float
    curve: tuple[Point, ...]


def read_result(folder: Path, task: str, pixel_factor: float = 1.0) -> Result:
    """Read the records of a finished run.

    Args:
        folder: of the run.
        task: of the models, a key of `SCORES`.
        pixel_factor: pixels of a mean batch over those of the recorded size.

    Raises:
        InputError: it is no finished run, or a record is incomplete.
    """
    names = SCORES[task]
    summary = _summary(folder)
    epochs = _epochs(folder, summary)
    try:
        seconds = {key: float(summary["seconds"][key]) for key in ("train", "validation", "total")}
        best = {ours: float(summary["metrics"][name]) for name, ours in names.items()}
    except (KeyError, TypeError, ValueError):
        raise _damaged(folder / SUMMARY, "lacks scores or seconds") from None
    if not all(map(math.isfinite, (*seconds.values(), *best.values()))) or seconds["total"] <= 0:
        raise _damaged(folder / SUMMARY, "has scores or seconds of no use")
    scores = [{name: epoch.metrics.get(name) for name in names} for epoch in epochs]
    last = {names[name]: value for name, value in scores[-1].items() if value is not None}
    if len(last) < len(names):
        raise _damaged(folder / EPOCHS, "the last epoch has no score")
    deciding = next(iter(names))
    spent = accumulate(epoch.train_seconds + epoch.validation_seconds for epoch in epochs)
    curve = [
        Point(at, score, epoch)
        for epoch, (at, score) in enumerate(
            zip(spent, (found[deciding] for found in scores), strict=True), start=1
        )
        if score is not None
    ]
    return Result(
        last=last,
        best=best,
        train_seconds=seconds["train"],
        validation_seconds=seconds["validation"],
        total_seconds=seconds["total"],
        images=sum(epoch.images for epoch in epochs),
        pixels=pixel_factor * sum(epoch.images * epoch.image_size**2 for epoch in epochs),
        curve=tuple(curve),
    )


def _summary(folder: Path) -> Mapping[str, Any]:
    path = folder / SUMMARY
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder}: is no finished run; it has no {SUMMARY}") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read ({error})") from None
    if not isinstance(found, Mapping):
        raise _damaged(path, "must be a mapping")
    return found


def _epochs(folder: Path, summary: Mapping[str, Any]) -> list[EpochRecord]:
    path = folder / EPOCHS
    try:
        epochs = read_epochs(folder)
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(path, "is cut off or damaged") from None
    if not epochs or len(epochs) != summary.get("epochs"):
        raise _damaged(path, f"has {len(epochs)} epochs and {SUMMARY} {summary.get('epochs')}")
    return epochs


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: {problem}; delete {path.parent} to repeat the run")
