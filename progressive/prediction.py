"""How long a training will take, from what a probe measured; how many epochs fit into a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from progressive.schedule import ProgressiveSchedule

#: The next checkpoint waits for so many times what the last one took to write.
SPARING = 20

#: No budget is filled with more epochs than this.
MAX_EPOCHS = 100_000


class Kind(NamedTuple):
    """Epochs that cost the same.

    Attributes:
        stage: index of the stage.
        warming: whether the learning rate warms up, so that no batches are merged.
        mosaic_closed: whether mosaic is off for the rest of the training.
    """

    stage: int
    warming: bool = False
    mosaic_closed: bool = False


@dataclass(frozen=True)
class Timing:
    """What a probe measured; all times are seconds of the whole data set.

    Attributes:
        epochs: training of an epoch by its kind, once the images of its stage are loaded.
        first: what the first epoch of a stage, by its index, takes in addition.
        validation: a validation.
        saving: what each epoch takes beside training and validation.
        checkpoint: writing a checkpoint; not every epoch has one.
        before: from the start to the first epoch.
        after: from the end of the last epoch, the evaluation of the best weights included.
        warmup_epochs: epochs that warm up, as far as they cost anything else.
        close_mosaic: last epochs without mosaic, as far as they cost anything else.
        memory: peak bytes of a GPU by stage.
        took: how long the probe itself took.
    """

    epochs: Mapping[Kind, float]
    first: Mapping[int, float] = field(default_factory=dict)
    validation: float = 0.0
    saving: float = 0.0
    checkpoint: float = 0.0
    before: float = 0.0
    after: float = 0.0
    warmup_epochs: float = 0.0
    close_mosaic: int = 0
    memory: Mapping[int, int] = field(default_factory=dict)
    took: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return this as JSON can hold it."""
        plain = dict(vars(self))
        plain["epochs"] = [[*kind, seconds] for kind, seconds in self.epochs.items()]
        for name in ("first", "memory"):
            plain[name] = sorted(plain[name].items())
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Timing:
        """Read what `to_json` returned."""
        epochs = {Kind(*kind): seconds for *kind, seconds in plain["epochs"]}
        mappings = {name: dict(plain[name]) for name in ("first", "memory")}
        return cls(**{**plain, **mappings, "epochs": epochs})

    def epoch(self, kind: Kind) -> float:
        """Return the seconds of an epoch, of the nearest kind in its stage if it has none."""
        if kind in self.epochs:
            return self.epochs[kind]
        alike = {k: seconds for k, seconds in self.epochs.items() if k.stage == kind.stage}
        nearest = max(alike, key=lambda k: (k.mosaic_closed == kind.mosaic_closed, not k.warming))
        return alike[nearest]


@dataclass(frozen=True)
class Prediction:
    """Seconds of a training: of each stage, of all validations, and of everything."""

    stages: tuple[float, ...]
    validation: float
    total: float

    @property
    def train(self) -> float:
        """Seconds of all stages, without validation."""
        return sum(self.stages)


def kind_of(
    schedule: ProgressiveSchedule, epoch: int, *, warmup_epochs: float, close_mosaic: int
) -> Kind:
    """Return the kind of an epoch; warm-up and closing of mosaic are Ultralytics'."""
    warmup = min(warmup_epochs, schedule.epochs - 1)
    return Kind(
        schedule.at(epoch).index,
        warming=warmup > 0 and epoch <= warmup,
        mosaic_closed=epoch >= schedule.epochs - close_mosaic,
    )


def predict(
    schedule: ProgressiveSchedule, timing: Timing, validated: Collection[int], start: int = 0
) -> Prediction:
    """Predict the seconds of a training, or of what is left of one.

    Args:
        schedule: with the stages that were probed, of any length.
        timing: what the probe measured.
        validated: epochs after which to validate.
        start: epochs that are done.
    """
    validated = {epoch for epoch in validated if epoch >= start}
    begun = {stage.start_epoch: timing.first.get(stage.index, 0.0) for stage in schedule.stages}
    kind = partial(
        kind_of, schedule, warmup_epochs=timing.warmup_epochs, close_mosaic=timing.close_mosaic
    )
    left = {e: begun.get(e, 0.0) + timing.epoch(kind(e)) for e in range(start, schedule.epochs)}
    stages = [
        sum(left.get(e, 0.0) for e in range(stage.start_epoch, stage.stop_epoch))
        for stage in schedule.stages
    ]
    validation = len(validated) * timing.validation
    rest = len(left) * timing.saving + timing.before + timing.after
    whole = [s + timing.saving + (e in validated) * timing.validation for e, s in left.items()]
    written = 1 if start else 0  # the one before the first epoch
    rest += timing.checkpoint * (checkpoints(whole, timing.checkpoint) - written)
    return Prediction(tuple(stages), validation, sum(stages) + validation + rest)


def checkpoints(epochs: Sequence[float], seconds: float) -> int:
    """Return how many are written: before the first epoch, between some epochs, at the end.

    Args:
        epochs: seconds of each epoch, validation included.
        seconds: that one checkpoint takes.
    """
    number, since = 2, 0.0
    for epoch in epochs[:-1]:
        since += epoch
        if since >= SPARING * seconds:
            number, since = number + 1, 0.0
    return number


def speed_up(schedule: ProgressiveSchedule, timing: Timing) -> float:
    """Return the training time at the final size throughout over that of the schedule."""
    last = len(schedule.stages) - 1
    fixed = timing.first.get(last, 0.0) + schedule.epochs * timing.epoch(Kind(last))
    return fixed / predict(schedule, timing, ()).train


def outcome(prediction: Mapping[str, Any], stages: Sequence[float], total: float) -> dict[str, Any]:
    """Put a prediction beside what was measured, as written to `summary.json`.

    Args:
        prediction: source, seconds of the stages and in total.
        stages: measured seconds of training in each stage.
        total: measured seconds, set-up and validation included.
    """
    return {
        **prediction,
        "measured_stages": list(stages),
        "measured_total": total,
        "error": prediction["total"] / total - 1 if total else None,
    }


def with_lengths(schedule: ProgressiveSchedule, lengths: Sequence[int]) -> ProgressiveSchedule:
    """Return the same stages with other numbers of epochs."""
    bounds = pairwise([0, *accumulate(lengths)])
    return ProgressiveSchedule(
        tuple(
            replace(stage, start_epoch=start, stop_epoch=stop)
            for stage, (start, stop) in zip(schedule.stages, bounds, strict=True)
        )
    )


def shares(epochs: int, weights: Sequence[float]) -> list[int]:
    """Cut a number of epochs by weights; no part is empty if there is an epoch for each."""
    left, parts = epochs, []
    for index, weight in enumerate(weights):
        after = len(weights) - index - 1
        fair = int(left * weight / sum(weights[index:]) + 0.5)
        parts.append(max(1, min(fair, left - after)))
        left -= parts[-1]
    return parts


def most_epochs(
    plan: Callable[[int], ProgressiveSchedule],
    seconds_of: Callable[[ProgressiveSchedule], float],
    seconds: float,
    least: int,
) -> int | None:
    """Return the largest number of epochs that fits into `seconds`; None if `least` does not.

    Args:
        plan: makes a schedule of so many epochs.
        seconds_of: predicts what a schedule takes; rises with the number of epochs.
        seconds: there are.
        least: epochs that `plan` can make a schedule of.
    """

    def fits(epochs: int) -> bool:
        return seconds_of(plan(epochs)) <= seconds

    if not fits(least):
        return None
    fitting, step = least, 1
    while fitting + step <= MAX_EPOCHS and fits(fitting + step):
        fitting, step = fitting + step, 2 * step
    while step := step // 2:
        if fitting + step <= MAX_EPOCHS and fits(fitting + step):
            fitting += step
    return fitting


def refit(
    schedule: ProgressiveSchedule,
    done: int,
    weights: Sequence[float],
    seconds_of: Callable[[ProgressiveSchedule], float],
    seconds: float,
) -> ProgressiveSchedule:
    """Change the lengths of the stages that have not begun, so that the end meets a time.

    Args:
        schedule: being trained.
        done: number of finished stages, whose epochs stay as they are.
        weights: relative lengths of all stages.
        seconds_of: predicts what is left of a schedule.
        seconds: left.
    """
    kept, open_weights = [stage.epochs for stage in schedule.stages[:done]], weights[done:]

    def plan(epochs: int) -> ProgressiveSchedule:
        return with_lengths(schedule, [*kept, *shares(epochs, open_weights)])

    least = len(open_weights)
    return plan(most_epochs(plan, seconds_of, seconds, least) or least)


def fewest_epochs(plan: Callable[[int], ProgressiveSchedule], weights: Sequence[float]) -> int:
    """Return the number of epochs from which on `plan` can always make a schedule.

    Where lengths are given, some smaller number may do as well, and one above it may not: shares of
    2, 1 and 2 are 1, 1 and 1 of three epochs, but 2, 0 and 2 of four.

    Args:
        plan: makes a schedule of so many epochs, or raises ValueError.
        weights: relative lengths of all stages.
    """

    def possible(epochs: int) -> bool:
        try:
            plan(epochs)
        except ValueError:
            return False
        return True

    least = min(math.ceil(sum(weights) / min(weights)), MAX_EPOCHS)  # each share is one epoch then
    while least > len(weights) and possible(least - 1):
        least -= 1
    return least
