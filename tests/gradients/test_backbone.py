from __future__ import annotations

import pytest

from progressive.errors import InputError
from progressive.gradients.backbone import trace_backbone
from progressive.gradients.paths import StagePaths


def stages_of(name: str, stop: str | None = None, **options) -> dict[int | None, StagePaths]:
    paths = trace_backbone(name, stop, **options)
    return {stage.stride: stage for stage in (*paths.stages, paths.network)}


def test_stages_of_darknet53():
    stages = stages_of("darknet53")
    assert list(stages) == [2, 4, 8, 16, 32, None]
    assert [stage.layers for stage in stages.values()] == [4, 5, 17, 17, 9, 52]
    # eight blocks of two layers, after a convolution of stride 2
    assert stages[8].shortest == (1, 2)
    assert stages[8].longest == (1, 17)
    assert stages[None].longest == (1, 52)


def test_stages_of_darknet53_with_stopped_gradients():
    identity, block = stages_of("darknet53", "identity"), stages_of("darknet53", "block")
    for stride, length in ((4, 5), (8, 17), (16, 17), (32, 9)):
        assert identity[stride].shortest == identity[stride].longest == (1, length)
        assert identity[stride].layer_timestamps == (1, 1)
        assert block[stride].shortest == block[stride].longest == (1, 2)


def test_masks_act_on_channels_and_leave_paths_between_layers():
    assert stages_of("prn") == stages_of("darknet53")


@pytest.mark.parametrize(("stacks", "longest"), [(1, 6), (2, 8), (3, 10)])
def test_stacks_of_elan_lengthen_only_the_longest_path(stacks, longest):
    stages = stages_of("elan", variant=stacks)
    for stride in (8, 16, 32):
        assert stages[stride].shortest == (1, 4)  # the first layer of the downsampling has 4
        assert stages[stride].longest == (1, longest)


@pytest.mark.parametrize(
    ("fusion", "shortest", "longest"),
    # The shortest path is longest for the 1x1 convolution of the last block. The longest path goes
    # through one or two transitions, 16 layers in blocks, entry, and the convolution of stride 2.
    [("csp", 4, 20), ("first", 3, 19), ("last", 3, 19)],
)
def test_fusions_of_cspdarknet53(fusion, shortest, longest):
    stage = stages_of("cspdarknet53", variant=fusion)[8]
    assert (stage.shortest, stage.longest) == ((1, shortest), (1, longest))


def test_the_network_is_counted_from_all_three_maps():
    paths = trace_backbone("elan")
    assert [stage.layers for stage in (*paths.stages, paths.network)] == [3, 8, 10, 10, 10, 41]
    assert [layer.name for layer in paths.layers if "loss" in layer.sources] == [
        f"body.stages.{i}.1.transition.conv" for i in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("name", "layers", "longest"),
    [
        # Two blocks of two layers in each stage, after one layer. The layers of the shortcuts, at
        # the start of all stages but the first, are not on the longest path.
        ("timm:resnet18", 20, {2: 1, 4: 4, 8: 4, 16: 4, 32: 4, None: 17}),
        # Blocks of three layers. The first layer after stride 4, 8 and 16 still has that stride.
        ("resnet50", 53, {2: 1, 4: 10, 8: 12, 16: 18, 32: 8, None: 49}),
        ("efficientnetv2_b0", 90, {2: 2, 4: 4, 8: 5, 16: 40, 32: 39, None: 90}),
    ],
)
def test_timm_models(name, layers, longest):
    stages = stages_of(name)
    assert {stride: stage.longest[1] for stride, stage in stages.items()} == longest
    assert stages[None].layers == layers
    with pytest.raises(InputError, match="only the gradient-path designs can stop gradients"):
        trace_backbone(name, "block")
