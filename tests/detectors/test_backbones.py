from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import DropPath

from progressive.detectors import build_detector
from progressive.detectors.backbones import TimmBackbone
from progressive.detectors.catalog import BackboneLayer, backbone_spec
from progressive.detectors.layers import CLASSES, layer_channels
from progressive.errors import InputError
from progressive.regularize import set_channel_dropout, set_drop_path


def small() -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone("tf_efficientnetv2_b0", 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "parameters", "channels"),
    [
        ("tf_efficientnetv2_b0", 5_610_384, (48, 112, 192)),
        ("tf_efficientnetv2_b1", 6_611_732, (48, 112, 192)),
        ("tf_efficientnetv2_b2", 8_391_406, (56, 120, 208)),
        ("tf_efficientnetv2_b3", 12_461_982, (56, 136, 232)),
        ("tf_efficientnetv2_s", 19_847_248, (64, 160, 256)),
        ("tf_efficientnetv2_m", 52_200_436, (80, 176, 512)),
        ("tf_efficientnetv2_l", 116_412_512, (96, 224, 640)),
        ("tf_efficientnetv2_xl", 206_017_048, (96, 256, 640)),
    ],
)
def test_parameters_channels_and_strides(name, parameters, channels):
    with torch.device("meta"):
        backbone = TimmBackbone(name)
        maps = backbone(torch.zeros(2, 3, 64, 96))
    assert sum(p.numel() for p in backbone.parameters()) == parameters
    assert backbone.channels == channels
    assert [tuple(m.shape) for m in maps] == [
        (2, channels[0], 8, 12),
        (2, channels[1], 4, 6),
        (2, channels[2], 2, 3),
    ]


@pytest.mark.parametrize(("name", "blocks"), [("b0", 3 + 5 + 8), ("s", 6 + 9 + 15)])
def test_squeeze_and_excitation_in_every_mbconv(name, blocks):
    with torch.device("meta"):
        backbone = TimmBackbone(f"tf_efficientnetv2_{name}")
    assert sum(type(m).__name__ == "SqueezeExcite" for m in backbone.modules()) == blocks


def test_fractions_of_width_and_depth():
    with torch.device("meta"):
        half = TimmBackbone("tf_efficientnetv2_b0", 0.5, 0.5)
        part_of_b3 = TimmBackbone("tf_efficientnetv2_b0", 0.6, 0.7)
    assert half.channels == (24, 56, 96)
    assert [len(stage) for stage in half.body.blocks] == [1, 1, 1, 2, 3, 4]
    assert part_of_b3.channels == (32, 64, 112)
    assert [len(stage) for stage in part_of_b3.body.blocks] == [1, 2, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("tf_efficientnetv2_b0", (0.485, 0.456, 0.406)),
        ("tf_efficientnetv2_b3", (0.5, 0.5, 0.5)),
        ("tf_efficientnetv2_s", (0.5, 0.5, 0.5)),
    ],
)
def test_images_are_normalised_as_the_weights_expect(name, colour):
    backbone = TimmBackbone(name).eval()
    seen = []
    backbone.body.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    images = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    backbone(images)
    backbone(images + 0.1)
    assert seen[0].abs().max() == 0
    assert seen[1][0, 0, 0, 0] == pytest.approx(0.1 / (0.229 if "b0" in name else 0.5))


def test_channels_of_a_layer_in_a_yaml():
    layer = BackboneLayer("TimmBackbone", ("tf_efficientnetv2_b0", 0.5, 0.5))
    assert layer_channels(layer) == (24, 56, 96)


def test_other_timm_models_by_their_reductions():
    assert TimmBackbone("resnet18").channels == (128, 256, 512)
    with pytest.raises(ValueError, match=r"vit_tiny_patch16_224 has features at strides \[16"):
        TimmBackbone("vit_tiny_patch16_224")
    with pytest.raises(ValueError, match="timm has no model 'efficientnet_v3'"):
        TimmBackbone("efficientnet_v3")


def test_grey_images_are_rgb_images_of_equal_channels():
    backbone, grey = small().eval(), torch.rand(1, 1, 32, 32)
    maps = zip(backbone(grey), backbone(grey.expand(-1, 3, -1, -1)), strict=True)
    assert all(torch.equal(one, three) for one, three in maps)


def test_channel_dropout_drops_whole_channels_in_training_only():
    backbone = small()
    assert set_channel_dropout(backbone, 0.5) == 1
    images = torch.rand(8, 3, 64, 64)
    dropped = [(m == 0).all(dim=(2, 3)).float().mean() for m in backbone(images)]
    assert all(0.3 < share < 0.7 for share in dropped)
    backbone.eval()
    assert all((m != 0).any(dim=(2, 3)).all() for m in backbone(images))


def test_channel_dropout_is_off_at_first():
    backbone = small()
    assert all((m != 0).any(dim=(2, 3)).all() for m in backbone(torch.rand(2, 3, 64, 64)))


def test_drop_path_acts_in_training_only():
    backbone, images = small(), torch.rand(4, 3, 64, 64)

    def repeats() -> bool:
        return all(
            torch.equal(a, b) for a, b in zip(backbone(images), backbone(images), strict=True)
        )

    assert repeats()
    set_drop_path(backbone, 0.9)
    assert not repeats()
    backbone.eval()
    assert repeats()
    backbone.train()
    set_drop_path(backbone, 0.0)
    assert repeats()


@pytest.mark.parametrize("name", ["tf_efficientnetv2_b0", "tf_efficientnetv2_s", "resnet18"])
@pytest.mark.parametrize("rate", [0.2, 0.05])
def test_drop_path_equals_what_timm_builds(name, rate):
    def rates(model: torch.nn.Module) -> list[float]:
        return [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]

    with torch.device("meta"):
        backbone = TimmBackbone(name)
        expected = rates(timm.create_model(name, features_only=True, drop_path_rate=rate))
    assert rates(backbone) == [0.0] * len(expected)
    assert set_drop_path(backbone, rate) == len(expected)
    assert rates(backbone) == pytest.approx(expected, rel=1e-15)


def test_drop_path_of_the_last_block_by_hand():
    backbone = small()
    assert set_drop_path(backbone, 0.24) == 11  # 12 blocks; the first one is always kept
    last = backbone.body.blocks[-1][-1].drop_path
    assert last.drop_prob == pytest.approx(0.22)
    assert backbone.body.blocks[1][0].drop_path.drop_prob == pytest.approx(0.02)


@pytest.mark.parametrize(
    "backbone", ["efficientnetv2_b0", "resnet50", "timm:resnet18", "darknet53", "elan"]
)
@pytest.mark.parametrize("channels", [2, 4, 10])
def test_images_of_other_channels(backbone, channels):
    layer = backbone_spec(backbone).layer()
    with torch.device("meta"):
        colour = CLASSES[layer.module](*layer.args)
        other = CLASSES[layer.module](*layer.args, [channels])  # as the model parser gives it
        maps = other(torch.zeros(1, channels, 64, 64))
    assert [m.shape[1] for m in maps] == list(other.channels) == list(colour.channels)
    first, *rest = (tuple(p.shape) for p in other.parameters())
    usual, *others = (tuple(p.shape) for p in colour.parameters())
    assert first == (usual[0], channels, *usual[2:])
    assert rest == others


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_the_first_weights_of_other_channels_are_timms(channels, tmp_path):
    torch.manual_seed(3)
    state = timm.create_model("resnet18", num_classes=2).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    detector = build_detector(
        "yolov8",
        "n",
        "timm:resnet18",
        weights=tmp_path / "weights.pt",
        classes=2,
        channels=channels,
    )
    found = detector.model.model[0].body.conv1.weight
    expected = timm.create_model("resnet18", in_chans=channels, pretrained=False).conv1.weight
    assert found.shape == expected.shape
    by_hand = torch.stack([state["conv1.weight"][:, i % 3] for i in range(channels)], 1)
    torch.testing.assert_close(found, by_hand * 3 / channels)
    assert detector.model.yaml["channels"] == channels
    assert detector.model.names == {0: "0", 1: "1"}


def test_rtdetr_takes_the_channels_of_the_data():
    detector = build_detector("rtdetr", "l", width=0.25, depth=0.25, classes=2, channels=4)
    with torch.no_grad():
        found = detector.model.eval()(torch.zeros(1, 4, 64, 64))
    assert found[0].shape[0] == 1


def test_a_detector_without_channels_is_refused():
    with pytest.raises(InputError, match="channels=0: must be a whole number of at least 1"):
        build_detector(channels=0)
