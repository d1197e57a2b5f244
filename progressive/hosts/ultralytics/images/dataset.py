"""Let an Ultralytics data set decode its photographs at the size of the stage."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.data.base import BaseDataset
from ultralytics.data.dataset import SemanticDataset
from ultralytics.utils.patches import PIL_FALLBACK_SUFFIXES

from progressive.errors import InputError
from progressive.hosts.ultralytics.images.decode import Size, read_image
from progressive.hosts.ultralytics.images.encoded import EncodedImages
from progressive.machine import available_memory

#: Formats that Ultralytics does not simply hand to OpenCV.
OTHER_READERS = (".tif", ".tiff", *PIL_FALLBACK_SUFFIXES)

#: Most of the free memory that decoded images may take.
KEPT_SHARE = 0.25


def decode_at_stage_size(dataset: Any, *, encoded: bool = False) -> Callable[[], None]:
    """Make the data set of a training loader decode no more detail than its images will show.

    Labels, reported original sizes and buffers stay as they are, and so does every image that is
    not reduced by half or more. Images cached as .npy files are used as before. Calling it again
    changes nothing. The data set of a validation should be left alone: its pixels, and with them
    the metrics, are then those of Ultralytics.

    The data set gets a class derived from its own. It cannot be exchanged for another object:
    loader, mosaic and mixup hold references to it. Workers copy it when they start, so call this
    before `loader.reset()`.

    Args:
        dataset: any; only an Ultralytics `BaseDataset` without images cached in memory changes.
        encoded: also keep the files in memory as they are on disk.

    Returns:
        What gives the data set its own class, and number of kept images, back.

    Raises:
        InputError: with `encoded`, if the data set is of another kind or its files are too large.
    """
    if not isinstance(dataset, BaseDataset):
        if encoded:
            raise InputError(
                f"cache=encoded: impossible with a {type(dataset).__name__}; leave cache out"
            )
        return lambda: None
    if not isinstance(dataset, StageSizeDecoding):
        dataset.__class__ = _with_stage_size_decoding(dataset.__class__)
        dataset.few = dataset.max_buffer_length
    if encoded and dataset.encoded is None:
        dataset.encoded = EncodedImages(dataset.im_files, copies=_processes())
    return partial(_decode_as_before, dataset)


def keep_decoded(dataset: Any, *, in_process: bool) -> None:
    """Let the data set keep all images of a stage once they are decoded, if there is room.

    Ultralytics keeps the last few, for mosaic and mixup. More are safe within a stage; its end
    drops them.

    Args:
        dataset: any; only one changed by `decode_at_stage_size` keeps more.
        in_process: False leaves it at the few, since each loader process would hold all of them.
    """
    if not isinstance(dataset, StageSizeDecoding):
        return
    needed = _bytes_of_all(dataset) * _processes()
    room = in_process and needed <= KEPT_SHARE * available_memory()
    # Ultralytics lets go of the oldest at this number; there are never more than ni.
    dataset.max_buffer_length = dataset.ni + 1 if room else dataset.few


def _bytes_of_all(dataset: BaseDataset) -> float:
    """Return how many bytes all images, and masks, of a data set take at its size."""
    pixels = dataset.ni * dataset.imgsz**2  # at most: the longer side has the size
    if not isinstance(dataset, SemanticDataset):
        return pixels * dataset.channels
    # Here the shorter side has it, and every image has a mask of one byte a pixel.
    shapes = [label["shape"] for label in dataset.labels]
    stretch = sum(max(shape) / min(shape) for shape in shapes) / len(shapes)
    return pixels * stretch * (dataset.channels + 1)


def _processes() -> int:
    """Return how many processes of this machine train; torchrun says so, one for each GPU."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _decode_as_before(dataset: Any) -> None:
    if isinstance(dataset, StageSizeDecoding):
        dataset.max_buffer_length = dataset.few
        dataset.__class__ = type(dataset).__bases__[0]
        for name in ("encoded", "few"):
            dataset.__dict__.pop(name, None)


def forget_images(dataset: Any) -> None:
    """Drop the images that a data set keeps, which have the size of the stage; others keep none."""
    if not isinstance(dataset, BaseDataset):
        return
    dataset.buffer = []
    dataset.ims = [None] * dataset.ni
    dataset.im_hw0 = [None] * dataset.ni
    dataset.im_hw = [None] * dataset.ni
    if isinstance(dataset, SemanticDataset):
        dataset.masks = {}  # resized along with their images


class StageSizeDecoding(BaseDataset):
    """Overrides how a `BaseDataset` loads an image, below whatever its subclasses add.

    RT-DETR's data set, for example, asks for stretched images and calls `super().load_image`;
    by the method resolution order that is the one here, once both are bases of a class.

    Attributes:
        encoded: the files in memory, or None to read them from disk.
        few: how many decoded images Ultralytics keeps.
    """

    encoded: EncodedImages | None = None
    few: int

    def load_image(
        self, i: int, rect_mode: bool = True, resize_short: bool = False
    ) -> tuple[NDArray[Any], Size, Size]:
        """Return an image (H, W, C), its original and its new (height, width).

        Raises:
            FileNotFoundError: the file is missing or no image.
        """
        image, original, resized = self._load_image(i, rect_mode, resize_short)
        # Augmentations that work in place would add up over the epochs for which it is kept.
        return (image.copy() if image is self.ims[i] else image), original, resized

    def _load_image(
        self, i: int, rect_mode: bool, resize_short: bool
    ) -> tuple[NDArray[Any], Size, Size]:
        file = self.im_files[i]
        found = None
        if (
            self.ims[i] is None
            and not self.npy_files[i].exists()
            and Path(file).suffix.lower() not in OTHER_READERS
        ):
            target = partial(stage_size, self.imgsz, rect_mode, resize_short)
            found = read_image(self._content(i), target, self.cv2_flag)
        if found is None:
            return super().load_image(i, rect_mode, resize_short)
        image, original = found
        if self.augment:
            self._remember(i, image, original)
        return image, original, image.shape[:2]

    def _content(self, i: int) -> NDArray[np.uint8]:
        if self.encoded is not None:
            return self.encoded[i]
        try:
            return np.fromfile(self.im_files[i], np.uint8)
        except OSError:
            return np.empty(0, np.uint8)  # Ultralytics will say so, in its words

    def _remember(self, i: int, image: NDArray[Any], original: Size) -> None:
        """Keep the image for mosaic and mixup, and let go of the oldest, as Ultralytics does."""
        self.ims[i], self.im_hw0[i], self.im_hw[i] = image, original, image.shape[:2]
        self.buffer.append(i)
        if 1 < len(self.buffer) >= self.max_buffer_length:
            oldest = self.buffer.pop(0)
            self.ims[oldest] = self.im_hw0[oldest] = self.im_hw[oldest] = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the data set's own class, which can be imported, for workers that want it."""
        return _rebuild, (type(self).__bases__[0],), self.__dict__


@cache
def _with_stage_size_decoding(kind: Any) -> Any:
    return type(f"StageSize{kind.__name__}", (kind, StageSizeDecoding), {})


def _rebuild(kind: Any) -> Any:
    return object.__new__(_with_stage_size_decoding(kind))


def stage_size(image_size: int, rect_mode: bool, resize_short: bool, original: Size) -> Size:
    """Return the (height, width) that Ultralytics resizes an image of `original` to."""
    if not rect_mode:
        return image_size, image_size
    height, width = original
    if resize_short:
        ratio = image_size / min(original)
        # The shorter side is set, not computed, so that rounding cannot add a pixel.
        if height < width:
            return image_size, math.ceil(width * ratio)
        return math.ceil(height * ratio), image_size
    ratio = image_size / max(original)
    return (
        min(math.ceil(height * ratio), image_size),
        min(math.ceil(width * ratio), image_size),
    )
