"""Gradient-path designs as backbones: Darknet-53, PRN, CSPDarknet-53 and ELAN (arXiv 2211.04800).

Importing this module registers its class with Ultralytics' model parser. The layers are in
`gradient_path_layers` and `gradient_path_stages`, the networks in `gradient_path_designs`.

What the paper varies in a design is its *variant*, which `build_detector`, `build_classifier` and
``python -m progressive.gradients`` (as ``backbone.variant``) take:

- darknet53 has none;
- prn: the fraction of the channels whose identity is masked, 0.5 by default;
- cspdarknet53: the fusion, "csp" by default, "first" or "last";
- elan: the number of stacks in each stage, 2 by default.

    build_detector("yolov10", "n", "elan", variant=3)
"""

from __future__ import annotations

import torch
from torch import nn
from ultralytics.nn import tasks

from progressive.detectors.gradient_path_designs import (
    DESIGNS,
    Classifier,
    Features,
    build_features,
)
from progressive.detectors.gradient_path_layers import (
    STOPS,
    AsymmetricResidual,
    Branched,
    MaskedResidual,
    Residual,
    set_gradient_stop,
)
from progressive.detectors.gradient_path_prn import YOLOv3TinyPRN
from progressive.detectors.gradient_path_stages import FUSIONS, CSPStage, ELANStage, OSAModule

__all__ = [
    "DESIGNS",
    "FUSIONS",
    "STOPS",
    "AsymmetricResidual",
    "Branched",
    "CSPStage",
    "Classifier",
    "ELANStage",
    "Features",
    "GradientPathBackbone",
    "MaskedResidual",
    "OSAModule",
    "Residual",
    "YOLOv3TinyPRN",
    "build_features",
    "classifier",
    "set_gradient_stop",
]


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


def classifier(
    design: str,
    classes: int = 1000,
    width: float = 1.0,
    depth: float = 1.0,
    variant: float | str | None = None,
) -> Classifier:
    """Build the image classifier of a design; arguments and errors as in `build_features`."""
    return Classifier(build_features(design, width, depth, variant), classes)


# As for TimmBackbone: the parser resolves names in the globals of its own module.
tasks.GradientPathBackbone = GradientPathBackbone
