"""An image that goes bad during a training: another takes its place, and it is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from ultralytics.data.base import BaseDataset
from ultralytics.data.dataset import ClassificationDataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.errors import InputError


def skip_unreadable(trainer: BaseTrainer, remark: Callable[[str], None]) -> Callable[[], None]:
    """Let training go on without images that can no longer be read; return what undoes it.

    The log says so once for each, when its epoch ends.

    Args:
        trainer: set up, before its first epoch.
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
        self._files: list[str] = []
        self._bad = torch.empty(0)
        self._told = 0

    def take(self, trainer: BaseTrainer) -> None:
        """Watch the training set of a trainer, unless it is watched."""
        dataset = trainer.train_loader.dataset
        if dataset is self._dataset or not isinstance(
            dataset, (BaseDataset, ClassificationDataset)
        ):
            return
        self.restore()
        self._dataset, self._told = dataset, 0
        classes = isinstance(dataset, ClassificationDataset)
        self._files = [sample[0] for sample in dataset.samples] if classes else dataset.im_files
        # In memory that loader processes share, which copy the data set.
        self._bad = torch.zeros(len(self._files), dtype=torch.uint8).share_memory_()
        if classes:
            places = {file: index for index, file in enumerate(self._files)}
            dataset.imread = partial(read_or_another, dataset, self._bad, places)
        else:
            dataset.get_image_and_label = partial(load_or_another, dataset, self._bad)

    def tell(self, trainer: BaseTrainer) -> None:  # noqa: ARG002
        """Say which images could not be read since it was told last."""
        count = int(self._bad.sum())
        if count == self._told:
            return
        self._told = count
        first = Path(self._files[int(self._bad.argmax())]).name
        said = (
            f"{count} training image{'s' * (count > 1)} could not be read any more, as {first}: "
            "others took the place."
        )
        LOGGER.warning(said)
        self._remark(said)

    def restore(self) -> None:
        """Leave the data set as it was found."""
        if self._dataset is not None:
            for name in ("get_image_and_label", "imread"):
                vars(self._dataset).pop(name, None)
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
    raise _none_left(dataset.im_files[index])


def read_or_another(
    dataset: ClassificationDataset, bad: torch.Tensor, places: Mapping[str, int], file: str
) -> Any:
    """Return an image of a data set for classification, or the next one of its class.

    Args:
        dataset: of Ultralytics.
        bad: as for `load_or_another`.
        places: index of each file.
        file: of the image.

    Raises:
        InputError: no image of the class can be read.
    """
    index, samples = places[file], dataset.samples
    for other in (*range(index, len(samples)), *range(index)):
        if samples[other][1] != samples[index][1] or (other != index and bad[other]):
            continue
        with suppress(OSError, cv2.error):
            image = type(dataset).imread(samples[other][0])
            if image is not None:
                return image
        bad[other] = 1
    raise _none_left(file)


def _none_left(file: str) -> InputError:
    return InputError(f"{file}: no image that could take its place can be read any more")
