"""Samplers that send the stage along with the index of every sample.

The data set is asked for `data[index]`, where `index` is an `int` that carries the stage as
`index.stage`. Size and strengths thus travel with every sample: a worker holds no state that could
grow stale, a batch is never mixed, and a boundary restarts nothing. (The idea is that of timm's
`scheduled_sampler`.)
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from torch.utils.data import ConcatDataset, Sampler, Subset

from progressive.errors import InputError
from progressive.hosts.shared.samples import kind, must_be
from progressive.schedule import ProgressiveSchedule, TrainingStage


class StagedIndex(int):
    """An index into a data set, and the stage its sample is for.

    Adding to it and subtracting from it keep the stage, so a `ConcatDataset` may be around the data
    set that reads `index.stage`. A `Subset` looks its index up in a list, which has no stages: put
    it inside of that data set.
    """

    stage: TrainingStage

    def __new__(cls, index: int, stage: TrainingStage) -> StagedIndex:
        """Attach `stage` to `index`."""
        self = super().__new__(cls, index)
        self.stage = stage
        return self

    def __add__(self, other: int) -> StagedIndex:
        return StagedIndex(int(self) + int(other), self.stage)

    def __sub__(self, other: int) -> StagedIndex:
        return StagedIndex(int(self) - int(other), self.stage)

    def __getnewargs__(self) -> tuple[int, TrainingStage]:  # type: ignore[override]
        # How pickle makes the copy a worker receives; without it the stage would be missing.
        return int(self), self.stage


class ProgressiveSampler(Sampler[Any]):
    """The indices of another sampler, each with the stage of the epoch.

    Args:
        sampler: any sampler of indices; its own `set_epoch`, if it has one, is called along.
        schedule: which epoch belongs to which stage.

    Raises:
        InputError: this is no schedule or no sampler, or one of a `Subset`; while iterating, what
            the sampler yields is no index.
    """

    def __init__(self, sampler: Any, schedule: ProgressiveSchedule) -> None:
        must_be("schedule", schedule, ProgressiveSchedule)
        if not hasattr(sampler, "__iter__"):
            raise InputError(f"sampler={kind(sampler)}: must be one, as RandomSampler(data)")
        for inner in _with_inner(sampler):
            refuse_subset(getattr(inner, "data_source", getattr(inner, "dataset", None)))
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
        for inner in _with_inner(self.sampler):
            if hasattr(inner, "set_epoch"):
                inner.set_epoch(epoch)
        return self.stage

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        stage = self._stage_of_new_epoch()
        for index in self.sampler:
            yield self._staged(index, stage)

    def _staged(self, index: Any, stage: TrainingStage) -> StagedIndex:
        try:
            return StagedIndex(operator.index(index), stage)  # an int of NumPy or a tensor as well
        except TypeError:
            raise InputError(
                f"{type(self).__name__}: {type(self.sampler).__name__} yields {index!r}; must be "
                "whole numbers"
            ) from None

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
        sampler: any batch sampler, such as `BatchSampler(DistributedSampler(data), 16, False)`.
        schedule: which epoch belongs to which stage.
    """

    def __iter__(self) -> Iterator[list[StagedIndex]]:
        stage = self._stage_of_new_epoch()
        for batch in self.sampler:
            if _is_index(batch):
                raise InputError(
                    f"ProgressiveBatchSampler: {type(self.sampler).__name__} yields single "
                    "indices; wrap it as BatchSampler(sampler, batch_size, drop_last)"
                )
            yield [self._staged(index, stage) for index in batch]


def refuse_subset(dataset: Any) -> None:
    """Raise InputError if indices reach a data set through a `Subset`, which drops their stage."""
    parts = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
    if any(isinstance(part, Subset) for part in parts):
        raise InputError(
            "Subset: looks its index up in a list, which loses the stage; put it inside of the "
            "data set that reads index.stage, and sample that one"
        )


def _with_inner(sampler: Any) -> tuple[Any, ...]:
    """Return a sampler, and the one inside of it if it is a batch sampler."""
    return tuple(each for each in (sampler, getattr(sampler, "sampler", None)) if each is not None)


def _is_index(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not getattr(value, "ndim", 0)  # a batch of one in a tensor converts as well
