"""Set the rates of dropout and stochastic depth in a module tree, at any time.

A new rate takes effect from the next forward pass. Dropout and stochastic depth act in training
mode only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn


def set_channel_dropout(model: nn.Module, rate: float) -> int:
    """Set the probability of every `nn.Dropout2d` in `model`.

    Channel dropout zeroes whole channels of a (B, C, H, W) feature map and scales the others by
    1 / (1 - rate). Neighbouring pixels of a channel carry the same information, so dropping single
    values would hardly regularise (arXiv 1411.4280). Other kinds of dropout do not change.

    Args:
        model: any module tree, wrapped for multi-GPU or not.
        rate: probability that a channel is dropped, in [0, 1).

    Returns:
        How many layers were set. 0 means that the model has no channel dropout.

    Raises:
        ValueError: the rate is out of range.
    """
    return _set_dropout(model, nn.Dropout2d, rate)


def set_dropout(model: nn.Module, rate: float) -> int:
    """Set the probability of every `nn.Dropout` in `model`, as in the head of a classifier.

    Args:
        model: any module tree. Pass only the head to keep the backbone's own dropout as it is.
        rate: probability that a value is dropped, in [0, 1).

    Returns:
        How many layers were set.

    Raises:
        ValueError: the rate is out of range.
    """
    return _set_dropout(model, nn.Dropout, rate)


def set_drop_path(model: nn.Module, rate: float) -> int:
    """Set the rate of stochastic depth: `rate` for the last block, less for earlier blocks.

    The rate falls linearly towards the first block, as in the paper on stochastic depth
    (arXiv 1603.09382): block i of n drops its residual branch with probability rate * i / n.

    A layer is set if it has two attributes: `drop_prob`, which it reads in its forward pass, and
    `depth_fraction`, its i / n. The layers of the backbones in `progressive.detectors` have both. A
    DropPath layer without `depth_fraction` does not change, because its i / n is unknown.

    Args:
        model: any module tree, wrapped for multi-GPU or not.
        rate: probability that the last block is dropped, in [0, 1).

    Returns:
        How many layers were set. 0 means that the model has no adjustable stochastic depth.

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
    """Return the rates of all dropout and stochastic depth in `model`, for `restore_rates`.

    Returns:
        The rates by the full name of the attribute, such as 'model.0.channel_dropout.p'.
    """
    found: dict[str, float] = {}
    for name, module in model.named_modules():
        attribute = "p" if isinstance(module, (nn.Dropout, nn.Dropout2d)) else "drop_prob"
        if hasattr(module, attribute):
            found[f"{name}.{attribute}"] = getattr(module, attribute)
    return found


def restore_rates(model: nn.Module, before: Mapping[str, float]) -> None:
    """Set the rates of `model` back to those that `rates` returned. Unknown layers are skipped."""
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
