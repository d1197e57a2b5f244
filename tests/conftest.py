"""Fixtures for tests that train: a data set and a trainer that remembers what it saw."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from survival.data import write_boxes, write_set

# Before anything imports Ultralytics, as progressive.machine.stay_offline does for a run.
os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", NO_ALBUMENTATIONS_UPDATE="1")

# Workers of pytest-xdist share the cores: trainings that get in each other's way take far longer.
if (_worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    _cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_cores[int(_worker.removeprefix("gw")) % len(_cores)]})

#: Grey levels of the images of `flat_data`, far enough apart that a blend of two is neither.
LEVELS = tuple(range(5, 255, 20))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """12 training and 4 validation images of 96x96 px: a bright box on noise."""
    return write_boxes(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def flat_data(tmp_path_factory) -> Path:
    """Images of one grey level each, so that any blend or photometric change can be counted."""
    import numpy as np

    images = [np.full((64, 64, 3), level, np.uint8) for level in LEVELS]
    return write_set(tmp_path_factory.mktemp("flat"), {"train": images, "val": images[:2]})
