from __future__ import annotations

import pytest
import torch
from torch import nn

from progressive.detectors.gradient_path import CSPStage, ELANStage, OSAModule, Residual
from progressive.errors import InputError
from progressive.gradients.paths import GradientPaths, StagePaths
from progressive.gradients.table import to_text
from progressive.gradients.trace import trace

MAP = torch.zeros(2, 8, 4, 4)


def conv(kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(8, 8, kernel, padding=kernel // 2)


def residuals(count: int) -> nn.Module:
    return nn.Sequential(
        *[Residual(nn.Sequential(conv(1), nn.ReLU(), conv())) for _ in range(count)]
    )


def osa_modules(count: int) -> nn.Module:
    return nn.Sequential(*[OSAModule(8, 4, 8, layers=2) for _ in range(count)])


def steps(paths: GradientPaths) -> list[tuple[int, ...]]:
    return [layer.network_timestamps for layer in paths.layers]


def shortest(paths: GradientPaths) -> list[int]:
    return [found[0] for found in steps(paths)]


# The statements of arXiv 2211.04800, for small stacks and computed by hand.


def test_plain_network_has_one_path_to_each_layer():
    network = nn.Sequential(
        *[nn.Sequential(conv(), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(5)]
    )
    paths = trace(network, MAP)
    assert steps(paths) == [(5,), (4,), (3,), (2,), (1,)]
    assert paths.network == StagePaths(
        stride=None,
        layers=5,
        unreached=0,
        shortest=(1, 5),
        longest=(1, 5),
        timestamps=5,
        layer_timestamps=(1, 1),
        sources=5,
        layer_sources=(1, 1),
    )
    assert [layer.sources for layer in paths.layers] == [
        *(("1.0",), ("2.0",), ("3.0",), ("4.0",), ("loss",))
    ]


def test_two_residual_blocks_by_hand():
    paths = trace(residuals(2), MAP)
    assert [layer.name for layer in paths.layers] == [
        *("0.block.0", "0.block.2", "1.block.0", "1.block.2")
    ]
    assert steps(paths) == [(2, 4), (1, 3), (2,), (1,)]
    assert [layer.sources for layer in paths.layers] == [
        *(("0.block.2",), ("loss", "1.block.0"), ("1.block.2",), ("loss",))
    ]
    assert (paths.network.timestamps, paths.network.layer_timestamps) == (4, (1, 2))
    assert (paths.network.sources, paths.network.layer_sources) == (4, (1, 2))


@pytest.mark.parametrize(("blocks", "longest"), [(1, 2), (2, 4), (8, 16)])
def test_residual_stacking_lengthens_only_the_longest_path(blocks, longest):
    network = trace(residuals(blocks), MAP).network
    assert network.shortest == (1, 2)
    assert network.longest == (1, longest)


def test_each_stacked_osa_module_adds_one_to_the_shortest_path_of_every_layer():
    found = [shortest(trace(osa_modules(count), MAP)) for count in (1, 2, 3)]
    # the two convolutions and the transition of each module
    assert found == [[2, 2, 1], [3, 3, 2, 2, 2, 1], [4, 4, 3, 3, 3, 2, 2, 2, 1]]


@pytest.mark.parametrize(("stacks", "longest"), [(1, 4), (2, 6), (3, 8), (5, 12)])
def test_stacks_of_elan_add_nothing_to_the_shortest_path(stacks, longest):
    network = trace(ELANStage(8, 4, 8, stacks), MAP).network
    assert network.shortest == (
        1,
        3,
    )  # 1: transition; 2: halves, ends of stacks; 3: starts of stacks
    assert network.longest == (1, longest)


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [  # crossing half, entry, the block's two convolutions, then the transitions
        ("csp", [2, 3, 4, 3, 2, 1]),
        ("first", [2, 2, 3, 2, 1]),  # one less in the computational block
        ("last", [1, 2, 3, 2, 1]),  # one less everywhere
    ],
)
def test_fusions_truncate_the_shortest_path(fusion, expected):
    block = Residual(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)))
    assert shortest(trace(CSPStage(8, block, fusion=fusion), MAP)) == expected


@pytest.mark.parametrize(
    ("network", "lengths"),
    [
        (residuals(3), [6, 5, 4, 3, 2, 1]),
        (osa_modules(2), [6, 5, 4, 3, 2, 1]),
        (ELANStage(8, 4, 8, stacks=2), [2, 6, 5, 4, 3, 2, 1]),  # the crossing half comes first
        (CSPStage(8, nn.Sequential(), fusion="csp"), [2, 3, 2, 1]),
    ],
)
def test_stopping_the_identity_makes_shortest_equal_longest(network, lengths):
    assert steps(trace(network, MAP, "identity")) == [(length,) for length in lengths]


def test_stopping_the_blocks_leaves_one_and_two():
    paths = trace(residuals(4), MAP, "block")
    assert steps(paths) == [(2,), (1,)] * 4
    assert (paths.network.shortest[0], paths.network.longest[1]) == (1, 2)
    assert trace(OSAModule(8, 4, 8), MAP, "block").network.longest == (1, 2)


# Networks that are hard to trace.


class Gated(nn.Module):
    """A convolution, a gate computed from the global mean, and a detached part."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(1), nn.Sigmoid())
        self.forgotten = conv()
        self.never_called = conv()

    def forward(self, x):
        x = torch.relu_(self.down(x))
        unused = self.forgotten(x).detach()
        return {"map": [x * self.gate(x) + unused]}


def test_gates_detached_parts_in_place_activations_and_nested_outputs():
    network = Gated()
    paths = trace(network, torch.zeros(1, 3, 8, 8))
    assert [(layer.name, layer.stride, layer.timestamps) for layer in paths.layers] == [
        ("down", 2, (1, 2)),
        ("forgotten", 2, ()),
        ("gate.1", 2, (1,)),
    ]
    assert (paths.network.layers, paths.network.unreached) == (2, 1)
    assert to_text(paths).endswith("Layers that no gradient reaches: 1.")


def test_layers_used_twice_linear_layers_and_standardised_weights():
    shared = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    network = nn.Sequential(shared, nn.GELU(), shared, nn.LayerNorm(8))
    paths = trace(network, torch.zeros(2, 5, 8))
    assert [(layer.name, layer.timestamps) for layer in paths.layers] == [("0", (2,)), ("0", (1,))]


def test_stops_are_restored_and_hooks_removed():
    network = residuals(2)
    network[0].stop = "block"
    trace(network, MAP, "identity")
    with pytest.raises(RuntimeError):
        trace(network, torch.zeros(1, 3, 4, 4), "identity")
    assert [layer.stop for layer in network] == ["block", None]
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(InputError, match="Sequential: has no layer that a gradient reaches"):
        trace(nn.Sequential(nn.ReLU()), MAP)
