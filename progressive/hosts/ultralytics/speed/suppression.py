"""Non-maximum suppression class by class, for detectors that have learned little yet.

Ultralytics moves the boxes of each class to a place of their own and suppresses all in one call,
whose time on a CPU grows with the square of their number. In the first epochs nearly every box
counts: with 80 classes an image takes a second, and past a time limit the images that are left of a
batch get no boxes at all. Boxes of different classes never meet, so one call for each class keeps
the same boxes, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision

#: Pixels between the places of two classes, as in `ultralytics.utils.nms.non_max_suppression`.
CLASS_OFFSET = 7680

#: With fewer boxes one call is faster.
FEWEST = 1000


def suppress_by_class() -> Callable[[], None]:
    """Let `torchvision.ops.nms` work class by class on a CPU; return what undoes that."""
    at_once = torchvision.ops.nms

    def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
        if len(boxes) < FEWEST or boxes.device.type != "cpu":
            return at_once(boxes, scores, iou_threshold)
        left, right = (boxes[:, side].div(CLASS_OFFSET).round() for side in (0, 2))
        if not torch.equal(left, right):  # a box lies in two places
            return at_once(boxes, scores, iou_threshold)
        kept = torch.zeros(len(boxes), dtype=torch.bool)
        for place in left.unique():
            own = (left == place).nonzero().squeeze(1)
            kept[own[at_once(boxes[own], scores[own], iou_threshold)]] = True
        found = kept.nonzero().squeeze(1)
        return found[scores[found].argsort(descending=True, stable=True)]

    torchvision.ops.nms = nms

    def undo() -> None:
        torchvision.ops.nms = at_once

    return undo
