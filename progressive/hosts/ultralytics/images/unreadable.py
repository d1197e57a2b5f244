"""An image that goes bad during a training.

Of the training set another takes its place, and it is counted. Of the validation set none can:
scores would change for another reason than the model. There the run stops, and can go on once the
image is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial, wraps
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import torch
from ultralytics.data.base import BaseDataset
from ultralytics.data.dataset import ClassificationDataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.errors import InputError, why_not_written
from progressive.hosts.ultralytics.methods import replace_method
from progressive.runs import checkpoints


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


def stop_without_validation_image(trainer: BaseTrainer) -> Callable[[], None]:
    """Let validation name the image that it cannot read; return what undoes it.

    Args:
        trainer: set up, before its first epoch. Its `validate` and `final_eval` then raise an
            InputError that names the file and how to go on.
    """
    undo = ExitStack()
    for name in ("validate", "final_eval"):
        named = _naming_the_image(trainer, getattr(trainer, name))
        undo.callback(replace_method(trainer, name, named))
    return undo.close


def _naming_the_image(trainer: BaseTrainer, call: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(call)
    def named() -> Any:
        try:
            return call()
        except (OSError, cv2.error) as error:
            file = None
            if not why_not_written(error):  # which says enough
                file = first_unreadable(trainer.test_loader.dataset, str(error))
            if file is None:
                raise
            raise _lost(file, Path(trainer.save_dir)) from error

    return named


def first_unreadable(dataset: Any, error: str) -> str | None:
    """Return the path of an image that a data set of Ultralytics cannot give; None if it gives all.

    Args:
        dataset: of any kind; None is returned for kinds that are not known.
        error: what was said of the image. Those that it names are tried first.
    """
    if not isinstance(dataset, (BaseDataset, ClassificationDataset)):
        return None
    files = _files_of(dataset)
    for index in sorted(range(len(files)), key=lambda index: files[index] not in error):
        try:
            dataset[index]
        except (OSError, cv2.error):
            return files[index]
    return None


def _files_of(dataset: BaseDataset | ClassificationDataset) -> list[str]:
    if isinstance(dataset, ClassificationDataset):
        return [sample[0] for sample in dataset.samples]
    return dataset.im_files


def _lost(file: str, folder: Path) -> InputError:
    there = Path(file).exists()
    what, do = ("cannot be read", "put a good one there") if there else ("is gone", "put it back")
    then = f"continue with: resume={folder}" if checkpoints.exists(folder) else "train again"
    return InputError(
        f"{file}: this validation image {what}, and scores without it would not compare; "
        f"{do}, then {then}"
    )


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
        self._files = _files_of(dataset)
        # In memory that loader processes share, which copy the data set.
        self._bad = torch.zeros(len(self._files), dtype=torch.uint8).share_memory_()
        if isinstance(dataset, ClassificationDataset):
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
    for other in chain(range(index, dataset.ni), range(index)):
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
    for other in chain(range(index, len(samples)), range(index)):
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
