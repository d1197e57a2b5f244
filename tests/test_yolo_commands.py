"""Ultralytics' own `yolo` command takes our checkpoints wherever this package is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import ultralytics

from progressive.config.command_line import compose_config
from progressive.run import run

YOLO = Path(sys.executable).with_name("yolo")


@pytest.fixture(scope="module")
def best(tiny_data, tmp_path_factory):
    """The best weights of a run at 32 and 96 px, with a backbone of ours."""
    folder = tmp_path_factory.mktemp("run") / "run"
    small = ("head=yolov8n", "backbone.width=0.25", "backbone.depth=0.25", "train.plots=false")
    sizes = ("device=cpu", "stages=2", "epochs=2", "size.min=32", "size.max=96", "batch=4")
    run(compose_config([*small, *sizes, f"data={tiny_data}", f"output={folder}"]))
    return folder / "weights" / "best.pt"


def yolo(folder, *arguments):
    # A folder for its settings, so that they are not the user's.
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [str(YOLO), *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not YOLO.is_file(), reason="Ultralytics' command is not beside this Python")
def test_predict_val_and_export_at_the_final_size(best, tiny_data, tmp_path):
    images = tiny_data.parent / "images" / "val"
    said = yolo(tmp_path, "predict", f"model={best}", f"source={images}", f"project={tmp_path}")
    assert "96x96" in said  # the size of the last stage, without being told
    assert len(list(tmp_path.rglob("*.jpg"))) == 4

    said = yolo(tmp_path, "val", f"model={best}", f"data={tiny_data}", f"project={tmp_path}")
    assert "mAP50" in said
    assert ultralytics.YOLO(best).overrides["imgsz"] == 96  # where `val` takes its size from

    yolo(tmp_path, "export", f"model={best}", "format=onnx", "simplify=False")
    session = onnxruntime.InferenceSession(
        best.with_suffix(".onnx"), providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    assert given.shape == [1, 3, 96, 96]
    (found,) = session.run(None, {given.name: np.zeros((1, 3, 96, 96), np.float32)})
    assert np.isfinite(found).all()
