"""Sheets of images: what is drawn, and that a training does not notice."""

from __future__ import annotations

import csv
import json
import random
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO

from progressive.hosts.ultralytics import pictures
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.pictures import Pictures
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(5, 10), mixup=(0, 0.2)
)

SIDE = 96
CORNERS = np.array([[30, 20], [70, 40], [60, 65], [20, 45]])


class Trainer:
    """As much of a trainer as pictures look at."""

    def __init__(self):
        self.epoch = 0
        self.data = {"names": {0: "cat", 1: "dog"}}
        self.args = SimpleNamespace(task="detect")
        self.stopper = SimpleNamespace(possible_stop=False)
        self.validator = Validator()

    def preprocess_batch(self, batch):
        return batch


class Validator:
    training, batch_i = True, 0

    def update_metrics(self, predictions, batch):
        self.updated = predictions


def batch(size=64, images=12):
    return {
        "img": torch.rand(images, 3, size, size),
        "cls": torch.tensor([[0.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.25, 0.25], [0.25, 0.25, 0.5, 0.5]]),
        "batch_idx": torch.tensor([0.0, 1.0]),
    }


def found(size=64):
    boxes = torch.tensor([[0.0, 0.0, size / 2, size / 2], [0.0, 0.0, size, size]])
    one = {"bboxes": boxes, "conf": torch.tensor([0.9, 0.1]), "cls": torch.tensor([1.0, 0.0]),
           "extra": torch.zeros(2, 0)}  # fmt: skip
    none = {key: value[:0] for key, value in one.items()}
    return [dict(one), *[dict(none) for _ in range(11)]]


def states():
    return random.getstate()[1][:3], np.random.get_state()[1].tolist(), torch.get_rng_state()


def test_sheets_are_drawn_and_nothing_else_changes(tmp_path):
    drawn, trainer = Pictures(SCHEDULE), Trainer()
    stop = drawn.watch(trainer)
    first, second, before = batch(), batch(), batch()
    before["img"] = first["img"].clone()
    random_states = states()
    assert trainer.preprocess_batch(first) is first
    trainer.preprocess_batch(second)  # only the first batch of a stage is drawn
    trainer.epoch = 1
    predictions = found()
    trainer.validator.update_metrics(predictions, first)
    drawn.draw(tmp_path)
    for name, value in before.items():
        assert torch.equal(first[name], value), name
    assert predictions[0]["bboxes"][0].tolist() == [0, 0, 32, 32]
    assert trainer.validator.updated is predictions
    now = states()
    assert now[:2] == random_states[:2]
    assert torch.equal(now[2], random_states[2])
    sheets = {path.stem: cv2.imread(str(path)) for path in (tmp_path / "report").iterdir()}
    assert set(sheets) == {"train-1", "labels", "found-1"}
    assert {sheet.shape for sheet in sheets.values()} == {(960, 960, 3)}
    stop()
    assert trainer.preprocess_batch == type(trainer).preprocess_batch.__get__(trainer)
    assert "update_metrics" not in vars(trainer.validator)


def test_boxes_are_drawn_where_they_are(tmp_path):
    drawn, trainer = Pictures(SCHEDULE), Trainer()
    drawn.watch(trainer)
    black = {**batch(images=1), "img": torch.zeros(1, 3, 64, 64)}
    trainer.epoch = 3
    trainer.validator.update_metrics(found()[:1], black)
    drawn.draw(tmp_path)
    sheet = cv2.imread(str(tmp_path / "report" / "found-2.jpg"))
    assert sheet.shape == (320, 320, 3)
    # The box from 0 to 32 of 64 px has its corner in the middle; the unsure one is not drawn.
    assert sheet[152:166, 60:100].max() > 150
    assert sheet[200:300, 200:300].max() < 30


def test_stages_in_their_middle_and_final_evaluations_are_left_out(tmp_path):
    drawn, trainer = Pictures(SCHEDULE), Trainer()
    drawn.watch(trainer)
    trainer.validator.update_metrics(found(), batch())  # epoch 0 of 0 and 1
    trainer.epoch = 3
    trainer.validator.training = False
    trainer.validator.update_metrics(found(), batch())
    trainer.validator.training, trainer.validator.batch_i = True, 1
    trainer.validator.update_metrics(found(), batch())
    drawn.draw(tmp_path)
    assert not (tmp_path / "report").exists()
    trainer.validator.batch_i, trainer.epoch, trainer.stopper.possible_stop = 0, 2, True
    trainer.validator.update_metrics(found(), batch())
    drawn.draw(tmp_path)
    assert (tmp_path / "report" / "found-2.jpg").is_file()


def test_a_failure_is_a_warning(tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(pictures.LOGGER, "warning", warnings.append)
    drawn, trainer = Pictures(SCHEDULE), Trainer()
    drawn.watch(trainer)
    trainer.preprocess_batch({"img": None})
    trainer.epoch = 1
    trainer.validator.update_metrics("nonsense", batch())
    (tmp_path / "report").write_text("a file in the way")
    drawn.draw(tmp_path)
    assert len(warnings) == 3
    assert all("A picture is left out" in words for words in warnings)


def data(folder, task):
    """Write eight images of noise with one object each, labelled for a task; return their yaml."""
    generator = np.random.default_rng(0)
    corners = CORNERS / SIDE
    low, high = corners.min(0), corners.max(0)
    box = [*((low + high) / 2), *(high - low)]
    keypoints = [value for x, y in corners for value in (x, y, 2)]
    values = {"pose": [*box, *keypoints], "detect": box}.get(task, corners.ravel())
    for number in range(8):
        image = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        cv2.fillPoly(image, [CORNERS.astype(np.int32)], (230, 230, 230))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillPoly(mask, [CORNERS.astype(np.int32)], 1)
        if task == "classify":
            for split in ("train", "val"):
                place = folder / split / f"class{number % 2}"
                place.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place / f"{number}.png"), image)
            continue
        for kind in ("images", "labels", "masks"):
            (folder / kind).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
        text = "0 " + " ".join(f"{value:.6f}" for value in values)
        (folder / "labels" / f"{number}.txt").write_text(text)
    if task == "classify":
        return folder
    names = "[ground, thing]\nmasks_dir: masks" if task == "semantic" else "[thing]"
    shape = "kpt_shape: [4, 3]\nflip_idx: [0, 1, 2, 3]\n" if task == "pose" else ""
    yaml = folder / "data.yaml"
    yaml.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: {names}\n{shape}")
    return yaml


TASKS = {
    "detect": "yolov8n.yaml",
    "segment": "yolo11n-seg.yaml",
    "pose": "yolo11n-pose.yaml",
    "obb": "yolo11n-obb.yaml",
    "classify": "yolo11n-cls.yaml",
    "semantic": "yolo26n-sem.yaml",
}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_sheets_and_records(task, tmp_path, fast, monkeypatch):
    warnings = []
    monkeypatch.setattr(pictures.LOGGER, "warning", warnings.append)
    monkeypatch.setattr(pictures, "CONFIDENCE", 0.0)  # an untrained model is sure of nothing
    (tmp_path / "data").mkdir()
    model = YOLO(TASKS[task])
    ProgressiveCallback(SCHEDULE).attach(model)
    arguments = {**fast, "plots": True, "project": str(tmp_path), "name": "r"}
    model.train(data=str(data(tmp_path / "data", task)), **arguments)
    folder = tmp_path / "r"
    assert not [words for words in warnings if "left out" in words or "No " in words]
    sheets = {path.stem for path in (folder / "report").glob("*.jpg")}
    labels = set() if task == "classify" else {"labels"}
    assert sheets == {"train-1", "train-2", "found-1", "found-2", *labels}
    assert (folder / "report.html").stat().st_size > 100_000
    prints = json.loads((folder / "data.json").read_text())
    assert prints["train"]["images"]["files"] == 8
    assert ("labels" in prints["val"]) == (task != "classify")
    assert json.loads((folder / "environment.json").read_text())["command"] is None
    with (folder / "epochs.csv").open() as file:
        for row in csv.DictReader(file):
            parts = [float(row[f"{part}_seconds"]) for part in ("data", "compute", "optimizer")]
            assert parts[0] > 0 < parts[1]
            assert parts[2] >= 0  # not every epoch has a step where batches are summed
            assert sum(parts) < float(row["train_seconds"])


@pytest.mark.slow
def test_without_plots_there_are_no_sheets(tiny_data, tmp_path, fast):
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(SCHEDULE).attach(model)
    model.train(data=str(tiny_data), project=str(tmp_path), name="r", **fast)
    assert not list((tmp_path / "r" / "report").glob("*.jpg"))
    assert "What the model was trained on" not in (tmp_path / "r" / "report.html").read_text()
