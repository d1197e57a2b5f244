from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from progressive.detectors.catalog import backbone_spec
from progressive.detectors.gradient_path import (
    DESIGNS,
    Features,
    MaskedResidual,
    Residual,
    YOLOv3TinyPRN,
    build_features,
    classifier,
    set_gradient_stop,
)
from progressive.detectors.layers import layer_channels
from progressive.detectors.weights import load_weights
from progressive.errors import InputError


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def convolution_parameters(module: nn.Module) -> int:
    """Count the weights and biases of convolutions and linear layers."""
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return sum(parameters(layer) for layer in layers)


def convolution_flops(module: nn.Module, size: int) -> int:
    """Count two operations per multiply-add, as Darknet does, for a module on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return counter.get_total_flops()


def tiny(design: str, variant: float | str | None = None) -> Features:
    torch.manual_seed(0)
    return build_features(design, 0.125, 0.125, variant).eval()


@pytest.mark.parametrize(
    ("design", "published", "with_normalisation", "bflops"),
    [
        # The published numbers do not include the weights of batch normalisation.
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
        backbone = build_features("elan")
    assert parameters(backbone) == 13_371_808
    assert round(convolution_flops(backbone, 640) / 2 / 1e9, 2) == 33.07


def test_published_parameters_and_flops_of_YOLOv3TinyPRN():
    with torch.device("meta"):
        network = YOLOv3TinyPRN()
        large, small = network(torch.zeros(1, 3, 416, 416))
    assert (large.shape, small.shape) == ((1, 255, 13, 13), (1, 255, 26, 26))
    # Darknet also counts means and variances, and stores them in its weight file. Published are
    # 4.95 M parameters, but a file of 18.8 MB: 20 bytes, and 4 bytes for each of 4.94 M parameters.
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert parameters(network) + statistics == 4_939_758
    assert abs(1 - 4_939_758 / 4.95e6) < 0.0025
    assert round((20 + 4 * 4_939_758) / 2**20, 1) == 18.8
    # Darknet counts four operations for each output of pooling. Counted like this, YOLOv3-tiny has
    # its published 8.86 M parameters and 5.571 BFLOPs.
    pooled = [208**2 * 16, 104**2 * 32, 52**2 * 64, 26**2 * 128, 13**2 * 256, 13**2 * 512]
    assert round((convolution_flops(network, 416) + 4 * sum(pooled)) / 1e9, 3) == 3.467


def test_yolov3_tiny_prn_adds_half_of_the_stride_16_channels():
    torch.manual_seed(0)
    network = YOLOv3TinyPRN().eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        network.deepest.bn.weight.zero_()  # only the shortcuts reach the neck
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
        features = build_features(design)
        maps = features(torch.zeros(2, 3, 64, 96))
    assert features.channels == channels == layer_channels(backbone_spec(design).layer())
    assert [tuple(m.shape) for m in maps] == [
        (2, channels[0], 8, 12),
        (2, channels[1], 4, 6),
        (2, channels[2], 2, 3),
    ]


@pytest.mark.parametrize(
    ("design", "variant", "channels"),
    [
        ("prn", 0.25, [256, 512, 1024]),
        ("cspdarknet53", "first", [256, 512, 1024]),
        ("cspdarknet53", "last", [256, 512, 1024]),
        ("elan", 3, [512, 1024, 1024]),
    ],
)
def test_variants_keep_the_channels_of_the_design(design, variant, channels):
    with torch.device("meta"):
        maps = build_features(design, variant=variant)(torch.zeros(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == channels


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


def test_prn_masks_the_residuals_of_darknet53():
    plain, masked = tiny("darknet53"), tiny("prn")
    masked.load_state_dict(plain.state_dict())
    open_again = tiny("prn", variant=0)
    open_again.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(masked(images)[0], plain(images)[0])
    assert torch.equal(open_again(images)[0], plain(images)[0])
    assert sum(isinstance(m, MaskedResidual) for m in masked.modules()) == 5


@pytest.mark.parametrize("design", DESIGNS)
def test_stopping_gradients_changes_no_output(design):
    backbone, images = tiny(design), torch.rand(1, 3, 64, 64)
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


@pytest.mark.parametrize("design", DESIGNS)
def test_weights_of_the_classifier_fit_the_backbone(design):
    torch.manual_seed(1)
    network, features = classifier(design, 10, 0.125, 0.125), tiny(design)
    load_weights(features, network.state_dict(), "file")
    images = torch.rand(1, 3, 64, 64)
    logits = network.classifier(features(images)[-1].mean(dim=(2, 3)))
    torch.testing.assert_close(logits, network.eval()(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("darknet19",), "design=darknet19: must be one of darknet53, prn, cspdarknet53, elan"),
        (("elan", 0), r"width=0: must be in \(0, 1\]"),
        (("elan", 1, 2), r"depth=2: must be in \(0, 1\]"),
        (("darknet53", 1, 1, 0.5), "variant=0.5: darknet53 has no such variant"),
        (("prn", 1, 1, "half"), "variant=half: prn has no such variant"),
        (("prn", 1, 1, 2), r"variant=2: prn has no such variant; .*a number in \[0, 1\]"),
        (("cspdarknet53", 1, 1, "none"), "variant=none: .*; the fusion: csp, first or last"),
        (("elan", 1, 1, 0), "variant=0: .*; the number of stacks in each stage, at least 1"),
        (("elan", 1, 1, True), "variant=True: elan has no such variant"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with torch.device("meta"), pytest.raises(InputError, match=message):
        build_features(*arguments)
