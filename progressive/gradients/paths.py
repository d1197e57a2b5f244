"""The gradient paths of the layers of a network, and their summary for each stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerPaths:
    """How gradients reach one layer.

    The last three are empty if no gradient reaches the layer.

    Attributes:
        name: name of its module.
        stride: stride of its stage, relative to the input; 1 if the input is not an image.
        timestamps: lengths of its gradient paths from the output of the stage, ascending.
        network_timestamps: lengths of its gradient paths from the loss, ascending.
        sources: names of the layers that pass gradient to it; "loss" for the loss.
    """

    name: str
    stride: int
    timestamps: tuple[int, ...]
    network_timestamps: tuple[int, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class StagePaths:
    """How gradients reach the layers of a stage or of the whole network.

    Every pair is the smallest and largest value of all layers.

    Attributes:
        stride: stride of the stage; None for the network.
        layers: number of layers that gradient reaches.
        unreached: number of layers that gradient does not reach.
        shortest: length of the shortest gradient path of a layer.
        longest: length of the longest gradient path of a layer.
        timestamps: number of different timestamps in the stage.
        layer_timestamps: number of timestamps of a layer.
        sources: number of different sources in the stage.
        layer_sources: number of sources of a layer.
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
        stages: a summary for each stride that has layers, ascending.
        network: a summary of all layers, with paths from the loss.
        layers: the layers, in the order of the forward pass.
    """

    stages: tuple[StagePaths, ...]
    network: StagePaths
    layers: tuple[LayerPaths, ...]


def summarise(layers: Sequence[LayerPaths]) -> GradientPaths:
    """Summarise layers by stage."""
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
    """Return the smallest and largest number; zeros if there are none."""
    values = list(numbers) or [0]
    return min(values), max(values)
