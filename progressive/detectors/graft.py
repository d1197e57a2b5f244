"""Put another backbone into an Ultralytics detection yaml, whatever the yaml.

The yaml's own backbone gives way to one layer that returns the feature maps at strides 8, 16 and
32, and three `Index` layers that name them. What stands between the last stage and the head (SPPF,
PSA and the like) stays, and the head reads the maps where it read the stages. So no combination of
backbone and head needs a yaml file of its own.
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

_YAML = {"yolov9": "yolov9{}.yaml", "yolov10": "yolov10{}.yaml", "rtdetr": "rtdetr-{}.yaml"}


def graft(
    head: str | Mapping[str, Any],
    scale: str,
    backbone: BackboneLayer,
    channels: tuple[int, int, int],
) -> dict[str, Any]:
    """Return a model yaml with the neck and head of `head` on top of `backbone`.

    Args:
        head: name of a detector in the catalog, or an Ultralytics detection yaml as a dict.
        scale: which of its scales.
        backbone: the layer that takes images and returns a list of feature maps at strides 8, 16
            and 32.
        channels: of those three maps.

    Returns:
        A dict for Ultralytics' model parser, reduced to the one scale. Its layers are: 0 the
        backbone; 1, 2, 3 its maps; then the tail, if any, and the head.

    Raises:
        InputError: unknown head or scale, or a head that reads features at other strides.
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
    # parse_model evaluates strings; quoted, even a name such as 3abc is a literal. It believes that
    # a class it does not know leaves the channels as they were; Index is one that states them.
    args = [repr(arg) if isinstance(arg, str) else arg for arg in backbone.args]
    maps = [[0, 1, "Index", [count, i]] for i, count in enumerate(channels)]
    return [[-1, 1, backbone.module, args], *maps]


def load_yaml(head: str, scale: str) -> dict[str, Any]:
    """Load the yaml that the installed Ultralytics ships for a head of the catalog.

    Read from the package itself: Ultralytics' own loader prefers a file of that name in the current
    folder.

    Raises:
        InputError: unknown head or scale.
    """
    check_head(head, scale)
    name = _YAML.get(head, f"{head}.yaml").format(scale)
    folder = Path(ultralytics.__file__).parent / "cfg" / "models"
    return YAML.load(next(folder.rglob(name)))


def backbone_strides(model: Mapping[str, Any]) -> list[int | None]:
    """Return the stride at which each layer of a yaml's own backbone runs.

    Found by running it on a tensor without storage, so it holds for any layer Ultralytics has. A
    layer that returns several tensors has None.
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
    """Rewrites layers for their new place behind another backbone."""

    def __init__(self, strides: Sequence[int | None], tail: int, shift: int) -> None:
        self.strides = strides
        self.tail = tail
        self.shift = shift  # how far layers from the tail on move towards the front

    def layer(self, index: int, layer: Sequence[Any]) -> list[Any]:
        """Return old layer number `index` with the sources it has in the new model."""
        source, *rest = layer
        if isinstance(source, int):
            return [self._source(index, source), *rest]
        return [[self._source(index, one) for one in source], *rest]

    def _source(self, index: int, source: int) -> int:
        old = index + source if source < 0 else source
        new = old - self.shift if old >= self.tail else self._map(old)
        unchanged = source < 0 and new == index - self.shift + source
        return source if unchanged else new

    def _map(self, old: int) -> int:
        """Return the new layer with the feature map of a backbone stage: 1, 2 or 3."""
        stride = self.strides[old]
        if stride not in STRIDES:
            raise InputError(
                f"the head reads its backbone's layer {old}, which runs at stride {stride}; "
                "the backbones here have feature maps at strides 8, 16 and 32"
            )
        return 1 + STRIDES.index(stride)


def _tail_start(backbone: Sequence[Sequence[Any]]) -> int:
    start = len(backbone)
    while start and backbone[start - 1][2] in TAIL:
        start -= 1
    return start
