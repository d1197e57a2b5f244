"""When training uses which image size and how much regularisation.

A schedule is a pure function of the epoch (EfficientNetV2, arXiv 2104.00298, Algorithm 1): stage
`i` of `M` takes `start + (end - start) * i / (M - 1)` for the image size and for every
regulariser. Whatever applies a stage to a live trainer lives in `progressive.hosts`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import Any, Literal

from progressive.checks import (
    as_list,
    as_pair,
    check_image_size,
    check_integer,
    check_number,
    check_real,
    check_sizes,
)
from progressive.errors import suggest
from progressive.lengths import Durations, relative_lengths, stop_epochs

#: Values of the first and the last stage; None for a knob that is left to the host.
Range = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class Knob:
    """A strength that a schedule turns from stage to stage, beside the image size.

    Attributes:
        name: its field of `TrainingStage`, and its column in records.
        key: its argument of `ProgressiveSchedule.linear`, and its section of a configuration.
        label: what tables and logs call it.
        help: what its values mean.
        maximum: the largest value; the smallest is 0.
        below: whether all values stay below `maximum`.
        constant: whether one number may stand for a pair of equal ones.
        unused: where it starts: its value while nobody asks for it. A knob that has this value in
            every stage is not used, and hosts leave the model's or trainer's own setting alone.
        format: how a value is written for people.
    """

    name: str
    key: str
    label: str
    help: str
    maximum: float = 1.0
    below: bool = False
    constant: bool = False
    unused: float | None = 0.0
    format: str = ".2f"

    def of(self, stage: TrainingStage) -> float | None:
        """Return the value of this knob in `stage`."""
        return getattr(stage, self.name)

    def written(self, value: float | None) -> str:
        """Write a value for people."""
        return "-" if value is None else f"{value:{self.format}}"

    def check(self, name: str, value: float | None) -> float | None:
        """Return `value`; raise ValueError, naming `name`, unless a stage can have it."""
        if value is None and self.unused is None:
            return None
        return check_number(name, value, self.maximum, below=self.below)


#: Every knob there is. Whatever shows, records, checks or configures knobs reads this table.
KNOBS = (
    Knob(
        "randaugment_magnitude",
        "randaugment",
        "RandAugment",
        "magnitude; the paper goes from 5 to 15 (S), 20 (M) or 25 (L)",
        maximum=30.0,  # above any published setting
        format=".1f",
    ),
    Knob("mixup", "mixup", "mixup", "a probability; alpha for classify"),
    Knob(
        "dropout_rate",
        "dropout",
        "dropout",
        "of channels between backbone and neck; the classifier's for classify",
        below=True,
    ),
    Knob(
        "drop_path_rate",
        "drop_path",
        "drop path",
        "stochastic depth of the backbone; drop_path=RATE for a constant",
        below=True,
        constant=True,
    ),
    Knob("mosaic", "mosaic", "mosaic", "a probability; null leaves it to Ultralytics", unused=None),
)


@dataclass(frozen=True)
class TrainingStage:
    """What training uses during the epochs `[start_epoch, stop_epoch)`, counted from 0.

    `image_size` is the side in pixels the loader produces, `mixup` a probability in detection
    and the Beta parameter alpha in classification, the rates are probabilities.
    """

    index: int
    start_epoch: int
    stop_epoch: int
    image_size: int
    randaugment_magnitude: float
    mixup: float
    dropout_rate: float
    drop_path_rate: float
    mosaic: float | None = None

    @property
    def epochs(self) -> int:
        """Number of epochs in this stage."""
        return self.stop_epoch - self.start_epoch

    @property
    def knobs(self) -> dict[str, float | None]:
        """The value of every knob by name, in the order of `KNOBS`."""
        return {knob.name: knob.of(self) for knob in KNOBS}


@dataclass(frozen=True)
class ProgressiveSchedule:
    """Stages that cover every epoch exactly once, with image sizes that never decrease.

    Build one with `linear` or `fixed`. Stages given by hand are checked by the same rules, but that
    no stride is known and that a strength may fall.

    Raises:
        ValueError: on construction, naming the violated field and its value.
    """

    stages: tuple[TrainingStage, ...]

    def __post_init__(self) -> None:
        given = as_list("stages", self.stages, "stages, each a TrainingStage")
        checked = tuple(_checked(stage, index) for index, stage in enumerate(given))
        object.__setattr__(self, "stages", checked)
        if not self.stages:
            raise ValueError("stages=(): a schedule needs at least one stage")
        if self.stages[0].start_epoch != 0:
            raise ValueError(
                f"start_epoch={self.stages[0].start_epoch}: the first stage starts at 0"
            )
        for before, after in pairwise(self.stages):
            if after.start_epoch != before.stop_epoch:
                raise ValueError(
                    f"start_epoch={after.start_epoch}: stage {after.index} must start at epoch "
                    f"{before.stop_epoch}, where the stage before it stops"
                )
            if after.image_size < before.image_size:
                raise ValueError(
                    f"image_size={after.image_size}: stage {after.index} is smaller than the stage "
                    f"before it ({before.image_size})"
                )

    @classmethod
    def linear(
        cls,
        *,
        epochs: int,
        stages: int,
        image_size: tuple[int, int],
        randaugment: Range = (0.0, 0.0),
        mixup: Range = (0.0, 0.0),
        dropout: Range = (0.0, 0.0),
        drop_path: Range | float = 0.0,
        mosaic: Range = (None, None),
        stride: int = 32,
        durations: Durations = None,
        durations_by: Literal["epochs", "compute"] = "epochs",
        sizes: Sequence[int] | None = None,
    ) -> ProgressiveSchedule:
        """Interpolate every `(min, max)` pair linearly over the stages; one stage means `max`.

        Args:
            epochs: total number of epochs.
            stages: number of stages M.
            image_size: pixels; rounded to the nearest multiple of `stride`, the last stage is
                exactly the maximum, so the maximum must be a multiple itself.
            randaugment: magnitude m, where m / 10 scales each operation.
            mixup: probability (detection) or alpha (classification).
            dropout: rate of channel dropout.
            drop_path: rate of stochastic depth, or a constant.
            mosaic: probability of Ultralytics' mosaic; a pair of None leaves it to Ultralytics.
            stride: largest stride of the detector in pixels; 1 for a classifier.
            durations: relative lengths of the stages; "falling" for n, n - 1, ..., 1; equal ones
                by default.
            durations_by: what `durations` are shares of: epochs, or compute, that is pixels, so
                that a stage of small images gets more epochs.
            sizes: the image size of each stage in place of the interpolated ones.

        Raises:
            ValueError: naming the field and the value.
        """
        epochs = check_integer("epochs", epochs, minimum=1)
        stages = check_integer("stages", stages, minimum=1)
        if stages > epochs:
            raise ValueError(f"stages={stages}: must not be above epochs={epochs}")
        stride = check_integer("stride", stride, minimum=1)
        given = {
            "randaugment": randaugment,
            "mixup": mixup,
            "dropout": dropout,
            "drop_path": drop_path,
            "mosaic": mosaic,
        }
        ranges = {knob: _as_range(knob, given[knob.key]) for knob in KNOBS}
        fractions = [1.0 if stages == 1 else i / (stages - 1) for i in range(stages)]
        if sizes is None:
            ends = check_image_size(image_size, stride)
            sizes = [_round_to(_interpolate(ends, f), stride) for f in fractions]
        else:
            sizes = check_sizes(sizes, stages, stride)
        weights = relative_lengths(sizes, durations, durations_by)
        stops = stop_epochs(epochs, weights, durations)
        built = []
        for i, fraction in enumerate(fractions):
            values: dict[str, Any] = {k.name: _strength(r, fraction) for k, r in ranges.items()}
            built.append(
                TrainingStage(
                    index=i,
                    start_epoch=stops[i - 1] if i else 0,
                    stop_epoch=stops[i],
                    image_size=sizes[i],
                    **values,
                )
            )
        return cls(tuple(built))

    @classmethod
    def fixed(
        cls, *, epochs: int, image_size: int, stride: int = 32, **knobs: float
    ) -> ProgressiveSchedule:
        """Ordinary training at one size: the special case of a single stage.

        Args:
            epochs: total number of epochs.
            image_size: in pixels, a multiple of `stride`.
            stride: as for `linear`.
            knobs: a number for any of the pairs that `linear` takes, as in `mixup=0.2`.

        Raises:
            ValueError: naming the field and the value.
        """
        known = {knob.key: knob for knob in KNOBS}
        for key, value in knobs.items():
            if key not in known:
                raise ValueError(
                    f"{key}={value!r}: one stage has no such value; {suggest(key, known)}"
                )
            known[key].check(key, value)
        image_size = check_integer("image_size", image_size, minimum=1)
        return cls.linear(
            epochs=epochs,
            stages=1,
            image_size=(image_size, image_size),
            stride=stride,
            **{key: (value, value) for key, value in knobs.items()},  # type: ignore[arg-type]
        )

    def extended(self, epochs: int) -> ProgressiveSchedule:
        """Return a schedule that goes on like its last stage, in a stage of its own.

        Args:
            epochs: in total, above those of this schedule.

        Raises:
            ValueError: they are not.
        """
        last = self.stages[-1]
        start = last.stop_epoch
        epochs = check_integer("epochs", epochs, minimum=start + 1)
        more = replace(last, index=last.index + 1, start_epoch=start, stop_epoch=epochs)
        return ProgressiveSchedule((*self.stages, more))

    @property
    def epochs(self) -> int:
        """Total number of epochs."""
        return self.stages[-1].stop_epoch

    @property
    def image_size(self) -> int:
        """The final image size in pixels: what the detector is validated and used at."""
        return self.stages[-1].image_size

    def uses(self, name: str) -> bool:
        """Tell whether any stage asks for the knob called `name`.

        A host leaves a knob that is not used alone, whatever the model or the trainer has there.
        """
        knob = next((knob for knob in KNOBS if knob.name == name), None)
        if knob is None:
            raise ValueError(
                f"{name!r}: no such knob; {suggest(str(name), [k.name for k in KNOBS])}"
            )
        return any(knob.of(stage) != knob.unused for stage in self.stages)

    def at(self, epoch: int) -> TrainingStage:
        """Return the stage of `epoch` (counted from 0); raise ValueError outside the schedule."""
        epoch = check_integer("epoch", epoch, minimum=0, maximum=self.epochs - 1)
        return self.stages[bisect_right([stage.stop_epoch for stage in self.stages], epoch)]

    def spent(self, epoch: float) -> float:
        """Return the share of all pixels of the schedule that are processed before `epoch`.

        Args:
            epoch: counted from 0; a fraction of it counts as such, and past the end is 1.
        """
        epoch = check_real("epoch", epoch)
        pixels = [
            max(0.0, min(epoch, stage.stop_epoch) - stage.start_epoch) * stage.image_size**2
            for stage in self.stages
        ]
        return sum(pixels) / sum(stage.epochs * stage.image_size**2 for stage in self.stages)

    def lr_factor(self, epoch: float, final: float = 0.0) -> float:
        """Return what to multiply a learning rate with: 1 at first, falling to `final`.

        It falls by compute, not by epochs: in proportion to the pixels processed. So the stages
        of large images, which take most of the time, get as much of the learning. With
        `torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.lr_factor)` once an epoch.

        Args:
            epoch: counted from 0, with a fraction or without.
            final: the factor at the end.
        """
        return 1 - (1 - check_real("final", final)) * self.spent(epoch)


def _checked(stage: TrainingStage, index: int) -> TrainingStage:
    """Return a stage with plain numbers; raise ValueError unless it is one for this position."""
    if not isinstance(stage, TrainingStage):
        raise ValueError(f"stages[{index}]={stage!r}: must be a TrainingStage")
    if stage.index != index:
        raise ValueError(
            f"index={stage.index}: the stage at position {index} must have it as index"
        )
    least = {"index": 0, "start_epoch": 0, "stop_epoch": 0, "image_size": 1}
    whole = {
        name: check_integer(name, getattr(stage, name), minimum=minimum)
        for name, minimum in least.items()
    }
    if stage.epochs < 1:
        raise ValueError(f"stop_epoch={stage.stop_epoch}: stage {index} has no epoch")
    knobs: dict[str, Any] = {knob.name: knob.check(knob.name, knob.of(stage)) for knob in KNOBS}
    return replace(stage, **whole, **knobs)


def _as_range(knob: Knob, value: Range | float) -> Range:
    """Return `value` as a checked pair."""
    if knob.constant and isinstance(value, Real):
        value = (value, value)
    low, high = as_pair(knob.key, value)
    if low is None and high is None and knob.unused is None:
        return None, None
    low, high = (
        check_number(f"{knob.key} {end}", number, knob.maximum, below=knob.below)
        for end, number in (("min", low), ("max", high))
    )
    if low > high:
        raise ValueError(f"{knob.key} min={low:g}: must not be above max={high:g}")
    return low, high


def _strength(pair: Range, fraction: float) -> float | None:
    return None if pair[0] is None or pair[1] is None else _interpolate(pair, fraction)


def _interpolate(pair: tuple[float, float], fraction: float) -> float:
    # Exact at the end, where low + (high - low) can miss high by one rounding.
    return pair[1] if fraction == 1 else pair[0] + (pair[1] - pair[0]) * fraction


def _round_to(value: float, stride: int) -> int:
    return math.floor(value / stride + 0.5) * stride
