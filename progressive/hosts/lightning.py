"""Progressive learning in a Lightning trainer.

    schedule = ProgressiveSchedule.linear(epochs=24, stages=4, image_size=(320, 640), ...)
    trainer = Trainer(max_epochs=schedule.epochs, callbacks=[ProgressiveCallback(schedule)])
    trainer.fit(model, datamodule=ProgressiveDataModule(make_loader, val_loader))

A data module of your own takes part if it has `set_training_stage(stage)` and makes a new loader,
with what that stage says, whenever its `train_dataloader()` is called. What each event does::

    trainer.fit(...)
        setup                       refuse settings under which a schedule cannot hold; first stage
        on_load_checkpoint          stage of the resumed epoch
        on_fit_start                refuse a model without the layers the schedule needs, and
                                    loaders that do not change with the stage
        (train_dataloader)
        on_train_start              stage of the epoch that really comes first
        for epoch in epochs:
            (train_dataloader, if a new stage begins)
            on_train_epoch_start    early stopping waits for the last stage; the clock starts
            for batch in loader:
                on_train_batch_start    end of the reload
                on_train_batch_end      read the clock
            (validation)
            on_train_epoch_end      log stage and speed; hand over the next, ask for the reload
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from torch.utils._pytree import tree_leaves

from progressive.errors import InputError
from progressive.hosts.shared.clock import EpochClock
from progressive.hosts.shared.patience import patience_count
from progressive.hosts.shared.rates import apply_schedule
from progressive.hosts.shared.samples import kind, must_be
from progressive.schedule import ProgressiveSchedule, TrainingStage

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


def _classes(name: str, module: str = "") -> tuple[Any, ...]:
    """Return Lightning's class `name` under every import name that is installed.

    `lightning.pytorch` and `pytorch_lightning` are the same code but not the same classes, and
    a trainer accepts those of its own package only.
    """
    packages = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}
    found = [path for package, path in packages.items() if find_spec(package)]
    if not found:
        raise ImportError("Lightning is missing: pip install 'progressive-learning[lightning]'")
    return tuple(getattr(import_module(f"{path}{module}"), name) for path in found)


_Callback: Any = type("Callback", _classes("Callback"), {})
_LightningDataModule: Any = type("LightningDataModule", _classes("LightningDataModule"), {})
_EARLY_STOPPING = _classes("EarlyStopping", ".callbacks")


SAME_LOADER = (
    "train_dataloader() returned the loader of the stage before: it must make a new one at every "
    "call, since running workers never see a change of their data set"
)


class TakesTrainingStage(Protocol):
    """What a data module must offer, and a LightningModule may."""

    def set_training_stage(self, stage: TrainingStage) -> None:
        """Take what training uses from the next call of `train_dataloader` on."""


class ProgressiveCallback(_Callback):
    """Apply a `ProgressiveSchedule` to a Lightning trainer.

    The data module, or a LightningModule that has the loaders itself, is told every stage through
    `set_training_stage`; a LightningModule beside a data module is told as well if it has that
    method. Loaders are rebuilt at boundaries only, the one of validation never. If the schedule has
    dropout or drop path, the rates of the model's layers are set; otherwise they are left alone.
    The patience of `EarlyStopping` counts from the last stage on.

    Before training, the maker of the loaders is asked for the loader of every stage, to find out
    that there is one; none of these is iterated.

    Args:
        schedule: what to train when; the trainer must have as many `max_epochs`.

    Raises:
        InputError: from `trainer.fit`, in settings under which the schedule cannot hold.
    """

    def __init__(self, schedule: ProgressiveSchedule) -> None:
        must_be("schedule", schedule, ProgressiveSchedule)
        self.schedule = schedule
        self.stage: TrainingStage | None = None
        self._clock, self._batches = EpochClock(schedule), 0
        self._replaced_loader: int | None = None  # id of the old loader during a reload

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse what cannot work; hand over the first stage."""
        if stage == "fit":
            _refuse(self.schedule, trainer, pl_module)
            self.stage = None
            self._clock = EpochClock(self.schedule)
            self._enter(trainer, pl_module, trainer.current_epoch)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Hand over the stage of a resumed run before its first loader is made."""
        if trainer.training:
            self._enter(trainer, pl_module, checkpoint["epoch"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse, before training, a model or loaders that do for the first stage only."""
        apply_schedule(pl_module, self.schedule, self.schedule.stages[-1])
        if not trainer.fast_dev_run:  # which stays in the first stage
            self._refuse_loaders(trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the stage again: only now does Lightning know which epoch comes first.

        A checkpoint written at the end of an epoch has the number of that epoch, but training goes
        on with the next one.
        """
        if self._enter(trainer, pl_module, trainer.current_epoch):
            self._request_reload(trainer)
        else:
            self._begin(pl_module)
        self._let_early_stopping_wait(trainer)  # some resumed runs skip the start of an epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock of the epoch, and let early stopping wait for the last stage."""
        self._clock.start_epoch()
        self._batches = 0
        self._let_early_stopping_wait(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Let early stopping wait; it may be asked several times in an epoch."""
        self._let_early_stopping_wait(trainer)

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,  # noqa: ARG002 - the event's signature
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """End a reload. The start of an epoch is too early: some resumed runs skip that event."""
        self._clock.start_batch()
        if self._replaced_loader is None:
            return
        if id(trainer.train_dataloader) == self._replaced_loader:
            raise InputError(SAME_LOADER)
        self._end_reload(trainer)
        self._begin(pl_module)

    def on_train_batch_end(self, *_: Any) -> None:
        """Read the clock."""
        self._clock.end_batch()
        self._batches += 1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Read the clock; a validation may come in the middle of an epoch."""
        self._clock.go_on()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the stage and the speed of this epoch and prepare the next."""
        images = _images(trainer, self._batches)
        values = self._clock.end_epoch(trainer.current_epoch, images)
        pl_module.log_dict(values, sync_dist=True)  # equal everywhere, but Lightning insists
        upcoming = trainer.current_epoch + 1
        if upcoming < self.schedule.epochs and self._enter(trainer, pl_module, upcoming):
            self._request_reload(trainer)

    def on_exception(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 - the event's signature
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        """Leave the trainer as it was found."""
        self._end_reload(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Leave the trainer as it was found; training may have stopped just before a reload."""
        self._end_reload(trainer)
        for callback in _early_stopping(trainer):
            callback.wait_count = max(callback.wait_count, 0)

    def _enter(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> bool:
        """Hand over the stage of `epoch`; return whether that is a change."""
        # The checkpoint of a finished run carries the epoch after the last one.
        stage = self.schedule.at(min(epoch, self.schedule.epochs - 1))
        if stage == self.stage:
            return False
        self.stage = stage
        for receiver in _receivers(trainer, pl_module):
            receiver.set_training_stage(stage)
        return True

    def _refuse_loaders(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask for the loader of every stage, as training will, and compare neighbours."""
        receivers, source = _receivers(trainer, pl_module), trainer.datamodule or pl_module
        before: list[Any] = []
        try:
            for stage in self.schedule.stages:
                for receiver in receivers:
                    receiver.set_training_stage(stage)
                loaders = list(_loaders(source.train_dataloader()))
                if before and all(any(new is old for old in before) for new in loaders):
                    raise InputError(SAME_LOADER)
                before = loaders
        finally:
            assert self.stage is not None
            for receiver in receivers:
                receiver.set_training_stage(self.stage)

    def _let_early_stopping_wait(self, trainer: Trainer) -> None:
        if trainer.state.fn != "fit":
            return
        stage = self.schedule.at(min(trainer.current_epoch, self.schedule.epochs - 1))
        for callback in _early_stopping(trainer):
            callback.wait_count = patience_count(callback.wait_count, self.schedule, stage)

    def _request_reload(self, trainer: Trainer) -> None:
        """Have Lightning rebuild the training loader before the next epoch, and only then.

        Lightning reads this attribute when an epoch starts, and again before every validation; by
        then `_end_reload` has reset it. Reloading this way also updates the length of the epoch,
        which logging and progress bars need.
        """
        self._replaced_loader = id(trainer.train_dataloader)
        trainer.reload_dataloaders_every_n_epochs = 1

    def _end_reload(self, trainer: Trainer) -> None:
        if self._replaced_loader is not None:
            self._replaced_loader = None
            trainer.reload_dataloaders_every_n_epochs = 0

    def _begin(self, pl_module: LightningModule) -> None:
        """Bring the model to the stage its loader already has."""
        assert self.stage is not None
        apply_schedule(pl_module, self.schedule, self.stage)
        pl_module.print(  # below the progress bar, on the first process only
            f"Stage {self.stage.index + 1}/{len(self.schedule.stages)} from epoch "
            f"{self.stage.start_epoch}: {self.stage.image_size} px"
        )


class ProgressiveDataModule(_LightningDataModule):
    """Loaders made by a function, for those who need no data module of their own.

    Args:
        make_loader: returns a new loader of the training set, whose images have
            `stage.image_size` and are augmented as the stage says.
        val_loader: validation at the schedule's final size, in every stage.

    Raises:
        InputError: `make_loader` is no function; later, it returns no loader.
    """

    def __init__(
        self,
        make_loader: Callable[[TrainingStage], Iterable[Any]],
        val_loader: Iterable[Any] | None = None,
    ) -> None:
        super().__init__()
        if not callable(make_loader):
            raise InputError(f"make_loader={kind(make_loader)}: must be a function of a stage")
        self.make_loader = make_loader
        self.val_loader = val_loader
        self.stage: TrainingStage | None = None

    def set_training_stage(self, stage: TrainingStage) -> None:
        """Take the stage of the next training loader."""
        self.stage = stage

    def train_dataloader(self) -> Iterable[Any]:
        """Return a new loader for the current stage."""
        if self.stage is None:
            raise InputError(
                "ProgressiveDataModule: give the trainer a ProgressiveCallback as well"
            )
        if (loader := self.make_loader(self.stage)) is None:
            raise InputError("make_loader: returned None; it must return a loader")
        return loader

    def val_dataloader(self) -> Iterable[Any]:
        """Return the validation loader, always the same."""
        return [] if self.val_loader is None else self.val_loader


def _images(trainer: Trainer, batches: int) -> int | None:
    """Return how many images all processes trained on in an epoch; None where none can tell."""
    loader = trainer.train_dataloader
    batch, sampler = getattr(loader, "batch_size", None), getattr(loader, "sampler", None)
    if not isinstance(batch, int) or not isinstance(sampler, Sized):
        return None
    return min(batches * batch, len(sampler)) * trainer.world_size


def _receivers(trainer: Trainer, pl_module: LightningModule) -> list[TakesTrainingStage]:
    """Whom to tell the stage: data module and LightningModule, as far as they can take it."""
    candidates = (trainer.datamodule, pl_module)
    return [taker for taker in candidates if hasattr(taker, "set_training_stage")]


def _early_stopping(trainer: Trainer) -> list[Any]:
    return [callback for callback in trainer.callbacks if isinstance(callback, _EARLY_STOPPING)]


def _loaders(found: Any) -> Iterator[Any]:
    """Yield every loader in what `train_dataloader` returned: one, or several in any collection."""
    yield from tree_leaves(getattr(found, "iterables", found))  # Lightning's CombinedLoader


def _refuse(schedule: ProgressiveSchedule, trainer: Trainer, pl_module: LightningModule) -> None:
    """Raise InputError if the schedule cannot hold in this trainer."""
    # A debugging run of a few batches, for which Lightning sets the limits itself.
    if not trainer.fast_dev_run:
        if trainer.max_epochs != schedule.epochs:
            raise InputError(
                f"max_epochs={trainer.max_epochs}: the schedule has {schedule.epochs} epochs; "
                "give the trainer as many"
            )
        if trainer.max_steps != -1:
            raise InputError(
                f"max_steps={trainer.max_steps}: would end training inside the schedule; "
                "leave it at -1"
            )
    every = trainer.reload_dataloaders_every_n_epochs
    if every:
        raise InputError(
            f"reload_dataloaders_every_n_epochs={every}: the callback reloads the training loader "
            "at every boundary itself; leave it at 0"
        )
    if sum(isinstance(callback, ProgressiveCallback) for callback in trainer.callbacks) > 1:
        raise InputError("callbacks: more than one ProgressiveCallback; a trainer takes one")
    source = trainer.datamodule or pl_module
    if not hasattr(source, "set_training_stage"):
        raise InputError(
            f"{type(source).__name__}: makes the loaders, but has no set_training_stage(stage) to "
            "take the image size from; add it or use ProgressiveDataModule(make_loader)"
        )
