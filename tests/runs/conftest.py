"""Run folders as a training leaves them, made in no time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from progressive.runs import records
from progressive.runs.environment import ENVIRONMENT, environment
from progressive.runs.fingerprint import DATA
from progressive.runs.records import EpochRecord
from progressive.schedule import ProgressiveSchedule


@pytest.fixture(scope="session")
def make_run():
    """Return a function that writes the records of a run, finished or not."""
    return write_run


def write_run(
    folder: Path,
    *,
    stages: int = 3,
    seed: int = 0,
    top: float = 0.6,
    finished: bool = True,
    pictures: bool = True,
    data: str = "a" * 32,
    classes: tuple[str, ...] = ("cat", "dog"),
    extra: dict | None = None,
) -> Path:
    folder.mkdir(parents=True)
    sizes = (64, 128) if stages > 1 else (128, 128)
    strengths = {"randaugment": (5, 10), "dropout": (0, 0.2)} if stages > 1 else {}
    schedule = ProgressiveSchedule.linear(epochs=12, stages=stages, image_size=sizes, **strengths)
    random = np.random.default_rng(seed)
    done = [
        _epoch(schedule, number, top + 0.02 * random.normal())
        for number in range(12 if finished else 7)
    ]
    records.write_epochs(folder, done)
    records.write_json(folder / records.PLAN, records.plan(schedule))
    if finished:
        summary = records.summary(
            schedule, done, metrics=done[-1].metrics, total_seconds=_total(done) + 9.0
        )
        records.write_json(folder / records.SUMMARY, {**summary, **(extra or {})})
    settings = {
        "task": "detect",
        "data": "digits",
        "stages": stages,
        "seed": seed,
        "size": {"min": sizes[0], "max": sizes[1]},
        "backbone": {"name": "efficientnetv2_b0"},
        "head": {"name": "yolov8", "scale": "n"},
        "output": str(folder),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    found = environment(
        seed=seed, cores=2, gpus=[], command=f"python -m progressive.run seed={seed}"
    )
    records.write_json(folder / ENVIRONMENT, found)
    part = {name: {"files": 12, "bytes": 9, "sampled": False, "hash": data}
            for name in ("images", "labels")}  # fmt: skip
    records.write_json(folder / DATA, {"classes": list(classes), "train": part, "val": part})
    if pictures:
        (folder / "report").mkdir()
        names = [f"{kind}-{stage + 1}" for kind in ("train", "found") for stage in range(stages)]
        for name in (*names, "labels"):
            image = random.integers(0, 255, (96, 96, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / "report" / f"{name}.jpg"), image)
    return folder


def _epoch(schedule: ProgressiveSchedule, number: int, top: float) -> EpochRecord:
    stage = schedule.at(number)
    seconds = 10.0 * (stage.image_size / 128) ** 2
    value = top * (1 - 0.8 ** (number + 1))
    scores = {"mAP50": value, "mAP50_95": value / 2}
    validated = number % 2 or number + 1 == stage.stop_epoch
    return EpochRecord(
        epoch=number,
        stage=stage.index,
        image_size=stage.image_size,
        knobs=stage.knobs,
        images=100,
        train_seconds=seconds,
        validation_seconds=1.0,
        metrics=scores if validated else dict.fromkeys(scores),
        data_seconds=0.1 * seconds,
        compute_seconds=0.7 * seconds,
        optimizer_seconds=0.15 * seconds,
    )


def _total(done: list[EpochRecord]) -> float:
    return sum(record.train_seconds + record.validation_seconds for record in done)
