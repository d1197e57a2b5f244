"""Build the backbone of a model yaml on its own, without giving it any storage.

Importing this module registers every backbone class with Ultralytics' model parser.
"""

from __future__ import annotations

from typing import Any

import torch

from progressive.detectors.backbones import TimmBackbone
from progressive.detectors.catalog import BackboneLayer
from progressive.detectors.gradient_path.backbone import GradientPathBackbone

CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (TimmBackbone, GradientPathBackbone)}


def build_on_meta(layer: BackboneLayer) -> Any:
    """Build a backbone on the meta device: shapes, but no numbers.

    Raises:
        InputError: the backbone cannot be built.
    """
    with torch.device("meta"):
        return CLASSES[layer.module](*layer.args)


def layer_channels(layer: BackboneLayer) -> tuple[int, int, int]:
    """Return the channels at strides 8, 16 and 32 of a backbone.

    Raises:
        InputError: the backbone cannot be built.
    """
    return build_on_meta(layer).channels
