"""Parameters, multiply-adds and feature maps of each backbone, measured on the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps

import torch
from tabulate import tabulate
from torch.utils.flop_counter import FlopCounterMode

from progressive.detectors.catalog import BACKBONES, HEADS, backbone_spec
from progressive.detectors.layers import build_on_meta

#: Marks in a markdown file; the tables are between them.
BEGIN, END = "<!-- detectors:begin -->", "<!-- detectors:end -->"


@dataclass(frozen=True)
class Row:
    """A backbone as a feature extractor, without a classifier.

    Attributes:
        backbone: name in the catalog.
        parameters: number of parameters.
        gmacs: multiply-adds of convolutions and matrix products for one image, in 10^9.
        channels: channels of the feature maps, in the order of `strides`.
        strides: strides of all feature maps; detectors use those at 8, 16 and 32.
    """

    backbone: str
    parameters: int
    gmacs: float
    channels: tuple[int, ...]
    strides: tuple[int, ...]


def measure(name: str, size: int) -> Row:
    """Measure a backbone, without storage for its weights.

    Args:
        name: name in the catalog, or timm:NAME.
        size: side of the image in pixels, a multiple of 32.
    """
    layer = backbone_spec(name).layer()
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad():
        backbone = build_on_meta(layer).eval()
        with counter:
            maps = backbone(torch.zeros(1, 3, size, size))
    returned = {size // feature.shape[2]: feature.shape[1] for feature in maps}
    channels = getattr(backbone, "channels_by_stride", returned)  # it may have more maps
    return Row(
        backbone=name,
        parameters=sum(p.numel() for p in backbone.parameters()),
        gmacs=round(counter.get_total_flops() / 2e9, 3),  # a multiply-add is two operations
        channels=tuple(channels.values()),
        strides=tuple(channels),
    )


def measure_all(size: int) -> list[Row]:
    """Measure every backbone of the catalog at an image size, a multiple of 32."""
    return [measure(name, size) for name in BACKBONES]


def to_json(rows: Sequence[Row]) -> str:
    """Return the rows as a JSON list of objects."""
    return dumps([asdict(row) for row in rows], indent=2)


def to_text(rows: Sequence[Row], size: int) -> str:
    """Return the rows as a markdown table. `size` is the image size of the measurement."""
    headers = ["backbone", "parameters", f"GMACs at {size} px", "channels", "strides"]
    cells = [
        (
            row.backbone,
            f"{row.parameters:,}",
            f"{row.gmacs:.2f}",
            ", ".join(map(str, row.channels)),
            ", ".join(map(str, row.strides)),
        )
        for row in rows
    ]
    align = ("left", "right", "right", "left", "left")
    return tabulate(cells, headers, tablefmt="github", colalign=align, disable_numparse=True)


def docs_tables() -> str:
    """Return the tables for docs/detectors.md: of backbones, measured at 640 px, and of heads."""
    heads = [(name, ", ".join(scales)) for name, scales in HEADS.items()]
    return "\n\n".join(
        [to_text(measure_all(640), 640), tabulate(heads, ["head", "scales"], tablefmt="github")]
    )


def replace_between(text: str, tables: str) -> str:
    """Return a markdown text with the tables between its marks.

    Raises:
        ValueError: the text does not contain both marks exactly once and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"must have one {BEGIN} and, after it, one {END}")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"
