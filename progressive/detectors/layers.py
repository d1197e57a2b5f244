"""Build only the backbone of a model yaml, without storage for its weights.

Importing this module registers all backbone classes with Ultralytics' model parser.
"""

from __future__ import annotations

from typing import Any

import torch

from progressive.detectors.backbones import TimmBackbone
from progressive.detectors.catalog import BackboneLayer
from progressive.detectors.gradient_path.backbone import GradientPathBackbone

#: The backbone classes by name.
CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (TimmBackbone, GradientPathBackbone)}


def build_on_meta(layer: BackboneLayer) -> Any:
    """Build a backbone on the meta device: its tensors have shapes, but no values.

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
