from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import ultralytics
from ultralytics.utils import YAML

from progressive.detectors.catalog import BackboneLayer
from progressive.detectors.graft import backbone_strides, graft, load_yaml

LAYER = BackboneLayer("TimmBackbone", ("3abc", 0.5, 0.5))
FRONT = [
    [-1, 1, "TimmBackbone", ["'3abc'", 0.5, 0.5, "ch"]],
    [0, 1, "Index", [24, 0]],
    [0, 1, "Index", [56, 1]],
    [0, 1, "Index", [96, 2]],
]


def shipped(name: str) -> dict:
    return YAML.load(next((Path(ultralytics.__file__).parent / "cfg/models").rglob(name)))


def sources(model: dict) -> list[int | list[int]]:
    return [layer[0] for layer in model["head"]]


def test_yolov8():
    model = graft("yolov8", "s", LAYER, (24, 56, 96))
    assert model["backbone"] == [*FRONT, [-1, 1, "SPPF", [1024, 5]]]
    # 6 and 4 become the maps at strides 16 and 8, 9 becomes the SPPF, the rest moves by five
    assert model["head"] == [
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 1], 1, "Concat", [1]],
        [-1, 3, "C2f", [256]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 7], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, "C2f", [1024]],
        [[10, 13, 16], 1, "Detect", ["nc"]],
    ]
    assert model["scale"] == "s"
    assert model["scales"] == {"s": [0.33, 0.50, 1024]}


def test_yolov10_keeps_both_tail_layers():
    model = graft("yolov10", "n", LAYER, (24, 56, 96))
    assert model["backbone"] == [*FRONT, [-1, 1, "SPPF", [1024, 5]], [-1, 1, "PSA", [1024]]]
    assert sources(model) == [
        *(-1, [-1, 2], -1),
        *(-1, [-1, 1], -1),
        *(-1, [-1, 8], -1),
        *(-1, [-1, 5], -1),
        [11, 14, 17],
    ]


def test_yolo12_has_no_tail_so_the_head_starts_from_the_last_map():
    model = graft("yolo12", "n", LAYER, (24, 56, 96))
    assert model["backbone"] == FRONT
    assert sources(model)[-3:] == [[-1, 3], -1, [9, 12, 15]]


def test_yolov9e_two_branch_backbone_is_replaced_whole():
    model = graft("yolov9", "e", LAYER, (24, 56, 96))
    assert model["backbone"] == [*FRONT, [-1, 1, "SPPELAN", [512, 256]]]
    assert [s for s in sources(model) if s != -1] == [
        *([-1, 2], [-1, 1], [-1, 7], [-1, 4]),
        [10, 13, 16],
    ]


def test_rtdetr_reads_single_layers_and_relative_pairs():
    model = graft("rtdetr", "l", LAYER, (24, 56, 96))
    assert model["backbone"] == FRONT
    assert [s for s in sources(model) if s != -1] == [
        *(2, [-2, -1], 1, [-2, -1], [-1, 11], [-1, 6]),
        [15, 18, 21],
    ]


def test_relative_index_that_reaches_into_the_old_backbone():
    model = load_yaml("yolov8", "n")
    model["head"][1][0] = [-1, -5]  # still layer 6
    assert graft(model, "n", LAYER, (24, 56, 96))["head"][1][0] == [-1, 2]


def test_a_dict_is_left_as_it_was():
    model = load_yaml("yolov8", "n")
    before = deepcopy(model)
    graft(model, "n", LAYER, (24, 56, 96))
    assert model == before


def test_strides_of_a_shipped_backbone():
    assert backbone_strides({**load_yaml("yolov8", "n"), "scale": "n"}) == [
        *(2, 4, 4, 8, 8, 16, 16, 32, 32, 32)
    ]


@pytest.mark.parametrize(("name", "stride"), [("yolov8-p2", 4), ("yolov8-p6", 64)])
def test_head_at_another_stride_is_refused(name, stride):
    with pytest.raises(ValueError, match=f"runs at stride {stride}; .* 8, 16 and 32"):
        graft(shipped(f"{name}.yaml"), "n", LAYER, (24, 56, 96))


def test_scale_that_the_yaml_does_not_have():
    with pytest.raises(ValueError, match="scale=b: this yaml has n, s, m, l, x"):
        graft(shipped("yolov8.yaml"), "b", LAYER, (24, 56, 96))
