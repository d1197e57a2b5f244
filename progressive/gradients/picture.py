"""Draw gradient paths: in which steps gradient reaches each layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from progressive.gradients.paths import GradientPaths, LayerPaths

#: Okabe and Ito's colours, which colour-blind readers can distinguish too.
_SHORTEST, _LONGEST, _SOURCES = "#0072b2", "#d55e00", "#009e73"
_TIMESTAMP, _TIMESTAMPS = "#cfd8dc", "#78909c"


def draw(paths: GradientPaths, title: str, file: Path) -> None:
    """Write a picture of gradient paths.

    Each layer is a column, stage by stage. A grey cell is a step in which gradient reaches the
    layer. Marks show its shortest and longest gradient path. The lowest chart shows the numbers of
    timestamps and sources of each stage.

    Args:
        paths: the result of `trace`.
        title: title of the picture.
        file: a path with a suffix that matplotlib knows, such as .png or .svg.

    Raises:
        OSError: the file cannot be written.
    """
    layers = sorted(paths.layers, key=lambda layer: layer.stride)
    width = min(16.0, max(9.0, 0.13 * len(layers) + 2))
    figure = Figure(figsize=(width, 10), layout="constrained")
    inside, whole, sums = figure.subplots(3, 1, height_ratios=[3, 3, 2])
    figure.suptitle(title, fontsize="x-large")
    _steps(inside, layers, [layer.timestamps for layer in layers])
    inside.set_title("In each stage: paths from its own output", loc="left")
    _legend_beside_title(inside)
    _steps(whole, layers, [layer.network_timestamps for layer in layers])
    whole.set_title("In the whole network: paths from the loss", loc="left")
    _sums(sums, paths)
    figure.savefig(file, dpi=120)


def _steps(axes: Axes, layers: Sequence[LayerPaths], steps: Sequence[tuple[int, ...]]) -> None:
    """Draw the steps in which gradient reaches each layer, with the layers from left to right."""
    highest = max(max(found, default=1) for found in steps)
    arrives = np.zeros((highest, len(layers)))
    for column, found in enumerate(steps):
        arrives[[step - 1 for step in found], column] = 1
    axes.imshow(
        arrives,
        ListedColormap(["white", _TIMESTAMP]),
        vmin=0,
        vmax=1,
        origin="lower",
        extent=(-0.5, len(layers) - 0.5, 0.5, highest + 0.5),
        aspect="auto",
        interpolation="nearest",
    )
    axes.plot([], [], "s", color=_TIMESTAMP, label="gradient timestamp")
    # If both paths are equal, the circle is inside the diamond.
    size = max(4.0, min(7.0, 400 / len(layers)))
    reached = [column for column, found in enumerate(steps) if found]
    longest = [steps[column][-1] for column in reached]
    shortest = [steps[column][0] for column in reached]
    axes.plot(reached, longest, "D", color=_LONGEST, markersize=size, label="longest path")
    axes.plot(reached, shortest, "o", color=_SHORTEST, markersize=0.6 * size, label="shortest path")
    _mark_stages(axes, [layer.stride for layer in layers])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(
        ylim=(0, 1.05 * highest + 0.5),
        ylabel="path length (layers)",
        xlabel="stage, by stride; its layers from the image (left) to the loss (right)",
    )


def _mark_stages(axes: Axes, strides: Sequence[int]) -> None:
    """Draw a line where the stride changes, and label each stage with its stride."""
    starts = [strides.index(stride) for stride in sorted(set(strides))]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="grey", linewidth=0.8)
    ends = [*starts[1:], len(strides)]
    centres = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    axes.set_xticks(centres, [f"{strides[start]}" for start in starts])
    axes.tick_params(axis="x", length=0)


def _sums(axes: Axes, paths: GradientPaths) -> None:
    """Draw the numbers of different timestamps and sources of each stage."""
    places = np.arange(len(paths.stages))
    for shift, colour, label, counts in (
        (-0.2, _TIMESTAMPS, "timestamps", [stage.timestamps for stage in paths.stages]),
        (0.2, _SOURCES, "sources", [stage.sources for stage in paths.stages]),
    ):
        axes.bar_label(axes.bar(places + shift, counts, 0.38, color=colour, label=label))
    axes.set_xticks(places, [f"{stage.stride}" for stage in paths.stages])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.15)
    axes.set(ylabel="number", xlabel="stage, by stride")
    axes.set_title("Different gradient timestamps and sources in each stage", loc="left")
    _legend_beside_title(axes)


def _legend_beside_title(axes: Axes) -> None:
    """Put the legend above the top right corner, where it hides nothing."""
    above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
    axes.legend(ncols=3, frameon=False, handletextpad=0.3, columnspacing=1.2, **above)
