"""Who may import whom: the rules that keep planning light and each part testable alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "ultralytics", "timm", "albumentations", "cv2", "sklearn", "numpy"}
HYDRA = {"hydra", "omegaconf"}


def imported(module):
    """Return the top-level packages in ``sys.modules`` after importing ``module`` afresh."""
    code = f"import {module}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("progressive", HEAVY | HYDRA),
        ("progressive.schedule", HEAVY | HYDRA | {"yaml"}),
        ("progressive.cost", HEAVY | HYDRA | {"yaml"}),
        ("progressive.runs.records", HEAVY | HYDRA | {"yaml"}),
        ("progressive.config.model", HEAVY | HYDRA),
        ("progressive.config.command_line", HEAVY),
        ("progressive.runs.report", {"torch", "ultralytics", "timm", "hydra"}),
        ("progressive.data", HEAVY | HYDRA),
        ("progressive.detectors", HEAVY | HYDRA),
        ("progressive.augment", {"ultralytics", "timm"} | HYDRA),
        ("progressive.regularize", {"ultralytics", "timm", "albumentations"} | HYDRA),
        ("progressive.hosts.ultralytics.callback", HYDRA),
        ("progressive.hosts.pytorch", {"ultralytics", "timm", "transformers"} | HYDRA),
        ("progressive.hosts.transformers", {"ultralytics", "timm"} | HYDRA),
    ],
)
def test_imports(module, forbidden):
    assert not imported(module) & forbidden


def test_public_names_are_there():
    import progressive

    other = dict.fromkeys(("LightningCallback", "TransformersCallback"), "ProgressiveCallback")
    for name in progressive.__all__:
        assert getattr(progressive, name).__name__ == other.get(name, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = progressive.nonsense


def test_importing_the_package_takes_no_time():
    code = (
        "import time; t = time.perf_counter(); import progressive; print(time.perf_counter() - t)"
    )
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        times.append(float(done.stdout))
        time.sleep(0.05)
    assert min(times) < 0.2
