"""Ultralytics saves, loads, trains, launches on GPUs and exports our detectors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import dist

from progressive.detectors import build_detector, catalog

ROOT = Path(catalog.__file__).parents[2]
TRAIN = {
    **{"epochs": 1, "imgsz": 64, "batch": 2, "device": "cpu", "workers": 0, "seed": 0},
    **{"plots": False, "verbose": False, "amp": False, "optimizer": "SGD", "lr0": 0.001},
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def detector() -> YOLO:
    built = build_detector("yolov10", "n", width=0.5, depth=0.5, classes=["thing"], seed=0)
    for (
        module
    ) in built.model.modules():  # as after training, so that saving in half precision matters
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    return built


@pytest.fixture
def data(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for i in range(2):
            pixels = random.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "images" / split / f"{i}.png"), pixels)
            (tmp_path / "labels" / split / f"{i}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    file = tmp_path / "data.yaml"
    file.write_text(f"path: {tmp_path}\ntrain: images/train\nval: images/val\nnames: [thing]\n")
    return file


def fresh_process(*arguments: str) -> str:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_saved_detector_loads_with_ultralytics_alone(detector):
    detector.save("saved.pt")
    code = (
        "import numpy, torch\n"
        "from ultralytics import YOLO\n"
        "detector = YOLO('saved.pt')\n"
        "found = detector.predict(numpy.zeros((96, 64, 3), numpy.uint8), imgsz=64, verbose=False)\n"
        "with torch.no_grad():\n"
        "    torch.save(detector.model(torch.ones(1, 3, 64, 64) / 2)[0], 'out.pt')\n"
        "print(detector.names, found[0].orig_shape)\n"
    )
    assert fresh_process("-c", code).strip() == "{0: 'thing'} (96, 64)"
    rounded = deepcopy(detector.model).half().float().eval()
    with torch.no_grad():
        expected = rounded(torch.ones(1, 3, 64, 64) / 2)[0]
    torch.testing.assert_close(torch.load("out.pt"), expected)


@pytest.mark.slow
def test_training_starts_from_exactly_these_weights_and_goes_on_from_its_checkpoint(
    detector, data, tmp_path
):
    before = {key: value.clone() for key, value in detector.model.state_dict().items()}
    at_start: dict[str, torch.Tensor] = {}

    def note(trainer: DetectionTrainer) -> None:
        at_start.update({k: v.clone() for k, v in trainer.model.state_dict().items()})

    detector.add_callback("on_train_start", note)
    detector.train(data=str(data), project=str(tmp_path), **TRAIN)
    assert at_start.keys() == before.keys()
    assert all(torch.equal(at_start[key], before[key]) for key in before)

    trained = YOLO(detector.trainer.best)
    after = trained.model.model[0].body.conv_stem.weight
    assert not torch.equal(after, before["model.0.body.conv_stem.weight"])
    quiet = {"project": str(tmp_path), "plots": False, "verbose": False}
    assert trained.val(data=str(data), imgsz=64, **quiet).box.nc == 1
    trained.add_callback("on_train_start", note)
    trained.train(data=str(data), project=str(tmp_path), **TRAIN)
    assert torch.equal(at_start["model.0.body.conv_stem.weight"], after)


@pytest.mark.slow
def test_launch_on_several_gpus_hands_the_model_over(detector, data, tmp_path, monkeypatch):
    """Run the script that Ultralytics starts on every GPU, but as one process on the CPU."""
    monkeypatch.setattr(dist, "USER_CONFIG_DIR", tmp_path)
    trainer = DetectionTrainer(
        overrides={**detector.overrides, **TRAIN, "data": str(data), "project": str(tmp_path)}
    )
    trainer.model = trainer.get_model(cfg=detector.model.yaml, weights=detector.model)
    shutil.rmtree(trainer.save_dir)
    fresh_process(dist.generate_ddp_file(trainer))
    assert YOLO(trainer.last).model.model[0].channels == (24, 56, 96)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the head compares shapes
def test_onnx_agrees_with_torch_at_the_size_of_export_and_another(detector):
    file = detector.export(format="onnx", imgsz=64, dynamic=True, simplify=False)
    assert Path(file).name == "yolov10n-efficientnetv2_b0.onnx"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    for height, width, cells in ((64, 64, 84), (96, 160, 315)):
        images = torch.rand(1, 3, height, width, generator=random)
        with torch.no_grad():
            expected = detector.model.eval()(images)[0]
        (got,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert got.shape == (1, 5, cells)
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-3, atol=1e-3)
