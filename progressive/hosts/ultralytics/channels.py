"""RandAugment on images that are neither grey nor RGB, which Ultralytics lets no transform see.

Its wrapper of Albumentations returns any other image as it is. So that wrapper is shown one
channel, and its transforms are given all of them.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from ultralytics.data.augment import Albumentations, Compose
from ultralytics.utils.patches import imread

from progressive.errors import InputError

#: Numbers of channels that Ultralytics passes to Albumentations.
PASSED = (1, 3)


def let_through(transforms: Compose) -> None:
    """Let the Albumentations among the transforms of a data set augment images of any channels."""
    transforms.transforms = [
        AnyChannels(each) if isinstance(each, Albumentations) else each
        for each in transforms.transforms
    ]


def refuse_other_channels(dataset: Any) -> None:
    """Raise InputError if the first image of a data set has not as many channels as its yaml says.

    Grey and RGB images are converted when they are read, others are not.
    """
    channels = getattr(dataset, "channels", 3)
    if channels in PASSED:
        return
    image = imread(dataset.im_files[0], dataset.cv2_flag)
    found = channels if image is None else 1 if image.ndim == 2 else image.shape[2]
    if found != channels:
        raise InputError(
            f"channels={channels}: {dataset.im_files[0]} has {found}; correct the data yaml"
        )


class AnyChannels:
    """Ultralytics' wrapper of Albumentations for images of any number of channels.

    Args:
        inner: the wrapper.
    """

    def __init__(self, inner: Albumentations) -> None:
        self.inner = inner

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Augment `labels["img"]`, (H, W, C), and everything that moves along."""
        image = labels["img"]
        inner = copy(self.inner)
        inner.transform = _Whole(self.inner.transform, image)
        shown = labels["img"] = image[..., :1]
        labels = inner(labels)
        if labels["img"] is shown:  # nothing was applied
            labels["img"] = image
        return labels


class _Whole:
    """Albumentations' pipeline, but for all channels of the image of which it is given one."""

    def __init__(self, pipeline: Any, image: Any) -> None:
        self.pipeline = pipeline
        self.image = image

    def __call__(self, **given: Any) -> Any:
        return self.pipeline(**{**given, "image": self.image})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)
