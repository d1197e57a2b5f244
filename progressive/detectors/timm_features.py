"""Ask timm for a model's feature maps at strides 8, 16 and 32, each family in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from timm.models import FeatureHookNet
from timm.models.efficientnet import _gen_efficientnet, _gen_efficientnet_lite
from torch import nn

from progressive.detectors.catalog import STRIDES
from progressive.detectors.timm_names import check_timm_name
from progressive.errors import InputError

#: Rate of stochastic depth that models are built with, as timm makes no such layers for a rate
#: of 0. A power of two leaves the depth fractions exact when divided out again.
BUILT_DROP_PATH = 0.5

# Height and width, in pixels, of the images on which a model has to show what it hands out: not
# square, and no size that a model could be made for.
_TRIAL = (64, 96)

# Models that give their multipliers to a function of their family themselves and so refuse ours.
# The function is timm's own and private; its results are tested against timm's b1 to b7.
_FAMILIES: Mapping[str, Callable[..., nn.Module]] = {
    "tf_efficientnet_b0": _gen_efficientnet,
    "tf_efficientnet_lite0": _gen_efficientnet_lite,
}
# What every tf_* model sets before it calls that function.
_TENSORFLOW = {"bn_eps": 1e-3, "pad_type": "same"}


@dataclass(frozen=True)
class Features:
    """How to build a model so that it returns its maps at strides 8, 16 and 32, and no others.

    Attributes:
        model: name of the timm model.
        options: arguments to build it with.
        channels: channels of the three maps.
        channels_by_stride: channels of all the maps it has, by stride.
    """

    model: str
    options: Mapping[str, Any]
    channels: tuple[int, int, int]
    channels_by_stride: Mapping[int, int]

    def build(self) -> nn.Module:
        """Build the model with random weights."""
        return _create(self.model, **self.options)


@cache
def find_features(model: str, *multipliers: tuple[str, float]) -> Features:
    """Find out how to build a model, on tensors without storage and without random numbers.

    Args:
        model: name of a timm model, with or without the tag of its weights.
        multipliers: ("channel_multiplier", x) or ("depth_multiplier", x), or both.

    Raises:
        InputError: timm does not know the model, it has no maps at strides 8, 16 and 32, or it
            takes images of certain sizes only.
    """
    check_timm_name(model)
    with torch.device("meta"):
        body, options = _first_accepted(model, dict(multipliers))
        if isinstance(body, FeatureHookNet) or getattr(body, "output_fmt", "NCHW") != "NCHW":
            # Hooks are no layers, so checkpoint.py would refuse them; and maps may come with the
            # channels last. timm's other way of extraction has neither.
            options["feature_cls"] = "getter"
            body = _create(model, **options)
        info: Any = body.feature_info
        strides, channels = info.reduction(), info.channels()
        if not set(STRIDES) <= set(strides):
            raise InputError(f"{model} has features at strides {strides}; 8, 16 and 32 are needed")
        chosen = [strides.index(stride) for stride in STRIDES]
        _try_out(body, model, {strides[i]: (i, channels[i]) for i in chosen})
    options["out_indices"] = tuple(info.out_indices[i] for i in chosen)
    one, two, three = (channels[i] for i in chosen)
    by_stride = dict(zip(strides, channels, strict=True))
    return Features(model, options, (one, two, three), by_stride)


def _create(model: str, **options: Any) -> nn.Module:
    if model in _FAMILIES and {"channel_multiplier", "depth_multiplier"} & options.keys():
        return _FAMILIES[model](model, features_only=True, **_TENSORFLOW, **options)
    return timm.create_model(model, features_only=True, **options)


def _first_accepted(
    model: str, multipliers: Mapping[str, float]
) -> tuple[nn.Module, dict[str, Any]]:
    """Build with stochastic depth, or without it in families such as VGG that have none."""
    options: dict[str, Any] = {**multipliers, "drop_path_rate": BUILT_DROP_PATH}
    try:
        try:
            return _create(model, **options), options
        except TypeError as error:
            if "drop_path_rate" not in str(error):
                raise
            del options["drop_path_rate"]
            return _create(model, **options), options
    except (AssertionError, RuntimeError, TypeError) as error:
        raise InputError(f"timm has no feature maps of {model}: {_reason(error)}") from error


def _try_out(body: nn.Module, model: str, maps: Mapping[int, tuple[int, int]]) -> None:
    """Check the maps of a model: their positions in its output, and channels, by stride."""
    height, width = _TRIAL
    on = f"{model} cannot take images of any size: on {height} x {width} pixels"
    try:
        with torch.no_grad():
            outputs = body.eval()(torch.zeros(1, 3, height, width))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(f"{on} {_reason(error)}") from error
    for stride, (position, channels) in maps.items():
        shape = tuple(outputs[position].shape)
        if shape != (1, channels, height // stride, width // stride):
            raise InputError(f"{on} its map at stride {stride} is of shape {shape}")


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
