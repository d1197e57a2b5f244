"""How fast epochs are in a host with a loop of its own, and when training will end."""

from __future__ import annotations

import time

from progressive.cost import seconds_left
from progressive.schedule import ProgressiveSchedule
from progressive.tracking import of_epoch, of_stage


class EpochClock:
    """Seconds of the epochs of one training, of its start and what it waited for.

    All are times of the host; a GPU may run behind it.

    Args:
        schedule: what is trained when.
    """

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        self.schedule = schedule
        self._began: float | None = None
        self._measured: dict[int, list[float]] = {}
        self._epoch = self._last = 0.0
        self._data = self._training = 0.0

    def start_epoch(self) -> None:
        """An epoch begins."""
        self._epoch = self._last = time.perf_counter()
        self._began = self._epoch if self._began is None else self._began
        self._data = self._training = 0.0

    def start_batch(self) -> None:
        """A batch has arrived: the wait for it is over."""
        if not self._epoch:  # Lightning skips the start of some epochs it resumes in
            self.start_epoch()
        seconds = self._passed()
        self._data += seconds
        self._training += seconds

    def end_batch(self) -> None:
        """A batch is done with."""
        self._training += self._passed()

    def go_on(self) -> None:
        """What passed since, such as an evaluation, is neither a wait nor training."""
        self._passed()

    def end_epoch(self, epoch: int, images: int | None) -> dict[str, float]:
        """Return what is logged of the epoch that ends, its stage included.

        Args:
            epoch: counted from 0.
            images: that it trained on; None where nobody can tell.
        """
        now = time.perf_counter()
        stage = self.schedule.at(epoch)
        self._measured.setdefault(stage.image_size, []).append(now - self._epoch)
        mean = {size: sum(all_) / len(all_) for size, all_ in self._measured.items()}
        speed = of_epoch(
            images=images,
            train_seconds=self._training,
            data_seconds=self._data,
            elapsed=now - (self._began or now),
            left=seconds_left(self.schedule, epoch + 1, mean),
        )
        return {**of_stage(stage), **speed}

    def _passed(self) -> float:
        before, self._last = self._last, time.perf_counter()
        return self._last - before
