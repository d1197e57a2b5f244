"""Gradient-path designs as backbones: Darknet-53, PRN, CSPDarknet-53 and ELAN (arXiv 2211.04800).

Importing this module registers `GradientPathBackbone` with Ultralytics' model parser. The layers
are in `layers` and `stages`, the networks in `designs` and `prn`.

The *variant* of a design is what the paper varies in it. It is an argument of `build_detector` and
`build_classifier`, and of `python -m progressive.gradients` (as `backbone.variant`):

- darknet53 has none;
- prn: the fraction of the channels whose identity is masked, 0.5 by default;
- cspdarknet53: the fusion, "csp" by default, "first" or "last";
- elan: the number of stacks in each stage, 2 by default.

    build_detector("yolov10", "n", "elan", variant=3)

No backbone of the catalog uses the following networks and layers. They are published too, and tests
compare the networks with the published numbers of parameters and operations.

- `classifier`: for use from Python: the image classifier of a design, to train weights that
  `backbone.weights` accepts; `Classifier` is its class.
- `YOLOv3TinyPRN`: for use from Python: the small detector that PRN was published with.
- `OSAModule`: for use from Python: one-shot aggregation, the building block of VoVNet.
- `AsymmetricResidual`: for use from Python: PRN's residual layer for blocks that change the number
  of channels.
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
