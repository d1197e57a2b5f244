from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from progressive.detectors import build_classifier, build_detector
from progressive.detectors.batch_norm import BackboneBatchNorm2d, keep_batch_norm


def settings(model: nn.Module) -> set[tuple[float, float | None]]:
    layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return {(layer.eps, layer.momentum) for layer in layers}


# ResNet's published weights use PyTorch's default eps, those from TensorFlow use TensorFlow's.
@pytest.mark.parametrize(
    ("backbone", "eps"),
    [("resnet50", 1e-5), ("efficientnet_lite0", 1e-3), ("efficientnetv2_b0", 1e-3)],
)
def test_ultralytics_leaves_the_backbones_own_eps_alone(backbone, eps):
    model = build_detector("yolov8", "n", backbone, classes=2).model
    assert settings(model.model[0]) == {(eps, 0.1)}
    assert settings(model.model[1:]) == {(1e-3, 0.03)}  # what Ultralytics sets everywhere else


def test_features_of_a_detector_are_those_of_the_published_resnet(tmp_path):
    torch.manual_seed(0)
    resnet = timm.create_model("resnet18").eval()
    # With variances this small, a wrong eps changes the features visibly.
    for layer in resnet.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(1e-2)
    file = tmp_path / "resnet18.pth"
    torch.save(resnet.state_dict(), file)
    backbone = build_classifier("timm:resnet18", weights=file, classes=2).model.model[0].eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = resnet.forward_features((images - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(images)[-1], expected)


def test_a_replaced_layer_keeps_its_tensors_and_settings():
    layer = nn.BatchNorm2d(4, eps=1e-4, momentum=0.2)
    nn.init.zeros_(layer.weight)
    model = nn.Sequential(nn.Sequential(layer), nn.ReLU())
    keep_batch_norm(model)
    kept = model[0][0]
    assert type(kept) is BackboneBatchNorm2d
    assert (kept.eps, kept.momentum, kept.num_features) == (1e-4, 0.2, 4)
    assert not kept.weight.any()
