"""What a stage does to the images and batches of Ultralytics' classification trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import albumentations as A
import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate
from torchvision import transforms as T
from torchvision.transforms import v2

from progressive.augment import RandAugment
from progressive.schedule import TrainingStage

Collate = Callable[[list[Any]], Any]

#: The policies of `auto_augment`, of which ours takes the place.
POLICIES = (T.RandAugment, T.AugMix, T.AutoAugment)


def stage_transforms(base: T.Compose, stage: TrainingStage, *, randaugment: bool) -> T.Compose:
    """Return the transforms of a stage.

    Args:
        base: those that Ultralytics made for the training set.
        stage: whose size and magnitude to use.
        randaugment: whether the schedule has RandAugment in any stage. Then ours replaces the
            policy of `auto_augment` in all stages, also in one of magnitude 0; otherwise that
            policy stays as it is.
    """
    transforms: list[Any] = []
    for transform in base.transforms:
        if isinstance(transform, T.RandomResizedCrop):
            transform = T.RandomResizedCrop(
                stage.image_size, transform.scale, transform.ratio, transform.interpolation
            )
        elif randaugment and isinstance(transform, POLICIES):
            continue
        elif isinstance(transform, T.ToTensor) and stage.randaugment_magnitude > 0:
            transforms.append(PillowRandAugment(stage.randaugment_magnitude))
        transforms.append(transform)
    return T.Compose(transforms)


class PillowRandAugment:
    """`RandAugment` for a pipeline of torchvision transforms on Pillow images."""

    def __init__(self, magnitude: float) -> None:
        self.compose = A.Compose([RandAugment(magnitude=magnitude)])

    def __call__(self, image: Image.Image) -> Image.Image:
        """Augment an RGB image; its size stays."""
        if self.compose.seed != torch.initial_seed():
            # Albumentations draws from generators of its own: give every worker other ones.
            self.compose.set_random_seed(torch.initial_seed())
        return Image.fromarray(self.compose(image=np.asarray(image))["image"])


class MixUpCollate:
    """Collate samples to a batch and blend it with itself in another order.

    The ratio is drawn from Beta(alpha, alpha) once per batch, and labels become the same mixture
    of one-hot rows (mixup, arXiv 1710.09412), which cross entropy takes as they are.
    """

    def __init__(self, alpha: float, classes: int, base: Collate = default_collate) -> None:
        self.base = base
        self.mixup = v2.MixUp(alpha=alpha, num_classes=classes)

    def __call__(self, samples: list[Any]) -> dict[str, Any]:
        """Return the batch with `img` (B, 3, H, W) blended and `cls` (B, classes)."""
        batch = self.base(samples)
        batch["img"], batch["cls"] = self.mixup(batch["img"], batch["cls"])
        return batch
