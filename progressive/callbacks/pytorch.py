"""Progressive learning in a training loop of your own.

    batches = ProgressiveBatchSampler(BatchSampler(RandomSampler(data), 16, False), schedule)
    loader = DataLoader(data, batch_sampler=batches, num_workers=4, persistent_workers=True)
    for epoch in range(schedule.epochs):
        stage = batches.set_epoch(epoch)
        apply_to_model(model, stage)
        for images, targets in loader: ...

The data set is asked for ``data[index]``, where ``index`` is an `int` that carries the stage as
``index.stage``. Size and strengths thus travel with every sample: a worker holds no state that
could grow stale, a batch is never mixed, and a boundary restarts nothing. (The idea is that of
timm's ``scheduled_sampler``.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Sampler

from progressive.augment import RandAugment
from progressive.errors import InputError
from progressive.regularize import set_channel_dropout, set_drop_path, set_dropout
from progressive.schedule import ProgressiveSchedule, TrainingStage

#: Both parameters of the Beta distribution detectors draw the ratio of a blend from: near one half.
DETECTION_MIXUP_BETA = 32.0


class StagedIndex(int):
    """An index into a data set, and the stage its sample is for.

    Arithmetic gives a plain `int`: put `Subset` and `ConcatDataset`, which compute an index of
    their own, inside of the data set that reads ``index.stage``, not around it.
    """

    stage: TrainingStage

    def __new__(cls, index: int, stage: TrainingStage) -> StagedIndex:
        """Attach ``stage`` to ``index``."""
        self = super().__new__(cls, index)
        self.stage = stage
        return self

    def __getnewargs__(self) -> tuple[int, TrainingStage]:  # type: ignore[override]
        # How pickle makes the copy a worker receives; without it the stage would be missing.
        return int(self), self.stage


class ProgressiveSampler(Sampler[Any]):
    """The indices of another sampler, each with the stage of the epoch.

    Args:
        sampler: any sampler of indices; its own ``set_epoch``, if it has one, is called along.
        schedule: which epoch belongs to which stage.
    """

    def __init__(self, sampler: Any, schedule: ProgressiveSchedule) -> None:
        if not isinstance(schedule, ProgressiveSchedule):
            raise InputError(f"schedule={schedule!r}: must be a ProgressiveSchedule")
        self.sampler = sampler
        self.schedule = schedule
        self.stage: TrainingStage | None = None
        self._epoch_is_set = False

    def set_epoch(self, epoch: int) -> TrainingStage:
        """Say which epoch, counted from 0, comes next; to be called before every epoch.

        The stage is a function of the epoch alone, so a resumed run just starts at its epoch.

        Returns:
            The stage of that epoch.

        Raises:
            ValueError: the epoch is outside the schedule.
        """
        self.stage = self.schedule.at(epoch)
        self._epoch_is_set = True
        # A DistributedSampler, whose shuffling depends on the epoch, may sit in a batch sampler.
        inner: Any
        for inner in (self.sampler, getattr(self.sampler, "sampler", None)):
            if hasattr(inner, "set_epoch"):
                inner.set_epoch(epoch)
        return self.stage

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        stage = self._stage_of_new_epoch()
        for index in self.sampler:
            yield StagedIndex(index, stage)

    def _stage_of_new_epoch(self) -> TrainingStage:
        if self.stage is None or not self._epoch_is_set:
            raise InputError(
                f"{type(self).__name__}: call set_epoch(epoch) before every epoch, or training "
                "would stay in one stage"
            )
        self._epoch_is_set = False
        return self.stage


class ProgressiveBatchSampler(ProgressiveSampler):
    """The batches of another batch sampler, each index with the stage of the epoch.

    Args:
        sampler: any batch sampler, such as ``BatchSampler(DistributedSampler(data), 16, False)``.
        schedule: which epoch belongs to which stage.
    """

    def __iter__(self) -> Iterator[list[StagedIndex]]:
        stage = self._stage_of_new_epoch()
        for batch in self.sampler:
            if isinstance(batch, int):
                raise InputError(
                    f"ProgressiveBatchSampler: {type(self.sampler).__name__} yields single "
                    "indices; wrap it as BatchSampler(sampler, batch_size, drop_last)"
                )
            yield [StagedIndex(index, stage) for index in batch]


def apply_schedule(model: nn.Module, schedule: ProgressiveSchedule, stage: TrainingStage) -> None:
    """Set those rates of a stage that the schedule has anywhere, and leave the model's own others.

    Raises:
        InputError: a rate is above 0 and the model has no layer to set it in.
    """
    if any(each.dropout_rate for each in schedule.stages):
        apply_dropout(model, stage.dropout_rate)
    if any(each.drop_path_rate for each in schedule.stages):
        apply_drop_path(model, stage.drop_path_rate)


def apply_to_model(model: nn.Module, stage: TrainingStage) -> None:
    """Set dropout, channel dropout and stochastic depth of a model to the rates of a stage.

    A rate of 0 is set as well: with a schedule that has no dropout, a model's own would be lost.
    Use `apply_schedule` for such a model.

    Args:
        model: any module tree, wrapped for multi-GPU or not; pass a part, such as the head, to
            leave the rest as it was built.
        stage: whose rates to set, from the next forward pass in training mode.

    Raises:
        InputError: a rate is above 0 and the model has no layer to set it in.
    """
    apply_dropout(model, stage.dropout_rate)
    apply_drop_path(model, stage.drop_path_rate)


def apply_dropout(model: nn.Module, rate: float) -> None:
    """Set dropout of every kind; InputError if ``rate`` is above 0 and there is none."""
    found = set_channel_dropout(model, rate) + set_dropout(model, rate)
    found += _set_functional_dropout(model, rate)
    if rate > 0 and not found:
        raise InputError(
            f"dropout_rate={rate:g}: the model has neither nn.Dropout nor nn.Dropout2d; insert one "
            "or leave dropout at 0 in the schedule"
        )


def apply_drop_path(model: nn.Module, rate: float) -> None:
    """Set stochastic depth; InputError if ``rate`` is above 0 and there is none to set."""
    if not set_drop_path(model, rate) and rate > 0:
        raise InputError(
            f"drop_path_rate={rate:g}: the model has no stochastic depth that can be set; build it "
            "in and leave drop_path at 0 in the schedule"
        )


def _set_functional_dropout(model: nn.Module, rate: float) -> int:
    """Set the number ``dropout`` that modules without a dropout layer hand to ``F.dropout``.

    DETR and its relatives in transformers are built so. PyTorch's own modules are left alone: in
    `nn.MultiheadAttention` the name means the dropout of attention weights.
    """
    modules: list[Any] = [m for m in model.modules() if not type(m).__module__.startswith("torch.")]
    found = [m for m in modules if type(getattr(m, "dropout", None)) in (float, int)]
    for module in found:
        module.dropout = float(rate)
    return len(found)


def randaugment_detection(
    image: NDArray[Any], boxes: NDArray[Any], labels: NDArray[Any], magnitude: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Apply `RandAugment` to one image and its boxes; a magnitude of 0 does nothing.

    The operations are drawn by torch's generator, which every worker of a loader has its own of
    and ``torch.manual_seed`` makes reproducible.

    Args:
        image: uint8 RGB, (H, W, 3).
        boxes: (N, 4), x_min, y_min, x_max, y_max in pixels; what lies outside the image is cut.
        labels: (N,), anything.
        magnitude: ``stage.randaugment_magnitude``.

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
    ``v2.MixUp(alpha=stage.mixup, num_classes=...)``.

    Args:
        images: (B, C, H, W), floating point.
        targets: for each image a dict of tensors with one row per object, such as ``boxes`` (N, 4)
            and ``labels`` (N,), as torchvision's detectors take them.
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
