"""Set the rates of channel dropout and of stochastic depth in a module tree, at any time.

Both act in training mode only, and take effect from the next forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn


def set_channel_dropout(model: nn.Module, rate: float) -> int:
    """Set the probability of every `nn.Dropout2d` in `model`.

    Channel dropout zeroes whole channels of a (B, C, H, W) feature map and scales the others by
    1 / (1 - rate): neighbouring pixels of one channel carry the same information, so dropping
    single values would hardly regularise (arXiv 1411.4280). Other kinds of dropout are left alone.

    Args:
        model: any module tree, wrapped for multi-GPU or not.
        rate: probability that a channel is dropped, in [0, 1).

    Returns:
        How many layers were set; 0 means that this model has no channel dropout at all.

    Raises:
        ValueError: the rate is out of range.
    """
    return _set_dropout(model, nn.Dropout2d, rate)


def set_dropout(model: nn.Module, rate: float) -> int:
    """Set the probability of every `nn.Dropout` in `model`, such as that of a classifier's head.

    Args:
        model: any module tree; pass the head alone to leave a backbone's own dropout as it is.
        rate: probability that a value is dropped, in [0, 1).

    Returns:
        How many layers were set.

    Raises:
        ValueError: the rate is out of range.
    """
    return _set_dropout(model, nn.Dropout, rate)


def set_drop_path(model: nn.Module, rate: float) -> int:
    """Set stochastic depth: the rate of the last block; earlier blocks get a share of it.

    The rate falls linearly towards the first block, as in the paper of stochastic depth
    (arXiv 1603.09382): block i of n drops its residual branch with probability rate * i / n.

    A layer takes part if it has two numbers: `drop_prob`, which it reads in its forward pass, and
    `depth_fraction`, the i / n it was built with. The backbones of `progressive.detectors` mark
    their layers so; a DropPath without `depth_fraction` cannot be told its place and is left alone.

    Args:
        model: any module tree, wrapped for multi-GPU or not.
        rate: probability that the last block is dropped, in [0, 1).

    Returns:
        How many layers were set; 0 means that this model has no adjustable stochastic depth.

    Raises:
        ValueError: the rate is out of range.
    """
    _check_rate(rate)
    modules: Iterable[Any] = model.modules()
    layers = [m for m in modules if hasattr(m, "depth_fraction") and hasattr(m, "drop_prob")]
    for layer in layers:
        layer.drop_prob = rate * layer.depth_fraction
    return len(layers)


def rates(model: nn.Module) -> dict[str, float]:
    """Return the rates of all dropout and stochastic depth in `model`, by path of the attribute."""
    return {
        f"{name}.{attribute}": getattr(module, attribute)
        for name, module in model.named_modules()
        for attribute in ("p", "drop_prob")
        if isinstance(module, (nn.Dropout, nn.Dropout2d)) == (attribute == "p")
        and hasattr(module, attribute)
    }


def restore_rates(model: nn.Module, before: Mapping[str, float]) -> None:
    """Give each layer that `before` names the rate it had then."""
    modules = dict(model.named_modules())
    for path, rate in before.items():
        name, _, attribute = path.rpartition(".")
        if name in modules:
            setattr(modules[name], attribute, rate)


def _set_dropout(model: nn.Module, kind: type[nn.Dropout] | type[nn.Dropout2d], rate: float) -> int:
    _check_rate(rate)
    layers = [module for module in model.modules() if isinstance(module, kind)]
    for layer in layers:
        layer.p = float(rate)
    return len(layers)


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ValueError(f"rate={rate}: must be in [0, 1)")
