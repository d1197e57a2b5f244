"""What is found out about the gradient paths of a network, and its sums per stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerPaths:
    """How gradients reach one layer.

    Attributes:
        name: of its module.
        stride: of its stage, relative to the input; 1 where there is no image.
        timestamps: lengths of its gradient paths from the stage's output, rising.
        network_timestamps: lengths of its gradient paths from the loss, rising.
        sources: names of the layers that hand it gradient; "loss" for the loss.

    All three are empty for a layer that no gradient reaches.
    """

    name: str
    stride: int
    timestamps: tuple[int, ...]
    network_timestamps: tuple[int, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class StagePaths:
    """How gradients reach the layers of a stage or of the whole network.

    Every pair is the least and the most of any layer.

    Attributes:
        stride: of the stage; None for the network.
        layers: how many layers gradient reaches.
        unreached: how many it does not reach.
        shortest: length of a layer's shortest gradient path.
        longest: length of a layer's longest gradient path.
        timestamps: how many different steps bring gradient to a layer of the stage.
        layer_timestamps: the same for one layer.
        sources: how many different sources the layers of the stage have.
        layer_sources: the same for one layer.
    """

    stride: int | None
    layers: int
    unreached: int
    shortest: tuple[int, int]
    longest: tuple[int, int]
    timestamps: int
    layer_timestamps: tuple[int, int]
    sources: int
    layer_sources: tuple[int, int]


@dataclass(frozen=True)
class GradientPaths:
    """The gradient paths of a network.

    Attributes:
        stages: one for each stride that has layers, rising.
        network: all layers, counted from the loss.
        layers: in the order of the forward pass.
    """

    stages: tuple[StagePaths, ...]
    network: StagePaths
    layers: tuple[LayerPaths, ...]


def summarise(layers: Sequence[LayerPaths]) -> GradientPaths:
    """Sum layers up by stage."""
    stages = tuple(
        _summary(stride, [layer for layer in layers if layer.stride == stride])
        for stride in sorted({layer.stride for layer in layers})
    )
    return GradientPaths(stages, _summary(None, layers), tuple(layers))


def _summary(stride: int | None, layers: Sequence[LayerPaths]) -> StagePaths:
    reached = [layer for layer in layers if layer.sources]
    steps = [x.network_timestamps if stride is None else x.timestamps for x in reached]
    return StagePaths(
        stride,
        layers=len(reached),
        unreached=len(layers) - len(reached),
        shortest=_extremes(s[0] for s in steps),
        longest=_extremes(s[-1] for s in steps),
        timestamps=len({step for s in steps for step in s}),
        layer_timestamps=_extremes(len(s) for s in steps),
        sources=len({source for layer in reached for source in layer.sources}),
        layer_sources=_extremes(len(layer.sources) for layer in reached),
    )


def _extremes(numbers: Iterable[int]) -> tuple[int, int]:
    values = list(numbers) or [0]
    return min(values), max(values)
