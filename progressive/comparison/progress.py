"""How far a comparison is, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from progressive.comparison.processes import Run
from progressive.cost import relative_cost
from progressive.runs.report import duration


class Progress:
    """Count runs, and predict the rest from those done: of the same arm, or by pixels.

    Args:
        runs: all of them.
        devices: how many work at the same time.
    """

    def __init__(self, runs: Sequence[Run], devices: int) -> None:
        self._left = list(runs)
        self._count, self._devices = len(runs), devices
        self._seconds: dict[str, list[float]] = {}
        self._per_cost: list[float] = []

    def line(self, run: Run, seconds: float, score: str) -> str:
        """Return what to print for a run that is finished.

        Args:
            run: it.
            seconds: it took now; 0 if it was there already.
            score: of its last weights, as people write it.
        """
        self._left.remove(run)
        if seconds:
            self._seconds.setdefault(run.arm.name, []).append(seconds)
            self._per_cost.append(seconds / _cost(run))
        head = f"{self._count - len(self._left)}/{self._count} {run.name}: {score}"
        took = duration(seconds) if seconds else "was there already"
        left = self.seconds_left()
        return f"{head}, {took}." + (f" About {duration(left)} left." if left else "")

    def seconds_left(self) -> float | None:
        """Predict the seconds of the runs that are left; None while nothing is known of them."""
        if not self._left or not self._per_cost:
            return None
        total = sum(
            fmean(self._seconds[run.arm.name])
            if run.arm.name in self._seconds
            else fmean(self._per_cost) * _cost(run)
            for run in self._left
        )
        return total / min(self._devices, len(self._left))


def _cost(run: Run) -> float:
    schedule = run.arm.schedule
    return schedule.epochs * relative_cost(schedule) * schedule.image_size**2
