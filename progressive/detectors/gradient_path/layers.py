"""Layers designed by where a gradient comes from and how far it travels (arXiv 2211.04800).

All of them have a short way, the *identity*, around a long one, the *block*. The gradient can be
stopped on either, for the paper's experiment and for `progressive.gradients`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import DropPath
from torch import nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

from progressive.errors import InputError

#: Which of the two ways the gradient may be stopped on.
STOPS = ("identity", "block")

#: Makes a convolution from channels in, channels out, kernel size and stride.
MakeConv = Callable[..., nn.Module]


def leaky_conv(channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Return the layer of the Darknet designs: convolution, batch normalisation, leaky ReLU."""
    return Conv(channels, out_channels, kernel, stride, act=nn.LeakyReLU(0.1))


def silu_conv(channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Return the layer of ELAN as YOLOv7 has it: convolution, batch normalisation, SiLU."""
    return Conv(channels, out_channels, kernel, stride)


class Branched(nn.Module):
    """A layer with ways around its blocks.

    Attributes:
        stop: "identity" or "block" detaches what those ways, or the blocks, start from: their own
            layers go on learning, but hand no gradient to the layers before. None lets both pass.
    """

    def __init__(self, stop: str | None = None) -> None:
        super().__init__()
        _check_stop(stop)
        self.stop = stop

    def identity_input(self, x: torch.Tensor) -> torch.Tensor:
        """Return what an identity starts from."""
        return x.detach() if self.stop == "identity" else x

    def block_input(self, x: torch.Tensor) -> torch.Tensor:
        """Return what a block starts from."""
        return x.detach() if self.stop == "block" else x


def set_gradient_stop(model: nn.Module, stop: str | None) -> int:
    """Stop the gradient on the identities or on the blocks of every layer that has both.

    Takes effect from the next forward pass; outputs do not change, only gradients.

    Returns:
        How many layers were set; 0 means that this model has none of these layers.

    Raises:
        InputError: neither "identity" nor "block" nor None.
    """
    _check_stop(stop)
    layers = [module for module in model.modules() if isinstance(module, Branched)]
    for layer in layers:
        layer.stop = stop
    return len(layers)


class Residual(Branched):
    """y = block(x) + x, with stochastic depth on the block.

    Args:
        block: keeps the shape (B, C, H, W).
        stop: see `Branched`.
    """

    def __init__(self, block: nn.Module, stop: str | None = None) -> None:
        super().__init__(stop)
        self.block = block
        self.drop_path = DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to the shape that the block returns."""
        y = self.drop_path(self.block(self.block_input(x)))
        return y + self.carried(self.identity_input(x))

    def carried(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the identity adds."""
        return x


class MaskedResidual(Residual):
    """y = block(x) + mask * x: the identity carries part of the channels only (PRN).

    As in Darknet the channels that pass are the first ones. The mask is no weight: a network has
    the same parameters, and the same state dict, with masked residuals as with ordinary ones.

    Args:
        block: keeps the shape (B, C, H, W).
        channels: C.
        fraction: of the channels that are masked, in [0, 1]; the paper's experiments mask half.
        stop: see `Branched`.

    Raises:
        InputError: the fraction is out of range.
    """

    mask: torch.Tensor

    def __init__(
        self, block: nn.Module, channels: int, fraction: float = 0.5, stop: str | None = None
    ) -> None:
        super().__init__(block, stop)
        if not 0 <= fraction <= 1:
            raise InputError(f"mask={fraction}: must be in [0, 1]")
        mask = torch.ones(1, channels, 1, 1)
        mask[:, channels - round(channels * fraction) :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def carried(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with the masked channels at zero."""
        return x * self.mask


class AsymmetricResidual(Residual):
    """y = block(x) + x where the block changes the number of channels, without a transition (PRN).

    The identity carries the channels that both sides have, counted from the first; the missing
    ones count as masked.

    Args:
        block: from any number of channels to another, of the same height and width.
        channels: of its output.
        stop: see `Branched`.
    """

    def __init__(self, block: nn.Module, channels: int, stop: str | None = None) -> None:
        super().__init__(block, stop)
        self.channels = channels

    def carried(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input cut off after, or filled up with zeros to, the output's channels."""
        return fit_channels(x, self.channels)


def fit_channels(x: torch.Tensor, channels: int) -> torch.Tensor:
    """Cut (B, C, H, W) off after `channels`, or fill it up with channels of zeros."""
    missing = channels - x.shape[1]
    return functional.pad(x, (0, 0, 0, 0, 0, missing)) if missing > 0 else x[:, :channels]


def _check_stop(stop: str | None) -> None:
    if stop is not None and stop not in STOPS:
        raise InputError(f"stop={stop}: must be one of {', '.join(STOPS)}")
