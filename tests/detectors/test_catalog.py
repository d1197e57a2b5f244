from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from progressive.detectors import catalog
from progressive.detectors.catalog import BACKBONES, HEADS, BackboneSpec, backbone_spec, check_head

ROOT = Path(catalog.__file__).parents[2]


def test_importing_the_package_and_the_catalog_imports_nothing_heavy():
    code = (
        "import sys, progressive.detectors as d, progressive.detectors.catalog\n"
        "print(d.HEADS['rtdetr'], sorted({'torch', 'timm', 'ultralytics'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "('l', 'x') []"


def test_unknown_public_name_is_an_attribute_error():
    import progressive.detectors

    with pytest.raises(AttributeError, match="no attribute 'build_detectors'"):
        progressive.detectors.build_detectors  # noqa: B018


def test_backbones_of_the_paper_are_there():
    assert [name for name in BACKBONES if name.startswith("efficientnetv2_")] == [
        "efficientnetv2_b0",
        "efficientnetv2_b1",
        "efficientnetv2_b2",
        "efficientnetv2_b3",
        "efficientnetv2_s",
        "efficientnetv2_m",
        "efficientnetv2_l",
        "efficientnetv2_xl",
    ]


@pytest.mark.parametrize(
    ("name", "width", "depth", "args"),
    [
        ("efficientnetv2_b0", 1, 1, ("tf_efficientnetv2_b0",)),
        ("efficientnetv2_b0", 0.5, 0.5, ("tf_efficientnetv2_b0", 0.5, 0.5)),
        ("efficientnetv2_b3", 1, 1, ("tf_efficientnetv2_b3",)),
        # b3 is b0 with the multipliers 1.2 and 1.4, so a fraction of b3 is b0 times both
        ("efficientnetv2_b3", 0.5, 0.25, ("tf_efficientnetv2_b0", 0.6, 0.35)),
        ("efficientnetv2_b1", 1, 0.5, ("tf_efficientnetv2_b0", 1.0, 0.55)),
        ("efficientnetv2_s", 0.25, 1, ("tf_efficientnetv2_s", 0.25, 1.0)),
    ],
)
def test_layer_of_a_backbone(name, width, depth, args):
    layer = backbone_spec(name).layer(width, depth)
    assert layer.module == "TimmBackbone"
    assert layer.args[0] == args[0]
    assert layer.args[1:] == (pytest.approx(args[1:]) if args[1:] else (None, None))


@pytest.mark.parametrize(("width", "depth"), [(0, 1), (1, 0), (1.5, 1), (1, -0.5)])
def test_fraction_out_of_range(width, depth):
    with pytest.raises(ValueError, match=r"(width|depth)=.*must be in \(0, 1\]"):
        backbone_spec("efficientnetv2_b0").layer(width, depth)


def test_fraction_of_a_model_without_multipliers():
    with pytest.raises(ValueError, match="resnet50 has no fractions"):
        BackboneSpec("resnet50", scalable=False).layer(width=0.5)


@pytest.mark.parametrize(
    ("name", "variant", "message"),
    [
        ("elan", 1.5, "variant=1.5: elan has no such variant; the number of stacks"),
        ("darknet53", 1, "variant=1: darknet53 has none, only prn"),
        ("resnet50", 1, "only the gradient-path designs have variants, namely prn, cspdarknet53"),
    ],
)
def test_variants_are_checked_without_torch(name, variant, message):
    with pytest.raises(ValueError, match=message):
        backbone_spec(name).layer(variant=variant)


def test_scales_that_ultralytics_ships():
    assert HEADS["yolov10"] == ("n", "s", "m", "b", "l", "x")
    assert HEADS["yolov9"] == ("t", "s", "m", "c", "e")
    assert sum(map(len, HEADS.values())) == 38


def test_unknown_names_name_the_nearest():
    with pytest.raises(ValueError, match="head=yolov1O: did you mean yolov10"):
        check_head("yolov1O", "n")
    with pytest.raises(ValueError, match="head=ssd: must be one of rtdetr, yolo11"):
        check_head("ssd", "n")
    with pytest.raises(ValueError, match="scale=b: yolov8 comes as n, s, m, l, x"):
        check_head("yolov8", "b")
    with pytest.raises(ValueError, match="backbone=efficientnet_v2_s: did you mean efficientnetv2"):
        backbone_spec("efficientnet_v2_s")
