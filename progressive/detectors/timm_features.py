"""Build timm models that return feature maps at strides 8, 16 and 32."""

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

#: Rate of stochastic depth that models are built with, because timm leaves these layers out if the
#: rate is 0. Dividing by it later gives exact depth fractions, because it is a power of two.
BUILT_DROP_PATH = 0.5

#: Height and width in pixels of the image that each model is tried on. It is not square, and no
#: model is made for this size only.
_TRIAL = (64, 96)

#: Models that refuse multipliers, because they pass their own to one of these functions of timm.
#: The functions are private, so a test compares their results with timm's b1 to b7.
_FAMILIES: Mapping[str, Callable[..., nn.Module]] = {
    "tf_efficientnet_b0": _gen_efficientnet,
    "tf_efficientnet_lite0": _gen_efficientnet_lite,
}

#: Options that every tf_* model passes to these functions.
_TENSORFLOW = {"bn_eps": 1e-3, "pad_type": "same"}


@dataclass(frozen=True)
class Features:
    """How to build a model that returns its maps at strides 8, 16 and 32 only.

    Attributes:
        model: name of the timm model.
        options: arguments for building it.
        channels: channels of the three maps.
        channels_by_stride: channels of all its maps, by stride.
    """

    model: str
    options: Mapping[str, Any]
    channels: tuple[int, int, int]
    channels_by_stride: Mapping[int, int]

    def build(self, images: int = 3) -> nn.Module:
        """Build the model with random weights, for images of so many channels."""
        options = self.options if images == 3 else {**self.options, "in_chans": images}
        return _create(self.model, **options)


@cache
def find_features(model: str, *multipliers: tuple[str, float]) -> Features:
    """Find out how to build a model.

    Tries it on the meta device, which needs no storage and no random numbers.

    Args:
        model: name of a timm model, with or without the tag of its weights.
        *multipliers: ("channel_multiplier", x) or ("depth_multiplier", x), or both.

    Raises:
        InputError: timm does not know the model, it has no maps at strides 8, 16 and 32, or it
            accepts images of certain sizes only.
    """
    check_timm_name(model)
    with torch.device("meta"):
        body, options = _first_accepted(model, dict(multipliers))
        if isinstance(body, FeatureHookNet) or getattr(body, "output_fmt", "NCHW") != "NCHW":
            # These models use hooks, which checkpoint.py would refuse because they are not layers,
            # or return maps with the channels last. Neither happens with a getter.
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
    """Build the features of a model, also if its own function refuses multipliers."""
    if model in _FAMILIES and {"channel_multiplier", "depth_multiplier"} & options.keys():
        return _FAMILIES[model](model, features_only=True, **_TENSORFLOW, **options)
    return timm.create_model(model, features_only=True, **options)


def _first_accepted(
    model: str, multipliers: Mapping[str, float]
) -> tuple[nn.Module, dict[str, Any]]:
    """Build a model with stochastic depth; without it in families such as VGG that have none.

    Returns:
        The model, and the options that it was built with.
    """
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
    """Check the shapes of a model's maps.

    Args:
        body: the model, on the meta device.
        model: its name, for messages.
        maps: position in the output and number of channels of each map, by stride.

    Raises:
        InputError: the model does not accept the image, or a map has another shape.
    """
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
    """Return the first line of an error message; the type of the error if there is none."""
    return str(error).partition("\n")[0] or type(error).__name__
