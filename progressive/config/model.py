"""The configuration: every key with its type, its bounds and the sentence that `--help` prints.

Nothing heavy is imported here, so a mistake is reported before torch is loaded or a file written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr, create_model, model_validator

from progressive.config.complaints import RECORD, checked
from progressive.config.sections import (
    MAX_SIZE,
    STRIDE,
    Backbone,
    Budget,
    Head,
    Section,
    Size,
    in_our_keys,
)
from progressive.config.train_arguments import check_train_arguments
from progressive.config.values import Cache, Device, Durations, Resume, Text, TrackerNames, ends
from progressive.console import Log
from progressive.errors import ConfigError
from progressive.lengths import relative_lengths
from progressive.schedule import KNOBS, Knob, ProgressiveSchedule
from progressive.tracking import TRACKERS

#: Largest seed that NumPy takes.
MAX_SEED = 2**32 - 1

#: Tasks that a detector of a backbone and a head can have.
BUILT = ("detect", "classify")

#: Config groups: chosen whole, as in backbone=efficientnetv2_s.
GROUPS = {
    "experiment": "A whole recipe, added with a plus: +experiment=yolov10_efficientnetv2.",
    "machine": "cpu or gpu: sizes, epochs, batch and optimizer that fit; detected when not given.",
    "backbone": "The backbone that replaces the detector's own; timm takes any of timm's.",
    "head": "The detector whose neck and head are used, with or without its scale.",
    "schedule": "A preset: fast, finetune (the same for training from weights), default (the "
    "paper's Algorithm 1) or the paper's efficientnetv2_s, m, l.",
}


class Stages(Section):
    """What is trained, when, at which image size."""

    task: Literal["detect", "classify", "segment", "pose", "obb", "semantic"] = Field(
        description="detect, or classify: the same schedule for an image classifier. Taken from "
        "model=FILE, which may also be to segment, for pose, obb or semantic."
    )
    data: Text = Field(
        description="Data set: digits, or for classify blur (both embedded); or the path of an "
        "Ultralytics data.yaml, or for classify of a folder with train/ and val/."
    )
    stages: int = Field(ge=1, le=1000, description="Number of training stages.")
    epochs: int = Field(ge=1, le=100_000, description="Epochs in total, over all stages.")
    durations: Durations | None = Field(
        None,
        examples=["[4,3,2,1]"],
        description="Relative lengths of the stages, such as [4,3,2,1]; falling is this for any "
        "number of stages, null for equal ones.",
    )
    durations_by: Literal["epochs", "compute"] = Field(
        "epochs",
        description="What durations are shares of: epochs, or compute, that is pixels.",
    )
    size: Size
    sizes: tuple[Annotated[int, Field(ge=STRIDE, le=MAX_SIZE)], ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        examples=["[128,160,192]"],
        description="Image size of each stage, such as [128,160,192], in place of stages, size.min "
        "and size.max.",
    )
    lr_by: Literal["epochs", "compute"] = Field(
        "epochs",
        description="What the learning rate falls with: epochs as in Ultralytics, or compute, so "
        "that large images get more of it.",
    )
    levels_by: Literal["stage", "final"] = Field(
        "stage",
        description="Which feature maps learn an object: those that fit it in the images of a "
        "stage, or those that will at the final size.",
    )


def _strengths(knob: Knob) -> Any:
    """Return the field of a knob: a section with its values in the first and the last stage."""
    number: Any = float if knob.unused is not None else float | None
    bounds: dict[str, Any] = {"ge": 0, "lt" if knob.below else "le": knob.maximum}
    label = knob.label[0].upper() + knob.label[1:]
    first = Field(knob.unused, **bounds, description=f"{label} in the first stage: {knob.help}.")
    last = Field(knob.unused, **bounds, description=f"{label} in the last stage.")
    fields: dict[str, Any] = {"min": (number, first), "max": (number, last)}
    section = create_model(knob.key, __base__=Section, **fields)
    kind = Annotated[section, BeforeValidator(ends)] if knob.constant else section
    return kind, Field(section())


if TYPE_CHECKING:
    Strengths = Stages
else:
    Strengths = create_model(
        "Strengths", __base__=Stages, **{knob.key: _strengths(knob) for knob in KNOBS}
    )


class Config(Strengths):
    """A whole configuration; build it with `validate`.

    A key that earlier versions did not have defaults to what they did, so that their runs resume.
    """

    batch: int = Field(ge=1, le=100_000, description="Images in a batch of the last stage.")
    merge_batches: bool = Field(
        False,
        description="Where the optimizer waits for several batches (train.nbs above batch), load "
        "as many of them as one as small images leave room for.",
    )
    train_faster: bool = Field(
        True,
        description="Compute and load images the fastest way; false leaves precision, threads, "
        "layers, memory, optimizer, batches and decoding as they are in Ultralytics.",
    )
    val_every: int | None = Field(
        None,
        ge=1,
        description="Validate every N epochs, besides at the end of each stage and throughout the "
        "last; null for as often as a tenth of the training time allows.",
    )
    seed: int = Field(
        ge=0, le=MAX_SEED, description="Random seed of weights, order and augmentation."
    )
    device: Device | None = Field(
        None,
        description="cpu, mps, a GPU such as 0, or several such as [0,1]; chosen for you when "
        "null.",
    )
    max_bad: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the images of a split that may be left out because image or labels "
        "cannot be used; more are refused before training.",
    )
    cache: Cache | None = Field(
        None,
        description="disk keeps decoded images beside the files, encoded keeps the files in "
        "memory; null keeps nothing.",
    )
    workers: int = Field(
        ge=0, le=1024, description="Loader processes; on a CPU Ultralytics uses none."
    )
    model: Text | None = Field(
        None,
        description="A model as it is, in place of backbone and head: weights of Ultralytics or a "
        "model yaml, such as yolo11n.pt or yolo11n-seg.yaml. Nothing is fetched.",
    )
    backbone: Backbone | None = None
    head: Head | None = None
    output: Text | None = Field(None, description="Run folder; a fresh one under runs/ when null.")
    resume: Resume | None = Field(
        None,
        description="Run folder to continue after an interruption, or true for the newest under "
        "runs/. With a higher epochs=, a finished run is extended.",
    )
    #: Epochs after which the run had ended before resume extended it.
    extended: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), strict=False, json_schema_extra=RECORD
    )
    save_minutes: float | None = Field(
        10,
        gt=0,
        description="Most minutes between two checkpoints within an epoch, besides those between "
        "epochs; null for those alone.",
    )
    track: TrackerNames = Field(
        (),
        strict=False,
        description="Experiment trackers to log to through Ultralytics, which must be installed: "
        f"any of {', '.join(TRACKERS)}, as in [tensorboard,mlflow].",
    )
    log: Log = Field(
        "full",
        description="What is printed: full; quiet, a line an epoch; or json, a line of JSON for "
        "the plan, every epoch and stage, and the result.",
    )
    dry_run: bool = Field(False, description="Print the plan and stop.")
    probe: bool = Field(
        False,
        description="Time a few real steps at each stage first, and predict how long training "
        "takes; without it the plan counts pixels.",
    )
    price_per_hour: float | None = Field(
        None, gt=0, description="What an hour of the machine costs; probe=true then adds the price."
    )
    budget: Budget = Budget(minutes=None)
    train: dict[str, Any] = Field(
        {}, description="train.KEY=VALUE hands any other argument to the Ultralytics trainer."
    )

    @model_validator(mode="before")
    @classmethod
    def _sizes_say_stages(cls, raw: Any) -> Any:
        """Let `sizes` decide what it stands for, so that no other key contradicts it."""
        sizes = raw.get("sizes") if isinstance(raw, dict) else None
        if not isinstance(sizes, (list, tuple)) or not sizes:
            return raw
        if not all(isinstance(size, int) and STRIDE <= size <= MAX_SIZE for size in sizes):
            return raw  # the field says what is wrong
        return {**raw, "stages": len(sizes), "size": {"min": min(sizes), "max": max(sizes)}}

    #: Names of the keys that the command line gave, for `resume` to compare.
    _given: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Config:
        self._check_detector()
        self.schedule()
        check_train_arguments(self.train)
        if self.price_per_hour is not None and not self.probes:
            raise ConfigError(f"price_per_hour={self.price_per_hour:g}: needs probe=true")
        if self.probes and len((self.device or "").split(",")) > 1:
            key = "probe=true" if self.probe else f"budget.minutes={self.budget.minutes:g}"
            raise ConfigError(f"{key}: measures one device; device={self.device} names several")
        if self.task == "classify" and self.cache == "encoded":
            raise ConfigError("cache=encoded: for detectors only; use disk, or null")
        return self

    def _check_detector(self) -> None:
        parts = {"backbone": self.backbone, "head": self.head}
        for name, part in parts.items():
            if self.model is not None and part is not None:
                raise ConfigError(f"model={self.model}: has a {name} already; leave {name} out")
            if self.model is None and part is None:
                raise ConfigError(f"{name}: missing; give {name}=NAME, or model=FILE")
        if self.model is None and self.task not in BUILT:
            raise ConfigError(
                f"task={self.task}: needs model=FILE, which the task is taken from; without one it "
                f"is {' or '.join(BUILT)}"
            )

    @property
    def probes(self) -> bool:
        """Whether steps are timed before training; a budget cannot do without."""
        return self.probe or self.budget.minutes is not None

    @property
    def starts_from_weights(self) -> bool:
        """Whether the backbone or the whole model has been trained before."""
        if self.model is not None:
            return self.model.endswith(".pt")
        return self.backbone is not None and bool(self.backbone.pretrained or self.backbone.weights)

    def given(self, names: Sequence[str]) -> Config:
        """Return the same with the names of the keys that were given on the command line."""
        copy = self.model_copy()
        copy._given = tuple(names)
        return copy

    @property
    def names_given(self) -> tuple[str, ...]:
        """Names of the keys that were given on the command line."""
        return self._given

    def schedule(self) -> ProgressiveSchedule:
        """Build the schedule.

        Raises:
            ConfigError: the keys do not fit together.
        """
        pairs = {knob.key: self._pair(knob.key) for knob in KNOBS}
        try:
            schedule = ProgressiveSchedule.linear(
                epochs=self.extended[0] if self.extended else self.epochs,
                stages=self.stages,
                image_size=(self.size.min, self.size.max),
                stride=STRIDE,
                durations=self.durations,
                durations_by=self.durations_by,
                sizes=self.sizes,
                **{key: pair for key, pair in pairs.items() if pair is not None},
            )
            for epochs in (*self.extended[1:], self.epochs) if self.extended else ():
                schedule = schedule.extended(epochs)
            return schedule
        except ValueError as error:
            raise ConfigError(in_our_keys(error)) from None

    def relative_lengths(self) -> list[float]:
        """Return the lengths of the stages in epochs, relative to each other."""
        sizes = [stage.image_size for stage in self.schedule().stages]
        return relative_lengths(sizes, self.durations, self.durations_by)

    def _pair(self, key: str) -> tuple[float, float] | None:
        """Return a knob's values in the first and the last stage, None where it has none."""
        first, last = getattr(self, key).min, getattr(self, key).max
        if first is None and last is None:
            return None
        if first is None or last is None:
            empty, given = ("min", "max") if first is None else ("max", "min")
            raise ConfigError(f"{key}.{empty}=null: must be a number too where {key}.{given} is")
        return first, last


def validate(raw: Any) -> Config:
    """Check a plain nested mapping and return it as a `Config`.

    Raises:
        ConfigError: one line that names the key, the value and what would be right.
    """
    return checked(Config, raw, GROUPS)


def read_yaml(path: Path) -> Config:
    """Read what `to_yaml` has written, in this version or an earlier one.

    Raises:
        ConfigError: the file cannot be read or is not valid; names it.
    """
    try:
        return validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from None


def to_yaml(config: Config) -> str:
    """Write `config` as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
