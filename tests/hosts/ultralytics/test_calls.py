"""What `train` and `tune` of an attached model do."""

from __future__ import annotations

import csv
import json
import pickle
from copy import deepcopy
from pathlib import Path

import pytest
from survival.data import write_boxes
from ultralytics import RTDETR, YOLO

from progressive.errors import InputError
from progressive.hosts.ultralytics import trackers
from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(epochs=3, stages=2, image_size=(32, 64), dropout=(0, 0.1))


def sizes(trainer):
    rows = csv.DictReader((Path(trainer.save_dir) / "epochs.csv").read_text().splitlines())
    return [int(row["image_size"]) for row in rows]


@pytest.mark.slow
def test_training_again_follows_the_schedule_again(tiny_data, fast, tmp_path):
    model = YOLO("yolov8n.yaml")
    callback = ProgressiveCallback(SCHEDULE).attach(model)
    seconds = []
    for name in ("first", "second"):
        model.train(data=str(tiny_data), project=str(tmp_path), name=name, **fast)
        assert sizes(model.trainer) == [32, 32, 64]
        assert [record.epoch for record in callback.epochs] == [0, 1, 2]
        plan = json.loads((tmp_path / name / "plan.json").read_text())
        seconds.append(plan["prediction"]["total"])
    assert seconds[0] != seconds[1]  # predicted anew, from the epochs of this training
    with pytest.raises(InputError, match="epochs=5: the schedule has 3"):
        model.train(data=str(tiny_data), project=str(tmp_path), name="r", epochs=5, **fast)
    with pytest.raises(InputError, match="imgsz=96: the schedule ends at 64"):
        model.train(data=str(tiny_data), project=str(tmp_path), name="r", imgsz=96, **fast)
    callback.detach(model)
    model.train(data=str(tiny_data), project=str(tmp_path), name="own", epochs=1, imgsz=32, **fast)
    assert not (tmp_path / "own" / "plan.json").exists()


def no_outlines(folder):
    return write_boxes(folder), "yolov8n-seg.yaml"


def bad_order(folder):
    data = write_boxes(folder)
    for label in folder.glob("labels/*/*.txt"):
        label.write_text("0 .5 .5 .5 .5 .4 .4 2 .6 .6 2\n")
    data.write_text(f"{data.read_text()}kpt_shape: [2, 3]\nflip_idx: [0]\n")
    return data, "yolov8n-pose.yaml"


@pytest.mark.parametrize("write", [no_outlines, bad_order])
def test_a_training_that_fails_before_it_begins_leaves_no_folder(write, tmp_path, fast):
    data, name = write(tmp_path / "data")
    model = YOLO(name)
    ProgressiveCallback(SCHEDULE).attach(model)
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        model.train(data=str(data), project=str(tmp_path / "runs"), **fast)
    assert not list(tmp_path.glob("runs/*"))


def test_a_tracker_that_cannot_be_used_leaves_no_folder(tiny_data, tmp_path, fast, monkeypatch):
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(SCHEDULE, track=["tensorboard"]).attach(model)
    monkeypatch.setattr(trackers, "_exchange", refuse)
    with pytest.raises(InputError, match="not here"):
        model.train(data=str(tiny_data), project=str(tmp_path / "runs"), **fast)
    assert not list(tmp_path.glob("runs/*"))


def refuse(*_, **__):
    raise InputError("not here")


@pytest.mark.slow
def test_a_training_that_has_begun_keeps_its_folder(tiny_data, tmp_path, fast):
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(SCHEDULE).attach(model)
    model.add_callback("on_train_batch_end", refuse)
    with pytest.raises(InputError, match="not here"):
        model.train(data=str(tiny_data), project=str(tmp_path), name="run", **fast)
    assert (tmp_path / "run" / "plan.json").exists()
    assert (tmp_path / "run" / "args.yaml").exists()


@pytest.mark.parametrize("kind", [YOLO, RTDETR])
@pytest.mark.parametrize("ray", [False, True])
def test_tuning_is_refused_and_the_search_named(kind, ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = kind("yolov8n.yaml" if kind is YOLO else "rtdetr-l.yaml")
    callback = ProgressiveCallback(SCHEDULE).attach(model)
    with pytest.raises(
        InputError, match=r"model\.tune: .* search with python -m progressive\.run -m"
    ):
        model.tune(data="data.yaml", iterations=1, use_ray=ray)
    assert list(tmp_path.iterdir()) == []
    callback.detach(model)
    assert not {"train", "tune"} & set(vars(model))
    assert model.tune == type(model).tune.__get__(model)


def test_a_copy_of_an_attached_model_trains_itself():
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(SCHEDULE).attach(model)
    for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        bound, callback = copy.train.args
        assert bound is copy
        assert callback.schedule == SCHEDULE
