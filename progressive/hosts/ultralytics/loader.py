"""Bring an Ultralytics training loader to a stage: the size it produces and how it augments."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate
from torchvision import transforms as T
from torchvision.transforms import v2
from ultralytics.engine.trainer import BaseTrainer

from progressive.augment import RandAugment
from progressive.hosts.ultralytics.batches import set_batch_size
from progressive.hosts.ultralytics.images.dataset import decode_as_before, keep_decoded
from progressive.schedule import TrainingStage

Collate = Callable[[list[Any]], Any]


def set_loader_stage(
    trainer: BaseTrainer, stage: TrainingStage, *, mosaic_closed: bool, batch_size: int
) -> None:
    """Rebuild what the training loader does, and restart its workers.

    Args:
        trainer: whose ``args`` are left alone: what is written there ends up in the checkpoint.
        stage: what the loader is to produce from now on.
        mosaic_closed: leave out mosaic, copy-paste and cutmix, as in the tail of a training.
        batch_size: images in a batch.
    """
    set_batch_size(trainer, batch_size)
    if trainer.args.task == "classify":
        _set_classification(trainer, stage)
    else:
        _set_detection(trainer, stage, mosaic_closed=mosaic_closed)
    trainer.train_loader.reset()  # workers hold a copy of the data set


@dataclass(frozen=True)
class LoaderState:
    """What `set_loader_stage` changes in a training loader, as it was before.

    Attributes:
        image_size: that a detection data set produces; None for classification.
        transforms: of the data set.
        collate_fn: of the loader.
        batch_size: images in a batch.
        batches: in an epoch.
        accumulate: batches between two steps of the optimizer, after warming up.
    """

    image_size: int | None
    transforms: Any
    collate_fn: Collate
    batch_size: int
    batches: int
    accumulate: int


def loader_state(trainer: BaseTrainer) -> LoaderState:
    """Read the state of the training loader, for `restore_loader`."""
    loader = trainer.train_loader
    if trainer.args.task == "classify":
        size, transforms = None, loader.dataset.torch_transforms
    else:
        size, transforms = loader.dataset.imgsz, loader.dataset.transforms
    return LoaderState(
        size, transforms, loader.collate_fn, loader.batch_size, len(loader), trainer.accumulate
    )


def restore_loader(trainer: BaseTrainer, state: LoaderState) -> None:
    """Undo `set_loader_stage`, and restart the workers."""
    loader = trainer.train_loader
    loader.collate_fn = state.collate_fn
    set_batch_size(trainer, state.batch_size)
    trainer.accumulate = state.accumulate
    if state.image_size is None:
        loader.dataset.torch_transforms = state.transforms
    else:
        loader.dataset.imgsz = state.image_size
        decode_as_before(loader.dataset)
        forget_images(loader.dataset)
        loader.dataset.transforms = state.transforms
    loader.reset()


def forget_images(dataset: Any) -> None:
    """Drop the images that a detection data set keeps, which have the size of the last stage."""
    dataset.buffer = []
    dataset.ims = [None] * dataset.ni
    dataset.im_hw0 = [None] * dataset.ni
    dataset.im_hw = [None] * dataset.ni


def _set_detection(trainer: BaseTrainer, stage: TrainingStage, *, mosaic_closed: bool) -> None:
    dataset = trainer.train_loader.dataset
    arguments = copy(trainer.args)
    arguments.mixup = stage.mixup
    if stage.randaugment_magnitude > 0:
        # Serialised, as Ultralytics keeps the user's own: it reads a list of one kind only.
        own = getattr(trainer.args, "augmentations", None) or []
        ours = RandAugment(magnitude=stage.randaugment_magnitude).to_dict()
        arguments.augmentations = [*own, ours]
    if mosaic_closed:
        arguments.mosaic = arguments.copy_paste = arguments.cutmix = 0.0
    if dataset.imgsz != stage.image_size or not dataset.buffer:
        dataset.imgsz = stage.image_size
        forget_images(dataset)
        keep_decoded(dataset, in_process=trainer.train_loader.num_workers == 0)
    dataset.transforms = dataset.build_transforms(arguments)


def _set_classification(trainer: BaseTrainer, stage: TrainingStage) -> None:
    loader = trainer.train_loader
    pipeline: list[Any] = []
    for transform in loader.dataset.torch_transforms.transforms:
        if isinstance(transform, T.RandomResizedCrop):
            pipeline.append(
                T.RandomResizedCrop(
                    stage.image_size, transform.scale, transform.ratio, transform.interpolation
                )
            )
        elif isinstance(transform, T.ToTensor) and stage.randaugment_magnitude > 0:
            pipeline += [PillowRandAugment(stage.randaugment_magnitude), transform]
        elif not isinstance(transform, (T.RandAugment, PillowRandAugment)):
            pipeline.append(transform)
    loader.dataset.torch_transforms = T.Compose(pipeline)
    collate = loader.collate_fn
    base: Collate = collate.base if isinstance(collate, MixUpCollate) else collate
    loader.collate_fn = base
    if stage.mixup > 0:
        loader.collate_fn = MixUpCollate(stage.mixup, len(trainer.data["names"]), base)
        trainer.plot_idx = []  # Ultralytics cannot draw the label of a blend


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
        self.alpha = alpha
        self.base = base
        self.mixup = v2.MixUp(alpha=alpha, num_classes=classes)

    def __call__(self, samples: list[Any]) -> dict[str, Any]:
        """Return the batch with ``img`` (B, 3, H, W) blended and ``cls`` (B, classes)."""
        batch = self.base(samples)
        batch["img"], batch["cls"] = self.mixup(batch["img"], batch["cls"])
        return batch
