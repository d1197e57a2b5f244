"""Layers that a CPU computes slowly in bfloat16, computed another way to the same end.

Measured with PyTorch 2.14 on AVX512-BF16, forward and backward pass:

- a depthwise convolution with a stride takes 4 to 25 times as long as the same in float32;
- a pointwise convolution on a map of few pixels, as in squeeze-and-excitation and at the end of a
  backbone at small image sizes, takes up to twice as long as the matrix product that it is;
- the mean over pixels in squeeze-and-excitation gets a gradient whose channels come first, and
  adding it to the others, whose channels come last, takes as long as all the rest of the layer.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

#: Most pixels of a map, height times width, on which a matrix product is the faster one.
FEW_PIXELS = 64


class _Rerouted(nn.Module):
    """Marks a class made by `reroute_layers`; its second base is the layer's own."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy and pickle as the layer's own class, which can be imported."""
        make: Any = vars(copyreg)["_reconstructor"]  # what pickle itself makes old objects with
        return make, (type(self).__bases__[1], object, None), self.__getstate__()


class InFloat32(_Rerouted):
    """Computes a layer in float32 and gives what the layer was given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns, more exactly."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float()).to(x.dtype)


class AsMatrixProduct(_Rerouted):
    """Computes a pointwise convolution of few pixels as the linear layer that it is."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns, up to rounding."""
        if x.dim() != 4 or x.shape[2] * x.shape[3] > FEW_PIXELS:
            return super().forward(x)
        rows = x.permute(0, 2, 3, 1)  # no copy where channels come last
        return F.linear(rows, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class PooledLast(_Rerouted):
    """Computes timm's squeeze-and-excitation so that channels stay last in its gradients."""

    act1: nn.Module
    conv_expand: nn.Module
    conv_reduce: nn.Module
    gate: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns."""
        mean = x.permute(0, 2, 3, 1).mean((1, 2), keepdim=True).permute(0, 3, 1, 2)
        return x * self.gate(self.conv_expand(self.act1(self.conv_reduce(mean))))


def reroute_layers(model: nn.Module) -> Callable[[], None]:
    """Let the slow layers of `model` take the faster way; calling it again changes nothing.

    Weights, their names and hooks stay. Layers get a class derived from their own; what is copied
    or saved of them has their own.

    Returns:
        What gives all layers of the model their own class back.
    """
    for module in model.modules():
        way: Any = _way(module)
        if way is not None:
            kind: Any = type(module)
            module.__class__ = _derived(way, kind)
    return partial(_restore_layers, model)


def _restore_layers(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _Rerouted):
            module.__class__ = type(module).__bases__[1]


def _way(module: nn.Module) -> type[_Rerouted] | None:
    """Choose the faster way of a layer, None for those that have none or take it already."""
    # A model that has such a layer has imported it; others are spared the import of timm.
    blocks = sys.modules.get("timm.models._efficientnet_blocks")
    if blocks is not None and type(module) is blocks.SqueezeExcite:
        return PooledLast
    if not isinstance(module, nn.Conv2d) or isinstance(module, _Rerouted):
        return None
    strided = max(module.stride) > 1
    if strided and module.groups == module.in_channels > 1:
        return InFloat32
    # A derived layer may do more than its base, such as mask its weights.
    pointwise = module.kernel_size == (1, 1) and module.groups == 1 and not strided
    plain = type(module) is nn.Conv2d and module.padding == (0, 0)
    return AsMatrixProduct if plain and pointwise else None


@cache
def _derived(way: Any, kind: Any) -> Any:
    return type(f"{kind.__name__}{way.__name__}", (way, kind), {})
