"""The fastest way for a CPU to compute: memory format and precision, chosen by timing a step.

Which one is fastest depends on processor and model: bfloat16 pays where the processor has units
for it (AVX512-BF16, AMX), channels-last where convolutions dominate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from progressive.hosts.ultralytics.speed.cpu_layers import reroute_layers

#: Steps timed for each candidate, after one that is not; the fastest counts.
STEPS = 2

#: Most images in a timed step, and largest side in pixels. At 256 px, after three times the wait,
#: the fastest was the same for EfficientNetV2-B0, YOLOv8n and ELAN on AVX512-BF16.
MAX_BATCH, MAX_SIZE = 16, 128

#: A candidate must be this much faster than plain float32 to be taken.
GAIN = 0.95


@dataclass(frozen=True)
class Precision:
    """How convolutions are computed; weights, their average and the loss are float32 always."""

    bfloat16: bool = False
    channels_last: bool = False

    def __str__(self) -> str:
        number = "bfloat16" if self.bfloat16 else "float32"
        return f"{number}, channels last" if self.channels_last else number

    @property
    def memory_format(self) -> torch.memory_format:
        """PyTorch's name of the order of dimensions in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def candidates() -> list[Precision]:
    """Return the ways this processor may compute, float32 in PyTorch's own order first."""
    found = [Precision(), Precision(channels_last=True)]
    # Builds without oneDNN, as for macOS on ARM, do not have the operator that answers.
    if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        found.append(Precision(bfloat16=True, channels_last=True))
    return found


def time_steps(
    model: nn.Module, shape: tuple[int, int, int, int], choices: Sequence[Precision]
) -> dict[Precision, float]:
    """Time a forward and backward pass of copies of a model on a CPU.

    Args:
        model: its weights, statistics and gradients are left alone.
        shape: (B, C, H, W) of its input.
        choices: what to try.

    Returns:
        Seconds by choice.
    """
    images = torch.zeros(shape)
    with torch.random.fork_rng(devices=[]):  # a seed gives the same training, timed or not
        return {choice: _seconds(model, images, choice) for choice in choices}


def fastest(seconds: dict[Precision, float]) -> Precision:
    """Return the fastest, or plain float32 unless another one is clearly faster."""
    best = min(seconds, key=lambda choice: seconds[choice])
    return best if seconds[best] < GAIN * seconds[Precision()] else Precision()


def choose_precision(trainer: BaseTrainer, image_size: int) -> Callable[[], None]:
    """Let `trainer`, on a CPU and set up, compute in the fastest way its arguments allow.

    `amp=False` rules bfloat16 out, `channels_last=False` the other order of dimensions.

    Returns:
        What lets it compute as before.
    """
    allowed = [
        choice
        for choice in candidates()
        if (trainer.args.amp is True or not choice.bfloat16)
        and (trainer.args.channels_last is not False or not choice.channels_last)
    ]
    if len(allowed) < 2:
        return lambda: None
    model = unwrap_model(trainer.model)
    size = min(image_size, MAX_SIZE)
    batch = min(trainer.batch_size, MAX_BATCH)
    shape = (batch, trainer.data.get("channels", 3), size, size)
    seconds = time_steps(model, shape, allowed)
    choice = fastest(seconds)
    times = ", ".join(f"{choice} {1000 * each:.0f} ms" for choice, each in seconds.items())
    LOGGER.info(f"Precision: {choice} (a step of {batch} images: {times})")
    return set_precision(trainer, choice)


def set_precision(trainer: BaseTrainer, precision: Precision) -> Callable[[], None]:
    """Let `trainer`, on a CPU and set up, compute like this; return what undoes it."""
    model, amp = unwrap_model(trainer.model), trainer.amp
    for module in (model, trainer.ema.ema):
        module.to(memory_format=precision.memory_format)
    restore_layers: Callable[[], None] = lambda: None  # noqa: E731
    if precision.bfloat16:
        trainer.amp = True  # autocast on a CPU means bfloat16
        restore_layers = reroute_layers(model)
        # A resumed run brings a loss whose weights have moved along with the epochs: keep it.
        model.criterion = Float32Loss(getattr(model, "criterion", None) or model.init_criterion())

    def restore() -> None:
        trainer.amp = amp
        restore_layers()
        if isinstance(model.criterion, Float32Loss):
            model.criterion = model.criterion.criterion
        for module in (model, trainer.ema.ema):
            module.to(memory_format=torch.contiguous_format)

    return restore


class Float32Loss:
    """A loss of Ultralytics, computed in float32 from whatever precision the model has.

    In bfloat16 a box edge at 640 pixels would be rounded to multiples of four.
    """

    def __init__(self, criterion: Any) -> None:
        self.criterion = criterion

    def __call__(self, predictions: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the loss returns."""
        with torch.autocast("cpu", enabled=False):
            return self.criterion(_float32(predictions), *args, **_float32(kwargs))

    def __getattr__(self, name: str) -> Any:
        if name == "criterion":  # not there yet while being copied
            raise AttributeError(name)
        return getattr(self.criterion, name)


def _float32(tree: Any) -> Any:
    def convert(leaf: Any) -> Any:
        half = isinstance(leaf, torch.Tensor) and leaf.dtype is torch.bfloat16
        return leaf.float() if half else leaf

    return tree_map(convert, tree)


def _seconds(model: nn.Module, images: torch.Tensor, precision: Precision) -> float:
    trial = deepcopy(model).train().to(memory_format=precision.memory_format)
    if precision.bfloat16:
        reroute_layers(trial)
    times = []
    for _ in range(1 + STEPS):
        start = time.perf_counter()
        with torch.autocast("cpu", enabled=precision.bfloat16):
            outputs = [
                leaf
                for leaf in tree_leaves(trial(images))
                if isinstance(leaf, torch.Tensor) and leaf.requires_grad
            ]
        torch.stack([output.float().sum() for output in outputs]).sum().backward()
        times.append(time.perf_counter() - start)
    return min(times[1:])
