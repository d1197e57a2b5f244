"""Where the time of an epoch goes: waiting for data, forward and backward, optimizer.

All are times of the host. A GPU runs behind it; the host waits for it once in every batch, when
Ultralytics writes the loss, so there the whole batch counts as forward and backward.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ultralytics.engine.trainer import BaseTrainer


class Clock:
    """Seconds of the training of one epoch, and of its parts."""

    def __init__(self) -> None:
        self.training: float | None = None
        self.started: float | None = None
        self.data = self.batches = self.optimizer = 0.0
        self._last = 0.0

    def start_epoch(self) -> None:
        """Start anew; also when the trainer begins the same epoch again."""
        self.started = self._last = time.perf_counter()
        self.training = None
        self.data = self.batches = self.optimizer = 0.0

    def so_far(self) -> list[float]:
        """Return the seconds of an epoch that is not over: of all of it, and of its parts."""
        whole = 0.0 if self.started is None else time.perf_counter() - self.started
        return [whole, self.data, self.batches, self.optimizer]

    def go_on(self, so_far: list[float]) -> None:
        """Add what an epoch, which has just started, took before it was interrupted."""
        whole, self.data, self.batches, self.optimizer = so_far
        self.started = time.perf_counter() - whole

    def start_batch(self) -> None:
        """A batch has arrived: the wait for it is over."""
        now = time.perf_counter()
        self.data += now - self._last
        self._last = now

    def end_batch(self) -> None:
        """A batch is done with, the step of the optimizer included if there was one."""
        now = time.perf_counter()
        self.batches += now - self._last
        self._last = now

    def end_training(self) -> None:
        """The epoch's training is over, validation comes next."""
        if self.started is not None:
            self.training = time.perf_counter() - self.started

    def since_training(self) -> float:
        """Return the seconds since the epoch's training ended."""
        if self.started is None or self.training is None:
            raise RuntimeError("no training has ended")
        return time.perf_counter() - self.started - self.training

    @property
    def compute(self) -> float:
        """Seconds of forward and backward passes."""
        return self.batches - self.optimizer

    def watch_optimizer(self, trainer: BaseTrainer) -> Callable[[], None]:
        """Time the steps of the optimizer of `trainer`; return what stops that."""
        step = trainer.optimizer_step

        def timed_step() -> None:
            started = time.perf_counter()
            step()
            self.optimizer += time.perf_counter() - started

        trainer.optimizer_step = timed_step
        return lambda: vars(trainer).pop("optimizer_step", None)
