"""Whether a detector trained the fast way is as good as one trained by bare Ultralytics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from benchmarks.rows import Row
from benchmarks.training import train

from progressive import ProgressiveCallback, ProgressiveSchedule, build_detector

EPOCHS, SIZE = 15, 96


def against_stock(data: str, folder: Path, seeds: Iterable[int]) -> Row:
    """Compare mAP50-95 after the same epochs at the same size, seed by seed.

    The target is that the mean falls short by no more than the spread over bare Ultralytics' seeds.
    """
    scores = defaultdict(list)
    for seed in seeds:
        for arm in ("stock", "callback"):
            model = build_detector(
                "yolov8", "n", "efficientnetv2_b0", width=0.5, depth=0.5, classes=10, seed=seed
            )
            if arm == "callback":
                schedule = ProgressiveSchedule.fixed(epochs=EPOCHS, image_size=SIZE)
                ProgressiveCallback(schedule, val_every=EPOCHS).attach(model)
            alike = {"epochs": EPOCHS, "imgsz": SIZE, "seed": seed, "lr0": 3e-3, "val": False}
            train(model, data, folder, 1000, deterministic=arm == "stock", **alike)
            scores[arm].append(model.trainer.metrics["metrics/mAP50-95(B)"])
    stock, ours = scores["stock"], scores["callback"]
    spread = (max(stock) - min(stock)) / mean(stock)
    note = ", ".join(f"{arm} {mean(found):.3f}" for arm, found in scores.items())
    return Row(
        "mAP50-95 after equal epochs / stock Ultralytics",
        tuple(b / a for a, b in zip(stock, ours, strict=True)),
        f">= {1 - spread:.2f}",
        f"{note}; {EPOCHS} epochs at {SIZE} px, {len(stock)} seeds",
    )
