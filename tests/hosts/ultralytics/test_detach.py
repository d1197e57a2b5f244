"""Attaching twice, and detaching without a trace."""

from __future__ import annotations

import gc
import weakref

import cloudpickle
import pytest
import torch
import torch._dynamo.config as dynamo
from torch import nn
from ultralytics import YOLO
from ultralytics.data import dataset
from ultralytics.data import utils as data_utils
from ultralytics.data.dataset import YOLODataset

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.speed.compilation import LIMIT
from progressive.machine import available_cpus
from progressive.schedule import ProgressiveSchedule

SCHEDULE = ProgressiveSchedule.linear(
    epochs=4, stages=2, image_size=(32, 64), randaugment=(5, 15), mixup=(0, 0.2), dropout=(0.1, 0.3)
)


def hooks(model):
    return {event: list(found) for event, found in model.callbacks.items()}


def test_attaching_twice_is_an_error():
    model = YOLO("yolov8n.yaml")
    ProgressiveCallback(SCHEDULE).attach(model)
    before = hooks(model)
    with pytest.raises(ValueError, match="follows a schedule already; detach"):
        ProgressiveCallback(SCHEDULE).attach(model)
    assert hooks(model) == before


def test_one_callback_serves_one_model():
    callback = ProgressiveCallback(SCHEDULE)
    with pytest.raises(ValueError, match="not attached"):
        callback.detach(YOLO("yolov8n.yaml"))
    callback.attach(YOLO("yolov8n.yaml"))
    with pytest.raises(ValueError, match="attached to a model already"):
        callback.attach(YOLO("yolov8n.yaml"))


def test_detaching_before_training_restores_the_model():
    model = YOLO("yolov8n.yaml")
    model.overrides["imgsz"] = 480
    callbacks, overrides = hooks(model), dict(model.overrides)
    callback = ProgressiveCallback(SCHEDULE).attach(model)
    assert (model.overrides["imgsz"], model.overrides["epochs"]) == (64, 4)
    callback.detach(model)
    assert hooks(model) == callbacks
    assert model.overrides == overrides
    callback.attach(model)  # and it may be attached again


@pytest.mark.slow
def test_detaching_after_training_restores_model_and_trainer(tiny_data, fast, tmp_path):
    model = YOLO("yolov8n.yaml")
    layers = [type(module) for module in model.model.modules()]
    threads = torch.get_num_threads()
    callback = ProgressiveCallback(SCHEDULE).attach(model)
    model.train(data=str(tiny_data), project=str(tmp_path), name="r", **fast)
    cloudpickle.loads(cloudpickle.dumps(callback))  # as the launch of a multi-GPU training would
    callback.detach(model)
    assert model.overrides["imgsz"] == 64  # what it was trained at, and so is evaluated at
    assert torch.get_num_threads() == threads
    trainer = model.trainer
    for module in (model.model, trainer.model, trainer.ema.ema):
        assert [type(m) for m in module.modules() if not isinstance(m, nn.Identity)] == layers
        assert not any(isinstance(m, nn.Dropout2d) for m in module.modules())
        assert next(module.parameters()).is_contiguous()
    assert type(trainer.train_loader.dataset) is YOLODataset
    assert trainer.train_loader.dataset.imgsz == 64
    assert trainer.train_loader.dataset.transforms[1].p == 0.0  # mixup
    assert {group.get("fused") for group in trainer.optimizer.param_groups} == {None}
    assert trainer.validate == type(trainer).validate.__get__(trainer)
    assert not any("progressive" in f.__module__ for found in hooks(model).values() for f in found)


@pytest.mark.slow
def test_the_process_is_left_as_found_however_training_ends(tiny_data, fast, tmp_path):
    model = YOLO("yolov8n.yaml")
    threads = torch.get_num_threads()
    compiler = dynamo.automatic_dynamic_shapes, getattr(dynamo, LIMIT)
    inside = []

    def fail(trainer):
        inside.append((torch.get_num_threads(), dynamo.automatic_dynamic_shapes))
        raise RuntimeError("stop here")

    ProgressiveCallback(SCHEDULE).attach(model)
    model.add_callback("on_train_batch_start", fail)
    torch.set_num_threads(1)
    try:
        with pytest.raises(RuntimeError, match="stop here"):
            model.train(
                data=str(tiny_data), project=str(tmp_path), name="r", compile="default", **fast
            )
        assert inside == [(available_cpus(), False)]
        assert torch.get_num_threads() == 1
        assert (dynamo.automatic_dynamic_shapes, getattr(dynamo, LIMIT)) == compiler
    finally:
        torch.set_num_threads(threads)


def test_the_process_is_left_as_found_by_a_trainer_that_cannot_be_built(fast, tmp_path):
    model = YOLO("yolov8n.yaml")
    own = data_utils.check_image, dataset.load_dataset_cache_file
    ProgressiveCallback(SCHEDULE).attach(model)
    with pytest.raises(RuntimeError, match="does not exist"):
        model.train(data=str(tmp_path / "no.yaml"), project=str(tmp_path), name="r", **fast)
    assert (data_utils.check_image, dataset.load_dataset_cache_file) == own


@pytest.mark.slow
def test_a_second_training_holds_nothing_of_the_first(tiny_data, fast, tmp_path):
    model = YOLO("yolov8n.yaml")
    callback = ProgressiveCallback(SCHEDULE).attach(model)
    arguments = {"data": str(tiny_data), "project": str(tmp_path), "name": "r", **fast}
    model.train(**arguments)
    first = weakref.ref(model.trainer)
    model.train(**arguments, imgsz=64, epochs=4)
    gc.collect()
    assert first() is None
    assert [record.epoch for record in callback.epochs] == [0, 1, 2, 3]
    callback.detach(model)
    assert not any(isinstance(m, nn.Dropout2d) for m in model.model.modules())


@pytest.mark.slow
def test_detaching_in_the_middle_of_training(tiny_data, fast, plain, make_recorder, tmp_path):
    recorder = make_recorder()
    model = YOLO("yolov8n.yaml")
    callback = ProgressiveCallback(SCHEDULE).attach(model)

    def leave(trainer):
        if trainer.epoch == 1:
            callback.detach(model)

    model.add_callback("on_fit_epoch_end", leave)
    model.train(
        trainer=recorder, data=str(tiny_data), project=str(tmp_path), name="r", **fast, **plain
    )
    seen = {b["epoch"]: (b["shape"][-1], b["mixup"], b["dropout"]) for b in recorder.batches}
    assert seen[1] == (32, 0.0, [0.1] * 3)
    assert seen[2] == seen[3] == (64, 0.0, [])
