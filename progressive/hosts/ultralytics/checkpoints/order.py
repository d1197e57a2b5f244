"""Go on within an epoch: the rest of its images in their order, on the trainer's own counters.

Ultralytics counts the batches of an epoch from the first, and everything hangs on the count: the
warm-up, the mean of the loss, when the optimizer steps. So the batches that are trained already
pass through its loop once more, empty, past a model that does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from ultralytics.engine.trainer import BaseTrainer

#: What the order of a pass is drawn from: `generator`, the state of the loader's, and of a training
#: on several GPUs `sampler_epoch`, which its sampler was told last.
Order = dict[str, Any]


class Passes:
    """The batch sampler of a training loader, endless, which knows how each pass over it began.

    It takes the place of Ultralytics' own.

    Args:
        loader: of a trainer.
    """

    def __init__(self, loader: Any) -> None:
        self.sampler = loader.batch_sampler.sampler  # where Ultralytics looks for it
        self.skip = 0
        self._generator = loader.generator
        self._distributed = loader.sampler if hasattr(loader.sampler, "set_epoch") else None
        self._as_in_epoch: int | None = None
        self._states: list[Order] = []
        self._consumed = 0
        object.__setattr__(loader, "batch_sampler", self)  # PyTorch refuses to replace one

    def __iter__(self) -> Iterator[list[int]]:
        # Nothing is drawn before a batch is asked for: a loader with processes begins twice, and
        # asks only where it began last.
        self._states, self._consumed = [], 0
        skip, self.skip = self.skip, 0
        yield from islice(self._pass(), skip, None)
        while True:
            yield from self._pass()

    def begin_epoch(self, loader: Any) -> Order:
        """Return what this epoch's order is drawn from."""
        if loader.iterator is None:
            self._states, self._consumed = [], 0
        return self.order_of_pass()  # which loader processes may have begun already

    def end_epoch(self) -> None:
        """Note that a pass has been used up."""
        self._consumed += 1

    def order_of_pass(self) -> Order:
        """Return what the order of the present pass was drawn from, or will be."""
        if len(self._states) > self._consumed:
            return self._states[self._consumed]
        # None: the trainer is yet to tell a distributed sampler the number of the epoch.
        return {"generator": self._generator.get_state(), "sampler_epoch": self._as_in_epoch}

    def draw_from(self, order: Mapping[str, Any], epoch: int) -> None:
        """Draw the next order from what another was drawn from, in this epoch."""
        self._generator.set_state(order["generator"])
        if self._distributed is not None:
            self._distributed.set_epoch(epoch)
            self._as_in_epoch = order.get("sampler_epoch")

    def _tell(self, epoch: int | None) -> None:
        if self._distributed is not None:
            self._distributed.set_epoch(epoch)

    def _pass(self) -> Iterator[list[int]]:
        """Yield the batches of a pass.

        One ahead: PyTorch's sampler draws once more when it is asked for a batch behind the last,
        and the state between two passes is to be the one from which the next order is drawn.
        """
        told = getattr(self._distributed, "epoch", None)
        epoch, self._as_in_epoch = self._as_in_epoch, None
        epoch = told if epoch is None else epoch
        self._states.append({"generator": self._generator.get_state(), "sampler_epoch": epoch})
        self._tell(epoch)
        batches = iter(self.sampler)
        batch = next(batches, None)  # draws the order
        self._tell(told)
        while batch is not None:
            following = next(batches, None)
            yield batch
            batch = following


def take_up(loader: Any, passes: Passes, batches: int, *, begun: bool) -> None:
    """Let a loader go on in an epoch, whose order its sampler will draw next.

    Args:
        loader: at the stage of the epoch, not begun.
        passes: its sampler.
        batches: of the epoch that are trained already.
        begun: whether the loader had been at work before; one that starts draws a number itself.
    """
    if not begun:
        return
    passes.skip = batches
    own, loader.generator = loader.generator, torch.Generator()
    try:
        iterator = loader._get_iterator()
    finally:
        loader.generator = own
    loader.iterator = Again(iterator, batches) if batches else iterator


class Again:
    """Batches that are trained already, empty, and then those of an iterator.

    Args:
        iterator: of the rest.
        batches: that are trained already.
    """

    def __init__(self, iterator: Any, batches: int) -> None:
        self._iterator, self._left = iterator, batches

    def __iter__(self) -> Again:
        return self

    def __next__(self) -> Any:
        if self._left:
            self._left -= 1
            return {"img": torch.zeros(0, 3, 0, 0), "cls": torch.zeros(0)}
        return next(self._iterator)

    def __getattr__(self, name: str) -> Any:
        if name in {"_iterator", "_left"}:
            raise AttributeError(name)
        return getattr(self._iterator, name)  # its processes, which a loader ends


class Steps:
    """When the optimizer stepped last, which Ultralytics keeps to itself and a resumed run needs.

    Args:
        trainer: set up, before its first epoch.
    """

    def __init__(self, trainer: BaseTrainer) -> None:
        self.batches = len(trainer.train_loader)  # in an epoch, as Ultralytics counts them
        self.last = -1
        self._believed = -1
        self._at = 0
        self._accumulate: float | None = None

    def begin_batch(self, epoch: int, batch: int) -> None:
        """Note which batch comes, by its number in the epoch."""
        self._at = batch + self.batches * epoch

    def stepped(self, *, again: bool) -> None:
        """Note a step of the optimizer, or one that is only counted again."""
        self._believed = self._at
        if not again:
            self.last = self._at

    def decide(self, trainer: BaseTrainer, *, again: bool) -> None:
        """Have the trainer step after this batch, or not, as if it had not been resumed.

        Call it after the trainer has decided how many batches to accumulate.
        """
        self._accumulate = None
        if again or self.last != self._believed:
            since = self._at - self.last
            due = since == 0 if again else since >= trainer.accumulate
            self._accumulate, trainer.accumulate = trainer.accumulate, 0 if due else math.inf

    def end_batch(self, trainer: BaseTrainer) -> None:
        """Give back what `decide` has changed."""
        if self._accumulate is not None:
            trainer.accumulate, self._accumulate = self._accumulate, None


class Replay:
    """Stands in for a model while batches that are trained already pass through the loop.

    Args:
        trainer: whose loader gives these batches empty.
        batches: how many.
        losses: `tloss`, `loss_items` and `loss` of the trainer after the last of them.
    """

    def __init__(self, trainer: BaseTrainer, batches: int, losses: dict[str, Any]) -> None:
        self._left = batches
        self._items = losses["loss_items"]
        self._after = {"model": trainer.model, "plot_idx": trainer.plot_idx, **losses}
        self._zero = torch.zeros((), device=trainer.device, requires_grad=True)
        trainer.model, trainer.plot_idx = self, []

    def __call__(self, batch: Any) -> Any:
        """Return a loss that teaches nothing."""
        return self.loss(batch, None)

    def loss(self, batch: Any, predictions: Any) -> Any:  # noqa: ARG002
        """Return a loss that teaches nothing, as a compiled model is asked."""
        return self._zero, self._items

    def end_batch(self, trainer: BaseTrainer) -> bool:
        """Count a batch; return whether it was the last, after which all is as it was."""
        self._left -= 1
        if not self._left:
            vars(trainer).update(self._after)
        return not self._left
