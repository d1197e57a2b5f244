"""Bring an Ultralytics training loader to a stage: the size it produces and how it augments."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from progressive.augment import RandAugment
from progressive.augment.operations import left_out
from progressive.hosts.ultralytics.batches import set_batch_size
from progressive.hosts.ultralytics.channels import PASSED, let_through, refuse_other_channels
from progressive.hosts.ultralytics.classification import MixUpCollate, stage_transforms
from progressive.hosts.ultralytics.images.dataset import forget_images, keep_decoded
from progressive.schedule import ProgressiveSchedule, TrainingStage


class StagedLoader:
    """The training loader of a trainer, which follows the stages until it is restored.

    `trainer.args` are left alone: what is written there ends up in the checkpoint.

    Args:
        trainer: whose loader is as Ultralytics made it.
        schedule: what is trained when.
    """

    def __init__(self, trainer: BaseTrainer, schedule: ProgressiveSchedule) -> None:
        self.trainer = trainer
        self.schedule = schedule
        self.loader = trainer.train_loader
        self.restore = _restorer(trainer)
        self._transforms = getattr(self.loader.dataset, "torch_transforms", None)
        self._collate = self.loader.collate_fn
        self._channels = trainer.data.get("channels", 3)
        refuse_other_channels(self.loader.dataset)
        without = left_out(self._channels)
        if schedule.uses("randaugment_magnitude") and without:
            LOGGER.info(
                f"RandAugment on images of {self._channels} channel(s) leaves out "
                f"{', '.join(without)}, which needs red, green and blue."
            )

    def set_stage(self, stage: TrainingStage, *, mosaic_closed: bool, batch_size: int) -> None:
        """Rebuild what the loader does, and restart its workers.

        Args:
            stage: what the loader is to produce from now on.
            mosaic_closed: leave out mosaic, copy-paste and cutmix, as in the tail of a training.
            batch_size: images in a batch.
        """
        set_batch_size(self.trainer, batch_size)
        if self.trainer.args.task == "classify":
            self._set_classification(stage)
        else:
            self._set_detection(stage, mosaic_closed=mosaic_closed)
        self.loader.reset()  # workers hold a copy of the data set

    def _set_detection(self, stage: TrainingStage, *, mosaic_closed: bool) -> None:
        dataset = self.loader.dataset
        arguments = copy(self.trainer.args)
        if self.schedule.uses("mixup"):
            arguments.mixup = stage.mixup
        if stage.mosaic is not None:
            arguments.mosaic = stage.mosaic
        if stage.randaugment_magnitude > 0:
            # Serialised, as Ultralytics keeps the user's own: it reads a list of one kind only.
            own = getattr(self.trainer.args, "augmentations", None) or []
            own = own if self._channels in PASSED else []  # as Ultralytics, which skips them
            empty = 255 if self.trainer.args.task == "semantic" else 0  # "ignore" of its masks
            ours = RandAugment(magnitude=stage.randaugment_magnitude, fill_mask=empty).to_dict()
            arguments.augmentations = [*own, ours]
        if mosaic_closed:
            arguments.mosaic = arguments.copy_paste = arguments.cutmix = 0.0
        if dataset.imgsz != stage.image_size or not dataset.buffer:
            dataset.imgsz = stage.image_size
            forget_images(dataset)
            keep_decoded(dataset, in_process=self.loader.num_workers == 0)
        dataset.transforms = dataset.build_transforms(arguments)
        if stage.randaugment_magnitude > 0 and self._channels not in PASSED:
            let_through(dataset.transforms)

    def _set_classification(self, stage: TrainingStage) -> None:
        self.loader.dataset.torch_transforms = stage_transforms(
            self._transforms, stage, randaugment=self.schedule.uses("randaugment_magnitude")
        )
        self.loader.collate_fn = self._collate
        if stage.mixup > 0:
            classes = len(self.trainer.data["names"])
            self.loader.collate_fn = MixUpCollate(stage.mixup, classes, self._collate)
            self.trainer.plot_idx = []  # Ultralytics cannot draw the label of a blend


def _restorer(trainer: BaseTrainer) -> Callable[[], None]:
    """Return what gives the training loader of `trainer` back as it is now."""
    loader, dataset, accumulate = (
        trainer.train_loader,
        trainer.train_loader.dataset,
        trainer.accumulate,
    )
    batch_size, collate = loader.batch_size, loader.collate_fn
    plots = list(trainer.plot_idx)
    names = ("imgsz", "transforms", "torch_transforms")
    found = {name: getattr(dataset, name) for name in names if hasattr(dataset, name)}

    def restore() -> None:
        if trainer.train_loader is not loader:  # replaced, as after running out of memory
            return
        loader.collate_fn = collate
        set_batch_size(trainer, batch_size)
        trainer.accumulate, trainer.plot_idx = accumulate, plots
        vars(dataset).update(found)
        forget_images(dataset)
        loader.reset()

    return restore
