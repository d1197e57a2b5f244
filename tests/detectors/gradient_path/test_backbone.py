from __future__ import annotations

import pytest
import torch
from ultralytics import RTDETR, YOLO
from ultralytics.cfg import get_cfg

from progressive.detectors import HEADS, WeightsError, build_detector
from progressive.detectors.gradient_path import DESIGNS, GradientPathBackbone, Residual
from progressive.regularize import set_channel_dropout, set_drop_path
from progressive.safe_loading.checkpoints import load_layers

SMALLEST = [(head, scales[0]) for head, scales in HEADS.items()]


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize(("head", "scale"), SMALLEST)
@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_under_every_head(design, head, scale):
    detector = build_detector(head, scale, design, width=0.125, depth=0.125, classes=3)
    assert type(detector) is (RTDETR if head == "rtdetr" else YOLO)
    read: list[torch.Tensor] = []
    detector.model.model[-1].register_forward_pre_hook(lambda module, args: read.extend(args[0]))
    with torch.no_grad():
        detector.model.eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(x.shape[2:]) for x in read] == [(8, 12), (4, 6), (2, 3)]
    if head != "rtdetr":  # Ultralytics always sets 32 for RT-DETR
        assert detector.model.model[-1].stride.tolist() == [8, 16, 32]


@pytest.mark.parametrize("head", ["yolov10-n", "rtdetr-l", "yolo26-n"])
@pytest.mark.parametrize(
    ("design", "variant"),
    [("darknet53", None), ("prn", 0.25), ("cspdarknet53", "last"), ("elan", 1)],
)
def test_one_step_has_a_finite_loss_that_reaches_the_first_convolution(head, design, variant):
    name, scale = head.split("-")
    fractions = {"width": 0.125, "depth": 0.125}
    model = build_detector(name, scale, design, **fractions, variant=variant, classes=2).model
    model.args = get_cfg()
    model.nc = 2  # the trainer sets both
    loss, _ = model.loss(
        {
            "img": torch.rand(2, 3, 64, 64),
            "cls": torch.tensor([[0.0], [1.0]]),
            "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.6, 0.5, 0.3, 0.8]]),
            "batch_idx": torch.tensor([0.0, 1.0]),
        }
    )
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    gradient = model.model[0].body.stages[0][0].conv.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_a_saved_detector_is_safe_to_load_and_gives_the_same(tmp_path):
    detector = build_detector("yolov8", "n", "prn", width=0.125, depth=0.125, classes=2, seed=0)
    detector.save(tmp_path / "saved.pt")
    loaded = load_layers(tmp_path / "saved.pt")["model"].float().eval()
    images = torch.rand(1, 3, 64, 64)
    rounded = detector.model.half().float().eval()
    with torch.no_grad():
        expected, got = rounded(images)[0], loaded(images)[0]
        fused = loaded.fuse(verbose=False)(images)[0]
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(fused, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("design", "blocks"), [("darknet53", 23), ("prn", 23), ("cspdarknet53", 23), ("elan", 0)]
)
def test_dropout_and_stochastic_depth(design, blocks):
    with torch.device("meta"):
        backbone = GradientPathBackbone(design)
    assert set_channel_dropout(backbone, 0.2) == 1
    assert set_drop_path(backbone, 0.23) == blocks
    rates = [m.drop_path.drop_prob for m in backbone.modules() if isinstance(m, Residual)]
    assert rates == pytest.approx([0.01 * i for i in range(1, blocks + 1)])


def test_drop_path_acts_in_training_only():
    backbone, images = GradientPathBackbone("darknet53", 0.125, 0.125), torch.rand(4, 3, 64, 64)

    def repeats() -> bool:
        maps = zip(backbone(images), backbone(images), strict=True)
        return all(torch.equal(a, b) for a, b in maps)

    assert repeats()
    set_drop_path(backbone, 0.5)
    assert not repeats()
    backbone.eval()
    assert repeats()


def test_nobody_publishes_weights_of_a_design():
    with pytest.raises(WeightsError, match="darknet53 has no published weights"):
        build_detector(backbone="darknet53", pretrained=True)


def test_grey_images_are_rgb_images_of_equal_channels():
    backbone, grey = GradientPathBackbone("elan", 0.125, 0.125).eval(), torch.rand(1, 1, 32, 32)
    maps = zip(backbone(grey), backbone(grey.expand(-1, 3, -1, -1)), strict=True)
    assert all(torch.equal(one, three) for one, three in maps)
