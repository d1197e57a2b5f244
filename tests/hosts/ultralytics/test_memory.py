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


class Short(nn.Conv2d):
    """A layer that has memory for so many images."""

    most = 5

    def forward(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(images)


@pytest.mark.parametrize(("most", "advice"), [(5, "give batch=5 or less"), (7, "give batch=7 or")])
def test_the_largest_batch_that_fits_is_named_before_training(most, advice):
    model = Short(3, 4, 3)
    model.most = most
    message = rf"batch=8: the last stage, at 64 px, does not fit into the memory of cpu; {advice}"
    with pytest.raises(ValueError, match=message):
        probe_memory(model, (8, 3, 64, 64))
    assert model.weight.grad is None


def test_an_image_that_does_not_fit_alone():
    model = Short(3, 4, 3)
    model.most = 0
    with pytest.raises(ValueError, match=r"not even one image does; lower size\.max"):
        probe_memory(model, (8, 3, 64, 64))
