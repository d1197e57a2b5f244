"""Read what a run left in its folder, for a report; whatever is wrong is said in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from progressive.errors import InputError
from progressive.runs import records
from progressive.runs.environment import ENVIRONMENT
from progressive.runs.fingerprint import DATA
from progressive.schedule import KNOBS, ProgressiveSchedule, TrainingStage

CONFIG, COMPARE, PICTURES = "config.yaml", "compare.json", "report"

#: Metrics by which runs are judged, the first one that a run has: masks and poses come with boxes.
PRIMARY = ("mask_mAP50_95", "pose_mAP50_95", "mAP50_95", "accuracy_top1", "mIoU")


@dataclass(frozen=True)
class Run:
    """The records of one run.

    Attributes:
        folder: of the run, absolute.
        schedule: what was planned.
        epochs: what was trained.
        summary: of a finished run; None before.
        config: settings by dotted key; empty for a run that was not started by `progressive.run`.
        config_text: `config.yaml` as it is written.
        environment: what it ran on; empty for runs of earlier versions.
        data: fingerprints; empty for runs of earlier versions.
        remarks: sentences on images that were left out, and on what the training went on after.
    """

    folder: Path
    schedule: ProgressiveSchedule
    epochs: list[records.EpochRecord]
    summary: Mapping[str, Any] | None
    config: Mapping[str, Any]
    config_text: str
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    @property
    def stages(self) -> list[dict[str, Any]]:
        """What each stage that has begun did, with its metrics at the end."""
        return records.stage_rows(self.schedule, self.epochs)

    @property
    def metrics(self) -> dict[str, float | None]:
        """Those of the best checkpoint, or of the last validation in a run not finished."""
        if self.summary is not None:
            return dict(self.summary["metrics"])
        done = [r.metrics for r in self.epochs if r.metrics and None not in r.metrics.values()]
        return dict(done[-1]) if done else {}

    @property
    def primary(self) -> str | None:
        """Name of the metric this run is judged by; None before anything was validated."""
        names = {name for record in self.epochs for name in record.metrics} | set(self.metrics)
        return next((name for name in PRIMARY if name in names), None)

    @property
    def score(self) -> float | None:
        """The metric this run is judged by, of its best weights."""
        return self.metrics.get(self.primary) if self.primary else None

    def last(self, metric: str | None) -> float | None:
        """Return a metric of the last weights, which is what runs are compared by.

        The best epoch is chosen on the data it is scored on, and not all runs validate equally
        often.
        """
        values = self.curve(metric)[2] if metric else []
        return values[-1] if values else None

    @property
    def seconds(self) -> float:
        """From the call to train until the end, or of the epochs so far."""
        if self.summary is not None:
            return float(self.summary["seconds"]["total"])
        return sum(r.train_seconds + r.validation_seconds for r in self.epochs)

    def curve(self, metric: str) -> tuple[list[int], list[float], list[float]]:
        """Return number of epochs trained, seconds so far and value at every validation."""
        trained, seconds, values, total = [], [], [], 0.0
        for record in self.epochs:
            total += record.train_seconds + record.validation_seconds
            value = record.metrics.get(metric)
            if value is not None:
                trained.append(record.epoch + 1)
                seconds.append(total)
                values.append(value)
        return trained, seconds, values

    def pictures(self, kind: str) -> list[Path]:
        """Return the sheets of a kind, `train`, `found` or `labels`, in the order of stages."""
        sheets = (
            self.folder / PICTURES / f"{kind}-{s.index + 1}.jpg" for s in self.schedule.stages
        )
        single = self.folder / PICTURES / f"{kind}.jpg"
        inside = self.folder.resolve()  # a link out of it would put another file on the page
        return [
            path
            for path in (*sheets, single)
            if path.is_file() and path.resolve().is_relative_to(inside)
        ]


def is_run(folder: Path) -> bool:
    """Tell whether `folder` holds a run of this program."""
    return (folder / records.PLAN).is_file()


def load_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        InputError: there is none, or a record is damaged.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not is_run(folder):
        raise InputError(f"{folder}: has no {records.PLAN}, so it is not a run of this program")
    config_text = _read(folder / CONFIG)
    try:
        return Run(
            folder=folder,
            schedule=_schedule(folder / records.PLAN),
            epochs=records.read_epochs(folder),
            summary=_summary(folder / records.SUMMARY),
            config=flat(_yaml(folder / CONFIG, config_text)),
            config_text=config_text,
            environment=read_json(folder / ENVIRONMENT),
            data=_data(folder / DATA),
            remarks=_remarks(folder / records.PLAN),
        )
    except (OSError, UnicodeError) as error:
        raise InputError(f"{folder}: {error}") from None
    except RecursionError:  # a mapping of YAML may hold itself
        raise InputError(f"{folder / CONFIG}: is nested without end") from None


def find_runs(folder: Path, depth: int = 3) -> list[Path]:
    """Return the run folders in `folder`, itself included, down to `depth` levels below it."""
    if is_run(folder):
        return [folder]
    if depth == 0:
        return []
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return [run for path in inside for run in find_runs(path, depth - 1)]


def read_json(path: Path) -> dict[str, Any]:
    """Read an object; an absent file is an empty one.

    Raises:
        InputError: it is damaged.
    """
    text = _read(path)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no complete JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: is no JSON object")
    return value


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key; an empty section has none."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping)
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _yaml(path: Path, text: str) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(value, Mapping):
        raise InputError(f"{path}: is no list of settings")
    return value


def _remarks(path: Path) -> tuple[str, ...]:
    kept = read_json(path)
    found = [kept.get(name) for name in ("data_remarks", "remarks")]
    return tuple(str(said) for part in found if isinstance(part, list) for said in part)


def _schedule(path: Path) -> ProgressiveSchedule:
    unused = {knob.name: knob.unused for knob in KNOBS}  # of knobs that came later
    names = [field.name for field in fields(TrainingStage)]
    try:
        stages = read_json(path)["stages"]
        given = [{**unused, **stage} for stage in stages]
        return ProgressiveSchedule(
            tuple(TrainingStage(**{name: stage[name] for name in names}) for stage in given)
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no plan of this program: {error}") from None


def _summary(path: Path) -> Mapping[str, Any] | None:
    found = read_json(path)
    if not found:
        return None
    metrics, seconds = found.get("metrics"), found.get("seconds")
    if not isinstance(metrics, dict) or not isinstance(seconds, dict):
        raise InputError(f"{path}: is no summary of this program")
    known = [value for value in metrics.values() if value is not None]
    if not all(map(is_number, [*seconds.values(), seconds.get("total"), *known])):
        raise InputError(f"{path}: is no summary of this program")
    return found


def _data(path: Path) -> dict[str, Any]:
    found = read_json(path)
    for part in (found.get("train", {}), found.get("val", {})):
        if not isinstance(part, dict) or not all(isinstance(kind, dict) for kind in part.values()):
            raise InputError(f"{path}: is no record of data")
    return found


def is_number(value: Any) -> bool:
    """Tell whether a value read from a record is a finite number."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain and abs(value) < math.inf
