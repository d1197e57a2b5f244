"""A gradient-path design as the backbone of a detector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from ultralytics.nn import tasks

from progressive.detectors.backbones import taken_channels
from progressive.detectors.gradient_path.designs import build_features


class GradientPathBackbone(nn.Module):
    """A gradient-path design as the backbone of a detector.

    Images are not normalised, as in the published networks. Channel dropout is applied to the
    feature maps before the neck. Its rate, and that of stochastic depth in the designs with
    residual layers, is 0 until `progressive.regularize` sets it.

    The arguments are those of a layer in a model yaml.

    Args:
        design: as in `build_features`.
        width: as in `build_features`.
        depth: as in `build_features`.
        variant: as in `build_features`.
        images: channels of the images, as in `TimmBackbone`.

    Attributes:
        image_channels: as in `TimmBackbone`.
        channels: channels of the three maps.

    Raises:
        InputError: as in `build_features`.
    """

    image_channels = 3  # of a checkpoint from before there were others

    def __init__(
        self,
        design: str,
        width: float = 1.0,
        depth: float = 1.0,
        variant: float | str | None = None,
        images: int | Sequence[int] = 3,
    ) -> None:
        super().__init__()
        self.image_channels = taken_channels(images)
        self.body = build_features(design, width, depth, variant, self.image_channels)
        self.channels = self.body.channels
        self.channel_dropout = nn.Dropout2d(p=0.0)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Extract features.

        Args:
            images: (B, C, H, W) in 0..1, RGB if C is 3, H and W multiples of 32. (B, 1, H, W) is a
                grey image, which is expanded to three channels.

        Returns:
            Feature maps (B, C, H/s, W/s) for s = 8, 16, 32.
        """
        maps = self.body(images.expand(-1, self.image_channels, -1, -1))
        return [self.channel_dropout(one) for one in maps]


# The model parser finds classes in the globals of its own module; there is no other registry.
tasks.GradientPathBackbone = GradientPathBackbone
