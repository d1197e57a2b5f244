"""Data augmentation whose strength a schedule can raise, for images with boxes."""

from __future__ import annotations

import os

# When imported, Albumentations asks a server for its newest version. Prevent it: training may run
# without a network, and a library must not tell anyone that it was started.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from progressive.augment.randaugment import RandAugment

__all__ = ["RandAugment"]
