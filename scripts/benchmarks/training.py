"""Timed trainings: against stock Ultralytics, and what callback, boundaries and validation cost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from benchmarks.rows import Row
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer

from progressive import ProgressiveSchedule, build_detector
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.machine import available_cpus

BATCH = 16
ARGUMENTS: dict[str, Any] = {
    "batch": BATCH,
    "nbs": BATCH,
    "device": "cpu",
    "optimizer": "AdamW",
    "lr0": 1e-3,
    "mosaic": 0.0,
    "plots": False,
    "save": False,
    "verbose": False,
    "exist_ok": True,
}


@dataclass
class Clock:
    """Seconds of each training step from the host's own events, by epoch; loading included."""

    steps: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _last: float = 0.0

    def attach(self, model: YOLO) -> Clock:
        """Hook in behind whatever is hooked in already."""
        model.add_callback("on_train_epoch_start", self._start)
        model.add_callback("on_train_batch_end", self._end)
        return self

    def step(self, epoch: int) -> float:
        """Return the median seconds of a step in an epoch, without its first if it has others."""
        steps = self.steps[epoch]
        return median(steps[1:] or steps)

    def _start(self, trainer: DetectionTrainer) -> None:  # noqa: ARG002
        self._last = time.perf_counter()

    def _end(self, trainer: DetectionTrainer) -> None:
        now = time.perf_counter()
        self.steps[trainer.epoch].append(now - self._last)
        self._last = now


def few_validated(data: str, folder: Path) -> str:
    """Write a copy of a data.yaml with one batch of validation images, which are not timed."""
    from ultralytics.data.utils import check_det_dataset

    found = check_det_dataset(data)
    images = sorted(str(path) for path in Path(found["val"]).rglob("*.*"))[:BATCH]
    (folder / "val.txt").write_text("\n".join(images) + "\n")
    copy = folder / "data.yaml"
    keys = {"train": found["train"], "val": str(folder / "val.txt"), "names": found["names"]}
    copy.write_text(yaml.safe_dump(keys))
    return str(copy)


def b0() -> YOLO:
    """Build YOLOv8n on EfficientNetV2-B0, whole: a detector that computing dominates."""
    return build_detector("yolov8", "n", "efficientnetv2_b0", classes=10)


def train(model: YOLO, data: str, folder: Path, steps: int, **arguments: Any) -> None:
    """Train on as much of the data as makes `steps` steps an epoch."""
    model.train(
        data=data,
        project=str(folder),
        name="run",
        **{**ARGUMENTS, "deterministic": False, "fraction": _fraction(data, steps), **arguments},
    )


def against_stock(data: str, folder: Path, repeats: int, steps: int) -> Row:
    """Compare the throughput of the callback with bare Ultralytics: same model, size and batch."""
    ratios, seconds = [], defaultdict(list)
    for _ in range(repeats):
        for arm in ("stock", "callback"):
            model = b0()
            schedule = ProgressiveSchedule.fixed(epochs=1, image_size=320)
            if arm == "callback":
                ProgressiveCallback(schedule).attach(model)
            clock = Clock().attach(model)
            train(model, data, folder, steps, epochs=1, imgsz=320, deterministic=arm == "stock")
            seconds[arm].append(clock.step(0))
        ratios.append(seconds["stock"][-1] / seconds["callback"][-1])
    note = ", ".join(f"{arm} {1000 * median(found):.0f} ms" for arm, found in seconds.items())
    return Row("throughput at 320 px / stock Ultralytics", tuple(ratios), ">= 2.0", note)


def callback_cost(data: str, folder: Path, repeats: int, steps: int) -> Row:
    """Compare one stage through the callback with the bare trainer, threads and precision alike."""
    ratios = []
    for _ in range(repeats):
        seconds = {}
        for arm in ("bare", "callback"):
            model = YOLO("yolov8n.yaml")
            schedule = ProgressiveSchedule.fixed(epochs=2, image_size=128)
            if arm == "callback":
                ProgressiveCallback(schedule).attach(model)
            else:
                model.add_callback("on_pretrain_routine_end", _same_settings)
            clock = Clock().attach(model)
            alike = {"epochs": 2, "imgsz": 128, "amp": False, "channels_last": False}
            train(model, data, folder, steps, **alike)
            seconds[arm] = clock.step(1)
        ratios.append(seconds["callback"] / seconds["bare"])
    return Row("a step through the callback / bare", tuple(ratios), "<= 1.01", "one stage, 128 px")


def boundary_cost(data: str, folder: Path, repeats: int, steps: int) -> Row:
    """Compare what a boundary adds to the loader's own restart with the time of a batch."""
    ratios = []
    for _ in range(repeats):
        model = YOLO("yolov8n.yaml")
        schedule = ProgressiveSchedule.linear(
            epochs=4, stages=4, image_size=(96, 192), randaugment=(5, 15), dropout=(0, 0.3)
        )
        callback = ProgressiveCallback(schedule, val_every=4)
        spent: dict[int, float] = {}
        inner = callback.on_train_epoch_start

        def timed(
            trainer: DetectionTrainer,
            spent: dict[int, float] = spent,
            inner: Callable[[DetectionTrainer], None] = inner,
        ) -> None:
            start = time.perf_counter()
            inner(trainer)
            middle = time.perf_counter()
            trainer.train_loader.reset()
            spent[trainer.epoch] = 2 * middle - start - time.perf_counter()

        callback.attach(model)
        model.callbacks["on_train_epoch_start"].remove(inner)
        model.add_callback("on_train_epoch_start", timed)
        clock = Clock().attach(model)
        train(model, data, folder, steps)
        ratios.append(median(spent[epoch] / clock.step(epoch) for epoch in (1, 2, 3)))
    return Row("a boundary beyond the loader's restart / a batch", tuple(ratios), "<= 2.0")


def validation_share(data: str, folder: Path) -> Row:
    """Compare validation with training over a whole short schedule at the default setting."""
    model = build_detector("yolov10", "n", "efficientnetv2_b0", width=0.5, depth=0.5, classes=10)
    schedule = ProgressiveSchedule.linear(epochs=36, stages=4, image_size=(96, 192))
    callback = ProgressiveCallback(schedule).attach(model)
    train(model, data, folder, 24, lr0=3e-3)
    spent = sum(r.validation_seconds for r in callback.epochs if r.metrics["mAP50"] is not None)
    share = spent / sum(record.train_seconds for record in callback.epochs)
    return Row(
        "validation / training by default", (share,), "<= 0.10", "digits, 36 epochs, 96 to 192 px"
    )


def _same_settings(trainer: DetectionTrainer) -> None:
    torch.set_num_threads(available_cpus())
    for group in trainer.optimizer.param_groups:
        group["fused"] = True


def _fraction(data: str, steps: int) -> float:
    from ultralytics.data.utils import IMG_FORMATS, check_det_dataset

    folder = Path(check_det_dataset(data)["train"])
    images = sum(path.suffix.lstrip(".").lower() in IMG_FORMATS for path in folder.rglob("*"))
    return min(1.0, steps * BATCH / images)
