"""Gradient paths as text: a table to read, JSON with every layer for programs."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps

from tabulate import tabulate

from progressive.gradients.paths import GradientPaths, StagePaths

#: Heads of the columns.
HEADERS = (
    "stage",
    "layers",
    "shortest path",
    "longest path",
    "timestamps",
    "per layer",
    "sources",
    "per layer",
)

#: How to read the table.
NOTE = """\
The length of a path is its number of layers with weights: in a stage from the output of the stage,
in the network from the loss, which reads the maps at strides 8, 16 and 32. A range is the smallest
and the largest number of all layers. Timestamps and sources: how many different ones the stage has;
per layer: how many one layer has."""


def to_text(paths: GradientPaths) -> str:
    """Return a table with a row for each stage and one for the network, and how to read it."""
    rows = [_row(f"stride {stage.stride}", stage) for stage in paths.stages]
    rows.append(_row("network", paths.network))
    align = ("left", *["right"] * (len(HEADERS) - 1))
    cells = tabulate(rows, HEADERS, tablefmt="github", colalign=align, disable_numparse=True)
    unreached = paths.network.unreached
    lines = [f"Layers that no gradient reaches: {unreached}."] if unreached else []
    return "\n".join([cells, "", NOTE, *lines])


def to_json(paths: GradientPaths) -> str:
    """Return everything as JSON, including each layer."""
    return dumps(asdict(paths), indent=1)


def _row(name: str, stage: StagePaths) -> list[str]:
    return [
        name,
        str(stage.layers),
        _span(stage.shortest),
        _span(stage.longest),
        str(stage.timestamps),
        _span(stage.layer_timestamps),
        str(stage.sources),
        _span(stage.layer_sources),
    ]


def _span(ends: tuple[int, int]) -> str:
    """Return a range as text, such as 1-4; one number if both ends are equal."""
    return f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
