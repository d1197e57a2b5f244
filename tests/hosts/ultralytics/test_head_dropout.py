"""Dropout in stock models: where it sits, and that nothing else notices."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from ultralytics import YOLO

from progressive.detectors.build import build_detector
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.head_dropout import insert_head_dropout
from progressive.schedule import ProgressiveSchedule

STOCK = [
    "yolov5nu.yaml",
    "yolov8n.yaml",
    "yolov9t.yaml",
    "yolov10n.yaml",
    "yolo11n.yaml",
    "yolo12n.yaml",
    "yolo26n.yaml",
    "yolo11n-seg.yaml",
    "yolo11n-pose.yaml",
    "yolo11n-obb.yaml",
]


@pytest.mark.parametrize("name", STOCK)
def test_every_input_of_the_head_passes_dropout(name):
    model = YOLO(name.replace("nu.", "n.")).model
    names = list(model.state_dict())
    remove = insert_head_dropout(model)
    assert count(model) == 3
    insert_head_dropout(model)()  # once is enough
    assert count(model) == 3
    assert list(model.state_dict()) == names
    remove()
    assert count(model) == 0


def count(model):
    return sum(isinstance(module, nn.Dropout2d) for module in model.modules())


def test_it_drops_whole_channels_in_training_and_nothing_in_evaluation():
    model = YOLO("yolov8n.yaml").model
    images = torch.rand(2, 3, 64, 64)
    before = model.eval()(images)[0]
    insert_head_dropout(model)
    for layer in (m for m in model.modules() if isinstance(m, nn.Dropout2d)):
        layer.p = 0.5
    torch.testing.assert_close(model(images)[0], before)
    seen = []
    model.model[-1].register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))
    model.train()(images)
    for feature in seen:  # (B, C, H, W)
        dropped = (feature == 0).all(-1).all(-1).float().mean().item()
        assert 0.35 < dropped < 0.65


def test_our_own_detectors_are_left_alone():
    detector = build_detector("yolov8", "n", "efficientnetv2_b0", width=0.25, depth=0.25)
    before = count(detector.model)
    insert_head_dropout(detector.model)()
    assert count(detector.model) == before > 0


LOAD_WITHOUT_US = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "progressive":
            raise ImportError("this machine does not have the package")
sys.meta_path.insert(0, Refuse())
from torch import nn
from ultralytics import YOLO
model = YOLO(sys.argv[1])
print([m.p for m in model.model.modules() if isinstance(m, nn.Dropout2d)])
print(len(model.predict(sys.argv[2], imgsz=64, verbose=False)))
model.export(format="torchscript", imgsz=64)
"""


@pytest.mark.slow
def test_a_saved_model_needs_nothing_of_ours(tiny_data, fast, tmp_path):
    schedule = ProgressiveSchedule.linear(
        epochs=2, stages=2, image_size=(32, 64), randaugment=(1, 2), dropout=(0.1, 0.3)
    )
    model = YOLO("yolo11n.yaml")
    ProgressiveCallback(schedule).attach(model)
    model.train(data=str(tiny_data), project=str(tmp_path), name="r", **fast)
    best = tmp_path / "r" / "weights" / "best.pt"
    image = next(tiny_data.parent.glob("images/val/*.png"))
    command = [sys.executable, "-c", LOAD_WITHOUT_US, str(best), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "[0.3, 0.3, 0.3]" in lines or "[0.1, 0.1, 0.1]" in lines  # the best epoch's
    assert "1" in lines
    assert best.with_suffix(".torchscript").is_file()
