"""Go on with fewer images at once where a GPU's memory runs out, as at the start of a stage.

Ultralytics recovers in the first epoch only, by a smaller batch, which is another training. Here a
batch that does not fit is computed in parts, whose gradients add up: the optimizer steps after as
many images as before. What differs is what is taken over a part: the statistics of batch
normalisation and the normaliser of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MethodType
from typing import Any

import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.hosts.ultralytics.batches import sums_loss
from progressive.hosts.ultralytics.place import Place

#: Kinds of devices whose memory is watched.
DEVICES = ("cuda",)

#: What PyTorch and its libraries say where memory is short, as Ultralytics knows it.
SAID = (
    *("out of memory", "cublas_status_alloc_failed", "cudnn_status_internal_error"),
    "unable to find an engine",
)

#: What a batch has a row of for each object, or each image where it has no objects.
PER_OBJECT = ("batch_idx", "cls", "bboxes", "keypoints", "segments", "obb", "masks")


def split_when_short(
    trainer: BaseTrainer, place: Place, remark: Callable[[str], None]
) -> Callable[[], None]:
    """Let a trainer compute a batch in parts once memory runs out; return what undoes it.

    Left alone: several processes, which would have to agree, and compiled models.

    Args:
        trainer: set up, before its first epoch.
        place: where it is.
        remark: takes a sentence for the records.
    """
    if trainer.device.type not in DEVICES or RANK != -1 or trainer.args.compile:
        return lambda: None
    model: Any = unwrap_model(trainer.model)
    parts = MicroBatches(trainer, place, remark)

    def forward(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        own = type(self).forward
        if self is not model or not isinstance(x, dict) or not self.training:
            return own(self, x, *args, **kwargs)  # copies of the model, and predictions
        return parts.compute(self, lambda part: own(self, part), x)

    model.forward = MethodType(forward, model)
    return lambda: vars(model).pop("forward", None)


class MicroBatches:
    """Forward and backward passes over a batch, whole or in parts.

    Attributes:
        images: most images at once; None for whole batches.
    """

    def __init__(self, trainer: BaseTrainer, place: Place, remark: Callable[[str], None]) -> None:
        self.images: int | None = None
        self._in_gradients = False  # whether the batch at hand has changed them
        self._trainer, self._place, self._remark = trainer, place, remark

    def compute(
        self,
        model: nn.Module,
        loss_of: Callable[[Mapping[str, Any]], Any],
        batch: Mapping[str, Any],
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of a batch, whose gradients are there already, and its parts.

        Args:
            model: in training mode.
            loss_of: returns the loss of a part, with its graph, and what it is made of.
            batch: as the trainer has it.

        Raises:
            InputError: a single image is too much.
        """
        while True:
            self._in_gradients = False
            try:
                return self._compute(loss_of, batch)
            except RuntimeError as error:
                if not any(said in str(error).lower() for said in SAID):
                    raise
            # Outside of the handler, whose traceback holds what takes the memory. A copy of the
            # gradients for this case would cost every batch, and memory where it is short.
            self._halve(len(batch["img"]))
            if self._in_gradients:
                model.zero_grad(set_to_none=True)
            self._trainer._clear_memory()

    def _compute(
        self, loss_of: Callable[[Mapping[str, Any]], Any], batch: Mapping[str, Any]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        trainer, total = self._trainer, len(batch["img"])
        summed = sums_loss(trainer)
        items: dict[str, Any] = {}
        loss = torch.zeros((), device=batch["img"].device)
        for part in parts_of(batch, self.images, overlap_mask=trainer.args.overlap_mask):
            share = len(part["img"]) / total
            found, made_of = loss_of(part)
            found = found.sum() * (1.0 if summed or share == 1 else share)
            self._in_gradients = True
            with torch.autocast(trainer.device.type, enabled=False):
                trainer.scaler.scale(found).backward()
            loss = loss + found.detach()
            for name, value in made_of.items():
                items[name] = items.get(name, 0) + value.detach() * share
        # The trainer asks for a backward pass; this one ends here.
        return loss.requires_grad_(), items

    def _halve(self, whole: int) -> None:
        tried = min(self.images or whole, whole)
        if tried == 1:
            raise InputError(
                f"{self._place}: a single image does not fit into the memory of "
                f"{self._trainer.device}; give a smaller size.max or model"
            )
        self.images = (tried + 1) // 2
        said = (
            f"{self._place}: out of memory with {tried} images at once; from here on "
            f"{self.images}, with as many in a step of the optimizer as before"
        )
        said += (
            ", but for this step, whose earlier batches are lost." if self._in_gradients else "."
        )
        LOGGER.warning(said)
        self._remark(said)


def parts_of(
    batch: Mapping[str, Any], images: int | None, *, overlap_mask: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield a batch in parts of at most so many images.

    Args:
        batch: `img` (B, C, H, W); per object, with `batch_idx` (N,), rows of `PER_OBJECT`; anything
            else that is as long as the batch belongs to its images.
        images: most in a part; None for the batch as it is.
        overlap_mask: whether all masks of an image are one.
    """
    total = len(batch["img"])
    if images is None or images >= total:
        yield dict(batch)
        return
    rows = batch.get("batch_idx")
    objects = set(PER_OBJECT) - ({"masks"} if overlap_mask else set())
    for start in range(0, total, images):
        stop = min(start + images, total)
        inside = None if rows is None else (rows >= start) & (rows < stop)
        part: dict[str, Any] = {}
        for name, value in batch.items():
            if inside is not None and name in objects and isinstance(value, torch.Tensor):
                part[name] = value[inside.to(value.device)]
            elif isinstance(value, (torch.Tensor, list, tuple)) and len(value) == total:
                part[name] = value[start:stop]
            else:
                part[name] = value
        if rows is not None:
            part["batch_idx"] = part["batch_idx"] - start
        yield part
