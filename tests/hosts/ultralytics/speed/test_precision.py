"""The precision of a CPU: what is chosen, that the loss stays float32, and what training sees."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.data.dataset import YOLODataset

from progressive.hosts.ultralytics.callback import ProgressiveCallback
from progressive.hosts.ultralytics.speed import precision as timing
from progressive.hosts.ultralytics.speed.precision import (
    Float32Loss,
    Precision,
    candidates,
    fastest,
    set_precision,
    time_steps,
)
from progressive.schedule import ProgressiveSchedule

PLAIN = Precision()
LAST = Precision(channels_last=True)
HALF = Precision(bfloat16=True, channels_last=True)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({PLAIN: 1.0, LAST: 0.8, HALF: 0.5}, HALF),
        ({PLAIN: 1.0, LAST: 0.8, HALF: 1.5}, LAST),
        ({PLAIN: 1.0, LAST: 0.96, HALF: 0.97}, PLAIN),  # within the noise of a timing
        ({PLAIN: 1.0, LAST: 1.2}, PLAIN),
    ],
)
def test_another_precision_must_be_clearly_faster(seconds, expected):
    assert fastest(seconds) == expected


def test_bfloat16_only_where_the_processor_has_units_for_it():
    assert [str(c) for c in candidates()][:2] == ["float32", "float32, channels last"]
    supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert any(choice.bfloat16 for choice in candidates()) == supported


def test_timing_leaves_model_and_random_state_alone():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    seconds = time_steps(model, (4, 3, 32, 32), [PLAIN, HALF])
    assert torch.equal(torch.rand(4), expected)
    assert set(seconds) == {PLAIN, HALF}
    assert all(value > 0 for value in seconds.values())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_loss_sees_float32_and_keeps_its_other_methods():
    class Criterion:
        updates = 0

        def __call__(self, predictions, batch, scale):
            (scores,) = predictions["scores"]
            assert scores.dtype is scale.dtype is torch.float32
            assert not torch.is_autocast_enabled("cpu")
            assert batch["cls"].dtype is torch.uint8
            return scores.sum()

        def update(self):
            self.updates += 1

    loss = Float32Loss(Criterion())
    scores = torch.ones(4, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu"):
        value = loss({"scores": [scores]}, {"cls": torch.zeros(2, dtype=torch.uint8)}, scale=scores)
    value.backward()
    assert scores.grad is not None
    loss.update()
    assert loss.updates == 1


def train(data, fast, folder, **arguments):
    """Return what a training in one precision saw: dtypes of loss, weights, head, average."""
    seen = {}
    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.fixed(epochs=2, image_size=64)
    ProgressiveCallback(schedule).attach(model)

    def start(trainer):
        head = trainer.model.model[-1]
        seen["format"] = trainer.model.model[0].conv.weight.is_contiguous(
            memory_format=torch.channels_last
        )
        seen["amp"] = trainer.amp

        def note(module, inputs, outputs):
            if module.training:
                seen["head"] = outputs["boxes"].dtype

        head.register_forward_hook(note)

    def end(trainer):
        seen["loss"] = trainer.loss.dtype
        seen["fused"] = {group["fused"] for group in trainer.optimizer.param_groups}
        seen["finite"] = bool(trainer.loss.isfinite())
        weights = (*trainer.model.parameters(), *trainer.ema.ema.parameters())
        seen["weights"] = {weight.dtype for weight in weights}

    model.add_callback("on_pretrain_routine_end", start)
    model.add_callback("on_train_epoch_end", end)
    model.train(
        data=str(data), project=str(folder), name="r", optimizer="AdamW", **fast, **arguments
    )
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "head"), [(HALF, torch.bfloat16), (LAST, torch.float32)])
def test_training_in_a_precision(precision, head, tiny_data, fast, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "candidates", lambda: [Precision(), precision])
    monkeypatch.setattr(timing, "fastest", lambda seconds: precision)
    seen = train(tiny_data, fast, tmp_path)
    assert seen == {
        "format": True,
        "amp": precision.bfloat16,
        "head": head,
        "loss": torch.float32,
        "fused": {True},
        "finite": True,
        "weights": {torch.float32},
    }


def test_a_loss_that_has_moved_on_is_kept():
    model = YOLO("yolov10n.yaml").model
    model.args = get_cfg()
    model.criterion = resumed = model.init_criterion()
    resumed.update()
    trainer = SimpleNamespace(model=model, ema=SimpleNamespace(ema=deepcopy(model)), amp=False)
    restore = set_precision(trainer, HALF)
    assert model.criterion.criterion is resumed
    restore()
    assert model.criterion is resumed
    assert trainer.amp is False


@pytest.mark.slow
def test_arguments_rule_a_precision_out(tiny_data, fast, tmp_path):
    seen = train(tiny_data, fast, tmp_path, amp=False, channels_last=False)
    assert (seen["amp"], seen["head"]) == (False, torch.float32)


@pytest.mark.slow
def test_one_switch_rules_all_of_it_out(tiny_data, fast, tmp_path):
    seen = {}

    def end(trainer):
        dataset = trainer.train_loader.dataset
        seen["data"] = type(dataset)
        seen["threads"] = torch.get_num_threads()
        seen["fused"] = {group["fused"] for group in trainer.optimizer.param_groups}
        seen["amp"] = trainer.amp
        seen["format"] = trainer.model.model[0].conv.weight.is_contiguous()

    model = YOLO("yolov8n.yaml")
    schedule = ProgressiveSchedule.fixed(epochs=1, image_size=64)
    ProgressiveCallback(schedule, train_faster=False).attach(model)
    model.add_callback("on_train_epoch_end", end)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        arguments = {"optimizer": "AdamW", "project": str(tmp_path), "name": "r", **fast}
        model.train(data=str(tiny_data), **arguments)
    finally:
        torch.set_num_threads(before)
    assert seen == {
        "data": YOLODataset,
        "threads": 1,
        "fused": {None},
        "amp": False,
        "format": True,
    }
