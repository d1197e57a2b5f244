from __future__ import annotations

import pytest
import torch
from timm.layers import DropPath
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import parse_model

from progressive.detectors import HEADS, build_detector
from progressive.detectors.graft import load_yaml
from progressive.regularize import set_channel_dropout, set_drop_path

SMALLEST = [(head, scales[0]) for head, scales in HEADS.items()]
LARGER = [(head, scale) for head, scales in HEADS.items() for scale in scales[1:]]


def half(head: str, scale: str, **options) -> YOLO | RTDETR:
    return build_detector(head, scale, "efficientnetv2_b0", width=0.5, depth=0.5, **options)


def batch(size: int = 64) -> dict[str, torch.Tensor]:
    return {
        "img": torch.rand(2, 3, size, size),
        "cls": torch.tensor([[0.0], [1.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.3, 0.3, 0.5, 0.2], [0.6, 0.5, 0.3, 0.8]]),
        "batch_idx": torch.tensor([0.0, 0.0, 1.0]),
    }


def check_strides_and_scale(head: str, scale: str) -> None:
    detector = half(head, scale, classes=3)
    assert type(detector) is (RTDETR if head == "rtdetr" else YOLO)
    assert detector.model.yaml["scale"] == scale
    read: list[torch.Tensor] = []
    detector.model.model[-1].register_forward_pre_hook(lambda module, args: read.extend(args[0]))
    with torch.no_grad():
        detector.model.eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape[2:]) for x in read] == [(8, 12), (4, 6), (2, 3)]
    with torch.device("meta"):
        stock, _ = parse_model(
            {**load_yaml(head, scale), "scale": scale, "nc": 3}, 3, verbose=False
        )
    for layer in (-1, -5):  # the head and its block at stride 16, which read no backbone
        assert detector.model.model[layer].np == stock[layer].np
    if head != "rtdetr":  # Ultralytics sets 32 for RT-DETR without looking
        assert detector.model.model[-1].stride.tolist() == [8, 16, 32]


@pytest.mark.parametrize(("head", "scale"), SMALLEST)
def test_strides_are_8_16_32(head, scale):
    check_strides_and_scale(head, scale)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "scale"), LARGER)
def test_strides_are_8_16_32_at_larger_scales(head, scale):
    check_strides_and_scale(head, scale)


@pytest.mark.parametrize(
    ("head", "scale"), [("yolov10", "n"), ("yolov8", "n"), ("yolov5", "n"), ("rtdetr", "l")]
)
def test_one_step_has_a_finite_loss_that_reaches_the_first_convolution(head, scale):
    model = half(head, scale, classes=2, seed=0).model
    model.args = get_cfg()
    model.nc = 2  # the trainer sets both
    loss, _ = model.loss(batch())
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    gradient = model.model[0].body.conv_stem.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


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
        ({"pretrained": True, "width": 0.5}, "weights need the whole backbone"),
        ({"weights": "b0.pth", "depth": 0.5}, "weights need the whole backbone"),
        ({"weights": "b0.pth", "pretrained": True}, "either pretrained or weights"),
        ({"classes": 0}, "classes=0: must be a number above 0"),
        ({"classes": {1: "a"}}, "names numbered from 0"),
    ],
)
def test_mistakes_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        build_detector(**options)
