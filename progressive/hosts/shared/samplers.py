"""Samplers that send the stage along with the index of every sample.

The data set is asked for `data[index]`, where `index` is an `int` that carries the stage as
`index.stage`. Size and strengths thus travel with every sample: a worker holds no state that could
grow stale, a batch is never mixed, and a boundary restarts nothing. (The idea is that of timm's
`scheduled_sampler`.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import Sampler

from progressive.errors import InputError
from progressive.schedule import ProgressiveSchedule, TrainingStage


class StagedIndex(int):
    """An index into a data set, and the stage its sample is for.

    Arithmetic gives a plain `int`: put `Subset` and `ConcatDataset`, which compute an index of
    their own, inside of the data set that reads `index.stage`, not around it.
    """

    stage: TrainingStage

    def __new__(cls, index: int, stage: TrainingStage) -> StagedIndex:
        """Attach `stage` to `index`."""
        self = super().__new__(cls, index)
        self.stage = stage
        return self

    def __getnewargs__(self) -> tuple[int, TrainingStage]:  # type: ignore[override]
        # How pickle makes the copy a worker receives; without it the stage would be missing.
        return int(self), self.stage


class ProgressiveSampler(Sampler[Any]):
    """The indices of another sampler, each with the stage of the epoch.

    Args:
        sampler: any sampler of indices; its own `set_epoch`, if it has one, is called along.
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
        sampler: any batch sampler, such as `BatchSampler(DistributedSampler(data), 16, False)`.
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
