"""A loss that is not a number: say where, keep the batch, try the epoch again, give up after three.

Ultralytics goes back to `last.pt`, a half-precision average, and in the first epoch of a run not
at all. Here an epoch goes back to the state that it began with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.hosts.ultralytics.checkpoints.order import Passes, Steps
from progressive.hosts.ultralytics.checkpoints.parts import PARTS, Training
from progressive.hosts.ultralytics.methods import replace_method
from progressive.hosts.ultralytics.place import Place
from progressive.runs.checkpoints import replace_whole

#: How often an epoch begins again.
TRIES = 3

#: Of the state, what an epoch goes back to. Order and random numbers go on: they may be the cause.
KEPT = ("model", "average", "optimizer", "scaler", "criterion", "stopping")


def recover(
    trainer: BaseTrainer, place: Place, remark: Callable[[str], None]
) -> Callable[[], None]:
    """Watch the losses of a trainer; return what stops that.

    Several processes, which would have to agree, keep Ultralytics' own recovery.

    Args:
        trainer: set up, before its first epoch.
        place: where it is.
        remark: takes a sentence for the records.
    """
    if RANK != -1:
        return lambda: None
    return Recovery(trainer, place, remark).watch()


class Recovery:
    """Keeps the state with which an epoch begins, and goes back to it."""

    def __init__(self, trainer: BaseTrainer, place: Place, remark: Callable[[str], None]) -> None:
        self._trainer, self._place, self._remark = trainer, place, remark
        self._batch: Any = None
        self._epoch: int | None = None
        self._began: dict[str, Any] = {}
        self._found: str | None = None
        self._tries = 0

    def watch(self) -> Callable[[], None]:
        """Watch from now on; return what stops that."""
        trainer, undo = self._trainer, ExitStack()
        for event in ("on_train_epoch_start", "on_train_batch_end"):
            trainer.add_callback(event, getattr(self, event))
        preprocess = trainer.preprocess_batch

        def preprocess_batch(batch: Any) -> Any:
            self._batch = preprocess(batch)
            return self._batch

        undo.callback(replace_method(trainer, "preprocess_batch", preprocess_batch))
        undo.callback(replace_method(trainer, "_handle_nan_recovery", self.go_back))
        return undo.close

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Keep the state, unless the epoch begins again."""
        self._found = None
        if self._epoch != trainer.epoch:
            self._epoch, self._tries = trainer.epoch, 0
            self._began = {name: _copy(PARTS[name].read(self._training())) for name in KEPT}

    def on_train_batch_end(self, trainer: BaseTrainer) -> None:
        """Note the first batch of an epoch whose loss is not finite, and keep it."""
        if self._found is None and not trainer.loss.isfinite().all():
            self._found = f"{self._place}: the loss is {trainer.loss.item()}"
            if (file := self._save()) is not None:
                self._found += f" (batch in {file})"
            if trainer.scaler.is_enabled():  # then training may well go on
                LOGGER.warning(f"{self._found}.")
                self._remark(f"{self._found}.")
        self._batch = None

    def go_back(self, epoch: int) -> bool:
        """Return whether the epoch is to begin again, from the state that it began with.

        Raises:
            InputError: it has done so three times.
        """
        trainer = self._trainer
        loss_is_bad = trainer.loss is not None and not trainer.loss.isfinite().all()
        # A gradient scaler leaves out the step of such a batch; without one it is in the weights.
        # Either way it may be in the running statistics of batch normalisation.
        poisoned = self._found is not None and not (
            trainer.scaler.is_enabled() and _all_finite(unwrap_model(trainer.model))
        )
        score_is_bad = trainer.fitness is not None and not np.isfinite(trainer.fitness)
        if not (loss_is_bad or poisoned or score_is_bad):
            return False
        what = (
            self._found or f"{self._place}: the {'loss' if loss_is_bad else 'score'} is not finite"
        )
        self._tries += 1
        if self._tries > TRIES:
            raise InputError(
                f"{what}, for the {self._tries}th time in this epoch; lower train.lr0, or give "
                "train.amp=false"
            )
        said = f"{what}; epoch {epoch + 1} begins again, {self._tries} of {TRIES} tries."
        LOGGER.warning(said)
        self._remark(said)
        trainer._model_train()  # validation leaves tensors that cannot be written to
        for name in KEPT:
            PARTS[name].put(self._training(), _copy(self._began[name]))
        trainer.scheduler.last_epoch = epoch - 1
        return True

    def _training(self) -> Training:
        # What is kept needs neither order nor steps.
        return Training(self._trainer, Passes.__new__(Passes), Steps(self._trainer))

    def _save(self) -> Path | None:
        """Write the batch at hand into the run folder."""
        name = f"nan-epoch-{self._trainer.epoch + 1:05d}-batch-{self._place.batch + 1:07d}"
        path = Path(self._trainer.save_dir) / f"{name}.safetensors"
        tensors, others = {}, {}
        for key, value in self._batch.items():
            if isinstance(value, torch.Tensor):
                tensors[key] = value.detach().cpu().contiguous().clone()
            else:
                others[key] = json.dumps(value, default=str)
        try:
            replace_whole(path, save(tensors, others))
        except OSError as error:
            LOGGER.warning(f"The batch is not kept: {error}")
            return None
        return path


def _all_finite(model: torch.nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in model.state_dict().values())


def _copy(value: Any) -> Any:
    """Return a copy of nested dictionaries and lists, with tensors on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return type(value)(map(_copy, value)) if isinstance(value, (list, tuple)) else value
