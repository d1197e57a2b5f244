"""Layers summarised by stage, by hand."""

from __future__ import annotations

from progressive.gradients.paths import LayerPaths, StagePaths, summarise
from progressive.gradients.table import to_text

LAYERS = [
    LayerPaths("a", 4, timestamps=(2, 3), network_timestamps=(3, 5), sources=("b", "c")),
    LayerPaths("b", 4, timestamps=(1,), network_timestamps=(2,), sources=("c",)),
    LayerPaths("unreached", 8, timestamps=(), network_timestamps=(), sources=()),
    LayerPaths("c", 8, timestamps=(1,), network_timestamps=(1,), sources=("loss",)),
]


def test_the_summary_of_a_stage_counts_from_its_output():
    paths = summarise(LAYERS)
    assert [stage.stride for stage in paths.stages] == [4, 8]
    assert paths.stages[0] == StagePaths(
        stride=4,
        layers=2,
        unreached=0,
        shortest=(1, 2),
        longest=(1, 3),
        timestamps=3,
        layer_timestamps=(1, 2),
        sources=2,
        layer_sources=(1, 2),
    )
    assert (paths.stages[1].layers, paths.stages[1].unreached) == (1, 1)


def test_the_summary_of_the_network_counts_from_the_loss():
    network = summarise(LAYERS).network
    assert (network.stride, network.layers, network.unreached) == (None, 3, 1)
    assert (network.shortest, network.longest) == ((1, 3), (1, 5))
    assert (network.timestamps, network.sources) == (4, 3)


def test_a_stage_that_no_gradient_reaches_has_zeros():
    stage = summarise(LAYERS[2:3]).network
    assert (stage.layers, stage.shortest, stage.longest, stage.sources) == (0, (0, 0), (0, 0), 0)


def test_the_table_has_a_row_for_each_stage_and_one_for_the_network():
    lines = to_text(summarise(LAYERS)).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert rows[2:] == [
        ["stride 4", "2", "1-2", "1-3", "3", "1-2", "2", "1-2"],
        ["stride 8", "1", "1", "1", "1", "1", "1", "1"],
        ["network", "3", "1-3", "1-5", "4", "1-2", "3", "1-2"],
    ]
    assert lines[-1] == "Layers that no gradient reaches: 1."
