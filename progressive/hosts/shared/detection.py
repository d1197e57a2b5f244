"""RandAugment and mixup for images with boxes, in loaders and loops of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from progressive.augment import RandAugment
from progressive.errors import InputError
from progressive.hosts.shared.samples import (
    as_boxes,
    as_image,
    cut_boxes,
    join,
    kind,
    row_count,
    take,
)

#: Both parameters of the Beta distribution detectors draw the ratio of a blend from: near one half.
DETECTION_MIXUP_BETA = 32.0

#: What a target says of its image, though it may have as many entries as there are objects.
IMAGE_KEYS = ("image_id", "orig_size", "size")


def randaugment_detection(
    image: NDArray[Any], boxes: NDArray[Any], labels: Any, magnitude: float
) -> tuple[NDArray[Any], Any, Any]:
    """Apply `RandAugment` to one image and its boxes; a magnitude of 0 leaves the image as it is.

    The operations are drawn by torch's generator, which every worker of a loader has its own of
    and `torch.manual_seed` makes reproducible. Boxes are cut and types checked at every magnitude,
    so that what cannot be augmented is refused at the first call.

    Args:
        image: uint8, (H, W, 3) RGB; or (H, W) or (H, W, C), where Color is left out.
        boxes: (N, 4), x_min, y_min, x_max, y_max in pixels, an array, a tensor or a list; what lies
            outside the image is cut, and what has no area there is dropped.
        labels: (N,), an array, a tensor, a list or a tuple of anything.
        magnitude: `stage.randaugment_magnitude`.

    Returns:
        The three, of which boxes moved out of sight are gone; boxes are a tensor if they were one,
        rounded if it held whole numbers, else an array. The input is left alone.

    Raises:
        InputError: one of them is of another type or shape, or labels and boxes differ in number.
    """
    pixels = as_image(image)
    inside, labels, _ = cut_boxes(boxes, labels, *pixels.shape[:2])
    if magnitude != 0:
        try:
            augment = RandAugment(magnitude=magnitude)
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from None
        pipeline = A.Compose(
            [augment],
            bbox_params=A.BboxParams(
                "pascal_voc", label_fields=["rows"], clip=True, filter_invalid_bboxes=True
            ),
            seed=int(torch.randint(2**31, ())),
        )
        out = pipeline(image=pixels, bboxes=inside, rows=np.arange(len(inside)))
        pixels = out["image"]
        inside = np.asarray(out["bboxes"]).reshape(-1, 4)
        labels = take(labels, np.asarray(out["rows"], dtype=int))
    if isinstance(boxes, Tensor):
        if not boxes.is_floating_point():  # rounded; what has no area then is dropped as well
            inside, labels, _ = cut_boxes(inside.round(), labels, *pixels.shape[:2])
        return pixels, torch.as_tensor(inside, dtype=boxes.dtype, device=boxes.device), labels
    return pixels, inside, labels


def collate_detection(
    samples: Sequence[tuple[Tensor, dict[str, Any]]],
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Stack images (C, H, W) of one size to (B, C, H, W) and list their targets.

    Raises:
        InputError: there are none, or the images are no tensors of one size.
    """
    if not samples:
        raise InputError(f"samples={samples!r}: must be one at least")
    images, targets = zip(*samples, strict=True)
    for image in images:
        if not isinstance(image, Tensor) or image.shape != images[0].shape:
            raise InputError(
                f"images: {kind(images[0])} and {kind(image)} in one batch: must be tensors of one "
                "size, that of the stage"
            )
    return torch.stack(images), list(targets)


def mixup_detection(
    images: Tensor, targets: Sequence[Mapping[str, Any]], probability: float
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Blend images of a batch with others of it; a blend has the boxes of both, at full weight.

    As in Ultralytics the knob is the probability that an image is blended, and the ratio is drawn
    from Beta(32, 32). For classification, where the knob is alpha, use torchvision's
    `v2.MixUp(alpha=stage.mixup, num_classes=...)`.

    Args:
        images: (B, C, H, W), floating point or whole numbers such as uint8, which are rounded.
        targets: for each image a dict, as torchvision's detectors take them: `boxes` (N, 4),
            `labels` (N,) and whatever else has one row per object, such as `masks`. Any other
            entry, such as `image_id`, belongs to the image and stays.
        probability: in [0, 1].

    Returns:
        The blended batch, whose boxes are tensors, and labels too if they are numbers; the input is
        left alone.

    Raises:
        InputError: one of them is of another type or shape.
    """
    if not isinstance(probability, Real) or not 0 <= probability <= 1:
        raise InputError(f"probability={probability!r}: must be a number in [0, 1]")
    if not isinstance(images, Tensor) or images.ndim != 4:
        raise InputError(f"images: must be a tensor (B, C, H, W), got {kind(images)}")
    if not isinstance(targets, Sequence):
        raise InputError(f"targets={kind(targets)}: must be a list of dicts, one for each image")
    if len(targets) != len(images):
        raise InputError(f"targets: {len(targets)} of them for {len(images)} images")
    given = [_target(t, f"targets[{index}]", images.device) for index, t in enumerate(targets)]
    per_object = _per_object(given)
    blended = torch.rand(len(images)) < probability
    partners = torch.randperm(len(images))
    ratio = torch.distributions.Beta(DETECTION_MIXUP_BETA, DETECTION_MIXUP_BETA)
    keep = torch.where(blended, ratio.sample((len(images),)), 1.0)[:, None, None, None]
    both = [
        {
            key: join(value, given[partner][key]) if key in per_object else value
            for key, value in target.items()
        }
        if blended[number] and partner != number
        else target
        for number, (target, partner) in enumerate(zip(given, partners.tolist(), strict=True))
    ]
    exact = images if images.is_floating_point() else images.float()
    keep = keep.to(exact)
    mixed = keep * exact + (1 - keep) * exact[partners]
    return (mixed if exact is images else mixed.round().to(images.dtype)), both


def _target(target: Mapping[str, Any], name: str, device: torch.device) -> dict[str, Any]:
    """Return a target whose boxes are a tensor (N, 4), and whose numbers of classes are one too."""
    if not isinstance(target, Mapping) or not {"boxes", "labels"} <= set(target):
        raise InputError(f"{name}: must be a dict with boxes and labels, got {kind(target)}")
    found = dict(target)
    try:
        boxes = as_boxes(target["boxes"])
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if not isinstance(target["boxes"], Tensor) or target["boxes"].shape[1:] != (4,):
        found["boxes"] = torch.as_tensor(boxes, dtype=torch.float32, device=device)
    labels = target["labels"]
    if row_count(labels) != len(boxes):
        raise InputError(
            f"{name}: labels={kind(labels)}: must be one for each of {len(boxes)} boxes"
        )
    if not isinstance(labels, Tensor) and all(isinstance(label, Real) for label in labels):
        found["labels"] = torch.as_tensor(labels, dtype=torch.int64, device=device)
    return found


def _per_object(targets: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the keys that have one row for each object in every target.

    Raises:
        InputError: not all targets have them.
    """
    found = {
        key
        for key in {key for target in targets for key in target}
        if key not in IMAGE_KEYS
        and all(row_count(t[key]) == len(t["boxes"]) for t in targets if key in t)
    }
    for index, target in enumerate(targets):
        if missing := sorted(found - set(target)):
            raise InputError(f"targets[{index}]: has no {missing[0]}, which other targets have")
    return found
