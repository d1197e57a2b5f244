"""No test here may reach for the network, install a package or leave a file behind."""

from __future__ import annotations

import os

# Read when Ultralytics is imported, so before any test module of this folder.
os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "0")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
