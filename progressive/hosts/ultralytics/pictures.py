"""Sheets of images: what the model is trained on in each stage, and what it finds at its end.

Images are copied where they pass by, scaled to tiles and drawn after the epoch is recorded, so that
no clock of the records counts the drawing. Nothing here draws a random number, and whatever goes
wrong is a warning: a picture is not worth a training.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, ops
from ultralytics.utils.plotting import plot_images

from progressive.schedule import ProgressiveSchedule

#: Images on a sheet, and the longer side of each in pixels, whatever size it is trained at.
IMAGES, TILE = 9, 320

#: Predictions below are not drawn.
CONFIDENCE = 0.25


class Pictures:
    """Takes images out of a training and draws them into its run folder.

    Args:
        schedule: what is trained when.
    """

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        self.schedule = schedule
        self._names: Mapping[int, str] = {}
        self._waiting: dict[str, tuple[torch.Tensor, dict[str, Any]]] = {}

    def watch(self, trainer: BaseTrainer) -> Callable[[], None]:
        """Look at the batches of `trainer` and of its validator; return what stops that."""
        validator = trainer.validator
        preprocess, update = trainer.preprocess_batch, validator.update_metrics
        self._names = trainer.data["names"]
        shown: set[int | str] = set()

        def preprocess_batch(batch: dict[str, Any]) -> dict[str, Any]:
            batch = preprocess(batch)
            stage = self.schedule.at(trainer.epoch).index
            if stage not in shown:
                shown.add(stage)
                with _harmless():
                    self._keep(f"train-{stage + 1}", batch["img"], _labels(batch))
            return batch

        def update_metrics(predictions: Any, batch: dict[str, Any]) -> None:
            if validator.training and validator.batch_i == 0 and self._ends(trainer):
                stage = self.schedule.at(trainer.epoch).index
                with _harmless():
                    if "labels" not in shown and trainer.args.task != "classify":
                        shown.add("labels")
                        self._keep("labels", batch["img"], _labels(batch))
                    self._keep(f"found-{stage + 1}", batch["img"], _found(predictions, batch))
            update(predictions, batch)

        trainer.preprocess_batch, validator.update_metrics = preprocess_batch, update_metrics

        def stop() -> None:
            vars(trainer).pop("preprocess_batch", None)
            vars(validator).pop("update_metrics", None)

        return stop

    def draw(self, folder: Path) -> None:
        """Draw what has been kept into `report/` of a run folder."""
        waiting, self._waiting = self._waiting, {}
        for sheet, (images, labels) in waiting.items():
            with _harmless():
                (folder / "report").mkdir(exist_ok=True)
                # Ultralytics writes a confidence right behind the name.
                blank = " " if "conf" in labels else ""
                plot_images(
                    labels,
                    images,
                    fname=folder / "report" / f"{sheet}.jpg",
                    names={index: f"{name}{blank}" for index, name in self._names.items()},
                    max_size=3 * TILE,
                    max_subplots=IMAGES,
                    conf_thres=CONFIDENCE,
                    threaded=False,
                )

    def _ends(self, trainer: BaseTrainer) -> bool:
        """Tell whether this may be the last epoch of its stage."""
        stop = self.schedule.at(trainer.epoch).stop_epoch
        return trainer.epoch + 1 == stop or trainer.stopper.possible_stop

    def _keep(self, name: str, images: torch.Tensor, labels: dict[str, Any]) -> None:
        """Keep a copy of the first images (B, C, H, W) with values in 0..1, scaled to tiles."""
        tiles = images[:IMAGES].detach().float().cpu().clamp(0, 1)
        height, width = tiles.shape[2:]
        scale = TILE / max(height, width)
        size = round(height * scale), round(width * scale)
        tiles = F.interpolate(tiles, size, mode="area" if scale < 1 else "nearest")
        # Boxes and keypoints in pixels move along; those in fractions of a side need not.
        for key in labels.pop("in_pixels", ()):
            labels[key][..., : 4 if key == "bboxes" else 2] *= scale
        self._waiting[name] = tiles, labels


def _labels(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is to draw of a batch: its labels, as `plot_images` takes them."""
    count = len(batch["img"])
    if "semantic_mask" in batch:
        return {"semantic_mask": _copy(batch["semantic_mask"][:IMAGES])}
    if "bboxes" not in batch:  # classification, whose label may be a blend: show what weighs most
        classes = batch["cls"].argmax(1) if batch["cls"].ndim == 2 else batch["cls"]
        return {"cls": _copy(classes), "batch_idx": torch.arange(count)}
    keys = ("cls", "bboxes", "batch_idx", "masks", "keypoints")
    return {key: _copy(batch[key]) for key in keys if key in batch}


def _found(predictions: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model found in a batch, as `plot_images` takes it."""
    if "semantic_mask" in batch:
        return {"semantic_mask": _copy(predictions[:IMAGES])}
    if isinstance(predictions, torch.Tensor):  # probabilities (B, classes)
        best = predictions.max(1)
        everything = torch.arange(len(predictions))
        return {"cls": _copy(best.indices), "conf": _copy(best.values), "batch_idx": everything}
    shown = [_confident(each) for each in predictions[:IMAGES]]
    index = [torch.full((len(each["cls"]),), float(place)) for place, each in enumerate(shown)]
    found: dict[str, Any] = {"batch_idx": torch.cat(index)}
    for key in ("cls", "conf", "bboxes", "masks", "keypoints"):
        if key in shown[0]:
            found[key] = torch.cat([each[key] for each in shown])
    if found["bboxes"].shape[1] == 4:  # rotated ones have their centre already
        # A head without training may put the right edge left of the left one.
        found["bboxes"] = ops.xyxy2xywh(found["bboxes"]).clamp(min=0)
    if "masks" in found and not len(found["masks"]):
        del found["masks"]
    found["in_pixels"] = [key for key in ("bboxes", "keypoints") if key in found]
    return found


def _confident(prediction: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    sure = prediction["conf"] > CONFIDENCE
    return {key: _copy(value[sure]) for key, value in prediction.items() if len(value) == len(sure)}


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    copied = tensor.detach().cpu().clone()
    return copied.float() if copied.is_floating_point() else copied


@contextmanager
def _harmless() -> Iterator[None]:
    """Turn an error into a warning, and leave every random state as it was found."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except Exception as error:
        LOGGER.warning(f"A picture is left out: {error}")
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
