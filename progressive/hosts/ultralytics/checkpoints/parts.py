"""What the state of a training is made of, and how each part is read and put back.

A test leaves out one part after the other and sees that a resumed training then ends otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from ultralytics.data.base import BaseDataset
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from progressive.errors import InputError
from progressive.hosts.ultralytics.checkpoints import randomness
from progressive.hosts.ultralytics.checkpoints.order import Order, Passes, Steps, take_up


@dataclass
class Training:
    """A live training.

    Attributes:
        trainer: set up.
        passes: the sampler of its loader.
        steps: of its optimizer.
        counter: what counts merged batches for it, or None.
        batch: how many batches of the epoch are trained.
        begun: whether the loader had been at work before the epoch.
        order: what the order of the epoch is drawn from.
        pending: batches that the counter had left over before the epoch.
    """

    trainer: BaseTrainer
    passes: Passes
    steps: Steps
    counter: Any = None
    batch: int = 0
    begun: bool = False
    order: Order | None = None
    pending: int = 0


@dataclass(frozen=True)
class Part:
    """A part of the state.

    Attributes:
        read: returns it as plain data and tensors.
        put: puts it back.
        heavy: whether it is large; validation leaves such parts alone.
        in_epoch: whether it can be put back only once the first epoch has begun.
    """

    read: Callable[[Training], Any]
    put: Callable[[Training, Any], None]
    heavy: bool = False
    in_epoch: bool = False


def _model(training: Training) -> nn.Module:
    return unwrap_model(training.trainer.model)


def _put_model(training: Training, found: Mapping[str, Any]) -> None:
    _load(_model(training), found)


def _read_average(training: Training) -> Any:
    ema = training.trainer.ema
    return {"updates": ema.updates, "weights": ema.ema.state_dict()}


def _put_average(training: Training, found: Mapping[str, Any]) -> None:
    ema = training.trainer.ema
    ema.updates = found["updates"]
    _load(ema.ema, found["weights"])


def _load(model: nn.Module, weights: Mapping[str, Any]) -> None:
    own = {name: value.shape for name, value in model.state_dict().items()}
    saved = {name: value.shape for name, value in weights.items()}
    if own != saved:
        differing = sorted(n for n in own.keys() | saved.keys() if own.get(n) != saved.get(n))
        raise InputError(
            f"the checkpoint is of another model: {len(differing)} of its weights differ, "
            f"{differing[0]} first"
        )
    model.load_state_dict(weights)


def _put_optimizer(training: Training, found: dict[str, Any]) -> None:
    optimizer = training.trainer.optimizer
    for saved, group in zip(found["param_groups"], optimizer.param_groups, strict=True):
        saved["fused"] = group.get("fused")  # this machine chooses the kernel
    optimizer.load_state_dict(found)


def _read_gradients(training: Training) -> Any:
    named = _model(training).named_parameters()
    return {name: p.grad for name, p in named if p.grad is not None}


def _put_gradients(training: Training, found: Mapping[str, Any]) -> None:
    parameters = dict(_model(training).named_parameters())
    for name, gradient in found.items():
        parameters[name].grad = gradient.to(parameters[name])


def _read_criterion(training: Training) -> Any:
    criterion = _criterion(training)
    numbers = vars(criterion).items() if criterion else ()
    return {name: value for name, value in numbers if type(value) in (int, float)}


def _put_criterion(training: Training, found: Mapping[str, Any]) -> None:
    model: Any = _model(training)
    if found and getattr(model, "criterion", None) is None:
        model.criterion = model.init_criterion()
    if criterion := _criterion(training):
        vars(criterion).update(found)


def _criterion(training: Training) -> Any:
    """Return the model's loss, whose weights may move with the epochs, past a wrapper of ours."""
    criterion = getattr(_model(training), "criterion", None)
    return vars(criterion).get("criterion", criterion) if hasattr(criterion, "__dict__") else None


def _read_stopping(training: Training) -> Any:
    trainer = training.trainer
    names = ("best_fitness", "best_epoch", "possible_stop")
    stopper = {name: getattr(trainer.stopper, name) for name in names}
    return {"stopper": stopper, "best": trainer.best_fitness, "fitness": trainer.fitness}


def _put_stopping(training: Training, found: Mapping[str, Any]) -> None:
    trainer = training.trainer
    vars(trainer.stopper).update(found["stopper"])
    trainer.best_fitness, trainer.fitness = found["best"], found["fitness"]


def _read_metrics(training: Training) -> Any:
    trainer = training.trainer
    return {"metrics": trainer.metrics, "loss_names": list(trainer.loss_names)}


def _put_metrics(training: Training, found: Mapping[str, Any]) -> None:
    trainer = training.trainer
    trainer.metrics, trainer.loss_names = found["metrics"], tuple(found["loss_names"])


def _read_losses(training: Training) -> Any:
    trainer = training.trainer
    names = ("tloss", "loss_items", "loss") if training.batch else ()
    return {name: getattr(trainer, name) for name in names}


def _put_losses(training: Training, found: Any) -> None:
    pass  # when the batches before have passed


def _read_order(training: Training) -> Any:
    begun = training.batch > 0
    order = training.passes.order_of_pass() if begun else training.order
    return {"begun": begun or training.begun, **(order or {})}


def _put_order(training: Training, found: Mapping[str, Any]) -> None:
    training.passes.draw_from(found, training.trainer.epoch)
    loader = training.trainer.train_loader
    take_up(loader, training.passes, training.batch, begun=found["begun"])


def _read_images(training: Training) -> Any:
    dataset = training.trainer.train_loader.dataset
    return list(dataset.buffer) if _keeps_images(dataset) else []


def _put_images(training: Training, found: list[int]) -> None:
    dataset = training.trainer.train_loader.dataset
    if _keeps_images(dataset):
        for index in found:
            dataset.get_image_and_label(index)  # keeps it, as it did before


def _keeps_images(dataset: Any) -> bool:
    return isinstance(dataset, BaseDataset) and isinstance(dataset.buffer, list)


def _read_steps(training: Training) -> Any:
    return {"last": training.steps.last, "pending": training.pending}


def _put_steps(training: Training, found: Mapping[str, Any]) -> None:
    training.steps.last = found["last"]
    training.pending = found["pending"]
    if training.counter is not None:
        training.counter.pending = found["pending"]


def _read_transforms(training: Training) -> Any:
    return randomness.transform_states(training.trainer.train_loader.dataset)


def _put_transforms(training: Training, found: Any) -> None:
    randomness.set_transform_states(training.trainer.train_loader.dataset, found)


def _put_random(training: Training, found: Any) -> None:  # noqa: ARG001
    if RANK in {-1, 0}:  # those of other processes were others
        randomness.set_global_states(found)


#: In the order in which they are put back: what draws random numbers before their states.
PARTS: dict[str, Part] = {
    "model": Part(lambda t: _model(t).state_dict(), _put_model, heavy=True),
    "average": Part(_read_average, _put_average, heavy=True),
    "optimizer": Part(lambda t: t.trainer.optimizer.state_dict(), _put_optimizer, heavy=True),
    "scaler": Part(
        lambda t: t.trainer.scaler.state_dict(),
        lambda t, found: t.trainer.scaler.load_state_dict(found),
    ),
    "criterion": Part(_read_criterion, _put_criterion),
    "stopping": Part(_read_stopping, _put_stopping),
    "metrics": Part(_read_metrics, _put_metrics),
    "losses": Part(_read_losses, _put_losses),
    "gradients": Part(_read_gradients, _put_gradients, heavy=True, in_epoch=True),
    "steps": Part(_read_steps, _put_steps, in_epoch=True),
    "images": Part(_read_images, _put_images, in_epoch=True),
    "order": Part(_read_order, _put_order, in_epoch=True),
    "transforms": Part(_read_transforms, _put_transforms, in_epoch=True),
    "random": Part(lambda _: randomness.global_states(), _put_random, in_epoch=True),
}


def read(training: Training, *, heavy: bool) -> dict[str, Any]:
    """Return the parts that are heavy, or those that are not."""
    return {name: p.read(training) for name, p in PARTS.items() if p.heavy == heavy}


def put(training: Training, state: Mapping[str, Any], *, in_epoch: bool) -> None:
    """Put back the parts for set-up, or those for the first epoch.

    Raises:
        InputError: a part is missing, or is of another model.
    """
    for name, part in PARTS.items():
        if part.in_epoch == in_epoch:
            if name not in state:
                raise InputError(f"the checkpoint has no {name}: another version has written it")
            part.put(training, state[name])
