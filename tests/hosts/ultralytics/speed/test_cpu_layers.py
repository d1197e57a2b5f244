"""Layers computed another way: the same results and gradients, and their own classes again."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn
from torch.utils._pytree import tree_leaves

from progressive import build_detector
from progressive.hosts.ultralytics.speed.cpu_layers import reroute_layers


def kinds(model):
    return [type(module) for module in model.modules()]


def run(model, images, **autocast):
    """Return the output of a model, the gradient of its input and those of its weights."""
    images = images.clone().to(memory_format=torch.channels_last).requires_grad_()
    model.zero_grad()
    with torch.autocast("cpu", **autocast):
        output = model(images)
    (output.float() ** 2).sum().backward()
    return [output.float(), images.grad, *(weight.grad for weight in model.parameters())]


LAYERS = {
    "a depthwise convolution with a stride": nn.Conv2d(32, 32, 3, stride=2, groups=32),
    "a pointwise convolution": nn.Conv2d(32, 48, 1),
    "squeeze-and-excitation": SqueezeExcite(32),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("side", [1, 8, 12])
def test_results_and_gradients_stay(name, side):
    torch.manual_seed(0)
    layer = deepcopy(LAYERS[name])
    images = torch.randn(4, 32, side + 2, side + 2)[:, :, 1:-1, 1:-1].contiguous()
    if "stride" in name:
        images = torch.randn(4, 32, side + 2, side + 2)
    expected = run(layer, images, enabled=False)
    rounded = run(layer, images)  # what bfloat16 makes of it by itself
    reroute_layers(layer)
    for before, after in zip(expected, run(layer, images, enabled=False), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    for before, plain, after in zip(expected, rounded, run(layer, images), strict=True):
        error, usual = (after - before).abs().mean(), (plain - before).abs().mean()
        assert error <= 1.5 * usual + 1e-3 * before.abs().mean()


def test_the_output_keeps_the_precision_of_the_input():
    layer = nn.Conv2d(8, 8, 3, stride=2, groups=8)
    reroute_layers(layer)
    with torch.autocast("cpu"):
        assert layer(torch.zeros(1, 8, 4, 4, dtype=torch.bfloat16)).dtype is torch.bfloat16


def test_what_is_rerouted_and_what_is_not():
    class Masked(nn.Conv2d):
        pass

    model = nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8),  # no stride
        nn.Conv2d(8, 8, 3, stride=2),  # not depthwise
        nn.Conv2d(8, 8, 1, stride=2),  # drops pixels
        nn.Conv2d(8, 8, 1, padding=1),
        nn.Conv2d(8, 8, 1, groups=2),
        Masked(8, 8, 1),
        nn.Linear(8, 8),
    )
    before = kinds(model)
    reroute_layers(model)
    assert kinds(model) == before


def test_copies_and_files_hold_the_layers_own_classes():
    model = build_detector("yolov10", "n", "efficientnetv2_b0", width=0.25, depth=0.25).model
    before, names = kinds(model), list(model.state_dict())
    restore_layers = reroute_layers(model)
    after = kinds(model)
    reroute_layers(model)
    assert kinds(model) == after
    changed = {b for a, b in zip(after, before, strict=True) if a is not b}
    assert {kind.__name__ for kind in changed} == {"Conv2d", "Conv2dSame", "SqueezeExcite"}
    assert list(model.state_dict()) == names
    assert kinds(deepcopy(model)) == kinds(pickle.loads(pickle.dumps(model))) == before
    restore_layers()
    assert kinds(model) == before


def test_a_whole_detector_computes_the_same():
    model = build_detector("yolov8", "n", "efficientnetv2_b0", width=0.25, depth=0.25).model.eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = [leaf for leaf in tree_leaves(model(images)) if isinstance(leaf, torch.Tensor)]
        reroute_layers(model)
        found = [leaf for leaf in tree_leaves(model(images)) if isinstance(leaf, torch.Tensor)]
    for before, after in zip(expected, found, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
