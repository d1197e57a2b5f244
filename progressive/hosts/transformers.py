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

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from progressive.errors import InputError
from progressive.hosts.shared.detection import DETECTION_MIXUP_BETA, randaugment_detection
from progressive.hosts.shared.rates import apply_schedule
from progressive.hosts.shared.samplers import ProgressiveSampler
from progressive.schedule import ProgressiveSchedule, TrainingStage


class ProgressiveCallback(TrainerCallback):
    """Apply a `ProgressiveSchedule` to a `Trainer` whose training data is a `DetectionDataset`.

    Any other data set that reads `index.stage` will do as well. The stage is a function of the
    epoch, so a run that resumes from a checkpoint is in the right one from its first step.

    Args:
        schedule: what to train when; its epochs must be the Trainer's `num_train_epochs`.
    """

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        self.schedule = schedule
        # Weak: in a cycle, the loaders' workers would be left to the garbage collector, which stops
        # them in an order that costs a timeout of 5 s each.
        self._trainer: Any = None
        self._sampler: Any = None
        self._applied: TrainingStage | None = None

    def attach(self, trainer: Trainer) -> ProgressiveCallback:
        """Add the callback to a trainer, whose log then shows every stage as it begins.

        Raises:
            InputError: the trainer has one already.
        """
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
        if self.schedule.uses("mosaic") and isinstance(loader.dataset, DetectionDataset):
            raise InputError("mosaic: DetectionDataset has none; leave it out of the schedule")
        self._sampler = ProgressiveSampler(_sampler_of(loader), self.schedule)
        loader.set_sampler(self._sampler)
        self._applied = None
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

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Bring the model to the stage its batches are of, and log a stage that begins."""
        stage = self._sampler.stage
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


class DetectionDataset(Dataset[dict[str, Any]]):
    """Samples as an image processor makes them, of the stage that comes with the index.

    Args:
        samples: `samples[i]` is an image, uint8 RGB (H, W, 3); its boxes, (N, 4) with x_min,
            y_min, x_max, y_max in pixels; and their classes, integers (N,).
        image_processor: of an object detection model. Its size is the final one and must be
            square, `{"height": 640, "width": 640}`, so that images of a batch can be stacked.
        train: follow the stages; False means the final size and no augmentation, as evaluation
            needs in every stage.

    Raises:
        InputError: the processor's size is not square; on access, an index without a stage.
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
                f"index={index}: carries no stage; attach a ProgressiveCallback to the trainer, "
                "or build a data set to evaluate on with train=False"
            )
        item = self._processed(index, stage.image_size, stage.randaugment_magnitude)
        if torch.rand(()) < stage.mixup:
            other = int(torch.randint(len(self), ()))
            item = _blend(
                item, self._processed(other, stage.image_size, stage.randaugment_magnitude)
            )
        return item

    def _processed(self, index: int, side: int, magnitude: float) -> dict[str, Any]:
        image, boxes, labels = self.samples[int(index)]
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


def collate_detection(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make a batch: `pixel_values` (B, 3, S, S) and a list of `labels`."""
    return {
        "pixel_values": torch.stack([item["pixel_values"] for item in items]),
        "labels": [item["labels"] for item in items],
    }


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
