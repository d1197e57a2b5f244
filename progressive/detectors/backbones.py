"""Backbones as one layer of an Ultralytics model: images in, feature maps at strides 8, 16, 32 out.

Importing this module registers its classes with Ultralytics' model parser. A checkpoint names the
class by its module, so unpickling one imports this file: `ultralytics.YOLO("best.pt")` works as
it does for Ultralytics' own models, also to train on or to export.
"""

from __future__ import annotations

from functools import cache

import timm
import torch
from timm.layers import DropPath
from torch import nn
from ultralytics.nn import tasks

from progressive.detectors.catalog import STRIDES, BackboneLayer

# timm builds DropPath layers only for a rate above 0. A power of two leaves the depth fractions
# exact when divided out again.
_BUILT_DROP_PATH = 0.5


class TimmBackbone(nn.Module):
    """A timm model as the backbone of a detector.

    Ultralytics feeds RGB in 0..1, timm's weights expect it normalised with the mean and standard
    deviation of their own configuration (0.5 for some EfficientNetV2, ImageNet's for others), so
    the normalisation happens in here. The feature maps pass channel dropout on their way to the
    neck; it and stochastic depth are off until `progressive.regularize` sets their rates.

    The arguments are those of a layer in a model yaml. Building never loads weights.

    Args:
        model: name of a timm model that supports `features_only`.
        channel_multiplier: passed on to timm when given.
        depth_multiplier: passed on to timm when given.

    Raises:
        ValueError: timm does not know the model, or it has no features at strides 8, 16 and 32.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        model: str,
        channel_multiplier: float | None = None,
        depth_multiplier: float | None = None,
    ) -> None:
        super().__init__()
        given = {"channel_multiplier": channel_multiplier, "depth_multiplier": depth_multiplier}
        multipliers = {name: value for name, value in given.items() if value is not None}
        indices, self.channels = _feature_maps(model, *multipliers.items())
        self.body = timm.create_model(
            model,
            features_only=True,
            out_indices=indices,
            drop_path_rate=_BUILT_DROP_PATH,
            **multipliers,
        )
        for layer in self.body.modules():
            if isinstance(layer, DropPath):
                layer.depth_fraction = layer.drop_prob / _BUILT_DROP_PATH
                layer.drop_prob = 0.0
        config = self.body.pretrained_cfg
        for name in ("mean", "std"):
            value = torch.tensor(config[name]).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.channel_dropout = nn.Dropout2d(p=0.0)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Extract features.

        Args:
            images: (B, 3, H, W) RGB in 0..1, H and W multiples of 32. A single channel is taken
                for grey and becomes three, since the mean has three.

        Returns:
            Feature maps (B, C, H/s, W/s) for s = 8, 16, 32.
        """
        features = self.body((images - self.mean) / self.std)
        return [self.channel_dropout(feature) for feature in features]


def layer_channels(layer: BackboneLayer) -> tuple[int, int, int]:
    """Return the channels at strides 8, 16 and 32 of a backbone, without giving it any storage.

    Raises:
        ValueError: the backbone cannot be built.
    """
    with torch.device("meta"):
        return getattr(tasks, layer.module)(*layer.args).channels


@cache
def _feature_maps(
    model: str, *multipliers: tuple[str, float]
) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Find timm's indices, and the channels, of the features at strides 8, 16 and 32."""
    if not timm.is_model(model):
        raise ValueError(f"timm has no model {model!r}")
    with torch.device("meta"):  # shapes only: no memory, no random numbers
        info = timm.create_model(model, features_only=True, **dict(multipliers)).feature_info
    reductions, channels = info.reduction(), info.channels()
    if not set(STRIDES) <= set(reductions):
        raise ValueError(f"{model} has features at strides {reductions}; 8, 16 and 32 are needed")
    indices = tuple(reductions.index(stride) for stride in STRIDES)
    return indices, (channels[indices[0]], channels[indices[1]], channels[indices[2]])


# The parser resolves names in the globals of its own module and offers no other registry.
tasks.TimmBackbone = TimmBackbone
