from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from ultralytics import RTDETR, YOLO
from ultralytics.cfg import get_cfg

from progressive.detectors import HEADS, WeightsError, build_detector
from progressive.detectors.backbones import layer_channels
from progressive.detectors.catalog import backbone_spec
from progressive.detectors.checkpoint import load_detector
from progressive.detectors.gradient_path import (
    DESIGNS,
    AsymmetricResidual,
    CSPStage,
    ELANStage,
    GradientPathBackbone,
    MaskedResidual,
    OSAModule,
    Residual,
    build_features,
    classifier,
    set_gradient_stop,
    yolov3_tiny_prn,
)
from progressive.detectors.weights import load_weights
from progressive.regularize import set_channel_dropout, set_drop_path

SMALLEST = [(head, scales[0]) for head, scales in HEADS.items()]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def convolution_parameters(module: nn.Module) -> int:
    """Count weights and biases of convolutions and linear layers, without batch normalisation."""
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return sum(parameters(layer) for layer in layers)


def convolution_flops(module: nn.Module, size: int) -> int:
    """Count two operations per multiply-add, as Darknet does; the module is on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return counter.get_total_flops()


def tiny(design: str, variant: float | str | None = None) -> GradientPathBackbone:
    torch.manual_seed(0)
    return GradientPathBackbone(design, 0.125, 0.125, variant)


class Zero(nn.Module):
    """A block that returns zeros, so that only the identity is left."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x):
        return x.new_zeros(x.shape[0], self.channels, *x.shape[2:])


@pytest.mark.parametrize(
    ("design", "published", "with_normalisation", "bflops"),
    [
        # The published millions leave out the scales and shifts of batch normalisation.
        ("darknet53", 41_574_216, 41_609_928, 18.57),
        ("prn", 41_574_216, 41_609_928, 18.57),
        ("cspdarknet53", 27_606_856, 27_642_184, 13.07),
    ],
)
def test_published_parameters_and_flops_of_the_classifiers(
    design, published, with_normalisation, bflops
):
    with torch.device("meta"):
        network = classifier(design)
    assert convolution_parameters(network) == published
    assert parameters(network) == with_normalisation
    assert round(convolution_flops(network, 256) / 1e9, 2) == bflops
    assert network(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 1000)


def test_published_parameters_and_macs_of_the_elan_backbone():
    with torch.device("meta"):
        backbone = GradientPathBackbone("elan")
    assert parameters(backbone) == 13_371_808
    assert round(convolution_flops(backbone, 640) / 2 / 1e9, 2) == 33.07


def test_published_parameters_and_flops_of_yolov3_tiny_prn():
    with torch.device("meta"):
        network = yolov3_tiny_prn()
        large, small = network(torch.zeros(1, 3, 416, 416))
    assert (large.shape, small.shape) == ((1, 255, 13, 13), (1, 255, 26, 26))
    # Darknet's weight file also holds means and variances, a header of 20 bytes, and 4 bytes for
    # each number: 18.8 MB are published, and 4.95 M parameters.
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert parameters(network) == 4_935_182
    assert round((20 + 4 * (4_935_182 + statistics)) / 2**20, 1) == 18.8
    assert (4_935_182 + statistics) / 1e6 == pytest.approx(4.95, abs=0.011)
    # In later Darknets pooling counts too, one operation for each of the four numbers it compares.
    pooled = [208**2 * 16, 104**2 * 32, 52**2 * 64, 26**2 * 128, 13**2 * 256, 13**2 * 512]
    assert round((convolution_flops(network, 416) + 4 * sum(pooled)) / 1e9, 3) == 3.467


def test_yolov3_tiny_prn_adds_half_of_the_stride_16_channels():
    torch.manual_seed(0)
    network = yolov3_tiny_prn().eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        network.deepest.bn.weight.zero_()  # nothing reaches the neck but by the shortcuts
        large, small = network(images)
        network.stages[4].bn.bias[128:] += 1
        masked = network(images)
        network.stages[4].bn.bias[:128] += 1
        carried = network(images)
    assert torch.equal(masked[0], large)
    assert torch.equal(masked[1], small)
    assert torch.equal(carried[0], large)
    assert not torch.allclose(carried[1], small)


@pytest.mark.parametrize(
    ("design", "channels"),
    [
        ("darknet53", (256, 512, 1024)),
        ("prn", (256, 512, 1024)),
        ("cspdarknet53", (256, 512, 1024)),
        ("elan", (512, 1024, 1024)),
    ],
)
def test_channels_and_strides(design, channels):
    with torch.device("meta"):
        backbone = GradientPathBackbone(design)
        maps = backbone(torch.zeros(2, 3, 64, 96))
    assert backbone.channels == channels == layer_channels(backbone_spec(design).layer())
    assert [tuple(m.shape) for m in maps] == [
        (2, channels[0], 8, 12),
        (2, channels[1], 4, 6),
        (2, channels[2], 2, 3),
    ]


def test_fractions_of_width_and_depth():
    with torch.device("meta"):
        darknet = build_features("darknet53", 0.5, 0.3)
        csp = build_features("cspdarknet53", 0.25, 0.5)
        elan = build_features("elan", 0.25, 0.5)
    assert darknet.channels == (128, 256, 512)
    # 1, 2, 8, 8, 4 blocks times 0.3, rounded up
    residuals = [sum(type(m) is Residual for m in stage) for stage in darknet.stages]
    assert residuals == [1, 1, 3, 3, 2]
    assert csp.channels == (64, 128, 256)
    assert [len(stage[-1].blocks) for stage in csp.stages] == [1, 1, 4, 4, 2]
    assert elan.channels == (128, 256, 256)
    assert [len(stage[-1].stacks) for stage in list(elan.stages)[1:]] == [1, 1, 1, 1]


def test_masked_residual_by_hand():
    x = torch.ones(1, 4, 2, 2, requires_grad=True)
    layer = MaskedResidual(Zero(4), 4)
    y = layer(x)
    y.sum().backward()
    assert y[0, :, 0, 0].tolist() == [1, 1, 0, 0]
    assert x.grad[0, :, 1, 1].tolist() == [1, 1, 0, 0]
    assert MaskedResidual(Zero(4), 4, 0.25)(x)[0, :, 0, 0].tolist() == [1, 1, 1, 0]
    assert MaskedResidual(Zero(4), 4, 0)(x)[0, :, 0, 0].tolist() == [1, 1, 1, 1]
    assert MaskedResidual(Zero(4), 4, 1)(x)[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert list(layer.state_dict()) == []
    with pytest.raises(ValueError, match=r"mask=1.5: must be in \[0, 1\]"):
        MaskedResidual(Zero(4), 4, 1.5)


def test_asymmetric_residual_by_hand():
    x = torch.arange(1.0, 4).view(1, 3, 1, 1)
    assert AsymmetricResidual(Zero(5), 5)(x).flatten().tolist() == [1, 2, 3, 0, 0]
    assert AsymmetricResidual(Zero(2), 2)(x).flatten().tolist() == [1, 2]
    assert AsymmetricResidual(Zero(3), 3)(x).flatten().tolist() == [1, 2, 3]
    block = nn.Conv2d(3, 5, 1)
    assert parameters(AsymmetricResidual(block, 5)) == parameters(block)


@pytest.mark.parametrize(
    ("fusion", "convolutions"),
    [  # channels in and out: both halves, the block, then the transitions
        ("csp", [(16, 8), (16, 8), (8, 8), (8, 8), (16, 16)]),
        ("first", [(16, 8), (16, 8), (8, 8), (16, 16)]),
        ("last", [(16, 8), (16, 8), (8, 8), (8, 8)]),
    ],
)
def test_fusions_of_a_csp_stage(fusion, convolutions):
    stage = CSPStage(16, Residual(nn.Conv2d(8, 8, 1)), fusion=fusion)
    layers = [m for m in stage.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in layers] == convolutions
    assert stage(torch.rand(2, 16, 4, 4)).shape == (2, 16, 4, 4)


def test_stages_of_stacked_blocks():
    elan, osa = ELANStage(8, 4, 16, stacks=3), OSAModule(8, 4, 16, layers=5)
    assert elan.transition.conv.in_channels == 4 + 4 + 3 * 4
    assert osa.transition.conv.in_channels == 8 + 5 * 4
    for stage in (elan, osa):
        assert stage(torch.rand(2, 8, 4, 4)).shape == (2, 16, 4, 4)


@pytest.mark.parametrize(("stop", "gradient"), [(None, 4), ("identity", 3), ("block", 1)])
def test_stopped_gradient_of_a_residual_by_hand(stop, gradient):
    block = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(block.weight, 3)
    x = torch.full((1, 1, 1, 1), 2.0, requires_grad=True)
    y = Residual(block, stop)(x)
    y.backward()
    assert y.item() == 8
    assert x.grad.item() == gradient
    assert block.weight.grad.item() == 2  # the stopped block itself goes on learning


@pytest.mark.parametrize("design", DESIGNS)
def test_stopping_gradients_changes_no_output(design):
    backbone, images = tiny(design).eval(), torch.rand(1, 3, 64, 64)
    expected = backbone(images)
    for stop in ("identity", "block"):
        assert set_gradient_stop(backbone, stop) > 0
        maps = backbone(images)
        assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))
        backbone.zero_grad()
        sum(m.sum() for m in maps).backward()
        assert all(p.grad is not None for p in backbone.parameters())
    assert set_gradient_stop(nn.Conv2d(1, 1, 1), "block") == 0
    with pytest.raises(ValueError, match="stop=blocks: must be one of identity, block"):
        set_gradient_stop(backbone, "blocks")


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
    if head != "rtdetr":  # Ultralytics sets 32 for RT-DETR without looking
        assert detector.model.model[-1].stride.tolist() == [8, 16, 32]


@pytest.mark.parametrize(("head", "design"), [("yolov10", "prn"), ("yolov8", "elan")])
def test_one_step_has_a_finite_loss_that_reaches_the_first_convolution(head, design):
    model = build_detector(head, "n", design, width=0.125, depth=0.5, classes=2, seed=0).model
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
    loaded = load_detector(tmp_path / "saved.pt")
    images = torch.rand(1, 3, 64, 64)
    rounded = detector.model.half().float().eval()
    with torch.no_grad():
        expected, got = rounded(images)[0], loaded.model.float().eval()(images)[0]
        fused = loaded.model.fuse(verbose=False)(images)[0]
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
    backbone, images = tiny("darknet53"), torch.rand(4, 3, 64, 64)

    def repeats() -> bool:
        maps = zip(backbone(images), backbone(images), strict=True)
        return all(torch.equal(a, b) for a, b in maps)

    assert repeats()
    set_drop_path(backbone, 0.5)
    assert not repeats()
    backbone.eval()
    assert repeats()


def test_prn_masks_the_residuals_of_darknet53():
    plain, masked = tiny("darknet53").eval(), tiny("prn").eval()
    masked.load_state_dict(plain.state_dict())
    open_again = tiny("prn", variant=0).eval()
    open_again.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(masked(images)[0], plain(images)[0])
    assert torch.equal(open_again(images)[0], plain(images)[0])
    assert sum(isinstance(m, MaskedResidual) for m in masked.modules()) == 5


@pytest.mark.parametrize("design", DESIGNS)
def test_weights_of_the_classifier_fit_the_backbone(design):
    torch.manual_seed(1)
    network, backbone = classifier(design, 10, 0.125, 0.125), tiny(design)
    load_weights(backbone.body, network.state_dict(), "file")
    images = torch.rand(1, 3, 64, 64)
    logits = network.classifier(backbone.eval()(images)[-1].mean(dim=(2, 3)))
    torch.testing.assert_close(logits, network.eval()(images))


def test_nobody_publishes_weights_of_a_design():
    with pytest.raises(WeightsError, match="darknet53 has no published weights"):
        build_detector(backbone="darknet53", pretrained=True)


def test_grey_images_are_rgb_images_of_equal_channels():
    backbone, grey = tiny("elan").eval(), torch.rand(1, 1, 32, 32)
    maps = zip(backbone(grey), backbone(grey.expand(-1, 3, -1, -1)), strict=True)
    assert all(torch.equal(one, three) for one, three in maps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("darknet19",), "design=darknet19: must be one of darknet53, prn, cspdarknet53, elan"),
        (("elan", 0), r"width=0: must be in \(0, 1\]"),
        (("elan", 1, 2), r"depth=2: must be in \(0, 1\]"),
        (("darknet53", 1, 1, 0.5), "variant=0.5: darknet53 has no such variant"),
        (("prn", 1, 1, "half"), "variant=half: prn has no such variant"),
        (("prn", 1, 1, 2), r"mask=2: must be in \[0, 1\]"),
        (("cspdarknet53", 1, 1, "none"), "fusion=none: must be one of csp, first, last"),
        (("elan", 1, 1, 0), "stacks=0: must be at least 1"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        GradientPathBackbone(*arguments)


@pytest.mark.parametrize("fusion", ["csp", "first", "last"])
def test_variants_keep_the_channels_of_the_design(fusion):
    with torch.device("meta"):
        csp = GradientPathBackbone("cspdarknet53", variant=fusion)
        elan = GradientPathBackbone("elan", variant=3)
    assert [m.shape[1] for m in csp(torch.zeros(1, 3, 64, 64, device="meta"))] == [256, 512, 1024]
    assert [m.shape[1] for m in elan(torch.zeros(1, 3, 64, 64, device="meta"))] == [512, 1024, 1024]
    with pytest.raises(ValueError, match="two halves of 16 do not make 16 channels"):
        CSPStage(16, nn.Identity(), half=16, fusion="last")
