"""Keep the whole state of a training, and take it up again.

begin          a resumed training: its records as they were, its first epoch
watch          put back what set-up has made, or train anew; listen to the trainer
epoch starts   put back the rest, once; write a checkpoint, unless the last is young
batch ends     write one if it is time; leave if a signal has asked for it
training ends  write the last one, before the best weights are validated
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK

from progressive.errors import InputError
from progressive.hosts.ultralytics.checkpoints import parts
from progressive.hosts.ultralytics.checkpoints.order import Passes, Replay, Steps
from progressive.hosts.ultralytics.checkpoints.packing import pack, unpack
from progressive.hosts.ultralytics.methods import replace_method
from progressive.hosts.ultralytics.recorder import Recorder
from progressive.prediction import SPARING
from progressive.runs import checkpoints
from progressive.signals import Interruption, exit_code, installed, named

#: Copy of the best weights: no checkpoint holds them, and Ultralytics rewrites the file in place
#: for their last validation.
BEST = "best.pt"


class WholeFile(type(Path())):  # type: ignore[misc]
    """A path whose content is replaced in one step."""

    def write_bytes(self, data: Any) -> int:
        """Replace the file by `data`."""
        checkpoints.replace_whole(Path(self), bytes(data))
        return len(data)


class Keeper:
    """Writes the checkpoints of one training, and resumes from the newest if it is to.

    Args:
        recorder: whose records are part of the state.
        minutes: between two checkpoints within an epoch; None for them at epochs only.
        resume: whether to go on from the newest checkpoint of the run folder.
    """

    def __init__(self, recorder: Recorder, *, minutes: float | None, resume: bool) -> None:
        self.minutes = minutes
        self.resume = resume
        self._recorder = recorder
        self._state: dict[str, Any] | None = None
        self._training: parts.Training | None = None
        self._counter: Callable[[], Any] = lambda: None
        self._replay: Replay | None = None
        self._before_validation: dict[str, Any] | None = None
        self._in_epoch = False
        self._written = time.monotonic()
        self._cost: float | None = None  # seconds that the last checkpoint took
        self._interruption: Interruption | None = None

    def prepare(self, trainer: BaseTrainer) -> None:
        """Read the checkpoint, if this is to resume; before any data is read."""
        if not self.resume:
            return
        self.resume = False  # another training of the same callback begins anew
        found, complaints = checkpoints.newest(Path(trainer.save_dir))
        for complaint in complaints:
            LOGGER.warning(complaint)
        if found is None:
            raise InputError(f"{trainer.save_dir}: has no checkpoint that can be read")
        self._state = unpack(found)
        if self._state["done"] and self._state["epochs"] == trainer.epochs:
            trainer._do_train = partial(_finish, trainer)
        if str(trainer.args.optimizer).lower() == "auto":  # chosen by the number of epochs
            for name in ("optimizer", "lr0", "warmup_bias_lr"):
                setattr(trainer.args, name, self._state["chosen"][name])
        LOGGER.info(f"Resuming from {found.path.name}")

    def begin(self, trainer: BaseTrainer) -> None:
        """Put the records of a resumed run back; before the plan is written."""
        self.prepare(trainer)  # of several processes, only the first one has
        if self._state is None:
            return
        trainer.start_epoch = self._state["epoch"]
        trainer.scheduler.last_epoch = trainer.start_epoch - 1
        if RANK in {-1, 0}:
            self._recorder.put(Path(trainer.save_dir), self._state["records"])

    def watch(self, trainer: BaseTrainer, counter: Callable[[], Any]) -> Callable[[], None]:
        """Put back what is set up, and keep the state from now on; return what stops that.

        Args:
            trainer: set up, at the end of our own preparations.
            counter: returns what counts merged batches for the optimizer, or None.
        """
        undo = ExitStack()
        steps = Steps(trainer)
        self._counter = counter
        self._training = parts.Training(trainer, Passes(trainer.train_loader), steps)
        self._interruption = installed() if RANK == -1 else None
        if self._state is not None:
            self._training.batch = self._state["batch"]
            parts.put(self._training, self._state, in_epoch=False)
            self._check_best(trainer)
        trainer.last, trainer.best = WholeFile(trainer.last), WholeFile(trainer.best)
        self._take_steps(trainer, steps, undo)
        for event in ("train_epoch_start", "train_batch_start", "train_batch_end", "train_end"):
            trainer.add_callback(f"on_{event}", getattr(self, f"on_{event}"))
        for event in ("model_save", "fit_epoch_end", "val_batch_end"):
            trainer.add_callback(f"on_{event}", getattr(self, f"on_{event}"))
        undo.callback(self._unhook, trainer)
        return undo.close

    def time_one(self, trainer: BaseTrainer) -> float:
        """Return the seconds that a checkpoint takes: write one of a training without a keeper."""
        stop = self.watch(trainer, lambda: None)
        self._interruption = None  # there is nothing that could be resumed
        training = self._live(trainer)
        training.begun = trainer.train_loader.iterator is not None
        training.order = training.passes.begin_epoch(trainer.train_loader)
        self._write(trainer, parts.read(training, heavy=False))
        stop()
        return self._cost or 0.0

    def on_train_epoch_start(self, trainer: BaseTrainer) -> None:
        """Put back what an epoch has, or keep the state from which it starts."""
        training = self._live(trainer)
        training.counter = self._counter()
        if self._interruption is not None:
            self._interruption.defer()
        self._in_epoch, self._replay, self._before_validation = True, None, None
        if self._state is not None:
            parts.put(training, self._state, in_epoch=True)
            self._recorder.go_on(self._state["records"])
            if not training.batch:
                self._state = None
            return
        training.batch = 0
        training.begun = trainer.train_loader.iterator is not None
        training.order = training.passes.begin_epoch(trainer.train_loader)
        training.pending = training.counter.pending if training.counter else 0
        if self._asked or not self._is_young():
            self._write(trainer, parts.read(training, heavy=False))
            self._leave_if_asked()
            self._recorder.start_epoch()  # what it took is no training

    def on_train_batch_start(self, trainer: BaseTrainer) -> None:
        """Let the batches that are trained already pass."""
        training = self._live(trainer)
        if self._state is not None:
            losses = _on(trainer.device, self._state["losses"])
            self._replay = Replay(trainer, training.batch, losses)
            training.batch, self._state = 0, None
        training.steps.begin_batch(trainer.epoch, training.batch)

    def on_train_batch_end(self, trainer: BaseTrainer) -> None:
        """Write a checkpoint if it is time, or if a signal asks for it."""
        training = self._live(trainer)
        training.steps.end_batch(trainer)
        training.batch += 1
        last = training.batch >= len(trainer.train_loader)
        if self._replay is not None:
            if self._replay.end_batch(trainer):
                self._replay = None
            elif not last:
                return
        if last:
            self._before_validation = parts.read(training, heavy=False)
            training.passes.end_epoch()
        if self._asked or (self._is_time() and not last):
            self._write(trainer, self._before_validation or parts.read(training, heavy=False))
        self._leave_if_asked()

    def on_val_batch_end(self, validator: Any) -> None:  # noqa: ARG002
        """Leave a validation if a signal asks for it; it begins again."""
        training, before = self._training, self._before_validation
        if self._asked and self._in_epoch and training is not None and before is not None:
            self._write(training.trainer, before)
            self._leave_if_asked()

    def on_model_save(self, trainer: BaseTrainer) -> None:
        """Keep a copy of weights that are the best so far."""
        if trainer.best_fitness == trainer.fitness:
            _keep_best(trainer)

    def on_fit_epoch_end(self, trainer: BaseTrainer) -> None:
        """Keep the state at the end of training; other epochs are kept when the next one starts."""
        if not self._in_epoch:  # the validation of the best weights, which is no epoch
            return
        self._in_epoch = False
        if not trainer.stop:
            return
        training = self._live(trainer)
        training.batch, training.begun = 0, trainer.train_loader.iterator is not None
        training.order = training.passes.begin_epoch(trainer.train_loader)
        training.pending = training.counter.pending if training.counter else 0
        _keep_best(trainer)
        self._write(trainer, parts.read(training, heavy=False), done=True)
        if self._interruption is not None:
            self._leave_if_asked()
            self._interruption.at_once()

    def on_train_end(self, trainer: BaseTrainer) -> None:
        """Forget what only a validation of the best weights needed."""
        if RANK in {-1, 0}:
            _copy_of_best(trainer).unlink(missing_ok=True)

    def _take_steps(self, trainer: BaseTrainer, steps: Steps, undo: ExitStack) -> None:
        """Come between the trainer and its batches and steps."""
        preprocess, step = trainer.preprocess_batch, trainer.optimizer_step

        def preprocess_batch(batch: Any) -> Any:
            steps.decide(trainer, again=self._replay is not None)
            return batch if self._replay is not None else preprocess(batch)

        def optimizer_step() -> None:
            if self._replay is None:
                step()
            steps.stepped(again=self._replay is not None)

        undo.callback(replace_method(trainer, "preprocess_batch", preprocess_batch))
        undo.callback(replace_method(trainer, "optimizer_step", optimizer_step))

    def _live(self, trainer: BaseTrainer) -> parts.Training:
        """Return the training; after running out of memory it has another loader."""
        assert self._training is not None
        if self._training.passes is not trainer.train_loader.batch_sampler:
            self._training.passes = Passes(trainer.train_loader)
        return self._training

    @property
    def _asked(self) -> bool:
        """Whether a signal asks to leave."""
        return self._interruption is not None and self._interruption.asked is not None

    def _is_time(self) -> bool:
        return self.minutes is not None and time.monotonic() - self._written > 60 * self.minutes

    def _is_young(self) -> bool:
        """Whether the last checkpoint is so young that another would be mostly writing."""
        if self._cost is None or self._is_time():
            return False
        return time.monotonic() - self._written < SPARING * self._cost

    def _write(self, trainer: BaseTrainer, light: dict[str, Any], *, done: bool = False) -> None:
        """Write a checkpoint; a full disk costs the checkpoint, not the training."""
        if RANK not in {-1, 0} or self._training is None:
            return
        begun = time.monotonic()
        folder = Path(trainer.save_dir)
        batch = 0 if done else self._training.batch
        epoch = trainer.epoch + done
        state = {
            **{"version": 1, "epoch": epoch, "batch": batch, "done": done},
            "epochs": trainer.epochs,
            "chosen": {n: getattr(trainer.args, n) for n in ("optimizer", "lr0", "warmup_bias_lr")},
            "config": self._recorder.config,
            "records": self._recorder.read(folder),
            **light,
            **parts.read(self._training, heavy=True),
        }
        try:
            checkpoints.write(folder, checkpoints.name_of(epoch, batch), pack(state))
        except OSError as error:
            LOGGER.warning(f"No checkpoint, the one before stays: {error}")
            return
        finally:
            self._written = time.monotonic()
            self._cost = self._written - begun
        if self._interruption is not None:
            self._interruption.advice = f"Continue with: resume={folder}"

    def _leave_if_asked(self) -> None:
        if self._interruption is not None and self._interruption.asked is not None:
            _leave(self._interruption)

    def _check_best(self, trainer: BaseTrainer) -> None:
        """Give damaged best weights back, or let another epoch become the best."""
        best, copy = Path(trainer.best), _copy_of_best(trainer)
        if RANK not in {-1, 0}:
            return
        validating = self._state is not None and self._state["done"]  # which rewrites the file
        if checkpoints.is_whole(best) and not validating:
            return
        if checkpoints.is_whole(copy):
            checkpoints.replace_whole(best, copy.read_bytes())
        elif not checkpoints.is_whole(best) and (best.exists() or trainer.best_fitness is not None):
            LOGGER.warning(f"{best}: is damaged; the best of the epochs to come takes its place")
            best.unlink(missing_ok=True)
            trainer.best_fitness = None

    def _unhook(self, trainer: BaseTrainer) -> None:
        for found in trainer.callbacks.values():
            found[:] = [f for f in found if getattr(f, "__self__", None) is not self]


def _finish(trainer: BaseTrainer) -> None:
    """Do what comes after the last epoch, in place of the trainer's loop."""
    trainer._setup_train()
    trainer.epoch, trainer.stop = trainer.start_epoch - 1, True
    trainer.train_time_start = trainer.epoch_time_start = time.time()
    trainer.epoch_time = None
    if RANK in {-1, 0} and (trainer.args.save or not Path(trainer.best).exists()):
        best = Path(trainer.best).read_bytes() if Path(trainer.best).exists() else None
        trainer.save_model()
        if best is not None:
            trainer.best.write_bytes(best)
    trainer.final_eval()
    if RANK in {-1, 0}:
        if trainer.args.plots:
            trainer.plot_metrics()
        trainer.run_callbacks("on_train_end")


def _leave(interruption: Interruption) -> NoReturn:
    number = interruption.asked
    assert number is not None
    print(f"\n{named(number)}. {interruption.advice}", file=sys.stderr, flush=True)
    raise SystemExit(exit_code(number))


def _keep_best(trainer: BaseTrainer) -> None:
    """Copy the best weights; a full disk costs the copy, not the training."""
    best = Path(trainer.best)
    if RANK in {-1, 0} and best.exists():
        try:
            checkpoints.replace_whole(_copy_of_best(trainer), best.read_bytes())
        except OSError as error:
            LOGGER.warning(f"No copy of the best weights: {error}")


def _copy_of_best(trainer: BaseTrainer) -> Path:
    return Path(trainer.save_dir) / checkpoints.CHECKPOINTS / BEST


def _on(device: torch.device, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _on(device, inner) for name, inner in value.items()}
    return value
