"""Progressive learning for object detectors: image size and regularisation rise together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progressive.augment import RandAugment
    from progressive.callbacks.ultralytics import ProgressiveCallback
    from progressive.detectors.build import build_detector
    from progressive.schedule import ProgressiveSchedule, TrainingStage

__version__ = "0.1.0"
__all__ = [
    "ProgressiveCallback",
    "ProgressiveSchedule",
    "RandAugment",
    "TrainingStage",
    "build_detector",
]

_HOME = {
    "ProgressiveCallback": "progressive.callbacks.ultralytics",
    "ProgressiveSchedule": "progressive.schedule",
    "RandAugment": "progressive.augment",
    "TrainingStage": "progressive.schedule",
    "build_detector": "progressive.detectors.build",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that `import progressive` stays light: most of these need torch.
    if name not in _HOME:
        raise AttributeError(f"module 'progressive' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
