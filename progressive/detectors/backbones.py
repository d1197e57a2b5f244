"""A timm model as one layer of an Ultralytics model.

It takes images and returns feature maps at strides 8, 16 and 32. Importing this module registers
the class with Ultralytics' model parser. A checkpoint contains the name of this module, so loading
one imports it. That is why `ultralytics.YOLO("best.pt")` works as for Ultralytics' own models, for
further training and export too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import DropPath
from torch import nn
from ultralytics.nn import tasks

from progressive.detectors.batch_norm import keep_batch_norm
from progressive.detectors.timm_features import BUILT_DROP_PATH, find_features


class TimmBackbone(nn.Module):
    """A timm model as the backbone of a detector.

    Ultralytics passes RGB images in 0..1. timm's weights expect images that are normalised with the
    mean and standard deviation in their own configuration (0.5 for some EfficientNetV2, ImageNet's
    for others). So the images are normalised here. Channel dropout is applied to the feature maps
    before the neck. Its rate and that of stochastic depth are 0 until `progressive.regularize` sets
    them.

    The arguments are those of a layer in a model yaml. Weights are never loaded here.

    Args:
        model: name of a timm model that has feature maps at strides 8, 16 and 32.
        channel_multiplier: passed to timm unless None.
        depth_multiplier: passed to timm unless None.
        images: channels of the images, a number or, from Ultralytics' model parser, a list of one.

    Attributes:
        image_channels: what the first layer takes: 3 for grey images too, else those of the images.
        channels: channels of the three maps.
        channels_by_stride: channels of all maps that the model can return, by stride.

    Raises:
        InputError: timm does not know the model, or it cannot be used here; see `find_features`.
    """

    image_channels = 3  # of a checkpoint from before there were others
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        model: str,
        channel_multiplier: float | None = None,
        depth_multiplier: float | None = None,
        images: int | Sequence[int] = 3,
    ) -> None:
        super().__init__()
        self.image_channels = taken_channels(images)
        given = {"channel_multiplier": channel_multiplier, "depth_multiplier": depth_multiplier}
        features = find_features(model, *((k, v) for k, v in given.items() if v is not None))
        self.channels = features.channels
        self.channels_by_stride = dict(features.channels_by_stride)
        self.body = features.build(self.image_channels)
        keep_batch_norm(self.body)
        for layer in self.body.modules():
            if isinstance(layer, DropPath):
                layer.depth_fraction = layer.drop_prob / BUILT_DROP_PATH
                layer.drop_prob = 0.0
        config: Any = self.body.pretrained_cfg
        for name in ("mean", "std"):
            # As timm repeats the weights of the first layer for more channels.
            values = [config[name][i % 3] for i in range(self.image_channels)]
            value = torch.tensor(values).view(1, -1, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.channel_dropout = nn.Dropout2d(p=0.0)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Extract features.

        Args:
            images: (B, C, H, W) in 0..1, RGB if C is 3, H and W multiples of 32. (B, 1, H, W) is a
                grey image; subtracting the mean expands it to three channels.

        Returns:
            Feature maps (B, C, H/s, W/s) for s = 8, 16, 32.
        """
        features = self.body((images - self.mean) / self.std)
        return [self.channel_dropout(feature) for feature in features]


def taken_channels(images: int | Sequence[int]) -> int:
    """Return how many channels the first layer of a backbone takes; grey images are expanded."""
    channels = images if isinstance(images, int) else images[0]
    return 3 if channels == 1 else channels


# The model parser finds classes in the globals of its own module; there is no other registry.
tasks.TimmBackbone = TimmBackbone
