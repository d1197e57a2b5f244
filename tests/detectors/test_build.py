from __future__ import annotations

import pytest
import torch
from timm.layers import DropPath
from torch import nn
from ultralytics import RTDETR, YOLO

from progressive.detectors import HEADS, build_detector
from progressive.regularize import set_channel_dropout, set_drop_path

SMALLEST = [(head, scales[0]) for head, scales in HEADS.items()]


def half(head: str, scale: str, **options) -> YOLO | RTDETR:
    return build_detector(head, scale, "efficientnetv2_b0", width=0.5, depth=0.5, **options)


def test_full_backbone_under_the_reference_head():
    model = build_detector().model
    assert sum(p.numel() for p in model.model[0].parameters()) == 5_610_384
    assert model.names[79] == "79"


def test_only_the_backbone_brings_dropout():
    for head, scale in SMALLEST:
        model = half(head, scale).model
        assert sum(isinstance(m, nn.Dropout2d) for m in model.modules()) == 1
        assert not any(isinstance(m, DropPath) for m in model.model[1:].modules())
        assert set_channel_dropout(model, 0.2) == 1
        assert set_drop_path(model, 0.2) == 11


def test_classes_by_name_shape_the_head():
    detector = half("yolov10", "n", classes=["ship", "buoy"])
    assert detector.names == {0: "ship", 1: "buoy"}
    assert detector.model.model[-1].nc == 2
    assert detector.model.yaml["nc"] == 2
    assert half("yolov8", "n", classes={1: "b", 0: "a"}).names == {0: "a", 1: "b"}


def test_seed_reproduces_the_weights_and_leaves_the_random_state_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, two = half("yolov8", "n", seed=3).model, half("yolov8", "n", seed=3).model
    other = half("yolov8", "n", seed=4).model
    assert torch.equal(torch.get_rng_state(), state)
    weights = [m.model[0].body.conv_stem.weight for m in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_no_trace_of_the_temporary_file():
    detector = half("yolov10", "n")
    name = "yolov10n-efficientnetv2_b0.yaml"
    assert detector.overrides["model"] == detector.model.args["model"] == name
    assert detector.model.yaml["yaml_file"] == detector.model_name == detector.cfg == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "yolo10"}, "head=yolo10: did you mean yolov10"),
        ({"scale": "z"}, "scale=z: yolov10 comes as n, s, m, b, l, x"),
        ({"backbone": "resnet9000"}, "backbone=resnet9000: did you mean resnet50"),
        ({"backbone": "vgg"}, "backbone=vgg: must be one of cspdarknet53, darknet53"),
        ({"backbone": "timm:resnet9000"}, "timm has no model 'resnet9000'; did you mean resnet"),
        ({"backbone": "resnet50", "width": 0.5}, "resnet50 has no fractions"),
        ({"width": 2}, r"width=2: must be in \(0, 1\]"),
        ({"pretrained": True, "width": 0.5}, "needs the whole backbone"),
        ({"weights": "b0.pth", "depth": 0.5}, "needs the whole backbone"),
        ({"weights": "b0.pth", "pretrained": True}, "either pretrained or weights"),
        ({"width": "0.5"}, r"width=0\.5: must be in \(0, 1\]"),
        ({"head": None}, "head=None: must be a name of the catalog"),
        ({"backbone": None}, "backbone=None: must be a name of the catalog"),
        ({"channels": "4"}, "channels='4': must be a whole number of at least 1"),
        ({"channels": None}, "channels=None: must be a whole number of at least 1"),
        ({"channels": 0}, "channels=0: must be a whole number of at least 1"),
        ({"classes": 0}, "classes=0: must be a number above 0"),
        ({"classes": {1: "a"}}, "names numbered from 0"),
    ],
)
def test_mistakes_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        build_detector(**options)
