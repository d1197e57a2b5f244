"""Image classifiers on backbones of the catalog and of timm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from progressive.detectors import build_classifier

#: Published numbers of parameters with 1000 classes, the same as in timm.
PUBLISHED = {
    "efficientnetv2_b0": 7_139_704,
    "efficientnetv2_b1": 8_141_052,
    "efficientnetv2_s": 21_458_488,
    "efficientnetv2_m": 54_139_356,
    "efficientnetv2_l": 118_515_272,
    "efficientnet_b0": 5_288_548,
}


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_parameters_are_the_published_ones(backbone):
    assert parameters(build_classifier(backbone).model) == PUBLISHED[backbone]


@pytest.mark.parametrize("backbone", ["efficientnetv2_b2", "efficientnetv2_b3", "timm:resnet18"])
def test_a_step_reaches_the_first_convolution(backbone):
    classifier = build_classifier(backbone, classes=["blurred", "sharp"], seed=0)
    assert classifier.task == "classify"
    assert classifier.names == {0: "blurred", 1: "sharp"}
    model = classifier.model.train()
    scores = model(torch.rand(2, 3, 64, 64))
    assert scores.shape == (2, 2)
    nn.functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert first.weight.grad.abs().sum() > 0


def test_an_unknown_timm_model_is_one_clear_line():
    with pytest.raises(ValueError, match="resnet1") as caught:
        build_classifier("timm:resnet1")
    assert len(str(caught.value).splitlines()) == 1
