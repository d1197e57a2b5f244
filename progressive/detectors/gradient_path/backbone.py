"""A gradient-path design as the backbone of a detector."""

from __future__ import annotations

import torch
from torch import nn
from ultralytics.nn import tasks

from progressive.detectors.gradient_path.designs import build_features


class GradientPathBackbone(nn.Module):
    """A gradient-path design as the backbone of a detector.

    Images are taken as they are, in 0..1: the published networks know no other normalisation.
    Channel dropout and, in the designs with residual layers, stochastic depth are off until
    `progressive.regularize` sets their rates.

    The arguments are those of a layer in a model yaml; see `build_features` for what they mean and
    for the InputError they may raise.
    """

    def __init__(
        self,
        design: str,
        width: float = 1.0,
        depth: float = 1.0,
        variant: float | str | None = None,
    ) -> None:
        super().__init__()
        self.body = build_features(design, width, depth, variant)
        self.channels = self.body.channels
        self.channel_dropout = nn.Dropout2d(p=0.0)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Extract features.

        Args:
            images: (B, 3, H, W) RGB in 0..1, H and W multiples of 32. A single channel is taken
                for grey and becomes three.

        Returns:
            Feature maps (B, C, H/s, W/s) for s = 8, 16, 32.
        """
        maps = self.body(images.expand(-1, 3, -1, -1))
        return [self.channel_dropout(one) for one in maps]


# As for TimmBackbone: the parser resolves names in the globals of its own module.
tasks.GradientPathBackbone = GradientPathBackbone
