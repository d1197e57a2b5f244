"""Let the trackers of Ultralytics see stage, knobs and speed beside Ultralytics' own metrics.

Ultralytics' logger callbacks, a module for each tracker, log `trainer.metrics` when an epoch ends.
Ours stand right before the first of them, to add to it, and at the end, to take it out again, so
that `results.csv`, checkpoints, fitness and a user's own callbacks never see it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ultralytics.engine.trainer import BaseTrainer

from progressive.errors import InputError
from progressive.tracking import TRACKERS

#: What keeps a tracker from telling its maker how it is used.
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}


class Trackers:
    """Which trackers of Ultralytics are on, and what they are told besides its own metrics.

    Args:
        names: the trackers to use and no others; None to leave that to Ultralytics' settings.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = None if names is None else tuple(names)
        self._metrics: Any = None
        self._shown: dict[str, float] | None = None

    def choose(self, trainer: BaseTrainer) -> Callable[[], None]:
        """Put the callbacks of the chosen trackers into `trainer`, and take those of others out.

        Return what lets the trainer forget us.

        To be called from the trainer's first event, whose list is changed while it is gone
        through: what comes after us, as trackers do, is changed in place.

        Raises:
            InputError: a tracker cannot be used here.
        """
        for name in TRACKERS if self.names is not None else ():
            _exchange(trainer, name, wanted=name in (self.names or ()))
        last = trainer.callbacks["on_fit_epoch_end"]
        modules = {f"ultralytics.utils.callbacks.{t.callbacks}" for t in TRACKERS.values()}
        theirs = [n for n, f in enumerate(last) if getattr(f, "__module__", "") in modules]
        if theirs:
            last.insert(theirs[-1] + 1, self.hide)
            last.insert(theirs[0], self.reveal)

        def forget() -> None:
            last[:] = [function for function in last if function not in (self.hide, self.reveal)]

        return forget

    def show(self, trainer: BaseTrainer, values: Mapping[str, float], *, validated: bool) -> None:
        """Add `values` to what every tracker logs of this epoch.

        Args:
            trainer: whose callbacks of this event are running.
            values: by name.
            validated: whether the metrics are of this epoch; otherwise they are of an earlier one,
                and no tracker is to take them for this one's.
        """
        self._shown = {**(trainer.metrics if validated else {}), **values}

    def reveal(self, trainer: BaseTrainer) -> None:
        """Put what `show` was given in the place of the trainer's own metrics."""
        if self._shown is not None:
            self._metrics, trainer.metrics = trainer.metrics, self._shown

    def hide(self, trainer: BaseTrainer) -> None:
        """Leave the trainer its own metrics."""
        if self._shown is not None:
            trainer.metrics, self._metrics, self._shown = self._metrics, None, None


def _exchange(trainer: BaseTrainer, name: str, *, wanted: bool) -> None:
    """Put the callbacks of a tracker into a trainer or take them out."""
    module = f"ultralytics.utils.callbacks.{TRACKERS[name].callbacks}"
    if not wanted:
        for functions in trainer.callbacks.values():
            functions[:] = [f for f in functions if getattr(f, "__module__", None) != module]
        return
    for variable, value in NO_TELEMETRY.items():
        os.environ.setdefault(variable, value)
    if name == "wandb":
        _refuse_without_account()
    callbacks: Mapping[str, Callable[..., None]] = import_module(module).callbacks
    if not callbacks:
        raise InputError(
            f"track={name}: Ultralytics cannot use it here: its callbacks are off, as in a test, "
            "or the package cannot be imported"
        )
    for event, function in callbacks.items():
        if function not in trainer.callbacks[event]:
            trainer.callbacks[event].append(function)


def _refuse_without_account() -> None:
    """Raise InputError where Weights & Biases would ask for a key in the middle of training."""
    import wandb

    if os.environ.get("WANDB_MODE", "online") not in ("online", "shared") or wandb.run:
        return
    if not wandb.api.api_key:
        raise InputError(
            "track=wandb: nobody is logged in; run `wandb login`, or set WANDB_MODE=offline"
        )
