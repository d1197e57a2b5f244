"""Put another backbone into any Ultralytics detection yaml.

The backbone of the yaml is replaced by one layer that returns the feature maps at strides 8, 16 and
32, and by three `Index` layers, one for each map. Layers between the last stage and the head (such
as SPPF and PSA) are kept. Where the head read a stage, it now reads the map of the same stride. So
no combination of backbone and head needs its own yaml file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import ultralytics
from ultralytics.nn.tasks import parse_model
from ultralytics.utils import YAML

from progressive.detectors.catalog import STRIDES, BackboneLayer, check_head
from progressive.errors import InputError

#: Layers that follow the last backbone stage and belong to the detector, not to the backbone.
TAIL = frozenset({"SPP", "SPPF", "SPPELAN", "PSA", "C2PSA", "C2fPSA"})

#: Names of the yaml files that are not HEAD.yaml; {} stands for the scale.
_YAML = {"yolov9": "yolov9{}.yaml", "yolov10": "yolov10{}.yaml", "rtdetr": "rtdetr-{}.yaml"}


def graft(
    head: str | Mapping[str, Any],
    scale: str,
    backbone: BackboneLayer,
    channels: tuple[int, int, int],
) -> dict[str, Any]:
    """Return a model yaml with the neck and head of `head` after `backbone`.

    Args:
        head: name of a detector in the catalog, or an Ultralytics detection yaml as a dict.
        scale: scale of the head.
        backbone: a layer that takes images and returns a list of feature maps at strides 8, 16 and
            32.
        channels: channels of the three maps.

    Returns:
        A dict for Ultralytics' model parser, with this scale only. Layer 0 is the backbone, layers
        1, 2 and 3 are its maps. The tail (see `TAIL`), if any, and the head follow.

    Raises:
        InputError: the head or scale is unknown, or the head reads features at other strides.
    """
    model = load_yaml(head, scale) if isinstance(head, str) else deepcopy(dict(head))
    if scales := model.get("scales"):
        if scale not in scales:
            raise InputError(f"scale={scale}: this yaml has {', '.join(scales)}")
        model["scales"] = {scale: scales[scale]}
    model["scale"] = scale

    old = model["backbone"]
    tail = _tail_start(old)
    new = backbone_layers(backbone, channels)
    moved = _Moved(backbone_strides(model), tail, tail - len(new))
    kept = [moved.layer(i, layer) for i, layer in enumerate(old + model["head"]) if i >= tail]
    in_tail = len(old) - tail
    return {**model, "backbone": new + kept[:in_tail], "head": kept[in_tail:]}


def backbone_layers(backbone: BackboneLayer, channels: tuple[int, int, int]) -> list[list[Any]]:
    """Return the first four layers of a model yaml: the backbone, and each of its three maps."""
    # parse_model evaluates strings as Python literals, so they are quoted: 3abc would be an error.
    # It assumes that a class it does not know keeps the number of channels. Index states them.
    # For the text ch it puts in a list with the number of channels of the images.
    args = [repr(arg) if isinstance(arg, str) else arg for arg in backbone.args] + ["ch"]
    maps = [[0, 1, "Index", [count, i]] for i, count in enumerate(channels)]
    return [[-1, 1, backbone.module, args], *maps]


def load_yaml(head: str, scale: str) -> dict[str, Any]:
    """Load the yaml of a head from the installed Ultralytics package.

    Ultralytics' own loader is not used, because it prefers a file of that name in the working
    folder.

    Raises:
        InputError: the head or scale is unknown.
    """
    check_head(head, scale)
    name = _YAML.get(head, f"{head}.yaml").format(scale)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    return YAML.load(next(folder.rglob(name)))


def backbone_strides(model: Mapping[str, Any]) -> list[int | None]:
    """Return the stride of each layer in the backbone of a yaml.

    The backbone is run on a tensor without storage, so this works with all layers of Ultralytics.
    The stride of a layer that returns several tensors is None.
    """
    side = 256
    own = {**deepcopy(dict(model)), "head": []}
    outputs: list[Any] = []
    strides: list[int | None] = []
    with torch.device("meta"), torch.no_grad():
        layers, _ = parse_model(own, ch=3, verbose=False)
        for layer in layers.eval():
            before = outputs or [torch.zeros(1, 3, side, side)]
            single = isinstance(layer.f, int)
            outputs.append(layer(before[layer.f] if single else [before[i] for i in layer.f]))
            shape = getattr(outputs[-1], "shape", None)
            strides.append(side // shape[-1] if shape else None)
    return strides


class _Moved:
    """Rewrites layers for their new positions after another backbone.

    Args:
        strides: stride of each layer of the old backbone.
        tail: index of the first layer that is kept.
        shift: by how much the index of each kept layer decreases.
    """

    def __init__(self, strides: Sequence[int | None], tail: int, shift: int) -> None:
        self.strides = strides
        self.tail = tail
        self.shift = shift

    def layer(self, index: int, layer: Sequence[Any]) -> list[Any]:
        """Return the layer with the old index `index`, with its sources in the new model."""
        source, *rest = layer
        if isinstance(source, int):
            return [self._source(index, source), *rest]
        return [[self._source(index, one) for one in source], *rest]

    def _source(self, index: int, source: int) -> int:
        """Return the new index of a source; a relative one stays relative where it can."""
        old = index + source if source < 0 else source
        new = old - self.shift if old >= self.tail else self._map(old)
        unchanged = source < 0 and new == index - self.shift + source
        return source if unchanged else new

    def _map(self, old: int) -> int:
        """Return the index of the map that replaces an old backbone layer: 1, 2 or 3."""
        stride = self.strides[old]
        if stride not in STRIDES:
            raise InputError(
                f"the head reads layer {old} of its backbone, which runs at stride {stride}; "
                "the backbones here have feature maps at strides 8, 16 and 32"
            )
        return 1 + STRIDES.index(stride)


def _tail_start(backbone: Sequence[Sequence[Any]]) -> int:
    """Return the index of the first layer of the tail; the number of layers if there is none."""
    start = len(backbone)
    while start and backbone[start - 1][2] in TAIL:
        start -= 1
    return start
