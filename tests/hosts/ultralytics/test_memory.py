"""The probe of the last stage, on a CPU; nothing here was run on a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from ultralytics import YOLO

from progressive.hosts.ultralytics.memory import probe_memory


def test_the_probe_leaves_no_trace():
    model = YOLO("yolov8n.yaml").model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []
    model.model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    probe_memory(model, (2, 3, 64, 64), torch.bfloat16)
    assert torch.equal(torch.rand(3), expected)
    assert seen == [(2, 3, 64, 64)]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_too_little_memory_is_said_before_training():
    class Large(nn.Conv2d):
        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ValueError, match=r"batch=8: the last stage, at 640 px, does not fit"):
        probe_memory(Large(3, 4, 3), (8, 3, 640, 640))
