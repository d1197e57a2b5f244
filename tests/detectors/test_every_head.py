"""Every head of the catalog at every scale, on a backbone of each family."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import parse_model

from progressive.detectors import HEADS, build_detector
from progressive.detectors.graft import load_yaml

SMALLEST = [(head, scales[0]) for head, scales in HEADS.items()]
LARGER = [(head, scale) for head, scales in HEADS.items() for scale in scales[1:]]

#: A backbone of each family, with a quarter of its width and depth where that is possible.
BACKBONES = [
    ("efficientnetv2_b0", {"width": 0.25, "depth": 0.25}),
    ("efficientnet_b0", {"width": 0.25, "depth": 0.25}),
    ("resnet50", {}),
    ("elan", {"width": 0.25, "depth": 0.25}),
]


def small(head: str, scale: str, backbone: str, part: dict[str, float]) -> YOLO | RTDETR:
    return build_detector(head, scale, backbone, **part, classes=3, seed=0)


def check_strides(detector: YOLO | RTDETR) -> None:
    """Check the maps that the head reads, and the strides that it has stored."""
    read: list[torch.Tensor] = []
    head = detector.model.model[-1]
    hook = head.register_forward_pre_hook(lambda module, args: read.extend(args[0]))
    with torch.no_grad():
        detector.model.eval()(torch.zeros(1, 3, 64, 96))
    hook.remove()
    assert [tuple(x.shape[2:]) for x in read] == [(8, 12), (4, 6), (2, 3)]
    if not isinstance(detector, RTDETR):  # Ultralytics always sets 32 for RT-DETR
        assert head.stride.tolist() == [8, 16, 32]


def first_convolution(model: nn.Module) -> nn.Conv2d:
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def check_one_step(detector: YOLO | RTDETR) -> None:
    """Take one optimizer step on real targets and check that it moved the first convolution."""
    model = detector.model.train()
    model.args = get_cfg()
    model.nc = 3  # the trainer sets both
    weight = first_convolution(model.model[0]).weight
    before = weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss, _ = model.loss(
        {
            "img": torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
            "cls": torch.tensor([[0.0], [1.0], [2.0]]),
            "bboxes": torch.tensor(
                [[0.5, 0.5, 0.4, 0.4], [0.3, 0.3, 0.5, 0.2], [0.6, 0.5, 0.3, 0.8]]
            ),
            "batch_idx": torch.tensor([0.0, 0.0, 1.0]),
        }
    )
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    assert weight.grad is not None
    assert torch.isfinite(weight.grad).all()
    optimizer.step()
    assert not torch.equal(weight, before)


@pytest.mark.parametrize(("head", "scale"), SMALLEST)
@pytest.mark.parametrize(
    ("backbone", "part"),
    [BACKBONES[0], *(pytest.param(*one, marks=pytest.mark.slow) for one in BACKBONES[1:])],
)
def test_strides_are_8_16_32_and_a_step_reaches_the_first_convolution(head, scale, backbone, part):
    detector = small(head, scale, backbone, part)
    assert type(detector) is (RTDETR if head == "rtdetr" else YOLO)
    check_strides(detector)
    check_one_step(detector)


@pytest.mark.parametrize(
    ("head", "scale"),
    [*SMALLEST, *(pytest.param(*one, marks=pytest.mark.slow) for one in LARGER)],
)
def test_every_scale_is_of_the_size_that_ultralytics_ships(head, scale):
    detector = small(head, scale, *BACKBONES[0])
    check_strides(detector)
    model = detector.model
    assert model.yaml["scale"] == scale
    with torch.device("meta"):
        stock, _ = parse_model(
            {**load_yaml(head, scale), "scale": scale, "nc": 3}, 3, verbose=False
        )
    for layer in (-1, -5):  # the head and its block at stride 16, which read no backbone
        assert model.model[layer].np == stock[layer].np
