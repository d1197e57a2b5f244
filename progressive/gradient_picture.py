"""Draw gradient paths: which steps bring gradient to which layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from progressive.gradient_paths import GradientPaths, LayerPaths

# Distinct for colour-blind readers as well (Okabe and Ito's palette).
_SHORTEST, _LONGEST, _ARRIVAL, _SOURCES = "#0072b2", "#d55e00", "#cfd8dc", "#009e73"


def draw(paths: GradientPaths, title: str, file: Path) -> None:
    """Write a picture of gradient paths.

    One column for every layer, stage by stage: a grey cell for every step that brings it gradient,
    and marks for its shortest and its longest gradient path. Below, the sums of each stage.

    Args:
        paths: what `analyse` found.
        title: heading.
        file: a path whose ending matplotlib knows, such as .png or .svg.

    Raises:
        OSError: the file cannot be written.
    """
    layers = sorted(paths.layers, key=lambda layer: layer.stride)
    width = min(16.0, max(8.0, 0.13 * len(layers) + 2))
    figure = Figure(figsize=(width, 10), layout="constrained")
    inside, whole, sums = figure.subplots(3, 1, height_ratios=[3, 3, 2])
    figure.suptitle(title)
    _steps(inside, layers, [layer.timestamps for layer in layers])
    inside.set_title("Within each stage: paths from the stage's own output")
    _steps(whole, layers, [layer.network_timestamps for layer in layers])
    whole.set_title("In the whole network: paths from the loss")
    whole.legend(loc="upper right")  # where paths are short, so that nothing is hidden
    _sums(sums, paths)
    figure.savefig(file, dpi=120)


def _steps(axes: Axes, layers: Sequence[LayerPaths], steps: Sequence[tuple[int, ...]]) -> None:
    """Draw the steps that bring gradient to each layer, layers from left to right."""
    highest = max(max(found, default=1) for found in steps)
    arrives = np.zeros((highest, len(layers)))
    for column, found in enumerate(steps):
        arrives[[step - 1 for step in found], column] = 1
    extent = (-0.5, len(layers) - 0.5, 0.5, highest + 0.5)
    axes.imshow(
        arrives,
        ListedColormap(["white", _ARRIVAL]),
        vmin=0,
        vmax=1,
        origin="lower",
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
    reached = [column for column, found in enumerate(steps) if found]
    axes.plot([], [], "s", color=_ARRIVAL, label="timestamp (length of any path)")
    marks = ((max, "D", _LONGEST, "longest path"), (min, "o", _SHORTEST, "shortest path"))
    size = max(2.0, min(5.0, 300 / len(layers)))
    for pick, marker, colour, label in marks:
        values = [pick(steps[column]) for column in reached]
        axes.plot(reached, values, marker, color=colour, markersize=size, label=label)
    strides = [layer.stride for layer in layers]
    starts = [strides.index(stride) for stride in sorted(set(strides))]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="grey", linewidth=0.8)
    ends = [*starts[1:], len(layers)]
    centres = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    axes.set_xticks(centres, [f"{strides[start]}" for start in starts])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(
        ylim=(0, highest + 1),
        ylabel="layers on the path",
        xlabel="stage, by stride; its layers from the image (left) to the loss (right)",
    )


def _sums(axes: Axes, paths: GradientPaths) -> None:
    """Draw how many different steps and sources the layers of each stage have."""
    places = np.arange(len(paths.stages))
    for shift, colour, label, counts in (
        (-0.2, "#78909c", "timestamps", [stage.timestamps for stage in paths.stages]),
        (0.2, _SOURCES, "sources", [stage.sources for stage in paths.stages]),
    ):
        axes.bar_label(axes.bar(places + shift, counts, 0.38, color=colour, label=label))
    axes.set_xticks(places, [f"{stage.stride}" for stage in paths.stages])
    axes.margins(y=0.15)
    axes.set_yticks([])  # the numbers stand on the bars
    axes.set(title="Different timestamps and sources in each stage", xlabel="stage, by stride")
    axes.legend(frameon=False)
