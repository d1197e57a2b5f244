"""Gradient-path designs as backbones: Darknet-53, PRN, CSPDarknet-53 and ELAN (arXiv 2211.04800).

Importing this module registers its class with Ultralytics' model parser. The layers are in
`gradient_path_layers` and `gradient_path_stages`, the networks in `gradient_path_designs`.

What the paper varies in a design is its *variant*, which `build_detector`, `build_classifier` and
`python -m progressive.gradients` (as `backbone.variant`) take:

- darknet53 has none;
- prn: the fraction of the channels whose identity is masked, 0.5 by default;
- cspdarknet53: the fusion, "csp" by default, "first" or "last";
- elan: the number of stacks in each stage, 2 by default.

    build_detector("yolov10", "n", "elan", variant=3)
"""

from __future__ import annotations

from progressive.detectors.gradient_path.backbone import GradientPathBackbone
from progressive.detectors.gradient_path.designs import (
    DESIGNS,
    Classifier,
    Features,
    build_features,
    classifier,
)
from progressive.detectors.gradient_path.layers import (
    STOPS,
    AsymmetricResidual,
    Branched,
    MaskedResidual,
    Residual,
    set_gradient_stop,
)
from progressive.detectors.gradient_path.prn import YOLOv3TinyPRN
from progressive.detectors.gradient_path.stages import FUSIONS, CSPStage, ELANStage, OSAModule

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
