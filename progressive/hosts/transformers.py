"""Progressive learning in the Trainer of Hugging Face transformers.

    train = DetectionDataset(samples, image_processor)
    held_out = DetectionDataset(held_out_samples, image_processor, train=False)
    trainer = Trainer(
        model, arguments, collate_detection, train_dataset=train, eval_dataset=held_out
    )
    ProgressiveCallback(schedule).attach(trainer)
    trainer.train()

The stage travels with the sample index, as `hosts.shared.samplers` says: the callback puts a
`ProgressiveSampler` around the sampler of the training loader. The Trainer builds that loader once,
so a data set in a worker would not see a stage set on it later.
"""

# ruff: noqa: ARG002 - the events' signatures

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from progressive.errors import InputError
from progressive.hosts.shared.clock import EpochClock
from progressive.hosts.shared.detection import DETECTION_MIXUP_BETA, randaugment_detection
from progressive.hosts.shared.patience import patience_count
from progressive.hosts.shared.rates import apply_schedule
from progressive.hosts.shared.samplers import ProgressiveSampler, refuse_subset
from progressive.hosts.shared.samples import as_classes, as_image, cut_boxes, kind, must_be
from progressive.schedule import ProgressiveSchedule, TrainingStage


class ProgressiveCallback(TrainerCallback):
    """Apply a `ProgressiveSchedule` to a `Trainer` whose training data is a `DetectionDataset`.

    Any other data set that reads `index.stage` will do as well. The stage is a function of the
    epoch, so a run that resumes from a checkpoint is in the right one from its first step.

    Early stopping (`EarlyStoppingCallback`) waits for the last stage.

    Args:
        schedule: what to train when; its epochs must be the Trainer's `num_train_epochs`.

    Raises:
        InputError: from `attach` and `trainer.train`, where the schedule cannot hold.
    """

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        must_be("schedule", schedule, ProgressiveSchedule)
        self.schedule = schedule
        # Weak: in a cycle, the loaders' workers would be left to the garbage collector, which stops
        # them in an order that costs a timeout of 5 s each.
        self._trainer: Any = None
        self._sampler: Any = None
        self._applied: TrainingStage | None = None
        self._clock = EpochClock(schedule)

    def attach(self, trainer: Trainer) -> ProgressiveCallback:
        """Add the callback to a trainer, whose log then shows every stage as it begins.

        Raises:
            InputError: the trainer has one already, or samples in a way that has no stages.
        """
        must_be("trainer", trainer, Trainer)
        # Its sampler is made, and reads samples, before training begins.
        strategy = getattr(trainer.args, "train_sampling_strategy", "random")
        if strategy in ("group_by_length", "batch_rebalance"):
            raise InputError(
                f"train_sampling_strategy={strategy}: reads all samples to measure them, before "
                "any stage; images of a stage have one size, so leave it at random"
            )
        if any(isinstance(other, type(self)) for other in trainer.callback_handler.callbacks):
            raise InputError("attach: this trainer already has a ProgressiveCallback")
        trainer.add_callback(self)
        self._trainer = weakref.ref(trainer)
        return self

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Refuse what cannot work, then let the training loader hand out staged indices."""
        if self._trainer is None:
            raise InputError(
                "ProgressiveCallback: add it with attach(trainer), not with callbacks=[...], "
                "which gives it no way to write into the trainer's log"
            )
        if args.max_steps > 0:
            raise InputError(f"max_steps={args.max_steps}: stages end with epochs; leave it at -1")
        if args.num_train_epochs != self.schedule.epochs:
            raise InputError(
                f"num_train_epochs={args.num_train_epochs:g}: the schedule has "
                f"{self.schedule.epochs} epochs"
            )
        loader = kwargs["train_dataloader"]
        refuse_subset(loader.dataset)
        _refuse_datasets(self.schedule, loader.dataset, self._trainer().eval_dataset)
        self._sampler = ProgressiveSampler(_sampler_of(loader), self.schedule)
        loader.set_sampler(self._sampler)
        self._applied = None
        self._clock = EpochClock(self.schedule)
        # A model without a layer for a rate is refused now rather than at a boundary.
        apply_schedule(kwargs["model"], self.schedule, self.schedule.stages[-1])

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Tell the sampler the epoch; the Trainer does so too, but not in every set-up."""
        self._sampler.set_epoch(int(state.epoch or 0))
        self._clock.start_epoch()
        self._let_early_stopping_wait()

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Bring the model to the stage its batches are of, and log a stage that begins."""
        self._clock.start_batch()
        stage = self._sampler.stage
        self._let_early_stopping_wait()
        if stage == self._applied:
            return
        apply_schedule(kwargs["model"], self.schedule, stage)
        self._applied = stage
        self._trainer().log(
            {
                "stage": stage.index,
                "image_size": stage.image_size,
                **{name: value for name, value in stage.knobs.items() if value is not None},
            }
        )

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Read the clock."""
        self._clock.end_batch()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Leave the evaluation out of what is waited for."""
        self._clock.go_on()

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Log the stage and the speed of the epoch."""
        images = len(kwargs["train_dataloader"].dataset)
        done = math.ceil(round(state.epoch or 1, 6))  # it may have been told to stop within one
        epoch = min(max(done, 1), self.schedule.epochs) - 1
        self._trainer().log(self._clock.end_epoch(epoch, images))

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Leave the trainer as it was found."""
        for callback in self._early_stopping():
            count = callback.early_stopping_patience_counter
            callback.early_stopping_patience_counter = max(count, 0)

    def _let_early_stopping_wait(self) -> None:
        # Before every step: an evaluation within an epoch may have set the count back to 0.
        for callback in self._early_stopping():
            callback.early_stopping_patience_counter = patience_count(
                callback.early_stopping_patience_counter, self.schedule, self._sampler.stage
            )

    def _early_stopping(self) -> list[EarlyStoppingCallback]:
        found = self._trainer().callback_handler.callbacks
        return [callback for callback in found if isinstance(callback, EarlyStoppingCallback)]


class DetectionDataset(Dataset[dict[str, Any]]):
    """Samples as an image processor makes them, of the stage that comes with the index.

    Args:
        samples: `samples[i]` is an image, uint8 RGB (H, W, 3); its boxes, (N, 4) with x_min,
            y_min, x_max, y_max in pixels; and their classes, integers from 0 (N,): arrays, tensors
            or lists. Boxes are cut to the image, and those of which nothing is left are dropped.
        image_processor: of an object detection model. Its size is the final one and must be
            square, `{"height": 640, "width": 640}`, so that images of a batch can be stacked.
        train: follow the stages; False means the final size and no augmentation, as evaluation
            needs in every stage.

    Raises:
        InputError: the processor's size is not square; on access, an index without a stage or a
            sample of another type or shape.
    """

    def __init__(self, samples: Sequence[Any], image_processor: Any, *, train: bool = True) -> None:
        size = dict(image_processor.size)
        if set(size) != {"height", "width"} or size["height"] != size["width"]:
            raise InputError(
                f"image_processor.size={size}: must be the final size of the schedule as "
                "{'height': 640, 'width': 640}"
            )
        self.samples = samples
        self.image_processor = image_processor
        self.image_size = int(size["height"])
        self.train = train

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `pixel_values` (3, S, S) and `labels` as detection models take them."""
        if not self.train:
            return self._processed(index, self.image_size, magnitude=0)
        stage = getattr(index, "stage", None)
        if stage is None:
            raise InputError(
                f"index={index}: carries no stage: attach a ProgressiveCallback to the trainer, "
                "put a Subset inside as DetectionDataset(Subset(...)), or build a data set to "
                "evaluate on with train=False"
            )
        item = self._processed(index, stage.image_size, stage.randaugment_magnitude)
        if torch.rand(()) < stage.mixup:
            other = int(torch.randint(len(self), ()))
            item = _blend(
                item, self._processed(other, stage.image_size, stage.randaugment_magnitude)
            )
        return item

    def _processed(self, index: int, side: int, magnitude: float) -> dict[str, Any]:
        image, boxes, labels = self._sample(int(index))
        size = {"height": side, "width": side}
        if magnitude > 0:
            # Made small first: augmenting gets cheaper with the size, and the processor, which is
            # what will be used after training, still decides how images are resized.
            height, width = image.shape[:2]
            pixels = self.image_processor(
                image, size=size, do_rescale=False, do_normalize=False, return_tensors="pt"
            )["pixel_values"][0]
            image = pixels.permute(1, 2, 0).to(torch.uint8).numpy()
            boxes = boxes * [side / width, side / height, side / width, side / height]
            image, boxes, labels = randaugment_detection(image, boxes, labels, magnitude)
        out = self.image_processor(
            image, annotations=_coco(int(index), boxes, labels), size=size, return_tensors="pt"
        )
        return {"pixel_values": out["pixel_values"][0], "labels": dict(out["labels"][0])}

    def _sample(self, index: int) -> tuple[Any, Any, list[int]]:
        """Return an image, its boxes cut to it and their classes, whatever types they come in."""
        sample = self.samples[index]
        if not isinstance(sample, (tuple, list)) or len(sample) != 3:
            raise InputError(
                f"samples[{index}]: must be an image, its boxes and their classes, got "
                f"{kind(sample)}"
            )
        image, boxes, labels = sample
        try:
            pixels = as_image(image.cpu().numpy() if isinstance(image, Tensor) else image)
            if pixels.shape[2:] != (3,):
                raise InputError(f"image: must be RGB, (H, W, 3), got {kind(image)}")
            boxes, labels, _ = cut_boxes(boxes, labels, *pixels.shape[:2])
            return pixels, boxes, as_classes(labels)
        except InputError as error:
            raise InputError(f"samples[{index}]: {error}") from None


def collate_detection(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make a batch: `pixel_values` (B, 3, S, S) and a list of `labels`."""
    return {
        "pixel_values": torch.stack([item["pixel_values"] for item in items]),
        "labels": [item["labels"] for item in items],
    }


def _refuse_datasets(schedule: ProgressiveSchedule, train: Any, evaluation: Any) -> None:
    """Raise InputError for data sets that do not fit the schedule or the other's purpose."""
    held_out = evaluation.values() if isinstance(evaluation, dict) else [evaluation]
    kinds = {
        "train_dataset": (True, list(_detection_datasets(train))),
        "eval_dataset": (False, [part for each in held_out for part in _detection_datasets(each)]),
    }
    for name, (training, datasets) in kinds.items():
        for dataset in datasets:
            if dataset.train != training:
                why = "would not follow the stages" if training else "would be of a stage"
                raise InputError(f"{name}: {why}; build it with train={training}")
            if dataset.image_size != schedule.image_size:
                raise InputError(
                    f"image_processor.size={dataset.image_size} in {name}: the schedule ends at "
                    f"{schedule.image_size}; give both the same"
                )
    if schedule.uses("mosaic") and kinds["train_dataset"][1]:
        raise InputError("mosaic: DetectionDataset has none; leave it out of the schedule")


def _detection_datasets(dataset: Any) -> Iterator[DetectionDataset]:
    """Yield every `DetectionDataset` in a data set."""
    if isinstance(dataset, DetectionDataset):
        yield dataset
    elif isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from _detection_datasets(part)
    elif isinstance(dataset, Subset):
        yield from _detection_datasets(dataset.dataset)


def _sampler_of(loader: Any) -> Any:
    """The sampler of indices in a loader as accelerate prepared it, sharded or not."""
    sharded = getattr(loader.batch_sampler, "batch_sampler", None)
    sampler = loader.get_sampler() or getattr(sharded, "sampler", None)
    if sampler is None or isinstance(loader.dataset, IterableDataset):
        raise InputError(
            "train_dataset: must have a length and be sampled by index; iterable data sets and "
            "train_sampling_strategy=batch_rebalance are not supported"
        )
    return sampler


def _coco(index: int, boxes: Any, labels: Any) -> dict[str, Any]:
    """Annotations of one image as image processors take them."""
    return {
        "image_id": index,
        "annotations": [
            {
                "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                "area": (x_max - x_min) * (y_max - y_min),
                "category_id": int(label),
                "iscrowd": 0,
            }
            for (x_min, y_min, x_max, y_max), label in zip(boxes.tolist(), labels, strict=True)
        ],
    }


#: The rows of `labels` that stand for objects; the rest describes the image.
OBJECT_KEYS = ("class_labels", "boxes", "area", "iscrowd")


def _blend(item: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Detection's mixup: pixels at a ratio near one half, the objects of both."""
    ratio = torch.distributions.Beta(DETECTION_MIXUP_BETA, DETECTION_MIXUP_BETA).sample()
    labels = dict(item["labels"])
    for key in OBJECT_KEYS:
        labels[key] = torch.cat([labels[key], other["labels"][key]])
    pixels: Tensor = ratio * item["pixel_values"] + (1 - ratio) * other["pixel_values"]
    return {"pixel_values": pixels, "labels": labels}
