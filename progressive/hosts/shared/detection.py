"""RandAugment and mixup for images with boxes, in loaders and loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from progressive.augment import RandAugment

#: Both parameters of the Beta distribution detectors draw the ratio of a blend from: near one half.
DETECTION_MIXUP_BETA = 32.0


def randaugment_detection(
    image: NDArray[Any], boxes: NDArray[Any], labels: NDArray[Any], magnitude: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Apply `RandAugment` to one image and its boxes; a magnitude of 0 does nothing.

    The operations are drawn by torch's generator, which every worker of a loader has its own of
    and `torch.manual_seed` makes reproducible.

    Args:
        image: uint8 RGB, (H, W, 3).
        boxes: (N, 4), x_min, y_min, x_max, y_max in pixels; what lies outside the image is cut.
        labels: (N,), anything.
        magnitude: `stage.randaugment_magnitude`.

    Returns:
        The three, of which boxes moved out of sight are gone; the input is left alone.
    """
    if magnitude == 0:
        return image, boxes, labels
    pipeline = A.Compose(
        [RandAugment(magnitude=magnitude)],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["rows"], clip=True),
        seed=int(torch.randint(2**31, ())),
    )
    out = pipeline(image=image, bboxes=boxes, rows=np.arange(len(boxes)))
    kept = np.asarray(out["rows"], dtype=int)
    return out["image"], np.asarray(out["bboxes"]).reshape(-1, 4), labels[kept]


def collate_detection(
    samples: Sequence[tuple[Tensor, dict[str, Tensor]]],
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Stack images (C, H, W) of one size to (B, C, H, W) and list their targets."""
    images, targets = zip(*samples, strict=True)
    return torch.stack(images), list(targets)


def mixup_detection(
    images: Tensor, targets: list[dict[str, Tensor]], probability: float
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Blend images of a batch with others of it; a blend has the boxes of both, at full weight.

    As in Ultralytics the knob is the probability that an image is blended, and the ratio is drawn
    from Beta(32, 32). For classification, where the knob is alpha, use torchvision's
    `v2.MixUp(alpha=stage.mixup, num_classes=...)`.

    Args:
        images: (B, C, H, W), floating point.
        targets: for each image a dict of tensors with one row per object, such as `boxes` (N, 4)
            and `labels` (N,), as torchvision's detectors take them.
        probability: in [0, 1].

    Returns:
        The blended batch; the input is left alone.
    """
    blended = torch.rand(len(images)) < probability
    partners = torch.randperm(len(images))
    ratio = torch.distributions.Beta(DETECTION_MIXUP_BETA, DETECTION_MIXUP_BETA)
    keep = torch.where(blended, ratio.sample((len(images),)), 1.0).to(images)[:, None, None, None]
    both = [
        {key: torch.cat([rows, targets[partner][key]]) for key, rows in target.items()}
        if blended[number] and partner != number
        else target
        for number, (target, partner) in enumerate(zip(targets, partners.tolist(), strict=True))
    ]
    return keep * images + (1 - keep) * images[partners], both
