"""`model=FILE`: the same command for the model people already have, whatever its task."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from ultralytics import YOLO

from progressive.compare import compare
from progressive.config.command_line import compose_config
from progressive.config.model import to_yaml
from progressive.errors import ConfigError, InputError
from progressive.run import precheck, run
from progressive.runs.load import load_run

SMALL = (
    *("device=cpu", "stages=2", "epochs=2", "size.min=32", "size.max=64", "batch=4"),
    *("train.plots=false", "train.nbs=4"),
)
TASKS = {
    "detect": "yolo11n",
    "segment": "yolo11n-seg",
    "pose": "yolo11n-pose",
    "obb": "yolo11n-obb",
    "classify": "yolo11n-cls",
    "semantic": "yolo26n-sem",
}
LABELS = {
    "detect": "0 0.5 0.5 0.5 0.5",
    "segment": "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75",
    "pose": "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0.3 0.3 2 0.7 0.7 2",
    "obb": "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scene(random):
    image = random.integers(0, 120, (64, 64, 3), dtype=np.uint8)
    image[16:48, 16:48] = 230
    return image


def data(folder: Path, task: str) -> Path:
    """Write 8 images with a bright square, labelled for a task; return what `data=` is given."""
    random = np.random.default_rng(0)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    for number in range(8):
        if task == "classify":
            for split in ("train", "val"):
                place = folder / split / ("dark", "bright")[number % 2] / f"{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place), scene(random) if number % 2 else scene(random) // 2)
            continue
        for kind in ("images", "masks" if task == "semantic" else "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), scene(random))
        if task == "semantic":
            cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
        else:
            (folder / "labels" / f"{number}.txt").write_text(f"{LABELS[task]}\n")
    if task == "classify":
        return folder
    more = {"pose": "kpt_shape: [3, 3]\nflip_idx: [0, 1, 2]", "semantic": "masks_dir: masks"}
    names = "[dark, bright]" if task == "semantic" else "[square]"
    (folder / "data.yaml").write_text(
        f"path: {folder}\ntrain: images\nval: images\nnames: {names}\n{more.get(task, '')}\n"
    )
    return folder / "data.yaml"


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "ending"), [*((task, "pt") for task in TASKS), ("detect", "yaml")]
)
def test_models_of_every_task_are_trained(task, ending, tmp_path):
    name = f"{TASKS[task]}.{ending}"
    if ending == "pt":
        YOLO(f"{TASKS[task]}.yaml").save(name)
    source = data(tmp_path / "data", task)
    arguments = (f"model={name}", f"data={source}", "output=run", *SMALL)
    score = run(compose_config(arguments))
    assert score == load_run(Path("run")).score
    assert 0 <= score <= 1
    assert [int(row["image_size"]) for row in rows(Path("run/epochs.csv"))] == [32, 64]
    saved = yaml.safe_load(Path("run/config.yaml").read_text())
    assert (saved["task"], saved["backbone"], saved["head"]) == (task, None, None)
    assert Path(saved["model"]).name == name
    assert YOLO("run/weights/best.pt").task == task
    assert name in Path("run/report.html").read_text()
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["metrics"]


@pytest.mark.slow
def test_training_starts_from_the_weights_of_the_file(tmp_path):
    """Nothing is learnt at a rate of 0, so what comes out is what went in."""
    made = YOLO("yolov8n.yaml")
    made.model.nc = 80
    made.save("mine.pt")
    source = data(tmp_path / "data", "detect")
    still = ("train.optimizer=SGD", "train.lr0=0", "train.lrf=1", "train.warmup_bias_lr=0")
    run(compose_config(("model=mine.pt", f"data={source}", "output=run", *SMALL, *still)))
    before, after = made.model.state_dict(), YOLO("run/weights/last.pt").model.state_dict()
    name = "model.0.conv.weight"
    assert (before[name] - after[name]).abs().max() < 2e-3  # of half precision


@pytest.mark.slow
def test_a_killed_run_resumes_without_the_file(tmp_path):
    YOLO("yolo11n.yaml").save("mine.pt")
    source = data(tmp_path / "data", "detect")
    command = [sys.executable, "-m", "progressive.run"]
    begun = [*command, "model=mine.pt", f"data={source}", "output=run", *SMALL, "epochs=16"]
    with subprocess.Popen(begun, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while not Path("run/epochs.csv").exists() or len(rows(Path("run/epochs.csv"))) < 2:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    Path("mine.pt").unlink()
    subprocess.run([*command, "resume=run"], capture_output=True, check=True, timeout=240)
    sizes = [int(row["image_size"]) for row in rows(Path("run/epochs.csv"))]
    assert sizes == [32] * 11 + [64] * 5


@pytest.mark.slow
def test_a_probe_a_sweep_and_a_comparison_take_it_too(tmp_path):
    YOLO("yolo11n.yaml").save("mine.pt")
    source = f"data={data(tmp_path / 'data', 'detect')}"

    def said(module, *arguments):
        command = [sys.executable, "-m", f"progressive.{module}", *SMALL, source, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Predicted: " in said("run", "model=mine.pt", "dry_run=true", "probe=true")
    said("run", "-m", "model=mine.pt,yolov8n.yaml", "hydra.sweep.dir=sweep")
    models = [yaml.safe_load(p.read_text())["model"] for p in Path("sweep").glob("*/config.yaml")]
    assert sorted(Path(model).name for model in models) == ["mine.pt", "yolov8n.yaml"]
    compared = ("arms=[stock,fixed,progressive]", "seeds=[0]", "output=comparison")
    said("compare", "model=mine.pt", *compared)
    found = [yaml.safe_load(p.read_text()) for p in Path("comparison").glob("*/seed0/config.yaml")]
    assert [Path(each["model"]).name for each in found] == ["mine.pt"] * 3


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), [("segment", "mask_map50_95"), ("semantic", "miou")])
def test_models_of_other_tasks_are_compared(task, metric, tmp_path):
    YOLO(f"{TASKS[task]}.yaml").save("mine.pt")
    source = data(tmp_path / "data", task)
    arms = ("arms=[stock,progressive]", "seeds=[0]", "output=comparison")
    found = compare([*SMALL, "model=mine.pt", f"data={source}", *arms])
    assert found["metric"] == metric
    assert all(len(arm[metric]) == 1 for arm in found["arms"].values())
    assert (tmp_path / "comparison" / "report.html").is_file()


REFUSED = [
    (("model=no.pt",), "model=no.pt: no such file; put it into {folder} or give its path"),
    (("model=mine.pt", "head=yolov8n"), "model=mine.pt: is whole, with a backbone and a head of"),
    (("model=mine.pt", "head=yolov10"), "give either model or head"),
    (("model=mine.pt", "backbone=resnet50"), "give either model or backbone"),
    (("model=mine.pt", "backbone.width=0.5"), "give either model or backbone"),
    (("model=mine.pt", "+experiment=resnet50_progressive"), "give either model or backbone"),
    (("model=mine.pt", "task=segment"), "task=segment: model=mine.pt is for task=detect; leave"),
    (("task=pose",), "task=pose: needs model=FILE, which the task is taken from"),
    (("task=depth",), "task=depth: must be one of classify, detect, obb, pose, segment, semantic"),
    (("model=yolo11n-pose.yaml",), "data: 'digits' is for task=detect; for task=pose use the path"),
    (("model=yolo11n-cls.yaml",), "for task=classify use blur, or a folder with train/ and val/"),
    (("train.model=a.pt",), "train.model=a.pt: use model, or head and backbone instead"),
    (
        ("model=yolov8n-p6.yaml", "size.min=96", "size.max=192"),
        "stage 1 would train at 96 px, but model=yolov8n-p6.yaml takes multiples of 64",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_be_is_one_line_before_anything_is_written(arguments, message, tmp_path):
    YOLO("yolov8n.yaml").save("mine.pt")
    with pytest.raises(InputError) as error:
        precheck(compose_config(["device=cpu", *arguments]))
    assert message.format(folder=tmp_path) in str(error.value)
    assert "\n" not in str(error.value)
    assert os.listdir() == ["mine.pt"]  # noqa: PTH208


def test_a_pose_model_needs_the_shape_of_its_keypoints(tmp_path):
    source = data(tmp_path / "data", "pose")
    text = source.read_text()
    for shape in ("", "kpt_shape: 3", "kpt_shape: [3]", "kpt_shape: [0, 3]", "kpt_shape: [3, 4]"):
        source.write_text(text.replace("kpt_shape: [3, 3]", shape))
        with pytest.raises(InputError, match=r"kpt_shape: .* must be \[keypoints, 2 or 3\]"):
            precheck(compose_config(["model=yolo11n-pose.yaml", f"data={source}"]))


def test_semantic_segmentation_needs_masks(tmp_path):
    source = data(tmp_path / "data", "semantic")
    arguments = ["model=yolo26n-sem.yaml", f"data={source}", "dry_run=true"]
    assert precheck(compose_config(arguments)).train_images == 8
    (tmp_path / "data" / "masks").rename(tmp_path / "data" / "other")
    source.write_text(source.read_text().replace("masks_dir: masks", "masks_dir: mask"))
    with pytest.raises(
        InputError, match=r"8 images and no mask; expected for example .*mask/.*png"
    ):
        precheck(compose_config(arguments))
    # Without a folder of masks Ultralytics makes them of outlines.
    source.write_text(source.read_text().replace("masks_dir: mask", ""))
    with pytest.raises(InputError, match=r"8 images and no label"):
        precheck(compose_config(arguments))
    (tmp_path / "data" / "labels").mkdir()
    for number in range(8):
        outline = "1 .2 .2 .8 .2 .8 .8 .2 .8\n"
        (tmp_path / "data" / "labels" / f"{number}.txt").write_text(outline)
    assert precheck(compose_config(arguments)).train_images == 8


def test_a_model_cannot_be_changed_by_resume():
    weights = Path("run", "weights")
    weights.mkdir(parents=True)
    (weights / "last.pt").touch()
    Path("run", "config.yaml").write_text(to_yaml(compose_config(["device=cpu"])))
    YOLO("yolo11n.yaml").save("mine.pt")
    with pytest.raises(ConfigError, match=r"model=.*mine\.pt .*cannot be changed by resume"):
        precheck(compose_config(["resume=run", "model=mine.pt"]))


def test_the_plan_is_printed_for_any_of_them(capsys):
    YOLO("yolo11n-cls.yaml").save("mine.pt")
    run(compose_config(["model=mine.pt", "data=blur", "dry_run=true", "device=cpu"]))
    assert "mine.pt (classify), data blur, batch 16" in capsys.readouterr().out
    assert os.listdir() == ["mine.pt"]  # noqa: PTH208
