"""Detectors: any backbone of the catalog with the neck and head of any Ultralytics detector.

The names are imported on first use, so importing this package or its `catalog` does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progressive.detectors.backbones import TimmBackbone
    from progressive.detectors.build import build_detector
    from progressive.detectors.catalog import BACKBONES, HEADS
    from progressive.detectors.classifier import build_classifier
    from progressive.errors import WeightsError

__all__ = [
    "BACKBONES",
    "HEADS",
    "TimmBackbone",
    "WeightsError",
    "build_classifier",
    "build_detector",
]

#: The module in which each name is defined.
_HOME = {
    "BACKBONES": "progressive.detectors.catalog",
    "HEADS": "progressive.detectors.catalog",
    "TimmBackbone": "progressive.detectors.backbones",
    "WeightsError": "progressive.errors",
    "build_classifier": "progressive.detectors.classifier",
    "build_detector": "progressive.detectors.build",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
