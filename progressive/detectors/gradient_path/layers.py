"""Layers designed by where a gradient comes from and how long its path is (arXiv 2211.04800).

Each has two paths: a long one, the *block*, and a short one around it, the *identity*. The gradient
can be stopped on either of them, for the paper's experiment and for `progressive.gradients`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import DropPath
from torch import nn
from torch.nn import functional
from ultralytics.nn.modules.conv import Conv

from progressive.errors import InputError

#: The two paths on which the gradient can be stopped.
STOPS = ("identity", "block")

#: A function that makes a convolution from input channels, output channels, kernel size and stride.
MakeConv = Callable[..., nn.Module]


def leaky_conv(channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Return the layer of the Darknet designs: convolution, batch normalisation, leaky ReLU."""
    return Conv(channels, out_channels, kernel, stride, act=nn.LeakyReLU(0.1))


def silu_conv(channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Return the layer of ELAN as YOLOv7 has it: convolution, batch normalisation, SiLU."""
    return Conv(channels, out_channels, kernel, stride)


class Branched(nn.Module):
    """A layer with identities around its blocks.

    Args:
        stop: initial value of the attribute.

    Attributes:
        stop: "identity" or "block" detaches the input of all identities or of all blocks. Their own
            layers still learn, but pass no gradient to earlier layers. None stops nothing.

    Raises:
        InputError: `stop` is neither "identity" nor "block" nor None.
    """

    def __init__(self, stop: str | None = None) -> None:
        super().__init__()
        _check_stop(stop)
        self.stop = stop

    def identity_input(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of an identity."""
        return x.detach() if self.stop == "identity" else x

    def block_input(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of a block."""
        return x.detach() if self.stop == "block" else x


def set_gradient_stop(model: nn.Module, stop: str | None) -> int:
    """Stop the gradient on the identities or on the blocks of every `Branched` layer.

    Takes effect from the next forward pass. It changes gradients, but not outputs.

    Args:
        model: any module tree.
        stop: "identity", "block", or None to stop nothing.

    Returns:
        How many layers were set. 0 means that the model has no such layer.

    Raises:
        InputError: `stop` is neither "identity" nor "block" nor None.
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
        """Map (B, C, H, W) to the shape of the block's output."""
        y = self.drop_path(self.block(self.block_input(x)))
        return y + self.carried(self.identity_input(x))

    def carried(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the identity adds to the output of the block."""
        return x


class MaskedResidual(Residual):
    """y = block(x) + mask * x: the identity carries only a part of the channels (PRN).

    As in Darknet, these are the first channels. The mask is not a weight: with masked residuals, a
    network has the same parameters and the same state dict as with ordinary ones.

    Args:
        block: keeps the shape (B, C, H, W).
        channels: C.
        fraction: fraction of the channels that are masked, in [0, 1]; half in the paper.
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
        """Return the input with zeros in the masked channels."""
        return x * self.mask


class AsymmetricResidual(Residual):
    """y = block(x) + x for a block that changes the number of channels, without transition (PRN).

    The identity carries the first channels, as many as both input and output have. The others count
    as masked.

    Args:
        block: changes the number of channels, but neither height nor width.
        channels: channels of its output.
        stop: see `Branched`.
    """

    def __init__(self, block: nn.Module, channels: int, stop: str | None = None) -> None:
        super().__init__(block, stop)
        self.channels = channels

    def carried(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with the output's number of channels; see `fit_channels`."""
        return fit_channels(x, self.channels)


def fit_channels(x: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the first channels of a (B, C, H, W) map; if it has too few, zeros follow."""
    missing = channels - x.shape[1]
    return functional.pad(x, (0, 0, 0, 0, 0, missing)) if missing > 0 else x[:, :channels]


def _check_stop(stop: str | None) -> None:
    """Raise InputError unless `stop` is one of `STOPS` or None."""
    if stop is not None and stop not in STOPS:
        raise InputError(f"stop={stop}: must be one of {', '.join(STOPS)}")
