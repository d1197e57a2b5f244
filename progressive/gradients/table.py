"""Gradient paths as text: a table to read, JSON with every layer for programs."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps

from tabulate import tabulate

from progressive.gradients.paths import GradientPaths, StagePaths

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

NOTE = """\
Paths are counted in layers with weights: in a stage from its own output, in the network from the
loss, which reads the maps at strides 8, 16 and 32. A range is the least and the most of any layer.
Timestamps and sources are the different ones in the stage; per layer, those of one layer."""


def to_text(paths: GradientPaths) -> str:
    """Draw a row for each stage and one for the network, and say how to read them."""
    rows = [_row(f"stride {stage.stride}", stage) for stage in paths.stages]
    rows.append(_row("network", paths.network))
    align = ("left", *["right"] * (len(HEADERS) - 1))
    cells = tabulate(rows, HEADERS, tablefmt="github", colalign=align, disable_numparse=True)
    unreached = paths.network.unreached
    lines = [f"Layers that no gradient reaches: {unreached}."] if unreached else []
    return "\n".join([cells, "", NOTE, *lines])


def to_json(paths: GradientPaths) -> str:
    """Return all that was found, as JSON."""
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
    return f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
