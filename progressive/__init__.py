"""Progressive learning for object detectors: image size and regularisation rise together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from progressive.augment import RandAugment
    from progressive.detectors.build import build_detector
    from progressive.detectors.classifier import build_classifier
    from progressive.hosts.lightning import ProgressiveCallback as LightningCallback
    from progressive.hosts.pytorch import (
        ProgressiveBatchSampler,
        ProgressiveSampler,
        apply_schedule,
    )
    from progressive.hosts.transformers import ProgressiveCallback as TransformersCallback
    from progressive.hosts.ultralytics import ProgressiveCallback
    from progressive.schedule import ProgressiveSchedule, TrainingStage

__version__ = "0.1.0"
__all__ = [
    "LightningCallback",
    "ProgressiveBatchSampler",
    "ProgressiveCallback",
    "ProgressiveSampler",
    "ProgressiveSchedule",
    "RandAugment",
    "TrainingStage",
    "TransformersCallback",
    "apply_schedule",
    "build_classifier",
    "build_detector",
]

#: Where each name is defined, and under which name if it is another one there.
_HOME = {
    "LightningCallback": ("progressive.hosts.lightning", "ProgressiveCallback"),
    "ProgressiveBatchSampler": ("progressive.hosts.pytorch",),
    "ProgressiveCallback": ("progressive.hosts.ultralytics",),
    "ProgressiveSampler": ("progressive.hosts.pytorch",),
    "ProgressiveSchedule": ("progressive.schedule",),
    "RandAugment": ("progressive.augment",),
    "TrainingStage": ("progressive.schedule",),
    "TransformersCallback": ("progressive.hosts.transformers", "ProgressiveCallback"),
    "apply_schedule": ("progressive.hosts.pytorch",),
    "build_classifier": ("progressive.detectors.classifier",),
    "build_detector": ("progressive.detectors.build",),
}


def __getattr__(name: str) -> Any:
    # Lazily, so that `import progressive` stays light: most of these need torch.
    if name not in _HOME:
        raise AttributeError(f"module 'progressive' has no attribute {name!r}")
    module, *other = _HOME[name]
    return getattr(import_module(module), other[0] if other else name)
