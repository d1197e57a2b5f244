from __future__ import annotations

import pytest
import timm
import torch

from progressive.detectors.catalog import BACKBONES
from progressive.detectors.timm_features import find_features
from progressive.errors import InputError

SCALED = [f"efficientnet_b{i}" for i in range(1, 8)]


@pytest.mark.parametrize("name", SCALED)
def test_multipliers_of_b0_make_the_larger_efficientnets(name):
    """The function of timm that accepts multipliers is private, so its results are checked."""
    spec = BACKBONES[name]
    multipliers = (("channel_multiplier", spec.width), ("depth_multiplier", spec.depth))
    with torch.device("meta"):
        scaled = find_features("tf_efficientnet_b0", *multipliers).build().state_dict()
        published = timm.create_model(spec.timm, features_only=True, out_indices=(2, 3, 4))
    expected = published.state_dict()
    assert {k: v.shape for k, v in scaled.items()} == {k: v.shape for k, v in expected.items()}


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        ("convnext_atto", (80, 160, 320)),
        ("mobilenetv3_small_050", (16, 24, 288)),
        pytest.param(
            *("regnetx_002", (56, 152, 368)),
            marks=pytest.mark.skipif(
                torch.__version__.startswith("2.6."), reason="torch 2.6 has no torch.unique on meta"
            ),
        ),
        ("vgg11", (512, 512, 512)),  # has no stochastic depth
        ("hrnet_w18_small", (256, 512, 1024)),  # has its own kind of features
    ],
)
def test_maps_of_other_families(model, channels):
    features = find_features(model)
    assert features.channels == channels
    with torch.device("meta"), torch.no_grad():
        maps = features.build()(torch.zeros(1, 3, 64, 96))
    sizes = [(1, channels[0], 8, 12), (1, channels[1], 4, 6), (1, channels[2], 2, 3)]
    assert [tuple(m.shape) for m in maps] == sizes


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "vit_tiny_patch16_224",
            r"has features at strides \[16, 16, 16\]; 8, 16 and 32 are needed",
        ),
        ("swin_tiny_patch4_window7_224", "cannot take images of any size: on 64 x 96 pixels"),
        ("resnet18.no_such_tag", "Invalid pretrained tag"),
        ("resnet0", "timm has no model 'resnet0'"),
    ],
)
def test_models_that_are_of_no_use_here(model, message):
    with pytest.raises(InputError, match=message) as error:
        find_features(model)
    assert "\n" not in str(error.value)
