"""Detectors: any backbone here under the neck and head of any Ultralytics detection model.

The names load on first use, so that importing this package, or its `catalog`, stays free of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progressive.detectors.backbones import TimmBackbone
    from progressive.detectors.build import build_detector
    from progressive.detectors.catalog import BACKBONES, HEADS
    from progressive.detectors.classifier import build_classifier
    from progressive.detectors.weights import WeightsError

__all__ = [
    "BACKBONES",
    "HEADS",
    "TimmBackbone",
    "WeightsError",
    "build_classifier",
    "build_detector",
]

_HOME = {
    "BACKBONES": "catalog",
    "HEADS": "catalog",
    "TimmBackbone": "backbones",
    "WeightsError": "weights",
    "build_classifier": "classifier",
    "build_detector": "build",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
