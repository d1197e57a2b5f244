"""An image that goes bad during a training: another takes its place, and it is counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from ultralytics.data.base import BaseDataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.errors import InputError


def skip_unreadable(trainer: BaseTrainer, remark: Callable[[str], None]) -> Callable[[], None]:
    """Let training go on without images that can no longer be read; return what undoes it.

    The log says so once for each, when its epoch ends.

    Args:
        trainer: set up, before its first epoch; data sets for classification are left alone.
        remark: takes a sentence for the records.
    """
    watch = Watch(remark)
    watch.take(trainer)
    trainer.add_callback("on_train_epoch_start", watch.take)  # out of memory, it has another loader
    trainer.add_callback("on_train_epoch_end", watch.tell)
    return watch.restore


class Watch:
    """The images of a training set that could not be read."""

    def __init__(self, remark: Callable[[str], None]) -> None:
        self._remark = remark
        self._dataset: Any = None
        self._bad = torch.empty(0)
        self._told = 0

    def take(self, trainer: BaseTrainer) -> None:
        """Watch the training set of a trainer, unless it is watched."""
        dataset = trainer.train_loader.dataset
        if dataset is self._dataset or not isinstance(dataset, BaseDataset):
            return
        self.restore()
        # In memory that loader processes share, which copy the data set.
        self._dataset, self._told = dataset, 0
        self._bad = torch.zeros(dataset.ni, dtype=torch.uint8).share_memory_()
        dataset.get_image_and_label = partial(load_or_another, dataset, self._bad)

    def tell(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Say which images could not be read since it was told last."""
        count = int(self._bad.sum())
        if count == self._told:
            return
        self._told = count
        first = Path(self._dataset.im_files[int(self._bad.argmax())]).name
        said = (
            f"{count} training image{'s' * (count > 1)} could not be read any more, as {first}: "
            "others took the place."
        )
        LOGGER.warning(said)
        self._remark(said)

    def restore(self) -> None:
        """Leave the data set as it was found."""
        if self._dataset is not None:
            vars(self._dataset).pop("get_image_and_label", None)
            self._dataset = None


def load_or_another(dataset: Any, bad: torch.Tensor, index: int) -> dict[str, Any]:
    """Return an image of a data set with its label, the next one if it cannot be read.

    Args:
        dataset: of Ultralytics.
        bad: (N,) uint8, which images could not be read; written to.
        index: of the image.

    Raises:
        InputError: no image can be read.
    """
    for other in (*range(index, dataset.ni), *range(index)):
        if other != index and bad[other]:
            continue
        try:
            return type(dataset).get_image_and_label(dataset, other)
        except (OSError, cv2.error):
            bad[other] = 1
    raise InputError(
        f"{dataset.im_files[index]}: no image of the training set can be read any more"
    )
