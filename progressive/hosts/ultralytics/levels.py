"""Let small images teach an object to the feature maps that will hold it at the final size.

While it trains, a detector gives each object to the boxes that fit it best, whatever map they come
from. In small images those are boxes of a finer map than in large ones. Once they fit they keep
the object when images grow: the coarser map, which would fit better by then, never gets it. So
large objects stay with a map that sees too little of them, and their edges stay inexact
(docs/schedules.md has the figures).

Here the maps that are too fine for an object at the final size are closed to it in the stages
before. Such limits on an object's size are from FCOS (https://arxiv.org/abs/1904.01355, section
3.2); Ultralytics' assigner for poses has them in every stage, at 2 and 12 strides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

import torch
from ultralytics.utils import tal

from progressive.schedule import ProgressiveSchedule, TrainingStage

#: Most strides that the side of an object (root of its area) may measure at the final size; the
#: coarsest map has no limit. With 8 and 10 strides detectors ended alike (docs/schedules.md).
MOST_STRIDES = 10

#: Classes of Ultralytics that say which points of the maps may learn an object, and how to get
#: width and height from their boxes.
ASSIGNERS = (
    (tal.TaskAlignedAssigner, lambda boxes: boxes[..., 2:4] - boxes[..., :2]),
    (tal.RotatedTaskAlignedAssigner, lambda boxes: boxes[..., 2:4]),
)


class FinalLevels:
    """Closes maps to objects, by how much the images of a stage are smaller than the final ones."""

    def __init__(self) -> None:
        self._growth = 1.0

    def apply(self, schedule: ProgressiveSchedule, stage: TrainingStage) -> None:
        """Hold for `stage` from now on; nothing is closed in one of the final size."""
        self._growth = schedule.image_size / stage.image_size

    def release(self) -> None:
        """Close nothing until `apply`: validation is at the final size in every stage."""
        self._growth = 1.0

    def watch(self) -> Callable[[], None]:
        """Come between Ultralytics' assigners and their candidates; return what undoes that."""
        undo = ExitStack()
        for assigner, sides in ASSIGNERS:
            select = assigner.select_candidates_in_gts
            assigner.select_candidates_in_gts = self._selecting(select, sides)
            undo.callback(setattr, assigner, "select_candidates_in_gts", select)
        return undo.close

    def _selecting(self, select: Callable, sides: Callable) -> Callable:
        @wraps(select)
        def select_candidates_in_gts(
            assigner: Any, points: torch.Tensor, boxes: torch.Tensor, *rest: Any
        ) -> torch.Tensor:
            candidates = select(assigner, points, boxes, *rest)
            if self._growth <= 1:
                return candidates
            final = sides(boxes).prod(-1, keepdim=True).clamp(min=0).sqrt() * self._growth
            return open_only(
                candidates, final, strides_of(len(points), assigner.stride).to(points.device)
            )

        return select_candidates_in_gts


def open_only(candidates: torch.Tensor, sides: torch.Tensor, strides: torch.Tensor) -> torch.Tensor:
    """Return the candidates on maps that are not too fine; all where none would be left.

    Args:
        candidates: which points may learn which object (images, objects, points).
        sides: of the objects at the final size, in pixels (images, objects, 1).
        strides: of the map of each point, in pixels (points).
    """
    fits = (sides <= MOST_STRIDES * strides) | (strides == strides.max())
    left = candidates & fits
    return torch.where(left.any(-1, keepdim=True), left, candidates)


def strides_of(points: int, strides: list[float]) -> torch.Tensor:
    """Return the stride of the map of each point (points).

    Points come map by map. A map at twice the stride has a quarter of them, as the sides of images
    are multiples of the largest stride.

    Args:
        points: of all maps.
        strides: of the maps.
    """
    known = torch.tensor(strides)
    shares = known.double() ** -2
    return known.repeat_interleave((points * shares / shares.sum()).round().long())
